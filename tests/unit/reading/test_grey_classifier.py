"""Digits that stand alone, whose ink is not clear: their pixels are read as they are."""

from dataclasses import replace
from unittest.mock import MagicMock

import numpy as np
import pytest
from support.errors import error_of

from digitkit import Reader
from digitkit.errors import ModelError, ModelRunError
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.models.registry import models_folder
from digitkit.reading.detection.detections import ClassifiedDetection, Detection
from digitkit.reading.detection.single import fuse_single_digit, resolve_whole_image
from digitkit.reading.networks.combining import to_prediction
from digitkit.reading.networks.grey_classifier import SIDE, GreyClassifier, fit_square


@pytest.fixture(scope="module")
def grey_classifier() -> GreyClassifier:
    return GreyClassifier()


def photograph(digit: np.ndarray, side: int = 48, contrast: float = 45) -> np.ndarray:
    """A digit on grey paper in uneven light, with noise, as a poor camera shows it."""
    rng = np.random.default_rng(int(digit.sum()))
    paper = np.linspace(100, 150, side)[None, :] + rng.normal(0, 7, (side, side))
    ink = cv2.resize(digit, (side, side), interpolation=cv2.INTER_CUBIC) / 255.0
    return np.clip(paper - contrast * ink, 0, 255).astype(np.uint8)


def test_each_digit_is_read_dark_or_light(grey_classifier, one_of_each):
    poor = [photograph(digit) for digit in one_of_each]
    for images in (poor, [255 - image for image in poor], one_of_each):
        found = grey_classifier.classify(images)
        assert found.shape == (10, 11)
        assert np.allclose(found.sum(1), 1, atol=1e-5)
        assert (found.argmax(1) == np.arange(10)).sum() >= 9


def test_what_is_no_digit(grey_classifier, one_of_each):
    disc = np.full((60, 60), 200, np.uint8)
    cv2.circle(disc, (30, 30), 18, 40, -1, cv2.LINE_AA)
    two = np.hstack([photograph(one_of_each[d])[:, 8:40] for d in (3, 5)])
    noise = np.random.default_rng(0).normal(120, 12, (50, 50)).astype(np.uint8)
    assert (grey_classifier.classify([disc, two, noise])[:, 10] > 0.5).all()


@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (40, 40), (300, 7), (28, 28)])
def test_images_of_any_shape_become_squares(grey_classifier, shape):
    image = np.full(shape, 90, np.uint8)
    assert fit_square(image).shape == (SIDE, SIDE)
    assert (fit_square(image) == 90).all()
    assert grey_classifier.classify([image])[0, 10] > 0.5


def test_what_is_no_grey_classifier(tmp_path):
    gone = error_of(ModelError, GreyClassifier, tmp_path / "grey.onnx")
    assert (gone.subject, gone.hint) == (str(tmp_path / "grey.onnx"), "reinstall digitkit")
    assert "version" in str(error_of(ModelError, GreyClassifier, models_folder() / "lines.onnx"))
    images = [np.zeros((1, 1), np.uint8)] * 3
    broken = GreyClassifier()
    broken.session = MagicMock(run=MagicMock(side_effect=RuntimeError("out of memory")))
    assert "out of memory" in str(error_of(ModelRunError, broken.classify, images))


def says(digit: int, confidence: float) -> np.ndarray:
    """The grey classifier's probabilities, float32 ``[11]``; 10 is no digit."""
    found = np.full(11, (1 - confidence) / 10, np.float32)
    found[digit] = confidence
    return found


def loads(*found: np.ndarray) -> MagicMock:
    """Loads a grey classifier that says this of the images that it is asked."""
    return MagicMock(return_value=MagicMock(classify=MagicMock(return_value=np.stack(found))))


def test_only_what_is_in_doubt_is_read_again(one_of_each):
    clear, poor = (
        GreyImage.from_pixels(image) for image in (one_of_each[4], photograph(one_of_each[4]))
    )
    load = loads(says(4, 0.97))
    sure, accepted, doubtful, other, surely_other = (
        to_prediction(says(*each))
        for each in ((4, 0.995), (4, 0.95), (4, 0.8), (7, 0.95), (7, 0.995))
    )
    assert fuse_single_digit(sure, clear, load, 0.9) is sure
    assert fuse_single_digit(accepted, clear, load, 0.9) is accepted
    load.assert_not_called()
    assert fuse_single_digit(sure, poor, load, 0.9) is sure
    # Where the ink is clear both count, else the pixels, unless they confirm what is accepted.
    both = fuse_single_digit(doubtful, clear, load, 0.9)
    assert both.digit == 4
    assert doubtful.confidence < both.confidence < 0.97
    assert fuse_single_digit(doubtful, clear, loads(says(10, 0.99)), 0.9).confidence < 0.8
    assert fuse_single_digit(accepted, poor, load, 0.9) is accepted
    assert fuse_single_digit(other, poor, load, 0.9).digit == 4
    assert fuse_single_digit(surely_other, poor, load, 0.9).digit == 4
    assert fuse_single_digit(doubtful, poor, loads(says(10, 0.99)), 0.9).confidence < 0.01


