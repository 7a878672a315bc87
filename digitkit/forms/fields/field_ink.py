"""The handwriting in a field: the registered reference is subtracted, so that its print vanishes.

Where a stroke crosses a printed line of the same darkness, no difference remains; the stroke is
closed across the line in the direction in which it goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from digitkit.arrays import U8, Box
from digitkit.forms.registration.geometry import Placement, are_inside
from digitkit.forms.templates.template import FormField
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage, resize_to

Place = tuple[float, float, float, float]
"""A box of the reference: left, top, width and height, pixels."""

READ_SIDE = 1754
"""Longer side of a form as its fields are read, pixels: A4 at 150 dots per inch. A reference has at
most this size, and drawings of a form, too."""

SURROUND, FAR_SURROUND = 0.3, 1.0
"""Room around a field that is looked at, too, in its heights: people write across lines. The second
number is for a field whose ink continues beyond that."""

SIDE_SURROUND = 0.7
"""Room on the left and right of a field that is looked at, too, in its heights: a number may be too
long for it."""

CELL_ROOM, CELL_LINE = 0.15, 0.8
"""Maximum distance of the lines of a table's cell from the edges of the field, in heights of the
field; minimum share of such a line that must be printed."""

MAX_SHIFT = 3
"""How far the print of a field is looked for around its place, pixels as it is read."""

PRINT_DARKNESS = 40
"""Darkness of the reference from which it is print, 0–255."""

MIN_PRINT = 30
"""Less print than so many pixels tells nothing."""

SOLID_DARKNESS = 100
"""Darkness of print from which no ink can be told from it."""

MIN_DARKNESS = 28
"""Least darkness of handwriting against the paper, 0–255."""

MAX_FIELD_OUTSIDE = 0.1
"""A field may be so far outside of the picture, in its heights."""

SEEN_PRINT = 0.35
"""Solid print is there where the picture is at least this fraction as dark."""

MIN_SEEN = 0.6
"""Least fraction of it that is there in each square of a field; else the field is not that of the
template."""

MIN_INK_FRACTION = 0.38
"""Ink is at least this share of how dark a form's handwriting is."""


@dataclass(frozen=True)
class FieldInk:
    """What is written in a field.

    Attributes:
        ink: darkness of the handwriting alone, uint8 ``[h, w]``: bright on dark, paper 0.
        origin: where its left upper corner is, x and y in pixels of the reference.
        ratio: its pixels per pixel of the reference.
        print_level: how dark solid print is there, 0–255; 0 for a field without any.
        near: 1 where print is or nearly is, uint8 ``[h, w]``.
        others: 1 where another field is, uint8 ``[h, w]``.
        is_inside: whether the picture shows the whole field.
        print_seen: how much of the template's print around and in it is there, 0–1, in the square
            that shows least.
        edges: 1 where it is dark beside brighter paper, but no stroke, uint8 ``[h, w]``.
    """

    ink: U8 = field(repr=False)
    origin: tuple[float, float]
    ratio: float
    print_level: float
    near: U8 = field(repr=False)
    others: U8 = field(repr=False)
    is_inside: bool = True
    print_seen: float = 1.0
    edges: U8 | None = field(default=None, repr=False)

    @property
    def is_known(self) -> bool:
        """Whether the print around and in it is that of the template."""
        return self.print_seen >= MIN_SEEN

    def to_pixels(self, box: Box) -> tuple[float, float, float, float]:
        """A box of the reference in pixels of the ink: left, top, right, bottom."""
        return _to_pixels(box, self.origin, self.ratio)

    def to_reference(self, x: float, y: float, w: float, h: float) -> Place:
        """A box of the ink, its left upper corner and its size, in pixels of the reference."""
        left, top = self.origin[0] + x / self.ratio, self.origin[1] + y / self.ratio
        return left, top, w / self.ratio, h / self.ratio


