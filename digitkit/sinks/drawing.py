"""A reading drawn onto its image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from digitkit.arrays import U8, Box
from digitkit.images.opencv import cv2
from digitkit.images.orientation import rotate
from digitkit.reading.results import Reading
from digitkit.sinks.lines import digit_label

GREEN, RED, GREY = (60, 150, 30), (40, 40, 220), (110, 110, 110)


def draw(image: U8, reading: Reading) -> U8:
    """The picture with a box around each digit and a tag that says what was read, and how surely.

    Args:
        image: uint8 ``[H, W]`` or ``[H, W, 3]``, as the source gave it.
        reading: what was read from it.

    Returns:
        uint8 ``[h, w, 3]`` BGR, upright; small pictures are enlarged, so that the marks can be
        read.
    """
    from digitkit.reading.detections import overlaps

    image = rotate(image, reading.turn)
    canvas = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image.copy()
    ratio = max(1, -(-480 // max(image.shape[:2])))
    if ratio > 1:
        how = cv2.INTER_NEAREST if ratio > 4 else cv2.INTER_CUBIC
        canvas = cv2.resize(canvas, None, fx=ratio, fy=ratio, interpolation=how)
    long = max(canvas.shape[:2])
    unit = long / 640  # marks are as large as on a picture of 640 pixels
    line = max(1, round(1.6 * unit))
    boxes = [
        (x * ratio, y * ratio, w * ratio, h * ratio)
        for x, y, w, h in (digit.box for digit in reading.digits)
    ]
    for digit, (x, y, w, h) in zip(reading.digits, boxes, strict=True):
        colour = GREEN if digit.accepted else RED
        gap = line + round(2 * unit)
        cv2.rectangle(
            canvas,
            (x - gap, y - gap),
            (x + w + gap - 1, y + h + gap - 1),
            colour,
            line,
            cv2.LINE_AA,
        )
    # Tags come after all boxes, so that none is crossed out by a neighbour's. Each says as much as
    # there is room for: at least the digit, then how surely.
    tags = []
    for digit, box in zip(reading.digits, boxes, strict=True):
        name = digit_label(digit)
        # Rounded down, so never up to certainty.
        texts = (name, f"{name} {min(int(100 * digit.confidence), 99)}%")
        tall = round(min(max(0.32 * box[3], 11 * unit), 26 * unit))
        tags.append([_Tag.of(text, box, tall, line, canvas.shape) for text in texts])
    for i, (digit, versions) in enumerate(zip(reading.digits, tags, strict=True)):
        others = [box for k, box in enumerate(boxes) if k != i]
        others += [other[0].plate for k, other in enumerate(tags) if k > i]
        others += [other[-1].plate for other in tags[:i]]
        while len(versions) > 1 and any(overlaps(versions[-1].plate, other) for other in others):
            versions.pop()
        versions[-1].draw(canvas, GREEN if digit.accepted else RED)
    return canvas  # type: ignore[return-value]


@dataclass(frozen=True)
class _Tag:
    """White text on a plate: x, y, width and height, pixels."""

    text: str
    plate: Box
    tall: int

    @classmethod
    def of(cls, text: str, box: Sequence[int], tall: int, line: int, shape: Sequence[int]) -> _Tag:
        """Above a box, or below it at the picture's upper border."""
        x, y, _, h = box
        thick, pad = max(1, round(tall / 14)), max(2, tall // 6)
        (wide, high), _ = cv2.getTextSize(text, FONT, tall / 30, thick)
        width, height = wide + 2 * pad, high + 2 * pad
        top = y - line - height - pad
        if top < 0:
            top = min(y + h + 2 * pad, shape[0] - height)
        return cls(
            text, (min(max(0, x - line), max(0, shape[1] - width)), top, width, height), tall
        )

    def draw(self, canvas: Any, colour: tuple[int, int, int]) -> None:
        """Onto the picture."""
        left, top, width, height = self.plate
        thick, pad = max(1, round(self.tall / 14)), max(2, self.tall // 6)
        cv2.rectangle(canvas, (left, top), (left + width, top + height), colour, -1)
        at = (left + pad, top + height - pad)
        size = self.tall / 30
        cv2.putText(canvas, self.text, at, FONT, size, (255, 255, 255), thick, cv2.LINE_AA)


FONT = cv2.FONT_HERSHEY_DUPLEX