def candidate(
    digit: int, confidence: float, height: int, **detection: object
) -> ClassifiedDetection:
    box = (0, 0, height // 2, height)
    found = Detection(box, np.zeros((4, 4), np.uint8), **detection)
    prediction = to_prediction(says(digit, confidence))
    return ClassifiedDetection(found, np.zeros((28, 28), np.uint8), prediction)


def test_a_page_is_one_digit_if_both_are_sure(one_of_each):
    image = GreyImage.from_pixels(photograph(one_of_each[7], 300))
    few = [candidate(1, 0.99, 90)]
    many = [candidate(1, 0.99, height) for height in (90, 85, 80)]
    whole = candidate(7, 0.998, 280, whole_image=True, cut_sides=2)
    sure, unsure = loads(says(7, 0.995)), loads(says(7, 0.97))
    for others in (few, many):
        (only,) = resolve_whole_image([*others, whole], image, sure, 0.9)
        assert (only.prediction, only.detection.cut_sides) == (whole.prediction, 0)
    assert resolve_whole_image([*few, whole], image, sure, 0.9995) == [*few, whole]
    assert resolve_whole_image([*few, whole], image, unsure, 0.9) == [*few, whole]
    assert resolve_whole_image([*many, whole], image, unsure, 0.9) == many
    # Specks are not many; and the pixels decide about a whole image in doubt.
    specks = [candidate(1, 0.5, height) for height in (90, 12, 10, 9)]
    doubtful = candidate(0, 0.3, 280, whole_image=True, cut_sides=2)
    *others, settled = resolve_whole_image([*specks, doubtful], image, unsure, 0.9)
    assert others == specks
    assert (settled.prediction.digit, settled.detection.cut_sides) == (7, 0)
    assert resolve_whole_image(many, image, sure, 0.9) is many


@pytest.mark.parametrize(("pieces", "is_one"), [(3, True), (4, False)])
def test_ink_in_many_pieces_is_not_one_digit(one_of_each, pieces, is_one):
    image = GreyImage.from_pixels(photograph(one_of_each[8], 300))
    ink = np.zeros((160, 160), np.uint8)
    for place in range(pieces):
        ink[10 + 40 * place : 40 + 40 * place, 20:140] = 255
    ink[5, 5] = 255  # a speck is no piece
    whole = candidate(8, 0.999, 280, whole_image=True)
    whole = replace(whole, detection=replace(whole.detection, ink=ink))
    found = resolve_whole_image([candidate(1, 0.4, 90), whole], image, loads(says(8, 0.999)), 0.9)
    assert (found[-1].prediction.digit == 8) == is_one


@pytest.mark.parametrize(("none", "is_dropped"), [(0.6, True), (0.4, False)])
def test_a_shadow_is_no_digit_if_its_pixels_show_none(one_of_each, none, is_dropped):
    image = GreyImage.from_pixels(photograph(one_of_each[1], 300))
    few = [candidate(1, 0.4, 90)]
    whole = candidate(1, 0.995, 280, whole_image=True)
    seen = loads(says(10, none))
    assert resolve_whole_image([*few, whole], image, seen, 0.9) == (
        few if is_dropped else [*few, whole]
    )


@pytest.mark.parametrize("side", [30, 48, 64, 90, 140])
def test_a_digit_that_is_not_clear(shipped, one_of_each, side):
    """None is read without the grey classifier up to 64 pixels, where no detector searches."""
    reader = Reader(shipped)
    texts = [reader.read(photograph(digit, side)).text for digit in one_of_each]
    assert sum(text == str(digit) for digit, text in enumerate(texts)) >= 9
    wrong = [text for digit, text in enumerate(texts) if text not in ("", str(digit), "?")]
    assert not wrong


def test_two_digits_are_not_one(shipped, one_of_each):
    two = np.hstack([photograph(one_of_each[d])[:, 10:38] for d in (2, 8)])
    assert Reader(shipped).read(two).text == ""  # an image of this size is one digit or none


def test_dirt_around_a_digit_that_fills_the_page(shipped):
    rng = np.random.default_rng(3)
    page = np.full((1400, 1200), 235, np.uint8)
    cv2.line(page, (640, 250), (600, 1150), 40, 60, cv2.LINE_AA)
    for x, y in rng.integers(40, 560, (14, 2)).tolist():
        cv2.line(page, (x, y), (x + 4, y + 18), 150, 5, cv2.LINE_AA)
    reading = Reader(shipped).read(page)
    assert reading.text == "1"
    assert reading.digits[0].box[3] > 800


def test_a_page_of_digits_is_not_one_digit(shipped, one_of_each):
    page = np.full((900, 1200), 235, np.uint8)
    for k, digit in enumerate((3, 8, 2)):
        big = cv2.resize(one_of_each[digit], (380, 380), interpolation=cv2.INTER_CUBIC)
        page[200:580, 20 + 390 * k : 400 + 390 * k] -= (0.8 * big).astype(np.uint8)
    assert Reader(shipped).read(page).text == "382"
