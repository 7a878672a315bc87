"""Digits drawn from strokes, in styles of handwriting that MNIST's American writers lack.

A 1 with a flag, with or without a foot, a crossed 7, a 4 with a closed or a small head, a 3 with a
flat top: people who learnt to write elsewhere write these every day. Each digit is a few lines
through jittered points, drawn with a pen of random width, slanted, stretched, and brought to
normal form like an image of a digit.
"""

from __future__ import annotations

import numpy as np

from digitkit.arrays import F64, Labels
from digitkit.datasets.digits import Images
from digitkit.images.cv import cv2
from digitkit.images.normal_form import SIDE, normal_form

_SIDE = 96  # drawn larger and reduced, as pens are finer than pixels

_Line = tuple[bool, tuple[tuple[float, float], ...]]
"""Whether it is a smooth curve (else straight segments), and its points: x right, y down."""


def _corners(*points: tuple[float, float]) -> _Line:
    return False, points


def _curve(*points: tuple[float, float]) -> _Line:
    return True, points


_ROUND = _curve((0.8, 0.25), (0.5, 0.0), (0.2, 0.25), (0.45, 0.5), (0.78, 0.3))
_BELLY = ((0.55, 0.4), (0.88, 0.68), (0.5, 1.0), (0.05, 0.88))

_SMALL_HEAD = (_corners((0.68, 1.0), (0.68, 0.0), (0.05, 0.28), (0.72, 0.38)),)
"""A 4 that differs from a 9 only in its corners; a thick pen would fill them."""

_SHAPES: dict[int, tuple[tuple[_Line, ...], ...]] = {
    0: (
        (
            _curve(
                (0.6, 0.0), (0.25, 0.1), (0.08, 0.5), (0.25, 0.9), (0.5, 1.0), (0.75, 0.9),
                (0.92, 0.5), (0.75, 0.1), (0.4, 0.02),
            ),
        ),
    ),
    1: (
        (_corners((0.3, 0.18), (0.55, 0.0), (0.55, 1.0)),),
        (_corners((0.15, 0.3), (0.55, 0.0), (0.55, 1.0)),),
        (_corners((-0.15, 0.4), (0.55, 0.0), (0.55, 1.0)),),
        (_corners((-0.45, 0.5), (0.55, 0.0), (0.55, 1.0)),),
        (_curve((-0.4, 0.38), (0.1, 0.25), (0.55, 0.0)), _corners((0.55, 0.0), (0.55, 1.0))),
        (_corners((0.2, 0.28), (0.5, 0.0), (0.5, 1.0)), _corners((0.2, 1.0), (0.8, 1.0))),
    ),
    2: (
        (
            _curve((0.1, 0.25), (0.45, 0.0), (0.85, 0.25), (0.5, 0.65), (0.05, 1.0)),
            _corners((0.05, 1.0), (0.9, 1.0)),
        ),
    ),
    3: (
        (
            _curve((0.1, 0.12), (0.5, 0.0), (0.82, 0.2), (0.4, 0.46)),
            _curve((0.4, 0.46), *_BELLY),
        ),
        (_corners((0.1, 0.0), (0.8, 0.0), (0.4, 0.4)), _curve((0.4, 0.4), *_BELLY)),
    ),
    4: (
        (_corners((0.68, 1.0), (0.68, 0.0), (0.05, 0.65), (0.95, 0.65)),),
        (_corners((0.65, 1.0), (0.65, 0.0), (0.15, 0.45), (0.9, 0.45)),),
        _SMALL_HEAD,
        (_corners((0.4, 0.0), (0.05, 0.6), (0.95, 0.6)), _corners((0.62, 0.3), (0.6, 1.0))),
        (_corners((0.15, 0.0), (0.12, 0.5), (0.85, 0.5)), _corners((0.72, 0.0), (0.68, 1.0))),
    ),
    5: (
        (_corners((0.85, 0.0), (0.2, 0.0), (0.15, 0.45)), _curve((0.15, 0.45), *_BELLY)),
        (
            _corners((0.2, 0.02), (0.15, 0.45)),
            _curve((0.15, 0.45), *_BELLY),
            _corners((0.2, 0.0), (0.9, 0.0)),
        ),
    ),
    6: (
        (
            _curve(
                (0.7, 0.0), (0.3, 0.32), (0.12, 0.7), (0.45, 1.0), (0.82, 0.75), (0.5, 0.52),
                (0.18, 0.7),
            ),
        ),
    ),
    7: (
        (_corners((0.05, 0.03), (0.9, 0.0), (0.4, 1.0)), _corners((0.25, 0.5), (0.85, 0.48))),
        (_corners((0.05, 0.03), (0.9, 0.0), (0.4, 1.0)),),
        (_corners((0.05, 0.2), (0.07, 0.02), (0.9, 0.0), (0.45, 1.0)),),
        (
            _corners((0.05, 0.2), (0.07, 0.02), (0.9, 0.0), (0.45, 1.0)),
            _corners((0.3, 0.52), (0.9, 0.5)),
        ),
    ),
    8: (
        (
            _curve(
                (0.5, 0.46), (0.2, 0.22), (0.5, 0.0), (0.8, 0.22), (0.5, 0.46), (0.14, 0.75),
                (0.5, 1.0), (0.86, 0.75), (0.5, 0.46),
            ),
        ),
    ),
    9: (
        (_ROUND, _corners((0.8, 0.15), (0.74, 1.0))),
        (_ROUND, _curve((0.8, 0.2), (0.78, 0.7), (0.5, 1.0), (0.15, 0.9))),
    ),
}  # fmt: skip


