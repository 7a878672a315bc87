"""Which side of a page is up, by the digits read in it."""

from __future__ import annotations

from digitkit.reading.results import Digit, Reading

_DIRECTION_WEIGHTS = {2: 0.5, 3: 1.0, 4: 1.0, 5: 0.5, 7: 1.0}
"""How much a digit shows which side is up. 0, 1 and 8 look alike upside down, a 6 becomes a 9, and
2 and 5 resemble themselves in some hands."""


def orientation_score(digit: Digit) -> float:
    """Evidence of one digit for the way the image is turned, -0.05 to 1.5.

    Turned the wrong way, fewer digits are accepted, and most of them show no direction. What is in
    doubt counts little: there are fewer detections then, too.
    """
    if not digit.accepted:
        return -0.05
    return 1 + 0.5 * _DIRECTION_WEIGHTS.get(digit.digit, 0.1) * digit.confidence


def is_clearly_better(evidence: float, upright: float, digits: int) -> bool:
    """Whether an image is to be turned: it came as it is for a reason, far more often than not.

    Args:
        evidence: of all digits for the turn.
        upright: of all digits for the image as it came.
        digits: how many were read with the turn.
    """
    return evidence - upright > max(0.6, 0.06 * digits)


def surely_upright(reading: Reading) -> bool:
    """Whether a reading is so good that no other turn needs to be tried."""
    accepted = [digit for digit in reading.digits if digit.accepted]
    direction = sum(_DIRECTION_WEIGHTS.get(digit.digit, 0.0) for digit in accepted)
    enough = direction >= max(2.0, 0.2 * len(accepted))
    doubts = sum(number.text.count("?") for number in reading.numbers)
    return enough and len(accepted) >= 0.9 * max(len(reading.digits), len(accepted) + doubts)
