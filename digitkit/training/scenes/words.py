"""Handwritten words, letters, names and formulas, next to numbers or alone."""

from __future__ import annotations

import string

import numpy.typing as npt

from digitkit.arrays import U8
from digitkit.training.scenes.fonts import Font, load_fonts
from digitkit.training.scenes.glyphs import UNLIKE_DIGITS
from digitkit.training.scenes.page import Page, Rng
from digitkit.training.scenes.writing import is_free

_TEXT = """
Name Date Total Sum Room Tel No Page Order Price Weight Length Temp Bus Line Gate Seat Table
Score Points Team Home Away Width Depth Volume Speed Time Start End Paid Cash Bank Code Ref
Item Size Part Serial Meter Gas Water Power North South East West Monday Friday June May Milk
Bread Eggs Butter Rice Sugar Salt Soap Beans Datum Summe Preis Gewicht Zimmer Seite Stand
Strom Wasser Zahl Nummer Anzahl Blatt Total: Sum: No. Nr. ca. kg cm mm km EUR USD Liter Stk
please call back thanks see you soon dear all the best from with and for about lost boil  hello
school lesson bills zoo ill go so is to loss goods skill also good look books
"""

WORDS = tuple(_TEXT.split())
"""Words that stand next to numbers, and some of letters that look like digits."""

LIKE_DIGITS = "SZOolIBGgqybszi"
"""Letters that look like digits: next to other letters they are none."""

LOOKALIKES = frozenset("IOSZbgijloqsz!{}'(),-./:;[\\]_`|°ÖÜöü")
"""Characters that are written like a digit or a stroke of one. B, D, G and & differ from digits in
most hands, and are there to be learnt, though one in eight looks like one to ``digits``."""

GREEK_AND_SIGNS = "+-=/*()[]<>#%&?!:;,.@{}~^x×÷€£§°"

_VOWELS, _CONSONANTS = "aeiou", "bcdfghklmnprstvwz"


def add_words(page: Page, size: float, empty: bool) -> None:
    """Write words where there is room.

    Args:
        page: the page.
        size: height of its digits, pixels.
        empty: whether it shows no digit; such pages get more.
    """
    rng = page.rng
    page.tags.append("words")
    fonts = load_fonts()
    font = fonts[rng.integers(len(fonts))]
    thicker = int(rng.integers(0, 7))
    spacing = int(rng.integers(2, 24)) if rng.random() < 0.3 else 0
    in_capitals = rng.random() < 0.3
    colour, strength = page.ink_colour(), rng.uniform(0.5, 1)
    if page.hand is not None and rng.random() < 0.7:
        colour, strength = page.hand
    height = size * rng.uniform(0.5, 1.1)
    if empty:
        height = page.h * rng.uniform(0.02, 0.2) if rng.random() < 0.75 else page.h * 0.4
    height = max(height, 10.0)
    if not empty and rng.random() < 0.6:
        for x, y, h, room in _next_to_rows(page):
            if rng.random() < 0.6:
                text = make_label(rng)
                text = text.upper() if in_capitals else text
                ink, _ = font.write(text, h * rng.uniform(0.6, 1.1), thicker, spacing)
                if ink.size and ink.shape[1] < room - 0.3 * h:
                    before = rng.random() < 0.5
                    left = round(x - ink.shape[1] - 0.35 * h if before else x)
                    _put(page, ink, left, round(y), colour, strength, 0.12 * h)
    step = height * rng.uniform(1.3, 2.2)
    y = page.h * rng.uniform(0, 0.6 if not empty else 0.3)
    x = page.w * rng.uniform(0.01, 0.4)
    for _ in range(int(rng.integers(1, 10 if empty else 4))):
        text = _line(rng, font, empty)
        text = text.upper() if in_capitals else text
        ink, _ = font.write(text, height, thicker, spacing)
        if ink.size:
            at = x + rng.uniform(0, 0.3) * page.w if rng.random() < 0.2 else x
            _put(page, ink, round(at), round(y), colour, strength, 0.2 * size)
        y += step
        if y > page.h:
            break


def _put(
    page: Page,
    ink: U8,
    left: int,
    top: int,
    colour: npt.ArrayLike,
    strength: float,
    margin: float,
) -> None:
    if is_free(page, left, top, ink.shape[1], ink.shape[0], margin):
        page.put(ink, left, top, colour, strength, other=True)


def _next_to_rows(page: Page) -> list[tuple[float, float, float, float]]:
    """Where each row ends on the right: x, top, height, and the room up to the border, pixels."""
    ends: dict[int, tuple[float, float, float, float]] = {}
    for (x, y, w, h), row in zip(page.boxes, page.rows, strict=True):
        ends[row] = (x + w + 0.4 * h, y, h, page.w - x - w)
    starts: dict[int, tuple[float, float, float, float]] = {}
    for (x, y, _, h), row in zip(page.boxes, page.rows, strict=True):
        starts.setdefault(row, (x - 0.1 * h, y, h, x))
    return [*ends.values(), *starts.values()]


def make_label(rng: Rng) -> str:
    """A word that stands next to numbers, or any other."""
    return str(rng.choice(WORDS)) if rng.random() < 0.7 else make_word(rng)


def _line(rng: Rng, font: Font, empty: bool) -> str:
    kind = rng.random()
    if kind < 0.12:  # letters on their own, in a row
        return " ".join(rng.choice(UNLIKE_DIGITS, int(rng.integers(1, 8))))
    if kind < 0.22:  # signs and formulas without a number
        parts = list(GREEK_AND_SIGNS) + list("abcnxyz") * 2
        return " ".join(rng.choice(parts, int(rng.integers(1, 7))))
    if kind < 0.32:  # others that the font has
        known = [c for c in font.glyphs if not c.isdigit()]
        return "".join(rng.choice(known, int(rng.integers(1, 6))))
    count = int(rng.integers(1, 7 if empty else 4))
    return " ".join(make_word(rng) if rng.random() < 0.6 else make_label(rng) for _ in range(count))


def make_word(rng: Rng) -> str:
    """A word that can be pronounced, or letters that look like digits among others."""
    if rng.random() < 0.25:
        letters = list(LIKE_DIGITS) * 2 + list(string.ascii_letters)
        return "".join(rng.choice(letters, int(rng.integers(2, 7))))
    word = "".join(
        rng.choice(list(_CONSONANTS)) + rng.choice(list(_VOWELS))
        + (rng.choice(list(_CONSONANTS)) if rng.random() < 0.4 else "")
        for _ in range(int(rng.integers(1, 4)))
    )  # fmt: skip
    style = rng.random()
    return word.upper() if style < 0.2 else word.capitalize() if style < 0.5 else word
