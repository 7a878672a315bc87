"""Synthetic pages, digits drawn from strokes, and images without a digit."""

import numpy as np
import pytest

from digitkit import Classifier
from digitkit.images.cv import cv2
from digitkit.images.normal_form import normal_form
from digitkit.training import negatives, stroke_digits
from digitkit.training.scenes import clutter
from digitkit.training.scenes.fonts import load_fonts
from digitkit.training.scenes.glyphs import glyph, thin
from digitkit.training.scenes.page import Page
from digitkit.training.scenes.scene import compose_scene
from digitkit.training.scenes.turn import turn_page
from digitkit.training.scenes.writing import write_digits


@pytest.fixture(scope="module")
def compose(mnist_train):
    """Composes a scene from a seed."""
    images, labels = mnist_train.images, mnist_train.labels
    return lambda seed, **options: compose_scene(
        images, labels, np.random.default_rng(seed), sides=(300, 420), **options
    )


def test_the_same_seed_gives_the_same_scene(compose):
    first, same, other = (compose(seed) for seed in (3, 3, 4))
    assert np.array_equal(first.image, same.image)
    assert (first.boxes, first.text, first.tags) == (same.boxes, same.text, same.tags)
    assert first.image.shape != other.image.shape or not np.array_equal(first.image, other.image)


def test_boxes_hold_the_ink(compose):
    cut = 0
    for seed in range(60):
        page = compose(seed, empty=False)
        height, width = page.ink.shape
        assert (page.image.dtype, page.image.shape[:2]) == (np.uint8, page.ink.shape)
        assert len(page.boxes) == len(page.digits) == len(page.rows)
        assert page.text.replace("\n", "") == "".join(map(str, page.digits))
        left = page.ink.copy()
        for x, y, w, h in (*page.boxes, *page.cut):
            assert 0 <= x < x + w <= width
            assert 0 <= y < y + h <= height
            assert page.ink[y : y + h, x : x + w].max() > 100
            left[y : y + h, x : x + w] = 0
        assert left.max() <= 60
        for x, y, w, h in page.cut:  # by the border, or the edge of a turned page
            assert "turned" in page.tags or x == 0 or y == 0 or x + w == width or y + h == height
        cut += len(page.cut)
    assert cut
    for seed in range(8):
        page = compose(seed, empty=True)
        assert (page.text, page.boxes, page.cut, page.ink.max()) == ("", [], [], 0)


def test_thinning_leaves_middle_lines():
    bar = np.zeros((40, 60), np.uint8)
    cv2.rectangle(bar, (10, 15), (50, 23), 1, -1)
    line = thin(bar)
    assert set(np.flatnonzero(line.any(1))) <= {17, 18, 19, 20, 21}
    assert 25 < line.sum() < 45
    assert (line <= bar).all()


@pytest.mark.parametrize("pen", [2, 6, None])
@pytest.mark.parametrize("height", [20, 90])
def test_glyphs_have_the_height_that_is_asked_for(mnist_test, pen, height):
    seven = mnist_test.images[0]
    ink = glyph(seven, height, pen, np.random.default_rng(0))
    # The ends of a thinned line are half a pen of MNIST's shorter, those drawn half a pen longer.
    assert abs(ink.shape[0] - height) <= 3 + 0.12 * height + (pen or 0) / 2


@pytest.mark.parametrize("pen", [2, 6])
def test_glyphs_have_the_pen_that_is_asked_for(mnist_test, pen):
    ink = glyph(mnist_test.images[0], 90, pen, np.random.default_rng(0))
    stem = (ink[45] > 127).sum()  # a row through the stem of a 7, which leans
    assert pen - 1 <= stem <= 2.5 * pen + 2


def test_drawn_digits(shipped):
    images, labels = stroke_digits.draw_digits(60, seed=3)
    assert (images.shape, images.dtype, labels.dtype) == ((60, 28, 28), np.uint8, np.uint8)
    assert np.bincount(labels).tolist() == [6] * 10
    assert np.array_equal(stroke_digits.draw_digits(60, seed=3)[0], images)
    assert not np.array_equal(stroke_digits.draw_digits(60, seed=4)[0], images)
    for image in images:
        assert image.max() == 255
        assert (image[[0, -1]] == 0).all()
        assert np.array_equal(normal_form(image), image)  # as the net sees them
    images, labels = stroke_digits.draw_digits(500, seed=1)
    assert (Classifier(shipped).probabilities(images).argmax(1) == labels).mean() > 0.9


def test_negatives(mnist_train):
    few = mnist_train.take(np.arange(500))
    images, again, other = (
        negatives.make_negatives(few.images, few.labels, 48, seed) for seed in (3, 3, 4)
    )
    assert (images.shape, images.dtype) == ((48, 28, 28), np.uint8)
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


def test_fonts_for_training_and_for_tests_differ():
    train, test = load_fonts("train"), load_fonts("test")
    assert (len(train) > 50, len(test) > 20) == (True, True)
    assert not {font.name for font in train} & {font.name for font in test}
    for font in (*train, *test):
        assert set("0123456789") <= font.glyphs.keys()


@pytest.mark.parametrize("height", [12, 40, 90])
def test_a_font_writes_a_line(height):
    font = load_fonts("test")[0]
    ink, boxes = font.write("1 7", height)
    assert len(boxes) == 2
    for x, y, w, h in boxes:
        assert h == pytest.approx(height, rel=0.35)
        assert ink[max(y, 0) : y + h, max(x, 0) : x + w].max() > 180
    wide, _ = font.write("1 7", height, spacing=20)
    assert wide.shape[1] > ink.shape[1]
    assert font.write("", height)[0].size == 0


@pytest.mark.parametrize("degrees", [-40, 15])
def test_a_turned_page_knows_where_its_digits_are(mnist_test, degrees):
    page = Page(np.random.default_rng(4), (500, 600))
    write_digits(page, mnist_test.images, mnist_test.labels)
    turn_page(page, degrees)
    assert len(page.boxes) == len(page.digits) == len(page.rows) > 0
    outside = page.ink.copy()
    for x, y, w, h in (*page.boxes, *page.cut):
        assert page.ink[y : y + h, x : x + w].max() > 100
        outside[max(y - 2, 0) : y + h + 2, max(x - 2, 0) : x + w + 2] = 0
    assert outside.max() < 60


def test_a_scribble_is_not_higher_than_its_page():
    for seed in range(30):
        page = Page(np.random.default_rng(seed), (120, 121))
        clutter._scribble(page, 150.0)
