"""Doubts about a number as a whole: by its gaps, its last digit, and what is around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F64, Box
from digitkit.boxes import bounding_box, chunk_slices, middle_x
from digitkit.reading.parts import (
    digit_gaps,
    is_crossed,
    measure_height,
    place_parts,
    rows_with_line,
)
from digitkit.reading.results import Digit, Mark, Number, group_by_row

SPACE, SPACES, OTHERS = 0.35, 0.2, 2.0
"""A gap within a number may be between two from the first width on, and several gaps from the
second on, in heights, if they are so many times as wide as all others: as wide as a space in a
close hand."""

MAX_SINGLE = 1 / 3
"""Maximum number of single digits between such spaces, in the number of spaces; with any, each is
as wide as a single space."""

LIKE_G, HANGS = (8, 9), (0.12, 0.2)
"""These may be the letter g of a unit if their top and bottom are lower than those of the digits
before them by at least these fractions of their height."""

UNIT_GAPS, BEFORE_UNIT = (0.3, 1.5), 4
"""Minimum and maximum gap between a number and such a unit, in heights; and how many digits before
the unit are compared with it."""

STACKED, STACKED_BEYOND = (0.5, 1.1), 0.15
"""Height of the digits of a stacked fraction, and how far above or below the first digit of the
number in front of it they may end or begin; in heights of that digit."""

SLOPING_DIGITS, SLOPES, STRAIGHT = 3, 0.1, 0.1
"""A row slopes if so many digits or more are on a line that falls or rises at least by the second
value per pixel, and none is further from it than the third, in heights."""

LEVEL, BESIDE = 0.2, (-0.3, 0.7)
"""Digits of two rows may belong to one number if they overlap vertically by at least the first
value and the gap between them is within the second, in heights."""

MAX_SPLIT, WIDER = 0.4, 0.1
"""Two numbers with only a line between them may be one if the gap is at most the first value, and
wider than the widest between the digits of one of them by at most the second, in heights; two
single digits have no such gaps, and are never doubted."""

MAX_CREASES = 2
"""Maximum number of such lines in a row; with more, they are those of a table."""

MIN_SPANNED, SPANNED_ROWS, SPANNED_GAP = 2, 5.0, 3.0
"""A number may be several if at least so many gaps between the numbers of another row, at most the
second value above or below it and at most the third wide, in heights, go on between its digits."""

SPANNED_WIDER = 0.03
"""There, its gaps are as wide as `SPACE`, or wider than its others on average by so much, in
heights."""

MIN_SLASH_HEIGHT, MAX_SLASH_CONFIDENCE = 1.04, 0.995
"""A 1 between two digits may be a slash if it is at least so many times as high as both, and its
confidence is at most the second value."""

SLASH_GAP, MIN_SLASH_GAP, SLASH_SPACE = 0.3, 0.1, 2.0
"""The gaps on both sides of such a slash are this wide on average, and each as wide as the second
value, in heights, or wider; and on average so many times as wide as all others of the number."""

USUAL_SEPARATORS, USUAL_SHARE = 3, 0.75
"""Minimum number of numbers with the usual decimal separator of a page, and minimum fraction that
they are of all numbers with the same count of decimals."""

THOUSANDS = 3
"""Number of digits after a separator of thousands."""

ALIKE = 1.6
"""Maximum ratio between the heights of two digits of one number."""


def flag_numbers(
    numbers: Sequence[Number],
    digits: Sequence[Digit],
    marks: Sequence[Mark] = (),
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
    torn = _find_torn(accepted) if len(rows) > 1 else set()
    split = _find_split(numbers, marks) if may_be_several else set()
    spanning = _find_spanning(numbers) if may_be_several else set()
    separators = Counter(map(_separator_of, numbers))
    flagged = []
    for number in numbers:
        reasons = []
        if torn.intersection(number.digits):
            reasons.append("a digit close beside it is in another row")
        if (place := _find_fraction(number, accepted)) is not None:
            reasons.append(f"digit {place + 1} may be of a fraction")
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
            if _is_over_column_line(number, marks):
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
    is_usual = others >= max(USUAL_SEPARATORS, USUAL_SHARE * (others + counts[separator]))
    return bool(sign) and decimals != THOUSANDS and is_usual


def _find_spaces(number: Number, marks: Sequence[Mark]) -> list[int]:
    """After which digits of a number a gap may be between two; none where boxes set the gaps.

    There are two digits or more between them, except for a few; see `SPACE` and `MAX_SINGLE`.
    """
    if len(number.digits) < 4 or number.signs or _is_in_boxes(number, marks):
        return []
    height = measure_height(number.digits)
    gaps = _gaps_of(number.digits, height)
    for lower, upper in pairwise(sorted(gaps)):
        spaces = [place for place, gap in enumerate(gaps, 1) if gap >= upper]
        ends = [0, *spaces, len(gaps) + 1]
        single = sum(end - start == 1 for start, end in pairwise(ends))
        least = SPACES if len(spaces) > 1 and not single else SPACE
        are_wide = upper >= max(least, OTHERS * lower)
        if are_wide and single <= MAX_SINGLE * len(spaces):
            return spaces
    return []


def _level_box(number: Number) -> Box:
    """The box of a number's digits where its row is level."""
    return bounding_box([digit.row_box for digit in number.digits])


