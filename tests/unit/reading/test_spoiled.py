"""Digits that are struck out or written over: numbers with them are not complete."""

from types import SimpleNamespace

import numpy as np
import pytest
from support.rows import write_row

from digitkit import Field, Reader
from digitkit.images.cv import cv2
from digitkit.reading.fitting import apply_field

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
        ((1,), (), False),  # the other zero is not slashed
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
