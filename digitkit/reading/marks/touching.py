"""Points, commas and colons that touch a digit, which took their ink with it, or that are pale.

Their pixels alone do not tell them from a part of the digit, or from paper. So they are looked for
only where the line reader sees them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from digitkit.arrays import U8
from digitkit.images.cv import cv2
from digitkit.images.masks import connected_components, find_runs
from digitkit.reading.networks.line_reader import POINT, SIGN
from digitkit.reading.results import Mark, MarkKind
from digitkit.reading.rows.lines import MAX_MATCH_DISTANCE, TextLine
from digitkit.reading.rows.shapes import (
    COMMA_WIDTH,
    MIN_COMMA_DEPTH,
    MIN_COMMA_EXCESS,
    Shape,
    are_pair,
)
from digitkit.reading.rows.strip_ink import MIN_STROKE_STRENGTH

MIN_POINT = 0.5
"""Minimum probability at which the row shows a point where low ink touches a digit, 0–1."""

MIN_FAINT_COLON, MIN_MAYBE_COLON, MIN_COLON = 0.1, 0.5, 0.8
"""Minimum probabilities at which the row shows a sign or a point at two dots, 0–1: that they may be
a colon where the row shows none clearly, that they may be one elsewhere, and that they are one."""

MIN_FAINT_POINT = 0.9
"""Minimum probability at which the row shows a point that is pale, or a little high, 0–1."""

MIN_POINT_STRENGTH, MIN_COLON_STRENGTH = 0.3, 0.2
"""Minimum strength of a point, and of the dots of a colon, that the row shows, as a fraction of
that of the digits' strokes."""

MIN_POINT_OR_COLON = 0.05
"""Minimum probability of a sign at which two dots that are rather a point may be a colon, 0–1."""

MAX_UPPER = 0.15
"""Maximum distance of the upper dot of a colon below the middle of the digits, in heights."""

MAX_COLON_OFFSET = 0.1
"""Maximum distance of a colon from where the row shows a sign, in heights."""

MIN_POINT_TOP, MIN_POINT_WIDTH = 0.2, 0.06
"""A point that touches a digit is all this far below the middle of the digits, and at least so
wide, in heights."""


def find_points(line: TextLine, taken: U8, marks: Sequence[Mark]) -> list[Mark]:
    """The points and commas that touch the foot of a digit.

    Args:
        line: the row.
        taken: the strokes of digits, uint8 ``[height, width]``, 0 or 1.
        marks: what is known already in it.
    """
    strip, mask = line.strip, line.ink.mask
    peaks = _find_unknown(line, MIN_POINT, marks)
    if not peaks:
        return []
    touching = np.unique(line.ink.labels[taken > 0])
    top = _top_of_points(line)
    is_low = np.asarray(mask[top:].any(0) & ~mask[:top].any(0))
    found = []
    for start, end in find_runs(is_low).tolist():
        is_narrow = MIN_POINT_WIDTH <= (end - start) / strip.unit <= COMMA_WIDTH
        if not (is_narrow and any(start <= x <= end for x in peaks)):
            continue
        _, y, _, height = cv2.boundingRect(mask[top:, start:end])
        place = slice(top + y, top + y + height), slice(start, end)
        shape = strip.shape_of(mask[place], start, top + y)
        touches = np.isin(line.ink.labels[place][shape.ink > 0], touching).any()
        if touches and strip.strength(line.ink, shape) >= MIN_STROKE_STRENGTH:
            # It may lean as a part of the digit's foot is in it, too.
            found.append(strip.to_mark(_point_or_comma(shape), shape))
    return found


def find_pale_points(line: TextLine, marks: Sequence[Mark]) -> list[Mark]:
    """The points that are too pale or too small for the mask of the row's ink.

    Args:
        line: the row.
        marks: those of the row that were found before.
    """
    strip, top = line.strip, _top_of_points(line)
    found = []
    for x in _find_unknown(line, MIN_FAINT_POINT, marks):
        near = np.abs(np.arange(strip.shape[1]) - x) <= MAX_COLON_OFFSET * strip.unit
        low = np.where(near, line.ink.strength[top:], 0)
        strongest = int(low.max(initial=0))
        if strongest < MIN_POINT_STRENGTH * 255:
            continue
        row, column = divmod(int(low.argmax()), strip.shape[1])
        mask = np.asarray(line.ink.strength > strongest / 2, np.uint8)
        shape = _piece_at(line, mask, column, top + row)
        is_point = shape.is_round and shape.centre_y >= MIN_POINT_TOP
        pairs = (_find_dots(line, mask, column + aside) for aside in _asides(line))
        if is_point and not any(dots and _are_separate(line, mask, dots) for dots in pairs):
            found.append(strip.to_mark(_point_or_comma(shape), shape))
    return found


def _piece_at(line: TextLine, mask: U8, x: int, y: int) -> Shape:
    """The connected piece of a mask at a pixel of the strip, up to `COMMA_WIDTH` to either side."""
    reach = round(COMMA_WIDTH * line.strip.unit)
    left = max(0, x - reach)
    labels, stats = connected_components(mask[:, left : x + reach + 1])
    shape = line.strip.to_shape(labels, stats, int(labels[y, x - left]))
    return replace(shape, left=shape.left + left / line.strip.unit)


