"""Readings as lines of text, JSON lines or CSV."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Sequence
from itertools import repeat
from typing import Any, Literal, Protocol

from digitkit.errors import OutputError, cannot_write, escape_controls, to_json
from digitkit.reading.confidence import format_confidence, round_confidence
from digitkit.reading.results import Event, Reading, number_json
from digitkit.sinks.records import (
    Record,
    describe_dropped,
    describe_moment,
    describe_rejected,
    failure_record,
    reading_records,
)
from digitkit.sources.frames import Failure, Frame, failure_json

LineFormat = Literal["text", "jsonl", "csv"]
"""Formats of lines, of those in `digitkit.choices.OutputFormat`."""

CSV_COLUMNS = (
    *("source", "page", "row", "column", "text", "complete", "confidence"),
    *("x", "y", "width", "height", "reasons", "error", "frame", "time", "position"),
    "event",
)


def format_text(reading: Reading) -> str:
    """One line for people, such as ``seven.png: 7 (99.8%)``; rows are separated by slashes.

    The percentage is the lowest of the complete numbers, or of all if none is. A digit in doubt is
    ``?`` in its number; why follows in brackets: ``19?4 502 / 77 (2 of 3 complete, at least 98.2%)
    [19?4: digit 3 is doubtful (8 at 62%)]``.
    """
    name = escape_controls(reading.name)
    if reading.frame is not None:
        name += f" #{reading.frame}"
    parts = []
    if reading.numbers:
        complete = [number for number in reading.numbers if number.complete]
        counted = complete or reading.numbers
        lowest = min(number.confidence for number in counted)
        least = "at least " if len(counted) > 1 and lowest < 0.9995 else ""
        if 0 < len(complete) < len(reading.numbers):
            least = f"{len(complete)} of {len(reading.numbers)} complete, {least}"
        rows = reading.text.replace("\n", " / ")
        parts.append(f"{rows} ({least}{format_confidence(lowest)})")
    alike: dict[tuple[str, ...], list[str]] = {}
    for number in reading.numbers:
        alike.setdefault(number.reasons, []).append(number.text)
    parts += [f"[{', '.join(own)}: {', '.join(why)}]" for why, own in alike.items() if why]
    parts += [f"[{describe_dropped(number)}]" for number in reading.dropped]
    if rejected := describe_rejected(reading):
        parts.append(f"[{rejected}]")
    return f"{name}: {' '.join(parts) or 'no digit found'}"


def format_event(reading: Reading, event: Event) -> str:
    """One line for people: ``camera 0 14:03:12: changed 6885 to 6886 (99.1%)``.

    The time of day is that of the frame; a video file has the position instead, ``0:01:07.3``.
    """
    name = escape_controls(reading.source)
    if moment := describe_moment(reading.time, reading.seconds, reading.frame):
        name += f" {moment}"
    number = event.number
    before = "" if event.previous is None else f"{event.previous} to "
    line = f"{name}: {event.kind} {before}{number.text}"
    if event.kind == "disappeared":
        return line
    reasons = f" [{', '.join(number.reasons)}]" if number.reasons else ""
    return f"{line} ({format_confidence(number.confidence)}){reasons}"


def event_json(reading: Reading, event: Event) -> dict[str, Any]:
    """An event as a JSON line: what happened, to which number, and all that is to be read now."""
    values = reading.origin_json() | {"event": event.kind, "number": number_json(event.number)}
    if event.previous is not None:
        values["previous"] = event.previous
    return values | {"text": reading.text}


class Stream(Protocol):
    """What `LineSink` writes to: an open text file, or a `RotatingFile`."""

    @property
    def name(self) -> Any:
        """The file's name, for messages."""

    def write(self, text: str, /) -> int:
        """Write a text."""

    def flush(self) -> None:
        """Hand on what was written."""


def put_text(stream: Stream, text: str) -> None:
    """Write a text, and hand it on at once.

    Raises:
        OutputError: it cannot be written.
        BrokenPipeError: whoever reads it has closed the pipe.
    """
    try:
        stream.write(text)
        stream.flush()
    except (BrokenPipeError, OutputError):
        raise
    except OSError as error:
        name = "standard output" if stream is sys.stdout else stream.name
        raise cannot_write(name, error) from error


