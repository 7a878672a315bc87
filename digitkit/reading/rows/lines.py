"""Rows, read as a whole: the level strip of each, and where the line reader sees digits in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F32, U8, Box
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.images.masks import find_runs
from digitkit.reading.networks.line_reader import (
    COLUMN_STRIDE,
    HEIGHT,
    NONE,
    POINT,
    SIGN,
    SPOILED,
    LineReader,
)
from digitkit.reading.results import group_by_row
from digitkit.reading.rows.layout import RowDigit
from digitkit.reading.rows.shapes import Shape
from digitkit.reading.rows.strip_ink import Ink, find_edges
from digitkit.reading.rows.strips import Strip

PEAK_SEARCH_COLUMNS = 3
"""The middle of a digit is found up to so many columns beside the middle of its box."""

MIN_PEAK = 0.65
"""Where the digits of a column are at least as likely as this together, one is seen."""

MIN_CLEAR_SIGN, MIN_CLEAR_POINT = 0.9, 0.8
"""A sign is seen where signs and points of a column are at least as likely as the first together, a
point where points are at least as likely as the second."""

MIN_SLOPE = 0.01
"""The edges of digits count as at least this steep, per pixel and relative to their strength."""

PEAK_COLUMNS = 4
"""Number of columns that belong to the middle of a digit; twice as many to those of two 1s."""

MIN_DIGIT_DISTANCE = 0.25
"""Of two digits that are nearer than this, in heights, only the likelier one is there; 1s may be so
near."""

MAX_MATCH_DISTANCE = 0.3
"""A digit and what the line reader sees are one if their middles are this near, in heights."""


def lay_strip(image: GreyImage, row_digits: Sequence[RowDigit]) -> Strip:
    """The strip of a row, accepted digits or not.

    Args:
        image: that the row is in.
        row_digits: the row's digits, at least one.
    """
    if not any(row_digit.digit.accepted for row_digit in row_digits):
        row_digits = [
            replace(row_digit, digit=replace(row_digit.digit, accepted=True))
            for row_digit in row_digits
        ]
    return Strip(image, row_digits)


def to_input(ink: Ink) -> U8:
    """The ink of a strip as the line reader takes it, uint8 ``[HEIGHT, W]``."""
    strength = ink.strength
    height, width = strength.shape
    size = max(1, round(width * HEIGHT / height / COLUMN_STRIDE)) * COLUMN_STRIDE, HEIGHT
    if size == (width, height):
        return strength
    how = cv2.INTER_AREA if height > HEIGHT else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(strength, size, interpolation=how), np.uint8)


@dataclass(frozen=True, eq=False)
class TextLine:
    """A row that was read.

    Attributes:
        strip: the row.
        ink: what is written in it.
        probabilities: float32 ``[15, C]`` as `LineReader.read` returns them.
        is_among_slashes: whether several rows of the page clearly have slashes.
    """

    strip: Strip
    ink: Ink
    probabilities: F32
    is_among_slashes: bool = False

    def probabilities_at(self, box: Box) -> F32 | None:
        """What the row shows at a box: the probabilities of all outputs, ``[15]``; None outside."""
        return look_up(self.probabilities, self._place(box))

    def max_probabilities_near(self, box: Box, width: float = 0.0) -> F32 | None:
        """The highest probability of each output near a box, or along it.

        Args:
            box: in the image.
            width: of what counts around its middle, at least, where the row is level, pixels of the
                image.

        Returns:
            ``[15]``; None outside of the row.
        """
        scale = self.strip.unit / self.strip.digit_height / self._scale
        around = max(PEAK_SEARCH_COLUMNS, round(width / 2 * scale / COLUMN_STRIDE))
        columns = _near(self.probabilities, self._place(box), around)
        return np.asarray(columns.max(1), np.float32) if columns.shape[1] else None

    def sharpness(self, shape: Shape) -> float:
        """How steep a shape's edges are, relative to those of the row's digits."""
        x, y = self.strip.place_of(shape)
        return self._edge_slope(shape.ink, x, y) / max(self._digits_slope, MIN_SLOPE)

    def _edge_slope(self, ink: U8, x: int, y: int) -> float:
        """How steep the edges of ink at a place are on average, relative to its strength."""
        height, width = ink.shape
        edges = self._edges[y : y + height + 2, x : x + width + 2]
        near = cv2.dilate(np.pad(ink, 1), np.ones((3, 3), np.uint8)) > 0
        slopes = edges[near & (edges > 0)]
        strength = cv2.mean(self.ink.strength[y : y + height, x : x + width], ink)[0]
        return float(slopes.mean()) / strength if len(slopes) and strength else 0.0

    @cached_property
    def _digits_slope(self) -> float:
        return self._edge_slope(self.strip.digits, 0, 0)

    @cached_property
    def _edges(self) -> F32:
        """As `find_edges` returns them, with a border of a pixel around."""
        return np.pad(find_edges(self.ink), 1)

    def count_signs(self, box: Box) -> int:
        """How many signs and points the row clearly shows at a box."""
        if not self.signs:
            return 0
        x = self.strip.x_of(box)
        return sum(abs(sign.x - x) <= MAX_MATCH_DISTANCE * self.strip.unit for sign in self.signs)

    def digit_probability_at_sign(self, box: Box) -> float:
        """The probability of a digit where the row most likely shows a sign near a box."""
        columns = _near(self.probabilities, self._place(box))
        if not columns.shape[1]:
            return 0.0
        return float(columns[:SIGN, int(columns[SIGN].argmax())].sum())

    @cached_property
    def signs(self) -> list[Peak]:
        """Where the row clearly shows signs and points, from the left."""
        return self.find_signs(MIN_CLEAR_SIGN)

    def find_signs(self, least: float) -> list[Peak]:
        """Where the row shows signs and points with this probability together, from the left."""
        return self._find_shown(self.probabilities[SIGN:NONE].sum(0), least)

    @cached_property
    def points(self) -> list[Peak]:
        """Where the row clearly shows decimal points and commas, from the left."""
        return self.find_points(MIN_CLEAR_POINT)

    def find_points(self, least: float) -> list[Peak]:
        """Where the row shows decimal points and commas with this probability, from the left."""
        return self._find_shown(self.probabilities[POINT], least)

    def _find_shown(self, shown: F32, least: float) -> list[Peak]:
        return [
            _to_peak(self.probabilities, np.arange(start, end), shown, self._scale)
            for start, end in find_runs(shown >= least)
        ]

    @cached_property
    def peaks(self) -> list[Peak]:
        """Where the line reader sees digits, from the left."""
        return find_peaks(self.probabilities, self._scale, self.strip.unit)

    @property
    def _scale(self) -> float:
        """Pixels of the strip per pixel of the line reader's input."""
        return self.strip.shape[0] / HEIGHT

    def _place(self, box: Box) -> float:
        return self.strip.x_of(box) / self._scale


