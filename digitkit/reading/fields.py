"""Number fields: what a row must look like, and the likeliest digits that look like it.

The model is plain. Each thing found in a row is, independently of the others, the digit d with
probability ``is_digit * probabilities[d]``, or no digit with probability ``1 - is_digit``. A
reading of the row says which of these each thing is; its text is that of the things that are
digits, and its probability is the product. Of the readings whose text fits, the likeliest is taken.
"""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from digitkit.errors import ConfigError, at_least
from digitkit.reading.results import Digit, Reading

FLOOR = 0.01
"""What is less probable than this is never tried for a thing: a clear 7 stays a 7."""

MAX_TRIED = 10_000
"""How many readings of one row are tried, the likeliest first, before it is given up."""

_PIECE = re.compile(
    r"(?P<atom>[0-9.]|\\[dw]|\[(?:\\.|[^\\\]])+\])"
    r"|\((?:\?(?::|>|<?[=!]|P<\w+>))?|[)|^$*+?]|\\[AbBZ1-9]|\{(?:\d+,?\d*|,\d+)\}"
)
"""What a pattern may be made of; an atom takes one digit."""


@dataclass(frozen=True)
class Field:
    r"""What each row must look like; at least one of three demands, the others None.

    >>> postal_code = Field(pattern=r"[1-9]\d{3}")
    >>> postal_code.fits("4021"), postal_code.fits("402")
    (True, False)
    >>> Field(expect=3, checksum=lambda text: int(text) % 7 == 0).fits("343")
    True

    Attributes:
        expect: number of digits, from 1.
        pattern: a regular expression of Python's `re` that the whole row must match. It is made
            of digits, ``.``, ``\d``, classes such as ``[1-9]``, groups, ``|``, quantifiers,
            lookarounds, backreferences and anchors; each class must be able to match a digit.
        checksum: called with a row's text where `expect` and `pattern` are met; says whether it
            is valid. It may be called thousands of times for one row.
    """

    expect: int | None = None
    pattern: str | None = None
    checksum: Callable[[str], bool] | None = None
    _regex: re.Pattern[str] | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: nothing is given; `expect` is less than 1; `pattern` is not a regular
                expression, or no digit matches it or one of its parts.
        """
        if self.expect is None and self.pattern is None and self.checksum is None:
            raise ConfigError("a field must have expect, pattern or checksum")
        if self.expect is not None:
            at_least("expect", self.expect, 1)
        if self.pattern is not None:
            object.__setattr__(self, "_regex", _compile_pattern(self.pattern))

    def fits(self, text: str) -> bool:
        """Whether a row's text, of the digits 0 to 9, is such a field; an empty one never is."""
        return (
            text != ""
            and self.expect in (None, len(text))
            and (self._regex is None or self._regex.fullmatch(text) is not None)
            and (self.checksum is None or self.checksum(text))
        )


def _compile_pattern(pattern: str) -> re.Pattern[str]:
    shown = _quote(pattern)
    try:
        regex = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise _pattern_error(f"{shown} is not a regular expression: {error}") from error
    at = atoms = 0
    while at < len(pattern):
        piece = _PIECE.match(pattern, at)
        if piece is None:
            part = pattern[at : at + 2] if pattern[at] == "\\" else pattern[at]
            raise _pattern_error(
                f"{shown}: {_quote(part)} matches no digit", r"use digits, such as [1-9]\d{3}"
            )
        atom = piece["atom"]
        if atom is not None:
            atoms += 1
            if not any(re.fullmatch(atom, digit) for digit in "0123456789"):
                raise _pattern_error(f"{shown}: {_quote(atom)} matches no digit")
        at = piece.end()
    if atoms == 0:
        raise _pattern_error(f"{shown} matches no digits", r"use digits, such as \d{4}")
    return regex


def _pattern_error(problem: str, hint: str | None = None) -> ConfigError:
    return ConfigError(problem, hint=hint, field="pattern")


def _quote(text: str) -> str:
    """A pattern on one line, its backslashes single as they were typed."""
    return repr(text).replace(r"\\", "\\")


