"""Thin lines through a whole scan, of dirt on the scanner's glass."""

import numpy as np
import pytest
from support.forms import WRITTEN, blank_form, fill_form, write_form

from digitkit import Form
from digitkit.forms.registration.streaks import without_streaks
from digitkit.images.grey import GreyImage


@pytest.mark.parametrize("turns", [0, 1])
@pytest.mark.parametrize("light", [0.0, 0.4, 0.8])
def test_a_streak_of_a_scanner_is_no_digit(tmp_path, one_of_each, turns, light):
    page = fill_form(one_of_each, WRITTEN | {"b": "", "total": ""})
    for column in (81, 420):  # through a digit, and through two empty fields
        page[:, column : column + 2] = page[:, column : column + 2] * light
    reading = Form(write_form(tmp_path, rules="")).read(np.ascontiguousarray(np.rot90(page, turns)))
    assert reading.values == WRITTEN | {"b": "", "total": ""}
    assert {one.status for one in reading.fields} == {"ok", "empty"}


def test_a_streak_is_as_bright_as_the_paper_beside_it():
    paper = np.linspace(200, 250, 900)[:, None].repeat(600, 1).astype(np.uint8)
    scan = paper.copy()
    scan[:, 300] = paper[:, 300] * np.linspace(0.3, 0.8, 900)
    clean = without_streaks(GreyImage.from_pixels(scan)).halved(0)
    assert np.abs(clean.astype(int) - paper).max() <= 10


@pytest.mark.parametrize("columns", [slice(40, 41), slice(0, 620, 2)])
def test_printed_lines_and_patterns_stay(columns):
    page = blank_form()
    rows = slice(30, -30) if columns.step is None else slice(None)  # lines have margins
    page[rows, columns] = 0
    assert np.array_equal(without_streaks(GreyImage.from_pixels(page)).halved(0), page)


def test_a_scan_with_a_level_streak_lies_in_memory_row_by_row():
    scan = np.full((900, 600), 240, np.uint8)
    scan[300] = 100
    clean = without_streaks(GreyImage.from_pixels(scan)).halved(0)
    assert clean[300].min() > 200
    assert clean.flags.c_contiguous  # or OpenCV copies all of it for each field
