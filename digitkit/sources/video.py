"""The frames of video files."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from digitkit.errors import printable_path
from digitkit.images import containers
from digitkit.images.convert import from_array
from digitkit.images.opencv import cv2
from digitkit.sources.frames import Failure, Frame

BROKEN_FRAMES = 30
"""OpenCV says "no frame" of a broken one as of the end; after so many in a row it is the end."""


def video_frames(path: str | os.PathLike[str]) -> Iterator[Frame | Failure]:
    """Every frame of a video file, in order and upright.

    Yields:
        Frames, numbered from 0; at last a `Failure` if the file is cut short or damaged, or the
        only item if it gives no frame at all.
    """
    name = printable_path(path)
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
        picture = from_array(image, name)
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
