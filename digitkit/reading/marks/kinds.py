"""What the marks of rows are: by their shape, and by what the line reader shows of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from digitkit.arrays import F32, Box
from digitkit.boxes import middle_x, overlap_width
from digitkit.reading.marks.signs import (
    MAX_LETTER_DIGIT,
    MIN_MAYBE_HIGH,
    MIN_TALL,
    is_apart,
    is_low,
    is_middle_dot,
    is_sign,
    may_lead,
)
from digitkit.reading.networks.line_reader import NONE, POINT, SIGN, is_spoiled, letter_probability
from digitkit.reading.numbers.grouping import MAX_INK_DISTANCE, SEPARATORS
from digitkit.reading.results import Digit, Mark, group_by_row
from digitkit.reading.rows.layout import RowDigit
from digitkit.reading.rows.lines import (
    MAX_MATCH_DISTANCE,
    MIN_CLEAR_POINT,
    MIN_CLEAR_SIGN,
    Peak,
    TextLine,
)
from digitkit.reading.rows.matching import RowMatch, match_row, own_peaks
from digitkit.reading.rows.shapes import Shape
from digitkit.reading.rows.strips import Strip

MIN_SIGN_BETWEEN = 0.6
"""Signs and points that together are at least this likely are seen between two digits, 0–1."""

MAX_PART_DISTANCE = 0.65
"""Ink at most this far from the middle of an accepted digit, in heights, is a part of it if the row
shows nothing else there, and half of it is above or below the digit, or it is lower than
`MAX_PIECE_HEIGHT`."""

MAX_PART_WIDTH = 1.5
"""Ink wider than so many widths of a digit is not a part of it."""

MAX_PIECE_HEIGHT = 0.45
"""Ink beside a digit is not a part of it if it is higher than this, in heights of the digit."""

MAX_LINE_OFFSET = 0.25
"""A vertical line at most this far from the middle of an accepted digit is a part of it."""

MIN_MAYBE_SIGN = 0.25
"""Ink that is less likely a sign or a point is none."""

MIN_LIKELY_POINT = 0.55
"""A point or a comma between two digits that is less likely one, by its row, is ink that cannot be
read, 0–1. One that is at least as likely may be there though no ink of it was found."""

MIN_USUAL_POINTS, MIN_USUAL_FRACTION, MIN_MAYBE_USUAL_POINT = 3, 0.5, 0.05
"""Where at least so many rows of a page, and this fraction of them, show a point clearly, the last
number takes the place of `MIN_LIKELY_POINT` for points of which no ink was found."""

MIN_SLASH_ROWS, MAX_SLASH_WIDTH = 3, 0.7
"""A page with at least so many rows that clearly have slashes is one of slashes; maximum width of a
slash, in its height."""

MAX_SPECK_SIZE, MIN_SPECK_GAP = 0.2, 0.3
"""A dot in the middle that is at most so large is dirt, unless it is a sign, or a letter that is so
far from digits; in heights."""

MIN_SHOWN_LETTER, MAX_DIGIT_IN_LETTER, MAX_SIGN_IN_LETTER, LETTER_WIDTHS = (
    0.9,
    0.2,
    0.75,
    (0.3, 3.0),
)
"""Ink is a letter, too, if the row shows it as one with at least the first probability, as any
digit with at most the second, and as a sign with at most the third; if its width is within the
last, in its height, as a narrower stroke may be a 1; and if the nearest digit is clearly not a
letter."""

MIN_MAYBE_SPOILED, MIN_SPOILED_DIGIT = 0.5, 0.05
"""Ink that is struck out or written over is not a letter: between digits from the first probability
on; elsewhere, as many letters look so, if the row shows a digit with more than the second."""

MAX_NEAREST_LETTER, MAX_NEAREST_DISTANCE = 0.06, 2.0
"""Maximum probability that the digit nearest to such a letter is a letter itself; if the two are
apart, this may be the next digit. Both are at most so far from it, in heights, between middles."""

MAX_LETTER_OVERLAP = 0.2
"""Maximum horizontal overlap of such a letter and a digit, in heights of the digits."""

MIN_LONG_SIGN_WIDTH, MIN_SHOWN_LONG, MAX_DIGIT_IN_LONG = 1.2, 0.5, 0.25
"""Low ink that is so wide, in heights of the digits, is a letter or a sign, such as an arrow, if
the row shows it as one with the second probability, and as any digit with at most the third."""

MIN_POINT_TOP = 0.25
"""A point is so far below the digits' middles, in heights."""


