"""The digits of a free field: its ink is cut too finely, and the likeliest segmentation chosen.

Over-segmentation with recognition (Casey and Lecolinet, A Survey of Methods and Strategies in
Character Segmentation, 1996): connected strokes are cut where they are thin, and each run of
neighbouring pieces, a segment, may be a digit. The classifier says how likely each is one, and
dynamic programming finds the chain of segments that is most probable as a whole, and how much more
probable it is than all others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F32, U8
from digitkit.forms.field_ink import OVER_EDGE, FieldInk, find_residue, is_beside, to_region
from digitkit.forms.field_line import FieldLine
from digitkit.forms.hypotheses import (
    DigitSlot,
    Hypotheses,
    Segmentation,
    own_ink,
    place_of,
    to_options,
    word_doubt,
)
from digitkit.forms.template import FormField
from digitkit.images.cv import cv2
from digitkit.images.normal_form import normal_form
from digitkit.models.classifier import Prediction
from digitkit.reading.combining import DIGITS

MAX_PIECES = 60
"""Most pieces of ink of a field; beyond, it cannot be read."""

MAX_SEGMENT_PIECES = 6
"""Most pieces of a digit."""

DIRT = 0.06
"""Ink that is less high and wide than this, in heights of the field, is dirt."""

SMALL = 0.5
"""Least height of a piece that can be a digit by itself, in heights of the field's digits."""

STRAY = 0.02
"""Less ink than this, in squares of the digits' height, is no separator where none is expected."""

LOW = 0.55
"""The middle of a decimal separator is below this, from the top of the digits, in their heights."""

CUT_PRIORS = ((1.0, 1e-4), (1.25, 2e-3), (1.5, 0.1), (1.8, 0.6), (np.inf, 0.95))
"""How likely connected ink is more than one digit, by its width in heights of the digits."""

PITCH = 0.42
"""Connected ink is cut at most once for so much of its width, in heights of the digits: where it is
thinnest may be within a digit."""

SEEN_PRIORS = (0.1, 1.0, 0.03)
"""How likely a segment is one digit if the line reader sees none, one, or more in it."""

MIN_OTHER = 0.5
"""Probability from which another digit that the line reader sees in cut ink makes it doubtful."""

MIN_SIGN = 0.9
"""Probability from which a sign that the line reader sees makes a 1 doubtful: a slash is as high.
Of 539 1s that were read right it was higher for 0.2%, of 91 slashes and brackets for 68%."""

BAR_SHAPE, BAR_WIDTH, BAR_MIDDLE = 1.3, 0.2, (0.25, 0.75)
"""A small piece beside the digits may be a minus if it is so many times as wide as high, at least
this wide, and its middle between these, from their top: in heights of the digits."""

SIGN_DOUBT = "may have a sign, which is not read"

WIDEST = 2.4
"""A digit of several pieces is at most this wide, in heights: a 2 with a long tail."""

TOUCH = 0.06
"""Pieces that are further apart than this, in heights of the digits, are of two digits if both are
as high as digits."""

MAX_SEGMENTATIONS = 4
"""Chains that are kept; a rule across fields may choose another than the likeliest."""

MIN_SHARE = 1e-3
"""Less probable chains are not kept."""

MIN_DIGIT = 1e-6
"""Least probability of a segment: none is impossible."""


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
    box: tuple[float, float, float, float]
    is_cut: bool


@dataclass(frozen=True)
class Lattice:
    """The ink of a free field.

    Attributes:
        pieces: how many pieces it was cut into.
        segments: what may be digits.
        separators: x of each decimal separator, pixels of the reference.
        doubts: what is wrong with it.
    """

    pieces: int = 0
    segments: tuple[Segment, ...] = ()
    separators: tuple[float, ...] = ()
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Piece:
    """A piece of ink: its box in the field's pixels, and what it was cut from."""

    x: int
    y: int
    w: int
    h: int
    mask: npt.NDArray[np.bool_] = field(repr=False)
    stroke: int
    cut_prior: float


