"""Marks: ink in and next to the rows of digits that is none of them.

A digit that was not found, a decimal point and a plus are all ink that a number must not lose in
silence. So from each row's strip its digits are taken away, and what is left is told apart by its
shape.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F64, I32, U8
from digitkit.boxes import clip_box, intersection_area
from digitkit.images.cv import cv2
from digitkit.reading.marks.apostrophes import find_apostrophes
from digitkit.reading.marks.line_parts import split_lines
from digitkit.reading.marks.touching import (
    MIN_FAINT_POINT,
    MIN_POINT_STRENGTH,
    find_colons,
    find_pale_points,
    find_points,
)
from digitkit.reading.networks.line_reader import POINT
from digitkit.reading.numbers.grouping import MIN_BEFORE_MINUS, is_minus_by_gaps
from digitkit.reading.results import Mark, MarkKind
from digitkit.reading.rows.layout import STRIP_HALF_HEIGHT, RowDigit
from digitkit.reading.rows.lines import TextLine
from digitkit.reading.rows.shapes import (
    COMMA_HEIGHTS,
    COMMA_WIDTH,
    DASH_WIDTHS,
    MAX_DASH_OFFSET,
    MAX_DASH_THICKNESS,
    MAX_DOT_ASPECT,
    MIN_AREA,
    MIN_DASH,
    MIN_PAIR_AREA,
    POINT_CENTRE,
    Shape,
    are_pair,
    classify,
    is_above,
)
from digitkit.reading.rows.strip_ink import MIN_STROKE_LEVEL, MIN_STROKE_STRENGTH, Ink
from digitkit.reading.rows.strips import WRITING_BAND, PlacedDigit, Strip

MIN_MERGED_STROKE = 0.7
"""A stroke next to a digit that is at least this high is a digit of its own, in heights."""

STROKE_EDGE = 0.06
"""Ink this close to a digit's strokes is their edge, in heights."""

MIN_ATTACHED = 0.05
"""Minimum area of ink connected with a digit that is ink of its own, in squares of the digit
height; the edges of the digit's strokes (`STROKE_EDGE`) do not count."""

MIN_DIGIT_SHARE = 0.1
"""A piece of ink belongs to a digit if at least this fraction of it are strokes of digits."""

MAX_OUTSIDE, MAX_OVERLAP = 0.2, 0.2
"""A stroke is next to a digit if its middle is at most the first number of heights outside of the
digit's box, and less than the second fraction of its width above or below the digit's own ink."""

MAX_HIGH_DOT, MAX_SMALL = 0.3, 0.1
"""Maximum height of a dot that is not low, in heights; and maximum area, exclusive, of a dot or a
comma, in squares of the height."""

MAX_DASH_HEIGHT = 0.5
"""Maximum height of a dash, in its width."""

MIN_CUT = 0.12, 0.006
"""Least height, in heights, and area, in squares of the height, of ink that the border of the image
cuts; what it is cannot be told, unless it is a dash."""

MIN_SHARPNESS, MIN_SHADOW_WIDTH = 0.6, 1.1
"""Ink whose edges are less steep than this fraction of those of its row's digits, and that is wider
than this, in heights, is a shadow or a reflection; what is narrower may be a smudged digit."""

MIN_TUCKED_POINT = 0.25
"""Minimum probability at which the row shows a point that is above or below a part of a digit, as
beside the foot of a 7, 0–1."""

MIN_POINT_CENTRE = 0.15
"""Minimum distance of a point that the row shows from the middle of the digits, downwards, in
heights."""

MAX_DASH_COVERED = 0.15
"""At most this part of a dash is above or below a digit that took it with it."""

SLANTS = np.array([0, 0.15, 0.3, -0.15, -0.3])
"""Slants at which pieces may be above each other, pixels to the right for one upwards."""

MAX_DOT_COVERED = 0.7
"""At most this part of a colon's dot is above or below a digit, which is slanted."""

MIN_LETTER_HEIGHT = 0.4
"""Ink of at least this height before a dash may be a digit or a letter, in heights."""


def find_marks(lines: Mapping[int, TextLine], row_digits: Sequence[RowDigit]) -> list[Mark]:
    """Find the marks of an image's rows.

    Args:
        lines: the rows with an accepted digit, by their number.
        row_digits: the digits that are reported, with their rows.
    """
    return [mark for line in lines.values() for mark in _find_in(line, row_digits)]


def keep_within(marks: Iterable[Mark], height: int, width: int) -> Iterator[Mark]:
    """The marks in an image; the pixels of a strip beyond it repeat those at its border."""
    for mark in marks:
        x, y, w, h = mark.box
        if x < width and y < height and x + w > 0 and y + h > 0:
            yield replace(mark, box=clip_box(x, y, w, h, width, height))


