"""Digits that are struck out or written over: numbers with them are not complete."""

from types import SimpleNamespace

import numpy as np
import pytest
from support.rows import write_row

from digitkit import Reader
from digitkit.images.cv import cv2

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


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("rise", [-1, 1])
def test_a_digit_that_is_struck_out(reader, page, place, rise):
    x, half = LEFTS[place] + 30, 26
    middle = page.shape[0] // 2
    ends = ((x - half, middle + 34 * rise), (x + half, middle - 34 * rise))
    reading = reader.read(strike(page, *ends))
    assert not any(number.complete for number in reading.numbers)


@pytest.mark.parametrize(("place", "digit"), [(0, 5), (1, 4), (2, 2), (3, 0), (3, 9)])
def test_a_digit_that_is_written_over_another(reader, one_of_each, page, place, digit):
    lefts = [LEFTS[place]] + [1000] * 3
    over = write_row(f"{digit}", one_of_each, lefts=lefts[:1])
    h, w = min(page.shape[0], over.shape[0]), min(page.shape[1], over.shape[1])
    page[:h, :w] = np.minimum(page[:h, :w], over[:h, :w])
    reading = reader.read(page)
    assert not any(number.complete for number in reading.numbers)


def test_a_line_reader_without_that_output_doubts_none(page, reader):
    own = reader.line_reader
    plain = SimpleNamespace(read=lambda ink: own.read(ink)[:13])
    assert Reader(line_reader=plain).read(page).text == "2853"
