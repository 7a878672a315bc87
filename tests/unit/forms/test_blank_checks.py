"""What is said of the picture of a form that is hardly a good blank."""

import numpy as np
import pytest
from support.cli import run
from support.forms import blank_form, fill_form, save

from digitkit.forms.blank.checks import check_blank
from digitkit.forms.blank.propose import propose_fields
from digitkit.images.cv import cv2

TEXT = (
    "answer in numbers as soon as you can",
    "name the costs of one month before taxes",
    "use a black or a blue pen on each sheet",
    "one person answers for the whole house",
)


@pytest.fixture
def page():
    page = blank_form()
    page[565:690, 50:] = 255
    for line, text in enumerate(TEXT):
        cv2.putText(page, text, (60, 585 + 26 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.55, 0, 1, 16)
    return cv2.resize(page, None, fx=1.8, fy=1.8, interpolation=cv2.INTER_CUBIC)


def doubts(page):
    return check_blank(page, propose_fields(page))


def test_nothing_is_said_of_a_good_blank(page):
    assert doubts(page) == []


def test_a_blank_that_is_upside_down(page):
    (doubt,) = doubts(np.ascontiguousarray(page[::-1, ::-1]))
    assert "upside down" in doubt


def test_capitals_and_digits_alone_say_nothing(page):
    page[1020:1220, 90:] = 255
    for line in range(3):
        cv2.putText(page, "PLAIN 1234567", (108, 1062 + 45 * line), 0, 1.0, 0, 2, 16)
    assert doubts(np.ascontiguousarray(page[::-1, ::-1])) == []


def test_a_blank_that_is_filled_in(page, one_of_each):
    filled = fill_form(one_of_each)
    filled = cv2.resize(filled, page.shape[::-1], interpolation=cv2.INTER_CUBIC)
    (doubt,) = doubts(np.minimum(page, filled))
    assert "ink or print in several fields" in doubt


def test_a_blank_that_is_small(page):
    small = cv2.resize(page, None, fx=0.45, fy=0.45, interpolation=cv2.INTER_AREA)
    (doubt,) = doubts(small)
    assert f"with only {small.shape[1]}×{small.shape[0]} pixels" in doubt


def test_new_warns_of_it(page, tmp_path):
    blank = save(tmp_path / "blank.png", np.ascontiguousarray(page[::-1, ::-1]))
    result = run("form", "new", blank, "--out", tmp_path / "form.toml")
    assert result.exit_code == 0
    assert f"warning: {blank} seems to be upside down" in result.stderr