def _find_in(line: TextLine, row_digits: Sequence[RowDigit]) -> list[Mark]:
    strip = line.strip
    own = [each for each in row_digits if each.row == strip.row]
    # Of other rows, what is certain.
    certain = [each for each in row_digits if each.row != strip.row and each.digit.accepted]
    placed = strip.place([*own, *certain])
    taken = strip.cover(placed)
    others = _find_others(line, placed, taken)
    written = _find_written(line, others)
    vertical, sides, shapes = split_lines(line, written, placed, taken)
    marks = [
        strip.to_mark("ink" if strip.is_smeared(shape) else "line", shape) for shape in vertical
    ]
    marks += [strip.to_mark("side", shape) for shape in sides]
    whole, cut = list[Shape](), list[Shape]()
    for shape in shapes:
        is_cut = not shape.is_dash and strip.is_cut(strip.to_boxes(shape)[0])
        (cut if is_cut else whole).append(shape)
    far = [
        shape for shape in others if shape.height >= MIN_LETTER_HEIGHT and not strip.is_near(shape)
    ]
    apostrophes = find_apostrophes(whole, (strip.shape_of_digit(each) for each in own))
    marks += [strip.to_mark("apostrophe", shape) for shape in apostrophes]
    whole = [shape for shape in whole if shape not in apostrophes]
    kinds = [(_doubt(line, kind, shape, far, own), shape) for kind, shape in classify(whole)]
    marks += [strip.to_mark(kind, shape) for kind, shape in kinds]
    known = [shape for _, shape in kinds]
    marks += [
        strip.to_mark(_doubt(line, "point", shape, far, own), shape)
        for shape in whole
        if shape not in known and _is_shown_as_point(line, shape)
    ]
    marks += [
        replace(strip.to_mark("ink", shape), cut=True)
        for shape in cut
        if shape.height >= MIN_CUT[0] and shape.area >= MIN_CUT[1]
    ]
    doubtful = (row_digit for row_digit in own if not row_digit.digit.accepted)
    marks += filter(None, (_sign_from_digit(strip, row_digit) for row_digit in doubtful))
    marks = _add_colons(line, marks)
    marks += find_points(line, taken, marks)
    return marks + find_pale_points(line, marks)


def _add_colons(line: TextLine, marks: Sequence[Mark]) -> list[Mark]:
    """The marks of a row, and the dots of colons in place of what they were taken for."""
    signs = [mark.box for mark in marks if mark.kind == "sign"]
    dots = [
        dot
        for dot in find_colons(line, marks)
        if not any(intersection_area(dot.box, sign) for sign in signs)
    ]

    def is_one(mark: Mark) -> bool:
        return mark.kind in ("point", "comma", "ink") and any(
            intersection_area(mark.box, dot.box) and max(mark.box[2:]) <= 2 * max(dot.box[2:])
            for dot in dots
        )

    return [mark for mark in marks if not is_one(mark)] + dots


def _find_written(line: TextLine, shapes: Sequence[Shape]) -> list[Shape]:
    """The shapes that are written; of a colon, one dot may be faint."""
    written = [shape for shape in shapes if is_written(line, shape)]
    faint = [
        shape
        for shape in shapes
        if shape not in written
        and any(shape.is_round and are_pair(shape, other) for other in written)
        and line.strip.strength(line.ink, shape) >= MIN_POINT_STRENGTH
    ]
    return written + faint


def is_written(line: TextLine, shape: Shape) -> bool:
    """Whether a shape is in its row, and as strong as ink is and no shadow, or likely a point."""
    if not (WRITING_BAND[0] <= shape.centre_y <= WRITING_BAND[1] and line.strip.is_near(shape)):
        return False
    strength = line.strip.strength(line.ink, shape)
    if strength >= MIN_STROKE_STRENGTH:
        return shape.width <= MIN_SHADOW_WIDTH or line.sharpness(shape) >= MIN_SHARPNESS
    return strength >= MIN_POINT_STRENGTH and _shows_point(line, shape)


def _doubt(
    line: TextLine, kind: MarkKind, shape: Shape, far: Sequence[Shape], own: Sequence[RowDigit]
) -> MarkKind:
    """The kind of a shape, which may not be what it looks like.

    A point may be a little high or belong to a dotted line, and a dash may be a hyphen.
    """
    if kind == "ink" and _is_shown_as_point(line, shape):
        kind = "point"
    if kind in ("point", "comma"):
        is_dotted = line.ink.lines.runs_dotted(shape.centre_x, shape.centre_y + STRIP_HALF_HEIGHT)
        return "ink" if is_dotted else kind
    return "sign" if kind == "dash" and _is_hyphen(line.strip, shape, far, own) else kind


