"""Strikes: level lines through numbers that were crossed out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from digitkit.reading.lines import Line
from digitkit.reading.results import Mark
from digitkit.reading.strips import HALF, Member, Strip

LEVEL, AROUND = 0.25, 0.45
"""A strike is mostly not further above or below the middle of the digits than the first, in
heights, and does not go on within the second."""

GAP = 0.4
"""It is interrupted by the strokes of digits, for less than this, in heights."""

COVERED = 0.6
"""It goes through at least this part of the width of two digits."""

SEEN, STRONG = 0.97, 100
"""From the first of these digits to the last there is ink in this part of the columns, at least so
strong, 0–255: where only bars of digits are level, there are gaps."""

INSIDE = 0.3
"""It ends at least this far inside of the row's strip, in heights; a ruled line goes on."""


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
                shape = strip.shape_of(line.ink.level[rows, start:end], start, rows.start)
                box, level_box = strip.to_boxes(shape)
                if not strip.is_cut(box):  # else it may go on beyond the image
                    yield Mark("ink", box, row, level_box)


def _sides_of(strip: Strip, member: Member) -> tuple[float, float]:
    """The left and right side of a digit, pixels of the strip."""
    shape = strip.shape_of_member(member)
    return shape.left * strip.unit, (shape.left + shape.width) * strip.unit


def _find_runs(line: Line) -> Iterator[tuple[int, int]]:
    """Where level lines through the middle of a strip begin and end, if both are in it, pixels."""
    strip, level = line.strip, line.ink.level
    columns = np.flatnonzero(level[_rows(strip, AROUND)].any(0))
    in_middle = np.asarray(level[_rows(strip, LEVEL)].any(0))
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
