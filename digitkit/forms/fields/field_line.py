"""A field's handwriting, read as a whole by the line reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from digitkit.arrays import F32, U8, Box
from digitkit.forms.fields.field_ink import FieldInk, Place
from digitkit.images.cv import cv2
from digitkit.images.masks import find_runs
from digitkit.reading.networks.combining import Weights
from digitkit.reading.networks.line_reader import (
    COLUMN_STRIDE,
    DIGIT_HEIGHT,
    HEIGHT,
    POINT,
    SIGN,
    SPOILED,
    LineReader,
)
from digitkit.reading.rows.lines import MIN_DIGIT_DISTANCE, find_peaks, look_up

MIN_DIGIT_HEIGHT = 0.55
"""Digits are at least this high, relative to the highest ink of their field."""

INK_PERCENTILE = 85
"""So much of the ink, in percent, is at most as dark as full ink."""

MIN_FIELD_SPOILED = 0.97
"""Probability from which on a digit is taken for one that is struck out or written over, 0–1;
higher than on pages, as remainders of print look alike."""

MIN_POINT = 0.5
"""Probability from which on the line reader sees a decimal separator, 0–1."""

FIELD_WEIGHTS = Weights(1.0, 0.5, 0.0)
"""How much classifier and line reader count."""


@dataclass(frozen=True)
class FieldLine:
    """What the line reader sees in a field.

    Attributes:
        probabilities: as `LineReader.read` returns them, float32 ``[15, C]``; C is 0 of an empty
            field.
        start: x of the first column's left side, pixels of the reference.
        scale: pixels of the line reader's input per pixel of the reference.
        digits: x of the middle of each digit that it sees between the field's left and right edge,
            pixels of the reference.
    """

    probabilities: F32 = field(
        default_factory=lambda: np.zeros((SPOILED + 1, 0), np.float32), repr=False
    )
    start: float = 0.0
    scale: float = 1.0
    digits: tuple[float, ...] = ()

    @property
    def points(self) -> tuple[float, ...]:
        """The decimal separators that it sees between its digits: x, pixels of the reference."""
        runs = find_runs(self.probabilities[POINT] >= MIN_POINT)
        column = COLUMN_STRIDE / self.scale
        middles = (self.start + (start + end) / 2 * column for start, end in runs)
        return tuple(x for x in middles if self.digits and self.digits[0] < x < self.digits[-1])

    def look_up(self, place: Place) -> F32 | None:
        """What the line reader sees in the middle of a box, float32 ``[15]``; None outside."""
        x, _, width, _ = place
        return look_up(self.probabilities, (x + width / 2 - self.start) * self.scale)


def read_field(
    reader: LineReader, ink: FieldInk, box: Box, threshold: float, places: Sequence[Place]
) -> FieldLine:
    """Read a field as a whole.

    Args:
        reader: the network.
        ink: of the field.
        box: of the field.
        threshold: minimum darkness of ink, 0–255.
        places: the boxes of its ink.
    """
    if not places:
        return FieldLine()
    boxes = np.array(places, np.float64)
    tall = boxes[boxes[:, 3] >= MIN_DIGIT_HEIGHT * boxes[:, 3].max()]
    height = float(np.median(tall[:, 3])) * ink.ratio
    middle = (float(np.median(tall[:, 1] + tall[:, 3] / 2)) - ink.origin[1]) * ink.ratio
    scale = DIGIT_HEIGHT / max(height, 1.0)
    line = reader.read(_to_line(ink.ink, threshold, scale, middle))
    left, _, right, _ = ink.to_pixels(box)
    digits = list[float]()
    for peak in find_peaks(line, 1 / scale, height):
        # Peaks of 1s that are so close to each other belong to one digit.
        is_apart = not digits or peak.x - digits[-1] > MIN_DIGIT_DISTANCE * height
        if left <= peak.x <= right and is_apart:
            digits.append(peak.x)
    middles = tuple(ink.origin[0] + x / ink.ratio for x in digits)
    return FieldLine(line, ink.origin[0], scale * ink.ratio, middles)


def sees_other(probabilities: F32 | None, digit: int, least: float) -> bool:
    """Whether the line reader sees another digit.

    Args:
        probabilities: what the line reader sees at a digit, float32 ``[15]``; None outside.
        digit: what is read, 0–9.
        least: probability from which the line reader sees a digit, 0–1.
    """
    if probabilities is None:
        return False
    other = int(probabilities[:SIGN].argmax())
    return other != digit and bool(probabilities[other] > least)


def _to_line(ink: U8, threshold: float, scale: float, middle: float) -> U8:
    """The ink as the line reader takes it, with the middle of its digits in the middle."""
    strong = ink[ink >= threshold]
    full = float(np.percentile(strong, INK_PERCENTILE)) if len(strong) else 255.0
    bright = cv2.convertScaleAbs(ink, alpha=255 / max(full, 1.0))
    columns = max(1, round(ink.shape[1] * scale / COLUMN_STRIDE))
    matrix = np.array([[scale, 0, 0], [0, scale, HEIGHT / 2 - scale * middle]])
    if scale < 1:  # without aliasing
        bright = cv2.GaussianBlur(bright, (0, 0), 0.4 / scale)
    return np.asarray(cv2.warpAffine(bright, matrix, (columns * COLUMN_STRIDE, HEIGHT)), np.uint8)
