"""Turning a page: a note that lies askew, a camera that is held askew."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from digitkit.arrays import U8
from digitkit.images.cv import cv2
from digitkit.training.scenes.page import Page

CUT_FRACTION = 0.93
"""A digit of which less than this fraction of its ink remains visible is cut."""


def turn_page(page: Page, degrees: float) -> None:
    """Rotate all that is on the page about its centre, counter-clockwise."""
    page.tags.append("turned")
    rng = page.rng
    matrix = cv2.getRotationMatrix2D((page.w / 2, page.h / 2), degrees, rng.uniform(0.75, 1.0))
    size = (page.w, page.h)
    around = np.median(page.pixels, (0, 1)) if rng.random() < 0.5 else rng.uniform(0, 255, 3)
    page.pixels = cv2.warpAffine(page.pixels, matrix, size, borderValue=tuple(map(float, around)))
    page.ink = np.asarray(cv2.warpAffine(page.ink, matrix, size), np.uint8)
    page.other = np.asarray(cv2.warpAffine(page.other, matrix, size), np.uint8)
    boxes, digits, rows, cut = [], [], [], []
    values = [*zip(page.digits, page.rows, strict=True), *[(-1, -1)] * len(page.cut)]
    for (ink, x, y), (digit, row) in zip(page.glyphs, values, strict=True):
        turned, left, top = _turn_ink(ink, x, y, matrix)
        visible = turned[max(-top, 0) : max(page.h - top, 0), max(-left, 0) : max(page.w - left, 0)]
        bx, by, bw, bh = cv2.boundingRect((visible > 40).astype(np.uint8))
        if not (bw and bh):
            continue
        box = (max(left, 0) + bx, max(top, 0) + by, bw, bh)
        if digit >= 0 and visible.sum(dtype=np.int64) >= CUT_FRACTION * turned.sum(dtype=np.int64):
            boxes.append(box)
            digits.append(digit)
            rows.append(row)
        else:
            cut.append(box)
    page.boxes, page.digits, page.rows, page.cut = boxes, digits, rows, cut
    page.signs = [(*_turn_ink(ink, x, y, matrix), kind) for ink, x, y, kind in page.signs]


def _turn_ink(ink: U8, x: int, y: int, matrix: npt.NDArray[Any]) -> tuple[U8, int, int]:
    """Ink at a place of the page, turned with it, and where it is then."""
    moved = np.array(matrix, np.float64)
    moved[:, 2] += moved[:, :2] @ np.array([x, y], np.float64)
    # Around the place where the page's matrix puts it.
    h, w = ink.shape
    corners = np.array([(0, 0, 1), (w, 0, 1), (0, h, 1), (w, h, 1)]) @ moved.T
    left, top = (int(edge) for edge in np.floor(corners.min(0)).astype(int) - 1)
    right, bottom = (int(edge) for edge in np.ceil(corners.max(0)).astype(int) + 1)
    moved[:, 2] -= left, top
    return np.asarray(cv2.warpAffine(ink, moved, (right - left, bottom - top)), np.uint8), left, top
