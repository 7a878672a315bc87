"""Finds the page in a photo: four straight sides with bright paper inside of them.

Each side is a line along which the logarithm of the brightness rises towards the page, so uneven
light and shadows matter little; lines are found by a Hough transform (Duda and Hart, Use of the
Hough transformation to detect lines and curves in pictures, 1972).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F32, F64, U8
from digitkit.images.cv import cv2
from digitkit.images.grey import resize_to

LONGER_SIDE = 400
"""Longer side of the reduced picture in which the page is found, pixels."""

THIN_PRINT = 9
"""Thinner print is not taken for the side of a page; pixels of the reduced picture."""

SURE_RISE, SURE_GROUND = 0.12, 0.25
"""Rise of the logarithm of the brightness, over two pixels and from the ground, that is surely the
edge of a page."""

GROUND_WINDOW = 61
"""Side of the square whose median is the brightness of the ground: a printed bar is thinner."""

MIN_PAGE_SIDE = 50
"""Least side of the reduced picture, pixels."""

BORDER_SURENESS = 0.5
"""How sure the border of the picture is a side of the page, 0–1: where nothing better is found."""

SIDE_SLOPES = np.linspace(-0.6, 0.6, 97)
"""Slopes of sides against horizontal or vertical: up to 31 degrees."""

MAX_CANDIDATES = 6
"""So many candidates are tried for each side."""

MIN_SUPPORT = 0.3
"""Mean sureness of a page's edge that each of its sides has at least, 0–1."""

MIN_AREA, MAX_AREA = 0.2, 0.96
"""A page covers at least this share of a photo; one that covers more than the other fills it."""

AREA_WEIGHT = 0.2
"""How much the share of the picture counts beside the sides, so that no part of a page is found."""

MAX_CORNER_OUTSIDE = 3
"""How far a corner may lie outside of the reduced picture, pixels."""


@dataclass(frozen=True)
class _Line:
    """A roughly horizontal line of its map: ``row = middle + slope * (column - width / 2)``."""

    slope: float
    middle: float


def find_page(grey: U8) -> F32 | None:
    """Find a bright page on darker ground.

    Args:
        grey: uint8 ``[H, W]``, with the page's upper side up.

    Returns:
        Its corners ``[4, 2]``, pixels, from the upper left clockwise; None if it fills the picture
        or none is found.
    """
    ratio = min(1.0, LONGER_SIDE / max(grey.shape))
    small = resize_to(grey, ratio)
    if min(small.shape) < MIN_PAGE_SIDE:
        return None
    edges = _find_edges(small)
    size = edges[0].shape[::-1]
    lines = [_find_lines(side) for side in (edges[0], edges[1], edges[2].T, edges[3].T)]
    box = np.ones((3, 3), np.uint8)
    near = [np.asarray(cv2.dilate(side, box), np.float32) for side in edges]
    best, corners = 0.0, None
    for top, bottom, left, right in itertools.product(*lines):
        points = np.array(
            [_cross(horizontal, vertical, size) for horizontal, vertical in
             ((top, left), (top, right), (bottom, right), (bottom, left))]
        )  # fmt: skip
        area = _area(points, size)
        if area >= MIN_AREA:
            supports = [
                _support(side, points[list(ends)]) for side, ends in zip(near, _ENDS, strict=True)
            ]
            score = float(np.mean(supports)) + AREA_WEIGHT * area
            if score > best and min(supports) >= MIN_SUPPORT:
                best, corners = score, points
    if corners is None or _area(corners, size) > MAX_AREA or not _is_in_front(corners, size):
        return None
    return np.asarray((corners + 0.5) / ratio, np.float32)


_ENDS = ((0, 1), (3, 2), (0, 3), (1, 2))
"""The corners where the upper, lower, left and right side end."""


