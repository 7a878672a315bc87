"""Digits to numbers: what separates them, what joins them, and what makes them incomplete."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.readings import make_digit, make_reading

from digitkit.reading.detection.order import number_rows
from digitkit.reading.numbers.finding import find_candidates, find_numbers
from digitkit.reading.numbers.spacing import choose_gap
from digitkit.reading.results import Digit, Mark, MarkKind, Number

HEIGHT = 60  # of the digits of `make_digit`, at y = 50


def sure(value: int, x: int, *, row: int = 0, y: int = 50) -> Digit:
    return replace(make_digit({value: 0.99999}, x, row=row), box=(x, y, 30, HEIGHT))


def unsure(value: int, x: int, row: int = 0) -> Digit:
    return make_digit({value: 0.7}, x, row=row)


def in_a_row(text: str, start: int = 0, gap: int = 10, row: int = 0) -> list[Digit]:
    return [
        sure(int(d), start + (30 + gap) * i, row=row, y=50 + 100 * row) for i, d in enumerate(text)
    ]


def mark(kind: MarkKind, x: int, y: int, w: int, h: int) -> Mark:
    return Mark(kind, (x, y, w, h), 0)


def texts(digits, *marks: Mark, gap=None) -> list[str]:
    return [number.text for number in find_numbers(digits, marks, gap=gap)]


POINT, COMMA = mark("point", 32, 102, 6, 6), mark("comma", 32, 100, 6, 18)


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        ((), ["75"]),
        ((POINT,), ["7.5"]),
        ((COMMA,), ["7,5"]),
        ((mark("sign", 32, 70, 6, 20),), ["7", "5"]),
        ((mark("dash", 32, 78, 6, 4),), ["7", "5"]),
        ((mark("line", 34, 0, 1, 200),), ["7", "5"]),
        ((mark("ink", 32, 60, 6, 40),), ["7?5"]),
        ((mark("letter", 32, 60, 6, 40),), ["7", "5"]),
        # A slash across a dotted line.
        ((mark("sign", 31, 40, 10, 80), mark("point", 33, 102, 4, 4)), ["7", "5"]),
        # Pieces of a digit that nobody reads, two of which look like a colon.
        (
            (mark("ink", 31, 60, 8, 30), mark("sign", 32, 55, 4, 4), mark("sign", 33, 92, 4, 4)),
            ["7?5"],
        ),
    ],
)
def test_what_is_between_two_digits(between, expected):
    numbers = find_numbers([sure(7, 0), sure(5, 40)], between)
    assert [number.text for number in numbers] == expected
    assert all(number.complete == ("?" not in number.text) for number in numbers)


@pytest.mark.parametrize(
    ("gap", "expected"), [(12, ["7,5"]), (22, ["7?", "?5"]), (30, ["7", "5"]), (60, ["7", "5"])]
)
def test_a_comma_with_a_space_behind_it_is_that_of_a_list(gap, expected):
    numbers = find_numbers([sure(7, 0), sure(5, 38 + gap)], [COMMA])
    assert [number.text for number in numbers] == expected
    assert all(number.complete == ("?" not in number.text) for number in numbers)
    # A separator with as much room before it joins.
    wide = find_numbers([sure(7, 0), sure(5, 56 + 22)], [replace(COMMA, box=(50, 100, 6, 18))])
    assert [number.text for number in wide] == ["7,5"]


@pytest.mark.parametrize(("before", "expected"), [(16, ["37,45"]), (10, ["37?", "?45"])])
def test_a_comma_nearer_to_the_number_before_it_does_not_join(before, expected):
    left = 36 + before + 20
    digits = [sure(3, -40), sure(7, 0), sure(4, left), sure(5, left + 40)]
    assert texts(digits, mark("comma", 30 + before, 100, 6, 18)) == expected


@pytest.mark.parametrize(
    ("inner", "gap", "at", "is_split"),
    [
        (10, 10, 5, True),
        (10, 15, 8, True),
        (10, 15, -2, True),  # at the edge of the 8
        (10, 21, 10, False),  # wider than the others
        (20, 28, 14, False),  # wider than those of any number
        (20, 22, 11, True),
        (10, 60, 30, False),
    ],
)
def test_a_line_between_digits_as_close_as_those_of_one_number_may_be_a_crease(
    inner, gap, at, is_split
):
    end = 60 + inner
    digits = [*in_a_row("28", gap=inner), *in_a_row("793", start=end + gap, gap=inner)]
    numbers = find_numbers(digits, [mark("line", end + at, 0, 1, 160)])
    assert [number.text for number in numbers] == ["28", "793"]
    assert [number.complete for number in numbers] == [not is_split] * 2


def test_a_line_beside_a_sign_or_a_decimal_is_no_crease():
    digits = [*in_a_row("28"), *in_a_row("793", start=90)]
    marks = [mark("line", 76, 0, 1, 160), mark("sign", 80, 50, 6, 60)]
    numbers = find_numbers(digits, marks)
    assert [(n.text, n.complete) for n in numbers] == [("28", True), ("793", True)]
    digits = [sure(3, 0), sure(5, 66), *in_a_row("28", start=118)]
    marks = [mark("point", 45, 104, 6, 6), mark("line", 106, 0, 1, 160)]
    numbers = find_numbers(digits, marks)
    assert [(n.text, n.complete) for n in numbers] == [("3.5", True), ("28", True)]


@pytest.mark.parametrize(
    ("top", "height", "is_raised"), [(45, 30, True), (80, 30, False), (45, 50, False)]
)
def test_a_small_raised_digit_may_be_an_exponent(top, height, is_raised):
    last = replace(sure(2, 80), box=(80, top, 18, height))
    (number,) = find_numbers([sure(9, 0), sure(4, 40), last])
    reasons = ("digit 3 is raised, as in an exponent, a fraction or cents",) if is_raised else ()
    assert (number.guess, number.reasons) == ("942", reasons)
    # Where others follow on the line, it is a small digit of a number.
    small = replace(last, box=(40, *last.box[1:]))
    (whole,) = find_numbers([sure(9, 0), small, sure(4, 68)])
    assert (whole.text, whole.complete) == ("924", True)


@pytest.mark.parametrize(
    ("text", "kinds", "is_doubted"),
    [
        ("310 22", "..", True),  # 3.10. 22
        ("11 24", "..", True),
        ("350 40", "..", False),  # 3.50. 40: there is no such month
        ("325 14", "..", False),
        ("310 22", ",,", False),  # a list of decimals
        ("310 22", ".,", False),
    ],
)
def test_the_second_point_of_a_date_is_no_full_stop(text, kinds, is_doubted):
    before, after = text.split()
    digits, marks, x = list[Digit](), list[Mark](), 0
    for place, value in enumerate(before):
        digits.append(sure(int(value), x))
        x += 40
        if place in (0, len(before) - 1):
            marks.append(mark("point" if kinds[len(marks)] == "." else "comma", x - 6, 102, 6, 6))
            x += 8
    digits += in_a_row(after, start=x + 26)
    numbers = find_numbers(digits, marks)
    assert [number.complete for number in numbers] == [not is_doubted] * 2
    assert numbers[1].text.endswith(after)


@pytest.mark.parametrize(("height", "is_complete"), [(60, True), (46, False), (30, False)])
def test_a_power_before_a_product_is_raised(height, is_complete):
    exponent = replace(sure(6, 80), box=(80, 40, 20, height))
    digits = [sure(1, 0), sure(0, 40), exponent, sure(3, 120)]
    (number,) = find_numbers(digits, [mark("point", 108, 102, 6, 6)])
    assert number.complete == is_complete
    assert any("digit 3 is raised" in reason for reason in number.reasons) != is_complete


@pytest.mark.parametrize(
    ("y", "gap", "is_raised"), [(14, 30, True), (40, 30, False), (14, 5, False), (86, 30, False)]
)
def test_a_numerator_is_raised(y, gap, is_raised):
    (number,) = find_numbers([sure(8, 0), sure(5, 30 + gap, y=y)])
    reasons = ("digit 2 is raised, as in an exponent, a fraction or cents",) if is_raised else ()
    assert (number.guess, number.reasons) == ("85", reasons)


@pytest.mark.parametrize(
    ("before", "after", "others", "text"),
    [
        (18, 18, (), "27"),  # as on a page
        (18, 18, (sure(3, 150),), "-27"),  # it is subtracted from
        (6, 24, (), "-27"),
    ],
)
def test_a_number_between_two_dashes_is_not_negative(before, after, others, text):
    dashes = [mark("dash", x, 78, 20, 5) for x in (-20 - before, 70 + after)]
    number, *_ = find_numbers([sure(2, 0), sure(7, 40), *others], dashes)
    assert (number.text, number.complete) == (text, True)


SLASH = mark("sign", 90, 45, 20, 70)


def test_a_space_before_a_fraction_that_is_as_wide_as_others_is_doubted():
    digits = [sure(3, 0), sure(5, 58), sure(7, 114), *in_a_row("284", gap=26, row=1)]
    number, *_ = find_numbers(digits, [SLASH])
    assert (number.text, number.reasons) == ("35", ("a fraction may begin after digit 1",))


@pytest.mark.parametrize(
    ("whole", "sign", "others", "expected"),
    [
        (0, SLASH, (), ["3", "5", "7"]),
        (30, SLASH, (), ["35", "7"]),  # too close
        (0, replace(SLASH, box=(110, 45, 20, 70)), (), ["35", "7"]),  # no closer to the slash
        (0, replace(SLASH, box=(90, 70, 20, 20)), (), ["35", "7"]),  # an operator
        (0, SLASH, in_a_row("28", gap=28, row=1), ["35", "7", "28"]),  # a wide hand
        (0, SLASH, in_a_row("28", gap=4, row=1), ["3", "5", "7", "28"]),
    ],
)
def test_a_mixed_number_is_a_whole_number_and_a_fraction(whole, sign, others, expected):
    digits = [sure(3, whole), sure(5, 58), sure(7, sign.box[0] + 24), *others]
    assert texts(digits, sign) == expected
    assert texts(digits, sign, gap=1.0)[0] == "35"
    # Neither in front of a bracket, nor in boxes for one digit each.
    assert texts([*digits[:2], *others], sign)[0] == "35"
    sides = [mark("side", x, 40, 1, 80) for x in (-6, 48, 102)]
    assert texts(digits, sign, *sides)[0] == "35"


@pytest.mark.parametrize(
    ("bottoms", "height", "is_raised"),
    [((90, 90), 48, True), ((103, 90), 48, False), ((90, 90), 62, False)],
)
def test_underlined_cents_are_raised(bottoms, height, is_raised):
    cents = [
        replace(sure(9, x), box=(x, bottom - height, 30, height))
        for x, bottom in zip((80, 120), bottoms, strict=True)
    ]
    (number,) = find_numbers([sure(8, 0), sure(4, 40), *cents])
    reasons = ("digit 3 is raised, as in an exponent, a fraction or cents",) if is_raised else ()
    assert (number.guess, number.reasons) == ("8499", reasons)


def test_the_digits_after_a_high_1_are_no_cents():
    one = replace(sure(1, 10), box=(10, 40, 14, 84))
    last = [replace(sure(9, x), box=(x, 50, 30, 52)) for x in (40, 80)]
    (number,) = find_numbers([one, *last])
    assert number.complete


def test_single_digits_of_a_page_of_numbers_are_not_one_number():
    digits = [digit for row in range(3) for digit in in_a_row("284", row=row)]
    singles = in_a_row("7684", gap=90, row=3)
    assert texts([*digits, *singles])[-4:] == ["7", "6", "8", "4"]
    assert texts(in_a_row("7684", gap=90)) == ["7684"]  # a wide hand


def test_a_separator_that_joins_nothing_is_never_lost():
    # Too far from the 5: either a list, "7, 5", or a number that breaks off.
    assert texts([sure(7, 0), sure(5, 120)], COMMA) == ["7", "5"]
    number, _ = find_numbers([sure(7, 0), sure(5, 80)], [COMMA, mark("sign", 50, 70, 20, 20)])
    assert (number.text, number.complete) == ("7?", False)
    (number,) = find_numbers([sure(5, 40)], [POINT])
    assert (number.text, number.complete) == ("?5", False)
    assert number.reasons == ("ink on its left cannot be read",)
    assert texts([sure(5, 0)], mark("point", 32, 102, 6, 6)) == ["5"]  # of a sentence


@pytest.mark.parametrize(
    ("before", "expected"), [((), "-5"), ((0,), None), ((-130,), "-5"), ((-40,), "-5")]
)
def test_a_minus_leads_a_number_unless_it_stands_between_two(before, expected):
    digits = [*(sure(3, x) for x in before), sure(5, 60)]
    dash = mark("dash", 36, 76, 16, 5)
    assert texts(digits, dash)[-1] == (expected or "5")
    signs = find_numbers(digits, [dash])[-1].signs
    assert signs == (((0, "-"),) if expected else ())


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (mark("line", 70, 0, 2, 160), "-5"),
        (mark("sign", 50, 70, 24, 20), "-5"),  # the sign of a sum
        (mark("sign", 60, 40, 12, 80), "5"),  # a bracket that closes
        (mark("letter", 50, 60, 24, 40), "5"),
        (mark("letter", 26, 60, 24, 40), "-5"),  # the end of a word
        (sure(5, 26), "5"),
    ],
)
def test_a_minus_may_be_close_to_a_line_and_an_operator(before, text):
    dash = mark("dash", 84, 78, 24, 5)
    digits = [before] if isinstance(before, Digit) else []
    marks = [dash] if digits else [before, dash]
    assert texts([*digits, sure(5, 120)], *marks)[-1] == text


@pytest.mark.parametrize(
    ("gap", "text"), [(20, "-5"), (35, "-5"), (50, "-5"), (75, "-5"), (90, "5")]
)
def test_a_dash_that_begins_a_row_may_be_a_minus(gap, text):
    (number,) = find_numbers([sure(5, 100 + gap)], [mark("dash", 84, 76, 16, 5)])
    assert number.text == text
    doubtful = 0.5 * HEIGHT < gap < 1.3 * HEIGHT
    assert number.reasons == (("the dash on its left may be a minus",) if doubtful else ())


def test_a_doubtful_digit_in_a_cell_of_its_own_is_a_number():
    row = [sure(7, 0), sure(2, 40), unsure(5, 400)]
    seven, five = find_numbers(row)
    assert (seven.text, five.text, five.guess, five.complete) == ("72", "?", "5", False)
    assert five.reasons == ("digit 1 is doubtful (5 at 70%)",)
    assert texts([*row[:2], unsure(5, 400, row=1)]) == ["72"]  # in no row of a digit
    assert texts([*row[:2], make_digit({5: 0.4}, 400)]) == ["72"]  # likely none
    low = replace(row[2], box=(400, 80, 30, 30))
    assert texts([*row[:2], low]) == ["72"]


def test_a_heading_above_a_table_leaves_its_columns():
    table = [*in_a_row("12", 0, row=1), *in_a_row("34", 600, row=1), *in_a_row("5", 300, row=2)]
    heading = in_a_row("1234567890123456")
    places = {n.text: (n.row, n.column) for n in find_numbers([*heading, *table])}
    assert places == {"1234567890123456": (0, 0), "12": (1, 0), "34": (1, 2), "5": (2, 1)}
    text = [*in_a_row("12", 0), *in_a_row("34", 200), *in_a_row("5678", 60, row=1)]
    text += in_a_row("90", 400, row=1)
    assert [n.column for n in find_numbers(text)] == [0, 1, 0, 1]  # places in the row


def test_a_few_numbers_across_two_columns_leave_these():
    digits = [sure(1, 200 * column, row=row) for row in range(4) for column in range(3)]
    wide = in_a_row("234567", 10, row=4)  # across the first two
    assert wide[-1].box[0] > 200
    numbers = find_numbers([*digits, *wide, sure(1, 400, row=4)])
    assert [n.column for n in numbers] == [*(0, 1, 2) * 4, 0, 2]
    many = [each for row in range(4, 8) for each in in_a_row("234567", 10, row=row)]
    many += [sure(1, 400, row=row) for row in range(4, 8)]
    assert [n.column for n in find_numbers([*digits, *many])] == [*(0, 1, 2) * 4, *(0, 1) * 4]


def test_ink_that_touches_a_doubtful_digit_is_no_minus():
    digits = [sure(7, 0), unsure(4, 40), sure(2, 90)]
    assert texts(digits, mark("dash", 71, 76, 12, 5)) == ["7?2"]


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ((10, 80, 10), ["12", "34"]),
        ((10, 12, 9), ["1234"]),
        ((50, 60, 45), ["1234"]),  # a wide hand
        ((90, 95, 85), ["1234"]),  # a very wide one
        ((20, 22, 130), ["123", "4"]),
        ((25, 70, 25), ["12", "34"]),  # two groups
    ],
)
def test_gaps_are_measured_against_the_row(gaps, expected):
    x, digits = 0, []
    for value, gap in zip((1, 2, 3, 4), (*gaps, 0), strict=True):
        digits.append(sure(value, x))
        x += 30 + gap
    assert texts(digits) == expected
    assert texts(digits, gap=0.01) == list("1234")
    assert texts(digits, gap=math.inf) == ["1234"]


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        ((mark("sign", 2, 60, 22, 22),), "?5"),
        ((mark("dash", 0, 78, 12, 4), mark("dash", 16, 78, 10, 4)), "?5"),
        ((mark("dash", 12, 78, 14, 4),), "-5"),
        ((mark("sign", 64, 60, 22, 22),), "5?"),
    ],
    ids=["plus before", "two dashes", "minus", "plus after"],
)
def test_what_is_beside_the_only_number_belongs_to_it(signs, expected):
    (number,) = find_numbers([sure(5, 30)], signs, gap=math.inf)
    assert number.text == expected
    assert number.complete == (expected == "-5")


@pytest.mark.parametrize(
    ("row", "limit"),
    [
        ([0.74, 0.91, 0.29], 1.0),  # one small gap proves nothing where others are usual
        ([0.33, 0.27, 0.74, 0.3], 0.74),  # two numbers
        ([0.1, 0.1, 0.8], 0.8),
    ],
)
def test_rows_with_few_gaps_are_measured_against_the_page(row, limit):
    page = [*row, 0.59, 0.75, 0.48, 0.4, 0.54, 0.46]
    found = choose_gap(row, page, table=False)
    assert found == limit if limit < 1 else found > limit


def test_two_digits_alone_are_one_number_unless_far_apart():
    assert texts([sure(4, 0), sure(7, 80)]) == ["47"]
    assert texts([sure(4, 0), sure(7, 150)]) == ["4", "7"]


def test_columns_of_single_digits_are_numbers():
    table = [
        sure(d, x, row=row, y=50 + 100 * row) for row in range(4) for d, x in ((1, 0), (7, 100))
    ]
    numbers = find_numbers(table)
    assert [(n.text, n.row, n.column) for n in numbers] == [
        (text, row, column) for row in range(4) for column, text in enumerate("17")
    ]


@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize(
    ("row", "limit"),
    [
        ([0.15, 0.12, 0.58, 0.16, 0.15, 0.52, 0.15, 0.66], 0.52),  # groups of one number
        ([0.15, 0.12, 0.6, 0.16, 0.15, 0.34, 0.15, 0.66], 0.6),  # too small for one between two
        ([0.15, 0.12, 0.62, 0.16, 0.15, 0.42, 0.15, 0.66], 0.62),  # not like the others
        ([0.4, 0.45, 0.5, 0.6, 0.7, 0.85, 1.0, 1.2], None),  # no leap
    ],
)
def test_gaps_that_are_alike_separate_alike(row, limit, table):
    page = [*row, 0.15, 0.12, 0.16]
    found = choose_gap(row, page, table=table)
    if limit is None:
        assert found > 0.58
    else:
        assert [gap >= found for gap in row] == [gap >= limit for gap in row]


@pytest.mark.parametrize(
    ("row", "are_clear"),
    [
        ([0.1, 0.2, 0.15, 0.2, 0.47, 0.12, 0.2, 0.5], True),
        ([0.1, 0.2, 0.15, 0.2, 0.12, 0.47], False),  # one may be that of a broad digit
        ([0.1, 0.2, 0.47, 0.2, 0.5], False),  # too few
        ([0.1, 0.2, 0.15, 0.2, 0.4, 0.12, 0.42], False),  # too narrow
        ([0.1, 0.26, 0.3, 0.2, 0.47, 0.12, 0.2, 0.5], False),  # not clear
    ],
)
def test_clear_gaps_separate_though_they_are_narrow(row, are_clear):
    assert (choose_gap(row, row, table=False) <= 0.5) == are_clear
    # In a table, the gaps of other rows do not make them less clear.
    assert (choose_gap(row, [*row, *(0.3, 0.35, 0.4, 0.45, 0.5)], table=True) <= 0.5) == are_clear


@pytest.mark.parametrize(
    ("text", "gap", "within", "is_complete"),
    [
        ("1234", 0.45, 0.1, False),
        ("1234", 0.3, 0.1, True),  # it does not stand out enough
        ("1234", 0.45, 0.25, True),  # all are wide
        ("123", 0.45, 0.1, True),  # one digit may stand a little apart
        ("12345678", 0.45, 0.1, False),
    ],
)
def test_a_gap_that_stands_out_may_be_between_two_numbers(text, gap, within, is_complete):
    half = len(text) // 2
    first = in_a_row(text[:half], gap=round(within * HEIGHT))
    start = first[-1].box[0] + 30 + round(gap * HEIGHT)
    digits = [*first, *in_a_row(text[half:], start, gap=round(within * HEIGHT))]
    (number,) = find_numbers(digits)
    assert (number.text, number.complete) == (text, is_complete)
    if not is_complete:
        assert number.reasons == (f"the gap after digit {half} may be between two numbers",)
    (number,) = find_numbers(digits, gap=1.0)
    assert number.complete  # as the caller says


@pytest.mark.parametrize(
    ("texts_of", "gap", "is_complete"),
    [
        (("1", "20", "39", "40"), 0.4, False),
        (("1", "20", "39", "40"), 0.3, True),  # rather a loose hand
        (("1", "20", "3"), 0.4, True),
    ],
)
def test_some_numbers_between_wide_gaps_may_be_single_digits(texts_of, gap, is_complete):
    digits, x = [], 0
    for text in texts_of:
        digits += in_a_row(text, x, gap=round(0.1 * HEIGHT))
        x = digits[-1].box[0] + 30 + round(gap * HEIGHT)
    (number,) = find_numbers(digits)
    assert (number.guess, number.complete) == ("".join(texts_of), is_complete)


@pytest.mark.parametrize(("gap", "within", "is_complete"), [(0.3, 0.1, False), (0.3, 0.2, True)])
def test_several_gaps_that_stand_out_may_be_between_numbers(gap, within, is_complete):
    digits, x = [], 0
    for text in ("14", "78", "39"):
        digits += in_a_row(text, x, gap=round(within * HEIGHT))
        x = digits[-1].box[0] + 30 + round(gap * HEIGHT)
    (number,) = find_numbers(digits)
    assert (number.text, number.complete) == ("147839", is_complete)
    if not is_complete:
        assert number.reasons == (
            "the gap after digit 2 may be between two numbers",
            "the gap after digit 4 may be between two numbers",
        )


@pytest.mark.parametrize("degrees", [-6, 5, 6])
def test_a_sparse_table_that_is_askew_keeps_its_columns(degrees):
    turn = complex(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
    cells = [(r, c) for r in range(20) for c in range(3) if (r, c) not in ((4, 0), (9, 1), (12, 0))]
    digits = []
    for row, column in cells:
        for place in range(3):
            at = complex(300 * column + 40 * place, 100 * row) * turn
            digits.append(sure(place, 400 + round(at.real), row=row, y=200 + round(at.imag)))
    assert [(n.row, n.column) for n in find_numbers(digits)] == cells


def test_cells_of_a_sparse_table_keep_their_columns():
    cells = {(0, 0): "12", (0, 2): "7", (1, 1): "345", (2, 0): "6", (2, 2): "89"}
    digits = [
        digit
        for (row, column), text in cells.items()
        for digit in in_a_row(text, 300 * column, row=row)
    ]
    found = {(n.row, n.column): n.text for n in find_numbers(digits)}
    assert found == cells


def test_doubt_is_shown_and_explained():
    cut = replace(sure(9, 80), accepted=False, cut=True)
    (number,) = find_numbers([sure(1, 0), unsure(8, 40), cut])
    assert (number.text, number.guess, number.complete) == ("1??", "189", False)
    assert number.reasons == ("digit 2 is doubtful (8 at 70%)", "digit 3 is cut by the border")
    (number,) = find_numbers([sure(1, 0), sure(8, 40)], [mark("ink", 72, 60, 20, 40)])
    assert (number.text, number.guess) == ("18?", "18")
    assert number.reasons == ("ink on its right cannot be read",)


def test_ink_far_away_and_doubtful_digits_alone_are_no_numbers():
    assert texts([sure(1, 0)], mark("ink", 200, 60, 20, 40)) == ["1"]
    assert texts([unsure(1, 0), unsure(2, 40)]) == []
    assert [n.text for n in find_candidates([unsure(1, 0), unsure(2, 40)])] == ["??"]


def test_a_long_number_is_as_sure_as_its_digits():
    (seven,), (ten,) = (find_numbers(in_a_row(text)) for text in ("1234567", "1234567890"))
    assert seven.confidence == pytest.approx(ten.confidence, abs=0.01)
    doubtful = [*in_a_row("123456789"), unsure(1, 9 * 46)]
    assert find_numbers(doubtful)[0].confidence < ten.confidence


def test_confidence_falls_with_doubt():
    clear, doubtful = in_a_row("1984"), in_a_row("1984")
    doubtful[2] = replace(make_digit({8: 0.92}, 80), box=doubtful[2].box)
    assert doubtful[2].accepted
    high, low = (find_numbers(digits)[0].confidence for digits in (clear, doubtful))
    assert 0 < low < high < 1


def test_numbers_of_a_reading():
    reading = make_reading(*in_a_row("12"), *in_a_row("3", row=1), *in_a_row("45", 300, row=1))
    assert reading.text == "12\n3 45"
    assert [[n.text for n in row] for row in reading.rows] == [["12"], ["3", "45"]]
    assert reading.complete
    assert reading.confidence == pytest.approx(math.prod(n.confidence for n in reading.numbers))
    assert make_reading().confidence is None


def test_rows_are_numbered_from_the_top_whatever_was_accepted_when():
    def at(row, *, accepted=True):
        return replace(sure(3, 0, row=row), accepted=accepted)

    # The second one was in doubt when the rows were found, the third one is now.
    digits = [at(0), at(2), at(1, accepted=False)]
    numbered, marks = number_rows(digits, [Mark("ink", (2, 90, 30, 60), 2)], [0, 2, 1])
    assert [(digit.row, digit.accepted) for digit in numbered] == [(0, True), (1, True), (2, False)]
    assert [each.row for each in marks] == [1]
    left, _ = number_rows([at(0), at(2, accepted=False)], [], [0, 1, 2])
    assert [digit.row for digit in left] == [0, 1]  # nothing is left in row 1


KINDS: list[MarkKind] = ["point", "comma", "dash", "sign", "line", "side", "letter", "ink"]


@st.composite
def rows_of_digits(draw):
    """A page of digits and marks, none over another, in rows 100 pixels apart."""
    digits, marks = [], []
    for row in range(draw(st.integers(1, 3))):
        x = draw(st.integers(0, 60))
        for _ in range(draw(st.integers(1, 7))):
            x += draw(st.integers(2, 160))
            if draw(st.booleans()) and draw(st.booleans()):
                w = draw(st.integers(2, 30))
                kind = draw(st.sampled_from(KINDS))
                marks.append(Mark(kind, (x, 60 + 100 * row, w, draw(st.integers(4, 40))), row))
                x += w
                continue
            value, w = draw(st.integers(0, 9)), draw(st.integers(8, 50))
            make = sure if draw(st.integers(0, 4)) else unsure
            digits.append(replace(make(value, x, row=row), box=(x, 50 + 100 * row, w, 60)))
            x += w
    return digits, marks


def contents(numbers: tuple[Number, ...]) -> list[tuple[str, int, int]]:
    return [(number.text, number.row, number.column) for number in numbers]


@settings(max_examples=300, deadline=None)
@given(page=rows_of_digits(), gap=st.sampled_from([None, 0.3, 1.0, math.inf]))
def test_each_accepted_digit_is_in_exactly_one_number(page, gap):
    digits, marks = page
    numbers = find_numbers(digits, marks, gap=gap)
    used = [id(digit) for number in numbers for digit in number.digits]
    assert len(used) == len(set(used))
    assert {id(digit) for digit in digits if digit.accepted} <= set(used)
    for number in numbers:
        shown = sum(sign not in ".,-" for sign in number.text)
        assert shown >= len(number.digits)
        assert not number.complete or number.guess == number.text
        assert number.complete == (not number.reasons)
        assert all(digit.row == number.row for digit in number.digits)
        assert 0 <= number.confidence <= 1
    # Those of a row do not overlap.
    for row in {number.row for number in numbers}:
        spans = [(n.box[0], n.box[0] + n.box[2]) for n in numbers if n.row == row]
        assert all(a[1] <= b[0] for a, b in pairwise(spans))


@settings(max_examples=200, deadline=None)
@given(
    page=rows_of_digits(),
    scale=st.sampled_from([1, 2, 3, 7]),
    shift=st.tuples(st.integers(0, 500), st.integers(0, 500)),
)
def test_numbers_are_the_same_at_any_scale_and_place(page, scale, shift):
    digits, marks = page

    def move(item):
        x, y, w, h = item.box
        box = (x * scale + shift[0], y * scale + shift[1], w * scale, h * scale)
        return replace(item, box=box)

    moved = find_numbers([move(digit) for digit in digits], [move(mark) for mark in marks])
    # All but what depends on the height in pixels: large writing is a little more reliable.
    before = find_numbers(digits, marks)
    assert [(n.guess, n.row, n.column) for n in moved] == [
        (n.guess, n.row, n.column) for n in before
    ]
    assert [n.text for n in moved] == [n.text for n in before]


@settings(max_examples=100, deadline=None)
@given(
    counts=st.lists(st.integers(2, 5), min_size=1, max_size=3),
    jitter=st.lists(st.integers(-2, 2), min_size=15, max_size=15),
)
def test_small_changes_of_gaps_change_nothing(counts, jitter):
    x, digits, expected = 0, [], []
    for count in counts:
        expected.append("8" * count)
        for _ in range(count):
            digits.append(sure(8, x + jitter[len(digits)]))
            x += 42
        x += 90
    assert texts(digits) == expected


@pytest.mark.parametrize("gap", [0, 0.01])
def test_the_least_gap_may_be_next_to_nothing(gap):
    assert texts(in_a_row("123"), gap=gap) == ["1", "2", "3"]


def test_boxes_without_a_size_are_no_error():
    digits = [replace(sure(value, 0), box=(5, 5, 0, 0)) for value in (1, 2)]
    assert sorted("".join(texts(digits))) == ["1", "2"]


@pytest.mark.parametrize("x", [0, 7, 1237])
def test_equal_gaps_separate_alike_wherever_they_are(x):
    gaps = [18, 18, 18, 48, 18, 18, 18, 48, 18, 18, 18]  # the usual one, and more than twice that
    digits = []
    for gap in [0, *gaps]:
        x += gap
        digits.append(sure(8, x))
        x += 30
    assert texts(digits) == ["8888"] * 3


@pytest.mark.parametrize(("x", "expected"), [(-33, "7"), (-16, "?7"), (-6, "?7")])
def test_the_point_of_an_abbreviation_is_nearer_to_its_letter(x, expected):
    marks = mark("letter", -46, 70, 12, 30), mark("point", x, 102, 4, 4)
    assert texts([sure(7, 0)], *marks) == [expected]


TICKS = [mark("line", x, 40, 2, 70) for x in (-6, 34, 74, 114)]


@pytest.mark.parametrize(
    ("text", "lines", "expected"),
    [
        ("758", TICKS, ["758"]),
        # Two digits between two lines; lines that are not evenly spaced; too few.
        ("7582", [*TICKS[:2], TICKS[3], mark("line", 194, 40, 2, 70)], ["7", "58", "2"]),
        ("758", [*TICKS[:3], mark("line", 140, 40, 2, 70)], ["7", "5", "8"]),
        ("75", TICKS[:2], ["7", "5"]),
        # They go on in the next row.
        ("758", [*TICKS, Mark("line", (34, 140, 2, 70), 1)], ["7", "5", "8"]),
    ],
)
def test_the_boxes_of_a_form_for_one_digit_each_do_not_separate(text, lines, expected):
    assert texts(in_a_row(text), *lines) == expected


@pytest.mark.parametrize(
    ("places", "sides", "expected"),
    [
        ((0, 1, 2), (0, 1, 2, 3), ["758"]),
        ((0, 1, 2), (0, 2, 3), ["758"]),  # one side was not seen
        ((0, 1, 3), (0, 1, 2, 3), ["75", "8"]),  # the last digit is in no box
        ((0, 1, 3), (0, 1, 2, 3, 4), ["75", "8"]),  # a box is empty
        ((0, 1, 2), (), ["7", "58"]),
    ],
)
def test_digits_in_neighbouring_boxes_are_one_number(places, sides, expected):
    """Though one is at the left end of its box, and the next at the right end."""
    lefts = [140 * place + 70 * (place == 1) for place in places]
    digits = [sure(int(d), x) for d, x in zip("758", lefts, strict=True)]
    marks = [mark("side", 140 * place - 20, 40, 2, 90) for place in sides]
    assert texts(digits, *marks) == expected


@pytest.mark.parametrize("space", [20, 50, 90])
def test_groups_of_boxes_are_numbers_of_their_own(space):
    """As for a date: the space between two groups is narrower than a box, or wider."""
    edges, digits = [0], []
    for i, digit in enumerate("12052026"):
        if i in (2, 4):
            edges.append(edges[-1] + space)
        digits.append(sure(int(digit), edges[-1] + 22))
        edges.append(edges[-1] + 75)
    sides = [mark("side", x, 40, 2, 90) for x in edges]
    assert texts(digits, *sides) == ["12", "05", "2026"]


def test_frames_of_whole_numbers_are_no_boxes_for_digits():
    """The narrow spaces between them are not the width of a box."""
    digits = [*in_a_row("32294"), *in_a_row("7180", start=420)]
    sides = [mark("side", x, 40, 2, 90) for x in (-20, 345, 375, 640, 670)]
    assert texts(digits, *sides) == ["32294", "7180"]


def test_boxes_may_be_far_from_others():
    digits = [sure(int(d), 75 * (i + 12 * (i > 2)) + 22) for i, d in enumerate("758421")]
    sides = [mark("side", 75 * i, 40, 2, 90) for i in (0, 1, 2, 3, 15, 16, 17, 18)]
    assert texts(digits, *sides) == ["758", "421"]


def test_boxes_beside_a_number_leave_its_doubts():
    digits = [*in_a_row("4217"), *in_a_row("35", start=600)]
    digits[2:4] = [replace(each, box=(each.box[0] + 14, *each.box[1:])) for each in digits[2:4]]
    sides = [mark("side", x, 40, 2, 90) for x in (590, 635, 680)]
    number, _ = find_numbers(digits, sides)
    assert number.reasons == ("the gap after digit 2 may be between two numbers",)