def reclassify_marks(
    marks: Sequence[Mark], row_digits: Sequence[RowDigit], lines: Mapping[int, TextLine]
) -> tuple[Mark, ...]:
    """The marks as their rows show them: ink may be a sign or part of a digit, and a sign a digit.

    Where a row shows a digit or a sign that nothing is known of, ink is added.

    Args:
        marks: of the rows.
        row_digits: the image's digits.
        lines: the rows.
    """
    if _count_rows_with_slashes(marks, row_digits, lines) >= MIN_SLASH_ROWS:
        lines = {row: replace(line, is_among_slashes=True) for row, line in lines.items()}
    reclassified, least = list[Mark](), _least_point(lines)
    for row, line in lines.items():
        own = [mark for mark in marks if mark.row == row]
        reclassified += _reclassify_row(own, row_digits, line, least)
    return tuple(reclassified)


def _count_rows_with_slashes(
    marks: Sequence[Mark], row_digits: Sequence[RowDigit], lines: Mapping[int, TextLine]
) -> int:
    """How many rows have a tall, narrow stroke between two digits that is clearly a sign."""
    rows, by_row = set[int](), group_by_row(row_digits)
    for mark in marks:
        line = lines.get(mark.row)
        if line is None or mark.row in rows or mark.kind not in ("ink", "sign"):
            continue
        _, _, width, height = mark.row_box
        is_slash = (
            height >= MIN_TALL * line.strip.digit_height and width <= MAX_SLASH_WIDTH * height
        )
        shown = line.max_probabilities_near(mark.box) if is_slash else None
        if (
            shown is not None
            and shown[SIGN] >= MIN_CLEAR_SIGN
            and line.digit_probability_at_sign(mark.box) <= MIN_MAYBE_HIGH
            and _is_between(line.strip.x_of(mark.box), line.strip, by_row.get(mark.row, ()))
        ):
            rows.add(mark.row)
    return len(rows)


def _least_point(lines: Mapping[int, TextLine]) -> float:
    """The probability from which on a row shows a point between digits that nothing is known of."""
    shown = sum(bool(line.points) for line in lines.values())
    is_usual = shown >= max(MIN_USUAL_POINTS, MIN_USUAL_FRACTION * len(lines))
    return MIN_MAYBE_USUAL_POINT if is_usual else MIN_LIKELY_POINT


def _reclassify_row(
    marks: Sequence[Mark], row_digits: Sequence[RowDigit], line: TextLine, least_point: float
) -> list[Mark]:
    strip, match = line.strip, match_row(line, row_digits)
    own = match.row_digits
    kept = [new for mark in marks if (new := _reclassify(mark, marks, line, match)) is not None]
    inks = [mark for mark in kept if mark.kind == "ink"]
    kept += _mark_unread(strip, itertools.compress(match.peaks, match.apart), inks)
    # A point may be near the middle of a narrow digit; a sign there is that digit.
    points = [
        peak
        for peak in own_peaks(strip, line.find_points(least_point), row_digits)
        if peak.probabilities[POINT] >= MIN_CLEAR_POINT or _is_between(peak.x, strip, own)
    ]
    kept += _mark_unread(strip, points, kept)
    taken: list[Digit | Mark] = [*kept, *(each.digit for each in own)]
    middles = [strip.x_of(each.digit.box) for each in own if each.digit.accepted]
    first, last = min(middles, default=np.inf), max(middles, default=-np.inf)
    signs = [
        sign
        for sign in own_peaks(strip, line.find_signs(MIN_SIGN_BETWEEN), row_digits)
        if sign.probabilities[SIGN:NONE].sum() >= MIN_CLEAR_SIGN or first < sign.x < last
    ]
    return kept + _mark_unread(strip, signs, taken)


def _reclassify(mark: Mark, marks: Sequence[Mark], line: TextLine, match: RowMatch) -> Mark | None:
    """A mark with the kind that its row shows; None where it is a part of a digit, or dirt.

    Args:
        mark: one of the row's.
        marks: all of these.
        line: the row.
        match: which digits it sees where.
    """
    probabilities = line.max_probabilities_near(mark.box)
    if probabilities is None or mark.cut or mark.kind in ("side", "apostrophe"):
        return mark
    is_shown = bool(probabilities[SIGN] + probabilities[POINT] >= MIN_MAYBE_SIGN)
    if not is_shown and _is_explained(mark, line, match):
        return None
    if mark.kind in ("ink", "sign"):
        return _reclassify_ink(mark, probabilities, marks, line, match.row_digits)
    is_broken = (
        mark.kind in SEPARATORS
        and probabilities[POINT] < MIN_LIKELY_POINT
        and _is_between(line.strip.x_of(mark.box), line.strip, match.row_digits)
    )
    if is_broken or (mark.kind == "dash" and not is_shown):  # rather the end of a broken stroke
        return replace(mark, kind="ink")
    return mark


