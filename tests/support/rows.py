"""Rows of digits as images, and detections that tests change."""

from collections.abc import Callable, Sequence

import numpy as np

from digitkit.images.cv import cv2
from digitkit.reading import pages
from digitkit.reading.detections import Detection

SIDE = 60  # of a digit's cell; its ink is 20/28 of that
LEFTS = range(30, 330, 46)


def write_row(text: str, digits: Sequence[np.ndarray], lefts: Sequence[int] = LEFTS) -> np.ndarray:
    """A row of digits, dark on light paper; other characters leave room."""
    ink = np.zeros((160, lefts[len(text) - 1] + 120), np.uint8)
    for char, left in zip(text, lefts, strict=False):
        if char.isdecimal():
            big = cv2.resize(digits[int(char)], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
            part = ink[50 : 50 + SIDE, left : left + SIDE]
            np.maximum(part, big, out=part)
    return (235 - 0.8 * ink).astype(np.uint8)


def change_detections(
    monkeypatch, change: Callable[[list[Detection]], Sequence[Detection]]
) -> None:
    """Let the detector return what a function makes of its detections, from the left."""
    detect = pages.detect_digits

    def changed(image, detector):
        return change(sorted(detect(image, detector), key=lambda each: each.box))

    monkeypatch.setattr(pages, "detect_digits", changed)
