"""Numbers that what is around them shows to be others than they seem to be."""

from dataclasses import replace

import pytest
from support.readings import make_digit

from digitkit.reading.numbers.finding import find_numbers
from digitkit.reading.results import Digit, Mark

HEIGHT = 60


def digit(value: int, x: int, y: int = 50, row: int = 0) -> Digit:
    return replace(make_digit({value: 0.99999}, x, row=row), box=(x, y, 30, HEIGHT))


@pytest.mark.parametrize(
    ("value", "lower", "gap", "is_doubted"),
    [
        (9, 18, 20, True),
        (8, 18, 20, True),
        (9, 8, 20, False),
        (9, -18, 10, False),
        (7, 18, 20, False),
        (9, 18, 10, False),  # a unit stands a little apart
    ],
)
def test_a_last_digit_that_hangs_may_be_the_unit_g(value, lower, gap, is_doubted):
    number, *_ = find_numbers([digit(2, 0), digit(5, 40), digit(value, 70 + gap, 50 + lower)])
    assert number.text == f"25{value}"
    reason = "digit 3 hangs below the line: it may be a g"
    assert number.reasons == ((reason,) if is_doubted else ())


@pytest.mark.parametrize("slope", [-8, 8, 12])
@pytest.mark.parametrize(("lower", "is_doubted"), [(0, False), (18, True)])
def test_in_a_row_that_slopes_no_digit_hangs_for_that(slope, lower, is_doubted):
    digits = [digit(value, 40 * i, 50 + slope * i) for i, value in enumerate((2, 5, 3))]
    (number,) = find_numbers([*digits, digit(9, 130, 50 + 3 * slope + lower)])
    reason = "digit 4 hangs below the line: it may be a g"
    assert number.reasons == ((reason,) if is_doubted else ())


@pytest.mark.parametrize(("middle", "is_doubted"), [(8, False), (-10, True)])
def test_digits_that_are_not_on_a_line_do_not_slope(middle, is_doubted):
    digits = [digit(2, 0), digit(5, 40, 50 + middle), digit(3, 80, 66), digit(9, 130, 80)]
    (number,) = find_numbers(digits)
    assert bool(number.reasons) == is_doubted


@pytest.mark.parametrize(
    ("value", "confidence", "height", "gap", "text", "is_doubted"),
    [
        (1, 0.98, 66, 25, "6?9", True),
        (1, 0.999, 66, 25, "6?9", False),  # surely a 1
        (7, 0.98, 66, 25, "6?9", False),
        (1, 0.98, 60, 25, "6?9", False),  # no higher than the digits
        (1, 0.98, 66, 12, "6?9", False),  # no space around it
        (1, 0.98, 66, 25, "46?9", True),
        (1, 0.98, 66, 25, "?69", False),
    ],
)
def test_a_1_with_space_around_it_may_be_a_slash(value, confidence, height, gap, text, is_doubted):
    stroke = replace(make_digit({value: confidence}, 0), accepted=True)
    digits, x = list[Digit](), 0
    for char in text:
        x += gap if digits and "?" in (char, text[len(digits) - 1]) else 5
        width, top = (14, 83 - height) if char == "?" else (30, 23)
        each = stroke if char == "?" else digit(int(char), 0)
        digits.append(replace(each, box=(x, top, width, height if char == "?" else HEIGHT)))
        x += width
    (number,) = find_numbers(digits)
    place = text.index("?") + 1
    assert number.reasons == ((f"digit {place} may be a slash",) if is_doubted else ())
    if is_doubted:
        whole = text.replace("?", "1")
        (number,) = find_numbers(digits, gap=9.0)
        assert (number.text, number.complete) == (whole, True)
        x, y, w, h = digits[-2].box
        sides = [Mark("side", (each, y - 20, 1, 100), 0) for each in (x - 14, x + w + 10, x + 64)]
        (number,) = find_numbers(digits, sides)
        assert (number.text, number.complete) == (whole, True)
        comma = Mark("comma", (x - 12, y + h - 8, 6, 14), 0)
        assert not any("slash" in doubt for doubt in find_numbers(digits, [comma])[0].reasons)


@pytest.mark.parametrize(("gap", "is_doubted"), [(70, True), (130, False)])
def test_a_9_behind_a_number_may_be_its_unit(gap, is_doubted):
    first, second = find_numbers([digit(2, 0), digit(5, 40), digit(9, 70 + gap, 68)])
    assert first.complete
    assert (second.text, second.complete) == ("9", not is_doubted)


@pytest.mark.parametrize(
    ("x", "lower", "is_doubted"),
    [(80, 40, True), (80, 52, False), (140, 40, False)],
)  # fmt: skip
def test_digits_of_two_rows_that_are_nearly_level_may_be_one_number(x, lower, is_doubted):
    numbers = find_numbers([digit(7, 0), digit(9, 40), digit(5, x, 50 + lower, row=1)])
    assert [number.text for number in numbers] == ["79", "5"]
    reasons = ("a digit close beside it is in another row",) if is_doubted else ()
    assert {number.reasons for number in numbers} == {reasons}


@pytest.mark.parametrize(
    ("line_rows", "x", "is_doubted"),
    [
        ((1, 2), 75, True),
        ((0, 1), 92, True),
        ((0, 1), 22, True),
        ((1,), 75, False),
        ((1, 2), 145, False),
    ],
    ids=[
        "in two other rows",
        "through a digit",
        "through the end of the first digit",
        "in one other row",
        "at the end",
    ],
)
def test_a_number_across_a_line_between_columns_may_be_two(line_rows, x, is_doubted):
    number, *_ = find_numbers(
        [digit(value, 40 * place) for place, value in enumerate((4, 2, 1, 7))]
        + [digit(5, 0, 50 + 130 * row, row) for row in (1, 2)],
        [Mark("line", (x, 20 + 130 * row, 3, 130), row) for row in line_rows],
    )
    assert number.text == "4217"
    reasons = ("it goes across a line between columns",) if is_doubted else ()
    assert number.reasons == reasons


@pytest.mark.parametrize("apart", [150, 210, 300])
def test_boxes_for_a_digit_each_are_no_columns(apart):
    """Two rows of boxes of a form, one above the other."""
    rows = ("4217", "5386")
    digits = [
        digit(int(text), 50 * place, 50 + apart * row, row)
        for row, value in enumerate(rows)
        for place, text in enumerate(value)
    ]
    lines = [
        Mark("line", (50 * place - 11, 20 + apart * row, 3, 120), row)
        for row in range(len(rows))
        for place in range(5)
    ]
    for number in find_numbers(digits, lines):
        assert "it goes across a line between columns" not in number.reasons


@pytest.mark.parametrize(
    ("top", "others", "is_doubted"),
    [
        (62, [(70, 115)], True),  # the denominator under the last digit
        (105, [(70, 52)], True),  # the numerator over it
        (62, [(0, 145), (70, 115)], False),  # a row close below
        (62, [(70, 155)], False),  # below the line
        (62, [(0, 145)], False),
    ],
)
def test_a_last_digit_over_or_under_another_may_be_of_a_fraction(top, others, is_doubted):
    digits = [digit(5, 0, 80), replace(digit(3, 70), box=(70, top, 26, 44))]
    for x, y in others:
        digits.append(replace(digit(4, x, row=1), box=(x, y, 26, 44)))
    number, *_ = find_numbers(digits)
    assert number.text == "53"
    assert ("digit 2 may be of a fraction" in number.reasons) == is_doubted
