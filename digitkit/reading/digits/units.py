"""Letters behind numbers that look like digits, as the g of `175 g` and the S of `39.6' S`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from digitkit.boxes import gap_beside
from digitkit.reading.networks.line_reader import letter_probability
from digitkit.reading.results import Digit, Mark, group_by_row
from digitkit.reading.rows.lines import TextLine

MIN_LETTER = 0.85
"""Minimum probability at which the row shows a letter, 0–1."""

UNIT_DISTANCES, MIN_NEXT_DISTANCE = (0.3, 2.0), 0.6
"""Minimum and maximum distance of a unit from the digit before it, and minimum distance of the
digit behind it, in its height."""

MIN_GAP_RATIO = 1.75
"""The first is at least so many times as large as the smallest gap between digits of the row, if it
has several."""

MIN_LETTERS = 1
"""Minimum number of other letters on a page with units, as there are none in a table of digits."""


def separate_units(
    digits: Sequence[Digit], marks: Sequence[Mark], lines: Mapping[int, TextLine]
) -> tuple[tuple[Digit, ...], tuple[Mark, ...]]:
    """Take the letters that are apart behind numbers for what they are.

    They were doubtful digits, each of which would leave its number incomplete.

    Args:
        digits: of an image.
        marks: of its rows.
        lines: the rows, by their numbers.

    Returns:
        The digits that are none of them; and the marks, with them.
    """
    if sum(mark.kind == "letter" for mark in marks) < MIN_LETTERS:
        return tuple(digits), tuple(marks)
    rows = group_by_row(digit for digit in digits if digit.accepted)
    units = [
        digit
        for digit in digits
        if not (digit.accepted or digit.cut)
        and digit.row in lines
        and letter_probability(lines[digit.row].probabilities_at(digit.box)) >= MIN_LETTER
        and _is_behind(digit, rows.get(digit.row, ()))
    ]
    letters = (Mark("letter", unit.box, unit.row, unit.level_box) for unit in units)
    return tuple(digit for digit in digits if digit not in units), (*marks, *letters)


def _is_behind(unit: Digit, row: Sequence[Digit]) -> bool:
    """Whether a doubtful digit is apart from an accepted one before it, and from any behind it."""
    x, _, _, height = unit.row_box
    boxes = [digit.row_box for digit in row]
    gap = gap_beside(unit.row_box, (box for box in boxes if box[0] < x)) / height
    after = gap_beside(unit.row_box, (box for box in boxes if box[0] > x)) / height
    ordered = sorted(boxes)
    inner = min((b[0] - a[0] - a[2] for a, b in pairwise(ordered)), default=0) / height
    return (
        gap >= MIN_GAP_RATIO * inner
        and UNIT_DISTANCES[0] <= gap <= UNIT_DISTANCES[1]
        and after >= MIN_NEXT_DISTANCE
    )
