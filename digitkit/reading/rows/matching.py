"""What the line reader sees in a row, and which of the digits that were detected it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from digitkit.reading.rows.layout import RowDigit
from digitkit.reading.rows.lines import MAX_MATCH_DISTANCE, Peak, TextLine
from digitkit.reading.rows.strips import WRITING_BAND, Strip

MAX_PART_DISTANCE = 0.4
"""A digit nearer than this to the middle of one that is alike, in heights, is a part of it; 1s may
be so near."""


class RowMatch(NamedTuple):
    """The digits of a row, and what the line reader sees in it.

    Attributes:
        row_digits: the digits of the row.
        peaks: where the line reader sees a digit, without the digits of other rows.
        matches: the digit at each peak; None where there is none.
        apart: for each peak, whether it has no digit and is not part of a wide digit.
    """

    row_digits: list[RowDigit]
    peaks: list[Peak]
    matches: list[RowDigit | None]
    apart: list[bool]


def match_row(line: TextLine, row_digits: Sequence[RowDigit]) -> RowMatch:
    """Match the digits of a row with the peaks of the line reader.

    Args:
        line: the row.
        row_digits: all digits of the image.
    """
    strip = line.strip
    own = [row_digit for row_digit in row_digits if row_digit.row == strip.row]
    peaks = own_peaks(strip, line.peaks, row_digits)
    matches = _match_peaks(strip, own, peaks)
    apart = [
        row_digit is None and not _is_part(strip, peak, own)
        for peak, row_digit in zip(peaks, matches, strict=True)
    ]
    return RowMatch(own, peaks, matches, apart)


def own_peaks(strip: Strip, peaks: Sequence[Peak], row_digits: Sequence[RowDigit]) -> list[Peak]:
    """The peaks without those of accepted digits of other rows.

    Args:
        strip: the row's.
        peaks: what was seen in it.
        row_digits: all digits of the image.
    """
    others = [each.digit for each in row_digits if each.row != strip.row and each.digit.accepted]
    if not others:
        return list(peaks)
    places = strip.locate([digit.box for digit in others])
    level = (places[:, 1] >= WRITING_BAND[0]) & (places[:, 1] <= WRITING_BAND[1])
    middles = places[level, 0]
    return [
        peak
        for peak in peaks
        if np.abs(middles - peak.x).min(initial=np.inf) > MAX_MATCH_DISTANCE * strip.unit
    ]


def _match_peaks(
    strip: Strip, row_digits: Sequence[RowDigit], peaks: Sequence[Peak]
) -> list[RowDigit | None]:
    """The digit at each peak, None without one.

    Accepted ones come before others, those that the row shows as the same digit before others, and
    near ones before others.
    """
    matches: list[RowDigit | None] = [None] * len(peaks)
    if not row_digits:
        return matches
    middles = strip.locate([row_digit.digit.box for row_digit in row_digits])[:, 0].tolist()
    pairs = sorted(
        (not row_digit.digit.accepted, row_digit.digit.digit != peak.digit, away, i, k)
        for k, (row_digit, middle) in enumerate(zip(row_digits, middles, strict=True))
        for i, peak in enumerate(peaks)
        if (away := abs(peak.x - middle)) <= MAX_MATCH_DISTANCE * strip.unit
    )
    used = set[int]()
    for *_, i, k in pairs:
        if matches[i] is None and k not in used:
            matches[i] = row_digits[k]
            used.add(k)
    return matches


def _is_part(strip: Strip, peak: Peak, row_digits: Sequence[RowDigit]) -> bool:
    """Whether what the line reader sees is a part of a wide digit, of which it sees two."""
    return any(
        row_digit.digit.digit == peak.digit != 1
        and abs(strip.x_of(row_digit.digit.box) - peak.x) < MAX_PART_DISTANCE * strip.unit
        for row_digit in row_digits
    )
