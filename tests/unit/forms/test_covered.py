"""Fields of a form that something covers."""

import pytest
from support.forms import WRITTEN, blank_form, fill_form, write_form

from digitkit import Form
from digitkit.images.cv import cv2

FREE = '[[field]]\nname = "a"\nbox = [60, 570, 200, 60]\n'


@pytest.mark.parametrize("grey", [90, 130, 170])
def test_the_edge_of_a_finger_is_no_digit(tmp_path, grey):
    page = blank_form()
    cv2.ellipse(page, (260, 600), (80, 45), 0, 0, 360, grey, -1, cv2.LINE_AA)
    page = cv2.GaussianBlur(page, (0, 0), 1)
    reading = Form(write_form(tmp_path, FREE, ""), threads=1).read(page)
    assert reading["a"].status == "doubtful"
    assert "is partly covered" in reading["a"].reasons


def test_broad_ink_is_no_edge(tmp_path, one_of_each):
    page = cv2.erode(fill_form(one_of_each, WRITTEN), cv2.getStructuringElement(2, (3, 3)))
    for one in Form(write_form(tmp_path, rules="")).read(page).fields:
        assert "is partly covered" not in one.reasons