class LineSink:
    """Writes one line (CSV: one record per number) per reading, flushed at once."""

    wants_every_frame = False

    def __init__(
        self, stream: Stream, how: LineFormat, *, quiet: bool = False, header: bool = True
    ) -> None:
        """Write to a stream.

        Args:
            stream: an open text file, which stays open.
            how: the format.
            quiet: whether text is the numbers alone, a line per row.
            header: whether CSV begins with its header.
        """
        self.stream = stream
        self.how = how
        self.quiet = quiet
        if how == "csv" and header:
            self.add(csv_line(CSV_COLUMNS))

    def add(self, text: str) -> None:
        """Write lines that another `LineSink` made.

        Raises:
            OutputError: they cannot be written.
        """
        put_text(self.stream, text)

    def write(self, frame: Frame, reading: Reading) -> None:
        """Write a reading; of a stream's frame its events, a line each."""
        if self.how == "jsonl":
            values = list(map(event_json, repeat(reading), reading.events)) or [reading.to_json()]
            self.add("".join(to_json(each) + "\n" for each in values))
        elif self.how == "csv":
            self.add("".join(map(_csv_record, reading_records(reading))))
        elif reading.events:
            self.add("".join(map(self._format_event, repeat(reading), reading.events)))
        else:
            self.add((reading.text if self.quiet else format_text(reading)) + "\n")

    def _format_event(self, reading: Reading, event: Event) -> str:
        if not self.quiet:
            return format_event(reading, event) + "\n"
        return "" if event.kind == "disappeared" else event.number.text + "\n"

    def fail(self, failure: Failure) -> None:
        """Write a failure as a record; as text it is an error message, which goes elsewhere."""
        if self.how == "jsonl":
            self.add(to_json(failure_json(failure)) + "\n")
        elif self.how == "csv":
            self.add(_csv_record(failure_record(failure)))


def _csv_record(record: Record) -> str:
    number = record.number
    values: dict[str, object] = {
        "source": guard(record.source),
        "page": record.page,
        "reasons": guard("; ".join(record.reasons)),
        "error": guard(record.error or ""),
        "event": record.event,
        "frame": record.frame,
        "time": record.time and record.time.isoformat(timespec="milliseconds"),
        "position": None if record.position is None else f"{record.position:.3f}",
    }
    if number is not None:
        values |= zip(("x", "y", "width", "height"), number.box, strict=True)
        values |= {
            "row": number.row,
            "column": number.column,
            "text": keep_text(number.text),
            "complete": "true" if number.complete else "false",
            "confidence": f"{round_confidence(number.confidence):.4f}",
        }
    return csv_line([values.get(column) for column in CSV_COLUMNS])


def guard(text: str) -> str:
    """A text that a spreadsheet does not run: a file's name may begin like a formula.

    One that begins as if it were guarded is, too, so that `unguard` gives each its own text.
    """
    own = text.lstrip("'")
    return f"'{text}" if own.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text


def unguard(text: str) -> str:
    """A text as it was before a CSV file guarded it."""
    return text[1:] if text.startswith("'") and guard(text[1:]) == text else text


_STAYS = re.compile(r"0|-?[1-9][0-9]{0,10}|(?=.*\?)[0-9?][0-9?.,]*")
"""Numbers that a spreadsheet shows as they are, and texts with a question mark."""


def keep_text(text: str) -> str:
    """A number as CSV that a spreadsheet shows unchanged.

    Excel would make 123 of ``0123``, 1.2E+15 of sixteen digits, and a date of ``1.5`` in some
    countries; what it would change becomes ``="0123"``, which it shows as the text 0123.
    """
    return text if not text or _STAYS.fullmatch(text) else '="{}"'.format(text.replace('"', '""'))


def csv_line(values: Sequence[object]) -> str:
    """A record of CSV, quoted where needed, with its line break."""
    import csv

    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(values)
    return buffer.getvalue()
