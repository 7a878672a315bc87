"""The figures of a training and of an evaluation."""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("torch")

from digitkit import figures
from digitkit.errors import MissingDependencyError
from digitkit.images.opencv import cv2
from digitkit.models.evaluation import score_predictions
from digitkit.training.record import EpochRecord


def decode(png: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)


@pytest.fixture
def drawn(monkeypatch):
    """The figures themselves instead of their PNGs."""
    monkeypatch.setattr(figures, "encode_png", lambda figure: figure)


@pytest.fixture
def evaluation():
    probabilities = np.eye(10, dtype=np.float32)[[0, 1, 2, 3, 3]] * 0.9
    return score_predictions(probabilities, np.array([0, 1, 2, 3, 8], np.uint8), "five")


def epochs(count: int, validated: bool = True) -> list[EpochRecord]:
    loss, accuracy = (0.1, 0.95) if validated else (None, None)
    return [EpochRecord(i, 1 / i, 0.9, loss, accuracy, 1.0, i) for i in range(1, count + 1)]


def test_the_same_results_give_the_same_bytes(evaluation):
    images = np.zeros((5, 28, 28), np.uint8)
    for draw in (
        lambda: figures.curves("a", epochs(3), 2),
        lambda: figures.confusion("a", evaluation),
        lambda: figures.mistakes("a", images, evaluation),
    ):
        assert draw() == draw()
        assert min(decode(draw()).shape[:2]) > 200


@pytest.mark.parametrize(("validated", "lines"), [(True, 3), (False, 2)])
def test_curves(drawn, validated, lines):
    left, right = figures.curves("a", epochs(4, validated), 4).axes
    assert len(left.lines) == len(right.lines) == lines  # with the epoch that is kept
    assert right.lines[0].get_ydata() == pytest.approx([10.0] * 4)


def test_confusion(drawn, evaluation):
    axes, _ = figures.confusion("a", evaluation).axes
    counts = {text.get_position(): text.get_text() for text in axes.texts}
    assert counts == {(0, 0): "1", (1, 1): "1", (2, 2): "1", (3, 3): "1", (3, 8): "1"}


@pytest.mark.parametrize(("wrong", "shown"), [(0, 0), (1, 1), (60, 40)])
def test_mistakes(drawn, wrong, shown):
    labels = np.array([1] * wrong + [0], np.uint8)
    probabilities = np.zeros((wrong + 1, 10), np.float32)
    probabilities[:, 0] = 0.9
    result = score_predictions(probabilities, labels, "x")
    figure = figures.mistakes("a", np.zeros((wrong + 1, 28, 28), np.uint8), result)
    assert sum(bool(axes.images) for axes in figure.axes) == shown
    assert f"{wrong} mistake" in figure.get_suptitle()


def test_without_matplotlib(monkeypatch, evaluation):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError):
        figures.confusion("a", evaluation)
