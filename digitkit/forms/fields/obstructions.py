"""What makes a field doubtful: a line that crosses out its number, an object that covers a part, or
something written in paler ink than the rest of the form.
"""

from __future__ import annotations

import numpy as np

from digitkit.arrays import U8, Box
from digitkit.forms.fields.field_ink import MIN_DARKNESS, FieldInk
from digitkit.forms.fields.ink_pieces import find_residue, is_in_other_field
from digitkit.images.cv import cv2
from digitkit.images.masks import connected_components

CROSSED_OUT = "is crossed out"
"""Why a field is doubtful through whose number a line goes."""

MIN_CROSSING_LENGTH = 2.0
"""Minimum length of a straight line that crosses out a number, in heights of the field."""

LINE_SLOPES = np.deg2rad(np.arange(-12, 13, 2))
"""Slopes of a line that crosses out a number, radians; a pen is wide enough for those between."""

MIN_EDGE_DISTANCE = 0.2
"""Minimum distance of a line that crosses out a number from the upper and lower edge of the field,
in its heights."""

MIN_EDGE_INK = 0.5
"""A piece of ink is the edge of an object if more than this share of it is."""

EDGE_HEIGHT = 0.3
"""Minimum height of a piece of ink that is the edge of an object, in heights of the field."""

CORRECTED_REASON = "has a smaller digit above, which may correct it"
"""Why a field is doubtful above one of whose digits a small one is written."""

MIN_OWN_HEIGHT, MIN_OWN_BOTTOM, MAX_OWN_BELOW = 0.35, 0.45, 0.15
"""Minimum height of a digit of the field, minimum distance of its lower end below the field's upper
edge, and maximum distance of its middle below the lower edge; in heights of the field."""

MIN_NOTE_SIDE, NOTE_SIZES, MAX_NOTE_WIDTH = 0.2, (0.3, 0.8), 1.6
"""Minimum longer side of a small digit above another, in heights of the field; minimum and maximum
height, in the usual height of the field's digits; maximum width, in its own height."""

MIN_NOTE_WITHIN, MAX_NOTE_OVERLAP, MAX_NOTE_GAP = 0.4, 0.3, 0.5
"""Minimum share of its width that is above the other, by how much it may reach into that, and its
maximum distance; in heights of the other."""

PALE_HEIGHTS = 0.3, 0.95
"""A piece of paler ink between these heights may be a digit, in heights of the field."""


def find_obstruction(field_ink: FieldInk, box: Box, threshold: float) -> str | None:
    """Why a field is doubtful, in words; None if nothing is wrong with it.

    It is partly covered or crossed out, a small digit is above one, or paler ink than that of the
    form may be a digit.

    Args:
        field_ink: the field's ink.
        box: of the field, pixels of the reference.
        threshold: minimum darkness of ink, 0–255.
    """
    left, top, right, bottom = (max(0, round(end)) for end in field_ink.to_pixels(box))
    part = slice(top, bottom), slice(left, right)
    ink = (field_ink.ink[part] >= threshold).astype(np.uint8)
    if field_ink.edges is not None and _is_covered(
        ink, field_ink.edges[part], field_ink.near[part]
    ):
        return "is partly covered"
    if _is_crossed_out(ink):
        return CROSSED_OUT
    if _is_corrected_above(field_ink, box, threshold):
        return CORRECTED_REASON
    return "has paler ink, which is not read" if _has_paler_ink(field_ink, box, threshold) else None


def _is_covered(ink: U8, edges: U8, near: U8) -> bool:
    """Whether the edge of a large dark object, such as a finger, is in a field.

    Args:
        ink: in the field, uint8 ``[h, w]`` of 0 and 1.
        edges: uint8 ``[h, w]`` of 0 and 1; see `FieldInk.edges`.
        near: uint8 ``[h, w]`` of 0 and 1; see `FieldInk.near`.
    """
    labels, stats = connected_components(ink)
    edge, beside = (np.bincount(labels.ravel(), each.ravel(), len(stats)) for each in (edges, near))
    area, high = stats[:, cv2.CC_STAT_AREA], stats[:, cv2.CC_STAT_HEIGHT]
    is_edge = (
        (high >= EDGE_HEIGHT * len(ink))
        & (edge > MIN_EDGE_INK * area)
        & (beside < MIN_EDGE_INK * area)
    )
    return bool(is_edge[1:].any())


