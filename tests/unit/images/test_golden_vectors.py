"""The vectors that the demo in the browser is compared with are what digitkit computes."""

import sys

import numpy as np
import pytest
from support.paths import ROOT

from digitkit.images import normal_form
from digitkit.images.convert import to_grey
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.images.ink import extract_ink, ink_is_dark


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, str(ROOT / "web/demo"))
    try:
        import make_golden
    finally:
        sys.path.pop(0)
    return make_golden


@pytest.fixture(scope="module")
def golden(script):
    return script.read(script.GOLDEN)


def test_they_are_what_digitkit_computes(script, golden):
    today = script.compute(golden.pictures)
    # Versions of OpenCV and processors round differently, by a level, in a few pixels.
    difference = np.abs(today.forms.astype(int) - golden.forms)
    assert (difference > 1).mean() < 1e-4, "run web/demo/make_golden.py"
    assert (difference > 0).mean() < 1e-3
    assert (today.outputs[:, :10].argmax(1) == golden.outputs[:, :10].argmax(1)).all()
    same = ~difference.any((1, 2))
    assert np.abs(today.outputs - golden.outputs)[same].max() < 1e-5


def test_they_take_every_path_of_the_pixels(golden):
    assert len(golden.pictures) == 200
    assert len({picture.tobytes() for picture in golden.pictures}) == 200
    seen = set()
    for picture, form in zip(golden.pictures, golden.forms, strict=True):
        image = GreyImage.from_pixels(picture)
        grey = to_grey(image.reduced)
        ink = extract_ink(grey)
        x, y, w, h = cv2.boundingRect((ink > normal_form._INK_LEVEL).astype(np.uint8))
        crop = ink[y : y + h, x : x + w]
        stays = np.array_equal(ink, form)
        seen |= {
            "grey" if picture.ndim == 2 else "coloured",
            "halved" if image.halvings else "not halved",
            "reduced" if max(grey.shape) > 160 else "not reduced",
            "evened out" if max(ink.shape) > 64 else "even",
            "dark ink" if ink_is_dark(grey) else "bright ink",
            "normal already" if stays else "fitted",
        }
        if not stays:
            widened = normal_form._widen_strokes(crop)
            seen.add("widened" if widened is not crop else "not widened")
            seen.add("area" if max(widened.shape) > normal_form.BOX else "cubic")
    assert len(seen) == 16, sorted(seen)
