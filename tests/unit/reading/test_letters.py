"""Letters beside numbers, in fonts that nothing was trained on."""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from support.readings import make_digit
from support.rows import write_row

from digitkit import Reader
from digitkit.reading.digits.units import separate_units
from digitkit.reading.marks import kinds
from digitkit.reading.networks.line_reader import HEIGHT, LETTER, letter_probability
from digitkit.reading.numbers.finding import find_numbers
from digitkit.reading.results import Mark
from digitkit.training.scenes.fonts import load_fonts

FONTS = {font.name: font for font in load_fonts("test")}


def write(font: str, text: str) -> np.ndarray:
    """A grey page with one line in a font."""
    ink, _ = FONTS[font].write(text, 40, 2)
    page = np.full((160, ink.shape[1] + 160), 235, np.uint8)
    height, width = ink.shape
    top = (160 - height) // 2
    page[top : top + height, 80 : 80 + width] -= np.asarray(ink.astype(int) * 195 // 255, np.uint8)
    return page


def letter_at(digit: int, probability: float) -> Callable[[np.ndarray], None]:
    """A change of a row: where it shows a digit most, it shows a letter with this probability."""

    def change(probabilities: np.ndarray) -> None:
        place = int(probabilities[digit].argmax())
        probabilities[LETTER, place - 4 : place + 5] = probability

    return change


def like_letters(digit: int) -> Callable[[np.ndarray], None]:
    """A change of a row: wherever it shows a digit, and nowhere else, it shows a letter, too."""

    def change(probabilities: np.ndarray) -> None:
        probabilities[LETTER] = np.where(probabilities[digit] > 0.5, 0.97, 0)

    return change


@pytest.mark.parametrize(
    ("font", "text"),
    [
        ("klee-one", "19b"),
        ("kalam", "19b"),
        ("fuzzy-bubbles", "19b"),
        ("handlee", "24S"),
        ("gaegu", "24S"),
        ("edu-qld-beginner", "57o"),
    ],
)
def test_a_letter_that_looks_like_a_digit_is_in_doubt(reader, font, text):
    (number,) = reader.read(write(font, text)).numbers
    assert number.text == f"{text[:2]}?"
    assert not number.complete


@pytest.mark.parametrize(
    ("gap", "behind", "letter", "others", "text"),
    [
        (25, 200, 0.9, 1, "28"),
        (25, 200, 0.7, 1, "28?"),
        (12, 200, 0.9, 1, "28?"),  # as close as digits are
        (25, 20, 0.9, 1, "28?"),  # close before another digit
        (25, 200, 0.9, 0, "28?"),  # the only letter
    ],
)
def test_a_letter_apart_behind_a_number_is_its_unit(gap, behind, letter, others, text):
    x = 70 + gap
    digits = [make_digit({2: 0.9999}, 0), make_digit({8: 0.9999}, 40), make_digit({9: 0.4}, x)]
    digits.append(make_digit({5: 0.9999}, x + 30 + behind))
    shown = np.zeros(15, np.float32)
    shown[LETTER] = letter
    line = SimpleNamespace(probabilities_at=lambda box: shown)
    marks = [Mark("letter", (600 + 50 * i, 50, 40, 60), 0) for i in range(others)]
    found = find_numbers(*separate_units(digits, marks, {0: line}))
    assert found[0].text.startswith(text)
    assert found[0].complete == ("?" not in text)


@pytest.mark.parametrize(
    ("font", "text"),
    [
        ("cedarville-cursive", "25 kg"),
        ("indie-flower", "25 kg"),
        ("zeyada", "25 kg"),
        ("reenie-beanie", "62 cm"),
        ("waiting-for-the-sunrise", "62 cm"),
        ("cedarville-cursive", "57m"),
        ("la-belle-aurore", "24m"),
    ],
)
def test_a_number_with_a_unit_is_complete(reader, font, text):
    (number,) = reader.read(write(font, text)).numbers
    assert (number.text, number.complete) == (text[:2], True)


@pytest.mark.parametrize(
    ("font", "text"),
    [
        ("klee-one", "€57"),
        ("caveat", "£240"),
        ("handlee", "£240"),
        ("grape-nuts", "€57"),
        ("kalam", "A36"),
    ],
)
def test_a_letter_or_sign_that_touches_a_number_is_no_piece_of_it(reader, font, text):
    (number,) = reader.read(write(font, text)).numbers
    assert (number.text, number.complete) == (text[1:], True)


@pytest.mark.parametrize(("probability", "complete"), [(0.05, True), (0.3, False)])
def test_what_touches_a_digit_that_may_be_a_letter_is_a_part_of_that(
    reader, change_row, probability, complete
):
    change_row(letter_at(5, probability))
    (number,) = reader.read(write("klee-one", "€57")).numbers
    assert number.complete == complete


@pytest.mark.parametrize(("probability", "text"), [(0.75, "284"), (0.85, "28?")])
def test_what_the_row_shows_as_a_letter_is_not_accepted(
    reader, one_of_each, change_row, probability, text
):
    lefts = range(30, 400, 46)

    change_row(letter_at(4, probability))
    (number,) = reader.read(write_row("284", one_of_each, lefts=lefts)).numbers
    assert number.text == text


@pytest.mark.parametrize(("probability", "is_doubtful"), [(0.9, False), (0.96, True)])
def test_among_many_digits_letters_are_rare(
    reader, one_of_each, change_row, probability, is_doubtful
):
    def change(probabilities: np.ndarray) -> None:
        place = int(probabilities[4].argmax())
        probabilities[LETTER] = 0
        probabilities[LETTER, place - 4 : place + 5] = probability

    change_row(change)
    page = write_row("285285285284", one_of_each, lefts=range(30, 600, 46))
    assert reader.read(page).text == ("28528528528?" if is_doubtful else "285285285284")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4284248", "4284248"),  # within a number, too
        ("284 284", "28? 28?"),  # only behind others
        ("4285679", "?285679"),  # only once
    ],
)
def test_a_hand_may_write_its_digits_like_letters(reader, one_of_each, change_row, text, expected):
    change_row(like_letters(4))
    assert reader.read(write_row(text, one_of_each, lefts=range(30, 600, 46))).text == expected


