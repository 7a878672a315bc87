"""How good a model's answers are: accuracy, calibration, per-digit figures. numpy only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F32, Labels
from digitkit.models.calibration import expected_calibration_error

if TYPE_CHECKING:
    from digitkit.datasets.digits import DigitData
    from digitkit.models.classifier import Classifier


@dataclass(frozen=True)
class Mistake:
    """One image that was read wrong.

    Attributes:
        index: its place in the data.
        label: what it is.
        predicted: what was read.
        confidence: the probability given to `predicted`, 0–1.
    """

    index: int
    label: int
    predicted: int
    confidence: float


@dataclass(frozen=True)
class Evaluation:
    """What a model gave on labelled data.

    Attributes:
        data: name of the data.
        count: number of images.
        accuracy: share read right, 0–1.
        loss: mean cross-entropy, nats.
        mean_confidence: mean probability of the digit that was read, 0–1.
        calibration_error: expected calibration error, 0–1: by how much confidence and accuracy
            differ on average, over 15 bins of equal width (Guo et al., ICML 2017).
        precision: a digit each: share of what was read as it that is it; None if never read.
        recall: a digit each: share of it that was read as it; None if it never occurs.
        confusion: ``confusion[label][predicted]``: number of images.
        mistakes: the images read wrong, the most confident first.
        right: bool ``[N]``, whether each image was read right.
    """

    data: str
    count: int
    accuracy: float
    loss: float
    mean_confidence: float
    calibration_error: float
    precision: tuple[float | None, ...]
    recall: tuple[float | None, ...]
    confusion: tuple[tuple[int, ...], ...]
    mistakes: tuple[Mistake, ...] = field(repr=False)
    right: npt.NDArray[np.bool_] = field(repr=False, compare=False)

    def paired(self, other: Evaluation) -> tuple[int, int]:
        """How many images only this, and only the `other`, reads right; of the same data."""
        return int((self.right & ~other.right).sum()), int((other.right & ~self.right).sum())

    def to_json(self) -> dict[str, Any]:
        """The figures as JSON values, the mistakes among them."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        del values["right"]
        values["mistakes"] = [vars(mistake) for mistake in self.mistakes]
        return values


def score_predictions(probabilities: F32, labels: Labels, data: str) -> Evaluation:
    """Compare a model's answers with the truth.

    Args:
        probabilities: of being each digit, float32 ``[N, 10]``; rows sum to 1, or to less where
            the model holds it possible that it is none.
        labels: uint8 ``[N]``, 0 to 9; N at least 1.
        data: name of the data.
    """
    count = len(labels)
    predicted = probabilities.argmax(1).astype(np.uint8)
    confidence = probabilities.max(1).astype(np.float64)
    right = predicted == labels
    confusion = np.zeros((10, 10), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    of_truth = np.maximum(probabilities[np.arange(count), labels].astype(np.float64), 1e-12)
    wrong = np.flatnonzero(~right)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
    return Evaluation(
        data=data,
        count=count,
        accuracy=float(right.mean()),
        loss=float(-np.log(of_truth).mean()),
        mean_confidence=float(confidence.mean()),
        calibration_error=expected_calibration_error(confidence, right),
        precision=_shares(confusion.diagonal(), confusion.sum(0)),
        recall=_shares(confusion.diagonal(), confusion.sum(1)),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
        mistakes=tuple(
            Mistake(int(i), int(labels[i]), int(predicted[i]), float(confidence[i])) for i in wrong
        ),
        right=right,
    )


def _shares(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> tuple[float | None, ...]:
    return tuple(float(p / w) if w else None for p, w in zip(part, whole, strict=True))


def predict_probabilities(
    model: Classifier,
    data: DigitData,
    *,
    batch_size: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> F32:
    """The probability a model gives to being each digit: float32 ``[N, 10]`` (`Scores.joint`).

    Args:
        model: what to measure.
        data: images in normal form with their labels.
        batch_size: images a run; only speed and memory depend on it.
        progress: called with the number of images done and of all.
    """
    parts = []
    for start in range(0, len(data), batch_size):
        parts.append(model.scores(data.images[start : start + batch_size]).joint)
        if progress:
            progress(min(start + batch_size, len(data)), len(data))
    return np.concatenate(parts)


def evaluate(
    model: Classifier,
    data: DigitData,
    *,
    batch_size: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Run a model over labelled digits and compare; arguments as for `answers`."""
    given = predict_probabilities(model, data, batch_size=batch_size, progress=progress)
    return score_predictions(given, data.labels, data.name)
