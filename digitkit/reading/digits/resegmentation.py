"""Digits that were cut out too small are cut out again, and two boxes of one digit are joined.

Where the detector's box of a digit is too small, the ink beside it seems to belong to nothing.
Where it has two boxes in one digit, a number gets a digit too many. If the classifier and the line
reader see the same digit with the ink or the other box, both are one digit. A second box in a digit
that they do not join is in doubt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from digitkit.arrays import F32, I32, U8
from digitkit.boxes import clip_box, overlap_fraction
from digitkit.images.cv import cv2
from digitkit.reading.detection.detections import ClassifiedDetection, Detection, Page
from digitkit.reading.digits.fusion import combine_in_row
from digitkit.reading.digits.missed_digits import MIN_DUPLICATE_OVERLAP, to_detection
from digitkit.reading.marks.finding import MIN_ATTACHED, STROKE_EDGE, beyond, is_written
from digitkit.reading.marks.kinds import MIN_MAYBE_SIGN
from digitkit.reading.networks.line_reader import POINT, SIGN
from digitkit.reading.rows.layout import RowDigit
from digitkit.reading.rows.lines import TextLine
from digitkit.reading.rows.matching import RowMatch, match_row
from digitkit.reading.rows.shapes import Shape
from digitkit.reading.rows.strip_ink import MIN_STROKE_LEVEL
from digitkit.reading.rows.strips import PlacedDigit, Strip

MAX_PEAK_DISTANCE = 0.55
"""An accepted digit at which the row shows no middle may be a part of another one if their middles
are at most this far apart, in heights."""

MIN_OWN = 0.5
"""With all of its ink, the classifier itself sees the digit with at least this confidence."""

MAX_LOSS = 0.05
"""With all of its ink, the confidence of a digit is lower by at most this much."""

MAX_WIDENING, MAX_DIGIT_HEIGHT = 0.9, 1.25
"""With ink that belonged to no digit, a digit is at most so much wider than without, and at most so
high, in heights of the row's digits: more is a line or another drawing."""


@dataclass(frozen=True, eq=False)
class _Part:
    """What may be a part of a digit; equal to itself only.

    Attributes:
        x: left edge of its ink in the strip.
        y: top edge.
        ink: uint8 ``[h, w]``, 0 or 1.
        row_digit: the digit that it was taken for; None for ink that belongs to no digit.
    """

    x: int
    y: int
    ink: U8
    row_digit: RowDigit | None = None


class _Proposal(NamedTuple):
    """A digit and a part, cut out as one; and what the row shows there, float32 ``[15]``."""

    row_digit: RowDigit
    part: _Part
    detection: Detection
    probabilities: F32


def resegment_digits(
    page: Page, row_digits: Sequence[RowDigit], lines: Mapping[int, TextLine]
) -> list[RowDigit]:
    """The digits of a page, those that were cut out too small with all of their ink.

    Args:
        page: that the digits were found in.
        row_digits: the digits that are reported, with their rows.
        lines: the rows with an accepted digit, by their numbers.
    """
    height, width = page.image.shape
    proposals = [
        proposal
        for line in lines.values()
        for proposal in _propose(line, row_digits)
        if clip_box(*proposal.detection.box, width, height) == proposal.detection.box
    ]
    if not proposals:
        return list(row_digits)
    classified = page.classify([proposal.detection for proposal in proposals])
    confirmed = list[tuple[_Proposal, RowDigit]]()
    for proposal, each in zip(proposals, classified, strict=True):
        whole = _confirm(proposal, each, page.min_confidence)
        if whole is not None:
            confirmed.append((proposal, whole))
    # Two boxes first, then what gains most.
    confirmed.sort(
        key=lambda each: (
            each[0].part.row_digit is None,
            each[0].row_digit.digit.confidence - each[1].digit.confidence,
        )
    )
    changed = dict[RowDigit, RowDigit | None]()  # None for parts of others
    taken = list[_Part]()
    for (row_digit, part, _, _), whole in confirmed:
        if row_digit in changed or part.row_digit in changed or part in taken:
            continue
        changed[row_digit] = whole
        taken.append(part)
        if part.row_digit is not None:
            changed[part.row_digit] = None
    for row_digit, part, _, _ in proposals:
        if part.row_digit is not None and _shares_box(part.row_digit, row_digit):
            doubtful = replace(part.row_digit.digit, accepted=False)
            changed.setdefault(part.row_digit, replace(part.row_digit, digit=doubtful))
    found = (changed.get(row_digit, row_digit) for row_digit in row_digits)
    return [row_digit for row_digit in found if row_digit is not None]


def _shares_box(a: RowDigit, b: RowDigit) -> bool:
    return overlap_fraction(a.digit.row_box, b.digit.row_box) > MIN_DUPLICATE_OVERLAP


def _confirm(
    proposal: _Proposal, classified: ClassifiedDetection, min_confidence: float
) -> RowDigit | None:
    """The digit with its part, if both networks see it, or one that is likelier than both were."""
    digit, part, own = proposal.row_digit.digit, proposal.part.row_digit, classified.prediction
    both = combine_in_row(own, proposal.probabilities, has_signs=True)
    if own.confidence < MIN_OWN or both.digit != own.digit or both.confidence < min_confidence:
        return None
    if both.digit == digit.digit:
        is_clear = both.confidence >= digit.confidence - MAX_LOSS
    else:
        before = max(digit.confidence, part.digit.confidence if part else 0.0)
        is_clear = both.confidence > before
    if not is_clear:
        return None
    whole = replace(classified, prediction=both).to_digit(score=1.0, accepted=True)
    return RowDigit(replace(whole, row=digit.row), classified.detection)


