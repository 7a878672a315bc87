"""Digits that were cut out too small: cut out again, with all of their ink.

Where the detector's box of a digit is too small, ink beside it seems to belong to nothing. Where it
has two boxes in one digit, a number gets a digit too many. If both networks still see the same
digit with the ink beside it, or with the other box, that is a part of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from digitkit.arrays import U8
from digitkit.images.cv import cv2
from digitkit.reading.detections import Classified, Classify, Detection, common_fraction
from digitkit.reading.line_reader import POINT, SIGN
from digitkit.reading.lines import Line, is_part, match_peaks, own_peaks
from digitkit.reading.marks import MIN_ATTACHED, REMNANT, beyond
from digitkit.reading.second_look import to_detection
from digitkit.reading.settling import MAYBE_SIGN, combine_in_row
from digitkit.reading.strip_ink import Ink
from digitkit.reading.strips import Member, Strip

NEAR_PEAK = 0.55
"""A digit at most this far from the middle of another one, without a middle of its own that the row
shows, may be a part of that, in heights."""

MIN_OWN = 0.5
"""With all of its ink, the classifier itself sees the digit with at least this confidence."""

WIDER, HIGHER = 0.9, 1.25
"""With ink that belonged to no digit, a digit is at most so much wider than without, and at most so
high, in heights of the row's digits: more is a line or another drawing."""

OVERLAP = 0.4
"""A digit that may be a part of another one is doubtful if it shares more than this fraction of the
smaller box with that."""


class _Part(NamedTuple):
    """What may be a part of a digit.

    Attributes:
        mask: its ink in the strip, uint8 ``[height, width]``, 0 or 1.
        member: the digit that it was taken for; None for ink that belongs to no digit.
    """

    mask: U8
    member: Member | None = None


class _Proposal(NamedTuple):
    """A digit with a part, as one detection."""

    member: Member
    part: _Part
    detection: Detection


def recut_digits(
    members: Sequence[Member],
    lines: Mapping[int, Line],
    classify_all: Classify,
    min_confidence: float,
) -> list[Member]:
    """The members of an image, those that were cut out too small with all of their ink.

    Args:
        members: the digits that are reported, with their rows.
        lines: the rows with an accepted digit, by their numbers.
        classify_all: classifies detections.
        min_confidence: threshold for a digit to be accepted, 0–1.
    """
    changed = dict[int, Member | None]()  # by the ids of members; None for parts of others
    for line in lines.values():
        proposals = list(_propose(line, members))
        classified = classify_all([each.detection for each in proposals]) if proposals else []
        taken, doubtful = list[_Part](), list[Member]()
        for proposal, each in zip(proposals, classified, strict=True):
            member, part, _ = proposal
            if not changed.keys().isdisjoint((id(member), id(part.member))):
                continue
            if any(part is other for other in taken):
                continue
            whole = _confirm(proposal, each, line, min_confidence)
            if whole is not None:
                changed[id(member)] = whole
                taken.append(part)
                if part.member is not None:
                    changed[id(part.member)] = None
            elif part.member is not None and _shares_box(part.member, member):
                doubtful.append(part.member)
        for member in doubtful:
            doubted = member._replace(digit=replace(member.digit, accepted=False))
            changed.setdefault(id(member), doubted)
    found = (changed.get(id(member), member) for member in members)
    return [member for member in found if member is not None]


def _confirm(
    proposal: _Proposal, classified: Classified, line: Line, min_confidence: float
) -> Member | None:
    """The digit with its part, if both networks see the same digit, or a more likely one."""
    digit, own = proposal.member.digit, classified.prediction
    seen = line.at(digit.box)
    if seen is None or own.confidence < MIN_OWN:
        return None
    both = combine_in_row(own, seen, has_signs=True)
    is_better = both.digit == digit.digit or both.confidence > digit.confidence
    if both.digit != own.digit or both.confidence < min_confidence or not is_better:
        return None
    whole = replace(classified, prediction=both).to_digit(score=1.0, accepted=True)
    return Member(replace(whole, row=digit.row), classified.detection)


def _propose(line: Line, members: Sequence[Member]) -> Iterator[_Proposal]:
    """Each digit of a row with what is beside it, unless the row shows another digit there."""
    strip, ink = line.strip, line.strip.ink
    assert ink is not None  # else it would not have been read
    own = [each for each in members if each.digit.row == strip.row and not each.digit.cut]
    peaks = own_peaks(strip, line.peaks, members)
    matches = match_peaks(strip, own, peaks)
    matched = [member for member in matches if member is not None]
    parts = [*_find_rest(line, ink, members), *_find_unmatched(strip, own, matched)]
    if not parts:
        return
    open_peaks = [
        peak.x
        for peak, member in zip(peaks, matches, strict=True)
        if member is None and not is_part(strip, peak, own)
    ]
    reach = 2 * max(1, round(REMNANT * strip.unit)) + 3
    kernel = np.ones((reach, reach), np.uint8)
    for part in parts:
        near = cv2.dilate(part.mask, kernel, iterations=2)
        for member in own if part.member is None else matched:
            strokes = strip.cover(strip.place([member]))
            if not cv2.countNonZero(cv2.bitwise_and(strokes, near)):
                continue
            others = [each for each in own if each is not member and each is not part.member]
            both = cv2.max(strokes, part.mask)
            free = ink.mask * (1 - strip.cover(strip.place(others)))
            whole = cv2.max(both, cv2.dilate(both, kernel) * free)
            x, y, w, h = cv2.boundingRect(whole)
            wider = (w - cv2.boundingRect(strokes)[2]) / strip.unit
            is_far = part.member is None and (wider > WIDER or h > HIGHER * strip.unit)
            if not is_far and not any(x <= peak <= x + w for peak in open_peaks):
                shape = strip.shape_of(np.asarray(whole[y : y + h, x : x + w], np.uint8), x, y)
                yield _Proposal(member, part, to_detection(strip, ink, shape))


def _find_rest(line: Line, ink: Ink, members: Sequence[Member]) -> Iterator[_Part]:
    """Ink beyond the strokes of all digits, where the row shows no sign."""
    strip = line.strip
    rest = beyond(ink.mask, strip.cover(strip.place(members)), strip.unit)
    least = round(MIN_ATTACHED * strip.unit**2)
    if cv2.countNonZero(rest) < least:
        return
    count, labels, stats, _ = cv2.connectedComponentsWithStats(rest, connectivity=8)
    for i in range(1, count):
        x, y, w, h, area = stats[i].tolist()
        if area < least:
            continue
        mask = np.asarray(labels == i, np.uint8)
        seen = line.near(strip.to_boxes(strip.shape_of(mask[y : y + h, x : x + w], x, y))[0])
        if seen is not None and seen[SIGN] + seen[POINT] < MAYBE_SIGN:
            yield _Part(mask)


def _find_unmatched(
    strip: Strip, own: Sequence[Member], matched: Sequence[Member]
) -> Iterator[_Part]:
    """Accepted digits of which the row shows no middle, close to those of which it does."""
    middles = strip.locate([each.digit.box for each in matched])[:, 0] if matched else np.empty(0)
    for member in own:
        if not member.digit.accepted or any(member is each for each in matched):
            continue
        x = float(strip.locate([member.digit.box])[0, 0])
        if np.abs(middles - x).min(initial=np.inf) <= NEAR_PEAK * strip.unit:
            yield _Part(strip.cover(strip.place([member])), member)


def _shares_box(a: Member, b: Member) -> bool:
    return common_fraction(a.digit.row_box, b.digit.row_box) > OVERLAP
