"""Fields without cells: what is written in them beside plain digits."""

import re
from pathlib import Path

import numpy as np
import pytest
from support.forms import FIELDS, WRITTEN, blank_form, fill_form, put_digit, save, write_form

from digitkit import Form
from digitkit.forms.fields.field_ink import FieldInk
from digitkit.forms.fields.field_line import FieldLine, read_field
from digitkit.images.cv import cv2
from digitkit.reading.networks.line_reader import COLUMN_STRIDE, NONE, POINT, SPOILED
from digitkit.system.hashes import file_sha256

TOUCHING = [("1885", 16), ("6421", 16), ("7236", 16), ("9009", 16), ("3780", 18), ("8935", 18)]


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


def test_small_decimal_separators_in_high_fields_are_read(tmp_path, one_of_each):
    fields = FIELDS.replace("box = [60, 320, 200, 48]", "box = [60, 320, 200, 100]\ndecimals = 2")
    page = write(one_of_each, "7321", (80, 112, 150, 184))
    cv2.line(page, (146, 353), (146, 355), 40, 2, cv2.LINE_AA)
    one = Form(write_form(tmp_path, fields, "")).read(page)["a"]
    assert (one.text, one.status) == ("73.21", "ok")


def test_dust_in_a_high_field_is_not_taken_for_decimal_separators(tmp_path, one_of_each):
    fields = FIELDS.replace("box = [60, 320, 200, 48]", "box = [60, 320, 200, 100]\ndecimals = 2")
    page = write(one_of_each, "7321", (70, 102, 180, 214))
    for x in range(142, 178, 6):
        for y in range(350, 410, 6):
            cv2.line(page, (x, y), (x + 2, y), 40, 2)
    one = Form(write_form(tmp_path, fields, "")).read(page)["a"]
    assert (one.text.replace(".", ""), one.status) == ("7321", "doubtful")


@pytest.mark.parametrize(("decimals", "text", "status"), [(2, "73.21", "ok"), (None, "7321", "ok")])
def test_the_line_reader_sees_decimal_separators_without_ink(
    tmp_path, one_of_each, monkeypatch, decimals, text, status
):
    box = "box = [60, 320, 200, 48]"
    fields = FIELDS.replace(box, f"{box}\ndecimals = {decimals}") if decimals else FIELDS
    monkeypatch.setattr(FieldLine, "points", (146.0,))
    page = write(one_of_each, "7321", (80, 112, 150, 184))
    one = Form(write_form(tmp_path, fields, "")).read(page)["a"]
    assert (one.text, one.status) == (text, status)


def test_decimal_separators_are_between_digits():
    probabilities = np.zeros((SPOILED + 1, 40), np.float32)
    probabilities[POINT, [2, 10, 11, 20, 35]] = [0.9, 0.6, 0.8, 0.4, 0.9]
    line = FieldLine(probabilities, start=100.0, scale=2.0, digits=(105.0, 130.0))
    (x,) = line.points
    assert x == 100 + 11 * COLUMN_STRIDE / 2
    assert FieldLine().points == ()


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


@pytest.mark.parametrize("top", [305, 309, 312])
@pytest.mark.parametrize("cells", ["", "cells = [[70, 34], [104, 34], [138, 34]]"])
def test_a_digit_is_not_read_in_two_fields_one_above_the_other(tmp_path, one_of_each, top, cells):
    fields = FIELDS.replace("box = [60, 320, 200, 48]", f"box = [60, 318, 200, 18]\n{cells}")
    below = f'[[field]]\nname = "below"\nbox = [60, 336, 200, 18]\n{cells}\n'
    form = Form(write_form(tmp_path, fields + below, ""))
    reading = form.read(write(one_of_each, "77", (72, 106), top=top))
    assert sum(reading[name].status == "ok" for name in ("a", "below")) <= 1
    assert reading["below"].text == "" or reading["below"].status == "doubtful"


def test_a_digit_that_is_written_low_is_read(form, one_of_each):
    for top in (348, 355):
        assert form.read(write(one_of_each, "8", (80,), top=top))["a"].text == "8"


@pytest.mark.parametrize("text", ["479", "202"])
@pytest.mark.parametrize("cells", ["", "cells = [[70, 34], [104, 34], [138, 34]]"])
def test_digits_that_are_higher_than_their_field_are_read(tmp_path, one_of_each, text, cells):
    fields = FIELDS.replace("box = [60, 320, 200, 48]", f"box = [60, 343, 200, 14]\n{cells}")
    form = Form(write_form(tmp_path, fields, ""))
    one = form.read(write(one_of_each, text, (72, 106, 140)))["a"]
    assert (one.text, one.status) == (text, "ok")


@pytest.mark.parametrize("cells", ["", "cells = [[70, 34], [104, 34], [138, 34]]"])
@pytest.mark.parametrize("top", [302, 350, 352])
def test_digits_mostly_above_or_below_their_field_are_not_empty(tmp_path, one_of_each, cells, top):
    fields = FIELDS.replace("box = [60, 320, 200, 48]", f"box = [60, 324, 200, 40]\n{cells}")
    form = Form(write_form(tmp_path, fields, ""))
    one = form.read(write(one_of_each, "479", (72, 106, 140), top=top))["a"]
    assert one.text == "479" or one.status == "doubtful"
    assert one.status in ("ok", "doubtful")


