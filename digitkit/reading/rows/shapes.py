"""Shapes: what a piece of ink next to a row of digits is, by its form and place."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from digitkit.arrays import F64, U8
from digitkit.images.cv import cv2
from digitkit.images.masks import open_mask
from digitkit.reading.results import MarkKind

MIN_AREA, MIN_PAIR_AREA = 0.003, 0.0015
"""Smaller pieces of ink are noise, in squares of the height; of two dots one above the other, those
smaller than the second."""

MAX_DOT = 0.33
"""A dot is at most this wide and high, in heights."""

MAX_DOT_ASPECT = 1.6
"""Maximum ratio of the length and the width of a round dot; a longer one is a piece of a stroke."""

POINT_CENTRE = 0.27
"""Points and commas are this far below the middle of the digits, in heights."""

MAX_MIDDLE_DOT_OFFSET = 0.2
"""A dot between two factors is at most this far from the middle of the digits, in heights."""

MIN_COMMA_EXCESS = 0.1
"""Minimum difference between the height and the width of a comma, in heights, if it neither leans
nor reaches below the line."""

MIN_COMMA_DEPTH = 0.7
"""Minimum distance of the lower end of a comma below the middle of the digits, in heights, if it is
neither long nor leans."""

MIN_COMMA_LEAN = 0.0007
"""Minimum lean of a comma, in squares of the height, if it is neither long nor reaches below the
line; see `Shape.lean`."""

DASH_WIDTHS = (0.22, 1.0)
"""Least and greatest length of a dash, in heights."""

MAX_DASH_THICKNESS = 0.28
"""Greatest thickness of a dash, in heights."""

MAX_DASH_ASPECT = 0.6
"""Maximum thickness of a dash, in its length."""

MAX_DASH_SLOPE = 30
"""Greatest slope of a dash, degrees."""

MAX_DASH_OFFSET = 0.32
"""The middle of a dash is at most this far from that of the digits, in heights."""

MAX_DASH_END_RATIO = 2.0
"""One end of a dash is at most so many times as high as the other one, or as `MAX_FLAT_HEIGHT`."""

MIN_DASH_FILL = 0.7
"""A dash fills at least this fraction of a straight bar."""

MIN_HIGH_STROKE = 1.5
"""Brackets and slashes may be so high, in heights; digits are lower."""

MIN_ARC_SIZE = 0.6, 1.3
"""A part of a circle around a number is at least so wide and high, in heights."""

MAX_STROKE_WIDTH = 0.4
"""Maximum width of a bracket, a slash or an arc where a horizontal line crosses it, in heights."""

BESIDE_HALF_HEIGHT = 0.45
"""Distance above and below the middle of the digits within which a high stroke is beside them, in
heights."""

MIN_ROOFED_HEIGHT, ROOF_HEIGHT, MIN_ROOF_WIDTH, MAX_ROOF_THICKNESS = 1.2, 0.3, 0.35, 0.25
"""A shape of at least the first height may have a roof: its right part is in the second fraction of
its height, from the top, at least as wide as the third value and on average at most as thick as the
fourth; in heights."""

MIN_CROSSED_ONCE = 0.9
"""Minimum fraction of the pixel rows beside the digits that cross a tall stroke exactly once."""

MIN_BOX_RUNS = 0.5, 1.0
"""Minimum lengths of straight vertical and horizontal runs of a box's ink, in heights; those of a
minus are shorter."""

MIN_DASH = 0.03
"""Minimum area of attached ink that is a dash, in squares of the digit height."""

COMMA_MIDDLE, COMMA_BOTTOM = 0.3, 0.45
"""Minimum distance of a comma's middle and of its lower end below the middle of the digits, in
heights."""

COMMA_WIDTH, COMMA_HEIGHTS = 0.4, (0.12, 0.6)
"""Maximum width of a comma, and its minimum and maximum height, in heights."""

MAX_FLAT_HEIGHT, MAX_FLAT_ASPECT = 0.12, 0.2
"""Maximum height of a piece of a ruled line, in heights and in its width; the greater counts."""

MIN_INK_AREA, MIN_LONG, MIN_LONG_SIDE = 0.03, 0.02, 0.3
"""Minimum area of ink that matters, in squares of the height; the minimum area of a long piece; and
the minimum length of the longer side of a long piece, in heights."""

CROSS_SIDES, CROSS_RATIOS = (0.25, 1.0), (0.6, 1.7)
"""Minimum and maximum width and height of a plus or a times, in heights; and of its width as a
multiple of its height."""

MAX_CROSS_OFFSET = 0.4
"""Maximum distance of the middle of a plus or a times from that of the digits, in heights."""

PLUS_ARM, PLUS_INK = 0.16, 0.85
"""Half the width of a plus's strokes, in its sides; and the minimum fraction of its ink in them."""

