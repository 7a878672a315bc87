"""A folder that is watched: files are read as they arrive, once they are complete."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from digitkit.errors import InputNotFoundError
from digitkit.sources.folders import FolderFiles, is_searched
from digitkit.sources.frames import Failure

LOOK_SECONDS = 1.0
"""Time between two looks at a folder; a file is complete that has not changed in between."""

NOTIFIED_LOOK_SECONDS = 60.0
"""The same where the system says what arrives: for what it may have missed."""

MAX_SHARE = 0.1
"""A look at a large folder takes at most this share of the time."""


_Arrival = tuple[Path, bool]
"""A file, and whether it is known to be complete."""


class FolderWatch:
    """The files of a folder: those that are there, then those that arrive, without an end.

    With the package watchdog, Linux says when a file was written or moved here; elsewhere, and on
    network mounts, the folder is looked at again and again. A file that changes later is not read
    again.

    Attributes:
        idle: called about once a second while nothing arrives.
    """

    def __init__(self, folder: Path) -> None:
        """Watch this folder and those in it.

        Raises:
            InputNotFoundError: it does not exist.
        """
        if not folder.is_dir():
            raise InputNotFoundError("is not a folder", subject=str(folder))
        self.idle: Callable[[], None] = lambda: None
        self._folder = folder
        self._given = set[int]()  # hashes: names would take ten times the memory
        self._changing: dict[Path, tuple[int, int]] = {}
        """Files that may not be complete, with their size and time."""

    def __iter__(self) -> Iterator[Path | Failure]:
        """Wait for files."""
        arrived: queue.SimpleQueue[_Arrival] = queue.SimpleQueue()
        with _notified(self._folder, arrived) as is_notified:
            while True:
                begun = time.monotonic()
                yield from self._look()
                now = time.monotonic()
                pause = max(LOOK_SECONDS, (now - begun) / MAX_SHARE)
                if is_notified and not self._changing:
                    pause = max(pause, NOTIFIED_LOOK_SECONDS)
                yield from self._wait(arrived, now + pause)

    def _look(self) -> Iterator[Path]:
        """The files that have not changed since the last look, and have not been given."""
        changing, self._changing = self._changing, {}
        for file in FolderFiles(self._folder):
            if isinstance(file, Failure) or hash(file) in self._given:
                continue  # what cannot be listed now, may be later
            with suppress(OSError):  # it is gone
                status = file.stat()
                state = status.st_size, status.st_mtime_ns
                if changing.get(file) == state:
                    yield from self._give(file)
                else:
                    self._changing[file] = state

    def _wait(self, arrived: queue.SimpleQueue[_Arrival], until: float) -> Iterator[Path]:
        while (left := until - time.monotonic()) > 0:
            try:
                file, is_complete = arrived.get(timeout=min(left, LOOK_SECONDS))
            except queue.Empty:
                self.idle()
                continue
            if not (is_searched(file, self._folder) and file.is_file()):
                continue
            if is_complete:
                yield from self._give(file)
            elif hash(file) not in self._given:
                until = min(until, time.monotonic() + LOOK_SECONDS)

    def _give(self, file: Path) -> Iterator[Path]:
        if hash(file) not in self._given:
            self._given.add(hash(file))
            yield file


@contextmanager
def _notified(folder: Path, arrived: queue.SimpleQueue[_Arrival]) -> Iterator[bool]:
    """Have the system say which files were written or moved into a folder.

    Yields:
        Whether it does.
    """
    try:
        from watchdog.events import FileSystemEvent, FileSystemEventHandler
        from watchdog.observers.inotify import InotifyObserver
    except (ImportError, OSError):  # not installed, or another system
        yield False
        return

    class Handler(FileSystemEventHandler):
        def on_closed(self, event: FileSystemEvent) -> None:
            arrived.put((Path(os.fsdecode(event.src_path)), True))

        def on_moved(self, event: FileSystemEvent) -> None:
            arrived.put((Path(os.fsdecode(event.dest_path)), True))

        def on_created(self, event: FileSystemEvent) -> None:
            # Moved from elsewhere, or only begun.
            arrived.put((Path(os.fsdecode(event.src_path)), False))

    observer = InotifyObserver()
    observer.schedule(Handler(), str(folder), recursive=True)
    try:
        observer.start()
    except OSError:  # the limit of watches
        yield False
        return
    try:
        yield True
    finally:
        observer.stop()
        observer.join()
