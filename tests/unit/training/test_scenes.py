"""The synthetic pages that the detector is trained on."""

from __future__ import annotations

import numpy as np
import pytest

from digitkit.images.opencv import cv2
from digitkit.training.scenes.glyphs import glyph, thin
from digitkit.training.scenes.scene import compose_scene


@pytest.fixture(scope="module")
def compose(mnist_train):
    """Composes a scene from a seed."""

    def make(seed: int, **options):
        rng = np.random.default_rng(seed)
        return compose_scene(
            mnist_train.images, mnist_train.labels, rng, sides=(300, 420), **options
        )

    return make


def test_the_same_seed_gives_the_same_scene(compose):
    first, same, other = (compose(seed) for seed in (3, 3, 4))
    assert np.array_equal(first.image, same.image)
    assert (first.boxes, first.text, first.tags) == (same.boxes, same.text, same.tags)
    assert first.image.shape != other.image.shape or not np.array_equal(first.image, other.image)


def test_boxes_hold_the_ink(compose):
    for seed in range(25):
        page = compose(seed, empty=False)
        assert (page.image.dtype, page.image.shape[:2]) == (np.uint8, page.ink.shape)
        assert len(page.boxes) == len(page.digits) == len(page.rows)
        assert page.text.replace("\n", "") == "".join(map(str, page.digits))
        left = page.ink.copy()
        for x, y, w, h in (*page.boxes, *page.cut):
            height, width = page.ink.shape
            assert 0 <= x < x + w <= width
            assert 0 <= y < y + h <= height
            assert page.ink[y : y + h, x : x + w].max() > 100
            left[y : y + h, x : x + w] = 0
        assert left.max() <= 60
    for seed in range(8):
        page = compose(seed, empty=True)
        assert (page.text, page.boxes, page.cut, page.ink.max()) == ("", [], [], 0)


def test_digits_that_the_border_cuts_touch_it(compose):
    cut = [(p, box) for p in (compose(s, empty=False) for s in range(60)) for box in p.cut]
    assert cut
    for page, (x, y, w, h) in cut:
        height, width = page.ink.shape
        assert x == 0 or y == 0 or x + w == width or y + h == height


def test_thinning_leaves_middle_lines():
    bar = np.zeros((40, 60), np.uint8)
    cv2.rectangle(bar, (10, 15), (50, 23), 1, -1)
    line = thin(bar)
    assert set(np.flatnonzero(line.any(1))) <= {17, 18, 19, 20, 21}
    assert 25 < line.sum() < 45
    assert (line <= bar).all()


@pytest.mark.parametrize("pen", [2, 6, None])
@pytest.mark.parametrize("height", [20, 90])
def test_glyphs_have_the_height_and_the_pen_that_is_asked_for(mnist_test, pen, height):
    rng = np.random.default_rng(0)
    seven = mnist_test.images[0]
    ink = glyph(seven, height, pen, rng)
    # The ends of a thinned line are half a pen of MNIST's shorter, those drawn half a pen longer.
    assert abs(ink.shape[0] - height) <= 3 + 0.12 * height + (pen or 0) / 2
    if pen and height > 50:
        stem = (ink[height // 2] > 127).sum()  # a row through the stem, which leans
        assert pen - 1 <= stem <= 2.5 * pen + 2
