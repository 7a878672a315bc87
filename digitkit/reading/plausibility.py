"""Digits that are none by their shape, or that a hand has struck out or written over.

No digit has the shape of a disc, of a ring around digits, or of a stroke that was cut off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from digitkit.arrays import U8, Box
from digitkit.boxes import gap_beside
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.images.masks import connected_components
from digitkit.reading.combining import DIGITS
from digitkit.reading.crops import sharp_halvings
from digitkit.reading.detections import INK_LEVEL
from digitkit.reading.few_digits import cut_around
from digitkit.reading.fine import find_contrast
from digitkit.reading.line_reader import is_spoiled
from digitkit.reading.lines import Line
from digitkit.reading.results import Digit
from digitkit.reading.rows import RowDigit
from digitkit.reading.single import LoadGrey

MIN_WIDTH = 0.2
"""Minimum width of any digit except 1, as a fraction of its height."""

MIN_LONE_GAP = 1.0
"""A 0 with at least this gap to the other digits of its row, in its height, may be a hole or a
ring."""

MIN_NOT_DIGIT = 0.95
"""A 0 that is alone is rejected if the grey classifier sees no digit there with at least this
probability, 0–1. Discs, such as punched holes, nearly always reach it, and digits do not."""

ROUND = 0.92
"""Minimum ratio of the sides of a circle; most zeros are higher than wide."""

DRAWN_SIDE, DRAWN_LEVELS, DRAWN = 400, 20, 0.5
"""There are other drawings on a page if the ink beside its circles, in an image of this side and
with this many grey levels of local contrast, is at least this many times as much as theirs."""

MAY_BE_SLASHED, MIN_SLASHED, MAX_SPOILED = 0.5, (2, 0.5), 0.05
"""A hand slashes its zeros if at least so many of a page's 0s, and this fraction of them, look
struck out with the first probability, 0–1, and at most the last fraction of its other digits."""

MIN_CONTRAST, PALE = 0.3, 0.4
"""The contrast of a digit is at least this fraction of the usual one of its page; paler ones shine
through from the other side of the paper. The confidence of these is lowered by a factor."""

SAMPLES, DARKEST = 16, 0.05
"""A digit's contrast is that of its darkest and lightest pixels, without this fraction of either;
of at least so many of its rows and columns."""

MIN_INNER_HEIGHT = 0.35
"""Minimum height of separate ink inside a 0, as a fraction of its height, at which it is a ring
around a digit."""


def reject_implausible(
    digits: Sequence[Digit], members: Sequence[RowDigit], image: GreyImage, load_grey: LoadGrey
) -> tuple[Digit, ...]:
    """Reject digits with a shape that no digit has.

    Args:
        digits: of an image.
        members: the same, before marks decided about them.
        image: that image.
        load_grey: returns the grey classifier.

    Raises:
        ModelError: the grey classifier cannot be loaded.
        ModelRunError: ONNX Runtime fails.
    """
    accepted = [i for i, digit in enumerate(digits) if digit.accepted]
    none = {i for i in accepted if digits[i].digit != 1 and _is_stroke(digits[i])}
    zeros = [i for i in accepted if digits[i].digit == 0 and _is_alone(digits[i], digits)]
    if zeros:
        probabilities = load_grey().classify([cut_around(image, members[i]) for i in zeros])
        discs = probabilities[:, DIGITS:].sum(1) >= MIN_NOT_DIGIT
        none |= {
            i for i, is_disc in zip(zeros, discs.tolist(), strict=True)
            if is_disc or is_ring(members[i].detection.ink)
        }  # fmt: skip
        if zeros == accepted and _are_drawings([digits[i].row_box for i in zeros], image):
            none.update(zeros)
    return tuple(
        replace(digit, accepted=False, confidence=0.0, is_digit=0.0) if i in none else digit
        for i, digit in enumerate(digits)
    )


def _are_drawings(boxes: Sequence[Box], image: GreyImage) -> bool:
    """Whether the only digits of a page, zeros with these boxes, are circles among drawings."""
    if any(min(w, h) < ROUND * max(w, h) for _, _, w, h in boxes):
        return False
    halvings = image.halvings_to(DRAWN_SIDE)
    ink = find_contrast(image.halved(halvings), DRAWN_LEVELS)
    total, circles = cv2.countNonZero(ink), 0
    for box in boxes:
        x, y, w, h = (side >> halvings for side in box)
        circles += cv2.countNonZero(ink[max(y - 2, 0) : y + h + 3, max(x - 2, 0) : x + w + 3])
    return total - circles >= DRAWN * circles


def mark_spoiled(digits: Sequence[Digit], lines: Mapping[int, Line]) -> tuple[Digit, ...]:
    """The digits, with `Digit.spoiled` where the line reader sees it; slashed zeros are not.

    Args:
        digits: of an image.
        lines: its rows, by their numbers.
    """
    marked, slashed, others = list[Digit](), list[bool](), list[bool]()
    for digit in digits:
        line = lines.get(digit.row)
        probabilities = line.probabilities_at(digit.box) if line else None
        marked.append(replace(digit, spoiled=is_spoiled(probabilities)))
        if digit.accepted and digit.digit == 0:
            slashed.append(is_spoiled(probabilities, MAY_BE_SLASHED))
        elif digit.accepted:
            others.append(marked[-1].spoiled)
    count, share = MIN_SLASHED
    slashes_zeros = sum(slashed) >= max(count, share * len(slashed))
    if not slashes_zeros or sum(others) > MAX_SPOILED * len(others):
        return tuple(marked)
    return tuple(replace(each, spoiled=each.spoiled and each.digit != 0) for each in marked)


def doubt_pale(digits: Sequence[Digit], image: GreyImage) -> tuple[Digit, ...]:
    """The digits; those that are far paler than most of their page are not accepted.

    Args:
        digits: of an image.
        image: that image.
    """
    contrasts = {i: _contrast(each.box, image) for i, each in enumerate(digits) if each.accepted}
    if not contrasts:
        return tuple(digits)
    least = MIN_CONTRAST * float(np.median(list(contrasts.values())))
    return tuple(
        replace(
            digit,
            accepted=False,
            confidence=digit.confidence * PALE,
            is_digit=digit.is_digit * PALE,
        )
        if contrasts.get(i, least) < least
        else digit
        for i, digit in enumerate(digits)
    )


def _contrast(box: Box, image: GreyImage) -> float:
    """How much ink differs from paper, relative to both (after Michelson), 0–1."""
    halvings = sharp_halvings(image, box[3])
    x, y, w, h = (side >> halvings for side in box)
    part = image.halved(halvings)[y : y + max(h, 1), x : x + max(w, 1)]
    part = part[:: max(1, part.shape[0] // SAMPLES), :: max(1, part.shape[1] // SAMPLES)]
    levels = np.sort(part, axis=None).astype(np.float64)
    low, high = (float(levels[round(q * (len(levels) - 1))]) for q in (DARKEST, 1 - DARKEST))
    return (high - low) / max(high + low, 1.0)


def _is_stroke(digit: Digit) -> bool:
    _, _, width, height = digit.row_box
    return width < MIN_WIDTH * height


def _is_alone(digit: Digit, digits: Sequence[Digit]) -> bool:
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
