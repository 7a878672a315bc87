"""Lines of numbers as people write them: close together, with signs, decimals and words.

`digitkit.training.scenes.scene` composes what a camera sees; this composes what stands in a line.
"""

from __future__ import annotations

import numpy as np

from digitkit.arrays import U8
from digitkit.images.cv import cv2
from digitkit.training.scenes.camera import photograph
from digitkit.training.scenes.clutter import add_clutter, draw_ruling
from digitkit.training.scenes.fonts import load_fonts
from digitkit.training.scenes.glyphs import crop_to_ink
from digitkit.training.scenes.page import Page, Rng
from digitkit.training.scenes.scene import Scene, to_scene
from digitkit.training.scenes.turn import turn_page
from digitkit.training.scenes.words import make_label
from digitkit.training.scenes.writing import Writer

SIDES = (120, 600)
"""Smallest and largest longer side of an image, pixels."""

_ARC = np.linspace(-np.pi / 2, np.pi / 2, 9)

_STROKES: dict[str, list[list[tuple[float, float]]]] = {
    "-": [[(0.2, 0.5), (0.8, 0.5)]],
    "+": [[(0.2, 0.5), (0.8, 0.5)], [(0.5, 0.2), (0.5, 0.8)]],
    "x": [[(0.25, 0.25), (0.75, 0.75)], [(0.75, 0.25), (0.25, 0.75)]],
    "=": [[(0.2, 0.38), (0.8, 0.38)], [(0.2, 0.64), (0.8, 0.64)]],
    "/": [[(0.2, 1.05), (0.75, -0.05)]],
    "|": [[(0.5, -0.15), (0.5, 1.15)]],
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


def compose_lines(digits: U8, labels: U8, rng: Rng) -> Scene:
    """Compose an image of one or a few lines.

    Args:
        digits: uint8 ``[N, 28, 28]`` in normal form, of the training set.
        labels: uint8 ``[N]``.
        rng: source of randomness; the same state gives the same image.
    """
    page = Page(rng, SIDES)
    if rng.random() < 0.5:
        draw_ruling(page)
    writer = _LineWriter(page, digits, labels)
    y = writer.height * rng.uniform(0.1, 0.6)
    while y + 1.15 * writer.height < page.h:
        writer.write_line(y)
        y += writer.height * rng.uniform(1.15, 2.2)
    if rng.random() < 0.3:
        heights = [box[3] for box in page.boxes]
        add_clutter(page, float(np.median(heights)) if heights else page.h * 0.1, not heights)
    if rng.random() < 0.2:
        turn_page(page, rng.normal(0, 6) if rng.random() < 0.7 else rng.uniform(-45, 45))
    image = photograph(page) if rng.random() < 0.75 else np.clip(page.pixels, 0, 255)
    return to_scene(page, np.asarray(image, np.uint8))


class _LineWriter:
    """A hand that writes lines on a page.

    Attributes:
        height: of its digits, pixels.
    """

    def __init__(self, page: Page, digits: U8, labels: U8) -> None:
        rng = page.rng
        self._page, self._rng = page, rng
        self._writer = Writer(page, digits, labels)
        largest = min(0.7 * page.h, 0.25 * page.w, 90)
        self.height = float(np.exp(rng.uniform(np.log(14), np.log(max(largest, 18)))))
        # Between the digits of a number, in heights; most hands write closely.
        self._gap = rng.uniform(-0.06, 0.2) if rng.random() < 0.6 else rng.uniform(0.1, 0.5)
        pen = self._writer.pen or rng.uniform(0.06, 0.13)
        self._pen = max(1, round(pen * self.height))
        fonts = load_fonts()
        self._font = self._writer.font or fonts[rng.integers(len(fonts))]
        self._thicker = int(rng.integers(0, 6))
        self._words = rng.choice([0.0, 0.3, 0.9], p=[0.45, 0.35, 0.2])
        self._signs = rng.choice([0.0, 0.6], p=[0.4, 0.6])

    def write_line(self, y: float) -> None:
        """Write a line with its top at `y`."""
        rng, row = self._rng, max(self._page.rows, default=-1) + 1
        x = self.height * rng.uniform(0.05, 2.0)
        while x < self._page.w - self.height:
            kind = rng.random()
            if kind < self._words:
                x = self._word(x, y)
            else:
                x = self._number(x, y, row)
                if rng.random() < self._signs:
                    x = self._sign(str(rng.choice(list(_BETWEEN))), x, y, (0.0, 0.7))
                elif rng.random() < 0.1:
                    x = self._word(x + rng.uniform(0, 0.4) * self.height, y)  # a unit
            if rng.random() < 0.15:
                break
            x += self.height * rng.uniform(0.3, 2.5)

    def _number(self, x: float, y: float, row: int) -> float:
        rng = self._rng
        if self._signs and rng.random() < 0.15:
            x = self._sign(str(rng.choice(list("-($"))), x, y, (0.0, 0.2))
        point = int(rng.integers(1, 4)) if self._signs and rng.random() < 0.3 else 0
        for place in range(int(rng.integers(1, 8))):
            if place and place == point:
                x = self._sign(str(rng.choice(list(".,"))), x, y, (0.0, 0.15))
            x = self._digit(x, y, row)
            if x > self._page.w:
                break
        return x

    def _digit(self, x: float, y: float, row: int) -> float:
        page, rng, size = self._page, self._rng, self.height
        ink, label = self._writer.glyph(max(10, round(size * rng.uniform(0.88, 1.12))))
        h, w = ink.shape
        left, top = round(x), round(y + (size - h) / 2 + rng.normal(0, 0.04) * size)
        if ink.size == 0 or top < 0 or top + h > page.h or left + w > page.w:
            return page.w + 1.0
        page.put(ink, left, top, self._writer.colour, self._writer.strength, digit=True)
        page.glyphs.append((ink, left, top))
        page.boxes.append((left, top, w, h))
        page.digits.append(label)
        page.rows.append(row)
        gap = self._gap * rng.uniform(0.4, 1.6) if self._gap > 0 else self._gap
        return float(x + w + size * gap)

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
            for stroke in strokes:
                points = np.array(stroke) - 0.5
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

    def _word(self, x: float, y: float) -> float:
        rng, size, pen = self._rng, self.height, self._writer
        text = make_label(rng)
        text = text.upper() if rng.random() < 0.3 else text
        ink, _ = self._font.write(text, size * rng.uniform(0.7, 1.1), self._thicker)
        if ink.size == 0:
            return x + size
        ink = crop_to_ink(ink)
        top = round(y + size - ink.shape[0] * rng.uniform(0.8, 1.0))
        self._page.put(ink, round(x), top, pen.colour, pen.strength, other=True)
        return float(x + ink.shape[1] + size * rng.uniform(0.0, 0.3))
