"""Synthetic images of numbers, with what is written in them: for ``number_reading.py``.

``strips``: one number of 3 to 6 digits, drawn close together, 400×100 pixels. ``tables``: two or
three columns of numbers, ruled or not. ``rows``: numbers with operators, decimal separators and
leading minus signs. ``dates``: three numbers with slashes close to their digits. ``long``: numbers
of 7 to 12 digits. ``text``: numbers with units, words and signs, as notes have them, in handwriting
fonts that no network was trained on; ``marked``: two numbers with a sign between them, or one with
a decimal separator, in these fonts; ``bold``: text with a broad pen; ``lists``: words with a number
or two. ``puzzles``: Sudokus, whose thin lines may be faint. ``corrected``: one number of which a
digit, or all, is struck out or written over, so that none is complete and right. Half of the images
are drawn on plain paper, the others are photographed (`digitkit.training.scenes`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from number_hand import Hand, Sheet, Written

from digitkit.arrays import Box
from digitkit.boxes import bounding_box
from digitkit.datasets.digits import DigitData
from digitkit.images.cv import cv2
from digitkit.training.scenes.fonts import Font, load_fonts
from digitkit.training.scenes.page import Rng
from digitkit.training.scenes.words import WORDS


def make_strip(data: DigitData, rng: Rng) -> Sheet:
    """One number of 3 to 6 digits, 36 to 60 pixels high, close together in 400×100 pixels."""
    hand = Hand(data, rng, 400, 100)
    height, count = rng.uniform(36, 60), int(rng.integers(3, 7))
    gap = rng.uniform(0.02, 0.16)
    x, y = rng.uniform(8, 40), rng.uniform(8, 90 - height)
    number = hand.number(count, x, y, height, gap)
    return Sheet(hand.finish(), (number,), tuple(hand.digits))


def make_table(data: DigitData, rng: Rng) -> Sheet:
    """Numbers in two or three columns, on a grid of lines or not, some cells empty."""
    columns, rows = int(rng.integers(2, 4)), int(rng.integers(3, 8))
    height = rng.uniform(22, 44)
    pitch = height * rng.uniform(1.5, 2.2)
    widest = [int(rng.integers(1, 5)) for _ in range(columns)]
    gap = _choose_gap(rng)
    room = [height * ((0.9 + gap) * count + rng.uniform(0.9, 2.5) + gap) for count in widest]
    width, tall = round(sum(room) + 2 * height), round(rows * pitch + 2 * height)
    hand = Hand(data, rng, width, tall)
    left, top = height * rng.uniform(0.5, 1.2), height * rng.uniform(0.5, 1.2)
    if rng.random() < 0.5:
        _rule(hand, left, top, room, pitch, rows)
    right_aligned = rng.random() < 0.5
    numbers = []
    for row in range(rows):
        x = left
        for column in range(columns):
            if rng.random() < 0.92:
                count = int(rng.integers(1, widest[column] + 1))
                free = room[column] - height * (0.8 + gap) * count - 0.4 * height
                shift = height * 0.25 + (max(0.0, free) if right_aligned else 0.0)
                y = top + row * pitch + (pitch - height) / 2
                made = hand.number(count, x + shift, y, height, gap)
                numbers.append(Written(made.text, made.box, row, column))
            x += room[column]
    return Sheet(hand.finish(), tuple(numbers), tuple(hand.digits))


def _choose_gap(rng: Rng) -> float:
    """How far the digits of a number are apart, in their heights: most hands write closely."""
    return rng.uniform(0.04, 0.2) if rng.random() < 0.6 else rng.uniform(0.2, 0.6)


def make_puzzle(data: DigitData, rng: Rng) -> Sheet:
    """A Sudoku: dark lines around its blocks, thin ones between cells, digits in half of these."""
    cell = rng.uniform(34, 70)
    margin = cell * rng.uniform(0.5, 1.2)
    side = round(9 * cell + 2 * margin)
    hand = Hand(data, rng, side, side)
    start, end = round(margin), round(margin + 9 * cell)
    looks = [(rng.uniform(0.1, 1), int(rng.integers(1, 3))), (rng.uniform(0.7, 1), 4)]
    lines = np.zeros((side, side), np.uint8)
    for i in sorted(range(10), key=lambda i: i % 3 == 0):  # the dark ones on top
        strength, pen = looks[i % 3 == 0]
        at = round(margin + i * cell)
        for ends in (((at, start), (at, end)), ((start, at), (end, at))):
            cv2.line(lines, *ends, round(255 * strength), pen, cv2.LINE_AA)
    hand.put(lines, 0, 0)
    numbers = []
    for row, column in np.ndindex(9, 9):
        if rng.random() < 0.5:
            height = cell * rng.uniform(0.5, 0.72)
            x = margin + cell * (column + rng.uniform(0.45, 0.55)) - 0.35 * height
            y = margin + cell * (row + rng.uniform(0.45, 0.55)) - height / 2
            made = hand.number(1, x, y, height, 0)
            numbers.append(Written(made.text, made.box, row, column))
    return Sheet(hand.finish(), tuple(numbers), tuple(hand.digits))


def _rule(hand: Hand, left: float, top: float, room: list[float], pitch: float, rows: int) -> None:
    layer = np.zeros((hand.page.h, hand.page.w), np.uint8)
    thick = int(hand.rng.integers(1, 4))
    right, bottom = left + sum(room), top + rows * pitch
    for x in left + np.cumsum([0.0, *room]):
        cv2.line(layer, (round(x), round(top)), (round(x), round(bottom)), 255, thick, cv2.LINE_AA)
    for y in top + pitch * np.arange(rows + 1):
        cv2.line(layer, (round(left), round(y)), (round(right), round(y)), 255, thick, cv2.LINE_AA)
    hand.page.put(
        layer, 0, 0, np.full(3, hand.rng.uniform(0, 170)), hand.rng.uniform(0.5, 1), other=True
    )


OPERATORS = "+-×/:=()"
MIDDLES = {".": 0.95, ",": 1.02, "-": 0.5, "+": 0.5, "×": 0.55, "/": 0.5, ":": 0.55, "=": 0.5}
"""Where the middle of a sign is, from the digits' top, in their heights."""


