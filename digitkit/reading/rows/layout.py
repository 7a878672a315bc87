"""Rows: the digits of each, and where it lies in its image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digitkit.arrays import F64, Box
from digitkit.boxes import round_edges, turn_points
from digitkit.reading.detection.detections import Detection
from digitkit.reading.networks.line_reader import DIGIT_HEIGHT
from digitkit.reading.results import Digit
from digitkit.reading.rows.shapes import Shape

STRIP_MARGIN = 1.8
"""How far a strip reaches beyond its first and last digits, in heights."""

STRIP_HALF_HEIGHT = 0.85
"""How far a strip reaches above and below the digits' middles, in heights."""


@dataclass(frozen=True, eq=False)
class RowDigit:
    """A digit of a row, and the detection that it was; equal to itself only."""

    digit: Digit
    detection: Detection

    @property
    def row(self) -> int:
        """The number of its row."""
        return self.digit.row


class RowGeometry:
    """Where a row lies, and the strip along it: its direction, its middle line and its size.

    Its x axis follows the row's direction, and its middle line the middles of its digits. So rows
    that slope or bend are level in it; upright digits in a sloping row stay upright.

    Attributes:
        row: its number.
        tilt: of the row, degrees.
        digit_height: height of its digits, pixels of the image.
        unit: the same in pixels of the row's strip.
        scale: pixels of the image per pixel of the strip.
        shape: height and width of the strip, pixels.
        left: x coordinate of the strip's left side, where the row is level, pixels of the image.
        top: y coordinate of its upper side, from the middle line.
        accepted: the row's accepted digits.
    """

    def __init__(self, row_digits: Sequence[RowDigit]) -> None:
        """Fit it to a row.

        Args:
            row_digits: the row's digits, at least one of them accepted.
        """
        self.row = row_digits[0].row
        self.tilt = float(np.median([row_digit.detection.tilt for row_digit in row_digits]))
        self.accepted = [row_digit for row_digit in row_digits if row_digit.digit.accepted]
        sizes = np.array([row_digit.digit.row_box[2:] for row_digit in self.accepted], np.float64)
        self.digit_height = float(np.median(np.maximum(sizes[:, 1], sizes[:, 0] / 2)))
        self.scale = max(self.digit_height / DIGIT_HEIGHT, 0.5)
        self.unit = self.digit_height / self.scale
        middles = self.to_level([row_digit.digit.box for row_digit in self.accepted])
        # From here to where the digits' level boxes are.
        boxes = np.array([row_digit.digit.row_box for row_digit in self.accepted], np.float64)
        self._offset = (boxes[:, :2] + boxes[:, 2:] / 2 - middles).mean(0)
        middles = middles[np.argsort(middles[:, 0], kind="stable")]
        self._slope, self._start = _fit_line(middles)
        self._knots = middles[:, 0], middles[:, 1] - self._start - self._slope * middles[:, 0]
        everything = self.to_level([row_digit.digit.box for row_digit in row_digits])[:, 0]
        widest = max(row_digit.digit.row_box[2] for row_digit in row_digits) / 2
        room = widest + STRIP_MARGIN * self.digit_height
        self.left = float(everything.min()) - room
        self.top = -STRIP_HALF_HEIGHT * self.digit_height
        width = round((float(everything.max()) + room - self.left) / self.scale)
        self.shape = round(2 * STRIP_HALF_HEIGHT * self.unit), width

    def to_level(self, boxes: Sequence[Box]) -> F64:
        """The centres of boxes of the image, turned so that the row is level, ``[N, 2]``."""
        array = np.array(boxes, np.float64)
        return turn_points(array[:, :2] + array[:, 2:] / 2, self.tilt)

    def locate(self, boxes: Sequence[Box]) -> F64:
        """Where the centres of boxes of the image are in the strip, ``[N, 2]``.

        Their x coordinate in pixels of the strip, and how far they are below the row's middle line,
        in heights.
        """
        centres = self.to_level(boxes)
        x = (centres[:, 0] - self.left) / self.scale
        return np.column_stack(
            [x, (centres[:, 1] - self.middle_y(centres[:, 0])) / self.digit_height]
        )

    def x_of(self, box: Box) -> float:
        """The x coordinate of the centre of a box of the image, pixels of the strip."""
        return float(self.locate([box])[0, 0])

    def middle_y(self, x: F64) -> F64:
        """The y coordinate of the row's middle line, where it is level."""
        return np.asarray(self._start + self._slope * x + np.interp(x, *self._knots))

    def to_boxes(self, shape: Shape) -> tuple[Box, Box | None]:
        """Where a shape is in the image; and where the row is level, None if it is not tilted."""
        left = self.left + shape.left * self.digit_height
        right = left + shape.width * self.digit_height
        offset = float(self.middle_y(np.array([(left + right) / 2]))[0])
        top, bottom = (
            offset + edge * self.digit_height for edge in (shape.top, shape.top + shape.height)
        )
        level = round_edges(left, top, right, bottom)
        if not self.tilt:
            return level, None
        corners = np.array([(left, top), (right, top), (left, bottom), (right, bottom)])
        corners = turn_points(corners, -self.tilt)
        box = round_edges(*corners.min(0), *corners.max(0))
        x, y = self._offset.tolist()
        return box, round_edges(left + x, top + y, right + x, bottom + y)


def _fit_line(points: F64) -> tuple[float, float]:
    """The slope of the straight line through points, and where it begins."""
    (x, y), middle = points.T, points.mean(0)
    spread = float(((x - middle[0]) ** 2).sum())
    slope = float(((x - middle[0]) * (y - middle[1])).sum()) / spread if spread > 0 else 0.0
    return slope, float(middle[1] - slope * middle[0])
