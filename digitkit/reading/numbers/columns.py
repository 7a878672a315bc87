"""Columns: where a row of single digits is divided, by the numbers above and below it.

Such a row, as in a calendar, has gaps of one kind, and does not say itself what they are between.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from digitkit.boxes import bounding_box, middle_x
from digitkit.reading.numbers.grouping import SEPARATORS
from digitkit.reading.numbers.parts import Part, digit_gaps
from digitkit.reading.numbers.spacing import MIN_GAP_RATIO

MIN_SEPARATING_GAP, MIN_ALIGNED_PAIRS = 0.45, 2
"""All gaps of a row separate if each is at least as wide as the first value, in heights, and at
least so many pairs of neighbouring digits are above or below two numbers of another row."""

MAX_ROW_DISTANCE = 5.0
"""Maximum distance of such rows, in heights."""

MAX_OFFSET = 0.15
"""The middle of a digit is at most so far outside of the number that it is above or below, in
heights."""

_SEPARATORS = (*SEPARATORS, "apostrophe")


@dataclass(frozen=True, eq=False)
class _Row:
    """A row with digits; equal to itself only.

    Attributes:
        parts: of it, from the left.
        limit: the least gap between two of its numbers, in heights.
        top: of its digits, pixels.
        height: of its digits, pixels.
    """

    parts: Sequence[Part]
    limit: float
    top: int
    height: int

    @cached_property
    def middles(self) -> list[float]:
        """The x coordinates of the middles of its digits, from the left."""
        return [middle_x(part.item.row_box) for part in self.parts if part.digit]

    @cached_property
    def gaps(self) -> list[float]:
        """The gaps between its neighbouring digits, in heights."""
        return digit_gaps(self.parts)

    @cached_property
    def widest_inner(self) -> float:
        """The widest gap within one of its numbers, in heights."""
        return max((gap for gap in self.gaps if gap < self.limit), default=0.0)

    @cached_property
    def is_undivided(self) -> bool:
        """Whether it is one number, all of whose gaps may be between numbers."""
        has_separators = any(part.kind in _SEPARATORS for part in self.parts)
        return (
            not has_separators
            and bool(self.gaps)
            and min(self.gaps) >= MIN_SEPARATING_GAP
            and max(self.gaps) < self.limit
        )

    @cached_property
    def numbers(self) -> list[tuple[float, float]]:
        """Where its numbers begin and end, from the left, pixels."""
        found: list[tuple[float, float]] = []
        last: Part | None = None
        for part in self.parts:
            if part.digit:
                left, _, width, _ = part.item.row_box
                is_new = last is None or last.gap_to(part) >= self.limit
                found.append((left if is_new else found.pop()[0], left + width))
            elif part.kind in _SEPARATORS:
                continue
            last = part if part.digit else None
        return found


def continue_columns(
    rows: Mapping[int, Sequence[Part]], limits: Mapping[int, float]
) -> dict[int, float]:
    """The least gaps between numbers, lower in rows that others show to be of single digits.

    Args:
        rows: the parts of each row, from the left.
        limits: the least gap between two numbers of each, in heights.
    """
    found = {row: _to_row(parts, limits[row]) for row, parts in rows.items()}
    known = {row: each for row, each in found.items() if each}
    order = sorted(known, key=lambda row: known[row].top)
    tops = [known[row].top for row in order]
    waiting = [row for row in order if known[row].is_undivided]
    while waiting:
        divided = []
        for row in waiting:
            own = known[row]
            reach = MAX_ROW_DISTANCE * own.height
            near = order[bisect_left(tops, own.top - reach) : bisect_right(tops, own.top + reach)]
            pairs = 0
            for other in near:
                pairs += _count_pairs(own, known[other]) if other != row else 0
                if pairs >= MIN_ALIGNED_PAIRS:
                    divided.append(row)
                    break
        for row in divided:
            known[row] = replace(known[row], limit=min(known[row].gaps))
        waiting = [row for row in waiting if row not in divided] if divided else []
    return {row: known[row].limit if row in known else limits[row] for row in rows}


def _to_row(parts: Sequence[Part], limit: float) -> _Row | None:
    boxes = [part.item.row_box for part in parts if part.digit]
    if not boxes:
        return None
    _, top, _, height = bounding_box(boxes)
    return _Row(parts, limit, top, height)


def _count_pairs(row: _Row, other: _Row) -> int:
    """How many pairs of neighbouring digits are above or below two numbers of another row.

    0 if a digit is above or below a gap, or if two are above or below the same number.
    """
    if min(row.gaps) < MIN_GAP_RATIO * other.widest_inner:
        return 0
    aside = MAX_OFFSET * row.height
    start, end = other.numbers[0][0] - aside, other.numbers[-1][1] + aside
    places = list[int | None]()
    for middle in row.middles:
        over = [
            place
            for place, (left, right) in enumerate(other.numbers)
            if left - aside <= middle <= right + aside
        ]
        if start <= middle <= end and (len(over) != 1 or over[0] in places):
            return 0
        places.append(over[0] if over else None)
    return sum(None not in pair for pair in pairwise(places))
