"""What the line reader is trained on."""

from itertools import pairwise

import numpy as np
import pytest
from support.errors import error_of

torch = pytest.importorskip("torch")

from digitkit.errors import RecipeError
from digitkit.reading.networks.line_reader import (
    COLUMN_STRIDE,
    HEIGHT,
    LETTER,
    NONE,
    POINT,
    SIGN,
    SPOILED,
)
from digitkit.system.progress import no_progress
from digitkit.training import line_data, line_training
from digitkit.training.line_data import (
    IGNORED_LABEL,
    SAMPLE_WIDTH,
    LineSamples,
    label_columns,
    label_doubts,
)
from digitkit.training.line_net import LineNet
from digitkit.training.scenes import spoiling
from digitkit.training.scenes.lines import LETTER as LETTER_SIGN
from digitkit.training.scenes.lines import _LineWriter, compose_lines
from digitkit.training.scenes.page import Page
from digitkit.training.scenes.spoiling import strike_out, write_over
from digitkit.training.steps import train_steps
from digitkit.training.threads import torch_threads


@pytest.fixture(scope="module")
def strips(mnist_train):
    with torch_threads(1):
        return line_data.cut_out_lines(mnist_train, 12, 5, no_progress)


def test_lines_are_composed_as_their_seed_says(mnist_train):
    def compose(seed):
        return compose_lines(mnist_train.images, mnist_train.labels, np.random.default_rng(seed))

    first, same, other = compose(3), compose(3), compose(4)
    assert np.array_equal(first.image, same.image)
    assert (first.boxes, first.digits, first.signs) == (same.boxes, same.digits, same.signs)
    assert first.image.shape != other.image.shape or not np.array_equal(first.image, other.image)
    scenes = [compose(seed) for seed in range(20)]
    assert all(len(scene.boxes) == len(scene.digits) == len(scene.rows) for scene in scenes)
    assert {kind for scene in scenes for _, kind in scene.signs} >= set("-+.,/")


def test_some_hands_join_digits_and_end_numbers_with_zeros(mnist_train):
    rng = np.random.default_rng(0)
    joined, zeros, digits = 0, 0, 0
    for _ in range(120):
        scene = compose_lines(mnist_train.images, mnist_train.labels, rng)
        zeros += scene.digits.count(0)
        digits += len(scene.digits)
        boxes = list(zip(scene.rows, scene.boxes, strict=True))
        joined += sum(
            a == b and x + w > following[0] for (a, (x, _, w, _)), (b, following) in pairwise(boxes)
        )
    assert joined > 0.05 * digits
    assert zeros > 0.14 * digits


@pytest.fixture
def writer(mnist_train):
    """A hand that writes on a large page, with signs, and joins its digits."""
    page = Page(np.random.default_rng(0), (900, 901))
    page.pixels = np.full((200, 900, 3), 255, np.float32)
    page.h, page.w = page.pixels.shape[:2]
    page.ink = page.other = np.zeros((page.h, page.w), np.uint8)
    writer = _LineWriter(page, mnist_train.images, mnist_train.labels)
    writer.height, writer._signs, writer._zeros = 30.0, 0.6, 0.0
    return writer


def test_no_stroke_joins_digits_across_a_point(writer, monkeypatch):
    page, joined, points = writer._page, [], []

    def sign(kind, x, y, room):
        points.extend([len(page.boxes)] if kind in ".," else [])
        return x + 5

    monkeypatch.setattr(writer, "_join", lambda first: joined.append(len(page.boxes) - 1))
    monkeypatch.setattr(writer, "_sign", sign)
    pairs = set()
    for _ in range(60):
        first = len(page.boxes)
        writer._number(10.0, 60.0, 0)
        pairs.update(range(first + 1, len(page.boxes)))
    inner = pairs & set(points)
    assert inner
    assert pairs - set(points) <= set(joined)
    assert not inner & set(joined)


def test_steep_slashes_are_longer_than_1s(writer):
    for _ in range(60):
        writer._sign("/", 100.0, 60.0, (0.0, 0.0))
    sizes = [ink.shape for ink, *_ in writer._page.signs]
    steep = [height for height, width in sizes if width < 0.3 * height]
    assert len(steep) > 5
    assert np.median(steep) > 1.3 * writer.height


