"""Shapes that are read as digits, and are none."""

from dataclasses import replace
from unittest.mock import MagicMock

import numpy as np
import pytest
from support.readings import make_digit
from support.rows import LEFTS, write, write_row

from digitkit.arrays import U8
from digitkit.images.cv import cv2
from digitkit.reading.digits.plausibility import is_ring, reject_implausible
from digitkit.reading.live.tracking import Tracker
from digitkit.reading.numbers.fields import Field
from digitkit.reading.numbers.fitting import apply_field
from digitkit.sources.frames import Frame


def page(one_of_each) -> np.ndarray:
    """Three numbers below each other, with room on the left."""
    rows = [write(text, one_of_each, height=150) for text in ("384", "472", "506")]
    return np.pad(np.vstack(rows), ((0, 0), (160, 0)), "edge")


def test_punched_holes_are_no_zeros(reader, one_of_each):
    image = page(one_of_each)
    for y in (75, 225, 375):
        cv2.circle(image, (60, y), 18, 70, -1, cv2.LINE_AA)
    image = np.asarray(cv2.GaussianBlur(image, (3, 3), 0))
    assert [number.text for number in reader.read(image).numbers] == ["384", "472", "506"]
    frame = reader.read_frame(Frame("video", image, number=0))
    followed = apply_field(Tracker(0.9).follow(frame), Field(expect=3))  # as of a video
    assert [number.text for number in followed.numbers] == ["384", "472", "506"]


@pytest.mark.parametrize(
    ("value", "width", "is_digit"), [(3, 8, False), (3, 20, True), (1, 8, True)]
)
def test_only_a_1_is_as_narrow_as_a_stroke(value, width, is_digit):
    digit = replace(make_digit({value: 0.99}), box=(0, 0, width, 60))
    (kept,) = reject_implausible([digit], [], MagicMock(), MagicMock())
    assert kept.accepted == is_digit


def test_a_zero_that_is_alone_is_one(reader, one_of_each):
    image = page(one_of_each)
    zero = cv2.resize(one_of_each[0], (60, 60), interpolation=cv2.INTER_CUBIC)
    image[195:255, 30:90] = 235 - 0.8 * zero
    assert [n.text for n in reader.read(image).numbers] == ["384", "0", "472", "506"]


