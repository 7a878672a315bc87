"""What ``digitkit form new`` finds on a blank form."""

import numpy as np
import pytest
from support.errors import error_of
from support.forms import SHEET, save, sheet

from digitkit.errors import FormError
from digitkit.forms.blank.propose import propose_fields
from digitkit.forms.new_form import make_template
from digitkit.forms.templates.template_file import load_templates
from digitkit.images.cv import cv2

LEFT, RIGHT, LEVEL = 300, 540, 400  # where a line is drawn


def draw_line(page: np.ndarray, kind: str, grey: int = 0) -> None:
    step = {"line": 1, "dots": 6, "dashes": 11}[kind]
    for x in range(LEFT, RIGHT, step):
        cv2.line(page, (x, LEVEL), (x + 6 * (kind == "dashes"), LEVEL), grey, 2)


def draw_comb(page: np.ndarray, pitch: int) -> None:
    """A line with ticks of ten pixels, so far from each other."""
    draw_line(page, "line")
    for x in range(LEFT, RIGHT + 1, pitch):
        cv2.line(page, (x, LEVEL), (x, LEVEL - 10), 0, 2)


@pytest.mark.parametrize("kind", ["line", "dots", "dashes"])
@pytest.mark.parametrize("grey", [0, 150])
def test_a_line_to_write_on(kind, grey):
    page = sheet()
    draw_line(page, kind, grey)
    (found,) = propose_fields(page)
    x, y, w, h = found.box
    assert not found.cells
    assert (x, x + w, y + h) == pytest.approx((LEFT, RIGHT, LEVEL), abs=8)


@pytest.mark.parametrize("rise", [0, 3])
def test_a_dotted_line_in_a_photo(rise):
    page = sheet()
    for x in range(LEFT, RIGHT, 8):
        y = LEVEL - rise * (x - LEFT) // (RIGHT - LEFT)
        cv2.circle(page, (x, y), 1, 90, -1, cv2.LINE_AA)
    (found,) = propose_fields(cv2.GaussianBlur(page, (0, 0), 0.8))
    x, y, w, h = found.box
    assert (x, x + w, y + h) == pytest.approx((LEFT, RIGHT, LEVEL), abs=9)


