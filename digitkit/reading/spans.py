"""What stands in a row: the digits that are known, and the pieces of ink that they do not explain.

Next to digits that are known, their row's strip shows all ink. A piece of it that is of a digit's
size is classified like any other digit; one that is none as a whole may be two that touch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from digitkit.images.cv import cv2
from digitkit.reading.detections import Classified, Classify, Detection, common_area
from digitkit.reading.marks import MIN_ATTACHED, beyond
from digitkit.reading.shapes import Shape, classify
from digitkit.reading.strips import BAND, STROKE, Ink, Member, Strip

TAKEN, WITHIN = (0.1, 0.4), (0.5, 0.7)
"""A digit has a part in a piece of ink from the first fraction of that on, if at least the last
fraction of its own ink is in it. It has none if it took less than the second fraction of it, and
less than the third of its own ink is there."""

SAME = 0.4
"""Digits that share more than this fraction of the smaller box are one."""

EXPLAINED = 0.75
"""A digit explains a piece of ink if this fraction of it is the digit's."""

HEIGHTS, MAX_WIDTH = (0.55, 1.45), 2.6
"""Ink of this size is looked at, in heights of the row's digits."""

TWO_DIGITS, MIN_HALF, CUTS = 0.9, 0.15, 6
"""Two digits that touch are at least this wide, each of them at least the second, in heights; how
many cuts between them, the ones through the least ink, are tried."""

HIGH_CROSS = 0.8
"""A plus is seldom as high as this, in heights."""

LINE_REACH = 0.1
"""A stroke ends at a ruled line that is this close, in heights."""

OFF_LEVEL, LETTERS_LEVEL = 0.3, 0.45
"""The middle of a digit, and that of a letter, is at most this far from the row's, in heights."""


class _Piece(NamedTuple):
    """A piece of ink that no digit explains.

    Attributes:
        shape: its form and place.
        label: its label in `Ink.labels`.
        parts: the accepted digits that have a part in it.
    """

    shape: Shape
    label: int
    parts: list[Member]


class Span(NamedTuple):
    """Where a digit or a piece of ink is in its row, from the left.

    Attributes:
        left: its left edge, in heights.
        right: its right edge.
        known: the accepted digit that it is; None for a piece of ink.
        found: the digits that a piece was read as; empty for none.
        replaced: the accepted digits that these replace, which have no span of their own.
        doubt: how little a piece of ink apart from digits looks like one, 0–1; 0 where it was not
            classified.
    """

    left: float
    right: float
    known: Member | None = None
    found: Sequence[Member] = ()
    replaced: Sequence[Member] = ()
    doubt: float = 0.0


def find_spans(
    strip: Strip, members: Sequence[Member], classify_all: Classify, sure: float
) -> list[Span]:
    """What stands in a row: its accepted digits, and the pieces of ink that they do not explain.

    Args:
        strip: of the row.
        members: all digits of the image.
        classify_all: classifies detections.
        sure: least confidence of a piece that is read.
    """
    ink = strip.ink
    if ink is None:
        return []
    known = [member for member in members if member.digit.accepted]
    row = [member for member in known if member.digit.row == strip.row]
    spans = [
        _read_piece(strip, ink, p, row, classify_all, sure) for p in _unexplained(strip, ink, known)
    ]
    gone = [id(member) for span in spans for member in span.replaced]
    for placed in strip.place([member for member in row if id(member) not in gone]):
        left, width = placed.left / strip.unit, placed.ink.shape[1] / strip.unit
        spans.append(Span(left, left + width, placed.member))
    return spans


def group_spans(spans: Sequence[Span], gap: float) -> Iterator[list[Span]]:
    """Spans that are at most so far apart, in heights, as in a number or a word."""
    group = list[Span]()
    right = -math.inf
    for span in sorted(spans, key=lambda span: span.left):
        if group and span.left - right > gap:
            yield group
            group = []
        group.append(span)
        right = max(right, span.right)
    if group:
        yield group


def is_same(a: Member, b: Member) -> bool:
    """Whether two digits are at the same place of their row."""
    first, second = a.digit.row_box, b.digit.row_box
    smaller = min(first[2] * first[3], second[2] * second[3])
    return common_area(first, second) > SAME * smaller


def _read_piece(
    strip: Strip,
    ink: Ink,
    piece: _Piece,
    row: Sequence[Member],
    classify_all: Classify,
    sure: float,
) -> Span:
    shape = piece.shape
    span = Span(shape.left, shape.left + shape.width)
    # What known digits have a part in belongs to the row, and is no letter.
    off_level = 0.0 if piece.parts else abs(shape.middle)
    if off_level > LETTERS_LEVEL:
        return span
    whole, confidence = _read(strip, ink, [[shape]], classify_all, sure)
    if not piece.parts:
        span = span._replace(doubt=1 - confidence)
    if off_level > OFF_LEVEL:
        return span
    if whole and whole[0].digit.digit == 1 and _meets_line(strip, ink, shape):
        return span
    if whole:
        return span._replace(found=whole, replaced=piece.parts)
    if piece.parts:
        attempts = [[shape] for shape in _remainders(strip, ink, piece)]
    else:
        attempts = list(_cut_in_two(strip, shape)) if shape.width >= TWO_DIGITS else []
    parts, _ = _read(strip, ink, attempts, classify_all, sure)
    return span._replace(found=parts, doubt=0.0) if parts and _is_free(parts, row) else span


