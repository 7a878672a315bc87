"""The files of folders: which are read, and what is said of the others."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from digitkit.errors import OutputError, install_command, os_reason, printable_path
from digitkit.sources.frames import Failure
from digitkit.sources.suffixes import HEIC_SUFFIXES, IMAGE_SUFFIXES, PDF_SUFFIXES, is_video
from digitkit.system.sorting import sort_names

_Kind = Literal["image", "PDF file", "HEIC file", "video", "linked folder", "other file"]
_PACKAGES = {"PDF file": "pypdfium2", "HEIC file": "pillow_heif"}
_EXTRAS = {"PDF file": "pdf", "HEIC file": "heic"}


class FolderFiles:
    """The files below a folder that are read, in order; the others are counted."""

    def __init__(self, folder: Path, passed_over: Container[Path] = frozenset()) -> None:
        """Count from nothing; see `digitkit.sources.files.expand_sources`."""
        self._folder = folder
        self._passed_over = passed_over
        self._skipped: Counter[_Kind] = Counter()

    def __iter__(self) -> Iterator[Path | Failure]:
        """Find the files, sorted within each folder; a `Failure` for each that cannot be listed.

        Images by their suffixes; PDF and HEIC files where the package that reads them is installed.
        Hidden files and folders are passed over, and links to folders are not followed.
        """
        for item in walk(self._folder, on_link=self._count_link):
            if isinstance(item, Failure):
                yield item
                continue
            kind = _kind_of(item)
            if self._passed_over and Path(os.path.realpath(item)) in self._passed_over:
                continue
            if _is_read(kind):
                yield item
            else:
                self._skipped[kind] += 1

    def _count_link(self) -> None:
        self._skipped["linked folder"] += 1

    @property
    def skipped(self) -> str | None:
        """``skipped 3 PDF files (pip install 'digitkit[pdf]'), 1 other file``; None for nothing."""
        kinds: tuple[_Kind, ...] = (
            "PDF file", "HEIC file", "video", "linked folder", "other file",
        )  # fmt: skip
        counted = [
            f"{count:,} {kind}{'s' * (count > 1)}{_remedy(kind, count)}"
            for kind in kinds
            if (count := self._skipped[kind])
        ]
        return f"skipped {', '.join(counted)}" if counted else None


def _remedy(kind: _Kind, count: int) -> str:
    if kind == "video":
        return " (name them to read every frame)"
    if kind == "linked folder":
        them = "them" if count > 1 else "it"
        return f" (name {them} to read what is in {them})"
    return f" ({install_command(_EXTRAS[kind])})" if kind in _EXTRAS else ""


def is_searched(file: Path, folder: Path) -> bool:
    """Whether a file below a folder is among its `FolderFiles`."""
    names = file.relative_to(folder).parts if file.is_relative_to(folder) else ()
    hidden = any(name.startswith(".") for name in names)
    return bool(names) and not hidden and _is_read(_kind_of(file))


def _kind_of(path: Path) -> _Kind:
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return "image"
    if suffix in PDF_SUFFIXES:
        return "PDF file"
    if suffix in HEIC_SUFFIXES:
        return "HEIC file"
    return "video" if is_video(path) else "other file"


def _is_read(kind: _Kind) -> bool:
    """Whether files of a kind are read: of some, where a package is installed."""
    return kind == "image" or (kind in _PACKAGES and find_spec(_PACKAGES[kind]) is not None)


def image_files(folder: Path) -> Iterator[Path | Failure]:
    """The image files under a folder, recursively, by suffix, sorted within each folder.

    HEIC images are among them where pillow-heif is installed; PDF files are not. Hidden files and
    folders are skipped, and links to folders are not followed.

    Yields:
        A path for each file; a `Failure` for each folder that cannot be listed.
    """
    for item in walk(folder):
        kind = None if isinstance(item, Failure) else _kind_of(item)
        if kind is None or (kind != "PDF file" and _is_read(kind)):
            yield item


def walk(folder: Path, *, on_link: Callable[[], None] = lambda: None) -> Iterator[Path | Failure]:
    """All files under a folder that are not hidden, as `image_files` gives images.

    Args:
        folder: that is searched.
        on_link: called for each link to a folder, which is not followed.

    Raises:
        OutputError: there are so many that they are sorted on disk, which is full.
    """
    listings = [(folder, sort_names(_entries(folder)))]
    try:
        while listings:
            base, entries = listings[-1]
            try:
                entry = next(entries, None)
            except OSError as error:
                if isinstance(error, OutputError):
                    raise
                name = printable_path(error.filename or base)
                yield Failure(name, f"cannot be listed: {os_reason(error)}", kind="unreadable")
                entry = None
            if entry is None:
                listings.pop()
                continue
            path = base / entry[1:]
            if entry.startswith(_FILE):
                yield path
            elif entry.startswith(_LINK):
                on_link()
            else:
                listings.append((path, sort_names(_entries(path))))
    finally:
        for _, entries in listings:
            entries.close()


def match_files(pattern: str) -> Iterator[str]:
    """The files that match a pattern of `glob`, in any order.

    ``**`` stands for folders that are not hidden; links to folders are not followed, which may form
    loops.
    """
    import glob

    parts = pattern.split("/")
    if "**" not in parts:
        yield from filter(os.path.isfile, glob.iglob(pattern))
        return
    place = parts.index("**")
    above, rest = "/".join(parts[:place]), "/".join(parts[place + 1 :] or ["*"])
    if place and not above:
        above = "/"
    for base in glob.iglob(above) if above else ("",):
        for folder in _folders_below(base):
            yield from match_files(os.path.join(glob.escape(folder), rest))


def _folders_below(base: str) -> Iterator[str]:
    """A folder itself, empty for the current one, and all below it; what cannot be listed is one
    without others.
    """
    waiting = [base]
    while waiting:
        folder = waiting.pop()
        yield folder
        with suppress(OSError), os.scandir(folder or ".") as entries:
            waiting += [
                os.path.join(folder, entry.name)
                for entry in entries
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
            ]


_FILE, _FOLDER, _LINK = "0", "1", "2"
"""Before a name in a folder, so that its files come before its folders, and links to folders
last."""


def _entries(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if not _is_folder(entry):
                yield _FILE + entry.name
            else:
                yield (_LINK if entry.is_symlink() else _FOLDER) + entry.name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # reading it says what is wrong
        return False
