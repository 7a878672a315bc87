"""Digits and readings that no image was read for."""

import numpy as np

from digitkit.reading.numbers.finding import find_numbers
from digitkit.reading.results import Digit, Reading, Timings


def make_digit(likely: dict[int, float], x=0, is_digit=1.0, row=0, cut=False, threshold=0.9):
    """A digit as the reader returns it; `likely` ones have these probabilities, the rest share."""
    rest = (1 - sum(likely.values())) / max(1, 10 - len(likely))
    probabilities = np.array([likely.get(digit, rest) for digit in range(10)], np.float32)
    digit = int(probabilities.argmax())
    confidence = float(probabilities[digit]) * is_digit
    return Digit(
        digit=digit, confidence=confidence, box=(x, 50 + 100 * row, 30, 60), row=row,
        accepted=confidence >= threshold and not cut, image=np.zeros((28, 28), np.uint8),
        probabilities=probabilities, is_digit=is_digit, cut=cut,
    )  # fmt: skip


def make_reading(*digits: Digit, source: str = "camera 0", frame: int | None = 0) -> Reading:
    return Reading(source, digits, Timings(0, 0, 0, 0), frame, numbers=find_numbers(digits))