@pytest.mark.parametrize(("height", "is_one"), [(0, False), (4, False), (22, True)])
def test_a_zero_with_a_digit_in_it_is_a_ring(height, is_one):
    ink = np.zeros((60, 60), np.uint8)
    cv2.ellipse(ink, (30, 30), (26, 27), 0, 0, 360, 255, 3)
    if height:  # a dot is a part of some zeros
        cv2.line(ink, (30, 30 - height // 2), (30, 30 + height // 2), 255, 3)
    assert is_ring(ink) == is_one


@pytest.mark.parametrize(("strength", "is_complete"), [(0.3, False), (0.6, True), (1.0, True)])
def test_a_digit_far_paler_than_others_shines_through_the_paper(
    reader, one_of_each, strength, is_complete
):
    image = write_row("2846", one_of_each)
    pale = write_row("   5", one_of_each, (*LEFTS[:3], LEFTS[3] + 45))
    wide = np.full(pale.shape, 235, np.uint8)
    wide[:, : image.shape[1]] = image
    image = np.minimum(wide, 235 - strength * (235.0 - pale)).astype(np.uint8)
    (number,) = reader.read(image).numbers
    assert number.complete == is_complete


def draw_by_hand(
    image: U8, centre: tuple[int, int], axes: tuple[int, int], level: int, wobble: float = 0.06
) -> None:
    """Draw a circle or an oval that is not quite regular, as a hand does."""
    angles = np.linspace(0, 2 * np.pi, 90)
    radii = 1 + wobble * np.cos(2 * angles - 0.4)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None] * axes + centre
    cv2.polylines(image, [np.round(points * 16).astype(np.int32)], True, level, 3, cv2.LINE_AA, 4)


@pytest.mark.parametrize(
    ("axes", "level", "drawn", "expected"),
    [
        ((22, 22), 47, "triangle", []),
        ((17, 26), 47, "triangle", ["0"]),
        ((22, 22), 47, "", ["0"]),
        ((22, 22), 215, "", ["0"]),  # without local contrast
        ((22, 22), 215, "speck", ["0"]),
        ((22, 22), 47, "lines", ["0"]),
        ((22, 22), 47, "sign", ["0"]),
        ((25, 22), 47, "triangle", []),  # an oval
        ((25, 22), 47, "", ["0"]),
        ((34, 20), 47, "", []),
        ((34, 20), 47, "sign", []),
        ((22, 22), 47, "board", []),  # of noughts and crosses
    ],
)
def test_a_circle_among_drawings_is_no_zero(reader, axes, level, drawn, expected):
    image = np.full((400, 500), 235, np.uint8)
    draw_by_hand(image, (330, 130 if drawn == "board" else 120), axes, level)
    if drawn == "triangle":
        corners = np.array([(60, 330), (160, 330), (110, 240)])
        cv2.polylines(image, [corners], True, 47, 3, cv2.LINE_AA)
    elif drawn == "lines":
        image[200::60] = 47
    elif drawn == "board":
        for start in (210, 290):
            cv2.line(image, (start, 10), (start, 260), 47, 3, cv2.LINE_AA)
            cv2.line(image, (130, start - 120), (370, start - 120), 47, 3, cv2.LINE_AA)
        for x, y in ((250, 50), (250, 210), (170, 130)):
            cv2.line(image, (x - 22, y - 22), (x + 22, y + 22), 47, 3, cv2.LINE_AA)
            cv2.line(image, (x - 22, y + 22), (x + 22, y - 22), 47, 3, cv2.LINE_AA)
    elif drawn == "speck":
        cv2.circle(image, (100, 300), 2, 47, -1, cv2.LINE_AA)
    elif drawn == "sign":
        cv2.line(image, (262, 112), (290, 112), 47, 3, cv2.LINE_AA)
        cv2.line(image, (262, 128), (290, 128), 47, 3, cv2.LINE_AA)
    numbers = reader.read(image).numbers
    assert [number.text for number in numbers] == expected


@pytest.mark.parametrize(("wobble", "expected"), [(0.0, []), (0.06, ["0", "0"])])
def test_exact_circles_are_no_zeros(reader, wobble, expected):
    image = np.full((300, 500), 235, np.uint8)
    for x in (150, 350):
        draw_by_hand(image, (x, 150), (28, 28), 60, wobble)
    assert [number.text for number in reader.read(image).numbers] == expected


def test_an_exact_circle_beside_digits_is_a_zero(reader, one_of_each):
    image = write_row("28 6", one_of_each)
    draw_by_hand(image, (LEFTS[2] + 22, image.shape[0] // 2), (15, 15), 60, wobble=0.0)
    assert reader.read(image).text == "2806"


def test_a_slanted_zero_among_drawings_is_one(reader):
    """Its box is as wide as high."""
    image = np.full((400, 500), 235, np.uint8)
    cv2.polylines(image, [np.array([(60, 330), (160, 330), (110, 240)])], True, 47, 3, cv2.LINE_AA)
    cv2.ellipse(image, (330, 120), (16, 26), 45, 0, 360, 47, 3, cv2.LINE_AA)
    assert [number.text for number in reader.read(image).numbers] == ["0"]


def test_a_wide_zero_among_numbers_is_one(reader, one_of_each):
    page = write_row("1234567", one_of_each)
    cv2.ellipse(page, (80, 140), (22, 13), 0, 0, 360, 47, 3, cv2.LINE_AA)
    assert [number.text for number in reader.read(page).numbers] == ["1234567", "0"]


def test_a_circle_of_a_tilted_row_is_searched_where_it_is(reader):
    image = np.full((400, 500), 235, np.uint8)
    for x in range(80, 430, 80):
        draw_by_hand(image, (x, 300 - x // 3), (20, 20), 47)
    digits = reader.read(image).digits
    assert [digit.digit for digit in digits if digit.accepted] == [0] * 5


def test_thin_strokes_are_not_pale(reader):
    image = np.full((200, 420), 235, np.uint8)
    for x in (70, 130, 190):
        for y in (85, 115):
            cv2.circle(image, (x, y), 15, 60, 1, cv2.LINE_AA)
    cv2.polylines(image, [np.array([(240, 70), (272, 70), (252, 130)])], False, 60, 1, cv2.LINE_AA)
    assert reader.read(image).text == "8887"
