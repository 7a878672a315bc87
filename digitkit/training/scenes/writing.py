"""Writing rows of digits on a page, each page in one hand and with one pen."""

from __future__ import annotations

import string

import numpy as np

from digitkit.arrays import U8
from digitkit.boxes import intersects
from digitkit.images.orientation import rotate_freely
from digitkit.training.scenes.fonts import DIGIT_HEIGHT, draw_digit, load_fonts
from digitkit.training.scenes.glyphs import break_stroke, crop_to_ink, glyph, shear, wear_ink
from digitkit.training.scenes.page import Page, draw_log_uniform
from digitkit.training.stroke_digits import draw_strokes


class Writer:
    """A hand with a pen, which draws digits and signs for a page.

    Attributes:
        page: the page.
        digits: MNIST's digits, uint8 ``[N, 28, 28]`` in normal form.
        labels: uint8 ``[N]``.
        colour: of the ink, BGR, 0–255.
        drawn: whether digits are drawn from strokes instead of taken from MNIST.
        font: the font that the digits are taken from instead; None for none.
        pen: width of the pen relative to the height of a digit; None for MNIST's own.
        strength: opacity of the ink, 0–1.
        wear: how dry the pen is, 0–1.
        gaps: probability that a digit's stroke is interrupted.
        slant: shear of all digits.
    """

    def __init__(self, page: Page, digits: U8, labels: U8) -> None:
        """Choose a hand and a pen at random."""
        self.page, self.digits, self.labels = page, digits, labels
        rng = page.rng
        self.colour = page.ink_colour()
        self.drawn = rng.random() < 0.25
        fonts = load_fonts()
        self.font = fonts[rng.integers(len(fonts))] if rng.random() < 0.2 else None
        kind = rng.choice(["fine", "pen", "marker", "mnist"], p=[0.35, 0.3, 0.15, 0.2])
        widths = {"fine": (0.02, 0.045), "pen": (0.04, 0.08), "marker": (0.08, 0.14)}
        self.pen = None if kind == "mnist" else rng.uniform(*widths[kind])
        self.strength = rng.uniform(0.14, 0.6) if rng.random() < 0.3 else rng.uniform(0.6, 1)
        if self.strength < 0.45:
            page.tags.append("faint")
        self.wear = rng.uniform(0.2, 0.7) if rng.random() < 0.15 else 0.0
        self.gaps = 0.25 if rng.random() < 0.2 else 0.0
        if self.wear > 0.4 or self.gaps:
            page.tags.append("broken")
        self.slant = rng.normal(0, 0.08)
        page.hand = self.colour, self.strength

    def glyph(self, height: int, label: int | None = None) -> tuple[U8, int]:
        """Draw a digit: its ink, uint8 ``[h, w]``, and its value.

        Args:
            height: of the digit, pixels.
            label: its value; a random one by default.
        """
        rng = self.page.rng
        pen = None if self.pen is None else max(1, round(self.pen * height))
        if self.font is not None:
            label = int(rng.integers(10)) if label is None else label
            ink = crop_to_ink(draw_digit(self.font, label, height, rng))
        elif self.drawn:
            label = int(rng.integers(10)) if label is None else label
            ink = crop_to_ink(draw_strokes(label, rng, height, pen or max(2, round(height * 0.09))))
        else:
            which = self._choose(label)
            label = int(self.labels[which])
            ink = glyph(self.digits[which], height, pen, rng)
        ink = shear(ink, self.slant)
        if rng.random() < self.gaps:
            ink = break_stroke(ink, rng)
        if self.wear:
            ink = wear_ink(ink, rng, self.wear)
        return ink, label

    def _choose(self, label: int | None) -> int:
        """A random one of MNIST's digits of this value, or of any."""
        if label is None:
            return int(self.page.rng.integers(len(self.digits)))
        return int(self.page.rng.choice(np.flatnonzero(self.labels == label)))

    def sign(self, height: int) -> tuple[U8, float, str]:
        """Draw a random sign for digits of this height, pixels.

        Returns:
            Its ink, uint8 ``[h, w]``; where its middle is: 0 at the digits' top, 1 at their bottom;
            and its character.
        """
        rng = self.page.rng
        fonts = load_fonts()
        font = self.font or fonts[rng.integers(len(fonts))]
        character = str(rng.choice(list(SIGNS)))
        glyph = font.glyphs.get(character)
        if glyph is None:
            return np.zeros((0, 0), np.uint8), 0.5, character
        thicker = int(rng.integers(0, 5))
        ink = crop_to_ink(font.write(character, height, thicker)[0])
        return ink, 1 + (glyph.top + glyph.ink.shape[0] / 2) / DIGIT_HEIGHT, character


