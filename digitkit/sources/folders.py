"""The files of folders: which are read, and what is said of the others."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from digitkit.errors import install_command, os_reason, printable_path
from digitkit.sources.frames import Failure
from digitkit.sources.suffixes import HEIC_SUFFIXES, IMAGE_SUFFIXES, PDF_SUFFIXES, is_video

_Kind = Literal["image", "PDF file", "HEIC file", "video", "other file"]
_PACKAGES = {"PDF file": "pypdfium2", "HEIC file": "pillow_heif"}
_EXTRAS = {"PDF file": "pdf", "HEIC file": "heic"}


class FolderFiles:
    """The files below a folder that are read, in order; the others are counted."""

    def __init__(self, folder: Path) -> None:
        """Count from nothing."""
        self._folder = folder
        self._skipped: Counter[_Kind] = Counter()

    def __iter__(self) -> Iterator[Path | Failure]:
        """Find the files, sorted within each folder; a `Failure` for each that cannot be listed.

        Images by their suffixes; PDF and HEIC files where the package that reads them is installed.
        Hidden files and folders are passed over, and links to folders are not followed.
        """
        for item in walk(self._folder):
            if isinstance(item, Failure):
                yield item
                continue
            kind = _kind_of(item)
            if _is_read(kind):
                yield item
            else:
                self._skipped[kind] += 1

    @property
    def skipped(self) -> str | None:
        """``skipped 3 PDF files (pip install 'digitkit[pdf]'), 1 other file``; None for nothing."""
        kinds: tuple[_Kind, ...] = ("PDF file", "HEIC file", "video", "other file")
        counted = [
            f"{count:,} {kind}{'s' * (count > 1)}{_remedy(kind)}"
            for kind in kinds
            if (count := self._skipped[kind])
        ]
        return f"skipped {', '.join(counted)}" if counted else None


def _remedy(kind: _Kind) -> str:
    if kind == "video":
        return " (name them to read every frame)"
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


def _is_read(kind: _Kind, without: Container[_Kind] = ()) -> bool:
    """Whether files of a kind are read: of some, where a package is installed."""
    if kind in without:
        return False
    return kind == "image" or (kind in _PACKAGES and find_spec(_PACKAGES[kind]) is not None)


def image_files(folder: Path) -> Iterator[Path | Failure]:
    """The image files under a folder, recursively, by suffix, sorted within each folder.

    HEIC images are among them where pillow-heif is installed; PDF files are not. Hidden files and
    folders are skipped, and links to folders are not followed.

    Yields:
        A path for each file; a `Failure` for each folder that cannot be listed.
    """
    for item in walk(folder):
        if isinstance(item, Failure) or _is_read(_kind_of(item), without=("PDF file",)):
            yield item


def walk(folder: Path) -> Iterator[Path | Failure]:
    """All files under a folder that are not hidden, as `image_files` gives images."""
    unlisted: list[OSError] = []
    for base, folders, files in os.walk(folder, onerror=unlisted.append):
        yield from _take_unlisted(unlisted, folder)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(base, name)
    yield from _take_unlisted(unlisted, folder)


def _take_unlisted(errors: list[OSError], folder: Path) -> Iterator[Failure]:
    while errors:
        error = errors.pop(0)
        name = printable_path(error.filename or folder)
        yield Failure(name, f"cannot be listed: {os_reason(error)}", kind="unreadable")
