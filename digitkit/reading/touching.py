"""Points, commas and colons that touch a digit, which took their ink with it.

Their pixels alone do not tell them from a part of the digit. So they are looked for only where the
line reader sees them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from digitkit.arrays import U8
from digitkit.images.cv import cv2
from digitkit.images.masks import find_runs
from digitkit.reading.line_reader import POINT, SIGN
from digitkit.reading.lines import SAME, Line
from digitkit.reading.results import Mark, MarkKind
from digitkit.reading.shapes import BELOW_LINE, COMMA_WIDTH, LONGER, Shape, are_pair
from digitkit.reading.strip_ink import FAINT

MIN_POINT = 0.5
"""Minimum probability at which the row shows a point where low ink touches a digit, 0–1."""

FAINT_COLON, MAYBE_COLON, MIN_COLON = 0.1, 0.5, 0.8
"""Minimum probabilities at which the row shows a sign or a point at two dots, 0–1: that they may be
a colon where the row shows none clearly, that they may be one elsewhere, and that they are one."""

POINT_OR_COLON = 0.05
"""Minimum probability of a sign at which two dots that are rather a point may be a colon, 0–1."""

MAX_UPPER = 0.15
"""Maximum distance of the upper dot of a colon below the middle of the digits, in heights."""

ASIDE = 0.1
"""Maximum distance of a colon from where the row shows a sign, in heights."""

MIN_POINT_TOP, MIN_POINT_WIDTH = 0.2, 0.06
"""A point that touches a digit is all this far below the middle of the digits, and at least so
wide, in heights."""


def find_points(line: Line, taken: U8, marks: Sequence[Mark]) -> list[Mark]:
    """The points and commas that touch the foot of a digit.

    Args:
        line: the row.
        taken: the strokes of digits, uint8 ``[height, width]``, 0 or 1.
        marks: what is known already in it.
    """
    strip, mask = line.strip, line.ink.mask
    known = [strip.x_of(mark.box) for mark in marks if mark.kind not in ("line", "side")]
    peaks = [
        peak.x
        for peak in line.find_points(MIN_POINT)
        if all(abs(x - peak.x) > SAME * strip.unit for x in known)
    ]
    if not peaks:
        return []
    touching = np.unique(line.ink.labels[taken > 0])
    top = round((MIN_POINT_TOP - strip.top / strip.digit_height) * strip.unit)
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
        if touches and strip.strength(line.ink, shape) >= FAINT:
            # It may lean as a part of the digit's foot is in it, too.
            is_long = shape.height > shape.width + LONGER
            hangs = is_long or shape.top + shape.height > BELOW_LINE
            found.append(strip.to_mark("comma" if hangs else "point", shape))
    return found


def find_colons(line: Line) -> list[Mark]:
    """The dots of colons as signs, whether they touch digits or not; as ink if they may be others.

    Where the row shows a sign, a column has two dots and nothing else.
    """
    found = list[Mark]()
    reach = max(1, round(ASIDE * line.strip.unit))
    nearest = sorted(range(-reach, reach + 1), key=abs)
    peaks = line.find_signs(MAYBE_COLON)
    clear = np.array([peak.x for peak in peaks])
    peaks += [
        peak
        for peak in line.find_signs(FAINT_COLON)
        if np.abs(clear - peak.x).min(initial=np.inf) > SAME * line.strip.unit
    ]
    for peak in peaks:
        sign, point = peak.probabilities[[SIGN, POINT]].tolist()
        is_sign = sign > point
        # Beside a point, the stroke of a digit may look like the upper dot.
        asides = nearest if is_sign else [0] if sign >= POINT_OR_COLON else []
        dots = next(filter(None, (_find_dots(line, round(peak.x) + x) for x in asides)), ())
        kind: MarkKind = "sign" if is_sign and sign + point >= MIN_COLON else "ink"
        found += [line.strip.to_mark(kind, dot) for dot in dots]
    return found


def _find_dots(line: Line, x: int) -> tuple[Shape, ...]:
    """The two dots of a colon at an x coordinate of the strip; nothing if other ink is there."""
    runs = find_runs(np.asarray(line.ink.mask[:, max(0, x - 1) : max(0, x + 2)].any(1))).tolist()
    if len(runs) != 2:
        return ()
    upper, lower = (_cut_dot(line, x, start, end) for start, end in runs)
    is_colon = upper.centre_y <= MAX_UPPER and are_pair(upper, lower)
    return (upper, lower) if is_colon else ()


def _cut_dot(line: Line, x: int, start: int, end: int) -> Shape:
    """What may be a dot at an x coordinate, between two rows of the strip, and as wide as high."""
    left = max(0, x - (end - start) // 2)
    ink = line.ink.mask[start:end, left : left + end - start]
    return line.strip.shape_of(np.ascontiguousarray(ink), left, start)
