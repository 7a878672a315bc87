"""Degree signs behind numbers."""

import numpy as np
import pytest
from support.rows import put_digit

from digitkit.images.cv import cv2


def write_degrees(rings, one_of_each, *, text="84", behind="", gap=44, dot=False) -> np.ndarray:
    """A number, rings at its upper right end, each (x, y, radius), and another number."""
    ink = np.zeros((140, 430), np.uint8)
    for place, char in enumerate(text):
        put_digit(ink, one_of_each[int(char)], 40 + 44 * place, 40)
    right = 40 + 44 * len(text)
    for x, y, radius in rings:
        thickness = -1 if dot else 3
        cv2.circle(ink, (right + x, 50 + y), radius, 255, thickness, cv2.LINE_AA)
    for place, char in enumerate(behind):
        put_digit(ink, one_of_each[int(char)], right + gap + 44 * place, 40)
    return (235 - 0.8 * ink).astype(np.uint8)


@pytest.mark.parametrize("radius", [5, 7])
@pytest.mark.parametrize(("text", "behind"), [("84", ""), ("84", "57"), ("7", "")])
def test_a_degree_sign_ends_a_number(reader, one_of_each, text, behind, radius):
    image = write_degrees([(12 + radius, 0, radius)], one_of_each, text=text, behind=behind)
    reading = reader.read(image)
    assert (reading.text, reading.complete) == (f"{text} {behind}".strip(), True)


def test_raised_zeros_are_no_degree_signs(reader, one_of_each):
    image = write_degrees([(20, 2, 8), (42, 2, 8)], one_of_each)
    assert not reader.read(image).complete


@pytest.mark.parametrize("text", ["4705", "70", "90"])
def test_a_zero_behind_a_digit_with_a_long_tail_is_no_degree_sign(reader, one_of_each, text):
    ink = np.zeros((180, 60 + 44 * len(text)), np.uint8)
    for place, char in enumerate(text):
        put_digit(ink, one_of_each[int(char)], 30 + 44 * place, 40)
        if char in "79":  # its foot, further down
            x, y = 30 + 44 * place + (22 if char == "7" else 30), 88
            cv2.line(ink, (x, y), (x - 10, y + 32), 255, 5, cv2.LINE_AA)
    reading = reader.read((235 - 0.8 * ink).astype(np.uint8))
    assert reading.numbers
    assert all(number.text == text or not number.complete for number in reading.numbers)


@pytest.mark.parametrize("digit", [5, 2])
def test_raised_cents_with_one_zero_are_no_degree_sign(reader, one_of_each, digit):
    image = write_degrees([(16, 0, 7)], one_of_each, text="13")
    cents = cv2.resize(one_of_each[digit], (30, 30), interpolation=cv2.INTER_CUBIC)
    part = image[36:66, 152:182]
    np.minimum(part, (235 - 0.8 * cents).astype(np.uint8), out=part)
    assert not all(number.complete for number in reader.read(image).numbers)


def test_a_low_ring_is_no_degree_sign(reader, one_of_each):
    assert reader.read(write_degrees([(20, 30, 9)], one_of_each)).text != "84"


def test_the_upper_part_of_a_digit_in_pieces_is_no_degree_sign(reader, one_of_each):
    image = write_degrees([(22, 2, 8), (22, 30, 11)], one_of_each)
    reading = reader.read(image)
    assert reading.text != "84" or not reading.complete


def test_a_speck_above_a_digit_is_no_degree_sign(reader, one_of_each):
    image = write_degrees([(10, -4, 3)], one_of_each, behind="57", gap=4, dot=True)
    assert reader.read(image).text != "84 57"
