"""Sources in files: images, videos, folders, patterns, lists and images on standard input.

Cameras and streams are in `digitkit.sources.live`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from digitkit.errors import (
    DigitkitError,
    ImageError,
    InputNotFoundError,
    MissingDependencyError,
    OutputError,
    SourceError,
    os_reason,
    page_name,
    printable_path,
)
from digitkit.images.decode import read_image_file
from digitkit.images.large import load_bytes
from digitkit.sources.frames import Failure, Frame, to_failure
from digitkit.sources.items import ImageBytes, Item, PageOfFile, item_name, to_item
from digitkit.sources.suffixes import is_video
from digitkit.sources.urls import is_address, mask_password
from digitkit.sources.video import ALL_FRAMES, VideoLimits, video_frames
from digitkit.system.sorting import sort_names

if TYPE_CHECKING:
    from digitkit.images.pages import Pages

INPUT_ERRORS: tuple[type[DigitkitError], ...] = (
    *(ImageError, InputNotFoundError, SourceError, MissingDependencyError),
)
"""What may be wrong with one input; the others are read."""


_SINGLE = (b"\x89PNG", b"\xff\xd8")
"""How files begin that have no pages: PNG and JPEG, which most images are."""


# --- sources to items ---


def expand_sources(
    sources: Iterable[str],
    *,
    nul: bool = False,
    notice: Callable[[str], None] | None = None,
    passed_over: Container[Path] = frozenset(),
) -> Iterator[Item | Failure]:
    """Expand sources into files, in order, each as soon as it is known.

    Args:
        sources: files, pages of files (``scan.tiff#2``), folders (searched recursively), patterns
            with ``*``, ``?``, ``[…]`` or ``**``, and ``-`` for standard input: a list of paths, or
            an image. An existing file is taken by its name, even if it looks like a pattern or a
            page.
        nul: the list on standard input is NUL-separated instead of one path per line.
        notice: called with a line for each folder of which files were skipped.
        passed_over: files that are not read where they are found in a folder, without links in
            their paths.

    Yields:
        An item for each file; a `Failure` for a source without one.

    Raises:
        OutputError: a folder has so many files that they are sorted on disk, which is full.
    """
    for source in list_sources(sources, nul=nul):
        if isinstance(source, str):
            yield from _expand_one(source, notice, passed_over)
        else:
            yield source


def list_sources(sources: Iterable[str], *, nul: bool) -> Iterator[str | ImageBytes | Failure]:
    """The sources as they are named, with those of a list on standard input; see `expand_sources`.

    Yields:
        A name, or the image on standard input; a `Failure` if that cannot be read.
    """
    for source in sources:
        if source == "-":
            yield from _read_standard_input(nul)
        else:
            yield source


def _read_standard_input(nul: bool) -> Iterator[str | ImageBytes | Failure]:
    from digitkit.sources.piped import read_piped

    if sys.stdin is None:
        yield Failure("-", "standard input is closed")
        return
    try:
        yield from read_piped(sys.stdin.buffer, nul=nul)  # type: ignore[arg-type]  # buffered
    except (SourceError, ImageError) as error:
        yield to_failure("-", error)
    except OSError as error:
        yield Failure("-", f"cannot be read: {os_reason(error)}")


def _expand_one(
    source: str, notice: Callable[[str], None] | None, passed_over: Container[Path]
) -> Iterator[Item | Failure]:
    name = printable_path(mask_password(source))
    path = Path(source)
    try:
        if not source:
            # Path("") would be the current folder.
            yield Failure("''", "is an empty name; name a file or a folder")
        elif path.is_dir():
            yield from _expand_folder(path, name, notice, passed_over)
        elif os.path.lexists(path):
            yield path
        elif is_address(source):
            yield to_failure(name, address_error(source))
        else:
            yield from _expand_pattern(source)
    except OutputError:
        raise  # of the disk on which many names are sorted
    except OSError as error:
        yield Failure(name, f"cannot be accessed: {os_reason(error)}", kind="unreadable")
    except ValueError as error:  # a NUL byte inside a name
        yield Failure(name, f"is not a valid path: {error}")


def address_error(address: str) -> SourceError:
    """The error for an address of a file where files are paths."""
    return SourceError(
        "is an address, not a file",
        subject=mask_password(address),
        hint="a stream must be the only source; files at addresses are read with --engine ray",
    )


def _expand_folder(
    folder: Path, name: str, notice: Callable[[str], None] | None, passed_over: Container[Path]
) -> Iterator[Path | Failure]:
    from digitkit.sources.folders import FolderFiles

    files, empty = FolderFiles(folder, passed_over), True
    for file in files:
        empty = False
        yield file
    if empty:
        skipped = f"; {files.skipped}" if files.skipped else ""
        yield Failure(name, f"the folder contains no image files{skipped}")
    elif files.skipped and notice is not None:
        notice(f"{name}: {files.skipped}")


def _expand_pattern(pattern: str) -> Iterator[Path | PageOfFile | Failure]:
    import glob

    item = to_item(pattern)
    if isinstance(item, PageOfFile) or not glob.has_magic(pattern):
        yield item
        return
    from digitkit.sources.folders import match_files

    matches = sort_names(match_files(pattern))
    first = next(matches, None)
    if first is None:
        yield Failure(printable_path(pattern), "no file matches this pattern", kind="missing")
        return
    yield Path(first)
    yield from map(Path, matches)


# --- items to frames ---


class OpenedImage:
    """An image file that was read, and of which pages can be decoded.

    Attributes:
        name: of the file, safe to display.
        count: how many pages it has.
    """

    def __init__(self, item: Item, *, exif: bool = True) -> None:
        """Read the file.

        Args:
            item: which one; `PageOfFile.page` does not matter.
            exif: turn images upright by their EXIF orientation.

        Raises:
            InputNotFoundError, SourceError: the file does not exist, or cannot be read.
            ImageError: it is damaged.
            MissingDependencyError: a package that reads it is not installed.
        """
        begun = time.perf_counter_ns()
        self.name = item_name(item)
        if isinstance(item, ImageBytes):
            data = item.data
        else:
            data = read_image_file(item.path if isinstance(item, PageOfFile) else item)
        self._exif = exif
        self._pages = _open_pages(data, self.name, exif=exif)
        self._data = data if self._pages is None else b""  # pages keep what they need
        self.count = 1 if self._pages is None else self._pages.count
        self._reading_ns = time.perf_counter_ns() - begun

    def page_number(self, page: int) -> int | None:
        """How a page is numbered: not at all if it is the only one."""
        return None if self.count == page == 1 else page

    def decode(self, page: int = 1) -> Frame:
        """Decode a page, of a single image a large JPEG only as far as reading digits needs.

        Args:
            page: its number, from 1.

        Raises:
            ImageError: there is no such page, or it is not an image that digits can be read from.
            MissingDependencyError: a package that decodes it is not installed.
        """
        begun = time.perf_counter_ns() - self._reading_ns
        self._reading_ns = 0  # counts for the first page
        if self._pages is None:
            if page != 1:
                from digitkit.images.pages import no_such_page

                raise no_such_page(page, 1, self.name)
            image = load_bytes(self._data, self.name, exif=self._exif)
        else:
            image = self._pages.decode(page)
        ms = (time.perf_counter_ns() - begun) / 1e6
        return Frame(self.name, image, ms, page=self.page_number(page))


def _open_pages(data: bytes, name: str, *, exif: bool) -> Pages | None:
    if data.startswith(_SINGLE):
        return None
    from digitkit.images.documents import open_pages

    return open_pages(data, name, exif=exif)


def load_frame(path: str | os.PathLike[str]) -> Frame:
    """Decode one image file; a large JPEG image only as far as reading digits needs.

    Args:
        path: of the file; or ``scan.tiff#2`` for a page of it.

    Raises:
        InputNotFoundError, SourceError: the file does not exist, or cannot be read.
        ImageError: it is not an image that digits can be read from, or has several pages.
        MissingDependencyError: a package that reads it is not installed.
    """
    return load_item(to_item(path))


def load_item(item: Item, *, exif: bool = True) -> Frame:
    """Decode the one image of an item; see `load_frame`."""
    image = OpenedImage(item, exif=exif)
    if isinstance(item, PageOfFile):
        return image.decode(item.page)
    if image.count > 1:
        hint = "Reader.read_pages reads all"
        if isinstance(item, Path):
            hint = f"name one of them, such as {page_name(image.name, 1)}; digitkit infer and "
            hint += "Reader.read_pages read all"
        raise ImageError(f"has {image.count:,} pages", subject=image.name, hint=hint)
    return image.decode()


class FileOpener:
    """Opens files, and keeps the last one with several pages: its others are often wanted next."""

    def __init__(self, *, exif: bool = True) -> None:
        """Keep nothing yet; `exif` as for `OpenedImage`."""
        self._exif = exif
        self._kept: tuple[Path, OpenedImage] | None = None

    def open(self, item: Item) -> OpenedImage:
        """Open the file of an item, unless it is a page of the one that is kept.

        Raises:
            InputNotFoundError, SourceError, ImageError, MissingDependencyError: as `OpenedImage`.
        """
        path = item.path if isinstance(item, PageOfFile) else item
        if isinstance(item, PageOfFile) and self._kept is not None and self._kept[0] == path:
            return self._kept[1]
        self._kept = None  # not both in memory
        image = OpenedImage(item, exif=self._exif)
        if image.count > 1 and isinstance(path, Path):
            self._kept = path, image
        return image


def item_frames(item: Item, opener: FileOpener) -> Iterator[Frame | Failure]:
    """Decode an item, one page after the other; a page that cannot be decoded is a failure."""
    asked = item.page if isinstance(item, PageOfFile) else None
    try:
        image = opener.open(item)
    except INPUT_ERRORS as error:
        yield to_failure(item_name(item), error, page=asked)
        return
    for page in range(1, image.count + 1) if asked is None else (asked,):
        try:
            yield image.decode(page)
        except INPUT_ERRORS as error:
            yield to_failure(image.name, error, page=image.page_number(page))


def read_frames(
    items: Iterable[Item | Failure], *, exif: bool = True, limits: VideoLimits = ALL_FRAMES
) -> Iterator[Frame | Failure]:
    """Decode files one image at a time; a video gives all its frames, a document all its pages.

    Args:
        items: as `expand_sources` yields them; failures are passed on.
        exif: turn image files upright by their EXIF orientation.
        limits: how much of each video is read.
    """
    opener = FileOpener(exif=exif)
    for item in items:
        if isinstance(item, Failure):
            yield item
        elif isinstance(item, Path) and is_video(item):
            yield from limits.cut(video_frames(item))
        else:
            yield from item_frames(item, opener)
