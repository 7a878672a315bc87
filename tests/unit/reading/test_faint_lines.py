"""Faint vertical lines of grids, such as those within the blocks of a Sudoku."""

from collections.abc import Sequence

import numpy as np
import pytest
from support.rows import SIDE, put_digit

from digitkit.images.cv import cv2
from digitkit.reading.rows.faint_lines import find_faint_lines

PITCH = 70  # of a grid with cells for one digit each


def draw_grid(
    rows: list[str],
    digits,
    *,
    pitch: int = PITCH,
    faint: float,
    dark: Sequence[int],
    dark_rows: Sequence[int] | None = None,
) -> np.ndarray:
    """Digits in a grid; the lines with these numbers are dark, the others faint."""
    height, width = (pitch * count for count in (len(rows), len(rows[0])))
    ink = np.zeros((height + 80, width + 80), np.uint8)
    for i in range(len(rows[0]) + 1):
        level, pen = (255, 4) if i in dark else (round(255 * faint), 1)
        cv2.line(ink, (40 + i * pitch, 40), (40 + i * pitch, 40 + height), level, pen)
    for i in range(len(rows) + 1):
        level, pen = (255, 4) if i in (dark_rows or dark) else (round(255 * faint), 1)
        cv2.line(ink, (40, 40 + i * pitch), (40 + width, 40 + i * pitch), level, pen)
    for down, row in enumerate(rows):
        for across, char in enumerate(row):
            left, top = (40 + i * pitch + (pitch - SIDE) // 2 for i in (across, down))
            if char.isdecimal():
                put_digit(ink, digits[int(char)], left, top)
    return (235 - 0.8 * ink).astype(np.uint8)


@pytest.mark.parametrize("faint", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("lean", [0, 6])
def test_each_cell_of_a_sudoku_is_a_number(reader, one_of_each, faint, lean):
    rows = ["34 826", "  8  9", "76 2  ", " 23 84", "6  735", "58   2"]
    image = draw_grid(rows, one_of_each, faint=faint, dark=(0, 3, 6))
    height, width = image.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = corners + np.array([[0, 0], [0, 0], [lean, 0], [-lean, 0]], np.float32)
    turn = cv2.getPerspectiveTransform(moved, corners)
    image = cv2.warpPerspective(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    assert reader.read(image).text.split("\n") == [" ".join(row.replace(" ", "")) for row in rows]


def test_a_number_goes_across_the_squares_of_exercise_paper(reader, one_of_each):
    image = draw_grid([" 382 ", " 426 "], one_of_each, pitch=46, faint=0.2, dark=())
    assert reader.read(image).text == "382\n426"


def test_a_margin_makes_no_grid_of_exercise_paper(reader, one_of_each):
    image = draw_grid([" 382 ", " 426 "], one_of_each, pitch=56, faint=0.2, dark=(1,))
    assert reader.read(image).text == "382\n426"


@pytest.mark.parametrize("rows", [["38264"], ["38264", "47293", "50682"]])
def test_faint_lines_in_a_box_are_between_the_digits_of_a_number(reader, one_of_each, rows):
    dark_rows = range(len(rows) + 1)
    image = draw_grid(rows, one_of_each, pitch=60, faint=0.2, dark=(0, 5), dark_rows=dark_rows)
    noise = np.random.default_rng(1).normal(0, 8, image.shape)
    image = (image + noise).clip(0, 255).astype(np.uint8)
    assert reader.read(image).text.split("\n") == rows


def draw_lines(places: dict[int, int]) -> np.ndarray:
    """The strength of ink in a strip with lines of these levels, by their x coordinates."""
    strength = np.zeros((48, 300), np.uint8)
    for x, level in places.items():
        strength[:, x] = level
    return strength


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ({40: 200, 90: 20, 140: 20, 190: 200}, [90, 140]),
        ({40: 200, 90: 8, 140: 8, 190: 200}, []),  # too weak
        ({40: 200, 90: 20, 140: 20, 190: 20}, []),  # one dark line
        ({40: 200, 60: 20, 80: 20, 100: 200}, []),  # narrow
    ],
)
def test_which_lines_belong_to_a_grid(places, expected):
    strength = draw_lines(places)
    dark = (strength > 100).astype(np.uint8)
    found = find_faint_lines(strength, np.zeros_like(dark), dark, 28.0)
    assert np.flatnonzero(found.any(0)).tolist() == expected
    assert (found.any(0) == found.all(0)).all()


def test_the_strokes_of_digits_are_no_faint_lines():
    strength = draw_lines({40: 200, 90: 20, 140: 20, 190: 200})
    ink = np.zeros_like(strength)
    ink[10:38, 85:95] = 1
    found = find_faint_lines(strength, ink, (strength > 100).astype(np.uint8), 28.0)
    assert np.flatnonzero(found.any(0)).tolist() == [140]


def test_noise_is_no_faint_line():
    rng = np.random.default_rng(0)
    strength = draw_lines({40: 200, 190: 200}) + rng.integers(0, 50, (48, 300), dtype=np.uint8)
    found = find_faint_lines(
        strength, np.zeros_like(strength), (strength > 150).astype(np.uint8), 28
    )
    assert not found.any()
