"""A reading drawn onto its image."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import Any

import numpy as np

from digitkit.arrays import U8, Box
from digitkit.errors import ConfigError
from digitkit.images.cv import cv2
from digitkit.images.orientation import rotate
from digitkit.reading.confidence import format_confidence
from digitkit.reading.results import Digit, Number, Reading
from digitkit.sinks.labels import Colour, Label, LabelPlacer, Point, above, around, text_sizes
from digitkit.sinks.records import digit_label
from digitkit.sources.objects import Image, load_object

GREEN, RED, GREY = (60, 150, 30), (40, 40, 220), (110, 110, 110)
"""What is accepted and complete, what is not, and further text; BGR."""

MIN_SIDE = 480
"""Smaller images are enlarged, so that the labels are legible, pixels."""

MIN_CLEAR_CONFIDENCE = 0.99
"""Digits below this confidence are labelled with it."""

MAX_LABELS = 1000
"""Maximum number of digits that get a label; a thousand take a second."""


def draw(image: Image, reading: Reading, *, exif: bool = True) -> U8:
    """The image with its numbers and digits marked.

    Above each number there is a bracket with its text; it is dashed and red, with a ``?`` in the
    text, where the number is not complete. Each digit has a thin box; that of one that is not
    accepted is dashed and red, and says what it may be. Digits below `MIN_CLEAR_CONFIDENCE` are
    labelled with their confidence.

    Args:
        image: as it was read; whatever `Reader.read` takes, such as ``scan.tiff#2`` for a page.
        reading: what was read from it.
        exif: whether the image is turned by its EXIF orientation first; False for a `Reader` with
            a fixed `orientation`, which ignores it.

    Returns:
        uint8 ``[h, w, 3]`` BGR, upright; small images are enlarged so that the labels are
        legible.

    Raises:
        ConfigError: `reading` is not a reading.
        ImageError: `image` is not an image.
        DigitkitError: as `Reader.read` raises for images that cannot be read.
    """
    if not isinstance(reading, Reading):
        raise ConfigError(f"must be a Reading, got {type(reading).__name__}", field="reading")
    pixels = rotate(load_object(image, exif=exif).image, reading.turn)
    canvas = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR) if pixels.ndim == 2 else pixels.copy()
    ratio = max(1, -(-MIN_SIDE // max(pixels.shape[:2])))
    if ratio > 1:
        how = cv2.INTER_NEAREST if ratio > 4 else cv2.INTER_CUBIC
        canvas = cv2.resize(canvas, None, fx=ratio, fy=ratio, interpolation=how)
    _Drawing(canvas, reading, ratio).draw()
    return canvas  # type: ignore[return-value]


class _Drawing:
    """A reading that is drawn onto a canvas."""

    def __init__(self, canvas: Any, reading: Reading, ratio: int) -> None:
        self._canvas = canvas
        self._reading = reading
        self._unit = max(canvas.shape[:2]) / 640  # all is as large as on an image of 640 pixels
        self._line = max(1, round(self._unit))
        self._ratio = ratio

    def _box(self, digit: Digit) -> Box:
        """The box that is drawn around a digit, pixels of the canvas."""
        return self._enclose(digit.box)

    def _enclose(self, box: Box) -> Box:
        gap = self._line + round(self._unit)
        x, y, w, h = (side * self._ratio for side in box)
        return x - gap, y - gap, w + 2 * gap, h + 2 * gap

    def draw(self) -> None:
        """Draw brackets and boxes, then the labels, so that no neighbour's box crosses them."""
        digits, numbers = self._reading.digits, self._reading.numbers
        placer = LabelPlacer(self._canvas, [self._box(digit) for digit in digits])
        brackets = [self._bracket(number) for number in numbers]
        for bracket in brackets:
            for box in _cover(bracket, self._line):
                placer.take(box)
        for digit in digits:
            self._draw_box(digit)
        for number, bracket in zip(numbers, brackets, strict=True):
            self._draw_bracket(number, bracket)
        labels = [
            (self._number_label(number, bracket, placer), _number_colour(number))
            for number, bracket in zip(numbers, brackets, strict=True)
        ]
        uncertain = [d for d in digits if not d.accepted or d.confidence < MIN_CLEAR_CONFIDENCE]
        for digit in uncertain[:MAX_LABELS]:
            label = self._digit_label(digit, placer)
            if label is not None:
                labels.append((label, _digit_colour(digit)))
        for label, colour in labels:
            label.draw(self._canvas, colour)

    def _bracket(self, number: Number) -> tuple[Point, Point]:
        """The line above a number's digits, from the left to the right; tilted as they are."""
        boxes = np.array([self._box(digit) for digit in number.digits], np.float64)
        along = np.array([1.0, 0.0])
        if all(digit.level_box is None for digit in number.digits):
            # With all that belongs to it: a minus, a point, ink that cannot be read.
            boxes = np.vstack([boxes, self._enclose(number.box)])
        elif len(boxes) > 1:
            centres = boxes[:, :2] + boxes[:, 2:] / 2
            along = centres[centres[:, 0].argmax()] - centres[centres[:, 0].argmin()]
            along /= max(1e-9, float(np.hypot(*along)))
        up = np.array([along[1], -along[0]])
        corners = np.concatenate(
            [boxes[:, :2] + boxes[:, 2:] * corner for corner in ((0, 0), (1, 0), (0, 1), (1, 1))]
        )
        across, height = corners @ along, (corners @ up).max() + self._line + 1.5 * self._unit
        ends = [end * along + height * up for end in (across.min(), across.max())]
        (x0, y0), (x1, y1) = ends
        return (float(x0), float(y0)), (float(x1), float(y1))

    def _draw_bracket(self, number: Number, bracket: tuple[Point, Point]) -> None:
        start, end = np.array(bracket)
        along = (end - start) / max(1e-9, float(np.hypot(*(end - start))))
        tick = np.array([-along[1], along[0]]) * (self._line + 3 * self._unit)
        points = [start + tick, start, end, end + tick]
        self._draw_path(points, _number_colour(number), solid=number.complete, bold=True)

    def _draw_box(self, digit: Digit) -> None:
        x, y, w, h = self._box(digit)
        right, bottom = x + w - 1, y + h - 1
        corners = [(x, y), (right, y), (right, bottom), (x, bottom), (x, y)]
        points = [np.array(corner, np.float64) for corner in corners]
        self._draw_path(points, _digit_colour(digit), solid=digit.accepted)

    def _draw_path(
        self, points: list[Any], colour: Colour, *, solid: bool, bold: bool = False
    ) -> None:
        """Draw a line from point to point; dashed if it is not to be solid."""
        width = self._line + (bold and self._line > 1)
        paths = [points] if solid else _dashes(points, 3 + 3 * self._unit)
        for path in paths:
            corners = np.rint(path).astype(np.int32)
            cv2.polylines(self._canvas, [corners], False, colour, width, cv2.LINE_AA)

    def _smallest(self, height: float) -> float:
        """Height of the smallest text next to digits of a height, pixels."""
        return float(min(5.5 * self._unit, 0.5 * height))

    def _number_label(
        self, number: Number, bracket: tuple[Point, Point], placer: LabelPlacer
    ) -> Label:
        heights = [self._box(digit)[3] for digit in number.digits]
        height = float(np.median(heights))
        sizes = text_sizes(
            min(max(0.45 * height, 11 * self._unit), 26 * self._unit),
            self._smallest(height),
        )
        (x0, y0), (x1, y1) = bracket
        bottom = max(y + h for _, y, _, h in (self._box(digit) for digit in number.digits))
        top = min(y0, y1)
        box = round(x0), round(top), round(x1 - x0), round(bottom - top)
        text = number.text
        label, _ = placer.place(
            chain(
                above(text, bracket, sizes),
                around(text, box, sizes, self._line + 1, below=False),
            )
        )
        placer.take(label.plate)
        return label

    def _digit_label(self, digit: Digit, placer: LabelPlacer) -> Label | None:
        """What a digit may be, and its confidence; None where there is no room for that alone."""
        box = self._box(digit)
        percent = format_confidence(digit.confidence, 0)
        sizes = text_sizes(
            min(max(0.26 * box[3], 8.5 * self._unit), 18 * self._unit),
            self._smallest(box[3]),
        )
        texts = [percent] if digit.accepted else [f"{digit_label(digit)} {percent}"]
        if not digit.accepted:
            texts.append(digit_label(digit))
        choices = chain(*(around(text, box, sizes, 1, below=True) for text in texts))
        label, is_free = placer.place(choices)
        if digit.accepted and not is_free:
            return None
        placer.take(label.plate)
        return label