def _propose(line: TextLine, row_digits: Sequence[RowDigit]) -> Iterator[_Proposal]:
    """Each digit of a row with what is beside it."""
    strip = line.strip
    placed = strip.place(row_digits)
    rest = beyond(line.ink.mask, strip.cover(placed), strip.unit)
    row = match_row(line, row_digits)
    doubles = list(_find_unmatched(strip, row))
    parts = [*doubles, *_find_rest(line, rest)]
    if not parts:
        return
    owners, numbers = _draw_owners(strip, placed)
    doubled = [part.row_digit for part in doubles]
    hosts = [each for each in row.row_digits if not each.digit.cut and each in numbers]
    hosts = [each for each in hosts if each not in doubled]
    sure = [each for each in hosts if each.digit.accepted and each in row.matches]
    for part in parts:
        for row_digit in sure if part.row_digit else hosts:
            probabilities = line.probabilities_at(row_digit.digit.box)
            own = [numbers[each] for each in (row_digit, part.row_digit) if each]
            shape = _join(line, owners, part, own)
            if probabilities is not None and shape is not None:
                yield _Proposal(row_digit, part, to_detection(line, shape), probabilities)


def _draw_owners(strip: Strip, placed: Sequence[PlacedDigit]) -> tuple[I32, dict[RowDigit, int]]:
    """Number the digits from 1, and mark which one each pixel of the strip belongs to.

    Returns:
        The number of the digit at each pixel, 0 for none, int32 ``[h, w]``; and the number of each
        digit.
    """
    owners = np.zeros(strip.shape, np.int32)
    for number, each in enumerate(placed, 1):
        layer, ink = each.cut(owners)
        layer[ink > MIN_STROKE_LEVEL] = number
    return owners, {each.row_digit: number for number, each in enumerate(placed, 1)}


def _join(line: TextLine, owners: I32, part: _Part, own: Sequence[int]) -> Shape | None:
    """The shape of a digit with a part; None where they do not touch, or it would be too large.

    Args:
        line: the row.
        owners: the numbers of the pixels; see `_draw_owners`.
        part: what may be a part of it.
        own: the digit's number, and that of the part if it was taken for a digit.
    """
    strip = line.strip
    reach = max(1, round(STROKE_EDGE * strip.unit)) + 1
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    h, w = part.ink.shape
    # Around the part, as far as a digit reaches.
    room = round((MAX_DIGIT_HEIGHT + MAX_WIDENING) * strip.unit)
    x0, y0 = max(0, part.x - room), max(0, part.y - room)
    window = slice(y0, part.y + h + room), slice(x0, part.x + w + room)
    owner = owners[window]
    strokes = np.asarray(owner == own[0], np.uint8)
    both = np.zeros_like(strokes)
    place = both[part.y - y0 : part.y - y0 + h, part.x - x0 : part.x - x0 + w]
    np.maximum(place, part.ink, out=place)
    if not cv2.countNonZero(cv2.bitwise_and(strokes, cv2.dilate(both, kernel, iterations=2))):
        return None
    both = np.maximum(both, strokes)
    free = line.ink.mask[window] * ((owner == 0) | np.isin(owner, own))
    both = np.maximum(both, cv2.dilate(both, kernel) * free).astype(np.uint8)
    x, y, width, height = cv2.boundingRect(both)
    wider = width - cv2.boundingRect(strokes)[2]
    is_large = wider > MAX_WIDENING * strip.unit or height > MAX_DIGIT_HEIGHT * strip.unit
    if part.row_digit is None and is_large:
        return None
    return strip.shape_of(both[y : y + height, x : x + width], x0 + x, y0 + y)


def _find_rest(line: TextLine, rest: U8) -> Iterator[_Part]:
    """Ink beyond the strokes of all digits, where the row shows no sign.

    What the image's border cuts is left out: it may go on beyond.
    """
    strip = line.strip
    for shape in strip.split(rest, round(MIN_ATTACHED * strip.unit**2)):
        box, _ = strip.to_boxes(shape)
        probabilities = line.max_probabilities_near(box)
        if probabilities is None or strip.is_cut(box) or not is_written(line, shape):
            continue
        if probabilities[SIGN] + probabilities[POINT] < MIN_MAYBE_SIGN:
            yield _Part(*strip.place_of(shape), shape.ink)


def _find_unmatched(strip: Strip, row: RowMatch) -> Iterator[_Part]:
    """Accepted digits at which the row shows no middle, close to a digit at which it shows one."""
    matched = [row_digit for row_digit in row.matches if row_digit is not None]
    if not matched:
        return
    middles = strip.locate([each.digit.box for each in matched])[:, 0]
    for row_digit in row.row_digits:
        if not row_digit.digit.accepted or row_digit in matched:
            continue
        x = strip.x_of(row_digit.digit.box)
        if np.abs(middles - x).min() > MAX_PEAK_DISTANCE * strip.unit:
            continue
        mask = strip.cover(strip.place([row_digit]))
        x0, y0, w, h = cv2.boundingRect(mask)
        if w:
            yield _Part(x0, y0, mask[y0 : y0 + h, x0 : x0 + w], row_digit)
