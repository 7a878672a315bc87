"""The frames of video files."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from digitkit.errors import os_reason, printable_path
from digitkit.images import containers
from digitkit.images.convert import from_array
from digitkit.images.cv import MAX_PIXELS, cv2
from digitkit.sources.frames import Failure, Frame
from digitkit.system.bounded import check_bounded

MAX_VIDEO_BYTES = 1 << 50
"""Videos are read frame by frame, so only their kind is checked, not their size."""

BROKEN_FRAMES = 30
"""OpenCV reports a broken frame like the end of the file; this many in a row are the end."""


_HIDING_CODECS = frozenset(cv2.VideoWriter.fourcc(*name) for name in ("VP80", "VP90"))
"""Codecs that encode frames which are never shown."""


@dataclass(frozen=True)
class VideoLimits:
    """How much of each video file is read.

    Attributes:
        frames: at most so many, from 1; None for all.
        seconds: up to this long after the first frame, above 0; None for all. A file whose frames
            have no times is read to its end.
    """

    frames: int | None = None
    seconds: float | None = None

    def cut(self, items: Iterator[Frame | Failure]) -> Iterator[Frame | Failure]:
        """Pass on what `video_frames` gives, up to the limits; the rest is not decoded."""
        begun: float | None = None
        for count, item in enumerate(items, 1):
            now = item.seconds if isinstance(item, Frame) else None
            begun = now if begun is None else begun
            elapsed = 0.0 if now is None or begun is None else now - begun
            if self.seconds is not None and elapsed >= self.seconds:
                return
            yield item
            if count == self.frames:
                return


ALL_FRAMES = VideoLimits()
"""Videos are read to their ends."""


def video_frames(path: str | os.PathLike[str]) -> Iterator[Frame | Failure]:
    """Every frame of a video file, in order and upright.

    Yields:
        Frames, numbered from 0; a `Failure` at the end if the file is truncated or damaged, or as
        the only item if it has no frame at all.
    """
    name = printable_path(path)
    try:
        check_bounded(path, MAX_VIDEO_BYTES)
        with open(path, "rb") as file:
            yield from _read_frames(file, path, name)
    except (FileNotFoundError, NotADirectoryError):
        yield Failure(name, "does not exist", kind="missing")
    except OSError as error:
        yield Failure(name, f"cannot be read: {os_reason(error)}", kind="unreadable")
    except ValueError as error:  # a NUL byte inside the name
        yield Failure(name, f"is not a valid path: {error}")


def _read_frames(
    file: BinaryIO, path: str | os.PathLike[str], name: str
) -> Iterator[Frame | Failure]:
    size = os.fstat(file.fileno()).st_size
    if not size:
        yield Failure(name, "not a video: the file is empty", kind="bad image")
        return
    file.seek(0)
    if not containers.is_video_container(file.read(containers.SIGNATURE_BYTES)):
        # FFmpeg would take some texts for lists of files, and open these.
        yield Failure(
            name, f"not a video: {size} bytes of no known video container", kind="bad image"
        )
        return
    # Absolute, since FFmpeg takes a:b.mp4 for a URL; and OpenCV crashes on a name that is not
    # UTF-8.
    location = str(Path(os.fsdecode(path)).absolute())
    if not location.isprintable():
        location = f"/dev/fd/{file.fileno()}"
    capture = cv2.VideoCapture(location, cv2.CAP_FFMPEG)
    pixels = capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
    if pixels > MAX_PIXELS:
        capture.release()
        error = f"its frames are larger than {MAX_PIXELS // 10**6} megapixels"
        yield Failure(name, error, kind="bad image")
        return
    try:
        count, lost = 0, False
        for frame in _decode_frames(capture, name):
            if frame is None:
                lost = True
            else:
                yield frame
                count += 1
        stated = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        codec = int(capture.get(cv2.CAP_PROP_FOURCC))
    finally:
        capture.release()
    state = containers.check_container(file)
    if count < stated and not lost:
        lost = state == "damaged" or (
            codec not in _HIDING_CODECS and _has_undecoded(location, count, stated)
        )
    problem = _describe_problem(count, size, state, lost)
    if problem is not None:
        yield Failure(name, problem, kind="bad image")


def _has_undecoded(location: str, count: int, stated: float) -> bool:
    """Whether a video that gave `count` frames, and states more, has more to decode.

    It need not: a trimmed MP4 hides frames, and the number is often an estimate from the duration,
    which counts the sound and, before a late start, the time without a picture.
    """
    capture = cv2.VideoCapture(location, cv2.CAP_FFMPEG)
    try:
        capture.set(cv2.CAP_PROP_FORMAT, -1)  # encoded frames
        encoded = failed = 0
        while capture.isOpened() and failed < BROKEN_FRAMES:
            failed = 0 if capture.grab() else failed + 1
            encoded += not failed
    finally:
        capture.release()
    trimmed = encoded < stated  # where it is cut, one may be hidden
    return count < encoded - trimmed


def _describe_problem(
    count: int, size: int, state: containers.State | None, lost: bool
) -> str | None:
    """The problem of a video file and its remedy; None where all frames were read.

    Args:
        count: frames that were read.
        size: of the file, bytes.
        state: of its container; None if unknown.
        lost: whether frames are missing, in the middle or at the end.
    """
    if not count:
        reason = "it is truncated" if state == "truncated" else f"{size} bytes"
        return (
            f"not a video OpenCV can decode ({reason}); if other programs play it, convert it to "
            "MP4, else copy it again"
        )
    if state == "truncated":
        return f"ends after {count} frames: the file is truncated; copy it again"
    if lost:
        return f"gives {count} frames, others are lost: the file is damaged; copy it again"
    return None


def _decode_frames(capture: cv2.VideoCapture, name: str) -> Iterator[Frame | None]:
    """The frames of an open video file; None where broken ones were skipped."""
    number, last, failed = 0, -1.0, 0
    while capture.isOpened() and failed < BROKEN_FRAMES:
        begun = time.perf_counter_ns()
        ok, pixels = capture.read()
        if not ok:
            failed += 1
            continue
        if failed:
            yield None
            failed = 0
        image = from_array(pixels, name)
        decode_ms = (time.perf_counter_ns() - begun) / 1e6
        seconds: float | None = None
        position = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if position >= 0 and position > last:  # else a stream without times
            seconds = last = position
        yield Frame(name, image, decode_ms, number, seconds=seconds)
        number += 1
