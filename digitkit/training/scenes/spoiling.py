"""Digits that a hand has spoiled: struck out, or another one written over them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from digitkit.arrays import F64, U8
from digitkit.images.cv import cv2
from digitkit.training.scenes.page import Rng

SPOILED = "spoiled"
"""The kind of sign that a spoiled digit is on a page."""

MIN_CLEAR_INK = 0.3
"""Of two digits that are written over each other, at least this fraction of each one's ink is
clear of the other; else both together still look like a digit."""

MAX_NEAR_DISTANCE = 0.05
"""Ink at most this far from other ink is not clear of it, in heights of the digit."""

_SLASHED = (0, 1, 7)
"""Digits that one straight stroke does not strike out for certain: it may be a part of them."""


def write_over(first: U8, second: U8, rng: Rng) -> U8 | None:
    """Write a digit over another.

    Args:
        first: its ink, uint8 ``[H, W]``.
        second: the ink of the other digit, uint8 ``[h, w]``.
        rng: source of randomness.

    Returns:
        The ink of both, uint8; None where one nearly covers the other.
    """
    shapes = np.array([first.shape, second.shape])
    h, w = (int(side) for side in shapes.max(0) + 0.2 * first.shape[0])
    layers = []
    for ink in (first, second):
        room = np.array([h, w]) - ink.shape
        top, left = np.rint(room / 2 + rng.uniform(-0.5, 0.5, 2) * 0.15 * first.shape[0])
        layer = np.zeros((h, w), np.uint8)
        top, left = int(np.clip(top, 0, room[0])), int(np.clip(left, 0, room[1]))
        layer[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
        layers.append(layer)
    near = 2 * max(1, round(MAX_NEAR_DISTANCE * first.shape[0])) + 1
    for one, other in (layers, layers[::-1]):
        covered = cv2.dilate(other, np.ones((near, near), np.uint8)) > 127
        if ((one > 127) & ~covered).sum() < MIN_CLEAR_INK * (one > 127).sum():
            return None
    return np.maximum(*layers)


def strike_out(digit: int | None, h: int, w: int, pen: int, rng: Rng) -> tuple[U8, int]:
    """Strokes that strike out a digit, or several.

    Args:
        digit: its value; None for several digits, through which a wave or a zigzag is drawn.
        h: height of what is struck out, pixels.
        w: its width, pixels.
        pen: width of the strokes, pixels.
        rng: source of randomness.

    Returns:
        Ink, uint8 ``[h + 2 * margin, w + 2 * margin]``, and the margin, pixels.
    """
    margin = h
    layer = np.zeros((h + 2 * margin, w + 2 * margin), np.uint8)
    if digit is None:
        kinds: tuple[Callable[[float, float, Rng], list[F64]], ...] = (_wave, _zigzag)
    else:
        kinds = (_cross, _zigzag) if digit in _SLASHED else (_slash, _cross, _bar, _zigzag)
    for points in kinds[rng.integers(len(kinds))](h, w, rng):
        moved = points + (w / 2 + margin, h / 2 + margin) + rng.normal(0, 0.03, points.shape) * h
        cv2.polylines(
            layer, [np.rint(moved * 16).astype(np.int32)], False, 255, pen, cv2.LINE_AA, 4
        )
    return layer, margin


def _slash(h: float, w: float, rng: Rng) -> list[F64]:
    """One or two sloping strokes, longer than the digit; x and y from its middle, pixels."""
    side = rng.choice([-1, 1])
    across, down = max(w, 0.5 * h) * rng.uniform(0.4, 0.9), h * rng.uniform(0.35, 0.75)
    one = np.array([(-side * across, down), (side * across, -down)])
    return [one] if rng.random() < 0.6 else [one, one + np.array([rng.uniform(0.1, 0.3) * h, 0])]


def _cross(h: float, w: float, rng: Rng) -> list[F64]:
    """Two strokes that cross."""
    across, down = max(w, 0.5 * h) * rng.uniform(0.35, 0.8), h * rng.uniform(0.35, 0.7)
    one = np.array([(-across, down), (across, -down)])
    return [one, one * np.array([-1, 1])]


def _bar(h: float, w: float, rng: Rng) -> list[F64]:
    """One or two nearly horizontal strokes, longer than the digit is wide."""
    across, rise = w / 2 + h * rng.uniform(0.15, 0.6), rng.normal(0, 0.08) * h
    y = rng.uniform(-0.18, 0.18) * h
    one = np.array([(-across, y + rise), (across, y - rise)])
    return [one] if rng.random() < 0.6 else [one, one + np.array([0, rng.uniform(0.12, 0.3) * h])]


def _wave(h: float, w: float, rng: Rng) -> list[F64]:
    """A wavy line through all."""
    across = w / 2 + h * rng.uniform(0, 0.5)
    x = np.linspace(-across, across, 8 * max(2, round(2 * across / h * 4)))
    swing, period = rng.uniform(0.06, 0.3) * h, rng.uniform(0.25, 0.9) * h
    y = swing * np.sin(2 * np.pi * x / period + rng.uniform(0, 6)) + rng.uniform(-0.1, 0.1) * h
    return [np.column_stack([x, y])]


def _zigzag(h: float, w: float, rng: Rng) -> list[F64]:
    """A scribble from one side to the other."""
    across, high = w / 2 + h * rng.uniform(0, 0.25), h * rng.uniform(0.3, 0.6)
    turns = max(4, round(2 * across / (h * rng.uniform(0.1, 0.3))))
    x = np.linspace(-across, across, turns)
    y = np.where(np.arange(turns) % 2, high, -high) * rng.uniform(0.6, 1, turns)
    return [np.column_stack([x, y])]