class Peak(NamedTuple):
    """Where the line reader sees a digit or a sign.

    Attributes:
        x: of its middle, pixels of the strip.
        probabilities: the probabilities of all outputs there, float32 ``[15]``.
    """

    x: float
    probabilities: F32

    @property
    def kind(self) -> int:
        """The most likely class."""
        return int(self.probabilities[:SPOILED].argmax())

    @property
    def digit(self) -> int:
        """The most likely digit."""
        return int(self.probabilities[:SIGN].argmax())


def _equal_columns(values: Sequence[int]) -> Iterator[tuple[int, npt.NDArray[np.intp]]]:
    """The columns of each run of equal values, and the value."""
    column = 0
    for value, run in groupby(values):
        length = len(list(run))
        yield value, np.arange(column, column + length)
        column += length


def _to_peak(probabilities: F32, columns: npt.NDArray[np.intp], likely: F32, scale: float) -> Peak:
    """The peak of neighbouring columns, with what the likeliest of them shows.

    Args:
        probabilities: of the row.
        columns: ``[N]``, at least one.
        likely: how likely each column of the row is the peak, ``[C]``.
        scale: of the peak's x coordinate, per pixel of the line reader's input.
    """
    best = int(columns[likely[columns].argmax()])
    return Peak((float(columns.mean()) + 0.5) * COLUMN_STRIDE * scale, probabilities[:, best])


def find_peaks(probabilities: F32, scale: float, unit: float) -> list[Peak]:
    """Where the line reader sees digits, from the left.

    Args:
        probabilities: of a row, float32 ``[15, C]`` as `LineReader.read` returns them.
        scale: pixels of the row, those of the peaks, per pixel of the line reader's input.
        unit: height of the digits, pixels of the row.
    """
    digits = probabilities[:SIGN]
    kinds = np.where(digits.sum(0) >= MIN_PEAK, digits.argmax(0), -1).tolist()
    peaks = list[Peak]()
    for kind, columns in _equal_columns(kinds):
        if kind >= 0:
            count = max(1, (len(columns) + 1) // PEAK_COLUMNS) if kind == 1 else 1
            parts = np.array_split(columns, count)
            peaks += [_to_peak(probabilities, part, digits[kind], scale) for part in parts]
    kept = list[Peak]()
    for peak in peaks:
        last = kept[-1] if kept else None
        are_ones = last is not None and peak.digit == last.digit == 1
        if last is None or are_ones or peak.x - last.x > MIN_DIGIT_DISTANCE * unit:
            kept.append(peak)
        elif peak.probabilities[peak.digit] > last.probabilities[last.digit]:
            kept[-1] = peak  # of one digit that might be two
    return kept


def look_up(probabilities: F32, x: float) -> F32 | None:
    """What a row shows near an x coordinate.

    Args:
        probabilities: of the row, as `LineReader.read` returns them.
        x: in pixels of its input.

    Returns:
        The probabilities of all outputs, float32 ``[15]``, where it is most likely the middle of
        something; None outside of the row.
    """
    near = _near(probabilities, x)
    return near[:, int(near[NONE].argmin())] if near.shape[1] else None


def _near(probabilities: F32, x: float, around: int = PEAK_SEARCH_COLUMNS) -> F32:
    """The columns near an x coordinate of the line reader's input; none outside of the row."""
    column = round(x / COLUMN_STRIDE - 0.5)
    return probabilities[:, max(0, column - around) : max(0, column + around + 1)]


def read_lines(
    image: GreyImage, row_digits: Sequence[RowDigit], reader: LineReader
) -> dict[int, TextLine]:
    """Read each row of an image as a whole.

    Args:
        image: that the digits are in.
        row_digits: all its digits, with their rows.
        reader: the network.

    Returns:
        The rows by their numbers, without those whose digits do not stand out from the paper.
    """
    lines = dict[int, TextLine]()
    for row, own in group_by_row(row_digits).items():
        if any(row_digit.detection.whole_image for row_digit in own):
            continue
        line = read_line(image, own, reader)
        if line is not None:
            lines[row] = line
    return lines


def read_line(
    image: GreyImage, row_digits: Sequence[RowDigit], reader: LineReader
) -> TextLine | None:
    """Read the row of some digits as a whole; None where they do not stand out from the paper."""
    strip = lay_strip(image, row_digits)
    ink = strip.ink
    return None if ink is None else TextLine(strip, ink, reader.read(to_input(ink)))
