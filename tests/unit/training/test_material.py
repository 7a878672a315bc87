"""What is made to be trained on: digits drawn from strokes, and pictures without one."""

from __future__ import annotations

import numpy as np
import pytest

from digitkit.images.normal_form import normal_form
from digitkit.training import negatives, stroke_digits


def test_drawn_digits():
    images, labels = stroke_digits.draw(60, seed=3)
    assert (images.shape, images.dtype, labels.dtype) == ((60, 28, 28), np.uint8, np.uint8)
    assert np.bincount(labels).tolist() == [6] * 10
    assert np.array_equal(stroke_digits.draw(60, seed=3)[0], images)
    assert not np.array_equal(stroke_digits.draw(60, seed=4)[0], images)
    for image in images:
        assert image.max() == 255
        assert (image[[0, -1]] == 0).all()
        assert np.array_equal(normal_form(image), image)  # as the net meets them


def test_a_trained_net_reads_most_drawn_digits(shipped):
    from digitkit import Classifier

    images, labels = stroke_digits.draw(500, seed=1)
    read = Classifier(shipped).probabilities(images).argmax(1)
    assert (read == labels).mean() > 0.9


def test_negatives(mnist_train):
    part = mnist_train.take(np.arange(500))
    made = negatives.negatives(part.images, part.labels, 48, seed=3)
    assert (made.shape, made.dtype) == ((48, 28, 28), np.uint8)
    assert np.array_equal(negatives.negatives(part.images, part.labels, 48, seed=3), made)
    assert not np.array_equal(negatives.negatives(part.images, part.labels, 48, seed=4), made)
    kinds = negatives.of_each_kind(part.images, part.labels, 5, seed=3)
    assert all(images.shape == (5, 28, 28) for images in kinds.values())
    assert len(kinds) == 7


def test_a_digit_is_cut_only_where_no_other_is_left():
    assert not {1, 6, 7, 9} & set(negatives._CUTS)


@pytest.mark.parametrize("digit", [1, 7])
def test_without_digits_that_can_be_cut(mnist_train, digit):
    only = mnist_train.take(np.flatnonzero(mnist_train.labels == digit)[:20])
    made = negatives.negatives(only.images, only.labels, 24, seed=0)
    assert made.shape == (24, 28, 28)
