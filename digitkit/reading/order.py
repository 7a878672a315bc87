"""Reading order: boxes to rows and columns, as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from digitkit.arrays import Box


def median(values: npt.ArrayLike) -> float:
    """The median of one value at least; NumPy's own loads its masked arrays first, 7 ms a start."""
    ordered = np.sort(np.asarray(values, float))
    return float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


# --- reading order ---------------------------------------------------------------------------


def reading_order(boxes: Sequence[Box]) -> list[tuple[int, int]]:
    """The order in which a person reads boxes, and their rows.

    Each box is linked to its nearest neighbour on the right that is level with it, once the lean
    of the page is taken off; so rows may lean and drift. Rows go from top to bottom. Where a wide
    gutter parts three rows or more into two columns of numbers, or rows that are not level, one
    column comes before the other.

    Args:
        boxes: in any order.

    Returns:
        The index and the row of each box, in reading order.
    """
    if not boxes:
        return []
    at = np.array(boxes, np.float64)
    rows = _rows(at, list(range(len(boxes))), _skew(at))
    return [(i, number) for number, row in enumerate(rows) for i in row]


GUTTER = (1.8, 2.5)
"""Least width of a gutter, in digit heights, and in gaps inside a row."""


def _rows(at: npt.NDArray[np.float64], members: list[int], lean: float) -> list[list[int]]:
    """Rows of the boxes `at` ``[n, 4]`` that are members, in reading order."""
    parts = _columns(at, members, lean)
    if parts is not None:
        return _rows(at, parts[0], lean) + _rows(at, parts[1], lean)
    rows = _chains(at, members, lean)

    def height(row: list[int]) -> float:
        # Where the row would meet the page's left side.
        x, y = at[row, 0] + at[row, 2] / 2, at[row, 1] + at[row, 3] / 2
        return median(y - lean * x)

    return sorted(rows, key=height)


def _skew(at: npt.NDArray[np.float64]) -> float:
    """How much rows fall a pixel to the right: the middle of the slopes of close neighbours."""
    cx, cy, h = at[:, 0] + at[:, 2] / 2, at[:, 1] + at[:, 3] / 2, at[:, 3]
    slopes = []
    for i in range(len(at)):
        gap = at[:, 0] - at[i, 0] - at[i, 2]
        near = (cx > cx[i]) & (gap < 1.5 * h[i]) & (np.abs(cy - cy[i]) < 0.5 * h[i])
        if near.any():
            j = int(np.flatnonzero(near)[cx[near].argmin()])
            slopes.append((cy[j] - cy[i]) / (cx[j] - cx[i]))
    return median(slopes) if len(slopes) > 2 else 0.0


def _columns(
    at: npt.NDArray[np.float64], members: list[int], lean: float
) -> tuple[list[int], list[int]] | None:
    """The boxes on either side of a gutter; None where there is none."""
    by_left = sorted(members, key=lambda i: float(at[i, 0]))
    height = median(at[members, 3]) if members else 0.0
    gutters = []
    end = -np.inf
    for place, i in enumerate(by_left):
        if place and at[i, 0] - end >= GUTTER[0] * height:
            gutters.append((float(at[i, 0] - end), place))
        end = max(end, float(at[i, 0] + at[i, 2]))
    for wide, place in sorted(gutters, reverse=True):
        left, right = by_left[:place], by_left[place:]
        sides = [_chains(at, side, lean) for side in (left, right)]
        if min(map(len, sides)) < 2:
            continue
        inner = [
            float(at[b, 0] - at[a, 0] - at[a, 2])
            for rows in sides
            for row in rows
            for a, b in pairwise(row)
        ]
        across = _chains(at, members, lean)
        level = len(across) < len(sides[0]) + len(sides[1]) - 0.5 * min(map(len, sides))
        numbers = len(inner) >= sum(map(len, sides)) / 2 and wide >= GUTTER[1] * max(inner)
        if not level or (numbers and min(map(len, sides)) >= 3):
            return left, right
    return None


def _chains(at: npt.NDArray[np.float64], members: list[int], lean: float) -> list[list[int]]:
    """Rows as chains of neighbours, each from the left."""
    here = np.array(members)
    left, right, height = at[here, 0], at[here, 0] + at[here, 2], at[here, 3]
    cx = (left + right) / 2
    level = at[here, 1] + height / 2 - lean * cx
    # From each (down) to each (across); of those on the right, that are about level.
    size = np.maximum(height[:, None], height[None, :])
    gap = np.maximum(0.0, left[None, :] - right[:, None])
    rise = np.abs(level[None, :] - level[:, None])
    # Neighbours may drift more than what stands far apart.
    linked = (cx[None, :] > cx[:, None]) & (rise < np.where(gap < 2 * size, 0.6, 0.45) * size)
    starts, ends = np.nonzero(linked)
    cost = (gap + 2.0 * rise)[linked]
    links = [(members[starts[k]], members[ends[k]]) for k in np.argsort(cost, kind="stable")]
    following: dict[int, int] = {}
    led: set[int] = set()
    for i, j in links:
        if i not in following and j not in led:
            following[i] = j
            led.add(j)
    rows = []
    for i in members:
        if i not in led:
            row = [i]
            while row[-1] in following:
                row.append(following[row[-1]])
            rows.append(row)
    return rows
