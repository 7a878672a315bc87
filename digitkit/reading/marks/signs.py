"""Which marks are signs, and which rather a 1 or a piece of a digit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from digitkit.arrays import F32, Box
from digitkit.boxes import gap_beside
from digitkit.reading.networks.line_reader import MIN_SIGN, POINT, SIGN
from digitkit.reading.results import Mark
from digitkit.reading.rows.layout import RowDigit
from digitkit.reading.rows.lines import MAX_MATCH_DISTANCE, TextLine
from digitkit.reading.rows.shapes import MAX_MIDDLE_DOT_OFFSET, MIN_HIGH_STROKE
from digitkit.reading.rows.strips import Strip

MIN_TALL = 0.7
"""Ink of at least this height, in heights of the digits, may be a digit that was not read."""

MIN_MAYBE_DIGIT = 0.2
"""Minimum probability of a digit at which tall ink is not taken for a sign, 0–1."""

MIN_MAYBE_DIGIT_BESIDE_SIGN = 0.5
"""`MIN_MAYBE_DIGIT` in a row that has another sign, or on a page of slashes."""

MIN_MAYBE_LEANING = 0.1
"""`MIN_MAYBE_DIGIT` for a stroke that is not taller than the digits and is the only sign in its
row, on a page that is not one of slashes: it may be a 1 in slanted handwriting."""

MIN_MAYBE_HIGH = 0.05
"""`MIN_MAYBE_DIGIT` for a stroke that is higher than digits; the row shows little of such a 1."""

MIN_SURE_SIGN = 0.95
"""Minimum probability of a sign of a stroke that is not a 1, if no digit is likely there
(`MAX_LETTER_DIGIT`)."""

MIN_LOW_SIGN, MAX_DIGIT_IN_LOW_SIGN, MAX_LOW_SIGN_ASPECT = 0.8, 0.02, 2.0
"""Low ink is a sign, and not a piece of a digit that it touches, if the row shows a sign with at
least the first probability and a digit there with at most the second. Its height is at most the
third value, in its width."""

MAX_COLON_DOT = 0.3
"""Maximum size of a dot of a colon, in heights of the digits. Two dots, one above the other, are a
colon, whatever the row shows: in narrow writing that is the digits beside them."""

MIN_MIDDLE_DOT, MIN_MIDDLE_DOT_GAP = 0.4, 0.2
"""Where the row shows a sign or a point with the first probability, a dot in the middle that is so
far from digits, in heights, is the sign of a product; else it is what other ink is."""

PIXEL_TOLERANCE = 0.05
"""Boxes are whole pixels: as much more than `MAX_MIDDLE_DOT_OFFSET`, in heights."""

LEADING_SIZE, MAX_BEFORE_DIGIT = (0.7, 1.4, 0.5), 0.25
"""A sign may be the 1 that begins a number if its height is within the first two values, and its
width at most the third, and if it is at most the fourth from the digit behind it; in heights."""

MIN_AFTER_DIGIT, MIN_AFTER_LETTER, MIN_AFTER_RATIO = 0.35, 0.25, 2.5
"""It is further than these from the digit and from other ink before it, in heights, and at least so
many times as far as from the digit behind it: slashes are about as far from both."""

MAX_BRACKET_DISTANCE, MAX_CLOSING_DISTANCE = 7.0, 0.8
"""It is a bracket if another such stroke is at most the first value from it and the second from a
digit, in heights."""

MIN_LEADING_DIGIT = 0.01
"""Minimum probability at which the row shows a digit there, 0–1."""

MAX_LETTER_DIGIT = 0.01
"""Ink apart from digits, which the row shows as any of them with at most this probability, is a
letter, unless it may be a point, or stands like a digit within a number."""

MAX_SIGN_WIDTH = 1.0
"""A sign as high as digits is at most this wide, in heights of the digits."""

STROKE_SIZE = 0.4, 1.1
"""What is narrower and less high than this, and as high as digits, is rather a 1 than a slash or a
bracket, whose strokes are longer; in heights of the digits."""

MIN_SIGN_GAP = 0.12
"""Minimum gap between digits and a letter or a low sign, in heights of the digits; what is closer
is rather a piece of a digit."""


def is_sign(
    mark: Mark,
    probabilities: F32,
    most_digit: float,
    x: float,
    line: TextLine,
    own: Sequence[RowDigit],
) -> bool:
    """Whether ink is a sign.

    Args:
        mark: the ink.
        probabilities: what the row shows near it, float32 ``[15]``.
        most_digit: the highest probability of any digit along it, 0–1.
        x: where its middle is, pixels of the strip.
        line: the row.
        own: its digits.
    """
    strip = line.strip
    sign, width, height = float(probabilities[SIGN]), *mark.row_box[2:]
    if mark.kind == "sign" and max(width, height) <= MAX_COLON_DOT * strip.digit_height:
        return True
    if (
        mark.kind == "ink"
        and sign + probabilities[POINT] >= MIN_MIDDLE_DOT
        and is_middle_dot(mark, strip)
        and is_apart(mark, strip, own, MIN_MIDDLE_DOT_GAP)
    ):
        return True
    if (
        is_low(mark, strip)
        and sign >= MIN_LOW_SIGN
        and line.digit_probability_at_sign(mark.box) <= MAX_DIGIT_IN_LOW_SIGN
    ):
        return True
    is_clear = most_digit <= MAX_LETTER_DIGIT and sign >= MIN_SURE_SIGN
    return (
        (mark.kind == "sign" or sign >= MIN_SIGN)
        and looks_like_sign(mark, strip, own, is_clear=is_clear)
        and not _may_be_digit(line, mark, x)
    )


def looks_like_sign(
    mark: Mark, strip: Strip, own: Sequence[RowDigit], *, is_clear: bool = False
) -> bool:
    """Whether ink that the row shows as a sign has the size of one, and is apart from digits.

    Pieces of a broken digit and digits that were missed are signs to the line reader at times.
    """
    width, height = (side / strip.digit_height for side in mark.row_box[2:])
    if height >= MIN_TALL:
        narrow, low = STROKE_SIZE
        may_be_one = width < narrow and height < low and not is_clear
        return width <= MAX_SIGN_WIDTH and not may_be_one
    return is_apart(mark, strip, own)


def is_middle_dot(mark: Mark, strip: Strip) -> bool:
    """Whether a mark may be the dot between two factors."""
    _, down = strip.locate([mark.box])[0].tolist()
    is_level = abs(down) <= MAX_MIDDLE_DOT_OFFSET + PIXEL_TOLERANCE
    return max(mark.row_box[2:]) <= MAX_COLON_DOT * strip.digit_height and is_level


def is_apart(
    mark: Mark, strip: Strip, own: Sequence[RowDigit], least: float = MIN_SIGN_GAP
) -> bool:
    """Whether ink is beside the digits of its row, and touches none; `least` in heights."""
    gap = gap_beside(mark.row_box, (row_digit.digit.row_box for row_digit in own))
    return gap >= least * strip.digit_height


def is_low(mark: Mark, strip: Strip) -> bool:
    """Whether ink is lower than digits and not an upright stroke."""
    _, _, width, height = mark.row_box
    return height < min(MIN_TALL * strip.digit_height, MAX_LOW_SIGN_ASPECT * width)


def _may_be_digit(line: TextLine, mark: Mark, x: float) -> bool:
    """Whether the row shows a mark at x that looks like a sign as a digit, too."""
    strip = line.strip
    if mark.row_box[3] < MIN_TALL * strip.digit_height:
        return False
    has_others = line.is_among_slashes or any(
        abs(peak.x - x) > MAX_MATCH_DISTANCE * strip.unit and peak.kind == SIGN
        for peak in line.signs
    )
    height = mark.row_box[3] / strip.digit_height
    if height >= MIN_HIGH_STROKE:
        least = MIN_MAYBE_HIGH
    elif has_others:
        least = MIN_MAYBE_DIGIT_BESIDE_SIGN
    else:
        least = MIN_MAYBE_LEANING if height < STROKE_SIZE[1] else MIN_MAYBE_DIGIT
    return line.digit_probability_at_sign(mark.box) >= least


def may_lead(mark: Mark, marks: Sequence[Mark], line: TextLine, own: Sequence[RowDigit]) -> bool:
    """Whether a sign may be a 1 that begins a number: what it would separate or close is missing.

    Args:
        mark: the sign.
        marks: of its row.
        line: the row.
        own: its digits.
    """
    unit = line.strip.digit_height

    def is_stroke(box: Box) -> bool:
        _, _, width, height = box
        lowest, highest, widest = LEADING_SIZE
        return lowest * unit <= height <= highest * unit and width <= widest * unit

    def gap(left: Box, right: Box) -> float:
        return (right[0] - left[0] - left[2]) / unit

    box = mark.row_box
    digits = [each.digit.row_box for each in own if each.digit.accepted]
    others = [each.row_box for each in marks if each is not mark and each.kind != "line"]
    large = [each for each in others if max(each[2:]) > MAX_COLON_DOT * unit]  # no dots of a colon
    after = [gap(box, each) for each in digits if each[0] > box[0]]
    behind = min((abs(each) for each in after), default=math.inf)

    def is_apart_from(boxes: Iterable[Box], least: float) -> bool:
        least = max(least, MIN_AFTER_RATIO * behind)
        return all(gap(each, box) > least for each in boxes if each[0] < box[0])

    is_leading = (
        is_stroke(box)
        and behind <= MAX_BEFORE_DIGIT
        and is_apart_from(digits, MIN_AFTER_DIGIT)
        and is_apart_from(large, MIN_AFTER_LETTER)
    )
    if not is_leading or line.digit_probability_at_sign(mark.box) < MIN_LEADING_DIGIT:
        return False
    closing = (
        each for each in others if is_stroke(each) and 0 < gap(box, each) <= MAX_BRACKET_DISTANCE
    )
    return not any(
        abs(gap(digit, each)) <= MAX_CLOSING_DISTANCE for each in closing for digit in digits
    )