def _is_crossed_out(ink: U8) -> bool:
    """Whether a long line goes through the ink of a field, uint8 ``[h, w]`` of 0 and 1."""
    room = round(MIN_EDGE_DISTANCE * len(ink))
    return has_line(ink[room : len(ink) - room], round(MIN_CROSSING_LENGTH * len(ink)))


def has_line(ink: U8, length: int) -> bool:
    """Whether some straight line of this length, horizontal or nearly so, is all ink.

    Args:
        ink: uint8 ``[h, w]`` of 0 and 1.
        length: of the line, pixels, 1 or more.
    """
    _, stats = connected_components(ink)
    if not (stats[1:, cv2.CC_STAT_WIDTH] >= length).any():
        return False
    for slope in LINE_SLOPES:
        rise = round(length * np.tan(slope))
        line = np.zeros((abs(rise) + 1, length), np.uint8)
        cv2.line(line, (0, max(0, -rise)), (length - 1, max(0, rise)), 1, 1)
        if cv2.erode(ink, line, borderType=cv2.BORDER_CONSTANT, borderValue=0).any():
            return True
    return False


def _is_corrected_above(field_ink: FieldInk, box: Box, threshold: float) -> bool:
    """Whether ink that may be a smaller digit is above one of a field, and in no other field."""
    left, top, right, bottom = field_ink.to_pixels(box)
    field_height = bottom - top
    labels, stats = connected_components((field_ink.ink >= threshold).astype(np.uint8))
    x, y, w, h = stats[:, : cv2.CC_STAT_AREA].T.astype(np.float64)
    is_own = ~find_residue(field_ink, labels, stats, threshold)
    is_own[0] = False  # the paper
    is_own &= (x + w / 2 > left) & (x + w / 2 < right)
    is_digit = (
        is_own
        & (h >= MIN_OWN_HEIGHT * field_height)
        & (y + h > top + MIN_OWN_BOTTOM * field_height)
    )
    is_digit &= y + h / 2 < bottom + MAX_OWN_BELOW * field_height
    if not is_digit.any():
        return False
    usual = float(np.median(h[is_digit]))
    is_note = is_own & ~is_digit & (np.maximum(w, h) >= MIN_NOTE_SIDE * field_height)
    is_note &= (h >= NOTE_SIZES[0] * usual) & (h < NOTE_SIZES[1] * usual) & (w < MAX_NOTE_WIDTH * h)
    is_note &= ~is_in_other_field(field_ink, stats) & (y + h / 2 < np.median(y[is_digit]))
    notes, digits = np.flatnonzero(is_note)[:, None], np.flatnonzero(is_digit)
    common = np.minimum(x[notes] + w[notes], x[digits] + w[digits])
    common = common - np.maximum(x[notes], x[digits])
    gap = y[digits] - y[notes] - h[notes]
    are_above = (common > MIN_NOTE_WITHIN * w[notes]) & (gap < MAX_NOTE_GAP * usual)
    return bool((are_above & (gap >= -MAX_NOTE_OVERLAP * h[digits])).any())


def _has_paler_ink(field_ink: FieldInk, box: Box, threshold: float) -> bool:
    """Whether a field has ink as high as a digit of which nothing is as dark as `threshold`."""
    left, top, right, bottom = field_ink.to_pixels(box)
    labels, stats = connected_components((field_ink.ink >= MIN_DARKNESS).astype(np.uint8))
    is_dark = np.zeros(len(stats), bool)
    is_dark[labels[field_ink.ink >= threshold]] = True
    x = stats[:, cv2.CC_STAT_LEFT] + stats[:, cv2.CC_STAT_WIDTH] / 2
    y = stats[:, cv2.CC_STAT_TOP] + stats[:, cv2.CC_STAT_HEIGHT] / 2
    height = stats[:, cv2.CC_STAT_HEIGHT] / (bottom - top)
    is_pale = (left < x) & (x < right) & (top < y) & (y < bottom) & ~is_dark
    is_pale &= (height > PALE_HEIGHTS[0]) & (height < PALE_HEIGHTS[1])
    is_pale[0] = False
    return bool(
        is_pale.any() and (is_pale & ~find_residue(field_ink, labels, stats, MIN_DARKNESS)).any()
    )
