"""Digits that are none by their shape, or that a hand has struck out or written over.

No digit has the shape of a disc, of a ring around digits, or of a stroke that was cut off.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from digitkit.arrays import U8, Box
from digitkit.boxes import gap_beside
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.images.masks import connected_components
from digitkit.reading.detection.crops import crop_halved, sharp_halvings
from digitkit.reading.detection.detections import INK_LEVEL
from digitkit.reading.detection.single import LoadGrey
from digitkit.reading.digits.few_digits import cut_around
from digitkit.reading.digits.words import doubt_digits
from digitkit.reading.networks.combining import DIGITS
from digitkit.reading.networks.line_reader import is_spoiled, letter_probability
from digitkit.reading.results import Digit, Mark, group_by_row
from digitkit.reading.rows.layout import RowDigit
from digitkit.reading.rows.lines import TextLine

MIN_WIDTH = 0.2
"""Minimum width of any digit except 1, as a fraction of its height."""

MIN_LONE_GAP = 1.0
"""A 0 with at least this gap to the other digits of its row, in its height, may be a hole or a
ring."""

MIN_NOT_DIGIT = 0.95
"""A 0 that is alone is rejected if the grey classifier sees no digit there with at least this
probability, 0–1. Discs, such as punched holes, nearly always reach it, and digits do not."""

MIN_MAY_BE_SLASHED, MIN_SLASHED, MIN_SLASHED_SHARE, MAX_SPOILED = 0.5, 2, 0.5, 0.05
"""A hand slashes its zeros if at least so many of a page's 0s, and this fraction of them, look
struck out with the first probability, 0–1, and at most the last fraction of its other digits."""

MIN_HOLE, MIN_OTHER_HOLE, MIN_HOLE_SHIFT, MIN_HOLE_DROP, HOLES_HEIGHT = 0.008, 0.001, 0.02, 0.1, 48
"""A slash through a zero leaves two holes of at least the first area, in squares of the zero's
height, and no other of the second; the lower one is so far to the right of the upper one and below
it, in heights. They are looked for in ink of at least the last height, pixels."""

MAX_SLASHED_HEIGHT = 1.25
"""Maximum height of such a zero, in heights of the digits: a longer slash strikes it out."""

MAX_RARE_LETTERS, MIN_LIKELY_LETTER = 0.1, 0.8
"""Letters are rare on a page with less than the first fraction of them, of its digits. Digits that
the row shows as letters with the second probability are counted, too."""

MIN_LETTER_BESIDE, MIN_LETTER_APART, MIN_LETTER_GAP = (0.95, 0.8), (0.985, 0.9), 0.6
"""A digit is doubtful if the row shows it as a letter with the first probability of a pair where
letters are rare, and with the second where they are not; of the second pair if its gap to others is
larger than the last value, in its height, as there is little to compare it with."""

MIN_LIKE_LETTER, MIN_ALIKE, MIN_ALIKE_FRACTION = 0.5, 2, 0.5
"""A hand writes a digit like a letter if its row shows so many, and this fraction, of a page's as
one with the first probability, and some stand as no letters do; see `MIN_WITHIN_FRACTION`."""

MIN_WITHIN_FRACTION = 0.25
"""At least this fraction of the digits that look like letters has digits close on both sides; or,
on a page without other letters, on the left only, and as many on the right only."""

MIN_ROW_CONTRAST = 0.3
"""The contrast of a digit is at least this fraction of the usual one of its row; paler ones shine
through from the other side of the paper."""

MIN_SAMPLES = 32
"""A digit's contrast is measured in at least so many of its rows and columns, if it has them."""

MIN_INNER_HEIGHT = 0.35
"""Minimum height of separate ink inside a 0, as a fraction of its height, at which it is a ring
around a digit."""


def reject_implausible(
    digits: Sequence[Digit], row_digits: Sequence[RowDigit], image: GreyImage, load_grey: LoadGrey
) -> tuple[Digit, ...]:
    """Reject digits with a shape that no digit has.

    Args:
        digits: of an image.
        row_digits: the same, before marks decided about them.
        image: that image.
        load_grey: returns the grey classifier.

    Raises:
        ModelError: the grey classifier cannot be loaded.
        ModelRunError: ONNX Runtime fails.
    """
    accepted = [i for i, digit in enumerate(digits) if digit.accepted]
    none = {i for i in accepted if digits[i].digit != 1 and _is_stroke(digits[i])}
    zeros = [i for i in accepted if digits[i].digit == 0 and is_alone(digits[i], digits)]
    if zeros:
        probabilities = load_grey().classify([cut_around(image, row_digits[i]) for i in zeros])
        discs = probabilities[:, DIGITS:].sum(1) >= MIN_NOT_DIGIT
        none |= {
            i for i, is_disc in zip(zeros, discs.tolist(), strict=True)
            if is_disc or is_ring(row_digits[i].detection.ink)
        }  # fmt: skip
    return tuple(
        replace(digit, accepted=False, confidence=0.0, is_digit=0.0) if i in none else digit
        for i, digit in enumerate(digits)
    )


