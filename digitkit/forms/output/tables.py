"""Forms as lines of text, JSON lines, CSV or an Excel table: one row per form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from digitkit.errors import escape_controls, to_json
from digitkit.forms.results import FieldReading, FormReading
from digitkit.forms.templates.template_file import COLUMNS_AFTER, COLUMNS_BEFORE
from digitkit.reading.confidence import round_confidence
from digitkit.sinks.lines import LineFormat, Stream, csv_line, guard, keep_text, put_text
from digitkit.sinks.workbook import Sheet, fit_picture, open_workbook
from digitkit.sources.frames import Failure, Frame, failure_json

COLUMN_WIDTHS = {"source": 36, "page": 6, "reasons": 60, "error": 30}
"""Of the columns of the sheet of forms, characters; others are at least as wide as their names."""

DOUBT_COLUMNS = {"source": 36, "page": 6, "field": 16, "text": 16, "picture": 24, "status": 10,
          "confidence": 12, "reasons": 60}  # fmt: skip
"""The columns of the sheet of doubtful fields, with their widths, characters."""

STATUS_SIGNS = {"ok": "", "doubtful": "?", "invalid": "!", "empty": ""}
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
    texts = [f"{one.text or '-'}{STATUS_SIGNS[one.status]}" for one in reading.fields]
    if quiet:
        return " ".join(texts)
    parts = ", ".join(f"{one.name} {text}" for one, text in zip(reading.fields, texts, strict=True))
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
            put_text(self._stream, to_json(failure_json(failure)) + "\n")
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


@contextmanager
def open_form_table(path: Path, fields: Sequence[str]) -> Iterator[FormTable]:
    """An Excel table of forms with these fields; see `open_workbook`."""
    widths = {
        column: COLUMN_WIDTHS.get(column, max(10, len(column) + 1)) for column in columns_of(fields)
    }
    with open_workbook(path, {"forms": widths, "doubts": DOUBT_COLUMNS}) as (forms, doubts):
        yield FormTable(forms, doubts, fields)


class FormTable:
    """Writes an Excel table: a sheet with a row per form, and one with each field in doubt."""

    wants_every_frame = False

    def __init__(self, forms: Sheet, doubts: Sheet, fields: Sequence[str]) -> None:
        """Write into sheets; that of forms has the columns of these fields."""
        self._forms, self._doubts, self._fields = forms, doubts, fields
        self._columns = columns_of(fields)

    def write(self, frame: Frame, reading: FormReading) -> None:
        """Write a row for the form, and one for each of its fields that is in doubt.

        Raises:
            OutputError: a sheet is full.
        """
        doubtful = {one.name for one in reading.fields if one.status in ("doubtful", "invalid")}
        self._put(reading, doubtful | {f"{name}_status" for name in doubtful})
        for one in reading.fields:
            if one.name in doubtful:
                self._list(reading, one)

    def fail(self, failure: Failure) -> None:
        """Write a row with the error.

        Raises:
            OutputError: the sheet is full.
        """
        self._put(failure, {"error"})

    def _put(self, reading: FormReading | Failure, doubtful: set[str]) -> None:
        record = record_of(reading, self._fields)
        self._forms.add_row(dict(zip(self._columns, record, strict=True)), doubtful)

    def _list(self, reading: FormReading, field_reading: FieldReading) -> None:
        values = {
            "source": reading.source, "page": reading.page, "field": field_reading.name,
            "text": field_reading.text, "status": field_reading.status,
            "confidence": round_confidence(field_reading.confidence),
            "reasons": "; ".join(field_reading.reasons),
        }  # fmt: skip
        self._doubts.add_row(values, tall=True)
        if field_reading.crop is not None:
            self._doubts.add_picture(partial(fit_picture, field_reading.crop), field_reading.text)
