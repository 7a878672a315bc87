"""Which side of a page is up, by the digits read in it."""

from __future__ import annotations

from digitkit.reading.results import Digit, Reading

_DIRECTION_WEIGHTS = {2: 0.5, 3: 1.0, 4: 1.0, 5: 0.5, 7: 1.0}
"""How much a digit shows which side is up. 0, 1 and 8 look alike upside down, a 6 becomes a 9, and
2 and 5 resemble themselves in some hands."""


def orientation_evidence(digit: Digit) -> float:
    """Evidence of one digit for the way the image is turned, -0.5 to 1; negative is against it."""
    weight = _DIRECTION_WEIGHTS.get(digit.digit, 0.1)
    return weight * digit.confidence - 0.5 * (1 - digit.confidence)


def surely_upright(reading: Reading) -> bool:
    """Whether a reading is so good that no other turn needs to be tried."""
    accepted = [digit for digit in reading.digits if digit.accepted]
    direction = sum(_DIRECTION_WEIGHTS.get(digit.digit, 0.0) for digit in accepted)
    enough = direction >= max(1.0, 0.2 * len(accepted))
    return enough and len(accepted) >= 0.9 * len(reading.digits)
