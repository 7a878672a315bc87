"""The ink in a strip: a plain threshold shows it, next to digits that are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F32, I32, U8, Box
from digitkit.images.cv import cv2
from digitkit.reading.detection.detections import quantile
from digitkit.reading.rows.cells import erase_cells, find_cells
from digitkit.reading.rows.ruled_lines import RuledLines, remove_lines

MIN_STROKE_LEVEL = 64
"""A pixel of a digit's crop that is brighter than this belongs to its strokes, 0–255."""

MIN_STRENGTH = 0.4
"""Ink is at least this fraction as strong as that of most pixels of the digits."""

INK_QUANTILE = 0.7
"""Fraction of the digits' pixels that are at most as strong as the ink of most of them."""

MIN_LEVELS = 10
"""Ink differs from paper by at least this many grey levels."""

PAPER_SIDE = 0.75
"""Ink is narrower than this, in heights; what is wider is paper, or a shadow on it."""

MIN_FAINT_LINE = 0.5
"""A horizontal ruled line is at least this fraction as strong as the faintest ink."""


MIN_STROKE_STRENGTH = 0.48
"""Ink of the digits' pen is at least this fraction as strong as their strokes; what is weaker is
the edge of a shadow."""


class Ink(NamedTuple):
    """What is written in a strip; all ``[height, width]`` but `lines`, `stats` and `cells`.

    Attributes:
        mask: ink without ruled lines, uint8, 0 or 1.
        lines: the ruled lines.
        strength: of the ink, bright on dark: as strong as most of the digits' is 255; uint8.
        labels: the connected piece of `mask` that a pixel is in, from 1; int32.
        stats: of the pieces as OpenCV gives them, int32 ``[N, 5]``.
        cells: of each row of cells, the strokes between and beside them, from the left.
    """

    mask: U8
    lines: RuledLines
    strength: U8
    labels: I32
    stats: I32
    cells: Sequence[Sequence[Box]] = ()


def find_edges(ink: Ink) -> F32:
    """How steep ink is at its edges, in levels per pixel, and 0 elsewhere; as large as its mask."""
    square = np.ones((3, 3), np.uint8)
    edges = cv2.subtract(cv2.dilate(ink.mask, square), cv2.erode(ink.mask, square))
    down = cv2.Sobel(ink.strength, cv2.CV_32F, 0, 1, scale=1 / 8)
    along = cv2.Sobel(ink.strength, cv2.CV_32F, 1, 0, scale=1 / 8)
    return np.asarray(cv2.magnitude(down, along) * edges, np.float32)


def find_ink(
    pixels: U8,
    digits: U8,
    is_outside: npt.NDArray[np.bool_],
    unit: float,
    are_cells: Callable[[Sequence[Box]], bool],
) -> Ink | None:
    """What is written in a strip; None where its digits do not stand out from the paper.

    Args:
        pixels: grey, uint8 ``[height, width]``.
        digits: the ink of its accepted digits, bright on dark, uint8 ``[height, width]``.
        is_outside: where it shows nothing of the image, ``[height, width]``.
        unit: height of the row's digits, pixels of the strip.
        are_cells: says whether there are cells for one digit each between strokes, from the left.
    """
    found = _threshold(pixels, digits, unit)
    if found is None:
        return None
    mask, faint, strength = found
    if is_outside.any():  # ink that the border cuts does not go on there; the paper does
        repeated = cv2.dilate(mask, np.ones((5, 5), np.uint8)) * is_outside
        strength[repeated > 0] = 0
        mask[is_outside] = faint[is_outside] = 0
    for ink in (faint, mask):
        cells = [each for each in find_cells(ink, unit) if are_cells(each.sides)]
        if cells:
            break
    for each in cells:
        erase_cells(each, digits > MIN_STROKE_LEVEL, (mask, faint, strength), unit)
    lines, labels, stats = remove_lines(mask, faint, strength, unit)
    return Ink(mask, lines, strength, labels, stats, [each.sides for each in cells])


def _threshold(pixels: U8, digits: U8, unit: float) -> tuple[U8, U8, U8] | None:
    """What is as dark, or as light, as the digits: the `Ink.mask` and `Ink.strength`.

    Between them, a mask of what may also be a fainter ruled line. None where the digits do not
    stand out from the paper.
    """
    written = np.asarray(cv2.threshold(digits, 128, 255, cv2.THRESH_BINARY)[1], np.uint8)
    blank = cv2.threshold(digits, 15, 255, cv2.THRESH_BINARY_INV)[1]
    if not cv2.countNonZero(written):
        return None
    if cv2.mean(pixels, written)[0] > cv2.mean(pixels, blank)[0]:
        pixels = cv2.bitwise_not(pixels)  # type: ignore[assignment]
    # Paper has no details, so half the size shows it.
    side = round(PAPER_SIDE * unit / 2) | 1
    half = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    paper = cv2.morphologyEx(half, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    paper = cv2.resize(paper, pixels.shape[::-1], interpolation=cv2.INTER_LINEAR)
    darkness = cv2.subtract(paper, pixels)
    levels = darkness[written > 0]
    strong, full = quantile(levels, INK_QUANTILE), quantile(levels)
    if strong < MIN_LEVELS:
        return None
    least = max(MIN_STRENGTH * strong, MIN_LEVELS)
    mask = cv2.threshold(darkness, least, 1, cv2.THRESH_BINARY)[1]
    paler = max(MIN_FAINT_LINE * least, MIN_LEVELS / 2)
    faint = cv2.threshold(darkness, paler, 1, cv2.THRESH_BINARY)[1]
    strength = cv2.convertScaleAbs(darkness, alpha=255 / full)
    return np.asarray(mask, np.uint8), np.asarray(faint, np.uint8), np.asarray(strength, np.uint8)
