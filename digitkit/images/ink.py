"""Ink of an image of one digit: its polarity, even light, full contrast."""

from __future__ import annotations

import numpy as np

from digitkit.arrays import U8
from digitkit.images.cv import cv2
from digitkit.images.grey import reduce_to

WORK_SIDE = 160
"""An image of one digit is reduced to this side before its ink is extracted, pixels."""

POLARITY_WEIGHTS = (8.84, 4.92, -2.95, 4.44)
"""Weights of `_measure_brightness`; the image is dark on light where their sum is above 0.

A logistic regression on MNIST's training digits, cropped, padded, resized, thickened and lit in
many ways.
"""


def extract_ink(grey: U8) -> U8:
    """Ink of a grey image that one digit fills: bright on dark, paper at 0, strokes near 255.

    Args:
        grey: uint8 ``[H, W]``, dark on light or light on dark.

    Returns:
        uint8 ``[h, w]``, reduced to at most `WORK_SIDE`.
    """
    grey = reduce_to(grey, WORK_SIDE)
    mask = _otsu_mask(grey)
    ink = grey
    if _paper_is_bright(mask):
        ink = cv2.bitwise_not(grey)  # type: ignore[assignment]
    if max(grey.shape) > 64:
        ink = _flatten_light(ink)
    return _stretch_contrast(ink, mask if ink is grey else _otsu_mask(ink))


def _otsu_mask(grey: U8) -> U8:
    """1 where an image is brighter than Otsu's threshold (IEEE Trans. SMC 9, 1979), else 0."""
    return cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1]  # type: ignore[return-value]


def separability(grey: U8) -> float:
    """How clearly ink and paper differ: Otsu's measure of separability, 0–1.

    The variance between the two sides of his threshold over that of all pixels. Clean drawings of a
    digit have 0.87 to 1; grey paper, noise and blur bring it down.

    Args:
        grey: uint8 ``[H, W]``; of a single level it is 1.
    """
    mask = _otsu_mask(grey)
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(grey))
    share = cv2.countNonZero(mask) / mask.size
    if not 0 < share < 1:  # a single level; its deviation may be rounded to more than 0
        return 1.0
    bright = float(cv2.mean(grey, mask)[0])
    # From the mean of the bright side and that of all follows the mean of the dark side.
    return share / (1 - share) * (bright - mean) ** 2 / deviation**2


def ink_is_dark(grey: U8) -> bool:
    """Whether an image of one digit is dark on light.

    The border alone is not enough: scans of digits touch the frame. Corners are better (few digits
    reach two of them), and ink mostly covers the smaller area; see `POLARITY_WEIGHTS`.

    Args:
        grey: uint8 ``[H, W]``.
    """
    return _paper_is_bright(_otsu_mask(grey))


def _paper_is_bright(mask: U8) -> bool:
    """Whether the bright part of Otsu's mask is the paper."""
    corners, sides, whole, bright_sides = _measure_brightness(mask)
    a, b, c, d = POLARITY_WEIGHTS
    return a * corners + b * sides + c * whole + d * bright_sides > 0


def _measure_brightness(mask: U8) -> tuple[float, float, float, float]:
    """How bright the corners, the sides and the whole of Otsu's mask are; positive is bright.

    Each is -0.5 to 0.5: the mean of the four corners, of the four sides and of all pixels, less a
    half; and a quarter of the number of mostly bright sides, less a half.
    """
    height, width = mask.shape
    side = max(1, min(height, width) // 8)
    in_corners = (
        cv2.countNonZero(mask[:side, :side]) + cv2.countNonZero(mask[:side, -side:])
        + cv2.countNonZero(mask[-side:, :side]) + cv2.countNonZero(mask[-side:, -side:])
    )  # fmt: skip
    flat = mask.tobytes()  # counting bytes of one line is faster than arrays
    top, bottom = flat.count(1, 0, width) / width, flat.count(1, -width) / width
    left, right = flat[::width].count(1) / height, flat[width - 1 :: width].count(1) / height
    # Paper meets the frame on three sides or four; a stroke that meets it does so briefly.
    bright_sides = ((top > 0.5) + (bottom > 0.5) + (left > 0.5) + (right > 0.5) - 2) / 4
    return (
        in_corners / (4 * side * side) - 0.5,
        (top + bottom + left + right) / 4 - 0.5,
        cv2.countNonZero(mask) / mask.size - 0.5,
        bright_sides,
    )


def _flatten_light(ink: U8) -> U8:
    """Subtract the paper's own brightness, estimated under the strokes by a wide opening."""
    side = max(ink.shape) // 3 | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (side, side))
    paper = cv2.erode(ink, kernel)
    low, high, _, _ = cv2.minMaxLoc(paper)
    if low == high:  # even already, as in a drawing by a program
        return ink - np.uint8(low) if low else ink
    paper = cv2.blur(cv2.dilate(paper, kernel), (side, side))
    return cv2.subtract(ink, paper)  # type: ignore[return-value]


def _stretch_contrast(ink: U8, mask: U8) -> U8:
    """Map paper to 0 and strokes to 255, linearly, by the middle level on each side of Otsu's."""
    is_bright = mask.view(np.bool_)
    bright = ink[is_bright]
    dark = ink.size - bright.size
    if not bright.size or not dark:
        return ink
    # The 75th percentile of the bright pixels, interpolated, and the median of the dark ones.
    at, quarters = divmod(3 * (bright.size - 1), 4)
    above = min(at + 1, bright.size - 1)
    ordered = np.partition(bright, (at, above))
    low, high = int(ordered[at]), int(ordered[above])
    strokes, paper = low + (high - low) * quarters / 4, 0.0
    if 2 * (ink.size - cv2.countNonZero(ink)) <= dark:
        ordered = np.partition(ink[~is_bright], ((dark - 1) // 2, dark // 2))
        paper = (int(ordered[(dark - 1) // 2]) + int(ordered[dark // 2])) / 2
        ink = np.maximum(ink, round(paper))
    gain = 255 / max(strokes - paper, 1.0)
    return cv2.convertScaleAbs(ink, alpha=gain, beta=-paper * gain)  # type: ignore[return-value]
