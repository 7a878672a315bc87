"""A reading drawn onto its image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from digitkit.arrays import U8, Box
from digitkit.images.cv import cv2
from digitkit.images.orientation import rotate
from digitkit.reading.detections import overlaps
from digitkit.reading.results import Digit, Reading
from digitkit.sinks.records import digit_label

GREEN, RED, GREY = (60, 150, 30), (40, 40, 220), (110, 110, 110)
"""Accepted digits, those that are not, and further text; BGR."""

FONT = cv2.FONT_HERSHEY_DUPLEX

MIN_SIDE = 480
"""Smaller images are enlarged, so that the labels are legible, pixels."""


def draw(image: U8, reading: Reading) -> U8:
    """The image with each digit boxed and labelled with what was read and its confidence.

    Args:
        image: uint8 ``[H, W]`` or ``[H, W, 3]``, as the source decoded it.
        reading: what was read from it.

    Returns:
        uint8 ``[h, w, 3]`` BGR, upright; small images are enlarged so that the labels are
        legible.
    """
    image = rotate(image, reading.turn)
    canvas = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image.copy()
    ratio = max(1, -(-MIN_SIDE // max(image.shape[:2])))
    if ratio > 1:
        how = cv2.INTER_NEAREST if ratio > 4 else cv2.INTER_CUBIC
        canvas = cv2.resize(canvas, None, fx=ratio, fy=ratio, interpolation=how)
    unit = max(canvas.shape[:2]) / 640  # labels are as large as on an image of 640 pixels
    line = max(1, round(1.6 * unit))
    boxes = [
        (x * ratio, y * ratio, w * ratio, h * ratio)
        for x, y, w, h in (digit.box for digit in reading.digits)
    ]
    gap = line + round(2 * unit)
    for digit, (x, y, w, h) in zip(reading.digits, boxes, strict=True):
        corner, opposite = (x - gap, y - gap), (x + w + gap - 1, y + h + gap - 1)
        cv2.rectangle(canvas, corner, opposite, _colour(digit), line, cv2.LINE_AA)
    # Labels come after all boxes, so that no neighbour's box crosses them.
    for digit, label in zip(
        reading.digits, _place_labels(reading.digits, boxes, unit, line, canvas.shape), strict=True
    ):
        label.draw(canvas, _colour(digit))
    return canvas  # type: ignore[return-value]


def _colour(digit: Digit) -> tuple[int, int, int]:
    return GREEN if digit.accepted else RED


@dataclass(frozen=True)
class _Label:
    """White text on a filled rectangle.

    Attributes:
        text: what it says.
        plate: the rectangle.
        size: height of the text, pixels.
    """

    text: str
    plate: Box
    size: int

    @classmethod
    def place(cls, text: str, box: Box, size: int, line: int, shape: Sequence[int]) -> _Label:
        """Above a box, or below it at the image's upper border."""
        x, y, _, h = box
        thickness, pad = max(1, round(size / 14)), max(2, size // 6)
        (text_width, text_height), _ = cv2.getTextSize(text, FONT, size / 30, thickness)
        width, height = text_width + 2 * pad, text_height + 2 * pad
        top = y - line - height - pad
        if top < 0:
            top = min(y + h + 2 * pad, shape[0] - height)
        left = min(max(0, x - line), max(0, shape[1] - width))
        return cls(text, (left, top, width, height), size)

    def draw(self, canvas: Any, colour: tuple[int, int, int]) -> None:
        """Draw onto an image."""
        left, top, width, height = self.plate
        thickness, pad = max(1, round(self.size / 14)), max(2, self.size // 6)
        cv2.rectangle(canvas, (left, top), (left + width, top + height), colour, -1)
        at, white = (left + pad, top + height - pad), (255, 255, 255)
        cv2.putText(canvas, self.text, at, FONT, self.size / 30, white, thickness, cv2.LINE_AA)


def _place_labels(
    digits: Sequence[Digit], boxes: Sequence[Box], unit: float, line: int, shape: Sequence[int]
) -> list[_Label]:
    """One label per digit: with its confidence where there is room, else the digit alone."""
    short, long = [], []
    for digit, box in zip(digits, boxes, strict=True):
        name = digit_label(digit)
        percent = min(int(100 * digit.confidence), 99)  # rounded down, so never up to 100%
        size = round(min(max(0.32 * box[3], 11 * unit), 26 * unit))
        short.append(_Label.place(name, box, size, line, shape))
        long.append(_Label.place(f"{name} {percent}%", box, size, line, shape))
    placed: list[_Label] = []
    for i, label in enumerate(long):
        others = [box for k, box in enumerate(boxes) if k != i]
        others += [other.plate for other in short[i + 1 :]]
        others += [other.plate for other in placed]
        crowded = any(overlaps(label.plate, other) for other in others)
        placed.append(short[i] if crowded else label)
    return placed
