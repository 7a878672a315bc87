"""Which side of a page is up, by what it reads as."""

from __future__ import annotations

from digitkit.reading.results import Digit, Reading

_DIRECTED = {2: 0.5, 3: 1.0, 4: 1.0, 5: 0.5, 7: 1.0}
"""How much a digit shows which side is up. 0, 1 and 8 look alike upside down, a 6 is a 9 then, and
2 and 5 are much like themselves in some hands."""


def orientation_evidence(digit: Digit) -> float:
    """How much one digit of a page supports the orientation that it was read in."""
    weight = _DIRECTED.get(digit.digit, 0.1)
    return weight * digit.confidence - 0.5 * (1 - digit.confidence)


def surely_upright(reading: Reading) -> bool:
    """Whether a page reads so well that no other orientation needs to be tried."""
    sure = [digit for digit in reading.digits if digit.accepted]
    directed = sum(_DIRECTED.get(digit.digit, 0.0) for digit in sure)
    return directed >= max(1.0, 0.2 * len(sure)) and len(sure) >= 0.9 * len(reading.digits)
