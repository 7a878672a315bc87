"""The state of a run that can be continued: one small file beside its output.

A line of JSON says what the run is. What follows are entries: what is not yet in the output's
finished parts. An entry that was not written whole, as where the power failed, is not there.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from digitkit.errors import OutputError, cannot_write, os_reason
from digitkit.system import atomic

MAX_HEADER_BYTES = 1 << 20
"""Longest line that says what a run is; a longer one is damage."""

_HEAD = struct.Struct("<QII")
"""Before an entry: the part that it belongs to, its length and its CRC-32."""


def run_file_path(output: Path) -> Path:
    """Where the state of an output's run is: ``readings.csv.run`` for ``readings.csv``."""
    return output.with_name(f"{output.name}.run")


class RunFile:
    """A run's state, locked for this process.

    Attributes:
        path: the file.
        header: what the run is: its model and options.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], file: BinaryIO, start: int) -> None:
        """Take an open file whose entries begin at `start`."""
        self.path = path
        self.header = header
        self._file = file
        self._start = start

    def begin(self, line: bytes) -> None:
        """Write the line that says what the run is, in place of all that the file has.

        Raises:
            OutputError: it cannot be written.
        """
        self._truncate(0)
        self._write(line)

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """The entries: the part that each belongs to, and its bytes; later ones are appended."""
        self._file.seek(self._start)
        end = self._start
        while len(head := self._file.read(_HEAD.size)) == _HEAD.size:
            part, length, checksum = _HEAD.unpack(head)
            data = self._file.read(length)
            # Where the power failed there may be zeros, whose checksum would be right.
            if not length or len(data) < length or zlib.crc32(data) != checksum:
                break
            end = self._file.tell()
            yield part, data
        self._file.truncate(end)
        self._file.seek(end)

    def append(self, part: int, data: bytes) -> None:
        """Add an entry, which the process's own end does not lose.

        Raises:
            OutputError: it cannot be written; the entries before it stay.
        """
        self._write(_HEAD.pack(part, len(data), zlib.crc32(data)) + data)

    def _write(self, data: bytes) -> None:
        try:
            begin = self._file.tell()
            if self._file.write(data) == len(data):
                return
            self._file.truncate(begin)  # else later entries, after half of one, would be lost
            self._file.seek(begin)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        # A full disk takes what fits, and reports nothing.
        raise cannot_write(self.path, "the disk is full")

    def read_values(self) -> dict[str, Any]:
        """What `add_values` wrote; empty where nothing is there."""
        values: dict[str, Any] = {}
        for _, data in self.entries():
            with suppress(ValueError):
                values |= json.loads(data)
        return values

    def add_values(self, values: Mapping[str, Any]) -> None:
        """Write these as an entry; they replace those of the same names.

        Raises:
            OutputError: they cannot be written.
        """
        self.read_values()  # to its end
        self.append(0, json.dumps(values).encode())

    def clear(self) -> None:
        """Remove the entries: what they say is in the output now."""
        self._truncate(self._start)

    def _truncate(self, size: int) -> None:
        try:
            self._file.truncate(size)
            self._file.seek(size)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def remove(self) -> None:
        """Delete the file: there is nothing to continue."""
        self.path.unlink(missing_ok=True)


@contextmanager
def create_run_file(path: Path, header: Mapping[str, Any]) -> Iterator[RunFile]:
    """Begin a run: write its state's file, and hold it.

    Raises:
        OutputError: the file cannot be written, or a run holds it.
    """
    line = (json.dumps(header, sort_keys=True) + "\n").encode()
    # In place: what replaced the file of a run that has begun would take its lock away.
    with _open_locked(path, os.O_RDWR | os.O_CREAT) as file:
        run = RunFile(path, header, file, len(line))
        try:
            run.begin(line)
        except OutputError:
            run.remove()
            raise
        yield run


@contextmanager
def open_run_file(path: Path) -> Iterator[RunFile]:
    """Hold the state of a run that was begun.

    Raises:
        OutputError: the file does not exist, cannot be read, is damaged, or another run holds it.
    """
    with _open_locked(path, os.O_RDWR) as file:
        head, newline, _ = file.read(MAX_HEADER_BYTES).partition(b"\n")
        header = None
        with suppress(ValueError):
            header = json.loads(head)
        if not newline or not isinstance(header, dict):
            raise OutputError(
                "is not the state of a run, or is damaged",
                subject=str(path),
                hint="delete it and its output, and begin anew",
            )
        run = RunFile(path, header, file, len(head) + 1)
        file.seek(run._start)
        yield run


@contextmanager
def _open_locked(path: Path, flags: int) -> Iterator[BinaryIO]:
    atomic.check_links(path)
    try:
        if flags & os.O_CREAT:
            path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        problem = f"cannot be opened: {os_reason(error)}"
        raise OutputError(problem, subject=str(path)) from error
    with open(descriptor, "r+b", buffering=0) as file:
        if not _lock(file, path):
            raise OutputError(
                "another run is writing this output",
                subject=str(path),
                hint="wait for it, or end it",
            )
        yield file


def _lock(file: BinaryIO, path: Path) -> bool:
    """Lock a file for this process; False where another one holds it, or has just removed it."""
    if os.name != "posix":
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # there are file systems without locks
        return True
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
