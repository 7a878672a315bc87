"""Apostrophes between thousands."""

from dataclasses import replace

import numpy as np
import pytest
from support.rows import put_digit

from digitkit.images.cv import cv2
from digitkit.reading.marks.apostrophes import find_apostrophes
from digitkit.reading.rows.shapes import Shape

HEIGHT = 43
"""About that of the digits, pixels."""


def write(text: str, digits, space: int = 28, sign: str = "'") -> np.ndarray:
    """A row of digits; other characters leave room between two, and `sign` is an apostrophe there.

    `space` is the room that they add, in pixels.
    """
    ink, x = np.zeros((160, 60 + 70 * len(text)), np.uint8), 30
    for char in text:
        if char.isdecimal():
            put_digit(ink, digits[int(char)], x, 50)
            x += 40
        else:
            if char == sign:
                middle = x + space // 2 + 10
                cv2.line(ink, (middle + 1, 57), (middle - 1, 66), 255, 4, cv2.LINE_AA)
            x += space
    return (235 - 0.8 * ink[:, : x + 50]).astype(np.uint8)


@pytest.mark.parametrize("text", ["2'845'370", "13'845", "370'845", "4'700"])
def test_apostrophes_join_thousands(reader, one_of_each, text):
    reading = reader.read(write(text, one_of_each))
    (number,) = reading.numbers
    assert (number.text, number.complete) == (text.replace("'", ""), True)
    assert sum(mark.kind == "apostrophe" for mark in reading.marks) == text.count("'")
    apart = reader.read(write(text, one_of_each, sign=""))
    assert not any(each.complete for each in apart.numbers if each.text == number.text)


@pytest.mark.parametrize("text", ["13'84", "2'84'537", "13'8453", "8453'7"])
def test_others_join_nothing(reader, one_of_each, text):
    reading = reader.read(write(text, one_of_each))
    assert not any(mark.kind == "apostrophe" for mark in reading.marks)
    assert text.replace("'", "") not in [number.text for number in reading.numbers]


def make_shape(left: float, top: float, width: float, height: float) -> Shape:
    ink = np.ones((max(1, round(height * HEIGHT)), max(1, round(width * HEIGHT))), np.uint8)
    return Shape(left, top, width, height, width * height, ink)


DIGITS = [make_shape(x, -0.5, 0.6, 1.0) for x in (0.0, 1.4, 2.2, 3.0, 4.4, 5.2, 6.0)]
APOSTROPHES = [make_shape(x, -0.5, 0.1, 0.25) for x in (0.95, 3.95)]


def test_apostrophes_are_found_by_the_digits_behind_them():
    first, second = APOSTROPHES
    assert find_apostrophes(APOSTROPHES, DIGITS) == [first, second]
    assert find_apostrophes([first], DIGITS) == [first]  # the other one touches a digit
    assert find_apostrophes([second], DIGITS) == [second]
    assert find_apostrophes(APOSTROPHES, DIGITS[:-1]) == [first]
    assert find_apostrophes(APOSTROPHES, []) == []
    assert find_apostrophes([first], DIGITS[:3]) == []
    assert find_apostrophes([], DIGITS) == []


@pytest.mark.parametrize(
    "changes",
    [{"top": 0.2}, {"height": 0.6}, {"width": 0.3}, {"height": 0.12}, {"area": 0.001}],
    ids=["low", "high", "wide", "flat", "faint"],
)
def test_other_ink_is_no_apostrophe(changes):
    assert find_apostrophes([replace(APOSTROPHES[0], **changes)], DIGITS[:4]) == []


def test_none_is_an_apostrophe_where_there_is_more_such_ink():
    dirt = make_shape(7.5, -0.6, 0.1, 0.2)
    assert find_apostrophes([*APOSTROPHES, dirt], DIGITS) == []
    assert find_apostrophes([*APOSTROPHES, replace(dirt, top=0.3)], DIGITS) == APOSTROPHES


def test_digits_far_apart_are_not_joined():
    digits = [DIGITS[0], *(replace(each, left=each.left + 0.2) for each in DIGITS[1:4])]
    assert find_apostrophes([APOSTROPHES[0]], DIGITS[:4]) == [APOSTROPHES[0]]
    assert find_apostrophes([APOSTROPHES[0]], digits) == []