@pytest.mark.parametrize(
    ("text", "has_letters", "expected"),
    [
        ("428 824", False, "428 824"),
        ("428 824", True, "?28 82?"),
        ("428 428", False, "?28 ?28"),  # such as B28
    ],
)
def test_letters_stand_on_one_side_of_numbers(
    reader, one_of_each, change_row, monkeypatch, text, has_letters, expected
):
    change_row(like_letters(4))
    page = write_row(text, one_of_each, lefts=range(60, 600, 46))
    if has_letters:
        letter = Mark("letter", (4, 60, 20, 40), 0)
        monkeypatch.setattr(kinds, "reclassify_marks", lambda *_: (letter,))
    assert reader.read(page).text == expected


@pytest.mark.parametrize(
    ("away", "probability", "has_letters", "text"),
    [
        (46, 0.9, False, "28?"),
        (110, 0.9, False, "28 4"),
        (110, 0.95, True, "28"),  # on a page with others
        (110, 0.85, True, "28 4"),
    ],
)
def test_a_digit_that_is_alone_needs_to_be_surely_a_letter(
    reader, one_of_each, change_row, monkeypatch, away, probability, has_letters, text
):
    change_row(letter_at(4, probability))
    if has_letters:
        letter = Mark("letter", (4, 60, 20, 40), 0)
        monkeypatch.setattr(kinds, "reclassify_marks", lambda *_: (letter,))
    page = write_row("284", one_of_each, lefts=[30, 76, 76 + away])
    assert reader.read(page).text == text


def test_a_line_reader_without_that_output_sees_none(reader):
    own = reader.line_reader
    plain = SimpleNamespace(read=lambda ink: own.read(ink)[:LETTER])
    assert letter_probability(plain.read(np.zeros((HEIGHT, 64), np.uint8))[:, 0]) == 0
    assert letter_probability(None) == 0
    page = write("klee-one", "19b")
    assert Reader(line_reader=plain, mode="page").read(page).text == "196"
