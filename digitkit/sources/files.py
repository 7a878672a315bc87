"""Sources in files: images, videos, folders, patterns, lists on standard input.

Cameras and streams are in `digitkit.sources.live`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from digitkit.errors import (
    ImageError,
    InputNotFoundError,
    SourceError,
    os_reason,
    printable_path,
)
from digitkit.images.large import load_image
from digitkit.sources.frames import Failure, Frame, to_failure
from digitkit.sources.suffixes import IMAGE_SUFFIXES, is_video
from digitkit.sources.video import video_frames

MAX_PATH_BYTES = 1 << 16
"""Longest path in a list; no system takes as much."""


def image_files(folder: Path) -> Iterator[Path | Failure]:
    """The image files under a folder, recursively, by suffix, sorted within each folder.

    Hidden files and folders are skipped, and links to folders are not followed.

    Yields:
        A path for each file; a `Failure` for each folder that cannot be listed.
    """
    unlisted: list[OSError] = []
    for base, folders, files in os.walk(folder, onerror=unlisted.append):
        yield from _take_unlisted(unlisted, folder)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield Path(base, name)
    yield from _take_unlisted(unlisted, folder)


def _take_unlisted(errors: list[OSError], folder: Path) -> Iterator[Failure]:
    while errors:
        error = errors.pop(0)
        name = printable_path(error.filename or folder)
        yield Failure(name, f"cannot be listed: {os_reason(error)}")


def paths_from(stream: IO[bytes], *, nul: bool = False) -> Iterator[str]:
    """The paths listed on a binary stream, one per line or NUL-separated, without empty ones.

    They are read as they arrive, so that a pipe is answered without waiting for its end.

    Raises:
        SourceError: one is longer than `MAX_PATH_BYTES`.
        OSError: the stream cannot be read.
    """
    if not nul:
        while line := stream.readline(MAX_PATH_BYTES + 1):
            _check_length(line)
            text = line.removesuffix(b"\n").removesuffix(b"\r")
            if text:
                yield os.fsdecode(text)
        return
    rest = b""
    while chunk := os.read(stream.fileno(), 1 << 16):
        *complete, rest = (rest + chunk).split(b"\0")
        yield from (os.fsdecode(path) for path in complete if path)
        _check_length(rest)
    if rest:
        yield os.fsdecode(rest)


def _check_length(path: bytes) -> None:
    if len(path) > MAX_PATH_BYTES:
        raise SourceError(
            f"a path is longer than {MAX_PATH_BYTES:,} bytes",
            hint="list one path a line, or end each with a NUL (-0)",
        )


def expand_sources(sources: Iterable[str], *, nul: bool = False) -> Iterator[Path | Failure]:
    """Expand sources into files, in order, each as soon as it is known.

    Args:
        sources: files, folders (searched recursively), patterns with ``*``, ``?``, ``[…]`` or
            ``**``, and ``-`` for a list on standard input. An existing file is taken by its name,
            even if it looks like a pattern.
        nul: the list on standard input is NUL-separated instead of one path per line.

    Yields:
        A path for each file; a `Failure` for a source without one.
    """
    for source in sources:
        if source == "-":
            if sys.stdin is None:
                yield Failure("-", "standard input is closed")
                continue
            try:
                for listed in paths_from(sys.stdin.buffer, nul=nul):
                    yield from _expand_one(listed)
            except SourceError as error:
                yield to_failure("-", error)
            except OSError as error:
                yield Failure("-", f"cannot be read: {os_reason(error)}")
        else:
            yield from _expand_one(source)


def _expand_one(source: str) -> Iterator[Path | Failure]:
    name = printable_path(source)
    path = Path(source)
    try:
        if not source:
            # Path("") would be the current folder.
            yield Failure("''", "is an empty name; name a file or a folder")
        elif path.is_dir():
            empty = True
            for file in image_files(path):
                empty = False
                yield file
            if empty:
                yield Failure(name, "the folder contains no image files")
        elif os.path.lexists(path):
            yield path
        else:
            yield from _expand_pattern(source)
    except OSError as error:
        yield Failure(name, f"cannot be accessed: {os_reason(error)}")
    except ValueError as error:  # a NUL byte inside a name
        yield Failure(name, f"is not a valid path: {error}")


def _expand_pattern(pattern: str) -> Iterator[Path | Failure]:
    import glob

    if not glob.has_magic(pattern):
        yield Path(pattern)
        return
    matches = [p for p in sorted(glob.glob(pattern, recursive=True)) if os.path.isfile(p)]
    if not matches:
        yield Failure(printable_path(pattern), "no file matches this pattern")
    yield from map(Path, matches)


def load_frame(path: str | os.PathLike[str], *, exif: bool = True) -> Frame:
    """Decode one image file; a large JPEG image only as far as reading digits needs.

    Args:
        path: of the file.
        exif: turn the image upright by its EXIF orientation.

    Raises:
        InputNotFoundError, SourceError: the file does not exist, or cannot be read.
        ImageError: it is not an image that digits can be read from.
    """
    begun = time.perf_counter_ns()
    image = load_image(path, exif=exif)
    return Frame(printable_path(path), image, (time.perf_counter_ns() - begun) / 1e6)


def read_frames(items: Iterable[Path | Failure], *, exif: bool = True) -> Iterator[Frame | Failure]:
    """Decode files one image at a time; a video gives all its frames.

    Args:
        items: as `expand_sources` yields them; failures are passed on.
        exif: turn image files upright by their EXIF orientation.
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
