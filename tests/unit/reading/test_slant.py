"""Slanted handwriting, as of a hand that writes fast."""

from dataclasses import replace

import numpy as np
import pytest
from support.readings import make_digit
from support.rows import around, write

from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.reading.detection.detections import Detection, PageContent
from digitkit.reading.detection.pages import detect_digits
from digitkit.reading.results import Digit, Mark
from digitkit.reading.slant import choose_rows, deslant, estimate_slant, undo_deslant


def slanted(text: str, one_of_each, slant: float, step: int = 42) -> np.ndarray:
    image = write(text, one_of_each, step=step)
    height, width = image.shape
    matrix = np.array([[1, -slant, max(0, slant) * height], [0, 1, 0]])
    size = round(width + abs(slant) * height), height
    return cv2.warpAffine(image, matrix, size, borderValue=235)


@pytest.mark.parametrize(
    ("text", "slant", "step", "expected"),
    [
        ("70689", -0.7, 42, ["70689"]),
        ("1641", 0.6, 36, ["1641"]),  # nothing of it is accepted as it is
        ("862", 0.75, 42, ["862"]),
        ("2,75", -0.7, 42, ["2,75"]),
        ("904+62", -0.5, 36, ["904", "62"]),
        ("12:30", 0.6, 36, ["12", "30"]),
    ],
)
def test_slanted_numbers_are_read(reader, one_of_each, text, slant, step, expected):
    reading = reader.read(slanted(text, one_of_each, slant, step))
    assert [number.text for number in reading.numbers] == expected
    assert reading.complete


def test_boxes_are_those_of_the_image(reader, one_of_each):
    image = slanted("70689", one_of_each, -0.7)
    reading = reader.read(image)
    left, top, right, bottom = around(image)
    x, y, w, h = reading.numbers[0].box
    assert (x, y) == pytest.approx((left, top), abs=8)
    assert (x + w, y + h) == pytest.approx((right, bottom), abs=8)
    starts = [digit.box[0] for digit in reading.digits]
    assert starts == sorted(starts)


def test_slanted_numbers_of_a_large_image_are_read(reader, one_of_each):
    image = cv2.resize(slanted("70689", one_of_each, -0.7), None, fx=8, fy=8)
    reading = reader.read(image)
    assert (reading.text, reading.complete) == ("70689", True)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_slanted_digit_that_the_border_cuts_leaves_its_number_incomplete(
    reader, one_of_each, side
):
    image = slanted("862", one_of_each, 0.75)
    left, _, right, _ = around(image)
    image = image[:, left + 18 :] if side == "left" else image[:, : right - 18]
    assert not any(number.complete for number in reader.read(image).numbers)


@pytest.mark.parametrize("slant", [-0.6, -0.4, 0.4, 0.6])
def test_a_slant_is_estimated(reader, one_of_each, slant):
    found = detect_digits(slanted("3062859", one_of_each, slant, 60), reader.detector)
    assert estimate_slant(found, has_digits=True) == pytest.approx(slant, abs=0.2)


def test_upright_and_tilted_writing_is_not_slanted(reader, one_of_each):
    found = detect_digits(write("3062859", one_of_each, step=60), reader.detector)
    assert estimate_slant(found, has_digits=True) == 0
    leaning = detect_digits(slanted("3062859", one_of_each, 0.4, 60), reader.detector)
    tilted = [replace(each, level_box=each.box, tilt=20.0) for each in leaning]
    assert estimate_slant(tilted, has_digits=True) == 0
    assert estimate_slant([], has_digits=False) == 0


def stroke(lean: float) -> Detection:
    """A straight stroke, 60 pixels high."""
    ink = np.zeros((80, 160), np.uint8)
    cv2.line(ink, (round(80 - 30 * lean), 70), (round(80 + 30 * lean), 10), 255, 4, cv2.LINE_AA)
    return Detection((0, 0, 160, 80), ink)


