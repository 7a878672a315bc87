"""The method that most tutorials on reading handwritten digits teach, for comparison.

Grey, blur, Otsu's threshold, outer contours, a filter by size, sorted by rows and from the left,
padded to a square, 28×28, a model, its highest score. It also gets what digitkit has and is easy to
add, beyond most tutorials: decoding with transparency and EXIF, reduction of large images, MNIST's
margin, a test for white on black, and rows. Its constants were chosen to read most digits of the
photos that it is measured on, which favours it. ``benchmarks/photos.py`` runs it.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np

from digitkit import Classifier
from digitkit.arrays import U8, Box
from digitkit.images.convert import to_grey
from digitkit.images.cv import cv2
from digitkit.reading.numbers.finding import find_numbers
from digitkit.reading.results import Digit, Reading, Timings
from digitkit.sources.frames import Frame

LONGER_SIDE = 1000
"""Larger images are reduced to this, pixels."""

MIN_HEIGHT, MIN_RELATIVE_HEIGHT = 10, 0.06
"""Lower contours, in pixels and as a fraction of the image's height, are not digits."""

MIN_AREA = 30
"""Contours that enclose less are not digits, pixels."""


class Tutorial:
    """Reads digits like a `digitkit.Reader`, by the tutorials' method; accepts all it finds."""

    def __init__(self, peer: Path) -> None:
        """Load the model: an ``.onnx`` file, float32 ``[1, 1, 28, 28]`` of 0–255 in, scores out.

        Raises:
            InputNotFoundError, ModelError: the file does not exist, or is not such a model.
        """
        self.classifier = Classifier(peer, input_scale=1)

    def read_frame(self, frame: Frame) -> Reading:
        """Read a decoded image; digits in reading order."""
        begun = time.perf_counter_ns()
        found = find_digits(frame.image)
        located = time.perf_counter_ns()
        predictions = self.classifier.classify([image for _, _, image in found])
        classified = time.perf_counter_ns()
        digits = tuple(
            Digit(best.digit, best.confidence, box, row, True, image, best.probabilities)
            for (box, row, image), best in zip(found, predictions, strict=True)
        )
        ms = Timings(frame.decode_ms, (located - begun) / 1e6, 0, (classified - located) / 1e6)
        # Each row is one number: the tutorials know none.
        return Reading(frame.source, digits, ms, numbers=find_numbers(digits, gap=math.inf))


def find_digits(image: U8) -> list[tuple[Box, int, U8]]:
    """Box (in the reduced image), row and 28×28 pixels of each digit, in reading order.

    Args:
        image: uint8 ``[H, W]`` or ``[H, W, 3]`` BGR.
    """
    grey = to_grey(image)
    ratio = LONGER_SIDE / max(grey.shape)
    if ratio < 1:
        grey = cv2.resize(grey, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(grey, (5, 5), 0)
    _, mask = cv2.threshold(blurred, 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    if mask.mean() > 127:  # white on black
        mask = cv2.bitwise_not(mask)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    least = max(MIN_HEIGHT, MIN_RELATIVE_HEIGHT * len(mask))
    boxes = []
    for contour in contours:
        x, y, w, h = cv2.boundingRect(contour)
        if h >= least and cv2.contourArea(contour) >= MIN_AREA:
            boxes.append((x, y, w, h))
    return [
        (box, number, _pad_to_square(mask, box))
        for number, row in enumerate(_group_rows(boxes))
        for box in sorted(row)
    ]


def _group_rows(boxes: list[Box]) -> list[list[Box]]:
    """Rows from the top; a box whose centre is above the bottom of the row's first box joins it."""
    rows: list[list[Box]] = []
    for box in sorted(boxes, key=lambda box: box[1]):
        if rows and box[1] + box[3] / 2 < rows[-1][0][1] + rows[-1][0][3]:
            rows[-1].append(box)
        else:
            rows.append([box])
    return rows


def _pad_to_square(mask: U8, box: Box) -> U8:
    """The box's ink, centred in a square, 20×20 with a margin of 4: uint8 ``[28, 28]``."""
    x, y, w, h = box
    side = max(w, h)
    left, top = (side - w) // 2, (side - h) // 2
    square = np.zeros((side, side), np.uint8)
    square[top : top + h, left : left + w] = mask[y : y + h, x : x + w]
    how = cv2.INTER_AREA if side > 20 else cv2.INTER_LINEAR
    return np.pad(cv2.resize(square, (20, 20), interpolation=how), 4)
