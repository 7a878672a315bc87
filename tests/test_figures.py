from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from digitkit import figures
from digitkit._opencv import cv2


def test_the_plane_of_nets():
    rows = [
        {
            "name": f"net {i}",
            "fp32_ratio": 0.5 + i / 10, "int8_ratio": 0.4 + i / 10,
            "fp32_varied_accuracy": 0.98 + i / 1000, "int8_varied_accuracy": 0.98 + i / 1000,
        }
        for i in range(4)
    ]  # fmt: skip
    picture = figures.plane(rows, "a machine")
    assert picture == figures.plane(rows, "a machine")
    image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[1] == 1080
