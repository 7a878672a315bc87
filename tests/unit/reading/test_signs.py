"""Signs around numbers that are larger than digits: roots, divisions and arrows."""

from types import SimpleNamespace

import numpy as np
import pytest
from support.rows import shown_between_8_and_4, write_row

from digitkit.images.cv import cv2
from digitkit.reading.marks.kinds import _tell_apart
from digitkit.reading.marks.signs import may_lead
from digitkit.reading.networks.line_reader import LETTER, SIGN, SPOILED
from digitkit.reading.results import Mark
from digitkit.reading.rows.shapes import Shape

UNIT = 40


def draw(image: np.ndarray, *points: tuple[int, int]) -> None:
    """Draw a stroke into a grey page."""
    cv2.polylines(image, [np.array(points, np.int32)], False, 60, 3, cv2.LINE_AA)


def shape_of(*points: tuple[int, int], thick: int = 4) -> Shape:
    """A stroke as a shape; pixels of a strip with digits of `UNIT` pixels."""
    ink = np.zeros((120, 240), np.uint8)
    cv2.polylines(ink, [np.array(points, np.int32)], False, 1, thick)
    x, y, width, height = cv2.boundingRect(ink)
    return Shape.from_ink(ink[y : y + height, x : x + width], x / UNIT, y / UNIT - 1.5, UNIT)


@pytest.mark.parametrize("rise", [-6, 0, 6])
def test_a_number_under_a_root_is_complete(reader, one_of_each, rise):
    page = write_row("529", one_of_each, lefts=[60, 106, 152])
    draw(page, (20, 84), (28, 78), (38, 104), (54, 44), (200, 44 - rise))
    (number,) = reader.read(page).numbers
    assert (number.text, number.complete) == ("529", True)


def test_a_roof_is_no_part_of_what_stands_before_the_digits():
    root = shape_of((10, 60), (20, 55), (32, 90), (48, 30), (150, 30))
    hook = root.without_roof
    assert hook.left == root.left
    assert hook.width < 0.5 * root.width
    assert hook.area == pytest.approx(hook.ink.sum() / UNIT**2)


@pytest.mark.parametrize(
    "points",
    [
        [(10, 40), (60, 40), (30, 95)],  # a high 7
        [(10, 40), (150, 40), (150, 95)],  # the corner of a box
        [(10, 40), (150, 40)],
        [(10, 40), (50, 40), (50, 54), (30, 54), (30, 40), (10, 40), (10, 110)],  # a raised 0
        [(10, 20), (10, 110)],
        [(30, 30), (24, 60), (30, 95)],
    ],
)
def test_what_has_no_roof_stays_as_it_is(points):
    shape = shape_of(*points)
    assert shape.without_roof is shape


@pytest.mark.parametrize(("end", "head"), [(206, 8), (226, 8), (226, 12)])
def test_an_arrow_is_one_sign(reader, one_of_each, end, head):
    left = end + 10
    page = write_row("28 40", one_of_each, lefts=[30, 76, 122, left, left + 46])
    draw(page, (146, 80), (end, 80))
    draw(page, (end - head, 80 - head), (end, 80), (end - head, 80 + head))
    assert [(n.text, n.complete) for n in reader.read(page).numbers] == [("28", True), ("40", True)]


@pytest.mark.parametrize(
    ("points", "is_dash"),
    [
        ([(10, 60), (36, 60)], True),
        ([(10, 62), (36, 58)], True),
        ([(10, 60), (40, 60), (32, 55), (40, 60), (32, 65)], False),
        ([(40, 60), (10, 60), (18, 55), (10, 60), (18, 65)], False),
    ],
    ids=["dash", "sloping dash", "arrow", "arrow to the left"],
)
def test_an_arrow_is_no_dash(points, is_dash):
    assert shape_of(*points, thick=5).is_dash == is_dash


def tell_apart(
    shown: dict[int, float],
    box: tuple[int, int, int, int],
    *,
    kind: str = "ink",
    digit_is_letter: float = 0.0,
) -> str:
    """What ink beside a digit of 30×40 pixels at 60, 0 is by what the row shows."""
    probabilities = np.zeros(15, np.float32)
    for output, probability in shown.items():
        probabilities[output] = probability
    beside = np.zeros(15, np.float32)
    beside[LETTER] = digit_is_letter
    line = SimpleNamespace(
        signs=[],
        is_among_slashes=False,
        strip=SimpleNamespace(digit_height=40, locate=lambda boxes: np.array([[0.0, 1.0]])),
        max_probabilities_near=lambda box, width: probabilities,
        digit_probability_at_sign=lambda box: float(probabilities[:SIGN].sum()),
        probabilities_at=lambda box: beside,
    )
    one = SimpleNamespace(row_box=(60, 0, 30, 40), box=(60, 0, 30, 40), accepted=True)
    mark = Mark(kind, box, 0, box)
    return _tell_apart(mark, probabilities, 91, line, [SimpleNamespace(digit=one)])