def apply_field(reading: Reading, field: Field) -> Reading:
    """Keep the rows that fit, where need be with their next-likely digits.

    A row whose accepted digits fit stays as it is. Any other is read again: the likeliest reading
    that fits is taken, its digits are accepted and everything else in the row is not. Accepted or
    not before does not matter to it, so a faint digit may come in and clutter may go. Nothing of
    a row is accepted where no reading of it fits, where it is likelier to hold no digits at all,
    or where a fitting one is not found among the `MAX_TRIED` likeliest. A digit that the border
    cuts is never accepted.

    In a row that was read again, the confidence of an accepted digit is its probability given
    that the likelier readings, which do not fit, are wrong. It may be under the reader's
    threshold, and is low where another reading that was not tried is about as likely.
    `Digit.probabilities` and `Digit.is_digit` stay what the model said.

    Args:
        reading: of a picture.
        field: what each of its rows must look like.

    Returns:
        The same digits in the same order and rows.

    Raises:
        Exception: whatever `Field.checksum` raises.
    """
    rows: dict[int, list[int]] = {}
    for i, digit in enumerate(reading.digits):
        rows.setdefault(digit.row, []).append(i)
    digits = list(reading.digits)
    for members in rows.values():
        fitted = _fit_row([digits[i] for i in members], field)
        for i, digit in zip(members, fitted, strict=True):
            digits[i] = digit
    return replace(reading, digits=tuple(digits))


def _fit_row(row: Sequence[Digit], field: Field) -> list[Digit]:
    """A row's digits as `apply` gives them."""
    row = [replace(digit, accepted=digit.accepted and not digit.cut) for digit in row]
    if field.fits("".join(str(digit.digit) for digit in row if digit.accepted)):
        return row
    rejected = [replace(digit, accepted=False) for digit in row]
    options = [_options(digit) for digit in row]
    # Probability of the readings that are wrong: in all, and those with each option of each thing.
    wrong, wrong_with = 0.0, [[0.0] * len(of_one) for of_one in options]
    for probability, choice in islice(_by_probability(options), MAX_TRIED):
        chosen = [of_one[k] for of_one, k in zip(options, choice, strict=True)]
        text = "".join(str(option.digit) for option in chosen if option.digit is not None)
        if text == "":
            return rejected
        if field.fits(text):
            # Both are at least `probability`, but for rounding.
            left = max(1 - wrong, probability)
            return [
                digit
                if option.digit is None
                else replace(
                    digit,
                    digit=option.digit,
                    accepted=True,
                    confidence=min(1.0, max(option.probability - with_it[k], probability) / left),
                )
                for digit, option, with_it, k in zip(
                    rejected, chosen, wrong_with, choice, strict=True
                )
            ]
        wrong += probability
        for with_it, k in zip(wrong_with, choice, strict=True):
            with_it[k] += probability
    return rejected


@dataclass(frozen=True)
class _Option:
    """What a thing may be: a digit, or none."""

    digit: int | None
    probability: float


def _options(digit: Digit) -> list[_Option]:
    """What a thing may be, the likeliest first, down to the floor."""
    if digit.cut:
        return [_Option(None, 1.0)]
    # In float64: sums of float32 are off by more than the least likely readings.
    given = [float(p) for p in digit.probabilities]
    scale = digit.is_digit / sum(given)
    options = [_Option(d, p * scale) for d, p in enumerate(given)]
    options.append(_Option(None, 1.0 - digit.is_digit))
    options.sort(key=lambda option: -option.probability)
    return [option for option in options if option.probability >= FLOOR]


def _by_probability(options: Sequence[Sequence[_Option]]) -> Iterator[tuple[float, list[int]]]:
    """All readings of a row, the likeliest first, each once.

    Args:
        options: of each thing, the likeliest first.

    Yields:
        The probability of a reading, and the number of each thing's option.
    """
    costs = [[-math.log(option.probability) for option in of_one] for of_one in options]
    # The cheaper a thing's first change, the earlier it comes. So a step below never makes a
    # reading likelier, and three kinds of step reach each reading by just one way.
    order = [i for i, cost in enumerate(costs) if len(cost) > 1]
    order.sort(key=lambda i: costs[i][1] - costs[i][0])

    def step(j: int, k: int) -> float:
        cost = costs[order[j]]
        return cost[k] - cost[k - 1]

    def first(j: int) -> float:
        return step(j, 1)

    # Of each reading: its cost, and its changes from the likeliest as (place in order, option).
    heap: list[tuple[float, tuple[tuple[int, int], ...]]] = [(sum(cost[0] for cost in costs), ())]
    while heap:
        cost, changes = heapq.heappop(heap)
        choice = [0] * len(options)
        for j, k in changes:
            choice[order[j]] = k
        yield math.exp(-cost), choice
        j, k = changes[-1] if changes else (-1, 0)
        if changes and k + 1 < len(costs[order[j]]):
            heapq.heappush(heap, (cost + step(j, k + 1), (*changes[:-1], (j, k + 1))))
        if j + 1 < len(order):
            heapq.heappush(heap, (cost + first(j + 1), (*changes, (j + 1, 1))))
            if k == 1:
                moved = cost - first(j) + first(j + 1)
                heapq.heappush(heap, (moved, (*changes[:-1], (j + 1, 1))))
