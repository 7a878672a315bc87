"""From sources to sinks: read each picture, follow what moves, hand on what there is to say."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from digitkit.errors import ImageError, SourceError, printable_path
from digitkit.images.opencv import cv2
from digitkit.reading.reader import Reader
from digitkit.reading.results import Reading
from digitkit.sources.files import is_video, read_frames
from digitkit.sources.frames import Failure, Frame, to_failure
from digitkit.sources.video import video_frames

if TYPE_CHECKING:
    from concurrent.futures import Future

    from digitkit.reading.fields import Field
    from digitkit.reading.tracking import Tracker
    from digitkit.sinks.base import Sink


Outcome = tuple[Frame, Reading] | Failure
"""A picture and what was read from it, or why there is nothing."""


@dataclass(frozen=True)
class Summary:
    """What became of all pictures.

    Attributes:
        pictures: images and frames that were read.
        failures: sources and pictures that could not be.
        seconds: from the first to the last.
    """

    pictures: int
    failures: int
    seconds: float


def read_each(reader: Reader, items: Iterable[Frame | Failure]) -> Iterator[Outcome]:
    """Read pictures one by one, each as soon as it comes."""
    for item in items:
        if isinstance(item, Failure):
            yield item
            continue
        try:
            yield item, reader.read_frame(item)
        except ImageError as error:
            yield to_failure(item.source, error)


def read_with_workers(
    make_reader: Callable[[], Reader],
    items: Iterable[Path | Failure],
    workers: int,
    *,
    pictures: bool,
) -> Iterator[Outcome]:
    """Read image files in several processes; what comes out keeps the order of what went in.

    A video's frames follow one another, so this process reads them. Where files become known
    slowly, up to four times as many as there are processes are waited for.

    Args:
        make_reader: makes a process's reader; can be pickled.
        items: files, as `digitkit.sources.expand` gives them.
        workers: processes.
        pictures: whether the pictures themselves are wanted back; without them a frame's image
            is a single pixel.

    Raises:
        SourceError: a process ended by itself, for want of memory for instance.
    """
    # Not at the top: one picture is read sooner than these are loaded.
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    waiting: deque[Failure | Path | tuple[Path, Future[Outcome]]] = deque()
    reader: Reader | None = None  # this process's own
    # Forked processes would inherit the locks of other threads; spawned ones are clean.
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), _begin, (make_reader, pictures)
    )

    def first() -> Iterator[Outcome]:
        nonlocal reader
        item = waiting.popleft()
        if isinstance(item, Failure):
            yield item
        elif isinstance(item, Path):
            reader = reader or make_reader()
            yield from read_each(reader, video_frames(item))
        else:
            yield item[1].result()

    latest = ""
    try:
        for item in items:
            if isinstance(item, Failure) or is_video(item):
                waiting.append(item)
            else:
                latest = printable_path(item)
                waiting.append((item, pool.submit(_read, item)))
            # Enough ahead to keep all busy, not so much that memory fills.
            if len(waiting) >= 4 * workers:
                yield from first()
        while waiting:
            yield from first()
    except BrokenProcessPool as error:
        raise SourceError(
            f"{latest}: at about this picture a process that read some has died, for want of "
            "memory perhaps; use fewer --workers"
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


_reader: Reader | None = None
_pictures = False


def _begin(make_reader: Callable[[], Reader], pictures: bool) -> None:
    global _reader, _pictures
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that hands out work
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    _reader, _pictures = make_reader(), pictures


def _end_with_parent() -> None:
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _read(path: Path) -> Outcome:
    assert _reader is not None
    (outcome,) = read_each(_reader, read_frames([path], exif=_reader.obeys_exif))
    if isinstance(outcome, Failure) or _pictures:
        return outcome
    frame, reading = outcome
    return replace(frame, image=np.zeros((1, 1), np.uint8)), reading


def deliver(
    outcomes: Iterable[Outcome],
    sinks: Sequence[Sink],
    *,
    failed: Callable[[Failure], None],
    min_confidence: float,
    field: Field | None = None,
    hold: int = 1,
    every_frame: bool = False,
) -> Summary:
    """Hand each reading on; of frames that follow one another, what is stable and new.

    Args:
        outcomes: what was read.
        sinks: where it goes. Those with `Sink.moving` get every frame.
        failed: told of each failure, besides the sinks.
        min_confidence: threshold for digits that were followed over frames, 0–1.
        field: what each row must look like; None for anything.
        hold: frames that a text must have held for before it is told.
        every_frame: tell each frame as it is, following nothing.
    """
    begun = time.monotonic()
    pictures = failures = 0
    followed = ""
    steady: Tracker | None = None
    for outcome in outcomes:
        if isinstance(outcome, Failure):
            failures += 1
            failed(outcome)
            for sink in sinks:
                sink.fail(outcome)
            continue
        frame, reading = outcome
        pictures += 1
        follows = frame.number is not None and not every_frame
        if follows:
            if steady is None or frame.source != followed:  # one video after another
                from digitkit.reading.tracking import Tracker

                followed, steady = frame.source, Tracker(hold, min_confidence)
            reading = steady.follow(reading)
        if field is not None:
            from digitkit.reading import fields

            reading = fields.apply_field(reading, field)
        told = not follows or steady is None or steady.report(reading)
        for sink in sinks:
            if told or sink.moving:
                sink.write(frame, reading)
    return Summary(pictures, failures, time.monotonic() - begun)
