"""Pieces of ink in and around a field: which are remainders of print, its own, or cut off."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from digitkit.arrays import I32, U8, Box
from digitkit.forms.fields.field_ink import FieldInk
from digitkit.images.cv import cv2
from digitkit.images.masks import connected_components
from digitkit.reading.detection.detections import quantile

BESIDE_HEIGHTS = (0.5, 1.6)
"""Minimum and maximum height of ink beside a field that may belong to its number, in heights of the
number's digits. Lines of the print do not belong to it."""

MAX_LEVEL = 0.3
"""The middle of such ink is at most so far above or below that of the digits, in their heights."""

MAX_NEAR_GAP = 0.35
"""Ink in another field may belong to a number that is closer, in heights of its digits."""

MIN_REACH = 0.25
"""Minimum height within the field of a piece of ink that continues beyond what was cut out, in
heights of the field."""

MIN_ASTRIDE_HEIGHT, MIN_ASTRIDE = 0.4, 0.25
"""Minimum height of a piece of ink that may be a digit of a field though most of it is above or
below, in heights of the field; and the minimum share of its height within the field."""

OVER_EDGE = "ink reaches over its edge"
"""Why a field is doubtful to which more ink belongs than is read."""

MAX_RESIDUE = 1.6
"""Ink next to print is a remainder of it, if it is paler than this many times the threshold."""

MAX_THIN_LINE, MAX_DARK_THIN_LINE = 2.3, 1.8
"""A line next to print that is less than so many pixels wide is a remainder of it, too; the second
number is for a dark line."""

MIN_DARK_LINE = 0.45
"""A line is dark if it is at least this share as dark as the print."""

SOFT_EDGE = 0.1
"""Ink in a digit's edge that is left out, as a share of its darkness."""


def find_residue(
    field_ink: FieldInk, labels: I32, stats: I32, threshold: float
) -> npt.NDArray[np.bool_]:
    """Which connected pieces of ink are remainders of print: next to it, and pale or thin.

    Args:
        field_ink: the field's ink.
        labels: of its pieces, int32 ``[h, w]``.
        stats: of the pieces, as OpenCV gives them, int32 ``[N, 5]``.
        threshold: minimum darkness of ink, 0–255.
    """
    count = len(stats)
    flat = labels.ravel()
    area = np.maximum(stats[:, cv2.CC_STAT_AREA], 1)
    beside = np.bincount(flat, field_ink.near.ravel(), count) / area
    darkness = np.bincount(flat, field_ink.ink.ravel(), count) / area
    side = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    pale = (beside > 0.7) & (darkness < MAX_RESIDUE * threshold)
    width = np.where(
        darkness < MIN_DARK_LINE * field_ink.print_level, MAX_THIN_LINE, MAX_DARK_THIN_LINE
    )
    thin = (beside > 0.9) & (area < width * side)
    return np.asarray(pale | thin)


def is_beside(
    field_ink: FieldInk, box: Box, stats: I32, kept: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Which pieces of ink left and right of a field are as high as its digits, and level with them.

    Args:
        field_ink: the field's ink.
        box: of the field, pixels of the reference.
        stats: of the pieces, as OpenCV gives them, int32 ``[N, 5]``.
        kept: which are the field's own, bool ``[N]``.
    """
    if not kept.any():
        return np.zeros_like(kept)
    left, _, right, _ = field_ink.to_pixels(box)
    x, y = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
    w, h = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    height = float(np.median(h[kept][h[kept] >= BESIDE_HEIGHTS[0] * h[kept].max()]))
    middle = float(np.median((y + h / 2)[kept]))
    across, down = (x + w // 2).clip(0, field_ink.ink.shape[1] - 1), y + h // 2
    is_level = np.abs(down - middle) <= MAX_LEVEL * height
    is_out = (across < left) | (across > right)
    is_free = ~is_in_other_field(field_ink, stats)
    start, end = x[kept].min(), (x + w)[kept].max()
    is_close = np.maximum(x - end, start - x - w) < MAX_NEAR_GAP * height
    is_digit = (h >= BESIDE_HEIGHTS[0] * height) & (h <= BESIDE_HEIGHTS[1] * height)
    return np.asarray(is_out & (is_free | is_close) & is_level & is_digit & ~kept)


def is_in_other_field(field_ink: FieldInk, stats: I32) -> npt.NDArray[np.bool_]:
    """Which pieces of ink have their middle in another field.

    Args:
        field_ink: the field's ink.
        stats: of the pieces, as OpenCV gives them, int32 ``[N, 5]``.
    """
    x, y, w, h, _ = stats.T
    height, width = field_ink.others.shape
    middles = (y + h // 2).clip(0, height - 1), (x + w // 2).clip(0, width - 1)
    return np.asarray(field_ink.others[middles] > 0)


def is_astride(
    field_ink: FieldInk, box: Box, stats: I32, kept: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Which high pieces of ink are partly in a field, and mostly above or below it.

    Args:
        field_ink: the field's ink.
        box: of the field, pixels of the reference.
        stats: of the pieces, as OpenCV gives them, int32 ``[N, 5]``.
        kept: which are the field's own, bool ``[N]``.
    """
    left, top, right, bottom = field_ink.to_pixels(box)
    x, y, w, h, _ = stats.T
    across = x + w // 2
    inside = np.minimum(y + h, bottom) - np.maximum(y, top)
    is_high = (h >= MIN_ASTRIDE_HEIGHT * (bottom - top)) & (inside >= MIN_ASTRIDE * h)
    is_free = (across > left) & (across < right) & ~is_in_other_field(field_ink, stats)
    return np.asarray(is_free & is_high & ~kept)


def is_cut_off(field_ink: FieldInk, box: Box, threshold: float) -> bool:
    """Whether ink of the field continues above or below what was cut out.

    Args:
        field_ink: the field's ink.
        box: of the field, pixels of the reference.
        threshold: minimum darkness of ink, 0–255.
    """
    left, top, right, bottom = field_ink.to_pixels(box)
    columns = slice(max(0, round(left)), round(right))
    if not (field_ink.ink[[0, -1], columns] >= threshold).any():
        return False
    labels, stats = connected_components((field_ink.ink >= threshold).astype(np.uint8))
    _, y, _, h, _ = stats.T
    reach = MIN_REACH * (bottom - top)
    is_off = (y == 0) & (y + h > top + reach)
    is_off |= (y + h == len(field_ink.ink)) & (y < bottom - reach)
    is_off &= ~find_residue(field_ink, labels, stats, threshold)
    is_off[0] = False  # the paper
    return bool(is_off[labels[[0, -1], columns]].any())


def own_ink(ink: U8, mine: U8) -> U8:
    """A digit's ink alone, at full contrast, with the soft edges of its strokes; uint8."""
    near = cv2.dilate(mine, np.ones((3, 3), np.uint8))
    strong = ink[mine > 0]
    contrast = max(1.0, quantile(strong))
    values = np.where(near > 0, ink, 0) * (255 / contrast)
    return np.asarray(np.where(values < SOFT_EDGE * 255, 0, values).clip(0, 255), np.uint8)