def _is_explained(mark: Mark, line: TextLine, match: RowMatch) -> bool:
    """Whether a mark is a part of a digit that the row sees, or that is accepted.

    Args:
        mark: one of the row's.
        line: the row.
        match: which digits it sees where.
    """
    strip, x = line.strip, line.strip.x_of(mark.box)
    reach = MAX_LINE_OFFSET if mark.kind == "line" else MAX_PART_DISTANCE
    away, place = min(
        ((abs(peak.x - x) / strip.unit, i) for i, peak in enumerate(match.peaks)),
        default=(math.inf, 0),
    )
    if away <= reach and not match.apart[place]:
        nearest = match.matches[place]
        if nearest is None or _belongs(mark, nearest.digit.row_box):
            return True
    return mark.kind != "line" and any(
        each.digit.accepted and _is_over(mark, each.digit.row_box) for each in match.row_digits
    )


def _reclassify_ink(
    mark: Mark, probabilities: F32, marks: Sequence[Mark], line: TextLine, own: Sequence[RowDigit]
) -> Mark | None:
    """Ink that no digit explains as a sign, a letter or ink; None where a digit says so, or dirt.

    Args:
        mark: one of the row's.
        probabilities: what the row shows near it, float32 ``[15]``.
        marks: all of the row's.
        line: the row.
        own: its digits.
    """
    strip = line.strip
    is_dot = mark.kind == "ink" and is_middle_dot(mark, strip)
    kind = _tell_apart(mark, probabilities, strip.x_of(mark.box), line, own)
    mark = replace(mark, kind=kind)
    if kind == "sign" and may_lead(mark, marks, line, own):
        mark = replace(mark, kind="ink")
    is_doubtful_digit = any(mark.box == one.digit.box for one in own if not one.digit.accepted)
    if mark.kind == "ink" and is_doubtful_digit:
        return None
    if is_dot and mark.kind != "sign" and _is_speck(mark, strip, own):
        return None
    return mark


def _tell_apart(
    mark: Mark, probabilities: F32, x: float, line: TextLine, own: Sequence[RowDigit]
) -> Literal["sign", "letter", "ink"]:
    """Classify ink that is not a point, a comma, a dash or a line.

    Args:
        mark: the ink.
        probabilities: what the row shows near it, float32 ``[15]``.
        x: where its middle is, pixels of the strip.
        line: the row.
        own: its digits.
    """
    along = line.max_probabilities_near(mark.box, mark.row_box[2])
    assert along is not None  # as the row shows something near it
    if is_sign(mark, probabilities, float(along[:SIGN].max()), x, line, own):
        return "sign"
    return "letter" if _is_letter(mark, along, line, own) else "ink"


def _is_letter(mark: Mark, along: F32, line: TextLine, own: Sequence[RowDigit]) -> bool:
    """Whether ink that is not a sign is a letter.

    Args:
        mark: the ink.
        along: the highest probability of each output of the row along it, float32 ``[15]``.
        line: the row.
        own: its digits.
    """
    strip = line.strip
    _, _, width, height = mark.row_box
    letter, most_digit = letter_probability(along), float(along[:SIGN].max())
    is_within = _is_within(mark, strip, own)
    if is_within:
        may_be_spoiled = is_spoiled(along, MIN_MAYBE_SPOILED)
    else:
        may_be_spoiled = most_digit > MIN_SPOILED_DIGIT and is_spoiled(along)
    if along[POINT] >= MIN_MAYBE_SIGN or may_be_spoiled:
        return False
    stands_apart = is_apart(mark, strip, own)
    if (
        letter >= MIN_SHOWN_LETTER
        and most_digit <= MAX_DIGIT_IN_LETTER
        and along[SIGN] <= MAX_SIGN_IN_LETTER
        and LETTER_WIDTHS[0] * height <= width <= LETTER_WIDTHS[1] * height
        and min(_letters_near(mark, line, own)[: 1 + stands_apart], default=1.0)
        <= MAX_NEAREST_LETTER
    ):
        return is_apart(mark, strip, own, -MAX_LETTER_OVERLAP)
    is_long = (
        is_low(mark, strip)
        and width >= MIN_LONG_SIGN_WIDTH * strip.digit_height
        and most_digit <= MAX_DIGIT_IN_LONG
        and max(letter, along[SIGN]) >= MIN_SHOWN_LONG
    )
    return (is_long or most_digit <= MAX_LETTER_DIGIT) and stands_apart and not is_within


