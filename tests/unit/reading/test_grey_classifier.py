"""Digits that stand alone, whose ink is not clear: their pixels are read as they are."""

from unittest.mock import MagicMock

import numpy as np
import pytest
from support.errors import error_of

from digitkit import Classifier, Reader
from digitkit.errors import ModelError, ModelRunError
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.models.registry import models_folder
from digitkit.reading.grey_classifier import SIDE, GreyClassifier, fit_square
from digitkit.reading.single import settle_single, to_prediction


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
    colours = np.zeros((1, 1), np.uint8)[None].repeat(3, 0)
    broken = GreyClassifier()
    broken.session = MagicMock(run=MagicMock(side_effect=RuntimeError("out of memory")))
    assert "out of memory" in str(error_of(ModelRunError, broken.classify, list(colours)))


def test_only_what_is_in_doubt_is_read_again(one_of_each, shipped):
    clear, poor = one_of_each[4], photograph(one_of_each[4])
    load = MagicMock(side_effect=GreyClassifier)
    sure = Classifier(shipped).classify([clear])[0]
    assert settle_single(sure, GreyImage.from_pixels(clear), load, 0.9) is sure
    load.assert_not_called()
    nothing = to_prediction(np.eye(11, dtype=np.float32)[10])
    assert settle_single(nothing, GreyImage.from_pixels(poor), load, 0.9).digit == 4
    doubted = settle_single(nothing, GreyImage.from_pixels(clear), load, 0.9)
    assert doubted.confidence < 0.9  # where the ink is clear, both count


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
