"""Points, commas and colons: those that are pale, and which of them a page uses."""

import numpy as np
import pytest
from support.readings import make_digit
from support.rows import shown_between_8_and_4, write_row

from digitkit.images.cv import cv2
from digitkit.reading.networks.line_reader import NONE, POINT, SIGN
from digitkit.reading.numbers.finding import find_numbers
from digitkit.reading.results import Mark, MarkKind, Number

KINDS: dict[str, MarkKind] = {".": "point", ",": "comma", "-": "dash", "+": "sign"}


def read(*texts: str) -> tuple[Number, ...]:
    """The numbers of a page with each of these texts in a row of its own."""
    digits, marks = [], []
    for row, text in enumerate(texts):
        x = 40
        for char in text:
            if char.isdecimal():
                digits.append(make_digit({int(char): 0.99999}, x, row=row))
                x += 40
            else:
                y = 78 if char == "-" else 104
                marks.append(Mark(KINDS[char], (x - 8, y + 100 * row, 6, 6), row))
    return find_numbers(digits, marks)


@pytest.mark.parametrize(
    ("texts", "is_complete"),
    [
        (["3,50", "12,75", "8,20", "4.95"], False),
        (["3.50", "12.75", "8.20", "4,95"], False),
        (["-3,50", "12,75", "8,20", "-4.95"], False),
        (["0,5", "12,7", "8,2", "1.2"], False),
        (["3,50", "12,75", "4.95"], True),  # too few
        (["3,50", "12,75", "8,20", "1.25", "4.95"], True),  # too many
        (["3,50", "12,75", "8,20", "1.234"], True),  # thousands
        (["1,234", "5,678", "12,500", "0.125"], True),
        (["3,50", "12,75", "8,20", "4.5"], True),
        (["3,50", "12,75", "8,20", "7.3.12"], True),
        (["3,50", "12,75", "8,20", "495"], True),
    ],
)
def test_a_page_has_one_decimal_separator(texts, is_complete):
    numbers = read(*texts)
    assert [number.text for number in numbers] == texts
    assert [number.complete for number in numbers] == [True] * (len(texts) - 1) + [is_complete]


@pytest.mark.parametrize(
    ("text", "is_complete"),
    [
        ("1,2,5", False),
        ("1,234,567", True),
        ("12,34,567", False),
        ("1234,567,890", False),
        ("1,25", True),
        ("7.3.12", True),
    ],
)
def test_several_commas_separate_thousands_or_a_list(text, is_complete):
    (number,) = read(text)
    assert (number.text, number.complete) == (text, is_complete)


def put_dots(page: np.ndarray, x: int, *heights: int, grey: int = 130) -> None:
    """Draw small pale dots into a grey page, blurred as a camera does."""
    layer = np.zeros_like(page)
    for y in heights:
        cv2.circle(layer, (x, y), 2, 255, -1, cv2.LINE_AA)
    layer = cv2.GaussianBlur(layer, (0, 0), 1.0)
    page[:] = np.minimum(page, 235 - (235 - grey) * (layer / 255.0)).astype(np.uint8)


@pytest.mark.parametrize(
    ("shown", "grey", "text"),
    [(0.95, 140, "28.45"), (0.95, 120, "28.45"), (0.7, 140, "28?45"), (0.95, 225, "28?45")],
)
def test_a_point_may_be_too_pale_for_the_mask(reader, one_of_each, change_row, shown, grey, text):
    page = write_row("2845", one_of_each, (30, 76, 134, 180))
    put_dots(page, 135, 98, grey=grey)
    change_row(shown_between_8_and_4({POINT: shown, NONE: 1 - shown}))
    assert reader.read(page).text == text


@pytest.mark.parametrize(("shown", "text"), [(0.57, "28?45"), (0.5, "2845")])
def test_a_point_may_be_between_digits_without_ink_of_its_own(
    reader, one_of_each, change_row, shown, text
):
    page = write_row("2845", one_of_each, (30, 76, 122, 168))
    change_row(shown_between_8_and_4({POINT: shown, NONE: 1 - shown}))
    assert reader.read(page).text == text


@pytest.mark.parametrize("shown", [0.2, 0.07])
@pytest.mark.parametrize(("rows", "text"), [(3, "39?04"), (2, "3904")])
def test_on_a_page_of_decimals_a_point_is_seen_sooner(
    reader, one_of_each, change_row, shown, rows, text
):
    page = [write_row("39 04", one_of_each, (30, 76, 105, 134, 180))]
    for number in ("28 45", "71 36", "50 62")[:rows]:
        page.append(write_row(number, one_of_each, (30, 76, 105, 134, 180)))
        cv2.circle(page[-1], (134, 102), 4, 47, -1, cv2.LINE_AA)

    def change(probabilities: np.ndarray) -> None:
        is_9, is_0 = (np.flatnonzero(probabilities[digit] > 0.5) for digit in (9, 0))
        if len(is_9) and len(is_0):
            between = slice(is_9.max() + 3, is_0.min() - 2)
            probabilities[:, between] = 0
            probabilities[[POINT, NONE], between] = [[shown], [1 - shown]]

    change_row(change)
    first, *others = reader.read(np.vstack(page)).numbers
    assert [number.text for number in others] == ["28.45", "71.36", "50.62"][:rows]
    assert first.text == text


