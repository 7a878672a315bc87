"""Files that are either written whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from digitkit.errors import DigitkitError, OutputError


def _new_mode() -> int:
    """The mode that a plain ``open(path, "w")`` would give; mkstemp's is private to the user."""
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Give a temporary path in `path`'s folder; on success it takes `path`'s place, else it goes.

    The temporary file keeps the suffix, since image and plot writers choose their format by it.
    Where `path` is a link, what it leads to is replaced.

    Raises:
        OutputError: it is no ordinary file, the folder cannot be made or written, or the disk is
            full.
    """
    import tempfile  # not at the top: most of what is read is written nowhere

    _check_ordinary(path)
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
        # A file that only its owner may read stays so.
        temporary.chmod(stat.S_IMODE(target.stat().st_mode) if target.exists() else _new_mode())
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(target)
    except OSError as error:
        if isinstance(error, DigitkitError):
            raise
        reason = error.strerror or str(error)
        raise OutputError(f"{path}: cannot be written: {reason}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Find out now what would go wrong when `path` is written, after minutes of work say.

    Raises:
        OutputError: it is a folder or no ordinary file, or its folder cannot be made or written.
    """
    import tempfile

    _check_ordinary(path)
    folder = Path(os.path.realpath(path)).parent
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            if stat.S_ISDIR(path.stat().st_mode):
                raise OutputError(f"{path}: is a folder; name a file")
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        if isinstance(error, DigitkitError):
            raise
        reason = error.strerror or str(error)
        raise OutputError(f"{path}: cannot be written: {reason} ({folder})") from error


def _check_ordinary(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError:  # it is not there, or what writes it tells why that cannot be
        return
    # A file that took the place of /dev/null would break the system; /dev/stdout may lead to a file
    # that a shell has opened, and that holds more.
    folder = os.path.realpath(path.parent)
    system = folder == "/dev" or folder.startswith(("/dev/fd", "/proc/"))
    if system or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OutputError(f"{path}: is no ordinary file, and would be replaced by one; name a file")


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all.

    Raises:
        OutputError: the folder cannot be made or written, or the disk is full.
    """
    with replace_file(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all; raises like `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))
