"""Readings as an Excel table, with a picture of each number that is not complete."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from digitkit.arrays import U8, Box
from digitkit.errors import OutputError, cannot_write, needs_extra
from digitkit.images.encode import encode_jpeg
from digitkit.images.grey import resize_to
from digitkit.images.orientation import rotate
from digitkit.reading.confidence import round_confidence
from digitkit.reading.results import Number, Reading
from digitkit.sinks.records import Record, failure_record, reading_records
from digitkit.sources.frames import Failure, Frame
from digitkit.system import atomic
from digitkit.system.scratch import scratch_folder

if TYPE_CHECKING:
    from xlsxwriter import Workbook

COLUMNS = {
    **{"source": 40, "page": 6, "row": 6, "column": 8, "text": 16, "picture": 24},
    **{"complete": 11, "confidence": 12, "reasons": 44, "error": 30, "frame": 8, "position": 10},
    **{"event": 12, "x": 8, "y": 8, "width": 8, "height": 8},
}
"""The columns with their widths, characters."""

MAX_ROWS = 1_048_575
"""Most rows of an Excel sheet, below the header."""

MAX_PICTURES = 5000
"""Most pictures of a table: they stay in memory until it is written, about 8 kB each."""

MAX_TEXT = 32_767
"""Most characters of an Excel cell."""

WIDTH, HEIGHT = 160, 36
"""Room for a picture, pixels of the screen; it has twice as many of its own."""


class Finished(Protocol):
    """What writes the sheets of a table."""

    def finish(self) -> None:
        """Complete the sheets, before the file is written."""


_Table = TypeVar("_Table", bound=Finished)


def open_xlsx(path: Path) -> AbstractContextManager[XlsxSink]:
    """A table of numbers that is written to `path` at the end; see `open_workbook`."""
    return open_workbook(path, XlsxSink)


@contextmanager
def open_workbook(path: Path, make: Callable[[Workbook, str], _Table]) -> Iterator[_Table]:
    """A table that is written to `path` at the end; an error leaves none.

    Its rows are kept in a temporary file, not in memory.

    Args:
        path: of the file.
        make: makes what writes the table, of a new workbook and the file's name for messages.

    Raises:
        MissingDependencyError: XlsxWriter is not installed.
        OutputError: the file cannot be written.
    """
    try:
        from xlsxwriter import Workbook
        from xlsxwriter.exceptions import XlsxFileError
    except ImportError as error:
        raise needs_extra("XlsxWriter", "writing an Excel table", "xlsx") from error
    atomic.check_writable(path)
    with atomic.replace_file(path) as temporary, scratch_folder() as folder:
        workbook = Workbook(
            str(temporary),
            {
                "constant_memory": True,
                "tmpdir": str(folder),
                # Names of files are texts, whatever they look like.
                "strings_to_formulas": False,
                "strings_to_numbers": False,
                "strings_to_urls": False,
            },
        )
        try:
            sink = make(workbook, str(path))
            yield sink
            sink.finish()
            workbook.close()
        except XlsxFileError as error:
            cause = error.args[0] if error.args else error
            reason = cause if isinstance(cause, OSError) else str(error)
            raise cannot_write(path, reason) from error
        finally:
            if not workbook.fileclosed:
                with suppress(Exception):  # the error is on its way; this closes its files
                    workbook.close()


class XlsxSink:
    """Writes one row per number into a sheet; texts are texts, so leading zeros stay."""

    wants_every_frame = False

    def __init__(self, workbook: Workbook, name: str) -> None:
        """Write to the first sheet of a new workbook; `name` is the file's, for messages."""
        self._name = name
        self._sheet = workbook.add_worksheet("numbers")
        self._rows = self._pictures = 0
        bold = workbook.add_format({"bold": True, "bottom": 1})
        middle = {"valign": "vcenter"}
        doubtful = middle | {"bg_color": "#FFF2CC"}
        # By whether a row is doubtful: other cells, texts and percentages.
        self._plain, self._text, self._percent = (
            tuple(workbook.add_format(base | more) for base in (middle, doubtful))
            for more in ({}, {"num_format": "@"}, {"num_format": "0.00%"})
        )
        for place, (title, width) in enumerate(COLUMNS.items()):
            self._sheet.set_column(place, place, width)
            self._sheet.write_string(0, place, title, bold)
        self._sheet.freeze_panes(1, 0)

    def write(self, frame: Frame, reading: Reading) -> None:
        """Write a row per number.

        Raises:
            OutputError: the sheet is full.
        """
        image: U8 | None = None  # decoded and rotated only for numbers that are not complete
        for record in reading_records(reading):
            self._put(record)
            if record.number is None or record.number.complete or record.event == "disappeared":
                continue
            if self._pictures == MAX_PICTURES:
                self._cell("picture", "not shown", self._plain[True])
                continue
            if image is None:
                image = rotate(frame.image, reading.turn)
            self._add_picture(image, record.number)

    def fail(self, failure: Failure) -> None:
        """Write a row with the error.

        Raises:
            OutputError: the sheet is full.
        """
        self._put(failure_record(failure))

    def finish(self) -> None:
        """Complete the sheet, before the workbook is closed."""
        columns = list(COLUMNS)
        self._sheet.autofilter(0, 0, self._rows, len(columns) - 1)
        text = columns.index("text")
        cells = f"{chr(65 + text)}2:{chr(65 + text)}{MAX_ROWS + 1}"
        self._sheet.ignore_errors({"number_stored_as_text": cells})

    def _put(self, record: Record) -> None:
        if self._rows == MAX_ROWS:
            raise OutputError(
                f"cannot have more than {MAX_ROWS:,} rows", subject=self._name, hint="use csv"
            )
        self._rows += 1
        number = record.number
        doubt = bool(record.error) or (number is not None and not number.complete)
        plain = self._plain[doubt]
        if number is not None and not number.complete:
            self._sheet.set_row_pixels(self._rows, HEIGHT + 4)
        self._cell("source", record.source, self._text[doubt])
        self._cell("page", record.page, plain)
        if number is not None:
            self._cell("row", number.row, plain)
            self._cell("column", number.column, plain)
            self._cell("text", number.text, self._text[doubt])
            self._cell("complete", number.complete, plain)
            self._cell("confidence", round_confidence(number.confidence), self._percent[doubt])
        self._cell("reasons", "; ".join(record.reasons) or None, self._text[doubt])
        self._cell("error", record.error, self._text[doubt])
        self._cell("frame", record.frame, plain)
        self._cell("position", record.position and round(record.position, 3), plain)
        self._cell("event", record.event, plain)
        for column, value in zip(("x", "y", "width", "height"), record.box or (), strict=False):
            self._cell(column, value, plain)

    def _cell(self, column: str, value: str | float | None, form: Any) -> None:
        place = list(COLUMNS).index(column)
        if isinstance(value, bool):
            self._sheet.write_boolean(self._rows, place, value, form)
        elif isinstance(value, str):
            self._sheet.write_string(self._rows, place, value[:MAX_TEXT], form)
        elif value is not None:
            self._sheet.write_number(self._rows, place, value, form)

    def _add_picture(self, image: U8, number: Number) -> None:
        """Put a number's picture into the row that was written last."""
        self._pictures += 1
        place = list(COLUMNS).index("picture")
        crop = crop_number(image, number.box)
        insert_picture(self._sheet, self._rows, place, crop, number.text)


