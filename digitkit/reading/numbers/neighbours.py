"""Doubts about numbers by what is beside, above and below them: lines, columns and other rows."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F64, Box
from digitkit.boxes import chunk_slices, middle_x
from digitkit.reading.numbers.parts import (
    gaps_within,
    is_crossed,
    level_box,
    measure_height,
    merge_lines,
    rows_with_line,
)
from digitkit.reading.results import Digit, Mark, Number, group_by_row

STACKED_HEIGHTS, MAX_STACKED_OVERHANG = (0.5, 1.1), 0.15
"""Height of the digits of a stacked fraction, and how far above or below the first digit of the
number in front of it they may end or begin; in heights of that digit."""

MIN_VERTICAL_OVERLAP, NEIGHBOUR_GAP_RANGE = 0.2, (-0.3, 0.7)
"""Digits of two rows may belong to one number if they overlap vertically by at least the first
value and the gap between them is within the second, in heights."""

MAX_SPLIT_GAP, MAX_SPLIT_EXCESS = 0.4, 0.1
"""Two numbers with only a line between them may be one if the gap is at most the first value, and
wider than the widest between the digits of one of them by at most the second, in heights; two
single digits have no such gaps, and are never doubted."""

MAX_CREASES = 2
"""Maximum number of such lines in a row that other rows have, too; with more, they are a grid's."""

MIN_SPANNED_GAPS, MAX_SPANNED_DISTANCE, MAX_SPANNED_GAP = 2, 5.0, 3.0
"""A number may be several if at least so many gaps between the numbers of another row, at most the
second value above or below it and at most the third wide, in heights, go on between its digits."""

MIN_SPANNING_GAP, MIN_SPANNING_EXCESS = 0.35, 0.03
"""There, its gaps are on average as wide as the first value, or wider than its others by the
second, in heights."""

MAX_COLUMN_LINE_DISTANCE = 6.0
"""Maximum distance of the rows in which a line between columns is looked for, in heights."""

MAX_HEIGHT_RATIO = 1.6
"""Maximum ratio between the heights of two digits of one number."""


def find_over_column_lines(numbers: Sequence[Number], marks: Sequence[Mark]) -> set[Number]:
    """The numbers that go across a place where several rows nearby have a vertical line.

    It may run through the end of a digit: what counts are the middles of the digits.
    """
    lines = [mark for mark in marks if mark.kind == "line"]
    by_row, places = group_by_row(lines), sorted({middle_x(mark.row_box) for mark in lines})
    return {n for n in numbers if _is_over_line(n, lines, by_row.get(n.row, ()), places)}


def _is_over_line(
    number: Number, lines: Sequence[Mark], own: Sequence[Mark], places: Sequence[float]
) -> bool:
    """Whether a number goes across a line; `own` are those of its row, `places` where lines are."""
    boxes = np.array([digit.row_box for digit in number.digits], np.float64)
    centres = boxes[:, 0] + boxes[:, 2] / 2
    inside = places[bisect_right(places, centres.min()) : bisect_left(places, centres.max())]
    if not inside:
        return False
    height = measure_height(number.digits)
    middle = float(np.median(boxes[:, 1] + boxes[:, 3] / 2))
    # A line of its own row that runs through no digit separates, or is that of a box for a digit.
    ticks = [mark for mark in own if not any(is_crossed(d.row_box, mark) for d in number.digits)]
    return any(
        len(rows_with_line(x, middle, lines, height, MAX_COLUMN_LINE_DISTANCE)) > 1
        and not rows_with_line(x, middle, ticks, height)
        for x in inside
    )


def find_fractions(numbers: Sequence[Number], accepted: Sequence[Digit]) -> dict[Number, int]:
    """From which digit of a number on the last one or two are over or below others, as in `5 3/4`.

    These begin or end beside the first digit of the number; digits of other rows do not.

    Args:
        numbers: of an image.
        accepted: its accepted digits.

    Returns:
        Places of digits, from 1, of the numbers that have such digits.
    """
    boxes: F64 = np.array([digit.row_box for digit in accepted], np.float64).reshape(-1, 4)
    rows, found = np.array([digit.row for digit in accepted]), dict[Number, int]()
    for number in numbers:
        if len(number.digits) < 2:
            continue
        first, *_ = own = [digit.row_box for digit in number.digits]
        x, y, width, height = level_box(number)
        left, top, wide, tall = boxes.T
        near = (left < x + width) & (left + wide > x) & (rows != number.row)
        near &= (top < y + 2 * height) & (top + tall > y - height)
        others = [tuple(box) for box in boxes[near].tolist()]
        stacked = [any(_is_stacked(box, other, first) for other in others) for box in own]
        place = next((i for i, is_stacked in enumerate(stacked) if is_stacked), 0)
        if place >= max(1, len(own) - 2):
            found[number] = place + 1
    return found


def _is_stacked(box: Box, other: tuple[float, ...], first: Box) -> bool:
    """Whether two boxes are one above the other, and the other one is beside the first digit."""
    x, y, width, height = box
    left, top, wide, tall = other
    unit, end = first[3], first[1] + first[3]
    common = min(x + width, left + wide) - max(x, left)
    if (
        2 * common < min(width, wide)
        or not STACKED_HEIGHTS[0] * unit <= tall <= STACKED_HEIGHTS[1] * unit
    ):
        return False
    is_below = top + tall / 2 > y + height and top <= end + MAX_STACKED_OVERHANG * unit
    is_above = top + tall / 2 < y and top + tall >= first[1] - MAX_STACKED_OVERHANG * unit
    return is_below or is_above


