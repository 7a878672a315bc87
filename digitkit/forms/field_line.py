"""A field's handwriting, read as a whole by the line reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from digitkit.arrays import F32, U8, Box
from digitkit.forms.field_ink import FieldInk, to_region
from digitkit.images.cv import cv2
from digitkit.reading.combining import Weights
from digitkit.reading.line_reader import COLUMN, HEIGHT, UNIT, LineReader
from digitkit.reading.lines import find_peaks, look_up

TALL = 0.55
"""Digits are at least this high, relative to the highest ink of their field."""

BRIGHT = 85
"""So much of the ink, in percent, is at most as dark as full ink."""

FIELD_WEIGHTS = Weights(1.0, 0.5, 0.0)
"""How much classifier and line reader count."""

Place = tuple[float, float, float, float]
"""A box of the reference: left, top, width and height, pixels."""


@dataclass(frozen=True)
class FieldLine:
    """What the line reader sees in a field.

    Attributes:
        seen: the probabilities of all classes at each place, float32 ``[13]``; None for one that is
            outside.
        digits: x of the middle of each digit that it sees between the field's left and right edge,
            pixels of the reference.
    """

    seen: tuple[F32 | None, ...] = field(default=(), repr=False)
    digits: tuple[float, ...] = ()


def read_field(
    reader: LineReader, ink: FieldInk, box: Box, level: float, places: Sequence[Place]
) -> FieldLine:
    """Read a field as a whole.

    Args:
        reader: the network.
        ink: of the field.
        box: of the field.
        level: from which darkness on it is ink.
        places: the boxes of what may be digits.
    """
    if not places:
        return FieldLine()
    boxes = np.array(places, np.float64)
    tall = boxes[boxes[:, 3] >= TALL * boxes[:, 3].max()]
    height = float(np.median(tall[:, 3])) * ink.ratio
    middle = (float(np.median(tall[:, 1] + tall[:, 3] / 2)) - ink.origin[1]) * ink.ratio
    scale = UNIT / max(height, 1.0)
    line = reader.read(_to_line(ink.ink, level, scale, middle))
    centres = (boxes[:, 0] + boxes[:, 2] / 2 - ink.origin[0]) * ink.ratio
    left, _, right, _ = to_region(box, ink)
    peaks = find_peaks(line, 1 / scale, height)
    return FieldLine(
        tuple(look_up(line, x * scale) for x in centres.tolist()),
        tuple(ink.origin[0] + peak.x / ink.ratio for peak in peaks if left <= peak.x <= right),
    )


def _to_line(ink: U8, level: float, scale: float, middle: float) -> U8:
    """The ink as the line reader takes it, with the middle of its digits in the middle."""
    strong = ink[ink >= level]
    full = float(np.percentile(strong, BRIGHT)) if len(strong) else 255.0
    bright = cv2.convertScaleAbs(ink, alpha=255 / max(full, 1.0))
    columns = max(1, round(ink.shape[1] * scale / COLUMN))
    matrix = np.array([[scale, 0, 0], [0, scale, HEIGHT / 2 - scale * middle]])
    if scale < 1:  # without aliasing
        bright = cv2.GaussianBlur(bright, (0, 0), 0.4 / scale)
    return np.asarray(cv2.warpAffine(bright, matrix, (columns * COLUMN, HEIGHT)), np.uint8)
