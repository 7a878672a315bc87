"""Annotated frames as a video file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import fmean
from types import TracebackType
from typing import Self

import numpy as np

from digitkit.arrays import U8
from digitkit.errors import OutputError, printable_path
from digitkit.images import containers
from digitkit.images.cv import cv2
from digitkit.reading.results import Reading
from digitkit.sinks.drawing import draw
from digitkit.sources.frames import Failure, Frame
from digitkit.sources.suffixes import VIDEO_CODES
from digitkit.system import atomic

WAITING_BYTES = 64 << 20
"""Frames that are not live wait, up to so many bytes, until the video's frame rate is chosen."""


class VideoSink:
    """Writes annotated frames as a video, at the times at which they were taken.

    Frames of a video file keep their rate; where it varies, the highest usual one at its
    beginning. A camera's frame is shown until the next one was taken, but no longer than
    `MAX_FRAME_SECONDS`; an image file for `IMAGE_SECONDS`. All are fitted into the size of the
    first. To be used in a ``with`` statement: the file gets its name at the end, and an error
    leaves none behind.
    """

    wants_every_frame = True

    LIVE_FPS = 20.0
    """Frame rate of a camera's video."""

    MIN_FPS, MAX_FPS = 1.0, 120.0
    """Lowest and highest frame rate that a video's times may give."""

    IMAGE_SECONDS = 1.5
    """How long an image file is shown."""

    MAX_FRAME_SECONDS = 2.0
    """How long a frame is shown at most: gaps and jumps of the clock are left out."""

    def __init__(self, path: Path) -> None:
        """Write to `path`; .mp4 (MPEG-4) or .avi (Motion JPEG).

        Raises:
            OutputError: it has another suffix, or OpenCV cannot write to such a name.
        """
        self.path = path
        self._code = VIDEO_CODES.get(path.suffix.lower())
        if self._code is None:
            raise OutputError("is not an .mp4 or .avi file", subject=str(path))
        try:
            str(path.absolute()).encode()
        except UnicodeEncodeError as error:  # OpenCV would crash
            raise OutputError(
                "must be a UTF-8 name for a video", subject=printable_path(path)
            ) from error
        self._file = ExitStack()
        self._temporary = path
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._fps = self.LIVE_FPS
        self._steps: list[float] = []  # between the frames of a video file that wait, seconds
        # Frames and the seconds that they are shown; None for one frame's time. Phones and screen
        # recorders vary the rate, and the first step may be a long one.
        self._waiting: list[tuple[U8, float | None]] = []
        # The last frame is shown when the next one says for how long.
        self._last: U8 | None = None
        self._source = ""
        self._is_frame = False
        self._taken: float | None = None
        self._owed = 0.0  # frames still to be written, a fraction of one

    def __enter__(self) -> Self:
        """Do nothing: the file is opened with the first frame."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish the file, or leave none.

        Raises:
            OutputError: it could not be written completely.
        """
        if kind is not None:
            if self._writer is not None:
                self._writer.release()
            self._file.__exit__(kind, error, traceback)
            return
        with self._file:
            if self._last is not None:
                self._show(None if self._is_frame else self.IMAGE_SECONDS)
                self._write_waiting()
            if self._writer is None:
                return
            self._writer.release()
            with self._temporary.open("rb") as file:
                # The writer does not report a full disk.
                if containers.check_container(file) != "whole":
                    raise OutputError(
                        "could not be written completely; is the disk full?", subject=str(self.path)
                    )

    def write(self, frame: Frame, reading: Reading) -> None:
        """Draw and append.

        Raises:
            OutputError: the video cannot be written.
        """
        drawn = draw(frame.image, reading)
        at = frame.seconds if frame.time is None else frame.time.timestamp()
        if self._last is not None:
            following = at is not None and self._taken is not None and frame.source == self._source
            step = (at or 0.0) - (self._taken or 0.0) if following else 0.0
            if following and frame.time is None and step > 0 and self._writer is None:
                self._steps.append(step)
            if 0 < step <= self.MAX_FRAME_SECONDS:
                self._show(step)
            else:
                self._show(None if self._is_frame else self.IMAGE_SECONDS)
            full = len(self._waiting) * self._waiting[0][0].nbytes >= WAITING_BYTES
            if self._writer is not None or frame.time is not None or full:
                self._write_waiting()
        self._last, self._taken, self._source = drawn, at, frame.source
        self._is_frame = frame.number is not None

    def _show(self, seconds: float | None) -> None:
        """Show the last frame for this long; None for one frame's time."""
        assert self._last is not None
        if not any(self._size):
            self._size = _choose_size(self._last)
        self._waiting.append((_fit_to_size(self._last, self._size), seconds))

    def _write_waiting(self) -> None:
        """Write each frame as often as it takes to show it for its time."""
        if self._writer is None:
            self._open()
        assert self._writer is not None
        for fitted, seconds in self._waiting:
            self._owed += 1 if seconds is None else seconds * self._fps
            # A frame that would be shown for less than half a frame's time is left out; exactly
            # half is enough, as after a step of one and a half.
            times = int(self._owed + 0.5 + 1e-6)
            for _ in range(times):
                self._writer.write(fitted)
            self._owed -= times
        self._waiting.clear()

    def _open(self) -> None:
        if self._steps:
            rate = 1 / _usual_step(self._steps)
            self._fps = min(max(rate, self.MIN_FPS), self.MAX_FPS)
        self._temporary = self._file.enter_context(atomic.replace_file(self.path))
        code = cv2.VideoWriter.fourcc(*(self._code or ""))
        self._writer = cv2.VideoWriter(str(self._temporary), code, self._fps, self._size)
        if not self._writer.isOpened():
            raise OutputError(
                "this OpenCV cannot write such a video", subject=str(self.path), hint="try .avi"
            )

    def fail(self, failure: Failure) -> None:
        """There is nothing to draw."""


MIN_SIDE, MAX_SIDE = 16, 8190
"""Shortest and longest side of a video, pixels: MPEG-4 allows up to 8,191; beyond, OpenCV's writer
of AVI corrupts memory."""


FEW_STEPS, ROUNDING = 0.05, 0.0015
"""Fraction of the steps between frames that may be shorter than the usual ones; and by how much
these differ where times are rounded to milliseconds, seconds."""


def _usual_step(steps: Sequence[float]) -> float:
    """The shortest usual step between frames, seconds: a rate at which few are left out."""
    ordered = sorted(steps)
    low = ordered[int(FEW_STEPS * len(ordered))]
    return fmean(step for step in ordered if abs(step - low) <= ROUNDING)


def _choose_size(image: U8) -> tuple[int, int]:
    """Width and height of a video that begins with this image; most encoders require even ones."""
    ratio = min(1.0, MAX_SIDE / max(image.shape[:2]))
    width, height = (max(MIN_SIDE, round(side * ratio)) & ~1 for side in image.shape[1::-1])
    return width, height


def _fit_to_size(image: U8, size: tuple[int, int]) -> U8:
    """The image scaled to fit this width and height, centred on black."""
    width, height = size
    if (image.shape[1] & ~1, image.shape[0] & ~1) == size:
        return np.ascontiguousarray(image[:height, :width])
    ratio = min(width / image.shape[1], height / image.shape[0])
    inner = max(1, round(image.shape[1] * ratio)), max(1, round(image.shape[0] * ratio))
    canvas = np.zeros((height, width, 3), np.uint8)
    x, y = (width - inner[0]) // 2, (height - inner[1]) // 2
    part = cv2.resize(image, inner, interpolation=cv2.INTER_AREA)
    canvas[y : y + inner[1], x : x + inner[0]] = part
    return canvas