def _is_between(x: float, strip: Strip, own: Sequence[RowDigit]) -> bool:
    """Whether accepted digits have their middles close to a place of the strip on both sides."""
    away = [strip.x_of(each.digit.box) - x for each in own if each.digit.accepted]
    before = any(-strip.unit < each < 0 for each in away)
    return before and any(0 < each < strip.unit for each in away)


def _is_within(mark: Mark, strip: Strip, own: Sequence[RowDigit]) -> bool:
    """Whether ink stands like a digit of a number, between two others."""
    x, _, width, height = mark.row_box
    boxes = [row_digit.digit.row_box for row_digit in own if row_digit.digit.accepted]
    near = MAX_INK_DISTANCE * strip.digit_height
    before = any(0 <= x - left - wide <= near for left, _, wide, _ in boxes)
    after = any(0 <= left - x - width <= near for left, _, wide, _ in boxes)
    return before and after and height >= MIN_TALL * strip.digit_height


def _is_speck(dot: Mark, strip: Strip, own: Sequence[RowDigit]) -> bool:
    """Whether a middle dot that is not a sign is dirt."""
    is_small = max(dot.row_box[2:]) <= MAX_SPECK_SIZE * strip.digit_height
    return is_small and not (dot.kind == "letter" and is_apart(dot, strip, own, MIN_SPECK_GAP))


def _letters_near(mark: Mark, line: TextLine, own: Sequence[RowDigit]) -> list[float]:
    """The probabilities that the accepted digits near a mark are letters, from the nearest on."""
    x, reach = (
        middle_x(mark.row_box),
        MAX_NEAREST_DISTANCE * line.strip.digit_height + mark.row_box[2] / 2,
    )
    near = sorted(
        (
            abs(middle_x(each.digit.row_box) - x),
            letter_probability(line.probabilities_at(each.digit.box)),
        )
        for each in own
        if each.digit.accepted
    )
    return [letter for away, letter in near if away <= reach]


def _mark_unread(strip: Strip, peaks: Iterable[Peak], taken: Sequence[Digit | Mark]) -> list[Mark]:
    """Marks of ink that cannot be read, at peaks that are not near what is taken.

    A mark may be wider than a digit, as an arrow is: all of it is near.
    """
    peaks, reach = list(peaks), MAX_MATCH_DISTANCE * strip.unit
    if not peaks:
        return []
    places = strip.locate([each.box for each in taken])[:, 0].tolist() if taken else []
    reaches = [
        max(reach, each.row_box[2] / strip.scale / 2) if isinstance(each, Mark) else reach
        for each in taken
    ]
    marks = []
    for peak in peaks:
        top = MIN_POINT_TOP if peak.kind == POINT else -0.5
        shape = Shape(
            peak.x / strip.unit - MAX_MATCH_DISTANCE / 2,
            top,
            MAX_MATCH_DISTANCE,
            0.5 - top,
            MAX_MATCH_DISTANCE,
            _ONE,
        )
        is_taken = any(abs(x - peak.x) <= near for x, near in zip(places, reaches, strict=True))
        if strip.is_near(shape) and not is_taken:
            marks.append(strip.to_mark("ink", shape))
            places.append(peak.x)
            reaches.append(reach)
    return marks


_ONE = np.ones((1, 1), np.uint8)


def _belongs(mark: Mark, digit: Box) -> bool:
    """Whether ink may be a part of a digit: it is above or below that, or not high."""
    return _is_over(mark, digit) or mark.row_box[3] < MAX_PIECE_HEIGHT * digit[3]


def _is_over(mark: Mark, digit: Box) -> bool:
    """Whether most of a mark, which is not much wider, is above or below a digit."""
    width = mark.row_box[2]
    return 2 * overlap_width(mark.row_box, digit) >= width and width <= MAX_PART_WIDTH * digit[2]
