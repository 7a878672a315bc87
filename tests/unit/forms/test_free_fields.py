"""Fields without cells: what is written in them beside plain digits."""

import pytest
from support.forms import FIELDS, blank_form, put_digit, write_form

from digitkit import Form
from digitkit.images.cv import cv2


@pytest.fixture(scope="module")
def form(tmp_path_factory) -> Form:
    return Form(write_form(tmp_path_factory.mktemp("form")))


def write(one_of_each, text: str, lefts, top: int = 326):
    page = blank_form()
    for digit, left in zip(text, lefts, strict=True):
        put_digit(page, one_of_each[int(digit)], left, top)
    return page


@pytest.mark.parametrize(
    ("lefts", "stroke"),
    [((110, 144, 178), (105, 114)), ((80, 134, 168), (110, 119))],
    ids=["minus", "dash between"],
)
def test_a_number_with_a_minus_is_doubtful(form, one_of_each, lefts, stroke):
    page = write(one_of_each, "831", lefts)
    start, end = stroke
    cv2.line(page, (start, 345), (end, 345), 40, 3, cv2.LINE_AA)
    one = form.read(page)["a"]
    assert (one.text, one.status) == ("831", "doubtful")
    assert one.reasons == ("may have a sign, which is not read",)


@pytest.mark.parametrize("lean", [8, 16])
def test_a_slash_between_numbers_makes_them_doubtful(form, one_of_each, lean):
    page = write(one_of_each, "731", (80, 150, 184))
    cv2.line(page, (132 + lean // 2, 328), (132 - lean // 2, 362), 40, 3, cv2.LINE_AA)
    one = form.read(page)["a"]
    assert one.status == "doubtful"
    assert one.reasons == ("may have a sign, which is not read",)


def test_a_number_that_goes_on_in_the_next_field_is_doubtful(tmp_path, one_of_each):
    fields = FIELDS.replace("box = [60, 320, 200, 48]", "box = [60, 320, 100, 48]")
    beside = '[[field]]\nname = "beside"\nbox = [160, 320, 100, 48]\n'
    form = Form(write_form(tmp_path, fields + beside, ""))
    page = write(one_of_each, "70328", (76, 102, 128, 154, 180))
    reading = form.read(page)
    for name in ("a", "beside"):
        assert reading[name].status == "doubtful"
        assert "ink reaches over its edge" in reading[name].reasons


def test_a_digit_in_the_field_below_is_not_read_in_both(tmp_path, one_of_each):
    below = '[[field]]\nname = "below"\nbox = [60, 369, 200, 48]\n'
    form = Form(write_form(tmp_path, FIELDS + below, ""))
    reading = form.read(write(one_of_each, "8", (80,), top=355))
    assert (reading["a"].status, reading["below"].text) == ("empty", "8")


def test_a_digit_that_is_written_low_is_read(form, one_of_each):
    for top in (348, 355):
        assert form.read(write(one_of_each, "8", (80,), top=top))["a"].text == "8"


@pytest.mark.parametrize(
    ("text", "step"), [("132", 16), ("807", 16), ("204", 18), ("320", 18), ("765", 20)]
)
def test_touching_digits_are_cut_where_the_line_reader_sees_them(form, one_of_each, text, step):
    one = form.read(write(one_of_each, text, range(80, 80 + 3 * step, step)))["a"]
    assert (one.text, one.status) == (text, "ok")


def test_a_cut_is_doubtful_where_the_line_reader_sees_another_digit(form, one_of_each):
    page = write(one_of_each, "758", (80, 96, 112))  # the 5 has the arm of the 7
    assert form.read(page)["a"].status == "doubtful"
