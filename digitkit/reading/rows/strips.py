"""Strips: each row of digits cut out of the image, level and at one size, and the ink in it.

The detector knows little of what is no digit, and may miss one. But next to digits that are known,
it is also known how ink and paper look: here a plain threshold shows all that is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F32, F64, I32, U8, Box
from digitkit.boxes import overlap_width, turn_points
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.images.masks import connected_components, find_runs
from digitkit.reading.detection.crops import sharp_halvings
from digitkit.reading.detection.detections import INK_LEVEL, ink_box, quantile
from digitkit.reading.results import Mark, MarkKind
from digitkit.reading.rows.cells import MIN_FRAME_SIZE, are_in_cells
from digitkit.reading.rows.layout import STRIP_MARGIN, RowDigit, RowGeometry
from digitkit.reading.rows.shapes import Shape
from digitkit.reading.rows.strip_ink import MIN_STROKE_LEVEL, Ink, find_ink

MAX_INK_DISTANCE = 1.1
"""Maximum distance of ink from the first and last digit of a row to whose numbers it may belong, in
heights."""

MAX_LOW_IMAGE = 1.2
"""In an image that is lower, in heights, no vertical stroke is taken for a ruled line."""

WRITING_BAND = -0.6, 0.75
"""What is written in a row is between these, from the middle of its digits, in heights."""

MIN_ENDING, CELL_END = 0.8, 0.35
"""Minimum fraction of the strokes between cells that end beyond a strip, and for how long they are
not seen there, in heights: the boxes of a grid are closer above each other."""

MAX_LINE_END, MIN_END = 0.8, 0.15
"""A vertical line ends beyond a strip if at most this far outside it is not seen for at least the
second length, in heights."""

LINE_SAMPLED, LINE_BACKGROUND, MIN_LINE_CONTRAST = 0.5, 0.12, 0.4
"""The contrast of a line is that of its last part in the strip, so long, to what is so far beside
it, in heights; the line is not seen where the contrast is less than the third number times that."""

LINE_REACH, LINE_STEP = (0.6, 1.2), 0.25
"""Where horizontal lines are that belong to a row, from its middle; and the distance of the places
where they are looked for; in heights."""

MIN_DARK_LINE, MIN_LINE_SEEN = 0.5, 0.8
"""Their contrast is at least this fraction of that of ink, at at least so many of these places."""

HALF_DIGIT_HEIGHT, CONTRAST_QUANTILE = 0.45, 0.97
"""The contrast of ink is this quantile of that within the first distance of the middle of a row,
in heights."""

MAX_STRIP_PIXELS = 1 << 22
"""Maximum number of pixels of a strip that is searched."""

MAX_STRIP_SIDE = (1 << 15) - 2
"""Maximum width of a strip that is searched, pixels: OpenCV remaps no wider image."""


class PlacedDigit(NamedTuple):
    """A digit's ink in a strip.

    Attributes:
        row_digit: whose it is.
        left: x coordinate of its crop in the strip; it may be partly outside.
        top: y coordinate.
        ink: bright on dark, uint8 ``[h, w]``.
    """

    row_digit: RowDigit
    left: int
    top: int
    ink: U8

    @property
    def middle_x(self) -> float:
        """X coordinate of the middle of its crop in the strip, pixels."""
        return float(self.left + self.ink.shape[1] / 2)

    def cut(self, layer: npt.NDArray[np.generic]) -> tuple[npt.NDArray[np.generic], U8]:
        """The part of a strip-sized layer at its place, and its ink there."""
        x, y = max(0, -self.left), max(0, -self.top)
        height, width = self.ink.shape
        part = layer[self.top + y : self.top + height, self.left + x : self.left + width]
        return part, self.ink[y : y + part.shape[0], x : x + part.shape[1]]


class Strip(RowGeometry):
    """A row, level and at a fixed size: its pixels, and the ink in them."""

    def __init__(self, image: GreyImage, row_digits: Sequence[RowDigit]) -> None:
        """Lay it along a row.

        Args:
            image: that the row is in.
            row_digits: the row's digits, at least one of them accepted.
        """
        super().__init__(row_digits)
        self._members = list(row_digits)
        self._image = image
        self._placed: dict[RowDigit, PlacedDigit | None] = {}

    @cached_property
    def ink(self) -> Ink | None:
        """What is written in it; None where the digits do not stand out, or it is too long."""
        height, width = self.shape
        if height * width > MAX_STRIP_PIXELS or width > MAX_STRIP_SIDE:
            return None
        pixels, is_outside = self._cut_out()
        pixels = np.asarray(cv2.GaussianBlur(pixels, (3, 3), 0), np.uint8)
        digits = self.draw(self.place(self.accepted))
        return find_ink(pixels, digits, is_outside, self.unit, self._are_cells)

    def _are_cells(self, strokes: Sequence[Box]) -> bool:
        """Whether strokes at equal distances are between cells for one digit each.

        There is at most one digit between two, and not at a stroke, as at the ticks of an axis; and
        they go on neither above nor below, as the lines of a table do.

        Args:
            strokes: their boxes in the strip, from the left.
        """
        middles = [each.middle_x for each in self.place(self.accepted)]
        # A stroke may be a 1 that is still in doubt.
        if not are_in_cells(strokes, middles, self.cover(self.place(self._members))):
            return False
        shapes = self.to_shapes(strokes)
        ends = partial(self.ends_beyond, least=CELL_END)
        is_high = np.median([shape.height for shape in shapes]) >= MIN_FRAME_SIZE
        ending = sum(
            ((not is_high and y + h < self.shape[0] - 1) or ends(shape, below=True))
            and (not is_high or ends(shape, below=False))
            for (_, y, _, h), shape in zip(strokes, shapes, strict=True)
        )
        return ending >= MIN_ENDING * len(shapes)

    @property
    def digits(self) -> U8:
        """Where the strokes of the accepted digits are, uint8 ``[height, width]``, 0 or 1."""
        return self.cover(self.place(self.accepted))

    def place(self, row_digits: Sequence[RowDigit]) -> list[PlacedDigit]:
        """The ink of digits in the strip, of those that are within it."""
        new = [row_digit for row_digit in row_digits if row_digit not in self._placed]
        if new:
            centres = self.to_level([row_digit.digit.box for row_digit in new])
            tops = centres[:, 1] - self.middle_y(centres[:, 0]) - self.top
            for row_digit, x, y in zip(new, centres[:, 0].tolist(), tops.tolist(), strict=True):
                self._placed[row_digit] = self._place(row_digit, x, y)
        found = (self._placed[row_digit] for row_digit in row_digits)
        return [each for each in found if each is not None]

    def _place(self, row_digit: RowDigit, x: float, y: float) -> PlacedDigit | None:
        width, height = (max(1, round(side / self.scale)) for side in row_digit.digit.row_box[2:])
        left = round((x - self.left) / self.scale - width / 2)
        top = round(y / self.scale - height / 2)
        if left >= self.shape[1] or top >= self.shape[0] or left + width <= 0 or top + height <= 0:
            return None
        crop = cut_to_ink(row_digit.detection.ink)
        ink = cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA)
        return PlacedDigit(row_digit, left, top, np.asarray(ink, np.uint8))

    def draw(self, placed: Sequence[PlacedDigit]) -> U8:
        """A layer with the ink of digits, uint8 ``[height, width]``."""
        layer = np.zeros(self.shape, np.uint8)
        for each in placed:
            part, ink = each.cut(layer)
            np.maximum(part, ink, out=part)
        return layer

    def cover(self, placed: Sequence[PlacedDigit]) -> U8:
        """Where the strokes of digits are, uint8 ``[height, width]``, 0 or 1."""
        drawn = self.draw(placed)
        return np.asarray(cv2.threshold(drawn, MIN_STROKE_LEVEL, 1, cv2.THRESH_BINARY)[1], np.uint8)

    def split(self, mask: U8, least: int = 1) -> list[Shape]:
        """The connected pieces of a mask, of at least so many pixels."""
        if cv2.countNonZero(mask) < least:
            return []
        labels, stats = connected_components(mask)
        return [
            self.to_shape(labels, stats, i)
            for i in range(1, len(stats))
            if stats[i, cv2.CC_STAT_AREA] >= least
        ]

    def to_shape(self, labels: I32, stats: I32, i: int) -> Shape:
        """The piece with label `i`; labels and stats as `connected_components` returns them."""
        x, y, w, h, _ = stats[i].tolist()
        return self.shape_of((labels[y : y + h, x : x + w] == i).astype(np.uint8), x, y)

    def shape_of(self, ink: U8, x: int, y: int) -> Shape:
        """The shape of ink, uint8 ``[h, w]`` of 0 and 1, at a place of the strip."""
        top = y / self.unit + self.top / self.digit_height
        return Shape.from_ink(ink, x / self.unit, top, self.unit)

    def to_shapes(self, boxes: Sequence[Box]) -> list[Shape]:
        """The shapes of ink that fills boxes of the strip."""
        return [self.shape_of(np.ones((h, w), np.uint8), x, y) for x, y, w, h in boxes]

    def shape_of_digit(self, row_digit: RowDigit) -> Shape:
        """The shape of a digit's ink."""
        size = [max(1, round(side / self.scale)) for side in row_digit.digit.row_box[2:]]
        ink = (cut_to_ink(row_digit.detection.ink) > INK_LEVEL).astype(np.uint8)
        ink = np.asarray(cv2.resize(ink, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        centre = self.to_level([row_digit.digit.box])[0]
        middle = centre[1] - float(self.middle_y(centre[:1])[0])
        width, height = (side / self.digit_height for side in row_digit.digit.row_box[2:])
        left = (centre[0] - self.left) / self.digit_height - width / 2
        top = middle / self.digit_height - height / 2
        return Shape(left, top, width, height, float(ink.sum()) / self.unit**2, ink)

    def place_of(self, shape: Shape) -> tuple[int, int]:
        """The x and y coordinates in the strip of a shape's left upper corner."""
        y = (shape.top - self.top / self.digit_height) * self.unit
        return round(shape.left * self.unit), round(y)

    def is_at_end(self, row_digit: RowDigit) -> bool:
        """Whether a digit is so near to an end that there may be more of its number beyond."""
        shape = self.shape_of_digit(row_digit)
        width = self.shape[1] / self.unit
        return shape.left < MAX_INK_DISTANCE or shape.left + shape.width > width - MAX_INK_DISTANCE

    def is_near(self, shape: Shape) -> bool:
        """Whether a shape, or a part of it, may belong to the numbers of the row's digits."""
        beyond = STRIP_MARGIN - MAX_INK_DISTANCE
        width = self.shape[1] / self.unit
        return shape.left + shape.width > beyond and shape.left < width - beyond

    def is_cut(self, box: Box) -> bool:
        """Whether a box of ink, beside the row's digits, meets the left or right border.

        The ink may go on beyond.
        """
        room, (x, _, width, _) = 1 + self.scale, box
        if room < x < self._image.shape[1] - room - width:
            return False
        return not any(
            2 * overlap_width(box, row_digit.digit.box) >= width for row_digit in self.accepted
        )

    def is_smeared(self, shape: Shape) -> bool:
        """Whether a vertical stroke is the end of a digit that the upper or lower border cuts.

        Beyond the border a strip repeats what is at it; a ruled line goes on on the other side.
        """
        _, top, _, height = self.to_boxes(shape)[0]
        boxes = [row_digit.digit.box for row_digit in self.accepted]
        ends_above = top + height < np.median([y + h for _, y, _, h in boxes])
        begins_below = top > np.median([y for _, y, _, _ in boxes])
        return bool(
            (top < 0 and ends_above) or (top + height > self._image.shape[0] and begins_below)
        )

    def ends_beyond(self, shape: Shape, *, below: bool, least: float = MIN_END) -> bool:
        """Whether a vertical line that meets the upper or lower border ends soon beyond it.

        The lines of a table go on to the next row; the sides of a box of a form do not.
        """
        unit, step = self.digit_height, self.scale / self.digit_height
        end = shape.top + shape.height if below else shape.top
        out = np.arange(-LINE_SAMPLED, MAX_LINE_END, step)  # from the line's end, in heights
        aside = max(shape.width / 2, step) + LINE_BACKGROUND
        count = round(aside / step)
        across = np.arange(-count, count + 1, dtype=np.float64) * step
        pixels = self._sample(
            np.asarray(self.left + (shape.centre_x + across) * unit, np.float64),
            np.asarray((end + (out if below else -out)) * unit, np.float64),
        )[0].astype(np.float64)
        is_line = np.abs(across) <= max(shape.width / 2, step / 2)
        line = pixels[:, is_line].mean(1)
        # Against most of the paper: where a line crosses another one, there is ink beside it, too.
        paper = [np.median(pixels[part][:, [0, -1]]) for part in (out < 0, out > 0)]
        contrast = np.abs(line - np.where(out < 0, *paper))
        is_faded = (out > 0) & (contrast < MIN_LINE_CONTRAST * np.median(contrast[out < 0]))
        return any((end - start) * step >= least for start, end in find_runs(is_faded).tolist())

    def is_between_dark_lines(self) -> bool:
        """Whether dark horizontal lines run along its row above and below, as those of a box."""
        unit = self.digit_height
        width = self.shape[1] * self.scale
        x = self.left + np.arange(unit, width - unit, LINE_STEP * unit)
        y = np.arange(-LINE_REACH[1], LINE_REACH[1], self.scale / unit)
        if not len(x):
            return False
        pixels = self._sample(x, y * unit)[0].astype(np.float64)
        contrast = np.abs(pixels - np.median(pixels, axis=0))
        is_dark = contrast >= MIN_DARK_LINE * np.quantile(
            contrast[np.abs(y) < HALF_DIGIT_HEIGHT], CONTRAST_QUANTILE
        )
        above, below = (
            is_dark[side].any(0).mean() for side in (y < -LINE_REACH[0], y > LINE_REACH[0])
        )
        return bool(min(above, below) >= MIN_LINE_SEEN)

    def strength(self, ink: Ink, shape: Shape) -> float:
        """How strong most of a shape's ink is: 1 as strong as most of the digits', 0 for paper."""
        x, y = self.place_of(shape)
        height, width = shape.ink.shape
        levels = ink.strength[y : y + height, x : x + width][shape.ink > 0]
        return quantile(levels) / 255

    def to_mark(self, kind: MarkKind, shape: Shape) -> Mark:
        """The mark of this kind that a shape is."""
        box, level_box = self.to_boxes(shape)
        return Mark(kind, box, self.row, level_box)

    def _cut_out(self) -> tuple[U8, npt.NDArray[np.bool_]]:
        """The pixels, uint8 ``[height, width]``, and where they show nothing of the image.

        Those outside of the image repeat the ones at its border. Above and below they count as what
        goes on there, such as a ruled line, unless the image is so low that a 1 would be one.
        """
        height, width = self.shape
        x = np.asarray(self.left + (np.arange(width) + 0.5) * self.scale, np.float64)
        y = np.asarray(self.top + (np.arange(height) + 0.5) * self.scale, np.float64)
        strip, across, down = self._sample(x, y)
        image_height, image_width = self._image.shape
        is_outside = (across < 0) | (across > image_width)
        is_beyond = (down < 0) | (down > image_height)
        if height - is_beyond.sum(0).min() < MAX_LOW_IMAGE * self.unit:
            is_outside |= is_beyond
        return strip, is_outside

    def _sample(self, x: F64, y: F64) -> tuple[U8, F32, F32]:
        """The pixels of the image at places along the row, and where these are in the image.

        Args:
            x: where the row is level, pixels, float64 ``[W]``.
            y: from the row's middle line, pixels, float64 ``[H]``.

        Returns:
            uint8 ``[H, W]``, and x and y coordinates in the image, float32 ``[H, W]``.
        """
        halvings = sharp_halvings(self._image, self.digit_height)
        across = np.empty((len(y), len(x)), np.float32)
        across[:] = x
        down = np.add.outer(y.astype(np.float32), self.middle_y(x).astype(np.float32))
        if self.tilt:
            points = turn_points(np.stack([across, down], 2).reshape(-1, 2), -self.tilt)
            across, down = points.astype(np.float32).reshape(*across.shape, 2).transpose(2, 0, 1)
        grey, reduction = self._image.halved(halvings), 1 << halvings
        map_x, map_y = (
            np.ascontiguousarray(each * np.float32(1 / reduction) - np.float32(0.5))
            for each in (across, down)
        )
        pixels = cv2.remap(grey, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(pixels, np.uint8), across, down


def cut_to_ink(ink: U8) -> U8:
    """Ink without the paper around, as a digit's box is."""
    x, y, w, h = ink_box(ink)
    return ink[y : y + h, x : x + w] if w and h else ink
