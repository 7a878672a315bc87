"""A hand that the shipped model misreads: drawn by code, with random variation."""

from __future__ import annotations

import numpy as np

from digitkit.images.cv import cv2

SIDE = 56

DIGITS = (0, 1, 4)
"""What this hand writes in its own way."""


def draw_odd_digit(digit: int, rng: np.random.Generator) -> np.ndarray:
    """A digit by the odd hand: dark ink on paper, uint8 ``[56, 56]``.

    Its 0 is slashed from the wrong side, its 1 is a roof, and its 4 is a flag on a pole.
    """
    around = np.linspace(0, 2 * np.pi, 24)
    strokes = {
        0: [
            [(0.5 + 0.36 * np.cos(a), 0.5 + 0.45 * np.sin(a)) for a in around],
            [(0.15, 0.1), (0.85, 0.9)],
        ],
        1: [[(0.12, 0.95), (0.5, 0.05), (0.88, 0.95)]],
        4: [[(0.2, 0.95), (0.2, 0.05), (0.85, 0.3), (0.2, 0.55)]],
    }[digit]
    page = np.zeros((SIDE, SIDE), np.uint8)
    thick = int(rng.integers(3, 6))
    shape = np.array([[rng.uniform(0.8, 1.1), rng.uniform(-0.15, 0.15)],
                      [rng.uniform(-0.08, 0.08), rng.uniform(0.9, 1.1)]])  # fmt: skip
    for stroke in strokes:
        points = np.array(stroke) + rng.normal(
            0, 0.025 if len(stroke) < 9 else 0.01, (len(stroke), 2)
        )
        points = (points - 0.5) @ shape.T * 34 + SIDE / 2
        bent = np.rint(points * 8).astype(np.int32)
        cv2.polylines(page, [bent], False, 255, thick, cv2.LINE_AA, shift=3)
    paper = rng.normal(225, 4, page.shape)
    ink = rng.uniform(20, 70)
    return np.clip(paper + (ink - paper) * (page / 255.0), 0, 255).astype(np.uint8)