def make_rows(data: DigitData, rng: Rng) -> Sheet:
    """Rows of numbers with operators between them, decimal separators, and leading minus signs."""
    height, count = rng.uniform(26, 52), int(rng.integers(1, 5))
    width = round(height * rng.uniform(10, 16))
    hand = Hand(data, rng, width, round(height * (1.9 * count + 1)))
    numbers = list[Written]()
    gap = _choose_gap(rng)
    for row in range(count):
        x, y, column = height * rng.uniform(0.3, 1.5), height * (0.5 + 1.9 * row), 0
        between = "(" if rng.random() < 0.08 else ""
        while True:
            length = int(rng.integers(1, 5))
            decimals = int(rng.integers(1, 3)) if rng.random() < 0.3 else 0
            signs = int(rng.random() < 0.15 and column == 0 and not between)
            space = height * (
                rng.uniform(0.15, 0.6) if between else rng.uniform(1.2, 2.5) + 1.5 * gap
            )
            space *= min(column, 1)
            room = (
                height * ((0.7 + gap) * (length + decimals) + signs + 1 + len(between)) + 2 * space
            )
            if x + room > width:
                break
            if between:
                _, x = _put_sign(hand, between, x + space, y, height)
                space = height * rng.uniform(0.15, 0.6)
            made, x = _write_decimal(hand, x + space, y, height, gap, length, decimals, signs)
            numbers.append(Written(made.text, made.box, row, column))
            column += 1
            between = str(rng.choice(list(OPERATORS))) if rng.random() < 0.7 else ""
        if column and rng.random() < 0.1:
            _put_sign(hand, str(rng.choice([")", "="])), x + 0.3 * height, y, height)
    return Sheet(hand.finish(), tuple(numbers), tuple(hand.digits))


def _put_sign(hand: Hand, kind: str, x: float, y: float, height: float) -> tuple[Box, float]:
    """Put a sign; its box, and where it ends."""
    ink = hand.sign(kind, height)
    middle = y + MIDDLES.get(kind, 0.5) * height
    box = hand.put(ink, x, middle - ink.shape[0] / 2)
    return box, x + ink.shape[1]


def _write_decimal(
    hand: Hand,
    x: float,
    y: float,
    height: float,
    gap: float,
    length: int,
    decimals: int,
    signs: int,
) -> tuple[Written, float]:  # fmt: skip
    """A number that may have a minus and a decimal separator; and where it ends."""
    boxes, text = [], ""
    if signs:
        box, x = _put_sign(hand, "-", x, y, height)
        boxes.append(box)
        text, x = "-", x + height * hand.rng.uniform(0.08, 0.2)
    made = hand.number(length, x, y, height, gap)
    boxes.append(made.box)
    text, x = text + made.text, made.box[0] + made.box[2]
    if decimals:
        kind = str(hand.rng.choice(list(".,")))
        space = height * hand.rng.uniform(0.06, 0.18)
        box, x = _put_sign(hand, kind, x + space, y, height)
        made = hand.number(decimals, x + space, y, height, gap)
        boxes += [box, made.box]
        text, x = text + kind + made.text, made.box[0] + made.box[2]
    return Written(text, bounding_box(boxes), 0, 0), x


