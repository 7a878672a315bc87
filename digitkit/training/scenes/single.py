"""Images of one digit, or of something else, as cameras show them: small, grey, blurred, noisy.

`digitkit.training.scenes.scene` composes whole pages; this composes what fills a small image, or
what is cut out of a page around one character.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from digitkit.arrays import U8
from digitkit.images.convert import to_grey
from digitkit.images.cv import cv2
from digitkit.training.negatives import CUT_PARTS
from digitkit.training.scenes.camera import add_surface, photograph
from digitkit.training.scenes.clutter import draw_ruling
from digitkit.training.scenes.desk import add_blob, add_desk, add_objects
from digitkit.training.scenes.fonts import Font, load_fonts
from digitkit.training.scenes.page import Page, Rng, draw_log_uniform
from digitkit.training.scenes.words import LOOKALIKES, make_word
from digitkit.training.scenes.writing import Writer

NO_DIGIT = 10
"""The label of an image that shows none."""

IMAGE_SIDES = (18, 140)
"""Smallest and largest longer side of an image, pixels."""

CONTEXT_HEIGHT = 1.6
"""What is cut out around a character of a row is this many times as high as a digit."""

MIN_RULED = 30
"""Only pages of this longer side are ruled, pixels."""

THINGS_SIDE = 240
"""Longer side of the pages that surfaces and objects are put on before they are reduced, pixels."""


class _Hand(NamedTuple):
    """Who writes on a page.

    Attributes:
        page: that.
        writer: of digits.
        font: of letters and signs.
        strength: opacity of the ink, 0–1.
    """

    page: Page
    writer: Writer
    font: Font
    strength: float

    def put(self, ink: U8, x: float, y: float) -> None:
        self.page.put(ink, round(x), round(y), self.writer.colour, self.strength)

    def character(self, height: float) -> U8:
        """Write a letter or a sign that looks like no digit; empty if chance finds none."""
        rng = self.page.rng
        character = str(rng.choice(sorted(self.font.glyphs)))
        if character in LOOKALIKES or character.isdigit():
            return np.zeros((0, 0), np.uint8)
        return self.font.write(character, max(8.0, height), int(rng.integers(0, 6)))[0]


def compose_single(digits: U8, labels: U8, rng: Rng) -> tuple[U8, int]:
    """Compose one image.

    Args:
        digits: uint8 ``[N, 28, 28]`` in normal form, of the training set.
        labels: uint8 ``[N]``.
        rng: source of randomness; the same state gives the same image.

    Returns:
        Grey levels, uint8 ``[H, W]``, and the digit that the image shows, or `NO_DIGIT`.
    """
    side = round(draw_log_uniform(rng, *IMAGE_SIDES))
    page = Page(rng, (side, side + 1))
    if rng.random() < 0.6:
        _resize(page, side, side)
    if side >= MIN_RULED and rng.random() < 0.3:
        draw_ruling(page)
    if rng.random() < 0.12:
        _draw_frame(page)
    writer, fonts = Writer(page, digits, labels), load_fonts()
    strength = writer.strength if writer.strength > 0.3 else rng.uniform(0.3, 1)
    hand = _Hand(page, writer, fonts[rng.integers(len(fonts))], strength)
    kinds, shares = zip(*_KINDS, strict=True)
    label = kinds[int(rng.choice(len(kinds), p=shares))](hand)
    image = photograph(page, poorly=bool(rng.random() < 0.6))
    return to_grey(image), label


def _digit(hand: _Hand) -> int:
    """One digit, at times with a part of its neighbour at the border."""
    page, rng = hand.page, hand.page.rng
    height = max(8, round(page.h * rng.uniform(0.5, 0.98)))
    ink, label = hand.writer.glyph(height)
    ink = _fit(ink, page)
    x, y = _place(hand, ink)
    if rng.random() < 0.2:
        other = hand.writer.glyph(height)[0]
        gap = max(1.0, 0.08 * height * rng.uniform(0.3, 3))
        seen = 0.35 * other.shape[1]
        left, right = x - gap - other.shape[1], x + ink.shape[1] + gap
        if rng.random() < 0.5 and left + other.shape[1] <= seen:
            hand.put(other, left, y)
        elif page.w - right <= seen:
            hand.put(other, right, y)
    return label


def _character(hand: _Hand) -> int:
    """A letter or a sign."""
    ink = hand.character(hand.page.h * hand.page.rng.uniform(0.5, 0.95))
    if ink.size:
        _place(hand, _fit(ink, hand.page))
    return NO_DIGIT


def _two_digits(hand: _Hand) -> int:
    rng = hand.page.rng
    height = max(8, round(hand.page.h * rng.uniform(0.4, 0.9)))
    first, second = (hand.writer.glyph(height)[0] for _ in range(2))
    tall = max(first.shape[0], second.shape[0])
    gap = round(tall * rng.uniform(0.02, 0.35))
    ink = np.zeros((tall, first.shape[1] + gap + second.shape[1]), np.uint8)
    ink[: first.shape[0], : first.shape[1]] = first
    ink[: second.shape[0], first.shape[1] + gap :] = second
    _place(hand, _fit(ink, hand.page))
    return NO_DIGIT


def _word(hand: _Hand) -> int:
    """A whole word, or what is cut out around one of its letters."""
    page, rng = hand.page, hand.page.rng
    word = make_word(rng)
    height = page.h / CONTEXT_HEIGHT * rng.uniform(0.85, 1.15)
    ink, boxes = hand.font.write(word, max(8.0, height), int(rng.integers(0, 6)))
    if len(boxes) < 3:
        return NO_DIGIT
    if rng.random() < 0.3:
        _place(hand, _fit(ink, page))
        return NO_DIGIT
    x, y, w, h = boxes[rng.integers(len(boxes))]
    hand.put(ink, page.w / 2 - x - w / 2, page.h / 2 - y - h / 2)
    return NO_DIGIT


def _row(hand: _Hand) -> int:
    """What is cut out around a character of a row of digits, letters and signs."""
    page, rng = hand.page, hand.page.rng
    height = max(8, round(page.h / CONTEXT_HEIGHT * rng.uniform(0.85, 1.15)))
    ink, label = hand.writer.glyph(height)
    if rng.random() < 0.25:
        ink, label = hand.character(height), NO_DIGIT
        if not ink.size:
            return NO_DIGIT
    middle = page.h / 2 + rng.normal(0, 0.04) * height
    x = page.w / 2 - ink.shape[1] / 2 + rng.normal(0, 0.06) * height
    hand.put(ink, x, middle - ink.shape[0] / 2)
    for direction in (-1, 1):
        edge = x if direction < 0 else x + ink.shape[1]
        for _ in range(int(rng.integers(0, 3))):
            other = hand.character(height) if rng.random() < 0.2 else hand.writer.glyph(height)[0]
            if not other.size:
                break
            edge += direction * height * rng.uniform(0.03, 0.5)
            left = edge - other.shape[1] if direction < 0 else edge
            hand.put(other, left, middle - other.shape[0] / 2 + rng.normal(0, 0.06) * height)
            edge += direction * other.shape[1]
    return label


def _part_of_digit(hand: _Hand) -> int:
    """A digit that the border cuts, so that what is left is none."""
    page, rng = hand.page, hand.page.rng
    digit = int(rng.choice(list(CUT_PARTS)))
    ink, _ = hand.writer.glyph(max(8, round(page.h * rng.uniform(0.8, 1.6))), digit)
    height, width = ink.shape
    share = rng.uniform(0.3, 0.6)
    x, y = (page.w - width) / 2, (page.h - height) / 2
    part = rng.choice(list(CUT_PARTS[digit]))
    if part == "t":
        hand.put(ink, x, page.h - height * share)
    elif part == "b":
        hand.put(ink, x, height * (share - 1))
    else:
        hand.put(ink, page.w - width * share, y)
    return NO_DIGIT


def _things(hand: _Hand) -> int:
    """Surfaces, objects, the end of the paper, or nothing at all."""
    page, rng = hand.page, hand.page.rng
    height, width = page.h, page.w
    ratio = THINGS_SIDE / max(height, width)
    _resize(page, round(height * ratio), round(width * ratio))
    for add in (add_surface, add_blob, add_objects, add_desk):
        if rng.random() < 0.3:
            add(page)
    # A part of it, as a detector might cut it out.
    part = rng.uniform(0.15, 1)
    h, w = max(1, round(page.h * part)), max(1, round(page.w * part))
    y, x = rng.integers(page.h - h + 1), rng.integers(page.w - w + 1)
    page.pixels = page.pixels[y : y + h, x : x + w]
    _resize(page, height, width)
    return NO_DIGIT


def _disc(hand: _Hand) -> int:
    """A filled disc or oval, which is no 0."""
    page, rng = hand.page, hand.page.rng
    tall = page.h * rng.uniform(0.3, 0.9)
    wide = min(tall * rng.uniform(0.5, 1.3), page.w * 0.95)
    layer = np.zeros((page.h, page.w), np.uint8)
    middle = round(page.w * rng.uniform(0.4, 0.6)), round(page.h * rng.uniform(0.4, 0.6))
    axes = max(1, round(wide / 2)), max(1, round(tall / 2))
    cv2.ellipse(layer, middle, axes, rng.uniform(-20, 20), 0, 360, 255, -1, cv2.LINE_AA)
    colour = rng.uniform(0, 255, 3)
    page.put(layer, 0, 0, colour, rng.uniform(0.4, 1))
    return NO_DIGIT


_KINDS: tuple[tuple[Callable[[_Hand], int], float], ...] = (
    (_digit, 0.54), (_row, 0.18), (_character, 0.08), (_two_digits, 0.05), (_word, 0.05),
    (_part_of_digit, 0.03), (_things, 0.05), (_disc, 0.02),
)  # fmt: skip
"""What images show, and how often."""


def _draw_frame(page: Page) -> None:
    """Draw some sides of a box around what is written, as of a form."""
    rng = page.rng
    layer = np.zeros((page.h, page.w), np.uint8)
    thick = max(1, round(min(page.h, page.w) * rng.uniform(0.01, 0.04)))
    left, right = (round(page.w * at) for at in (rng.uniform(0, 0.15), rng.uniform(0.85, 1)))
    top, bottom = (round(page.h * at) for at in (rng.uniform(0, 0.15), rng.uniform(0.85, 1)))
    sides = (
        ((left, 0), (left, page.h)), ((right, 0), (right, page.h)),
        ((0, top), (page.w, top)), ((0, bottom), (page.w, bottom)),
    )  # fmt: skip
    for start, end in sides:
        if rng.random() < 0.6:
            cv2.line(layer, start, end, 255, thick, cv2.LINE_AA)
    page.put(layer, 0, 0, page.ink_colour(), rng.uniform(0.3, 1))


def _resize(page: Page, height: int, width: int) -> None:
    """Give a page another size, with what is on it so far."""
    size = max(1, width), max(1, height)
    page.pixels = cv2.resize(page.pixels, size, interpolation=cv2.INTER_AREA)
    page.w, page.h = size
    page.ink, page.other = (np.zeros((page.h, page.w), np.uint8) for _ in range(2))


def _fit(ink: U8, page: Page) -> U8:
    """Ink, reduced to the size of the page if it is larger."""
    height, width = ink.shape
    ratio = min(1.0, page.w / width, page.h / height)
    if ratio == 1:
        return ink
    size = max(1, int(width * ratio)), max(1, int(height * ratio))
    return np.asarray(cv2.resize(ink, size, interpolation=cv2.INTER_AREA), np.uint8)


def _place(hand: _Hand, ink: U8) -> tuple[float, float]:
    """Put ink somewhere on the page; its left side and top."""
    page, rng = hand.page, hand.page.rng
    x = (page.w - ink.shape[1]) * rng.uniform(0.05, 0.95)
    y = (page.h - ink.shape[0]) * rng.uniform(0.05, 0.95)
    hand.put(ink, x, y)
    return x, y
