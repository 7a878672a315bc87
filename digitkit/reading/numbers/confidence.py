"""How likely a number is right as a whole.

The confidences of its digits say little of a digit that is missing, of a slash that was read as a
1, or of two numbers that are close. A logistic regression on all of these, fitted on synthetic
pages by ``benchmarks/number_weights.py``, does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from digitkit.arrays import F64
from digitkit.reading.confidence import format_confidence
from digitkit.reading.detection.context import predict_logistic
from digitkit.reading.results import Digit

NUMBER_WEIGHTS: tuple[float, ...] = (
    *(-3.24, 0.00, 0.00, -0.32, -0.20, -2.20, 0.31, -0.06, -0.43, 0.00, -0.11),
    *(-0.35, 1.57, 0.20, 0.95, -2.01, -0.28),
)
"""Of a constant and `number_features`."""

MIN_COMPLETE = 0.8
"""A number is not reported as complete below this probability."""

MAX_NEIGHBOUR_GAP = 3.0
"""What is further away than this many times the least gap between numbers is not near."""

MIN_WIDE_GAP = 0.85
"""Two numbers may have been taken for one where a gap within a number is at least this wide, in
least gaps between numbers."""

MAX_NEAR_GAP = 2.2
"""One number may have been taken for two where the gap beside it is less than this, in least gaps
between numbers."""

MAX_DIGITS = 7
"""Longer numbers are treated as if they had so many digits: the weights are fitted on shorter ones,
and a long one is as sure as its digits say."""

MIN_SURE_DIGITS = 0.99
"""Of most numbers that are right, all digits are right with this probability."""

_MIN_PROBABILITY = 1e-4


def number_features(
    digits: Sequence[Digit],
    *,
    ink: int,
    signs: int,
    beside_sign: bool,
    widest_gap: float,
    room: float,
    height: float,
) -> F64:
    """What is known of a number.

    Args:
        digits: of the number.
        ink: pieces of ink in it that cannot be read.
        signs: decimal separators and minus signs in it.
        beside_sign: whether a sign is next to it.
        widest_gap: between its digits, in least gaps between numbers.
        room: gap to the nearest digit or other ink beside it, in least gaps between numbers.
        height: of its row's digits, pixels.

    Returns:
        float64 ``[16]``.
    """
    right = math.prod(digit.confidence for digit in digits)
    right = min(max(right, _MIN_PROBABILITY), 1 - _MIN_PROBABILITY)
    weakest = min(digit.confidence for digit in digits)
    doubtful = sum(not digit.accepted for digit in digits)
    return np.array(
        [
            math.log(right / (1 - right)),
            math.log(min(max(weakest, _MIN_PROBABILITY), 1 - _MIN_PROBABILITY)),
            float(min(len(digits), MAX_DIGITS)),
            float(doubtful),
            float(ink),
            float(signs),
            float(beside_sign),
            # Between almost and quite certain the odds tell too little.
            math.log(1 - right),
            float(right > MIN_SURE_DIGITS),
            float(sum(digit.digit == 1 for digit in digits)),
            min(max(widest_gap, 0.0), 1.0),
            min(max(room, 0.0), MAX_NEIGHBOUR_GAP),
            math.log2(max(height, 1.0) / 32),
            float(not (doubtful or ink or signs or beside_sign)),
            float(widest_gap >= MIN_WIDE_GAP),
            float(room < MAX_NEAR_GAP),
        ]
    )


def number_confidence(features: F64) -> float:
    """The probability that a number is right, from `number_features`; 0–1."""
    return float(predict_logistic(features[None, :], NUMBER_WEIGHTS)[0])


def describe_doubt(confidence: float) -> str:
    """The reason of a number that is not complete for its confidence, 0–1."""
    return f"the number as a whole is doubtful ({format_confidence(confidence, 0)})"
