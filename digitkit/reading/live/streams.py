"""Frames of a camera or a video: one in which nothing has changed keeps the last reading."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from digitkit.arrays import F32, U8
from digitkit.images.convert import to_grey
from digitkit.images.cv import cv2
from digitkit.images.grey import halve
from digitkit.reading.reader import Reader
from digitkit.reading.results import Reading, Timings
from digitkit.sources.frames import Frame

KEEP_SECONDS = 1.0
"""A reading is kept for less than this; then a frame is read, whatever it looks like."""

MIN_SETTLED = 5
"""A reading is kept once this many in a row, of a scene that does not change, have the same text: a
single bad one would else be repeated until it counts as stable."""

USUAL_FPS = 30
"""Frames a second of a stream without times."""

HALVINGS, MAX_SIDE = 2, 640
"""Frames are compared at a quarter of their size, or less, up to this longer side, pixels."""

SURROUND_SIDE = 15
"""Differences are measured against those around: light flickers; side of a square, pixels of the
reduced frame."""

MAX_DIFFERENCE = 3.5
"""Greatest difference that noise makes in a square of 8 pixels (2 of the reduced frame), grey
levels. On synthetic frames of 640×480 with noise of 1 to 4.5 levels it is exceeded by noise in 0.5%
of frames, and by 99% of the faint digits of 10 to 16 pixels that the reader reports."""


@dataclass(frozen=True)
class _Read:
    """A frame that was read.

    Attributes:
        small: its reduced image.
        reading: what was read.
        agreeing: readings in a row, this included, that had this text in the same scene.
        at: when, seconds.
    """

    small: F32
    reading: Reading
    agreeing: int
    at: float


class StreamReader:
    """Reads the frames of streams, one stream after the other."""

    def __init__(self, reader: Reader) -> None:
        """Read with this reader."""
        self._reader = reader
        self._last: _Read | None = None

    def read(self, frame: Frame) -> Reading:
        """Read a frame; or keep the reading of the last one that was read, if it shows the same.

        Args:
            frame: of a stream, or an image file, which is always read.

        Raises:
            ImageError: as `Reader.read_frame` raises.
        """
        if frame.number is None:
            return self._reader.read_frame(frame)
        begun = time.perf_counter_ns()
        small, at, last = _reduce(frame.image), _seconds(frame), self._last
        agreeing = 0
        if last is not None and last.reading.source == frame.source and _alike(small, last.small):
            agreeing = last.agreeing
            if agreeing >= MIN_SETTLED and 0 <= at - last.at < KEEP_SECONDS:
                ms = Timings(frame.decode_ms, (time.perf_counter_ns() - begun) / 1e6, 0.0, 0.0)
                return replace(
                    last.reading, ms=ms, frame=frame.number, time=frame.time, seconds=frame.seconds
                )
        reading = self._reader.read_frame(frame)
        if last is None or reading.text != last.reading.text:
            agreeing = 0
        self._last = _Read(small, reading, agreeing + 1, at)
        return reading


def _seconds(frame: Frame) -> float:
    """When a frame was taken, on its stream's own clock."""
    if frame.time is not None:
        return frame.time.timestamp()
    return (frame.number or 0) / USUAL_FPS if frame.seconds is None else frame.seconds


def _reduce(image: U8) -> F32:
    """A frame reduced for comparison: grey, float32 ``[h, w]``."""
    small, halvings = to_grey(image), 0
    while halvings < HALVINGS or max(small.shape) > MAX_SIDE:
        small = halve(small)
        halvings += 1
    return small.astype(np.float32)


def _alike(a: F32, b: F32) -> bool:
    """Whether two reduced frames differ by no more than noise and light."""
    if a.shape != b.shape:
        return False
    difference = cv2.subtract(a, b)
    difference = cv2.subtract(difference, cv2.blur(difference, (SURROUND_SIDE, SURROUND_SIDE)))
    low, high, _, _ = cv2.minMaxLoc(cv2.blur(difference, (2, 2)))
    return max(-low, high) <= MAX_DIFFERENCE
