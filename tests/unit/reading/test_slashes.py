"""Slashes and ticks that look like 1s."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from support.readings import make_digit
from support.rows import write_row

from digitkit.images.cv import cv2
from digitkit.reading.detection.detections import Detection
from digitkit.reading.digits.fusion import fuse_predictions
from digitkit.reading.digits.slashes import doubt_slashes, measure_lean
from digitkit.reading.networks.line_reader import SIGN
from digitkit.reading.rows.layout import RowDigit

HEIGHT = 60


def stroke(degrees: float) -> np.ndarray:
    """A straight stroke that leans to the right by an angle, bright on dark."""
    ink = np.zeros((HEIGHT + 8, 120), np.uint8)
    right = round(HEIGHT / 2 * np.tan(np.radians(degrees)))
    cv2.line(ink, (60 - right, HEIGHT + 3), (60 + right, 4), 255, 4)
    return ink


def row_digit(value: int, x: int, degrees: float = 0, row: int = 0) -> RowDigit:
    digit = make_digit({value: 0.99999}, x, row=row)
    digit = replace(digit, box=(x, 50 + 100 * row, 30, HEIGHT))
    return RowDigit(digit, Detection(digit.box, stroke(degrees)))


def around_high_1(degrees: float, above: int, below: int) -> list[RowDigit]:
    """A 5, a 1 that leans and extends beyond them by so many pixels, and an 8."""
    one = row_digit(1, 40, degrees)
    box = (40, 50 - above, 30, HEIGHT + above + below)
    return [row_digit(5, 0), replace(one, digit=replace(one.digit, box=box)), row_digit(8, 80)]


def accepted(
    row_digits: list[RowDigit], sign: float = 0.2, *, has_signs: bool = False
) -> list[bool]:
    """Which digits of rows that show 1s as signs with a probability stay accepted."""
    shown = np.zeros(15, np.float32)
    shown[SIGN] = sign
    line = SimpleNamespace(max_probabilities_near=lambda box: shown, signs=[object()] * has_signs)
    digits = [each.digit for each in row_digits]
    return [digit.accepted for digit in doubt_slashes(digits, row_digits, {0: line, 1: line})]


OTHERS = [row_digit(1, 0, 2, row=1), row_digit(4, 40, row=1), row_digit(1, 80, 4, row=1)]


@pytest.mark.parametrize("degrees", [-30, 0, 20, 45])
def test_the_lean_of_a_stroke(degrees):
    assert measure_lean(stroke(degrees)) == pytest.approx(degrees, abs=1.5)


def test_what_has_no_ink_does_not_lean():
    assert measure_lean(np.zeros((20, 20), np.uint8)) == 0


@pytest.mark.parametrize(
    ("degrees", "sign", "others", "is_one"),
    [
        (25, 0.2, OTHERS, False),
        (25, 0.05, OTHERS, True),  # the row shows no sign
        (8, 0.2, OTHERS, True),  # it does not lean
        (
            25,
            0.2,
            [row_digit(1, 0, 20, row=1), row_digit(1, 80, 22, row=1)],
            True,
        ),  # as all others do
        (25, 0.2, OTHERS[1:], True),  # there is too little to compare with
        (12, 0.2, OTHERS, True),
        (75, 0.2, OTHERS, True),  # a digit and a dash
    ],
)
def test_a_1_that_leans_more_than_others_may_be_a_slash(degrees, sign, others, is_one):
    row_digits = [row_digit(5, 0), row_digit(1, 40, degrees), row_digit(8, 80), *others]
    assert accepted(row_digits, sign) == [True, is_one, True] + [True] * len(others)


def test_a_slash_has_digits_close_on_both_sides():
    row_digits = [row_digit(5, 0), row_digit(1, 40, 25), row_digit(8, 120), *OTHERS]
    assert accepted(row_digits) == [True] * len(row_digits)


@pytest.mark.parametrize(
    ("degrees", "sign", "has_signs", "beyond", "is_one"),
    [
        (12, 0.05, True, 3, False),
        (12, 0.2, False, 3, True),  # the page has no signs
        (5, 0.2, True, 3, True),  # it is upright
        (12, 0.01, True, 3, True),  # the row shows no sign
        (12, 0.2, True, 1, True),  # as high as the digits beside it
    ],
)
@pytest.mark.parametrize("others", [[], OTHERS])
def test_a_1_that_reaches_beyond_the_digits_beside_it_may_be_a_slash(
    degrees, sign, has_signs, beyond, is_one, others
):
    row_digits = [*around_high_1(degrees, beyond, beyond), *others]
    kept = accepted(row_digits, sign, has_signs=has_signs)
    assert kept == [True, is_one, True] + [True] * len(others)


@pytest.mark.parametrize(("above", "below"), [(-3, 9), (9, -3)])
def test_a_slash_reaches_beyond_both_digits_together(above, below):
    row_digits = around_high_1(15, above, below)
    assert accepted(row_digits, 0.2, has_signs=True) == [True, False, True]


@pytest.mark.parametrize(
    ("degrees", "x", "others", "is_one"),
    [
        (45, 300, OTHERS, False),
        (75, 300, OTHERS, True),
        (30, 300, OTHERS, True),
        (45, 80, OTHERS, True),  # it ends a number
        (45, 300, [row_digit(1, 0, 32, row=1), row_digit(1, 80, 38, row=1)], True),
        (45, 300, [], True),
    ],
)
def test_a_1_alone_that_leans_far_more_than_others_is_a_tick(degrees, x, others, is_one):
    row_digits = [row_digit(5, 0), row_digit(8, 40), row_digit(1, x, degrees), *others]
    assert accepted(row_digits, 0.0) == [True, True, is_one] + [True] * len(others)


@pytest.mark.parametrize("shown", [0.2, 0.02])
def test_a_slash_of_a_page_is_in_doubt(reader, one_of_each, change_row, shown):
    """It stands where the row shows a 1 and, with a probability, a sign."""
    rows = [write_row(text, one_of_each, (30, 76, 108, 140)) for text in ("31  ", "41  ", "28 5")]
    page = np.vstack(rows)
    cv2.line(page, (128, 424), (157, 376), 40, 5, cv2.LINE_AA)

    def change(probabilities: np.ndarray) -> None:
        after, before = (np.flatnonzero(probabilities[digit] > 0.5) for digit in (8, 5))
        if len(after):
            middle = (after.max() + before.min()) // 2
            stroke = slice(middle - 2, middle + 3)
            probabilities[:, stroke] = 0
            probabilities[1, stroke], probabilities[SIGN, stroke] = 1 - shown, shown

    change_row(change)
    last = reader.read(page).numbers[-1]
    assert (last.guess, last.complete) == ("2815", shown < 0.1)


def test_signs_of_its_own_row_do_not_show_that_a_1_is_a_slash():
    row_digits = around_high_1(12, 3, 3)
    shown = np.full(15, 0.05, np.float32)
    line = SimpleNamespace(max_probabilities_near=lambda box: shown, signs=[object()])
    digits = [each.digit for each in row_digits]
    assert [d.accepted for d in doubt_slashes(digits, row_digits, {0: line})] == [True] * 3
    kept = [d.accepted for d in doubt_slashes(digits, row_digits, {0: line, 1: line})]
    assert kept == [True, False, True]


UP, DOWN, LEFT, RIGHT = (136, 60), (136, 96), (118, 78), (154, 78)


@pytest.mark.parametrize(
    ("rows", "strokes", "texts"),
    [
        (3, [((126, 103), (146, 52))], ["28", "5"]),
        (2, [((126, 103), (146, 52))], ["28?5"]),
        (3, [(UP, DOWN), (LEFT, RIGHT)], ["28?5"]),  # plus signs
    ],
)
def test_on_a_page_of_slashes_one_that_may_be_a_1_is_a_slash(
    reader, one_of_each, change_row, rows, strokes, texts
):
    lefts = (30, 72, 110, 148)
    page = [write_row("36 7", one_of_each, lefts) for _ in range(4)]
    for image in page[:rows]:
        for start, end in strokes:
            cv2.line(image, start, end, 40, 5, cv2.LINE_AA)
    page.append(write_row("28 5", one_of_each, lefts))
    cv2.line(page[-1], (126, 103), (146, 52), 40, 5, cv2.LINE_AA)

    def change(probabilities: np.ndarray) -> None:
        for left, right, sign in ((6, 7, 0.98), (8, 5, 0.6)):
            before, after = (np.flatnonzero(probabilities[digit] > 0.5) for digit in (left, right))
            if len(before) and len(after):
                middle = (before.max() + after.min()) // 2
                stroke = slice(middle - 4, middle + 5)
                probabilities[:, stroke] = 0
                probabilities[SIGN, stroke], probabilities[1, stroke] = sign, 0.95 * (1 - sign)

    change_row(change)
    found = [number.text for number in reader.read(np.vstack(page)).numbers if number.row == 4]
    assert found == texts


def test_without_1s_all_digits_stay():
    assert accepted([row_digit(5, 0), row_digit(8, 40)]) == [True, True]
    assert accepted([]) == []


def fuse_among(ones: int, lean: float, degrees: float, height: int = HEIGHT) -> list[RowDigit]:
    """What is left of a 1 that its row shows as a sign, beside others that lean by an angle.

    Args:
        ones: count of other 1s, which the row shows clearly.
        lean: theirs, degrees.
        degrees: the lean of the one in question.
        height: its height, pixels.
    """
    row_digits = [row_digit(1, 100 * i, lean) for i in range(ones)] + [row_digit(1, 900, degrees)]
    last = row_digits[-1]
    box = (900, 50, 30, height)
    row_digits[-1] = replace(last, digit=replace(last.digit, box=box))
    one, sign = np.zeros((2, 15), np.float32)
    one[1], sign[SIGN] = 0.99, 0.99
    line = SimpleNamespace(
        strip=SimpleNamespace(digit_height=HEIGHT),
        signs=[],
        count_signs=lambda box: 0,
        probabilities_at=lambda box: sign if box[0] == 900 else one,
    )
    return [each for each in fuse_predictions(row_digits, {0: line}, 0.1) if each.digit.box == box]


@pytest.mark.parametrize(
    ("ones", "lean", "degrees", "height", "is_kept"),
    [
        (3, 20, 22, 60, True),
        (2, 20, 22, 60, False),
        (3, 20, 28, 60, False),  # it leans more, as a slash does
        (3, 0, 2, 60, False),  # of upright ones nothing is known
        (3, 20, 22, 70, False),  # it is higher
    ],
)
def test_a_sign_that_leans_as_1s_do_is_a_doubtful_1(ones, lean, degrees, height, is_kept):
    assert [each.digit.accepted for each in fuse_among(ones, lean, degrees, height)] == (
        [False] * is_kept
    )
