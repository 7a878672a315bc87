"""Images that are cut out along the outline of their ink, and images whose border cuts digits."""

import numpy as np
import pytest

from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.reading.detection.margins import required_margin

PAPER, DARK = 235, 35


@pytest.fixture
def page(one_of_each) -> np.ndarray:
    """4006 in a row, dark on light, slightly blurred as in a photo."""
    return write(one_of_each, "4006")


def write(one_of_each, text: str) -> np.ndarray:
    ink = np.zeros((160, 340), np.uint8)
    for place, digit in enumerate(map(int, text)):
        big = cv2.resize(one_of_each[digit], (84, 84), interpolation=cv2.INTER_CUBIC)
        x = 20 + 70 * place
        np.maximum(ink[40:124, x : x + 84], big, out=ink[40:124, x : x + 84])
    grey = PAPER - (PAPER - DARK) / 255 * cv2.GaussianBlur(ink, (0, 0), 0.8)
    return np.asarray(grey, np.uint8)


def outline(page: np.ndarray) -> tuple[slice, slice]:
    """Where the ink is, as thresholding and `cv2.boundingRect` find it."""
    x, y, w, h = cv2.boundingRect((page < (PAPER + DARK) / 2).astype(np.uint8))
    return slice(y, y + h), slice(x, x + w)


@pytest.mark.parametrize("dark", [True, False])
def test_a_number_without_a_margin_is_read_as_with_one(reader, page, dark):
    page = page if dark else 255 - page
    rows, columns = outline(page if dark else 255 - page)
    whole, tight = reader.read(page), reader.read(page[rows, columns].copy())
    assert whole.text == tight.text == "4006"
    assert tight.complete
    height, width = rows.stop - rows.start, columns.stop - columns.start
    for a, b in zip(whole.digits, tight.digits, strict=True):
        np.testing.assert_allclose(
            np.subtract(a.box[:2], (columns.start, rows.start)), b.box[:2], atol=8
        )
        assert 0 <= b.box[0] <= width - b.box[2]
        assert 0 <= b.box[1] <= height - b.box[3]


def test_a_1_at_the_end_without_a_margin_is_read_or_marked(reader, one_of_each):
    page = write(one_of_each, "4001")
    assert reader.read(page).text == "4001"
    (number,) = reader.read(page[outline(page)].copy()).numbers
    assert number.text in ("4001", "400?")
    assert number.complete == (number.text == "4001")


@pytest.mark.parametrize("side", ["left", "top", "right", "bottom"])
def test_a_stroke_that_the_border_cuts_goes_on(page, side):
    rows, columns = outline(page)
    cut = {
        "left": np.s_[rows, columns.start + 14 : columns.stop],
        "right": np.s_[rows, columns.start : columns.stop - 14],
        "top": np.s_[rows.start + 14 : rows.stop, columns],
        "bottom": np.s_[rows.start : rows.stop - 14, columns],
    }[side]
    assert not required_margin(GreyImage.from_pixels(page[cut].copy()))


def test_a_margin_is_only_missing_where_ink_ends_at_the_border(page):
    assert not required_margin(GreyImage.from_pixels(page))  # it has one
    rows, columns = outline(page)
    tight = page[rows, columns].copy()
    assert required_margin(GreyImage.from_pixels(tight))
    framed = tight.copy()
    framed[:2] = DARK  # a border of its own: no paper there
    assert not required_margin(GreyImage.from_pixels(framed))
    assert not required_margin(GreyImage.from_pixels(tight[:4]))  # too low to tell
