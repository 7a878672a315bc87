"""Finding digits without a learned finder: even light, one threshold, connected strokes.

digitkit's own first finder, kept to compare with: the light is evened by a wide opening, Otsu's
threshold parts ink from paper, connected ink is a digit, and small pieces join the digit beside
them. Its boxes, threshold and polarity are decided once for the whole page. The net that finds
digits must be worth its time against this. ``benchmarks/photos.py --classical`` runs it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from digitkit import Reader
from digitkit.images.ink import ink_is_dark
from digitkit.images.opencv import cv2
from digitkit.reading.detections import Detection
from digitkit.reading.strategies import Page

U8 = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]

WORK_SIDE = 1024
"""Pictures are reduced to this longer side before digits are looked for, pixels."""

MIN_HEIGHT = 10
"""Lowest digit that is looked for, pixels of the reduced picture."""

MIN_CONTRAST = 20
"""Least difference of strokes and paper, grey levels of 255."""

SMALLEST = 0.4
"""What is lower than this share of the tallest ink's height is no digit of its own."""


class Classical(Reader):
    """A reader whose pages are searched by `find_digits`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Build a `Reader` that searches pages in another way."""
        super().__init__(*arguments, **options)
        self._page = ClassicalPage()


class ClassicalPage(Page):
    """A page that is searched by `find_digits`."""

    def __init__(self) -> None:
        """Need no detector."""

    def detect(self, grey: U8) -> list[Detection]:
        """What `find_digits` finds."""
        return find_digits(grey)


def find_digits(plain: U8) -> list[Detection]:
    """Find digits in a grey picture, uint8 ``[H, W]``, in no particular order."""
    height, width = plain.shape
    ratio = min(1.0, WORK_SIDE / max(height, width))
    if ratio < 1:
        size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
        plain = cv2.resize(plain, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    ink = ink_of_page(plain)
    if ink is None:
        return []
    mask = cv2.threshold(ink, 110, 255, cv2.THRESH_BINARY)[1]
    _, labels, found_stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    stats = np.asarray(found_stats, np.int32)
    parts = [[i] for i in range(1, len(stats)) if stats[i, cv2.CC_STAT_AREA] >= 6]
    groups = _joined(parts, stats)
    found = []
    for group in groups:
        x, y, w, h = _around(group, stats)
        own = np.isin(labels[y : y + h, x : x + w], group)
        soft = cv2.dilate(own.astype(np.uint8) * np.uint8(255), np.ones((3, 3), np.uint8))
        crop = cv2.bitwise_and(ink[y : y + h, x : x + w], soft)
        found.append(((x, y, w, h), np.asarray(crop, np.uint8)))
    return [Detection(_scaled_box(box, 1 / ratio, width, height), part) for box, part in found]


def ink_of_page(plain: U8) -> U8 | None:
    """The ink of an unevenly lit picture: bright on dark, paper near 0, strokes near 255.

    Args:
        plain: grey, uint8 ``[H, W]``.

    Returns:
        uint8 ``[H, W]``; None where nothing stands out from the paper.
    """
    # The paper's own brightness is smooth, so a small picture is enough to estimate it.
    ratio = min(1.0, 256 / max(plain.shape))
    size = (max(1, round(plain.shape[1] * ratio)), max(1, round(plain.shape[0] * ratio)))
    small = np.asarray(cv2.resize(plain, size, interpolation=cv2.INTER_AREA), np.uint8)
    if _ink_is_dark(small):
        plain, small = 255 - plain, 255 - small
    side = max(size) // 3 | 1
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
    """Whether a page is dark on light, told where the light may be uneven.

    Ink covers the smaller part of a page, so once the slow changes of light are taken off, grey
    levels have a long tail on the side of the ink. Where they have none, one digit may fill the
    picture, and its corners tell.
    """
    levels = small.astype(np.float32)
    levels -= cv2.GaussianBlur(levels, (0, 0), max(small.shape) / 8)
    spread = float(levels.std())
    skew = float((levels**3).mean()) / spread**3 if spread > 0 else 0.0
    return skew < 0 if abs(skew) > _CLEAR_SKEW else ink_is_dark(small)


_CLEAR_SKEW = 0.5


def _around(group: list[int], stats: npt.NDArray[np.int32]) -> Box:
    members = stats[group]
    x, y = int(members[:, 0].min()), int(members[:, 1].min())
    right = int((members[:, 0] + members[:, 2]).max())
    bottom = int((members[:, 1] + members[:, 3]).max())
    return x, y, right - x, bottom - y


def _joined(parts: list[list[int]], stats: npt.NDArray[np.int32]) -> list[list[int]]:
    """Give small pieces of ink (a 5's bar) to the digit beside them; drop what stays small."""
    if not parts:
        return []
    tallest = max(int(stats[p[0], cv2.CC_STAT_HEIGHT]) for p in parts)
    least = max(MIN_HEIGHT, SMALLEST * tallest)
    large = [p for p in parts if stats[p[0], cv2.CC_STAT_HEIGHT] >= least]
    pieces = [p[0] for p in parts if stats[p[0], cv2.CC_STAT_HEIGHT] < least]
    bodies = [(p, _around(p, stats)) for p in large]
    for piece in pieces:
        x, y, w, h = _around([piece], stats)
        best, nearest = None, 0.0
        for group, (bx, by, bw, bh) in bodies:
            reach = 0.18 * bh
            across = max(bx - (x + w), x - (bx + bw))
            down = max(by - (y + h), y - (by + bh))
            gap = float(max(across, down))
            # A speck is not worth a wider box; a bar is about as wide as the digit's half.
            if gap <= reach and max(w, h) >= 0.2 * bh and (best is None or gap < nearest):
                best, nearest = group, gap
        if best is not None:
            best.append(piece)
    return large


def _scaled_box(box: Box, ratio: float, width: int, height: int) -> Box:
    x, y = round(box[0] * ratio), round(box[1] * ratio)
    right = min(width, round((box[0] + box[2]) * ratio))
    bottom = min(height, round((box[1] + box[3]) * ratio))
    return x, y, max(1, right - x), max(1, bottom - y)
