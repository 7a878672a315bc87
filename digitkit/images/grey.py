"""A grey image at several sizes, each made when it is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from digitkit.arrays import U8
from digitkit.images.convert import to_grey
from digitkit.images.cv import cv2
from digitkit.images.orientation import rotate

REDUCED_SIDE = 1280
"""Reading begins with an image halved as often as leaves its longer side this long, pixels; that of
a long strip is longer, see `reduced_side`."""

LONG_ASPECT, REDUCED_ASPECT = 8.0, 3.0
"""From the first ratio of its sides on, an image keeps the area of one of the second ratio when it
is reduced: the digits of a long strip would be too small."""

MAX_HALVINGS = 3
"""Images are halved no more often: JPEG decoders give an eighth at least."""


class GreyImage:
    """A grey image, and its half, quarter and so on, each made when it is first asked for.

    OpenCV halves an image many times faster than it reduces it by another ratio, and a JPEG decoder
    gives a half sooner than the whole. A pixel of a half is two by two of the whole; with an odd
    number of rows or columns, the last may be missing.

    Attributes:
        shape: height and width of the whole image, pixels.
        halvings: how often it is halved before digits are searched; 0 for most images.
    """

    def __init__(self, shape: tuple[int, int], make: Callable[[int], U8], most: int) -> None:
        """Make sizes when they are asked for.

        Args:
            shape: height and width of the whole image, pixels.
            make: makes a size, uint8 ``[h, w]``, from how often the image is halved for it.
            most: up to how often; smaller sizes are halves of that.
        """
        self.shape = shape
        self.halvings = count_halvings(shape)
        self._make = make
        self._most = most
        self._made: dict[int, U8] = {}

    @classmethod
    def from_pixels(cls, pixels: U8) -> GreyImage:
        """An image of these pixels, uint8 ``[H, W]`` or ``[H, W, 3]`` BGR."""
        return cls((pixels.shape[0], pixels.shape[1]), lambda _: to_grey(pixels), 0)

    def halved(self, times: int) -> U8:
        """The image halved this many times; 0 for the whole."""
        if times not in self._made:
            further = times > self._most
            self._made[times] = halve(self.halved(times - 1)) if further else self._make(times)
        return self._made[times]

    @property
    def reduced(self) -> U8:
        """The image as digits are searched in it, uint8 ``[h, w]``."""
        return self.halved(self.halvings)

    def halvings_to(self, side: int, *, least: int = 1) -> int:
        """How often it is halved, `least` times or more, until its longer side is at most `side`.

        Args:
            side: pixels.
            least: number of times.
        """
        times = least
        while max(self.shape) >> times > side:
            times += 1
        return times

    def rotated(self, turn: int) -> GreyImage:
        """The image turned clockwise by 0, 90, 180 or 270 degrees."""
        if not turn:
            return self
        shape = self.shape[::-1] if turn in (90, 270) else self.shape
        return GreyImage(shape, lambda times: rotate(self.halved(times), turn), self.halvings)


def reduced_side(shape: tuple[int, int]) -> float:
    """The longer side of an image of this shape as digits are searched in it, at most, pixels."""
    aspect = max(shape) / max(1, min(shape))
    return REDUCED_SIDE * math.sqrt(aspect / REDUCED_ASPECT if aspect >= LONG_ASPECT else 1.0)


def count_halvings(shape: tuple[int, int]) -> int:
    """How often an image of this shape is halved before digits are searched in it."""
    times, least = 0, reduced_side(shape)
    while (
        times < MAX_HALVINGS
        and max(shape) >> (times + 1) >= least
        and min(shape) >> (times + 2) > 0  # so that it can be halved once more
    ):
        times += 1
    return times


def resize_to(image: U8, ratio: float) -> U8:
    """Resize an image, uint8 ``[h, w]`` or ``[h, w, 3]``, by a ratio; to a pixel at least."""
    height, width = (max(1, round(side * ratio)) for side in image.shape[:2])
    how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)


def reduce_to(image: U8, side: int) -> U8:
    """An image, uint8 ``[h, w]`` or ``[h, w, 3]``, reduced to a longer side; smaller ones stay."""
    return resize_to(image, min(1.0, side / max(image.shape[:2])))


def halve(grey: U8) -> U8:
    """Halve an image, uint8 ``[h, w]``; without the last row or column of an odd number."""
    height, width = (max(1, side // 2) for side in grey.shape)
    even = grey[: 2 * height, : 2 * width]
    return np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