def write_digits(page: Page, digits: U8, labels: U8) -> list[float]:
    """Write digits on a page: in rows, one row, columns, or scattered.

    Args:
        page: the page; gets boxes, digits and rows.
        digits: MNIST's digits, uint8 ``[N, 28, 28]`` in normal form.
        labels: uint8 ``[N]``.

    Returns:
        The heights of the digits, pixels.
    """
    rng = page.rng
    writer = Writer(page, digits, labels)
    size = draw_log_uniform(rng, 0.035, 0.22) * min(page.h, page.w)
    size = max(size, 18.0)
    layout = rng.choice(["rows", "scattered", "one row", "columns"], p=[0.5, 0.15, 0.25, 0.1])
    if rng.random() < 0.15:
        # One or a few digits held up to the camera.
        page.tags.append("large")
        size, layout = rng.uniform(0.25, 0.85) * min(page.h, page.w), "one row"
    touching = rng.random() < 0.12
    if touching:
        page.tags.append("touching")
    if layout == "scattered":
        return _write_scattered(page, writer, size)
    if layout == "columns":
        return _write_columns(page, writer, size)
    if rng.random() < 0.12:
        _write_across_the_border(page, writer, size)
    return _write_rows(page, writer, size, layout == "one row", touching)


def _write_scattered(page: Page, writer: Writer, size: float) -> list[float]:
    rng = page.rng
    heights: list[float] = []
    page.tags.append("scattered")
    for _ in range(int(rng.integers(1, 10))):
        x, y = rng.uniform(0, page.w - size), rng.uniform(0, page.h - size)
        if all(abs(x - bx) > 2 * size or abs(y - by) > 1.6 * size for bx, by, _, _ in page.boxes):
            heights += _write_row(page, writer, x, y, size, 1, 0.0, False, 0.5)
    return heights


def _write_columns(page: Page, writer: Writer, size: float) -> list[float]:
    rng = page.rng
    heights: list[float] = []
    page.tags.append("columns")
    count = int(rng.integers(3, 7))
    for column in range(2):
        x = page.w * (0.05 if column == 0 else 0.58)
        y = page.h * rng.uniform(0.05, 0.15)
        widest = min(3.0, page.w * 0.3 / size)
        for _ in range(count):
            if y + size > page.h or widest < 1:
                break
            length = int(rng.integers(1, int(widest) + 1))
            heights += _write_row(page, writer, x, y, size, length, 0.0, False, 0.15)
            y += size * rng.uniform(1.5, 1.9)
    return heights


def _write_rows(
    page: Page, writer: Writer, size: float, single: bool, touching: bool
) -> list[float]:
    rng = page.rng
    heights: list[float] = []
    lean = rng.normal(0, 0.05)
    lowest = min(0.6, 0.9 - size / page.h) if single else 0.3
    y = page.h * rng.uniform(0.01, max(lowest, 0.02))
    spacing = rng.uniform(0.12, 1.2)
    rows = 1 if single else int(rng.integers(2, 7))
    for _ in range(rows):
        x = page.w * rng.uniform(0.04, 0.2)
        room = int((page.w - x) / (size * (0.65 + spacing)))
        if y + size + max(lean, 0) * page.w > page.h * 0.97 or room < 1:
            break
        if y + lean * page.w < 0:
            lean = 0.0
        count = int(rng.integers(1, min(room, 12) + 1))
        row_lean = rng.uniform(-0.9, 0.9) if rng.random() < 0.06 else lean
        heights += _write_row(page, writer, x, y, size, count, row_lean, touching, spacing)
        y += size * rng.uniform(1.45, 2.4)
    return heights


