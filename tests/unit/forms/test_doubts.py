"""Fields that are doubtful because there may be more in them than was read."""

import numpy as np
import pytest
from support.forms import WRITTEN, blank_form, fill_form, put_digit, write_form

from digitkit import Form
from digitkit.forms.fields.combs import CellInk, Comb
from digitkit.forms.fields.hypotheses import SegmentReading
from digitkit.forms.templates.template import FormField
from digitkit.images.cv import cv2
from digitkit.models.classifier import Prediction
from digitkit.reading.networks.line_reader import SPOILED


@pytest.fixture(scope="module")
def form(tmp_path_factory) -> Form:
    return Form(write_form(tmp_path_factory.mktemp("form"), rules=""))


@pytest.mark.parametrize(("text", "places"), [("617", (461, 2, 482)), ("814", (572, 416, 24))])
def test_a_1_that_touches_the_next_digit_is_not_lost(form, mnist_test, text, places):
    page = blank_form()
    left = 66
    for place, room in zip(places, (2, -5, 0), strict=True):
        digit = mnist_test.images[place]
        columns = np.flatnonzero(digit.max(0) > 64) * 36 // 28
        put_digit(page, digit, left - int(columns[0]), 326)
        left += int(columns[-1] - columns[0]) + room
    one = form.read(page)["a"]
    assert one.text == text or (one.status, one.reasons) == (
        "doubtful", ("two of its digits may touch",),
    )  # fmt: skip


@pytest.mark.parametrize("strength", [0.2, 0.35])
@pytest.mark.parametrize("text", ["", "73"])
def test_paler_ink_is_not_taken_for_nothing(form, one_of_each, text, strength):
    dark = fill_form(one_of_each, WRITTEN | {"a": text}).astype(np.float64)
    whole = fill_form(one_of_each)
    one = form.read((dark + strength * (whole - dark)).astype(np.uint8))["a"]
    assert (one.text, one.status) == (text, "doubtful")
    assert "has paler ink, which is not read" in one.reasons


def test_a_form_in_pale_ink_is_read(form, one_of_each):
    blank = blank_form().astype(np.float64)
    pale = (blank + 0.3 * (fill_form(one_of_each) - blank)).astype(np.uint8)
    assert form.read(pale).values == WRITTEN


def doubts_of(seen):
    """Of a cell with a 3, by what the line reader sees there."""
    probabilities = np.zeros(10, np.float32)
    probabilities[3] = 1
    prediction = Prediction(3, 1.0, 1.0, probabilities)
    row = np.zeros(14, np.float32)
    for place, likely in seen.items():
        row[place] = likely
    field = FormField("one", (0, 0, 40, 40), ((0.0, 40.0),))
    comb = Comb(field, (CellInk(np.zeros((28, 28), np.uint8), (0, 0, 40, 40)),))
    return comb.hypotheses([SegmentReading(prediction, prediction, row)]).doubts


@pytest.mark.parametrize(("likely", "is_doubtful"), [(0.95, True), (0.6, False)])
def test_a_cell_in_which_the_line_reader_sees_another_digit(likely, is_doubtful):
    doubts = doubts_of({8: likely})
    assert doubts == (("cell 1 may be another digit",) if is_doubtful else ())


@pytest.mark.parametrize(("likely", "is_doubtful"), [(0.98, True), (0.9, False)])
def test_a_cell_whose_digit_the_line_reader_takes_for_a_spoiled_one(likely, is_doubtful):
    doubts = doubts_of({3: 1, SPOILED: likely})
    assert doubts == (("cell 1 may be struck out or written over",) if is_doubtful else ())


@pytest.mark.parametrize("name", ["a", "number"])
def test_a_digit_that_is_struck_out_makes_its_field_doubtful(form, one_of_each, name):
    page = fill_form(one_of_each)
    x, y, w, h = form.read(page)[name].digits[-1].box
    assert form.read(page)[name].status == "ok"
    cv2.line(page, (x - 6, y + h + 4), (x + w + 6, y - 4), 60, 3, cv2.LINE_AA)
    cv2.line(page, (x - 6, y - 4), (x + w + 6, y + h + 4), 60, 3, cv2.LINE_AA)
    assert form.read(page)[name].status == "doubtful"
