"""Where readings go: lines of text, JSON or CSV, annotated pictures, and what the net saw."""

from __future__ import annotations

import io
import json
import sys
from typing import Any, Literal, Protocol

from digitkit.errors import OutputError
from digitkit.reading.results import Digit, Reading
from digitkit.sources.frames import Failure, Frame

OutputFormat = Literal["text", "jsonl", "csv"]

CSV_COLUMNS = ("source", "text", "confidence", "digits", "rejected", "error", "frame", "time")


def escape_controls(text: str) -> str:
    """Text with its line breaks and other control characters made visible, for output by lines."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def format_text(reading: Reading) -> str:
    """``seven.png: 7 (99.8%)``; rows parted by spaces; what was not accepted in brackets.

    A digit in doubt keeps its place in a row, so that no number looks complete that is not:
    ``19[8?]4``.
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
        parts.append(f"{' '.join(rows.values())} ({least}{format_percent(lowest)})")
    if rejected:
        doubts = ", ".join(f"{digit_label(d)} {format_percent(d.confidence)}" for d in rejected)
        parts.append(f"[not accepted: {doubts}]")
    return f"{name}: {' '.join(parts) or 'no digit found'}"


def digit_label(digit: Digit) -> str:
    """A digit as it is told: ``7``, ``7?`` if it is in doubt, ``7 cut`` if the border cuts it."""
    doubt = " cut" if digit.cut else "?"
    return f"{digit.digit}" if digit.accepted else f"{digit.digit}{doubt}"


def format_percent(confidence: float) -> str:
    """A confidence for people; never rounded up to certainty."""
    return f"{min(confidence, 0.9999):.1%}" if confidence < 0.9995 else ">99.9%"


class Stream(Protocol):
    """What `Lines` writes to: an open text file, or `Rotated`."""

    @property
    def name(self) -> Any:
        """The file's name, for messages."""

    def write(self, text: str, /) -> int:
        """Take a text."""

    def flush(self) -> None:
        """Hand on what was taken."""


class LineSink:
    """Writes one line (of CSV: one record) a picture, flushed as it comes."""

    moving = False

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
        except BrokenPipeError:
            raise
        except OSError as error:
            name = "standard output" if self.stream is sys.stdout else self.stream.name
            raise OutputError(f"{name}: cannot be written: {error.strerror}") from error

    def write(self, frame: Frame, reading: Reading) -> None:
        """Write a reading."""
        if self.how == "text":
            self._put(format_text(reading) + "\n")
        elif self.how == "jsonl":
            self._put(json.dumps(reading.to_json(), ensure_ascii=False) + "\n")
        else:
            accepted = [d.confidence for d in reading.digits if d.accepted]
            self._put(
                _csv_record(
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
            )

    def fail(self, failure: Failure) -> None:
        """Write a failure as a record; as text it is an error message and none of our business."""
        if self.how == "jsonl":
            line = {"source": failure.source, "error": failure.error}
            self._put(json.dumps(line, ensure_ascii=False) + "\n")
        elif self.how == "csv":
            self._put(_csv_record((failure.source, "", "", "", "", failure.error, "", "")))


def _csv_record(values: tuple[object, ...]) -> str:
    import csv

    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(values)
    return buffer.getvalue()