def _write_across_the_border(page: Page, writer: Writer, size: float) -> None:
    """Write a digit that the border cuts."""
    rng = page.rng
    ink, _ = writer.glyph(max(14, round(size)))
    h, w = ink.shape
    x, y = rng.uniform(0, 1, 2) * [max(page.w - w, 0), max(page.h - h, 0)]
    outside = rng.uniform(0.35, 0.7)
    x, y = (
        (-w * outside, y), (page.w - w * (1 - outside), y),
        (x, -h * outside), (x, page.h - h * (1 - outside)),
    )[rng.integers(4)]  # fmt: skip
    x, y = round(x), round(y)
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + w, page.w), min(y + h, page.h)
    if right - left < 6 or bottom - top < 6:
        return
    page.put(ink, x, y, writer.colour, writer.strength, digit=True)
    page.cut.append((left, top, right - left, bottom - top))
    page.glyphs.append((ink, x, y))
    page.tags.append("cut")


def _write_row(
    page: Page, writer: Writer, x: float, y: float, size: float, count: int,
    lean: float, touching: bool, spacing: float,
) -> list[float]:  # fmt: skip
    """Write up to `count` digits from (x, y); `lean` is the slope of the row."""
    rng = page.rng
    row = max(page.rows, default=-1) + 1
    start, heights = x, []
    operators = rng.random() < 0.3 and count > 1 and not touching
    for i in range(count):
        height = max(14, round(size * rng.uniform(0.85, 1.15)))
        ink, label = writer.glyph(height)
        if ink.size == 0:
            continue
        if abs(lean) > 0.15:
            ink = crop_to_ink(rotate_freely(ink, -float(np.degrees(np.arctan(lean))))[0])
        h, w = ink.shape
        if x + w > page.w - 2:
            break
        top = round(y + lean * (x - start) + rng.normal(0, 0.04) * size)
        left = round(x)
        if touching and i and rng.random() < 0.6:
            left -= round(w * 0.08 + spacing * size)
        if top < 2 or top + h > page.h - 2 or left < 2:
            continue
        if any(intersects((left, top, w, h), other) for other in page.cut):
            continue
        if abs(lean) > 0.15 and not is_free(page, left, top, w, h, 0):
            continue
        page.put(ink, left, top, writer.colour, writer.strength, digit=True)
        page.glyphs.insert(len(page.boxes), (ink, left, top))
        page.boxes.append((left, top, w, h))
        page.digits.append(label)
        page.rows.append(row)
        heights.append(float(h))
        x = left + w + size * spacing * rng.uniform(0.8, 1.2)
        if operators and i < count - 1 and rng.random() < 0.6:
            page.tags.append("operators")
            sign, middle, character = writer.sign(height)
            if sign.size and x + sign.shape[1] < page.w:
                at = round(x), round(top + h * middle - sign.shape[0] / 2)
                page.put(sign, *at, writer.colour, writer.strength, other=True)
                page.signs.append((sign, *at, character))
                x += sign.shape[1] + size * max(spacing, 0.3)
    return heights


LETTERS = list(string.ascii_letters)

SIGNS = "++--==xx××**//::(())[]<>%#&?!€£$,,,...'"
"""Signs between and around numbers."""


def is_free(page: Page, x: int, y: int, w: int, h: int, margin: float) -> bool:
    """Whether a box is at least `margin` pixels away from all digits of the page."""
    return all(
        x + w + margin < bx or bx + bw + margin < x or y + h + margin < by or by + bh + margin < y
        for bx, by, bw, bh in (*page.boxes, *page.cut)
    )
