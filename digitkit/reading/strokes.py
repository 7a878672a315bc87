"""Strokes that were read as a 1: digits, or the slashes and brackets of a calculation.

By itself a slash is a 1. A person decides by the row: a slash and a bracket are higher than the
digits or reach below them, lean or bend more than the other strokes, stand apart, and come with
other signs. A logistic regression on these, fitted on synthetic pages by
``benchmarks/number_weights.py``, gives the probability that a stroke is a digit.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from digitkit.arrays import F64, U8
from digitkit.reading.context import weigh
from digitkit.reading.order import median
from digitkit.reading.results import Digit, Mark, MarkKind

STROKE_WEIGHTS: tuple[float, ...] = (
    *(-6.44, -2.13, -18.68, -19.17, -5.34, 12.79, -0.29, -0.86, -0.77, -0.60, 2.99),
    *(0.25, -0.13, -1.20, 5.36, 5.46),
)
"""Of a constant and `stroke_features`: whether a stroke is a digit."""

LIKELY = 0.75
"""From this probability on a stroke is a 1 like any other."""

UNLIKELY = 0.05
"""Below this probability a stroke is a sign, if its page has others; from here to `LIKELY`, or
`RARE`, its number is not complete."""

ALIGNED = 0.12
"""A stroke may continue a ruled line whose middle is at most this far aside, in its height."""

SLIM = 0.3
"""Greatest width of a stroke that may continue a ruled line, in its height."""

NEAR_LINE = 2.0
"""It is at most this far above or below that line, in its height."""

SHORT = 0.62
"""A stroke below this fraction of the digits' height is rather a piece of one, or a mark."""

RARE = 0.25
"""`LIKELY` on a page without any other sign."""

MAX_GAP = 0.6
"""Wider gaps say no more than this one, in heights."""


def settle_strokes(
    digits: Sequence[Digit], marks: Sequence[Mark]
) -> tuple[tuple[Digit, ...], tuple[Mark, ...]]:
    """Decide which strokes are digits and which are signs.

    Args:
        digits: of the image, with their rows.
        marks: in their rows.

    Returns:
        The same digits, those that are signs no longer accepted; and the marks with these, and with
        those that may be signs.
    """
    settled, found = list(digits), list(marks)
    for i in _find_pieces_of_lines(digits, marks):
        found.append(Mark("line", digits[i].box, digits[i].row, digits[i].level_box))
        settled[i] = replace(digits[i], accepted=False)
    digits = tuple(settled)
    # Where there is no other sign, a slash or a bracket is rare.
    calculates = any(mark.kind in ("sign", "dash") for mark in marks)
    for i, features in stroke_features(digits, marks).items():
        digit = digits[i]
        probability = float(weigh(features[None, :], STROKE_WEIGHTS)[0])
        if features[0] < math.log(SHORT):
            probability = min(probability, UNLIKELY)
        if probability < (LIKELY if calculates else RARE):
            is_sign = calculates and probability < UNLIKELY
            kind: MarkKind = "sign" if is_sign else "stroke"
            found.append(Mark(kind, digit.box, digit.row, digit.level_box))
            settled[i] = replace(digit, accepted=not is_sign)
    return tuple(settled), tuple(found)


def _find_pieces_of_lines(digits: Sequence[Digit], marks: Sequence[Mark]) -> list[int]:
    """The strokes that continue an upright ruled line of a row above or below."""
    lines = [mark for mark in marks if mark.kind == "line"]
    return [
        i
        for i, digit in enumerate(digits)
        if digit.accepted and digit.digit == 1 and any(_continues(digit, line) for line in lines)
    ]


def _continues(digit: Digit, line: Mark) -> bool:
    (x, y, w, h), (left, top, width, height) = digit.row_box, line.row_box
    aside = abs(x + w / 2 - left - width / 2)
    apart = max(top - y - h, y - top - height)
    return (
        line.row != digit.row and aside <= ALIGNED * h and w <= SLIM * h and apart <= NEAR_LINE * h
    )


def stroke_features(digits: Sequence[Digit], marks: Sequence[Mark]) -> dict[int, F64]:
    """What is known of each stroke among an image's digits.

    Args:
        digits: of the image.
        marks: in their rows.

    Returns:
        By the place of each accepted digit that was read as a 1, float64 ``[15]``.
    """
    signs = Counter(mark.row for mark in marks if mark.kind in ("sign", "dash"))
    found: dict[int, F64] = {}
    for row in sorted({digit.row for digit in digits}):
        members = [i for i, digit in enumerate(digits) if digit.row == row and digit.accepted]
        strokes = [i for i in members if digits[i].digit == 1]
        if strokes:
            place = _Row([digits[i] for i in members], [mark for mark in marks if mark.row == row])
            for i in strokes:
                own = place.describe(digits[i])
                rest = (float(signs[row] > 0), np.log1p(signs.total()), *own[1])
                found[i] = np.array([*own[0], *rest])
    return found


class _Row:
    """The digits and marks of a row, to compare its strokes with."""

    def __init__(self, digits: Sequence[Digit], marks: Sequence[Mark]) -> None:
        boxes = np.array([digit.row_box for digit in digits], np.float64)
        no_stroke = np.array([digit.digit != 1 for digit in digits])
        self._others = boxes[no_stroke] if no_stroke.any() else boxes
        self._height = median(np.maximum(self._others[:, 3], self._others[:, 2] / 2))
        inks = np.array([mark.row_box for mark in marks], np.float64).reshape(-1, 4)
        everything = np.vstack([boxes, inks])
        self._starts, self._ends = everything[:, 0], everything[:, 0] + everything[:, 2]
        is_point = np.array([mark.kind in ("point", "comma") for mark in marks], bool)
        self._points = (inks[:, 0] + inks[:, 2])[is_point]

    def describe(self, digit: Digit) -> tuple[list[float], list[float]]:
        """The features of a stroke before and after those of all signs."""
        x, y, w, h = digit.row_box
        height = self._height
        away = np.abs(self._others[:, 0] + self._others[:, 2] / 2 - x - w / 2)
        away[away == 0] = np.inf  # itself
        near = self._others[np.argsort(away, kind="stable")[:2]]
        top, bottom = median(near[:, 1]), median(near[:, 1] + near[:, 3])
        before, after = self._ends <= x + w / 3, self._starts >= x + 2 * w / 3
        left = (x - self._ends[before]).min(initial=2 * height)
        right = (self._starts[after] - x - w).min(initial=2 * height)
        room = [min(max(float(each), 0) / height, MAX_GAP) for each in (left, right)]
        lean, bow = _measure(digit.image)
        behind = x + w / 3 - self._points
        own = [
            math.log(h / height), (top - y) / height, (y + h - bottom) / height,
            lean, abs(bow), bow, *room, min(room), float(MAX_GAP in room),
        ]  # fmt: skip
        return own, [
            math.log(min(max(1 - digit.confidence, 1e-4), 1)),
            w / h,
            float(((behind >= 0) & (behind <= 0.7 * height)).any()),
        ]


def _measure(image: U8) -> tuple[float, float]:
    """How far a stroke leans to the right, and how far it bends, in its heights."""
    y, x = np.nonzero(image > 96)
    if len(y) < 3:
        return 0.0, 0.0
    span = max(float(np.ptp(y)), 1.0)
    bow, slope, _ = np.polyfit((y - y.mean()) / span, x / span, 2)
    return -float(slope), float(bow)
