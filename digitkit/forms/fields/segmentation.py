"""The digits of a free field: its ink is cut too finely, and the likeliest segmentation chosen.

Over-segmentation with recognition (Casey and Lecolinet, A Survey of Methods and Strategies in
Character Segmentation, 1996): a stroke is cut between digits that the line reader sees in it, and
each run of neighbouring pieces, a segment, may be a digit. The classifier says how likely each is
one, and dynamic programming finds the chain of segments that is most probable as a whole, and how
much more probable it is than all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from digitkit.arrays import U8
from digitkit.forms.fields.field_ink import FieldInk, Place
from digitkit.forms.fields.field_line import MIN_FIELD_SPOILED, FieldLine, read_field, sees_other
from digitkit.forms.fields.hypotheses import (
    DigitSlot,
    Hypotheses,
    Segmentation,
    SegmentReading,
    to_options,
    word_doubt,
)
from digitkit.forms.fields.ink_pieces import OVER_EDGE, own_ink
from digitkit.forms.fields.obstructions import CROSSED_OUT
from digitkit.forms.fields.strokes import MIN_DIGIT_HEIGHT, Strokes, find_strokes
from digitkit.forms.templates.template import FormField
from digitkit.images.cv import cv2
from digitkit.images.normal_form import normal_form
from digitkit.reading.networks.line_reader import SIGN, SPOILED_DOUBT, LineReader, is_spoiled

MAX_PIECES = 60
"""Most pieces of ink of a field; beyond, it cannot be read."""

MAX_SEGMENT_PIECES = 6
"""Most pieces of a digit."""

MIN_DECIMAL_AREA, MIN_STRAY_AREA = 0.004, 0.02
"""Minimum area of a decimal separator in a field with decimals and in any other, in squared heights
of the digits."""

SEEN_PRIORS = (0.03, 1.0, 0.03)
"""How likely a segment is one digit if the line reader sees none, one, or more in it."""

MIN_OTHER_IN_CUT = 0.5
"""Probability from which another digit that the line reader sees in cut ink makes it doubtful."""

MIN_SIGN_IN_ONE = 0.9
"""Probability from which a sign that the line reader sees makes a 1 doubtful: a slash is as high.
Of 539 1s that were read right it was higher for 0.2%, of 91 slashes and brackets for 68%."""

SIGN_DOUBT = "may have a sign, which is not read"

UNREADABLE = "its ink cannot be read"

MAX_DIGIT_WIDTH = 2.4
"""A digit of several pieces is at most this wide, in heights: a 2 with a long tail."""

MIN_SEPARATE_GAP = 0.06
"""Pieces that are further apart than this, in heights of the digits, are of two digits if both are
as high as digits."""

MAX_STROKE_GAP = 0.3
"""Maximum gap between the strokes of a digit, in heights."""

STROKES_PRIOR, TALL_PRIOR, LOW_PRIOR = 0.9, 0.3, 0.02
"""Factors of how likely pieces are one digit, by their shape: for each two strokes, for each two
that are both as high as digits, and if none is."""

MIN_BEST_DIGIT = 0.1
"""The most probable digit of a segment counts at least this much."""

MAX_SEGMENTATIONS = 4
"""Chains that are kept; a rule across fields may choose another than the likeliest."""

MIN_SHARE = 1e-3
"""Less probable chains are not kept."""

MIN_DIGIT = 1e-6
"""Least probability of a segment: none is impossible."""

Chain = tuple[int, ...]
"""Places of neighbouring segments that make up a field's ink, from left to right."""


@dataclass(frozen=True)
class Segment:
    """Neighbouring pieces that may be a digit.

    Attributes:
        first: place of its first piece.
        end: place after its last piece.
        prior: how likely its pieces are one digit, by their shape alone, 0–1.
        image: in normal form, uint8 ``[28, 28]``.
        box: in pixels of the reference.
        is_cut: whether it was cut off a stroke that goes on beside it.
    """

    first: int
    end: int
    prior: float
    image: U8 = field(repr=False)
    box: Place
    is_cut: bool


@dataclass(frozen=True)
class _Piece:
    """A piece of ink: its box in the field's pixels, and what it was cut from."""

    x: int
    y: int
    w: int
    h: int
    mask: npt.NDArray[np.bool_] = field(repr=False)
    stroke: int


