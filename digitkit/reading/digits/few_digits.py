"""Pages of few digits: what the grey classifier says of each, where no others tell."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from digitkit.arrays import U8
from digitkit.boxes import turn_points
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.reading.detection.crops import sharp_halvings
from digitkit.reading.detection.detections import ClassifiedDetection
from digitkit.reading.detection.single import MIN_PAGE_DETECTIONS, LoadGrey
from digitkit.reading.networks.combining import DIGITS
from digitkit.reading.results import Digit
from digitkit.reading.rows.layout import RowDigit

MAX_PAGE_DIGITS = 5
"""Maximum number of accepted digits of a page on which digits are looked at in grey."""

MAX_ROW_DIGITS = 3
"""Maximum number of accepted digits of a row in which digits are looked at in grey."""

MIN_SURE_PROBABILITY, CONFIRMED_SCORE = 0.997, 0.97
"""Minimum probability of a digit by both classifiers at which it is surely one if it is alone, 0–1;
and the score of the detector that it gets."""

GREY_SQUARE_SIDE = 1.6
"""Side of the square around a digit that is looked at in grey, in the longer side of the digit."""


def confirm_lone_digit(
    classified: Sequence[ClassifiedDetection], image: GreyImage, load_grey: LoadGrey
) -> Sequence[ClassifiedDetection]:
    """The detections of a page; a lone digit that both classifiers are sure of is surely detected.

    The detector doubts strokes, and the context what is alone. With such a digit, a detection of
    the whole image is left out.

    Args:
        classified: all detections of the page; one may be the whole image.
        image: the page.
        load_grey: returns the grey classifier.

    Raises:
        ModelError: the grey classifier cannot be loaded.
        ModelRunError: ONNX Runtime fails.
    """
    parts = [each for each in classified if not each.detection.whole_image]
    sure = [each for each in parts if each.prediction.confidence >= MIN_SURE_PROBABILITY]
    if (
        len(sure) != 1
        or len(parts) >= MIN_PAGE_DETECTIONS
        or sure[0].detection.score >= CONFIRMED_SCORE
    ):
        return classified
    (lone,) = sure
    row_digit = RowDigit(lone.to_digit(score=1.0, accepted=True), lone.detection)
    probabilities = load_grey().classify([cut_around(image, row_digit)])[0]
    if probabilities[lone.prediction.digit] < MIN_SURE_PROBABILITY:
        return classified
    confirmed = replace(lone, detection=replace(lone.detection, score=CONFIRMED_SCORE))
    return [confirmed if each is lone else each for each in parts]


def read_few_in_grey(
    digits: Sequence[Digit], row_digits: Sequence[RowDigit], image: GreyImage, load_grey: LoadGrey
) -> dict[int, float]:
    """What the grey classifier says of the digits of a page with few, where no others tell.

    Args:
        digits: of the page, none of which fills it.
        row_digits: the same, before marks decided about them.
        image: the page.
        load_grey: returns the grey classifier.

    Returns:
        By the places of the accepted digits, the probability that each is one, 0–1; none of a page
        with more than `MAX_PAGE_DIGITS`, or of a row with more than `MAX_ROW_DIGITS`.

    Raises:
        ModelError: the grey classifier cannot be loaded.
        ModelRunError: ONNX Runtime fails.
    """
    rows = Counter(digit.row for digit in digits if digit.accepted)
    few = [
        i for i, digit in enumerate(digits) if digit.accepted and rows[digit.row] <= MAX_ROW_DIGITS
    ]
    if not few or rows.total() > MAX_PAGE_DIGITS:
        return {}
    probabilities = load_grey().classify([_cut_between(image, digits, row_digits, i) for i in few])
    return dict(zip(few, probabilities[:, :DIGITS].sum(1).tolist(), strict=True))


def _cut_between(
    image: GreyImage, digits: Sequence[Digit], row_digits: Sequence[RowDigit], place: int
) -> U8:
    """A square around a digit without its neighbours in its row, uint8 ``[S, W]``.

    With these, a digit of a narrow hand would be several.
    """
    square = cut_around(image, row_digits[place])
    x, _, width, height = digits[place].row_box
    middle = x + width / 2
    own = [each.row_box for each in digits if each.row == digits[place].row]
    ends = [left + wide for left, _, wide, _ in own if left + wide / 2 < middle]
    starts = [left for left, _, wide, _ in own if left + wide / 2 > middle]
    half = square.shape[1] / 2
    scale = half / (GREY_SQUARE_SIDE / 2 * max(width, height))
    left = (max(ends) + x) / 2 if ends else -math.inf
    right = (min(starts) + x + width) / 2 if starts else math.inf
    first = round(half - 1 - min(half - 1, scale * max(0.0, middle - left)))
    last = round(half + 1 + min(half - 1, scale * max(0.0, right - middle)))
    return square[:, first:last]


def cut_around(image: GreyImage, row_digit: RowDigit) -> U8:
    """A square around a digit, turned so that its row is level; uint8 ``[S, S]``."""
    x, y, width, height = row_digit.digit.box
    halvings = sharp_halvings(image, height)
    scale = 0.5**halvings
    side = max(1, round(GREY_SQUARE_SIDE * scale * max(row_digit.digit.row_box[2:])))
    turn = turn_points(np.eye(2), -row_digit.detection.tilt).T
    centre = np.array([x + width / 2, y + height / 2]) * scale - 0.5
    matrix = np.column_stack([turn, centre - turn @ np.full(2, (side - 1) / 2)])
    return np.asarray(
        cv2.warpAffine(
            image.halved(halvings), matrix, (side, side),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
        ),
        np.uint8,
    )  # fmt: skip
