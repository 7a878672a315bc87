"""A picture of a blank form, upright and level: a photo's page cut out, a scan deskewed."""

from __future__ import annotations

import numpy as np

from digitkit.arrays import F32, F64, U8
from digitkit.forms.registration.page_detection import find_page, row_profile
from digitkit.images.cv import cv2
from digitkit.images.grey import reduce_to

PAGE_ASPECTS = (2**0.5, 2**-0.5, 11 / 8.5, 8.5 / 11)
"""Usual ratios of a page's height to its width: A4 and Letter, upright and landscape."""

MAX_SKEW_DEGREES = 10.0
"""Scans are deskewed by up to so many degrees."""

SKEW_SIDE = 1000
"""Longer side of the reduced scan in which the skew is measured, pixels."""

SCAN_MARGIN = 0.02
"""The outer part of a scan, as a fraction of its sides, where the edge of the sheet may be seen."""


def straighten(grey: U8) -> U8:
    """A blank form upright and level: the page of a photo cut out, a scan deskewed.

    Args:
        grey: uint8 ``[H, W]``; the form's upper side is up.

    Returns:
        uint8 ``[h, w]``.
    """
    corners = find_page(grey)
    if corners is not None:
        return _cut_page(grey, corners)
    angle = _find_skew(grey)
    if abs(angle) < 0.03:
        return grey
    height, width = grey.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    turned = cv2.warpAffine(
        grey, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(turned, np.uint8)


def _cut_page(grey: U8, corners: F32) -> U8:
    sides = np.linalg.norm(np.roll(corners, -1, 0) - corners, axis=1)
    width, height = float(max(sides[0], sides[2])), float(max(sides[1], sides[3]))
    # Perspective shortens a side; most forms are A4, half of it, or Letter.
    usual = min(PAGE_ASPECTS, key=lambda shape: abs(np.log(height / width / shape)))
    if abs(height / width / usual - 1) < 0.12:
        height = width * usual
    size = (round(width), round(height))
    goal = np.array([(0, 0), (size[0], 0), size, (0, size[1])], np.float32)
    turn = cv2.getPerspectiveTransform(corners, goal)
    cut = cv2.warpPerspective(
        grey, turn, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(cut, np.uint8)


def _find_skew(grey: U8) -> float:
    """By how many degrees a scan's lines, printed or of text, fall to the right.

    The angle at which the profile of its rows varies most (Postl, Detection of linear oblique
    structures and skew scan in digitized documents, 1986).
    """
    small = reduce_to(grey, SKEW_SIDE)
    window = np.ones((15, 15), np.uint8)
    dark = np.asarray(cv2.morphologyEx(small, cv2.MORPH_BLACKHAT, window), np.uint8)
    size = (dark.shape[1], dark.shape[0])
    right, down = (round(SCAN_MARGIN * side) for side in size)
    dark[:down], dark[size[1] - down :], dark[:, :right], dark[:, size[0] - right :] = 0, 0, 0, 0

    def variation(angle: float) -> float:
        profile = row_profile(dark, float(np.tan(np.radians(angle))))
        return float(np.square(np.diff(profile)).sum())

    def best_of(angles: F64) -> float:
        """The first of the best: of a page without print, the smallest."""
        return float(max(sorted(angles, key=abs), key=variation))

    coarse = best_of(np.arange(-MAX_SKEW_DEGREES, MAX_SKEW_DEGREES + 0.1, 0.25))
    return best_of(coarse + np.arange(-0.25, 0.26, 0.05))
