"""Where pictures come from: image and video files, folders, patterns, lists on standard input.

Cameras and streams: `digitkit.live`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from digitkit.errors import ImageError, InputNotFoundError, SourceError, printable_path
from digitkit.images.decode import decode_file
from digitkit.sources.frames import Failure, Frame, to_failure
from digitkit.sources.video import video_frames

IMAGE_SUFFIXES = frozenset(
    f".{kind}"
    for kind in (
        *("avif", "bmp", "dib", "exr", "gif", "hdr", "jp2", "jpe", "jpeg", "jpg", "pbm", "pfm"),
        *("pgm", "png", "pnm", "ppm", "ras", "sr", "tif", "tiff", "webp"),
    )
)
"""A folder's files with these suffixes are taken; a file that is named is always tried."""

VIDEO_SUFFIXES = frozenset(
    f".{kind}"
    for kind in (
        *("3g2", "3gp", "asf", "avi", "flv", "m2ts", "m4v", "mjpeg", "mjpg", "mkv", "mov", "mp4"),
        *("mpeg", "mpg", "mts", "ogv", "ts", "vob", "webm", "wmv"),
    )
)
"""A file with one of these suffixes that is named gives all its frames; folders' are left out."""


def image_files(folder: Path) -> Iterator[Path]:
    """The image files under a folder, recursively, by suffix, sorted within each folder.

    Hidden files and folders are left out, and links to folders are not followed.

    Raises:
        SourceError: a folder cannot be listed.
    """

    def refuse(error: OSError) -> None:
        where = printable_path(error.filename or folder)
        raise SourceError(f"{where}: cannot be listed: {error.strerror}") from error

    for base, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield Path(base, name)


def paths_from(stream: IO[bytes], *, nul: bool = False) -> Iterator[str]:
    """The paths listed on a binary stream, one a line, or parted by NUL bytes; empty ones dropped.

    Read as they come, so that a pipe is answered without waiting for its end.
    """
    if not nul:
        for line in stream:
            text = line.removesuffix(b"\n").removesuffix(b"\r")
            if text:
                yield os.fsdecode(text)
        return
    rest = b""
    while chunk := os.read(stream.fileno(), 1 << 16):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from (os.fsdecode(part) for part in whole if part)
    if rest:
        yield os.fsdecode(rest)


def expand_sources(sources: Iterable[str], *, nul: bool = False) -> Iterator[Path | Failure]:
    """Turn what a user named into files, in order, each as soon as it is known.

    Args:
        sources: files, folders (searched recursively), patterns with ``*``, ``?``, ``[…]`` or
            ``**``, and ``-`` for a list on standard input. What exists is taken by its name,
            even if it looks like a pattern.
        nul: the list on standard input is parted by NUL bytes instead of newlines.

    Yields:
        A path for each file; a `Failure` for a source that gives none.
    """
    for source in sources:
        if source == "-":
            for listed in paths_from(sys.stdin.buffer, nul=nul):
                yield from _expand_one(listed)
        else:
            yield from _expand_one(source)


def _expand_one(source: str) -> Iterator[Path | Failure]:
    path = Path(source)
    try:
        if not source:
            # Path("") would be the current folder.
            yield Failure("''", "is an empty name; name a file or a folder")
        elif path.is_dir():
            found = False
            for file in image_files(path):
                found = True
                yield file
            if not found:
                yield Failure(printable_path(source), "the folder holds no image files")
        elif os.path.lexists(path):
            yield path
        else:
            yield from _matching(source)
    except SourceError as error:
        yield to_failure(printable_path(source), error)
    except OSError as error:
        yield Failure(printable_path(source), f"cannot be looked at: {error.strerror}")
    except ValueError as error:  # a NUL byte inside a name
        yield Failure(printable_path(source), f"is no path: {error}")


def _matching(pattern: str) -> Iterator[Path | Failure]:
    import glob

    if not glob.has_magic(pattern):
        yield Path(pattern)
        return
    matches = [p for p in sorted(glob.glob(pattern, recursive=True)) if os.path.isfile(p)]
    if not matches:
        yield Failure(printable_path(pattern), "no file matches this pattern")
    yield from map(Path, matches)


def load_frame(path: str | os.PathLike[str], *, exif: bool = True) -> Frame:
    """Decode one file.

    Args:
        path: of the file.
        exif: turn it as its EXIF orientation says.

    Raises:
        InputNotFoundError, SourceError: there is no such file, or it cannot be read.
        ImageError: it is no image that digits can be read from.
    """
    begun = time.perf_counter_ns()
    image = decode_file(path, exif=exif)
    return Frame(printable_path(path), image, (time.perf_counter_ns() - begun) / 1e6)


def is_video(path: Path) -> bool:
    """Whether a file counts as a video, by its suffix."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def read_frames(items: Iterable[Path | Failure], *, exif: bool = True) -> Iterator[Frame | Failure]:
    """Decode files one picture at a time; a video gives all its frames.

    Args:
        items: as `expand` gives them.
        exif: turn image files as their EXIF orientation says.
    """
    for item in items:
        if isinstance(item, Failure):
            yield item
        elif is_video(item):
            yield from video_frames(item)
        else:
            try:
                yield load_frame(item, exif=exif)
            except (ImageError, InputNotFoundError, SourceError) as error:
                yield to_failure(printable_path(item), error)
