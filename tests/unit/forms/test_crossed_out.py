"""Numbers of a form that are crossed out."""

import pytest
from support.forms import WRITTEN, fill_form, write_form

from digitkit import Form
from digitkit.images.cv import cv2


@pytest.mark.parametrize("rise", [-10, 0, 10])
def test_a_number_that_is_crossed_out_is_doubtful(tmp_path, one_of_each, rise):
    page = fill_form(one_of_each, WRITTEN)
    cv2.line(page, (345, 464 + rise), (516, 464 - rise), 40, 3, cv2.LINE_AA)
    cv2.line(page, (70, 366), (180, 366), 40, 3, cv2.LINE_AA)  # an underlined one is not
    reading = Form(write_form(tmp_path, rules="")).read(page)
    assert reading["total"].status == "doubtful"
    assert "is crossed out" in reading["total"].reasons
    for name in ("number", "a", "b"):
        assert "is crossed out" not in reading[name].reasons
