"""Frames hold images that can be read, whoever makes them."""

import numpy as np
import pytest
from support.errors import error_of

from digitkit.errors import ImageError, InputTypeError
from digitkit.sources.frames import Failure, Frame, count_failures, failure_json


@pytest.mark.parametrize(
    "pixels",
    [
        *(np.zeros(shape, np.uint8) for shape in ((0, 5), (5, 0), (0, 5, 3), (25,), (5, 5, 4))),
        *(np.zeros((80, 80), kind) for kind in (float, np.float32, np.uint16, bool)),
    ],
    ids=lambda pixels: f"{pixels.dtype}-{'x'.join(map(str, pixels.shape))}",
)
def test_what_is_no_image_makes_no_frame(pixels):
    error = error_of(ImageError, Frame, "cam", pixels)
    assert str(error).startswith(f"cam: must be uint8 [H, W] or [H, W, 3], got {pixels.dtype}")


def test_a_missing_image_makes_no_frame():
    assert "got NoneType" in str(error_of(InputTypeError, Frame, "cam", None))


def test_failures_as_json_and_counted():
    page = Failure("scan.pdf", "is damaged", page=2, kind="bad image")
    assert failure_json(page) == {"source": "scan.pdf", "page": 2, "error": "is damaged"}
    assert set(failure_json(Failure("x.png", "is damaged"))) == {"source", "error"}
    assert count_failures({"missing": 1, "bad image": 1200}) == "bad image: 1,200, missing: 1"
