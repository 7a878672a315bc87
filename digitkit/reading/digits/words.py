"""Words: whether what looks like digits are some, or letters, discs and parts of drawings.

The O of a name is a 0 by itself. A person decides by what is written around it, and by whether
there are other numbers at all. So does this: a logistic regression on both, fitted on synthetic
pages by ``benchmarks/word_weights.py``, gives the probability that the digits of a word, which is
ink that stands closely together, are digits.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from digitkit.arrays import F64, Box
from digitkit.reading.detection.context import predict_logistic
from digitkit.reading.numbers.parts import measure_height
from digitkit.reading.results import Digit, Mark

WORD_WEIGHTS = (-2.25, -0.68, 0.30, 3.51, -0.93, -0.97, 1.15, -0.41, 1.33)
"""Of a constant and the features of `Word`: whether its digits are some."""

MIN_LIKELY, MIN_LIKELY_AMONG_FEW, MAX_FEW = 0.4, 0.5, 3
"""With less than the first probability the digits of a word are doubted. Less than a half, as there
are fewer words among the numbers that users read than among those that the weights are fitted on;
but with less than the second on a page with so few digits, which is rather one of words."""

DOUBT_FACTOR = 0.4
"""Factor of the confidence of digits that are rather none, but may be some."""

MAX_LETTER_GAP = 0.3
"""Ink at most so far apart is a word, in heights."""

MIN_LETTER_HEIGHT = 0.45
"""Least height of a letter, in heights of the digits."""

MIN_LETTER_WIDTH = 0.3
"""Minimum width of a letter, in heights of the digits; the sides of a box are narrower."""

MAX_LETTER_WIDTH = 0.8
"""Width that most letters do not exceed, in heights of the digits; wider ink is several letters."""

_MIN_DIGIT, _MIN_DOUBT = 0.02, 1e-4
"""Probabilities are not taken for less."""


@dataclass(frozen=True, eq=False)
class Word:
    """The accepted digits of a word.

    Attributes:
        places: of the digits, among all of the image.
        features: float64 ``[8]``, as `WORD_WEIGHTS` weigh them: the logarithm of one more than the
            letters in its row, a digit in doubt counted as what is missing from its confidence; the
            logarithm of how many digits are accepted on the page; that of the mean probability by
            which the grey classifier sees digits in the row, 0 where it was not asked; whether at
            least one letter is in the word; the fraction of its digits that are zeros; whether it
            has only one; the mean logarithm of the probability that they are none; and the
            logarithm of how many digits it has.
    """

    places: list[int]
    features: F64


def rescore_words(
    digits: Sequence[Digit],
    marks: Sequence[Mark],
    digit_probabilities: Mapping[int, float],
    min_confidence: float,
) -> tuple[Digit, ...]:
    """The digits; the confidence of those in words that likely have none is lower in proportion.

    Args:
        digits: of a page.
        marks: in their rows.
        digit_probabilities: the grey classifier's probability of any digit, 0–1, by the index of
            the digit; only of those that it was asked about.
        min_confidence: threshold for a digit to be accepted, 0–1.
    """
    settled = list(digits)
    is_few = sum(digit.accepted for digit in digits) <= MAX_FEW
    least = MIN_LIKELY_AMONG_FEW if is_few else MIN_LIKELY
    for word in find_words(digits, marks, digit_probabilities):
        probability = float(predict_logistic(word.features[None, :], WORD_WEIGHTS)[0])
        if probability < least:
            for i in word.places:
                settled[i] = lower_confidence(digits[i], probability, min_confidence)
    return tuple(settled)


def find_words(
    digits: Sequence[Digit], marks: Sequence[Mark], digit_probabilities: Mapping[int, float]
) -> list[Word]:
    """The words with accepted digits; arguments as for `rescore_words`."""
    count = sum(digit.accepted for digit in digits)
    if not count:
        return []
    rows = _find_rows(digits, marks)
    asked = {row: list[float]() for row in rows}
    for i, probability in digit_probabilities.items():
        asked[digits[i].row].append(probability)
    words = []
    for number, row in rows.items():
        own = asked[number]
        around = _Around(
            in_row=math.log1p(row.letters),
            accepted=math.log(count),
            log_digit=math.log(max(float(np.mean(own)), _MIN_DIGIT)) if own else 0.0,
        )
        for group in _group(row):
            places = [part.place for part in group if part.place is not None]
            if places:
                known = [digits[i] for i in places]
                words.append(Word(places, _describe(known, group, around)))
    return words


class _Part(NamedTuple):
    """A part of a row: an accepted digit; as much of a letter as other ink is; or a sign."""

    box: Box
    place: int | None
    letters: float


class _Around(NamedTuple):
    """The features of a word that are those of its row and page; see `Word`."""

    in_row: float
    accepted: float
    log_digit: float


class _Row(NamedTuple):
    """A row: the height of its digits, pixels, and its parts from the left."""

    height: float
    parts: list[_Part]

    @property
    def letters(self) -> float:
        """How many letters are in it."""
        return sum(part.letters for part in self.parts)


def _find_rows(digits: Sequence[Digit], marks: Sequence[Mark]) -> dict[int, _Row]:
    """The rows with digits, by their numbers."""
    in_rows = dict[int, list[tuple[int, Digit]]]()
    for i, digit in enumerate(digits):
        in_rows.setdefault(digit.row, []).append((i, digit))
    others = {number: list[Mark]() for number in in_rows}
    for mark in marks:
        if mark.row in others:
            others[mark.row].append(mark)
    rows = dict[int, _Row]()
    for number, own in in_rows.items():
        height = measure_height([digit for _, digit in own])
        parts = _find_parts(own, others[number], height)
        rows[number] = _Row(height, sorted(parts, key=lambda part: part.box[0]))
    return rows


def _find_parts(
    digits: Sequence[tuple[int, Digit]], marks: Sequence[Mark], height: float
) -> Iterator[_Part]:
    """What a row is made of; its digits with their places."""
    for i, digit in digits:
        doubt = 0.0 if digit.accepted else 1 - digit.confidence
        yield _Part(digit.row_box, i if digit.accepted else None, doubt)
    for mark in marks:
        _, _, w, h = box = mark.row_box
        if mark.kind == "line":  # also the stems of l and k, so it joins what is beside it
            yield _Part(box, None, 0.0)
        elif mark.kind in ("ink", "letter", "sign") and h >= MIN_LETTER_HEIGHT * height:
            is_letter = mark.kind != "sign" and w >= MIN_LETTER_WIDTH * height
            letters = float(max(1, int(w / (MAX_LETTER_WIDTH * height)))) if is_letter else 0.0
            yield _Part(box, None, letters)


def _group(row: _Row) -> Iterator[list[_Part]]:
    """The parts of each word of a row."""
    group, right = list[_Part](), -math.inf
    for part in row.parts:
        x, _, width, _ = part.box
        if group and x - right > MAX_LETTER_GAP * row.height:
            yield group
            group = []
        group.append(part)
        right = max(right, x + width)
    if group:
        yield group


def _describe(digits: Sequence[Digit], group: Sequence[_Part], around: _Around) -> F64:
    """The features of a word, of its digits, all parts and what is around it."""
    doubt = np.log([max(1 - digit.is_digit, _MIN_DOUBT) for digit in digits])
    return np.array(
        [
            around.in_row,
            around.accepted,
            around.log_digit,
            float(sum(part.letters for part in group) >= 1),
            sum(digit.digit == 0 for digit in digits) / len(digits),
            float(len(digits) == 1),
            doubt.mean(),
            math.log(len(digits)),
        ]
    )


def lower_confidence(digit: Digit, factor: float, min_confidence: float) -> Digit:
    """A digit whose confidence is lower by a factor.

    Args:
        digit: the digit.
        factor: of its confidence, and of the probability that it is one, 0–1.
        min_confidence: threshold for it to stay accepted, 0–1; infinity for one that is not.
    """
    confidence = digit.confidence * factor
    return replace(
        digit,
        confidence=confidence,
        is_digit=digit.is_digit * factor,
        accepted=digit.accepted and confidence >= min_confidence,
    )


def doubt_digits(digits: Iterable[Digit], doubtful: Container[Digit]) -> tuple[Digit, ...]:
    """Digits, of which those that are doubtful are rather none, but may be some."""
    return tuple(doubt_digit(digit) if digit in doubtful else digit for digit in digits)


def doubt_digit(digit: Digit) -> Digit:
    """A digit that is rather none, but may be one: with less confidence, and not accepted."""
    return lower_confidence(digit, DOUBT_FACTOR, math.inf)
