"""Rings around digits, as of a list's numbers: they hide from the detector what is in them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from digitkit.arrays import U8, Box
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.images.masks import connected_components

SIDE = 800
"""Rings are looked for in an image that is halved at least once, to at most this longer side."""

RING_SIZES = 16, 240
"""Minimum and maximum width and height of a ring, pixels of that image."""

RING_ASPECTS = 0.45, 2.4
"""Height of a ring, in its width."""

MAX_PEN_WIDTH = 11
"""Strokes are narrower than this, pixels."""

MIN_CONTRAST = 18
"""Ink differs from the paper beside it by at least this many grey levels."""

MIN_LIGHT_MEDIAN = 110
"""With a lower median, an image is light on dark."""

MAX_RING_INK = 0.42
"""Maximum fraction of its box that the ink of a ring covers."""

RING_FILL = 0.64, 0.88
"""Fraction of its box that a ring encloses: an ellipse 0.79, a box 1, a triangle 0.5."""

MAX_TOUCHED_INK = 0.02
"""Maximum fraction of a ring's ink that is inside its outline: a digit that touches the ring would
be erased with it."""

INNER_HEIGHTS = 0.3, 0.8
"""Minimum height of the tallest ink inside a ring, and maximum height of any, as fractions of the
height of the ring."""

MAX_PIECES = 4
"""Maximum number of pieces of such tall ink."""

ERASED_MARGIN = 3
"""Margin around the box of a ring that is erased, pixels."""


def erase_rings(image: GreyImage) -> GreyImage:
    """An image without the rings around digits; the same one if there are none.

    Args:
        image: upright; dark on light, or light on dark where most of it is dark.
    """
    times = image.halvings_to(SIDE)
    small = image.halved(times)
    is_dark = np.median(small[::4, ::4]) < MIN_LIGHT_MEDIAN
    rings = list(_find_rings(np.asarray(cv2.bitwise_not(small), np.uint8) if is_dark else small))
    if not rings:
        return image

    def make(halvings: int) -> U8:
        pixels, ratio = image.halved(halvings).copy(), 2.0 ** (times - halvings)
        side = max(3, round(1.25 * MAX_PEN_WIDTH * ratio)) | 1
        for box, ring in rings:
            x, y, w, h = (int(edge * ratio) for edge in box)
            part = pixels[y : y + h, x : x + w]
            if part.size:
                how = cv2.MORPH_OPEN if is_dark else cv2.MORPH_CLOSE
                paper = cv2.morphologyEx(part, how, np.ones((side, side), np.uint8))
                mask = cv2.resize(ring, part.shape[::-1], interpolation=cv2.INTER_LINEAR)
                np.copyto(part, paper, where=mask > 0)
        return pixels

    return GreyImage(image.shape, make, image.halvings + 1)


def _find_rings(grey: U8) -> Iterator[tuple[Box, U8]]:
    """The boxes of rings in an image with dark ink, and which pixels in them to erase, 0 or 1."""
    paper = cv2.morphologyEx(
        grey, cv2.MORPH_CLOSE, np.ones((MAX_PEN_WIDTH, MAX_PEN_WIDTH), np.uint8)
    )
    darkness = cv2.subtract(paper, grey)
    ink = np.asarray(cv2.threshold(darkness, MIN_CONTRAST, 1, cv2.THRESH_BINARY)[1], np.uint8)
    if not _is_nested(ink):
        return
    labels, stats = connected_components(ink)
    left, top, w, h, area = stats.T
    may_be = (np.minimum(w, h) >= RING_SIZES[0]) & (np.maximum(w, h) <= RING_SIZES[1])
    may_be &= (
        (area <= MAX_RING_INK * w * h) & (h >= RING_ASPECTS[0] * w) & (h <= RING_ASPECTS[1] * w)
    )
    may_be[0] = False
    for i in np.flatnonzero(may_be).tolist():
        x, y, wide, high, _ = stats[i].tolist()
        within = (left > x) & (left + w < x + wide) & (top > y) & (top + h < y + high)
        if not (within & (h >= INNER_HEIGHTS[0] * high) & (h <= INNER_HEIGHTS[1] * high)).any():
            continue
        part = labels[y : y + high, x : x + wide]
        own = part == i
        enclosed = _fill(own)
        inner = np.unique(part[enclosed & (part > 0)])
        heights = stats[inner, cv2.CC_STAT_HEIGHT] / high
        is_written = (
            1 <= (heights >= INNER_HEIGHTS[0]).sum() <= MAX_PIECES
            and heights.max() <= INNER_HEIGHTS[1]
        )
        if is_written and _is_ring(own, enclosed):
            x0, y0 = max(0, x - ERASED_MARGIN), max(0, y - ERASED_MARGIN)
            around = labels[y0 : y + high + ERASED_MARGIN, x0 : x + wide + ERASED_MARGIN]
            ring = cv2.dilate((around == i).astype(np.uint8), np.ones((5, 5), np.uint8))
            others = ((around > 0) & (around != i)).astype(np.uint8)
            ring[cv2.dilate(others, np.ones((3, 3), np.uint8)) > 0] = 0
            yield (x0, y0, around.shape[1], around.shape[0]), np.asarray(ring, np.uint8)


def _is_nested(ink: U8) -> bool:
    """Whether there is ink in a hole of other ink; to see this is quicker than to label all ink."""
    _, hierarchy = cv2.findContours(ink, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
    if hierarchy is None:
        return False
    parents = hierarchy[0, :, 3]  # of holes the ink around them, of ink in them the holes
    return bool((parents[parents[parents >= 0]] >= 0).any())


def _fill(own: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """What a piece of ink encloses, ``[h, w]``."""
    outside = np.pad(own.astype(np.uint8), 1)
    cv2.floodFill(outside, None, (0, 0), 2)
    return np.asarray(outside[1:-1, 1:-1] == 0)


def _is_ring(own: npt.NDArray[np.bool_], enclosed: npt.NDArray[np.bool_]) -> bool:
    """Whether ink is an oval ring, by what it encloses, and nothing in it touches it."""
    count = int(own.sum())
    if not RING_FILL[0] <= (count + enclosed.sum()) / own.size <= RING_FILL[1]:
        return False
    side = 2 * round(count / sum(own.shape)) + 1
    filled = np.pad((enclosed | own).astype(np.uint8), 1)
    core = cv2.erode(filled, np.ones((side, side), np.uint8))[1:-1, 1:-1] > 0
    return bool((own & core).sum() <= MAX_TOUCHED_INK * count)
