"""Boxes for one digit each, and combs."""

from dataclasses import replace

import numpy as np
import pytest
from support.readings import make_digit
from support.rows import LEFTS, write_row

from digitkit.images.cv import cv2
from digitkit.images.grey import halve
from digitkit.reading.numbers.finding import find_numbers
from digitkit.reading.results import Mark
from digitkit.reading.rows.cells import are_in_cells, erase_cells, find_cells

UNIT = 28.0


def comb(places=(10, 40, 70, 100), *, base=(10, 100), height=10) -> np.ndarray:
    """A base line with strokes on it at some places, in a strip."""
    ink = np.zeros((48, 130), np.uint8)
    ink[40:42, base[0] : base[1] + 1] = 1
    for x in places:
        ink[42 - height : 42, x : x + 2] = 1
    return ink


def boxes(lefts=(10, 40, 70), *, gap=0, height=40) -> np.ndarray:
    """Closed boxes of 30 pixels less a gap, beside each other."""
    ink = np.zeros((48, 130), np.uint8)
    for x in lefts:
        cv2.rectangle(ink, (x, 4), (x + 30 - gap, 4 + height), 1, 2)
    return ink


def places_of(ink: np.ndarray) -> list[int]:
    return [round(x + w / 2) for cells in find_cells(ink, UNIT) for x, _, w, _ in cells.sides]


@pytest.mark.parametrize(
    ("ink", "places"),
    [
        (comb(), [11, 41, 71, 101]),
        (comb((10, 40, 100)), [11, 41, 71, 101]),  # a digit hides one
        (comb((10, 40, 70)), [11, 41, 71, 100]),  # the last one is not seen
        (comb(height=38), [11, 41, 71, 101]),  # the sides of boxes without a top
        (comb(height=27), []),  # 1s on a line
        (comb(base=(2, 120)), []),  # a ruled line
        (comb((10, 40)), []),
        (comb((10, 35, 75, 100)), []),  # not at equal distances
        (comb((10, 20, 30, 40)), []),  # too close for digits
        (comb(base=(10, 100))[::-1], []),  # an axis above its numbers
        (boxes(), [11, 41, 71, 101]),
        (boxes(gap=8), [10, 37, 67, 94]),
        (boxes((10, 70)), []),  # there is room between them
        (boxes((10,)), []),
        (boxes(height=18), []),
        (boxes((2, 32, 70)), [3, 33, 63]),  # the last one is apart
        (np.pad(np.ones((40, 20), np.uint8), ((4, 4), (40, 70))), []),  # a spot
    ],
)
def test_cells_are_between_strokes_at_equal_distances(ink, places):
    assert places_of(ink) == pytest.approx(places, abs=2)


def test_a_strip_may_cut_off_the_tops_and_bottoms_of_boxes():
    ink = boxes((10, 40))[8:40]
    ink[12:16, [18, 55]] = 1  # digits
    assert places_of(ink) == pytest.approx([11, 41, 71], abs=2)
    beside = np.hstack([ink[:, :73], ink[:, 10:]])
    assert places_of(beside)[:3] == pytest.approx([11, 41, 71], abs=2)
    assert 87 not in places_of(beside)


def test_what_is_on_a_stroke_of_cells_stays():
    ink = comb(height=38)
    ink[30:36, 40:47] = 1
    written = np.zeros(ink.shape, bool)
    (cells,) = find_cells(ink, UNIT)
    erase_cells(cells, written, [ink], UNIT)
    assert ink[31:35, 42:46].all()
    assert not ink[:28].any()


def test_cells_are_erased_except_where_digits_cross_them():
    ink = comb()
    ink[34:36, 34:50] = 1  # a stroke across the second one
    (cells,) = find_cells(ink, UNIT)
    written = np.zeros(ink.shape, bool)
    erase_cells(cells, written, [ink], UNIT)
    assert ink[34:36, 34:50].all()
    ink[34:36] = 0
    assert not ink[:, 15:].any()


@pytest.mark.parametrize(
    ("middles", "written", "expected"),
    [
        ([25, 55], 0, True),
        ([25, 55, 85], 0, True),
        ([25], 0, False),
        ([20, 30, 55], 0, False),  # two in one cell
        ([11, 41, 71], 0, False),  # the numbers of an axis
        ([25, 55, 85], 1, False),  # the strokes are those of the digits
    ],
)
def test_digits_are_between_the_strokes_of_cells(middles, written, expected):
    strokes = [(x, 30, 2, 12) for x in (10, 40, 70, 100)]
    mask = np.full((48, 130), written, np.uint8)
    assert are_in_cells(strokes, middles, mask) is expected


@pytest.mark.parametrize(
    ("step", "height", "halved"), [(46, 20, 0), (46, 20, 1), (54, 14, 1), (54, 20, 1), (54, 10, 0)]
)
def test_a_number_in_a_comb_is_whole(reader, one_of_each, step, height, halved):
    lefts = range(30, 300, step)
    image = write_row("52064", one_of_each, lefts)
    left = lefts[0] + 29 - step // 2
    for x in range(left, left + 6 * step, step):
        image[116 - height : 116, x : x + 2] = 120
    image[114:116, left : left + 5 * step + 2] = 120
    if halved:
        image = halve(image)
    (number,) = reader.read(image).numbers
    assert (number.text, number.complete) == ("52064", True)


@pytest.mark.parametrize("room", [0, 8])
def test_a_number_in_boxes_is_whole(reader, one_of_each, room):
    """A digit that touches the sides of its box hides it."""
    image = write_row("52064", one_of_each)
    for left in LEFTS[:5]:
        cv2.rectangle(image, (left + 6, 42), (left + 52 - room, 118), 120, 2)
    (number,) = reader.read(image).numbers
    assert (number.text, number.complete) == ("52064", True)


def test_a_sign_in_a_box_is_a_digit_that_cannot_be_read():
    digits = [make_digit({value: 0.99999}, 75 * i) for i, value in ((0, 5), (2, 8))]
    digits = [replace(digit, box=(digit.box[0], 50, 30, 60)) for digit in digits]
    sides = [Mark("side", (75 * i - 22, 40, 2, 90), 0) for i in range(4)]
    sign = Mark("sign", (80, 45, 12, 70), 0)
    assert [number.text for number in find_numbers(digits, [sign])] == ["5", "8"]
    assert [number.text for number in find_numbers(digits, [sign, *sides])] == ["5?8"]
