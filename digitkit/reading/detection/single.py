"""Images of one digit: where their ink says too little, their pixels are read as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from digitkit.arrays import U8
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage, reduce_to
from digitkit.images.ink import WORK_SIDE, separability
from digitkit.images.masks import connected_components
from digitkit.models.classifier import Prediction
from digitkit.reading.networks.combining import DIGITS, Weights, combine, to_prediction
from digitkit.reading.networks.grey_classifier import GreyClassifier

if TYPE_CHECKING:
    from digitkit.reading.detection.detections import ClassifiedDetection, Detection

MIN_SEPARABILITY = 0.87
"""Ink can be extracted from an image of one digit with this separability
(`digitkit.images.ink.separability`): so it can of 99% of MNIST's training digits."""

MIN_SURE_CONFIDENCE = 0.99
"""What the classifier reads in an image of one digit with this confidence is only doubted where the
ink is not clear and the grey classifier sees another digit."""

MIN_LIKELY_NONE = 0.5
"""Minimum probability of no digit, by the grey classifier, at which a digit that fills its page is
none, 0–1, although the classifier is sure of it. The grey classifier sees none in words, shadows
and drawings, but hardly in digits that the other is sure of."""

CLEAR_WEIGHTS = Weights(0.7, 0.3, 0.0)
"""How much both classifiers count where the ink is clear."""

MIN_PAGE_DETECTIONS = 3
"""From this number of detections on an image is a page; fewer may be strokes of one digit."""

MIN_RELATIVE_HEIGHT = 0.25
"""Detections lower than this fraction of the highest one do not count for `MIN_PAGE_DETECTIONS`."""

MIN_PIECES, MIN_PIECE_AREA = 4, 0.2
"""Ink in so many pieces, each with this part of the largest one's area, is not one digit."""

MIN_FILLED_SIDE = 0.3
"""A digit whose longer side is at least this fraction of its image's fills it."""

LoadGrey = Callable[[], GreyClassifier]
"""Returns the grey classifier, which is only loaded when it is first needed."""


def fuse_single_digit(
    own: Prediction, image: GreyImage, load_grey: LoadGrey, min_confidence: float
) -> Prediction:
    """What an image of one digit shows.

    Args:
        own: the classifier's prediction of its ink.
        image: the page.
        load_grey: returns the grey classifier.
        min_confidence: threshold for a digit to be accepted, 0–1.

    Returns:
        The classifier's prediction where it is sure or accepted, and the ink is clear; what both
        say of clear ink in doubt; and the grey classifier's where the ink is not clear, unless that
        confirms a digit that is accepted, or sees no other where the classifier is sure.

    Raises:
        ModelError: the grey classifier cannot be loaded.
        ModelRunError: ONNX Runtime fails.
    """
    grey = _pixels(image)
    is_sure = own.confidence >= MIN_SURE_CONFIDENCE
    is_accepted = is_sure or own.confidence >= min_confidence
    is_clear = separability(grey) >= MIN_SEPARABILITY
    if is_clear and is_accepted:
        return own
    probabilities = load_grey().classify([grey])[0]
    if is_clear:
        return combine(own, probabilities, CLEAR_WEIGHTS)
    best = probabilities.argmax()
    is_confirmed = best == own.digit or (is_sure and best == DIGITS)
    return own if is_accepted and is_confirmed else to_prediction(probabilities)


def resolve_whole_image(
    classified: Sequence[ClassifiedDetection],
    image: GreyImage,
    load_grey: LoadGrey,
    min_confidence: float,
) -> Sequence[ClassifiedDetection]:
    """What a page shows that may be one digit.

    Args:
        classified: all detections of the page; the last may be the whole image.
        image: the page.
        load_grey: returns the grey classifier.
        min_confidence: threshold for a digit to be accepted, 0–1.

    Returns:
        Only the whole image if both classifiers are sure that it is one digit: the others are its
        parts, or dirt. Else the others, with the whole image as its pixels show it if they are few,
        unless its ink is in many pieces or the grey classifier takes it for none.
        Where the pixels decided, ink that seems to go on beyond the border is a shadow.

    Raises:
        ModelError: the grey classifier cannot be loaded.
        ModelRunError: ONNX Runtime fails.
    """
    if not classified or not classified[-1].detection.whole_image:
        return classified
    *others, whole = classified
    if _is_in_pieces(whole.detection.ink):
        return others
    own = whole.prediction
    complete = replace(whole, detection=replace(whole.detection, cut_sides=0))
    if own.confidence >= max(MIN_SURE_CONFIDENCE, min_confidence):
        probabilities = load_grey().classify([_pixels(image)])[0]
        if probabilities[own.digit] >= MIN_SURE_CONFIDENCE:
            return [complete]
        if probabilities[DIGITS:].sum() >= MIN_LIKELY_NONE and fills(whole.detection, image):
            return others
    if is_page([each.detection for each in others]):
        return others
    settled = fuse_single_digit(own, image, load_grey, min_confidence)
    return [*others, whole if settled is own else replace(complete, prediction=settled)]


def _is_in_pieces(ink: U8) -> bool:
    """Whether ink, uint8 ``[h, w]``, is in many pieces of similar size, such as a list."""
    _, stats = connected_components(
        np.asarray(cv2.threshold(ink, 127, 1, cv2.THRESH_BINARY)[1], np.uint8)
    )
    areas = stats[1:, cv2.CC_STAT_AREA]
    return int((areas >= MIN_PIECE_AREA * areas.max(initial=0)).sum()) >= MIN_PIECES


def is_page(detections: Sequence[Detection]) -> bool:
    """Whether so much was detected that an image can hardly be one digit.

    Args:
        detections: of the image, without the one of the whole image.
    """
    heights = [detection.box[3] for detection in detections]
    speck = MIN_RELATIVE_HEIGHT * max(heights, default=0)
    return sum(height > speck for height in heights) >= MIN_PAGE_DETECTIONS


def fills(detection: Detection, image: GreyImage) -> bool:
    """Whether an image is one digit that fills it, so that its pixels show it clearly."""
    return detection.whole_image and max(detection.box[2:]) >= MIN_FILLED_SIDE * max(image.shape)


def _pixels(image: GreyImage) -> U8:
    """The image as both of its measures see it: at most `WORK_SIDE` large, uint8 ``[h, w]``."""
    return reduce_to(image.reduced, WORK_SIDE)
