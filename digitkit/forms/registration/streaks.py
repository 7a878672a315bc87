"""Streaks of a scanner: dirt on its glass draws a thin line through the whole picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F64, U8
from digitkit.images.cv import cv2
from digitkit.images.grey import MAX_HALVINGS, GreyImage

MIN_STREAK_CONTRAST = 10
"""A streak is at least so much darker than what is on both sides of it, 0–255."""

MIN_STREAK_LENGTH, STREAK_ENDS = 0.7, (0.02, 0.5)
"""A streak is that dark over at least this share of the picture's length; and over the second share
of each end, as long as the first: printed lines have margins."""

MAX_STREAK_WIDTH = 1 / 400
"""A streak is less wide than this, in widths of the picture, or than three pixels."""

OPAQUE_BRIGHTNESS = 0.15
"""Nothing is to be seen in a streak that is darker than this, in brightnesses of the paper."""

STREAK_PARTS = 16
"""In so many parts of its length a streak may be otherwise bright."""


def without_streaks(image: GreyImage) -> GreyImage:
    """A scan with its streaks made as bright as what is beside them; each size when asked for."""

    def make(halvings: int) -> U8:
        turned = _brighten(_brighten(image.halved(halvings)).T)
        return np.ascontiguousarray(turned.T)  # else each field's cut copies the image

    return GreyImage(image.shape, make, MAX_HALVINGS)


def _brighten(grey: U8) -> U8:
    """An image without the streaks from its top to its bottom, uint8 ``[h, w]``."""
    reach = max(3, round(grey.shape[1] * MAX_STREAK_WIDTH))
    some = grey[:: max(1, grey.shape[0] // 500)]
    padded = cv2.copyMakeBorder(some, 0, 0, reach, reach, cv2.BORDER_REPLICATE)
    left, right = padded[:, : -2 * reach], padded[:, 2 * reach :]
    streaks = _find(cv2.subtract(np.minimum(left, right), some) >= MIN_STREAK_CONTRAST)
    streaks = cv2.dilate(streaks.astype(np.uint8)[None], np.ones((1, 3), np.uint8))[0] > 0
    if not streaks.any() or streaks.all():
        return grey
    whole, bright = np.flatnonzero(~streaks), grey.copy()
    for column in np.flatnonzero(streaks).tolist():
        after = int(np.searchsorted(whole, column))
        sides = whole[[max(0, after - 1), min(after, len(whole) - 1)]]
        paper = grey[:, sides].mean(1)
        light = _light(grey[:, column] / np.maximum(paper, 1))
        own = grey[:, column] / np.maximum(light, OPAQUE_BRIGHTNESS)
        bright[:, column] = np.where(light < OPAQUE_BRIGHTNESS, paper, own).clip(0, 255)
    return bright


def _light(ratios: F64) -> F64:
    """How bright a streak is at each pixel, 0–1, by the pixels around: digits are short."""
    places, parts = np.arange(len(ratios)), min(STREAK_PARTS, len(ratios))
    middles = [float(part.mean()) for part in np.array_split(places, parts)]
    medians = [float(np.median(part)) for part in np.array_split(ratios, parts)]
    return np.interp(places, middles, medians).clip(0, 1)


def _find(is_dark: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which columns are streaks: dark from end to end."""
    count = max(1, round(STREAK_ENDS[0] * len(is_dark)))
    found = is_dark.mean(0) >= MIN_STREAK_LENGTH
    for end in (is_dark[:count], is_dark[-count:]):
        found &= end.mean(0) >= STREAK_ENDS[1]
    return np.asarray(found)
