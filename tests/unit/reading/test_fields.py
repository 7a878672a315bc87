"""Fields: a row's most likely digits that meet its constraints."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from support.errors import error_of
from support.readings import make_digit as detection
from support.readings import make_reading as read

from digitkit import Digit
from digitkit.errors import ConfigError
from digitkit.reading.numbers import fields, fitting
from digitkit.reading.numbers.fields import Field
from digitkit.reading.numbers.finding import find_numbers
from digitkit.reading.numbers.fitting import apply_field
from digitkit.reading.results import Mark, Reading


def clear(text: str, row: int = 0) -> list[Digit]:
    return [detection({int(d): 0.999}, row=row) for d in text]


def clutter(row: int = 0) -> Digit:
    """Something that the model takes for a digit by its threshold, but with little confidence."""
    return detection({1: 0.99}, is_digit=0.92, row=row)


def test_a_row_that_fits_stays_as_it_is():
    reading = read(*clear("4021"), detection({7: 0.5}, is_digit=0.6))
    assert reading.text == "4021?"
    for field in (Field(expect=4), Field(pattern=r"\d{4}"), Field(checksum="4021".__eq__)):
        fitted = apply_field(reading, field)
        assert (fitted.text, fitted.digits) == ("4021", reading.digits)
        assert fitted.numbers[0].reasons[0].startswith("read as 4021 instead of 4021? to ")
    reading = read(*clear("4021"))
    assert apply_field(reading, Field(expect=4)) == reading
    assert apply_field(read(), Field(expect=4)) == read()


@pytest.mark.parametrize(
    "field", [Field(pattern=r"\d{3}[0-5]"), Field(expect=4, checksum=lambda text: text[3] != "7")]
)
def test_the_second_choice_of_an_uncertain_digit(field):
    reading = read(*clear("402"), detection({7: 0.6, 1: 0.38}, threshold=0.5))
    fitted = apply_field(reading, field)
    assert (reading.text, fitted.text) == ("4027", "4021")
    last = fitted.digits[3]
    # 7 is ruled out if the others are right, so 1 has nearly all of the rest.
    assert last.confidence == pytest.approx(0.38 / 0.402, abs=0.005)
    # Nothing else changes.
    assert last.probabilities is reading.digits[3].probabilities
    assert replace(last, digit=7, confidence=reading.digits[3].confidence) == reading.digits[3]
    assert replace(fitted, digits=reading.digits, numbers=reading.numbers) == reading


def test_the_confidence_is_a_posterior():
    # By hand: 0.6 and 0.3 for the first, 0.8 and 0.2 for the second; 11 and 12 do not fit.
    first, second = detection({1: 0.6, 2: 0.3, 3: 0.1}), detection({1: 0.8, 2: 0.2})
    fitted = apply_field(read(first, second), Field(pattern="2[12]|3."))
    assert fitted.text == "21"  # 0.24, after 11 with 0.48
    confidences = [digit.confidence for digit in fitted.digits]
    assert confidences == pytest.approx([0.3 / 0.52, (0.8 - 0.48) / 0.52])


CUT = detection({1: 0.99}, cut=True)
FAINT = detection({2: 0.7, 3: 0.25}, is_digit=0.9)


@pytest.mark.parametrize(
    ("row", "field", "text"),
    [
        ([*clear("40"), FAINT, *clear("1")], Field(expect=4), "4021"),
        # Clutter is dropped, also while another digit changes.
        ([*clear("40"), clutter(), *clear("21")], Field(expect=4), "4021"),
        *(
            ([clutter(), detection({9: 0.55, 4: 0.44}), *clear("021")], Field(pattern=p), text)
            for p, text in ((r"[1-5]0\d\d", "1021"), (r"[2-5]0\d\d", "4021"))
        ),
        # A clear digit is neither overturned nor taken for clutter.
        ([detection({7: 0.985, 1: 0.009}), *clear("021")], Field(pattern=r"1\d{3}"), ""),
        ([detection({7: 0.985, 1: 0.011}), *clear("021")], Field(pattern=r"1\d{3}"), "1021"),
        ([*clear("40"), detection({2: 1}, is_digit=0.995)], Field(expect=2), ""),
        # What the border cuts is never accepted, not even if it was before.
        ([CUT, *clear("021")], Field(expect=4), ""),
        ([replace(CUT, accepted=True), *clear("4021")], Field(expect=4), "4021"),
        ([replace(CUT, accepted=True)], Field(expect=1), ""),
        # A row that is more likely empty is not a field.
        *(
            ([detection({1: 0.95}, is_digit=0.3)], field, "")
            for field in (Field(expect=1), Field(pattern=r"\d+"), Field(pattern=r"\d*"))
        ),
        ([detection({1: 0.8}, is_digit=0.8)], Field(expect=1), "1"),
        # Of equals, the lower digit of the first.
        ([detection({5: 0.25, 3: 0.25, 8: 0.25, 1: 0.25})] * 2, Field(pattern="[358]{2}"), "33"),
        ([detection({1: 0.6, 2: 0.4}, threshold=0.5)] * 400, Field(pattern="1*21*"),
         "2" + "1" * 399),
    ],
)  # fmt: skip
def test_rows(row, field, text):
    fitted = apply_field(read(*row), field)
    assert fitted.text == text
    for before, after in zip(row, fitted.digits, strict=True):
        assert after.accepted or replace(after, accepted=before.accepted) == before


def test_the_confidence_shows_what_else_is_likely():
    fitted = apply_field(read(*clear("40"), FAINT, *clear("1")), Field(expect=4))
    assert fitted.digits[2].confidence == pytest.approx(0.7 * 0.9)  # nothing else: the model's
    # Either of two may be the clutter.
    twins = apply_field(read(clutter(), clutter(), *clear("402")), Field(expect=4))
    accepted = [digit.confidence for digit in twins.digits if digit.accepted]
    assert len(accepted) == 4
    assert min(accepted) < 0.6


def test_a_checksum_sees_only_what_fits_otherwise():
    seen = []
    reading = read(*clear("40"), detection({2: 0.5, 3: 0.4}), clutter())
    field = Field(expect=3, pattern=r"\d{2}[13]", checksum=lambda text: bool(seen.append(text)))
    assert apply_field(reading, field).text == ""
    assert seen[:2] == ["401", "403"]  # as read, the doubtful digit left out; then with it
    assert set(seen) == {"401", "403"}


def test_the_checksum_s_error_is_the_caller_s():
    field = Field(checksum=lambda text: bool(1 // 0))
    error_of(ZeroDivisionError, apply_field, read(*clear("1")), field)


def test_rows_are_judged_one_by_one():
    rows = [*clear("4021"), *clear("12", row=1), clutter(row=2), *clear("9000", row=2)]
    fitted = apply_field(read(*rows), Field(pattern=r"\d{4}"))
    assert fitted.text == "4021\n9000"
    assert [digit.row for digit in fitted.digits] == [digit.row for digit in rows]


@pytest.mark.parametrize("options", [2, 10])
def test_a_hopeless_row_is_given_up(options):
    tried = []
    row = [detection(dict.fromkeys(range(options), 1 / options), is_digit=0.98)] * 60
    field = Field(checksum=lambda text: bool(tried.append(text)))
    assert apply_field(read(*row), field).text == ""
    assert len(tried) == fitting.MAX_TRIED  # nothing was accepted as read
    assert apply_field(read(*row), Field(pattern="[12]{61}")).text == ""


def test_the_limit_is_exact(monkeypatch):
    reading = read(detection({1: 0.4, 2: 0.3, 3: 0.2, 4: 0.1}))
    monkeypatch.setattr(fitting, "MAX_TRIED", 3)
    assert apply_field(reading, Field(pattern="3")).text == "3"
    assert apply_field(reading, Field(pattern="4")).text == ""


def try_all(digits: list[Digit], field: Field) -> set[str]:
    """The most probable ones of all texts that fit or are empty."""
    choices = []
    for digit in digits:
        options = {str(d): float(p) * digit.is_digit for d, p in enumerate(digit.probabilities)}
        options[""] = 1 - digit.is_digit
        choices.append(
            [(text, p) for text, p in options.items() if p >= fitting.MIN_TRIED_PROBABILITY]
        )
    best, texts = 0.0, {""}
    for combined in itertools.product(*choices):
        text, p = "".join(text for text, _ in combined), math.prod(p for _, p in combined)
        if text and not field.fits(text):
            continue
        if math.isclose(p, best, rel_tol=1e-6):
            texts.add(text)
        elif p > best:
            best, texts = p, {text}
    return texts


@pytest.mark.parametrize("seed", range(200))
def test_the_search_finds_what_trying_all_finds(seed):
    rng = np.random.default_rng(seed)
    row = []
    for count in rng.integers(1, 5, rng.integers(1, 5)):
        digits, shares = rng.choice(10, count, replace=False), rng.dirichlet(np.ones(count))
        likely = dict(zip(digits.tolist(), shares.tolist(), strict=True))
        row.append(detection(likely, is_digit=float(rng.choice([1.0, 0.99, rng.random()]))))
    modulus = int(rng.integers(2, 8))
    field = [
        Field(expect=int(rng.integers(1, 5))),
        Field(pattern=r"[1-6]\d+"),
        Field(checksum=lambda text: int(text) % modulus == 0),
        Field(expect=3, pattern=r"\d*[02468]", checksum=lambda text: int(text[0]) < 7),
    ][seed % 4]
    reading = read(*row)
    fitted = apply_field(reading, field)
    accepted = "".join(str(digit.digit) for digit in reading.digits if digit.accepted)
    fits = field.fits(accepted)
    assert fitted.text == accepted if fits else fitted.text in try_all(row, field)
    assert all(0 <= digit.confidence <= 1 for digit in fitted.digits)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        *(({"expect": 0}, "expect"), ({"expect": -3}, "expect"), ({"expect": True}, "expect")),
        *(({"pattern": 5}, "pattern"), ({"checksum": "luhn"}, "checksum"), ({}, None)),
    ],
)
def test_values_that_make_no_field(values, field):
    assert error_of(ConfigError, Field, **values).field == field


def test_a_count_may_be_a_number_of_numpy():
    field = Field(expect=np.int64(4))
    assert (field, field.describe()) == (Field(expect=4), "have 4 digits")
    assert field.find_fault("123") == "has 3 digits, expected 4"
    assert Field(expect=np.int64(1)).find_fault("12") == "has 2 digits, expected 1"


def test_what_is_no_field_or_no_reading_is_refused():
    error = error_of(ConfigError, apply_field, read(), r"\d{4}")
    assert str(error) == r"field must be a Field, got str; pass Field(pattern='\\d{4}')"
    error = error_of(ConfigError, apply_field, "page.jpg", Field(expect=4))
    assert str(error) == "reading must be a Reading, got str"


@pytest.mark.parametrize(
    ("pattern", "word"),
    [
        ("(", "'('"), ("{3}", "'{3}'"), ("\\", "'\\'"), (r"(\d)\2", "reference"), ("402B", "'B'"),
        ("[9-1]", "range"),
        (r"\d{2}+-\d;", "';'"), (r"\D\d", r"'\D'"), (r"\d{4", "'{'"), ("1\n2", r"'\n'"),
        ("[a-z]{3}", "'[a-z]'"), (r"[^\d]", r"'[^\d]'"), ("", "''"), ("^()$", "'^()$'"),
    ],
)  # fmt: skip
def test_patterns_that_match_no_digits(pattern, word):
    """The error names the element at fault, on one line."""
    error = error_of(ConfigError, Field, pattern=pattern)
    assert error.field == "pattern"
    assert word in error.problem
    assert "\n" not in error.problem


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d{4}-\d\d", "12-3", r"[0-9]-\d", r"\d\-\d", r"\d{2,}-1", r"\d+-\d+", r"\d*-\d",
        r"(\d\d)-\d\d", r"\d{2}[-]\d{2}", r"\d{4}-",
    ],
)  # fmt: skip
def test_a_dash_after_a_digit_is_refused(pattern):
    error = error_of(ConfigError, Field, pattern=pattern)
    assert "a '-' after a digit matches nothing" in error.problem


@pytest.mark.parametrize(
    "pattern",
    [
        r"-?\d+", r"-\d|\d", r"[-5]\d", r"\d[0-9]", r"(?!00)-\d\d", r"\d{2}-?\d{2}", r"\d?-\d",
        r"\d[-.]\d", r"\d\d-{0,1}\d",
    ],
)  # fmt: skip
def test_a_dash_elsewhere_is_a_minus_or_a_range(pattern):
    assert Field(pattern=pattern).pattern == pattern


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (r"\d{4}", "4021", "40210"), (r"^[1-9]\d{3}$", "4021", "0021"),
        (r"(?!0000)\d{4}", "0001", "0000"), (r"(\d)\1", "44", "45"),
        (r"(?P<year>19|20)\d\d", "1999", "2199"), (r"19(?:7\d|8[0-4])?", "19", "1985"),
        (r"\A[^2-9\]x]{,3}\Z", "101", "102"), ("1|23", "23", "13"), (".+?5", "05", "5"),
    ],
)  # fmt: skip
def test_patterns(pattern, yes, no):
    assert list(map(Field(pattern=pattern).fits, (yes, no, ""))) == [True, False, False]


@pytest.mark.parametrize("pattern", [r"(\d|\d\d)+[23]", r"(\d+)+\1[2-3]", r"(?:(\d|1|.)*)*2"])
def test_a_pattern_cannot_take_for_ever(monkeypatch, pattern):
    monkeypatch.setattr(fields, "MATCH_SECONDS", 0.05)
    field = Field(pattern=pattern)
    assert field.fits("1112")  # short rows are quick
    try:
        assert not field.fits("1" * 60)
    except ConfigError as error:
        assert error.field == "pattern"


def test_the_slow_comparisons_of_a_row_share_the_time(monkeypatch):
    monkeypatch.setattr(fields, "MATCH_SECONDS", 0.1)
    row = [detection({1: 0.4, 2: 0.3, 3: 0.3}) for _ in range(20)]  # some milliseconds each
    field = Field(pattern=r"(\d|\d\d)+[78]")
    assert error_of(ConfigError, apply_field, read(*row), field).field == "pattern"


@pytest.mark.parametrize("pattern", [r"(?:(?:\d{1000}){1000}){1000}", r"(\d{0,200}){200,}"])
def test_a_pattern_cannot_fill_the_memory(pattern):
    assert error_of(ConfigError, Field, pattern=pattern).field == "pattern"
    assert Field(pattern=r"(?:\d{4}){4}|[1-9]\d{9}|(?:\d{0,3}){,2}|\d{3,}").fits("123")


def spaced(text: str, start: int) -> list[Digit]:
    return [detection({int(d): 0.999}, x=start + 40 * i) for i, d in enumerate(text)]


def with_marks(digits: list[Digit], *marks: Mark) -> Reading:
    reading = read(*digits)
    return replace(reading, numbers=find_numbers(digits, marks), marks=marks)


@pytest.mark.parametrize("kind", [None, "line", "sign", "ink"])
def test_a_field_overcomes_gaps_but_nothing_else(kind):
    marks = [] if kind is None else [Mark(kind, (125, 60, 20, 40), 0)]
    reading = with_marks([*spaced("12", 0), *spaced("34", 190)], *marks)
    assert reading.text == "12 34"
    fitted = apply_field(reading, Field(expect=4))
    assert fitted.text == ("1234" if kind is None else "")
    if kind is None:
        (reason,) = fitted.numbers[0].reasons
        assert reason == "read as 1234 instead of 12 34 to have 4 digits"
    else:
        assert [n.reasons for n in fitted.dropped] == [("has 2 digits, expected 4",)] * 2
        assert [n.column for n in fitted.dropped] == [0, 1]


def test_a_changed_number_says_why_it_is_not_complete():
    likely = [detection({2: 0.999}), detection({8: 0.6, 3: 0.4}, x=40)]
    (number,) = apply_field(read(*likely), Field(expect=2)).numbers
    assert (number.text, number.complete) == ("28", False)
    assert number.reasons[1:] == (
        f"the number as a whole is doubtful ({math.floor(100 * number.confidence)}%)",
    )


def test_over_the_widest_gaps_a_joined_number_is_doubtful():
    reading = with_marks([*spaced("12", 0), *spaced("34", 200)])
    (number,) = apply_field(reading, Field(expect=4)).numbers
    assert (number.text, number.complete) == ("1234", False)
    assert len(number.reasons) == 2


def test_numbers_of_two_columns_are_not_joined():
    fitted = apply_field(read(*spaced("12", 0), *spaced("34", 350)), Field(expect=4))
    assert [n.reasons for n in fitted.dropped] == [("has 2 digits, expected 4",)] * 2


def test_a_clear_digit_that_a_field_overturns_leaves_doubt():
    digits = [*spaced("1", 0), detection({9: 0.93, 5: 0.06}, x=40), *spaced("84", 80)]
    (number,) = apply_field(read(*digits), Field(pattern=r"1[0-8]\d\d")).numbers
    assert (number.text, number.complete) == ("1584", False)
    digits[1] = detection({9: 0.7, 5: 0.29}, x=40)
    doubtful = read(*digits)
    (number,) = apply_field(doubtful, Field(pattern=r"1[0-8]\d\d")).numbers
    assert number.text == "1584"
    assert number.reasons == (r"read as 1584 instead of 1?84 to match 1[0-8]\d\d",)


def test_parts_do_not_overlap_what_is_between_them():
    between = [detection({9: 0.6}, x=200 + 40 * i) for i in range(4)]
    reading = read(*spaced("12", 0), *between, *spaced("34", 480))
    (number,) = apply_field(reading, Field(expect=4)).numbers
    assert number.text == "1234"
    assert any("instead of 12????34" in reason for reason in number.reasons)


def test_a_field_does_not_complete_a_number_that_is_cut():
    cut = detection({4: 0.9}, x=120, cut=True)
    (number,) = apply_field(read(*spaced("123", 0), cut), Field(expect=3)).numbers
    assert (number.text, number.complete) == ("123", False)
    assert "a digit is cut by the border" in number.reasons


def test_a_field_does_not_explain_ink_next_to_a_doubtful_digit():
    digits = [*spaced("12", 0), detection({4: 0.85}, x=80)]
    reading = with_marks(digits, Mark("ink", (112, 55, 20, 50), 0))
    (number,) = apply_field(reading, Field(expect=3)).numbers
    assert (number.text, number.complete) == ("124", False)
    assert "ink next to its digits cannot be read" in number.reasons


def test_a_reading_of_which_all_is_dropped_is_not_complete():
    fitted = apply_field(read(*clear("402")), Field(expect=5))
    assert (fitted.text, fitted.complete) == ("", False)
    assert repr(fitted).endswith("text='', complete=False, dropped=1)")
    assert "has 3 digits, expected 5" in fitted._repr_html_()


def test_a_lone_doubtful_digit_that_does_not_fit_is_dropped():
    row = [*spaced("72", 0), detection({5: 0.7, 3: 0.2}, x=400)]
    assert read(*row).text == "72 ?"
    fitted = apply_field(read(*row), Field(expect=2))
    assert fitted.text == "72"
    assert [number.text for number in fitted.dropped] == ["?"]


def test_a_field_does_not_settle_a_dash_that_may_be_a_minus():
    dash = Mark("dash", (0, 80, 20, 6), 0)
    digits = [*spaced("5", 70), detection({3: 0.7, 8: 0.2}, x=110)]
    (number,) = apply_field(with_marks(digits, dash), Field(pattern=r"-?\d\d")).numbers
    assert number.text == "-53"
    assert not number.complete
