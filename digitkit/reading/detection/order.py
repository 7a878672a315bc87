"""Reading order: bounding boxes to rows and columns, as a person reads them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from digitkit.arrays import F64, Box
from digitkit.boxes import chunk_slices, middle_x
from digitkit.reading.results import Digit, Mark

MIN_GUTTER = 1.8
"""Least width of a gutter between columns, in digit heights."""

MAX_TIMES = 4.0
"""A digit that is more than so many times as high as another is not in one row with it."""

MAX_ROW_OFFSET = 0.75
"""Maximum distance, up or down, of a digit in doubt from the nearest digit of the row that it
belongs to, in heights of that digit."""

MAX_ROW_DISTANCE = 3.0
"""Maximum distance, to the side, of a digit in doubt from the nearest digit of the row that it
belongs to, in heights of that digit."""

MAX_SLOPE = 0.3
"""Largest slope of rows, pixels per pixel; larger ones are made level before."""

MAX_PAIRS = 4000
"""Maximum number of pairs of neighbours that tell the slope of a page's rows, to save time."""

MAX_PAIR_DISTANCE = 15
"""Boxes of a row are at most this far apart to tell its slope, in heights. A number by itself tells
little; those of a table are often more than ten heights from one to the next."""


def reading_order(boxes: Sequence[Box]) -> list[tuple[int, int]]:
    """The order in which a person reads boxes, and their rows.

    Each box is linked to its nearest neighbour on the right that is level with it after deskewing,
    so rows may slope and drift. Rows go from top to bottom. Where a wide gutter separates rows that
    are not level with each other, what is on its left comes before what is on its right.

    Args:
        boxes: in any order.

    Returns:
        The index and the row of each box, in reading order.
    """
    if not boxes:
        return []
    array = np.array(boxes, np.float64)
    rows = _find_rows(array, list(range(len(boxes))), _estimate_skew(array))
    return [(i, number) for number, row in enumerate(rows) for i in row]


def order_digits(digits: Sequence[Digit]) -> list[tuple[int, int]]:
    """The order in which a person reads digits, and their rows.

    Rows are those of accepted digits. One in doubt belongs to the row that it is level with; where
    there is none, it gets a row of its own, with a number after those of all others.

    Args:
        digits: in any order, with any rows.

    Returns:
        The index and the row of each digit, in reading order.
    """
    boxes = [digit.row_box for digit in digits]
    rows: dict[int, list[int]] = {}
    for i, row in reading_order(boxes):
        rows.setdefault(row, []).append(i)
    sure = {row for row, places in rows.items() if any(digits[i].accepted for i in places)}
    accepted = [(boxes[i], row) for row in sure for i in rows[row] if digits[i].accepted]
    for row in rows.keys() - sure:
        for i in tuple(rows[row]):
            home = _find_home(boxes[i], accepted)
            if home is not None:
                rows[row].remove(i)
                rows[home].append(i)
                rows[home].sort(key=lambda k: middle_x(boxes[k]))
    numbers = {row: number for number, row in enumerate(sorted(sure))}
    for row in sorted(rows.keys() - sure):
        numbers[row] = len(numbers)
    return [(i, numbers[row]) for row in sorted(rows) for i in rows[row]]


def number_rows(
    digits: Sequence[Digit], marks: Sequence[Mark], order: Sequence[int]
) -> tuple[tuple[Digit, ...], tuple[Mark, ...]]:
    """The digits in reading order, and the marks, with rows numbered as `order_digits` does.

    Args:
        digits: of an image, some of them accepted or doubted since they were ordered.
        marks: in their rows.
        order: their rows from the top.
    """
    sure = {digit.row for digit in digits if digit.accepted}
    present = {digit.row for digit in digits} | {mark.row for mark in marks}
    rows = [row for row in order if row in sure]
    rows += [row for row in order if row in present - sure]
    numbers, places = ({row: i for i, row in enumerate(each)} for each in (rows, order))

    def place(digit: Digit) -> tuple[int, float]:
        return places[digit.row], middle_x(digit.row_box)

    return (
        tuple(replace(each, row=numbers[each.row]) for each in sorted(digits, key=place)),
        tuple(replace(each, row=numbers[each.row]) for each in marks),
    )


def _find_home(box: Box, others: Sequence[tuple[Box, int]]) -> int | None:
    """The row of the nearest of other boxes that a box is level with; None without any."""
    x, y, w, h = box
    best, home = math.inf, None
    for (left, top, width, height), row in others:
        down = abs(y + h / 2 - top - height / 2) / height
        across = max(left - x - w, x - left - width, 0) / height
        if down <= MAX_ROW_OFFSET and across <= MAX_ROW_DISTANCE and down + across < best:
            best, home = down + across, row
    return home


