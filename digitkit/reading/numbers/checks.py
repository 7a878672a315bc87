"""Doubts about a number as a whole: by its gaps, its last digit, and what is around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from digitkit.arrays import F64
from digitkit.reading.numbers.neighbours import (
    find_fractions,
    find_over_column_lines,
    find_spanning,
    find_split,
    find_torn,
)
from digitkit.reading.numbers.parts import gaps_within, measure_height
from digitkit.reading.results import Digit, Mark, MarkKind, Number, group_by_row

MIN_SINGLE_SPACE, MIN_SEVERAL_SPACES, MIN_SPACE_RATIO = 0.35, 0.2, 2.0
"""A gap within a number may be between two from the first width on, and several gaps from the
second on, in heights, if they are so many times as wide as all others: as wide as a space in a
close hand."""

MAX_SINGLES_PER_SPACE = 1 / 3
"""Maximum number of single digits between such spaces, in the number of spaces; with any, each is
as wide as a single space."""

DIGITS_LIKE_G, MIN_DESCENTS = (8, 9), (0.12, 0.2)
"""These may be the letter g of a unit if their top and bottom are lower than those of the digits
before them by at least these fractions of their height."""

UNIT_GAP_RANGE, COMPARED_BEFORE_UNIT = (0.3, 1.5), 4
"""Minimum and maximum gap between a number and such a unit, in heights; and how many digits before
the unit are compared with it."""

MIN_SLOPING_DIGITS, MIN_SLOPE, MAX_OFF_SLOPE = 3, 0.1, 0.1
"""A row slopes if so many digits or more are on a line that falls or rises at least by the second
value per pixel, and none is further from it than the third, in heights."""

MIN_SLASH_HEIGHT, MAX_SLASH_CONFIDENCE = 1.04, 0.995
"""A 1 between two digits may be a slash if it is at least so many times as high as both, and its
confidence is at most the second value."""

MIN_MEAN_SLASH_GAP, MIN_SLASH_GAP, MIN_SLASH_GAP_RATIO = 0.3, 0.1, 2.0
"""The gaps on both sides of such a slash are this wide on average, and each as wide as the second
value, in heights, or wider; and on average so many times as wide as all others of the number."""

MIN_USUAL_SEPARATORS, MIN_USUAL_FRACTION = 3, 0.75
"""Minimum number of numbers with the usual decimal separator of a page, and minimum fraction that
they are of all numbers with the same count of decimals."""

THOUSANDS = 3
"""Number of digits after a separator of thousands."""


def flag_numbers(
    numbers: Sequence[Number],
    digits: Sequence[Digit],
    marks: Sequence[Mark],
    *,
    may_be_several: bool,
) -> list[Number]:
    """Mark numbers as incomplete if what is around them casts doubt on them.

    Args:
        numbers: of an image.
        digits: of the image, with the rows of the numbers.
        marks: of the image, with the rows of the numbers.
        may_be_several: whether a number may be several by its gaps.
    """
    accepted = [digit for digit in digits if digit.accepted]
    rows = group_by_row(accepted)
    torn = find_torn(accepted) if len(rows) > 1 else set()
    split = find_split(numbers, marks) if may_be_several else set()
    spanning = find_spanning(numbers) if may_be_several else set()
    fractions = find_fractions(numbers, accepted) if may_be_several else {}
    over_lines = find_over_column_lines(numbers, marks) if may_be_several else set()
    separators = Counter(map(_separator_of, numbers))
    flagged = []
    for number in numbers:
        reasons = []
        if torn.intersection(number.digits):
            reasons.append("a digit close beside it is in another row")
        if number in fractions:
            reasons.append(f"digit {fractions[number]} may be of a fraction")
        if _ends_in_unit(number, rows.get(number.row, ())):
            reasons.append(f"digit {len(number.digits)} hangs below the line: it may be a g")
        if split.intersection(number.digits):
            reasons.append("only a line, which may be a crease, is between it and digits beside it")
        if _is_rare(_separator_of(number), separators):
            reasons.append("most numbers of the page have the other decimal separator")
        if may_be_several:
            reasons += [f"digit {place} may be a slash" for place in _find_slashes(number, marks)]
            reasons += [
                f"the gap after digit {place} may be between two numbers"
                for place in _find_spaces(number, marks)
            ]
            if number in spanning:
                reasons.append("gaps between numbers of other rows go on between its digits")
            if number in over_lines:
                reasons.append("it goes across a line between columns")
        complete = number.complete and not reasons
        flagged.append(replace(number, complete=complete, reasons=(*number.reasons, *reasons)))
    return flagged


def _separator_of(number: Number) -> tuple[str, int]:
    """The separator of a number that has exactly one, and the count of digits after it."""
    signs = [(place, sign) for place, sign in number.signs if sign != "-"]
    if len(signs) != 1:
        return "", 0
    place, sign = signs[0]
    return sign, len(number.digits) - place


def _is_rare(separator: tuple[str, int], counts: Mapping[tuple[str, int], int]) -> bool:
    """Whether most numbers of the page with the same count of decimals have the other separator.

    Most writers use either points or commas, and a short comma looks like a point.

    Args:
        separator: as `_separator_of` returns it.
        counts: of a page, how many numbers have each.
    """
    sign, decimals = separator
    others = counts.get(("," if sign == "." else ".", decimals), 0)
    is_usual = others >= max(
        MIN_USUAL_SEPARATORS, MIN_USUAL_FRACTION * (others + counts[separator])
    )
    return bool(sign) and decimals != THOUSANDS and is_usual


def _find_spaces(number: Number, marks: Sequence[Mark]) -> list[int]:
    """After which digits of a number a gap may be between two; none in boxes, or with apostrophes.

    There are two digits or more between them, except for a few; see `MIN_SINGLE_SPACE` and
    `MAX_SINGLES_PER_SPACE`.
    """
    if len(number.digits) < 4 or number.signs or _has_within(number, marks, "side", "apostrophe"):
        return []
    height = measure_height(number.digits)
    gaps = gaps_within(number.digits, height)
    for lower, upper in pairwise(sorted(gaps)):
        spaces = [place for place, gap in enumerate(gaps, 1) if gap >= upper]
        ends = [0, *spaces, len(gaps) + 1]
        single = sum(end - start == 1 for start, end in pairwise(ends))
        least = MIN_SEVERAL_SPACES if len(spaces) > 1 and not single else MIN_SINGLE_SPACE
        are_wide = upper >= max(least, MIN_SPACE_RATIO * lower)
        if are_wide and single <= MAX_SINGLES_PER_SPACE * len(spaces):
            return spaces
    return []


def _has_within(number: Number, marks: Sequence[Mark], *kinds: MarkKind) -> bool:
    """Whether marks of some kinds are between the digits of a number."""
    boxes = [digit.row_box for digit in number.digits]
    left, right = min(x for x, *_ in boxes), max(x + w for x, _, w, _ in boxes)
    own = (mark for mark in marks if mark.kind in kinds and mark.row == number.row)
    return any(left < mark.row_box[0] < right for mark in own)


def _find_slashes(number: Number, marks: Sequence[Mark]) -> list[int]:
    """Which digits of a number may be slashes with space around them, as in ``6 / 9``, from 1."""
    if number.signs or _has_within(number, marks, "side"):
        return []
    boxes = [digit.row_box for digit in number.digits]
    height = measure_height(number.digits)
    gaps = [(b[0] - a[0] - a[2]) / height for a, b in pairwise(boxes)]
    found = []
    for place in range(1, len(boxes) - 1):
        around, others = gaps[place - 1 : place + 1], gaps[: place - 1] + gaps[place + 1 :]
        digit, tall = number.digits[place], max(boxes[place - 1][3], boxes[place + 1][3])
        if (
            digit.digit == 1
            and digit.confidence <= MAX_SLASH_CONFIDENCE
            and boxes[place][3] >= MIN_SLASH_HEIGHT * tall
            and min(around) >= MIN_SLASH_GAP
            and sum(around) / 2
            >= max([MIN_MEAN_SLASH_GAP, *(MIN_SLASH_GAP_RATIO * gap for gap in others)])
        ):
            found.append(place + 1)
    return found


def _ends_in_unit(number: Number, row: Sequence[Digit]) -> bool:
    """Whether a number's last digit is like a g and hangs below the accepted ones before it."""
    last = number.digits[-1]
    if last.digit not in DIGITS_LIKE_G:
        return False
    x, y, _, height = last.row_box
    before = [each.row_box for each in row if each is not last and each.row_box[0] < x]
    before = sorted(before)[-COMPARED_BEFORE_UNIT:]
    if not before:
        return False
    boxes = np.array(before, np.float64)
    unit = float(np.median(boxes[:, 3]))
    falls = _fall_of(boxes, x, unit)
    top, bottom = np.median(boxes[:, 1]) + falls, np.median(boxes[:, 1] + boxes[:, 3]) + falls
    gap = float(x - (boxes[:, 0] + boxes[:, 2]).max()) / unit
    is_near = UNIT_GAP_RANGE[0] <= gap <= UNIT_GAP_RANGE[1]
    return bool(
        is_near
        and y - top >= MIN_DESCENTS[0] * unit
        and y + height - bottom >= MIN_DESCENTS[1] * unit
    )


def _fall_of(boxes: F64, x: float, unit: float) -> float:
    """How far a row that clearly slopes has fallen at x, from the middle of some of its digits.

    Args:
        boxes: of these digits, ``[N, 4]``.
        x: of a place behind them, pixels.
        unit: height of the digits, pixels.
    """
    left, bottom = boxes[:, 0], boxes[:, 1] + boxes[:, 3]
    if len(boxes) < MIN_SLOPING_DIGITS or np.ptp(left) < unit:  # else no line is defined
        return 0.0
    slope, start = np.polyfit(left, bottom, 1)
    is_straight = np.abs(bottom - start - slope * left).max() <= MAX_OFF_SLOPE * unit
    return float(slope * (x - np.median(left))) if is_straight and abs(slope) >= MIN_SLOPE else 0.0
