"""From sources to sinks: read each image, track digits over frames, write what changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from digitkit.errors import ConfigError, ImageError
from digitkit.reading.reader import Reader
from digitkit.reading.results import Reading
from digitkit.reading.streams import StreamReader
from digitkit.sources.frames import Failure, Frame, to_failure

if TYPE_CHECKING:
    from digitkit.reading.fields import Field
    from digitkit.sinks.base import Sink

Outcome = tuple[Frame, Reading] | Failure
"""An image and what was read from it, or why nothing was."""


@dataclass(frozen=True)
class Summary:
    """What became of all images.

    Attributes:
        images: images and frames that were read.
        failures: sources and images that could not be read.
        seconds: from the first to the last.
        dropped: frames of a camera that newer ones replaced before they were read; None for files.
        frames: how many of the images were frames of a video or a camera.
    """

    images: int
    failures: int
    seconds: float
    dropped: int | None = None
    frames: int = 0


def read_each(reader: Reader, items: Iterable[Frame | Failure]) -> Generator[Outcome, None, None]:
    """Read images one by one, each as soon as it comes; see `StreamReader` for streams."""
    stream = StreamReader(reader)
    for item in items:
        if isinstance(item, Failure):
            yield item
            continue
        try:
            yield item, stream.read(item)
        except ImageError as error:
            yield to_failure(item.source, error, page=item.page)


class _Streams:
    """Follows the numbers of one video or camera after the other."""

    def __init__(self, hold: int, min_confidence: float, gap: float | None) -> None:
        self._hold = hold
        self._min_confidence = min_confidence
        self._gap = gap
        self._source: str | None = None

    def follow(self, reading: Reading) -> Reading:
        """A frame's reading with confidences averaged over frames."""
        from digitkit.reading.events import EventFinder  # not at the top: files need none
        from digitkit.reading.tracking import Tracker

        if reading.source != self._source:
            self._source = reading.source
            self._tracker = Tracker(self._min_confidence, gap=self._gap)
            self._events = EventFinder(self._hold)
        return self._tracker.follow(reading)

    def find_events(self, reading: Reading) -> Reading:
        """A followed reading with what became of its numbers."""
        return replace(reading, events=self._events.update(reading, self._tracker.tracks))


def _constrain(
    frame: Frame, reading: Reading, number_rule: Field | None, gap: float | None
) -> Outcome:
    """A reading whose numbers meet the rule; a failure where comparing them takes too long."""
    if number_rule is None:
        return frame, reading
    from digitkit.reading.fitting import apply_field

    try:
        return frame, apply_field(reading, number_rule, gap=gap)
    except ConfigError as error:
        return to_failure(frame.source, error, page=frame.page)


def deliver(
    outcomes: Iterable[Outcome],
    sinks: Sequence[Sink],
    *,
    on_failure: Callable[[Failure], None],
    min_confidence: float,
    number_rule: Field | None = None,
    gap: float | None = None,
    hold: int = 1,
    every_frame: bool = False,
) -> Summary:
    """Write each reading to the sinks; of frames in sequence, those in which a number changes.

    Args:
        outcomes: what was read.
        sinks: where it goes. Those with `Sink.wants_every_frame` get every frame.
        on_failure: called with each failure, which the sinks get as well.
        min_confidence: threshold for digits that were tracked over frames, 0–1.
        number_rule: what each number must look like; None for anything.
        gap: least gap between two numbers; see `digitkit.reading.numbers.find_numbers`.
        hold: frames that a number must be stable for before it is reported.
        every_frame: report each frame as it is, without tracking.
    """
    started = time.monotonic()
    images = failures = frames = 0
    streams = _Streams(hold, min_confidence, gap)
    for outcome in outcomes:
        if not isinstance(outcome, Failure):
            frame, reading = outcome
            in_sequence = frame.number is not None and not every_frame
            if in_sequence:
                reading = streams.follow(reading)
            outcome = _constrain(frame, reading, number_rule, gap)
        if isinstance(outcome, Failure):
            failures += 1
            on_failure(outcome)
            for sink in sinks:
                sink.fail(outcome)
            continue
        frame, reading = outcome
        images += 1
        frames += frame.number is not None
        if in_sequence:
            reading = streams.find_events(reading)
        report = not in_sequence or reading.events
        for sink in sinks:
            if report or sink.wants_every_frame:
                sink.write(frame, reading)
    return Summary(images, failures, time.monotonic() - started, frames=frames)
