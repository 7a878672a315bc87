"""Image files read by several processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from digitkit.errors import SourceError, printable_path
from digitkit.images.cv import cv2
from digitkit.inference.pipeline import Outcome, read_each
from digitkit.reading.reader import Reader
from digitkit.sources.files import read_frames
from digitkit.sources.frames import Failure
from digitkit.sources.suffixes import is_video
from digitkit.sources.video import video_frames
from digitkit.system.streams import silence_native_errors

if TYPE_CHECKING:
    from concurrent.futures import Future
    from multiprocessing.connection import Connection

GRACE_SECONDS = 0.5
"""How long a process may go on with its image when no more are wanted; killed while it sends a
result, it would leave the other side waiting for the rest."""

_AHEAD = 4
"""Files handed out per process: enough to keep all busy, not so much that memory fills."""


def read_with_workers(
    make_reader: Callable[[], Reader],
    items: Iterable[Path | Failure],
    workers: int,
    *,
    keep_images: bool,
) -> Generator[Outcome, None, None]:
    """Read image files in several processes, in order.

    The frames of a video follow one another, so this process reads them. Where files become known
    slowly, the first outcomes come once four times as many files as processes are known. The
    processes end with the generator, whatever they are doing.

    Args:
        make_reader: builds the reader of a process; must be picklable.
        items: files, as `digitkit.sources.files.expand_sources` gives them.
        workers: number of processes.
        keep_images: whether the images themselves are wanted; without them a frame's image is a
            single pixel.

    Raises:
        SourceError: a process died, for example because memory ran out.
    """
    # Not at the top: one image is read sooner than these are loaded.
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    pending: deque[Failure | Path | tuple[Path, Future[Outcome]]] = deque()
    own_reader: Reader | None = None
    # Forked processes would inherit the locks of other threads; spawned ones are clean.
    context = multiprocessing.get_context("spawn")
    ended, running = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, context, _start, (make_reader, keep_images, ended))

    def take_first() -> Iterator[Outcome]:
        nonlocal own_reader
        item = pending.popleft()
        if isinstance(item, Failure):
            yield item
        elif isinstance(item, Path):
            own_reader = own_reader or make_reader()
            yield from read_each(own_reader, video_frames(item))
        else:
            yield item[1].result()

    latest = ""
    try:
        for item in items:
            if isinstance(item, Failure) or is_video(item):
                pending.append(item)
            else:
                latest = printable_path(item)
                pending.append((item, pool.submit(_read, item)))
            if len(pending) >= _AHEAD * workers:
                yield from take_first()
        while pending:
            yield from take_first()
    except BrokenProcessPool as error:
        raise SourceError(
            "a worker process died at about this image, maybe because memory ran out",
            subject=latest,
            hint="use fewer --workers",
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        running.close()


# --- in a worker process ---

_reader: Reader | None = None
_keep_images = False


def _start(make_reader: Callable[[], Reader], keep_images: bool, ended: Connection) -> None:
    global _reader, _keep_images
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


def _read(path: Path) -> Outcome:
    assert _reader is not None
    (outcome,) = read_each(_reader, read_frames([path], exif=_reader.obeys_exif))
    if isinstance(outcome, Failure) or _keep_images:
        return outcome
    frame, reading = outcome
    return replace(frame, image=np.zeros((1, 1), np.uint8)), reading