def find_split(numbers: Sequence[Number], marks: Sequence[Mark]) -> set[Digit]:
    """The digits beside a line between two numbers that are as close as those of one."""
    split = set[Digit]()
    by_row = group_by_row(marks)
    for row, own in group_by_row(numbers).items():
        pairs = [(a, b) for a, b in pairwise(own) if _are_close(a, b, by_row.get(row, ()))]
        if pairs and not _has_grid(row, marks, measure_height([d for n in own for d in n.digits])):
            split |= {digit for a, b in pairs for digit in (a.digits[-1], b.digits[0])}
    return split


def _are_close(a: Number, b: Number, marks: Sequence[Mark]) -> bool:
    """Whether only lines are between two numbers of a row, which are as close as the digits of one.

    Args:
        a: the number on the left.
        b: the one on the right.
        marks: of their row.
    """
    ends = first, second = a.digits[-1], b.digits[0]
    left, right = middle_x(first.row_box), middle_x(second.row_box)
    between = {
        mark.kind
        for mark in marks
        if left < middle_x(mark.row_box) < right
        and not any(is_crossed(digit.row_box, mark) for digit in ends)
    }
    if between != {"line"}:
        return False
    height = measure_height([*a.digits, *b.digits])
    plain = (number.digits for number in (a, b) if not number.signs)
    inner = [gap for digits in plain for gap in gaps_within(digits, height)]
    return bool(inner) and max(gaps_within(ends, height)) <= min(
        MAX_SPLIT_GAP, max(inner) + MAX_SPLIT_EXCESS
    )


def _has_grid(row: int, marks: Sequence[Mark], height: float) -> bool:
    """Whether a row has more vertical lines that go on in other rows than a page has creases."""
    own = [mark.row_box for mark in marks if mark.kind == "line" and mark.row == row]
    others = [mark for mark in marks if mark.row != row]
    if len(own) <= MAX_CREASES:
        return False
    middle = float(np.median([y + h / 2 for _, y, _, h in own]))
    lines = merge_lines(map(middle_x, own), height)
    going_on = (
        bool(rows_with_line(x, middle, others, height, MAX_COLUMN_LINE_DISTANCE)) for x in lines
    )
    return sum(going_on) > MAX_CREASES


def find_spanning(numbers: Sequence[Number]) -> set[Number]:
    """The numbers between whose digits several gaps between numbers of another row go on."""
    between = dict[int, list[tuple[Box, Box]]]()
    for row, own in group_by_row(numbers).items():
        between[row] = list(pairwise([level_box(number) for number in own]))
    found = set[Number]()
    for number in numbers:
        if len(number.digits) < 2 * MIN_SPANNED_GAPS or number.signs:
            continue
        (x, y, width, _), unit = level_box(number), measure_height(number.digits)
        others = (
            [
                (left + wide, right)
                for (left, top, wide, _), (right, _, _, _) in gaps
                if abs(top - y) <= MAX_SPANNED_DISTANCE * unit
                and x < left + wide
                and right < min(x + width, left + wide + MAX_SPANNED_GAP * unit)
            ]
            for row, gaps in between.items()
            if row != number.row
        )
        if any(_is_divided(number, gaps, unit) for gaps in others):
            found.add(number)
    return found


def _is_divided(number: Number, gaps: Sequence[tuple[int, int]], unit: float) -> bool:
    """Whether the gaps of another row meet wide gaps of a number; see `MIN_SPANNING_GAP`.

    Args:
        number: of a row.
        gaps: between numbers of another row, where each begins and ends, pixels.
        unit: height of the number's digits, pixels.
    """
    inner = [(a.row_box[0] + a.row_box[2], b.row_box[0]) for a, b in pairwise(number.digits)]
    met = [
        [right - left for left, right in inner if start < (left + right) / 2 < end]
        for start, end in gaps
    ]
    if len(met) < MIN_SPANNED_GAPS or not all(met):
        return False
    spanned = [max(widths) for widths in met]
    rest = sum(right - left for left, right in inner) - sum(spanned)
    count = max(1, len(inner) - len(spanned))
    mean = sum(spanned) / len(spanned)
    return mean >= min(MIN_SPANNING_GAP * unit, rest / count + MIN_SPANNING_EXCESS * unit)


def find_torn(accepted: Sequence[Digit]) -> set[Digit]:
    """The digits beside which another row has one that is nearly level with it."""
    boxes: F64 = np.array([digit.row_box for digit in accepted], np.float64)
    rows = np.array([digit.row for digit in accepted])
    torn = set[Digit]()
    for some in chunk_slices(len(accepted)):
        is_torn = _are_nearly_level(boxes[some], boxes) & (rows[some, None] != rows)
        torn.update(accepted[some.start + i] for i in np.flatnonzero(is_torn.any(1)).tolist())
    return torn


def _are_nearly_level(boxes: F64, others: F64) -> npt.NDArray[np.bool_]:
    """Which boxes, ``[N, 4]``, are beside others, ``[M, 4]``, and nearly level; ``[N, M]``."""
    left, top, width, height = (side[:, None] for side in boxes.T)
    left2, top2, width2, height2 = others.T
    lower, higher = np.minimum(height, height2), np.maximum(height, height2)
    common = np.minimum(top + height, top2 + height2) - np.maximum(top, top2)
    apart = np.maximum(left, left2) - np.minimum(left + width, left2 + width2)
    are_beside = (apart >= NEIGHBOUR_GAP_RANGE[0] * lower) & (
        apart <= NEIGHBOUR_GAP_RANGE[1] * lower
    )
    return np.asarray(
        are_beside & (common >= MIN_VERTICAL_OVERLAP * lower) & (higher <= MAX_HEIGHT_RATIO * lower)
    )
