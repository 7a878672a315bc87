"""Pages of few digits."""

from types import SimpleNamespace

import numpy as np
import pytest

from digitkit.images.grey import GreyImage
from digitkit.models.classifier import Prediction
from digitkit.reading.detection.detections import ClassifiedDetection, Detection
from digitkit.reading.digits.few_digits import CONFIRMED_SCORE, confirm_lone_digit

PAGE = GreyImage.from_pixels(np.full((200, 300), 220, np.uint8))


def candidate(confidence: float, score: float = 0.4, *, whole: bool = False) -> ClassifiedDetection:
    """A 1 with some confidence of the classifier and score of the detector."""
    probabilities = np.full(10, (1 - confidence) / 9, np.float32)
    probabilities[1] = confidence
    ink = np.full((40, 20), 255, np.uint8)
    detection = Detection((100, 80, 20, 40), ink, score, whole_image=whole)
    prediction = Prediction(1, confidence, 1.0, probabilities)
    return ClassifiedDetection(detection, np.zeros((28, 28), np.uint8), prediction)


def scores(candidates: list[ClassifiedDetection], grey: float = 0.999) -> list[float]:
    """The scores of a page's detections, of which the grey classifier has some confidence."""
    shown = np.zeros((1, 12), np.float32)
    shown[0, 1] = grey
    network = SimpleNamespace(classify=lambda images: shown)
    found = confirm_lone_digit(candidates, PAGE, lambda: network)
    return [each.detection.score for each in found]


@pytest.mark.parametrize(
    ("candidates", "grey", "expected"),
    [
        ([candidate(0.999)], 0.999, [CONFIRMED_SCORE]),
        ([candidate(0.999), candidate(0.6)], 0.999, [CONFIRMED_SCORE, 0.4]),  # a speck beside it
        ([candidate(0.999), candidate(0.9, whole=True)], 0.999, [CONFIRMED_SCORE]),
        ([candidate(0.999, 0.99)], 0.999, [0.99]),
        ([candidate(0.99)], 0.999, [0.4]),
        ([candidate(0.999)], 0.99, [0.4]),
        ([candidate(0.999)] * 2, 0.999, [0.4, 0.4]),  # not alone
        ([candidate(0.999), candidate(0.5), candidate(0.5)], 0.999, [0.4] * 3),
        ([], 0.999, []),
    ],
)
def test_a_lone_digit_that_both_classifiers_are_sure_of_is_detected(candidates, grey, expected):
    assert scores(candidates, grey) == expected