def cut_lattice(one: FormField, ink: FieldInk, level: float) -> Lattice:
    """Cut the ink of a free field into pieces, and list what may be digits.

    Args:
        one: the field.
        ink: of it.
        level: from which darkness on it is ink.
    """
    left, top, right, bottom = to_region(one.box, ink)
    found = cv2.connectedComponentsWithStats((ink.ink >= level).astype(np.uint8), connectivity=8)
    labels, stats = np.asarray(found[1], np.int32), np.asarray(found[2], np.int32)
    x, y = found[3].T
    side = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    kept = (x > left) & (x < right) & (y > top) & (y < bottom + 0.15 * (bottom - top))
    kept &= side >= max(2.0, DIRT * (bottom - top))
    residue = find_residue(ink, labels, stats, level)
    kept &= ~residue
    kept[0] = False
    places = np.flatnonzero(kept)
    heights = stats[places, cv2.CC_STAT_HEIGHT]
    if not len(places):
        return Lattice()
    if len(places) > MAX_PIECES:
        return Lattice(doubts=("has too much ink to be read",))
    height = _usual_height(heights)
    # A digit whose middle is below the field, and in another one, belongs to that.
    middles = np.rint(np.stack([y, x])[:, places]).astype(np.int64)
    is_other = (heights >= SMALL * height) & (middles[0] >= bottom) & (ink.others[*middles] > 0)
    kept[places[is_other]] = False
    places, heights = places[~is_other], heights[~is_other]
    tall = places[heights >= SMALL * height]
    if not len(tall):
        return Lattice()
    upper = float(np.median(stats[tall, cv2.CC_STAT_TOP]))
    separators, pieces, has_sign = list[float](), list[_Piece](), False
    for place in places.tolist():
        sx, sy, sw, sh, area = stats[place].tolist()
        mask = labels[sy : sy + sh, sx : sx + sw] == place
        is_low = (sy + sh / 2 - upper) / height > LOW
        is_low &= _common_width(stats[place], stats[tall]) <= 0.7
        if sh < SMALL * height and sw < 0.45 * height and is_low:
            if area > (0.004 if one.decimals else STRAY) * height**2:
                separators.append(ink.origin[0] + (sx + sw / 2) / ink.ratio)
            continue
        has_sign |= _may_be_minus(stats[place], stats[tall], upper, height)
        pieces += _cut(place, sx, sy, mask, height)
    pieces.sort(key=lambda piece: piece.x + piece.w / 2)
    if not pieces:
        return Lattice(doubts=("its ink cannot be read",))
    if len(pieces) > MAX_PIECES:
        return Lattice(doubts=("has too much ink to be read",))
    lefts = stats[:, cv2.CC_STAT_LEFT]
    ends = lefts + stats[:, cv2.CC_STAT_WIDTH]
    across = ((lefts < left) & (ends > left)) | ((lefts < right) & (ends > right))
    across &= ~kept & (stats[:, cv2.CC_STAT_HEIGHT] >= SMALL * height)
    across |= is_beside(ink, one.box, stats, kept)
    across &= ~residue
    across[0] = False
    doubts = (OVER_EDGE,) * bool(across.any()) + (SIGN_DOUBT,) * has_sign
    segments = tuple(_list_segments(pieces, ink, height))
    return Lattice(len(pieces), segments, tuple(sorted(separators)), doubts=doubts)


def _common_width(piece: npt.NDArray[np.int32], tall: npt.NDArray[np.int32]) -> float:
    """The fraction of a small piece's width that is above or below one digit: of a broken one."""
    left, right = piece[0], piece[0] + piece[2]
    common = np.minimum(right, tall[:, 0] + tall[:, 2]) - np.maximum(left, tall[:, 0])
    return float(common.max() / piece[2])


def _may_be_minus(
    piece: npt.NDArray[np.int32], tall: npt.NDArray[np.int32], upper: float, height: float
) -> bool:
    """Whether a piece is a short level stroke beside or between digits, whose top is `upper`."""
    _, y, w, h = piece[:4].tolist()
    if w < max(BAR_SHAPE * h, BAR_WIDTH * height) or _common_width(piece, tall) > 0.3:
        return False
    return bool(BAR_MIDDLE[0] < (y + h / 2 - upper) / height < BAR_MIDDLE[1])


def _usual_height(heights: npt.NDArray[np.int32]) -> float:
    """The height of a field's digits: the median of what is not much lower than the highest."""
    return float(np.median(heights[heights >= 0.55 * heights.max()]))


def _cut(stroke: int, x: int, y: int, mask: npt.NDArray[np.bool_], height: float) -> list[_Piece]:
    """Cut connected ink where it is thin, if it is wide enough for two digits."""
    h, w = mask.shape
    prior = next(prior for width, prior in CUT_PRIORS if w < width * height)
    if w < 0.5 * height or h < SMALL * height:
        return [_Piece(x, y, w, h, mask, stroke, 0.0)]
    thickness = cv2.blur(mask.sum(0).astype(np.float32)[None], (3, 1))[0]
    room = max(2, round(0.15 * height))
    places: list[int] = []
    for at in np.argsort(thickness, kind="stable").tolist():
        if thickness[at] > 0.4 * height or len(places) >= max(1, round(w / (PITCH * height))):
            break
        if room <= at < w - room and all(abs(at - other) >= room for other in places):
            places.append(at)
    pieces = []
    for start, end in zip([0, *sorted(places)], [*sorted(places), w], strict=True):
        part = mask[:, start:end]
        rows = np.flatnonzero(part.any(1))
        if len(rows):
            own = part[rows[0] : rows[-1] + 1]
            pieces.append(
                _Piece(x + start, y + int(rows[0]), end - start, len(own), own, stroke, prior)
            )
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
            place = place_of(ink, x, y, w, h)
            segments.append(Segment(first, end, prior, image, place, is_cut))
    return segments


