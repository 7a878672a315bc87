"""Degree signs: small rings beside the upper part of a digit, which look like a 0 or a part of it.

A ring that touches a digit is not found: it leaves its number in doubt, as other ink does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from digitkit.arrays import Box
from digitkit.boxes import middle_x, overlap_fraction
from digitkit.images.cv import cv2
from digitkit.reading.detection.detections import quantile
from digitkit.reading.results import Mark
from digitkit.reading.rows.layout import RowDigit
from digitkit.reading.rows.lines import TextLine
from digitkit.reading.rows.shapes import Shape

MIN_SIZE, MAX_SIZE, MAX_LONE_SIZE, MAX_RING_ASPECT = 0.18, 0.6, 0.5, 1.35
"""Minimum and maximum height of a ring, in the usual height of its row's other digits; the third
value is the maximum where there is one other digit only. Maximum ratio of the sides of a ring."""

MIN_RING_TOP, MAX_RING_BOTTOM = -0.4, 0.66
"""The upper end of a ring is at least, and its lower end at most, so far below the upper end of the
digit before it, in heights of that digit."""

RING_FILL = 0.68, 0.92
"""Minimum and maximum fraction of its box that a ring and its hole cover: an ellipse 0.79, a square
1, most letters less."""

MAX_HOLE_DARKNESS = 0.85
"""The hole of a small ring may be closed, but is at most so many times as dark as most of it."""

MIN_FREE_BELOW, RING_EDGES = 0.3, 0.35
"""Below a ring is paper, for the first value in heights of the row's digits; elsewhere it is a part
of a digit. The second fraction of its width, on each side, does not count."""

RING_GAPS = -0.3, 0.6
"""Minimum and maximum distance of a ring from the digit before it, which may lean, in heights of
that digit."""

MAX_END_DISTANCE = 0.1
"""Or the right ends of both are so close, where the digit's box has the ring in it."""

MAX_RAISED_GAP, MAX_LEVEL_DIFFERENCE = 1.0, 0.5
"""A ring is a raised zero, as of cents, if the gap to other ink beside it is at most the
first value, and the lower ends of the two are as high within the second, in heights of the ring."""

MIN_SAME_OVERLAP, MAX_SAME_HEIGHT = 0.6, 1.5
"""A digit and a ring are one if they share this fraction of the smaller box, and if the digit is
at most so many times as high."""


def find_degrees(
    row_digits: Sequence[RowDigit], lines: Mapping[int, TextLine]
) -> tuple[list[RowDigit], list[Mark]]:
    """Find the degree signs of an image's rows.

    Args:
        row_digits: the digits that are reported, with their rows.
        lines: the rows with an accepted digit, by their numbers.

    Returns:
        The digits that are none of them, and the signs.
    """
    degrees = [ring for line in lines.values() for ring in _find_in(line, row_digits)]
    kept = [each for each in row_digits if not any(_is_same(each, ring) for ring in degrees)]
    return kept, degrees


def with_degrees(marks: Iterable[Mark], degrees: Sequence[Mark]) -> tuple[Mark, ...]:
    """The marks with degree signs in place of what these were taken for."""

    def is_replaced(mark: Mark) -> bool:
        x = middle_x(mark.row_box)
        return mark.kind != "line" and any(
            mark.row == ring.row and abs(x - middle_x(ring.row_box)) <= ring.row_box[2] / 2
            for ring in degrees
        )

    return (*(mark for mark in marks if not is_replaced(mark)), *degrees)


def _is_same(row_digit: RowDigit, ring: Mark) -> bool:
    """Whether a digit is what was found to be a ring."""
    digit = row_digit.digit
    is_small = digit.row_box[3] <= MAX_SAME_HEIGHT * ring.row_box[3]
    return (
        is_small
        and digit.row == ring.row
        and overlap_fraction(digit.box, ring.box) >= MIN_SAME_OVERLAP
    )