def _gaps_of(digits: Sequence[Digit], height: float) -> list[float]:
    """The gaps between neighbouring digits of a row, in heights; `height` in pixels."""
    return digit_gaps(place_parts(digits[0].row, digits, (), height))


def _is_in_boxes(number: Number, marks: Sequence[Mark]) -> bool:
    """Whether the digits of a number are in boxes for one digit each."""
    boxes = [digit.row_box for digit in number.digits]
    left, right = min(x for x, *_ in boxes), max(x + w for x, _, w, _ in boxes)
    sides = (mark for mark in marks if mark.kind == "side" and mark.row == number.row)
    return any(left < mark.row_box[0] < right for mark in sides)


def _find_slashes(number: Number, marks: Sequence[Mark]) -> list[int]:
    """Which digits of a number may be slashes with space around them, as in ``6 / 9``, from 1."""
    if number.signs or _is_in_boxes(number, marks):
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
            and sum(around) / 2 >= max([SLASH_GAP, *(SLASH_SPACE * gap for gap in others)])
        ):
            found.append(place + 1)
    return found


def _is_over_column_line(number: Number, marks: Sequence[Mark]) -> bool:
    """Whether several rows nearby have a vertical line at a place with digits on both sides.

    It may run through the end of a digit: what counts are the middles of the digits.
    """
    if len(number.digits) < 2:
        return False
    height = measure_height(number.digits)
    boxes = np.array([digit.row_box for digit in number.digits], np.float64)
    middle = float(np.median(boxes[:, 1] + boxes[:, 3] / 2))
    centres = boxes[:, 0] + boxes[:, 2] / 2
    lines = [mark for mark in marks if mark.kind == "line"]
    # A line of its own row that runs through no digit separates, or is that of a box for a digit.
    own = [mark for mark in lines if mark.row == number.row]
    ticks = [mark for mark in own if not any(is_crossed(d.row_box, mark) for d in number.digits)]
    return any(
        len(rows_with_line(x, middle, lines, height)) > 1
        and not rows_with_line(x, middle, ticks, height)
        for x in {middle_x(mark.row_box) for mark in lines}
        if centres.min() < x < centres.max()
    )


def _find_fraction(number: Number, accepted: Sequence[Digit]) -> int | None:
    """From which digit of a number on the last one or two are over or below others, as in `5 3/4`.

    These begin or end beside the first digit of the number; digits of other rows do not.
    """
    first, *_ = boxes = [digit.row_box for digit in number.digits]
    others = [digit.row_box for digit in accepted if digit not in number.digits]
    stacked = [any(_is_stacked(box, other, first) for other in others) for box in boxes]
    place = stacked.index(True) if any(stacked) else 0
    return place if place >= max(1, len(boxes) - 2) else None


def _is_stacked(box: Box, other: Box, first: Box) -> bool:
    """Whether two boxes are one above the other, and the other one is beside the first digit."""
    x, y, width, height = box
    left, top, wide, tall = other
    unit, end = first[3], first[1] + first[3]
    common = min(x + width, left + wide) - max(x, left)
    if 2 * common < min(width, wide) or not STACKED[0] * unit <= tall <= STACKED[1] * unit:
        return False
    is_below = top + tall / 2 > y + height and top <= end + STACKED_BEYOND * unit
    is_above = top + tall / 2 < y and top + tall >= first[1] - STACKED_BEYOND * unit
    return is_below or is_above


