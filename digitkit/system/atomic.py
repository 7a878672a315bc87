"""Atomic writes: a file is either written completely or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from digitkit.errors import DigitkitError, OutputError, os_reason


def _new_mode() -> int:
    """The mode that ``open(path, "w")`` would give a file; mkstemp's is private to the user."""
    # It can only be read by setting it; what other threads create meanwhile must not be open.
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o666 & ~umask


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a temporary file in `path`'s folder that replaces `path` on success.

    If the block raises, the temporary file is deleted and `path` stays as it is. The temporary
    file has `path`'s suffix, because image and plot writers choose their format by it. Missing
    folders are created, a link's target is replaced, and an existing file keeps its mode.

    Raises:
        OutputError: `path` is not a regular file, its folder cannot be created or written, or the
            disk is full.
    """
    import tempfile  # slow to load, and most commands write no files

    _check_regular(path)
    target = Path(os.path.realpath(path))
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(
            prefix=f".{path.stem[:100]}-", suffix=f".tmp{path.suffix}", dir=target.parent
        )
        os.close(descriptor)
        temporary = Path(name)
        yield temporary
        # A file that only its owner may read must stay private.
        temporary.chmod(stat.S_IMODE(target.stat().st_mode) if target.exists() else _new_mode())
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(target)
    except OSError as error:
        if isinstance(error, DigitkitError):
            raise
        raise OutputError(f"cannot be written: {os_reason(error)}", subject=str(path)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Check that `path` can be written, before work that may take minutes.

    Raises:
        OutputError: `path` is a folder or not a regular file, or its folder cannot be created or
            written.
    """
    import tempfile

    _check_regular(path)
    folder = Path(os.path.realpath(path)).parent
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            if stat.S_ISDIR(path.stat().st_mode):
                raise OutputError("is a folder", subject=str(path), hint="name a file")
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        if isinstance(error, DigitkitError):
            raise
        problem = f"cannot be written: {os_reason(error)} ({folder})"
        raise OutputError(problem, subject=str(path)) from error


def _check_regular(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError:  # it does not exist, or writing it will fail with the reason
        return
    # Replacing /dev/null by a file would break the system; /dev/stdout may lead to a file that a
    # shell has opened and that contains more.
    folder = os.path.realpath(path.parent)
    system = folder == "/dev" or folder.startswith(("/dev/fd", "/proc/"))
    if system or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OutputError("is not a regular file", subject=str(path), hint="name a file")


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` as `replace_file` does.

    Raises:
        OutputError: see `replace_file`.
    """
    with replace_file(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` in UTF-8 as `replace_file` does.

    Raises:
        OutputError: see `replace_file`.
    """
    write_bytes(path, text.encode("utf-8"))
