"""Grouping: which neighbouring parts of a row are one number.

All distances are in heights of the row's digits.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from digitkit.reading.numbers.parts import Part, are_in_neighbouring_boxes, digit_gaps

MAX_INK_DISTANCE = 0.4
"""Ink this close to a number belongs to it, or may."""

MAX_POINT_GAP = 0.7
"""Maximum distance of a decimal separator from the digits on both sides, in heights."""

MAX_JOIN_DISTANCE = 1.0
"""Maximum distance of a point or comma from two numbers that it may join, in heights; see
`MAX_POINT_GAP` for those that it does join."""

MIN_GAP_BEHIND, MIN_STOP_GAP, MIN_BEHIND_RATIO = 0.3, 0.45, 1.4
"""A point or comma joins no numbers if the gap behind it has the first width and is so many times
as wide as that before it; from the second width on it is a full stop or the comma of a list, or the
second point of a date."""

MIN_AFTER_DATE, YEAR_DIGITS = 0.7, (2, 4)
"""What is at least so far behind the second point of a date, in heights, is not its year, unless it
has so many digits and no sign behind them, as a time has."""

MAX_PRICE_DASH_GAP = 0.3
"""Maximum gap between the separator and the dash of a price without cents, in heights."""

MAX_DAY, MAX_MONTH = 31, 12
"""Greatest numbers before the first and the second point of a date."""

MIN_LETTER_POINT_GAP = 0.25
"""The point of an abbreviation is nearer to its letter than to the number, and at least so far from
that."""

MAX_SURE_MINUS_GAP, MAX_MINUS_GAP = 0.5, 0.6
"""Maximum gap between a minus and its number, in heights. From the first value on it is doubtful,
since it may be the bullet of a list."""

MIN_BEFORE_MINUS = 0.9
"""Minimum gap between a leading minus and what is before it, in heights, unless that is a ruled
line or an operator, or the minus is much closer to its number (`is_minus_by_gaps`)."""

MAX_CLOSE_MINUS_GAP, MIN_BEFORE_RATIO = 0.3, 2.0
"""A dash after something that is not a digit, such as a word, is a minus if the gap to its number
is at most the first value, in heights, and the gap before it is at least so many times as wide."""

MIN_AFTER_NUMBER = 0.6
"""After another number such a dash is a minus if the gap before it is at least this wide, in
heights: the gaps beside an operator are alike."""

MIN_AFTER_OPERATOR = 0.1
"""Minimum distance of a leading minus from an operator before it, in heights; an operator is a sign
that is lower than digits."""

MAX_FIRST_MINUS_GAP = 1.3
"""Maximum distance of a dash at the beginning of a row from a number whose minus it may be, in
heights."""

MIN_FRACTION_GAP, MIN_FRACTION_GAP_RATIO = 0.35, 2.0
"""The gap between a whole number and the fraction on its right is at least this wide, in heights,
and so many times as wide as that to the slash and the usual one between other digits."""

LEAST_SLASH_GAP = 0.05
"""Smaller gaps to a slash count as this wide for `MIN_FRACTION_GAP_RATIO`, in heights."""

MAX_DASH_GAP_RATIO = 2.0
"""A number is between two dashes if the gap to one of them is at most so many times as wide as that
to the other one."""

SEPARATORS = ("point", "comma")
"""Kinds of marks that may be decimal separators."""


@dataclass(frozen=True)
class Group:
    """The parts of one number.

    Attributes:
        parts: at least one, from the left.
        before: what is on their left in their row; None for nothing.
        after: what is on their right.
        limit: least gap between two numbers of their row, in heights.
        space: the place of the digit after what may be the gap before a fraction; 0 for none.
    """

    parts: list[Part]
    before: Part | None
    after: Part | None
    limit: float
    space: int = 0

    @property
    def row(self) -> int:
        """The number of their row."""
        return self.parts[0].item.row


def group_parts(parts: Sequence[Part], limit: float) -> Iterator[Group]:
    """The parts of each number of a row, from the left."""
    group: list[Part] = []
    before: Part | None = None
    within = _find_ink_within(parts, limit)
    for i, part in enumerate(parts):
        joined = i in within or (i - 1 in within and part.kind == "digit")
        if group and not joined and not _continues(group, part, limit, before):
            if _is_stop(group, parts[i:]) or _is_price(group, parts[i:]):
                group = group[:-1]
            if _is_framed(group, parts[i:]):
                before, group = group[0], group[1:]
            yield Group(group, before, part, limit)
            before, group = group[-1], []
        after = parts[i + 1] if i + 1 < len(parts) else None
        if not group and not _begins(part, before, after, limit):
            if not _is_speck(parts, i):
                before = part
        else:
            group.append(part)
    if group:
        yield Group(group, before, None, limit)


def _is_framed(group: Sequence[Part], rest: Sequence[Part]) -> bool:
    """Whether a number is between two dashes, as that of a page, the last of which ends its row."""
    if len(group) < 2 or len(rest) > 1 or not group[0].kind == rest[0].kind == "dash":
        return False
    gaps = group[0].gap_to(group[1]), group[-1].gap_to(rest[0])
    return max(gaps) <= MAX_DASH_GAP_RATIO * max(LEAST_SLASH_GAP, min(gaps))


def split_mixed_numbers(groups: Sequence[Group]) -> list[Group]:
    """Divide each whole number from the numerator that stands beside it, as in ``3 5/7``.

    What may be such a gap is not counted for what is usual on the page. One that is as wide as
    others remains in its number, with `Group.space`.

    Args:
        groups: of all rows of a page.
    """
    followed = [*(after.before for after in groups[1:]), None][: len(groups)]
    spaces = [
        _find_space_at_slash(group) if group.after is before else None
        for group, before in zip(groups, followed, strict=True)
    ]
    within = Counter(gap for group in groups for gap in digit_gaps(group.parts))
    others = sorted((within - Counter(gap for gap, _ in filter(None, spaces))).elements())
    usual = others[(len(others) - 1) // 2] if others else 0.0
    divided = list[Group]()
    for group, space in zip(groups, spaces, strict=True):
        if not space:
            divided.append(group)
            continue
        gap, place = space
        if gap >= MIN_FRACTION_GAP_RATIO * usual:
            before, after = group.parts[:place], group.parts[place:]
            divided.append(replace(group, parts=before, after=after[0]))
            divided.append(replace(group, parts=after, before=before[-1]))
        else:
            divided.append(replace(group, space=place))
    return divided


def _find_space_at_slash(group: Group) -> tuple[float, int] | None:
    """The gap before what may be a numerator in a group of digits, and the numerator's place."""
    parts, after = group.parts, group.after
    if after is None or after.kind != "sign" or not after.is_tall:
        return None
    if len(parts) < 2 or any(part.kind != "digit" or part.cell is not None for part in parts):
        return None
    *others, space = sorted((a.gap_to(b), i) for i, (a, b) in enumerate(pairwise(parts), 1))
    close = max(LEAST_SLASH_GAP, parts[-1].gap_to(after), *(gap for gap, _ in others))
    return space if space[0] >= max(MIN_FRACTION_GAP, MIN_FRACTION_GAP_RATIO * close) else None


