"""Labels on an image, placed where they cover as little as possible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitkit.arrays import U8, Box
from digitkit.images.cv import cv2
from digitkit.images.grey import resize_to

FONT = cv2.FONT_HERSHEY_DUPLEX

Colour = tuple[int, int, int]
"""Blue, green, red, 0–255."""

Point = tuple[float, float]
"""x and y, pixels."""

MIN_SIZE = 9.0
"""Height of the smallest text, pixels."""


@dataclass(frozen=True)
class Label:
    """White text on a filled rectangle.

    Attributes:
        text: what it says.
        plate: the rectangle.
        size: height of the text, pixels.
        penalty: how much worse its place is than others, as a part of its plate that is covered.
    """

    text: str
    plate: Box
    size: float
    penalty: float = 0.0

    def draw(self, canvas: Any, colour: Colour) -> None:
        """Draw onto an image."""
        left, top, width, height = self.plate
        thickness, pad = _weight(self.size)
        corner = (left + width - 1, top + height - 1)
        cv2.rectangle(canvas, (left, top), corner, colour, cv2.FILLED)
        at, white = (left + pad, top + height - 1 - pad), (255, 255, 255)
        cv2.putText(canvas, self.text, at, FONT, self.size / 30, white, thickness, cv2.LINE_AA)


def _weight(size: float) -> tuple[int, int]:
    """Thickness of the strokes of a text, and the margin around it."""
    return max(1, round(size / 14)), max(2, round(size / 6))


def plate_size(text: str, size: float) -> tuple[int, int]:
    """Width and height of a text's plate; the text is `size` pixels high."""
    thickness, pad = _weight(size)
    (width, height), _ = cv2.getTextSize(text, FONT, size / 30, thickness)
    return width + 2 * pad, height + 2 * pad


def text_sizes(largest: float, smallest: float) -> list[float]:
    """Sizes to try, in order: the largest first, never below `MIN_SIZE`."""
    smallest = max(MIN_SIZE, smallest)
    largest = max(largest, smallest)
    sizes = [largest * 0.75**i for i in range(6)]
    return [size for size in sizes if size > 1.1 * smallest] + [smallest]


SMALLER_PENALTY, ASIDE_PENALTY = 0.25, 0.15
"""Penalties of a text that is smaller, by what it lacks; and of one that is not above."""


def _penalty(size: float, sizes: Sequence[float]) -> float:
    return SMALLER_PENALTY * (1 - size / sizes[0])


MAX_SIDE = 800
"""Longer side of the image in which ink is looked for, pixels."""

INK_CONTRAST, MAX_INK = 24, 0.04
"""Ink differs by so many grey levels from what is around it, and may be this part of a plate."""


