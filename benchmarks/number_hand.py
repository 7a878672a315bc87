"""A hand that writes MNIST's digits and signs of one pen, for the images of ``number_sets.py``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from digitkit.arrays import U8, Box
from digitkit.boxes import bounding_box
from digitkit.datasets.digits import DigitData
from digitkit.images.cv import cv2
from digitkit.training.scenes.camera import photograph
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

    def write_over(self, box: Box, digit: int) -> None:
        """Write another digit over the one in a box; a fifth of it is beside what is written.

        Unlike what networks are trained on (`digitkit.training.scenes.spoiling`), on purpose. A
        tenth of the tries succeeds at least.
        """
        x, y, w, h = box
        written = cv2.dilate(self.page.ink, np.ones((5, 5), np.uint8)) > 127
        while True:
            ink, name = self.digit(h * self.rng.uniform(0.9, 1.1))
            left, top = round(x + (w - ink.shape[1]) / 2), round(y + (h - ink.shape[0]) / 2)
            below = written[max(top, 0) : top + ink.shape[0], max(left, 0) : left + ink.shape[1]]
            is_clear = below.shape == ink.shape and (
                (ink > 127)[~below].sum() >= 0.2 * (ink > 127).sum()
            )
            if int(name) != digit and is_clear:
                self.put(ink, left, top, digit=True)
                return

    def put_strokes(self, box: Box, kind: str) -> None:
        """Strike out what is in a box: by a slash, cross, bar, wave or scribble."""
        rng, (x, y, w, h) = self.rng, box
        layer = np.zeros((self.page.h, self.page.w), np.uint8)
        pen = max(1, round(h * rng.uniform(0.05, 0.12)))
        out = h * rng.uniform(0.05, 0.3)
        left, right, top, bottom = x - out, x + w + out, y - out / 2, y + h + out / 2
        if kind == "bar":
            level = y + h * rng.uniform(0.35, 0.65)
            paths = [[(left, level), (right, level + rng.normal(0, 0.05) * h)]]
        elif kind in ("slash", "cross"):
            paths = [[(left, bottom), (right, top)]]
            paths += [[(left, top), (right, bottom)]] * (kind == "cross")
        elif kind == "wave":
            at = np.linspace(0, 1, 80)
            turns = (right - left) / h * rng.uniform(0.8, 2)
            levels = y + h / 2 + h * rng.uniform(0.1, 0.25) * np.sin(2 * np.pi * turns * at)
            paths = [list(zip(left + (right - left) * at, levels, strict=True))]
        else:  # round and round, as one does with a pen
            at = np.linspace(0, 1, 200)
            turns = 2 * np.pi * max(3.0, (right - left) / h * rng.uniform(1.5, 3)) * at
            across = x + h * 0.2 + (w - h * 0.4) * at + h * 0.25 * np.cos(turns)
            paths = [list(zip(across, y + h / 2 + h * 0.4 * np.sin(turns), strict=True))]
        for path in paths:
            points = np.rint(np.array(path) * 16).astype(np.int32)
            cv2.polylines(layer, [points], False, 255, pen, cv2.LINE_AA, 4)
        self.put(layer, 0, 0)

    def finish(self) -> U8:
        """The image: plain, or photographed; uint8 ``[H, W, 3]`` BGR."""
        if self._plain:
            return np.asarray(self.page.pixels.clip(0, 255), np.uint8)
        return photograph(self.page)


_ARC = np.linspace(-np.pi / 2, np.pi / 2, 9)
