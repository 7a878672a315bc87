"""The handwriting in a field, without the form's print."""

import numpy as np
import pytest
from support.forms import WRITTEN, blank_form, fill_form

from digitkit.forms.fields.combs import cut_cells
from digitkit.forms.fields.field_ink import FieldCutter, FieldInk, ink_threshold
from digitkit.forms.fields.ink_pieces import find_residue
from digitkit.forms.registration.geometry import Placement
from digitkit.forms.templates.template import FormField
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.reading.networks.line_reader import LineReader

FIELD = FormField("number", (60, 200, 240, 44), tuple((60.0 + 40 * i, 40.0) for i in range(6)))


def cut(page, reference=None):
    reference = blank_form() if reference is None else reference
    placement = Placement.flat(np.eye(3), reference.shape)
    return FieldCutter(FIELD, reference).cut(GreyImage.from_pixels(page), placement)


def test_nothing_remains_of_a_blank_form():
    ink = cut(blank_form())
    assert int((ink.ink >= 28).sum()) == 0


@pytest.mark.parametrize("shift", [(0, 0), (1, 0), (-1, 1)])
def test_print_that_is_a_little_off_is_found(shift):
    page = np.roll(blank_form(), shift[::-1], (0, 1))
    ink = cut(page)
    place = FieldCutter(FIELD, blank_form()).region[:2]
    assert np.abs(np.array(ink.origin) - place - shift).max() < 0.6
    assert int((ink.ink >= 60).sum()) == 0


def test_a_stroke_across_lines_stays_in_one_piece():
    page = blank_form()
    cv2.line(page, (75, 190), (125, 255), 40, 4, cv2.LINE_AA)  # over three lines of the comb
    ink = cut(page)
    mask = (ink.ink >= ink_threshold([ink])).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    large = [area for area in stats[1:count, cv2.CC_STAT_AREA] if area > 30]
    assert len(large) == 1


@pytest.mark.parametrize("grey", [120, 200, 235])
def test_pale_print_vanishes_too(one_of_each, grey):
    reference = np.where(blank_form() < 255, np.maximum(blank_form(), grey), 255).astype(np.uint8)
    page = fill_form(one_of_each, WRITTEN, reference)
    ink = cut(page, reference)
    assert int((cut(reference, reference).ink >= 28).sum()) == 0
    mask = (ink.ink >= ink_threshold([ink])).astype(np.uint8)
    columns = mask.any(0)
    assert 6 <= np.count_nonzero(np.diff(columns.astype(int)) == 1) <= 7


@pytest.mark.parametrize(("darkness", "is_residue"), [(50, True), (85, True), (120, False)])
def test_a_pale_line_beside_print_is_no_digit(darkness, is_residue):
    """As on a photo of a blank form, whose lines are blurred otherwise than the reference's."""
    ink = np.zeros((60, 200), np.uint8)
    ink[15:45, 100:102] = darkness
    ones = np.ones_like(ink)
    one = FieldInk(ink, (0.0, 0.0), 1.0, 210.0, ones, 0 * ones)
    _, labels, stats, _ = cv2.connectedComponentsWithStats((ink >= 28).astype(np.uint8))
    assert find_residue(one, labels, stats, 28.0)[1] == is_residue


def test_a_thin_grey_line_that_a_scan_shows_darker_is_no_digit():
    reference = np.asarray(cv2.resize(blank_form(), None, fx=2, fy=2), np.uint8)
    page = reference.copy()
    reference[410:480, 640:642] = 227, 235  # between two pixels
    page[410:480, 640] = 130
    placement = Placement.flat(np.eye(3), reference.shape)
    field = FormField("number", (120, 400, 540, 88))
    ink = FieldCutter(field, reference).cut(GreyImage.from_pixels(page), placement)
    _, labels, stats, _ = cv2.connectedComponentsWithStats((ink.ink >= 28).astype(np.uint8))
    assert len(stats) > 1
    assert find_residue(ink, labels, stats, 28.0)[1:].all()


@pytest.mark.parametrize(("bottom", "is_digit"), [(24, False), (45, True)])
def test_the_tip_of_digits_that_touch_is_no_digit_of_the_next_cell(bottom, is_digit):
    ink = np.zeros((60, 120), np.uint8)
    for x in (42, 82):
        cv2.rectangle(ink, (x, 15), (x + 30, 45), 200, 3)
    ink[28:31, 72:82] = 200
    ink[15:bottom, 36:42] = 200
    nothing = np.zeros_like(ink)
    one = FieldInk(ink, (0.0, 0.0), 1.0, 0.0, nothing, nothing)
    cells = tuple((40.0 * i, 40.0) for i in range(3))
    comb = cut_cells(FormField("number", (0, 0, 120, 60), cells), one, 28.0, LineReader())
    segments = comb.segments
    assert [each.image is not None for each in segments] == [is_digit, True, True]
