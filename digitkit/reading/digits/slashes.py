"""Slashes and ticks that were read as 1s: they lean more than the other 1s of the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from digitkit.arrays import U8
from digitkit.reading.detection.detections import INK_LEVEL
from digitkit.reading.digits.plausibility import DOUBT, gaps_beside
from digitkit.reading.digits.words import lower_confidence
from digitkit.reading.networks.line_reader import SIGN
from digitkit.reading.results import Digit, group_by_row
from digitkit.reading.rows.layout import RowDigit
from digitkit.reading.rows.lines import TextLine

LEANS, LEANS_MORE = 15.0, 8.0
"""Minimum lean of a slash to the right, and minimum difference between it and the `MOST` quantile
of the leans of the other 1s of the page; both in degrees."""

MOST = 0.98
"""The quantile of the leans of the other 1s that a slash is compared with, 0–1."""

MAX_LEAN = 60.0
"""Maximum lean of a single stroke, degrees. A detection that leans more contains a dash as well."""

MIN_OTHERS = 2
"""Minimum number of other 1s, which are neither between digits nor alone in their row. With fewer,
nothing is doubted."""

FAINT_SIGN = 0.1
"""Minimum probability of a sign in the row at a slash, 0–1."""

NEAR = 0.6
"""Maximum gap between a slash and the digit on each side, in heights of the slash."""

TICK_LEANS, TICK_LEANS_MORE, TICK_GAP = 35.0, 15.0, 1.0
"""Minimum lean of a tick, and minimum difference between it and the median lean of the other 1s, in
degrees; minimum gap between a tick and the nearest digits, in heights of the tick."""


def doubt_slashes(
    digits: Sequence[Digit], row_digits: Sequence[RowDigit], lines: Mapping[int, TextLine]
) -> tuple[Digit, ...]:
    """The digits, where a 1 that may be a slash between two numbers, or a tick, is not accepted.

    Args:
        digits: of an image.
        row_digits: the same, before marks decided about them.
        lines: the rows, by their numbers.
    """
    rows = group_by_row(digit for digit in digits if digit.accepted)
    leans = dict[Digit, float]()
    slashes, ticks = set[Digit](), set[Digit]()
    for digit, row_digit in zip(digits, row_digits, strict=True):
        if not digit.accepted or digit.digit != 1:
            continue
        lean = measure_lean(row_digit.detection.ink)
        if lean > MAX_LEAN:
            continue
        leans[digit] = lean
        left, right = gaps_beside(digit, rows[digit.row])
        if max(left, right) <= NEAR:
            slashes.add(digit)
        elif min(left, right) >= TICK_GAP:
            ticks.add(digit)
    candidates = slashes | ticks
    others = [lean for digit, lean in leans.items() if digit not in candidates]
    if len(others) < MIN_OTHERS:
        return tuple(digits)
    usual, most = (float(each) for each in np.quantile(others, [0.5, MOST]))
    doubtful = {
        digit
        for digit in slashes
        if leans[digit] >= max(LEANS, LEANS_MORE + most)
        and _maybe_sign(digit, lines.get(digit.row))
    }
    least = max(TICK_LEANS, TICK_LEANS_MORE + usual)
    doubtful |= {digit for digit in ticks if leans[digit] >= least}
    return tuple(lower_confidence(d, DOUBT, math.inf) if d in doubtful else d for d in digits)


def measure_lean(ink: U8) -> float:
    """The angle of the longest axis of ink to the vertical, degrees, positive to the right.

    Args:
        ink: bright on dark, uint8 ``[h, w]``.
    """
    rows, columns = np.nonzero(ink > INK_LEVEL)
    if len(rows) < 2:
        return 0.0
    _, axes = np.linalg.eigh(np.cov(rows, columns, bias=True))
    down, right = axes[:, 1]
    return math.degrees(math.atan2(-right * math.copysign(1.0, down), abs(down)))


def _maybe_sign(digit: Digit, line: TextLine | None) -> bool:
    """Whether the row shows a sign where a digit is."""
    shown = line.max_probabilities_near(digit.box) if line else None
    return shown is not None and bool(shown[SIGN] >= FAINT_SIGN)
