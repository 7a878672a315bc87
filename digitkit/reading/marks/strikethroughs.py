"""Strikes: lines through numbers that were crossed out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from digitkit.boxes import gap_beside
from digitkit.reading.results import Mark
from digitkit.reading.rows.layout import STRIP_HALF_HEIGHT, RowDigit
from digitkit.reading.rows.lines import TextLine
from digitkit.reading.rows.strip_ink import MIN_STROKE_LEVEL, Ink
from digitkit.reading.rows.strips import PlacedDigit, Strip

MAX_STRIKE_OFFSET, MIN_CLEAR_AROUND = 0.25, 0.45
"""A strike is mostly not further above or below the middle of the digits than the first, in
heights, and does not go on within the second."""

MAX_STRIKE_GAP = 0.4
"""Maximum length of a gap in a strike, where it meets the strokes of digits, in heights."""

MIN_COVERED = 0.6
"""Minimum fraction of the width of a digit that a strike goes through; it does so in two digits."""

MIN_STRIKE_COLUMNS, MIN_STRIKE_STRENGTH = 0.97, 100
"""Minimum fraction of the columns with ink in the middle of the row, from the first digit that a
strike goes through to the last; and the minimum strength of that ink, 0–255. Where only bars of
digits are level, there are gaps."""

SLOPES = np.linspace(-1.2, 1.2, 33)
"""Slopes that a short strike may have."""

MAX_FLAT_SLOPE = 0.35
"""Maximum slope of a strike through one digit that is alone, or that was taken for a ruled line."""

FINE_SLOPES = np.linspace(-MAX_FLAT_SLOPE, MAX_FLAT_SLOPE, 49)
"""Slopes of a strike that was taken for a ruled line."""

MIN_ON_LINE = 0.4
"""Minimum fraction of the width of each digit that such a line goes through."""

MAX_SHORT_STRIKE_OFFSET = 0.25
"""Maximum vertical distance of a short strike from the middle of its digits, in heights."""

MAX_SHORTENING = 0.12
"""A short strike may end so far inside the outer sides of its first and last digit, in heights."""

MIN_STRIKE_END, MAX_STRIKE_ENDS = 0.1, (1.0, 1.6)
"""Minimum and maximum length by which a short strike extends beyond its digits, in heights. The
bars of touching digits do not."""

MAX_STRIKE_THICKNESS, HALF_HEIGHT = 0.12, 0.6
"""Ink farther from a strike than the first value, and closer to the middle of the digits than the
second, belongs to the digits; in heights."""

MAX_GROUP_WIDTH = 30.0
"""Short strikes are not looked for in wider groups of digits, in heights, to limit the time."""

MIN_LONE_GAP = 1.0
"""Minimum gap between a digit that is a number by itself and all others, in heights."""

BARRED = (1, 4, 7)
"""Digits that may have a horizontal bar: such a digit alone is not crossed out by one."""

MIN_END_DISTANCE = 0.3
"""Minimum distance of a strike's ends from those of the row's strip, in heights; a ruled line goes
on."""


def find_strikethroughs(
    lines: Mapping[int, TextLine], row_digits: Sequence[RowDigit]
) -> Iterator[Mark]:
    """Find the lines through numbers: ink that makes them incomplete.

    Args:
        lines: the rows with an accepted digit, by their number.
        row_digits: the digits that are reported, with their rows.
    """
    for row, line in lines.items():
        own = [each for each in row_digits if each.row == row and each.digit.accepted]
        for mark in (*_find_long(line, own), *_find_short(line, own)):
            if not line.strip.is_cut(mark.box):  # else it may go on beyond the image
                yield mark


def _find_long(line: TextLine, own: Sequence[RowDigit]) -> Iterator[Mark]:
    """Horizontal strikes that are as long as ruled lines; `own` are the row's accepted digits."""
    strip = line.strip
    runs = list(_find_line_spans(line))
    sides = [_sides_of(strip, each) for each in own] if runs else []
    for start, end in runs:
        crossed = [
            (left, right)
            for left, right in sides
            if min(right, end) - max(left, start) >= MIN_COVERED * (right - left)
        ]
        if len(crossed) > 1 and _has_no_gaps(line, crossed):
            rows = _rows(strip, MAX_STRIKE_OFFSET)
            shape = strip.shape_of(line.ink.lines.horizontal[rows, start:end], start, rows.start)
            yield strip.to_mark("ink", shape)


