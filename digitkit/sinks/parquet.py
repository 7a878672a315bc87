"""Readings as a folder of Parquet files: parts that are renamed whole, valid at any moment."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitkit.arrays import Box
from digitkit.choices import Rows
from digitkit.errors import OutputError, cannot_write, needs_extra, one_line
from digitkit.reading.confidence import round_confidence
from digitkit.reading.results import Number, Reading
from digitkit.sinks.records import Record, failure_record, reading_records
from digitkit.sources.frames import Failure, Frame
from digitkit.system import atomic
from digitkit.version import __version__

if TYPE_CHECKING:
    from digitkit.system.run_file import RunFile

PART_ROWS, PART_BYTES, PART_SECONDS = 50_000, 32_000_000, 60.0
"""A part is written with so many rows, so many bytes in memory or so many seconds after the last
one, whatever comes first; what is read since is in the run's state."""

_HELD_ROWS, _HELD_SECONDS = 64, 0.5
"""Rows that are not yet in the run's state: so many, and for so long."""

SUFFIX = ".parquet"


def import_pyarrow() -> Any:
    """The module ``pyarrow``.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise needs_extra("pyarrow", "a Parquet table", "parquet") from error
    return pyarrow


def table_schema(rows: Rows) -> Any:
    """The columns of a table (a ``pyarrow.Schema``), with their types.

    Args:
        rows: what a row is.
    """
    pa = import_pyarrow()
    box = [(name, pa.int32()) for name in ("x", "y", "width", "height")]
    number = [
        *(("row", pa.int32()), ("column", pa.int32()), ("text", pa.string())),
        *(("guess", pa.string()), ("complete", pa.bool_()), ("confidence", pa.float64()), *box),
        ("reasons", pa.list_(pa.string())),
    ]
    digit = [
        *(("digit", pa.int8()), ("confidence", pa.float64()), ("accepted", pa.bool_()), *box),
        *(("row", pa.int32()), ("cut", pa.bool_())),
    ]
    origin = [("source", pa.string()), ("page", pa.int32())]
    end = [
        *(("error", pa.string()), ("model", pa.string()), ("version", pa.string())),
        *(("time", pa.timestamp("ms", tz="UTC")), ("ms", pa.float64())),
    ]
    if rows == "numbers":
        return pa.schema([*origin, ("number", pa.int32()), *number, *end])
    return pa.schema(
        [
            *origin,
            *(("text", pa.string()), ("complete", pa.bool_()), ("confidence", pa.float64())),
            ("numbers", pa.list_(pa.struct([*number, ("digits", pa.list_(pa.int32()))]))),
            ("dropped", pa.list_(pa.struct(number))),
            ("digits", pa.list_(pa.struct(digit))),
            ("turn", pa.int16()),
            *end,
        ]
    )


# --- rows ---


@dataclass(frozen=True)
class TableForm:
    """What a table's rows are; can be pickled.

    Attributes:
        rows: whether a row is a picture (or page), or a number in one.
        model: SHA-256 of the classifier's file, which is in each row.
    """

    rows: Rows
    model: str

    def reading_rows(self, reading: Reading) -> list[dict[str, Any]]:
        """The rows of a reading: one; of numbers at least one."""
        end = self._end(reading.ms.total)
        if self.rows == "numbers":
            return [
                _number_row(place, record) | end
                for place, record in enumerate(reading_records(reading))
            ]
        numbers = [
            _number_cells(number) | {"digits": places}
            for number, places in zip(reading.numbers, reading.digit_places(), strict=True)
        ]
        confidence = reading.confidence
        row = {
            "source": reading.source,
            "page": reading.page,
            "text": reading.text,
            "complete": reading.complete if reading.numbers or reading.dropped else None,
            "confidence": None if confidence is None else round_confidence(confidence),
            "numbers": numbers,
            "dropped": [_number_cells(number) for number in reading.dropped],
            "digits": [
                {
                    "digit": digit.digit,
                    "confidence": round_confidence(digit.confidence),
                    "accepted": digit.accepted,
                    **_box_cells(digit.box),
                    "row": digit.row,
                    "cut": digit.cut,
                }
                for digit in reading.digits
            ],
            "turn": reading.turn,
        }
        return [row | end]

    def failure_rows(self, failure: Failure) -> list[dict[str, Any]]:
        """The one row of what could not be read."""
        if self.rows == "numbers":
            return [_number_row(0, failure_record(failure)) | self._end(None, failure.error)]
        return [
            {"source": failure.source, "page": failure.page} | self._end(None, failure.error),
        ]

    def _end(self, ms: float | None, error: str | None = None) -> dict[str, Any]:
        return {
            "error": error,
            "model": self.model,
            "version": __version__,
            "time": datetime.now(UTC),
            "ms": None if ms is None else round(ms, 3),
        }


def _number_row(place: int, record: Record) -> dict[str, Any]:
    cells = {} if record.number is None else _number_cells(record.number)
    return {
        "source": record.source,
        "page": record.page,
        "number": place,
        **cells,
        "reasons": list(record.reasons),
    }


def _number_cells(number: Number) -> dict[str, Any]:
    return {
        "row": number.row,
        "column": number.column,
        "text": number.text,
        "guess": number.guess,
        "complete": number.complete,
        "confidence": round_confidence(number.confidence),
        **_box_cells(number.box),
        "reasons": list(number.reasons),
    }


def _box_cells(box: Box) -> dict[str, int]:
    return dict(zip(("x", "y", "width", "height"), box, strict=True))


class RowSink:
    """Collects readings as rows."""

    wants_every_frame = False

    def __init__(self, form: TableForm) -> None:
        """Collect rows of this form."""
        self._form = form
        self._schema = table_schema(form.rows)
        self.rows: list[dict[str, Any]] = []

    def write(self, frame: Frame, reading: Reading) -> None:
        """Add a reading's rows."""
        self.rows += self._form.reading_rows(reading)

    def fail(self, failure: Failure) -> None:
        """Add a failure's row."""
        self.rows += self._form.failure_rows(failure)

    def take(self) -> bytes:
        """The rows as an Arrow record batch's message, see `parse_rows`; they are not kept."""
        return bytes(self.take_batch().serialize())

    def take_batch(self) -> Any:
        """The rows as a ``pyarrow.RecordBatch``; they are not kept."""
        batch = import_pyarrow().RecordBatch.from_pylist(self.rows, schema=self._schema)
        self.rows = []
        return batch