def mark_spoiled(
    digits: Sequence[Digit], row_digits: Sequence[RowDigit], lines: Mapping[int, TextLine]
) -> tuple[Digit, ...]:
    """The digits, with `Digit.spoiled` where the line reader sees it; slashed zeros are not.

    Args:
        digits: of an image.
        row_digits: the same, before marks decided about them.
        lines: its rows, by their numbers.
    """
    marked, zeros, others = list[Digit](), list[bool](), list[bool]()
    for digit, row_digit in zip(digits, row_digits, strict=True):
        line = lines.get(digit.row)
        probabilities = line.probabilities_at(digit.box) if line else None
        spoiled = is_spoiled(probabilities)
        if digit.accepted and digit.digit == 0:
            zeros.append(is_spoiled(probabilities, MIN_MAY_BE_SLASHED))
        elif digit.accepted:
            others.append(spoiled)
        if spoiled and line and digit.digit == 0:
            is_high = digit.row_box[3] > MAX_SLASHED_HEIGHT * line.strip.digit_height
            spoiled = is_high or not _is_slashed(row_digit.detection.ink)
        marked.append(replace(digit, spoiled=spoiled))
    slashes_zeros = sum(zeros) >= max(MIN_SLASHED, MIN_SLASHED_SHARE * len(zeros))
    if not slashes_zeros or sum(others) > MAX_SPOILED * len(others):
        return tuple(marked)
    return tuple(replace(each, spoiled=each.spoiled and each.digit != 0) for each in marked)


