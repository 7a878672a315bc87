"""Digits as strokes of a pen of any width."""

from __future__ import annotations

import string
from typing import Any

import numpy as np

from digitkit.arrays import U8
from digitkit.images.cv import cv2
from digitkit.training.scenes.page import Rng


def thin(mask: U8) -> U8:
    """Thin strokes to their centre lines, one pixel wide (Zhang and Suen, Comm. ACM 27, 1984).

    Args:
        mask: uint8 ``[H, W]``, 0 or 1.

    Returns:
        uint8 ``[H, W]``, 0 or 1.
    """
    at = np.pad(mask, 1).astype(bool)
    while True:
        before = int(at.sum())
        for odd in (False, True):
            ring = [np.roll(at, (-dy, -dx), (0, 1)) for dy, dx in _RING]
            count = sum(part.astype(np.int8) for part in ring)
            steps = sum(
                (~a & b).astype(np.int8) for a, b in zip(ring, ring[1:] + ring[:1], strict=True)
            )
            n, e, s, w = ring[0], ring[2], ring[4], ring[6]
            ends = ~(n & e & w) & ~(n & s & w) if odd else ~(n & e & s) & ~(e & s & w)
            at = at & ~((count >= 2) & (count <= 6) & (steps == 1) & ends)
        if int(at.sum()) == before:
            return at[1:-1, 1:-1].astype(np.uint8)


_RING = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))


def glyph(digit: U8, height: int, pen: int | None, rng: Rng) -> U8:
    """Redraw a digit of MNIST at another height, with a pen of another width.

    Args:
        digit: uint8 ``[28, 28]`` in normal form.
        height: of the ink, pixels.
        pen: width of the strokes, pixels; None for MNIST's own.
        rng: source of randomness.

    Returns:
        uint8 ``[h, w]``, cropped to the ink.
    """
    x, y, w, h = cv2.boundingRect((digit > 60).astype(np.uint8))
    tight = cv2.copyMakeBorder(digit[y : y + h, x : x + w], 2, 2, 2, 2, cv2.BORDER_CONSTANT)
    if pen is None:
        ratio = height / h
        big = cv2.resize(tight, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_CUBIC)
        big = cv2.GaussianBlur(big, (0, 0), max(ratio / 3, 0.3))
        gain = min(2.0 + ratio, 8.0)
        return crop_to_ink(
            np.clip((big.astype(np.float32) - 110) * gain + 127, 0, 255).astype(np.uint8)
        )
    big = cv2.resize(tight, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    line = thin((cv2.GaussianBlur(big, (0, 0), 1.5) > 100).astype(np.uint8))
    ys, xs = np.nonzero(line)
    ratio = height / (4 * h)
    # The line is redrawn at the new size, each pixel joined to its neighbours.
    out = np.zeros(
        (round(line.shape[0] * ratio) + 4 * pen, round(line.shape[1] * ratio) + 4 * pen), np.uint8
    )
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        near = (ys + dy < line.shape[0]) & (xs + dx < line.shape[1]) & (xs + dx >= 0)
        a, b = ys[near], xs[near]
        both = line[a + dy, b + dx] > 0
        starts = np.stack([b[both], a[both]], 1) * ratio + 2 * pen
        ends = np.stack([b[both] + dx, a[both] + dy], 1) * ratio + 2 * pen
        lines = np.rint(np.stack([starts, ends], 1) * 16).astype(np.int32)
        cv2.polylines(out, list(lines), False, 255, pen, cv2.LINE_AA, 4)
    if ratio > 0.6:
        out = cv2.GaussianBlur(out, (0, 0), ratio)
        out = np.clip((out.astype(np.float32) - 100) * 4 + 127, 0, 255).astype(np.uint8)
    return crop_to_ink(out)


def crop_to_ink(ink: U8) -> U8:
    """Crop uint8 ``[H, W]`` to the bounding box of its ink."""
    x, y, w, h = cv2.boundingRect((ink > 40).astype(np.uint8))
    return ink[y : y + h, x : x + w]


def shear(ink: U8, slant: float) -> U8:
    """Slant ink, uint8 ``[h, w]``, by `slant` of its height to the right; cropped to it."""
    if not slant or min(ink.shape) <= 3:
        return ink
    h, w = ink.shape
    matrix = np.array([[1, -slant, max(slant * h, 0)], [0, 1, 0]], np.float64)
    return crop_to_ink(
        np.asarray(cv2.warpAffine(ink, matrix, (w + round(abs(slant) * h), h)), np.uint8)
    )


def wear_ink(ink: U8, rng: Rng, amount: float) -> U8:
    """Simulate a dry pen: grains and gaps, the more the larger `amount` (0–1)."""
    grain: Any = cv2.GaussianBlur(
        rng.normal(0, 1, ink.shape).astype(np.float32), (0, 0), max(1.0, min(ink.shape) / 40)
    )
    grain /= max(float(grain.std()), 1e-3)
    return np.asarray(ink * (grain > -2.2 + 2 * amount), np.uint8)


def break_stroke(ink: U8, rng: Rng) -> U8:
    """Interrupt a stroke: erase a line of a few pixels across it."""
    h, w = ink.shape
    out = ink.copy()
    at = (int(rng.uniform(0.2, 0.8) * w), int(rng.uniform(0.2, 0.8) * h))
    turn = rng.uniform(0, np.pi)
    dx, dy = int(np.cos(turn) * w * 0.25), int(np.sin(turn) * h * 0.25)
    thick = max(1, round(h * rng.uniform(0.02, 0.07)))
    cv2.line(out, (at[0] - dx, at[1] - dy), (at[0] + dx, at[1] + dy), 0, thick)
    return out


UNLIKE_DIGITS = sorted(set(string.ascii_letters) - set("BDGIOSZbgijloqsz"))
"""Letters that do not look like digits; within a word the others are recognisable, too."""
