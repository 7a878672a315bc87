"""What a worker process does: read a few files at once, and write their readings down."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from digitkit.images.cv import cv2
from digitkit.inference.pipeline import BATCH, Outcome, Reporting, Summary, deliver, read_each
from digitkit.reading.reader import Reader
from digitkit.sinks.lines import LineFormat, LineSink
from digitkit.sources.files import INPUT_ERRORS, FileOpener
from digitkit.sources.frames import Failure, Frame, to_failure
from digitkit.sources.items import Item, PageOfFile, item_name
from digitkit.system.interrupts import ignore_interrupts
from digitkit.system.streams import silence_native_errors

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from digitkit.reading.numbers.fields import Field
    from digitkit.sinks.parquet import RowSink, TableForm

GRACE_SECONDS = 0.5
"""How long a process may go on with its image when no more are wanted; killed while it sends a
result, it would leave the other side waiting for the rest."""


class FrameReader(Protocol):
    """What reads images in a process: a `Reader`, or what `ResultFormat.read` takes.

    Attributes:
        obeys_exif: whether a source is to rotate an image file as its EXIF data says.
    """

    @property
    def obeys_exif(self) -> bool:
        """See the class."""


ReadFrames = Callable[[Any, Iterable[Frame | Failure]], Iterator[Any]]
"""Reads images with what reads them: pairs of an image and what was read, and failures."""


def read_readings(reader: Reader, frames: Iterable[Frame | Failure]) -> Iterator[Outcome]:
    """Read images, small ones in batches."""
    return read_each(reader, frames, batch=BATCH)


@dataclass(frozen=True)
class ResultFormat:
    """In which format results are wanted; can be pickled.

    Written down where they are read, they cost the process that collects them nothing but a copy.

    Attributes:
        how: lines, rows of a Parquet table, or None for the readings themselves.
        quiet: of lines; see `LineSink`.
        number_rule: what each number must look like; None for anything.
        keep_images: of the readings themselves: whether the images are wanted, too; without them a
            frame's image is a single pixel.
        read: reads images, a function of a module. What another one than `read_readings` returns
            is not written down.
    """

    how: LineFormat | TableForm | None = None
    quiet: bool = False
    number_rule: Field | None = None
    keep_images: bool = False
    read: ReadFrames = read_readings


@dataclass(frozen=True)
class Written:
    """What was read from a few files, in order, written down.

    Attributes:
        data: lines; or of a Parquet table what `RowSink.take` gives.
        summary: what became of the files.
        failures: those that could not be read.
    """

    data: str | bytes
    summary: Summary
    failures: tuple[Failure, ...]


Result = Written | list[Outcome]
"""What was read from a few files; the readings themselves where `ResultFormat.how` is None."""


class FileReader:
    """Reads files, and gives results as they are wanted."""

    def __init__(self, reader: FrameReader, wanted: ResultFormat) -> None:
        """Read with this reader."""
        self._reader = reader
        self._wanted = wanted
        self._opener = FileOpener(exif=reader.obeys_exif)

    def read(self, items: Sequence[Item]) -> tuple[Result, int, int]:
        """Read files and pages, up to the first page of a file with several pages.

        Returns:
            What was read; of how many of the items; and how many pages the last of these has, 1 for
            a page that was asked for.
        """
        taken = pages = 0

        def frames() -> Iterator[Frame | Failure]:
            nonlocal taken, pages
            for item in items:
                frame, pages = self._load(item)
                taken += 1
                yield frame
                if pages > 1:
                    return

        outcomes = self._wanted.read(self._reader, frames())
        result: Result
        if self._wanted.how is not None:
            result = write_down(outcomes, cast(Reader, self._reader), self._wanted)
        elif self._wanted.keep_images:
            result = list(outcomes)
        else:
            result = list(map(_without_image, outcomes))
        return result, taken, pages

    def _load(self, item: Item) -> tuple[Frame | Failure, int]:
        """The first page of a file, and how many it has; or the page that was asked for, and 1."""
        asked = item.page if isinstance(item, PageOfFile) else None
        try:
            image = self._opener.open(item)
        except INPUT_ERRORS as error:
            return to_failure(item_name(item), error, page=asked), 1
        page = 1 if asked is None else asked
        try:
            frame: Frame | Failure = image.decode(page)
        except INPUT_ERRORS as error:
            frame = to_failure(image.name, error, page=image.page_number(page))
        return frame, image.count if asked is None else 1


def write_down(outcomes: Iterable[Outcome], reader: Reader, wanted: ResultFormat) -> Written:
    """Write readings down as they are wanted.

    Args:
        outcomes: what was read.
        reader: what reads them.
        wanted: lines, or rows of a table.
    """
    failures: list[Failure] = []
    text = io.StringIO()
    sink: LineSink | RowSink
    assert wanted.how is not None
    if isinstance(wanted.how, str):
        sink = LineSink(text, wanted.how, quiet=wanted.quiet, header=False)
    else:
        from digitkit.sinks.parquet import RowSink

        sink = RowSink(wanted.how)
    reporting = Reporting(reader.min_confidence, wanted.number_rule)
    summary = deliver(outcomes, [sink], reporting, on_failure=failures.append)
    data = text.getvalue() if isinstance(sink, LineSink) else sink.take()
    return Written(data, summary, tuple(failures))


def _without_image(outcome: Outcome) -> Outcome:
    if isinstance(outcome, Failure):
        return outcome
    frame, reading = outcome
    return replace(frame, image=np.zeros((1, 1), np.uint8)), reading


# --- in a worker process ---

_file_reader: FileReader | None = None


def start(make_reader: Callable[[], FrameReader], wanted: ResultFormat, ended: Connection) -> None:
    """Begin a worker process, which exits soon after the other end of `ended` is closed."""
    global _file_reader
    ignore_interrupts()  # Ctrl-C is for the process that hands out work
    threading.Thread(target=_exit_at, args=(ended,), daemon=True).start()
    silence_native_errors()
    cv2.setNumThreads(1)
    _file_reader = FileReader(make_reader(), wanted)


def _exit_at(ended: Connection) -> None:
    """Exit soon after the other end is closed, by the process that hands out work or with it."""
    ended.poll(None)
    time.sleep(GRACE_SECONDS)
    os._exit(1)  # whatever the main thread waits for: an image on a hung network mount, say


@dataclass(frozen=True)
class Answer:
    """What a worker process sends back.

    Attributes:
        result: what was read.
        taken: of how many of the items; the last of them has further pages if it is not all.
        pages: how many pages that one has.
        seconds: how long it took.
    """

    result: Result
    taken: int
    pages: int
    seconds: float


def work(items: Sequence[Path | PageOfFile]) -> Answer:
    """Read files in a worker process that `start` began; see `FileReader.read`."""
    assert _file_reader is not None
    begun = time.perf_counter()
    result, taken, pages = _file_reader.read(items)
    return Answer(result, taken, pages, time.perf_counter() - begun)