def test_the_pale_foot_of_a_digit_is_no_point(reader, one_of_each, change_row):
    page = write_row("2845", one_of_each, (30, 76, 134, 180))
    for x in range(128, 148):
        put_dots(page, x, 98)
    change_row(shown_between_8_and_4({POINT: 0.95, NONE: 0.05}))
    assert reader.read(page).text == "28?45"


@pytest.mark.parametrize(
    ("kind", "texts"), [(SIGN, ["28", "45"]), (POINT, ["28?45"])], ids=["sign", "point"]
)
def test_pale_dots_one_above_the_other_are_a_colon(reader, one_of_each, change_row, kind, texts):
    page = write_row("2845", one_of_each, (30, 76, 134, 180))
    put_dots(page, 135, 74, 96)
    change_row(shown_between_8_and_4({kind: 0.95, NONE: 0.05}))
    assert [number.text for number in reader.read(page).numbers] == texts


def test_two_dots_apart_from_digits_are_a_colon_though_rather_a_point_is_shown(
    reader, one_of_each, change_row
):
    page = write_row("2845", one_of_each, (30, 76, 134, 180))
    put_dots(page, 135, 74, 96)
    change_row(shown_between_8_and_4({SIGN: 0.3, POINT: 0.65}))
    assert [number.text for number in reader.read(page).numbers] == ["28", "45"]


def test_the_stroke_of_a_digit_is_no_dot_of_a_colon(reader, one_of_each, change_row):
    page = write_row("2845", one_of_each, (30, 76, 134, 180))
    put_dots(page, 135, 96)
    cv2.line(page, (132, 62), (146, 74), 120, 4, cv2.LINE_AA)
    change_row(shown_between_8_and_4({SIGN: 0.3, POINT: 0.65}))
    assert not all(number.complete for number in reader.read(page).numbers)


def test_a_dash_is_not_the_upper_dot_of_a_colon(reader, one_of_each, change_row):
    page = write_row(" 45", one_of_each, (30, 76, 122))
    cv2.line(page, (58, 82), (72, 82), 40, 5, cv2.LINE_AA)
    put_dots(page, 65, 100)

    def change(probabilities: np.ndarray) -> None:
        dash = probabilities[SIGN] > 0.3
        probabilities[:, dash] = 0
        probabilities[SIGN, dash] = 1

    change_row(change)
    assert reader.read(page).text == "-45"


def in_row(*parts: tuple[str, float]) -> tuple[Number, ...]:
    """The numbers of a row of digits, 30 pixels wide, and marks, each so far behind the last one.

    Distances are in heights of the digits, of 60 pixels; ``M`` is a letter.
    """
    digits, marks, x = [], [], 0.0
    for text, gap in parts:
        x += 60 * gap
        for char in text:
            if char.isdecimal():
                digits.append(make_digit({int(char): 0.99999}, round(x)))
                x += 34
            elif char == "M":
                marks.append(Mark("letter", (round(x), 50, 40, 60), 0))
                x += 40
            else:
                box = (round(x), 78, 24, 6) if char in "-+" else (round(x), 102, 8, 8)
                marks.append(Mark(KINDS[char], box, 0))
                x += box[2] + 4
    return find_numbers(digits, marks)


@pytest.mark.parametrize(
    ("parts", "texts", "are_complete"),
    [
        ([("24.12.", 0), ("186", 0.9)], ["24.12", "186"], True),
        ([("24.12.", 0), ("2024", 0.9)], ["24.12?", "?2024"], False),  # its year
        ([("24.12.", 0), ("18", 0.9), ("+", 0.1), ("30", 0.1)], ["24.12", "18", "30"], True),
        ([("24.12.", 0), ("M", 0.5), ("M", 0.1)], ["24.12"], True),
        ([("3.10.", 0), ("22", 0.5)], ["3.10?", "?22"], False),
        ([("7.", 0), ("M", 0.35), ("M", 0.1)], ["7"], True),
        ([("12,", 0), ("M", 0.35), ("5", 0.1)], ["12?", "5"], False),  # a misread digit
        ([("42,-", 0)], ["42"], True),
        ([("42.-", 0), ("17", 1.2)], ["42", "17"], True),
        ([("42,", 0), ("-", 0.5)], ["42"], True),
        ([("42,-7", 0)], ["42?", "7"], False),
    ],
)
def test_separators_that_end_a_number(parts, texts, are_complete):
    numbers = in_row(*parts)
    assert [number.text for number in numbers] == texts
    assert all(number.complete for number in numbers) == are_complete
