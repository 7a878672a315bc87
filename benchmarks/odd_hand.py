"""A hand that the shipped models do not read: drawn by code, each digit another."""

from __future__ import annotations

import numpy as np

from digitkit.arrays import U8
from digitkit.images.cv import cv2

SIDE = 56
"""Of a picture, pixels: up to 64 it is taken as one digit."""

_ROUND = np.linspace(0, 2 * np.pi, 24)

_STROKES: dict[int, list[list[tuple[float, float]]]] = {
    0: [
        [(0.5 + 0.36 * np.cos(a), 0.5 + 0.45 * np.sin(a)) for a in _ROUND],
        [(0.15, 0.1), (0.85, 0.9)],
    ],
    1: [[(0.12, 0.95), (0.5, 0.05), (0.88, 0.95)]],
    4: [[(0.2, 0.95), (0.2, 0.05), (0.85, 0.3), (0.2, 0.55)]],
}
"""Lines from point to point, in a square of side 1: a 0 that is slashed from the wrong side, a 1
like a roof, and a 4 like a flag on a pole."""

DIGITS = tuple(_STROKES)
"""The digits that this hand writes in its own way."""


def draw_odd_digit(digit: int, rng: np.random.Generator) -> U8:
    """A digit by this hand: dark ink on bright paper, uint8 ``[56, 56]``.

    Args:
        digit: one of `DIGITS`.
        rng: source of randomness: of shape, slant, pen, ink and paper.
    """
    page = np.zeros((SIDE, SIDE), np.uint8)
    thick = int(rng.integers(3, 6))
    shape = np.array(
        [
            [rng.uniform(0.8, 1.1), rng.uniform(-0.15, 0.15)],
            [rng.uniform(-0.08, 0.08), rng.uniform(0.9, 1.1)],
        ]
    )
    for stroke in _STROKES[digit]:
        unsteady = 0.025 if len(stroke) < len(_ROUND) else 0.01
        points = np.array(stroke) + rng.normal(0, unsteady, (len(stroke), 2))
        points = (points - 0.5) @ shape.T * 34 + SIDE / 2
        path = np.rint(points * 8).astype(np.int32)
        cv2.polylines(page, [path], False, 255, thick, cv2.LINE_AA, shift=3)
    paper = rng.normal(225, 4, page.shape)
    ink = rng.uniform(20, 70)
    return np.clip(paper + (ink - paper) * (page / 255.0), 0, 255).astype(np.uint8)