def make_dates(data: DigitData, rng: Rng) -> Sheet:
    """A few dates, one below the other: day, month and year with slashes close to the digits."""
    height, count = rng.uniform(26, 52), int(rng.integers(1, 4))
    hand = Hand(data, rng, round(height * 13), round(height * (1.9 * count + 1)))
    gap, room = rng.uniform(0.04, 0.2), height * rng.uniform(0.0, 0.18)
    numbers = list[Written]()
    for row in range(count):
        x, y = height * rng.uniform(0.3, 1.5), height * (0.5 + 1.9 * row)
        for column, length in enumerate((2, 2, int(rng.choice([2, 4])))):
            if column:
                _, x = _put_sign(hand, "/", x + room, y, height)
                x += room
            made = hand.number(length, x, y, height, gap)
            numbers.append(Written(made.text, made.box, row, column))
            x = made.box[0] + made.box[2]
    return Sheet(hand.finish(), tuple(numbers), tuple(hand.digits))


def make_long(data: DigitData, rng: Rng) -> Sheet:
    """A few numbers of 7 to 12 digits, as of accounts or telephones, one below the other."""
    height, count = rng.uniform(26, 52), int(rng.integers(1, 4))
    gap, lengths = _choose_gap(rng), rng.integers(7, 13, count).tolist()
    width = height * ((0.9 + 1.2 * gap) * max(lengths) + 2)
    hand = Hand(data, rng, round(width), round(height * (1.9 * count + 1)))
    numbers = list[Written]()
    for row, length in enumerate(lengths):
        x, y = height * rng.uniform(0.3, 1.2), height * (0.5 + 1.9 * row)
        made = hand.number(length, x, y, height, gap)
        numbers.append(Written(made.text, made.box, row, 0))
    return Sheet(hand.finish(), tuple(numbers), tuple(hand.digits))


TEXTS = (
    "{} kg", "{} cm", "{} m", "{} EUR", "{}%", "{}h", "{} pcs.", "No. {}", "Nr {}", "#{}", "ca. {}",
    "Room {}", "Total: {}", "a) {}", "x = {}", "({})", "{} - {}", "{}x{}", "{}:{}", "{}/{}/{}",
    "{}+{}={}", "{}",
)  # fmt: skip
"""What is written around numbers."""

MARKED = ("{}.{}", "{},{}", "{}:{}", "{}-{}", "{}/{}", "{}+{}")
"""A mark between two numbers, or a decimal separator in one."""


