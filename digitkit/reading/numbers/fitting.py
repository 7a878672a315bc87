"""Numbers to constraints: the most likely digits that meet them.

The model is simple. Each detection of a number is, independently of the others, the digit d with
probability ``is_digit * probabilities[d]``, or no digit with probability ``1 - is_digit``. A
hypothesis about the number decides which of these each detection is; its text consists of the
digits, and its probability is the product. Of the hypotheses whose text fits, the most likely is
taken.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, islice, pairwise

from digitkit.errors import ConfigError
from digitkit.reading.networks.line_reader import SPOILED_DOUBT
from digitkit.reading.numbers.checks import flag_numbers
from digitkit.reading.numbers.confidence import MIN_COMPLETE, describe_doubt
from digitkit.reading.numbers.fields import MATCH_SECONDS, Field, slow_pattern
from digitkit.reading.numbers.finding import (
    accepted_heights,
    find_candidates,
    finish_numbers,
    is_reported,
)
from digitkit.reading.numbers.k_best import Option, k_best_choices
from digitkit.reading.results import Digit, Mark, Number, Reading

MIN_TRIED_PROBABILITY = 0.01
"""A less probable digit is never tried for a detection: a clear 7 stays a 7."""

MAX_JOINED_GAP = 2.5
"""Numbers that are further apart are never joined to one that fits, in heights of the digits."""

MAX_TRIED = 10_000
"""Hypotheses about one number that are tried, the most likely first, before it is given up."""

USUAL_MATCH_SECONDS = 0.001
"""All comparisons of a number with a pattern may take `MATCH_SECONDS` beyond this time of each."""


def apply_field(reading: Reading, field: Field) -> Reading:
    """Keep the numbers that fit, if necessary with their next most likely digits.

    A number whose accepted digits fit keeps them. For any other, the most likely hypothesis that
    fits is taken: its digits are accepted and all others of the number are not, whether or not they
    were accepted before; so a faint digit may be added and clutter may be dropped. Where none of a
    row's numbers fits as it is, and all of them together do, they are one if they are close.
    Nothing in a number is accepted if no hypothesis fits, if it most likely has no digits at all,
    or if none of the `MAX_TRIED` most likely ones fits. A digit that the border cuts is never
    accepted. What is around a number casts doubt on it as without a field; but it is not several
    numbers, and no digit is missing, if no shorter part of it and nothing longer fits.

    In a changed number, the confidence of an accepted digit is its probability given that the more
    likely hypotheses, which do not fit, are wrong. It may be below the reader's threshold, and is
    low if another hypothesis that was not tried is about as likely. `Digit.probabilities` and
    `Digit.is_digit` stay the model's. `Number.reasons` states what was changed.

    Args:
        reading: of an image.
        field: the constraints on each of its numbers.

    Returns:
        The same digits in the same order and rows, with the numbers that fit; `Reading.dropped` are
        those that do not.

    Raises:
        ConfigError: `reading` or `field` is something else, or comparing a number with the pattern
            takes longer than `MATCH_SECONDS`.
        Exception: whatever `Field.checksum` raises.
    """
    if not isinstance(reading, Reading):
        raise ConfigError(f"must be a Reading, got {type(reading).__name__}", field="reading")
    if not isinstance(field, Field):
        hint = f"pass Field(pattern={field!r})" if isinstance(field, str) else None
        raise ConfigError(f"must be a Field, got {type(field).__name__}", field="field", hint=hint)
    changed: dict[int, Digit] = {}
    found, fitting = list[Number](), list[bool]()
    candidates = find_candidates(reading.digits, reading.marks, gap=reading.gap)
    heights = accepted_heights(reading.digits)
    for row, in_row in groupby(candidates, lambda number: number.row):
        marks = [mark for mark in reading.marks if mark.row == row]
        for number in _join_row(list(in_row), field, marks):
            digits = _fit_digits(number, field)
            changed |= {id(old): new for old, new in zip(number.digits, digits, strict=True)}
            fits = any(digit.accepted for digit in digits)
            if fits or is_reported(number, heights):
                found.append((_rebuild if fits else _drop)(number, digits, field))
                fitting.append(fits)
    pairs = [(digit, changed.get(id(digit), digit)) for digit in reading.digits]
    # A dropped number is there all the same: it casts doubt on others.
    seen = [new if new.accepted else old for old, new in pairs]
    flagged = zip(_flag(found, seen, reading, field), fitting, strict=True)
    kept = [number for number, fits in flagged if fits]
    dropped = [number for number, fits in zip(found, fitting, strict=True) if not fits]
    # The columns are those of all numbers.
    placed = finish_numbers([*kept, *dropped], gap=reading.gap)
    return replace(
        reading,
        digits=tuple(new for _, new in pairs),
        numbers=placed[: len(kept)],
        dropped=placed[len(kept) :],
    )


def _flag(
    numbers: Sequence[Number], digits: Sequence[Digit], reading: Reading, field: Field
) -> list[Number]:
    """The numbers, incomplete where what is around casts a doubt on them that the field leaves.

    Args:
        numbers: that fit or not, in reading order.
        digits: those of the reading, changed to fit.
        reading: of the image.
        field: the constraints.
    """
    settled = flag_numbers(numbers, digits, reading.marks, may_be_several=False)
    if reading.gap is not None:  # which settles the same
        return settled
    doubted = flag_numbers(numbers, digits, reading.marks, may_be_several=True)
    texts = [(number.row, number.guess) for number in numbers]
    flagged = list[Number]()
    for i, (number, strict) in enumerate(zip(settled, doubted, strict=True)):
        if number.reasons != strict.reasons:
            beside = [text for row, text in texts[max(0, i - 1) : i + 2] if row == number.row]
            number = strict if _may_be_other(beside, number.guess, field) else number
        flagged.append(number)
    return flagged


def _may_be_other(beside: Sequence[str], text: str, field: Field) -> bool:
    """Whether a part of a number fits, or it together with the one before or behind it.

    Args:
        beside: the texts of the numbers that are next to each other, with its own.
        text: its own.
        field: the constraints.
    """
    parts = (part for place in range(1, len(text)) for part in (text[:place], text[place:]))
    longer = (first + second for first, second in pairwise(beside))
    return any(field.fits(other) for other in itertools.chain(longer, parts))


def _join_row(numbers: Sequence[Number], field: Field, marks: Sequence[Mark]) -> Sequence[Number]:
    """The numbers of a row; where none of them fits and all together do, that one.

    Only gaps below `MAX_JOINED_GAP` are overcome like that, no signs and no lines.
    """
    sure = [n for n in numbers if any(digit.accepted for digit in n.digits)]
    if len(sure) < 2 or any(field.fits(_accepted_text(n, n.digits, field)) for n in sure):
        return numbers
    digits = [digit for number in numbers for digit in number.digits]
    joined = find_candidates(digits, marks, gap=MAX_JOINED_GAP)
    if len(joined) != 1 or not field.fits(
        text := _accepted_text(joined[0], joined[0].digits, field)
    ):
        return numbers
    if joined[0].unread:
        return numbers  # signs are between them, or ink
    reason = _state_change(text, " ".join(number.text for number in numbers), field)
    return [replace(joined[0], reasons=(*joined[0].reasons, reason))]


def _state_change(text: str, before: str, field: Field) -> str:
    return f"read as {text} instead of {before} to {field.describe()}"


def _signs(number: Number, field: Field) -> tuple[tuple[int, str], ...]:
    """The signs of a number that count."""
    return number.signs if field.keeps_signs else ()


def _accepted_text(number: Number, digits: Sequence[Digit], field: Field) -> str:
    """The text of a number with other readings of its digits, of those that are accepted."""
    return _join(_accepted_values(digits), _signs(number, field))


def _accepted_values(digits: Sequence[Digit]) -> list[int | None]:
    """What each digit is that is accepted and whole; None for others."""
    return [digit.digit if digit.accepted and not digit.cut else None for digit in digits]


def _keep_signs(
    digits: Sequence[int | None], signs: Sequence[tuple[int, str]]
) -> tuple[tuple[int, str], ...]:
    """The signs that are left without the digits that are None: a minus, and one in each gap.

    Args:
        digits: of the number.
        signs: each with the number of digits before it; so are those that are returned, of the
            digits that are left.
    """
    if None not in digits:
        return tuple(signs)
    places = [0, *itertools.accumulate(digit is not None for digit in digits)]
    kept = dict[int, str]()
    for before, sign in signs:
        place = places[before]
        if before == 0 or 0 < place < places[-1]:
            kept.setdefault(place, sign)
    return tuple(kept.items())


def _join(digits: Sequence[int | None], signs: Sequence[tuple[int, str]]) -> str:
    """The text of digits and signs, as `_keep_signs` takes them; without what is None."""
    parts = [str(digit) for digit in digits if digit is not None]
    for place, sign in reversed(_keep_signs(digits, signs)):
        parts.insert(place, sign)
    return "".join(parts)


def _rebuild(number: Number, digits: Sequence[Digit], field: Field) -> Number:
    """A number with the digits that a field chose."""
    accepted = tuple(digit for digit in digits if digit.accepted)
    text = _accepted_text(number, digits, field)
    signs = _keep_signs(_accepted_values(digits), _signs(number, field))
    if accepted == number.digits and text == number.guess:
        return replace(number, digits=accepted)
    # A field settles neither clear digits nor ink that belongs to no digit.
    doubts = list[str]()
    pairs = list(zip(number.digits, digits, strict=True))
    if any(old.accepted and new.accepted and old.digit != new.digit for old, new in pairs):
        doubts.append("a digit was clear, and read as another one")
    if len(signs) < len(number.signs):
        doubts.append("a decimal separator or a minus was left out")
    if _may_be_longer(number, digits, field):
        doubts.append("a digit in doubt was left out, and may belong to it")
    if any(digit.cut for digit in digits):
        doubts.append("a digit is cut by the border")
    if any(digit.spoiled for digit in accepted):
        doubts.append(f"a digit {SPOILED_DOUBT}")
    if number.unread:
        doubts.append("ink next to its digits cannot be read")
    likely, before = (
        math.prod(digit.confidence for digit in each) for each in (accepted, number.digits)
    )
    # Not only the digits may be wrong.
    confidence = likely * min(1.0, number.confidence / max(before, 1e-9))
    if not doubts and confidence < MIN_COMPLETE:
        doubts.append(describe_doubt(confidence))
    return replace(
        number,
        text=text,
        guess=text,
        signs=signs,
        complete=not doubts,
        confidence=confidence,
        digits=accepted,
        reasons=(_state_change(text, number.text, field), *doubts),
    )


def _may_be_longer(number: Number, digits: Sequence[Digit], field: Field) -> bool:
    """Whether a number fits with a digit in doubt, too, that was left out of it."""
    for place, digit in enumerate(digits):
        if not (digit.accepted or digit.cut):
            more = [*digits[:place], replace(digit, accepted=True), *digits[place + 1 :]]
            if field.fits(_accepted_text(number, more, field)):
                return True
    return False


def _drop(number: Number, digits: Sequence[Digit], field: Field) -> Number:
    """A number that fits with none of its likely digits, and why."""
    text = number.guess if field.keeps_signs else "".join(filter(str.isdecimal, number.guess))
    fault = field.find_fault(text) or "does not fit"
    return replace(number, complete=False, digits=tuple(digits), reasons=(fault,))


def _fit_digits(number: Number, field: Field) -> list[Digit]:
    """A number's digits as `apply_field` returns them."""
    row = [replace(digit, accepted=digit.accepted and not digit.cut) for digit in number.digits]
    if field.fits(_accepted_text(number, row, field)):
        return row
    signs, rejected = _signs(number, field), [replace(digit, accepted=False) for digit in row]
    options = [list_options(digit) for digit in row]
    slow = 0.0  # seconds
    # Probability of the hypotheses that are wrong: of all, and of those with each option.
    wrong, wrong_with = 0.0, [[0.0] * len(choices) for choices in options]
    for probability, choice in islice(k_best_choices(options), MAX_TRIED):
        chosen = [choices[k] for choices, k in zip(options, choice, strict=True)]
        taken = [option.digit for option in chosen]
        if all(digit is None for digit in taken):
            return rejected
        text = _join(taken, signs)
        begun = time.thread_time()  # on a busy machine, too, the same rows are given up
        fits = field.fits(text)
        took = time.thread_time() - begun
        if field.pattern is not None:
            slow += max(0.0, took - USUAL_MATCH_SECONDS)
        if slow > MATCH_SECONDS:
            raise slow_pattern(len(row))
        if fits:
            wrong_chosen = [sums[k] for sums, k in zip(wrong_with, choice, strict=True)]
            return _accept_options(rejected, chosen, probability, wrong, wrong_chosen)
        wrong += probability
        for sums, k in zip(wrong_with, choice, strict=True):
            sums[k] += probability
    return rejected


def _accept_options(
    row: Sequence[Digit],
    options: Sequence[Option],
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


def list_options(digit: Digit) -> list[Option]:
    """What a detection may be, the most likely first, down to `MIN_TRIED_PROBABILITY`."""
    if digit.cut:
        return [Option(None, 1.0)]
    # In float64: the rounding of float32 sums exceeds the least likely hypotheses.
    probabilities = [float(p) for p in digit.probabilities]
    scale = digit.is_digit / sum(probabilities)
    options = [Option(d, p * scale) for d, p in enumerate(probabilities)]
    options.append(Option(None, 1.0 - digit.is_digit))
    options.sort(key=lambda option: -option.probability)
    return [option for option in options if option.probability >= MIN_TRIED_PROBABILITY]
