"""Faint vertical lines of a grid that has dark ones, too, such as the thin lines of a Sudoku."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from digitkit.arrays import F64, U8
from digitkit.images.cv import cv2
from digitkit.images.masks import find_runs

AVERAGED_ROWS = 4
"""So many rows of a strip are averaged: a line may be weaker than noise, but it is long."""

SLOPES = np.linspace(-0.12, 0.12, 7)
"""Slopes that are tried, pixels to the right for one pixel down."""

MIN_SEEN = 0.85
"""Minimum fraction of a strip's height in which a line is seen."""

MIN_CONTRAST, MIN_NOISE_RATIO = 0.04, 5.0
"""A line exceeds what is beside it by at least the first number times the strength of the digits,
and by at least the second one times what places so far apart usually differ by."""

BACKGROUND_DISTANCE = 0.14
"""Distance of what is beside a line, in heights."""

DARK_CONTRAST, MIN_DARK = 0.4, 2
"""A grid has at least so many lines whose contrast is at least this fraction of the digits'
strength. Exercise paper has one, at its margin."""

MAX_INK, MIN_INKED_CONTRAST = 0.2, 0.25
"""A column of which at least the first fraction is ink belongs to writing, unless a line through it
exceeds what is beside it by the second fraction of the digits' strength."""

MIN_PITCH = 1.2
"""Minimum distance that most lines of a grid have from each other, in heights. The squares of
exercise paper are narrower, and numbers are written across them."""


class Contrast(NamedTuple):
    """How much stronger a strip is along a line through each of its columns than beside it.

    Attributes:
        levels: 255 as strong as the digits, 0 if it is not stronger, float64 ``[width]``.
        slopes: of these lines, pixels to the right for one pixel down, float64 ``[width]``.
        noise: by how much places usually differ that are as far apart as a line and what is beside
            it, levels.
    """

    levels: F64
    slopes: F64
    noise: float


def find_faint_lines(strength: U8, ink: U8, dark: U8, unit: float) -> U8:
    """The faint vertical lines of a strip with dark ones, uint8 ``[height, width]``, 0 or 1.

    Args:
        strength: as `Ink.strength`, uint8 ``[height, width]``.
        ink: its ink without dark lines, uint8 ``[height, width]``, 0 or 1.
        dark: its dark vertical lines, uint8 ``[height, width]``, 0 or 1.
        unit: height of the row's digits, pixels of the strip.
    """
    found = np.zeros_like(dark)
    height, aside = len(dark), round(BACKGROUND_DISTANCE * unit)
    levels, slopes, noise = _measure_contrast(strength, aside)
    is_inked = (ink.mean(0, keepdims=True) >= MAX_INK).astype(np.uint8)
    is_near_ink = cv2.dilate(is_inked, np.ones((1, aside | 1), np.uint8))[0] > 0
    levels[is_near_ink & (levels < MIN_INKED_CONTRAST * 255)] = 0
    runs = find_runs(levels >= max(MIN_CONTRAST * 255, MIN_NOISE_RATIO * noise)).tolist()
    lines = [start + int(levels[start:end].argmax()) for start, end in runs]
    is_dark = levels[lines] >= DARK_CONTRAST * 255
    if is_dark.sum() < MIN_DARK or np.median(np.diff(lines)) < MIN_PITCH * unit:
        return found
    for x in np.array(lines)[~is_dark].tolist():
        if not dark[:, max(0, x - aside) : x + aside + 1].any():
            lean = float(slopes[x]) * height / 2
            cv2.line(found, (round(x - lean), 0), (round(x + lean), height - 1), 1)
    return found


def _measure_contrast(strength: U8, aside: int) -> Contrast:
    """Compare each column of a strip, upright and leaning, with those beside it.

    Args:
        strength: uint8 ``[height, width]``.
        aside: distance of those beside it, pixels.
    """
    width, count = strength.shape[1], max(1, len(strength) // AVERAGED_ROWS)
    rows = cv2.resize(strength, (width, count), interpolation=cv2.INTER_AREA)
    hidden = int((1 - MIN_SEEN) * count)
    levels, slopes, noise = np.zeros(width), np.zeros(width), 0.0
    for slope in SLOPES.tolist():
        shear = np.array(
            [[1, slope * AVERAGED_ROWS, -slope * AVERAGED_ROWS * (count - 1) / 2], [0, 1, 0]]
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        upright = cv2.warpAffine(
            rows, shear, (width, count), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        seen = np.partition(upright, hidden, axis=0)[hidden].astype(np.float64)
        beside = np.pad(seen, aside, mode="edge")
        before, after = beside[: -2 * aside], beside[2 * aside :]
        if slope == 0:
            noise = float(np.median(np.abs(seen - before)))
        contrast = seen - np.maximum(before, after)
        slopes[contrast > levels] = slope
        levels = np.maximum(levels, contrast)
    return Contrast(levels, slopes, noise)
