"""The figures of a training and of an evaluation."""

import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("torch")

from digitkit import figures
from digitkit.errors import MissingDependencyError
from digitkit.images.decode import decode
from digitkit.models.evaluation import score_predictions
from digitkit.training.record import EpochRecord


def evaluate(labels, predicted):
    probabilities = np.eye(10, dtype=np.float32)[predicted]
    return score_predictions(probabilities, np.array(labels, np.uint8), "x")


def draw_curves(loss=0.1, accuracy=0.95):
    epochs = [EpochRecord(i, 1 / i, 0.9, loss, accuracy, 1.0, i) for i in range(1, 5)]
    return figures.curves("a", epochs, 4)


def draw_mistakes(wrong=3):
    result = evaluate([1] * wrong + [0], [0] * (wrong + 1))
    return figures.mistakes("a", np.zeros((wrong + 1, 28, 28), np.uint8), result)


@pytest.mark.slow
def test_the_same_results_give_the_same_bytes():
    for draw in (draw_curves, draw_mistakes):
        assert draw() == draw()
        assert min(decode(draw(), "x").shape[:2]) > 200


def test_what_is_drawn(monkeypatch):
    monkeypatch.setattr(figures, "figure_to_png", lambda figure: figure)
    for validation, lines in (((0.1, 0.95), 3), ((None, None), 2)):  # with the epoch that is kept
        left, right = draw_curves(*validation).axes
        assert len(left.lines) == len(right.lines) == lines
        assert right.lines[0].get_ydata() == pytest.approx([10.0] * 4)
    axes, _ = figures.confusion("a", evaluate([0, 1, 1, 8], [0, 1, 1, 3])).axes
    counts = {text.get_position(): text.get_text() for text in axes.texts}
    assert counts == {(0, 0): "1", (1, 1): "2", (3, 8): "1"}
    for wrong, shown in ((0, 0), (1, 1), (60, 40)):
        figure = draw_mistakes(wrong)
        assert sum(bool(axes.images) for axes in figure.axes) == shown
        assert f"{wrong} mistake" in figure.get_suptitle()


def test_the_axis_of_one_epoch_has_that_epoch(monkeypatch):
    monkeypatch.setattr(figures, "figure_to_png", lambda figure: figure)
    epoch = EpochRecord(1, 1.0, 0.9, 0.1, 0.95, 1.0, 1.0)
    figure = figures.curves("a", [epoch], 1, harder=["augmented images"])
    for axes in figure.axes:
        low, high = axes.get_xlim()
        assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1.0]
        sizes = [*axes.get_yticklabels(), *axes.get_yticklabels(minor=True)]
        assert len({label.get_fontsize() for label in sizes}) == 1
    assert "augmented images" in figure.get_supxlabel()
    assert not figures.curves("a", [epoch], 1).get_supxlabel()


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError):
        draw_curves()
