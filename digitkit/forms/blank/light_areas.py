"""White boxes without an outline on a tinted form: areas that are lighter than all around them."""

from __future__ import annotations

import numpy as np

from digitkit.arrays import U8, Box
from digitkit.images.cv import cv2
from digitkit.images.masks import connected_components

MAX_PRINT_WIDTH = 0.006
"""Print in such a box is thinner than this, and the tint between two boxes wider, as a fraction of
the form's longer side."""

MIN_LIGHTER, MIN_LIGHTER_SIDE = 10, 8
"""Minimum of grey levels by which a box is lighter than what is above and below it, and by which
its middle is lighter than what is beside each of its sides."""

SIDE_PERCENTILE = 80
"""Percentile of the levels along each side: a white line may meet the box there."""

MIN_FILLED = 0.9
"""Minimum fraction of its bounding box that such a box covers."""


def find_light_areas(page: U8, max_height: int) -> list[Box]:
    """The bounding boxes of light rectangles on darker paper, in no particular order.

    Args:
        page: upright form with its printed shades, uint8 ``[H, W]``.
        max_height: maximum height of a rectangle, pixels.
    """
    size = max(3, round(MAX_PRINT_WIDTH * max(page.shape))) | 1
    closed = cv2.morphologyEx(page, cv2.MORPH_CLOSE, np.ones((size, size), np.uint8))
    plain = np.asarray(cv2.medianBlur(closed, 5), np.uint8)
    window = np.ones((round(1.3 * max_height) | 1, 1), np.uint8)
    is_light = (cv2.morphologyEx(plain, cv2.MORPH_TOPHAT, window) >= MIN_LIGHTER).astype(np.uint8)
    solid = cv2.morphologyEx(is_light, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    _, stats = connected_components(np.asarray(solid, np.uint8))
    margin, (height, width) = size // 2 + 3, page.shape
    found = list[Box]()
    for x, y, w, h, area in stats[1:].tolist():
        left, top, right, bottom = x - margin, y - margin, x + w + margin, y + h + margin
        if left < 0 or top < 0 or right >= width or bottom >= height:
            continue
        across, down = slice(x, x + w), slice(y, y + h)
        sides = plain[top, across], plain[bottom, across], plain[down, left], plain[down, right]
        lightest = max(float(np.percentile(side, SIDE_PERCENTILE)) for side in sides)
        is_filled = h <= max_height and area >= MIN_FILLED * w * h
        if is_filled and lightest <= float(np.median(plain[down, across])) - MIN_LIGHTER_SIDE:
            found.append((x, y, w, h))
    return found