def _is_hyphen(strip: Strip, dash: Shape, far: Sequence[Shape], own: Sequence[RowDigit]) -> bool:
    """Whether a dash is a hyphen and not a minus, because other ink is close to its left.

    Args:
        strip: of its row.
        dash: the dash.
        far: ink that is too far from the row's digits to be a mark.
        own: the digits of the row.
    """
    ends = (each.left + each.width for each in far if each.left < dash.left)
    digits = (strip.shape_of_digit(each).left for each in own if each.digit.accepted)
    starts = (left for left in digits if left > dash.left)
    before = dash.left - max(ends, default=-math.inf)
    after = min(starts, default=math.inf) - dash.left - dash.width
    return before < MIN_BEFORE_MINUS and not is_minus_by_gaps(before, after)


def _is_shown_as_point(line: TextLine, shape: Shape) -> bool:
    """Whether a dot is a point by its row, though it may be a little high for one."""
    return shape.is_round and shape.centre_y >= MIN_POINT_CENTRE and _shows_point(line, shape)


def _shows_point(line: TextLine, shape: Shape, least: float = MIN_FAINT_POINT) -> bool:
    """Whether the row shows a point where a shape is."""
    box, _ = line.strip.to_boxes(shape)
    probabilities = line.max_probabilities_near(box)
    return probabilities is not None and bool(probabilities[POINT] >= least)


def _find_others(line: TextLine, placed: Sequence[PlacedDigit], taken: U8) -> list[Shape]:
    """Ink that belongs to no digit.

    Pieces apart from all digits stay as they are. Of one that is connected with a digit, what
    is beyond the digit's strokes stays, if it is more than their edges.
    """
    strip, ink = line.strip, line.ink
    areas = ink.stats[:, cv2.CC_STAT_AREA]
    # How much of each is a digit's.
    shared = np.bincount(ink.labels[taken > 0], minlength=len(areas))
    low = _are_low(ink.stats, strip.unit)
    apart = (shared < MIN_DIGIT_SHARE * areas) | _are_marks(ink, low, strip.unit)
    for i in np.flatnonzero(low & ~apart).tolist():
        apart[i] = _shows_point(line, strip.to_shape(ink.labels, ink.stats, i), MIN_TUCKED_POINT)
    apart[_find_swallowed(line, placed)] = True
    apart[0] = False
    shapes = [strip.to_shape(ink.labels, ink.stats, i) for i in np.flatnonzero(apart).tolist()]
    rest = beyond(ink.mask, taken, strip.unit)
    least = round(MIN_DASH * strip.unit**2)
    if cv2.countNonZero(rest) >= least + sum(areas[apart]) // 2:
        rest[apart[ink.labels]] = 0
        attached = strip.split(rest, least)
        shapes += [shape for shape in attached if shape.area >= MIN_ATTACHED or shape.is_dash]
    return [shape.without_roof for shape in shapes]


def beyond(mask: U8, taken: U8, unit: float) -> U8:
    """Ink that is beyond the edges of the strokes that are taken; uint8 ``[height, width]``."""
    reach = 2 * max(1, round(STROKE_EDGE * unit)) + 1
    near = cv2.dilate(taken, np.ones((reach, reach), np.uint8))
    return np.asarray(cv2.subtract(mask, near), np.uint8)


