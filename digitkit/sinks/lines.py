"""Readings as lines of text, JSON lines or CSV."""

from __future__ import annotations

import io
import sys
from typing import Any, Protocol

from digitkit.choices import OutputFormat
from digitkit.errors import OutputError, escape_controls, os_reason, to_json
from digitkit.reading.results import Digit, Reading
from digitkit.sources.frames import Failure, Frame

CSV_COLUMNS = ("source", "text", "confidence", "digits", "rejected", "error", "frame", "time")


def format_text(reading: Reading) -> str:
    """One line for people, such as ``seven.png: 7 (99.8%)``; rows are separated by spaces.

    A doubtful digit keeps its place in its row, in brackets, so that an incomplete number never
    looks complete: ``19[8?]4``.
    """
    name = escape_controls(reading.source)
    if reading.frame is not None:
        name += f" #{reading.frame}"
    accepted = [digit for digit in reading.digits if digit.accepted]
    rejected = [digit for digit in reading.digits if not digit.accepted]
    parts = []
    if accepted:
        lowest = min(digit.confidence for digit in accepted)
        least = "" if len(accepted) == 1 else "at least "
        rows: dict[int, str] = {digit.row: "" for digit in accepted}
        for digit in reading.digits:
            if digit.row in rows:
                rows[digit.row] += str(digit.digit) if digit.accepted else f"[{digit_label(digit)}]"
        parts.append(f"{' '.join(rows.values())} ({least}{format_confidence(lowest)})")
    if rejected:
        doubts = ", ".join(f"{digit_label(d)} {format_confidence(d.confidence)}" for d in rejected)
        parts.append(f"[not accepted: {doubts}]")
    return f"{name}: {' '.join(parts) or 'no digit found'}"


def digit_label(digit: Digit) -> str:
    """``7``; ``7?`` if it is doubtful; ``7 cut`` if the image's border cuts it."""
    doubt = " cut" if digit.cut else "?"
    return f"{digit.digit}" if digit.accepted else f"{digit.digit}{doubt}"


def format_confidence(confidence: float) -> str:
    """A confidence for people; never rounded up to 100%."""
    return f"{min(confidence, 0.9999):.1%}" if confidence < 0.9995 else ">99.9%"


class Stream(Protocol):
    """What `LineSink` writes to: an open text file, or a `RotatingFile`."""

    @property
    def name(self) -> Any:
        """The file's name, for messages."""

    def write(self, text: str, /) -> int:
        """Write a text."""

    def flush(self) -> None:
        """Hand on what was written."""


class LineSink:
    """Writes one line (CSV: one record) per reading, flushed at once."""

    wants_every_frame = False

    def __init__(self, stream: Stream, how: OutputFormat) -> None:
        """Write to `stream`; CSV begins with its header."""
        self.stream = stream
        self.how = how
        if how == "csv":
            self._put(_csv_record(CSV_COLUMNS))

    def _put(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except (BrokenPipeError, OutputError):
            raise
        except OSError as error:
            name = "standard output" if self.stream is sys.stdout else self.stream.name
            raise OutputError(f"cannot be written: {os_reason(error)}", subject=name) from error

    def write(self, frame: Frame, reading: Reading) -> None:
        """Write a reading."""
        if self.how == "text":
            self._put(format_text(reading) + "\n")
        elif self.how == "jsonl":
            self._put(to_json(reading.to_json()) + "\n")
        else:
            self._put(_format_csv(reading))

    def fail(self, failure: Failure) -> None:
        """Write a failure as a record; as text it is an error message, which goes elsewhere."""
        if self.how == "jsonl":
            line = {"source": failure.source, "error": failure.error}
            self._put(to_json(line) + "\n")
        elif self.how == "csv":
            self._put(_csv_record((failure.source, "", "", "", "", failure.error, "", "")))


def _format_csv(reading: Reading) -> str:
    accepted = [digit.confidence for digit in reading.digits if digit.accepted]
    return _csv_record(
        (
            reading.source,
            reading.text,
            f"{min(accepted):.4f}" if accepted else "",
            len(accepted),
            len(reading.digits) - len(accepted),
            "",
            "" if reading.frame is None else reading.frame,
            "" if reading.time is None else reading.time.isoformat(),
        )
    )


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _csv_record(values: tuple[object, ...]) -> str:
    import csv

    buffer = io.StringIO()
    # A spreadsheet would run a file's name that begins like a formula.
    safe = [f"'{value}" if str(value).startswith(_FORMULA) else value for value in values]
    csv.writer(buffer, lineterminator="\n").writerow(safe)
    return buffer.getvalue()
