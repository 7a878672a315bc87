"""Digits to numbers: what they say, and whether anything is missing.

All distances are in heights of the row's digits, so that numbers are the same at any scale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from digitkit.arrays import F64, Box
from digitkit.boxes import bounding_box
from digitkit.reading.confidence import format_confidence
from digitkit.reading.networks.line_reader import SPOILED_DOUBT
from digitkit.reading.numbers.checks import THOUSANDS, flag_numbers
from digitkit.reading.numbers.columns import continue_columns
from digitkit.reading.numbers.confidence import (
    MIN_COMPLETE,
    describe_doubt,
    number_confidence,
    number_features,
)
from digitkit.reading.numbers.grouping import (
    MAX_JOIN_DISTANCE,
    MAX_SURE_MINUS_GAP,
    SEPARATORS,
    Group,
    group_parts,
    split_mixed_numbers,
)
from digitkit.reading.numbers.parts import Part, digit_gaps, measure_height, place_parts
from digitkit.reading.numbers.spacing import choose_gap, has_columns, number_columns
from digitkit.reading.results import Digit, Mark, Number, group_by_row

MIN_DOUBTFUL_CONFIDENCE = 0.5
"""Minimum confidence of a doubtful digit apart from all numbers that is reported, 0–1."""

MIN_DOUBTFUL_HEIGHT = 0.6
"""Minimum height of a doubtful digit apart from all numbers that is reported, in heights of the
accepted digits of its row."""

MAX_RAISED_HEIGHT, MAX_RAISED_BOTTOM = 0.85, 0.2
"""The last digit or two of a number may be an exponent or cents if they are less high than this, in
heights of the lowest other, and end at most so far below the middle of the one before."""

MIN_CENTS_RAISE, MAX_SLIM_WIDTH = 0.15, 0.4
"""The last two digits may be cents, whatever their height, if both are less high than all others
and end at least this far above these, in heights of the lowest. Not if all others are narrower
than the second number, in their heights: a 1 may be higher."""

MIN_NUMERATOR_RAISE, MIN_NUMERATOR_GAP, MAX_MIXED_DIGITS = 0.3, 0.3, 4
"""The last digit or two may be the numerator of a fraction, whatever their height, if their middle
is this far above that of the digit before them and the gap is this wide, in heights of the highest
digit before them; not of a number with more digits than this, whose row may be bent."""

MIN_LEAST_GAP = 1e-3
"""Gaps are not measured in a smaller least gap than this, such as 0."""


def find_numbers(
    digits: Sequence[Digit], marks: Sequence[Mark] = (), *, gap: float | None = None
) -> tuple[Number, ...]:
    """Group the digits of an image into numbers.

    Wide gaps and signs separate numbers, ruled lines do, and a decimal point or comma joins what is
    on its sides. A digit in doubt and ink that cannot be read are ``?``, and make a number
    incomplete.

    Args:
        digits: in reading order; see `digitkit.reading.detection.order.reading_order`.
        marks: ink in and next to their rows.
        gap: least gap between two numbers, in heights of the digits; None for one that depends on
            the gaps of the row and of the page. With infinity the image holds one number: in a row,
            everything else that is written there is missing from it, and of several rows none is
            complete.

    Returns:
        Those with an accepted digit, and those with a likely one in the row of an accepted one, in
        reading order; each accepted digit is in exactly one.
    """
    candidates = find_candidates(digits, marks, gap=gap, may_be_mixed=gap is None)
    heights = accepted_heights(digits)
    numbers = [number for number in candidates if is_reported(number, heights)]
    numbers = flag_numbers(numbers, digits, marks, may_be_several=gap is None)
    return finish_numbers(numbers, gap=gap)


def accepted_heights(digits: Sequence[Digit]) -> dict[int, float]:
    """The usual height of the accepted digits of each row that has some, pixels."""
    rows = group_by_row(digit for digit in digits if digit.accepted)
    return {row: measure_height(own) for row, own in rows.items()}


def is_reported(number: Number, heights: Mapping[int, float]) -> bool:
    """Whether a digit of a number is accepted, or likely one in the row of an accepted one.

    Args:
        number: as `find_candidates` returns it.
        heights: as `accepted_heights` returns them.
    """
    least = MIN_DOUBTFUL_HEIGHT * heights.get(number.row, math.inf)
    return any(
        digit.accepted
        or (digit.confidence >= MIN_DOUBTFUL_CONFIDENCE and digit.row_box[3] >= least)
        for digit in number.digits
    )


def finish_numbers(numbers: Sequence[Number], *, gap: float | None) -> tuple[Number, ...]:
    """Numbers with their columns; with a gap of infinity, none of several is complete.

    Args:
        numbers: all of an image, in reading order.
        gap: as for `find_numbers`.
    """
    numbers = number_columns(numbers)
    if len(numbers) > 1 and gap == math.inf:
        numbers = tuple(
            replace(each, complete=False, reasons=(*each.reasons, "it is not the only number"))
            for each in numbers
        )
    return numbers


def find_candidates(
    digits: Sequence[Digit],
    marks: Sequence[Mark] = (),
    *,
    gap: float | None = None,
    may_be_mixed: bool = False,
) -> list[Number]:
    """The numbers as `find_numbers` returns them, without columns, and groups of doubtful digits.

    Each digit is in at most one.

    Args:
        digits: as for `find_numbers`.
        marks: as for `find_numbers`.
        gap: as for `find_numbers`.
        may_be_mixed: whether a whole number may stand beside a fraction.
    """
    rows = group_by_row(digits)
    heights = {row: measure_height(in_row) for row, in_row in rows.items()}
    parts = {row: place_parts(row, in_row, marks, heights[row]) for row, in_row in rows.items()}
    page_gaps = [gap for row in parts.values() for gap in digit_gaps(row)]
    table = has_columns([digit.row_box for digit in digits], [digit.row for digit in digits])
    limits = {
        row: choose_gap(digit_gaps(row_parts), page_gaps, table=table) if gap is None else gap
        for row, row_parts in parts.items()
    }
    if gap is None:
        limits = continue_columns(parts, limits)
    groups = [
        group for row, row_parts in parts.items() for group in group_parts(row_parts, limits[row])
    ]
    if may_be_mixed:
        groups = split_mixed_numbers(groups)
    return [
        _to_number(group, heights[group.row])
        for group in groups
        if any(part.digit for part in group.parts)
    ]


_TEXT = {"point": ".", "comma": ",", "dash": "-"}


def _to_number(group: Group, height: float) -> Number:
    """The number that a group of a row's parts is.

    Args:
        group: the parts.
        height: of the row's digits, pixels.
    """
    parts = list(group.parts)
    if parts[0].kind == "dash" and parts[1].kind != "digit" and not math.isinf(group.limit):
        parts = parts[1:]
    is_stop = parts[-1].kind in SEPARATORS and not _is_near(parts[-1], group.after)
    if is_stop or parts[-1].kind == "apostrophe":  # the full stop of a sentence; joins nothing
        parts = parts[:-1]
    box = bounding_box([part.item.box for part in parts])
    if group.before and group.before.kind in SEPARATORS and _is_near(group.before, parts[0]):
        parts = [group.before, *parts]  # which is in the number before it, too
    digits = tuple(part.item for part in parts if isinstance(part.item, Digit))
    spelled = _spell(parts)
    is_far = parts[0].kind == "dash" and parts[0].gap_to(parts[1]) > MAX_SURE_MINUS_GAP
    reasons = list(spelled.doubts)
    raised = _find_raised_digit(digits, spelled.signs)
    if raised is not None:
        reasons.append(f"digit {raised + 1} is raised, as in an exponent, a fraction or cents")
    reasons += _doubt_separators(spelled.signs, len(digits))
    if group.space:
        reasons.append(f"a fraction may begin after digit {group.space}")
    if is_far:
        reasons.append("the dash on its left may be a minus")
    confidence = number_confidence(_features(replace(group, parts=parts), height))
    if not reasons and confidence < MIN_COMPLETE:
        reasons.append(describe_doubt(confidence))
    return Number(
        text=spelled.text,
        guess=spelled.guess,
        complete=not reasons,
        confidence=confidence,
        box=box,
        row=group.row,
        column=0,
        digits=digits,
        reasons=tuple(dict.fromkeys(reasons)),
        signs=tuple(spelled.signs),
        unread=is_far + spelled.unread,
    )


@dataclass
class _Spelled:
    """The parts of a number as text.

    Attributes:
        text: with ``?`` for what is in doubt.
        guess: with the most likely digits.
        signs: each with the number of digits before it.
        doubts: why what is in doubt is so.
        unread: how many pieces of ink cannot be read.
    """

    text: str = ""
    guess: str = ""
    signs: list[tuple[int, str]] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    unread: int = 0


def _spell(parts: Sequence[Part]) -> _Spelled:
    spelled, count = _Spelled(), 0
    for place, part in enumerate(parts):
        if part.digit:
            count += 1
            spelled.text += str(part.digit.digit) if part.digit.accepted else "?"
            spelled.guess += str(part.digit.digit)
            spelled.doubts += _doubts(part, count)
        elif part.kind == "apostrophe":
            continue  # it joins, and is left out
        elif _is_legible(parts, place):
            sign = _TEXT[part.kind]
            spelled.signs.append((count, sign))
            spelled.text += sign
            spelled.guess += sign
        else:
            spelled.text += "" if spelled.text.endswith("?") else "?"
            spelled.doubts.append(_describe_ink(parts, place))
            spelled.unread += 1
    return spelled


def _find_raised_digit(digits: Sequence[Digit], signs: Sequence[tuple[int, str]]) -> int | None:
    """From which digit of a number, or of a factor of it, on they are raised; None for none."""
    boxes = [digit.row_box for digit in digits]
    exponents = (_find_exponent(boxes[:count]) for count, _ in signs)
    return next((at for at in (*exponents, _find_raised(boxes)) if at is not None), None)


def _doubt_separators(signs: Sequence[tuple[int, str]], count: int) -> list[str]:
    """Why the separators of a number of `count` digits are doubtful, if they are.

    Commas that do not separate thousands may be those of a list, or the ticks of a comb field.
    """
    reasons = []
    if {",", "."} <= {sign for _, sign in signs}:
        reasons.append("it has points and commas: thousands separators are not read")
    commas = [place for place, sign in signs if sign == ","]
    thousands = [end - start == THOUSANDS for start, end in pairwise([*commas, count])]
    if len(commas) > 1 and not (commas[0] <= THOUSANDS and all(thousands)):
        reasons.append("it has several commas that do not separate thousands")
    return reasons


def _find_exponent(boxes: Sequence[Box]) -> int | None:
    """From which digit of a number on the last one or two are small and raised; None for none."""
    for place in range(max(1, len(boxes) - 2), len(boxes)):
        height = min(box[3] for box in boxes[:place])
        lowest = boxes[place - 1][1] + boxes[place - 1][3] / 2 + MAX_RAISED_BOTTOM * height
        if all(h < MAX_RAISED_HEIGHT * height and y + h < lowest for _, y, _, h in boxes[place:]):
            return place
    return None


def _find_raised(boxes: Sequence[Box]) -> int | None:
    """From which digit of a number on the last one or two are raised; None without such.

    Args:
        boxes: of the digits where their row is level.
    """
    exponent = _find_exponent(boxes)
    if exponent is not None:
        return exponent
    for place in range(max(1, len(boxes) - 2), len(boxes)):
        left, top, wide, tall = boxes[place - 1]
        highest = max(box[3] for box in boxes[:place])
        is_apart = (
            boxes[place][0] - left - wide >= MIN_NUMERATOR_GAP * highest
            and len(boxes) <= MAX_MIXED_DIGITS
        )
        steps = (top + tall / 2 - y - h / 2 for _, y, _, h in boxes[place:])
        if is_apart and all(step >= MIN_NUMERATOR_RAISE * highest for step in steps):
            return place
    before, last = boxes[:-2], boxes[-2:]
    if all(w < MAX_SLIM_WIDTH * h for _, _, w, h in before):
        return None
    # Underlined cents are higher, but not as high as the others.
    height, base = min(box[3] for box in before), min(y + h for _, y, _, h in before)
    is_above = all(h < height and y + h < base - MIN_CENTS_RAISE * height for _, y, _, h in last)
    return len(before) if is_above else None


def _is_near(a: Part, b: Part | None) -> bool:
    """Whether a decimal separator and what is next to it may belong together."""
    return b is not None and a.gap_to(b) <= MAX_JOIN_DISTANCE


def _is_legible(parts: Sequence[Part], place: int) -> bool:
    """Whether a mark is a leading minus, or a decimal separator between digits."""
    after = place + 1 < len(parts) and parts[place + 1].kind == "digit"
    if parts[place].kind == "dash":
        return place == 0 and after
    before = place > 0 and parts[place - 1].kind == "digit"
    return parts[place].kind in SEPARATORS and before and after


def _features(group: Group, height: float) -> F64:
    """What the probability of a number depends on; see `digitkit.reading.numbers.confidence`."""
    digits = [part.digit for part in group.parts if part.digit]
    gaps = digit_gaps(group.parts, boxed=False)
    first, last = group.parts[0], group.parts[-1]
    limit = max(group.limit, MIN_LEAST_GAP)
    room = []
    if group.before and group.before.kind in ("digit", "ink"):
        room.append(group.before.gap_to(first) / limit)
    if group.after and group.after.kind in ("digit", "ink"):
        room.append(last.gap_to(group.after) / limit)
    return number_features(
        digits,
        ink=sum(part.kind == "ink" for part in group.parts),
        signs=sum(part.kind in _TEXT for part in group.parts),
        beside_sign=any(
            other is not None and other.kind in ("sign", "dash")
            for other in (group.before, group.after)
        ),
        widest_gap=max(gaps, default=0.0) / limit,
        room=min(room, default=math.inf),
        height=height,
    )


def _doubts(part: Part, place: int) -> list[str]:
    """Why a digit is doubtful, if it is; it is the number's `place`-th."""
    digit = part.digit
    assert digit is not None
    if digit.accepted:
        return [f"digit {place} {SPOILED_DOUBT}"] if digit.spoiled else []
    if digit.cut:
        return [f"digit {place} is cut by the border"]
    return [
        f"digit {place} is doubtful ({digit.digit} at {format_confidence(digit.confidence, 0)})"
    ]


def _describe_ink(parts: Sequence[Part], place: int) -> str:
    count = sum(part.kind == "digit" for part in parts[:place])
    if count == 0:
        return "ink on its left cannot be read"
    if all(part.kind != "digit" for part in parts[place:]):
        return "ink on its right cannot be read"
    return f"ink after digit {count} cannot be read"
