"""Images of one digit: where their ink says too little, their pixels are read as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from digitkit.arrays import F32
from digitkit.images.grey import GreyImage, resize_to
from digitkit.images.ink import WORK_SIDE, separability
from digitkit.models.classifier import Prediction
from digitkit.reading.combining import DIGITS, Weights, combine
from digitkit.reading.grey_classifier import GreyClassifier

if TYPE_CHECKING:
    from digitkit.reading.detections import Classified

CLEAR = 0.87
"""Ink can be extracted from an image of one digit with this separability
(`digitkit.images.ink.separability`): so it can of 99% of MNIST's training digits."""

SURE = 0.99
"""What the classifier reads in an image of one digit with this confidence is not doubted."""

CLEAR_WEIGHTS = Weights(0.7, 0.3, 0.0)
"""How much both classifiers count where the ink is clear; else only the grey one does."""

SPECK, MANY = 0.25, 3
"""Detections lower than this fraction of the highest one may be dirt; an image with as many others
is a page, unless both classifiers are sure that it is one digit."""

Load = Callable[[], GreyClassifier]
"""Returns the grey classifier, which is only loaded when it is needed."""


def settle_single(
    own: Prediction, image: GreyImage, load: Load, min_confidence: float
) -> Prediction:
    """What an image of one digit shows.

    Args:
        own: the classifier's prediction of its ink.
        image: it.
        load: the grey classifier.
        min_confidence: threshold for a digit to be accepted, 0–1.
    """
    if own.confidence >= SURE:
        return own
    grey = image.reduced
    if max(grey.shape) > WORK_SIDE:
        grey = resize_to(grey, WORK_SIDE / max(grey.shape))
    is_clear = separability(grey) >= CLEAR
    if is_clear and own.confidence >= min_confidence:
        return own
    seen = load().classify([grey])[0]
    return combine(own, seen, CLEAR_WEIGHTS) if is_clear else to_prediction(seen)


def settle_whole(
    classified: Sequence[Classified], image: GreyImage, load: Load, min_confidence: float
) -> Sequence[Classified]:
    """The candidates of a page; the whole image, if it is one, with what its pixels say.

    If both classifiers are sure that the page is one digit, nothing else is left: what was detected
    are parts of it, or dirt. Ink that seems to go on beyond the border is a shadow then.

    Args:
        classified: all detections of the page.
        image: it.
        load: the grey classifier.
        min_confidence: threshold for a digit to be accepted, 0–1.
    """
    if not classified or not classified[-1].detection.whole_image:
        return classified
    *others, whole = classified
    own = whole.prediction
    complete = replace(whole, detection=replace(whole.detection, cut_sides=0))
    if own.confidence >= SURE and load().classify([image.reduced])[0, own.digit] >= SURE:
        return [complete]
    heights = [each.detection.box[3] for each in others]
    if sum(height > SPECK * max(heights) for height in heights) >= MANY:
        return others
    settled = settle_single(own, image, load, min_confidence)
    return [*others, whole if settled is own else replace(complete, prediction=settled)]


def to_prediction(probabilities: F32) -> Prediction:
    """What the grey classifier says of an image.

    Args:
        probabilities: of the digits and of none, float32 ``[11]``.
    """
    digits = probabilities[:DIGITS]
    is_digit, best = float(digits.sum()), int(digits.argmax())
    given = np.asarray(digits / max(is_digit, 1e-9), np.float32)
    return Prediction(best, float(digits[best]), is_digit, given)
