"""Digits drawn from strokes, and images without a digit."""

from __future__ import annotations

import numpy as np
import pytest

from digitkit.images.normal_form import normal_form
from digitkit.training import negatives, stroke_digits


def test_drawn_digits():
    images, labels = stroke_digits.draw_digits(60, seed=3)
    assert (images.shape, images.dtype, labels.dtype) == ((60, 28, 28), np.uint8, np.uint8)
    assert np.bincount(labels).tolist() == [6] * 10
    assert np.array_equal(stroke_digits.draw_digits(60, seed=3)[0], images)
    assert not np.array_equal(stroke_digits.draw_digits(60, seed=4)[0], images)
    for image in images:
        assert image.max() == 255
        assert (image[[0, -1]] == 0).all()
        assert np.array_equal(normal_form(image), image)  # as the net sees them


def test_a_trained_net_reads_most_drawn_digits(shipped):
    from digitkit import Classifier

    images, labels = stroke_digits.draw_digits(500, seed=1)
    assert (Classifier(shipped).probabilities(images).argmax(1) == labels).mean() > 0.9


def test_negatives(mnist_train):
    few = mnist_train.take(np.arange(500))
    images = negatives.make_negatives(few.images, few.labels, 48, seed=3)
    assert (images.shape, images.dtype) == ((48, 28, 28), np.uint8)
    again, other = (
        negatives.make_negatives(few.images, few.labels, 48, seed=seed) for seed in (3, 4)
    )
    assert np.array_equal(again, images)
    assert not np.array_equal(other, images)
    kinds = negatives.make_each_kind(few.images, few.labels, 5, seed=3)
    assert len(kinds) == 7
    assert all(images.shape == (5, 28, 28) for images in kinds.values())


@pytest.mark.parametrize("digit", [1, 7])
def test_without_digits_that_can_be_cut(mnist_train, digit):
    """A part of a 1 or a 7 looks like a digit: plain images take the place of cut digits."""
    only = mnist_train.take(np.flatnonzero(mnist_train.labels == digit)[:20])
    kinds = negatives.make_each_kind(only.images, only.labels, 24, seed=0)
    steps = np.abs(np.diff(kinds["cut digit"].astype(int), axis=2))
    assert steps.max() < 40
