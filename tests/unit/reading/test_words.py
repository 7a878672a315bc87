"""Words: letters, discs and drawings that look like digits."""

from collections.abc import Sequence

import numpy as np
import pytest
from support.rows import around, write

from digitkit import Digit
from digitkit.images.cv import cv2
from digitkit.reading.digits.words import WORD_WEIGHTS, find_words, rescore_words
from digitkit.reading.results import Mark
from digitkit.training.scenes.fonts import Font, load_fonts


def write_in(font: Font, text: str, spacing: int = 0) -> np.ndarray:
    """A line in a hand that nothing was trained on, dark on light paper."""
    ink, _ = font.write(text, 60, 0, spacing)
    framed = cv2.copyMakeBorder(ink, 60, 60, 60, 60, cv2.BORDER_CONSTANT, value=0)
    return (235 - 0.8 * framed).astype(np.uint8)


@pytest.mark.parametrize("name", ["GEORGE", "OSCAR", "SOPHIE"])
def test_letters_of_a_name_are_not_read_as_digits(reader, name):
    readings = [reader.read(write_in(font, name)) for font in load_fonts("test")]
    silent = [not any(digit.accepted for digit in reading.digits) for reading in readings]
    assert np.mean(silent) > 0.55  # with each letter by itself 40 to 45%


@pytest.mark.parametrize(("name", "spacing", "least"), [("BOSTON", 16, 0.6), ("GEORGE", 28, 0.72)])
def test_letters_that_are_written_apart_are_not_read_as_digits(reader, name, spacing, least):
    fonts = load_fonts("test")
    readings = [reader.read(write_in(font, name, spacing)) for font in fonts]
    silent = [not any(digit.accepted for digit in reading.digits) for reading in readings]
    assert np.mean(silent) > least


def test_letters_lower_the_confidence_of_what_looks_like_a_digit(reader):
    font = next(font for font in load_fonts("test") if font.name == "handlee")
    reading = reader.read(write_in(font, "GEORGE"))
    assert not any(digit.accepted for digit in reading.digits)
    assert max((digit.confidence for digit in reading.digits), default=0.0) < 0.6
    assert not reading.numbers


@pytest.mark.parametrize(("text", "least"), [("35 cm", 0.6), ("128 m", 0.6), ("35cm", 0.5)])
def test_a_unit_does_not_make_a_word_of_a_number(reader, text, least):
    expected = [int(char) for char in text if char.isdecimal()]
    readings = [reader.read(write_in(font, text)) for font in load_fonts("test")]
    read = [[digit.digit for digit in each.digits if digit.accepted] for each in readings]
    assert np.mean([own == expected for own in read]) > least


@pytest.mark.parametrize("axes", [(30, 30), (26, 36), (120, 120), (200, 200)])
def test_a_disc_is_no_zero(reader, axes):
    image = np.full((480, 640, 3), 225, np.uint8)
    cv2.ellipse(image, (320, 240), axes, 0, 0, 360, (60, 60, 190), -1, cv2.LINE_AA)
    reading = reader.read(image)
    assert not any(digit.accepted for digit in reading.digits)


@pytest.mark.parametrize("place", [(150, 250), (20, 60), (300, 460)])
def test_a_digit_that_is_alone_on_its_page_is_read(reader, one_of_each, place):
    y, x = place
    for value, image in enumerate(one_of_each):
        ink = np.zeros((400, 560), np.uint8)
        ink[y : y + 80, x : x + 80] = cv2.resize(image, (80, 80), interpolation=cv2.INTER_CUBIC)
        page = (235 - 0.8 * ink).astype(np.uint8)
        assert [digit.digit for digit in reader.read(page).digits if digit.accepted] == [value]


def seen(value: int, x: int, row: int = 0, confidence: float = 0.99) -> Digit:
    """A digit 30 pixels high, accepted from a confidence of 0.9 on."""
    return Digit(
        digit=value,
        confidence=confidence,
        is_digit=confidence,
        box=(x, 60 * row, 20, 30),
        accepted=confidence >= 0.9,
        row=row,
        image=np.zeros((28, 28), np.uint8),
        probabilities=np.eye(10, dtype=np.float32)[value],
    )


def letter(x: int, row: int = 0) -> Mark:
    return Mark("ink", (x, 60 * row, 22, 30), row)


def accepted(
    digits: Sequence[Digit], marks: Sequence[Mark] = (), grey: float | None = None
) -> list[int]:
    asked = {} if grey is None else {i: grey for i, each in enumerate(digits) if each.accepted}
    settled = rescore_words(digits, marks, asked, 0.9)
    assert [each.box for each in settled] == [each.box for each in digits]
    return [each.digit for each in settled if each.accepted]


def test_a_zero_among_letters_is_an_o():
    digits, around = [seen(0, 100)], [letter(x) for x in (10, 40, 70, 124)]
    assert accepted(digits, around, grey=0.9) == []


def test_what_the_grey_classifier_sees_decides_about_a_lone_digit():
    assert accepted([seen(0, 100, confidence=0.9999)], grey=0.98) == [0]
    assert accepted([seen(8, 100)], grey=0.97) == [8]
    assert accepted([seen(8, 100)], grey=0.05) == []


def test_digits_among_many_others_stay():
    page = [seen(i % 10, 24 * i, row) for row in range(4) for i in range(8)]
    assert len(accepted(page, [letter(24 * 8 + 2)])) == len(page)


@pytest.mark.parametrize(("apart", "is_number"), [(24, True), (2, False)])
def test_a_number_beside_the_words_of_a_list_is_one(apart, is_number):
    """Eight lines of seven letters; far more letters than digits are on the page."""
    marks = [letter(24 * i, row) for row in range(8) for i in range(7)]
    start = 24 * 7 + apart
    number = [seen(value, start + 24 * i, 3) for i, value in enumerate((5, 8, 2))]
    assert accepted(number, marks) == ([5, 8, 2] if is_number else [])


def test_a_doubtful_digit_is_not_accepted_by_it():
    assert accepted([seen(3, 0), seen(4, 24, confidence=0.4)], grey=0.99) == [3]


def test_without_digits_there_are_no_words():
    assert find_words([], [letter(0)], {}) == []
    assert find_words([seen(3, 0, confidence=0.4)], [letter(30)], {}) == []


def test_words_are_split_by_gaps():
    digits = [seen(1, 0), seen(2, 24), seen(3, 120)]
    words = find_words(digits, [letter(144)], {})
    assert [word.places for word in words] == [[0, 1], [2]]
    assert all(len(word.features) == len(WORD_WEIGHTS) - 1 for word in words)
    assert [word.features[3] for word in words] == [0.0, 1.0]


def test_a_short_number_of_a_narrow_hand_is_no_word(reader, one_of_each):
    image = write("25", one_of_each)
    left, top, right, bottom = around(image)
    part = image[top - 20 : bottom + 20, left - 20 : right + 20]
    narrow = cv2.resize(part, None, fx=0.65, fy=1.0, interpolation=cv2.INTER_AREA)
    assert reader.read(np.pad(narrow, 40, "edge")).text == "25"
