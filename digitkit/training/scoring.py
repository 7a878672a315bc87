"""Scores of a trained net: its calibration, and its accuracy on validation and test images."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import torch
from torch import nn

from digitkit.arrays import F32
from digitkit.datasets.digits import DigitData
from digitkit.models.calibration import (
    MIN_CALIBRATION_IMAGES,
    fit_min_confidence,
    fit_temperature,
    softmax,
)
from digitkit.models.evaluation import Evaluation, score_predictions
from digitkit.training import nets
from digitkit.training.recipes import Recipe
from digitkit.training.record import (
    CalibrationRecord,
    FinalScoreRecord,
    RunRecord,
    ScoreRecord,
    ValidationRecord,
)


def score_test(
    recipe: Recipe, net: nn.Module, data: DigitData, temperature: float
) -> tuple[Evaluation, FinalScoreRecord]:
    """Score the test set: the only time that it is used."""
    logits = _logits(net, data)
    calibrated = score_predictions(
        _to_probabilities(recipe, logits, temperature), data.labels, data.name
    )
    raw = score_predictions(_to_probabilities(recipe, logits, 1.0), data.labels, data.name)
    scores = FinalScoreRecord(**asdict(_summarize(calibrated)), loss_uncalibrated=raw.loss)
    return calibrated, scores


def calibrate_and_validate(record: RunRecord, net: nn.Module, data: DigitData) -> RunRecord:
    """Fit temperature and threshold on the validation images, if they are enough, and score.

    Where MNIST is mixed in, those of the start are kept: nearly all validation images are MNIST's,
    and say nothing of what is new.
    """
    logits = _logits(net, data)
    calibration = record.calibration
    enough = len(data) >= MIN_CALIBRATION_IMAGES and record.mix is None
    temperature = fit_temperature(logits, data.labels) if enough else calibration.temperature
    probabilities = _to_probabilities(record.recipe, logits, temperature)
    if enough:
        min_confidence = fit_min_confidence(probabilities, data.labels)
        calibration = CalibrationRecord("validation", temperature, min_confidence)
    scores = _summarize(score_predictions(probabilities, data.labels, data.name))
    validation = ValidationRecord(
        **asdict(scores), temperature=temperature, min_confidence=calibration.min_confidence
    )
    return replace(record, calibration=calibration, validation=validation)


def _logits(net: nn.Module, data: DigitData) -> F32:
    return nets.logits(net, torch.from_numpy(data.images.copy())).numpy()


def _to_probabilities(recipe: Recipe, logits: F32, temperature: float) -> F32:
    """Probability of being each digit, as the exported model gives it: float32 ``[N, 10]``."""
    if recipe.negatives:
        # "No digit" is an eleventh class whose score is 0.
        logits = np.pad(logits, ((0, 0), (0, 1)))
    return softmax(logits, temperature)[:, :10]


def _summarize(result: Evaluation) -> ScoreRecord:
    return ScoreRecord(
        accuracy=result.accuracy,
        loss=result.loss,
        count=result.count,
        mean_confidence=result.mean_confidence,
        calibration_error=result.calibration_error,
    )
