"""Forms as lines of text, JSON lines, CSV or an Excel table: one row per form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from digitkit.errors import OutputError, escape_controls, to_json
from digitkit.forms.results import FieldReading, FormReading
from digitkit.forms.template_file import COLUMNS_AFTER, COLUMNS_BEFORE
from digitkit.reading.confidence import round_confidence
from digitkit.sinks.lines import LineFormat, Stream, csv_line, guard, keep_text, put_text
from digitkit.sinks.xlsx import (
    HEIGHT,
    MAX_PICTURES,
    MAX_ROWS,
    MAX_TEXT,
    fit_picture,
    insert_picture,
)
from digitkit.sources.frames import Failure, Frame

if TYPE_CHECKING:
    from xlsxwriter import Workbook

DOUBTS = {"source": 36, "page": 6, "field": 16, "text": 16, "picture": 24, "status": 10,
          "confidence": 12, "reasons": 60}  # fmt: skip
"""The columns of the sheet of doubtful fields, with their widths, characters."""

SIGNS = {"ok": "", "doubtful": "?", "invalid": "!", "empty": ""}
"""After a field's text, for people."""


def columns_of(fields: Sequence[str]) -> list[str]:
    """The columns of a table of forms with these fields."""
    pairs = [column for name in fields for column in (name, f"{name}_status")]
    return [*COLUMNS_BEFORE, *pairs, *COLUMNS_AFTER]


def record_of(reading: FormReading | Failure, fields: Sequence[str]) -> list[Any]:
    """The row of a form, in the order of `columns_of`; None where there is nothing to say."""
    if isinstance(reading, Failure):
        blank = [None] * (2 * len(fields) + 1)
        return [reading.source, reading.page, *blank, None, None, None, None, reading.error]
    read = {one.name: one for one in reading.fields}
    pairs = [
        value
        for name in fields
        for value in ((read[name].text, read[name].status) if name in read else (None, None))
    ]
    reasons = "; ".join(reading.reasons) or None
    confidence = round_confidence(reading.confidence)
    return [
        reading.source, reading.page, reading.template, *pairs, reading.complete, confidence,
        round(reading.residual, 2), reasons, None,
    ]  # fmt: skip


def format_form(reading: FormReading, *, quiet: bool = False) -> str:
    """One line for people: ``scan.png: costs: customer 4910533100, phone 7341? [phone: …]``.

    ``?`` is after a doubtful field and ``!`` after one that breaks a rule; an empty one is ``-``.
    """
    if quiet:
        return " ".join(f"{one.text}{SIGNS[one.status]}" or "-" for one in reading.fields)
    parts = ", ".join(
        f"{one.name} {one.text}{SIGNS[one.status]}"
        if one.text
        else f"{one.name} -{SIGNS[one.status]}"
        for one in reading.fields
    )
    reasons = f" [{'; '.join(reading.reasons)}]" if reading.reasons else ""
    return f"{escape_controls(reading.name)}: {reading.template}: {parts}{reasons}"


class FormLines:
    """Writes one line per form, flushed at once."""

    wants_every_frame = False

    def __init__(
        self,
        stream: Stream,
        how: LineFormat,
        fields: Sequence[str],
        *,
        quiet: bool = False,
        header: bool = True,
    ) -> None:
        """Write to a stream.

        Args:
            stream: an open text file, which stays open.
            how: the format.
            fields: the columns of CSV, of all templates.
            quiet: whether text is the values alone.
            header: whether CSV begins with its header.
        """
        self._stream, self._how, self._fields, self._quiet = stream, how, fields, quiet
        if how == "csv" and header:
            put_text(stream, csv_line(columns_of(fields)))

    def write(self, frame: Frame, reading: FormReading) -> None:
        """Write a form."""
        if self._how == "jsonl":
            put_text(self._stream, to_json(reading.to_json()) + "\n")
        elif self._how == "csv":
            self._put_record(reading)
        else:
            put_text(self._stream, format_form(reading, quiet=self._quiet) + "\n")

    def fail(self, failure: Failure) -> None:
        """Write the error, in formats for programs."""
        if self._how == "jsonl":
            values: dict[str, Any] = {"source": failure.source}
            if failure.page is not None:
                values["page"] = failure.page
            put_text(self._stream, to_json(values | {"error": failure.error}) + "\n")
        elif self._how == "csv":
            self._put_record(failure)

    def _put_record(self, reading: FormReading | Failure) -> None:
        record = record_of(reading, self._fields)
        values = (
            _csv_value(value, is_number=column in self._fields)
            for column, value in zip(columns_of(self._fields), record, strict=True)
        )
        put_text(self._stream, csv_line(list(values)))


