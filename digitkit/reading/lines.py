"""Rows, read as a whole: what each digit is, and whether it is one, among its neighbours.

The classifier sees a digit by itself, cut out of the page: a slash is a 1 to it, the O of a word a
0, and a digit that the cut has damaged what is left of it. The line reader sees the row. Both are
combined to one probability for each digit and for none.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

import numpy as np

from digitkit.arrays import F32, U8, Box
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.models.classifier import Prediction
from digitkit.reading.detections import Classified, Classify, Detection
from digitkit.reading.line_reader import COLUMN, HEIGHT, NONE, POINT, SIGN, LineReader
from digitkit.reading.results import Mark
from digitkit.reading.shapes import Shape
from digitkit.reading.strips import BAND, Member, Strip, group_rows

AROUND = 3
"""The middle of a digit is found up to so many columns beside the middle of its box."""


class Weights(NamedTuple):
    """How the probabilities of two networks are combined.

    A product of experts (Hinton, Training Products of Experts by Minimizing Contrastive Divergence,
    Neural Computation 14, 2002).

    Attributes:
        own: exponent of the classifier's.
        line: exponent of the line reader's.
        none: what is added to the logarithm of no digit.
    """

    own: float
    line: float
    none: float


PAGE_WEIGHTS = Weights(0.7, 1.0, 0.5)
"""The weights that fit best on synthetic images (``benchmarks/line_weights.py``) trust the line
reader more; on photos these read more digits right."""

ALONE_WEIGHTS = Weights(0.8, 0.5, 0.3)
"""Of a digit that is alone in its row, of which the row says little."""

MIN_DIGIT, MIN_SIGN, MAX_DOUBTED = 0.15, 0.5, 0.9
"""A detection that is less likely a digit than the first is dropped. Ink that is at least as likely
a sign as the second is one. So is a detection there with less confidence than the third, whatever
the threshold for digits is."""

MIN_PEAK = 0.65
"""Where the digits of a column are at least as likely as this together, one is seen."""

RUN = 4
"""So many columns belong to the middle of a digit; twice as many to those of two 1s."""

APART, PART = 0.25, 0.4
"""Two digits that are not alike are further apart than the first, in heights, and two that are, but
for 1s, than the second."""

SAME = 0.3
"""A digit and what the line reader sees are one if their middles are this near, in heights."""

EXPLAINED, WITHIN, LOW = 0.65, 0.25, 0.45
"""Ink at most the first from the middle of an accepted digit, in heights, is a part of it if the
row shows nothing else there, and half of it is above or below the digit or it is not as high as the
third; an upright line, if it is at most the second away."""

MAYBE_SIGN = 0.25
"""Ink that is less likely a sign or a point is none."""

LEAST = 1e-5
"""Probabilities are not taken for less than this."""


def lay_strip(image: GreyImage, members: Sequence[Member]) -> Strip:
    """The strip of a row, accepted digits or not.

    Args:
        image: that the row is in.
        members: the row's digits, at least one.
    """
    if not any(member.digit.accepted for member in members):
        members = [
            member._replace(digit=replace(member.digit, accepted=True)) for member in members
        ]
    return Strip(image, members)


def line_ink(strip: Strip) -> U8 | None:
    """A row's ink as the line reader takes it, uint8 ``[HEIGHT, W]``; None if there is none."""
    if strip.ink is None:
        return None
    strength = strip.ink.strength
    height, width = strength.shape
    size = max(1, round(width * HEIGHT / height / COLUMN)) * COLUMN, HEIGHT
    if size == (width, height):
        return strength
    how = cv2.INTER_AREA if height > HEIGHT else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(strength, size, interpolation=how), np.uint8)


@dataclass(frozen=True)
class Line:
    """A row that was read.

    Attributes:
        strip: the row.
        probabilities: float32 ``[13, C]`` as `LineReader.read` returns them.
    """

    strip: Strip
    probabilities: F32

    def at(self, box: Box) -> F32 | None:
        """What the row shows at a box: the probabilities of all classes, ``[13]``; None outside."""
        return look_up(self.probabilities, self._place(box))

    def near(self, box: Box) -> F32 | None:
        """The same, of each class where it is most likely near the box."""
        columns = _near(self.probabilities, self._place(box))
        return np.asarray(columns.max(1), np.float32) if columns.shape[1] else None

    @cached_property
    def peaks(self) -> list[Peak]:
        """Where the line reader sees digits, from the left."""
        return find_peaks(self)

    def _place(self, box: Box) -> float:
        return float(self.strip.locate([box])[0, 0]) * HEIGHT / self.strip.shape[0]


class Peak(NamedTuple):
    """Where the line reader sees a digit.

    Attributes:
        x: of its middle, pixels of the strip.
        seen: the probabilities of all classes there, float32 ``[13]``.
    """

    x: float
    seen: F32

    @property
    def digit(self) -> int:
        """The most likely digit."""
        return int(self.seen[:SIGN].argmax())


