"""Lines of numbers as people write them: close together, with signs, decimals and words.

`digitkit.training.scenes.scene` composes what a camera sees; this composes what stands in a line.
"""

from __future__ import annotations

import string

import numpy as np

from digitkit.arrays import U8
from digitkit.images.cv import cv2
from digitkit.training.scenes.camera import photograph
from digitkit.training.scenes.clutter import add_clutter, draw_ruling
from digitkit.training.scenes.fonts import DIGIT_HEIGHT, load_fonts
from digitkit.training.scenes.glyphs import crop_to_ink, shear, wear_ink
from digitkit.training.scenes.page import Page, Rng, draw_log_uniform
from digitkit.training.scenes.scene import Scene, to_scene
from digitkit.training.scenes.shapes import add_shapes
from digitkit.training.scenes.spoiling import SPOILED, strike_out, write_over
from digitkit.training.scenes.turn import turn_page
from digitkit.training.scenes.words import LIKE_DIGITS, make_label
from digitkit.training.scenes.writing import Writer

IMAGE_SIDES = (120, 600)
"""Smallest and largest longer side of an image, pixels."""

_ARC = np.linspace(-np.pi / 2, np.pi / 2, 9)

_STROKES: dict[str, list[list[tuple[float, float]]]] = {
    "-": [[(0.2, 0.5), (0.8, 0.5)]],
    "+": [[(0.2, 0.5), (0.8, 0.5)], [(0.5, 0.2), (0.5, 0.8)]],
    "x": [[(0.25, 0.25), (0.75, 0.75)], [(0.75, 0.25), (0.25, 0.75)]],
    "=": [[(0.2, 0.38), (0.8, 0.38)], [(0.2, 0.64), (0.8, 0.64)]],
    "/": [[(0.2, 1.05), (0.75, -0.05)]],
    "|": [[(0.5, -0.3), (0.5, 1.3)]],
    "(": [[(0.6 - 0.2 * np.cos(a), 0.5 + 0.6 * np.sin(a)) for a in _ARC]],
    ")": [[(0.4 + 0.2 * np.cos(a), 0.5 + 0.6 * np.sin(a)) for a in _ARC]],
    ",": [[(0.55, 0.9), (0.5, 1.02), (0.42, 1.14)]],
    ".": [[(0.5, 0.95), (0.5, 0.97)]],
    ":": [[(0.5, 0.28), (0.5, 0.3)], [(0.5, 0.75), (0.5, 0.77)]],
    "√": [[(0.1, 0.55), (0.3, 1.0), (0.55, -0.1), (1.0, -0.1)]],
    "<": [[(0.8, 0.2), (0.2, 0.5), (0.8, 0.8)]],
}
"""Signs as lines of a pen; 0 to 1 from the digits' left to their right and top to bottom."""

_BETWEEN = "+-x=/|():<√"
_IN_DATES = "//.-:"
"""Signs between numbers, and within dates and times."""

_UNITS = "m g h l s t a b x k kg cm mm km EUR USD ml min st nd th °C € % kWh"
_SYMBOLS = "No Nr A B C R T # x n"
"""What stands close behind a number, and before it."""

LETTER = "letter"
"""The kind of sign that a letter is on a page."""

_LIKE_LETTERS = "€$£%#&§@"
"""Characters that count as letters, too."""

_WIDENING = {"/": (0.3, 1.3)}
"""How much wider a sign may be than its strokes say."""

_FONT_PEN = 3
"""Usual width of the fonts' strokes, pixels at `DIGIT_HEIGHT`."""

_MIN_SLASH_WIDTH = 0.7
"""A slash narrower than this, in heights, is drawn so much longer: else it would be a 1."""


def compose_lines(
    digits: U8, labels: U8, rng: Rng, *, spoiled: float = 0, letters: float = 0
) -> Scene:
    """Compose an image of one or a few lines.

    Args:
        digits: uint8 ``[N, 28, 28]`` in normal form, of the training set.
        labels: uint8 ``[N]``.
        rng: source of randomness; the same state gives the same image.
        spoiled: probability that a digit is struck out or written over, 0–1; half as likely a whole
            number is. They are signs of the kind `SPOILED`; the ink of such a number stays in
            `Scene.ink`.
        letters: probability that a letter stands close before a number, 0–1, and twice it that one
            does behind it. All letters, those of words, too, are signs of the kind `LETTER`.
    """
    page = Page(rng, IMAGE_SIDES)
    if rng.random() < 0.5:
        draw_ruling(page)
    writer = _LineWriter(page, digits, labels, spoiled, letters)
    y = writer.height * rng.uniform(0.1, 0.6)
    while y + 1.15 * writer.height < page.h:
        writer.write_line(y)
        y += writer.height * rng.uniform(1.15, 2.2)
    if rng.random() < 0.3:
        heights = [box[3] for box in page.boxes]
        add_clutter(page, float(np.median(heights)) if heights else page.h * 0.1, not heights)
    if page.boxes and rng.random() < 0.12:
        add_shapes(page)
    if rng.random() < 0.2:
        turn_page(page, rng.normal(0, 6) if rng.random() < 0.7 else rng.uniform(-45, 45))
    image = photograph(page) if rng.random() < 0.75 else np.clip(page.pixels, 0, 255)
    return to_scene(page, np.asarray(image, np.uint8))


