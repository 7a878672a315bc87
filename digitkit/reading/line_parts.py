"""Tells ruled lines, boxes around digits and strikes from the signs of a row.

A strike is a level line through a number that was crossed out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from digitkit.arrays import U8
from digitkit.reading.lines import Line
from digitkit.reading.parts import is_one_per_box
from digitkit.reading.results import Mark
from digitkit.reading.shapes import LOW, MIN_DASH, Shape
from digitkit.reading.strips import HALF, Member, Placed, Strip

HIGHEST_TAIL, TAIL_REACH = 0.6, 0.2
"""The end of a digit's stroke below a ruled line is at most so high, and so far from the digit, in
heights."""

LOWEST_FRAME, WIDEST_SIDE = 0.9, 0.25
"""Least size of a box around digits, and greatest width of one of its sides, in heights."""

LEANING_SIDE = 0.12
"""Maximum difference between the width of an upright side of a box and its pen, in heights."""

END = 3
"""Maximum distance of a box side's end from the level line it meets, strip pixels."""

LEVEL, AROUND = 0.25, 0.45
"""A strike is mostly not further above or below the middle of the digits than the first, in
heights, and does not go on within the second."""

GAP = 0.4
"""Maximum length of a gap in a strike, where it meets the strokes of digits, in heights."""

COVERED = 0.6
"""Minimum fraction of the width of a digit that a strike goes through; it does so in two digits."""

SEEN, STRONG = 0.97, 100
"""Minimum fraction of the columns with ink in the middle of the row, from the first digit that a
strike goes through to the last; and the minimum strength of that ink, 0–255. Where only bars of
digits are level, there are gaps."""

INSIDE = 0.3
"""Minimum distance of a strike's ends from those of the row's strip, in heights; a ruled line goes
on."""


def split_lines(
    line: Line, shapes: Sequence[Shape], placed: Sequence[Placed], taken: U8
) -> tuple[list[Shape], list[Shape]]:
    """Tell ruled lines and boxes from other ink of a row.

    Args:
        line: the row.
        shapes: ink of the row that belongs to no digit.
        placed: the digits in its strip.
        taken: the strokes of these, uint8 ``[height, width]``, 0 or 1.

    Returns:
        The upright lines between numbers; and the shapes that are a part of no line and no box.
    """
    strip = line.strip
    others = [
        shape
        for shape in shapes
        if not (_is_tail(line, shape, taken) or _is_frame(strip, shape, placed))
    ]
    upright = list(filter(strip.is_near, strip.split(line.ink.lines.upright)))
    sides = [shape for shape in (*upright, *others) if _is_side(line, shape)]
    upright = [shape for shape in upright if shape not in sides]
    others = [shape for shape in others if shape not in sides]
    middles = [each.left + each.ink.shape[1] / 2 for each in placed if each.member.digit.accepted]
    if not is_one_per_box([side.centre * strip.unit for side in sides], middles):
        upright += sides  # of the cells of a table
    return upright, others


def _is_tail(line: Line, shape: Shape, taken: U8) -> bool:
    """Whether a low shape is the end of a digit's stroke across a level ruled line.

    Args:
        line: the row.
        shape: ink that belongs to no digit.
        taken: the strokes of digits, uint8 ``[height, width]``, 0 or 1.
    """
    if shape.middle < LOW or shape.height > HIGHEST_TAIL:
        return False
    strip = line.strip
    (x, y), width = strip.place_of(shape), shape.ink.shape[1]
    reach = round(TAIL_REACH * strip.unit)
    above = slice(max(0, y - reach), max(0, y - 1)), slice(x, x + width)
    return line.ink.lines.has_level(*above) and bool(taken[above].any())


