"""Spacing: how far apart two numbers are at least, and which are below each other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from digitkit.arrays import F64, Box
from digitkit.reading.numbers.parts import level_box
from digitkit.reading.results import Number

GAP_FACTOR = 1.9
"""Factor of the least gap between two numbers: it is `GAP_FACTOR` usual gaps between the digits of
one, plus `GAP_EXTRA`."""

GAP_EXTRA = 0.3
"""What is added to `GAP_FACTOR` usual gaps for the least gap between two numbers, in heights."""

MIN_NUMBER_GAP = 0.55
"""Least gap between two numbers."""

MAX_DIGIT_GAP = 2.2
"""Digits that are further apart are never of one number."""

MIN_NARROW_GAP, MIN_GAP_RATIO = 0.45, 1.75
"""Minimum width of narrow gaps between numbers, in heights, and minimum ratio between them and the
next smaller gap. A row needs two such gaps and at least `MIN_ROW_GAPS` smaller ones."""

MIN_ROW_GAPS = 5
"""With fewer gaps, a row says little: the gaps of the page count for it, too."""

JUMP_RATIO = 2.1
"""Where no gap of a row is between some size and this many times as much, the larger ones are
between numbers."""

MAX_GAP_RATIO, MIN_CLOSE_GAP = 1.4, 0.35
"""Gaps are alike where each is at most the first number times the next smaller one. Of gaps that
are alike, all are between numbers or none is; then they may be as small as the second, in heights.
"""

MAX_TABLE_GAP = 1.0
"""`MAX_DIGIT_GAP` in tables, and in a row of single digits on a page of numbers."""

MIN_LONE_GAP = 1.4
"""Minimum gap between two numbers on a page that has fewer than two gaps."""


def choose_gap(row: Sequence[float], page: Sequence[float], *, table: bool) -> float:
    """The least gap between two numbers of a row.

    Hands differ: some leave as much between the digits of a number as others between numbers. So it
    depends on the smaller gaps of the row, and if it has few, on those of the page.

    Args:
        row: gaps between its digits.
        page: gaps between all digits of the page that are neighbours.
        table: whether the page has columns.
    """
    gaps = page if table or len(row) < 2 else row
    if len(gaps) < 2:
        return MIN_LONE_GAP
    ordered = _in_order(gaps)
    usual = _usual(ordered)
    if len(gaps) < MIN_ROW_GAPS:
        usual = max(usual, _usual(_in_order(page)))
    limit = min(max(MIN_NUMBER_GAP, GAP_FACTOR * usual + GAP_EXTRA), MAX_DIGIT_GAP)
    if table or _are_single(row, page):
        own = _in_order(row)
        clear = (upper for place, upper in enumerate(own) if _is_gulf(own, place))
        return _with_alike(own, min(limit, MAX_TABLE_GAP, *clear))
    for place, (lower, upper) in enumerate(pairwise(ordered)):
        # A single smaller gap proves nothing where others are usual.
        if _is_gulf(ordered, place + 1) or upper >= max(
            MIN_NUMBER_GAP, JUMP_RATIO * (lower if place else usual)
        ):
            limit = min(limit, upper)
    return _with_alike(ordered, limit)


def _is_gulf(ordered: Sequence[float], place: int) -> bool:
    """Whether a row's gaps from a place on are far wider than the others (`MIN_GAP_RATIO`)."""
    if not MIN_ROW_GAPS <= place < len(ordered) - 1:
        return False
    return ordered[place] >= max(MIN_NARROW_GAP, MIN_GAP_RATIO * ordered[place - 1])


def _with_alike(ordered: Sequence[float], limit: float) -> float:
    """The limit, or the least of the gaps below it that are like those above it, after a leap."""
    least = next((gap for gap in ordered if gap >= limit), math.inf)
    for lower, upper in reversed([*pairwise(ordered)]):
        if upper >= limit:
            continue
        if least > MAX_GAP_RATIO * upper or upper < MIN_CLOSE_GAP:
            break
        if upper >= JUMP_RATIO * lower:
            return upper
        least = upper
    return limit