class _LineWriter:
    """A hand that writes lines on a page.

    Attributes:
        height: of its digits, pixels.
    """

    def __init__(
        self, page: Page, digits: U8, labels: U8, spoiled: float = 0, letters: float = 0
    ) -> None:
        rng = page.rng
        self._page, self._rng = page, rng
        self._writer = Writer(page, digits, labels)
        largest = min(0.7 * page.h, 0.25 * page.w, 90)
        self.height = draw_log_uniform(rng, 14, max(largest, 18))
        # Between the digits of a number, in heights; most hands write closely, some join digits.
        choices = [(-0.14, 0.02), (-0.06, 0.2), (0.1, 0.9), (0.8, 2.0)]
        gaps = rng.choice(choices, p=[0.15, 0.48, 0.32, 0.05])
        self._gap = rng.uniform(*gaps)
        self._links = rng.choice([0.0, 0.5], p=[0.85, 0.15])
        self._zeros = rng.choice([0.0, 0.15, 0.6], p=[0.5, 0.35, 0.15])
        pen = self._writer.pen or rng.uniform(0.06, 0.13)
        self._pen = max(1, round(pen * self.height))
        fonts = load_fonts()
        self._font = self._writer.font or fonts[rng.integers(len(fonts))]
        self._thicker = int(rng.integers(0, 6))
        self._spacing = int(rng.integers(4, 60)) if rng.random() < 0.35 else 0
        self._words = rng.choice([0.0, 0.3, 0.9], p=[0.45, 0.35, 0.2])
        self._signs = rng.choice([0.0, 0.6], p=[0.4, 0.6])
        self._dates = rng.choice([0.0, 0.25, 0.8], p=[0.6, 0.28, 0.12])
        self._units = rng.choice([0.0, 0.5], p=[0.7, 0.3])
        self._spoiled, self._letters = spoiled, letters
        if letters:
            self._write_alike()

    def _write_alike(self) -> None:
        """Write letters and digits alike: by one font, or with a pen of one width."""
        rng, writer = self._rng, self._writer
        if rng.random() < 0.5:
            writer.font = self._font
        elif writer.font is None and rng.random() < 0.7:
            pen = self._pen / self.height * DIGIT_HEIGHT
            self._thicker = int(np.clip(round(pen - _FONT_PEN), 0, 6))

    def write_line(self, y: float) -> None:
        """Write a line with its top at `y`."""
        rng, row = self._rng, max(self._page.rows, default=-1) + 1
        x = self.height * rng.uniform(0.05, 2.0)
        while x < self._page.w - self.height:
            kind = rng.random()
            if kind < self._words:
                x = self._word(x, y)
            elif kind > 1 - self._dates * (1 - self._words):
                x = self._date(x, y, row)
            else:
                if rng.random() < 0.3 * self._units:
                    x = self._word(x, y, str(rng.choice(_SYMBOLS.split())))
                x = self._number(x, y, row)
                if rng.random() < self._units:
                    x = self._word(x + rng.uniform(-0.05, 0.4) * self.height, y, self._unit())
                elif rng.random() < self._signs:
                    x = self._sign(str(rng.choice(list(_BETWEEN))), x, y, (0.0, 0.7))
            if rng.random() < 0.15:
                break
            x += self.height * rng.uniform(0.3, 2.5)

    def _number(self, x: float, y: float, row: int) -> float:
        rng = self._rng
        if self._signs and rng.random() < 0.15:
            x = self._sign(str(rng.choice(list("-($"))), x, y, (0.0, 0.2))
        if self._letters and rng.random() < self._letters:
            x = self._letter(x, y)
        point = int(rng.integers(1, 4)) if self._signs and rng.random() < 0.3 else 0
        gap, before = self._gap, len(self._page.boxes)
        for place in range(int(rng.integers(1, 8))):
            if place and place == point:
                x = self._sign(str(rng.choice(list(".,"))), x, y, (0.0, 0.15))
            written = len(self._page.boxes)
            x = self._digit(x, y, row)
            if x > self._page.w:
                return x
            if place != point and len(self._page.boxes) > written:
                self._join(before)
        if rng.random() < self._zeros:  # as at the end of amounts, joined by many hands
            self._gap = min(gap, rng.uniform(-0.16, 0.1))
            for _ in range(int(rng.integers(2, 4))):
                written = len(self._page.boxes)
                x = self._digit(x, y, row, 0)
                if len(self._page.boxes) > written:
                    self._join(before)
            self._gap = gap
        if self._spoiled and rng.random() < self._spoiled / 2:
            self._strike_out(before)
        if self._letters and rng.random() < 2 * self._letters:
            x = self._letter(x, y)
        return x

    def _letter(self, x: float, y: float) -> float:
        """A letter close to a number, mostly one that looks like a digit."""
        rng, size, writer = self._rng, self.height, self._writer
        kinds = LIKE_DIGITS, string.ascii_letters, _LIKE_LETTERS
        letter = str(rng.choice(list(kinds[rng.choice(3, p=[0.5, 0.35, 0.15])])))
        glyph, tall = self._font.glyphs.get(letter), size * rng.uniform(0.88, 1.12)
        ink, _ = self._font.write(letter, tall, self._thicker)
        if glyph is None or not ink.size:
            return x
        ink = shear(crop_to_ink(ink), writer.slant)
        if writer.wear:
            ink = wear_ink(ink, rng, writer.wear)
        x += size * rng.uniform(-0.05, 0.45)
        bottom = y + size + (glyph.top + glyph.ink.shape[0]) * tall / DIGIT_HEIGHT
        top = bottom - ink.shape[0] + rng.normal(0, 0.04) * size
        self._page.put(ink, round(x), round(top), writer.colour, writer.strength, other=True)
        self._page.signs.append((ink, round(x), round(top), LETTER))
        return float(x + ink.shape[1] + size * rng.uniform(0, 0.3))

    def _join(self, first: int) -> None:
        """Join the last digit to the one before it by a stroke, as hurried hands do."""
        page, rng = self._page, self._rng
        if len(page.boxes) - first < 2 or rng.random() > self._links:
            return
        ends = []
        for (ink, left, top), at_right in zip(page.glyphs[-2:], (True, False), strict=True):
            columns = np.flatnonzero(ink.max(0) > 127)
            if not len(columns):
                return
            column = columns[-1 if at_right else 0]
            ends.append((left + column, top + int(ink[:, column].argmax())))
        (x0, y0), (x1, y1) = ends
        if x1 - x0 > 0.3 * self.height:
            return
        layer = np.zeros((page.h, page.w), np.uint8)
        sag = (x0 + x1) // 2, (y0 + y1) // 2 + round(rng.normal(0, 0.06) * self.height)
        path = np.array([(x0, y0), sag, (x1, y1)], np.int32)
        cv2.polylines(layer, [path], False, 255, self._pen, cv2.LINE_AA)
        page.put(layer, 0, 0, self._writer.colour, self._writer.strength, digit=True)

    def _date(self, x: float, y: float, row: int) -> float:
        """A date, a time or a fraction: short numbers with the same sign close to them."""
        rng = self._rng
        kind, room = str(rng.choice(list(_IN_DATES))), rng.uniform(-0.05, 0.25)
        for part in range(int(rng.integers(2, 4))):
            if part:
                x = self._sign(kind, x, y, (room, room + 0.05))
            for _ in range(int(rng.choice([1, 2, 4], p=[0.25, 0.6, 0.15]))):
                x = self._digit(x, y, row)
                if x > self._page.w:
                    return x
        return x

    def _unit(self) -> str:
        rng = self._rng
        return str(rng.choice(_UNITS.split())) if rng.random() < 0.7 else make_label(rng)

    def _digit(self, x: float, y: float, row: int, value: int | None = None) -> float:
        page, rng, size = self._page, self._rng, self.height
        ink, label = self._writer.glyph(max(10, round(size * rng.uniform(0.88, 1.12))), value)
        h, w = ink.shape
        left, top = round(x), round(y + (size - h) / 2 + rng.normal(0, 0.04) * size)
        if ink.size == 0 or top < 0 or top + h > page.h or left + w > page.w:
            return page.w + 1.0
        gap = self._gap * rng.uniform(0.4, 1.6) if self._gap > 0 else self._gap
        if self._spoiled and rng.random() < self._spoiled and self._spoil(ink, label, left, top):
            return float(x + w + size * gap)
        page.put(ink, left, top, self._writer.colour, self._writer.strength, digit=True)
        page.glyphs.append((ink, left, top))
        page.boxes.append((left, top, w, h))
        page.digits.append(label)
        page.rows.append(row)
        return float(x + w + size * gap)

    def _spoil(self, ink: U8, label: int, left: int, top: int) -> bool:
        """Write a digit that is struck out or written over; whether chance found one."""
        rng, (h, w) = self._rng, ink.shape
        if rng.random() < 0.5:
            other, value = self._writer.glyph(max(10, round(h * rng.uniform(0.85, 1.1))))
            if value == label or not other.size:
                return False
            both = write_over(ink, other, rng)
            if both is None:
                return False
            self._put_spoiled(both, left + (w - both.shape[1]) // 2, top + (h - both.shape[0]) // 2)
            return True
        strokes, margin = strike_out(label, h, w, self._pen, rng)
        strokes[margin : margin + h, margin : margin + w] |= ink
        self._put_spoiled(strokes, left - margin, top - margin)
        return True

    def _strike_out(self, first: int) -> None:
        """Strike out the digits from number `first` of the page on by one line."""
        page = self._page
        if len(page.boxes) - first < 2:
            return
        boxes = np.array(page.boxes[first:])
        left, top = boxes[:, :2].min(0)
        right, bottom = (boxes[:, :2] + boxes[:, 2:]).max(0)
        strokes, margin = strike_out(None, bottom - top, right - left, self._pen, self._rng)
        pen = self._writer
        page.put(strokes, left - margin, top - margin, pen.colour, pen.strength, other=True)
        page.signs += [(*glyph, SPOILED) for glyph in page.glyphs[first:]]
        for values in (page.boxes, page.glyphs, page.digits, page.rows):
            del values[first:]

    def _put_spoiled(self, ink: U8, left: int, top: int) -> None:
        pen = self._writer
        self._page.put(ink, left, top, pen.colour, pen.strength, other=True)
        self._page.signs.append((ink, left, top, SPOILED))

    def _sign(self, kind: str, x: float, y: float, room: tuple[float, float]) -> float:
        """Put a sign with room around it, in heights: of the font, or strokes of the pen."""
        rng, size = self._rng, self.height
        x += size * rng.uniform(*room)
        strokes = _STROKES.get(kind)
        if strokes is None or rng.random() < 0.2:
            ink, _ = self._font.write(kind, size, self._thicker)
            ink = crop_to_ink(ink) if ink.size else ink
            top = y + (size - ink.shape[0]) * (0.5 if kind not in ".," else 1.0)
        else:
            layer = np.zeros((round(2 * size), round(2 * size)), np.uint8)
            scale = size * rng.uniform(0.75, 1.2)
            wider = rng.uniform(*_WIDENING.get(kind, (0.8, 1.2)))
            if kind == "/":
                scale *= 1 + max(0, _MIN_SLASH_WIDTH - wider)
            for stroke in strokes:
                points = np.array(stroke) - 0.5
                points[:, 0] *= wider
                points = points * scale + size + rng.normal(0, 0.03, points.shape) * size
                path = np.rint(points * 16).astype(np.int32)
                cv2.polylines(layer, [path], False, 255, self._pen, cv2.LINE_AA, 4)
            _, lowest, _, tall = cv2.boundingRect((layer > 40).astype(np.uint8))
            ink = crop_to_ink(layer)
            top = y + lowest - size + size / 2
            if kind in ".,":
                top = y + size * rng.uniform(0.85, 1.0) - (tall / 2 if kind == "." else 0.2 * tall)
        if ink.size:
            pen = self._writer
            self._page.put(ink, round(x), round(top), pen.colour, pen.strength, other=True)
            self._page.signs.append((ink, round(x), round(top), kind))
        return float(x + ink.shape[1] + size * rng.uniform(*room))

    def _word(self, x: float, y: float, text: str = "") -> float:
        rng, size, pen = self._rng, self.height, self._writer
        if not text:
            text = make_label(rng)
            text = text.upper() if rng.random() < (0.6 if self._spacing else 0.3) else text
        tall = size * rng.uniform(0.7, 1.1)
        ink, boxes = self._font.write(text, tall, self._thicker, self._spacing)
        if ink.size == 0:
            return x + size
        left, above, *_ = cv2.boundingRect((ink > 40).astype(np.uint8))
        whole, ink = ink, crop_to_ink(ink)
        top = round(y + size - ink.shape[0] * rng.uniform(0.8, 1.0))
        for letter, (bx, by, w, h) in zip(
            (each for each in text if each in self._font.glyphs), boxes, strict=True
        ):
            part = whole[max(by, 0) : by + h, max(bx, 0) : bx + w]
            if (letter.isalpha() or letter in _LIKE_LETTERS) and part.size:
                at = round(x) + max(bx, 0) - left, top + max(by, 0) - above
                self._page.signs.append((part, *at, LETTER))
        self._page.put(ink, round(x), top, pen.colour, pen.strength, other=True)
        return float(x + ink.shape[1] + size * rng.uniform(0.0, 0.3))
