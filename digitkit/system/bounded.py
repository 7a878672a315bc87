"""Files read with limits: a regular file, up to a size."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

STANDARD_INPUT = ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
"""Names of standard input, the only file that need not be a regular one."""

MAX_JSON_BYTES = 100_000_000
"""Largest report, run record or profile that is read."""

_CHUNK = 1 << 20


class UnreadableFileError(OSError):
    """A file that is not regular (a FIFO, a device), or is larger than the limit."""


def read_bounded(path: str | os.PathLike[str], max_bytes: int) -> bytes:
    """Read a whole file.

    Args:
        path: a regular file; a FIFO or a device would block or never end. Standard input may be
            anything, by one of its names (`STANDARD_INPUT`).
        max_bytes: the largest file that is read.

    Raises:
        OSError: it cannot be read; `UnreadableFileError` if it is not regular or too large.
    """
    name = os.fspath(path)
    is_stdin = name in STANDARD_INPUT
    check_bounded(path, max_bytes)
    with open(name, "rb") as file:
        if not is_stdin and not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise _not_regular(name)
        # A file may grow, and standard input has no size.
        chunks, size = [], 0
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            if size > max_bytes:
                raise _too_large(name, max_bytes)
            chunks.append(chunk)
    return b"".join(chunks)


def check_bounded(path: str | os.PathLike[str], max_bytes: int) -> None:
    """Check a file before it is opened, for others to read.

    Raises:
        OSError: as `read_bounded` raises.
    """
    name = os.fspath(path)
    if name in STANDARD_INPUT:
        return
    status = Path(name).stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    if not stat.S_ISREG(status.st_mode):
        raise _not_regular(name)
    if status.st_size > max_bytes:
        raise _too_large(name, max_bytes)


def _not_regular(name: str) -> UnreadableFileError:
    return UnreadableFileError(errno.EINVAL, "it is not a regular file", name)


def _too_large(name: str, max_bytes: int) -> UnreadableFileError:
    limit = f"{max_bytes / 1e6:,.0f} MB" if max_bytes >= 1e6 else f"{max_bytes / 1e3:.0f} kB"
    return UnreadableFileError(errno.EFBIG, f"it is larger than {limit}", name)