def _is_side(line: Line, shape: Shape) -> bool:
    """Whether a shape is the upright side of a low box: it ends at level lines, above and below."""
    if not (shape.height >= LOWEST_FRAME and shape.width <= WIDEST_SIDE):
        return False
    strip = line.strip
    (x, y), (height, width) = strip.place_of(shape), shape.ink.shape
    end = y + height
    if y <= END or end >= strip.shape[0] - END or shape.width - shape.pen > LEANING_SIDE:
        return False
    lines, columns = line.ink.lines, slice(x, x + width)
    return all(lines.has_level(slice(at - END, at + END), columns) for at in (y, end))


def _is_frame(strip: Strip, shape: Shape, placed: Sequence[Placed]) -> bool:
    """Whether a shape is a box around digits, and nothing else that touches it."""
    if min(shape.height, shape.width) < LOWEST_FRAME or shape.besides_sides >= MIN_DASH:
        return False
    (x, y), (height, width) = strip.place_of(shape), shape.ink.shape
    return any(
        x < each.left
        and each.left + each.ink.shape[1] < x + width
        and y < each.top + each.ink.shape[0] / 2 < y + height
        and each.member.digit.accepted
        for each in placed
    )


def find_strikes(lines: Mapping[int, Line], members: Sequence[Member]) -> Iterator[Mark]:
    """Find the lines through numbers: ink that makes them incomplete.

    Args:
        lines: the rows with an accepted digit, by their number.
        members: the digits that are reported, with their rows.
    """
    for row, line in lines.items():
        strip = line.strip
        runs = list(_find_runs(line))
        if not runs:
            continue
        sides = [
            _sides_of(strip, each)
            for each in members
            if each.digit.row == row and each.digit.accepted
        ]
        for start, end in runs:
            crossed = [
                (left, right)
                for left, right in sides
                if min(right, end) - max(left, start) >= COVERED * (right - left)
            ]
            if len(crossed) > 1 and _has_no_gaps(line, crossed):
                rows = _rows(strip, LEVEL)
                shape = strip.shape_of(line.ink.lines.level[rows, start:end], start, rows.start)
                mark = strip.to_mark("ink", shape)
                if not strip.is_cut(mark.box):  # else it may go on beyond the image
                    yield mark


def _sides_of(strip: Strip, member: Member) -> tuple[float, float]:
    """The left and right side of a digit, pixels of the strip."""
    shape = strip.shape_of_member(member)
    return shape.left * strip.unit, (shape.left + shape.width) * strip.unit


def _find_runs(line: Line) -> Iterator[tuple[int, int]]:
    """Where level lines through the middle of a strip begin and end, if both are in it, pixels."""
    strip, lines = line.strip, line.ink.lines
    columns = np.flatnonzero(lines.level_columns(_rows(strip, AROUND)))
    in_middle = lines.level_columns(_rows(strip, LEVEL))
    room, width = INSIDE * strip.unit, strip.shape[1]
    for run in _split(columns, GAP * strip.unit):
        start, end = int(run[0]), int(run[-1]) + 1
        if start >= room and end <= width - room and in_middle[run].mean() > 0.5:
            yield start, end


def _rows(strip: Strip, reach: float) -> slice:
    """The pixels of a strip at most so far above and below its middle, in heights."""
    return slice(round((HALF - reach) * strip.unit), round((HALF + reach) * strip.unit))


def _split(columns: npt.NDArray[np.intp], gap: float) -> list[npt.NDArray[np.intp]]:
    """Runs of columns with no wider gap within."""
    runs = np.split(columns, np.flatnonzero(np.diff(columns) > gap) + 1)
    return [run for run in runs if len(run)]


def _has_no_gaps(line: Line, sides: Sequence[tuple[float, float]]) -> bool:
    """Whether there is ink in the middle of a strip from the first of some digits to the last."""
    first, last = round(min(left for left, _ in sides)), round(max(right for _, right in sides))
    darkest = np.asarray(line.ink.strength[_rows(line.strip, LEVEL), max(first, 0) : last].max(0))
    return float((darkest >= STRONG).mean()) >= SEEN
