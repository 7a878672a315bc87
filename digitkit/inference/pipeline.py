"""From sources to sinks: read each image, track digits over frames, write what is new."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
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
    """

    images: int
    failures: int
    seconds: float
    dropped: int | None = None


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
            yield to_failure(item.source, error)


class _TrackedFrames:
    """Tracks the digits of one video or camera after the other."""

    def __init__(self, hold: int, min_confidence: float) -> None:
        self._hold = hold
        self._min_confidence = min_confidence
        self._source: str | None = None

    def follow(self, reading: Reading) -> Reading:
        """A frame's reading with confidences averaged over frames."""
        from digitkit.reading.tracking import Tracker  # not at the top: files need none

        if reading.source != self._source:
            self._source = reading.source
            self._tracker = Tracker(self._hold, self._min_confidence)
        return self._tracker.follow(reading)

    def is_news(self, reading: Reading) -> bool:
        """Whether a followed reading is stable and was not reported yet."""
        return self._tracker.report(reading)


def _constrain(frame: Frame, reading: Reading, number_rule: Field | None) -> Outcome:
    """A reading whose rows meet the rule; a failure where comparing them takes too long."""
    if number_rule is None:
        return frame, reading
    from digitkit.reading.fitting import apply_field

    try:
        return frame, apply_field(reading, number_rule)
    except ConfigError as error:
        return to_failure(frame.source, error)


def deliver(
    outcomes: Iterable[Outcome],
    sinks: Sequence[Sink],
    *,
    on_failure: Callable[[Failure], None],
    min_confidence: float,
    number_rule: Field | None = None,
    hold: int = 1,
    every_frame: bool = False,
) -> Summary:
    """Write each reading to the sinks; of frames in sequence, those that are stable and new.

    Args:
        outcomes: what was read.
        sinks: where it goes. Those with `Sink.wants_every_frame` get every frame.
        on_failure: called with each failure, which the sinks get as well.
        min_confidence: threshold for digits that were tracked over frames, 0–1.
        number_rule: what each row must look like; None for anything.
        hold: frames that a number must be stable for before it is reported.
        every_frame: report each frame as it is, without tracking.
    """
    started = time.monotonic()
    images = failures = 0
    tracked = _TrackedFrames(hold, min_confidence)
    for outcome in outcomes:
        if not isinstance(outcome, Failure):
            frame, reading = outcome
            in_sequence = frame.number is not None and not every_frame
            if in_sequence:
                reading = tracked.follow(reading)
            outcome = _constrain(frame, reading, number_rule)
        if isinstance(outcome, Failure):
            failures += 1
            on_failure(outcome)
            for sink in sinks:
                sink.fail(outcome)
            continue
        frame, reading = outcome
        images += 1
        report = not in_sequence or tracked.is_news(reading)
        for sink in sinks:
            if report or sink.wants_every_frame:
                sink.write(frame, reading)
    return Summary(images, failures, time.monotonic() - started)