def parse_rows(data: bytes, schema: Any) -> Any:
    """The ``pyarrow.RecordBatch`` of this schema that `RowSink.take` gave as bytes."""
    pa = import_pyarrow()
    return pa.ipc.read_record_batch(pa.py_buffer(data), schema)


# --- parts ---


def part_files(folder: Path) -> list[Path]:
    """The parts of a table, in the order in which they were written."""
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if not path.name.startswith("."))


def make_writer(target: Any, schema: Any, system: Any = None) -> Any:
    """A ``pyarrow.parquet.ParquetWriter``, compressed as all tables are.

    Args:
        target: a path, or a stream of pyarrow.
        schema: of what is written.
        system: the ``pyarrow.fs.FileSystem`` of the path; None for that of this machine.
    """
    return import_pyarrow().parquet.ParquetWriter(
        target, schema, filesystem=system, compression="zstd"
    )


@contextmanager
def open_writer(path: Path, schema: Any) -> Iterator[Any]:
    """A ``pyarrow.parquet.ParquetWriter`` of a file that is there whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    pa = import_pyarrow()
    with atomic.replace_file(path) as temporary:
        try:
            with make_writer(temporary, schema) as writer:
                yield writer
        except pa.ArrowException as error:
            raise cannot_write(path, one_line(error)) from error


def write_part(path: Path, table: Any) -> None:
    """Write a ``pyarrow.Table`` as a Parquet file: completely or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    with open_writer(path, table.schema) as writer:
        writer.write_table(table)


