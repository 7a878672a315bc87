"""Number fields: constraints on a row, and the most likely digits that meet them.

The model is simple. Each detection in a row is, independently of the others, the digit d with
probability ``is_digit * probabilities[d]``, or no digit with probability ``1 - is_digit``. A
hypothesis about the row decides which of these each detection is; its text consists of the digits,
and its probability is the product. Of the hypotheses whose text fits, the most likely is taken.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import regex

from digitkit.errors import ConfigError, at_least
from digitkit.reading.results import Digit, Reading

MIN_PROBABILITY = 0.01
"""A less probable digit is never tried for a detection: a clear 7 stays a 7."""

MAX_TRIED = 10_000
"""Hypotheses about one row that are tried, the most likely first, before it is given up."""

MATCH_SECONDS, USUAL_MATCH_SECONDS = 1.0, 0.001
"""How long one comparison with a pattern may take, and all those of a row beyond the usual time of
each; most take microseconds."""

MAX_PATTERN_ATOMS = 10_000
"""Elements of a pattern, written out without ``{n}``; more would fill the memory."""

_ELEMENT = regex.compile(
    r"(?P<atom>[0-9.]|\\[dw]|\[(?:\\.|[^\\\]])+\])"
    r"|(?P<open>\((?:\?(?::|>|<?[=!]|P<\w+>))?)|(?P<close>\))|[|^$*+?]|\\[AbBZ1-9]"
    r"|\{(?P<repeats>\d{1,9},?\d{0,9}|,\d{1,9})\}"
)
"""The elements of a pattern; an atom matches one digit."""


@dataclass(frozen=True)
class Field:
    r"""Constraints on each row; at least one of the three, the others None.

    >>> postal_code = Field(pattern=r"[1-9]\d{3}")
    >>> postal_code.fits("4021"), postal_code.fits("402")
    (True, False)
    >>> Field(expect=3, checksum=lambda text: int(text) % 7 == 0).fits("343")
    True

    Attributes:
        expect: number of digits, at least 1.
        pattern: a regular expression that the whole row must match. It consists of digits, ``.``,
            ``\d``, classes such as ``[1-9]``, groups, ``|``, quantifiers, lookarounds,
            backreferences and anchors; each class must be able to match a digit.
        checksum: called with a row's text that meets `expect` and `pattern`; returns whether it
            is valid. It may be called thousands of times for one row.
    """

    expect: int | None = None
    pattern: str | None = None
    checksum: Callable[[str], bool] | None = None
    _regex: regex.Pattern[str] | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: no constraint is given; `expect` is less than 1; `pattern` is not a regular
                expression, or no digit matches it or one of its elements.
        """
        if self.expect is None and self.pattern is None and self.checksum is None:
            raise ConfigError("a field requires expect, pattern or checksum")
        if self.expect is not None:
            at_least("expect", self.expect, 1)
        if self.pattern is not None:
            object.__setattr__(self, "_regex", _compile_pattern(self.pattern))

    def fits(self, text: str) -> bool:
        """Whether a row's text, of the digits 0 to 9, meets the constraints; "" never does.

        Raises:
            ConfigError: comparing it with the pattern takes longer than `MATCH_SECONDS`.
        """
        return (
            text != ""
            and self.expect in (None, len(text))
            and (self._regex is None or self._matches(self._regex, text))
            and (self.checksum is None or self.checksum(text))
        )

    def _matches(self, pattern: regex.Pattern[str], text: str) -> bool:
        try:
            return pattern.fullmatch(text, timeout=MATCH_SECONDS) is not None
        except TimeoutError as error:
            raise _slow_pattern(len(text)) from error


def _compile_pattern(pattern: str) -> regex.Pattern[str]:
    quoted = _quote(pattern)
    try:
        _check_elements(pattern, quoted)  # first: to compile it may fill the memory
        return regex.compile(pattern)
    except (regex.error, OverflowError, RecursionError) as error:
        raise _pattern_error(f"{quoted} is not a regular expression: {error}") from error


