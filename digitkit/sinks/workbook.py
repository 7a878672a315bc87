"""Excel files: sheets of rows below a header, with pictures."""

from __future__ import annotations

import io
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitkit.arrays import U8
from digitkit.errors import OutputError, cannot_write, needs_extra
from digitkit.images.encode import encode_jpeg
from digitkit.images.grey import resize_to
from digitkit.system import atomic
from digitkit.system.scratch import scratch_folder

if TYPE_CHECKING:
    from xlsxwriter import Workbook

MAX_ROWS = 1_048_575
"""Most rows of an Excel sheet, below the header."""

MAX_PICTURES = 5000
"""Most pictures of a sheet: they stay in memory until it is written, about 8 kB each."""

MAX_TEXT = 32_767
"""Most characters of an Excel cell."""

WIDTH, HEIGHT = 160, 36
"""Room for a picture, pixels of the screen; it has twice as many of its own."""

PLAIN, TEXT, PERCENT = "General", "@", "0.00%"
"""Excel's number formats."""


@contextmanager
def open_workbook(path: Path, sheets: Mapping[str, Mapping[str, int]]) -> Iterator[list[Sheet]]:
    """The sheets of a file that is written to `path` at the end; an error leaves none.

    Rows are kept in a temporary file, not in memory.

    Args:
        path: of the file.
        sheets: by their titles, the columns of each with their widths, characters.

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
            opened = [Sheet(workbook, str(path), *sheet) for sheet in sheets.items()]
            yield opened
            for sheet in opened:
                sheet.finish()
            workbook.close()
        except XlsxFileError as error:
            cause = error.args[0] if error.args else error
            reason = cause if isinstance(cause, OSError) else str(error)
            raise cannot_write(path, reason) from error
        finally:
            if not workbook.fileclosed:
                with suppress(Exception):  # the error is on its way; this closes its files
                    workbook.close()


class Sheet:
    """Rows below a header; texts are texts, so leading zeros stay."""

    def __init__(self, book: Workbook, name: str, title: str, widths: Mapping[str, int]) -> None:
        """Add a sheet with columns of these widths; `name` is the file's, for messages."""
        self._name = name
        self._sheet = book.add_worksheet(title)
        self._places = {column: place for place, column in enumerate(widths)}
        self._rows = self._pictures = 0
        self._doubtful: Container[str] = ()
        middle = {"valign": "vcenter"}
        self._formats = [  # by whether a cell is doubtful
            {form: book.add_format(base | {"num_format": form}) for form in (PLAIN, TEXT, PERCENT)}
            for base in (middle, middle | {"bg_color": "#FFF2CC"})
        ]
        bold = book.add_format({"bold": True, "bottom": 1})
        for place, (column, width) in enumerate(widths.items()):
            self._sheet.set_column(place, place, width)
            self._sheet.write_string(0, place, column, bold)
        self._sheet.freeze_panes(1, 0)

    def add_row(
        self,
        values: Mapping[str, Any],
        doubtful: Container[str] = (),
        *,
        percent: Container[str] = (),
        tall: bool = False,
    ) -> None:
        """Add a row.

        Args:
            values: texts, numbers and truth values by their columns; None leaves a cell empty.
            doubtful: columns that are marked.
            percent: columns with fractions that are shown as percentages.
            tall: whether there is room for a picture.

        Raises:
            OutputError: the sheet is full.
        """
        if self._rows == MAX_ROWS:
            raise OutputError(
                f"cannot have more than {MAX_ROWS:,} rows", subject=self._name, hint="use csv"
            )
        self._rows += 1
        self._doubtful = doubtful
        if tall:
            self._sheet.set_row_pixels(self._rows, HEIGHT + 4)
        for column, value in values.items():
            self._put(column, value, PERCENT if column in percent else PLAIN)

    def _put(self, column: str, value: Any, form: str = PLAIN) -> None:
        formats, place = self._formats[column in self._doubtful], self._places[column]
        if isinstance(value, str):
            self._sheet.write_string(self._rows, place, value[:MAX_TEXT], formats[TEXT])
        elif isinstance(value, bool):
            self._sheet.write_boolean(self._rows, place, value, formats[form])
        elif value is not None:
            self._sheet.write_number(self._rows, place, value, formats[form])

    def add_picture(self, make: Callable[[], U8], text: str) -> None:
        """Put a picture into the column ``picture`` of the last row.

        Args:
            make: makes it, as `fit_picture` does.
            text: describes it.
        """
        if self._pictures == MAX_PICTURES:
            self._put("picture", "not shown")
            return
        self._pictures += 1
        self._sheet.insert_image(
            self._rows,
            self._places["picture"],
            "number.jpg",
            {
                "image_data": io.BytesIO(encode_jpeg(make())),
                "description": text,
                "x_offset": 2,
                "y_offset": 2,
                "x_scale": 0.5,
                "y_scale": 0.5,
                "object_position": 1,  # it is filtered and sorted with its row
            },
        )

    def finish(self) -> None:
        """Complete the sheet, before the workbook is closed."""
        from xlsxwriter.utility import xl_range

        last = len(self._places) - 1
        self._sheet.autofilter(0, 0, self._rows, last)
        self._sheet.ignore_errors({"number_stored_as_text": xl_range(1, 0, MAX_ROWS, last)})


def fit_picture(crop: U8) -> U8:
    """A picture scaled to fit twice `WIDTH` × `HEIGHT`, uint8 ``[h, w]`` or ``[h, w, 3]``."""
    return resize_to(crop, min(2 * WIDTH / crop.shape[1], 2 * HEIGHT / crop.shape[0]))