class FieldCutter:
    """Cuts the handwriting of one field out of pictures."""

    def __init__(
        self,
        form_field: FormField,
        reference: U8,
        others: Sequence[Box] = (),
        *,
        surround: float = SURROUND,
    ) -> None:
        """Prepare a field.

        Args:
            form_field: the field.
            reference: of the form, uint8 ``[H, W]``.
            others: boxes of the other fields.
            surround: room above and below it, in its heights.
        """
        self._parts = form_field, reference, others
        height, width = reference.shape
        self.ratio = READ_SIDE / max(height, width)
        x, y, w, h = self._box = form_field.box
        room = SURROUND * min(h, w)
        aside = SIDE_SURROUND * min(w, h)
        over = surround * min(h, w)
        left, top = max(0.0, x - aside), max(0.0, y - over)
        right, bottom = min(float(width), x + w + aside), min(float(height), y + h + over)
        self.region = left, top, right - left, bottom - top
        flat = Placement.flat(np.eye(3), (height, width))
        sample = flat.sample(GreyImage.from_pixels(reference), self.region, self.ratio)
        self._print = _darkness(sample)
        solid = self._print[self._print >= SOLID_DARKNESS]
        self._level = float(np.median(solid)) if len(solid) else 0.0
        blurred = cv2.GaussianBlur(self._print, (0, 0), 0.8)
        self._soft = np.asarray(blurred, np.uint8)
        printed = (self._print >= PRINT_DARKNESS).astype(np.uint8)
        self._has_print = cv2.countNonZero(printed) >= MIN_PRINT
        self._remover = _PrintRemover(self._print, printed)
        beside = cv2.dilate(_mark_print(self._print), np.ones((7, 7), np.uint8))
        self._near = np.asarray(beside, np.uint8)
        self._others = np.zeros_like(printed)
        for other in others:
            ends = _to_pixels(other, (left, top), self.ratio)
            x0, y0, x1, y1 = (max(0, round(end)) for end in ends)
            self._others[y0:y1, x0:x1] = 1
        self._mark_cells_beside(printed)
        at = max(0, round((x - room - left) * self.ratio))
        columns = slice(at, at + round((w + 2 * room) * self.ratio))
        self._squares = _PrintSquares(self._print, columns)

    @cached_property
    def taller(self) -> FieldCutter:
        """Cuts the same field with more room above and below it."""
        return FieldCutter(*self._parts, surround=FAR_SURROUND)

    def _mark_cells_beside(self, printed: U8) -> None:
        """Mark the neighbouring cells of a table as other fields, also if the template has none.

        A vertical line separates such a cell, and the lines above and below the field continue.
        """
        left, top, right, bottom = _to_pixels(self._box, self.region[:2], self.ratio)
        room = CELL_ROOM * (bottom - top)

        def near(edge: float) -> slice:
            return slice(max(0, round(edge - room)), round(edge + room) + 1)

        goes_on = np.asarray(printed[near(top)].any(0) & printed[near(bottom)].any(0))
        rises = printed[round(top) : round(bottom) + 1].mean(0) >= CELL_LINE
        for edge, beside in (
            (left, slice(0, max(0, round(left - room)))),
            (right, slice(round(right + room), None)),
        ):
            share = goes_on[beside].mean() if goes_on[beside].size else 0.0
            if rises[near(edge)].any() and share >= CELL_LINE:
                self._others[:, beside] = 1

    def cut(self, image: GreyImage, placement: Placement) -> FieldInk:
        """The handwriting in a picture."""
        pad = MAX_SHIFT / self.ratio
        x, y, w, h = self.region
        wider = (x - pad, y - pad, w + 2 * pad, h + 2 * pad)
        grey = placement.sample(image, wider, self.ratio)
        darkness = _darkness(grey)
        edges = _find_edges(grey, darkness)
        height, width = self._print.shape
        column, row = self._find_shift(darkness) if self._has_print else (MAX_SHIFT, MAX_SHIFT)
        darkness, edges = (
            each[row : row + height, column : column + width] for each in (darkness, edges)
        )
        if darkness.shape != self._print.shape:  # rounded otherwise
            darkness = np.asarray(cv2.resize(darkness, (width, height)), np.uint8)
            edges = np.asarray(cv2.resize(edges, (width, height)), np.uint8)
        shift = ((column - MAX_SHIFT) / self.ratio, (row - MAX_SHIFT) / self.ratio)
        gain = self._gain(darkness)
        return FieldInk(
            self._remover.remove(darkness, gain),
            (x + shift[0], y + shift[1]),
            self.ratio,
            gain * self._level,
            self._near,
            self._others,
            self._is_inside(placement, image.shape),
            self._squares.least_seen(darkness, gain),
            edges,
        )

    def _is_inside(self, placement: Placement, shape: tuple[int, int]) -> bool:
        x, y, w, h = self._box
        room = MAX_FIELD_OUTSIDE * min(w, h)
        left, top, right, bottom = x + room, y + room, x + w - room, y + h - room
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        return bool(are_inside(placement.to_picture(np.array(corners, np.float64)), shape).all())

    def _find_shift(self, darkness: U8) -> tuple[int, int]:
        if darkness.shape[0] <= self._soft.shape[0] or darkness.shape[1] <= self._soft.shape[1]:
            return MAX_SHIFT, MAX_SHIFT
        scores = cv2.matchTemplate(darkness, self._soft, cv2.TM_CCORR)
        best = cv2.minMaxLoc(scores)
        return best[3][0], best[3][1]

    def _gain(self, darkness: U8) -> float:
        """How dark the print is here, against the reference."""
        if not self._level:
            return 1.0
        gain = float(np.median(darkness[self._print >= SOLID_DARKNESS])) / self._level
        return min(max(gain, 0.5), 1.6)