@pytest.mark.parametrize(
    ("letter", "digit", "width", "kind"),
    [
        (0.92, 0.05, 20, "letter"),
        (0.85, 0.05, 20, "ink"),
        (0.99, 0.3, 20, "ink"),
        (0.99, 0.05, 10, "ink"),  # as narrow as a 1
        (0.99, 0.05, 150, "ink"),  # a spot
    ],
)
def test_a_letter_that_touches_a_digit_is_clearly_one(letter, digit, width, kind):
    assert tell_apart({LETTER: letter, 3: digit}, (91, -6, width, 46)) == kind


@pytest.mark.parametrize(
    ("spoiled", "digit", "kind"), [(0.95, 0.1, "ink"), (0.95, 0.03, "letter"), (0.6, 0.1, "letter")]
)
def test_what_may_be_a_digit_that_is_struck_out_is_no_letter(spoiled, digit, kind):
    assert tell_apart({LETTER: 0.99, SPOILED: spoiled, 3: digit}, (91, 0, 30, 40)) == kind


def test_what_may_be_a_leaning_1_is_no_letter():
    assert tell_apart({LETTER: 0.99, SIGN: 0.8, 1: 0.15}, (91, 0, 20, 40)) == "ink"


@pytest.mark.parametrize(("digit_is_letter", "kind"), [(0.01, "letter"), (0.2, "ink")])
def test_beside_a_letter_that_looks_like_a_digit_it_is_ink(digit_is_letter, kind):
    box = (91, 0, 20, 40)
    assert tell_apart({LETTER: 0.99}, box, digit_is_letter=digit_is_letter) == kind


@pytest.mark.parametrize(
    ("sign", "digit", "height", "kind"),
    [
        (0.85, 0.01, 20, "sign"),
        (0.7, 0.01, 20, "ink"),
        (0.85, 0.1, 20, "ink"),
        (0.85, 0.15, 36, "ink"),
    ],
)
def test_a_low_sign_may_touch_a_digit(sign, digit, height, kind):
    assert tell_apart({SIGN: sign, 5: digit}, (91, 10, 18, height)) == kind


def test_the_dots_of_a_colon_are_signs_whatever_the_row_shows():
    box = (91, 10, 8, 8)
    assert tell_apart({7: 0.9}, box, kind="sign") == "sign"
    assert tell_apart({7: 0.9}, box) == "ink"


@pytest.mark.parametrize(("spoiled", "expected"), [(0.1, ["28", "45"]), (0.8, ["28?45"])])
def test_a_letter_between_digits_separates(reader, one_of_each, change_row, spoiled, expected):
    page = write_row("2845", one_of_each, lefts=[30, 76, 146, 192])
    draw(page, (132, 60), (132, 100))
    draw(page, (132, 82), (142, 78), (146, 100))
    change_row(shown_between_8_and_4({LETTER: 0.99, SPOILED: spoiled}))
    assert [number.text for number in reader.read(page).numbers] == expected


@pytest.mark.parametrize(("shown", "complete"), [(1.0, [True, True]), (0.96, [False])])
def test_a_slash_may_be_as_narrow_and_low_as_a_1(reader, one_of_each, change_row, shown, complete):
    page = write_row("2845", one_of_each, lefts=[30, 76, 138, 184])
    draw(page, (134, 100), (142, 62))
    change_row(shown_between_8_and_4({SIGN: shown, 1: 1 - shown}))
    assert [number.complete for number in reader.read(page).numbers] == complete


@pytest.mark.parametrize(
    ("shown", "digit", "kind"), [(0.6, 0.1, "letter"), (0.6, 0.3, "ink"), (0.4, 0.1, "ink")]
)
def test_a_long_scribble_is_a_sign_if_it_is_shown_as_one_and_as_no_digit(shown, digit, kind):
    assert tell_apart({LETTER: shown, 3: digit}, (110, 10, 50, 25)) == kind


@pytest.mark.parametrize(
    ("before", "behind", "may_be_one"),
    [
        ([], [], True),
        ([(6, 30)], [], False),  # a digit that a slash separates
        ([(-4, 30)], [], True),  # one that is much further away
        ([], [(220, 8)], False),  # a bracket that closes
        ([], [(420, 8)], True),
    ],
)
def test_a_stroke_before_a_number_may_be_a_1(before, behind, may_be_one):
    def row_digit(x: int, width: int) -> SimpleNamespace:
        return SimpleNamespace(digit=SimpleNamespace(row_box=(x, 50, width, UNIT), accepted=True))

    line = SimpleNamespace(
        strip=SimpleNamespace(digit_height=UNIT), digit_probability_at_sign=lambda box: 0.1
    )
    stroke = Mark("sign", (50, 50, 12, UNIT), 0)
    own = [row_digit(x, width) for x, width in [*before, (66, 30), (100, 30), (180, 30)]]
    marks = [stroke, *(Mark("sign", (x, 50, width, UNIT), 0) for x, width in behind)]
    assert may_lead(stroke, marks, line, own) == may_be_one
    colon = [Mark("sign", (44, y, 4, 4), 0) for y in (60, 80)]
    assert may_lead(stroke, [*marks, *colon], line, own) == may_be_one