def _check_elements(pattern: str, quoted: str) -> None:
    position = 0
    sizes = [0]  # of the open groups, in atoms with repeats written out
    size = 0  # of the last element or group
    while position < len(pattern):
        element = _ELEMENT.match(pattern, position)
        if element is None:
            length = 2 if pattern[position] == "\\" else 1
            unknown = _quote(pattern[position : position + length])
            raise _pattern_error(
                f"{quoted}: {unknown} matches no digit", r"use digits, such as [1-9]\d{3}"
            )
        if (atom := element["atom"]) is not None:
            if not any(regex.fullmatch(atom, digit) for digit in "0123456789"):
                raise _pattern_error(f"{quoted}: {_quote(atom)} matches no digit")
            size = 1
            sizes[-1] += size
        elif element["open"]:
            sizes.append(0)
        elif element["close"] and len(sizes) > 1:
            size = sizes.pop()
            sizes[-1] += size
        elif element["repeats"]:
            times = int(element["repeats"].rpartition(",")[2] or element["repeats"].rstrip(","))
            sizes[-1] += size * (times - 1)
            size *= times
        if max(size, sizes[-1]) > MAX_PATTERN_ATOMS:
            raise _pattern_error(
                f"{quoted} has more than {MAX_PATTERN_ATOMS:,} elements with its repeats"
            )
        position = element.end()
    if not any(sizes):
        raise _pattern_error(f"{quoted} matches no digits", r"use digits, such as \d{4}")


def _slow_pattern(count: int) -> ConfigError:
    return ConfigError(
        f"takes longer than {MATCH_SECONDS:g} s to compare with a row of {count} digits",
        field="pattern",
        hint="avoid repeats within repeats",
    )


def _pattern_error(problem: str, hint: str | None = None) -> ConfigError:
    return ConfigError(problem, hint=hint, field="pattern")


def _quote(text: str) -> str:
    """A pattern on one line, its backslashes single as they were typed."""
    return repr(text).replace(r"\\", "\\")


def apply_field(reading: Reading, field: Field) -> Reading:
    """Keep the rows that fit, if necessary with their next most likely digits.

    A row whose accepted digits fit stays as it is. For any other, the most likely hypothesis that
    fits is taken: its digits are accepted and all others in the row are not, whether or not they
    were accepted before; so a faint digit may be added and clutter may be dropped. Nothing in a row
    is accepted if no hypothesis fits, if it most likely has no digits at all, or if none of the
    `MAX_TRIED` most likely ones fits. A digit that the border cuts is never accepted.

    In a changed row, the confidence of an accepted digit is its probability given that the more
    likely hypotheses, which do not fit, are wrong. It may be below the reader's threshold, and is
    low if another hypothesis that was not tried is about as likely. `Digit.probabilities` and
    `Digit.is_digit` stay the model's.

    Args:
        reading: of an image.
        field: the constraints on each of its rows.

    Returns:
        The same digits in the same order and rows.

    Raises:
        ConfigError: comparing a row with the pattern takes longer than `MATCH_SECONDS`.
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
    """A row's digits as `apply_field` returns them."""
    row = [replace(digit, accepted=digit.accepted and not digit.cut) for digit in row]
    if field.fits("".join(str(digit.digit) for digit in row if digit.accepted)):
        return row
    rejected = [replace(digit, accepted=False) for digit in row]
    options = [_list_options(digit) for digit in row]
    slow = 0.0  # seconds
    # Probability of the hypotheses that are wrong: of all, and of those with each option.
    wrong, wrong_with = 0.0, [[0.0] * len(choices) for choices in options]
    for probability, choice in islice(_by_probability(options), MAX_TRIED):
        chosen = [choices[k] for choices, k in zip(options, choice, strict=True)]
        text = "".join(str(option.digit) for option in chosen if option.digit is not None)
        if text == "":
            return rejected
        begun = time.thread_time()  # on a busy machine, too, the same rows are given up
        fits = field.fits(text)
        took = time.thread_time() - begun
        if field.pattern is not None:
            slow += max(0.0, took - USUAL_MATCH_SECONDS)
        if slow > MATCH_SECONDS:
            raise _slow_pattern(len(row))
        if fits:
            wrong_chosen = [sums[k] for sums, k in zip(wrong_with, choice, strict=True)]
            return _accept_options(rejected, chosen, probability, wrong, wrong_chosen)
        wrong += probability
        for sums, k in zip(wrong_with, choice, strict=True):
            sums[k] += probability
    return rejected


