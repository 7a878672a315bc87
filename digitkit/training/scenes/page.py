"""Paper, and the layer of ink on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F64, U8, Box
from digitkit.images.cv import cv2

Rng = np.random.Generator


def draw_log_uniform(rng: Rng, low: float, high: float) -> float:
    """A number between two, above 0, whose logarithm is uniformly distributed."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


class Page:
    """Paper with what is written on it, before lighting.

    Attributes:
        rng: source of randomness.
        h: height, pixels.
        w: width, pixels.
        dark_paper: whether the ink is lighter than the paper.
        pixels: float32 ``[h, w, 3]`` BGR, 0–255.
        ink: uint8 ``[h, w]``, how much a pixel is ink of a digit.
        other: uint8 ``[h, w]``, how much a pixel is ink of letters, signs, print or lines.
        boxes: bounding boxes of the whole digits.
        digits: their values, in the same order.
        rows: the row of each, from 0.
        cut: bounding boxes of the visible parts of digits that the border cuts.
        glyphs: the ink of each digit, whole ones first, uint8 ``[h, w]``, with its left side and
            its top.
        signs: the same of signs and decimal separators between digits, each with its character.
        hand: colour and opacity of the pen that the digits are written with; None without one.
        tags: what makes the page hard to read.
    """

    def __init__(self, rng: Rng, sides: tuple[int, int]) -> None:
        """Make blank paper; its longer side is between `sides`, pixels."""
        self.rng = rng
        long = int(draw_log_uniform(rng, *sides))
        ratio = rng.choice([0.56, 0.7, 0.75, 1.0, 1.4])
        self.h, self.w = (long, int(long * ratio)) if ratio < 1 else (int(long / ratio), long)
        if rng.random() < 0.5:
            self.h, self.w = self.w, self.h
        self.dark_paper = rng.random() < 0.22
        self.tags: list[str] = []
        self.boxes: list[Box] = []
        self.digits: list[int] = []
        self.rows: list[int] = []
        self.cut: list[Box] = []
        self.pixels: npt.NDArray[Any] = self._paper()
        self.ink = np.zeros((self.h, self.w), np.uint8)
        self.other = np.zeros((self.h, self.w), np.uint8)
        self.glyphs: list[tuple[U8, int, int]] = []
        self.signs: list[tuple[U8, int, int, str]] = []
        self.hand: tuple[F64, float] | None = None

    def _paper(self) -> npt.NDArray[Any]:
        rng = self.rng
        if self.dark_paper:
            self.tags.append("light on dark")
            base = rng.choice([[15, 15, 15], [40, 60, 35], [50, 45, 45], [80, 40, 20], [0, 0, 0]])
        else:
            base = rng.choice(
                [[245, 248, 250], [225, 228, 230], [200, 225, 235], [190, 190, 190],
                 [150, 185, 205], [255, 255, 255]]
            )  # fmt: skip
        paper: npt.NDArray[Any] = np.empty((self.h, self.w, 3), np.float32)
        paper[:] = base
        if base.sum() not in (0, 765):
            fibre = rng.normal(0, 1, (self.h, self.w)).astype(np.float32)
            fine = cv2.GaussianBlur(fibre, (0, 0), rng.uniform(0.6, 2.5))
            paper += (fine / max(float(fine.std()), 1e-3) * rng.uniform(0.2, 4))[:, :, None]
            coarse = rng.normal(0, 1, (12, 12)).astype(np.float32)
            paper += cv2.resize(coarse, (self.w, self.h), interpolation=cv2.INTER_CUBIC)[
                :, :, None
            ] * rng.uniform(0, 6)
        return paper

    def put(
        self,
        ink: U8,
        x: int,
        y: int,
        colour: npt.ArrayLike,
        strength: float,
        *,
        digit: bool = False,
        other: bool = False,
    ) -> bool:
        """Put ink on the paper.

        Args:
            ink: uint8 ``[H, W]``, 255 for full ink.
            x: left side, pixels; may lie outside of the page.
            y: top.
            colour: BGR, 0–255.
            strength: opacity of full ink, 0–1.
            digit: whether it is part of a digit, and counts as its ink.
            other: whether it is a letter, a sign or a line, and counts as other ink.

        Returns:
            Whether any of it is on the page.
        """
        h, w = ink.shape
        x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + w, self.w), min(y + h, self.h)
        if x1 <= x0 or y1 <= y0:
            return False
        cover = (ink[y0 - y : y1 - y, x0 - x : x1 - x].astype(np.float32) / 255 * strength)[
            :, :, None
        ]
        part = self.pixels[y0:y1, x0:x1]
        part *= 1 - cover
        part += cover * np.asarray(colour, np.float32)
        if digit or other:
            part = (self.ink if digit else self.other)[y0:y1, x0:x1]
            np.maximum(part, ink[y0 - y : y1 - y, x0 - x : x1 - x], out=part)
        return True

    def ink_colour(self) -> F64:
        """A random colour that contrasts with the paper, BGR, 0–255."""
        rng = self.rng
        if self.dark_paper:
            return np.asarray(rng.choice([[250, 250, 250], [225, 235, 235], [150, 230, 240]]))
        return np.asarray(
            rng.choice(
                [[20, 20, 20], [30, 30, 30], [130, 50, 30], [170, 70, 30], [70, 70, 70],
                 [40, 40, 190], [60, 110, 40]]
            )
        )  # fmt: skip
