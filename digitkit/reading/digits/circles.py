"""Zeros that may be circles or ovals of drawings, of print or of things."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from digitkit.arrays import F32, U8
from digitkit.boxes import gap_beside
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.reading.detection.crops import crop_halved
from digitkit.reading.detection.detections import INK_LEVEL
from digitkit.reading.detection.fine import find_contrast, without_lines
from digitkit.reading.detection.single import fills
from digitkit.reading.digits.plausibility import is_alone
from digitkit.reading.digits.words import doubt_digits
from digitkit.reading.results import Digit, Mark, group_by_row
from digitkit.reading.rows.layout import RowDigit
from digitkit.reading.rows.shapes import MIN_HIGH_STROKE

MIN_CIRCLE_WIDTH, MIN_OVAL_WIDTH = 0.92, 1.3
"""Minimum width of circles and of lying ovals, in their height; most zeros are higher than wide,
and 3% of MNIST's as wide as an oval."""

MIN_AXIS_RATIO = 0.8
"""Minimum length of a circle's shorter axis, in that of its longer one: a slanted zero may be as
wide as high."""

MIN_CROSS_SIDE, MAX_CIRCLE_DISTANCE = 0.75, 0.6
"""Minimum width and height of a cross or another circle, and maximum distance of writing from a
circle, in its height."""

DRAWN_SIDE, MIN_DRAWN_CONTRAST, MIN_DRAWN_INK, STRAIGHT_LENGTH, HALO_WIDTH = 400, 20, 0.3, 20, 4
"""There are other drawings on a page if the ink beside its circles, in an image of this side and
with this many grey levels of local contrast, is at least this fraction of theirs; without straight
lines of this length, and without ink nearer to a circle than the last distance, pixels."""

MAX_RADIUS_DEVIATION, MAX_DEVIATION_PIXELS, MIN_EXACT_HEIGHT = 0.025, 0.35, 14
"""An outline is an exact circle if the standard deviation of its radii is less than the first
fraction of their mean, and the second of a pixel in the circle's height; measured from the last
height on, pixels. At most 2 in 1,000 of MNIST's zeros have such an outline."""

MIN_ELLIPSE_POINTS = 5
"""OpenCV fits ellipses to at least this many points."""


def doubt_circles(
    digits: Sequence[Digit],
    row_digits: Sequence[RowDigit],
    marks: Sequence[Mark],
    image: GreyImage,
) -> tuple[Digit, ...]:
    """The digits; zeros that may be circles or ovals are not accepted.

    They are the only digits of their page. Circles are at least about as wide as high, without
    other writing beside them, and there is other ink. Ovals are wider, and alone in their row.
    Exact circles, as on tiles and buttons, are in a row without other digits than 0, and do not
    fill the image.

    Args:
        digits: of an image.
        row_digits: the same, before marks decided about them.
        marks: of its rows.
        image: that image.
    """
    accepted = [digit for digit in digits if digit.accepted]
    rows = group_by_row(accepted).values()
    zeros = {zero for row in rows if not any(digit.digit for digit in row) for zero in row}
    outlines = {
        digit: _find_outline(row_digit.detection.ink)
        for digit, row_digit in zip(digits, row_digits, strict=True)
        if digit in zeros
    }
    doubtful = set[Digit]()
    if not any(fills(row_digit.detection, image) for row_digit in row_digits):
        doubtful = {zero for zero, outline in outlines.items() if _is_exact(outline)}
    if len(zeros) == len(accepted):
        doubtful |= _find_drawn(accepted, outlines, marks, image)
    return doubt_digits(digits, doubtful)


def _find_drawn(
    zeros: Sequence[Digit], outlines: Mapping[Digit, F32], marks: Sequence[Mark], image: GreyImage
) -> set[Digit]:
    """The zeros of a page without other digits that may be drawn circles or ovals."""
    ovals = {each for each in zeros if _is_wide(each, MIN_OVAL_WIDTH) and is_alone(each, zeros)}
    others = [digit for digit in zeros if digit not in ovals]
    are_circles = all(
        _is_wide(each, MIN_CIRCLE_WIDTH) and _compare_axes(outlines[each]) >= MIN_AXIS_RATIO
        for each in others
    )
    has_writing = any(_is_written_beside(each, marks) for each in others)
    if others and are_circles and not has_writing and _has_drawings(others, image):
        return set(zeros)
    return ovals


def _find_outline(ink: U8) -> F32:
    """The outline of the largest piece of ink, float32 ``[n, 2]``; empty without ink.

    Args:
        ink: bright on dark, uint8 ``[h, w]``.
    """
    mask = np.asarray(ink > INK_LEVEL, np.uint8)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return np.empty((0, 2), np.float32)
    return np.asarray(max(outlines, key=cv2.contourArea)[:, 0], np.float32)


def _is_exact(outline: F32) -> bool:
    """Whether an outline is that of an exact circle, see `MAX_RADIUS_DEVIATION`."""
    if not len(outline):
        return False
    low, high = outline.min(0), outline.max(0)
    height = float(high[1] - low[1]) + 1
    radii = np.hypot(*(outline - (low + high) / 2).T)
    spread = float(radii.std() / max(float(radii.mean()), 1.0))
    return (
        height >= MIN_EXACT_HEIGHT and spread < MAX_RADIUS_DEVIATION + MAX_DEVIATION_PIXELS / height
    )


def _compare_axes(outline: F32) -> float:
    """The shorter axis of an ellipse around ink, as a fraction of the longer one, 0–1."""
    hull = cv2.convexHull(outline) if len(outline) else outline
    if len(hull) < MIN_ELLIPSE_POINTS:
        return 1.0
    _, axes, _ = cv2.fitEllipse(hull)
    return float(min(axes) / max(*axes, 1.0))


def _is_wide(digit: Digit, ratio: float) -> bool:
    """Whether the width of a digit is at least this multiple of its height."""
    _, _, width, height = digit.row_box
    return width >= ratio * height


def _is_written_beside(circle: Digit, marks: Iterable[Mark]) -> bool:
    """Whether a mark beside a circle may be writing: none of a board's lines, and no cross."""
    _, _, _, unit = circle.row_box
    for mark in marks:
        _, _, width, height = mark.row_box
        is_cross = min(width, height) >= MIN_CROSS_SIDE * unit
        may_be_writing = mark.kind not in ("line", "side") and height <= MIN_HIGH_STROKE * unit
        is_near = gap_beside(mark.row_box, [circle.row_box]) <= MAX_CIRCLE_DISTANCE * unit
        if mark.row == circle.row and may_be_writing and is_near and not is_cross:
            return True
    return False


def _has_drawings(circles: Sequence[Digit], image: GreyImage) -> bool:
    """Whether an image has other ink than its circles, see `MIN_DRAWN_INK`; no straight lines."""
    halvings = image.halvings_to(DRAWN_SIDE)
    ink = find_contrast(image.halved(halvings), MIN_DRAWN_CONTRAST)
    own = sum(cv2.countNonZero(crop_halved(ink, each.box, halvings)) for each in circles)
    for circle in circles:
        crop_halved(ink, circle.box, halvings, HALO_WIDTH)[:] = 0
    return own > 0 and cv2.countNonZero(without_lines(ink, STRAIGHT_LENGTH)) >= MIN_DRAWN_INK * own
