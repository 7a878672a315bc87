"""The second look: digits that the detector missed, or took only a part of, and letters.

In the rows of digits that are known, all other ink is read (`digitkit.reading.spans`). What is a
digit beside another one was missed. Where most of what stands together is none, it is a word, and
what was taken for digits in it are letters.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from digitkit.images.grey import GreyImage
from digitkit.reading.detections import Classify
from digitkit.reading.spans import Span, find_spans, group_spans, is_same
from digitkit.reading.strips import Member, Strip, group_rows

SURE_SHAPE = 0.93
"""Ink is a digit if the classifier is as sure as this; more than where the detector saw one."""

BESIDE, MOSTLY = 0.6, 0.75
"""Ink that is at most the first apart, in heights, is of one number or word: of a number if one of
its digits is known, and at least the second of its pieces are digits."""

WORD_REACH, WORD_GAP, MIN_LETTERS, LETTERS_PER_DIGIT = 1.8, 0.3, 1.3, 0.7
"""Words are looked for up to the first beyond a row's digits, in heights. Ink that is at most the
second apart is a word if at least the third of other pieces are in it, and at least the fourth for
each digit; a piece counts by how little it looks like a digit. Two letters beside what may be one
make a word; one may be a unit or a sign."""

UNIT = 1.5
"""Behind two or more digits there may be a unit: so many letters count as one."""

MAYBE_LETTER = 0.5
"""With as much of a letter beside its digits, a row is looked at as far as words reach."""

ROUNDS = 3
"""A row that has grown is looked at again, so many times."""


def look_again(
    image: GreyImage, members: Sequence[Member], classify_all: Classify, min_confidence: float
) -> tuple[list[Member], dict[int, Strip]]:
    """Find the digits of an image's rows that were not detected, and doubt letters among them.

    Args:
        image: that the digits were found in.
        members: the digits that are reported, with their rows, in reading order.
        classify_all: classifies detections.
        min_confidence: threshold for a digit to be accepted, 0–1.

    Returns:
        The members in reading order with those that were found, without those that these replace,
        letters no longer accepted; and the strips of the rows with an accepted digit.
    """
    sure = max(SURE_SHAPE, min_confidence)
    found, strips = list(members), dict[int, Strip]()
    with_letters = set[int]()  # rows that may have such beside a digit
    pending = _accepted_rows(found)
    for rounds_left in reversed(range(ROUNDS + 1)):
        rows, grown = group_rows(found), set[int]()
        with_letters -= pending  # the last look decides
        for row in sorted(pending):
            strips[row] = Strip(image, rows[row])
            spans = find_spans(strips[row], found, classify_all, sure)
            for new, replaced in _choose_new(spans) if rounds_left else ():
                found = _insert(found, new, replaced)
                grown.add(row)
            if any(letters >= MAYBE_LETTER for _, letters in _count_letters(spans)):
                with_letters.add(row)
        pending = grown
    rows = group_rows(found)
    wider = (Strip(image, rows[row], WORD_REACH) for row in sorted(with_letters))
    in_words = [find_spans(strip, found, classify_all, sure) for strip in wider]
    found = _doubt_letters(found, in_words, min_confidence)
    kept = _accepted_rows(found)
    return found, {row: strip for row, strip in strips.items() if row in kept}


def _accepted_rows(members: Sequence[Member]) -> set[int]:
    return {member.digit.row for member in members if member.digit.accepted}


def _insert(
    members: Sequence[Member], new: Sequence[Member], replaced: Sequence[Member]
) -> list[Member]:
    """The members in reading order with new ones, without those that these replace."""

    def is_replaced(member: Member) -> bool:
        same = any(is_same(member, each) for each in new)
        return (same and not member.digit.accepted) or any(member is each for each in replaced)

    kept = [member for member in members if not is_replaced(member)]

    def place(member: Member) -> tuple[int, int]:
        x, _, w, _ = member.digit.row_box
        return member.digit.row, 2 * x + w

    return sorted([*kept, *new], key=place)


def _choose_new(spans: Sequence[Span]) -> Iterator[tuple[Sequence[Member], Sequence[Member]]]:
    """The digits that were found: of ink in a word some looks like digits, in a number almost all.

    Yields:
        New members, and the accepted ones that they replace.
    """
    if not any(span.found for span in spans):
        return
    for group in group_spans(spans, BESIDE):
        read = sum(bool(span.known or span.found) for span in group)
        is_known = any(span.known or span.replaced for span in group)
        if is_known and read >= MOSTLY * len(group):
            for span in group:
                if span.found:
                    yield span.found, span.replaced


def _doubt_letters(
    members: Sequence[Member], rows: Iterable[Sequence[Span]], min_confidence: float
) -> list[Member]:
    """The members; accepted ones in words with the confidence that they are digits all the same."""
    factors = dict[int, float]()
    for spans in rows:
        for known, letters in _count_letters(spans):
            if letters >= max(MIN_LETTERS, LETTERS_PER_DIGIT * len(known)):
                factor = len(known) / (len(known) + letters)
                factors |= dict.fromkeys(map(id, known), factor)
    return [
        _lower(each, factors[id(each)], min_confidence) if id(each) in factors else each
        for each in members
    ]


def _count_letters(spans: Sequence[Span]) -> Iterator[tuple[list[Member], float]]:
    """The digits of each group of ink with digits, and how many letters stand among them."""
    for group in group_spans(spans, WORD_GAP):
        digits = [[span.known] if span.known else [*span.replaced] for span in group]
        known = list(itertools.chain(*digits))
        letters = sum(span.doubt for span in group)
        behind = itertools.dropwhile(bool, digits)
        if len(known) >= 2 and not any(behind):
            letters /= UNIT
        if known:
            yield known, letters


def _lower(member: Member, factor: float, min_confidence: float) -> Member:
    """A member whose confidence is lower by a factor."""
    digit = member.digit
    confidence = digit.confidence * factor
    lowered = replace(
        digit,
        confidence=confidence,
        is_digit=digit.is_digit * factor,
        accepted=digit.accepted and confidence >= min_confidence,
    )
    return member._replace(digit=lowered)
