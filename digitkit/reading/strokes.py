"""Strokes that were read as a 1: digits, or the slashes and brackets of a calculation.

By itself a slash is a 1. A person decides by the row: a slash and a bracket are higher than the
digits or reach below them, lean or bend more than the other strokes, stand apart, and come with
other signs. A logistic regression on these, fitted on synthetic pages by
``benchmarks/number_weights.py``, gives the probability that a stroke is a digit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from digitkit.arrays import F64, U8
from digitkit.reading.context import weigh
from digitkit.reading.order import median
from digitkit.reading.results import Digit, Mark, MarkKind

STROKE_WEIGHTS: tuple[float, ...] = (
    *(3.38, -23.02, -11.20, -12.78, -3.84, 2.23, -1.12, -6.27, -5.57, 3.60, 3.65, 0.94),
    *(-0.78, -0.39, 4.50, 8.81),
)
"""Of a constant and `stroke_features`: whether a stroke is a digit."""

LIKELY, UNLIKELY = 0.75, 0.05
"""From the first probability on a stroke is a 1 like any other, and below the second it is a sign,
if there are others; between them its number is not complete."""

RARE = 0.25
"""The first of these on a page without any other sign."""

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
    # Where there is no other sign, a slash or a bracket is rare.
    calculates = any(mark.kind in ("sign", "dash") for mark in marks)
    for i, features in stroke_features(digits, marks).items():
        digit = digits[i]
        probability = float(weigh(features[None, :], STROKE_WEIGHTS)[0])
        if probability < (LIKELY if calculates else RARE):
            is_sign = calculates and probability < UNLIKELY
            kind: MarkKind = "sign" if is_sign else "stroke"
            found.append(Mark(kind, digit.box, digit.row, digit.level_box))
            settled[i] = replace(digit, accepted=not is_sign)
    return tuple(settled), tuple(found)


def stroke_features(digits: Sequence[Digit], marks: Sequence[Mark]) -> dict[int, F64]:
    """What is known of each stroke among an image's digits.

    Args:
        digits: of the image.
        marks: in their rows.

    Returns:
        By the place of each accepted digit that was read as a 1, float64 ``[16]``.
    """
    signs = dict.fromkeys({digit.row for digit in digits}, 0)
    for mark in marks:
        if mark.kind in ("sign", "dash"):
            signs[mark.row] = signs.get(mark.row, 0) + 1
    everywhere = sum(signs.values())
    found: dict[int, F64] = {}
    for row in sorted(signs):
        members = [i for i, digit in enumerate(digits) if digit.row == row and digit.accepted]
        strokes = [i for i in members if digits[i].digit == 1]
        others = [i for i in members if digits[i].digit != 1] or members
        if not strokes:
            continue
        boxes = {i: np.array(digits[i].level_box or digits[i].box, np.float64) for i in members}
        height = median([max(boxes[i][3], boxes[i][2] / 2) for i in others])
        edges = [(boxes[mark][0], boxes[mark][0] + boxes[mark][2]) for mark in members] + [
            (box[0], box[0] + box[2])
            for mark in marks
            if mark.row == row
            for box in (mark.level_box or mark.box,)
        ]
        points = [
            box[0] + box[2]
            for mark in marks
            if mark.row == row and mark.kind in ("point", "comma")
            for box in (mark.level_box or mark.box,)
        ]
        for i in strokes:
            x, y, w, h = boxes[i]
            near = sorted(others, key=lambda k: abs(boxes[k][0] + boxes[k][2] / 2 - x - w / 2))[:2]
            near = [k for k in near if k != i] or [i]
            top = median([boxes[k][1] for k in near])
            bottom = median([boxes[k][1] + boxes[k][3] for k in near])
            left = min([x - right for _, right in edges if right <= x + w / 3], default=2 * height)
            right = min(
                [start - x - w for start, _ in edges if start >= x + 2 * w / 3], default=2 * height
            )
            lean, bow = _measure(digits[i].image)
            room = [min(max(each, 0) / height, MAX_GAP) for each in (left, right)]
            found[i] = np.array(
                [
                    np.log(h / height),
                    (top - y) / height,
                    (y + h - bottom) / height,
                    lean,
                    abs(bow),
                    bow,
                    *room,
                    min(room),
                    float(MAX_GAP in room),
                    float(signs[row] > 0),
                    np.log1p(everywhere),
                    np.log(np.clip(1 - digits[i].confidence, 1e-4, 1)),
                    w / h,
                    float(any(0 <= x + w / 3 - end <= 0.7 * height for end in points)),
                ]
            )
    return found


def _measure(image: U8) -> tuple[float, float]:
    """How far a stroke leans to the right, and how far it bends, in its heights."""
    y, x = np.nonzero(image > 96)
    span = max(float(np.ptp(y)), 1.0)
    bow, slope, _ = np.polyfit((y - y.mean()) / span, x / span, 2)
    return -float(slope), float(bow)