def test_digits_of_strips_are_where_their_ink_is(strips):
    assert len(strips) > 20
    for strip in strips:
        assert (strip.ink.dtype, strip.ink.shape[0]) == (np.uint8, HEIGHT)
        assert strip.ink.shape[1] % COLUMN_STRIDE == 0
        assert set(strip.digits[:, 4]) <= {*range(10), SIGN, POINT, SPOILED, LETTER, IGNORED_LABEL}
    inside = [
        strip.ink[8:40, max(0, round(x - 6)) : round(x + 7)].max() > 100
        for strip in strips
        for x, y, _, _, value in strip.digits.tolist()
        if value >= 0 and value < 10 and abs(y) < 0.3 and 5 < x < strip.ink.shape[1] - 5
    ]
    assert len(inside) > 40
    assert np.mean(inside) > 0.95


def test_the_number_of_processes_does_not_matter(strips, mnist_train):
    seen = []
    with torch_threads(2):
        again = line_data.cut_out_lines(mnist_train, 12, 5, lambda *each: seen.append(each))
    assert seen[-1] == ("composing lines", 12, 12)
    for strip, same in zip(strips, again, strict=True):
        assert np.array_equal(strip.ink, same.ink)
        assert same.ink.flags.c_contiguous  # OpenCV fails on rows that are far apart in memory
        assert np.array_equal(strip.digits, same.digits)


def columns_of(labels, value):
    return (np.flatnonzero(labels == value) * COLUMN_STRIDE + COLUMN_STRIDE / 2).tolist()


