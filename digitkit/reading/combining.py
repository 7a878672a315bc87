"""What two networks say of one digit, combined."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from digitkit.arrays import F32
from digitkit.models.classifier import Prediction

DIGITS = 10

LEAST = 1e-5
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


def combine(own: Prediction, seen: F32, weights: Weights) -> Prediction:
    """What a digit is by the classifier and by another network.

    Args:
        own: the classifier's prediction.
        seen: the other's probabilities: of the ten digits and then of whatever is none, float32
            ``[11]`` or longer.
        weights: how much each of them counts.
    """
    none = weights.none + weights.own * math.log(max(1 - own.is_digit, LEAST))
    none += weights.other * math.log(max(float(seen[DIGITS:].sum()), LEAST))
    logs = weights.own * np.log(np.maximum(own.probabilities * own.is_digit, LEAST))
    logs = np.append(logs + weights.other * np.log(np.maximum(seen[:DIGITS], LEAST)), none)
    both = np.exp(logs - logs.max())
    digits = both[:-1] / both.sum()
    best, is_digit = int(digits.argmax()), float(digits.sum())
    return Prediction(best, float(digits[best]), is_digit, (digits / is_digit).astype(np.float32))
