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


def predict(predicted, confidence):
    """Probabilities with these predictions, the rest spread over the other digits."""
    rest = (1 - np.asarray(confidence, np.float32)) / 9
    rows = np.repeat(rest[:, None], 10, axis=1)
    rows[np.arange(len(predicted)), predicted] = confidence
    return rows


def score(predicted, confidence, labels):
    return score_predictions(predict(predicted, confidence), np.array(labels, np.uint8), "x")


def test_scores():
    result = score([0, 1, 1, 2], [0.9, 0.8, 0.7, 0.6], [0, 0, 1, 2])
    assert (result.accuracy, result.count, result.confusion[0][1]) == (0.75, 4, 1)
    assert result.precision[:4] == (1.0, 0.5, 1.0, None)
    assert result.recall[:4] == (0.5, 1.0, 1.0, None)
    assert result.mean_confidence == pytest.approx(0.75)
    assert result.loss == pytest.approx(-np.log([0.9, 0.2 / 9, 0.7, 0.6]).mean(), rel=1e-5)
    (mistake,) = result.mistakes
    assert (mistake.index, mistake.label, mistake.predicted) == (1, 0, 1)
    values = json.loads(json.dumps(result.to_json()))
    assert values["mistakes"][0]["predicted"] == 1
    assert "right" not in values
    several = score([1, 2, 3], [0.5, 0.9, 0.7], [0, 0, 0])
    assert [mistake.predicted for mistake in several.mistakes] == [2, 3, 1]  # most confident first
    a, b = (score(read, [0.9] * 4, [0] * 4) for read in ([0, 0, 1, 1], [0, 1, 0, 0]))
    assert a.paired(b) == (1, 2)


@pytest.mark.parametrize(("confidence", "error"), [(0.8, 0), (1.0, 0.2), (0.0, 0.8)])
def test_calibration_error(confidence, error):
    measured = expected_calibration_error(np.full(1000, confidence), np.arange(1000) < 800)
    assert measured == pytest.approx(error, abs=1e-9)


def test_a_known_temperature_is_recovered():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20_000, 10)).astype(np.float32)
    probabilities = softmax(logits).astype(float)
    labels = np.array([rng.choice(10, p=p / p.sum()) for p in probabilities], np.uint8)
    for factor in (0.5, 3.0):
        fitted = fit_temperature(logits * np.float32(factor), labels)
        assert fitted == pytest.approx(factor, rel=0.05)


def test_one_in_a_thousand_accepted_digits_may_be_wrong():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 20_000).astype(np.float32)
    right = rng.random(20_000) < np.where(confidence < 0.8, 0.9, 1.0)
    labels = np.where(right, 3, 4).astype(np.uint8)
    threshold = fit_min_confidence(predict([3] * 20_000, confidence), labels)
    assert (~right[confidence >= threshold]).mean() <= ACCEPTED_ERROR
    assert 0.78 < threshold <= 0.81
    for label, expected in ((3, 0.988), (4, 1.0)):  # always right; always wrong
        probabilities = predict([3] * 9, [0.9875] * 9)
        assert fit_min_confidence(probabilities, np.full(9, label, np.uint8)) == expected