def _are_single(row: Sequence[float], page: Sequence[float]) -> bool:
    """Whether all gaps of a row are far wider than nearly all others of the page."""
    others = _in_order((Counter(page) - Counter(row)).elements())
    if not row or len(others) < MIN_ROW_GAPS:
        return False
    most = others[3 * (len(others) - 1) // 4]
    return min(row) >= max(MAX_TABLE_GAP, JUMP_RATIO * most + GAP_EXTRA)


def _in_order(gaps: Iterable[float]) -> list[float]:
    return sorted(max(gap, 0.0) for gap in gaps)


def _usual(ordered: Sequence[float]) -> float:
    """The gap between digits of one number: a quarter of all are smaller."""
    return ordered[(len(ordered) - 1) // 4]


def number_columns(numbers: Sequence[Number]) -> tuple[Number, ...]:
    """Number the columns of an image's numbers.

    Numbers that overlap horizontally are in one column; one that spans several and is alone in its
    row, such as a heading, is in the first of them. Where that would put two numbers of a row into
    one, as in running text, the column is the place in the row. Rows of a page that is askew are
    level for it, and columns upright.

    Args:
        numbers: in reading order.

    Returns:
        The same with `Number.column`.
    """
    boxes = np.array([level_box(number) for number in numbers], np.float64).reshape(-1, 4)
    rows = [number.row for number in numbers]
    columns = _find_any_columns(boxes, rows)
    if columns is None:  # of a page that is askew: its columns lean as far as its rows slope
        boxes[:, 0] += _estimate_slope(boxes, rows) * (boxes[:, 1] + boxes[:, 3] / 2)
        columns = _find_any_columns(boxes, rows)
    if columns is None:
        columns, places = {}, dict[int, int]()
        for i, row in enumerate(rows):
            columns[i] = places.get(row, 0)
            places[row] = columns[i] + 1
    return tuple(replace(number, column=columns[i]) for i, number in enumerate(numbers))


def _estimate_slope(boxes: F64, rows: Sequence[int]) -> float:
    """Pixels that rows fall per pixel to the right, from the numbers next to each other in them."""
    middles = boxes[:, :2] + boxes[:, 2:] / 2
    order = sorted(range(len(rows)), key=lambda i: (rows[i], middles[i, 0]))
    steps = [middles[k] - middles[i] for i, k in pairwise(order) if rows[i] == rows[k]]
    return float(np.median([down / max(across, 1) for across, down in steps])) if steps else 0.0


def _find_any_columns(boxes: F64, rows: Sequence[int]) -> dict[int, int] | None:
    """The columns of all boxes, or of those that are narrow; None without such."""
    columns = _find_columns(boxes, rows, range(len(rows)))
    return _find_narrow_columns(boxes, rows) if columns is None else columns


def _find_columns(boxes: F64, rows: Sequence[int], chosen: Iterable[int]) -> dict[int, int] | None:
    """The columns of some numbers, by their places; None where two of a row would be in one.

    Args:
        boxes: of all numbers where their rows are level, float64 ``[N, 4]``.
        rows: the row of each.
        chosen: places of those that make columns.
    """
    columns: dict[int, int] = {}
    column, end, used = -1, -math.inf, set[int]()
    for i in sorted(chosen, key=lambda i: float(boxes[i, 0])):
        x, _, w, _ = boxes[i].tolist()
        if x >= end:
            column, used = column + 1, set()
        if rows[i] in used:
            return None
        used.add(rows[i])
        columns[i] = column
        end = max(end, x + w)
    return columns


def _find_narrow_columns(boxes: F64, rows: Sequence[int]) -> dict[int, int] | None:
    """The columns of the numbers, where some span several; None where that would be too many.

    These are alone in their row, or they are few: two numbers that were read as one.
    """
    left, right = boxes[:, 0], boxes[:, 0] + boxes[:, 2]
    own, counts = np.array(rows), Counter(rows)
    over = [np.flatnonzero((left < right[i]) & (left[i] < right)) for i in range(len(rows))]
    spans = np.array([len(np.unique(own[each])) < len(each) for each in over], bool)
    is_alone = np.array([counts[row] == 1 for row in rows], bool)
    for wide in (spans & is_alone, spans):
        if (wide & ~is_alone).sum() > MAX_SPANNING * len(rows):
            return None
        columns = _find_columns(boxes, rows, np.flatnonzero(~wide).tolist())
        if columns is None:
            continue
        for i in np.flatnonzero(wide).tolist():
            columns[i] = min((columns[k] for k in over[i].tolist() if not wide[k]), default=0)
        if len({(row, columns[i]) for i, row in enumerate(rows)}) == len(rows):
            return columns
    return None


MAX_SPANNING = 0.1
"""Maximum fraction of the numbers that span several columns, and are not alone in their row."""

MIN_ROWS = 3
"""Minimum number of rows with digits on both sides of a gutter that make columns."""

MIN_GUTTER = 0.8
"""Least width of a gutter between columns, in heights of the digits."""

GUTTER_FACTOR = 1.5
"""A gutter is at least this many times as wide as the gaps between other digits."""

MAX_SINGLE_COLUMNS = 3
"""More columns of single digits are rather numbers below each other, evenly spaced."""


def has_columns(boxes: Sequence[Box], rows: Sequence[int]) -> bool:
    """Whether gutters without ink run through several rows of digits.

    Args:
        boxes: of the digits.
        rows: the row of each.
    """
    if len(set(rows)) < MIN_ROWS:
        return False
    height = float(np.median([box[3] for box in boxes]))
    order = sorted(range(len(boxes)), key=lambda i: boxes[i][0])
    end = float(boxes[order[0]][0])
    gutters = []
    for place, i in enumerate(order):
        if boxes[i][0] - end >= MIN_GUTTER * height:
            left = {rows[k] for k in order[:place]}
            if len(left & {rows[k] for k in order[place:]}) >= MIN_ROWS:
                gutters.append((end, float(boxes[i][0])))
        end = max(end, float(boxes[i][0] + boxes[i][2]))
    if not gutters:
        return False
    others = [
        boxes[k][0] - boxes[i][0] - boxes[i][2]
        for i, k in pairwise(sorted(order, key=lambda i: (rows[i], boxes[i][0])))
        if rows[i] == rows[k]
        and not any(boxes[i][0] < left and right <= boxes[k][0] for left, right in gutters)
    ]
    if not others:
        return len(gutters) < MAX_SINGLE_COLUMNS
    return max(right - left for left, right in gutters) >= GUTTER_FACTOR * float(np.median(others))