def _find_ink_within(parts: Sequence[Part], limit: float) -> set[int]:
    """Places of ink that stands like a digit of a number between two others."""
    return {
        i
        for i in range(1, len(parts) - 1)
        if [each.kind for each in parts[i - 1 : i + 2]] == ["digit", "ink", "digit"]
        and parts[i - 1].gap_to(parts[i]) < limit
        and parts[i].gap_to(parts[i + 1]) < limit
    }


def _continues(group: Sequence[Part], part: Part, limit: float, before: Part | None) -> bool:
    """Whether a part belongs to the number on its left; `before` is what is before that."""
    last = group[-1]
    gap = last.gap_to(part)
    if math.isinf(limit):
        return part.kind != "line"
    if part.kind in ("line", "sign", "dash", "letter"):
        return False
    if "apostrophe" in (part.kind, last.kind):
        return "digit" in (part.kind, last.kind)
    if part.kind in SEPARATORS:
        return last.kind in ("digit", "ink") and gap <= MAX_POINT_GAP
    if last.kind in SEPARATORS:
        is_close = gap <= MAX_POINT_GAP and not _is_spaced(group, part)
        return part.kind in ("digit", "ink") and is_close
    if last.kind == "dash":
        is_first = before is None or before.kind == "line"
        return part.kind == "digit" and gap <= (MAX_FIRST_MINUS_GAP if is_first else MAX_MINUS_GAP)
    if "ink" not in (part.kind, last.kind):
        if last.cell is not None and part.cell is not None:
            return are_in_neighbouring_boxes(last, part) or last.cell == part.cell
        return gap < limit
    # What is between two digits of a number belongs to it as well.
    digits = [each for each in group if each.kind == "digit"]
    within = part.kind == "digit" and digits and digits[-1].gap_to(part) < limit
    ink = part if part.kind == "ink" else last
    near = max(MAX_INK_DISTANCE, limit) if ink.is_tall else MAX_INK_DISTANCE
    return bool(within) or gap <= near


