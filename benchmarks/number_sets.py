"""Synthetic images of numbers, with what is written in them: for ``number_reading.py``.

``strips``: one number of 3 to 6 digits, drawn close together, 400×100 pixels. ``tables``: two or
three columns of numbers, ruled or not. ``rows``: numbers with operators, decimal separators and
leading minus signs. ``dates``: three numbers with slashes close to their digits. ``long``: numbers
of 7 to 12 digits. ``text``: numbers with units, words and signs, as notes have them, in handwriting
fonts that no network was trained on; ``marked``: two numbers with a sign between them, or one with
a decimal separator, in these fonts; ``bold``: text with a broad pen. Half of the images are drawn
on plain paper, the others are photographed (`digitkit.training.scenes`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from digitkit.arrays import U8, Box
from digitkit.boxes import bounding_box
from digitkit.datasets.digits import DigitData
from digitkit.images.cv import cv2
from digitkit.training.scenes.camera import photograph
from digitkit.training.scenes.fonts import load_fonts
from digitkit.training.scenes.glyphs import crop_to_ink
from digitkit.training.scenes.page import Page, Rng

PAPERS = (255, 250, 235, 215)
"""Grey levels of plain paper."""


@dataclass(frozen=True)
class Written:
    """One number as it was written.

    Attributes:
        text: with its decimal separator and leading minus, if it has any.
        box: of its ink.
        row: of the image, from 0.
        column: of a table, from 0; the place in its row elsewhere.
    """

    text: str
    box: Box
    row: int
    column: int


@dataclass(frozen=True)
class Sheet:
    """One image and the numbers in it, in reading order.

    Attributes:
        image: uint8 ``[H, W, 3]`` BGR.
        numbers: what is written.
        digits: the box and the value of each digit.
    """

    image: U8
    numbers: tuple[Written, ...]
    digits: tuple[tuple[Box, int], ...] = ()


class Hand:
    """Writes MNIST's digits, and signs of one pen, on a sheet.

    Attributes:
        page: what is written on.
        rng: source of randomness.
        digits: the box and the value of each digit that was written.
    """

    def __init__(self, data: DigitData, rng: Rng, width: int, height: int) -> None:
        """Take a blank sheet of `width` × `height` pixels."""
        self._data = data
        self.rng = rng
        self._plain = rng.random() < 0.5
        page = Page(rng, (max(width, height), max(width, height) + 1))
        if self._plain:
            page.dark_paper = False
            page.pixels = np.full((height, width, 3), rng.choice(PAPERS), np.float32)
        else:
            page.pixels = cv2.resize(page.pixels, (width, height), interpolation=cv2.INTER_AREA)
        page.h, page.w = height, width
        page.ink = np.zeros((height, width), np.uint8)
        page.other = page.ink.copy()
        self.page = page
        self.digits: list[tuple[Box, int]] = []
        self._colour = np.full(3, rng.uniform(0, 60)) if self._plain else page.ink_colour()

    def put(self, ink: U8, x: float, y: float, *, digit: bool = False) -> Box:
        """Put ink with its left upper corner at a place; where it is."""
        self.page.put(ink, round(x), round(y), self._colour, 1.0, digit=digit, other=not digit)
        return round(x), round(y), ink.shape[1], ink.shape[0]

    def digit(self, height: float) -> tuple[U8, str]:
        """A digit of any hand, its ink this high."""
        i = int(self.rng.integers(len(self._data.labels)))
        ink = crop_to_ink(self._data.images[i])
        size = max(2, round(ink.shape[1] * height / ink.shape[0])), max(2, round(height))
        large = cv2.resize(ink, size, interpolation=cv2.INTER_CUBIC)
        return np.asarray(large, np.uint8), str(self._data.labels[i])

    def sign(self, kind: str, height: float) -> U8:
        """A sign, for digits of this height."""
        side = round(height)
        layer = np.zeros((2 * side, 2 * side), np.uint8)
        pen = max(1, round(height * self.rng.uniform(0.06, 0.14)))

        def line(*points: tuple[float, float]) -> None:
            jitter = self.rng.normal(0, 0.03, (len(points), 2))
            path = (side / 2 + height * (np.array(points) + jitter)).round().astype(np.int32)
            cv2.polylines(layer, [path], False, 255, pen, cv2.LINE_AA)

        if kind in ".:":
            for y in (0.5,) if kind == "." else (0.25, 0.75):
                centre = (side, round(side / 2 + y * height))
                cv2.circle(layer, centre, max(1, round(0.75 * pen)), 255, -1, cv2.LINE_AA)
        elif kind == ",":
            line((0.52, 0.4), (0.5, 0.52), (0.42, 0.64))
        elif kind in "-−":
            line((0.25, 0.5), (0.75, 0.5))
        elif kind == "+":
            line((0.2, 0.5), (0.8, 0.5))
            line((0.5, 0.2), (0.5, 0.8))
        elif kind == "×":
            line((0.28, 0.28), (0.72, 0.72))
            line((0.72, 0.28), (0.28, 0.72))
        elif kind == "/":
            tall = self.rng.uniform(0.45, 0.65)
            line((0.5 - 0.4 * tall, 0.5 + tall), (0.5 + 0.4 * tall, 0.5 - tall))
        elif kind == "=":
            line((0.2, 0.38), (0.8, 0.38))
            line((0.2, 0.64), (0.8, 0.64))
        else:
            sign = -1 if kind == "(" else 1
            tall, deep = self.rng.uniform(0.55, 0.68), self.rng.uniform(0.12, 0.24)
            line(*[(0.5 + sign * deep * np.cos(a), 0.5 + tall * np.sin(a)) for a in _ARC])
        return crop_to_ink(layer)

    def number(self, text_length: int, x: float, y: float, height: float, gap: float) -> Written:
        """Write a number; its digits are `gap` heights apart, its top is at `y`."""
        boxes, text = [], ""
        for _ in range(text_length):
            tall = height * self.rng.uniform(0.9, 1.1)
            ink, name = self.digit(tall)
            top = y + (height - tall) / 2 + self.rng.normal(0, 0.03) * height
            boxes.append(self.put(ink, x, top, digit=True))
            self.digits.append((boxes[-1], int(name)))
            text += name
            x += ink.shape[1] + max(1.0, height * gap * self.rng.uniform(0.6, 1.4))
        return Written(text, bounding_box(boxes), 0, 0)

    def finish(self) -> U8:
        """The image: plain, or photographed; uint8 ``[H, W, 3]`` BGR."""
        if self._plain:
            return np.asarray(self.page.pixels.clip(0, 255), np.uint8)
        return photograph(self.page)


_ARC = np.linspace(-np.pi / 2, np.pi / 2, 9)


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


FITTED = ("strips", "tables", "rows", "dates")
"""The kinds that weights may be fitted on; fonts for tests are not among them."""

KINDS: dict[str, Callable[[DigitData, Rng], Sheet]] = {
    "strips": make_strip, "tables": make_table, "rows": make_rows, "dates": make_dates,
    "long": make_long, "text": make_text, "marked": make_marked, "bold": make_bold,
}  # fmt: skip


def make_sheet(kind: str, data: DigitData, seed: int, number: int) -> Sheet:
    """The sheet of a kind with this seed and number; always the same."""
    return KINDS[kind](data, np.random.default_rng([15, seed, number]))