def _find_in(line: TextLine, row_digits: Sequence[RowDigit]) -> Iterator[Mark]:
    """The degree signs of a row."""
    strip, ink = line.strip, line.ink
    _, _, w, h, _ = (ink.stats / strip.unit).T
    may_be = np.maximum(w, h) <= MAX_RING_ASPECT * np.minimum(w, h)
    may_be &= np.maximum(w, h) <= 1
    may_be[0] = False
    found = (strip.to_shape(ink.labels, ink.stats, i) for i in np.flatnonzero(may_be).tolist())
    shapes = [each for each in found if _is_ring(line, each) and _is_free_below(line, each)]
    if not shapes:
        return
    # By their boxes: a raised ring makes the strip of its row slope.
    rings = [strip.to_mark("sign", each) for each in shapes]
    own = [each for each in row_digits if each.row == strip.row and each.digit.accepted]
    others = [each for each in own if not any(_is_same(each, ring) for ring in rings)]
    digits = sorted((each.digit.row_box for each in others), key=middle_x)
    if not digits:
        return
    height = float(np.median([box[3] for box in digits]))
    most = (MAX_SIZE if len(digits) > 1 else MAX_LONE_SIZE) * height
    pieces = [strip.to_shape(ink.labels, ink.stats, i) for i in range(1, len(ink.stats))]
    beside = [strip.to_mark("ink", piece).row_box for piece in pieces]
    for ring in rings:
        box = ring.row_box
        before = [digit for digit in digits if middle_x(digit) < middle_x(box)]
        is_small = MIN_SIZE * height <= box[3] <= most
        if is_small and before and _is_behind(box, before[-1]) and not _is_zero(box, beside):
            yield ring


def _is_behind(ring: Box, digit: Box) -> bool:
    """Whether a ring is beside the upper part of the digit before it."""
    x, y, w, h = ring
    left, top, width, height = digit
    gap = (x - left - width) / height
    is_near = (
        RING_GAPS[0] <= gap <= RING_GAPS[1]
        or abs(x + w - left - width) <= MAX_END_DISTANCE * height
    )
    return is_near and MIN_RING_TOP * height <= y - top and y + h <= top + MAX_RING_BOTTOM * height


def _is_zero(ring: Box, others: Iterable[Box]) -> bool:
    """Whether a ring is beside something else that is raised."""
    x, y, w, h = ring
    return any(
        abs(max(x, left) - min(x + w, left + width)) <= MAX_RAISED_GAP * h
        and abs(y + h - top - height) <= MAX_LEVEL_DIFFERENCE * h
        for left, top, width, height in others
        if 2 * height >= h and abs(middle_x(ring) - left - width / 2) > w / 2
    )


def _is_free_below(line: TextLine, ring: Shape) -> bool:
    """Whether there is only paper below a ring."""
    x, y = line.strip.place_of(ring)
    height, width = ring.ink.shape
    edge, end = round(RING_EDGES * width), y + height + round(MIN_FREE_BELOW * line.strip.unit)
    return not line.ink.mask[y + height : end, x + edge : x + width - edge].any()


def _is_ring(line: TextLine, shape: Shape) -> bool:
    """Whether ink has a hole, and covers with it as much of its box as an ellipse."""
    outside = np.pad(shape.ink, 1)
    cv2.floodFill(outside, None, (0, 0), 2)
    if not RING_FILL[0] <= float((outside[1:-1, 1:-1] != 2).mean()) <= RING_FILL[1]:
        return False
    x, y = line.strip.place_of(shape)
    height, width = shape.ink.shape
    levels = line.ink.strength[y : y + height, x : x + width]
    middle = levels[(height - 1) // 2 : height // 2 + 1, (width - 1) // 2 : width // 2 + 1]
    return bool(middle.min() <= MAX_HOLE_DARKNESS * quantile(levels[shape.ink > 0]))