def _csv_value(value: Any, *, is_number: bool) -> Any:
    """A value that a spreadsheet shows as it is, and does not run."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return "" if value is None else value
    return keep_text(value) if is_number else guard(value)


class FormTable:
    """Writes an Excel table: a sheet with a row per form, and one with each field in doubt."""

    wants_every_frame = False

    def __init__(self, workbook: Workbook, name: str, fields: Sequence[str]) -> None:
        """Write into a new workbook; `name` is the file's, for messages."""
        self._name, self._fields = name, fields
        self._columns = columns_of(fields)
        self._forms = workbook.add_worksheet("forms")
        self._doubts = workbook.add_worksheet("doubts")
        self._rows = self._listed = self._pictures = 0
        bold = workbook.add_format({"bold": True, "bottom": 1})
        middle = {"valign": "vcenter"}
        self._plain = workbook.add_format(middle)
        self._text = workbook.add_format(middle | {"num_format": "@"})
        self._doubtful = workbook.add_format(middle | {"num_format": "@", "bg_color": "#FFF2CC"})
        for sheet, widths in ((self._forms, self._widths()), (self._doubts, DOUBTS)):
            for place, (title, width) in enumerate(widths.items()):
                sheet.set_column(place, place, width)
                sheet.write_string(0, place, title, bold)
            sheet.freeze_panes(1, 0)

    def _widths(self) -> dict[str, int]:
        wide = {"source": 36, "page": 6, "reasons": 60, "error": 30}
        return {column: wide.get(column, max(10, len(column) + 1)) for column in self._columns}

    def write(self, frame: Frame, reading: FormReading) -> None:
        """Write a row for the form, and one for each of its fields that is in doubt.

        Raises:
            OutputError: a sheet is full.
        """
        doubtful = {one.name for one in reading.fields if one.status in ("doubtful", "invalid")}
        self._put(record_of(reading, self._fields), doubtful)
        for one in reading.fields:
            if one.name in doubtful:
                self._list(reading, one)

    def fail(self, failure: Failure) -> None:
        """Write a row with the error.

        Raises:
            OutputError: the sheet is full.
        """
        self._put(record_of(failure, self._fields), {"error"})

    def finish(self) -> None:
        """Complete the sheets, before the workbook is closed."""
        from xlsxwriter.utility import xl_col_to_name

        self._forms.autofilter(0, 0, self._rows, len(self._columns) - 1)
        self._doubts.autofilter(0, 0, self._listed, len(DOUBTS) - 1)
        cells = f"A2:{xl_col_to_name(len(self._columns) - 1)}{MAX_ROWS + 1}"
        self._forms.ignore_errors({"number_stored_as_text": cells})
        self._doubts.ignore_errors({"number_stored_as_text": f"D2:D{MAX_ROWS + 1}"})

    def _put(self, record: Sequence[Any], doubtful: set[str]) -> None:
        self._rows = self._next(self._rows)
        marked = doubtful | {f"{name}_status" for name in doubtful}
        for place, (column, value) in enumerate(zip(self._columns, record, strict=True)):
            form = self._doubtful if column in marked else self._text
            _write(self._forms, self._rows, place, value, form, self._plain)

    def _list(self, reading: FormReading, one: FieldReading) -> None:
        self._listed = self._next(self._listed)
        values = (
            reading.source, reading.page, one.name, one.text, None, one.status,
            round_confidence(one.confidence), "; ".join(one.reasons),
        )  # fmt: skip
        place = list(DOUBTS).index("picture")
        self._doubts.set_row_pixels(self._listed, HEIGHT + 4)
        for column, value in enumerate(values):
            if column == place and one.crop is not None and self._pictures == MAX_PICTURES:
                value = "not shown"
            _write(self._doubts, self._listed, column, value, self._text, self._plain)
        if one.crop is not None and self._pictures < MAX_PICTURES:
            self._pictures += 1
            insert_picture(self._doubts, self._listed, place, fit_picture(one.crop), one.text)

    def _next(self, row: int) -> int:
        if row == MAX_ROWS:
            raise OutputError(
                f"cannot have more than {MAX_ROWS:,} rows", subject=self._name, hint="use csv"
            )
        return row + 1


def _write(sheet: Any, row: int, place: int, value: Any, text: Any, plain: Any) -> None:
    if isinstance(value, str):
        sheet.write_string(row, place, value[:MAX_TEXT], text)
    elif isinstance(value, bool):
        sheet.write_boolean(row, place, value, plain)
    elif value is not None:
        sheet.write_number(row, place, value, plain)
