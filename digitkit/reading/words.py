"""Words: letters that look like digits are none where they stand among letters that do not.

The detector sees of a name in capitals only what looks like digits, as the G and the O. What else
stands closely beside them tells.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from digitkit.arrays import Box
from digitkit.reading.parts import measure_height
from digitkit.reading.results import Digit, Mark

GAP, MIN_LETTERS, LETTERS_PER_DIGIT = 0.3, 1.3, 0.7
"""Ink at most the first apart, in heights, is a word if as many letters as the second are in it,
and as the third for each digit. Two letters beside what may be a digit make a word; one may be a
unit."""

TALL, SLIM, WIDE = 0.45, 0.3, 0.8
"""A letter that counts is at least as high as the first and as wide as the second, which the sides
of a box are not, and seldom wider than the third, in heights."""

UNIT = 1.5
"""Behind two or more digits there may be a unit: so many letters count as one."""


def doubt_words(
    digits: Sequence[Digit], marks: Sequence[Mark], min_confidence: float
) -> tuple[Digit, ...]:
    """The digits; accepted ones in words with the confidence that they are digits all the same.

    Args:
        digits: of an image.
        marks: in their rows.
        min_confidence: threshold for a digit to be accepted, 0–1.
    """
    factors = dict[int, float]()
    for row in sorted({digit.row for digit in digits if digit.accepted}):
        own = [digit for digit in digits if digit.row == row]
        inks = [mark.row_box for mark in marks if mark.row == row and mark.kind == "ink"]
        for known, letters in _count_letters(own, inks):
            if letters >= max(MIN_LETTERS, LETTERS_PER_DIGIT * len(known)):
                factor = len(known) / (len(known) + letters)
                factors |= dict.fromkeys(map(id, known), factor)
    return tuple(
        _lower(digit, factors[id(digit)], min_confidence) if id(digit) in factors else digit
        for digit in digits
    )


class _Part(NamedTuple):
    """An accepted digit, or as much of a letter as other ink is."""

    box: Box
    digit: Digit | None
    letters: float


def _count_letters(
    digits: Sequence[Digit], inks: Sequence[Box]
) -> Iterator[tuple[list[Digit], float]]:
    """The accepted digits of each group of ink, and how many letters stand among them."""
    height = measure_height(digits)
    parts = [
        _Part(each.row_box, each, 0.0)
        if each.accepted
        else _Part(each.row_box, None, 1 - each.confidence)
        for each in digits
    ]
    parts += [
        _Part(box, None, float(max(1, int(box[2] / (WIDE * height)))))
        for box in inks
        if box[3] >= TALL * height and box[2] >= SLIM * height
    ]
    for group in _group(sorted(parts, key=lambda part: part.box[0]), GAP * height):
        known = [part.digit for part in group if part.digit]
        letters = sum(part.letters for part in group)
        behind = itertools.dropwhile(lambda part: part.digit is not None, group)
        if len(known) >= 2 and not any(part.digit for part in behind):
            letters /= UNIT
        if known:
            yield known, letters


def _group(parts: Sequence[_Part], gap: float) -> Iterator[list[_Part]]:
    """Parts that are at most so far apart, in pixels."""
    group, right = list[_Part](), -math.inf
    for part in parts:
        x, _, width, _ = part.box
        if group and x - right > gap:
            yield group
            group = []
        group.append(part)
        right = max(right, x + width)
    if group:
        yield group


def _lower(digit: Digit, factor: float, min_confidence: float) -> Digit:
    """A digit whose confidence is lower by a factor."""
    confidence = digit.confidence * factor
    return replace(
        digit,
        confidence=confidence,
        is_digit=digit.is_digit * factor,
        accepted=digit.accepted and confidence >= min_confidence,
    )