@dataclass(frozen=True)
class Lattice:
    """The ink of a free field.

    Attributes:
        pieces: how many pieces it was cut into.
        segments: what may be digits.
        separators: x of each decimal separator, pixels of the reference.
        doubts: what is wrong with it.
        line: what the line reader sees in it.
    """

    pieces: int = 0
    segments: tuple[Segment, ...] = ()
    separators: tuple[float, ...] = ()
    doubts: tuple[str, ...] = ()
    line: FieldLine = field(default_factory=FieldLine, repr=False)

    def hypotheses(self, readings: Sequence[SegmentReading]) -> Hypotheses:
        """The likeliest chains of digits.

        Args:
            readings: of the segments.
        """
        if not self.segments:
            return Hypotheses((), self.doubts)
        chains = self._find_chains(readings)
        if not chains:
            return Hypotheses((), (UNREADABLE,))
        found = [
            self._to_segmentation(chosen, readings, share)
            for share, chosen in chains
            if share >= MIN_SHARE
        ]
        segmentations = [each for each in found if all(slot.options for slot in each.slots)]
        doubts = _find_doubts(self, chains[0][1], readings)
        first = self.doubts if segmentations else (UNREADABLE,)
        return Hypotheses(tuple(segmentations), tuple(dict.fromkeys((*first, *doubts))))

    def _find_chains(self, readings: Sequence[SegmentReading]) -> list[tuple[float, Chain]]:
        """The likeliest chains of segments, each with its share of the probability of all."""
        ending: list[list[tuple[int, float]]] = [[] for _ in range(self.pieces + 1)]
        for place, (segment, reading) in enumerate(zip(self.segments, readings, strict=True)):
            prediction = reading.combined
            prior = segment.prior * _agreement(segment, self.line)
            likely = max(prediction.is_digit * prior, MIN_DIGIT)
            weight = likely * max(float(prediction.probabilities.max()), MIN_BEST_DIGIT)
            ending[segment.end].append((place, weight))
        # Of the pieces up to each: the likeliest chains, and the probability of all.
        best: list[list[tuple[float, Chain]]] = [[(1.0, ())]]
        total = [1.0]
        for options in ending[1:]:
            longer = [
                (before * weight, (*chain, place))
                for place, weight in options
                for before, chain in best[self.segments[place].first]
            ]
            best.append(sorted(longer, reverse=True)[:MAX_SEGMENTATIONS])
            total.append(
                sum(total[self.segments[place].first] * weight for place, weight in options)
            )
        return [(weight / total[-1], chain) for weight, chain in best[-1]] if total[-1] > 0 else []

    def _to_segmentation(
        self, chain: Chain, readings: Sequence[SegmentReading], share: float
    ) -> Segmentation:
        segments = [self.segments[place] for place in chain]
        slots = tuple(
            DigitSlot(to_options(readings[place].combined), segment.box, segment.image)
            for place, segment in zip(chain, segments, strict=True)
        )
        separators = tuple(
            sum(segment.box[0] + segment.box[2] / 2 < x for segment in segments)
            for x in self.separators
        )
        return Segmentation(slots, separators, share)


def cut_lattice(
    form_field: FormField, ink: FieldInk, threshold: float, reader: LineReader
) -> Lattice:
    """Cut the ink of a free field into pieces, and list what may be digits.

    Args:
        form_field: the field.
        ink: of it.
        threshold: minimum darkness of ink, 0–255.
        reader: the line reader, which says where its digits are.

    Raises:
        ModelRunError: ONNX Runtime fails.
    """
    strokes = find_strokes(ink, form_field.box, threshold, has_decimals=bool(form_field.decimals))
    if len(strokes.own) > MAX_PIECES:
        return Lattice(doubts=("has too much ink to be read",))
    if not len(strokes.tall):
        return Lattice(doubts=(OVER_EDGE,) * strokes.is_over)
    boxes = strokes.stats[strokes.tall, : cv2.CC_STAT_AREA].tolist()
    line = read_field(
        reader, ink, form_field.box, threshold, [ink.to_reference(*box) for box in boxes]
    )
    digits = [(x - ink.origin[0]) * ink.ratio for x in line.digits]
    separators, pieces = list[float](), list[_Piece]()
    has_sign = is_crossed_out = False
    for label in strokes.own.tolist():
        if strokes.may_be_separator(label):
            x, _, w, _, area = strokes.stats[label].tolist()
            if (
                area
                > (MIN_DECIMAL_AREA if form_field.decimals else MIN_STRAY_AREA)
                * strokes.digit_height**2
            ):
                separators.append(ink.origin[0] + (x + w / 2) / ink.ratio)
            continue
        parts = _cut(strokes, label, digits)
        has_sign |= strokes.may_be_minus(label)
        is_crossed_out |= len(parts) > 1 and strokes.is_crossed_out(label)
        pieces += parts
    pieces.sort(key=lambda piece: piece.x + piece.w / 2)
    if len(pieces) > MAX_PIECES:
        return Lattice(doubts=("has too much ink to be read",))
    if form_field.decimals and not separators:  # one that touches a digit, or is hardly there
        separators += line.points
    found = {OVER_EDGE: strokes.is_over, SIGN_DOUBT: has_sign, CROSSED_OUT: is_crossed_out}
    doubts = tuple(doubt for doubt, holds in found.items() if holds)
    segments = tuple(_list_segments(pieces, ink, strokes.digit_height))
    return Lattice(len(pieces), segments, tuple(sorted(separators)), doubts, line)


