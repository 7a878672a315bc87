"""Slanted handwriting: how far it leans, and its rows as they are read when it is made upright.

Slanted digits reach over their neighbours, so that the detector sees fewer of them, or none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from digitkit.arrays import F64, U8
from digitkit.boxes import clip_box, map_edges
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.reading.detection.detections import Detection, PageContent
from digitkit.reading.detection.order import number_rows
from digitkit.reading.numbers.finding import find_numbers
from digitkit.reading.results import Digit, Mark, Number, group_by_row

MIN_SCORE = 0.4
"""Detections with a lower score of the detector do not show a slant, 0–1."""

UPRIGHT_LEAN = 0.08
"""Mean lean of the ink of upright digits, as that of 7 and 9 is not symmetrical; see `_lean`."""

LEAN_PER_SLANT = 0.85
"""How much more the ink of digits leans when these are slanted by 1."""

MIN_SLANT, MAX_SLANT = 0.2, 0.8
"""Writing that is slanted less is read as it is, and more is taken for this: pixels to the right
for one upwards."""

MIN_CLEAR_COUNT = 3
"""With fewer detections of a high score, the others show the slant, too."""

MIN_LEANS, SURE_ERRORS = 2, 1.5
"""Where no digit is accepted, a slant is told from at least this many detections, and must exceed
`MIN_SLANT` by this many standard errors: shapes that are not digits lean to either side."""

MAX_SAME_DISTANCE = 0.4
"""Digits whose middles are closer than this are the same one, read twice; in heights."""

LONE_DIGITS = 2
"""Where nothing is accepted as it is, at least this many digits must be upright: a single one may
be any shape that leans."""

_Found = TypeVar("_Found", Digit, Mark)


def estimate_slant(detections: Sequence[Detection], *, has_digits: bool) -> float:
    """How far writing is slanted to the right, pixels for one upwards; 0 where it is little.

    Where lines are tilted it is 0, as their digits lean, too.

    Args:
        detections: of an image.
        has_digits: whether some of them are digits for sure.
    """
    if any(each.level_box for each in detections):
        return 0.0
    parts = [each for each in detections if not each.whole_image]
    clear = [each for each in parts if each.score >= MIN_SCORE]
    leans = [_lean(each.ink) for each in (clear if len(clear) >= MIN_CLEAR_COUNT else parts)]
    if len(leans) < (1 if has_digits else MIN_LEANS):
        return 0.0
    slant = (float(np.mean(leans)) - UPRIGHT_LEAN) / LEAN_PER_SLANT
    doubt = 0.0 if has_digits else SURE_ERRORS * float(np.std(leans)) / math.sqrt(len(leans))
    if abs(slant) < MIN_SLANT + doubt:
        return 0.0
    return max(-MAX_SLANT, min(MAX_SLANT, slant))


def _lean(ink: U8) -> float:
    """How far ink leans to the right by its second moments, pixels for one upwards."""
    moments = cv2.moments(ink)
    return -moments["mu11"] / moments["mu02"] if moments["mu02"] else 0.0


def deslant(image: GreyImage, slant: float) -> GreyImage:
    """The image sheared so that writing with this slant is upright; rows stay at their heights."""
    height, width = image.shape
    wider = width + round(abs(slant) * height)
    around = float(np.median(image.reduced[::8, ::8]))

    def make(times: int) -> U8:
        grey = image.halved(times)
        size = max(1, wider >> times), grey.shape[0]
        matrix = _shear(slant, grey.shape[0])
        return np.asarray(cv2.warpAffine(grey, matrix, size, borderValue=around), np.uint8)

    return GreyImage((height, wider), make, image.halvings)


def _shear(slant: float, height: int) -> F64:
    """From places in an image of this height to those in the sheared one, float64 ``[2, 3]``."""
    return np.array([[1, slant, max(0.0, -slant) * height], [0, 1, 0]], np.float64)


def undo_deslant(upright: PageContent, slant: float, shape: tuple[int, int]) -> PageContent:
    """What was read in a sheared image, as it is in the image itself, of this shape."""
    middles = _middles(upright.digits)
    back = np.asarray(cv2.invertAffineTransform(_shear(slant, shape[0])), np.float64)

    def put_back(found: _Found) -> _Found:
        x, y, w, h = found.box
        left, top, right, bottom = map_edges(found.box, back)
        box = clip_box(left, top, right - left, bottom - top, shape[1], shape[0])
        # Its row is level as it is; only moved, so that columns stay above each other.
        start = round(float(back[0] @ (x, middles.get(found.row, y + h / 2), 1)))
        return replace(found, box=box, level_box=(start, y, w, h))

    digits = (_doubt_at_border(put_back(digit), shape[1]) for digit in upright.digits)
    return upright._replace(digits=tuple(digits), marks=tuple(map(put_back, upright.marks)))


def _doubt_at_border(digit: Digit, width: int) -> Digit:
    """A digit; cut where it meets a side border, which the sheared image does not have."""
    x, _, w, _ = digit.box
    return replace(digit, cut=True, accepted=False) if x <= 0 or x + w >= width else digit


def _middles(digits: Sequence[Digit]) -> dict[int, float]:
    """How far down the middle of each row is, pixels."""
    return {
        row: float(np.mean([digit.box[1] + digit.box[3] / 2 for digit in own]))
        for row, own in group_by_row(digits).items()
    }


# --- two readings of one image ---


def is_clear(content: PageContent) -> bool:
    """Whether there are numbers, and all of their ink is read."""
    numbers = find_numbers(content.digits, content.marks)
    return bool(numbers) and not any("?" in number.text for number in numbers)


def choose_rows(as_is: PageContent, upright: PageContent) -> PageContent:
    """The rows of an image as they are, or where that shows more, as they are upright.

    A row is read upright if more of its digits are in complete numbers then, and if nothing
    contradicts that: each digit that was seen is the same, or a sign between others, and no number
    falls apart at a gap. Where no digit is accepted as it is, none of the others may be in doubt.

    Args:
        as_is: read from the image as it is.
        upright: read from it when its writing was made upright, placed as in the image.
    """
    first, second = (find_numbers(each.digits, each.marks) for each in (as_is, upright))
    if not any(digit.accepted for digit in as_is.digits):
        is_sure = len(upright.digits) >= LONE_DIGITS and _is_whole(upright.digits, second)
        return upright if is_sure else as_is
    digits, marks = list(as_is.digits), list(as_is.marks)
    order = list(dict.fromkeys([*(each.row for each in digits), *(each.row for each in marks)]))
    for old, new in _pair_rows(as_is.digits, upright.digits):
        before = _Part.of(as_is, first, old)
        after = _Part.of(upright, second, new)
        if after.shows_more(before):
            places = dict(zip(new, old, strict=False))
            digits = [digit for digit in digits if digit.row not in old]
            marks = [mark for mark in marks if mark.row not in old]
            digits += _move(after.digits, places)
            marks += _move([mark for mark in upright.marks if mark.row in new], places)
    ordered, numbered = number_rows(digits, marks, order)
    return as_is._replace(digits=ordered, marks=numbered)


def _is_whole(digits: Sequence[Digit], numbers: Sequence[Number]) -> bool:
    return all(each.accepted for each in digits) and all(each.complete for each in numbers)


def _move(found: Sequence[_Found], places: Mapping[int, int]) -> Iterator[_Found]:
    return (replace(each, row=places[each.row]) for each in found)


def _pair_rows(
    first: Sequence[Digit], second: Sequence[Digit]
) -> Iterator[tuple[list[int], list[int]]]:
    """Rows of two readings that are at the same height; the second has no more of them there.

    The middle halves of digits at one height overlap, directly or by others between them.
    """
    spans: list[tuple[float, float, int, int]] = sorted(
        (digit.box[1] + digit.box[3] / 4, digit.box[1] + digit.box[3] * 3 / 4, i, digit.row)
        for i, digits in enumerate((first, second))
        for digit in digits
    )
    rows: tuple[list[int], list[int]] = ([], [])
    bottom = -np.inf
    for top, end, i, row in [*spans, (np.inf, np.inf, 0, 0)]:
        if top > bottom:
            if 0 < len(rows[1]) <= len(rows[0]):
                yield rows
            rows = ([], [])
        if row not in rows[i]:
            rows[i].append(row)
        bottom = max(bottom, end)


@dataclass(frozen=True)
class _Part:
    """What one reading has at some height.

    Attributes:
        digits: in reading order.
        numbers: that are made of them.
        signs: between digits.
        letters: in its rows.
    """

    digits: tuple[Digit, ...]
    numbers: tuple[Number, ...]
    signs: tuple[Mark, ...]
    letters: tuple[Mark, ...]

    @classmethod
    def of(cls, content: PageContent, numbers: Sequence[Number], rows: Sequence[int]) -> _Part:
        """What some rows have."""
        digits = tuple(digit for digit in content.digits if digit.row in rows)
        starts = [digit.row_box[0] for digit in digits]
        marks = [mark for mark in content.marks if mark.row in rows]
        signs = (
            mark
            for mark in marks
            if mark.kind in ("sign", "dash") and min(starts) < mark.row_box[0] < max(starts)
        )
        letters = (mark for mark in marks if mark.kind == "letter")
        own = (each for each in numbers if each.row in rows)
        return cls(digits, tuple(own), tuple(signs), tuple(letters))

    def shows_more(self, other: _Part) -> bool:
        """Whether more of it is in complete numbers, and it agrees with the other in all else."""
        return (
            self._complete > other._complete
            and len(self.numbers) <= len(other.numbers) + len(self.signs)
            and self._length + len(self.signs) >= other._length
            and all(map(self._agrees, other.digits))
            and all(self._confirms(number, other.letters) for number in other.numbers)
        )

    @property
    def _complete(self) -> int:
        """The number of digits in complete numbers."""
        return sum(len(number.digits) for number in self.numbers if number.complete)

    @property
    def _length(self) -> int:
        """The number of digits and of other ink that is in numbers."""
        return sum(len(number.text) for number in self.numbers)

    def _confirms(self, number: Number, letters: Sequence[Mark]) -> bool:
        """Whether a number of another reading is the same here, unless some of it is not read.

        Or a piece of one here, which goes on where that reading has a letter.
        """
        return "?" in number.text or any(
            (each.text, each.complete) == (number.text, number.complete)
            or (number.text in each.text and any(_nearest(d, letters) for d in each.digits))
            for each in self.numbers
        )

    def _agrees(self, digit: Digit) -> bool:
        """Whether a digit of another reading is the same here, or a sign if it is accepted."""
        accepted = [each for each in self.digits if each.accepted]
        same = _nearest(digit, accepted)
        if same is None:
            return not digit.accepted or _nearest(digit, self.signs) is not None
        return same.digit == digit.digit


def _nearest(digit: Digit, others: Sequence[_Found]) -> _Found | None:
    """What is at the place of a digit in its row; None where nothing is."""
    x, _, width, height = digit.box

    def distance(other: _Found) -> float:
        left, _, wide, _ = other.box
        return abs(x + width / 2 - left - wide / 2) / height

    near = [other for other in others if distance(other) < MAX_SAME_DISTANCE]
    return min(near, key=distance, default=None)