def _find_edges(small: U8) -> list[F32]:
    """How sure each pixel is on the upper, lower, left and right side of a page, 0–1."""
    paper = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((THIN_PRINT, THIN_PRINT), np.uint8))
    level = _log(cv2.GaussianBlur(paper, (0, 0), 1.0))
    ground = _log(cv2.medianBlur(paper, GROUND_WINDOW))
    down, across = (cv2.Sobel(level, cv2.CV_32F, dx, 1 - dx) / 4 for dx in (0, 1))
    edges = []
    for rise, axis, way in ((down, 0, 1), (-down, 0, -1), (across, 1, 1), (-across, 1, -1)):
        above_ground = _shift(level, axis, 2 * way) - _shift(
            ground, axis, -way * (GROUND_WINDOW // 2)
        )
        sure = np.clip(np.minimum(rise / SURE_RISE, above_ground / SURE_GROUND), 0, 1)
        border = np.moveaxis(sure, axis, 0)[0 if way > 0 else -1]
        np.maximum(border, BORDER_SURENESS, out=border)
        edges.append(np.asarray(sure, np.float32))
    return edges


def _log(image: npt.NDArray[Any]) -> F32:
    return np.asarray(np.log(image.astype(np.float32) + 8), np.float32)


def _shift(image: F32, axis: int, by: int) -> F32:
    """What is `by` pixels further along an axis; beyond the border, what is there."""
    size = image.shape[axis]
    return np.asarray(np.take(image, np.clip(np.arange(size) + by, 0, size - 1), axis), np.float32)


def _find_lines(edges: F32) -> list[_Line]:
    """The roughly horizontal lines with the most edge along them."""
    height = edges.shape[0]
    contiguous = np.ascontiguousarray(edges)
    sums = np.array([row_profile(contiguous, slope) for slope in SIDE_SLOPES])
    found = []
    for _ in range(MAX_CANDIDATES):
        place, row = divmod(int(sums.argmax()), height)
        found.append(_Line(float(SIDE_SLOPES[place]), float(row)))
        sums[max(0, place - 4) : place + 5, max(0, row - 6) : row + 7] = -1
    return found


def row_profile(image: U8 | F32, slope: float) -> F64:
    """The sums along lines of one slope, by the row in which each crosses the middle.

    Args:
        image: uint8 or float32 ``[H, W]``.
        slope: rows per column; positive lines fall to the right.

    Returns:
        float64 ``[H]``.
    """
    height, width = image.shape
    level = np.array([[1, 0, 0], [-slope, 1, slope * width / 2]], np.float64)
    sheared = np.asarray(cv2.warpAffine(image, level, (width, height)))
    return np.asarray(sheared.sum(1, dtype=np.float64), np.float64)


def _cross(horizontal: _Line, vertical: _Line, size: Sequence[int]) -> tuple[float, float]:
    """Where a horizontal line and one that is so in the transposed map cross, x and y."""
    width, height = size
    offset = vertical.middle - vertical.slope * height / 2 - width / 2
    y = (horizontal.middle + horizontal.slope * offset) / (1 - horizontal.slope * vertical.slope)
    return vertical.middle + vertical.slope * (y - height / 2), y


def _area(corners: F64, size: Sequence[int]) -> float:
    """The share of a picture that a page covers; 0 if its corners are no page's."""
    upper_left, upper_right, lower_right, lower_left = corners
    if (corners < -MAX_CORNER_OUTSIDE).any() or (corners > np.add(size, MAX_CORNER_OUTSIDE)).any():
        return 0.0
    if min(lower_left[1] - upper_left[1], lower_right[1] - upper_right[1]) <= 0:
        return 0.0
    if min(upper_right[0] - upper_left[0], lower_right[0] - lower_left[0]) <= 0:
        return 0.0
    return cv2.contourArea(corners.astype(np.float32)) / (size[0] * size[1])


def _is_in_front(corners: F64, size: Sequence[int]) -> bool:
    """Whether a horizontal and a vertical side of a page are not the border of the picture.

    A page that is bounded above or below only, or on the left or right only, may as well be the
    part of a scan beside a dark bar that is printed up to the edge.
    """
    by_axis = []
    for axis, sides in ((1, _ENDS[:2]), (0, _ENDS[2:])):
        at = corners[list(sides), axis]  # of both ends of two sides
        limits = np.array([[0], [size[axis] - 1]])
        by_axis.append(bool((np.abs(at - limits).max(1) > MAX_CORNER_OUTSIDE).any()))
    return all(by_axis)


def _support(edges: F32, ends: F64) -> float:
    """The mean sureness of a page's edge between two corners, 0–1."""
    points = ends[0] + (ends[1] - ends[0]) * np.linspace(0.02, 0.98, 60)[:, None]
    limits = np.array(edges.shape[::-1]) - 1
    x, y = np.clip(points.round().astype(int), 0, limits).T
    return float(edges[y, x].mean())
