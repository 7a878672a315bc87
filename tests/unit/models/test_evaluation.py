from __future__ import annotations

import json

import numpy as np
import pytest

from digitkit.models.calibration import (
    ACCEPTED_ERROR,
    expected_calibration_error,
    fit_min_confidence,
    fit_temperature,
    softmax,
)
from digitkit.models.evaluation import score_predictions


def one_hot(predicted, confidence):
    rows = np.zeros((len(predicted), 10), np.float32)
    rest = (1 - np.asarray(confidence, np.float32)) / 9
    rows[:] = rest[:, None]
    rows[np.arange(len(predicted)), predicted] = confidence
    return rows


def test_score_by_hand():
    labels = np.array([0, 0, 1, 2], np.uint8)
    result = score_predictions(one_hot([0, 1, 1, 2], [0.9, 0.8, 0.7, 0.6]), labels, "four")
    assert result.accuracy == 0.75
    assert result.count == 4
    assert result.precision[:4] == (1.0, 0.5, 1.0, None)
    assert result.recall[:4] == (0.5, 1.0, 1.0, None)
    assert result.confusion[0][1] == 1
    assert result.mean_confidence == pytest.approx(0.75)
    assert [m.index for m in result.mistakes] == [1]
    assert (result.mistakes[0].label, result.mistakes[0].predicted) == (0, 1)
    expected = -np.log([0.9, 0.2 / 9, 0.7, 0.6]).mean()
    assert result.loss == pytest.approx(expected, rel=1e-5)


def test_mistakes_come_most_confident_first():
    labels = np.zeros(3, np.uint8)
    result = score_predictions(one_hot([1, 2, 3], [0.5, 0.9, 0.7]), labels, "x")
    assert [m.predicted for m in result.mistakes] == [2, 3, 1]


def test_paired_counts():
    labels = np.zeros(4, np.uint8)
    a = score_predictions(one_hot([0, 0, 1, 1], [0.9] * 4), labels, "x")
    b = score_predictions(one_hot([0, 1, 0, 0], [0.9] * 4), labels, "x")
    assert a.paired(b) == (1, 2)


def test_calibration_error():
    right = np.arange(1000) < 800
    ece = expected_calibration_error
    assert ece(np.full(1000, 0.8), right) == pytest.approx(0, abs=1e-9)
    assert ece(np.full(1000, 1.0), right) == pytest.approx(0.2)
    assert ece(np.zeros(1000), right) == pytest.approx(0.8)


def test_a_known_temperature_is_recovered():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20_000, 10)).astype(np.float32)
    probabilities = softmax(logits)
    labels = np.array([rng.choice(10, p=p / p.sum()) for p in probabilities.astype(float)])
    for factor in (0.5, 3.0):
        fitted = fit_temperature(logits * np.float32(factor), labels.astype(np.uint8))
        assert fitted == pytest.approx(factor, rel=0.05)


def test_one_in_a_thousand_accepted_digits_may_be_wrong():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 20_000).astype(np.float32)
    right = rng.random(20_000) < np.where(confidence < 0.8, 0.9, 1.0)
    labels = np.where(right, 3, 4).astype(np.uint8)
    threshold = fit_min_confidence(one_hot([3] * 20_000, confidence), labels)
    accepted = confidence >= threshold
    assert (~right[accepted]).mean() <= ACCEPTED_ERROR
    assert 0.78 < threshold <= 0.81
    always_right = fit_min_confidence(one_hot([3] * 9, [0.9875] * 9), np.full(9, 3, np.uint8))
    assert always_right == 0.988
    always_wrong = fit_min_confidence(one_hot([3] * 9, [0.9] * 9), np.full(9, 4, np.uint8))
    assert always_wrong == 1.0


def test_to_json_is_json():
    labels = np.array([0, 1], np.uint8)
    result = score_predictions(one_hot([0, 2], [0.9, 0.8]), labels, "x")
    values = json.loads(json.dumps(result.to_json()))
    assert values["mistakes"][0]["label"] == 1
    assert "right" not in values
