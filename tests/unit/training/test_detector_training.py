"""What the detector is trained to predict, and its configuration."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

from digitkit.errors import ConfigError, RecipeError
from digitkit.training.detector import DetectorConfig, parse_changes
from digitkit.training.detector_data import make_sample


def test_what_the_net_should_predict_for_a_digit():
    plain, ink = np.full((320, 320), 200, np.uint8), np.zeros((320, 320), np.uint8)
    ink[100:180, 60:100] = 255
    boxes = np.array([[60, 100, 40, 80]], np.float32)
    image, stroke, heat, reach = make_sample(plain, ink, boxes, 0, 0)
    assert image.shape == (320, 320)
    assert stroke[50:90, 30:50].all()
    assert stroke.sum() == 40 * 20
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    assert (y, x, heat[y, x]) == (35, 20, 1)
    left, top, right, bottom = np.exp(reach[:4, y, x]) * 4
    cx, cy = (x + 0.5) * 4, (y + 0.5) * 4
    assert np.allclose(
        [cx - left, cy - top, cx + right, cy + bottom], [60, 100, 100, 180], atol=0.1
    )
    assert reach[4].sum() > 1
    _, _, outside, _ = make_sample(plain, ink, boxes, 95, 0)
    assert outside.max() == 0  # most of the digit is not in the crop


def test_a_config_checks_itself(tmp_path):
    for field, value in (("steps", 0), ("batch", 0), ("seed", -1), ("workers", -1)):
        with pytest.raises(RecipeError, match=field):
            DetectorConfig(tmp_path, **{field: value})
    with pytest.raises(ConfigError) as error:
        DetectorConfig(tmp_path, threads=-1)
    assert error.value.field == "threads"
    assert parse_changes({"steps": "3", "workers": "0"}) == {"steps": 3, "workers": 0}
    for changes in ({"net": "x"}, {"steps": "many"}, {"out": "x"}):
        with pytest.raises(RecipeError, match=next(iter(changes))):
            parse_changes(changes)
