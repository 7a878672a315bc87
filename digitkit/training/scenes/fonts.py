"""Handwriting fonts: letters, words, signs and further hands for digits.

``data/glyphs`` has their characters as images, and the script that renders them. Only fonts for
training are used here; those for tests measure what was learnt (``benchmarks/scenes.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from digitkit.arrays import U8, Box
from digitkit.errors import DatasetError
from digitkit.images.cv import cv2
from digitkit.training.scenes.page import Rng

GLYPHS = Path(__file__).resolve().parents[3] / "data/glyphs/glyphs.npz"

DIGIT_HEIGHT = 40
"""Height of the digits in `GLYPHS`, pixels."""

_MARGIN = 6


@dataclass(frozen=True)
class Glyph:
    """A character of a font.

    Attributes:
        ink: uint8 ``[h, w]``, 255 for full ink.
        left: from the pen's position to its left side, pixels.
        top: from the baseline to its top, pixels, downwards.
        advance: how far the pen moves, pixels.
    """

    ink: U8
    left: int
    top: int
    advance: int


@dataclass(frozen=True)
class Font:
    """A hand.

    Attributes:
        name: of the font.
        glyphs: its characters.
    """

    name: str
    glyphs: dict[str, Glyph]

    def write(
        self, text: str, height: float, thicker: int = 0, spacing: int = 0
    ) -> tuple[U8, list[Box]]:
        """Write one line.

        Args:
            text: characters that the font lacks become spaces.
            height: of its digits, pixels.
            thicker: how much wider the pen is, in pixels at `DIGIT_HEIGHT`.
            spacing: how much further apart the characters are, in pixels at `DIGIT_HEIGHT`.

        Returns:
            Its ink, uint8 ``[h, w]``, and the bounding box of each character but spaces.
        """
        places, at = [], 0
        for character in text:
            glyph = self.glyphs.get(character)
            if glyph is not None:
                places.append((glyph, at + glyph.left))
            at += spacing + (DIGIT_HEIGHT // 3 if glyph is None else glyph.advance)
        if not places:
            return np.zeros((0, 0), np.uint8), []
        left, top = min(x for _, x in places), min(glyph.top for glyph, _ in places)
        right = max(x + glyph.ink.shape[1] for glyph, x in places)
        bottom = max(glyph.top + glyph.ink.shape[0] for glyph, _ in places)
        ink = np.zeros((bottom - top + 2 * _MARGIN, right - left + 2 * _MARGIN), np.uint8)
        boxes = []
        ratio = height / DIGIT_HEIGHT
        for glyph, x in places:
            h, w = glyph.ink.shape
            x, y = x - left + _MARGIN, glyph.top - top + _MARGIN
            part = ink[y : y + h, x : x + w]
            np.maximum(part, glyph.ink, out=part)
            gx, gy, gw, gh = cv2.boundingRect((glyph.ink > 40).astype(np.uint8))
            grown = ((x + gx - thicker / 2), (y + gy - thicker / 2), gw + thicker, gh + thicker)
            boxes.append(tuple(round(value * ratio) for value in grown))
        if thicker:
            round_pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (thicker + 1, thicker + 1))
            ink = np.asarray(cv2.dilate(ink, round_pen), np.uint8)
        size = (max(1, round(ink.shape[1] * ratio)), max(1, round(ink.shape[0] * ratio)))
        if ratio < 1:
            return np.asarray(cv2.resize(ink, size, interpolation=cv2.INTER_AREA), np.uint8), boxes  # type: ignore[return-value]
        large = cv2.resize(ink, size, interpolation=cv2.INTER_CUBIC)
        soft = cv2.GaussianBlur(large, (0, 0), max(0.3, ratio / 3)).astype(np.float32)
        sharp = (soft - 127) * min(1 + ratio, 6.0) + 127
        return np.clip(sharp, 0, 255).astype(np.uint8), boxes  # type: ignore[return-value]


@cache
def load_fonts(split: Literal["train", "test"] = "train") -> tuple[Font, ...]:
    """The fonts of a split.

    Raises:
        DatasetError: `GLYPHS` does not exist, as outside of a checkout.
    """
    if not GLYPHS.is_file():
        raise DatasetError(
            "does not exist", subject=str(GLYPHS), hint="train the detector in a checkout"
        )
    with np.load(GLYPHS) as data:
        names, splits = data["names"].tolist(), data["splits"].tolist()
        table, ink = data["glyphs"], data["ink"]
    ends = np.cumsum(table[:, 2] * table[:, 3])
    glyphs: list[dict[str, Glyph]] = [{} for _ in names]
    for (font, code, h, w, left, top, advance), end in zip(table.tolist(), ends, strict=True):
        image = ink[end - h * w : end].reshape(h, w)
        glyphs[font][chr(code)] = Glyph(image, left, top, advance)
    return tuple(
        Font(name, known)
        for name, kind, known in zip(names, splits, glyphs, strict=True)
        if kind == split
    )


def draw_digit(font: Font, label: int, height: int, rng: Rng) -> U8:
    """Draw a digit of a font, `height` pixels high or a little less: uint8 ``[h, w]``."""
    ink, _ = font.write(str(label), height, int(rng.integers(0, 4)))
    return ink