@pytest.mark.parametrize("title", ["Delivery", "Delivery address and date"])
def test_a_line_below_a_title_is_not_for_writing(title):
    page = sheet()
    draw_line(page, "line")
    assert propose_fields(page)
    cv2.putText(page, title, (LEFT, LEVEL - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 0, 1, cv2.LINE_AA)
    assert propose_fields(page) == ()


def test_letters_above_a_line_of_print_are_no_ticks():
    page = sheet()
    draw_comb(page, 30)
    (comb,) = propose_fields(page)
    assert comb.cells
    for x in range(LEFT, RIGHT, 4):  # stems of letters: fonts differ between versions of OpenCV
        cv2.line(page, (x, LEVEL + 2), (x, LEVEL + 8), 0, 1)
    assert propose_fields(page) == ()


@pytest.mark.parametrize("tint", [150, 215, 240])
def test_white_boxes_on_a_tint(tint):
    page = sheet()
    page[300:700, 100:700] = tint
    for left in (150, 450):
        page[400:440, left : left + 200] = 255
    for left in range(150, 390, 30):
        page[500:540, left : left + 22] = 255
    one, two, comb = propose_fields(page, page)
    assert one.box == pytest.approx((150, 400, 200, 40), abs=3)
    assert two.box == pytest.approx((450, 400, 200, 40), abs=3)
    assert comb.box == pytest.approx((150, 500, 232, 40), abs=3)
    assert len(comb.cells) == 8


def test_white_rows_between_shaded_ones_are_no_boxes():
    page = sheet()
    for top in range(300, 600, 80):
        page[top : top + 40, 100:700] = 215
    assert propose_fields(page, page) == propose_fields(page)


@pytest.mark.parametrize("ticks", ["all", "inner"])
@pytest.mark.parametrize("height", [6, 14])
def test_an_open_comb(ticks, height):
    page = sheet()
    draw_line(page, "line")
    for x in range(300, 541, 30):
        if ticks == "all" or 300 < x < 540:
            cv2.line(page, (x, 400), (x, 400 - height), 0, 2)
    (found,) = propose_fields(page)
    assert len(found.cells) == 8
    assert [x for x, _ in found.cells] == pytest.approx(range(300, 540, 30), abs=4)
    assert [w for _, w in found.cells] == pytest.approx([30] * 8, abs=4)


def test_the_cells_of_an_open_comb_may_be_wide():
    page = sheet()
    draw_comb(page, 60)
    (found,) = propose_fields(page)
    assert [w for _, w in found.cells] == pytest.approx([60] * 4, abs=4)


@pytest.mark.parametrize(("above", "height"), [(0, 56), (40, 39), (80, 56)])
def test_an_open_comb_has_room_for_digits_of_its_width(above, height):
    page = sheet()
    draw_comb(page, 40)
    if above:
        cv2.putText(page, "Number", (310, 400 - above), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 0, 1)
    (found,) = propose_fields(page)
    assert len(found.cells) == 6
    assert found.box[3] == pytest.approx(height, abs=4)


@pytest.mark.parametrize(
    ("size", "above", "height"),
    [(0.4, 0, 0.025), (0.8, 0, 0.042), (1.5, 0, 0.05), (1.5, 45, 0.036)],
)
def test_a_line_has_room_by_the_size_of_the_print(size, above, height):
    page = np.full(SHEET, 255, np.uint8)
    draw_line(page, "line")
    for row in range(3):
        at = (100, 600 + 100 * row)
        cv2.putText(page, "name and number", at, cv2.FONT_HERSHEY_SIMPLEX, size, 0, 2)
    if above:
        cv2.putText(page, "Number", (310, LEVEL - above), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 0, 1)
    (found,) = propose_fields(page)
    assert found.box[3] / max(page.shape) == pytest.approx(height, abs=0.003)


def test_uneven_ticks_are_no_comb():
    page = sheet()
    draw_line(page, "line")
    for x in (300, 340, 480, 540):
        cv2.line(page, (x, 400), (x, 375), 0, 2)
    assert propose_fields(page) == ()


@pytest.mark.parametrize(("grey", "thickness"), [(0, 2), (170, 1)])
@pytest.mark.parametrize("gap", [0, 6])
def test_a_comb_of_small_cells(grey, thickness, gap):
    page = sheet()
    for x in range(300, 300 + 8 * (20 + gap), 20 + gap):
        cv2.rectangle(page, (x, 360), (x + 20, 390), grey, thickness)
    (found,) = propose_fields(page)
    assert len(found.cells) == 8


def test_wide_parts_are_no_cells():
    page = sheet()
    draw_line(page, "line")
    for x in (LEFT, 380, 460, RIGHT):
        cv2.line(page, (x, LEVEL), (x, LEVEL - 8), 0, 2)
    assert not any(found.cells for found in propose_fields(page))


@pytest.mark.parametrize("divider", ["ticks", "dots", "dashes"])
def test_a_box_that_ticks_or_dotted_lines_divide(divider):
    page = sheet()
    cv2.rectangle(page, (300, 350), (540, 390), 0, 1)
    for x in range(330, 540, 30):
        if divider == "ticks":
            cv2.line(page, (x, 378), (x, 390), 0, 1)
        else:
            for y in range(352, 388, {"dots": 4, "dashes": 7}[divider]):
                cv2.line(page, (x, y), (x, y + (1 if divider == "dots" else 3)), 0, 1)
    (found,) = propose_fields(page)
    assert found.box == pytest.approx((300, 350, 240, 40), abs=5)
    assert [x for x, _ in found.cells] == pytest.approx(range(300, 540, 30), abs=5)


def test_a_caption_at_the_lower_side_divides_no_box():
    page = sheet()
    cv2.rectangle(page, (300, 340), (540, 390), 0, 1)
    for x in range(312, 530, 20):
        cv2.putText(page, "I", (x, 386), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 0, 1, cv2.LINE_AA)
    (found,) = propose_fields(page)
    assert not found.cells


@pytest.mark.parametrize("size", [0.3, 0.4])
def test_a_box_with_a_caption_inside(size):
    page = sheet()
    cv2.rectangle(page, (100, 300), (400, 340), 0, 1)
    caption = "Customer number / tax identification"
    cv2.putText(page, caption, (104, 312), cv2.FONT_HERSHEY_SIMPLEX, size, 0, 1, cv2.LINE_AA)
    (found,) = propose_fields(page)
    assert found.box == pytest.approx((100, 300, 300, 40), abs=5)


def draw_card(*labels: str) -> np.ndarray:
    """A row of boxes of 60x78 pixels with these labels."""
    page = sheet()[:500]
    for x, label in zip(range(100, 700, 90), labels, strict=False):
        cv2.rectangle(page, (x, 300), (x + 60, 378), 0, 2)
        cv2.putText(page, label, (x + 8, 345), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 0, 1, cv2.LINE_AA)
    return page


def test_large_boxes_in_a_row_are_a_comb():
    (found,) = propose_fields(draw_card("", "", "", "", ""))
    assert len(found.cells) == 5
    assert found.box == pytest.approx((100, 300, 420, 78), abs=5)


@pytest.mark.parametrize("labels", [[""], ["Seal", "Post"]])
def test_a_large_box_alone_or_with_a_label_is_no_field(labels):
    assert propose_fields(draw_card(*labels)) == ()


def put_in_box(text: str, x: int) -> np.ndarray:
    """A box of 160x40 pixels with print in its middle row."""
    page = sheet()
    cv2.rectangle(page, (100, 300), (260, 340), 0, 1)
    cv2.putText(page, text, (x, 327), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 0, 1, cv2.LINE_AA)
    return page


@pytest.mark.parametrize(
    ("text", "x"), [("Monday", 106), ("Hours", 150), ("Km  Exp", 140), ("No", 184), ("Date", 188)]
)
def test_a_box_with_a_label_is_no_field(text, x):
    assert propose_fields(put_in_box(text, x)) == ()


@pytest.mark.parametrize(("text", "x"), [("kg", 232), ("No", 106), (".", 180), ("EUR", 208)])
def test_a_unit_or_a_point_leaves_room_in_a_box(text, x):
    (found,) = propose_fields(put_in_box(text, x))
    assert found.box == pytest.approx((100, 300, 160, 40), abs=5)


@pytest.mark.parametrize("right", [270, 450])
def test_a_box_with_rounded_corners_and_a_hint(right):
    page = cv2.resize(sheet(), None, fx=1.5, fy=1.5)
    left, top, bottom, radius = 150, 400, 450, 20
    corners = ((left, top, 180), (right, top, 270), (right, bottom, 0), (left, bottom, 90))
    for x, y, angle in corners:
        centre = x + radius * (1 if x == left else -1), y + radius * (1 if y == top else -1)
        cv2.ellipse(page, centre, (radius, radius), angle, 0, 90, 0, 1, cv2.LINE_AA)
    for y in (top, bottom):
        cv2.line(page, (left + radius, y), (right - radius, y), 0, 1)
    for x in (left, right):
        cv2.line(page, (x, top + radius), (x, bottom - radius), 0, 1)
    cv2.putText(page, "kg", (right - 40, 435), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 200, 1, cv2.LINE_AA)
    (found,) = propose_fields(page)
    assert found.box == pytest.approx((left, top, right - left, bottom - top), abs=5)


@pytest.mark.parametrize(("grey", "count"), [(215, 1), (160, 0), (0, 0)])
def test_a_pale_hint_in_a_box_is_written_over(grey, count):
    page = sheet()
    cv2.rectangle(page, (100, 300), (260, 340), 0, 1)
    cv2.putText(page, "Monday", (106, 327), cv2.FONT_HERSHEY_SIMPLEX, 0.6, grey, 2, cv2.LINE_AA)
    assert len(propose_fields(page)) == count


def test_wide_cells_of_a_table_are_fields_of_their_own():
    page = sheet()
    for x in range(100, 500, 80):
        cv2.rectangle(page, (x, 300), (x + 80, 355), 0, 1)
    found = propose_fields(page)
    assert [one.box[0] for one in found] == pytest.approx(range(100, 500, 80), abs=5)
    assert not any(one.cells for one in found)


@pytest.mark.parametrize("fill", [150, 190, 217])
def test_a_shaded_comb(fill):
    page = sheet()
    for x in range(100, 420, 40):
        cv2.rectangle(page, (x, 300), (x + 40, 330), fill, -1)
        cv2.rectangle(page, (x, 300), (x + 40, 330), 0, 1)
    (found,) = propose_fields(page)
    assert len(found.cells) == 8


def test_fields_in_grain(tmp_path):
    page = sheet()
    draw_line(page, "line")
    for x in range(100, 420, 40):
        cv2.rectangle(page, (x, 500), (x + 40, 530), 0, 1)
    grain = np.random.default_rng(0).normal(0, 5, SHEET)
    blank = save(tmp_path / "blank.png", np.clip(0.92 * page + grain, 0, 255).astype(np.uint8))
    make_template(blank, tmp_path / "form.toml")
    (template,) = load_templates([tmp_path / "form.toml"], {})
    assert [len(field.cells) for field in template.fields] == [0, 8]


@pytest.mark.parametrize("degrees", [-2.0, -0.5, 0.6, 1.3])
def test_lines_of_a_tilted_scan_are_all_found(tmp_path, degrees):
    page = sheet()
    for y in (400, 520, 640):
        cv2.line(page, (160, y), (540, y), 40, 2)
        cv2.line(page, (620, y), (1000, y), 40, 2)
    height, width = SHEET
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    page = cv2.warpAffine(page, turn, (width, height), flags=cv2.INTER_LINEAR, borderValue=255)
    grain = np.random.default_rng(1).normal(0, 4, SHEET)
    blank = save(tmp_path / "blank.png", np.clip(0.96 * page + grain, 0, 255).astype(np.uint8))
    assert make_template(blank, tmp_path / "form.toml").count == 6


def test_a_tiny_blank_has_too_little_print(tmp_path):
    blank = save(tmp_path / "blank.png", np.full((20, 20), 255, np.uint8))
    error = error_of(FormError, make_template, blank, tmp_path / "form.toml")
    assert "has too little print" in str(error)


def test_boxes_at_the_border_lie_in_the_picture():
    page = sheet()
    cv2.rectangle(page, (SHEET[1] - 200, 300), (SHEET[1] + 50, 340), 0, 2)
    cv2.rectangle(page, (-20, 400), (200, 440), 0, 2)
    fields = propose_fields(page)
    assert len(fields) == 2
    for x, _, w, _ in (each.box for each in fields):
        assert 0 <= x < x + w <= SHEET[1]


def test_a_page_without_free_paper_has_no_fields():
    page = np.full(SHEET, 255, np.uint8)
    page[::3] = page[:, ::3] = 0
    assert propose_fields(page) == ()


def test_text_has_no_lines_to_write_on():
    assert propose_fields(sheet()) == ()
