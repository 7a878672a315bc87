"""Readings as the rows of a table: one per number, and one for an image without any."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from digitkit.reading.confidence import format_confidence
from digitkit.reading.results import Digit, Number, Reading
from digitkit.sources.frames import Failure


@dataclass(frozen=True)
class Record:
    """One row of a table.

    Attributes:
        source: the path or the camera.
        page: of a file with several pages, from 1; None elsewhere.
        number: what was read; None for a failure and for an image without a number.
        reasons: why the number is not complete or what a field changed, or what else was seen in
            an image without a number.
        event: what became of the number in a stream; None elsewhere.
        error: why the source could not be read; None for others.
        frame: number of the frame of a video or a live source, from 0; None for an image file.
        time: when a live frame was taken; None for a file.
        position: in a video file, seconds; None elsewhere.
    """

    source: str
    page: int | None = None
    number: Number | None = None
    reasons: tuple[str, ...] = ()
    event: str | None = None
    error: str | None = None
    frame: int | None = None
    time: datetime | None = None
    position: float | None = None


def reading_records(reading: Reading) -> Iterator[Record]:
    """The numbers of a reading in reading order; one record without a number where it has none.

    Of a stream's frame the events are given instead. Numbers that do not meet a field come last,
    without a text.
    """
    found: list[tuple[Number | None, tuple[str, ...], str | None]]
    found = [(each.number, each.number.reasons, each.kind) for each in reading.events]
    if not found:
        found = [(number, number.reasons, None) for number in reading.numbers]
        found += [
            (replace(number, text=""), (_describe_fault(number),), None)
            for number in reading.dropped
        ]
    if not found:
        rejected = describe_rejected(reading)
        found = [(None, (rejected,) if rejected else (), None)]
    for number, reasons, event in found:
        yield Record(
            source=reading.source,
            page=reading.page,
            number=number,
            reasons=reasons,
            event=event,
            frame=reading.frame,
            time=reading.time,
            position=reading.seconds,
        )


def describe_moment(time: datetime | None, seconds: float | None, number: int | None) -> str:
    """When a frame was taken: ``14:03:12``, ``0:01:07.3`` into a video, or ``#7``; "" of a file.

    Args:
        time: when a live frame was taken.
        seconds: position in a video file, seconds.
        number: of the frame, for a video without times.
    """
    if time is not None:
        return f"{time:%H:%M:%S}"
    if seconds is not None:
        minutes, seconds = divmod(round(seconds, 1), 60)
        return f"{int(minutes) // 60}:{int(minutes) % 60:02d}:{seconds:04.1f}"
    return "" if number is None else f"#{number}"


def describe_dropped(number: Number) -> str:
    """Why a number does not meet a field: ``row 2: 60313 has 5 digits, expected 4``."""
    return f"row {number.row + 1}: {_describe_fault(number)}"


def _describe_fault(number: Number) -> str:
    return f"{number.text} {', '.join(number.reasons)}"


def failure_record(failure: Failure) -> Record:
    """The one record of a source that could not be read."""
    return Record(failure.source, page=failure.page, error=failure.error)


def describe_rejected(reading: Reading) -> str:
    """The digits that are not accepted and in no number: ``not accepted: 8? 61.9%``; else empty."""
    doubts = ", ".join(
        f"{digit_label(d)} {format_confidence(d.confidence)}" for d in reading.lone_digits
    )
    return f"not accepted: {doubts}" if doubts else ""


def digit_label(digit: Digit) -> str:
    """``7``; ``7?`` if it is doubtful; ``7 cut`` if the image's border cuts it."""
    doubt = " cut" if digit.cut else "?"
    return f"{digit.digit}" if digit.accepted else f"{digit.digit}{doubt}"
