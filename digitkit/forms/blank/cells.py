"""Cells of a form: boxes for one digit each, by what divides them.

Sizes are fractions of the form's longer side, unless something else is said.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from digitkit.arrays import U8, Box
from digitkit.forms.templates.template_file import MAX_CELLS
from digitkit.images.masks import find_runs

MIN_CELL_WIDTH = 0.008
"""A cell of a comb is at least this wide."""

MIN_TICK_HEIGHT = 0.003
"""A tick that divides the line of an open comb is at least this high."""

MAX_CELL_ASPECT = 1.6
"""A cell of a comb is narrower than this, in heights of the cell."""


class Cell(NamedTuple):
    """The box of an area that lines enclose."""

    x: int
    y: int
    w: int
    h: int


def divide(rises: npt.NDArray[np.bool_], box: Box, side: int) -> list[Cell]:
    """The even cells of a box, or of the room above a line, between what rises in its columns.

    Args:
        rises: in which columns of the box something rises from its lower side, bool ``[w]``.
        box: the box, or the room above a line.
        side: the form's longer side, pixels.

    Returns:
        At least three, from the left; none where it is not divided, or not evenly.
    """
    x, y, w, h = box
    ticks = find_runs(rises).sum(1) / 2
    margin = MIN_CELL_WIDTH * side / 2
    edges = [0, *ticks[(ticks > margin) & (ticks < w - margin)].tolist(), w]
    cells = [Cell(round(x + left), y, round(right - left), h) for left, right in pairwise(edges)]
    least, most = (limit(cell.w for cell in cells) for limit in (min, max))
    is_even = least >= max(0.75 * most, 2 * margin) and most < MAX_CELL_ASPECT * h
    return cells if is_even and 3 <= len(cells) <= MAX_CELLS else []


def are_dark_above(
    thick: U8, x: int, rows: npt.NDArray[np.int64], height: int
) -> npt.NDArray[np.bool_]:
    """In which columns all is print from a line's upper edge up to a height, bool ``[N]``.

    Args:
        thick: what is printed, thickened, uint8 ``[H, W]`` of 0 and 1.
        x: first column.
        rows: of the line's upper edge in each column from `x` on, ``[N]``.
        height: pixels.
    """
    above = np.maximum(rows - np.arange(1, height + 1)[:, None], 0)
    return np.asarray(thick[above, x + np.arange(len(rows))].all(0), np.bool_)


def longest_free(is_print: npt.NDArray[np.bool_]) -> int:
    """Length of the longest run without print."""
    starts, ends = find_runs(~is_print).T
    return int((ends - starts).max(initial=0))
