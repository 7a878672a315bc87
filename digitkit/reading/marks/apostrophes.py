"""Apostrophes between thousands, as in 1'000'000: they join digits that may be far apart."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from itertools import pairwise

from digitkit.reading.numbers.checks import THOUSANDS
from digitkit.reading.rows.shapes import MIN_AREA, Shape

APOSTROPHE_HEIGHTS, MAX_WIDTH, LOWEST_END = (0.15, 0.5), 0.35, -0.05
"""Least and greatest height of an apostrophe, its maximum width, and the lowest place of its lower
end below the middle of the digits, in heights."""

MAX_GAP, MAX_OVERHANG = 0.85, 0.25
"""Maximum gap between the digits on the sides of an apostrophe, and how far it may be above either,
in heights."""

MIN_ACROSS_FRACTION, MIN_SPACE = 0.8, 0.25
"""What ends a number, or has another separator in it, is a gap of at least this part of that across
the apostrophe, and at least so wide, in heights."""


def find_apostrophes(shapes: Iterable[Shape], digits: Iterable[Shape]) -> list[Shape]:
    """The shapes of a row that are apostrophes between thousands.

    None is one if the row has more such ink, which is then dirt, or the dots and quotes of words.

    Args:
        shapes: of ink that belongs to no digit.
        digits: the shapes of the row's digits; not looked at without such ink.
    """
    high = [shape for shape in shapes if _is_high(shape)]
    if not high:
        return []
    ordered = sorted(digits, key=lambda digit: digit.centre_x)
    gaps = [b.left - a.left - a.width for a, b in pairwise(ordered)]
    between = {
        place: shape
        for place, (a, b) in enumerate(pairwise(ordered), 1)
        for shape in high
        if gaps[place - 1] <= MAX_GAP
        and a.left + a.width - MAX_OVERHANG <= shape.centre_x <= b.left + MAX_OVERHANG
    }
    if len(high) > len(between):
        return []
    return [shape for place, shape in between.items() if _are_thousands(gaps, place, between)]


def _is_high(shape: Shape) -> bool:
    is_small = (
        APOSTROPHE_HEIGHTS[0] <= shape.height <= APOSTROPHE_HEIGHTS[1] and shape.width <= MAX_WIDTH
    )
    is_upright = shape.height > shape.width and shape.area >= MIN_AREA
    return is_small and is_upright and shape.top + shape.height <= LOWEST_END


def _are_thousands(gaps: Sequence[float], place: int, between: Container[int]) -> bool:
    """Whether the digits before and behind a place are in groups of three, but for the first group.

    An apostrophe that touches a digit is not seen, so a group may also be of six.

    Args:
        gaps: between the digits of a row, in heights.
        place: number of the digit behind it, from 0.
        between: what may be apostrophes, by the same number.
    """
    space = max(MIN_SPACE, MIN_ACROSS_FRACTION * gaps[place - 1])

    def is_end(other: int) -> bool:
        return not 0 < other <= len(gaps) or other in between or gaps[other - 1] >= space

    before = next(count for count in range(1, place + 1) if is_end(place - count))
    after = next(count for count in range(1, len(gaps) + 2) if is_end(place + count))
    is_first = place - before not in between
    groups = (THOUSANDS, 2 * THOUSANDS)
    return after in groups and (before < groups[1] if is_first else before in groups)