TIMES_ARM, TIMES_INK = 0.24, 0.9
"""Half the width of a times's strokes along its sides, in its sides; and the minimum fraction of
its ink in them."""

SIDE_MIDDLE = 0.2
"""Half the length of the middle of a side, which a plus reaches, in the side."""

MAX_COLON_SHIFT, MAX_COLON_LEAN, COLON_DISTANCES = 0.2, 0.5, (0.12, 0.8)
"""The dots of a colon are at most this far from being one above the other, in heights, and so far
apart; in slanted writing the upper one is further to the right by up to so much of that."""


@dataclass(frozen=True, eq=False)
class Shape:
    """A piece of ink in a strip, all in heights of the row's digits; equal to itself only.

    Attributes:
        left: its left edge, from that of the strip.
        top: its upper edge, from the middle of the digits.
        width: of its bounding box.
        height: of its bounding box.
        area: of its ink.
        ink: its pixels, 0 or 1, uint8 ``[h, w]``, at least one of them ink.
    """

    left: float
    top: float
    width: float
    height: float
    area: float
    ink: U8

    @classmethod
    def from_ink(cls, ink: U8, left: float, top: float, unit: float) -> Shape:
        """A piece of ink.

        Args:
            ink: its pixels, 0 or 1, uint8 ``[h, w]``.
            left: its left edge, from that of the strip, in heights.
            top: its upper edge, from the middle of the digits, in heights.
            unit: height of the row's digits, pixels of the strip.
        """
        height, width = ink.shape
        area = cv2.countNonZero(ink) / unit**2
        return cls(left, top, width / unit, height / unit, area, ink)

    @property
    def centre_x(self) -> float:
        """The x coordinate of its centre, from the left edge of the strip."""
        return self.left + self.width / 2

    @property
    def centre_y(self) -> float:
        """The y coordinate of its centre, from the middle of the digits; positive below it."""
        return self.top + self.height / 2

    @property
    def is_dot(self) -> bool:
        """Whether it is about as wide as a pen, both ways."""
        return max(self.width, self.height) <= MAX_DOT and self.area >= MIN_AREA

    @property
    def is_round(self) -> bool:
        """Whether it is as round and as small as the dots of colons are."""
        shorter, longer = sorted((self.width, self.height))
        return longer <= min(MAX_DOT, MAX_DOT_ASPECT * shorter) and self.area >= MIN_PAIR_AREA

    @cached_property
    def high_stroke(self) -> Shape | None:
        """The part beside the digits, if it is a single stroke higher than a digit; else None.

        Ink above and below the digits is left out: the ends of a bracket, the rest of a circle
        around the number, or a piece of a ruled line.
        """
        if self.height < (MIN_HIGH_STROKE if self.width < MIN_ARC_SIZE[0] else MIN_ARC_SIZE[1]):
            return None
        rows, columns = self.ink.shape
        middles = self.top + (np.arange(rows) + 0.5) * self.height / rows
        beside = self.ink[np.abs(middles) <= BESIDE_HALF_HEIGHT]
        runs = np.count_nonzero(np.diff(beside, axis=1, prepend=0) == 1, axis=1)
        widths = np.count_nonzero(beside, axis=1) * self.width / columns
        is_crossed_once = (runs == 1) & (widths <= MAX_STROKE_WIDTH)
        if not len(beside) or is_crossed_once.mean() < MIN_CROSSED_ONCE:
            return None
        across = np.flatnonzero(beside[is_crossed_once].any(0))
        first, last = int(across[0]), int(across[-1]) + 1
        return self._cut(first, last)

    @property
    def without_roof(self) -> Shape:
        """The shape without the level stroke at its top that goes on over digits on its right.

        The signs of roots and of long divisions have such a stroke.
        """
        if self.height < MIN_ROOFED_HEIGHT:
            return self
        rows, columns = self.ink.shape
        below = np.flatnonzero(self.ink[round(ROOF_HEIGHT * rows) :].any(0))
        last = int(below[-1]) + 1 if len(below) else columns
        if (columns - last) * self.width / columns < MIN_ROOF_WIDTH:
            return self
        roof = self._cut(last, columns)
        return self._cut(0, last) if roof.area <= MAX_ROOF_THICKNESS * roof.width else self

    def _cut(self, first: int, last: int) -> Shape:
        """The part in the columns of its ink from `first` to `last`, exclusive."""
        ink, pixel = self.ink[:, first:last], self.width / self.ink.shape[1]
        left, width = self.left + first * pixel, (last - first) * pixel
        return replace(self, left=left, width=width, area=self._area_of(ink), ink=ink)

    def _area_of(self, ink: U8) -> float:
        """The area of a part of its ink, in squares of the height."""
        return self.area * cv2.countNonZero(ink) / max(1, cv2.countNonZero(self.ink))

    @property
    def stroke_width(self) -> float:
        """Its mean width, in heights: of a vertical stroke, that of the pen."""
        return self.area / self.height

    @property
    def off_axis_area(self) -> float:
        """The area of its ink that is in no vertical or horizontal stroke that a box may have."""
        height = max(1, round(MIN_BOX_RUNS[0] * self.ink.shape[0] / self.height))
        width = max(1, round(MIN_BOX_RUNS[1] * self.ink.shape[1] / self.width))
        whole = np.pad(self.ink, ((height, height), (width, width)))  # it ends at its sides
        sides = cv2.max(open_mask(whole, height, 1), open_mask(whole, 1, width))
        sides = cv2.dilate(sides, np.ones((3, 3), np.uint8))
        rest = cv2.subtract(whole, sides)
        return self._area_of(np.asarray(rest, np.uint8))

    @property
    def lean(self) -> float:
        """How much it leans as a slash does: minus the covariance of its ink's coordinates."""
        return -float(self._covariance[0, 1])

    @cached_property
    def is_dash(self) -> bool:
        """Whether it is a nearly horizontal stroke."""
        if not (DASH_WIDTHS[0] <= self.width <= DASH_WIDTHS[1] and self.height <= self.width):
            return False
        (short, long), directions = np.linalg.eigh(self._covariance)
        # Of an even bar the variance along a side is a twelfth of its square.
        thickness, length = math.sqrt(12 * max(short, 0)), math.sqrt(12 * max(long, 0))
        is_level = abs(directions[0, 1]) <= math.sin(math.radians(MAX_DASH_SLOPE))
        is_filled = self.area >= MIN_DASH_FILL * thickness * length
        is_thin = thickness <= min(MAX_DASH_THICKNESS, MAX_DASH_ASPECT * length)
        return bool(is_thin and is_level and is_filled and self._is_even)

    @property
    def _is_even(self) -> bool:
        """Whether it is about as high at one end as at the other; most arrows are not."""
        third = max(1, self.ink.shape[1] // 3)
        ends = self.ink[:, :third], self.ink[:, -third:]
        low, high = sorted(int(np.count_nonzero(end.any(1))) for end in ends)
        least = MAX_FLAT_HEIGHT * self.ink.shape[0] / self.height
        return bool(high <= MAX_DASH_END_RATIO * max(low, least))

    @property
    def _covariance(self) -> F64:
        """Of the coordinates of its ink, down and across, in squares of the height."""
        rows, columns = self.ink.shape
        pixel = np.array([self.height / rows, self.width / columns])
        return np.asarray(np.cov(np.nonzero(self.ink), bias=True) * np.outer(pixel, pixel))


def classify(shapes: Sequence[Shape]) -> list[tuple[MarkKind, Shape]]:
    """What each piece of ink is; without those that are too small to matter."""
    paired = set(_find_pairs(shapes))
    kinds: list[tuple[MarkKind, Shape]] = []
    for i, shape in enumerate(shapes):
        if shape.high_stroke:
            kinds.append(("sign", shape.high_stroke))
            continue
        kind = "sign" if i in paired else _kind(shape)
        if kind is not None:
            kinds.append((kind, shape))
    return kinds


def _find_pairs(shapes: Sequence[Shape]) -> Iterable[int]:
    """The dots of colons and the dashes of equals signs."""
    for (i, a), (j, b) in combinations(enumerate(shapes), 2):
        if are_pair(a, b):
            yield from (i, j)


def are_pair(a: Shape, b: Shape) -> bool:
    """Whether two pieces of ink are those of a colon, a semicolon or an equals sign."""
    upper, lower = (a, b) if a.centre_y < b.centre_y else (b, a)
    is_colon = upper.is_round and (lower.is_round or _kind(lower) == "comma")
    return (is_colon or (a.is_dash and b.is_dash)) and is_above(
        upper.centre_x - lower.centre_x, lower.centre_y - upper.centre_y
    )


def is_above(right: Any, above: Any) -> Any:
    """Whether one of two dots is above the other as in a colon.

    Args:
        right: how far the upper one is to the right of the other, in heights; a number or an array.
        above: how far the upper one is above the other, in heights; as `right`.

    Returns:
        bool, of the same shape.
    """
    is_apart = (above > COLON_DISTANCES[0]) & (above < COLON_DISTANCES[1])
    return (
        is_apart & (right > -MAX_COLON_SHIFT) & (right < MAX_COLON_SHIFT + MAX_COLON_LEAN * above)
    )


def _kind(shape: Shape) -> MarkKind | None:
    bottom = shape.top + shape.height
    if shape.is_dot and shape.centre_y >= POINT_CENTRE:
        hangs = shape.height > shape.width + MIN_COMMA_EXCESS or bottom > MIN_COMMA_DEPTH
        if not (hangs or shape.lean > MIN_COMMA_LEAN):
            return "point"
    is_low = shape.centre_y >= COMMA_MIDDLE and bottom >= COMMA_BOTTOM
    shortest, longest = COMMA_HEIGHTS
    if is_low and shape.width <= COMMA_WIDTH and shortest <= shape.height <= longest:
        return "comma"
    if shape.is_dash and abs(shape.centre_y) <= MAX_DASH_OFFSET:
        return "dash"
    if shape.is_round and abs(shape.centre_y) <= MAX_MIDDLE_DOT_OFFSET:
        return "ink"  # the sign of a product, if its row says so
    if shape.height <= max(MAX_FLAT_HEIGHT, MAX_FLAT_ASPECT * shape.width):
        return None  # a piece of a ruled line
    if _is_cross(shape):
        return "sign"
    least = MIN_LONG if max(shape.width, shape.height) >= MIN_LONG_SIDE else MIN_INK_AREA
    return "ink" if shape.area >= least else None


def _is_cross(shape: Shape) -> bool:
    """Whether it is a plus or a times: two strokes that cross in the middle."""
    (smallest, largest), (narrowest, widest) = CROSS_SIDES, CROSS_RATIOS
    if not all(smallest <= side <= largest for side in (shape.width, shape.height)):
        return False
    ratio = shape.width / shape.height
    if not narrowest <= ratio <= widest or abs(shape.centre_y) > MAX_CROSS_OFFSET:
        return False
    height, width = shape.ink.shape
    ink = shape.ink > 0
    x = ((np.arange(width) + 0.5) / width - 0.5)[None, :]
    y = ((np.arange(height) + 0.5) / height - 0.5)[:, None]
    upright = (np.minimum(np.abs(x), np.abs(y)) < PLUS_ARM)[ink].mean()
    diagonal = (np.minimum(np.abs(x - y), np.abs(x + y)) < TIMES_ARM)[ink].mean()
    # A plus reaches the middles of the sides, a times the corners; a 4 or a t does not.
    rows, columns = np.abs(y[:, 0]) < SIDE_MIDDLE, np.abs(x[0]) < SIDE_MIDDLE
    ends = ink[rows, :2], ink[rows, -2:], ink[:2, columns], ink[-2:, columns]
    third = max(1, width // 3)
    corners = ink[:3, :third], ink[:3, -third:], ink[-3:, :third], ink[-3:, -third:]
    is_plus = upright > PLUS_INK and all(end.any() for end in ends)
    return bool(is_plus or (diagonal > TIMES_INK and all(corner.any() for corner in corners)))