def _unexplained(strip: Strip, ink: Ink, known: Sequence[Member]) -> Iterator[_Piece]:
    """The pieces of ink, of a digit's size, that no accepted digit explains."""
    areas = ink.stats[:, cv2.CC_STAT_AREA]
    counts = np.zeros((len(known), len(areas)))  # each digit's pixels in each piece
    places = {id(member): i for i, member in enumerate(known)}
    all_placed = strip.place(known)
    for placed in all_placed:
        labels, own = placed.cut(ink.labels)
        own_labels = labels[own > STROKE]
        counts[places[id(placed.member)]] = np.bincount(own_labels, minlength=len(areas))
    shares = counts / np.maximum(areas, 1)
    elsewhere = np.array([member.digit.row != strip.row for member in known], bool)
    heights = ink.stats[:, cv2.CC_STAT_HEIGHT] / strip.unit
    widths = ink.stats[:, cv2.CC_STAT_WIDTH] / strip.unit
    looked_at = (heights >= HEIGHTS[0]) & (heights <= HEIGHTS[1]) & (widths <= MAX_WIDTH)
    rest = beyond(ink.mask, strip.cover(all_placed), strip.unit)
    rests = np.bincount(ink.labels[rest > 0], minlength=len(areas)) / strip.unit**2
    looked_at &= (shares.max(0, initial=0) < EXPLAINED) | (rests >= MIN_ATTACHED)
    looked_at &= shares[elsewhere].max(0, initial=0) < TAKEN[0]
    looked_at[0] = False  # the paper
    # A digit that goes on outside a piece is more than that; or it took a little of its neighbour.
    within = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    is_part = (within >= WITHIN[1]) & (shares >= TAKEN[0])
    is_none = (shares < TAKEN[0]) | ((shares < TAKEN[1]) & (within < WITHIN[0]))
    looked_at &= (is_part | is_none).all(0)
    for label in np.flatnonzero(looked_at).tolist():
        shape = strip.to_shape(ink.labels, label, ink.stats[label].tolist())
        if BAND[0] <= shape.middle <= BAND[1] and _is_ink(shape):
            parts = [known[i] for i in np.flatnonzero(is_part[:, label]).tolist()]
            yield _Piece(shape, label, parts)


def _is_ink(shape: Shape) -> bool:
    """Whether a shape may be a digit: it is not a sign, or is a high cross, which may be a 4."""
    kinds = [kind for kind, _ in classify([shape])]
    return kinds == ["ink"] or (kinds == ["sign"] and shape.height >= HIGH_CROSS)


def _meets_line(strip: Strip, ink: Ink, shape: Shape) -> bool:
    """Whether a stroke ends at a ruled line, as the side of a box does."""
    x, y = strip.place_of(shape)
    height, width = shape.ink.shape
    reach = max(2, round(LINE_REACH * strip.unit))
    left, right = max(0, x - 1), x + width + 1
    ends = (max(0, y - reach), y + 1), (y + height - 1, y + height + reach)
    return any(ink.lines[top:bottom, left:right].any() for top, bottom in ends)


def _is_free(new: Sequence[Member], row: Sequence[Member]) -> bool:
    """Whether new digits stand where no accepted one of their row does."""
    return not any(is_same(a, b) for a in new for b in row)


def _remainders(strip: Strip, ink: Ink, piece: _Piece) -> Iterator[Shape]:
    """What is left of a piece of ink without the digits that have a part in it."""
    mask = (ink.labels == piece.label).astype(np.uint8)
    taken = strip.cover(strip.place(piece.parts))
    for shape in strip.split(beyond(mask, taken, strip.unit)):
        if HEIGHTS[0] <= shape.height <= HEIGHTS[1] and _is_ink(shape):
            yield shape


def _cut_in_two(strip: Strip, shape: Shape) -> Iterator[list[Shape]]:
    """A shape cut upright where there is the least ink."""
    least = round(MIN_HALF * strip.unit)
    x, y = strip.place_of(shape)
    profile = shape.ink.sum(0)[least : shape.ink.shape[1] - least]
    for column in (np.argsort(profile, kind="stable")[:CUTS] + least).tolist():
        halves = []
        for start, end in ((0, column), (column, shape.ink.shape[1])):
            part = shape.ink[:, start:end]
            left, top, w, h = cv2.boundingRect(part)
            halves.append(
                strip.shape_of(part[top : top + h, left : left + w], x + start + left, y + top)
            )
        if all(HEIGHTS[0] <= half.height <= HEIGHTS[1] for half in halves):
            yield halves


def _read(
    strip: Strip,
    ink: Ink,
    attempts: Sequence[Sequence[Shape]],
    classify_all: Classify,
    sure: float,
) -> tuple[list[Member], float]:
    """The digits of the attempt with the best worst one, if that is sure; its confidence."""
    detections = [_to_detection(strip, ink, shape) for shapes in attempts for shape in shapes]
    classified = iter(classify_all(detections))
    best, most = list[Classified](), 0.0
    for shapes in attempts:
        found = [next(classified) for _ in shapes]
        worst = min(each.prediction.confidence for each in found)
        if worst >= most:
            best, most = found, worst
    if most < sure:
        return [], most
    members = [
        Member(replace(each.to_digit(score=1.0, accepted=True), row=strip.row), each.detection)
        for each in best
    ]
    return members, most


def _to_detection(strip: Strip, ink: Ink, shape: Shape) -> Detection:
    """The detection that a shape would be; its ink with the soft edges of its strokes."""
    x, y = strip.place_of(shape)
    height, width = shape.ink.shape
    mask = cv2.dilate(
        cv2.copyMakeBorder(shape.ink, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0),
        np.ones((3, 3), np.uint8),
    )
    framed = cv2.copyMakeBorder(ink.strength, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0)
    own = framed[y : y + height + 4, x : x + width + 4] * mask
    box, level_box = strip.to_boxes(shape)
    return Detection(box, np.asarray(own, np.uint8), level_box=level_box, tilt=strip.tilt)
