"""What the digits and the marks of rows are, by the classifier and by the line reader.

The classifier sees a digit by itself, cut out of the page: a slash is a 1 to it, the O of a word a
0, and a digit that the cut has damaged what is left of it. The line reader sees the row. Both are
combined to one probability for each digit and for none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from digitkit.arrays import Box
from digitkit.models.classifier import Prediction
from digitkit.reading.combining import Weights, combine
from digitkit.reading.detections import Classified, Classify, Detection
from digitkit.reading.line_reader import POINT, SIGN
from digitkit.reading.lines import SAME, Line, is_part, match_peaks, own_peaks
from digitkit.reading.results import Mark
from digitkit.reading.shapes import Shape
from digitkit.reading.strips import Member

PAGE_WEIGHTS = Weights(0.55, 1.0, 0.5)
"""The weights that fit best on synthetic images (``benchmarks/line_weights.py``) trust the line
reader more; on photos these read more digits right."""

ALONE_WEIGHTS = Weights(0.8, 0.5, 0.3)
"""Of a digit that is alone in its row, of which the row says little."""

MIN_DIGIT, MIN_SIGN, MAX_DOUBTED = 0.15, 0.5, 0.9
"""A detection that is less likely a digit than the first is dropped. Ink that is at least as likely
a sign as the second is one. So is a detection there with less confidence than the third, whatever
the threshold for digits is."""

EXPLAINED, WITHIN, LOW = 0.65, 0.25, 0.45
"""Ink at most the first from the middle of an accepted digit, in heights, is a part of it if the
row shows nothing else there, and half of it is above or below the digit or it is not as high as the
third; an upright line, if it is at most the second away."""

MAYBE_SIGN = 0.25
"""Ink that is less likely a sign or a point is none."""


def settle_digits(
    members: Sequence[Member], lines: Mapping[int, Line], min_confidence: float
) -> list[Member]:
    """The members with what both the classifier and their row say, without those that are none.

    Args:
        members: digits with the classifier's probabilities.
        lines: the rows.
        min_confidence: threshold for a digit to be accepted, 0–1.
    """
    settled = []
    rows = Counter(member.digit.row for member in members)
    for member in members:
        digit = member.digit
        line = lines.get(digit.row)
        seen = line.at(digit.box) if line else None
        if seen is not None:
            own = Prediction(digit.digit, digit.confidence, digit.is_digit, digit.probabilities)
            weights = PAGE_WEIGHTS if rows[digit.row] > 1 else ALONE_WEIGHTS
            both = combine(own, seen, weights)
            accepted = both.confidence >= min_confidence and not digit.cut
            member = member._replace(
                digit=replace(
                    digit,
                    digit=both.digit,
                    confidence=both.confidence,
                    is_digit=both.is_digit,
                    probabilities=both.probabilities,
                    accepted=accepted,
                )
            )
            is_sign = seen[SIGN] >= MIN_SIGN and both.confidence < MAX_DOUBTED
            if (both.is_digit < MIN_DIGIT or is_sign) and not digit.cut:
                continue
        settled.append(member)
    return settled


def classify_in_line(classify_all: Classify, line: Line | None) -> Classify:
    """A classifier of detections in a row that was read: it says what both say."""
    if line is None:
        return classify_all

    def classify(detections: Sequence[Detection]) -> list[Classified]:
        seen = [line.at(detection.box) for detection in detections]
        return [
            each
            if own is None
            else replace(each, prediction=combine(each.prediction, own, PAGE_WEIGHTS))
            for each, own in zip(classify_all(detections), seen, strict=True)
        ]

    return classify


def settle_marks(
    marks: Sequence[Mark], members: Sequence[Member], lines: Mapping[int, Line]
) -> tuple[Mark, ...]:
    """The marks as their rows show them: ink may be a sign, or a part of a digit.

    Args:
        marks: of the image.
        members: its digits.
        lines: the rows.
    """
    settled = [mark for mark in marks if mark.row not in lines]
    for row, line in lines.items():
        settled += _settle_row([mark for mark in marks if mark.row == row], members, line)
    return tuple(settled)


def _settle_row(marks: Sequence[Mark], members: Sequence[Member], line: Line) -> list[Mark]:
    strip = line.strip
    own = [member for member in members if member.digit.row == strip.row]
    found = own_peaks(line, members)
    matches = match_peaks(strip, own, found)
    peaks = np.array([peak.x for peak in found])
    apart = np.array(
        [
            member is None and not is_part(strip, peak, own)
            for peak, member in zip(found, matches, strict=True)
        ],
        bool,
    )
    kept = list[Mark]()
    for mark in marks:
        seen = line.near(mark.box)
        if seen is None:
            kept.append(mark)
            continue
        away = np.abs(peaks - strip.locate([mark.box])[0, 0]) / strip.unit
        reach = WITHIN if mark.kind == "line" else EXPLAINED
        is_sign = seen[SIGN] + seen[POINT] >= MAYBE_SIGN
        if not is_sign and away.min(initial=np.inf) <= reach and not apart[away.argmin()]:
            nearest = matches[int(away.argmin())]
            if nearest is None or _belongs(mark, nearest.digit.row_box):
                continue
        if mark.kind == "ink" and seen[SIGN] >= MIN_SIGN:
            mark = replace(mark, kind="sign")
        elif mark.kind == "dash" and not is_sign:
            mark = replace(mark, kind="ink")
        kept.append(mark)
    inks = [strip.locate([mark.box])[0, 0] for mark in kept if mark.kind == "ink"]
    for x in peaks[apart].tolist():
        shape = Shape(x / strip.unit - SAME / 2, -0.5, SAME, 1.0, SAME, _ONE)
        if strip.is_near(shape) and not any(abs(x - ink) <= SAME * strip.unit for ink in inks):
            box, level_box = strip.to_boxes(shape)
            kept.append(Mark("ink", box, strip.row, level_box))  # a digit that cannot be read
    return kept


_ONE = np.ones((1, 1), np.uint8)


def _belongs(mark: Mark, digit: Box) -> bool:
    """Whether ink may be a part of a digit: it is above or below that, or not high."""
    x, _, width, height = mark.row_box
    common = min(x + width, digit[0] + digit[2]) - max(x, digit[0])
    return 2 * common >= width or height < LOW * digit[3]