def _digit_colour(digit: Digit) -> Colour:
    return GREEN if digit.accepted else RED


def _number_colour(number: Number) -> Colour:
    return GREEN if number.complete else RED


def _cover(bracket: tuple[Point, Point], width: int) -> list[Box]:
    """Boxes that cover a bracket; several for a tilted one."""
    (x0, y0), (x1, y1) = bracket
    count = 1 if y0 == y1 else max(1, round((x1 - x0) / 8))
    ends = np.linspace((x0, y0), (x1, y1), count + 1)
    boxes = []
    for (left, a), (right, b) in pairwise(ends):
        box = left, min(a, b) - width / 2, right - left, abs(a - b) + width
        boxes.append((round(box[0]), round(box[1]), max(1, round(box[2])), max(1, round(box[3]))))
    return boxes


def _dashes(points: list[Any], dash: float) -> list[list[Any]]:
    """The parts of a path that are drawn where it is dashed: each of its lines begins and ends."""
    parts = []
    for start, end in pairwise(points):
        length = float(np.hypot(*(end - start)))
        count = max(1, round((length / dash + 1) / 2))  # dashes, with one gap less between them
        step = length / (2 * count - 1)
        along = (end - start) / max(1e-9, length)
        parts += [
            [start + along * step * 2 * i, start + along * step * (2 * i + 1)] for i in range(count)
        ]
    return parts
