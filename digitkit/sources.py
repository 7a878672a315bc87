"""Where pictures come from: image and video files, folders, patterns, lists on standard input.

Cameras and streams: `digitkit.live`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from . import containers, pixels
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

VIDEO_SUFFIXES = frozenset(
    f".{kind}"
    for kind in (
        *("3g2", "3gp", "asf", "avi", "flv", "m2ts", "m4v", "mjpeg", "mjpg", "mkv", "mov", "mp4"),
        *("mpeg", "mpg", "mts", "ogv", "ts", "vob", "webm", "wmv"),
    )
)
"""A file with one of these suffixes that is named gives all its frames; folders' are left out."""

BROKEN_FRAMES = 30
"""OpenCV says "no frame" of a broken one as of the end; after so many in a row it is the end."""


@dataclass(frozen=True)
class Frame:
    """One picture on its way through the runtime.

    Attributes:
        source: the path or the camera that it comes from, fit to be shown.
        image: uint8 ``[H, W]`` grey or ``[H, W, 3]`` BGR, upright.
        decode_ms: what decoding took, milliseconds.
        number: of a live source's or a video's frame, from 0; None for an image file.
        time: when a live frame was taken; None for a file.
        seconds: position in a video file, seconds; None elsewhere, and where the file doesn't say.
    """

    source: str
    image: pixels.U8
    decode_ms: float = 0.0
    number: int | None = None
    time: datetime | None = None
    seconds: float | None = None


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
        elif os.path.lexists(path):
            yield path
        else:
            yield from _matching(source)
    except SourceError as error:
        yield failure(shown(source), error)
    except OSError as error:
        yield Failure(shown(source), f"cannot be looked at: {error.strerror}")
    except ValueError as error:  # a NUL byte inside a name
        yield Failure(shown(source), f"is no path: {error}")


def _matching(pattern: str) -> Iterator[Path | Failure]:
    import glob

    if not glob.has_magic(pattern):
        yield Path(pattern)
        return
    matches = [p for p in sorted(glob.glob(pattern, recursive=True)) if os.path.isfile(p)]
    if not matches:
        yield Failure(shown(pattern), "no file matches this pattern")
    yield from map(Path, matches)


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


def video_frames(path: str | os.PathLike[str]) -> Iterator[Frame | Failure]:
    """Every frame of a video file, in order and upright.

    Yields:
        Frames, numbered from 0; at last a `Failure` if the file is cut short or damaged, or the
        only item if it gives no frame at all.
    """
    name = shown(path)
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if not size:
                yield Failure(name, "not a video: the file is empty")
                return
            whole = containers.is_whole(file)
            # Absolute, since FFmpeg takes a:b.mp4 for a URL; and OpenCV crashes on a name that is
            # no UTF-8.
            place = str(Path(os.fsdecode(path)).absolute())
            if not place.isprintable():
                place = f"/dev/fd/{file.fileno()}"
            capture = cv2.VideoCapture(place, cv2.CAP_FFMPEG)
            try:
                number, last, broken = 0, 0.0, 0
                for frame in _decoded(capture, name):
                    if frame is None:
                        broken += 1
                    else:
                        yield frame
                        number, last = number + 1, frame.seconds or last
                if whole is False:
                    trouble = f"breaks off after {number} frames: the file is cut short"
                elif broken or _ends_early(capture, number, last, place):
                    trouble = f"gives {number} frames, others are lost: the file is damaged"
                else:
                    trouble = ""
            finally:
                capture.release()
            if not number:
                why = "it is cut short" if whole is False else f"{size} bytes"
                yield Failure(
                    name,
                    f"not a video OpenCV can decode ({why}); if other programs play it, convert it "
                    "to MP4, else copy it again",
                )
            elif trouble:
                yield Failure(name, f"{trouble}; copy it again")
    except (FileNotFoundError, NotADirectoryError):
        yield Failure(name, "does not exist")
    except OSError as error:
        yield Failure(name, f"cannot be read: {error.strerror or error}")
    except ValueError as error:  # a NUL byte inside the name
        yield Failure(name, f"is no path: {error}")


def _decoded(capture: cv2.VideoCapture, name: str) -> Iterator[Frame | None]:
    """The frames of an open video file; None where broken ones were passed over."""
    number, last, failed = 0, -1.0, 0
    while capture.isOpened() and failed < BROKEN_FRAMES:
        begun = time.perf_counter_ns()
        fine, image = capture.read()
        if not fine:
            failed += 1
            continue
        if failed:
            yield None
            failed = 0
        picture = pixels.from_array(image, name)
        taken = (time.perf_counter_ns() - begun) / 1e6
        seconds: float | None = None
        at = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if at >= 0 and at > last:  # else a stream without times
            seconds = last = at
        yield Frame(name, picture, taken, number, seconds=seconds)
        number += 1


def _ends_early(capture: cv2.VideoCapture, number: int, last: float, place: str) -> bool:
    """Whether a video that has ended after `number` frames, at `last` seconds, was longer."""
    # Many files only estimate their count, and a trimmed MP4 hides frames on purpose; so both the
    # count and the time must be far from the end.
    if Path(place).suffix.lower() in (".3g2", ".3gp", ".m4v", ".mov", ".mp4"):
        return False
    total, rate = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
    return number < 0.9 * total and last < 0.9 * total / rate


def is_video(path: Path) -> bool:
    """Whether a file counts as a video, by its suffix."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def frames(items: Iterable[Path | Failure], *, exif: bool = True) -> Iterator[Frame | Failure]:
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
                yield read_frame(item, exif=exif)
            except (ImageError, InputNotFoundError, SourceError) as error:
                yield failure(shown(item), error)
