"""What the nets are trained on: augmented digits, and the detector's samples."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from digitkit.training.augment import Augmentation, augment
from digitkit.training.detector_data import make_sample


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", [f.name for f in dataclasses.fields(Augmentation)])
def test_each_kind_varies_but_keeps_the_digit(mnist_train, kind):
    images = torch.from_numpy(mnist_train.images[:64].copy()).unsqueeze(1) / 255
    assert augment(images, Augmentation(), generator()) is images
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


def test_what_the_detector_should_predict_for_a_digit():
    plain, ink = np.full((320, 320), 200, np.uint8), np.zeros((320, 320), np.uint8)
    ink[100:180, 60:100] = 255
    boxes = np.array([[60, 100, 40, 80]], np.float32)
    other = ink.T.copy()
    image, stroke, other_stroke, heat, reach = make_sample(plain, ink, other, boxes, 0, 0)
    assert image.shape == (320, 320)
    assert stroke[50:90, 30:50].all()
    assert stroke.sum() == 40 * 20
    assert np.array_equal(other_stroke, stroke.T)
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    assert (y, x, heat[y, x]) == (35, 20, 1)
    left, top, right, bottom = np.exp(reach[:4, y, x]) * 4
    cx, cy = (x + 0.5) * 4, (y + 0.5) * 4
    corners = [cx - left, cy - top, cx + right, cy + bottom]
    assert np.allclose(corners, [60, 100, 100, 180], atol=0.1)
    assert reach[4].sum() > 1
    *_, outside, _ = make_sample(plain, ink, other, boxes, 95, 0)
    assert outside.max() == 0  # most of the digit is not in the crop