def _is_spaced(group: Sequence[Part], part: Part) -> bool:
    """Whether a number ends with a separator that is closer to it than to the next part."""
    if len(group) < 2 or group[-1].kind not in SEPARATORS:
        return False
    before, after = group[-2].gap_to(group[-1]), group[-1].gap_to(part)
    return after >= max(MIN_GAP_BEHIND, MIN_BEHIND_RATIO * before)


def _is_stop(group: Sequence[Part], rest: Sequence[Part]) -> bool:
    """Whether the separator at the end of a number joins nothing, as a full stop.

    Args:
        group: the number.
        rest: what is behind it in its row, at least one part.
    """
    if not _is_spaced(group, rest[0]):
        return False
    if all(part.kind == "letter" for part in rest[:2]) and len(rest) > 1:
        return True
    gap = group[-1].gap_to(rest[0])
    if not _may_be_date(group):
        return gap >= MIN_STOP_GAP
    count = next((i for i, part in enumerate(rest) if part.kind != "digit"), len(rest))
    is_time = count < len(rest) and rest[count].kind == "sign"
    return gap >= MIN_AFTER_DATE and (is_time or count not in YEAR_DIGITS)


def _is_price(group: Sequence[Part], rest: Sequence[Part]) -> bool:
    """Whether a number ends with a separator and a dash, as prices without cents do: ``5,-``."""
    if len(group) < 2 or group[-1].kind not in SEPARATORS or rest[0].kind != "dash":
        return False
    is_close = group[-1].gap_to(rest[0]) <= MAX_PRICE_DASH_GAP
    return is_close and (len(rest) == 1 or rest[0].gap_to(rest[1]) > MAX_POINT_GAP)


def _may_be_date(group: Sequence[Part]) -> bool:
    """Whether a number with a point after it may be the day and the month of a date."""
    signs = [i for i, part in enumerate(group) if part.kind != "digit"]
    if len(signs) != 2 or any(group[i].kind != "point" for i in signs):
        return False
    first, second = signs
    day, month = _value(group[:first]), _value(group[first + 1 : second])
    return second == len(group) - 1 and 0 < day <= MAX_DAY and 0 < month <= MAX_MONTH


def _value(digits: Iterable[Part]) -> int:
    """The number that some digits are; 0 for none."""
    return int("".join(str(part.digit.digit) for part in digits if part.digit) or "0")


def _begins(part: Part, before: Part | None, after: Part | None, limit: float) -> bool:
    """Whether a number may begin with a part, by what is before and after it."""
    if part.kind == "dash":
        if before is None or before.kind == "line":
            return True
        is_operator = before.kind == "sign" and not before.is_tall
        gap = before.gap_to(part)
        if gap >= (MIN_AFTER_OPERATOR if is_operator else MIN_BEFORE_MINUS):
            return True
        is_apart = before.digit is None or not before.digit.accepted or gap >= MIN_AFTER_NUMBER
        return (
            is_apart
            and after is not None
            and after.kind == "digit"
            and is_minus_by_gaps(gap, part.gap_to(after))
        )
    # What is before the only number of an image belongs to it, too.
    is_before = math.isinf(limit) and part.kind in ("letter", "sign")
    return part.kind in ("digit", "ink") or is_before


def is_minus_by_gaps(before: float, after: float) -> bool:
    """Whether a dash is a minus because it is much closer to its number than to what is before it.

    Args:
        before: the gap between what is before it and the dash, in heights.
        after: that between the dash and the number.
    """
    return after <= MAX_CLOSE_MINUS_GAP and before >= max(
        MAX_CLOSE_MINUS_GAP, MIN_BEFORE_RATIO * after
    )


def _is_speck(parts: Sequence[Part], place: int) -> bool:
    """Whether what looks like a point or a comma belongs to no number on its right.

    It is far from it, with no digit or ink near on its left, or the point of an abbreviation.
    """
    part = parts[place]
    if part.kind not in SEPARATORS:
        return False
    after = part.gap_to(parts[place + 1]) if place + 1 < len(parts) else math.inf
    before = parts[place - 1] if place else None
    if before and before.kind == "letter":
        return after > max(before.gap_to(part), MIN_LETTER_POINT_GAP)
    is_near = (
        before and before.kind in ("digit", "ink") and before.gap_to(part) <= MAX_JOIN_DISTANCE
    )
    return not is_near and after > MAX_POINT_GAP
