"""Ink next to digits: signs, points, lines, and digits that were not found."""

from types import SimpleNamespace

import numpy as np
import pytest
from support.rows import SIDE, shown_between_8_and_4, write, write_row

from digitkit import Digit
from digitkit.images.cv import cv2
from digitkit.images.orientation import rotate_freely
from digitkit.reading.marks.finding import _are_low, _are_marks, _least_covered
from digitkit.reading.marks.line_parts import drop_pieces_of_lines
from digitkit.reading.marks.signs import looks_like_sign
from digitkit.reading.marks.touching import find_colons
from digitkit.reading.networks.line_reader import NONE, POINT, SIGN
from digitkit.reading.results import Mark
from digitkit.reading.rows.shapes import Shape, classify


def tell_marks(pieces: list[tuple[int, ...]]) -> list[bool]:
    """Which pieces of ink may be marks, in a strip with digits 28 pixels high."""
    stats = np.array(pieces, np.int32)
    labels = np.zeros((48, 400), np.int32)
    for label, (x, y, w, h, _) in enumerate(pieces[1:], 1):
        labels[y : y + h, x : x + w] = label
    ink = SimpleNamespace(stats=stats, labels=labels)
    return list(_are_marks(ink, _are_low(stats, 28), 28))


def turn(image: np.ndarray, degrees: float) -> np.ndarray:
    return rotate_freely(image, degrees, 235)[0]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("20+26", "20 26"), ("7x3=21", "7 3 21"), ("204 -63.50", "204 -63.50"), ("7,80", "7,80"),
        ("7.80", "7.80"), ("-45", "-45"), ("12:30", "12 30"), ("4-2", "4 2"), ("20   46", "20 46"),
        ("2048", "2048"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dark", [True, False])
def test_signs_separate_and_points_join(reader, one_of_each, written, expected, dark):
    image = write(written, one_of_each)
    reading = reader.read(image if dark else 255 - image)
    assert reading.text == expected
    assert reading.complete


@pytest.mark.parametrize(
    ("ends", "thick"),
    [((78, 102, 104, 98), 9), ((78, 105, 104, 96), 6), ((98, 100, 124, 100), 4)],
    ids=["thick", "sloping", "touches the digit"],
)
def test_a_leading_minus_is_not_lost(reader, one_of_each, ends, thick):
    image = write("  6455", one_of_each, step=40)
    cv2.line(image, ends[:2], ends[2:], 47, thick, cv2.LINE_AA)
    assert reader.read(image).text == "-6455"


@pytest.mark.parametrize(("room", "text"), [(14, "6455"), (60, "-6455")])
def test_a_dash_close_to_ink_before_it_is_no_minus(reader, one_of_each, room, text):
    image = np.hstack([np.full((200, 120), 235, np.uint8), write("6455", one_of_each, step=40)])
    left = int(np.flatnonzero((image < 150).any(0))[0])
    cv2.line(image, (left - 40, 100), (left - 15, 100), 47, 4, cv2.LINE_AA)
    cv2.putText(image, "h", (left - 62 - room, 118), cv2.FONT_HERSHEY_SIMPLEX, 1.4, 47, 4)
    assert reader.read(image).numbers[-1].text == text


@pytest.mark.parametrize("room", [24, 34])
def test_a_dash_far_closer_to_a_number_than_to_a_word_is_its_minus(reader, one_of_each, room):
    image = np.hstack([np.full((200, 160), 235, np.uint8), write("6455", one_of_each, step=40)])
    left = int(np.flatnonzero((image < 150).any(0))[0])
    cv2.line(image, (left - 28, 100), (left - 6, 100), 47, 4, cv2.LINE_AA)
    cv2.putText(image, "h", (left - 50 - room, 118), cv2.FONT_HERSHEY_SIMPLEX, 1.4, 47, 4)
    assert reader.read(image).numbers[-1].text == "-6455"


@pytest.mark.parametrize(("text", "above"), [("41417", True), ("1437", False)])
def test_what_the_border_cuts_is_missing_from_a_number(reader, one_of_each, text, above):
    image = write(text, one_of_each, step=40)
    moved = np.roll(image[:, :70], -14 if above else 14, 0)  # the first digits are nearer to it
    image[:, :70] = moved
    image = image[84:] if above else image[:-84]
    assert not any(number.complete for number in reader.read(image).numbers)


@pytest.mark.parametrize("shown", [0.93, 0.8])
def test_a_colon_may_be_close_to_digits(reader, one_of_each, change_row, shown):
    image = write("28 42", one_of_each, step=34)
    left = int(np.flatnonzero((image[:, 120:] < 150).any(0))[0]) + 120
    for y in (92, 112):
        cv2.circle(image, (left - 8, y), 4, 47, -1, cv2.LINE_AA)
    change_row(shown_between_8_and_4({SIGN: shown, 3: 1 - shown}))
    texts = [number.text for number in reader.read(image).numbers if number.complete]
    assert (texts == ["28", "42"]) == (shown > 0.9)


@pytest.mark.parametrize(("shown", "kinds"), [(0.05, []), (0.2, ["ink"] * 2), (0.9, ["sign"] * 2)])
def test_two_dots_may_be_a_colon_where_the_row_shows_a_little_of_one(shown, kinds):
    mask, probabilities = np.zeros((56, 60), np.uint8), np.zeros(15)
    mask[24:28, 28:32] = mask[36:40, 28:32] = mask[18:40, 34:50] = 1
    probabilities[SIGN] = shown
    strip = SimpleNamespace(
        unit=28,
        shape_of=lambda ink, x, y: Shape.from_ink(ink, x / 28, y / 28 - 1, 28),
        to_mark=lambda kind, shape: kind,
    )
    peaks = [SimpleNamespace(x=30.0, probabilities=probabilities)]
    line = SimpleNamespace(
        strip=strip,
        ink=SimpleNamespace(mask=mask),
        find_signs=lambda least: peaks if shown >= least else [],
    )
    assert find_colons(line) == kinds


@pytest.mark.parametrize("share", [0.05, 0.15])
@pytest.mark.parametrize("height", [42, 54])
def test_a_leaning_stroke_that_may_be_a_1_makes_a_number_incomplete(
    reader, one_of_each, change_row, share, height
):
    image = write("28 42", one_of_each)
    cv2.line(image, (144, 100 + height // 2), (166, 100 - height // 2), 47, 4, cv2.LINE_AA)
    change_row(shown_between_8_and_4({SIGN: 1 - share, 1: share}))
    is_higher = height > 50  # than digits, as slashes are
    complete = [number.complete for number in reader.read(image).numbers]
    assert all(complete) == (share < 0.1 or is_higher)


@pytest.mark.parametrize("degrees", [-25, 8, 25])
def test_marks_are_found_in_tilted_rows(reader, one_of_each, degrees):
    image = turn(write("2840,25", one_of_each, height=400), degrees)
    reading = reader.read(image)
    assert reading.text == "2840,25"
    (comma,) = [mark for mark in reading.marks if mark.kind == "comma"]
    x, y, w, h = comma.box
    ink = image[y : y + h, x : x + w]
    assert ink.min() < 120 < ink.max()  # there it is


@pytest.mark.parametrize("thick", [1, 3])
def test_ruled_lines_and_cells_are_no_ink_that_is_missing(reader, one_of_each, thick):
    image = write("28   40", one_of_each)
    middle = image.shape[1] // 2
    for y in (66, 140):
        cv2.line(image, (0, y), (image.shape[1], y + 2), 90, thick)
    cv2.line(image, (middle, 66), (middle, 140), 90, thick)
    reading = reader.read(image)
    assert reading.text == "28 40"
    assert reading.complete


def test_a_1_in_an_image_as_low_as_its_digits_is_no_ruled_line(reader, one_of_each):
    image = write(" 58", one_of_each)
    cv2.line(image, (58, 70), (58, 130), 47, 5, cv2.LINE_AA)
    reading = reader.read(image[80:121].copy())  # the border cuts it above and below
    assert reading.text.endswith("58")
    assert reading.text != "58"


def test_specks_and_noise_are_not_reported(reader, one_of_each):
    rng = np.random.default_rng(3)
    image = write("2840", one_of_each).astype(float)
    noisy = np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
    noisy[20:23, 40:43] = 20
    assert reader.read(noisy).text == "2840"


@pytest.mark.parametrize(
    "corners", [((0, 72), (71, 72), (71, 84), (0, 84)), ((226, 40), (306, 60), (276, 100))]
)
def test_the_edge_of_a_shadow_is_no_ink(reader, one_of_each, corners):
    image = write(" 583  ", one_of_each, 160).astype(np.float32)
    shadow = cv2.fillPoly(np.zeros(image.shape, np.float32), [np.array(corners)], 1)
    image -= 85 * cv2.GaussianBlur(shadow, (0, 0), 2)
    (number,) = reader.read(image.clip(0, 255).astype(np.uint8)).numbers
    assert (number.text, number.complete) == ("583", True)


@pytest.mark.parametrize(("blur", "complete"), [(2, False), (4, True), (6, True)])
def test_a_dark_spot_beside_a_number_is_ink_if_it_is_as_sharp_as_digits(
    reader, one_of_each, blur, complete
):
    image = np.hstack([np.full((200, 100), 235, np.uint8), write("2746", one_of_each)])
    spot = np.zeros(image.shape, np.float32)
    cv2.ellipse(spot, (90, 105), (60, 10), 0, 0, 360, 230, -1)
    image = image - cv2.GaussianBlur(spot, (0, 0), blur)
    (number,) = reader.read(image.clip(0, 255).astype(np.uint8)).numbers
    assert (number.text, number.complete) == ("2746" if complete else "?2746", complete)


@pytest.mark.parametrize("blur", [4, 5])
def test_a_smudged_point_is_no_shadow(reader, one_of_each, blur):
    image = write("27  5", one_of_each, step=30)
    point = cv2.circle(np.zeros(image.shape, np.float32), (133, 123), 7, 190, -1)
    image = image - cv2.GaussianBlur(point, (0, 0), blur)
    assert reader.read(image.clip(0, 255).astype(np.uint8)).text == "27.5"


@pytest.mark.parametrize("last", "35")
def test_a_smudged_digit_is_no_shadow(reader, one_of_each, last):
    image = write(f"274{last}", one_of_each)
    image[:, 174:] = cv2.GaussianBlur(image, (0, 0), 6)[:, 174:]
    assert reader.read(image).text == "274?"


def test_a_long_tail_of_a_digit_is_no_ruled_line(reader, one_of_each):
    image = write("52 16", one_of_each)
    cv2.line(image, (90, 118), (166, 116), 40, 6, cv2.LINE_AA)
    (number,) = reader.read(image).numbers
    assert [digit.digit for digit in number.digits if digit.accepted] == [5, 2, 1, 6]


def test_marks_belong_to_their_own_row(reader, one_of_each):
    page = np.vstack([write("28,40", one_of_each, 110), write("28 40", one_of_each, 110)])
    reading = reader.read(page)
    assert reading.text.splitlines()[0] == "28,40"
    assert "," not in reading.text.splitlines()[1]
    assert {mark.row for mark in reading.marks if mark.kind == "comma"} == {0}


def test_a_slash_is_a_sign_where_there_are_others(reader, one_of_each):
    image = write("84 + 26 5", one_of_each)
    x = 30 + 46 * 7 + SIDE // 2
    cv2.line(image, (x - 12, 134), (x + 12, 64), 40, 4, cv2.LINE_AA)
    reading = reader.read(image)
    assert "1" not in "".join(n.text for n in reading.numbers if n.complete)


@pytest.mark.parametrize(("step", "lean"), [(38, 8), (42, 5), (42, 8)])
def test_steep_slashes_separate(reader, one_of_each, step, lean):
    image = write("28 45 60", one_of_each, step=step)
    for place in (2, 5):
        x = 30 + step * place + SIDE // 2
        cv2.line(image, (x - lean, 124), (x + lean, 76), 40, 4, cv2.LINE_AA)
    assert [number.text for number in reader.read(image).numbers] == ["28", "45", "60"]


def test_marks_are_within_the_image(reader, one_of_each):
    image = write("20  45", one_of_each)[70:130]  # hardly higher than its digits
    cv2.line(image, (145, 0), (145, 59), 60, 3)  # a ruled line from border to border
    reading = reader.read(image)
    assert any(mark.kind == "line" for mark in reading.marks)
    for each in (*reading.marks, *reading.numbers):
        x, y, width, height = each.box
        assert min(x, y) >= 0
        assert x + width <= image.shape[1]
        assert y + height <= image.shape[0]


def test_a_number_across_a_table_line_is_one(reader, one_of_each):
    page = np.vstack([write("2840   6", one_of_each, 110) for _ in range(3)])
    cv2.line(
        page, (30 + 46 * 2 + 30, 0), (30 + 46 * 2 + 30, page.shape[0]), 120, 2
    )  # through the 4
    cv2.line(page, (300, 0), (300, page.shape[0]), 120, 2)
    assert [number.guess for number in reader.read(page).numbers] == ["2840", "6"] * 3


def test_a_piece_of_a_table_line_is_no_one(one_of_each):
    def digit(value: int, x: int, row: int, width: int = 30) -> Digit:
        box = (x, 20 + 60 * row, width, 40)
        nothing = np.zeros((28, 28), np.uint8)
        return Digit(value, 0.99, box, row, True, nothing, np.ones(10, np.float32) / 10, 1.0)

    line = Mark("line", (98, 70, 3, 70), 1)
    digits = (digit(2, 50, 0), digit(1, 97, 0, width=4), digit(3, 50, 1), digit(1, 140, 1, width=4))
    settled, marks = drop_pieces_of_lines(digits, (line,))
    assert [d.accepted for d in settled] == [True, False, True, True]
    assert [mark.row for mark in marks if mark.kind == "line"] == [1, 0]


def test_high_ink_as_near_as_a_digit_makes_a_number_incomplete(reader, one_of_each):
    image = np.hstack([write("284", one_of_each), np.full((200, 120), 235, np.uint8)])
    right = np.flatnonzero((image < 150).any(0))[-1] + 20
    scribble = np.random.default_rng(2).integers((right, 76), (right + 34, 122), (9, 2))
    cv2.polylines(image, [scribble.astype(np.int32)], False, 40, 4, cv2.LINE_AA)
    assert not reader.read(image).numbers[-1].complete


@pytest.mark.parametrize(
    ("ends", "kind"),
    [([(4, 4), (4, 4)], "point"), ([(6, 2), (2, 6)], "comma"), ([(2, 2), (6, 6)], "point")],
)
def test_a_short_comma_leans(ends, kind):
    ink = np.zeros((9, 9), np.uint8)
    cv2.line(ink, *ends, 1, 3)
    shape = Shape(1.0, 0.4, 0.2, 0.2, 0.02, ink)
    assert [found for found, _ in classify([shape])] == [kind]


def draw_strokes(*strokes) -> SimpleNamespace:
    """Straight strokes of a row as its ink, each from the first point to the second."""
    labels = np.zeros((48, 120), np.int32)
    boxes = [(0, 0, 120, 48, 0)]
    for label, (start, end) in enumerate(strokes, 1):
        own = cv2.line(np.zeros(labels.shape, np.uint8), start, end, 1, 3)
        labels[own > 0] = label
        boxes.append((*cv2.boundingRect(own), cv2.countNonZero(own)))
    return SimpleNamespace(labels=labels, stats=np.array(boxes, np.int32))


@pytest.mark.parametrize("lean", [0, 0.15, 0.3])
def test_strokes_beside_each_other_are_so_at_any_slant(lean):
    first, second = (((x + round(28 * lean), 10), (x, 38)) for x in (40, 48))
    above = ((44 + round(28 * lean), 2), (38 + round(28 * lean), 5))
    ink = draw_strokes(first, second, above)
    assert _least_covered(ink, 2, [1]) == 0
    assert _least_covered(ink, 3, [1]) > 0


@pytest.mark.parametrize("lean", [0, 0.3])
def test_a_comma_under_a_slanted_digit_is_its_own(lean):
    stroke = ((50 + round(28 * lean), 10), (50, 38))
    ink = draw_strokes(stroke, ((58, 36), (55, 44)))
    found = _are_marks(ink, _are_low(ink.stats, 28), 28)
    assert found.tolist() == [False, False, True]


@pytest.mark.parametrize(("left", "is_point"), [(38, True), (44, False)])
def test_the_foot_of_a_broken_stroke_is_no_comma(left, is_point):
    # Paper, a digit, and what is beside its foot: apart from it, or reaching below it.
    pieces = [(0, 0, 400, 48, 9000), (50, 10, 18, 28, 250), (left, 30, 10, 8, 60)]
    assert tell_marks(pieces) == [False, False, is_point]


@pytest.mark.parametrize(
    ("pieces", "are_points"),
    [
        ([(38, 18, 4, 4, 12), (39, 25, 4, 4, 12)], True),
        ([(42, 18, 4, 4, 12), (36, 28, 4, 4, 12)], True),  # slanted
        ([(36, 18, 4, 4, 12), (44, 26, 4, 4, 12)], False),
        ([(67, 18, 4, 4, 12), (66, 27, 4, 4, 12)], True),  # one below the edge of a slanted digit
        ([(38, 18, 4, 4, 12), (30, 18, 4, 4, 12)], False),
        ([(38, 18, 4, 4, 12), (38, 27, 4, 9, 24)], True),  # of a semicolon
        ([(38, 14, 3, 7, 18), (38, 24, 3, 7, 18)], False),  # a stroke with a gap
    ],
)
def test_the_dots_of_a_colon_belong_to_no_digit(pieces, are_points):
    marks = tell_marks([(0, 0, 400, 48, 9000), (50, 10, 18, 28, 250), *pieces])
    assert marks == [False, False, *[are_points] * 2]


def test_a_semicolon_separates(reader, one_of_each):
    image = write("28 42", one_of_each)
    x = 30 + 46 * 2 + SIDE // 2
    cv2.circle(image, (x, 95), 4, 40, -1, cv2.LINE_AA)
    cv2.line(image, (x + 2, 115), (x - 4, 128), 40, 5, cv2.LINE_AA)
    reading = reader.read(image)
    assert (reading.text, reading.complete) == ("28 42", True)


@pytest.mark.parametrize("left", [73, 76, 79, 82])
def test_a_point_below_the_end_of_a_7_joins(reader, one_of_each, left):
    image = write("75", one_of_each)
    assert not (image[110:, left - 5 : left + 8] < 150).any()
    cv2.circle(image, (left, 118), 3, 40, -1, cv2.LINE_AA)
    assert reader.read(image).text == "7.5"


def test_a_point_that_the_row_shows_beside_a_narrow_digit_is_not_lost(
    reader, one_of_each, change_row
):
    def show(probabilities: np.ndarray) -> None:
        one = np.flatnonzero(probabilities[1] > 0.5)[-1]
        probabilities[:, one + 2 : one + 4] = 0
        probabilities[POINT, one + 2 : one + 4] = 1

    image = write("18", one_of_each)
    assert reader.read(image).complete
    change_row(show)
    (number,) = reader.read(image).numbers
    assert (number.text, number.complete) == ("1?8", False)


@pytest.mark.parametrize("paler", [0.6, 0.45])
def test_one_dot_of_a_colon_may_be_faint(reader, one_of_each, paler):
    image = write("12:30", one_of_each).astype(np.float32)
    upper = image[: image.shape[0] // 2, 30 + 46 * 2 + 22 : 30 + 46 * 2 + 38]
    upper[:] = 235 - paler * (235 - upper)
    assert reader.read(image.astype(np.uint8)).text == "12 30"


@pytest.mark.parametrize(
    ("left", "height", "is_dash"), [(38, 4, True), (46, 4, False), (38, 8, False)]
)
def test_a_dash_beside_a_digit_is_no_part_of_it(left, height, is_dash):
    # Paper, a digit, and a horizontal stroke beside it or across it.
    pieces = [(0, 0, 400, 48, 9000), (50, 10, 18, 28, 250), (left, 22, 12, height, 12 * height)]
    assert tell_marks(pieces) == [False, False, is_dash]


@pytest.mark.parametrize("share", [0.02, 0.3, 0.45])
def test_a_bracket_that_may_be_a_digit_makes_a_number_incomplete(
    reader, one_of_each, change_row, share
):
    image = write("28 42", one_of_each)
    cv2.ellipse(image, (168, 100), (14, 26), 0, 100, 260, 40, 4, cv2.LINE_AA)
    assert reader.read(image).text == "28 42"

    def doubt(probabilities: np.ndarray) -> None:
        signs = probabilities[SIGN] > 0.5
        probabilities[:, signs] = 0
        probabilities[SIGN, signs], probabilities[1, signs] = 1 - share, share

    change_row(doubt)
    assert all(number.complete for number in reader.read(image).numbers) == (share < 0.2)


@pytest.mark.parametrize(
    ("strokes", "is_sign"),
    [
        ([(165, 70, 145, 128)], True),  # a slash
        ([(174, 92, 174, 112)], False),  # a piece beside the 4
        ([(132, 80, 176, 121), (132, 121, 176, 80)], False),  # wider than a times
    ],
)
def test_what_has_not_the_size_of_a_sign_makes_numbers_incomplete(
    reader, one_of_each, change_row, strokes, is_sign
):
    image = write("28 42", one_of_each)
    for x0, y0, x1, y1 in strokes:
        cv2.line(image, (x0, y0), (x1, y1), 40, 4, cv2.LINE_AA)

    change_row(shown_between_8_and_4({SIGN: 1}))
    numbers = reader.read(image).numbers
    assert any(number.complete for number in numbers) == is_sign
    assert "".join(number.text for number in numbers).replace("?", "") == "2842"


@pytest.mark.parametrize(
    ("width", "height", "is_sign"),
    [(12, 52, True), (12, 42, False), (20, 42, True), (42, 52, False), (24, 24, True)],
)
def test_signs_by_their_size(width, height, is_sign):
    mark = Mark("ink", (100, 0, width, height), 0, (100, 0, width, height))
    assert looks_like_sign(mark, SimpleNamespace(digit_height=40), []) == is_sign


@pytest.mark.parametrize("middle", [1.0, 0.8])
@pytest.mark.parametrize("kind", [SIGN, POINT])
def test_a_sign_that_touches_a_digit_is_not_lost(reader, one_of_each, change_row, kind, middle):
    image = write("28402", one_of_each)
    assert reader.read(image).text == "28402"

    def touch(probabilities: np.ndarray) -> None:
        first, second = np.flatnonzero(probabilities[[8, 4]].max(0) > 0.9)[[0, -1]]
        between = (first + second) // 2
        probabilities[:, between - 1 : between + 2] = 0
        probabilities[kind, between - 1 : between + 2] = 1, middle, 1
        probabilities[NONE, between] = 1 - middle

    change_row(touch)
    (number,) = reader.read(image).numbers
    assert (number.text, number.complete, number.unread) == ("28?402", False, 1)


@pytest.mark.parametrize("shown", [0.2, 1.0])
def test_a_pale_point_is_one_if_its_row_shows_it(reader, one_of_each, change_row, shown):
    image = write("28.402", one_of_each)
    assert reader.read(image).text == "28.402"
    point = image[110:130, 140:164]
    point[:] = 235 - np.uint8(0.4 * (235 - point))

    def show(probabilities: np.ndarray) -> None:
        points = probabilities[POINT] > 0.1
        probabilities[:, points] = 0
        probabilities[POINT, points], probabilities[NONE, points] = shown, 1 - shown

    change_row(show)
    assert reader.read(image).text == ("28.402" if shown == 1 else "28 402")


@pytest.mark.parametrize(
    ("digit", "left", "radius"), [(1, -4, 3), (1, -6, 4), (2, -3, 3), (2, -5, 4)]
)
def test_a_point_that_touches_the_foot_of_the_next_digit_is_not_lost(
    reader, one_of_each, digit, left, radius
):
    lefts = (30, 70, 120, 160)
    image = write_row(f"28{digit}5", one_of_each, lefts)
    foot = np.flatnonzero((image[88:98, lefts[2] : lefts[3]] < 150).any(0))[0]
    cv2.circle(image, (lefts[2] + int(foot) + left, 99), radius, 47, -1, cv2.LINE_AA)
    assert reader.read(image).text == f"28.{digit}5"


@pytest.mark.parametrize(("shown", "text"), [(0.6, "28.25"), (0.4, "2825")])
def test_low_ink_at_a_digit_is_a_point_where_the_row_shows_one(
    reader, one_of_each, change_row, shown, text
):
    lefts = (30, 70, 120, 160)
    image = write_row("2825", one_of_each, lefts)
    foot = np.flatnonzero((image[88:98, lefts[2] : lefts[3]] < 150).any(0))[0]
    cv2.circle(image, (lefts[2] + int(foot) - 3, 99), 3, 47, -1, cv2.LINE_AA)

    def show(probabilities: np.ndarray) -> None:
        points = probabilities[POINT]
        points *= shown / points.max()

    change_row(show)
    assert reader.read(image).text == text


@pytest.mark.parametrize(("away", "grey"), [(9, 47), (9, 190)], ids=["dark", "pale"])
def test_a_dot_apart_from_digits_is_judged_by_its_shape(
    reader, one_of_each, change_row, away, grey
):
    """That the row is half sure does not make a point of what is pale."""
    lefts = (30, 70, 140, 180)
    image = write_row("2825", one_of_each, lefts)
    foot = np.flatnonzero((image[88:98, lefts[2] : lefts[3]] < 150).any(0))[0]
    cv2.circle(image, (lefts[2] + int(foot) - away, 99), 3, grey, -1, cv2.LINE_AA)

    def show(probabilities: np.ndarray) -> None:
        points = probabilities[POINT]
        points *= 0.6 / points.max()

    change_row(show)
    assert (reader.read(image).text == "28.25") == (grey < 150)


@pytest.mark.parametrize(
    ("digit", "left", "radius"),
    [(3, -4, 2), (3, -3, 3), (5, -4, 3), (0, -4, 2), (0, -4, 3), (0, -3, 3)],
)
def test_a_colon_that_touches_the_next_digit_separates(reader, one_of_each, digit, left, radius):
    lefts = (30, 70, 124, 164)
    image = write_row(f"28{digit}4", one_of_each, lefts)
    ink = image[:, lefts[2] : lefts[3]] < 150
    edge = lefts[2] + int(np.flatnonzero(ink.any(0))[0])
    for y in (74, 90):
        cv2.circle(image, (edge + left, y), radius, 47, -1, cv2.LINE_AA)
    assert reader.read(image).text == f"28 {digit}4"


@pytest.mark.parametrize(("side", "kinds"), [(2, ["sign", "sign"]), (1, [])])
def test_the_dots_of_a_colon_may_be_smaller_than_a_point(side, kinds):
    dots = [Shape.from_ink(np.ones((side, side), np.uint8), 1.0, top, 40.0) for top in (-0.15, 0.3)]
    assert [kind for kind, _ in classify(dots)] == kinds
    assert classify(dots[1:]) == []


@pytest.mark.parametrize(("shown", "text"), [(0.7, "28.25"), (0.5, "28?25")])
def test_a_dot_that_is_unlikely_a_point_is_not_read_as_one(
    reader, one_of_each, change_row, shown, text
):
    image = write_row("2825", one_of_each, lefts := (30, 70, 124, 164))
    cv2.circle(image, (lefts[2], 99), 4, 47, -1, cv2.LINE_AA)

    def show(probabilities: np.ndarray) -> None:
        points = probabilities[POINT]
        points *= shown / points.max()

    change_row(show)
    assert reader.read(image).text == text
