"""What is written in a field, before anything is decided: each digit, and what it may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from digitkit.arrays import U8, Box
from digitkit.forms.field_ink import FieldInk, to_region
from digitkit.forms.template import FormField
from digitkit.images.cv import cv2
from digitkit.images.normal_form import normal_form
from digitkit.models.classifier import Prediction
from digitkit.reading.fitting import Option, list_options
from digitkit.reading.reader import Reader
from digitkit.reading.results import Digit
from digitkit.sources.frames import Frame

MIN_PROBABILITY = 1e-4
"""Less probable digits are never tried: a rule across fields decides between many."""

SPECK = 0.2
"""Ink that is less high and wide than this, in heights of the field, is dirt."""

SPILL = 0.25
"""A stroke with more than this share of its ink in a neighbouring cell is cut at the border."""

FAINT = 0.1
"""Ink in a digit's edge that is left out, as a share of its darkness."""


@dataclass(frozen=True)
class Mark:
    """One place of a field where a digit may be.

    Attributes:
        options: what it may be, the most likely first; empty for a cell without ink.
        box: of its ink, in pixels of the reference; of the cell where it has none.
    """

    options: tuple[Option, ...]
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Marks:
    """What is written in a field.

    Attributes:
        marks: from left to right; of a comb one for each cell.
        separators: how many digits come before each decimal separator.
        doubts: what else is wrong with it.
    """

    marks: tuple[Mark, ...] = ()
    separators: tuple[int, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is written."""
        return not any(mark.options for mark in self.marks) and not self.doubts


@dataclass(frozen=True)
class CellInk:
    """A cell's own ink.

    Attributes:
        image: in normal form, uint8 ``[28, 28]``; None for an empty cell.
        box: in pixels of the reference.
    """

    image: U8 | None = field(repr=False)
    box: tuple[float, float, float, float]


# --- combs ---


def cut_cells(one: FormField, ink: FieldInk, level: float) -> list[CellInk]:
    """The ink of each cell of a comb.

    A connected stroke belongs to the cell that has most of it, also where it reaches out; one that
    two cells share is cut.

    Args:
        one: the field, with cells.
        ink: of the field.
        level: from which darkness on it is ink.
    """
    left, top, right, bottom = to_region(one.box, ink)
    edges = [(x - ink.origin[0]) * ink.ratio for x, _ in one.cells]
    ends = [(x + w - ink.origin[0]) * ink.ratio for x, w in one.cells]
    borders = [(end + start) / 2 for end, start in zip(ends, edges[1:], strict=False)]
    height, width = ink.ink.shape
    columns = np.searchsorted(np.array(borders), np.arange(width) + 0.5).astype(np.int64)
    owner = _assign(ink.ink, level, columns, len(one.cells), bottom - top, (top, bottom))
    cells = []
    for i in range(len(one.cells)):
        mine = (owner == i + 1).astype(np.uint8)
        x, y, w, h = cv2.boundingRect(mine)
        if w == 0:
            place = (one.cells[i][0], float(one.box[1]), one.cells[i][1], float(one.box[3]))
            cells.append(CellInk(None, place))
            continue
        part = slice(max(0, y - 2), y + h + 2), slice(max(0, x - 2), x + w + 2)
        cells.append(CellInk(normal_form(own_ink(ink.ink[part], mine[part])), _place(ink, x, y, w, h)))
    return cells


def _place(ink: FieldInk, x: float, y: float, w: float, h: float) -> tuple[float, ...]:
    """A box of a field's ink in pixels of the reference."""
    return (
        ink.origin[0] + x / ink.ratio, ink.origin[1] + y / ink.ratio, w / ink.ratio, h / ink.ratio
    )  # fmt: skip


def _assign(
    ink: U8,
    level: float,
    columns: npt.NDArray[np.int64],
    count: int,
    height: float,
    rows: tuple[float, float],
) -> npt.NDArray[np.int32]:
    """Which cell each pixel of ink belongs to, from 1; 0 for none. int32 ``[h, w]``."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        (ink >= level).astype(np.uint8), connectivity=8
    )
    pieces = len(stats)
    shares = np.bincount(
        (labels.astype(np.int64) * count + columns[None, :]).ravel(), minlength=pieces * count
    ).reshape(pieces, count)
    areas = np.maximum(stats[:, cv2.CC_STAT_AREA], 1)
    most = shares.argmax(1)
    side = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    middle = stats[:, cv2.CC_STAT_TOP] + stats[:, cv2.CC_STAT_HEIGHT] / 2
    kept = (side >= SPECK * height) & (middle > rows[0]) & (middle < rows[1])
    # A dot of a stroke that a line has broken stays, next to larger ink.
    kept |= (side >= SPECK / 2 * height) & (middle > rows[0]) & (middle < rows[1]) & (
        np.bincount(most[kept], minlength=count)[most] > 0
    )  # fmt: skip
    kept[0] = False
    whole = 1 - shares[np.arange(pieces), most] / areas <= SPILL
    owner = np.where(whole[labels], most[labels], columns[None, :]) + 1
    return np.where(kept[labels], owner, 0).astype(np.int32)


def own_ink(ink: U8, mine: U8) -> U8:
    """A digit's ink alone, at full contrast, with the soft edges of its strokes; uint8."""
    near = cv2.dilate(mine, np.ones((3, 3), np.uint8))
    strong = ink[mine > 0]
    place = int(0.85 * (len(strong) - 1))
    contrast = max(1.0, float(np.partition(strong, place)[place]))
    values = np.where(near > 0, ink, 0) * (255 / contrast)
    return np.asarray(np.where(values < FAINT * 255, 0, values).clip(0, 255), np.uint8)


def comb_marks(
    one: FormField, cells: Sequence[CellInk], predictions: Sequence[Prediction | None]
) -> Marks:
    """What each cell of a comb may be.

    Args:
        one: the field.
        cells: of it.
        predictions: of each cell's image; None for an empty one.
    """
    marks = []
    for cell, prediction in zip(cells, predictions, strict=True):
        options: list[Option] = []
        if prediction is not None:
            likely = prediction.probabilities.astype(np.float64) * prediction.is_digit
            likely /= max(1.0, float(prediction.probabilities.sum()))
            options = [Option(d, float(p)) for d, p in enumerate(likely) if p >= MIN_PROBABILITY]
            options.sort(key=lambda option: -option.probability)
        marks.append(Mark(tuple(options), cell.box))
    filled = [i for i, cell in enumerate(cells) if cell.image is not None]
    doubts = [
        f"cell {i + 1} cannot be read" for i in filled if not marks[i].options
    ]
    if filled:
        first, last = filled[0], filled[-1]
        if not (one.is_quantity or one.pattern):
            first, last = 0, len(cells) - 1
        elif one.decimals:
            last = len(cells) - 1
        empty = [i + 1 for i in range(first, last + 1) if cells[i].image is None]
        doubts += [f"cell {i} is empty" for i in empty]
    return Marks(tuple(marks), (), tuple(doubts))


# --- free fields ---


def free_marks(one: FormField, ink: FieldInk, level: float, reader: Reader) -> Marks:
    """What is written in a free field.

    Args:
        one: the field.
        ink: of the field.
        level: from which darkness on it is ink.
        reader: in mode ``number``.
    """
    cleaned = _clean(one, ink, level)
    if cleaned is None:
        return Marks()
    reading = reader.read_frame(Frame(one.name, cleaned))
    numbers = [*reading.numbers, *reading.dropped]
    digits = sorted((d for d in reading.digits), key=lambda digit: digit.box[0])
    digits = [digit for digit in digits if digit.accepted or digit.is_digit >= MIN_IS_DIGIT]
    marks = [Mark(tuple(list_options(digit, MIN_PROBABILITY)), _digit_place(ink, digit)) for digit in digits]
    doubts, separators = [], []
    for number in numbers:
        if number.unread:
            doubts.append("ink next to its digits cannot be read")
        for before, sign in number.signs:
            if sign != "-":
                x = number.digits[before - 1].box[0] if before else -1
                separators.append(sum(digit.box[0] <= x for digit in digits if digit.accepted))
    if any(digit.cut for digit in digits):
        digits_cut = [replace(digit, cut=False) for digit in digits]
        marks = [
            Mark(tuple(list_options(digit, MIN_PROBABILITY)), _digit_place(ink, digit))
            for digit in digits_cut
        ]
    if len({number.row for number in numbers}) > 1:
        doubts.append("its digits are on several lines")
    if not marks:
        doubts.append("its ink cannot be read")
    return Marks(tuple(marks), tuple(separators), tuple(doubts))


MIN_IS_DIGIT = 0.3
"""A detection that is less likely a digit is clutter, 0–1."""


def _digit_place(ink: FieldInk, digit: Digit) -> tuple[float, ...]:
    x, y, w, h = digit.box
    return _place(ink, x, y, w, h)


def _clean(one: FormField, ink: FieldInk, level: float) -> U8 | None:
    """The field as dark ink on white, without dirt and without what is another field's; None if
    nothing is left.
    """
    left, top, right, bottom = to_region(one.box, ink)
    _, labels, stats, middles = cv2.connectedComponentsWithStats(
        (ink.ink >= level).astype(np.uint8), connectivity=8
    )
    side = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    x, y = middles.T
    kept = (x > left) & (x < right) & (y > top - 2) & (y < bottom + 0.1 * (bottom - top))
    kept &= side >= 0.04 * (bottom - top)
    kept[0] = False
    if not (kept & (side >= SPECK * (bottom - top))).any():
        return None
    near = cv2.dilate(kept[labels].astype(np.uint8), np.ones((3, 3), np.uint8))
    strong = ink.ink[kept[labels]]
    contrast = max(1.0, float(np.percentile(strong, 85)))
    own = np.where(near > 0, ink.ink, 0) * (220 / contrast)
    return np.asarray(255 - own.clip(0, 220), np.uint8)


def box_of(place: tuple[float, float, float, float]) -> Box:
    """A place as whole pixels."""
    x, y, w, h = place
    return round(x), round(y), max(1, round(w)), max(1, round(h))
