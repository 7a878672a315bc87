"""Where pictures come from: files, folders, patterns, lists on standard input, a camera."""

from __future__ import annotations

import glob
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from . import pixels
from ._opencv import cv2
from .errors import DigitkitError, ImageError, InputNotFoundError, SourceError, one_line, shown

IMAGE_SUFFIXES = frozenset(
    f".{kind}"
    for kind in (
        *("avif", "bmp", "dib", "exr", "gif", "hdr", "jp2", "jpe", "jpeg", "jpg", "pbm", "pfm"),
        *("pgm", "png", "pnm", "ppm", "ras", "sr", "tif", "tiff", "webp"),
    )
)
"""A folder's files with these suffixes are taken; a file that is named is always tried."""


@dataclass(frozen=True)
class Frame:
    """One picture on its way through the runtime.

    Attributes:
        source: the path or the camera that it comes from, fit to be shown.
        image: uint8 ``[H, W]`` grey or ``[H, W, 3]`` BGR, upright.
        decode_ms: what decoding took, milliseconds.
        number: of a live source's frame, from 0; None for a file.
        time: when a live frame was taken; None for a file.
    """

    source: str
    image: pixels.U8
    decode_ms: float = 0.0
    number: int | None = None
    time: datetime | None = None


@dataclass(frozen=True)
class Failure:
    """A source that gave no picture, or a picture that could not be read.

    Attributes:
        source: what failed, fit to be shown.
        error: what is wrong and what to do, one line, without the source's name.
    """

    source: str
    error: str


def failure(source: str, error: DigitkitError) -> Failure:
    """The failure of a source, its name taken off the front of the message."""
    text = str(error).removeprefix(f"{source}: ")
    return Failure(source, one_line(text))


def image_files(folder: Path) -> Iterator[Path]:
    """The image files under a folder, recursively, by suffix, sorted within each folder.

    Hidden files and folders are left out, and links to folders are not followed.

    Raises:
        SourceError: a folder cannot be listed.
    """

    def refuse(error: OSError) -> None:
        where = shown(error.filename or folder)
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


def expand(sources: Iterable[str], *, nul: bool = False) -> Iterator[Path | Failure]:
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
                yield Failure(shown(source), "the folder holds no image files")
        elif glob.has_magic(source) and not os.path.lexists(path):
            matches = [p for p in sorted(glob.glob(source, recursive=True)) if os.path.isfile(p)]
            if not matches:
                yield Failure(shown(source), "no file matches this pattern")
            yield from map(Path, matches)
        else:
            yield path
    except SourceError as error:
        yield failure(shown(source), error)
    except OSError as error:
        yield Failure(shown(source), f"cannot be looked at: {error.strerror}")
    except ValueError as error:  # a NUL byte inside a name
        yield Failure(shown(source), f"is no path: {error}")


def read_frame(path: str | os.PathLike[str], *, exif: bool = True) -> Frame:
    """Decode one file.

    Args:
        path: of the file.
        exif: turn it as its EXIF orientation says.

    Raises:
        InputNotFoundError, SourceError: there is no such file, or it cannot be read.
        ImageError: it is no image that digits can be read from.
    """
    begun = time.perf_counter_ns()
    image = pixels.decode_file(path, exif=exif)
    return Frame(shown(path), image, (time.perf_counter_ns() - begun) / 1e6)


def frames(sources: Iterable[str], *, nul: bool = False) -> Iterator[Frame | Failure]:
    """Decode everything that a user named, one picture at a time; see `expand`."""
    for item in expand(sources, nul=nul):
        if isinstance(item, Failure):
            yield item
            continue
        try:
            yield read_frame(item)
        except (ImageError, InputNotFoundError, SourceError) as error:
            yield failure(shown(item), error)


def camera_frames(device: int) -> Iterator[Frame | Failure]:
    """The frames of a camera that OpenCV can open, until the consumer stops.

    Args:
        device: the camera's number, 0 for the first.

    Yields:
        Frames; at last a `Failure` if the camera goes away.

    Raises:
        SourceError: it cannot be opened, or never gave a frame.
    """
    name = f"camera {device}"
    camera = cv2.VideoCapture(device)
    try:
        if not camera.isOpened():
            raise SourceError(
                f"{name}: cannot be opened; see which there are with ls /dev/video*, close other "
                "programs that use it, and check that you are in the group video"
            )
        number = 0
        while True:
            begun = time.perf_counter_ns()
            fine, image = camera.read()
            if not fine and number:
                yield Failure(name, f"gives no more frames after {number}")
                return
            if not fine:
                raise SourceError(f"{name}: opens but gives no frames; is it in use elsewhere?")
            taken = (time.perf_counter_ns() - begun) / 1e6
            yield Frame(
                name, pixels.from_array(image, name), taken, number, datetime.now(UTC).astimezone()
            )
            number += 1
    finally:
        camera.release()
