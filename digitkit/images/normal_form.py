"""From a picture of a digit to what the net sees. The one pixel path.

Training on user images, calibration, evaluation and the runtime all come through here:
`decode` → `grey` → ink bright on dark (`ink_of_digit`, or `digitkit.pages` for whole pages) →
`normal_form`.
"""

from __future__ import annotations

import numpy as np

from digitkit.arrays import U8
from digitkit.errors import ImageError
from digitkit.images.convert import to_grey
from digitkit.images.ink import extract_ink
from digitkit.images.opencv import cv2

NORMAL_FORM_VERSION = 1
"""Version of the normal form; stored in every exported model, goes up when pixels change."""

SIDE = 28
"""Side of the normal form, pixels."""

BOX = 20
"""Side of the box that a digit is fitted into, pixels."""


# --- a single digit --------------------------------------------------------------------------


def digit_image(image: U8, name: str = "image") -> U8:
    """The normal form of a picture that holds one digit.

    Args:
        image: uint8 ``[H, W]`` or ``[H, W, 3]`` BGR, of any size, dark on light or light on dark.
        name: what to call it in messages.

    Returns:
        uint8 ``[28, 28]``, ink bright on dark, as in MNIST.

    Raises:
        ImageError: the picture is of a single colour, so there is nothing to read.
    """
    plain = to_grey(image)
    low, high, _, _ = cv2.minMaxLoc(plain)
    if low == high:
        raise ImageError(f"{name}: is of a single colour; there is nothing to read")
    return normal_form(extract_ink(plain))


# --- normal form -----------------------------------------------------------------------------


def normal_form(ink: U8) -> U8:
    """MNIST's normal form: fitted into 20×20 keeping its shape, centre of mass in the middle.

    What is already in that form (28×28, no side of the ink over 20, centred) stays as it is.
    Strokes thinner than a pen's in MNIST are widened first, or they would be all but gone at
    20 pixels.

    Args:
        ink: uint8 ``[H, W]``, ink bright on dark, paper near 0.

    Returns:
        uint8 ``[28, 28]``; all 0 where there is no ink.
    """
    x, y, width, height = cv2.boundingRect(cv2.threshold(ink, _INK, 255, cv2.THRESH_BINARY)[1])
    if width == 0:
        return np.zeros((SIDE, SIDE), np.uint8)
    if ink.shape == (SIDE, SIDE) and max(width, height) in (BOX - 1, BOX):
        mx, my = _centre(ink)
        if abs(mx - _MIDDLE) <= 0.6 and abs(my - _MIDDLE) <= 0.6:
            return ink
    crop = _widened(ink[y : y + height, x : x + width])
    height, width = crop.shape
    ratio = BOX / max(height, width)
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_CUBIC
    small = cv2.resize(crop, size, interpolation=how)
    peak = cv2.minMaxLoc(small)[1]
    if 0 < peak < 255:
        small = cv2.convertScaleAbs(small, alpha=255 / peak)
    return _placed(small)  # type: ignore[arg-type]


_MIDDLE = 14.0
"""Where MNIST's digits have their centre of mass, as a pixel index: 14.0 ± 0.5 over all of them."""

_INK = 48
"""Grey level from which a pixel of the ink map counts as ink, of 255."""

_THINNEST = 1.7 / BOX
"""Thinnest stroke that is left as it is, as a share of the digit's longer side."""


def _centre(ink: U8) -> tuple[float, float]:
    moments = cv2.moments(ink)
    return moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]


def _widened(crop: U8) -> U8:
    """Dilate strokes up to `_THINNEST`; returns a larger array, so that none is cut off."""
    side = max(crop.shape)
    if side <= 2 * BOX:
        return crop
    mask = cv2.threshold(crop, 127, 255, cv2.THRESH_BINARY)[1]
    area = cv2.countNonZero(mask)
    inner = cv2.countNonZero(cv2.erode(mask, _CROSS, borderValue=0))
    if area == 0:
        return crop
    # An erosion takes a pixel off either side, so a stroke's width is twice area over loss.
    width = 2 * area / (area - inner)
    missing = round(_THINNEST * side - width)
    if missing < 1:
        return crop
    pad = missing // 2 + 1
    framed = cv2.copyMakeBorder(crop, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (missing + 1, missing + 1))
    return cv2.dilate(framed, kernel)  # type: ignore[return-value]


_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


def _placed(small: U8) -> U8:
    """Put the fitted digit into 28×28 with its centre of mass in the middle, whole pixels only."""
    height, width = small.shape
    mx, my = _centre(small)
    left = min(max(round(_MIDDLE - mx), 0), SIDE - width)
    top = min(max(round(_MIDDLE - my), 0), SIDE - height)
    out = np.zeros((SIDE, SIDE), np.uint8)
    out[top : top + height, left : left + width] = small
    return out
