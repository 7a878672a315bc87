"""A folder that is watched: files are read as they arrive, once they are complete."""

from __future__ import annotations

import os
import queue
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from digitkit.errors import InputNotFoundError, SourceError, os_reason, printable_path
from digitkit.sources.folders import FolderFiles, is_searched
from digitkit.sources.frames import Failure

LOOK_SECONDS = 1.0
"""Time between two looks at a folder; a file is complete that has not changed in between, and that
nobody has open for writing."""

QUIET_SECONDS = 5.0
"""How long a file must not have changed where it cannot be known who has it open."""

NOTIFIED_LOOK_SECONDS = 60.0
"""Time between two looks at a folder where the system says what arrives, which may miss some."""

MAX_SHARE = 0.1
"""A look at a large folder takes at most this share of the time."""


MAX_WAITING = 10_000
"""Files whose sizes or arrival are held at a time; a look finds the others later."""

_Arrival = tuple[Path, bool]
"""A file, and whether it is known to be complete."""

_State = tuple[tuple[int, int], float]
"""A file's size and time, and since when these are so."""


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
            SourceError: it cannot be listed.
        """
        if not folder.is_dir():
            raise InputNotFoundError("is not a folder", subject=str(folder))
        try:
            next(folder.iterdir(), None)
        except OSError as error:
            problem = f"cannot be listed: {os_reason(error)}"
            raise SourceError(problem, subject=str(folder)) from error
        self.idle: Callable[[], None] = lambda: None
        self._folder = folder
        self._given = _Given()
        self._changing: dict[Path, _State] = {}
        """Files that may not be complete."""

    def __iter__(self) -> Iterator[Path | Failure]:
        """Wait for files; where the folder vanishes, give a `Failure` and wait for it."""
        while True:
            yield from self._watch()
            problem = "the folder was removed or replaced; waiting until there is one"
            yield Failure(printable_path(self._folder), problem, kind="missing")
            while self._identity() is None:
                time.sleep(LOOK_SECONDS)
                self.idle()

    def _watch(self) -> Iterator[Path]:
        """The files of the folder, for as long as it exists."""
        arrived: queue.SimpleQueue[_Arrival] = queue.SimpleQueue()
        with _notified(self._folder, arrived) as is_notified:
            watched = self._identity()
            while watched is not None and self._identity() == watched:
                begun = time.monotonic()
                yield from self._look()
                now = time.monotonic()
                pause = max(LOOK_SECONDS, (now - begun) / MAX_SHARE)
                if is_notified and not self._changing:
                    pause = max(pause, NOTIFIED_LOOK_SECONDS)
                yield from self._wait(arrived, now + pause, watched)

    def _identity(self) -> tuple[int, int] | None:
        """Which folder it is, as another one may take its place; None without one."""
        with suppress(OSError):  # a network share may be disconnected
            if self._folder.is_dir():
                status = self._folder.stat()
                return status.st_dev, status.st_ino
        return None

    def _look(self) -> Iterator[Path]:
        """The files that have not changed since the last look, and have not been given."""
        changing, self._changing = self._changing, {}
        limit = MAX_WAITING
        for file in FolderFiles(self._folder):
            if isinstance(file, Failure) or file in self._given:
                continue  # what cannot be listed now, may be later
            yield from self._check(file, changing.get(file))
            if len(self._changing) >= limit:
                yield from self._settle()
                limit = len(self._changing) + MAX_WAITING

    def _settle(self) -> Iterator[Path]:
        """Look at the files that may not be complete until most of them are; not for long."""
        until = time.monotonic() + QUIET_SECONDS + LOOK_SECONDS
        while len(self._changing) > MAX_WAITING // 2 and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
            changing, self._changing = self._changing, {}
            for file, state in changing.items():
                yield from self._check(file, state)
            self.idle()

    def _check(self, file: Path, before: _State | None) -> Iterator[Path]:
        """Give a file if it is complete, else note how it is now."""
        with suppress(OSError):  # it is gone
            status, now = file.stat(), time.monotonic()
            state = status.st_size, status.st_mtime_ns
            since = before[1] if before is not None and before[0] == state else now
            if before is not None and before[0] == state and _is_at_rest(file, now - since):
                yield from self._give(file)
            else:
                self._changing[file] = state, since

    def _wait(
        self, arrived: queue.SimpleQueue[_Arrival], until: float, watched: tuple[int, int]
    ) -> Iterator[Path]:
        while (left := until - time.monotonic()) > 0:
            try:
                file, is_complete = arrived.get(timeout=min(left, LOOK_SECONDS))
            except queue.Empty:
                self.idle()
                if self._identity() != watched:
                    return
                continue
            if not (is_searched(file, self._folder) and file.is_file()):
                continue
            if is_complete:
                yield from self._give(file)
            elif file not in self._given:
                until = min(until, time.monotonic() + LOOK_SECONDS)

    def _give(self, file: Path) -> Iterator[Path]:
        if file not in self._given:
            self._given.add(file)
            yield file


def _is_at_rest(file: Path, quiet: float) -> bool:
    """Whether nobody writes a file that has not changed for so many seconds."""
    is_written = _is_open_for_writing(file)
    return quiet >= QUIET_SECONDS if is_written is None else not is_written


def _is_open_for_writing(file: Path) -> bool | None:
    """Whether any process has a file open for writing; None where the system does not say.

    Linux grants a read lease only if none has, to the file's owner, and not on network mounts.
    """
    try:
        import fcntl

        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    except (ImportError, OSError):
        return None
    try:
        # Whoever opens the file for writing meanwhile has this process sent a signal: not SIGIO,
        # which would end it.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except (AttributeError, OSError):
        return None
    finally:
        os.close(descriptor)
    return False


class _Given:
    """Which files were given, by the hashes of their names: 8 bytes each."""

    def __init__(self) -> None:
        """Begin with none."""
        self._old = np.empty(0, np.int64)  # sorted
        self._new = set[int]()

    def __contains__(self, file: Path) -> bool:
        key = hash(file)
        place = int(np.searchsorted(self._old, key))
        return key in self._new or (place < len(self._old) and self._old[place] == key)

    def add(self, file: Path) -> None:
        self._new.add(hash(file))
        if len(self._new) >= MAX_WAITING:
            self._old = np.union1d(self._old, np.fromiter(self._new, np.int64))
            self._new.clear()


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
            put(event.src_path, is_complete=True)

        def on_moved(self, event: FileSystemEvent) -> None:
            put(event.dest_path, is_complete=True)

        def on_created(self, event: FileSystemEvent) -> None:
            put(event.src_path, is_complete=False)  # moved from elsewhere, or only begun

    def put(name: bytes | str, *, is_complete: bool) -> None:
        if arrived.qsize() < MAX_WAITING:
            arrived.put((Path(os.fsdecode(name)), is_complete))

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