class _PrintSquares:
    """How much solid print there is in each square of a field's height."""

    def __init__(self, darkness: U8, columns: slice) -> None:
        """Measure the print of the reference, in the columns of the field."""
        self._columns, self._print = columns, darkness[:, columns]
        self._solid = (self._print >= SOLID_DARKNESS).astype(np.float32)
        side = max(1, min(self._solid.shape))
        self._size = max(1, self._solid.shape[1] // side), max(1, self._solid.shape[0] // side)
        self._expected = cv2.resize(self._solid, self._size, interpolation=cv2.INTER_AREA)
        self._counted = np.asarray(self._expected * side**2 >= MIN_PRINT)

    def least_seen(self, darkness: U8, gain: float) -> float:
        """How much of the print is in a picture, 0–1, in the square that shows least."""
        if not self._counted.any():
            return 1.0
        near = cv2.dilate(darkness[:, self._columns], np.ones((3, 3), np.uint8))
        is_there = ((near >= SEEN_PRINT * gain * self._print) * self._solid).astype(np.float32)
        there = cv2.resize(is_there, self._size, interpolation=cv2.INTER_AREA)
        return min(1.0, float((there[self._counted] / self._expected[self._counted]).min()))


class _PrintRemover:
    """Subtracts the print of a field, and closes the gaps in strokes that cross it."""

    def __init__(self, darkness: U8, printed: U8) -> None:
        """Measure the print of the reference.

        Args:
            darkness: of the reference, uint8 ``[h, w]``.
            printed: 1 where it is print, uint8 ``[h, w]``.
        """
        around = cv2.dilate(darkness, np.ones((3, 3), np.uint8))
        self._around = np.asarray(cv2.GaussianBlur(around, (0, 0), 0.7), np.uint8)
        thick = cv2.distanceTransform(printed, cv2.DIST_L2, 3)
        on_lines = thick[thick > 0]
        wide = 2 * float(np.percentile(on_lines, 90)) if len(on_lines) else 2.0
        self._gap = min(13, int(wide) + 6) | 1

    def remove(self, darkness: U8, gain: float) -> U8:
        """The ink without the print."""
        expected = cv2.convertScaleAbs(self._around, alpha=1.1 * gain)
        rest = cv2.subtract(darkness, expected)
        hidden = (expected >= SOLID_DARKNESS).astype(np.uint8)
        if not hidden.any():
            return np.asarray(rest, np.uint8)
        bare = np.where(hidden > 0, 0, rest).astype(np.uint8)
        filled = np.zeros_like(bare)
        for kernel in _strokes(self._gap):
            filled = np.maximum(filled, cv2.morphologyEx(bare, cv2.MORPH_CLOSE, kernel))
        return np.where(hidden > 0, filled, bare)


def _to_pixels(
    box: Box, origin: tuple[float, float], ratio: float
) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a box of the reference in pixels of a part of it."""
    x, y, w, h = box
    left, top = (x - origin[0]) * ratio, (y - origin[1]) * ratio
    return left, top, left + w * ratio, top + h * ratio


def _strokes(length: int) -> list[U8]:
    """Short lines in eight directions."""
    half, kernels = length // 2, []
    for step in range(8):
        angle = np.pi * step / 8
        dx, dy = half * np.cos(angle), half * np.sin(angle)
        kernel = np.zeros((length, length), np.uint8)
        start = (round(half - dx), round(half - dy))
        cv2.line(kernel, start, (round(half + dx), round(half + dy)), 1, 1)
        kernels.append(kernel)
    return kernels


def _mark_print(darkness: U8) -> U8:
    """Where print is, uint8: 1 there, also on a thin line that two pixels share the darkness of."""
    wide = cv2.boxFilter(darkness, -1, (3, 1), normalize=False)
    high = cv2.boxFilter(darkness, -1, (1, 3), normalize=False)
    return (np.maximum(wide, high) >= PRINT_DARKNESS).astype(np.uint8)


def _darkness(grey: U8) -> U8:
    """How much darker each pixel is than the paper around, 0–255, whatever the light."""
    small = resize_to(grey, 0.25)
    side = max(5, min(small.shape) // 2 | 1)
    paper = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    paper = cv2.blur(paper, (5, 5))
    paper = cv2.resize(paper, grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
    bright = np.maximum(paper, 1).astype(np.float32)
    return np.asarray(((bright - grey) * (255 / bright)).clip(0, 255), np.uint8)


def _find_edges(grey: U8, darkness: U8) -> U8:
    """Where something large and dark begins: darker than the paper, but not than its own sides."""
    size = min(grey.shape) // 3 | 1  # half of the field's height: wider than a stroke
    fine = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, np.ones((size, size), np.uint8))
    most = grey * (darkness / np.maximum(255.0 - darkness, 1))
    return np.asarray(fine < 0.5 * most, np.uint8)


def ink_threshold(inks: list[FieldInk]) -> float:
    """Minimum darkness of ink, 0–255: by how dark a form's handwriting is."""
    strong = [one.ink[one.ink >= MIN_DARKNESS] for one in inks]
    values = np.concatenate(strong) if strong else np.empty(0, np.uint8)
    if len(values) < 30:
        return float(MIN_DARKNESS)
    return max(float(MIN_DARKNESS), MIN_INK_FRACTION * float(np.percentile(values, 75)))