def _ends_in_unit(number: Number, row: Sequence[Digit]) -> bool:
    """Whether a number's last digit is like a g and hangs below the accepted ones before it."""
    last = number.digits[-1]
    if last.digit not in LIKE_G:
        return False
    x, y, _, height = last.row_box
    before = [each.row_box for each in row if each is not last and each.row_box[0] < x]
    before = sorted(before)[-BEFORE_UNIT:]
    if not before:
        return False
    boxes = np.array(before, np.float64)
    unit = float(np.median(boxes[:, 3]))
    falls = _fall_of(boxes, x, unit)
    top, bottom = np.median(boxes[:, 1]) + falls, np.median(boxes[:, 1] + boxes[:, 3]) + falls
    gap = float(x - (boxes[:, 0] + boxes[:, 2]).max()) / unit
    is_near = UNIT_GAPS[0] <= gap <= UNIT_GAPS[1]
    return bool(is_near and y - top >= HANGS[0] * unit and y + height - bottom >= HANGS[1] * unit)


def _fall_of(boxes: F64, x: float, unit: float) -> float:
    """How far a row that clearly slopes has fallen at x, from the middle of some of its digits.

    Args:
        boxes: of these digits, ``[N, 4]``.
        x: of a place behind them, pixels.
        unit: height of the digits, pixels.
    """
    left, bottom = boxes[:, 0], boxes[:, 1] + boxes[:, 3]
    if len(boxes) < SLOPING_DIGITS or np.ptp(left) < unit:  # else no line is defined
        return 0.0
    slope, start = np.polyfit(left, bottom, 1)
    is_straight = np.abs(bottom - start - slope * left).max() <= STRAIGHT * unit
    return float(slope * (x - np.median(left))) if is_straight and abs(slope) >= SLOPES else 0.0


def _find_split(numbers: Sequence[Number], marks: Sequence[Mark]) -> set[Digit]:
    """The digits beside a line between two numbers that are as close as those of one."""
    split = set[Digit]()
    by_row = group_by_row(marks)
    for a, b in pairwise(numbers):
        if a.row != b.row:
            continue
        ends = first, second = a.digits[-1], b.digits[0]
        left, right = (middle_x(digit.row_box) for digit in ends)
        between = [
            mark
            for mark in by_row.get(a.row, ())
            if left < middle_x(mark.row_box) < right
            and not any(is_crossed(digit.row_box, mark) for digit in ends)
        ]
        if {mark.kind for mark in between} != {"line"} or _has_grid(by_row[a.row]):
            continue
        height = measure_height([*a.digits, *b.digits])
        plain = (number.digits for number in (a, b) if not number.signs)
        inner = [gap for digits in plain for gap in _gaps_of(digits, height)]
        if inner and max(_gaps_of(ends, height)) <= min(MAX_SPLIT, max(inner) + WIDER):
            split |= {first, second}
    return split


def _has_grid(marks: Sequence[Mark]) -> bool:
    """Whether a row has more vertical lines than a page has creases."""
    return sum(mark.kind == "line" for mark in marks) > MAX_CREASES


def _find_spanning(numbers: Sequence[Number]) -> set[Number]:
    """The numbers between whose digits several gaps between numbers of another row go on."""
    between = dict[int, list[tuple[Box, Box]]]()
    for row, own in group_by_row(numbers).items():
        between[row] = list(pairwise([_level_box(number) for number in own]))
    found = set[Number]()
    for number in numbers:
        if len(number.digits) < 2 * MIN_SPANNED or number.signs:
            continue
        (x, y, width, _), unit = _level_box(number), measure_height(number.digits)
        others = (
            [
                (left + wide, right)
                for (left, top, wide, _), (right, _, _, _) in gaps
                if abs(top - y) <= SPANNED_ROWS * unit
                and x < left + wide
                and right < min(x + width, left + wide + SPANNED_GAP * unit)
            ]
            for row, gaps in between.items()
            if row != number.row
        )
        if any(_is_divided(number, gaps, unit) for gaps in others):
            found.add(number)
    return found


def _is_divided(number: Number, gaps: Sequence[tuple[int, int]], unit: float) -> bool:
    """Whether the gaps of another row meet wide gaps of a number; see `SPANNED_WIDER`.

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
    if len(met) < MIN_SPANNED or not all(met):
        return False
    spanned = [max(widths) for widths in met]
    rest = sum(right - left for left, right in inner) - sum(spanned)
    count = max(1, len(inner) - len(spanned))
    mean = sum(spanned) / len(spanned)
    return mean >= min(SPACE * unit, rest / count + SPANNED_WIDER * unit)


def _find_torn(accepted: Sequence[Digit]) -> set[Digit]:
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
    are_beside = (apart >= BESIDE[0] * lower) & (apart <= BESIDE[1] * lower)
    return np.asarray(are_beside & (common >= LEVEL * lower) & (higher <= ALIKE * lower))
