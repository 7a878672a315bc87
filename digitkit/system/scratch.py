"""Folders and files that are needed for a moment."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from digitkit.errors import DigitkitError, OutputError, cannot_write

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def scratch_folder(prefix: str = "digitkit-") -> Iterator[Path]:
    """Yield a new folder among the system's temporary files; it is removed afterwards.

    Raises:
        OutputError: the folder cannot be created, or an `OSError` in the block reports a full disk
            or names a file in the folder; others pass.
    """
    folder = None
    try:
        with tempfile.TemporaryDirectory(prefix=prefix) as folder:
            yield Path(folder)
    except OSError as error:
        if isinstance(error, DigitkitError) or (folder and not _is_about(error, folder)):
            raise
        raise _no_room(folder, error) from error


@contextmanager
def scratch_file() -> Iterator[BinaryIO]:
    """Yield a new file among the system's temporary files; nobody else can open it.

    Raises:
        OutputError: the file cannot be created, or an `OSError` in the block reports a full disk;
            others pass.
    """
    folder = None
    try:
        with tempfile.TemporaryFile() as file:
            folder = tempfile.gettempdir()
            yield file
    except OSError as error:
        if isinstance(error, DigitkitError) or (folder and error.errno not in _FULL):
            raise
        raise _no_room(folder, error) from error


def _no_room(folder: str | None, error: OSError) -> OutputError:
    hint = "make room, or set TMPDIR to a folder that has some"
    return cannot_write(folder or "temporary files", error, hint=hint)


def _is_about(error: OSError, folder: str) -> bool:
    if isinstance(error.filename, str | bytes | os.PathLike):
        return Path(os.fsdecode(error.filename)).is_relative_to(folder)
    return error.errno in _FULL  # writing knows no names