def _find_unknown(line: TextLine, least: float, marks: Sequence[Mark]) -> list[float]:
    """The x coordinates in the strip of points of at least this probability without a mark near."""
    strip = line.strip
    known = [strip.x_of(mark.box) for mark in marks if mark.kind not in ("line", "side")]
    return [
        peak.x
        for peak in line.find_points(least)
        if all(abs(x - peak.x) > MAX_MATCH_DISTANCE * strip.unit for x in known)
    ]


def _top_of_points(line: TextLine) -> int:
    """The y coordinate in the strip that the ink of a point does not extend above."""
    strip = line.strip
    return round((MIN_POINT_TOP - strip.top / strip.digit_height) * strip.unit)


def _point_or_comma(shape: Shape) -> MarkKind:
    """A comma is longer than wide, or extends below the line."""
    is_long = shape.height > shape.width + MIN_COMMA_EXCESS
    return "comma" if is_long or shape.top + shape.height > MIN_COMMA_DEPTH else "point"


def find_colons(line: TextLine, marks: Sequence[Mark] = ()) -> list[Mark]:
    """The dots of colons as signs, whether they touch digits or not; as ink if they may be others.

    Where the row shows a sign, a column has two dots and nothing else. Pale dots only count where
    the sign is clear.

    Args:
        line: the row.
        marks: those of the row that were found before; pale dots are not searched for at a dash.
    """
    strip, found = line.strip, list[Mark]()
    dashes = [strip.x_of(mark.box) for mark in marks if mark.kind == "dash"]
    peaks = line.find_signs(MIN_MAYBE_COLON)
    clear = np.array([peak.x for peak in peaks])
    peaks += [
        peak
        for peak in line.find_signs(MIN_FAINT_COLON)
        if np.abs(clear - peak.x).min(initial=np.inf) > MAX_MATCH_DISTANCE * strip.unit
    ]
    for peak in peaks:
        sign, point = peak.probabilities[[SIGN, POINT]].tolist()
        is_sign, is_clear = sign > point, sign + point >= MIN_COLON
        # Beside a point, the stroke of a digit may look like the upper dot.
        asides = _asides(line) if is_sign else [0] if sign >= MIN_POINT_OR_COLON else []
        columns = [round(peak.x) + aside for aside in asides]
        dots = _find_dots_at(line, line.ink.mask, columns)
        is_dash = any(abs(x - peak.x) <= MAX_MATCH_DISTANCE * strip.unit for x in dashes)
        if columns and is_clear and not (dots or is_dash):
            dots = _find_dots_at(line, _pale_ink(line), columns)
        is_colon = is_clear and (is_sign or (dots and _are_separate(line, _pale_ink(line), dots)))
        found += [strip.to_mark("sign" if is_colon else "ink", dot) for dot in dots]
    return found


def _find_dots_at(line: TextLine, mask: U8, columns: Sequence[int]) -> tuple[Shape, ...]:
    """The two dots of a colon at the first of some x coordinates that has them."""
    return next(filter(None, (_find_dots(line, mask, x) for x in columns)), ())


def _asides(line: TextLine) -> list[int]:
    """The horizontal offsets at which a dot is searched for, nearest first, pixels of the strip."""
    reach = max(1, round(MAX_COLON_OFFSET * line.strip.unit))
    return sorted(range(-reach, reach + 1), key=abs)


def _pale_ink(line: TextLine) -> U8:
    """A mask of a row's ink with a lower threshold: pale dots, and the soft edges of strokes."""
    return np.asarray(line.ink.strength >= MIN_COLON_STRENGTH * 255, np.uint8)


def _find_dots(line: TextLine, mask: U8, x: int) -> tuple[Shape, ...]:
    """The two dots of a colon at an x coordinate of the strip; nothing if other ink is there.

    Args:
        line: the row.
        mask: its ink, 0 or 1, uint8 ``[height, width]``.
        x: the coordinate.
    """
    runs = find_runs(np.asarray(mask[:, max(0, x - 1) : max(0, x + 2)].any(1))).tolist()
    if len(runs) != 2:
        return ()
    upper, lower = (_cut_dot(line, mask, x, start, end) for start, end in runs)
    is_colon = upper.centre_y <= MAX_UPPER and are_pair(upper, lower)
    return (upper, lower) if is_colon else ()


def _are_separate(line: TextLine, mask: U8, dots: Sequence[Shape]) -> bool:
    """Whether each dot is a connected piece of its own in a mask, not a part of a stroke."""
    places = [line.strip.place_of(dot) for dot in dots]
    return all(
        _piece_at(line, mask, x + dot.ink.shape[1] // 2, y + dot.ink.shape[0] // 2).is_round
        for dot, (x, y) in zip(dots, places, strict=True)
    )


def _cut_dot(line: TextLine, mask: U8, x: int, start: int, end: int) -> Shape:
    """What may be a dot at an x coordinate, between two rows of the strip, and as wide as high."""
    left = max(0, x - (end - start) // 2)
    ink = mask[start:end, left : left + end - start]
    return line.strip.shape_of(np.ascontiguousarray(ink), left, start)
