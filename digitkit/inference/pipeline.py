"""From sources to sinks: read each image, track digits over frames, write what changes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from digitkit.errors import ConfigError, ImageError, ModelRunError
from digitkit.reading.live.streams import StreamReader
from digitkit.reading.reader import Reader
from digitkit.reading.results import Number, Reading, Verdict
from digitkit.sources.frames import Failure, FailureKind, Frame, to_failure

if TYPE_CHECKING:
    from digitkit.inference.infer_config import InferConfig
    from digitkit.reading.numbers.fields import Field
    from digitkit.sinks.base import Sink

Outcome = tuple[Frame, Reading] | Failure
"""An image and what was read from it, or why nothing was."""


class Judged(Protocol):
    """What was read from an image: its numbers, or a form."""

    @property
    def verdict(self) -> Verdict:
        """Whether a person should look at it."""


_Reading = TypeVar("_Reading", bound=Judged)


@dataclass(frozen=True)
class Reporting:
    """Which numbers are reported, and when.

    Attributes:
        min_confidence: threshold for digits that were tracked over frames, 0–1.
        number_rule: what each number must look like; None for anything.
        hold: frames that a number must be stable for before it is reported.
        every_frame: whether each frame is reported as it is, without tracking.
    """

    min_confidence: float
    number_rule: Field | None = None
    hold: int = 1
    every_frame: bool = False

    @classmethod
    def create(cls, reader: Reader, config: InferConfig) -> Self:
        """What a configuration asks for, with the threshold of its reader."""
        return cls(
            reader.min_confidence,
            config.number_rule,
            hold=config.hold,
            every_frame=config.every_frame,
        )


@dataclass(frozen=True)
class Summary:
    """What became of all images.

    Attributes:
        images: images and frames that were read.
        failures: sources and images that could not be read.
        seconds: from the first to the last.
        dropped: frames of a camera that newer ones replaced before they were read; None for files.
        frames: how many of the images were frames of a video or a camera.
        complete: images whose numbers, one at least, are all complete.
        doubtful: images with a number that is not complete, or that does not meet a field.
        failed: failures by their kind.
        done_before: images and failures of an earlier run that this one continued.
        interrupted: whether it was stopped before all was read.
    """

    images: int
    failures: int
    seconds: float
    dropped: int | None = None
    frames: int = 0
    complete: int = 0
    doubtful: int = 0
    failed: Mapping[FailureKind, int] = field(default_factory=dict)
    done_before: int = 0
    interrupted: bool = False


class Tally:
    """Counts what becomes of images."""

    def __init__(self) -> None:
        """Count from now on."""
        self._started = time.monotonic()
        self._images = self._frames = 0
        self._verdicts: Counter[Verdict] = Counter()
        self._failed: Counter[FailureKind] = Counter()

    def read(self, verdict: Verdict, *, is_frame: bool = False) -> None:
        """Count an image that was read, by the verdict on its reading."""
        self._images += 1
        self._frames += is_frame
        self._verdicts[verdict] += 1

    def fail(self, failure: Failure) -> None:
        """Count a failure."""
        self._failed[failure.kind] += 1

    def add(self, summary: Summary) -> None:
        """Count what was counted elsewhere."""
        self._images += summary.images
        self._frames += summary.frames
        self._verdicts["complete"] += summary.complete
        self._verdicts["doubtful"] += summary.doubtful
        self._failed.update(summary.failed)

    def summary(self, *, interrupted: bool = False) -> Summary:
        """What was counted up to now."""
        return Summary(
            self._images,
            self._failed.total(),
            time.monotonic() - self._started,
            frames=self._frames,
            complete=self._verdicts["complete"],
            doubtful=self._verdicts["doubtful"],
            failed=dict(self._failed),
            interrupted=interrupted,
        )


BATCH = 32
"""Most small images that are read in one call of the model."""


def read_each(
    reader: Reader, items: Iterable[Frame | Failure], *, batch: int = 1
) -> Generator[Outcome, None, None]:
    """Read images one by one, each as soon as it comes; see `StreamReader` for streams.

    Args:
        reader: what reads them.
        items: images, and failures that are passed on.
        batch: small images that are read in one call of the model; the first outcome of a batch
            comes when the last of its images is there.

    Raises:
        ModelRunError: the model fails on a frame of a video or a camera: it would on the next one,
            too. On another image that is its failure.
    """
    stream = StreamReader(reader)
    small: list[Frame] = []

    def read_one(frame: Frame) -> Outcome:
        try:
            return frame, stream.read(frame)
        except (ImageError, ModelRunError) as error:
            if isinstance(error, ModelRunError) and frame.number is not None:
                raise
            return to_failure(frame.source, error, page=frame.page)

    def read_small() -> Iterator[Outcome]:
        try:
            yield from zip(small, reader.read_small(small), strict=True)
        except (ImageError, ModelRunError):
            yield from map(read_one, small)
        small.clear()

    for item in items:
        if batch > 1 and isinstance(item, Frame) and item.number is None and reader.is_small(item):
            small.append(item)
            if len(small) == batch:
                yield from read_small()
            continue
        if small:
            yield from read_small()
        yield item if isinstance(item, Failure) else read_one(item)
    if small:
        yield from read_small()


class _Streams:
    """Follows the numbers of one video or camera after the other."""

    def __init__(self, reporting: Reporting, notice: Callable[[str], None] | None) -> None:
        self._reporting = reporting
        self._notice = notice
        self._source: str | None = None
        self._frame = 0
        self._has_numbers = self._has_events = False
        self._dropped: Number | None = None

    def follow(self, reading: Reading) -> Reading:
        """A frame's reading with confidences averaged over frames."""
        from digitkit.reading.live.events import EventFinder  # not at the top: files need none
        from digitkit.reading.live.tracking import Tracker

        number = reading.frame or 0
        if reading.source != self._source or number <= self._frame:  # the same video once more
            self.end()
            self._source = reading.source
            reporting = self._reporting
            self._tracker = Tracker(reporting.min_confidence)
            self._events = EventFinder(reporting.hold)
        self._frame = number
        return self._tracker.follow(reading)

    def find_events(self, frame: Frame, reading: Reading) -> Reading:
        """A followed reading of a frame with what became of its numbers."""
        height, width = frame.image.shape[:2]
        size = (height, width) if reading.turn % 180 else (width, height)
        events = self._events.update(reading, self._tracker.tracks, size)
        self._has_numbers |= bool(reading.numbers)
        self._has_events |= bool(events)
        self._dropped = next(iter(reading.dropped), self._dropped)
        return replace(reading, events=events)

    def end(self) -> None:
        """Say of the last one if it had numbers, and none was reported."""
        if self._notice is not None and not self._has_events:
            if self._has_numbers:
                from digitkit.reading.live.events import DOUBT_FACTOR

                hold = self._reporting.hold
                frames = f"{hold:,} frame{'s' * (hold != 1)}"
                self._notice(
                    f"{self._source}: no number was stable for {frames}, or while it is not "
                    f"complete {DOUBT_FACTOR * hold:,}; use a smaller --hold, or --every-frame"
                )
            elif self._dropped is not None:
                from digitkit.sinks.records import describe_dropped

                dropped = describe_dropped(self._dropped)
                self._notice(f"{self._source}: all numbers were dropped, such as {dropped}")
        self._source, self._has_numbers, self._has_events = None, False, False
        self._dropped = None


