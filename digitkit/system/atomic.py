"""Files that are written: completely or not at all, or in place while they grow."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from digitkit.errors import DigitkitError, OutputError, OutputPathError, cannot_write, os_reason


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
        OutputError: `path` is not a regular file or another user's link, its folder cannot be
            created or written, or the disk is full.
    """
    _check_target(path)
    target = Path(os.path.realpath(path))
    descriptor, temporary = -1, None
    try:
        with _reporting(path):
            target.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = _open_temporary(target)
            yield temporary
            # A file that only its owner may read must stay private.
            temporary.chmod(stat.S_IMODE(target.stat().st_mode) if target.exists() else _new_mode())
            with temporary.open("rb") as handle:
                os.fsync(handle.fileno())
            temporary.replace(target)
            temporary = None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if descriptor >= 0:
            os.close(descriptor)  # last: it frees the name for others


@contextmanager
def open_in_place(path: Path, *, keep: int | None = 0) -> Iterator[TextIO]:
    """Open a text file (UTF-8) that is written where it is, so that others can follow it.

    Missing folders are created.

    Args:
        path: the file.
        keep: how much of it stays, bytes; it is continued there. None for all.

    Raises:
        OutputError: it is another user's link, or cannot be written.
    """
    check_links(path)
    with _reporting(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if keep == 0 else "a", encoding="utf-8", newline="") as stream:
            if keep:
                stream.truncate(keep)
            yield stream


def free_name(path: Path) -> Path:
    """A name beside `path` that no file has: its own with ``.old``, ``.old2`` and so on."""
    old, number = path.with_name(f"{path.name}.old"), 1
    while os.path.lexists(old):  # somebody's own
        number += 1
        old = path.with_name(f"{path.name}.old{number}")
    return old


LOCK_SECONDS = 10.0
"""How long `hold_lock` waits for others, who hold the lock while they write a small file."""


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold the lock on a file that is read, changed and replaced; others wait for a while.

    It is that of ``.NAME.lock`` next to `path`, which stays: removed, it could be held twice.

    Raises:
        OutputError: `path` cannot be replaced, the lock's file not be opened, or another process
            holds the lock for more than `LOCK_SECONDS`.
    """
    _check_target(path)
    target = Path(os.path.realpath(path))
    with _reporting(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = target.with_name(f".{target.name}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        if os.name == "posix":
            _wait_for_lock(descriptor, lock)
        yield
    finally:
        os.close(descriptor)


def _wait_for_lock(descriptor: int, lock: Path) -> None:
    import fcntl

    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise OutputError(
                    "another process holds this lock",
                    subject=str(lock),
                    hint="end that process (a stopped one, for example), then try again",
                ) from error
            time.sleep(0.02)
        except OSError:  # there are file systems without locks
            return None


@contextmanager
def _reporting(path: Path) -> Iterator[None]:
    """Report what goes wrong as an `OutputError` of `path`; digitkit's own errors pass."""
    try:
        yield
    except OSError as error:
        if isinstance(error, DigitkitError):
            raise
        raise cannot_write(path, error) from error


_MARK = ".digitkit-tmp"
"""In the names of temporary files, so that nobody has such a file of his own."""

_TEMPORARIES = 10
"""Names of temporary files for one target: as many processes may write it at once."""


def _open_temporary(target: Path) -> tuple[int, Path]:
    """Open an empty file next to `target`: a descriptor that holds it, and its path.

    A process that is killed leaves its file behind. So the names are always the same ones, and a
    file that no living process holds a lock on is taken over by the next one.
    """
    # 50 characters take at most 200 of the 255 bytes that a name may have.
    start = f".{target.stem[:50]}{_MARK}"
    if os.name == "posix":
        for number in range(_TEMPORARIES):
            path = target.with_name(f"{start}-{number}{target.suffix}")
            with suppress(OSError):
                descriptor = _lock_temporary(path)
                if descriptor is not None:
                    return descriptor, path
    import tempfile  # slow to load

    # No locks here, or all names are taken: this reports the reason, or gives another name.
    descriptor, name = tempfile.mkstemp(prefix=f"{start}-", suffix=target.suffix, dir=target.parent)
    return descriptor, Path(name)


def is_leftover(name: str) -> bool:
    """Whether a file's name is that of a temporary file of `replace_file`."""
    return name.startswith(".") and _MARK in name


def _lock_temporary(path: Path) -> int | None:
    """Make a file, or take over one of this user; None where that cannot be done safely."""
    import fcntl

    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor, is_new = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600), True
    except FileExistsError:
        descriptor, is_new = os.open(path, flags), False
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if is_new and not isinstance(error, BlockingIOError):  # there are no locks here
                path.unlink()
            raise
        status = os.fstat(descriptor)
        own = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
        # Before it was locked, it may have been renamed by its holder.
        if (is_new or own) and status.st_nlink == 1 and os.path.samestat(status, path.lstat()):
            os.fchmod(descriptor, 0o600)
            os.ftruncate(descriptor, 0)
            return descriptor
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def check_writable(path: Path, *, is_folder: bool = False) -> None:
    """Check that `path` can be written, before work that may take minutes.

    Args:
        path: a file, or a folder that files are written into; it need not exist.
        is_folder: whether it is a folder.

    Raises:
        OutputPathError: `path` is a folder, or its folder cannot be created or written.
        OutputError: `path` is not a regular file, or another user's link.
    """
    import tempfile

    folder = Path(os.path.realpath(path))
    if not is_folder:
        _check_target(path)
        folder = folder.parent
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            if not is_folder and stat.S_ISDIR(path.stat().st_mode):
                raise OutputPathError("is a folder", subject=str(path), hint="name a file")
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        if isinstance(error, DigitkitError):
            raise
        problem = f"cannot be written: {os_reason(error)} ({folder})"
        raise OutputPathError(problem, subject=str(path)) from error


def check_links(path: Path) -> None:
    """Refuse a link that another user made in a shared folder, as ``fs.protected_symlinks`` does.

    It may lead to any file of this user. The kernel cannot refuse it where a file is replaced, and
    is not always told to.

    Raises:
        OutputError: `path` or one of its folders is such a link, or leads to one.
    """
    place, parts = Path(), [*reversed(path.parts)]
    links = 0
    while parts and links < 40:  # as many as the kernel follows
        link = place / parts.pop()
        try:
            status = link.lstat()
            if not stat.S_ISLNK(status.st_mode):
                place = link
                continue
            folder, target = place.stat(), link.readlink()
        except (OSError, ValueError):  # it does not exist, or writing it will fail with the reason
            return
        shared = folder.st_mode & stat.S_ISVTX and folder.st_mode & stat.S_IWOTH
        if shared and status.st_uid not in (os.geteuid(), folder.st_uid):
            raise OutputError(
                "is a link that another user made in a shared folder"
                if link == path
                else f"leads through {link}, a link that another user made in a shared folder",
                subject=str(path),
                hint="remove it, or name another file",
            )
        parts += reversed(target.parts)
        links += 1


def _check_target(path: Path) -> None:
    check_links(path)
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
