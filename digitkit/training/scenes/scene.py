"""Synthetic photographs of pages: MNIST's training digits on paper, under bad light.

The detector is trained on them, and measured on others: ``benchmarks/scenes.py`` writes a folder of
them. They vary as photographs do: paper and its texture, ruled and squared lines, shadows,
vignettes and glare, pens of all widths and colours, light on dark, thresholded scans, broken and
touching strokes, operators, letters, print, scribbles, the desk around the page, fingers, blur,
noise and JPEG. A sixth of them show no digit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from digitkit.arrays import U8, Box
from digitkit.images.cv import cv2
from digitkit.training.scenes.camera import photograph
from digitkit.training.scenes.clutter import add_clutter, draw_ruling
from digitkit.training.scenes.page import Page, Rng
from digitkit.training.scenes.turn import turn_page
from digitkit.training.scenes.writing import write_digits


@dataclass(frozen=True)
class Scene:
    """One image and what a person would read in it.

    Attributes:
        image: uint8 ``[H, W, 3]`` BGR.
        ink: uint8 ``[H, W]``, how much a pixel is ink of a digit, cut digits included.
        other: uint8 ``[H, W]``, how much a pixel is ink of letters, signs, print or lines.
        boxes: bounding boxes of the whole digits.
        digits: their values, in the same order.
        rows: the row of each, from 0 at the top.
        cut: bounding boxes of the visible parts of digits that the border cuts.
        tags: what makes it hard to read, such as ``ruled`` or ``touching``.
        signs: bounding boxes of signs and decimal separators between digits, with the character of
            each.
    """

    image: U8
    ink: U8
    other: U8
    boxes: list[Box]
    digits: list[int]
    rows: list[int]
    cut: list[Box] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    signs: list[tuple[Box, str]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The digits, rows separated by newlines."""
        lines: dict[int, str] = {}
        for row, digit in zip(self.rows, self.digits, strict=True):
            lines[row] = lines.get(row, "") + str(digit)
        return "\n".join(lines.values())


def compose_scene(
    digits: U8,
    labels: U8,
    rng: Rng,
    *,
    empty: bool | None = None,
    sides: tuple[int, int] = (420, 1700),
) -> Scene:
    """Compose one image.

    Args:
        digits: uint8 ``[N, 28, 28]`` in normal form, of the training set.
        labels: uint8 ``[N]``.
        rng: source of randomness; the same state gives the same image.
        empty: whether it shows no digit; None leaves it to chance (one in six).
        sides: smallest and largest length of the longer side, pixels.
    """
    if empty is None:
        empty = rng.random() < 1 / 6
    page = Page(rng, sides)
    draw_ruling(page)
    heights = write_digits(page, digits, labels) if not empty else []
    add_clutter(page, float(np.median(heights)) if heights else page.h * 0.08, empty)
    if rng.random() < 0.35:
        turn_page(page, rng.normal(0, 8) if rng.random() < 0.6 else rng.uniform(-45, 45))
    return to_scene(page, photograph(page))


def to_scene(page: Page, image: U8) -> Scene:
    """The scene of a page and its photograph, uint8 ``[H, W, 3]`` BGR."""
    signs = []
    for ink, left, top, kind in page.signs:
        x, y, w, h = cv2.boundingRect((ink > 40).astype(np.uint8))
        signs.append(((left + x, top + y, w, h), kind))
    tags = sorted(set(page.tags))
    return Scene(
        image, page.ink, page.other, page.boxes, page.digits, page.rows, page.cut, tags, signs
    )
