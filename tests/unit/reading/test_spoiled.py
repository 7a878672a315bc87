"""Digits that are struck out or written over: numbers with them are not complete."""

from types import SimpleNamespace

import numpy as np
import pytest
from support.rows import write_row

from digitkit import Field, Reader
from digitkit.images.cv import cv2
from digitkit.reading.digits.plausibility import _is_slashed
from digitkit.reading.numbers.fitting import apply_field

LEFTS = range(30, 400, 56)


def strike(image: np.ndarray, *points: tuple[int, int]) -> np.ndarray:
    cv2.polylines(image, [np.array(points, np.int32)], False, 40, 4, cv2.LINE_AA)
    return image


@pytest.fixture
def page(one_of_each):
    return write_row("2853", one_of_each, lefts=LEFTS)


def test_without_them_the_number_is_complete(reader, page):
    (number,) = reader.read(page).numbers
    assert (number.text, number.complete) == ("2853", True)


def slash(image: np.ndarray, place: int, rise: int) -> np.ndarray:
    x, middle = LEFTS[place] + 30, image.shape[0] // 2
    return strike(image, (x - 26, middle + 34 * rise), (x + 26, middle - 34 * rise))


@pytest.mark.parametrize(
    ("slashed", "struck", "is_complete"),
    [
        ((1, 3), (), True),
        ((1,), (), True),
        ((1, 3), (0,), False),  # another digit is struck out, too
    ],
)
def test_slashed_zeros_are_not_struck_out(reader, one_of_each, slashed, struck, is_complete):
    page = write_row("2 5 ", one_of_each, lefts=LEFTS)
    for place in (1, 3):
        cv2.ellipse(page, (LEFTS[place] + 28, 78), (12, 20), 0, 0, 360, 47, 4, cv2.LINE_AA)
    for place in slashed:
        x = LEFTS[place] + 28
        cv2.line(page, (x - 9, 91), (x + 9, 65), 47, 3, cv2.LINE_AA)
    for place in struck:
        slash(page, place, 1)
    (number,) = reader.read(page).numbers
    assert (len(number.guess), number.complete) == (4, is_complete)


@pytest.mark.parametrize("length", [1.5, 1.8])
def test_a_slash_far_beyond_a_zero_strikes_it_out(reader, one_of_each, length):
    page = write_row("2 53", one_of_each, lefts=LEFTS)
    x = LEFTS[1] + 28
    cv2.ellipse(page, (x, 78), (12, 20), 0, 0, 360, 47, 4, cv2.LINE_AA)
    right, up = round(9 * length), round(20 * length)
    cv2.line(page, (x - right, 78 + up), (x + right, 78 - up), 47, 3, cv2.LINE_AA)
    assert not any(number.complete for number in reader.read(page).numbers)


def zero(height: int, *strokes: tuple[int, int, int, int]) -> np.ndarray:
    """The ink of a 0 with strokes in percent of its height, bright on dark."""
    ink = np.zeros((100, 70), np.uint8)
    cv2.ellipse(ink, (35, 50), (29, 46), 0, 0, 360, 255, 7, cv2.LINE_AA)
    for left, top, right, bottom in strokes:
        cv2.line(ink, (left, top), (right, bottom), 255, 6, cv2.LINE_AA)
    size = (round(0.7 * height), height)
    return cv2.resize(ink, size, interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("height", [20, 40, 100])
@pytest.mark.parametrize(
    ("strokes", "is_slashed"),
    [
        ([(12, 85, 58, 15)], True),
        ([], False),
        ([(12, 15, 58, 85)], False),
        ([(0, 50, 69, 50)], False),
        ([(12, 85, 58, 15), (12, 15, 58, 85)], False),
        ([(12, 70, 58, 20), (12, 90, 58, 40)], False),
        ([(12, 85, 58, 15), (30, 85, 58, 44)], False),
    ],
    ids=["slash", "none", "backslash", "bar", "cross", "two slashes", "a longer and a shorter one"],
)
def test_a_slashed_zero_has_two_holes(height, strokes, is_slashed):
    assert _is_slashed(zero(height, *strokes)) == is_slashed


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("rise", [-1, 1])
def test_a_digit_that_is_struck_out(reader, page, place, rise):
    (number,) = reader.read(slash(page, place, rise)).numbers
    doubt = f"digit {place + 1} may be struck out or written over"
    assert doubt in number.reasons or "?" in number.text
    assert not number.complete


@pytest.mark.parametrize(("place", "digit"), [(0, 5), (1, 4), (2, 2), (3, 0), (3, 9)])
def test_a_digit_that_is_written_over_another(reader, one_of_each, page, place, digit):
    lefts = [LEFTS[place]] + [1000] * 3
    over = write_row(f"{digit}", one_of_each, lefts=lefts[:1])
    h, w = min(page.shape[0], over.shape[0]), min(page.shape[1], over.shape[1])
    page[:h, :w] = np.minimum(page[:h, :w], over[:h, :w])
    reading = reader.read(page)
    assert not any(number.complete for number in reading.numbers)


@pytest.mark.parametrize(("place", "rise"), [(0, -1), (2, 1)])
def test_a_field_does_not_settle_it(reader, page, place, rise):
    reading = apply_field(reader.read(slash(page, place, rise)), Field(expect=4))
    (number,) = reading.numbers
    assert "a digit may be struck out or written over" in number.reasons
    assert not number.complete
    assert number.digits[place].spoiled
    assert "spoiled=True" in repr(number.digits[place])
    digits = reading.to_json()["digits"]
    assert [digit.get("spoiled", False) for digit in digits] == [i == place for i in range(4)]


def test_a_line_reader_without_that_output_doubts_none(page, reader):
    own = reader.line_reader
    plain = SimpleNamespace(read=lambda ink: own.read(ink)[:13])
    assert Reader(line_reader=plain).read(page).text == "2853"