def _find_rows(boxes: F64, chosen: list[int], skew: float) -> list[list[int]]:
    """Rows of those of the boxes, float64 ``[n, 4]``, that are chosen, in reading order."""
    columns = _split_columns(boxes, chosen, skew)
    if columns is not None:
        left, right = columns
        return _find_rows(boxes, left, skew) + _find_rows(boxes, right, skew)

    def start_height(row: list[int]) -> float:
        # Where the row would meet the page's left side.
        x, y = boxes[row, 0] + boxes[row, 2] / 2, boxes[row, 1] + boxes[row, 3] / 2
        return float(np.median(y - skew * x))

    return sorted(_chain_neighbours(boxes, chosen, skew), key=start_height)


def _estimate_skew(boxes: F64) -> float:
    """Pixels that rows fall per pixel to the right: where most boxes are level with those near."""
    cx, cy, h = boxes[:, 0] + boxes[:, 2] / 2, boxes[:, 1] + boxes[:, 3] / 2, boxes[:, 3]
    pairs = []
    for some in chunk_slices(len(boxes)):  # from each of some (down) to each (across) on its right
        dx, dy = cx - cx[some, None], cy - cy[some, None]
        size = np.maximum(h[some, None], h)
        near = (
            (dx > 0) & (dx < MAX_PAIR_DISTANCE * size) & (np.minimum(h[some, None], h) > 0.5 * size)
        )
        near &= np.abs(dy) < 0.5 * size + MAX_SLOPE * dx
        pairs.append([each[near] for each in (dx, dy, size)])
    dx, dy, size = np.hstack(pairs)
    if len(dx) < 3:
        return 0.0
    dx, dy, weight = dx / size, dy / size, size / dx
    step = -(-len(dx) // MAX_PAIRS)
    dx, dy, weight = dx[::step], dy[::step], weight[::step]
    slopes = np.linspace(-MAX_SLOPE, MAX_SLOPE, 2 * round(MAX_SLOPE / 0.01) + 1)
    off = dy[None, :] - slopes[:, None] * dx[None, :]
    scores = (weight * np.exp(-((off / 0.2) ** 2))).sum(1) * (1 - np.abs(slopes))
    return float(slopes[scores.argmax()])


def _split_columns(
    boxes: F64, chosen: list[int], skew: float
) -> tuple[list[int], list[int]] | None:
    """The boxes on either side of a gutter between rows that are not level; None without one."""
    by_left = sorted(chosen, key=lambda i: float(boxes[i, 0]))
    height = float(np.median(boxes[chosen, 3])) if chosen else 0.0
    gutters = []
    end = -np.inf
    for place, i in enumerate(by_left):
        if place and boxes[i, 0] - end >= MIN_GUTTER * height:
            gutters.append((float(boxes[i, 0] - end), place))
        end = max(end, float(boxes[i, 0] + boxes[i, 2]))
    across = _chain_neighbours(boxes, chosen, skew) if gutters else []
    for _, place in sorted(gutters, reverse=True):
        left, right = by_left[:place], by_left[place:]
        sides = [_chain_neighbours(boxes, side, skew) for side in (left, right)]
        if min(map(len, sides)) < 2:
            continue
        if len(across) >= len(sides[0]) + len(sides[1]) - 0.5 * min(map(len, sides)):
            return left, right
    return None


def _chain_neighbours(boxes: F64, chosen: list[int], skew: float) -> list[list[int]]:
    """Rows as chains of neighbours, each from the left."""
    own = boxes[np.array(chosen)]
    left, right, height = own[:, 0], own[:, 0] + own[:, 2], own[:, 3]
    cx = (left + right) / 2
    level = own[:, 1] + height / 2 - skew * cx
    found = []
    for some in chunk_slices(len(own)):  # from each of some (down) to each (across) on its right
        size = np.maximum(height[some, None], height)
        gap = np.maximum(0.0, left - right[some, None])
        rise = np.abs(level - level[some, None])
        # Close neighbours may drift more than distant ones.
        linked = (cx > cx[some, None]) & (rise < np.where(gap < 2 * size, 0.6, 0.45) * size)
        linked &= size <= MAX_TIMES * np.minimum(height[some, None], height)
        before, after = np.nonzero(linked)
        found.append((before + some.start, after, (gap + 2.0 * rise)[linked]))
    starts, ends, cost = (np.concatenate(each) for each in zip(*found, strict=True))
    links = [(chosen[starts[k]], chosen[ends[k]]) for k in np.argsort(cost, kind="stable")]
    successors: dict[int, int] = {}
    has_predecessor: set[int] = set()
    for i, j in links:
        if i not in successors and j not in has_predecessor:
            successors[i] = j
            has_predecessor.add(j)
    rows = []
    for i in chosen:
        if i not in has_predecessor:
            row = [i]
            while row[-1] in successors:
                row.append(successors[row[-1]])
            rows.append(row)
    return rows
