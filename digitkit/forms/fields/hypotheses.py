"""What is written in a field, before anything is decided: each digit, and what it may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from digitkit.arrays import F32, U8
from digitkit.forms.fields.field_ink import Place
from digitkit.models.classifier import Prediction
from digitkit.reading.numbers.k_best import Option

MIN_DIGIT_PROBABILITY = 1e-4
"""Less probable digits are never tried: a rule across fields decides between many."""

FIELD_ODDS = 50.0
"""How much likelier ink in a field is a digit than the model supposes: its odds of digits to others
are those of pages, on which there is anything."""

MAX_WORD_EVIDENCE = (1.0, 5.0)
"""Ink in a field may be a word if the mean evidence that its pieces are digits at all is less, as
logarithm of the model's odds: of one piece, and of several. In 2,300 fields of training digits that
were read right it was 2.3 and 6.1 at least."""


class SegmentReading(NamedTuple):
    """What the networks say of ink that may be a digit.

    Attributes:
        combined: prediction of the classifier and the line reader together.
        classifier: prediction of the classifier alone.
        line_probabilities: of the line reader at its middle, float32 ``[15]``; None outside of
            what the line reader was given.
    """

    combined: Prediction
    classifier: Prediction
    line_probabilities: F32 | None


@dataclass(frozen=True)
class DigitSlot:
    """One place of a field where a digit may be.

    Attributes:
        options: what it may be, the most likely first; empty for a cell without ink.
        box: of its ink, in pixels of the reference; of the cell where it has none.
        image: what the classifier saw, uint8 ``[28, 28]``; None for a cell without ink.
    """

    options: tuple[Option, ...]
    box: Place
    image: U8 | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Segmentation:
    """One way to divide a field's ink into digits.

    Attributes:
        slots: from left to right; of a comb one for each cell.
        separators: how many slots come before each decimal separator.
        share: probability that it is the right one, above 0.
    """

    slots: tuple[DigitSlot, ...]
    separators: tuple[int, ...] = ()
    share: float = 1.0


@dataclass(frozen=True)
class Hypotheses:
    """What is written in a field.

    Attributes:
        segmentations: of its ink, the likeliest first; none for an empty field.
        doubts: what else is wrong with it.
    """

    segmentations: tuple[Segmentation, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is written."""
        return not self.segmentations and not self.doubts


def to_options(prediction: Prediction) -> tuple[Option, ...]:
    """What a digit may be, the most likely first, down to `MIN_DIGIT_PROBABILITY`."""
    is_digit = FIELD_ODDS * prediction.is_digit
    is_digit /= is_digit + max(1 - prediction.is_digit, 0.0)
    likely = prediction.probabilities.astype(np.float64) * is_digit
    likely /= max(1.0, float(prediction.probabilities.sum()))
    options = [Option(d, float(p)) for d, p in enumerate(likely) if p >= MIN_DIGIT_PROBABILITY]
    return tuple(sorted(options, key=lambda option: -option.probability))


def word_doubt(predictions: Sequence[Prediction]) -> tuple[str, ...]:
    """What is wrong where a field's pieces are rather letters: one may be, not most of them."""
    if not predictions:
        return ()
    is_digit = np.array([each.is_digit for each in predictions], np.float64).clip(1e-6, 1 - 1e-6)
    evidence = float(np.log(is_digit / (1 - is_digit)).mean())
    return ("may be a word",) if evidence < MAX_WORD_EVIDENCE[len(predictions) > 1] else ()
