"""The hot paths, for pytest-benchmark: the effect of a change on speed.

    pytest benchmarks/test_hot_paths.py --benchmark-autosave
    … change something …
    pytest benchmarks/test_hot_paths.py --benchmark-compare

One thread; images that come with digitkit.
"""

from __future__ import annotations

import numpy as np
import pytest

from digitkit import Classifier, Reader
from digitkit.arrays import U8
from digitkit.images import samples
from digitkit.images.convert import to_grey
from digitkit.images.cv import cv2
from digitkit.images.decode import decode_file
from digitkit.images.normal_form import digit_image, normal_form
from digitkit.sources.frames import Frame

cv2.setNumThreads(1)
DIGIT = to_grey(decode_file(samples.SAMPLE_DIGIT))


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """The built-in model."""
    return Classifier("digits", precision="int8")


def of_side(side: int) -> U8:
    """The digit, bright on dark, uint8 ``[side, side]``."""
    return np.asarray(cv2.resize(DIGIT, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.mark.parametrize("side", [28, 100])
def test_normal_form(benchmark, side):
    """A digit's ink to MNIST's normal form."""
    image = benchmark(normal_form, of_side(side))
    assert image.shape == (28, 28)
    assert image.max() > 200


@pytest.mark.parametrize("side", [28, 100])
def test_digit_image(benchmark, side):
    """An image of a digit to MNIST's normal form, with its polarity and light corrected."""
    image = benchmark(digit_image, of_side(side))
    assert image.shape == (28, 28)
    assert image.max() > 200


def test_session(benchmark, classifier):
    """The session's own call, to compare `test_classify_one` with."""
    names = [output.name for output in classifier.session.get_outputs()]
    feed = {classifier.session.get_inputs()[0].name: DIGIT[None, None]}
    probabilities = benchmark(classifier.session.run, names, feed)[0]
    assert probabilities.argmax() == 0


def test_classify_one(benchmark, classifier):
    """One image in normal form to a prediction."""
    assert benchmark(classifier.classify, DIGIT).digit == 0


def test_classify_64(benchmark, classifier):
    """Sixty-four of them in one batch."""
    predictions = benchmark(classifier.classify, np.stack([DIGIT] * 64))
    assert [prediction.digit for prediction in predictions] == [0] * 64


def test_read_a_page(benchmark, classifier):
    """A decoded page of twelve digits to its text."""
    reader = Reader(classifier)
    frame = Frame("page", decode_file(samples.SAMPLE_PAGE))
    assert benchmark(reader.read_frame, frame).text == samples.SAMPLE_PAGE_TEXT
