"""What two networks say of one digit, combined."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F32
from digitkit.models.classifier import Prediction
from digitkit.reading.networks.line_reader import SPOILED

DIGITS = 10
"""The first so many probabilities are of the digits; what follows is none."""

PROBABILITY_FLOOR = 1e-5
"""Probabilities are not taken for less than this."""


class Weights(NamedTuple):
    """How the probabilities of two networks are combined.

    A product of experts (Hinton, Training Products of Experts by Minimizing Contrastive Divergence,
    Neural Computation 14, 2002).

    Attributes:
        own: exponent of the classifier's.
        other: exponent of the other network's.
        none: what is added to the logarithm of no digit.
    """

    own: float
    other: float
    none: float


def combine(
    own: Prediction, other: F32, weights: Weights, least_sign: float = PROBABILITY_FLOOR
) -> Prediction:
    """What a digit is by the classifier and by another network.

    Args:
        own: the classifier's prediction.
        other: the other's probabilities: of the ten digits and then of whatever is none, float32
            ``[11]``, or as `LineReader.read` returns them; the first of these is of a sign, where
            there are several.
        weights: how much each of them counts.
        least_sign: where the other sees a sign, the classifier's probability of no digit is not
            taken for less than this, 0–1.
    """
    sign, rest = (
        max(float(other[DIGITS]), PROBABILITY_FLOOR),
        float(other[DIGITS + 1 : SPOILED].sum()),
    )
    by_sign = max(1 - own.is_digit, least_sign) ** weights.own
    by_rest = max(1 - own.is_digit, PROBABILITY_FLOOR) ** weights.own
    none = weights.none + math.log((sign * by_sign + rest * by_rest) / (sign + rest))
    none += weights.other * math.log(sign + rest)
    logs = weights.own * np.log(np.maximum(own.probabilities * own.is_digit, PROBABILITY_FLOOR))
    logs = np.append(
        logs + weights.other * np.log(np.maximum(other[:DIGITS], PROBABILITY_FLOOR)), none
    )
    both = np.exp(logs - logs.max())
    return to_prediction(both / both.sum())


def to_prediction(probabilities: npt.NDArray[np.floating]) -> Prediction:
    """What a network says of an image.

    Args:
        probabilities: of the digits and of none, ``[11]``, which sum to 1.
    """
    digits = probabilities[:DIGITS]
    is_digit, best = float(digits.sum()), int(digits.argmax())
    given = np.asarray(digits / max(is_digit, 1e-9), np.float32)
    return Prediction(best, float(digits[best]), is_digit, given)