def _is_slashed(ink: U8) -> bool:
    """Whether a zero has one stroke through it, from its lower left to its upper right.

    It leaves two holes, of which the upper one is further to the left.

    Args:
        ink: of the zero, bright on dark, uint8 ``[h, w]``.
    """
    scale = max(1, math.ceil(HOLES_HEIGHT / ink.shape[0]))
    enlarged = cv2.resize(ink, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    height = enlarged.shape[0]
    paper = np.pad(enlarged <= INK_LEVEL, 1, constant_values=True).astype(np.uint8)
    count, _, stats, centres = cv2.connectedComponentsWithStats(paper, connectivity=4)
    areas = stats[:, cv2.CC_STAT_AREA] / height**2
    is_inside = stats[:, cv2.CC_STAT_LEFT] > 0
    holes = [i for i in range(1, count) if areas[i] >= MIN_OTHER_HOLE and is_inside[i]]
    if len(holes) != 2 or areas[holes].min() < MIN_HOLE:
        return False
    upper, lower = sorted(holes, key=lambda i: centres[i, 1])
    right, down = (centres[lower] - centres[upper]) / height
    return bool(right >= MIN_HOLE_SHIFT and down >= MIN_HOLE_DROP)


def doubt_letters(
    digits: Sequence[Digit], marks: Sequence[Mark], lines: Mapping[int, TextLine]
) -> tuple[Digit, ...]:
    """The digits; those that the line reader takes for letters are not accepted.

    Args:
        digits: of an image.
        marks: of its rows.
        lines: the rows, by their numbers.
    """
    shown = dict[Digit, float]()
    for digit in digits:
        line = lines.get(digit.row)
        if digit.accepted and line:
            shown[digit] = letter_probability(line.probabilities_at(digit.box))
    rows, count = group_by_row(shown), len(shown)
    letters = sum(mark.kind == "letter" for mark in marks)
    own_forms = _find_own_forms(shown, rows, has_letters=letters > 0)
    shown = {digit: value for digit, value in shown.items() if digit.digit not in own_forms}
    letters += sum(probability >= MIN_LIKELY_LETTER for probability in shown.values())

    def is_letter(digit: Digit) -> bool:
        row = (each.row_box for each in rows[digit.row] if each is not digit)
        is_alone = gap_beside(digit.row_box, row) > MIN_LETTER_GAP * digit.row_box[3]
        others = letters - (shown[digit] >= MIN_LIKELY_LETTER) if is_alone else letters
        are_likely = others >= max(1, MAX_RARE_LETTERS * count)
        rare, among_others = MIN_LETTER_APART if is_alone else MIN_LETTER_BESIDE
        return shown[digit] >= (among_others if are_likely else rare)

    doubtful = set(filter(is_letter, shown))
    return doubt_digits(digits, doubtful)


def _find_own_forms(
    shown: Mapping[Digit, float], rows: Mapping[int, Sequence[Digit]], *, has_letters: bool
) -> set[int]:
    """The digits that a hand mostly writes like a letter, as a 2 like a Z.

    Letters stand on one side of numbers, such digits on both sides of others, or between them.

    Args:
        shown: the accepted digits of a page, and with which probability each is a letter.
        rows: the same, by their rows.
        has_letters: whether there are others on the page.
    """
    forms = set[int]()
    for value in {digit.digit for digit in shown}:
        alike = [
            digit for digit in shown if digit.digit == value and shown[digit] >= MIN_LIKE_LETTER
        ]
        sides = Counter(_has_neighbours(digit, rows[digit.row]) for digit in alike)
        within = sides[True, True]
        if not has_letters:
            within = max(within, min(sides[True, False], sides[False, True]))
        count = sum(digit.digit == value for digit in shown)
        is_usual = len(alike) >= max(MIN_ALIKE, MIN_ALIKE_FRACTION * count)
        if is_usual and within >= MIN_WITHIN_FRACTION * len(alike):
            forms.add(value)
    return forms


def _has_neighbours(digit: Digit, row: Sequence[Digit]) -> tuple[bool, bool]:
    """Whether there is another digit close on the left, and on the right."""
    left, right = gaps_beside(digit, row)
    return left <= MIN_LETTER_GAP, right <= MIN_LETTER_GAP


def gaps_beside(digit: Digit, row: Sequence[Digit]) -> tuple[float, float]:
    """The gaps to the nearest digits of a row on the left and on the right, in the digit's height.

    A gap is infinite where there is none.
    """
    box = digit.row_box
    left = (each.row_box for each in row if each.row_box[0] < box[0])
    right = (each.row_box for each in row if each.row_box[0] > box[0])
    return gap_beside(box, left) / box[3], gap_beside(box, right) / box[3]


def doubt_pale(digits: Sequence[Digit], image: GreyImage) -> tuple[Digit, ...]:
    """The digits; those that are far paler than most of their row are not accepted.

    Their contrast is that of their darkest pixel, or lightest on dark paper: strokes may be thin.

    Args:
        digits: of an image.
        image: that image.
    """
    pale = set[Digit]()
    for own in group_by_row(digit for digit in digits if digit.accepted).values():
        contrasts = [_contrast(digit.box, image) for digit in own] if len(own) > 1 else []
        least = MIN_ROW_CONTRAST * float(np.median(contrasts)) if contrasts else 0.0
        pale.update(itertools.compress(own, (contrast < least for contrast in contrasts)))
    return doubt_digits(digits, pale)


def _contrast(box: Box, image: GreyImage) -> float:
    """How much the strongest ink in a box differs from paper, relative to both (Michelson), 0–1."""
    halvings = sharp_halvings(image, box[3])
    part = crop_halved(image.halved(halvings), box, halvings)
    part = part[:: max(1, part.shape[0] // MIN_SAMPLES), :: max(1, part.shape[1] // MIN_SAMPLES)]
    if not part.size:
        return 0.0
    levels = np.sort(part, axis=None)
    low, paper, high = (float(levels[i]) for i in (0, len(levels) // 2, -1))
    dark, light = (paper - low) / max(paper + low, 1.0), (high - paper) / max(high + paper, 1.0)
    return max(dark, light)


def _is_stroke(digit: Digit) -> bool:
    _, _, width, height = digit.row_box
    return width < MIN_WIDTH * height


def is_alone(digit: Digit, digits: Iterable[Digit]) -> bool:
    """Whether a digit has no other near it in its row, see `MIN_LONE_GAP`."""
    others = (each.row_box for each in digits if each.row == digit.row and each is not digit)
    return gap_beside(digit.row_box, others) >= MIN_LONE_GAP * digit.row_box[3]


def is_ring(ink: U8) -> bool:
    """Whether ink that looks like a 0 is a ring around a digit.

    Args:
        ink: bright on dark, uint8 ``[h, w]``.
    """
    _, pieces = connected_components(np.asarray(ink > INK_LEVEL, np.uint8))
    if len(pieces) < 3:
        return False
    x, y, w, h, _ = pieces[1 + int(pieces[1:, cv2.CC_STAT_AREA].argmax())].tolist()
    return any(
        height >= MIN_INNER_HEIGHT * h and left > x and top > y and left + width < x + w
        and top + height < y + h
        for left, top, width, height, _ in pieces[1:].tolist()
    )  # fmt: skip
