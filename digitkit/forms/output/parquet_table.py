"""Forms as a Parquet table: one row per form, one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from digitkit.errors import OutputPathError
from digitkit.forms.output.tables import columns_of, record_of
from digitkit.forms.results import FormReading
from digitkit.sinks.parquet import import_pyarrow, open_writer
from digitkit.sources.frames import Failure, Frame

BATCH_ROWS = 1000
"""So many rows are written together."""

COLUMN_TYPES = {"page": "int32", "complete": "bool", "confidence": "float64", "residual": "float64"}
"""The columns that are no text, with their types."""


class FormParquet:
    """Writes rows of forms; texts of fields stay texts, so that no leading zero is lost."""

    wants_every_frame = False

    def __init__(self, writer: Any, schema: Any, fields: Sequence[str]) -> None:
        """Write with a ``pyarrow.parquet.ParquetWriter`` of this schema."""
        self._writer, self._schema, self._fields = writer, schema, fields
        self._rows: list[list[Any]] = []

    def write(self, frame: Frame, reading: FormReading) -> None:
        """Write a row for the form."""
        self._put(record_of(reading, self._fields))

    def fail(self, failure: Failure) -> None:
        """Write a row with the error."""
        self._put(record_of(failure, self._fields))

    def finish(self) -> None:
        """Write the rows that wait."""
        if self._rows:
            values = map(list, zip(*self._rows, strict=True))
            columns = dict(zip(self._schema.names, values, strict=True))
            table = import_pyarrow().Table.from_pydict(columns, schema=self._schema)
            self._writer.write_table(table)
            self._rows = []

    def _put(self, row: list[Any]) -> None:
        self._rows.append(row)
        if len(self._rows) == BATCH_ROWS:
            self.finish()


@contextmanager
def open_form_parquet(path: Path, fields: Sequence[str]) -> Iterator[FormParquet]:
    """A Parquet file with the columns of `columns_of`: complete or not at all.

    Args:
        path: of the file.
        fields: names of the fields of all templates.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        OutputPathError: the path is a folder.
        OutputError: it cannot be written.
    """
    arrow = import_pyarrow()
    if path.is_dir():
        raise OutputPathError("is a folder; --output must name a file", subject=str(path))
    schema = arrow.schema([(name, COLUMN_TYPES.get(name, "string")) for name in columns_of(fields)])
    with open_writer(path, schema) as writer:
        table = FormParquet(writer, schema, fields)
        yield table
        table.finish()