def _are_marks(ink: Ink, low: npt.NDArray[np.bool_], unit: float) -> npt.NDArray[np.bool_]:
    """Which pieces may be marks that a digit's detection took with it.

    Points and commas are small and low, and neither above nor below any larger piece, as those of a
    digit are; the dots of a colon are one above the other, and a dash is level and in the middle.

    Args:
        ink: of the row.
        low: as `_are_low` returns them.
        unit: height of the row's digits, pixels of the strip.
    """
    x, y, w, h, area = (ink.stats / unit).T
    area = area / unit
    middle = y + h / 2 - STRIP_HALF_HEIGHT
    small = (w <= COMMA_WIDTH) & (h <= MAX_HIGH_DOT) & (area < MAX_SMALL)
    paired = low | (small & (area >= MIN_PAIR_AREA))
    small = low | (small & (middle < POINT_CENTRE) & (area >= MIN_AREA))
    flat = (w >= DASH_WIDTHS[0]) & (w <= DASH_WIDTHS[1])
    flat &= h <= np.minimum(MAX_DASH_THICKNESS, MAX_DASH_HEIGHT * w)
    flat &= np.abs(middle) <= MAX_DASH_OFFSET
    large = ~(small | flat) & (area >= MIN_ATTACHED)
    large[0] = False
    found, big = np.flatnonzero(small | flat), np.flatnonzero(large)
    ends = x + w
    common = np.minimum(ends[found, None], ends[big]) - np.maximum(x[found, None], x[big])
    covered = np.zeros(len(x))
    covered[found] = common.max(1, initial=0) / w[found]
    for piece in found[low[found] & (covered[found] > 0)].tolist():
        is_near = (x[big] - 1 < x[piece] + w[piece]) & (ends[big] + 1 > x[piece])
        covered[piece] = _least_covered(ink, piece, big[is_near])
    is_round = np.maximum(w, h) <= MAX_DOT_ASPECT * np.minimum(w, h)
    upper = np.flatnonzero(paired & is_round & (covered <= MAX_DOT_COVERED))
    lower = np.flatnonzero(paired & (is_round | low) & (covered <= MAX_DOT_COVERED))
    small &= covered <= 0
    centre = x + w / 2
    pairs = is_above(centre[upper, None] - centre[lower], middle[lower] - middle[upper, None])
    are_marks = (small & low) | (flat & (covered <= MAX_DASH_COVERED))
    are_marks[upper[pairs.any(1)]] = are_marks[lower[pairs.any(0)]] = True
    return np.asarray(are_marks)


def _are_low(stats: I32, unit: float) -> npt.NDArray[np.bool_]:
    """Which pieces are as low and small as points and commas; arguments as for `_are_marks`."""
    _, y, w, h, area = (stats / unit).T
    area = area / unit
    small = (w <= COMMA_WIDTH) & (h <= COMMA_HEIGHTS[1]) & (area >= MIN_AREA) & (area < MAX_SMALL)
    return np.asarray(small & (y + h / 2 - STRIP_HALF_HEIGHT >= POINT_CENTRE))


def _find_swallowed(line: TextLine, placed: Sequence[PlacedDigit]) -> list[int]:
    """Strokes that a digit's detection took with it: as high as the digit, and beside it."""
    strip, ink = line.strip, line.ink
    left, _, width, height, _ = ink.stats.T
    tall = np.flatnonzero(height >= MIN_MERGED_STROKE * strip.unit)
    tall = tall[tall > 0]
    main, beside, reach = set[int](), set[int](), MAX_OUTSIDE * strip.unit
    middles = left[tall] + width[tall] / 2
    for each in placed:
        if each.row_digit.row != strip.row or not each.row_digit.digit.accepted:
            continue
        start, end = each.left, each.left + each.ink.shape[1]
        near = tall[(middles >= start - reach) & (middles <= end + reach)]
        if not len(near):
            continue
        labels, own = each.cut(ink.labels)
        taken = np.bincount(labels[own > MIN_STROKE_LEVEL], minlength=len(ink.stats))
        own_piece = near[taken[near].argmax()]
        main.add(int(own_piece))
        others = near[near != own_piece].tolist()
        beside.update(n for n in others if _least_covered(ink, n, [own_piece]) < MAX_OVERLAP)
    return sorted(beside - main)


def _least_covered(ink: Ink, piece: int, others: Sequence[int] | npt.NDArray[np.intp]) -> float:
    """The share of a piece's width that is above or below another one, where that is least.

    Slanted strokes that are beside each other are above each other in level writing: all are
    compared as they are, and upright by each of `SLANTS`.

    Args:
        ink: of the row.
        piece: its label.
        others: those of the others.
    """

    def find_span(label: int) -> F64:
        x, y, w, h, _ = ink.stats[label].tolist()
        rows, columns = np.nonzero(ink.labels[y : y + h, x : x + w] == label)
        places = x + columns + SLANTS[:, None] * (y + rows)
        return np.array([places.min(1), places.max(1) + 1])

    left, right = find_span(piece)
    covered = np.zeros_like(left)
    for start, end in map(find_span, others):
        covered = np.maximum(covered, np.minimum(right, end) - np.maximum(left, start))
    return float((covered / (right - left)).min())


def _sign_from_digit(strip: Strip, row_digit: RowDigit) -> Mark | None:
    """The mark that a digit in doubt is; None if its shape is not one of a sign."""
    shape = strip.shape_of_digit(row_digit)
    (kind, _), *_ = classify([shape]) or [("ink", shape)]
    if kind == "ink":
        return None
    return Mark(kind, row_digit.digit.box, strip.row, row_digit.digit.level_box)