class LabelPlacer:
    """Places labels where they cover least: of digits, brackets, other labels and further ink."""

    def __init__(self, image: U8, boxes: Sequence[Box]) -> None:
        """Begin with an image.

        Args:
            image: uint8 ``[H, W, 3]`` BGR.
            boxes: what is on it and must not be covered, pixels.
        """
        self._height, self._width = image.shape[:2]
        self._ratio = min(1.0, MAX_SIDE / max(image.shape[:2]))
        self._ink = _sum_ink(image, self._ratio)
        self._taken = np.array(boxes, np.float64).reshape(-1, 4)
        self._count = len(self._taken)

    def take(self, box: Box) -> None:
        """Add a box."""
        if self._count == len(self._taken):
            self._taken = np.vstack([self._taken, np.zeros((64 + self._count, 4))])
        self._taken[self._count] = box
        self._count += 1

    def fit(self, plate: Box) -> Box:
        """The plate, moved into the image."""
        left, top, width, height = plate
        left = min(max(0, left), max(0, self._width - width))
        return left, min(max(0, top), max(0, self._height - height)), width, height

    def covered(self, plate: Box) -> float:
        """How much of what is taken a plate would cover, square pixels."""
        x, y, w, h = self._taken[: self._count].T
        left, top, width, height = plate
        common_width = np.minimum(x + w, left + width) - np.maximum(x, left)
        common_height = np.minimum(y + h, top + height) - np.maximum(y, top)
        return float((common_width.clip(0) * common_height.clip(0)).sum())

    def ink(self, plate: Box) -> float:
        """Which part of a plate has ink below it, 0–1."""
        height, width = (side - 1 for side in self._ink.shape)
        x, y, w, h = (side * self._ratio for side in plate)
        left, right = (min(max(0, round(at)), width) for at in (x, x + w))
        top, bottom = (min(max(0, round(at)), height) for at in (y, y + h))
        corners = ((bottom, right), (top, right), (bottom, left), (top, left))
        whole, upper, before, both = (int(self._ink[corner]) for corner in corners)
        return float((whole - upper - before + both) / max(1, (right - left) * (bottom - top)))

    def place(self, candidates: Iterator[Label]) -> tuple[Label, bool]:
        """The label that covers least, its own penalty included.

        Args:
            candidates: at least one.

        Returns:
            The label, and whether it covers nothing that is taken.
        """
        best, least = None, np.inf
        for label in candidates:
            if label.penalty >= least:
                continue
            fitted = replace(label, plate=self.fit(label.plate))
            covered = self.covered(fitted.plate) / (fitted.plate[2] * fitted.plate[3])
            ink = self.ink(fitted.plate)
            # What was read is worse to cover than other ink.
            cost = label.penalty + 4 * covered + (ink if ink > MAX_INK else 0)
            if cost < least:
                best, least, is_free = fitted, cost, covered == 0
            if cost == 0:
                break
        assert best is not None
        return best, is_free


def _sum_ink(image: U8, ratio: float) -> NDArray[np.int32]:
    """The integral of what differs from its surroundings; int32 ``[h + 1, w + 1]``."""
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    if ratio < 1:
        grey = resize_to(grey, ratio)
    contrast = cv2.absdiff(cv2.blur(grey, (3, 3)), cv2.blur(grey, (25, 25)))
    # On paper with a pattern ink is what stands out from that.
    ink = cv2.compare(contrast, max(INK_CONTRAST, 3 * contrast.mean()), cv2.CMP_GT) // 255
    return cv2.integral(ink, sdepth=cv2.CV_32S)  # type: ignore[return-value]


def above(text: str, line: tuple[Point, Point], sizes: Sequence[float]) -> Iterator[Label]:
    """Labels above a line that goes from the left to the right: at its left, middle and right."""
    (x0, y0), (x1, y1) = line
    for size in sizes:
        width, height = plate_size(text, size)
        for left in (x0, (x0 + x1 - width) / 2, x1 - width):
            # A tilted line is highest at one of the plate's ends.
            lowest = min(float(np.interp(x, (x0, x1), (y0, y1))) for x in (left, left + width))
            plate = round(left), round(lowest - height - 1), width, height
            yield Label(text, plate, size, _penalty(size, sizes))


def around(
    text: str, box: Box, sizes: Sequence[float], gap: int, *, below: bool
) -> Iterator[Label]:
    """Labels next to a box.

    Args:
        text: what they say.
        box: what they are about, pixels.
        sizes: of the text, the best first.
        gap: distance from the box, pixels.
        below: whether below and above it come before its sides.
    """
    x, y, w, h = box
    for size in sizes:
        width, height = plate_size(text, size)
        middle, level = round(x + (w - width) / 2), round(y + (h - height) / 2)
        sides = [(x + w + gap, level), (x - gap - width, level)]
        ends = [(left, y + h + gap) for left in (middle, x, x + w - width)]
        ends += [(left, y - gap - height) for left in (middle, x, x + w - width)]
        for left, top in ends + sides if below else sides + ends:
            yield Label(
                text, (left, top, width, height), size, ASIDE_PENALTY + _penalty(size, sizes)
            )
