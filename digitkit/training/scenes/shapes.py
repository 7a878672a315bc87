"""Lines and shapes around digits: circles, boxes, cells, underlines, tables."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from digitkit.arrays import U8, Box
from digitkit.images.cv import cv2
from digitkit.training.scenes.page import Page


def add_shapes(page: Page) -> None:
    """Draw around some of the rows or digits, without touching their strokes much."""
    rng = page.rng
    page.tags.append("shapes")
    thick = max(1, round(min(page.h, page.w) * rng.uniform(0.001, 0.006)))
    layer = np.zeros((page.h, page.w), np.uint8)
    kind = rng.choice(["ellipse", "box", "underline", "cells", "triangle", "table"])
    rows: dict[int, list[Box]] = {}
    for box, row in zip(page.boxes, page.rows, strict=True):
        rows.setdefault(row, []).append(box)
    for boxes in rows.values():
        if kind != "table" and rng.random() < 0.3:
            continue
        groups = [boxes] if rng.random() < 0.6 else [[box] for box in boxes]
        if kind == "cells":
            _draw_cells(page, layer, boxes, thick)
            continue
        for group in groups:
            _draw_around(page, layer, str(kind), group, thick)
    if kind == "table" and page.boxes:
        _draw_table(page, layer, list(rows.values()), thick)
    page.put(layer, 0, 0, page.ink_colour(), rng.uniform(0.4, 1), other=True)


def _bounds(boxes: list[Box]) -> tuple[int, int, int, int]:
    edges = np.array([(x, y, x + w, y + h) for x, y, w, h in boxes])
    left, top = edges[:, :2].min(0)
    right, bottom = edges[:, 2:].max(0)
    return int(left), int(top), int(right), int(bottom)


def _draw_around(page: Page, layer: U8, kind: str, boxes: list[Box], thick: int) -> None:
    rng = page.rng
    left, top, right, bottom = _bounds(boxes)
    margin = (bottom - top) * rng.uniform(0.06, 0.5)
    if kind == "underline":
        y = round(bottom + margin * 0.6)
        cv2.line(
            layer, (round(left - margin), y),
            (round(right + margin), y + round(rng.normal(0, 0.05) * (right - left))), 255, thick,
            cv2.LINE_AA,
        )  # fmt: skip
    elif kind == "ellipse":
        middle = (round((left + right) / 2), round((top + bottom) / 2))
        axes = (round((right - left) * 0.71 + margin), round((bottom - top) * 0.71 + margin))
        cv2.ellipse(layer, middle, axes, rng.normal(0, 4), 0, 360, 255, thick, cv2.LINE_AA)
    elif kind == "triangle":
        w, h = right - left, bottom - top
        points = [(left - w - margin, bottom + margin), (right + w + margin, bottom + margin)]
        points.append(((left + right) / 2, top - 1.2 * h - margin))
        cv2.polylines(layer, [np.rint(points).astype(np.int32)], True, 255, thick, cv2.LINE_AA)
    else:
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        signs = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
        points = [
            (x + sx * margin * rng.uniform(0.8, 1.2), y + sy * margin * rng.uniform(0.8, 1.2))
            for (x, y), (sx, sy) in zip(corners, signs, strict=True)
        ]
        cv2.polylines(layer, [np.rint(points).astype(np.int32)], True, 255, thick, cv2.LINE_AA)


def _draw_cells(page: Page, layer: U8, boxes: list[Box], thick: int) -> None:
    """A comb: one cell per digit."""
    left, top, right, bottom = _bounds(boxes)
    margin = round((bottom - top) * page.rng.uniform(0.05, 0.25))
    gaps = [round((a[0] + a[2] + b[0]) / 2) for a, b in pairwise(boxes)]
    for x in (left - margin, *gaps, right + margin):
        cv2.line(layer, (x, top - margin), (x, bottom + margin), 255, thick, cv2.LINE_AA)
    for y in (top - margin, bottom + margin):
        cv2.line(layer, (left - margin, y), (right + margin, y), 255, thick, cv2.LINE_AA)


def _draw_table(page: Page, layer: U8, rows: list[list[Box]], thick: int) -> None:
    """Lines between the rows, and a few columns where no digit is."""
    rng = page.rng
    bounds = sorted((_bounds(row) for row in rows), key=lambda edges: edges[1])
    for above, below in pairwise(bounds):
        if below[1] > above[3]:
            y = round((above[3] + below[1]) / 2)
            cv2.line(layer, (0, y), (page.w, y), 255, thick, cv2.LINE_AA)
    for _ in range(int(rng.integers(2, 9))):
        x = int(rng.integers(page.w))
        if all(x < bx - 3 or x > bx + bw + 3 for bx, _, bw, _ in page.boxes):
            cv2.line(layer, (x, 0), (x, page.h), 255, thick, cv2.LINE_AA)
