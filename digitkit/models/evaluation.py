"""How good a model's predictions are: accuracy, calibration, per-digit figures. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F32, Labels
from digitkit.models.calibration import expected_calibration_error
from digitkit.system.progress import Progress, no_progress

if TYPE_CHECKING:
    from digitkit.datasets.digits import DigitData
    from digitkit.models.classifier import Classifier

_BATCH = 256
"""Images per run; affects only speed and memory."""


@dataclass(frozen=True)
class Mistake:
    """One image that was read wrong.

    Attributes:
        index: its position in the data.
        label: the correct digit.
        predicted: the digit that was read.
        confidence: the probability given to `predicted`, 0–1.
    """

    index: int
    label: int
    predicted: int
    confidence: float


@dataclass(frozen=True)
class Evaluation:
    """Results of a model on labelled data.

    Attributes:
        data: name of the data.
        count: number of images.
        accuracy: fraction read right, 0–1.
        loss: mean cross-entropy, nats.
        mean_confidence: mean probability of the digit that was read, 0–1.
        calibration_error: expected calibration error, 0–1: the mean difference of confidence and
            accuracy over 15 bins of equal width (Guo et al., ICML 2017).
        precision: per digit: fraction of the images read as it that show it; None if never read.
        recall: per digit: fraction of its images that are read as it; None if it never occurs.
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
        """Number of images that only this, and that only `other` reads right; of the same data."""
        return int((self.right & ~other.right).sum()), int((other.right & ~self.right).sum())

    def to_json(self) -> dict[str, Any]:
        """The results as JSON values, mistakes included."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        del values["right"]
        values["mistakes"] = [vars(mistake) for mistake in self.mistakes]
        return values


def score_predictions(probabilities: F32, labels: Labels, data: str) -> Evaluation:
    """Compare a model's predictions with the labels.

    Args:
        probabilities: of being each digit, float32 ``[N, 10]``; rows sum to 1, or to less if the
            model also gives a probability that the image shows no digit.
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
        precision=_divide(confusion.diagonal(), confusion.sum(0)),
        recall=_divide(confusion.diagonal(), confusion.sum(1)),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
        mistakes=tuple(
            Mistake(int(i), int(labels[i]), int(predicted[i]), float(confidence[i])) for i in wrong
        ),
        right=right,
    )


def _divide(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> tuple[float | None, ...]:
    """Fractions per digit; None if there is nothing to divide by."""
    return tuple(float(p / w) if w else None for p, w in zip(part, whole, strict=True))


def predict_probabilities(
    model: Classifier, data: DigitData, *, progress: Progress = no_progress
) -> F32:
    """Probability of being each digit: float32 ``[N, 10]`` (`Scores.joint`).

    Args:
        model: the model to run.
        data: images in normal form with their labels.
        progress: called after every batch.
    """
    batches = []
    for start in range(0, len(data), _BATCH):
        batches.append(model.scores(data.images[start : start + _BATCH]).joint)
        progress("evaluating", min(start + _BATCH, len(data)), len(data))
    return np.concatenate(batches)


def evaluate(model: Classifier, data: DigitData, *, progress: Progress = no_progress) -> Evaluation:
    """Run a model on labelled digits and score it.

    Args:
        model: the classifier.
        data: images in normal form, uint8 ``[N, 28, 28]``, and their labels, 0–9; N at least 1.
        progress: called with what is done, how many images are, and N.

    Raises:
        ModelRunError: the model fails, or returns no probabilities.
    """
    probabilities = predict_probabilities(model, data, progress=progress)
    return score_predictions(probabilities, data.labels, data.name)