def test_digits_that_are_much_higher_than_their_field_are_doubtful(tmp_path, one_of_each):
    fields = FIELDS.replace("box = [60, 320, 200, 48]", "box = [60, 344, 200, 5]")
    form = Form(write_form(tmp_path, fields, ""))
    one = form.read(write(one_of_each, "479", (72, 106, 140)))["a"]
    assert one.status == "doubtful"
    assert "ink reaches over its edge" in one.reasons


@pytest.mark.parametrize(
    ("text", "step"), [("132", 16), ("807", 16), ("204", 18), ("320", 18), ("765", 20)]
)
def test_touching_digits_are_cut_where_the_line_reader_sees_them(form, one_of_each, text, step):
    one = form.read(write(one_of_each, text, range(80, 80 + 3 * step, step)))["a"]
    assert (one.text, one.status) == (text, "ok")


def test_a_cut_is_doubtful_where_the_line_reader_sees_another_digit(form, one_of_each):
    page = write(one_of_each, "758", (80, 96, 112))  # the 5 has the arm of the 7
    assert form.read(page)["a"].status == "doubtful"


@pytest.mark.parametrize(
    ("text", "step"), TOUCHING, ids=[f"{text} every {step} pixels" for text, step in TOUCHING]
)
def test_digits_that_touch_are_cut_midway_between_them(form, one_of_each, text, step):
    one = form.read(write(one_of_each, text, range(80, 80 + len(text) * step, step)))["a"]
    assert (one.text, one.status) == (text, "ok")


class OneOfTwoPeaks:
    """A line reader that sees a 1, in so many columns that they might be two."""

    def read(self, ink):
        probabilities = np.zeros((NONE + 1, ink.shape[1] // COLUMN_STRIDE), np.float32)
        probabilities[NONE] = 1
        probabilities[NONE, 11:18], probabilities[1, 11:18] = 0, 1
        return probabilities


def test_a_1_that_shows_two_peaks_is_one_digit():
    ink = np.zeros((48, 80), np.uint8)
    ink[10:38, 24:36] = 255
    nothing = np.zeros_like(ink)
    field = FieldInk(ink, (0.0, 0.0), 1.0, 0.0, nothing, nothing)
    line = read_field(OneOfTwoPeaks(), field, (0, 0, 80, 48), 28.0, [(24, 10, 12, 28)])
    assert len(line.digits) == 1


@pytest.mark.parametrize("rise", [0, 4])
def test_a_short_number_that_is_crossed_out_is_doubtful(tmp_path, one_of_each, rise):
    form = Form(write_form(tmp_path, FIELDS.replace("200, 48]", "200, 90]"), ""))
    page = write(one_of_each, "496", (80, 100, 120), top=350)
    assert form.read(page)["a"].status == "ok"
    cv2.line(page, (82, 368 + rise), (152, 368 - rise), 40, 3, cv2.LINE_AA)
    one = form.read(page)["a"]
    assert one.status == "doubtful"
    assert "is crossed out" in one.reasons


def test_a_reason_is_given_once(form, one_of_each):
    page = write(one_of_each, "4964", (80, 104, 128, 152))
    cv2.line(page, (82, 346), (186, 346), 40, 3, cv2.LINE_AA)
    assert form.read(page)["a"].reasons.count("is crossed out") == 1


@pytest.mark.parametrize("is_table", [True, False])
def test_writing_in_the_next_cell_of_a_table_is_not_of_the_number(tmp_path, one_of_each, is_table):
    template = Path(write_form(tmp_path, rules=""))
    reference = blank_form()
    if is_table:
        cv2.rectangle(reference, (260, 320), (330, 368), 0, 1)
    save(template.with_suffix(".png"), reference)
    sha256 = file_sha256(template.with_suffix(".png"))
    template.write_text(re.sub('sha256 = ".*"', f'sha256 = "{sha256}"', template.read_text()))
    page = np.minimum(reference, write(one_of_each, "72", (180, 214)))
    put_digit(page, one_of_each[4], 264, 326)
    one = Form(template).read(page)["a"]
    assert one.text == "72"
    assert ("ink reaches over its edge" in one.reasons) != is_table
    assert (one.status == "ok") == is_table


def test_specks_in_an_empty_field_are_nothing(form, one_of_each):
    page = fill_form(one_of_each, WRITTEN | {"a": ""})
    for x, y in ((90, 340), (160, 350)):
        cv2.circle(page, (x, y), 1, 40, -1)
    assert form.read(page)["a"].status == "empty"


def test_a_point_beside_a_digit_is_not_left_out(form, one_of_each):
    page = write(one_of_each, "73", (80, 140))
    cv2.circle(page, (124, 352), 2, 40, -1)
    one = form.read(page)["a"]
    assert (one.text, one.status) != ("73", "ok")
