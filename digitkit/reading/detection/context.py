"""Which detections are digits: what is known of each, and of those next to it on its line.

A person decides by the line whether a stroke is a 1 or an l. So does this: a logistic regression
gives each detection a probability by itself, and another one from itself, the mean probability of
those on its line, and the size of the page's largest digit. Both were fitted on synthetic pages by
``benchmarks/context.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from digitkit.arrays import F64
from digitkit.boxes import chunk_slices
from digitkit.reading.detection.detections import ClassifiedDetection

OWN_WEIGHTS = (0.322, 1.475, 0.220, -0.447, 0.106, -0.764)
"""Of a constant and `own_features`: whether a detection is a digit, by itself."""

CONTEXT_WEIGHTS = (-1.086, 1.225, 0.205, -0.388, -0.168, -0.799, 1.605, 0.171, 0.707)
"""Of a constant, `own_features` and `context_features`."""

MIN_KEPT_PROBABILITY = 0.75
"""From this probability on a detection keeps its confidence: a false digit costs as much as three
missed ones."""

_MAX_PROBABILITY = 0.999
"""Probabilities are limited to this: what is certain tells no more."""


class ContextScore(NamedTuple):
    """A detection in its context: the factor for its confidence, 0–1; whether a part is missing."""

    factor: float
    cut: bool


def rescore(
    classified: Sequence[ClassifiedDetection], min_confidence: float, side: int
) -> list[ContextScore]:
    """Rescore detections by context.

    A detection that is likely a digit keeps its confidence; another loses it in proportion. A digit
    that meets the image's border is cut if it shows no digit clearly, is lower than the whole ones
    near it, or meets the border at more than one side.

    Args:
        classified: all detections of one image.
        min_confidence: threshold for a digit to be accepted, 0–1.
        side: the image's longer side, pixels.

    Returns:
        One for each detection, in the same order.
    """
    detections = [candidate.detection for candidate in classified]
    confidence = np.array([candidate.prediction.confidence for candidate in classified])
    h = _boxes(classified)[:, 3]
    whole = np.array([each.whole_image for each in detections], bool)
    sides = np.array([each.cut_sides for each in detections], int)
    at_border = sides > 0
    factor = np.minimum(1.0, _probabilities(classified, side) / MIN_KEPT_PROBABILITY)
    factor[whole] = 1.0

    heights = h[(confidence * factor >= min_confidence) & ~at_border & ~whole]
    usual = float(np.median(heights)) if len(heights) else 0.0
    cut = at_border & ((confidence < 0.99) | (h < 0.85 * usual) | (sides > 1))
    # Either the whole image is one digit, or the digits within it count.
    if whole.any():
        others = factor * confidence * ~whole
        any_within = bool((~whole & ~cut & (others >= min_confidence)).any())
        as_one = not any_within and float(confidence[whole].max()) >= float(others.max())
        dropped = ~whole if as_one else whole
        factor[dropped], cut[dropped] = 0.0, False
    return list(map(ContextScore, factor.tolist(), cut.tolist()))


def own_features(classified: Sequence[ClassifiedDetection], side: int) -> F64:
    """What is known of each detection by itself.

    Args:
        classified: all detections of one image.
        side: the image's longer side, pixels.

    Returns:
        float64 ``[N, 5]``: log odds of the detector's score, of the classifier's confidence and of
        its ink being a letter's, a sign's or a line's; the logarithm of its longer side over the
        image's; and whether it was read as a 1, since strokes are everywhere.
    """
    boxes = _boxes(classified)
    return np.column_stack([
        _log_odds([each.detection.score for each in classified]),
        _log_odds([each.prediction.confidence for each in classified]),
        _log_odds([each.detection.other for each in classified]),
        np.log(boxes[:, 2:].max(1, initial=1) / side),
        [float(each.prediction.digit == 1) for each in classified],
    ])  # fmt: skip


def context_features(classified: Sequence[ClassifiedDetection], probabilities: F64) -> F64:
    """What the others say of each detection; first of all those of its line.

    They are of about its height, level with it, and not far.

    Args:
        classified: all detections of one image.
        probabilities: that each is a digit, by itself, float64 ``[N]``.

    Returns:
        float64 ``[N, 3]``: the mean probability of the others on its line, 0 without any; 1 where
        there are none, else 0; and the logarithm of its longer side over that of the largest that
        is more likely a digit than not, at most 0.
    """
    x, y, w, h = _boxes(classified).T
    within = ~np.array([each.detection.whole_image for each in classified], bool)
    right, middle = x + w, y + h / 2
    count, likely = np.zeros(len(x)), np.zeros(len(x))
    for some in chunk_slices(len(x)):  # each of some (down) next to each (across)
        tall = np.maximum(h[some, None], h)
        gap = np.maximum(x - right[some, None], x[some, None] - right)
        near = (np.abs(middle - middle[some, None]) < 0.6 * tall) & (gap < 4 * tall) & within
        near &= np.minimum(h[some, None], h) > 0.6 * tall
        np.fill_diagonal(near[:, some], False)
        count[some], likely[some] = near.sum(1), near @ probabilities
    sizes = np.maximum(w, h)
    largest = sizes[(probabilities > 0.5) & within].max(initial=1.0)
    smaller = np.minimum(np.log(np.maximum(sizes, 1) / largest), 0)
    return np.column_stack([likely / np.maximum(count, 1), count == 0, smaller])


def predict_logistic(features: F64, weights: Sequence[float]) -> F64:
    """Probabilities by a logistic regression.

    Args:
        features: float64 ``[N, F]``.
        weights: of a constant and of each feature.

    Returns:
        float64 ``[N]``.
    """
    return np.asarray(1 / (1 + np.exp(-(weights[0] + features @ np.array(weights[1:])))))


def _probabilities(classified: Sequence[ClassifiedDetection], side: int) -> F64:
    own = own_features(classified, side)
    context = context_features(classified, predict_logistic(own, OWN_WEIGHTS))
    return predict_logistic(np.hstack([own, context]), CONTEXT_WEIGHTS)


def _boxes(classified: Sequence[ClassifiedDetection]) -> F64:
    """Boxes of horizontal lines, float64 ``[N, 4]``."""
    boxes = [each.detection.row_box for each in classified]
    return np.array(boxes, np.float64).reshape(-1, 4)


def _log_odds(probabilities: Sequence[float]) -> F64:
    p = np.clip(np.array(probabilities, np.float64), 1 - _MAX_PROBABILITY, _MAX_PROBABILITY)
    return np.asarray(np.log(p / (1 - p)))