def test_shapes_that_lean_to_both_sides_show_no_slant():
    strokes = [stroke(lean) for lean in (1.0, 0.9, -0.3, 0.1)]
    assert estimate_slant(strokes, has_digits=True) > 0.3
    assert estimate_slant(strokes, has_digits=False) == 0
    assert estimate_slant([stroke(0.6), stroke(0.5)], has_digits=False) > 0.3
    assert estimate_slant([stroke(0.6)], has_digits=False) == 0


@pytest.mark.parametrize("slant", [-0.5, 0.5])
def test_an_image_is_sheared_at_all_sizes(one_of_each, slant):
    whole = GreyImage.from_pixels(cv2.resize(slanted("1", one_of_each, slant), None, fx=8, fy=8))
    upright = deslant(whole, slant)
    left, top, right, bottom = around(upright.halved(0))
    for times in range(1, 4):
        pixels = upright.halved(times)
        assert pixels.shape == tuple(side >> times for side in upright.shape)
        smaller = np.array([left, top, right, bottom]) >> times
        np.testing.assert_allclose(around(pixels), smaller, atol=3)


# --- which of two readings is chosen ---


def one(value: int, x: int, row: int = 0) -> Digit:
    return make_digit({value: 1.0}, x=x, row=row)


def as_rows(*digits, marks=()) -> PageContent:
    return PageContent(digits, tuple(marks), 0.0)


@pytest.fixture
def doubtful() -> PageContent:
    """1?3: the second digit is not accepted."""
    return as_rows(one(1, 0), replace(one(2, 40), accepted=False), one(3, 80))


def texts(rows: PageContent) -> list[int]:
    return [digit.digit for digit in rows.digits]


def test_more_digits_that_agree_are_chosen(doubtful):
    upright = as_rows(one(1, 0), one(2, 40), one(3, 80))
    assert choose_rows(doubtful, upright) == upright


@pytest.mark.parametrize(
    "values", [(1, 2, 8), (1, 7, 3), (1, 2)], ids=["other digit", "other guess", "missing digit"]
)
def test_what_contradicts_is_not_chosen(doubtful, values):
    upright = as_rows(*(one(value, 40 * i) for i, value in enumerate(values)))
    assert choose_rows(doubtful, upright) == doubtful


def test_a_number_that_falls_apart_is_not_chosen():
    apart = replace(one(3, 96), accepted=False)
    as_is = as_rows(one(1, 0), one(2, 40), apart)
    upright = as_rows(one(1, 0), one(2, 40), one(3, 260))
    assert choose_rows(as_is, upright) == as_is


def test_a_digit_between_others_may_be_a_sign(doubtful):
    sign = Mark("sign", doubtful.digits[1].box, 0)
    as_is = as_rows(one(1, 0), one(1, 40), replace(one(3, 80), accepted=False))
    upright = as_rows(one(1, 0), one(3, 80), marks=[sign])
    assert choose_rows(as_is, upright) == upright


def test_only_the_row_that_gains_is_replaced(doubtful):
    below = one(7, 0, row=1)
    upright = as_rows(one(1, 0), one(2, 40), one(3, 80), one(4, 0, row=1))
    chosen = choose_rows(as_rows(*doubtful.digits, below), upright)
    assert texts(chosen) == [1, 2, 3, 7]
    assert [digit.row for digit in chosen.digits] == [0, 0, 0, 1]


def test_a_lone_shape_is_not_a_digit_because_it_is_one_when_upright():
    nothing = as_rows()
    assert choose_rows(nothing, as_rows(one(6, 0))) == nothing
    both = as_rows(one(6, 0), one(4, 40))
    assert choose_rows(nothing, both) == both
    in_doubt = as_rows(one(6, 0), replace(one(4, 40), accepted=False))
    assert choose_rows(nothing, in_doubt) == nothing


def test_what_was_sheared_is_put_back():
    digit = one(4, 100)
    x, y, w, h = digit.box
    (back,) = undo_deslant(as_rows(digit), 0.5, (400, 600)).digits
    assert back.box == (round(x - 0.5 * (y + h)), y, round(w + 0.5 * h), h)
    assert back.level_box == (round(x - 0.5 * (y + h / 2)), y, w, h)
