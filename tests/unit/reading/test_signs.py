"""Signs around numbers that are larger than digits: roots, divisions and arrows."""

import numpy as np
import pytest
from support.rows import write_row

from digitkit.images.cv import cv2
from digitkit.reading.shapes import Shape

UNIT = 40


def draw(image: np.ndarray, *points: tuple[int, int]) -> None:
    """Draw a stroke into a grey page."""
    cv2.polylines(image, [np.array(points, np.int32)], False, 60, 3, cv2.LINE_AA)


def shape_of(*points: tuple[int, int], thick: int = 4) -> Shape:
    """A stroke as a shape; pixels of a strip with digits of `UNIT` pixels."""
    ink = np.zeros((120, 240), np.uint8)
    cv2.polylines(ink, [np.array(points, np.int32)], False, 1, thick)
    x, y, width, height = cv2.boundingRect(ink)
    return Shape.from_ink(ink[y : y + height, x : x + width], x / UNIT, y / UNIT - 1.5, UNIT)


@pytest.mark.parametrize("rise", [-6, 0, 6])
def test_a_number_under_a_root_is_complete(reader, one_of_each, rise):
    page = write_row("529", one_of_each, lefts=[60, 106, 152])
    draw(page, (20, 84), (28, 78), (38, 104), (54, 44), (200, 44 - rise))
    (number,) = reader.read(page).numbers
    assert (number.text, number.complete) == ("529", True)


def test_a_roof_is_no_part_of_what_stands_before_the_digits():
    root = shape_of((10, 60), (20, 55), (32, 90), (48, 30), (150, 30))
    hook = root.without_roof
    assert hook.left == root.left
    assert hook.width < 0.5 * root.width
    assert hook.area == pytest.approx(hook.ink.sum() / UNIT**2)


@pytest.mark.parametrize(
    "points",
    [
        [(10, 40), (60, 40), (30, 95)],  # a high 7
        [(10, 40), (150, 40), (150, 95)],  # the corner of a box
        [(10, 40), (150, 40)],
        [(30, 30), (24, 60), (30, 95)],
    ],
)
def test_what_has_no_roof_stays_as_it_is(points):
    shape = shape_of(*points)
    assert shape.without_roof is shape


@pytest.mark.parametrize(("end", "head"), [(206, 8), (226, 8), (226, 12)])
def test_an_arrow_is_one_sign(reader, one_of_each, end, head):
    left = end + 10
    page = write_row("28 40", one_of_each, lefts=[30, 76, 122, left, left + 46])
    draw(page, (146, 80), (end, 80))
    draw(page, (end - head, 80 - head), (end, 80), (end - head, 80 + head))
    assert [(n.text, n.complete) for n in reader.read(page).numbers] == [("28", True), ("40", True)]


@pytest.mark.parametrize(
    ("points", "is_dash"),
    [
        ([(10, 60), (36, 60)], True),
        ([(10, 62), (36, 58)], True),
        ([(10, 60), (40, 60), (32, 55), (40, 60), (32, 65)], False),
        ([(40, 60), (10, 60), (18, 55), (10, 60), (18, 65)], False),
    ],
    ids=["dash", "sloping dash", "arrow", "arrow to the left"],
)
def test_an_arrow_is_no_dash(points, is_dash):
    assert shape_of(*points, thick=5).is_dash == is_dash
