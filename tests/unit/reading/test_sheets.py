"""Notes and labels that lie on something else."""

from dataclasses import replace

import numpy as np
import pytest
from support.readings import make_digit
from support.rows import write_row

from digitkit import Reader
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.reading.detection.sheets import erase_surroundings, find_sheet, find_sheet_around

CORNERS = np.array([[130, 90], [480, 140], [450, 380], [100, 330]])


def desk(paper: int = 200, around: int = 90, corners: np.ndarray = CORNERS) -> np.ndarray:
    """A sheet that lies askew on a grained desk."""
    grain = np.random.default_rng(4).normal(around, 6, (480, 640))
    image = np.clip(cv2.GaussianBlur(grain, (41, 3), 0), 0, 255).astype(np.uint8)
    cv2.fillConvexPoly(image, corners.astype(np.int32), paper)
    return cv2.GaussianBlur(image, (3, 3), 0)


def find(image: np.ndarray) -> np.ndarray | None:
    return find_sheet(GreyImage.from_pixels(image))


def in_order(corners: np.ndarray) -> list[list[float]]:
    return sorted(corners.round().tolist())


@pytest.mark.parametrize(("paper", "around"), [(200, 90), (60, 150)])
def test_a_sheet_is_found_by_its_edges(paper, around):
    found = find(desk(paper, around))
    assert found is not None
    assert np.abs(np.subtract(in_order(found), in_order(CORNERS))).max() < 8


def test_the_border_of_the_image_may_cut_a_sheet():
    found = find(desk(corners=CORNERS - [140, 0]))
    assert found is not None
    inside = CORNERS[:, 0] > 140
    near = np.abs(found[:, None] - (CORNERS - [140, 0])[inside][None]).max(2).min(0)
    assert (near < 8).all()


def wall() -> np.ndarray:
    """A wall of stones, each of which is as bright as the others."""
    image = np.full((480, 640), 90, np.uint8)
    for y in range(10, 480, 160):
        for x in range(10, 640, 210):
            image[y : y + 145, x : x + 195] = 190
    return image


def frame() -> np.ndarray:
    """A box that is drawn on paper."""
    image = np.full((480, 640), 220, np.uint8)
    cv2.polylines(image, [CORNERS.astype(np.int32)], True, 40, 9)
    return image


@pytest.mark.parametrize(
    "image",
    [
        np.full((480, 640), 200, np.uint8),
        desk(110, 90),  # a shadow, or a fold
        desk(corners=CORNERS[:3]),
        desk(corners=np.array([[100, 100], [130, 100], [130, 120], [100, 120]])),  # too small
        wall(),
        frame(),
        np.zeros((3, 2), np.uint8),
    ],
)
def test_what_is_no_sheet(image):
    assert find(image) is None


def test_all_digits_are_on_the_sheet():
    image = GreyImage.from_pixels(desk())
    digit = make_digit({3: 0.99})
    on, off = (replace(digit, box=(x, y, 30, 40)) for x, y in ((250, 200), (10, 10)))
    assert find_sheet_around(image, [on]) is not None
    assert find_sheet_around(image, []) is not None
    assert find_sheet_around(image, [on, off]) is None


def test_the_paper_goes_on_where_something_else_was():
    image = GreyImage.from_pixels(desk())
    alone = erase_surroundings(image, CORNERS.astype(float))
    for halvings in (0, 1):
        assert alone.halved(halvings).shape == image.halved(halvings).shape
        assert np.ptp(alone.halved(halvings)) <= 12
    assert alone.shape == image.shape


@pytest.mark.parametrize("around", [90, 140])
@pytest.mark.parametrize("value", [1, 3, 4, 8])
def test_a_digit_on_a_note_is_read_without_the_edge_of_the_note(reader, one_of_each, value, around):
    image = desk(around=around, corners=np.array([[200, 100], [420, 130], [400, 330], [180, 300]]))
    digit = cv2.resize(one_of_each[value], (190, 190), interpolation=cv2.INTER_CUBIC)
    part = image[120:310, 205:395]
    part[:] = np.where(digit > 60, np.minimum(part, 255 - digit), part)
    assert reader.read(image).text == str(value)


def test_a_digit_in_doubt_beside_a_note_is_not_erased(one_of_each):
    image = desk()
    for x, y, value in ((200, 190, 4), (530, 20, 3)):
        digit = cv2.resize(one_of_each[value], (70, 70), interpolation=cv2.INTER_CUBIC)
        part = image[y : y + 70, x : x + 70]
        part[:] = np.where(digit > 60, part // 4, part)
    digits = Reader(min_confidence=1.0).read(image).digits
    assert sorted(digit.digit for digit in digits if digit.confidence > 0.6) == [3, 4]


@pytest.mark.parametrize("min_confidence", [0.9, 1.0])
def test_a_page_is_not_read_again(one_of_each, monkeypatch, min_confidence):
    """Neither one with more digits than a note has, nor one with other writing."""
    monkeypatch.setattr(
        "digitkit.reading.detection.sheets.find_sheet",
        lambda image: pytest.fail("it looked for a sheet"),
    )
    page = np.vstack([write_row("520647", one_of_each)] * 2)
    digits = Reader(min_confidence=min_confidence).read(page).digits
    assert len(digits) == 12
    assert all(digit.accepted for digit in digits) == (min_confidence < 1)