def find_peaks(line: Line) -> list[Peak]:
    """Where the line reader sees digits, from the left."""
    digits = line.probabilities[:SIGN]
    kinds = np.where(digits.sum(0) >= MIN_PEAK, digits.argmax(0), -1).tolist()
    scale = line.strip.shape[0] / HEIGHT
    peaks, column = list[Peak](), 0
    for kind, run in groupby(kinds):
        length = len(list(run))
        count = max(1, (length + 1) // RUN) if kind == 1 else int(kind >= 0)
        for part in np.array_split(np.arange(column, column + length), count) if count else ():
            best = int(part[digits[kind, part].argmax()])
            x = (float(part.mean()) + 0.5) * COLUMN * scale
            peaks.append(Peak(x, line.probabilities[:, best]))
        column += length
    kept = list[Peak]()
    for peak in peaks:
        last = kept[-1] if kept else None
        if last is None or peak.digit == last.digit or peak.x - last.x > APART * line.strip.unit:
            kept.append(peak)
        elif peak.seen[peak.digit] > last.seen[last.digit]:
            kept[-1] = peak  # of one digit that might be two
    return kept


def own_peaks(line: Line, members: Sequence[Member]) -> list[Peak]:
    """The peaks without those of accepted digits of other rows.

    Args:
        line: the row.
        members: all digits of the image.
    """
    strip = line.strip
    others = [each.digit for each in members if each.digit.row != strip.row and each.digit.accepted]
    if not others:
        return line.peaks
    places = strip.locate([digit.box for digit in others])
    level = (places[:, 1] >= BAND[0]) & (places[:, 1] <= BAND[1])
    middles = places[level, 0]
    return [
        peak
        for peak in line.peaks
        if np.abs(middles - peak.x).min(initial=np.inf) > SAME * strip.unit
    ]


def match_peaks(
    strip: Strip, members: Sequence[Member], peaks: Sequence[Peak]
) -> list[Member | None]:
    """The member at each peak, None without one: the nearest first, accepted ones before others."""
    matches: list[Member | None] = [None] * len(peaks)
    if not members:
        return matches
    middles = strip.locate([member.digit.box for member in members])[:, 0].tolist()
    pairs = sorted(
        (not member.digit.accepted, away, i, k)
        for k, (member, middle) in enumerate(zip(members, middles, strict=True))
        for i, peak in enumerate(peaks)
        if (away := abs(peak.x - middle)) <= SAME * strip.unit
    )
    used = set[int]()
    for _, _, i, k in pairs:
        if matches[i] is None and k not in used:
            matches[i] = members[k]
            used.add(k)
    return matches


def look_up(probabilities: F32, x: float) -> F32 | None:
    """What a row shows near an x coordinate.

    Args:
        probabilities: of the row, as `LineReader.read` returns them.
        x: in pixels of its input.

    Returns:
        The probabilities of all classes, float32 ``[13]``, where it is most likely the middle of
        something; None outside of the row.
    """
    near = _near(probabilities, x)
    return near[:, int(near[NONE].argmin())] if near.shape[1] else None


def _near(probabilities: F32, x: float) -> F32:
    """The columns near an x coordinate of the line reader's input; none outside of the row."""
    column = round(x / COLUMN - 0.5)
    return probabilities[:, max(0, column - AROUND) : max(0, column + AROUND + 1)]


def read_lines(image: GreyImage, members: Sequence[Member], reader: LineReader) -> dict[int, Line]:
    """Read each row of an image as a whole.

    Args:
        image: that the digits are in.
        members: all its digits, with their rows.
        reader: the network.

    Returns:
        The rows by their numbers, without those whose digits do not stand out from the paper.
    """
    lines = dict[int, Line]()
    for row, own in group_rows(members).items():
        if any(member.detection.whole_image for member in own):
            continue
        line = read_line(image, own, reader)
        if line is not None:
            lines[row] = line
    return lines


def read_line(image: GreyImage, members: Sequence[Member], reader: LineReader) -> Line | None:
    """Read the row of some digits as a whole; None where they do not stand out from the paper."""
    strip = lay_strip(image, members)
    ink = line_ink(strip)
    return None if ink is None else Line(strip, reader.read(ink))


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
            each if own is None else replace(each, prediction=combine(each.prediction, own))
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
        is_sign = mark.kind == "ink" and bool(seen[SIGN] >= MIN_SIGN)
        kept.append(replace(mark, kind="sign") if is_sign else mark)
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


def is_part(strip: Strip, peak: Peak, members: Sequence[Member]) -> bool:
    """Whether what the line reader sees is a part of a wide digit, of which it sees two."""
    return any(
        member.digit.digit == peak.digit != 1
        and abs(float(strip.locate([member.digit.box])[0, 0]) - peak.x) < PART * strip.unit
        for member in members
    )


def combine(own: Prediction, seen: F32, weights: Weights = PAGE_WEIGHTS) -> Prediction:
    """What a digit is by the classifier and by its row.

    Args:
        own: the classifier's prediction.
        seen: the row's probabilities, float32 ``[13]``.
        weights: how much each of them counts.
    """
    none = weights.none + weights.own * math.log(max(1 - own.is_digit, LEAST))
    none += weights.line * math.log(max(float(seen[SIGN:].sum()), LEAST))
    logs = weights.own * np.log(np.maximum(own.probabilities * own.is_digit, LEAST))
    logs = np.append(logs + weights.line * np.log(np.maximum(seen[:SIGN], LEAST)), none)
    both = np.exp(logs - logs.max())
    digits = both[:-1] / both.sum()
    best, is_digit = int(digits.argmax()), float(digits.sum())
    return Prediction(best, float(digits[best]), is_digit, (digits / is_digit).astype(np.float32))
