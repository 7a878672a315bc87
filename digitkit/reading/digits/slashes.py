"""Slashes and ticks that were read as 1s: they lean more than the other 1s of the page, or lean
and are higher than the digits beside them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from digitkit.arrays import U8
from digitkit.reading.detection.detections import INK_LEVEL
from digitkit.reading.digits.plausibility import gaps_beside
from digitkit.reading.digits.words import doubt_digits
from digitkit.reading.networks.line_reader import SIGN
from digitkit.reading.results import Digit, group_by_row
from digitkit.reading.rows.layout import RowDigit
from digitkit.reading.rows.lines import TextLine

MIN_SLASH_LEAN, MIN_LEAN_DIFFERENCE = 15.0, 8.0
"""Minimum lean of a slash to the right, and minimum difference between it and the `LEAN_QUANTILE`
quantile of the leans of the other 1s of the page; both in degrees."""

LEAN_QUANTILE = 0.98
"""The quantile of the leans of the other 1s that a slash is compared with, 0–1."""

MAX_LEAN = 60.0
"""Maximum lean of a single stroke, degrees. A detection that leans more contains a dash as well."""

MIN_OTHERS = 2
"""Minimum number of other 1s, which are neither between digits nor alone in their row. With fewer,
no leans are compared."""

MIN_FAINT_SIGN = 0.1
"""Minimum probability of a sign in the row at a slash, 0–1."""

MAX_SLASH_GAP = 0.6
"""Maximum gap between a slash and the digit on each side, in heights of the slash."""

MIN_REACHING_LEAN, MIN_REACH, MIN_REACHING_SIGN = 10.0, 0.08, 0.03
"""A slash need not lean more than the 1s of the page if another row clearly shows signs or points.
Then: minimum lean to the right, degrees; minimum length by which it extends beyond both digits
beside it, above and below together, in their height; minimum probability of a sign in the row
there, 0–1."""

MIN_TICK_LEAN, MIN_TICK_LEAN_DIFFERENCE, MIN_TICK_GAP = 35.0, 15.0, 1.0
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
        if max(left, right) <= MAX_SLASH_GAP:
            slashes.add(digit)
        elif min(left, right) >= MIN_TICK_GAP:
            ticks.add(digit)
    with_signs = {row for row, line in lines.items() if line.signs}
    doubtful = {
        digit
        for digit in slashes
        if leans[digit] >= MIN_REACHING_LEAN
        and _reaches_beyond(digit, rows[digit.row])
        and with_signs - {digit.row}
        and _sign_probability(digit, lines) >= MIN_REACHING_SIGN
    }
    others = [lean for digit, lean in leans.items() if digit not in slashes | ticks]
    if len(others) >= MIN_OTHERS:
        usual, most = (float(each) for each in np.quantile(others, [0.5, LEAN_QUANTILE]))
        doubtful |= {
            digit
            for digit in slashes
            if leans[digit] >= max(MIN_SLASH_LEAN, MIN_LEAN_DIFFERENCE + most)
            and _sign_probability(digit, lines) >= MIN_FAINT_SIGN
        }
        least = max(MIN_TICK_LEAN, MIN_TICK_LEAN_DIFFERENCE + usual)
        doubtful |= {digit for digit in ticks if leans[digit] >= least}
    return doubt_digits(digits, doubtful)


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


def _reaches_beyond(digit: Digit, row: Sequence[Digit]) -> bool:
    """Whether a digit extends beyond those beside it, above and below together; see `MIN_REACH`."""
    x, y, _, height = digit.row_box
    left = max((d.row_box for d in row if d.row_box[0] < x), key=lambda box: box[0])
    right = min((d.row_box for d in row if d.row_box[0] > x), key=lambda box: box[0])
    above = min(left[1], right[1]) - y
    below = y + height - max(left[1] + left[3], right[1] + right[3])
    return above + below >= MIN_REACH * (left[3] + right[3]) / 2


def _sign_probability(digit: Digit, lines: Mapping[int, TextLine]) -> float:
    """The probability of a sign where a digit is, by its row, 0–1."""
    line = lines.get(digit.row)
    shown = line.max_probabilities_near(digit.box) if line else None
    return 0.0 if shown is None else float(shown[SIGN])
