"""Numbers of a form that are crossed out."""

import numpy as np
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


def put_small(page, digit, x: int, y: int) -> None:
    """Write a digit about 15 pixels high."""
    ink = cv2.resize(digit, (21, 21), interpolation=cv2.INTER_AREA)
    part = page[y : y + 21, x : x + 21]
    np.minimum(part, 255 - (ink * 0.85).astype(np.uint8), out=part)


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_small_digit_above_another_may_correct_it(tmp_path, one_of_each, name):
    form = Form(write_form(tmp_path, rules=""))
    page = fill_form(one_of_each)
    put_small(page, one_of_each[4], {"a": 112, "b": 442}[name], 308)
    reading = form.read(page)
    assert reading[name].status == "doubtful"
    assert "has a smaller digit above, which may correct it" in reading[name].reasons
    assert reading["total"].status == "ok"


def test_a_small_digit_beside_or_far_above_corrects_nothing(tmp_path, one_of_each):
    form = Form(write_form(tmp_path, rules=""))
    page = fill_form(one_of_each)
    put_small(page, one_of_each[4], 190, 298)
    put_small(page, one_of_each[4], 442, 270)
    reading = form.read(page)
    assert (reading["a"].status, reading["b"].status) == ("ok", "ok")