class ParquetSink:
    """Writes readings into a folder, a part after the other.

    What is not in a part yet is in the run's state, which keeps it when the process ends.
    """

    wants_every_frame = False

    def __init__(self, folder: Path, form: TableForm, run: RunFile) -> None:
        """Write after the parts that are there; what the run's state has comes first.

        Args:
            folder: of the table; exists.
            form: of its rows.
            run: the run's state.

        Raises:
            OutputError: it cannot be written.
        """
        self._folder = folder
        self._schema = table_schema(form.rows)
        self._row_sink = RowSink(form)
        self._run = run
        self._batches: list[Any] = []
        self._rows = self._bytes = 0
        self._written = self._taken = time.monotonic()
        self._number = _next_number(folder)
        left = [data for part, data in run.entries() if part == self._number]
        for data in left:
            self._keep(data)
        # The first part is there from the start, so that the folder is a table.
        if left or not self._number:
            self._write_part()
        else:
            run.clear()

    def write(self, frame: Frame, reading: Reading) -> None:
        """Add a reading."""
        self._row_sink.write(frame, reading)
        self._take()

    def fail(self, failure: Failure) -> None:
        """Add a failure."""
        self._row_sink.fail(failure)
        self._take()

    def add(self, data: bytes) -> None:
        """Add rows as `RowSink.take` gives them.

        Raises:
            OutputError: they cannot be written.
        """
        self._run.append(self._number, data)
        self._keep(data)
        if self._rows >= PART_ROWS or self._bytes >= PART_BYTES or self._is_late():
            self._write_part()

    def idle(self) -> None:
        """While nothing is added: hold no rows back, and write a part that is due."""
        if self._row_sink.rows:
            self.add(self._row_sink.take())
        if self._batches and self._is_late():
            self._write_part()

    def _is_late(self) -> bool:
        return time.monotonic() - self._written >= PART_SECONDS

    def finish(self) -> None:
        """Write what is left as a part."""
        if self._row_sink.rows:
            self.add(self._row_sink.take())
        if self._batches:
            self._write_part()

    def _take(self) -> None:
        now = time.monotonic()
        if len(self._row_sink.rows) >= _HELD_ROWS or now - self._taken >= _HELD_SECONDS:
            self._taken = now
            self.add(self._row_sink.take())

    def _keep(self, data: bytes) -> None:
        batch = parse_rows(data, self._schema)
        self._batches.append(batch)
        self._rows += batch.num_rows
        self._bytes += len(data)

    def _write_part(self) -> None:
        table = import_pyarrow().Table.from_batches(self._batches, schema=self._schema)
        write_part(self._folder / f"part-{self._number:06d}{SUFFIX}", table)
        # In this order: after an interrupt in between, `finish` must not write them a second time.
        self._batches, self._rows, self._bytes = [], 0, 0
        self._number += 1
        self._run.clear()
        self._written = time.monotonic()


def _next_number(folder: Path) -> int:
    numbers = [path.stem.rpartition("-")[2] for path in part_files(folder)]
    return 1 + max((int(number) for number in numbers if number.isdecimal()), default=-1)


@contextmanager
def open_parquet(folder: Path, form: TableForm, run: RunFile) -> Iterator[ParquetSink]:
    """A table in a folder; however the block ends, what was read is in it.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        OutputError: the folder cannot be written.
    """
    import_pyarrow()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    sink = ParquetSink(folder, form, run)
    try:
        yield sink
    finally:
        sink.finish()


def read_keys(folder: Path, rows: Rows) -> Iterator[tuple[Sequence[str], Sequence[int | None]]]:
    """Sources and pages of the pictures in a table, a part at a time.

    Raises:
        OutputError: a part cannot be read.
    """
    pa = import_pyarrow()
    columns = ["source", "page", *(["number"] if rows == "numbers" else [])]
    for path in part_files(folder):
        try:
            table = pa.parquet.ParquetFile(path).read(columns)
        except (OSError, pa.ArrowException, KeyError) as error:
            raise OutputError(
                f"is not a part of this table, or is damaged: {one_line(error)}", subject=str(path)
            ) from error
        if rows == "numbers":
            import pyarrow.compute as pc

            table = table.filter(pc.equal(table["number"], 0))
        yield table["source"].to_pylist(), table["page"].to_pylist()
