"""Boxes and points: what they have in common, and where they are after a transform."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from digitkit.arrays import F64, Box

AT_ONCE = 256
"""Boxes that are compared with all others at once: all with all would need too much memory."""


def chunk_slices(count: int) -> Iterator[slice]:
    """Slices of at most `AT_ONCE` that cover `count` items; one, though empty, of none."""
    return (slice(start, start + AT_ONCE) for start in range(0, max(1, count), AT_ONCE))


def intersects(a: Box, b: Box) -> bool:
    """Whether two boxes intersect."""
    return (
        a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
    )  # fmt: skip


def intersection_area(a: Box, b: Box) -> int:
    """The area that two boxes have in common, square pixels."""
    width = overlap_width(a, b)
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(0, width) * max(0, height)


def overlap_fraction(a: Box, b: Box) -> float:
    """The fraction of the smaller of two boxes that is in the other one as well, 0–1."""
    return intersection_area(a, b) / max(1, min(a[2] * a[3], b[2] * b[3]))


def overlap_width(a: Box, b: Box) -> int:
    """How wide the part of two boxes is that is above or below both, pixels; negative for a gap."""
    return min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])


def gap_beside(box: Box, others: Iterable[Box]) -> float:
    """The horizontal gap between a box and the nearest of others, pixels.

    It is negative where they overlap, and infinite without others.
    """
    x, _, width, _ = box
    gaps = (max(left - x - width, x - left - wide) for left, _, wide, _ in others)
    return min(gaps, default=math.inf)


def middle_x(box: Box) -> float:
    """The x coordinate of the middle of a box, pixels."""
    return box[0] + box[2] / 2


def is_at(box: Box, other: Box) -> bool:
    """Whether two boxes are at about the same place, and of about the same size."""
    ratio = max(box[2:]) / max(*other[2:], 1)
    return overlap_fraction(box, other) > 0.5 and 0.6 < ratio < 1.6


def bounding_box(boxes: Sequence[Box]) -> Box:
    """The smallest box around others, at least one."""
    left, top = min(b[0] for b in boxes), min(b[1] for b in boxes)
    right, bottom = max(b[0] + b[2] for b in boxes), max(b[1] + b[3] for b in boxes)
    return left, top, right - left, bottom - top


def map_edges(box: Box, matrix: F64) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a box after an affine transform, float64 ``[2, 3]``."""
    x, y, w, h = box
    corners = np.array([(x, y, 1), (x + w, y, 1), (x, y + h, 1), (x + w, y + h, 1)]) @ matrix.T
    (left, top), (right, bottom) = corners.min(0).tolist(), corners.max(0).tolist()
    return left, top, right, bottom


def clip_box(x: float, y: float, w: float, h: float, width: int, height: int) -> Box:
    """A box rounded to whole pixels, at least 1×1, within an image of `width` × `height`."""
    left, top = min(max(0, round(x)), width - 1), min(max(0, round(y)), height - 1)
    right, bottom = min(width, round(x + w)), min(height, round(y + h))
    return left, top, max(1, right - left), max(1, bottom - top)


def round_edges(left: float, top: float, right: float, bottom: float) -> Box:
    """The box of at least 1×1 whose edges these are, rounded to whole pixels."""
    x, y = round(left), round(top)
    return x, y, max(1, round(right) - x), max(1, round(bottom) - y)


def turn_points(points: F64, degrees: float) -> F64:
    """Points of an image, ``[N, 2]``, turned counter-clockwise about (0, 0)."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.asarray(points @ np.array([[cos, -sin], [sin, cos]]))