def _find_short(line: TextLine, own: Sequence[RowDigit]) -> Iterator[Mark]:
    """Straight strikes of any slope through digits that they join; and flat ones through one.

    Args:
        line: the row.
        own: its accepted digits.
    """
    strip, ink = line.strip, line.ink
    placed = strip.place(own)
    groups = dict[int, list[PlacedDigit]]()  # by the piece of ink that most of their strokes are in
    for each in placed:
        labels, strokes = each.cut(ink.labels)
        counts = np.bincount(labels[strokes > MIN_STROKE_LEVEL], minlength=1)
        counts[0] = 0
        if counts.any():
            groups.setdefault(int(counts.argmax()), []).append(each)
    joined = ((group, False) for group in groups.values())
    on_lines = ((group, True) for group in _group_on_lines(line, placed))
    for group, is_line in (*joined, *on_lines):
        if len(group) == 1 and not _is_alone(group[0], own, strip):
            continue
        left = min(each.left for each in group)
        right = max(each.left + each.ink.shape[1] for each in group)
        if right - left > MAX_GROUP_WIDTH * strip.unit:
            continue
        middle = float(np.mean([each.top + each.ink.shape[0] / 2 for each in group]))
        found = _find_straight(
            ink, (left, right), middle, strip.unit, is_alone=len(group) == 1, is_line=is_line
        )
        if found is not None:
            columns, rows = found
            x, y = int(columns[0]), int(rows.min())
            band = np.zeros((int(rows.max()) - y + 1, int(columns[-1]) - x + 1), np.uint8)
            band[rows - y, columns - x] = 1
            yield strip.to_mark("ink", strip.shape_of(band, x, y))


def _group_on_lines(line: TextLine, placed: Sequence[PlacedDigit]) -> Iterator[list[PlacedDigit]]:
    """Neighbouring digits on what was taken for a ruled line, without which they are apart."""
    strip, group = line.strip, list[PlacedDigit]()
    is_line = line.ink.lines.horizontal_columns(_rows(strip, MIN_CLEAR_AROUND))
    for each in sorted(placed, key=lambda one: one.left):
        left, right = max(each.left, 0), each.left + each.ink.shape[1]
        end = group[-1].left + group[-1].ink.shape[1] if group else left
        is_on_line = is_line[left:right].mean() >= MIN_ON_LINE
        if is_on_line and left - end <= MIN_LONE_GAP * strip.unit:
            group.append(each)
            continue
        if len(group) > 1:
            yield group
        group = [each] if is_on_line else []
    if len(group) > 1:
        yield group


def _is_alone(placed: PlacedDigit, own: Sequence[RowDigit], strip: Strip) -> bool:
    """Whether a digit is a number by itself, and has no bar of its own."""
    digit = placed.row_digit.digit
    others = (each.digit.row_box for each in own if each is not placed.row_digit)
    is_apart = gap_beside(digit.row_box, others) >= MIN_LONE_GAP * strip.digit_height
    return is_apart and digit.digit not in BARRED


