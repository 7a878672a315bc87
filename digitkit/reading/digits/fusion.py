"""What the digits of rows are, by the classifier and by the line reader.

The classifier sees a digit by itself, cut out of the page: a slash is a 1 to it, the O of a word a
0, and a digit that the cut has damaged what is left of it. The line reader sees the row. Both are
combined to one probability for each digit and for none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from digitkit.arrays import F32
from digitkit.models.classifier import Prediction
from digitkit.reading.detection.detections import ClassifiedDetection, Detection, Page
from digitkit.reading.digits.slashes import measure_lean
from digitkit.reading.networks.combining import PROBABILITY_FLOOR, Weights, combine
from digitkit.reading.networks.line_reader import MIN_SIGN, SIGN
from digitkit.reading.results import Digit
from digitkit.reading.rows.layout import RowDigit
from digitkit.reading.rows.lines import TextLine

PAGE_WEIGHTS = Weights(0.55, 1.0, 0.5)
"""The weights that fit best on synthetic images (``benchmarks/line_weights.py``) trust the line
reader more; on photos these read more digits right."""

ALONE_WEIGHTS = Weights(0.8, 0.5, 0.3)
"""Weights for a digit that is alone in its row: the row says little of it."""

MIN_SLASH = 0.02
"""The classifier cannot tell slashes and brackets from 1s. Where the row shows a sign, a 1 next to
other digits has at least this probability of being none, on pages with other signs or points; 1s
that were not detected have it on all pages."""

MIN_RARE_SLASH = 0.001
"""`MIN_SLASH` on a page without other signs or points."""

MIN_DIGIT = 0.15
"""A detection that is less likely a digit is dropped."""

MAX_SIZE = 1.8
"""A digit that is higher than this, in the height of its row's digits, is what the classifier says:
the row was read at the wrong scale for it. Not a 1, as slashes and brackets are higher, too."""

MAX_DOUBTED = 0.9
"""Where the row shows a sign, a detection with less confidence is one, whatever the threshold for
digits is."""

MIN_ONES, MIN_CLEAR_ONE, MIN_LEAN, MAX_LEAN_DIFFERENCE, MAX_ONE_HEIGHT = 3, 0.9, 10.0, 3.0, 1.08
"""A 1 that its row shows as a sign is doubted, not dropped, if it leans like others of the page:
minimum number of these, minimum probability with which their rows show them, and minimum median
lean, degrees; maximum difference from it, degrees; maximum height of the 1, in heights of the
digits."""


def fuse_predictions(
    row_digits: Sequence[RowDigit], lines: Mapping[int, TextLine], min_confidence: float
) -> list[RowDigit]:
    """The digits with what both the classifier and their row say, without those that are none.

    Args:
        row_digits: digits with the classifier's probabilities.
        lines: the rows.
        min_confidence: threshold for a digit to be accepted, 0–1.
    """
    fused = []
    rows = Counter(row_digit.row for row_digit in row_digits)
    signs = sum(len(line.signs) for line in lines.values())
    lean = _usual_lean(row_digits, lines)
    for row_digit in row_digits:
        digit = row_digit.digit
        line = lines.get(digit.row)
        probabilities = line.probabilities_at(digit.box) if line else None
        if line and probabilities is not None and not _is_too_high(digit, line):
            own = Prediction(digit.digit, digit.confidence, digit.is_digit, digit.probabilities)
            if rows[digit.row] > 1:
                has_signs = digit.digit == 1 and signs > line.count_signs(digit.box)
                both = combine_in_row(own, probabilities, has_signs=has_signs)
            else:
                both = combine(own, probabilities, ALONE_WEIGHTS)
            accepted = both.confidence >= min_confidence and not digit.cut
            row_digit = replace(
                row_digit,
                digit=replace(
                    digit,
                    digit=both.digit,
                    confidence=both.confidence,
                    is_digit=both.is_digit,
                    probabilities=both.probabilities,
                    accepted=accepted,
                ),
            )
            is_sign = probabilities[SIGN] >= MIN_SIGN and both.confidence < MAX_DOUBTED
            if (both.is_digit < MIN_DIGIT or is_sign) and not digit.cut:
                if not (is_sign and _leans_like_ones(row_digit, line, lean)):
                    continue
                row_digit = replace(row_digit, digit=replace(row_digit.digit, accepted=False))
        fused.append(row_digit)
    return fused


def _usual_lean(row_digits: Sequence[RowDigit], lines: Mapping[int, TextLine]) -> float:
    """The median lean of the 1s that their rows clearly show, degrees; 0 for few of them."""
    leans = [
        measure_lean(row_digit.detection.ink)
        for row_digit in row_digits
        for line in (lines.get(row_digit.row),)
        if row_digit.digit.digit == 1
        and line
        and _shows_one(line.probabilities_at(row_digit.digit.box))
    ]
    return float(np.median(leans)) if len(leans) >= MIN_ONES else 0.0


def _shows_one(probabilities: F32 | None) -> bool:
    return probabilities is not None and bool(probabilities[1] >= MIN_CLEAR_ONE)


def _leans_like_ones(row_digit: RowDigit, line: TextLine, lean: float) -> bool:
    """Whether a 1 leans like others do, with this `lean`, and is not higher than digits."""
    digit = row_digit.digit
    return (
        digit.digit == 1
        and lean >= MIN_LEAN
        and digit.row_box[3] <= MAX_ONE_HEIGHT * line.strip.digit_height
        and abs(measure_lean(row_digit.detection.ink) - lean) <= MAX_LEAN_DIFFERENCE
    )


def _is_too_high(digit: Digit, line: TextLine) -> bool:
    """Whether a digit is so high that its row was read at the wrong scale for it."""
    return digit.digit != 1 and digit.row_box[3] > MAX_SIZE * line.strip.digit_height


def combine_in_row(own: Prediction, probabilities: F32, *, has_signs: bool) -> Prediction:
    """What both networks say of a digit among others.

    Args:
        own: the classifier's prediction.
        probabilities: what the row shows there, float32 ``[15]``.
        has_signs: whether the page has other signs or points, which only matters for a 1.
    """
    least_sign = PROBABILITY_FLOOR
    if own.digit == 1:
        least_sign = MIN_SLASH if has_signs else MIN_RARE_SLASH
    return combine(own, probabilities, PAGE_WEIGHTS, least_sign)


def classify_in_line(
    detections: Sequence[Detection], line: TextLine, page: Page
) -> list[ClassifiedDetection]:
    """Classify detections in a row of a page, each also by what the row shows there."""
    classified = []
    for each in page.classify(detections):
        probabilities = line.probabilities_at(each.detection.box)
        if probabilities is not None:
            each = replace(
                each, prediction=combine_in_row(each.prediction, probabilities, has_signs=True)
            )
        classified.append(each)
    return classified