def constrain(frame: Frame, reading: Reading, rule: Field | None) -> Outcome:
    """A reading whose numbers meet the rule; a failure where comparing them takes too long.

    Args:
        frame: the image.
        reading: what was read from it.
        rule: what each number must look like; None for anything.
    """
    if rule is None:
        return frame, reading
    from digitkit.reading.numbers.fitting import apply_field

    try:
        return frame, apply_field(reading, rule)
    except ConfigError as error:
        return to_failure(frame.source, error, page=frame.page)


def deliver(
    outcomes: Iterable[Outcome],
    sinks: Sequence[Sink[Reading]],
    reporting: Reporting,
    *,
    on_failure: Callable[[Failure], None],
    stoppable: bool = False,
    notice: Callable[[str], None] | None = None,
) -> Summary:
    """Write each reading to the sinks; of frames in sequence, those in which a number changes.

    Args:
        outcomes: what was read.
        sinks: where it goes. Those with `Sink.wants_every_frame` get every frame.
        reporting: which numbers are reported, and when.
        on_failure: called with each failure, which the sinks get as well.
        stoppable: whether Ctrl-C ends this with a summary, instead of the program.
        notice: called with a line for each video that had numbers, none of which was reported.
    """

    def is_news(frame: Frame, reading: Reading) -> bool:
        return frame.number is None or reporting.every_frame or bool(reading.events)

    followed = _follow(outcomes, reporting, notice)
    return write_each(followed, sinks, on_failure=on_failure, is_news=is_news, stoppable=stoppable)


def _follow(
    outcomes: Iterable[Outcome], reporting: Reporting, notice: Callable[[str], None] | None
) -> Iterator[Outcome]:
    """Track the numbers of frames in sequence, and apply the rule to all numbers."""
    streams = _Streams(reporting, notice)
    for outcome in outcomes:
        if not isinstance(outcome, Failure):
            frame, reading = outcome
            in_sequence = frame.number is not None and not reporting.every_frame
            if in_sequence:
                reading = streams.follow(reading)
            outcome = constrain(frame, reading, reporting.number_rule)
            if in_sequence and not isinstance(outcome, Failure):
                outcome = frame, streams.find_events(*outcome)
        yield outcome
    streams.end()


def write_each(
    outcomes: Iterable[tuple[Frame, _Reading] | Failure],
    sinks: Sequence[Sink[_Reading]],
    *,
    on_failure: Callable[[Failure], None],
    is_news: Callable[[Frame, _Reading], bool] = lambda frame, reading: True,
    stoppable: bool,
) -> Summary:
    """Write each reading to the sinks, and count it.

    Args:
        outcomes: what was read: numbers, or forms.
        sinks: where it goes.
        on_failure: called with each failure, which the sinks get as well.
        is_news: whether a reading is for all sinks, instead of those with `Sink.wants_every_frame`.
        stoppable: whether Ctrl-C ends this with a summary, instead of the program.
    """
    tally = Tally()
    try:
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                tally.fail(outcome)
                on_failure(outcome)
                for sink in sinks:
                    sink.fail(outcome)
                continue
            frame, reading = outcome
            is_new = is_news(frame, reading)
            for sink in sinks:
                if is_new or sink.wants_every_frame:
                    sink.write(frame, reading)
            tally.read(reading.verdict, is_frame=frame.number is not None)
    except KeyboardInterrupt:
        if not stoppable:
            raise
        return tally.summary(interrupted=True)
    return tally.summary()
