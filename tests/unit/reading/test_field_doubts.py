"""Doubts that a field leaves, and those that it settles."""

import math
from dataclasses import replace

import pytest
from support.readings import make_digit, make_reading

from digitkit import Digit
from digitkit.reading.numbers.fields import Field
from digitkit.reading.numbers.finding import find_numbers
from digitkit.reading.numbers.fitting import apply_field
from digitkit.reading.results import Mark, Reading

ANY = Field(pattern=r"-?\d+([.,]\d+)?")


def place(text: str, *lefts: float, y: float = 0, h: float = 40, row: int = 0) -> list[Digit]:
    return [
        replace(make_digit({int(d): 0.999}, row=row), box=(round(x), round(y), 24, round(h)))
        for d, x in zip(text, lefts, strict=True)
    ]


def read(digits: list[Digit], *marks: Mark, gap: float | None = None) -> Reading:
    reading = replace(make_reading(*digits), marks=marks, gap=gap)
    return replace(reading, numbers=find_numbers(reading.digits, marks, gap=gap))


TORN = [*place("123", 0, 30, 60), *place("45", 92, 122, y=14, row=1)]
STACKED = [
    *place("5", 0, y=20),
    *place("3", 40, y=-8, h=28),
    *place("4", 40, y=40, h=28, row=1),
]
SPACED = place("1234", 0, 26, 68, 94)
CREASED = place("1234", 0, 30, 64, 94)
CREASE = Mark("line", (58, -10, 2, 60), 0)
UNIT = [*place("235", 0, 30, 60), *place("9", 110, y=12)]


@pytest.mark.parametrize(
    ("digits", "marks", "word"),
    [
        (TORN, [], "another row"),
        (STACKED, [], "fraction"),
        (SPACED, [], "may be between two numbers"),
        (CREASED, [CREASE], "crease"),
        (UNIT, [], "it may be a g"),
    ],
)
def test_a_field_that_anything_fits_leaves_all_doubts(digits, marks, word):
    reading = read(digits, *marks)
    assert any(word in reason for number in reading.numbers for reason in number.reasons)
    assert apply_field(reading, ANY).numbers == reading.numbers


@pytest.mark.parametrize("field", [Field(expect=4), Field(pattern=r"\d{4}")])
def test_a_field_settles_a_gap_if_no_part_fits(field):
    (number,) = apply_field(read(SPACED), field).numbers
    assert (number.text, number.complete, number.reasons) == ("1234", True, ())
    for parts in (r"\d{2}|\d{4}", r"12|1234", r"34|1234"):
        (number,) = apply_field(read(SPACED), Field(pattern=parts)).numbers
        assert (number.text, number.complete) == ("1234", False)


def test_a_field_settles_a_crease_if_the_whole_does_not_fit():
    reading = read(CREASED, CREASE)
    assert [number.complete for number in reading.numbers] == [False, False]
    fitted = apply_field(reading, Field(expect=2))
    assert [(number.text, number.complete) for number in fitted.numbers] == [
        ("12", True),
        ("34", True),
    ]
    fitted = apply_field(reading, Field(pattern=r"\d{2}|1234"))
    assert [number.complete for number in fitted.numbers] == [False, False]


def test_dropped_numbers_cast_doubt_on_others():
    fitted = apply_field(read(TORN), Field(expect=3))
    assert [number.text for number in fitted.dropped] == ["45"]
    (number,) = fitted.numbers
    assert (number.text, number.complete) == ("123", False)


def test_a_digit_in_doubt_is_not_left_out_silently():
    doubtful = make_digit({8: 0.7, 3: 0.2}, x=40, is_digit=0.5)
    reading = make_reading(make_digit({5: 0.999}, x=0), doubtful)
    assert reading.text == "5?"
    (number,) = apply_field(reading, ANY).numbers
    assert (number.text, number.complete) == ("5", False)
    assert number.reasons[1:] == ("a digit in doubt was left out, and may belong to it",)
    (number,) = apply_field(reading, Field(pattern=r"[0-6]+")).numbers
    assert (number.text, number.complete) == ("5", True)


LEFT_OUT = "a decimal separator or a minus was left out"


@pytest.mark.parametrize(
    ("before", "after", "signs", "doubts"),
    [
        ("?,50", "50", (), [LEFT_OUT]),
        ("50,?", "50", (), [LEFT_OUT]),
        ("5.?.0", "5.0", ((1, "."),), [LEFT_OUT]),
        ("5,?0", "5,0", ((1, ","),), []),
        ("5?,0", "5,0", ((1, ","),), []),
    ],
)
def test_signs_beside_a_digit_that_is_left_out_stay_between_digits(before, after, signs, doubts):
    digits, marks = list[Digit](), list[Mark]()
    for place, character in enumerate(before):
        x = 22 * place
        if character == "?":
            digits.append(replace(make_digit({7: 0.99}, is_digit=0.3), box=(x, 0, 20, 40)))
        elif character.isdecimal():
            digits.append(replace(make_digit({int(character): 0.999}), box=(x, 0, 20, 40)))
        else:
            marks.append(Mark("comma" if character == "," else "point", (x + 6, 34, 5, 8), 0))
    reading = read(digits, *marks)
    assert reading.text == before
    (number,) = apply_field(reading, Field(expect=2)).numbers
    assert (number.text, number.signs, list(number.reasons[1:])) == (after, signs, doubts)


@pytest.mark.parametrize(("gap", "texts"), [(0.5, ["1", "2"]), (math.inf, ["12"]), (None, ["12"])])
def test_numbers_are_separated_as_in_the_reading(gap, texts):
    reading = read(place("12", 0, 60), gap=gap)
    assert [number.text for number in reading.numbers] == texts
    fitted = apply_field(reading, ANY)
    assert fitted.numbers == reading.numbers
    assert [number.text for number in fitted.numbers] == texts
