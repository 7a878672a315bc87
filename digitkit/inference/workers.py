"""Image files read by several processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from digitkit.errors import SourceError
from digitkit.images.cv import cv2
from digitkit.inference.pipeline import read_each
from digitkit.sources.files import INPUT_ERRORS, OpenedImage, read_frames
from digitkit.sources.frames import Failure, Frame, to_failure
from digitkit.sources.items import ImageBytes, Item, PageOfFile, item_name
from digitkit.sources.suffixes import is_video
from digitkit.system.streams import silence_native_errors

if TYPE_CHECKING:
    from concurrent.futures import Future
    from multiprocessing.connection import Connection

GRACE_SECONDS = 0.5
"""How long a process may go on with its image when no more are wanted; killed while it sends a
result, it would leave the other side waiting for the rest."""

_AHEAD = 4
"""Files handed out per process: enough to keep all busy, not so much that memory fills."""


class FrameReader(Protocol):
    """What reads images in a process.

    Attributes:
        obeys_exif: whether a source is to rotate an image file as its EXIF data says.
    """

    @property
    def obeys_exif(self) -> bool:
        """See the class."""


Read = tuple[Frame, Any] | Failure
"""An image and what was read from it, or why nothing was."""


def read_with_workers(
    make_reader: Callable[[], FrameReader],
    items: Iterable[Item | Failure],
    workers: int,
    *,
    keep_images: bool,
    read: Callable[[Any, Iterable[Frame | Failure]], Iterator[Read]] = read_each,
) -> Generator[Any, None, None]:
    """Read image files, and pages of files, in several processes, in order.

    The frames of a video follow one another, so this process reads them; also what was piped in.
    Where files become known slowly, the first outcomes come once four times as many files as
    processes are known. The processes end with the generator, whatever they are doing.

    Args:
        make_reader: builds the reader of a process; must be picklable.
        items: files, as `digitkit.sources.files.expand_sources` gives them.
        workers: number of processes.
        keep_images: whether the images themselves are wanted; without them a frame's image is a
            single pixel.
        read: reads frames with that reader; a function of a module.

    Raises:
        SourceError: a process died, for example because memory ran out.
    """
    from concurrent.futures.process import BrokenProcessPool

    queue = _Queue(make_reader, workers, keep_images, read)
    try:
        for item in items:
            queue.add(item)
            if len(queue.pending) >= queue.ahead:
                yield from queue.take_first()
        while queue.pending:
            yield from queue.take_first()
    except BrokenProcessPool as error:
        raise SourceError(
            "a worker process died at about this image, maybe because memory ran out",
            subject=queue.latest,
            hint="use fewer --workers",
        ) from error
    finally:
        queue.end()


@dataclass(frozen=True)
class _Submitted:
    """An image that a process reads.

    Attributes:
        file: the file.
        page: a further page of it; None for the first, or the one that was asked for.
        result: what was read, and how many pages the file has.
    """

    file: Path | PageOfFile
    page: int | None
    result: Future[tuple[Read, int]]


class _Queue:
    """What the processes read, and what this one does, in order.

    Attributes:
        ahead: how many images are handed out before they are wanted.
        latest: name of the file that was handed out last.
    """

    def __init__(
        self,
        make_reader: Callable[[], FrameReader],
        workers: int,
        keep_images: bool,
        read: Callable[[Any, Iterable[Frame | Failure]], Iterator[Read]],
    ) -> None:
        """Start the processes."""
        # Not at the top: one image is read sooner than these are loaded.
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        self.pending: deque[Failure | Path | ImageBytes | _Submitted] = deque()
        self.ahead = _AHEAD * workers
        self.latest = ""
        self._make_reader = make_reader
        self._read = read
        self._own_reader: FrameReader | None = None
        # Forked processes would inherit the locks of other threads; spawned ones are clean.
        context = multiprocessing.get_context("spawn")
        ended, self._running = context.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(
            workers, context, _start, (make_reader, keep_images, read, ended)
        )

    def add(self, item: Item | Failure) -> None:
        """Hand out an item, or keep it until it is its turn."""
        if isinstance(item, PageOfFile) or (isinstance(item, Path) and not is_video(item)):
            self.latest = item_name(item)
            self.pending.append(self._submit(item))
        else:
            self.pending.append(item)

    def take_first(self) -> Iterator[Read]:
        """What was read of the first item; waits for it."""
        item = self.pending.popleft()
        if isinstance(item, Failure):
            yield item
        elif isinstance(item, _Submitted):
            outcome, pages = item.result.result()
            others = (self._submit(item.file, page) for page in range(2, pages + 1))
            handed_out = deque(islice(others, self.ahead))
            yield outcome
            while handed_out:
                outcome, _ = handed_out.popleft().result.result()
                handed_out.extend(islice(others, 1))
                yield outcome
        else:
            reader = self._own_reader = self._own_reader or self._make_reader()
            yield from self._read(reader, read_frames([item], exif=reader.obeys_exif))

    def _submit(self, file: Path | PageOfFile, page: int | None = None) -> _Submitted:
        return _Submitted(file, page, self._pool.submit(_read, file, page))

    def end(self) -> None:
        """End the processes, whatever they are doing."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._running.close()


# --- in a worker process ---

_reader: FrameReader | None = None
_read_frames: Callable[[Any, Iterable[Frame | Failure]], Iterator[Read]] = read_each
_keep_images = False
_opened: tuple[Path, OpenedImage] | None = None
"""The last file with several pages: its others are wanted next."""


def _start(
    make_reader: Callable[[], FrameReader],
    keep_images: bool,
    read: Callable[[Any, Iterable[Frame | Failure]], Iterator[Read]],
    ended: Connection,
) -> None:
    global _reader, _keep_images, _read_frames
    _read_frames = read
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that hands out work
    threading.Thread(target=_exit_at, args=(ended,), daemon=True).start()
    silence_native_errors()
    cv2.setNumThreads(1)
    _reader, _keep_images = make_reader(), keep_images


def _exit_at(ended: Connection) -> None:
    """Exit soon after the other end is closed, by the process that hands out work or with it."""
    ended.poll(None)
    time.sleep(GRACE_SECONDS)
    os._exit(1)  # whatever the main thread waits for: an image on a hung network mount, say


def _read(file: Path | PageOfFile, page: int | None) -> tuple[Read, int]:
    """Read a page of a file; the first one, or the one that was asked for, if None.

    Returns:
        What was read, and how many pages are to be read; 1 if one was asked for.
    """
    global _opened
    assert _reader is not None
    is_whole = isinstance(file, Path)
    path = file if isinstance(file, Path) else file.path
    number = page or (1 if isinstance(file, Path) else file.page)
    try:
        if _opened is None or _opened[0] != path or page is None:
            _opened = None  # not both in memory
            _opened = path, OpenedImage(path, exif=_reader.obeys_exif)
    except INPUT_ERRORS as error:
        return to_failure(item_name(file), error, page=None if is_whole else number), 1
    image = _opened[1]
    if image.count == 1:
        _opened = None
    return _read_page(image, number), image.count if is_whole else 1


def _read_page(image: OpenedImage, page: int) -> Read:
    assert _reader is not None
    try:
        frame = image.decode(page)
    except INPUT_ERRORS as error:
        return to_failure(image.name, error, page=image.page_number(page))
    (outcome,) = _read_frames(_reader, [frame])
    if isinstance(outcome, Failure) or _keep_images:
        return outcome
    frame, reading = outcome
    return replace(frame, image=np.zeros((1, 1), np.uint8)), reading
