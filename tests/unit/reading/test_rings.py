"""Numbers in rings, as those of a list's items."""

import numpy as np
import pytest
from support.rows import around, write

from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.reading.detection.rings import erase_rings


def ringed(text: str, one_of_each, *, touching: bool = False) -> np.ndarray:
    image = np.pad(write(text, one_of_each, step=40), 60, "edge")
    left, top, right, bottom = around(image)
    middle = (left + right) // 2, (top + bottom) // 2
    axes = (right - left) // 2 + 24, (bottom - top) // 2 + 18
    cv2.ellipse(image, middle, axes, 0, 0, 360, 47, 4, cv2.LINE_AA)
    if touching:
        cv2.line(image, (right - 8, middle[1]), (middle[0] + axes[0], middle[1]), 47, 6)
    return image


@pytest.mark.parametrize("is_dark", [False, True])
@pytest.mark.parametrize("text", ["2", "46", "57"])
def test_a_number_in_a_ring_is_read(reader, one_of_each, text, is_dark):
    image = ringed(text, one_of_each)
    reading = reader.read(255 - image if is_dark else image)
    assert (reading.text, reading.complete) == (text, True)


def test_a_ring_is_erased_at_all_sizes(one_of_each):
    image = cv2.resize(ringed("57", one_of_each), None, fx=6, fy=6)
    whole = GreyImage.from_pixels(image)
    erased = erase_rings(whole)
    left, _, _, bottom = around(whole.halved(0))
    for times in range(4):
        inner = around(erased.halved(times))
        assert inner[0] << times > left + 100
        assert inner[3] << times < bottom - 80
        assert erased.halved(times).shape == whole.halved(times).shape


@pytest.mark.parametrize("text", ["80689", "0"])
def test_digits_are_no_rings(one_of_each, text):
    image = GreyImage.from_pixels(write(text, one_of_each))
    assert erase_rings(image) is image


def test_a_ring_that_touches_a_digit_stays(one_of_each):
    image = GreyImage.from_pixels(ringed("38", one_of_each, touching=True))
    assert erase_rings(image) is image
