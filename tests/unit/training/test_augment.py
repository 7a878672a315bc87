from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from digitkit.training.augment import Augmentation, augment


@pytest.fixture(scope="module")
def images(mnist_train):
    return torch.from_numpy(mnist_train.images[:64].copy()).unsqueeze(1) / 255


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_off_is_off(images):
    assert augment(images, Augmentation(), generator()) is images


@pytest.mark.parametrize("kind", [f.name for f in dataclasses.fields(Augmentation)])
def test_each_kind_varies_but_keeps_the_digit(images, kind):
    amount = {"rotate": 10, "translate": 1.5, "elastic": 0.5}.get(kind, 0.3)
    settings = Augmentation(**{kind: amount})
    out = augment(images, settings, generator())
    assert (out.shape, out.dtype) == (images.shape, torch.float32)
    assert 0 <= float(out.min()) <= float(out.max()) <= 1.0001
    assert 0 < float((out - images).abs().mean()) < 0.12
    assert torch.equal(out, augment(images, settings, generator()))
    assert not torch.equal(out, augment(images, settings, generator(1)))


def test_translation_is_in_pixels():
    dot = torch.zeros(400, 1, 28, 28)
    dot[:, 0, 14, 14] = 1
    out = augment(dot, Augmentation(translate=3), generator()).numpy()[:, 0]
    _, x = np.mgrid[:28, :28]
    moved = (out * x).sum((1, 2)) / out.sum((1, 2)) - 14
    assert 2.7 < np.abs(moved).max() <= 3.01
