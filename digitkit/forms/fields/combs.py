"""The digits of a comb: each cell's own ink."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from digitkit.arrays import I32, U8
from digitkit.forms.fields.field_ink import FieldInk, Place
from digitkit.forms.fields.field_line import MIN_FIELD_SPOILED, FieldLine, read_field, sees_other
from digitkit.forms.fields.hypotheses import (
    DigitSlot,
    Hypotheses,
    Segmentation,
    SegmentReading,
    to_options,
    word_doubt,
)
from digitkit.forms.fields.ink_pieces import (
    OVER_EDGE,
    find_residue,
    is_astride,
    is_beside,
    is_in_other_field,
    own_ink,
)
from digitkit.forms.templates.template import FormField
from digitkit.images.cv import cv2
from digitkit.images.masks import connected_components
from digitkit.images.normal_form import normal_form
from digitkit.reading.networks.line_reader import SPOILED_DOUBT, LineReader, is_spoiled

MIN_OTHER_IN_CELL = 0.9
"""Probability from which another digit that the line reader sees makes a cell doubtful: a stroke
that two cells share may be cut at a wrong place."""

MIN_STROKE_SIZE = 0.2
"""Ink that is less high and wide than this, in heights of the field, is dirt."""

MAX_SPILL = 0.25
"""A stroke with more than this share of its ink in a neighbouring cell is cut at the border."""

MAX_SLIVER = 0.15
"""A stroke that is cut may leave a part with less than this share of its largest part: it goes to
the nearest cell with a digit."""


@dataclass(frozen=True)
class CellInk:
    """A cell's own ink.

    Attributes:
        image: in normal form, uint8 ``[28, 28]``; None for an empty cell.
        box: in pixels of the reference.
    """

    image: U8 | None = field(repr=False)
    box: Place


@dataclass(frozen=True)
class Comb:
    """The ink of a comb; like a `Lattice` it has segments, a line and hypotheses.

    Attributes:
        form_field: the field.
        segments: the ink of each cell, from left to right.
        doubts: what is wrong with it.
        line: what the line reader sees in it.
    """

    form_field: FormField
    segments: tuple[CellInk, ...]
    doubts: tuple[str, ...] = ()
    line: FieldLine = field(default_factory=FieldLine, repr=False)

    def hypotheses(self, readings: Sequence[SegmentReading]) -> Hypotheses:
        """What each cell may be.

        Args:
            readings: of the cells that are not empty.
        """
        left, cells = iter(readings), self.segments
        slots = []
        for cell in cells:
            options = () if cell.image is None else to_options(next(left).combined)
            slots.append(DigitSlot(options, cell.box, cell.image))
        filled = [i for i, cell in enumerate(cells) if cell.image is not None]
        doubts = [f"cell {i + 1} cannot be read" for i in filled if not slots[i].options]
        if filled:
            first, last = filled[0], filled[-1]
            if not (self.form_field.is_quantity or self.form_field.pattern):
                first, last = 0, len(cells) - 1
            elif self.form_field.decimals:
                last = len(cells) - 1
            empty = [i + 1 for i in range(first, last + 1) if cells[i].image is None]
            doubts += [f"cell {i} is empty" for i in empty]
        for i, reading in zip(filled, readings, strict=True):
            probabilities = reading.line_probabilities
            if sees_other(probabilities, reading.combined.digit, MIN_OTHER_IN_CELL):
                doubts.append(f"cell {i + 1} may be another digit")
            if is_spoiled(probabilities, MIN_FIELD_SPOILED):
                doubts.append(f"cell {i + 1} {SPOILED_DOUBT}")
        doubts += [*word_doubt([each.classifier for each in readings]), *self.doubts]
        return Hypotheses((Segmentation(tuple(slots)),) if filled else (), tuple(doubts))


def cut_cells(form_field: FormField, ink: FieldInk, threshold: float, reader: LineReader) -> Comb:
    """The ink of each cell of a comb.

    A connected stroke belongs to the cell that has most of it, also where it reaches out; one that
    two cells share is cut, but not into parts that are too small for a digit.

    Args:
        form_field: the field, with cells.
        ink: of the field.
        threshold: minimum darkness of ink, 0–255.
        reader: the line reader, which reads the field as a whole.

    Raises:
        ModelRunError: ONNX Runtime fails.
    """
    edges = [(x - ink.origin[0]) * ink.ratio for x, _ in form_field.cells]
    ends = [(x + w - ink.origin[0]) * ink.ratio for x, w in form_field.cells]
    borders = [(end + start) / 2 for end, start in zip(ends, edges[1:], strict=False)]
    width = ink.ink.shape[1]
    columns = np.searchsorted(np.array(borders), np.arange(width) + 0.5).astype(np.int64)
    owner, is_over = _assign(form_field, ink, threshold, columns)
    cells = []
    for i in range(len(form_field.cells)):
        mine = (owner == i + 1).astype(np.uint8)
        x, y, w, h = cv2.boundingRect(mine)
        if w == 0:
            place = (
                form_field.cells[i][0],
                float(form_field.box[1]),
                form_field.cells[i][1],
                float(form_field.box[3]),
            )
            cells.append(CellInk(None, place))
            continue
        part = slice(max(0, y - 2), y + h + 2), slice(max(0, x - 2), x + w + 2)
        cells.append(
            CellInk(normal_form(own_ink(ink.ink[part], mine[part])), ink.to_reference(x, y, w, h))
        )
    written = [cell.box for cell in cells if cell.image is not None]
    line = read_field(reader, ink, form_field.box, threshold, written)
    return Comb(form_field, tuple(cells), (OVER_EDGE,) * is_over, line)


def _assign(
    form_field: FormField, ink: FieldInk, threshold: float, columns: npt.NDArray[np.int64]
) -> tuple[I32, bool]:
    """Which cell each pixel of ink belongs to, from 1; 0 for none. int32 ``[h, w]``.

    Also whether ink beside the comb goes on with its number.
    """
    left, top, right, bottom = ink.to_pixels(form_field.box)
    height, count = bottom - top, len(form_field.cells)
    labels, stats = connected_components((ink.ink >= threshold).astype(np.uint8))
    pieces = len(stats)
    shares = np.bincount(
        (labels.astype(np.int64) * count + columns[None, :]).ravel(), minlength=pieces * count
    ).reshape(pieces, count)
    areas = np.maximum(stats[:, cv2.CC_STAT_AREA], 1)
    most = shares.argmax(1)
    side = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    across = stats[:, cv2.CC_STAT_LEFT] + stats[:, cv2.CC_STAT_WIDTH] / 2
    high = stats[:, cv2.CC_STAT_HEIGHT]
    down = stats[:, cv2.CC_STAT_TOP] + high / 2
    written = ~find_residue(ink, labels, stats, threshold)
    written[0] = False
    reaches = (down + high / 2 > (top + bottom) / 2) & ~is_in_other_field(ink, stats)
    own = written & ((down > top) | reaches) & (down < bottom) & (across > left) & (across < right)
    kept = (side >= MIN_STROKE_SIZE * height) & own
    # A dot of a stroke that a line has broken stays, next to larger ink.
    kept |= (side >= MIN_STROKE_SIZE / 2 * height) & own & (
        np.bincount(most[kept], minlength=count)[most] > 0
    )  # fmt: skip
    whole = 1 - shares[np.arange(pieces), most] / areas <= MAX_SPILL
    cells = np.arange(count)
    target = np.tile(most[:, None], count)
    for place in np.flatnonzero(kept & ~whole).tolist():
        digits = np.flatnonzero(shares[place] >= MAX_SLIVER * shares[place].max())
        target[place] = digits[np.abs(cells[:, None] - digits).argmin(1)]
    owner = target[labels, columns[None, :]] + 1
    over = is_beside(ink, form_field.box, stats, kept) | is_astride(
        ink, form_field.box, stats, kept
    )
    return np.where(kept[labels], owner, 0).astype(np.int32), bool((over & written).any())