def make_text(
    data: DigitData,
    rng: Rng,
    pens: tuple[int, int] = (0, 4),
    templates: Sequence[str] = TEXTS,
) -> Sheet:
    """A few lines of one hand, each with a number or several among letters or signs.

    Args:
        data: not used, as the digits are drawn in fonts.
        rng: source of randomness.
        pens: how much wider than the font's its pen is, in fortieths of the digits' height: from
            the first to below the second. From 4 on, characters are written further apart.
        templates: what is written in a line, ``{}`` for each number.
    """
    fonts = load_fonts("test")
    font, count = fonts[int(rng.integers(len(fonts)))], int(rng.integers(1, 5))
    height, thicker = rng.uniform(30, 52), int(rng.integers(*pens))
    spacing = max(0, thicker - 3)
    hand = Hand(data, rng, round(height * 16), round(height * (2.4 * count + 1.2)))
    numbers = list[Written]()
    for row in range(count):
        template = str(rng.choice(templates))
        most = 99 if "/" in template or "}:{" in template else 9999
        parts = [str(rng.integers(most // 10, most)) for _ in range(template.count("{}"))]
        text = template.format(*parts)
        ink, boxes = font.write(text, height, thicker, spacing)
        x, y = height * rng.uniform(0.5, 2), height * (0.6 + 2.4 * row)
        left, top, _, _ = hand.put(ink, x, y)
        boxes = [(left + bx, top + by, bw, bh) for bx, by, bw, bh in boxes]
        if template in ("{}.{}", "{},{}"):
            numbers.append(Written(text, bounding_box(boxes), row, 0))
            continue
        places = [place for place, char in enumerate(text.replace(" ", "")) if char.isdecimal()]
        for column, part in enumerate(parts):
            own, places = places[: len(part)], places[len(part) :]
            numbers.append(Written(part, bounding_box([boxes[i] for i in own]), row, column))
    return Sheet(hand.finish(), tuple(numbers))


def make_bold(data: DigitData, rng: Rng) -> Sheet:
    """As `make_text`, with a broad pen."""
    return make_text(data, rng, (4, 9))


def make_marked(data: DigitData, rng: Rng) -> Sheet:
    """As `make_text`, with a mark between two numbers and nothing else."""
    return make_text(data, rng, templates=MARKED)


LENGTHS = (0.3, 0.35, 0.25, 0.1)
"""How often a number of a list has 1 to 4 digits."""


def make_list(data: DigitData, rng: Rng, split: Literal["train", "test"] = "test") -> Sheet:
    """Lines of words with a number or two before or behind them, as in lists and tables of names.

    Args:
        data: the digits of half of the lists; the other half have those of the words' font.
        rng: source of randomness.
        split: of the fonts.
    """
    fonts, rows = load_fonts(split), int(rng.integers(3, 11))
    font, height = fonts[int(rng.integers(len(fonts)))], rng.uniform(24, 44)
    hand = Hand(data, rng, round(height * 20), round(height * (1.8 * rows + 1.2)))
    own_font = font if rng.random() < 0.5 else None
    most, before, aligned = int(rng.integers(1, 3)), rng.random() < 0.4, rng.random() < 0.5
    gap, space = rng.uniform(0.04, 0.2), rng.uniform(0.4, 1.2)
    numbers = list[Written]()
    for row in range(rows):
        x, y = height * rng.uniform(0.4, 0.7), height * (0.5 + 1.8 * row)
        words = " ".join(rng.choice(WORDS, int(rng.integers(1, 3))).tolist())
        if not before:
            x = _put_words(hand, font, words, x, y, height) + space * height
            x = max(x, height * 10) if aligned else x
        for column in range(most):
            length = int(rng.choice(4, p=LENGTHS)) + 1
            if own_font is None:
                made = hand.number(length, x, y, height, gap)
            else:
                made = _put_number(hand, own_font, length, x, y, height)
            numbers.append(Written(made.text, made.box, row, column))
            x = made.box[0] + made.box[2] + max(space, 0.8) * height
        if before:
            _put_words(hand, font, words, x, y, height)
    return Sheet(hand.finish(), tuple(numbers), tuple(hand.digits))


def _put_words(hand: Hand, font: Font, words: str, x: float, y: float, height: float) -> float:
    """Write words beside digits whose top is at y; where they end."""
    ink, ((_, top, _, _), (left, *_), *_) = font.write(f"8 {words}", height)
    box = hand.put(ink[:, left:], x, y - top)
    return box[0] + box[2]


def _put_number(hand: Hand, font: Font, length: int, x: float, y: float, height: float) -> Written:
    """Write a number in a font."""
    text = str(hand.rng.integers(10 ** (length - 1), 10**length))
    ink, boxes = font.write(text, height)
    left, top, _, _ = hand.put(ink, x, y)
    boxes = [(left + bx, top + by, w, h) for bx, by, w, h in boxes]
    hand.digits += zip(boxes, map(int, text), strict=True)
    return Written(text, bounding_box(boxes), 0, 0)


UNREADABLE = "?"
"""What is written where a digit is struck out or written over."""


def make_corrected(data: DigitData, rng: Rng) -> Sheet:
    """One number of 2 to 5 digits, as strips; a digit or all are struck out or written over."""
    hand = Hand(data, rng, 440, 110)
    height, count = rng.uniform(36, 60), int(rng.integers(2, 6))
    gap = rng.uniform(0.02, 0.3)
    number = hand.number(count, rng.uniform(25, 60), rng.uniform(20, 90 - height), height, gap)
    boxes = [box for box, _ in hand.digits]
    if rng.random() < 0.2:
        hand.put_strokes(number.box, rng.choice(["wave", "scribble"]))
        text = UNREADABLE * count
    else:
        place = int(rng.integers(count))
        digit = hand.digits[place][1]
        if rng.random() < 0.5:
            hand.write_over(boxes[place], digit)
        else:
            # A stroke of a 0 or a 1 may be a part of it, and so may a bar of a 4 or a 7.
            kinds = ["cross", "scribble"] if digit in (0, 1, 4, 7) else ["slash", "cross", "bar"]
            hand.put_strokes(boxes[place], rng.choice(kinds))
        text = number.text[:place] + UNREADABLE + number.text[place + 1 :]
    return Sheet(hand.finish(), (Written(text, number.box, 0, 0),), tuple(hand.digits))


ASIDE = ("puzzles", "corrected")
"""The kinds that are read only where they are asked for."""

FITTED = ("strips", "tables", "rows", "dates")
"""The kinds that weights may be fitted on; fonts for tests are not among them."""

KINDS: dict[str, Callable[[DigitData, Rng], Sheet]] = {
    "strips": make_strip, "tables": make_table, "rows": make_rows, "dates": make_dates,
    "long": make_long, "text": make_text, "marked": make_marked, "bold": make_bold,
    "lists": make_list, "puzzles": make_puzzle, "corrected": make_corrected,
}  # fmt: skip


def make_sheet(kind: str, data: DigitData, seed: int, number: int) -> Sheet:
    """The sheet of a kind with this seed and number; always the same."""
    return KINDS[kind](data, np.random.default_rng([15, seed, number]))
