"""Gaps between columns, which go on in other rows."""

from dataclasses import replace

import pytest
from support.readings import make_digit

from digitkit.reading.numbers.finding import find_numbers
from digitkit.reading.results import Digit, Mark, Number

HEIGHT, WIDTH, GAP = 60, 24, 5


def write(rows: list[list[str]], pitch: int, first: int = 0) -> list[Digit]:
    """Numbers in columns that begin at multiples of the pitch; empty ones leave room."""
    digits = []
    for row, numbers in enumerate(rows):
        for column, text in enumerate(numbers):
            for place, char in enumerate(text):
                x = first + column * pitch + place * (WIDTH + GAP)
                box = (x, 50 + 100 * row, WIDTH, HEIGHT)
                digits.append(replace(make_digit({int(char): 0.99999}, row=row), box=box))
    return digits


def texts(numbers: tuple[Number, ...]) -> list[list[str]]:
    rows = sorted({number.row for number in numbers})
    return [[number.text for number in numbers if number.row == row] for row in rows]


WEEKS = [
    ["", "", "", "", "", "2", "3"],
    ["4", "5", "6", "7", "8", "9"],
    ["11", "12", "13", "14", "15", "16", "17"],
    ["18", "19", "20", "21", "22", "23", "24"],
]


@pytest.mark.parametrize("pitch", [86, 92, 100])
def test_single_digits_of_a_calendar_are_numbers_of_their_own(pitch):
    numbers = find_numbers(write(WEEKS, pitch))
    assert texts(numbers) == [[each for each in week if each] for week in WEEKS]


@pytest.mark.parametrize(
    "others",
    [
        [],
        [["11", "12"]],  # only one gap goes on in it
        [["1", "", "", "", "", "9"]],
        [["456789"]],
    ],
)
def test_a_row_of_wide_gaps_is_one_number_without_columns(others):
    first, *_ = texts(find_numbers(write([["4", "5", "6", "7", "8", "9"], *others], 86)))
    assert first == ["456789"]


def test_a_number_below_columns_that_go_on_in_it_is_doubted():
    weeks = [["11", "12", "13", "14"], ["18", "19", "20", "21"]]
    digits = write(weeks, 90)
    for place, char in enumerate("25262728"):
        x = 90 * (place // 2) + 33 * (place % 2)
        box = (x, 250, 50 if place % 2 else 30, HEIGHT)
        digits.append(replace(make_digit({int(char): 0.99999}, row=2), box=box))
    *_, last = find_numbers(digits)
    assert last.text == "25262728"
    assert "gaps between numbers of other rows go on between its digits" in last.reasons


def test_numbers_that_gaps_of_other_rows_meet_are_not_doubted():
    digits = write([["11", "12", "13"], ["456789"], ["14", "15", "16"]], 90)
    numbers = find_numbers(digits)
    assert texts(numbers) == [["11", "12", "13"], ["456789"], ["14", "15", "16"]]
    assert all(number.complete for number in numbers)


def spread(text: str, gaps: list[int], row: int) -> list[Digit]:
    """Digits with these gaps before them, pixels."""
    digits, x = [], 0
    for char, gap in zip(text, gaps, strict=True):
        box = (x + gap, 50 + 100 * row, WIDTH, HEIGHT)
        digits.append(replace(make_digit({int(char): 0.99999}, row=row), box=box))
        x += gap + WIDTH
    return digits


def test_gaps_like_those_within_numbers_of_other_rows_do_not_separate():
    squares = spread("8073", [0, 34, 34, 34], row=0)
    others = spread("12345678", [0, 30, 92, 30, 90, 30, 92, 30], row=1)
    assert texts(find_numbers([*squares, *others])) == [["8073"], ["12", "34", "56", "78"]]


def test_a_number_whose_gaps_are_alike_is_not_doubted_for_those_of_other_rows():
    digits = spread("595671", [20, 8, 8, 8, 8, 8], row=0)
    digits += spread("112233", [0, 4, 36, 4, 36, 4], row=1)
    numbers = find_numbers(digits)
    assert texts(numbers) == [["595671"], ["11", "22", "33"]]
    assert all(number.complete for number in numbers)


@pytest.mark.parametrize(
    ("places", "goes_on", "is_complete"),
    [([57], True, False), ([-7, 57, 125], True, True), ([-7, 57, 125], False, False)],
)
def test_one_line_between_two_numbers_may_be_a_crease_and_a_grid_is_none(
    places, goes_on, is_complete
):
    marks = [Mark("line", (place, 0, 2, 160), 0) for place in places]
    if goes_on:
        marks += [Mark("line", (place, 100, 2, 160), 1) for place in places]
    first, second, *_ = find_numbers(write([["11", "12"], ["3", "4"]], 62), marks)
    assert (first.complete, second.complete) == (is_complete, is_complete)


@pytest.mark.parametrize("gap", [32, 36])
def test_a_loose_number_under_two_columns_is_not_divided(gap):
    digits = write([["12", "34"], ["12", "34"]], 123)
    digits += spread("782", [34, gap, gap], row=2)
    *_, last = find_numbers(digits)
    assert last.text == "782"


def test_combs_below_each_other_are_no_table():
    digits, marks = [], []
    for row, text in enumerate(["12345", "67890"]):
        for place, char in enumerate(text):
            box = (50 * place + 13, 50 + 240 * row, WIDTH, HEIGHT)
            digits.append(replace(make_digit({int(char): 0.99999}, row=row), box=box))
        marks += [Mark("line", (50 * i - 1, 40 + 240 * row, 2, 80), row) for i in range(6)]
    assert texts(find_numbers(digits, marks)) == [["12345"], ["67890"]]
