"""Calibration: temperature, confidence threshold, expected calibration error."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F32, F64, Labels
from digitkit.models.contract import DEFAULT_MIN_CONFIDENCE


def expected_calibration_error(confidence: F64, right: npt.NDArray[np.bool_]) -> float:
    """Mean difference of confidence and accuracy over 15 bins of equal width, 0–1.

    Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, ICML 2017.

    Args:
        confidence: float64 ``[N]``, 0–1.
        right: bool ``[N]``, whether each prediction is right.
    """
    bins = 15
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(place, confidence, bins) - np.bincount(place, right, bins)
    return float(np.abs(gaps).sum() / len(confidence))


def fit_temperature(logits: F32, labels: Labels) -> float:
    """Fit the temperature T that minimises the cross-entropy of softmax(logits / T).

    Guo et al., ICML 2017. The loss has a single minimum in T, which is searched from 0.05 to 20.

    Args:
        logits: float32 ``[N, 10]``.
        labels: uint8 ``[N]``.
    """

    def loss(log_t: float) -> float:
        scaled = logits.astype(np.float64) / np.exp(log_t)
        scaled -= scaled.max(1, keepdims=True)
        of_truth = scaled[np.arange(len(labels)), labels]
        return float((np.log(np.exp(scaled).sum(1)) - of_truth).mean())

    low, high = float(np.log(0.05)), float(np.log(20.0))
    shrink = (np.sqrt(5) - 1) / 2  # golden section
    while high - low > 1e-4:
        left, right = high - shrink * (high - low), low + shrink * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def softmax(logits: F32, temperature: float = 1.0) -> F32:
    """Probabilities, float32 ``[N, K]`` with rows summing to 1, from logits, float32 ``[N, K]``."""
    scaled = logits.astype(np.float64) / temperature
    scaled = np.exp(scaled - scaled.max(1, keepdims=True))
    scaled /= scaled.sum(1, keepdims=True)
    return np.asarray(scaled, np.float32)


ACCEPTED_ERROR = 0.001
"""Fraction of wrong digits among the accepted ones that the fitted threshold allows."""


MIN_CALIBRATION_IMAGES = round(3 / ACCEPTED_ERROR)
"""Fewest validation images that a temperature and a threshold are fitted on.

If n accepted digits are all right, up to 3 / n of all others may still be wrong (95% confidence,
the rule of three): fewer images cannot show that at most `ACCEPTED_ERROR` are. Nor is a temperature
certain where nearly all are read right: of the shipped ``digits``, whose temperature should come
out as 1, samples of 1,000 validation images gave 0.05 to 1.14, of 3,000 0.86 to 1.09 (5th to 95th
percentile of 100 samples).
"""


def fit_min_confidence(probabilities: F32, labels: Labels) -> float:
    """Fit the lowest threshold at which at most one accepted digit in a thousand is wrong.

    Never below `DEFAULT_MIN_CONFIDENCE`: a digit with less than half of the probability is a
    guess. Rounded up to three decimals.

    Args:
        probabilities: calibrated, float32 ``[N, 10]``, of validation images.
        labels: uint8 ``[N]``.
    """
    confidence = probabilities.max(1).astype(np.float64)
    right = probabilities.argmax(1) == labels
    order = np.argsort(-confidence, kind="stable")
    accepted = np.arange(1, len(order) + 1)
    allowed = np.cumsum(~right[order]) <= ACCEPTED_ERROR * accepted
    if not allowed.any():
        return 1.0
    last = int(np.flatnonzero(allowed)[-1])
    lowest = float(np.ceil(confidence[order[last]] * 1000) / 1000)
    return min(max(lowest, DEFAULT_MIN_CONFIDENCE), 1.0)