def _find_straight(
    ink: Ink, sides: tuple[int, int], middle: float, unit: float, *, is_alone: bool, is_line: bool
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]] | None:
    """A straight line of ink from one side of some digits to the other.

    Args:
        ink: of the strip.
        sides: the left and right side of the digits, pixels of the strip.
        middle: y coordinate of their middle, pixels of the strip.
        unit: height of the row's digits, pixels of the strip.
        is_alone: whether it is one digit.
        is_line: whether the line was taken for a ruled one.

    Returns:
        The columns of the strip that it goes through, and the row in each; None if there is none.
    """
    (left, right), room = sides, round(MAX_STRIKE_ENDS[1 if is_line else 0] * unit)
    first, last = max(0, left - room), min(ink.strength.shape[1], right + room)
    is_ink = ink.strength[:, first:last] >= MIN_STRIKE_STRENGTH
    columns = np.arange(first, last)
    slopes = (
        SLOPES[np.abs(SLOPES) < MAX_FLAT_SLOPE] if is_alone else FINE_SLOPES if is_line else SLOPES
    )
    starts = np.arange(
        middle - MAX_SHORT_STRIKE_OFFSET * unit, middle + MAX_SHORT_STRIKE_OFFSET * unit + 1
    )
    within = columns[
        (columns >= left + MAX_SHORTENING * unit) & (columns < right - MAX_SHORTENING * unit)
    ]
    if not len(within):
        return None
    highest = len(is_ink) - 1
    away = within - (left + right) / 2
    rows = np.rint(starts[None, :, None] + slopes[:, None, None] * away).clip(0, highest)
    share = is_ink[rows.astype(np.intp), within - first].mean(-1)
    if share.max() < MIN_STRIKE_COLUMNS:
        return None
    # Of the best lines the first, or the one that goes on as far as what was taken for a line.
    best = np.argwhere(share == share.max())[: None if is_line else 1]
    rises = slopes[best[:, :1]] * (columns - (left + right) / 2)
    paths = np.rint(starts[best[:, 1:]] + rises).clip(0, highest).astype(np.intp)
    longest = int(is_ink[paths, columns - first].sum(1).argmax())
    rows, slope = paths[longest], float(slopes[best[longest, 0]])
    run = max(_split(np.flatnonzero(is_ink[rows, columns - first]), 2), key=len)
    if run[0] == 0 or run[-1] == len(columns) - 1:
        return None
    columns, rows = columns[run], rows[run]
    # What is not a part of it leaves room at both ends.
    at = np.arange(len(is_ink))[:, None]
    other = is_ink[:, columns - first] & (
        np.abs(at - rows) > MAX_STRIKE_THICKNESS * unit * math.hypot(1, slope)
    )
    beside = np.flatnonzero((other & (np.abs(at - middle) <= HALF_HEIGHT * unit)).any(0))
    ends = MIN_STRIKE_END * unit / math.hypot(1, slope)
    if len(beside) and (beside[0] < ends or beside[-1] >= len(columns) - ends):
        return None
    return columns, rows


def _sides_of(strip: Strip, row_digit: RowDigit) -> tuple[float, float]:
    """The left and right side of a digit, pixels of the strip."""
    shape = strip.shape_of_digit(row_digit)
    return shape.left * strip.unit, (shape.left + shape.width) * strip.unit


def _find_line_spans(line: TextLine) -> Iterator[tuple[int, int]]:
    """Where horizontal lines through the middle of a strip begin and end within it, pixels."""
    strip, lines = line.strip, line.ink.lines
    columns = np.flatnonzero(lines.horizontal_columns(_rows(strip, MIN_CLEAR_AROUND)))
    in_middle = lines.horizontal_columns(_rows(strip, MAX_STRIKE_OFFSET))
    room, width = MIN_END_DISTANCE * strip.unit, strip.shape[1]
    for run in _split(columns, MAX_STRIKE_GAP * strip.unit):
        start, end = int(run[0]), int(run[-1]) + 1
        if start >= room and end <= width - room and in_middle[run].mean() > 0.5:
            yield start, end


def _rows(strip: Strip, reach: float) -> slice:
    """The pixels of a strip at most so far above and below its middle, in heights."""
    return slice(
        round((STRIP_HALF_HEIGHT - reach) * strip.unit),
        round((STRIP_HALF_HEIGHT + reach) * strip.unit),
    )


def _split(columns: npt.NDArray[np.intp], gap: float) -> list[npt.NDArray[np.intp]]:
    """Runs of columns with no wider gap within."""
    runs = np.split(columns, np.flatnonzero(np.diff(columns) > gap) + 1)
    return [run for run in runs if len(run)]


def _has_no_gaps(line: TextLine, sides: Sequence[tuple[float, float]]) -> bool:
    """Whether there is ink in the middle of a strip from the first of some digits to the last."""
    first, last = round(min(left for left, _ in sides)), round(max(right for _, right in sides))
    darkest = np.asarray(
        line.ink.strength[_rows(line.strip, MAX_STRIKE_OFFSET), max(first, 0) : last].max(0)
    )
    return float((darkest >= MIN_STRIKE_STRENGTH).mean()) >= MIN_STRIKE_COLUMNS
