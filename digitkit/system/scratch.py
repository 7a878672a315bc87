"""Folders for files that are needed for a moment."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from digitkit.errors import DigitkitError, OutputError, os_reason


@contextmanager
def scratch_folder(prefix: str = "digitkit-") -> Iterator[Path]:
    """Yield a new folder among the system's temporary files; it is removed afterwards.

    Raises:
        OutputError: there is no such folder, or an `OSError` in the block says that it is full.
    """
    name = "temporary files"
    try:
        with tempfile.TemporaryDirectory(prefix=prefix) as folder:
            name = folder
            yield Path(folder)
    except OSError as error:
        if isinstance(error, DigitkitError | BrokenPipeError):
            raise
        raise OutputError(
            f"cannot be written: {os_reason(error)}",
            subject=name,
            hint="make room, or set TMPDIR to a folder that has some",
        ) from error