def _accept_options(
    row: Sequence[Digit],
    options: Sequence[_Option],
    probability: float,
    wrong: float,
    wrong_with: Sequence[float],
) -> list[Digit]:
    """Accept a hypothesis.

    Args:
        row: the detections, none accepted.
        options: what the hypothesis takes each of them for.
        probability: of the hypothesis.
        wrong: probability of all more likely hypotheses.
        wrong_with: probability of those that share each of the options.
    """
    # Both are at least `probability`, but for rounding.
    remaining = max(1 - wrong, probability)
    return [
        digit
        if option.digit is None
        else replace(
            digit,
            digit=option.digit,
            accepted=True,
            confidence=min(1.0, max(option.probability - shared, probability) / remaining),
        )
        for digit, option, shared in zip(row, options, wrong_with, strict=True)
    ]


@dataclass(frozen=True)
class _Option:
    """What a detection may be: a digit, or none."""

    digit: int | None
    probability: float


def _list_options(digit: Digit) -> list[_Option]:
    """What a detection may be, the most likely first, down to `MIN_PROBABILITY`."""
    if digit.cut:
        return [_Option(None, 1.0)]
    # In float64: the rounding of float32 sums exceeds the least likely hypotheses.
    probabilities = [float(p) for p in digit.probabilities]
    scale = digit.is_digit / sum(probabilities)
    options = [_Option(d, p * scale) for d, p in enumerate(probabilities)]
    options.append(_Option(None, 1.0 - digit.is_digit))
    options.sort(key=lambda option: -option.probability)
    return [option for option in options if option.probability >= MIN_PROBABILITY]


def _by_probability(options: Sequence[Sequence[_Option]]) -> Iterator[tuple[float, list[int]]]:
    """All hypotheses about a row, the most likely first, each once.

    Args:
        options: of each detection, the most likely first.

    Yields:
        The probability of a hypothesis, and the index of each detection's option.
    """
    costs = [[-math.log(option.probability) for option in choices] for choices in options]
    # Detections with a cheap first change come first. So no step below makes a hypothesis more
    # likely, and the three kinds of step reach each hypothesis in exactly one way.
    order = [i for i, cost in enumerate(costs) if len(cost) > 1]
    order.sort(key=lambda i: costs[i][1] - costs[i][0])

    def step_cost(j: int, k: int) -> float:
        cost = costs[order[j]]
        return cost[k] - cost[k - 1]

    # Each hypothesis: its cost, and its changes from the most likely as (place in order, option).
    heap: list[tuple[float, tuple[tuple[int, int], ...]]] = [(sum(cost[0] for cost in costs), ())]
    while heap:
        cost, changes = heapq.heappop(heap)
        choice = [0] * len(options)
        for j, k in changes:
            choice[order[j]] = k
        yield math.exp(-cost), choice
        j, k = changes[-1] if changes else (-1, 0)
        if changes and k + 1 < len(costs[order[j]]):
            heapq.heappush(heap, (cost + step_cost(j, k + 1), (*changes[:-1], (j, k + 1))))
        if j + 1 < len(order):
            heapq.heappush(heap, (cost + step_cost(j + 1, 1), (*changes, (j + 1, 1))))
            if k == 1:
                moved = cost - step_cost(j, 1) + step_cost(j + 1, 1)
                heapq.heappush(heap, (moved, (*changes[:-1], (j + 1, 1))))
