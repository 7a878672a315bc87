"""From an image of a digit to the model's input: MNIST's normal form.

Training on user images, calibration, evaluation and the runtime all take the same path: `decode` →
`to_grey` → ink, bright on dark (`extract_ink`, or `digitkit.reading.detection.crops` for pages) →
`normal_form`.
"""

from __future__ import annotations

import numpy as np

from digitkit.arrays import U8
from digitkit.errors import ImageError
from digitkit.images.convert import to_grey
from digitkit.images.cv import cv2
from digitkit.images.grey import resize_to
from digitkit.images.ink import extract_ink

NORMAL_FORM_VERSION = 1
"""Version of the normal form; stored in every exported model; increases when pixels change."""

SIDE = 28
"""Side of the normal form, pixels."""

BOX = 20
"""Side of the box that a digit is fitted into, pixels."""

_CENTRE = 14.0
"""Where MNIST's digits have their centre of mass, as a pixel index: 14.0 ± 0.5 over all of them."""

_INK_LEVEL = 48
"""Grey level from which a pixel counts as ink, 0–255."""

_MIN_STROKE = 1.7 / BOX
"""Thinnest stroke that is left as it is, as a fraction of the digit's longer side."""

_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


def digit_image(image: U8, name: str = "image") -> U8:
    """The normal form of an image that shows one digit.

    Args:
        image: uint8 ``[H, W]`` or ``[H, W, 3]`` BGR, of any size, dark on light or light on dark.
        name: of the image, for errors.

    Returns:
        uint8 ``[28, 28]``, ink bright on dark, as in MNIST.

    Raises:
        ImageError: the image has a single colour, so there is nothing to read.
    """
    grey = to_grey(image)
    low, high, _, _ = cv2.minMaxLoc(grey)
    if low == high:
        raise ImageError("has a single colour, so there is nothing to read", subject=name)
    return normal_form(extract_ink(grey))


def normal_form(ink: U8) -> U8:
    """MNIST's normal form: fitted into 20×20 keeping its shape, centre of mass in the middle.

    An image already in that form (28×28, the ink's longer side 19 or 20, centred) stays as it is.
    Strokes thinner than MNIST's are widened first, or they would all but vanish at 20 pixels.

    Args:
        ink: uint8 ``[H, W]``, ink bright on dark, paper near 0.

    Returns:
        uint8 ``[28, 28]``; all 0 where there is no ink.
    """
    x, y, width, height = cv2.boundingRect(
        cv2.threshold(ink, _INK_LEVEL, 255, cv2.THRESH_BINARY)[1]
    )
    if width == 0:
        return np.zeros((SIDE, SIDE), np.uint8)
    if ink.shape == (SIDE, SIDE) and max(width, height) in (BOX - 1, BOX):
        mx, my = _centre_of_mass(ink)
        if abs(mx - _CENTRE) <= 0.6 and abs(my - _CENTRE) <= 0.6:
            return ink
    crop = _widen_strokes(ink[y : y + height, x : x + width])
    small = resize_to(crop, BOX / max(crop.shape))
    peak = cv2.minMaxLoc(small)[1]
    if 0 < peak < 255:
        small = np.asarray(cv2.convertScaleAbs(small, alpha=255 / peak), np.uint8)
    return _place_centred(small)


def _centre_of_mass(ink: U8) -> tuple[float, float]:
    moments = cv2.moments(ink)
    return moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]


def _widen_strokes(crop: U8) -> U8:
    """Dilate strokes thinner than `_MIN_STROKE`; the result is larger, so that none is cut off."""
    side = max(crop.shape)
    if side <= 2 * BOX:
        return crop
    mask = cv2.threshold(crop, 127, 255, cv2.THRESH_BINARY)[1]
    area = cv2.countNonZero(mask)
    inner = cv2.countNonZero(cv2.erode(mask, _CROSS, borderValue=0))
    if area == 0:
        return crop
    # Erosion removes a pixel on either side, so a stroke's width is twice the area over the loss.
    width = 2 * area / (area - inner)
    missing = round(_MIN_STROKE * side - width)
    if missing < 1:
        return crop
    pad = missing // 2 + 1
    framed = cv2.copyMakeBorder(crop, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (missing + 1, missing + 1))
    return cv2.dilate(framed, kernel)  # type: ignore[return-value]


def _place_centred(small: U8) -> U8:
    """Place the fitted digit in 28×28, centre of mass in the middle, moved by whole pixels only."""
    height, width = small.shape
    mx, my = _centre_of_mass(small)
    left = min(max(round(_CENTRE - mx), 0), SIDE - width)
    top = min(max(round(_CENTRE - my), 0), SIDE - height)
    out = np.zeros((SIDE, SIDE), np.uint8)
    out[top : top + height, left : left + width] = small
    return out