_WIDTHS = {1: (0.25, 0.6), 7: (0.55, 0.95)}
"""Smallest and largest width relative to the height; a narrow 7 would be a 1 with a flag."""


def draw_digits(count: int, seed: int) -> tuple[Images, Labels]:
    """Draw digits; all ten occur equally often, in turn.

    Args:
        count: how many.
        seed: the same seed gives the same images.

    Returns:
        uint8 ``[count, 28, 28]`` in normal form, and uint8 ``[count]``.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.uint8) % 10
    images = np.empty((count, SIDE, SIDE), np.uint8)
    for i, label in enumerate(labels):
        images[i] = normal_form(draw_strokes(int(label), rng))
    return images, labels


def draw_strokes(
    label: int, rng: np.random.Generator, height: float | None = None, pen: int | None = None
) -> Images:
    """Draw one digit as it comes from the pen, not in normal form.

    Args:
        label: 0 to 9.
        rng: source of randomness.
        height: of the digit, pixels; random from 40 to 56 by default.
        pen: width of the strokes, pixels; random from 3 to 10 by default.

    Returns:
        uint8 ``[S, S]``, ink bright on dark, the digit in the centre; S is about twice the height.
    """
    shapes = _SHAPES[label]
    lines = shapes[rng.integers(len(shapes))]
    tall = rng.uniform(40, 56) if height is None else height
    width = tall * rng.uniform(*_WIDTHS.get(label, (0.45, 0.95)))
    slant = rng.uniform(-0.15, 0.35)
    turn = rng.uniform(-0.12, 0.12)
    matrix = np.array([[width, -slant * tall], [turn * width, tall]])
    if pen is None:
        pen = int(rng.integers(3, 6 if lines is _SMALL_HEAD else 11))
    side = _SIDE if height is None else round(2 * tall) + 2 * pen
    page = np.zeros((side, side), np.uint8)
    for smooth, points in lines:
        path = np.array(points) + rng.normal(0, 0.035, (len(points), 2))
        if smooth:
            path = _smooth(path)
        path = (path - 0.5) @ matrix.T + side / 2
        # Four more bits of precision than whole pixels.
        fixed = [np.rint(path * 16).astype(np.int32)]
        cv2.polylines(page, fixed, False, 255, pen, cv2.LINE_AA, 4)
    return page


def _smooth(points: F64) -> F64:
    """A curve through the points (Catmull and Rom, 1974), ten segments between any two."""
    padded = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    t = np.linspace(0, 1, 10, endpoint=False)[:, None]
    pieces = [
        0.5
        * (
            2 * b
            + (c - a) * t
            + (2 * a - 5 * b + 4 * c - d) * t**2
            + (3 * b - a - 3 * c + d) * t**3
        )
        for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False)
    ]
    return np.vstack([*pieces, points[-1:]])
