"""What is around the writing: the desk, fingers, objects."""

from __future__ import annotations

import numpy as np

from digitkit.images.cv import cv2
from digitkit.training.scenes.page import Page
from digitkit.training.scenes.writing import is_free


def add_desk(page: Page) -> None:
    """Let the paper end inside the image, with a desk around it."""
    rng = page.rng
    mask = np.full((page.h, page.w), 255, np.uint8)
    room = [rng.uniform(-0.1, 0.12) for _ in range(4)]
    if page.boxes:
        near = np.array(page.boxes)
        limits = (
            near[:, 0].min() / page.w, near[:, 1].min() / page.h,
            1 - (near[:, 0] + near[:, 2]).max() / page.w,
            1 - (near[:, 1] + near[:, 3]).max() / page.h,
        )  # fmt: skip
        room = [min(r, limit - 0.03) for r, limit in zip(room, limits, strict=True)]
    left, top, right, bottom = room
    skew = rng.normal(0, 0.008, 8)
    corners = np.array(
        [[left + skew[0], top + skew[1]], [1 - right + skew[2], top + skew[3]],
         [1 - right + skew[4], 1 - bottom + skew[5]], [left + skew[6], 1 - bottom + skew[7]]]
    ) * [page.w, page.h]  # fmt: skip
    cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 0)
    if not mask.any():
        return
    page.tags.append("desk")
    desk = np.empty_like(page.pixels)
    desk[:] = rng.uniform(0, 120, 3) if rng.random() < 0.8 else rng.uniform(120, 255, 3)
    grain = rng.normal(0, 1, (page.h, 8)).astype(np.float32)
    desk += cv2.resize(grain, (page.w, page.h))[:, :, None] * rng.uniform(0, 14)
    cover = (cv2.GaussianBlur(mask, (0, 0), 1.2).astype(np.float32) / 255)[:, :, None]
    page.pixels = page.pixels * (1 - cover) + desk * cover


def add_blob(page: Page) -> None:
    """Add a finger, a coin or a magnet where no digit is."""
    rng = page.rng
    mask = np.zeros((page.h, page.w), np.uint8)
    side = rng.uniform(0.03, 0.14) * min(page.h, page.w)
    if rng.random() < 0.5:  # a finger comes in from an edge
        x, y = int(rng.uniform(0, page.w)), page.h
        long = rng.uniform(0.1, 0.4) * page.h
        tip = (int(x + rng.normal(0, 0.3) * long), int(y - long))
        box = (min(x, tip[0]) - side, tip[1] - side, abs(x - tip[0]) + 2 * side, long + side)
        cv2.line(mask, (x, y), tip, 255, max(2, int(side)))
        colour = np.array([130, 160, 215]) * rng.uniform(0.3, 1.1)
    else:
        at = (int(rng.uniform(0, page.w)), int(rng.uniform(0, page.h)))
        box = (at[0] - side, at[1] - side, 2 * side, 2 * side)
        cv2.circle(mask, at, int(side / 2), 255, -1)
        colour = rng.uniform(0, 255, 3)
    left, top, wide, tall = (int(v) for v in box)
    if not is_free(page, left, top, wide, tall, margin=8):
        return
    page.tags.append("object")
    shade = cv2.GaussianBlur(mask, (0, 0), side / 5 + 1).astype(np.float32)[:, :, None] / 255
    page.pixels *= 1 - 0.35 * shade
    cover = cv2.GaussianBlur(mask, (0, 0), 1.2).astype(np.float32)[:, :, None] / 255
    page.pixels = page.pixels * (1 - cover) + colour.astype(np.float32) * cover


def add_objects(page: Page) -> None:
    """Add a few objects: a ruler's ticks, cables, boxes, discs, stripes."""
    rng = page.rng
    page.tags.append("things")
    for _ in range(int(rng.integers(1, 5))):
        w = int(rng.uniform(0.05, 0.6) * page.w)
        h = int(rng.uniform(0.03, 0.5) * page.h)
        x, y = int(rng.uniform(-0.1, 0.9) * page.w), int(rng.uniform(-0.1, 0.9) * page.h)
        if not is_free(page, x, y, w, h, 0.02 * page.w):
            continue
        layer = np.zeros((h, w), np.uint8)
        thick = max(1, round(min(page.w, page.h) * rng.uniform(0.001, 0.02)))
        kind = rng.integers(5)
        if kind == 0:
            step = max(3, round(rng.uniform(0.005, 0.03) * page.w))
            for i, at in enumerate(range(0, w, step)):
                long = h if i % 10 == 0 else h * 2 // 3 if i % 5 == 0 else h // 2
                cv2.line(layer, (at, 0), (at, long), 255, max(1, thick // 3))
        elif kind == 1:
            places = np.linspace(0, 5, 60)
            xs, ys = (np.interp(places, range(6), rng.uniform(0, side, 6)) for side in (w, h))
            path = cv2.blur(np.stack([xs, ys], 1), (1, 13))
            cv2.polylines(layer, [np.rint(path).astype(np.int32)], False, 255, thick, cv2.LINE_AA)
        elif kind == 2:
            cv2.rectangle(layer, (2, 2), (w - 3, h - 3), 255, -1 if rng.random() < 0.5 else thick)
        elif kind == 3:
            radii = (max(1, w // 2 - thick - 1), max(1, h // 2 - thick - 1))
            # A ring that is about as wide as it is high would be a 0.
            filled = rng.random() < 0.6 or 0.3 < radii[0] / radii[1] < 1.6
            cv2.ellipse(layer, (w // 2, h // 2), radii, 0, 0, 360, 255, -1 if filled else thick)
        else:
            step = max(4, round(rng.uniform(0.02, 0.1) * page.w))
            for at in range(0, w, step):
                cv2.rectangle(layer, (at, 0), (at + step // 2, h), 255, -1)
        page.put(layer, x, y, rng.uniform(0, 255, 3), rng.uniform(0.5, 1))
