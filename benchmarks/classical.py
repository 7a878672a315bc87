"""Digit detection without a network: even light, one threshold, connected strokes.

digitkit's first detector, kept for comparison: a wide opening evens the light, Otsu's threshold
separates ink from paper, each connected component is a digit, and small ones join the digit next
to them. Threshold and polarity are decided once for the whole page. The learned detector must be
worth its time against this. ``benchmarks/photos.py --classical`` runs it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from digitkit import Reader
from digitkit.arrays import I32, U8, Box
from digitkit.boxes import bounding_box
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage, resize_to
from digitkit.images.ink import ink_is_dark
from digitkit.images.masks import connected_components
from digitkit.reading.detection.detections import Detection
from digitkit.reading.strategies import PageNetworks, PageStrategy

WORK_SIDE = 1024
"""Images are reduced to this longer side before detection, pixels."""

MIN_HEIGHT = 10
"""Height of the smallest digit that is detected, pixels of the reduced image."""

MIN_CONTRAST = 20
"""Least difference between strokes and paper, grey levels of 255."""

MIN_RELATIVE_HEIGHT = 0.4
"""Ink lower than this fraction of the tallest ink is not a digit of its own."""


class Classical(Reader):
    """A reader that detects a page's digits with `find_digits`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Build a `Reader` that searches pages in another way."""
        super().__init__(*arguments, **options)
        self._page = ClassicalPage(PageNetworks(self.line_reader, lambda: self.grey_classifier))


class ClassicalPage(PageStrategy):
    """A page that is searched by `find_digits`."""

    def __init__(self, networks: PageNetworks) -> None:
        """Need no detector."""
        self._networks = networks

    def detect(self, image: GreyImage) -> list[Detection]:
        """What `find_digits` finds."""
        return find_digits(image.halved(0))


def find_digits(plain: U8) -> list[Detection]:
    """Detect the digits of a grey image, uint8 ``[H, W]``, in no particular order."""
    height, width = plain.shape
    ratio = min(1.0, WORK_SIDE / max(height, width))
    ink = ink_of_page(resize_to(plain, ratio))
    if ink is None:
        return []
    mask = cv2.threshold(ink, 110, 255, cv2.THRESH_BINARY)[1]
    labels, stats = connected_components(np.asarray(mask, np.uint8))
    components = [[i] for i in range(1, len(stats)) if stats[i, cv2.CC_STAT_AREA] >= 6]
    crops = []
    for group in _join_pieces(components, stats):
        x, y, w, h = _bounding_box(group, stats)
        own = np.isin(labels[y : y + h, x : x + w], group)
        soft = cv2.dilate(own.astype(np.uint8) * np.uint8(255), np.ones((3, 3), np.uint8))
        crop = cv2.bitwise_and(ink[y : y + h, x : x + w], soft)
        crops.append(((x, y, w, h), np.asarray(crop, np.uint8)))
    return [Detection(_scale_box(box, 1 / ratio, width, height), crop) for box, crop in crops]


def ink_of_page(plain: U8) -> U8 | None:
    """The ink of an unevenly lit image: bright on dark, paper near 0, strokes near 255.

    Args:
        plain: grey, uint8 ``[H, W]``.

    Returns:
        uint8 ``[H, W]``; None if nothing stands out from the paper.
    """
    # The paper's own brightness is smooth, so a small image is enough to estimate it.
    small = resize_to(plain, min(1.0, 256 / max(plain.shape)))
    if _ink_is_dark(small):
        plain, small = 255 - plain, 255 - small
    side = max(small.shape) // 3 | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (side, side))
    paper = cv2.blur(cv2.morphologyEx(small, cv2.MORPH_OPEN, kernel), (side // 2 | 1,) * 2)
    paper = cv2.resize(paper, plain.shape[::-1], interpolation=cv2.INTER_LINEAR)
    lifted = cv2.GaussianBlur(cv2.subtract(plain, paper), (3, 3), 0)
    _, mask = cv2.threshold(lifted, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    strokes, rest = lifted[mask > 0], lifted[mask == 0]
    if not len(strokes) or not len(rest):
        return None
    low, high = float(np.median(rest)), float(np.percentile(strokes, 75))
    if high - low < max(MIN_CONTRAST, 4 * float(rest.std())):
        return None
    gain = 255 / (high - low)
    return cv2.convertScaleAbs(np.maximum(lifted, round(low)), alpha=gain, beta=-low * gain)  # type: ignore[return-value]


def _ink_is_dark(small: U8) -> bool:
    """Whether a page is dark on light, also in uneven light.

    Ink covers the smaller part of a page, so without the slow changes of light, grey levels have a
    long tail on the side of the ink. Without one, a digit may fill the image; its corners decide.
    """
    levels = small.astype(np.float32)
    levels -= cv2.GaussianBlur(levels, (0, 0), max(small.shape) / 8)
    spread = float(levels.std())
    skew = float((levels**3).mean()) / spread**3 if spread > 0 else 0.0
    return skew < 0 if abs(skew) > _CLEAR_SKEW else ink_is_dark(small)


_CLEAR_SKEW = 0.5


def _bounding_box(group: list[int], stats: I32) -> Box:
    return bounding_box(stats[group, :4].tolist())


def _join_pieces(components: list[list[int]], stats: I32) -> list[list[int]]:
    """Join small pieces of ink (a 5's bar) with the digit next to them; drop the others."""
    if not components:
        return []
    tallest = max(int(stats[c[0], cv2.CC_STAT_HEIGHT]) for c in components)
    least = max(MIN_HEIGHT, MIN_RELATIVE_HEIGHT * tallest)
    large = [c for c in components if stats[c[0], cv2.CC_STAT_HEIGHT] >= least]
    pieces = [c[0] for c in components if stats[c[0], cv2.CC_STAT_HEIGHT] < least]
    bodies = [(c, _bounding_box(c, stats)) for c in large]
    for piece in pieces:
        x, y, w, h = _bounding_box([piece], stats)
        best, nearest = None, 0.0
        for group, (bx, by, bw, bh) in bodies:
            reach = 0.18 * bh
            across = max(bx - (x + w), x - (bx + bw))
            down = max(by - (y + h), y - (by + bh))
            gap = float(max(across, down))
            # A speck is not worth a wider box; a bar is about half as wide as the digit.
            if gap <= reach and max(w, h) >= 0.2 * bh and (best is None or gap < nearest):
                best, nearest = group, gap
        if best is not None:
            best.append(piece)
    return large


def _scale_box(box: Box, ratio: float, width: int, height: int) -> Box:
    x, y = round(box[0] * ratio), round(box[1] * ratio)
    right = min(width, round((box[0] + box[2]) * ratio))
    bottom = min(height, round((box[1] + box[3]) * ratio))
    return x, y, max(1, right - x), max(1, bottom - y)
