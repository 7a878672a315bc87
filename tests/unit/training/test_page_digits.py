"""Digits that the detector cuts out of pages."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from digitkit import Classifier
from digitkit.errors import DatasetError
from digitkit.training import composing, page_digits
from digitkit.training.material import Epoch, add_pages
from digitkit.training.page_digits import LIKE_A_DIGIT, cut_out_digits, write_characters
from digitkit.training.recipes import get_recipe
from digitkit.training.scenes.fonts import load_fonts
from digitkit.training.threads import torch_threads


@pytest.fixture(scope="module")
def cut(mnist_train):
    with torch_threads(1):
        return cut_out_digits(mnist_train, 16, seed=3)


def test_they_are_what_is_written_there(cut):
    assert cut.images.dtype == cut.labels.dtype == cut.without_digit.dtype == np.uint8
    assert cut.images.shape == (len(cut.labels), 28, 28)
    assert len(cut.labels) > 40
    read = [each.digit for each in Classifier("digits").classify(cut.images)]
    assert (np.array(read) == cut.labels).mean() > 0.8  # pages are hard


def test_what_looks_like_a_digit_is_not_taught_to_be_none(cut):
    assert len(cut.without_digit)
    predictions = Classifier("digits").classify(cut.without_digit)
    assert max(each.confidence for each in predictions) < LIKE_A_DIGIT


def test_the_number_of_processes_does_not_matter(cut, mnist_train):
    seen = []
    with torch_threads(2):
        again = cut_out_digits(mnist_train, 16, seed=3, progress=lambda *each: seen.append(each))
    for name in ("images", "labels", "without_digit"):
        assert np.array_equal(getattr(cut, name), getattr(again, name))
    assert seen[-1] == ("composing pages", 16, 16)


def test_own_images_stay_the_last_ones(mnist_train):
    train = mnist_train.take(np.arange(50))
    epoch = Epoch(train, 20, None, np.full((1, 28, 28), 7, np.uint8))
    with torch_threads(1):
        more = add_pages(epoch, replace(get_recipe("pages"), pages=3))
    added = len(more.train) - 50
    assert added > 0
    assert more.new == 20
    assert np.array_equal(more.train.images[added:], train.images)
    assert np.array_equal(more.train.labels[added:], train.labels)
    assert np.array_equal(more.without_digit[0], epoch.without_digit[0])
    letters = write_characters(get_recipe("pages").seed)
    assert np.array_equal(more.without_digit[-len(letters) :], letters)


def test_no_pages_no_digits(mnist_train):
    with torch_threads(1):
        nothing = cut_out_digits(mnist_train.take(np.arange(9)), 0, seed=0)
    assert nothing.images.shape == nothing.without_digit.shape == (0, 28, 28)


def test_letters_are_written_with_several_pens():
    letters = write_characters(5)
    assert letters.dtype == np.uint8
    assert letters.shape[1:] == (28, 28)
    assert np.array_equal(letters, write_characters(5))
    assert not np.array_equal(letters, write_characters(6))
    assert len({each.tobytes() for each in letters}) > 0.9 * len(letters) > 5000


def test_digits_and_what_is_written_like_one_are_left_out(monkeypatch):
    font = load_fonts("train")[0]
    some = replace(font, glyphs={each: font.glyphs[each] for each in "0O1lSA"})
    monkeypatch.setattr(page_digits, "load_fonts", lambda: (some,))
    written = write_characters(0)
    just_a = replace(font, glyphs={"A": font.glyphs["A"]})
    monkeypatch.setattr(page_digits, "load_fonts", lambda: (just_a,))
    assert np.array_equal(written, write_characters(0))
    assert len(written) == page_digits.PEN_COUNT


def test_missing_fonts_are_noticed_before_pages_are_composed(monkeypatch, mnist_train):
    def missing():
        raise DatasetError("does not exist", subject="glyphs.npz")

    monkeypatch.setattr(composing, "load_fonts", missing)
    with pytest.raises(DatasetError, match=r"glyphs\.npz"):
        cut_out_digits(mnist_train, 10**6, seed=0)
