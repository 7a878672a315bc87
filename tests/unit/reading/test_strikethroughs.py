"""Numbers that were crossed out by one short stroke."""

import numpy as np
import pytest
from support.rows import around, write

from digitkit.images.cv import cv2


@pytest.mark.parametrize(
    ("text", "rise"),
    [("38", 0.0), ("38", 0.3), ("62", 0.3), ("25", 0.3), ("25", 0.9), ("472", 0.6), ("908", 0.0)],
)
def test_a_short_stroke_through_a_number_makes_it_incomplete(reader, one_of_each, text, rise):
    image = np.pad(write(text, one_of_each, step=40), ((0, 0), (80, 80)), "edge")
    left, top, right, bottom = around(image)
    middle, half = (top + bottom) / 2, rise * (bottom - top) / 2
    ends = (left - 10, round(middle + half)), (right + 10, round(middle - half))
    cv2.line(image, *ends, 40, 4, cv2.LINE_AA)
    assert not any(number.complete for number in reader.read(image).numbers)


@pytest.mark.parametrize(
    ("beyond", "rise", "text"),
    [
        (15, 12, "3782"), (20, 0, "2038"), (24, 5, "9328"), (30, 4, "8206"), (40, 0, "6280"),
        (50, 2, "8206"), (60, 3, "2038"),
    ],
)  # fmt: skip
def test_a_stroke_that_is_as_long_as_a_ruled_line(reader, one_of_each, beyond, rise, text):
    image = np.pad(write(text, one_of_each, step=46), ((0, 0), (160, 160)), "edge")
    (number,) = reader.read(image).numbers
    assert (number.text, number.complete) == (text, True)
    left, top, right, bottom = around(image)
    y = (top + bottom) // 2
    cv2.line(image, (left - beyond, y + rise), (right + beyond, y - rise), 40, 4, cv2.LINE_AA)
    struck = reader.read(image).numbers
    assert struck
    assert not any(number.complete for number in struck)


def test_two_numbers_of_a_row_are_both_crossed_out(reader, one_of_each):
    image = np.pad(write("38       62", one_of_each, step=46), ((0, 0), (120, 120)), "edge")
    assert [number.text for number in reader.read(image).numbers] == ["38", "62"]
    _, top, _, bottom = around(image)
    y = (top + bottom) // 2
    for place in (0, 9):
        left = 150 + 46 * place
        cv2.line(image, (left - 36, y), (left + 92 + 36, y), 40, 4, cv2.LINE_AA)
    struck = reader.read(image).numbers
    assert len(struck) == 2
    assert not any(number.complete for number in struck)


@pytest.mark.parametrize("digit", [2, 5, 8])
def test_a_single_digit_may_be_crossed_out(reader, one_of_each, digit):
    image = write(f"{digit}    31", one_of_each, step=46)
    column = image[:, 30:90]
    left, top, right, bottom = around(column)
    y = (top + bottom) // 2
    cv2.line(column, (left - 9, y), (right + 9, y - 2), 40, 4, cv2.LINE_AA)
    assert [number.text for number in reader.read(image).numbers if number.complete] == ["31"]


@pytest.mark.parametrize("text", ["44", "77", "1147", "855085"])
def test_digits_that_touch_are_not_crossed_out(reader, one_of_each, text):
    # Their bars are on one line.
    image = np.full((160, 60 + 40 * len(text)), 235, np.uint8)
    for place, char in enumerate(text):
        digit = cv2.resize(one_of_each[int(char)], (60, 60), interpolation=cv2.INTER_CUBIC)
        columns = digit[:, digit.max(0) > 60]
        left = 20 + 40 * place
        part = image[50:110, left : left + columns.shape[1]]
        np.minimum(part, (235 - 0.8 * columns).astype(np.uint8), out=part)
    found = [mark.kind for mark in reader.read(image).marks]
    assert "ink" not in found