def _cut(strokes: Strokes, label: int, digits: Sequence[float]) -> list[_Piece]:
    """Cut a stroke midway between each two digits that the line reader sees in it."""
    x, y, w, h = strokes.stats[label, : cv2.CC_STAT_AREA].tolist()
    inside = [each for each in digits if x < each < x + w]
    cuts = [round((a + b) / 2) for a, b in pairwise(inside)]
    pieces = []
    for start, end in pairwise([x, *cuts, x + w]):
        part = strokes.labels[y : y + h, start:end] == label
        rows = np.flatnonzero(part.any(1))
        if len(rows):
            own = part[rows[0] : rows[-1] + 1]
            pieces.append(_Piece(start, y + int(rows[0]), end - start, len(own), own, label))
    return pieces


def _list_segments(pieces: Sequence[_Piece], ink: FieldInk, height: float) -> list[Segment]:
    segments = []
    for first in range(len(pieces)):
        for end in range(first + 1, min(first + MAX_SEGMENT_PIECES, len(pieces)) + 1):
            members = pieces[first:end]
            prior = _prior(pieces, first, end, height)
            if prior <= 0:
                continue
            x, y = min(p.x for p in members), min(p.y for p in members)
            w = max(p.x + p.w for p in members) - x
            h = max(p.y + p.h for p in members) - y
            own = np.zeros((h + 4, w + 4), np.uint8)
            for p in members:
                own[p.y - y + 2 : p.y - y + 2 + p.h, p.x - x + 2 : p.x - x + 2 + p.w] |= p.mask
            x0, y0 = max(0, x - 2), max(0, y - 2)
            crop = ink.ink[y0 : y + h + 2, x0 : x + w + 2]
            own = own[y0 - y + 2 :, x0 - x + 2 :][: crop.shape[0], : crop.shape[1]]
            image = normal_form(own_ink(crop, own))
            is_cut = _is_cut(pieces, first) or _is_cut(pieces, end)
            place = ink.to_reference(x, y, w, h)
            segments.append(Segment(first, end, prior, image, place, is_cut))
    return segments


def _prior(pieces: Sequence[_Piece], first: int, end: int, height: float) -> float:
    """How likely neighbouring pieces are one digit and no more, by their shape alone."""
    members = pieces[first:end]
    width = max(p.x + p.w for p in members) - min(p.x for p in members)
    if width > MAX_DIGIT_WIDTH * height and len(members) > 1:
        return 0.0
    prior = 1.0
    for a, b in pairwise(members):
        if a.stroke == b.stroke:
            continue
        both_tall = min(a.h, b.h) >= MIN_DIGIT_HEIGHT * height
        gap = b.x - (a.x + a.w)
        if gap > MIN_SEPARATE_GAP * height and both_tall:
            return 0.0
        if gap > MAX_STROKE_GAP * height:
            return 0.0
        prior *= TALL_PRIOR if both_tall else STROKES_PRIOR
    if max(p.h for p in members) < MIN_DIGIT_HEIGHT * height:
        prior *= LOW_PRIOR
    return prior


def _is_cut(pieces: Sequence[_Piece], place: int) -> bool:
    """Whether a stroke was cut before this piece."""
    return 0 < place < len(pieces) and pieces[place - 1].stroke == pieces[place].stroke


def _find_doubts(lattice: Lattice, chosen: Chain, readings: Sequence[SegmentReading]) -> list[str]:
    """What is wrong with the chain of the chosen segments."""
    digits = [(readings[place], lattice.segments[place].is_cut) for place in chosen]
    # Of ink that was cut the classifier alone cannot say.
    doubts = [*word_doubt([each.combined if cut else each.classifier for each, cut in digits])]
    is_other = any(
        cut and sees_other(each.line_probabilities, each.combined.digit, MIN_OTHER_IN_CUT)
        for each, cut in digits
    )
    if is_other or len(lattice.line.digits) > len(chosen):
        doubts.append("two of its digits may touch")
    if any(_may_be_sign(each) for each, _ in digits):
        doubts.append(SIGN_DOUBT)
    # Digits that touch look as if one were written over the other.
    if any(
        not cut and is_spoiled(each.line_probabilities, MIN_FIELD_SPOILED) for each, cut in digits
    ):
        doubts.append(f"a digit {SPOILED_DOUBT}")
    return doubts


def _agreement(segment: Segment, line: FieldLine) -> float:
    """How likely a segment is one digit by how many digits the line reader sees in it."""
    x, _, width, _ = segment.box
    return SEEN_PRIORS[min(2, sum(x <= each <= x + width for each in line.digits))]


def _may_be_sign(reading: SegmentReading) -> bool:
    """Whether the line reader sees a sign where a 1 is read."""
    prediction, _, row = reading
    return row is not None and prediction.digit == 1 and bool(row[SIGN] > MIN_SIGN_IN_ONE)
