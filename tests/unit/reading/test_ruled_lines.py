"""Ruled lines, boxes, brackets, units and specks next to digits."""

from types import SimpleNamespace

import numpy as np
import pytest
from support.rows import around, shown_between_8_and_4, write

from digitkit import Reader
from digitkit.images.cv import cv2
from digitkit.reading.marks.line_parts import _is_tail
from digitkit.reading.networks.line_reader import NONE, POINT, SIGN
from digitkit.reading.rows.ruled_lines import RuledLines
from digitkit.reading.rows.shapes import Shape

HIGH = {
    "slash": [(142, 142), (168, 58)],
    "steep slash": [(149, 142), (159, 58)],
    "bracket": [(164, 58), (154, 78), (151, 100), (154, 122), (164, 142)],
    "square bracket": [(162, 58), (150, 58), (150, 142), (162, 142)],
}


@pytest.mark.parametrize(
    ("shown", "radius", "text"), [(0.45, 3, "28 42"), (0.3, 3, "2842"), (0.3, 5, "28?42")]
)
def test_a_dot_in_the_middle_is_the_sign_of_a_product(
    reader, one_of_each, change_row, shown, radius, text
):
    image = write("2842", one_of_each, step=66)
    end, start = around(image[:, :160])[2], 160 + around(image[:, 160:])[0]
    cv2.circle(image, ((end + start) // 2, 100), radius, 40, -1, cv2.LINE_AA)
    change_row(shown_between_8_and_4({SIGN: shown, 3: 0.05, NONE: 0.95 - shown}))
    assert reader.read(image).text == text


@pytest.mark.parametrize("share", [0.02, 0.1])
@pytest.mark.parametrize("pen", [3, 6])
@pytest.mark.parametrize("shape", HIGH)
def test_what_is_higher_than_digits_separates_if_it_is_none(
    reader, one_of_each, change_row, shape, pen, share
):
    image = write("28 42", one_of_each)
    cv2.polylines(image, [np.array(HIGH[shape])], False, 40, pen, cv2.LINE_AA)
    cv2.line(image, (0, 132), (image.shape[1], 132), 120, 1)  # what the digits stand on

    change_row(shown_between_8_and_4({NONE: 1 - share, 1: share}))
    complete = [number.complete for number in reader.read(image).numbers]
    is_ruled = shape == "square bracket"  # for its vertical line
    assert all(complete) == (share < 0.05 or is_ruled)


@pytest.mark.parametrize("slope", [-0.1, -0.05, 0, 0.05, 0.1])
@pytest.mark.parametrize("middle", [84, 88, 92, 96])
def test_a_pale_ruled_line_in_pieces_is_no_ink(reader, one_of_each, middle, slope):
    image = write("28 42 ", one_of_each).astype(np.float32)
    across = np.arange(image.shape[1])
    down = np.round(middle + slope * (across - across.mean())).astype(int)
    for y in (down - 1, down, down + 1):
        image[y, across] -= 95 + 30 * np.sin(across / 9)  # in part as dark as ink
    numbers = reader.read(image.clip(0, 255).astype(np.uint8)).numbers
    assert [(number.text, number.complete) for number in numbers] == [("28", True), ("42", True)]


@pytest.mark.parametrize("hook", [0, 6])
@pytest.mark.parametrize("end", [130, 136])
@pytest.mark.parametrize("line", [114, 122])
def test_digits_whose_strokes_cross_a_ruled_line(reader, one_of_each, line, end, hook):
    image = write("749", one_of_each)
    ink = image < 150
    for left in (30, 76, 122):
        bottom = int(np.flatnonzero(ink[:, left : left + 46].any(1))[-1])
        x = left + int(np.flatnonzero(ink[bottom, left : left + 46]).mean())
        tail = [(x, bottom - 2), (x, end), (x + hook, end - hook)]
        cv2.polylines(image, [np.array(tail)], False, 40, 4, cv2.LINE_AA)
    cv2.line(image, (0, line), (image.shape[1], line), 110, 3, cv2.LINE_AA)
    (number,) = reader.read(image).numbers
    assert (number.text, number.complete) == ("749", True)


@pytest.mark.parametrize(
    ("line", "digit", "is_tail"),
    [((38, 3), (10, 38), True), ((38, 3), (10, 30), False), ((45, 3), (10, 38), False),
     ((30, 2), (10, 30), False)],
)  # fmt: skip
def test_ink_below_a_line_that_a_digit_reaches_is_its_tail(line, digit, is_tail):
    level, taken = (np.zeros((48, 60), np.uint8) for _ in range(2))
    level[line[0] : line[0] + line[1]] = 1
    taken[digit[0] : digit[1], 20:24] = 1
    shape = Shape(20 / 28, 41 / 28 - 0.85, 5 / 28, 5 / 28, 0.02, np.ones((5, 5), np.uint8))
    strip = SimpleNamespace(unit=28, place_of=lambda shape: (20, 41))
    none = np.zeros_like(level)
    lines = RuledLines(level, none, none, [])
    row = SimpleNamespace(strip=strip, ink=SimpleNamespace(lines=lines))
    assert _is_tail(row, shape, taken) == is_tail


@pytest.mark.parametrize(("dash", "slope"), [(1, 0), (1, 0.03), (9, 0)])
def test_a_dotted_line_is_no_ink(reader, one_of_each, dash, slope):
    image = write("28 42  ", one_of_each)
    for x in range(10, image.shape[1] - 10, 14):
        y = round(127 + slope * (x - 150))
        cv2.line(image, (x, y), (x + dash, y), 60, 4, cv2.LINE_AA)
    numbers = reader.read(image).numbers
    assert [(number.text, number.complete) for number in numbers] == [("28", True), ("42", True)]


@pytest.mark.parametrize(("share", "is_sign"), [(0.005, True), (0.03, False)])
def test_a_sign_close_to_a_digit(reader, one_of_each, change_row, share, is_sign):
    image = write("28 42", one_of_each)
    left = int(np.flatnonzero((image[:, 160:] < 150).any(0))[0]) + 160
    cv2.line(image, (left - 32, 101), (left - 5, 101), 40, 4, cv2.LINE_AA)
    cv2.line(image, (left - 20, 88), (left - 20, 110), 40, 4, cv2.LINE_AA)

    change_row(shown_between_8_and_4({SIGN: 1 - share, 1: share}))
    assert reader.read(image).complete == is_sign


@pytest.mark.parametrize("thick", [2, 5])
@pytest.mark.parametrize("room", [10, 14])
def test_boxes_around_digits_are_no_ink(reader, one_of_each, room, thick):
    image = write("284", one_of_each, step=58)
    left, top, right, bottom = around(image)
    cv2.rectangle(image, (left - room, top - room), (right + room, bottom + room), 50, thick)
    for x in (92, 150):
        cv2.line(image, (x, top - room), (x, bottom + room), 50, thick)
    (number,) = reader.read(image).numbers
    assert (number.text, number.complete) == ("284", True)


@pytest.mark.parametrize("room", [12, 20])
@pytest.mark.parametrize("step", [52, 58, 66])
def test_boxes_of_several_rows_do_not_separate(reader, one_of_each, room, step):
    """Unlike the lines of a table they do not go on from one row to the next."""
    image = write("2845", one_of_each, step=step)
    _, top, _, bottom = around(image)
    sides = [60 - step // 2 + step * i for i in range(5)]
    for x in sides:
        cv2.line(image, (x, top - room), (x, bottom + room), 50, 2)
    for y in (top - room, bottom + room):
        cv2.line(image, (sides[0], y), (sides[-1], y), 50, 2)
    row = image[top - room - 20 : bottom + room + 20]
    page = cv2.copyMakeBorder(np.vstack([row] * 3), *[40] * 4, cv2.BORDER_CONSTANT, value=235)
    numbers = reader.read(page).numbers
    assert [(number.text, number.complete) for number in numbers] == [("2845", True)] * 3


@pytest.mark.parametrize("reach", [1.7, 2.2, 2.8])
def test_a_lone_bar_between_numbers_separates(reader, one_of_each, reach):
    image = write("28 42", one_of_each, height=300, step=48)
    half = round(reach * 43 / 2)
    cv2.line(image, (154, 150 - half), (154, 150 + half), 50, 4, cv2.LINE_AA)
    assert {number.text for number in reader.read(image).numbers if number.complete} == {"28", "42"}


@pytest.mark.parametrize(("room", "thick"), [(12, 2), (20, 2), (20, 9)])
def test_the_lines_of_a_table_of_single_digits_separate(reader, one_of_each, room, thick):
    image = write("2845", one_of_each, step=66)
    _, top, _, bottom = around(image)
    row = image[top - room : bottom + room]
    page = cv2.copyMakeBorder(np.vstack([row] * 3), *[40] * 4, cv2.BORDER_CONSTANT, value=235)
    height = len(row)
    for x in range(67, 67 + 5 * 66, 66):
        cv2.line(page, (x, 40), (x, 40 + 3 * height), 50, thick)
    for y in range(40, 41 + 3 * height, height):
        cv2.line(page, (67, y), (67 + 4 * 66, y), 50, thick)
    assert reader.read(page).text == "\n".join(["2 8 4 5"] * 3)


def test_a_box_around_one_digit_is_no_ink(reader, one_of_each):
    image = write("28 4", one_of_each)
    cv2.rectangle(image, (168, 72), (220, 128), 50, 3)
    numbers = reader.read(image).numbers
    assert [(number.text, number.complete) for number in numbers] == [("28", True), ("4", True)]


@pytest.mark.parametrize("thick", [2, 5])
def test_a_circle_around_a_number_is_no_ink(reader, one_of_each, thick):
    image = np.pad(write("284", one_of_each), ((0, 0), (60, 60)), "edge")
    left, top, right, bottom = around(image)
    middle, size = ((left + right) // 2, (top + bottom) // 2), (right - left, 2 * (bottom - top))
    cv2.ellipse(image, middle, (size[0] * 4 // 5, size[1] // 2), 0, 0, 360, 50, thick, cv2.LINE_AA)
    (number,) = reader.read(image).numbers
    assert (number.text, number.complete) == ("284", True)


@pytest.mark.parametrize("text", ["kg", "%", "EUR"])
def test_a_unit_leaves_a_number_complete(reader, one_of_each, text):
    image = np.hstack([write("284", one_of_each), np.full((200, 160), 235, np.uint8)])
    _, _, right, bottom = around(image)
    place = right + 14, bottom
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 1.4, 50, 3, cv2.LINE_AA)
    reading = reader.read(image)
    assert [(number.text, number.complete) for number in reading.numbers] == [("284", True)]
    assert any(mark.kind == "letter" for mark in reading.marks)


@pytest.mark.parametrize(("share", "is_complete"), [(0.005, True), (0.05, False)])
def test_what_may_be_a_digit_is_no_letter(reader, one_of_each, change_row, share, is_complete):
    image = np.hstack([write("284", one_of_each), np.full((200, 80), 235, np.uint8)])
    _, _, right, bottom = around(image)
    cv2.putText(image, "k", (right + 14, bottom), cv2.FONT_HERSHEY_SIMPLEX, 1.4, 50, 3, cv2.LINE_AA)

    def show(probabilities: np.ndarray) -> None:
        behind = slice(int(np.flatnonzero(probabilities[4] > 0.5).max()) + 4, None)
        probabilities[:, behind] = 0
        probabilities[NONE, behind], probabilities[6, behind] = 1 - share, share

    change_row(show)
    assert reader.read(image).complete == is_complete


@pytest.mark.parametrize(("shown", "text"), [(0.95, "28.4"), (0.5, "284")])
def test_a_point_that_is_a_little_high(reader, one_of_each, change_row, shown, text):
    image = write("284", one_of_each, step=58)
    cv2.circle(image, (147, 108), 3, 40, -1, cv2.LINE_AA)

    change_row(shown_between_8_and_4({POINT: shown, NONE: 1 - shown}))
    assert reader.read(image).text == text


@pytest.mark.parametrize(("left", "text"), [(4, "284"), (20, "?284"), (34, "?284")])
def test_a_speck_left_of_a_number(reader, one_of_each, left, text):
    image = np.hstack([np.full((200, 40), 235, np.uint8), write("284", one_of_each)])
    first = np.flatnonzero((image < 150).any(0))[0]
    cv2.circle(image, (int(first) - 44 + left, 120), 4, 40, -1, cv2.LINE_AA)
    (number,) = reader.read(image).numbers
    assert number.text == text


@pytest.mark.parametrize("line", [120, 127])
@pytest.mark.parametrize("left", [140, 143])
def test_a_comma_across_a_ruled_line_is_one(reader, one_of_each, line, left):
    image = write("2842", one_of_each, step=52)
    cv2.line(image, (left, 120), (left - 7, 138), 47, 4, cv2.LINE_AA)
    cv2.line(image, (0, line), (image.shape[1], line), 110, 2)
    (number,) = reader.read(image).numbers
    assert number.text == "28,42" or not number.complete


@pytest.mark.parametrize("dots", [4, 8, 12])
@pytest.mark.parametrize("text", ["12.50", "2.50"])
def test_dots_that_lead_to_a_number_leave_its_point(reader, one_of_each, text, dots):
    image = np.pad(write(text, one_of_each), ((0, 0), (240, 0)), "edge")
    left, _, _, _ = around(image)
    for i in range(dots):
        cv2.circle(image, (left - 30 - 16 * i, 120), 3, 40, -1, cv2.LINE_AA)
    complete = [number.text for number in reader.read(image).numbers if number.complete]
    assert complete in ([], [text])


@pytest.mark.parametrize("gap", [14, 20, 26])
def test_a_leading_point_is_not_lost(reader, one_of_each, gap):
    image = write("  50", one_of_each)
    left, _, _, _ = around(image)
    cv2.circle(image, (left - gap - 4, 120), 4, 40, -1, cv2.LINE_AA)
    (number,) = reader.read(image).numbers
    assert not number.complete


@pytest.mark.parametrize("aside", [0, 6])
def test_a_minus_that_touches_its_box_is_not_lost(reader, one_of_each, aside):
    image = write(" 5", one_of_each)
    left, top, right, bottom = around(image)
    cv2.rectangle(image, (left - 30, top - 8), (right + 8, bottom + 8), 50, 3)
    cv2.line(image, (left - 30 + aside - 6, 101), (left - 8, 101), 40, 4, cv2.LINE_AA)
    assert [number.text for number in reader.read(image).numbers if number.complete] != ["5"]


@pytest.mark.parametrize("room", [6, 12])
def test_the_cells_of_a_table_with_one_row_separate(reader, one_of_each, room):
    image = write("28 42 57", one_of_each, step=40)
    _, top, _, bottom = around(image)
    for x in (14, 126, 246, 366):
        cv2.line(image, (x, top - room), (x, bottom + room), 50, 2)
    for y in (top - room, bottom + room):
        cv2.line(image, (14, y), (366, y), 50, 2)
    complete = {number.text for number in reader.read(image).numbers if number.complete}
    assert complete <= {"28", "42", "57"}


@pytest.mark.parametrize("before", [True, False])
def test_in_an_image_of_one_number_letters_are_missing_from_it(one_of_each, before):
    image = np.pad(write("284", one_of_each), ((0, 0), (80, 80)), "edge")
    left, _, right, bottom = around(image)
    place = (left - 44 if before else right + 14), bottom
    cv2.putText(image, "k", place, cv2.FONT_HERSHEY_SIMPLEX, 1.4, 50, 3, cv2.LINE_AA)
    (number,) = Reader(mode="number").read(image).numbers
    assert not number.complete


@pytest.mark.parametrize("ends", ["number", "image"])
def test_a_number_that_is_crossed_out_is_not_complete(reader, one_of_each, ends):
    image = np.hstack([write(text, one_of_each, step=40) for text in ("  2840", "  2840  ")])
    left, _, right, _ = around(image[:, : image.shape[1] // 2])
    left, right = (left - 8, right + 8) if ends == "number" else (0, image.shape[1])
    cv2.line(image, (left, 103), (right, 101), 47, 4, cv2.LINE_AA)
    numbers = reader.read(image).numbers
    assert [number.guess for number in numbers] == ["2840", "2840"]
    assert [number.complete for number in numbers] == [ends == "image", True]