def _prior(pieces: Sequence[_Piece], first: int, end: int, height: float) -> float:
    """How likely neighbouring pieces are one digit and no more, by their shape alone."""
    members = pieces[first:end]
    width = max(p.x + p.w for p in members) - min(p.x for p in members)
    if width > WIDEST * height and len(members) > 1:
        return 0.0
    prior = 1.0
    for a, b in pairwise(members):
        if a.stroke == b.stroke:
            prior *= 1 - a.cut_prior
            continue
        both_tall = min(a.h, b.h) >= SMALL * height
        gap = b.x - (a.x + a.w)
        if gap > TOUCH * height and both_tall:
            return 0.0
        if gap > 0.3 * height:
            return 0.0
        prior *= 0.05 if both_tall else 0.9
    # What was cut off a stroke at either end.
    for place in (first, end):
        if _is_cut(pieces, place):
            prior *= math.sqrt(pieces[place].cut_prior)
    if max(p.h for p in members) < SMALL * height:
        prior *= 0.02
    return prior


def _is_cut(pieces: Sequence[_Piece], place: int) -> bool:
    """Whether a stroke was cut before this piece."""
    return 0 < place < len(pieces) and pieces[place - 1].stroke == pieces[place].stroke


def free_hypotheses(
    lattice: Lattice,
    predictions: Sequence[Prediction],
    own: Sequence[Prediction],
    line: FieldLine,
) -> Hypotheses:
    """The likeliest chains of digits of a free field.

    Args:
        lattice: the field's ink.
        predictions: of each segment's image.
        own: the same by the classifier alone.
        line: what the line reader sees in the field, and at each segment.
    """
    if not lattice.segments:
        return Hypotheses((), lattice.doubts)
    ending: list[list[tuple[int, float]]] = [[] for _ in range(lattice.pieces + 1)]
    for place, (segment, prediction) in enumerate(zip(lattice.segments, predictions, strict=True)):
        prior = segment.prior * _agreement(segment, line)
        likely = max(prediction.is_digit * prior, MIN_DIGIT)
        weight = likely * max(float(prediction.probabilities.max()), 0.1)
        ending[segment.end].append((place, weight))
    # Of the pieces up to each: the likeliest chains, and the probability of all.
    best: list[list[tuple[float, tuple[int, ...]]]] = [[(1.0, ())]]
    total = [1.0]
    for options in ending[1:]:
        longer = [
            (before * weight, (*taken, place))
            for place, weight in options
            for before, taken in best[lattice.segments[place].first]
        ]
        best.append(sorted(longer, reverse=True)[:MAX_SEGMENTATIONS])
        total.append(
            sum(total[lattice.segments[place].first] * weight for place, weight in options)
        )
    if not best[-1] or total[-1] <= 0:
        return Hypotheses((), ("its ink cannot be read",))
    segmentations = []
    for probability, taken in best[-1]:
        segments = [lattice.segments[place] for place in taken]
        slots = tuple(
            DigitSlot(to_options(predictions[place]), segment.box, segment.image)
            for place, segment in zip(taken, segments, strict=True)
        )
        separators = tuple(
            sum(segment.box[0] + segment.box[2] / 2 < x for segment in segments)
            for x in lattice.separators
        )
        share = probability / total[-1]
        if all(slot.options for slot in slots) and share >= MIN_SHARE:
            segmentations.append(Segmentation(slots, separators, share))
    chosen = best[-1][0][1]
    doubts = [*word_doubt([own[place] for place in chosen])]
    is_doubtful = any(_is_other(lattice.segments[p], predictions[p], line.seen[p]) for p in chosen)
    if len(line.digits) > len(chosen) or is_doubtful:
        doubts.append("two of its digits may touch")
    if any(_may_be_sign(predictions[place], line.seen[place]) for place in chosen):
        doubts.append(SIGN_DOUBT)
    first = lattice.doubts if segmentations else ("its ink cannot be read",)
    return Hypotheses(tuple(segmentations), tuple(dict.fromkeys((*first, *doubts))))


def _agreement(segment: Segment, line: FieldLine) -> float:
    """How likely a segment is one digit by how many digits the line reader sees in it."""
    x, _, width, _ = segment.box
    return SEEN_PRIORS[min(2, sum(x <= each <= x + width for each in line.digits))]


def _is_other(segment: Segment, prediction: Prediction, seen: F32 | None) -> bool:
    """Whether the line reader sees another digit where ink was cut, perhaps at a wrong place."""
    if seen is None or not segment.is_cut:
        return False
    digit = int(seen[:DIGITS].argmax())
    return digit != prediction.digit and bool(seen[digit] > MIN_OTHER)


def _may_be_sign(prediction: Prediction, seen: F32 | None) -> bool:
    """Whether the line reader sees a sign where a 1 is read."""
    return seen is not None and prediction.digit == 1 and bool(seen[DIGITS] > MIN_SIGN)