def insert_picture(sheet: Any, row: int, column: int, crop: U8, text: str) -> None:
    """Put a picture, as `fit_picture` makes it, into a cell; `text` describes it."""
    sheet.insert_image(
        row,
        column,
        "number.jpg",
        {
            "image_data": io.BytesIO(encode_jpeg(crop)),
            "description": text,
            "x_offset": 2,
            "y_offset": 2,
            "x_scale": 0.5,
            "y_scale": 0.5,
            "object_position": 1,  # it is filtered and sorted with its row
        },
    )


def crop_number(image: U8, box: Box) -> U8:
    """A number's part of an image, with a margin, scaled to fit twice `WIDTH` × `HEIGHT`.

    Args:
        image: uint8 ``[H, W]`` or ``[H, W, 3]``, upright.
        box: of the number, pixels.

    Returns:
        uint8 ``[h, w]`` or ``[h, w, 3]``.
    """
    x, y, w, h = box
    margin = 2 + round(max(0.25 * h, 0.1 * w))
    crop = image[max(0, y - margin) : y + h + margin, max(0, x - margin) : x + w + margin]
    return fit_picture(crop)


def fit_picture(crop: U8) -> U8:
    """A picture scaled to fit twice `WIDTH` × `HEIGHT`, uint8 ``[h, w]`` or ``[h, w, 3]``."""
    return resize_to(crop, min(2 * WIDTH / crop.shape[1], 2 * HEIGHT / crop.shape[0]))
