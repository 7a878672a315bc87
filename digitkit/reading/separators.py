"""Decimal separators: one hand writes points or commas, not both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from digitkit.reading.results import Number

MIN_USUAL, USUAL_FACTOR = 3, 3
"""A page's usual separator is in at least so many numbers, and in so many times as many as the
other one."""


def unify_separators(numbers: Sequence[Number]) -> list[Number]:
    """The numbers; a rare point on a page of commas is a comma, and the other way round.

    Small commas look like points. Only numbers with as many decimals as the page's others change:
    the point of a date, or a comma between thousands, mostly has other digits behind it.

    Args:
        numbers: of a page.
    """
    counts = Counter(_decimals(number) for number in numbers)
    changed = list[Number]()
    for number in numbers:
        sign, decimals = _decimals(number)
        other = "," if sign == "." else "."
        usual = counts[other, decimals]
        if sign and usual >= max(MIN_USUAL, USUAL_FACTOR * counts[sign, decimals]):
            number = replace(
                number,
                text=number.text.replace(sign, other),
                guess=number.guess.replace(sign, other),
                signs=tuple((at, other if each == sign else each) for at, each in number.signs),
            )
        changed.append(number)
    return changed


def _decimals(number: Number) -> tuple[str, int]:
    """The decimal separator of a number and the count of digits behind it; empty without one."""
    found = [(at, sign) for at, sign in number.signs if sign in ".,"]
    if len(found) != 1:
        return "", 0
    at, sign = found[0]
    return sign, len(number.digits) - at
