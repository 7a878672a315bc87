"""What is not a digit: ruling, print, words, scribbles."""

from __future__ import annotations

import numpy as np

from digitkit.arrays import F64
from digitkit.images.cv import cv2
from digitkit.training.scenes.camera import add_surface
from digitkit.training.scenes.desk import add_blob, add_desk, add_objects
from digitkit.training.scenes.glyphs import UNLIKE_DIGITS, crop_to_ink
from digitkit.training.scenes.page import Page, Rng
from digitkit.training.scenes.shapes import add_shapes
from digitkit.training.scenes.words import add_words
from digitkit.training.scenes.writing import LETTERS, is_free


def draw_ruling(page: Page) -> None:
    """Rule the paper, with lines or squares; most pages stay blank."""
    rng = page.rng
    if rng.random() > 0.3:
        return
    step = rng.uniform(0.05, 0.16) * min(page.h, page.w)
    squared = rng.random() < 0.4
    page.tags.append("squared" if squared else "ruled")
    colour = rng.choice([[190, 150, 120], [150, 150, 150], [90, 90, 90], [150, 130, 220]])
    if page.dark_paper:
        colour = 255 - colour
    thick = max(1, round(min(page.h, page.w) * rng.uniform(0.0008, 0.003)))
    lean = rng.normal(0, 0.012)
    layer = np.zeros((page.h, page.w), np.uint8)
    for y in np.arange(rng.uniform(0, step), page.h * 1.2, step):
        cv2.line(layer, (0, round(y)), (page.w, round(y + lean * page.w)), 255, thick, cv2.LINE_AA)
    if squared:
        for x in np.arange(rng.uniform(0, step), page.w * 1.2, step):
            cv2.line(
                layer, (round(x), 0), (round(x - lean * page.h), page.h), 255, thick, cv2.LINE_AA
            )
    page.put(layer, 0, 0, colour, rng.uniform(0.4, 1), other=True)


def add_clutter(page: Page, size: float, empty: bool) -> None:
    """Add print, scribbles, objects and dirt at random.

    Args:
        page: the page.
        size: height of its digits, pixels.
        empty: whether it shows no digit; such pages get more clutter.
    """
    rng = page.rng
    if rng.random() < (0.75 if empty else 0.5):
        add_words(page, size, empty)
    if page.boxes and rng.random() < 0.2:
        add_shapes(page)
    if rng.random() < (0.5 if empty else 0.2):
        page.tags.append("print")
        _print(page, size)
    if rng.random() < (0.6 if empty else 0.15):
        for _ in range(int(rng.integers(1, 4))):
            _scribble(page, size)
    if rng.random() < (0.6 if empty else 0.2):
        add_desk(page)
    if rng.random() < (0.5 if empty else 0.12):
        add_blob(page)
    if rng.random() < (0.6 if empty else 0.12):
        add_objects(page)
    if rng.random() < (0.4 if empty else 0.05):
        add_surface(page)
    if rng.random() < 0.2:
        for _ in range(int(rng.integers(1, 40))):  # dirt
            at = (int(rng.integers(page.w)), int(rng.integers(page.h)))
            cv2.circle(page.pixels, at, int(rng.integers(1, 3)), page.ink_colour().tolist(), -1)


def _print(page: Page, size: float) -> None:
    """Print lines of words, from footnotes to headlines."""
    rng = page.rng
    tall = max(9, round(size * rng.uniform(0.15, 0.7)))
    if rng.random() < 0.2:
        tall = round(size * rng.uniform(0.7, 1.2))
    font = int(rng.choice([2, 3, 4, 0]))
    thick = max(1, round(tall * rng.uniform(0.06, 0.16)))
    y = int(rng.uniform(0, page.h * 0.8))
    colour = page.ink_colour()
    for _ in range(int(rng.integers(1, 6))):
        words = " ".join(_word(rng) for _ in range(int(rng.integers(1, 8))))
        layer = np.zeros((2 * tall, len(words) * tall + tall), np.uint8)
        at = (4, round(1.5 * tall))
        cv2.putText(layer, words, at, font, tall / 30, 255, thick, cv2.LINE_AA)
        layer = crop_to_ink(layer)
        x = int(rng.uniform(0, page.w * 0.5))
        if layer.size and is_free(page, x, y, *layer.shape[::-1], margin=0.3 * size):
            page.put(layer, x, y, colour, 0.9, other=True)
        y += 2 * tall


def _word(rng: Rng) -> str:
    length = int(rng.integers(1, 10))
    letters = rng.choice(LETTERS if length > 2 else UNLIKE_DIGITS, length)
    word = "".join(letters)
    return word if rng.random() < 0.3 else word.capitalize() if rng.random() < 0.5 else word.lower()


def _cursive(rng: Rng, w: int, h: int) -> F64:
    """A continuous line in loops, like words in a hurried hand."""
    t = np.linspace(0, 2 * np.pi * max(2, w / (0.5 * h)), 240)
    amplitude = np.interp(t, np.linspace(0, t[-1], 12), rng.uniform(0.15, 1, 12)) * 0.32 * h
    phase = rng.uniform(0.6, 2.2)
    xs = np.linspace(0.08 * w, 0.92 * w, len(t)) + amplitude * 0.6 * np.cos(t)
    ys = 0.5 * h + amplitude * np.sin(t + phase)
    return np.stack([xs, ys], 1)


def _scribble(page: Page, size: float) -> None:
    rng = page.rng
    w, h = (int(min(size * rng.uniform(0.5, 4), 0.8 * side)) for side in (page.w, page.h))
    if rng.random() < 0.4:
        w = int(min(size * rng.uniform(3, 9), 0.9 * page.w))
        h = int(min(size * rng.uniform(0.5, 1.2), page.h))
    x, y = int(rng.uniform(0, page.w - w)), int(rng.uniform(0, page.h - h))
    if not is_free(page, x, y, w, h, 0.4 * size):
        return
    page.tags.append("scribble")
    layer = np.zeros((h + 8, w + 8), np.uint8)
    if w > 2.5 * h:  # a short one would look like digits
        points, count = _cursive(rng, w, h), 240
    else:
        points = np.stack([rng.uniform(4, w, 40), rng.uniform(4, h, 40)], 1)
        points[:, 0] = np.sort(points[:, 0]) * 0.5 + points[:, 0] * 0.5
        count = int(rng.integers(12, 40))
    cv2.polylines(
        layer,
        [np.rint(points[:count]).astype(np.int32)],
        False,
        255,
        max(1, round(size * 0.05)),
        cv2.LINE_AA,
    )
    page.put(layer, x, y, page.ink_colour(), 0.9, other=True)
