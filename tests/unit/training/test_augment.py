from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from digitkit.training.augment import Augmentation, augment

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def images(mnist_train):
    return torch.from_numpy(mnist_train.images[:64].copy()).unsqueeze(1) / 255


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def test_off_is_off(images):
    assert augment(images, Augmentation(), chance()) is images


@pytest.mark.parametrize("kind", [f.name for f in dataclasses.fields(Augmentation)])
def test_each_kind_varies_but_keeps_the_digit(images, kind):
    amount = {"rotate": 10, "translate": 1.5, "elastic": 0.5}.get(kind, 0.3)
    how = Augmentation(**{kind: amount})
    out = augment(images, how, chance())
    assert out.shape == images.shape
    assert out.dtype == torch.float32
    assert float(out.min()) >= 0
    assert float(out.max()) <= 1.0001
    assert not torch.equal(out, images)
    assert float((out - images).abs().mean()) < 0.12
    assert torch.equal(out, augment(images, how, chance()))
    assert not torch.equal(out, augment(images, how, chance(1)))


def test_translation_is_in_pixels():
    dot = torch.zeros(400, 1, 28, 28)
    dot[:, 0, 14, 14] = 1
    out = augment(dot, Augmentation(translate=3), chance()).numpy()[:, 0]
    _, x = np.mgrid[:28, :28]
    moved = (out * x).sum((1, 2)) / out.sum((1, 2)) - 14
    assert np.abs(moved).max() <= 3.01
    assert np.abs(moved).max() > 2.7