def test_columns_are_labelled_by_their_middles():
    digits = np.array(
        [[40, 0, 16, 28, 7], [70, 0, 20, 20, SIGN], [90, 0.5, 4, 4, POINT], [110, 0, 6, 28, 1]],
        np.float32,
    )
    labels = label_columns(digits)
    assert labels.shape == (SAMPLE_WIDTH // COLUMN_STRIDE,)
    for x, value in ((40, 7), (70, SIGN), (90, POINT), (110, 1)):
        assert np.mean(columns_of(labels, value)) == x
    assert set(np.unique(labels)) == {IGNORED_LABEL, 1, 7, SIGN, POINT, NONE}


@pytest.mark.parametrize(
    ("digit", "label"),
    [
        ((90, 1.0, 16, 28, 7), NONE),  # of another row
        ((90, 0.6, 16, 28, 7), IGNORED_LABEL),  # hardly of this one
        ((90, 0, 16, 60, 7), IGNORED_LABEL),  # much larger than the others
        ((90, 0, 16, 28, IGNORED_LABEL), IGNORED_LABEL),  # cut by the border
        ((1, 0, 16, 28, 7), IGNORED_LABEL),  # not quite in the sample
        ((90, -0.5, 4, 4, POINT), NONE),  # the decimal point of the row above
        ((90, 0, 16, 28, SPOILED), IGNORED_LABEL),  # struck out or written over
    ],
)
def test_what_is_not_clearly_a_digit_of_the_row(digit, label):
    labels = label_columns(np.array([digit], np.float32))
    assert labels[round(digit[0] / COLUMN_STRIDE - 0.5)] == label
    assert not columns_of(labels, digit[4]) or digit[4] == label


def test_spoiled_digits_are_told_from_others():
    digits = np.array(
        [[40, 0, 16, 28, 7], [70, 0, 20, 28, SPOILED], [100, 0, 20, 20, SIGN],
         [130, 1.0, 16, 28, SPOILED]],
        np.float32,
    )  # fmt: skip
    labels, letters = label_doubts(digits)
    assert np.mean(columns_of(labels, 0)) == 40
    assert np.mean(columns_of(labels, 1)) == 70
    assert set(labels[80 // COLUMN_STRIDE :]) == {IGNORED_LABEL}
    assert np.mean(columns_of(letters, 0)) == 40
    assert set(letters[60 // COLUMN_STRIDE :]) == {IGNORED_LABEL}


def test_which_columns_show_letters():
    digits = np.array(
        [[40, 0.0, 16, 28, 7],
        [70, 0.0, 16, 28, LETTER],
        [110, 1.0, 16, 28, LETTER]],
        np.float32,
    )  # fmt: skip
    spoiled, letters = label_doubts(digits)
    assert np.mean(columns_of(letters, 0)) == 40
    assert np.mean(columns_of(letters, 1)) == 70
    assert set(letters[90 // COLUMN_STRIDE :]) == {IGNORED_LABEL}
    assert not (spoiled == 1).any()
    # As a class, a letter is what it was without these labels: nothing.
    assert np.array_equal(label_columns(digits), label_columns(digits[:1]))


@pytest.mark.parametrize(("output", "layers"), [(SPOILED, "spoiled."), (LETTER, "letters.")])
def test_what_is_learnt_of_doubts_changes_nothing_else(output, layers):
    torch.manual_seed(0)
    net, ink = LineNet(), torch.randint(0, 256, (2, 1, HEIGHT, 50), dtype=torch.uint8)
    net(ink)[:, output].sum().backward()
    learning = {
        name for name, value in net.named_parameters()
        if value.grad is not None and value.grad.any()
    }  # fmt: skip
    assert learning == {name for name, _ in net.named_parameters() if name.startswith(layers)}


def test_samples_are_what_their_number_says(strips, tmp_path):
    path = tmp_path / "lines.npz"
    line_data.write_strips(path, strips)
    for strip, same in zip(strips, line_data.read_strips(path), strict=True):
        assert np.array_equal(strip.ink, same.ink)
        assert np.array_equal(strip.digits, same.digits)
    all_samples, later = LineSamples(path, 1, 0, 9), LineSamples(path, 1, 4, 5)
    assert (len(all_samples), len(later)) == (9, 5)
    for number in range(5):
        ink, labels, _ = later[number]
        assert (ink.shape, ink.dtype) == ((HEIGHT, SAMPLE_WIDTH), np.uint8)
        assert np.array_equal(ink, all_samples[number + 4][0])
        for own, same in zip(later[number], all_samples[number + 4], strict=True):
            assert np.array_equal(own, same)
        assert labels.shape == (SAMPLE_WIDTH // COLUMN_STRIDE,)
    assert not np.array_equal(all_samples[0][0], all_samples[1][0])


def test_too_few_images_are_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(line_training, "cut_out_lines", lambda *_: [])
    config = line_training.LineConfig(tmp_path, steps=1, scenes=1, workers=0)
    ignore = lambda _: None  # noqa: E731
    error = error_of(RecipeError, train_steps, line_training.LINES, config, ignore, no_progress)
    assert error.field == "scenes"
    assert list(tmp_path.iterdir()) == []


def test_the_net_gives_a_vector_for_each_second_column():
    found = LineNet()(torch.zeros(2, 1, HEIGHT, 50, dtype=torch.uint8))
    assert found.shape == (2, LETTER + 1, 50 // COLUMN_STRIDE)


def test_some_digits_are_struck_out_or_written_over(mnist_train):
    rng = np.random.default_rng(0)
    images, labels = mnist_train.images, mnist_train.labels
    plain = [compose_lines(images, labels, np.random.default_rng(seed)) for seed in range(10)]
    assert not any(kind == spoiling.SPOILED for scene in plain for _, kind in scene.signs)
    scenes = [compose_lines(images, labels, rng, spoiled=0.2) for _ in range(20)]
    digits = sum(len(scene.digits) for scene in scenes)
    spoiled = [
        (scene, box) for scene in scenes for box, kind in scene.signs if kind == spoiling.SPOILED
    ]
    assert 0.1 * digits < len(spoiled) < 0.5 * digits
    for scene, (x, y, w, h) in spoiled:
        assert scene.other[max(y, 0) : y + h, max(x, 0) : x + w].any()


def test_letters_stand_close_to_numbers(mnist_train):
    images, labels = mnist_train.images, mnist_train.labels

    def count(scenes):
        return sum(kind == LETTER_SIGN for scene in scenes for _, kind in scene.signs)

    def compose(seed, **letters):
        return compose_lines(images, labels, np.random.default_rng(seed), **letters)

    scenes = [compose(seed, letters=0.5) for seed in range(20)]
    assert count(scenes) > 1.3 * count(compose(seed) for seed in range(20))
    for scene in scenes:
        height, width = scene.other.shape
        for (x, y, w, h), kind in scene.signs:
            is_inside = x >= 0 and y >= 0 and x + w <= width and y + h <= height
            if kind == LETTER_SIGN and is_inside and min(w, h) > 2:
                assert scene.other[y : y + h, x : x + w].any()


@pytest.mark.parametrize("digit", range(10))
def test_strokes_reach_over_the_digit_that_they_strike_out(digit):
    rng = np.random.default_rng(digit)
    for _ in range(20):
        ink, margin = strike_out(digit, 40, 30, 4, rng)
        assert ink.shape == (40 + 2 * margin, 30 + 2 * margin)
        inside = ink[margin:-margin, margin:-margin] > 127
        assert inside.sum() > 60
        assert inside.any(0).mean() > 0.6


def test_two_digits_that_cover_each_other_are_not_spoiled():
    rng = np.random.default_rng(0)
    bar = np.full((40, 8), 255, np.uint8)
    block = np.full((40, 30), 255, np.uint8)
    assert all(write_over(block, block, rng) is None for _ in range(20))
    both = write_over(bar, np.full((8, 40), 255, np.uint8), rng)
    assert both is not None
    assert (both > 0).sum() > 0.9 * (2 * 320 - 64)
