"""Marks: ink in and next to the rows of digits that is none of them.

A digit that was not found, a decimal point and a plus are all ink that a number must not lose in
silence. The detector knows them too little; but next to digits it is known how ink and paper look.
So each row is cut out as a strip, its lines and its digits are taken away, and what is left is told
apart by its shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F64, U8, Box
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.reading.crops import clip_box, sharp_halvings
from digitkit.reading.detections import Detection, ink_box
from digitkit.reading.order import median
from digitkit.reading.results import Digit, Mark, MarkKind
from digitkit.reading.shapes import LOW, MIN_AREA, PAIR_SHIFT, Shape, classify
from digitkit.reading.tilt import turn_points

UNIT = 28
"""Height of a row's digits in its strip, pixels; smaller writing is enlarged at most twice."""

REACH, HALF = 1.1, 0.85
"""How far a strip reaches beyond its digits, and above and below their middles, in heights."""

MIN_STRENGTH = 0.4
"""Ink is at least this fraction as strong as that of most pixels of the digits."""

MIN_LEVELS = 10
"""Ink differs from paper by at least this many grey levels."""

PAPER_SIDE = 0.75
"""Ink is narrower than this, in heights; what is wider is paper, or a shadow on it."""

SWALLOWED = 0.7
"""A stroke next to a digit that is at least this high is a digit of its own, in heights."""

LINE_LENGTHS = 1.6, 1.55
"""Level and upright strokes longer than this are ruled lines, in heights."""

BAND = -0.6, 0.75
"""What is written in a row is between these, from the middle of its digits, in heights."""

REMNANT, MIN_ATTACHED = 0.06, 0.05
"""Ink this close to a digit's strokes is their edge, in heights; what goes on beyond that is ink of
its own from this area on, in squares of the height."""

MAX_STRIP_PIXELS = 1 << 22
"""A longer strip is not searched."""


class Member(NamedTuple):
    """A digit of a row, and the detection that it was."""

    digit: Digit
    detection: Detection


def find_marks(image: GreyImage, members: Sequence[Member]) -> tuple[Mark, ...]:
    """Find the marks of an image's rows.

    Args:
        image: that the digits were found in.
        members: the digits that are reported, with their rows.
    """
    rows: dict[int, list[Member]] = {}
    for member in members:
        rows.setdefault(member.digit.row, []).append(member)
    marks: list[Mark] = []
    for own in rows.values():
        if any(member.digit.accepted for member in own):
            strip = _Strip(image, own)
            marks += _within(strip.find(members), *image.shape)
    return tuple(marks)


def _within(marks: Iterable[Mark], height: int, width: int) -> Iterator[Mark]:
    """The marks in an image; the pixels of a strip beyond it repeat those at its border."""
    for mark in marks:
        x, y, w, h = mark.box
        if x < width and y < height and x + w > 0 and y + h > 0:
            yield replace(mark, box=clip_box(x, y, w, h, width, height))


class _Strip:
    """A row, level and at a fixed size.

    Its x axis follows the row's direction, and its middle line the middles of its digits. So rows
    that slope or bend are level in it; upright digits in a sloping row stay upright.
    """

    def __init__(self, image: GreyImage, members: Sequence[Member]) -> None:
        self._image = image
        self._row = members[0].digit.row
        self._tilt = float(median([member.detection.tilt for member in members]))
        accepted = [member for member in members if member.digit.accepted]
        sizes = np.array([member.digit.row_box[2:] for member in accepted], np.float64)
        self._height = median(np.maximum(sizes[:, 1], sizes[:, 0] / 2))
        self._scale = max(self._height / UNIT, 0.5)  # pixels of the image per pixel of the strip
        self._unit = self._height / self._scale
        middles = self._to_level([member.digit.box for member in accepted])
        # From here to where the digits' level boxes are.
        boxes = np.array([member.digit.row_box for member in accepted], np.float64)
        self._offset = (boxes[:, :2] + boxes[:, 2:] / 2 - middles).mean(0)
        middles = middles[np.argsort(middles[:, 0], kind="stable")]
        self._slope, self._start = _fit_line(middles)
        self._knots = middles[:, 0], middles[:, 1] - self._start - self._slope * middles[:, 0]
        everything = self._to_level([member.digit.box for member in members])[:, 0]
        widest = max(member.digit.row_box[2] for member in members) / 2
        room = widest + REACH * self._height
        self._left = float(everything.min()) - room
        self._top = -HALF * self._height
        self.width = round((float(everything.max()) + room - self._left) / self._scale)
        self.height = round(2 * HALF * self._unit)
        self._spans: list[tuple[int, int]] = []  # of the accepted digits, from left to right

    def find(self, members: Sequence[Member]) -> list[Mark]:
        """The marks in it.

        Args:
            members: all digits of the image.
        """
        if self.width * self.height > MAX_STRIP_PIXELS:
            return []
        pixels = cv2.GaussianBlur(self._cut_out(), (3, 3), 0)
        own, all_digits = self._draw(members)
        ink = self._find_ink(np.asarray(pixels, np.uint8), own)
        if ink is None:
            return []
        lines, upright = self._find_lines(ink)
        ink[lines > 0] = 0
        shapes = [
            shape
            for shape in self._find_others(ink, all_digits)
            if BAND[0] <= shape.middle <= BAND[1]
        ]
        marks = [self._to_mark("line", shape) for shape in self._split(upright)]
        marks += [self._to_mark(kind, shape) for kind, shape in classify(shapes)]
        for member in members:
            if member.digit.row == self._row and not member.digit.accepted:
                marks += self._reclassify(member)
        return marks

    def _to_level(self, boxes: Sequence[Box]) -> F64:
        """The centres of boxes of the image, turned so that the row is level, ``[N, 2]``."""
        array = np.array(boxes, np.float64)
        return turn_points(array[:, :2] + array[:, 2:] / 2, self._tilt)

    def _middle(self, x: F64) -> F64:
        """The y coordinate of the row's middle line."""
        return np.asarray(self._start + self._slope * x + np.interp(x, *self._knots))

    def _cut_out(self) -> U8:
        """The pixels, uint8 ``[height, width]``."""
        halvings = sharp_halvings(self._image, self._height)
        x = np.asarray(self._left + (np.arange(self.width) + 0.5) * self._scale, np.float64)
        y = self._top + (np.arange(self.height) + 0.5) * self._scale
        across = np.empty((self.height, self.width), np.float32)
        across[:] = x
        down = np.add.outer(y.astype(np.float32), self._middle(x).astype(np.float32))
        if self._tilt:
            points = turn_points(np.stack([across, down], 2).reshape(-1, 2), -self._tilt)
            across, down = points.astype(np.float32).reshape(*across.shape, 2).transpose(2, 0, 1)
        grey, reduction = self._image.halved(halvings), 1 << halvings
        map_x, map_y = (
            np.ascontiguousarray(each * np.float32(1 / reduction) - np.float32(0.5))
            for each in (across, down)
        )
        strip = cv2.remap(grey, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(strip, np.uint8)

    def _draw(self, members: Sequence[Member]) -> tuple[U8, U8]:
        """The ink of the row's accepted digits, and of all that are known: the row's others, and
        those of other rows that are accepted. uint8 ``[height, width]``.
        """
        members = [each for each in members if each.digit.accepted or each.digit.row == self._row]
        own = np.zeros((self.height, self.width), np.uint8)
        others = own.copy()
        centres = self._to_level([member.digit.box for member in members])
        tops = centres[:, 1] - self._middle(centres[:, 0]) - self._top
        for member, (x, _), y in zip(members, centres, tops, strict=True):
            width, height = (max(1, round(side / self._scale)) for side in member.digit.row_box[2:])
            left = round((x - self._left) / self._scale - width / 2)
            top = round(y / self._scale - height / 2)
            if left >= self.width or top >= self.height or left + width <= 0 or top + height <= 0:
                continue
            ink = cv2.resize(
                _crop(member.detection.ink), (width, height), interpolation=cv2.INTER_AREA
            )
            is_own = member.digit.row == self._row and member.digit.accepted
            if is_own:
                self._spans.append((left, left + width))
            _paste(np.asarray(ink, np.uint8), own if is_own else others, left, top)
        return own, np.maximum(own, others)

    def _find_ink(self, pixels: U8, digits: U8) -> U8 | None:
        """What is as dark, or as light, as the digits: uint8 ``[height, width]`` of 0 and 1.

        None where they do not stand out from the paper.
        """
        written = np.asarray(cv2.threshold(digits, 128, 255, cv2.THRESH_BINARY)[1], np.uint8)
        blank = cv2.threshold(digits, 15, 255, cv2.THRESH_BINARY_INV)[1]
        if not cv2.countNonZero(written):
            return None
        if cv2.mean(pixels, written)[0] > cv2.mean(pixels, blank)[0]:
            pixels = cv2.bitwise_not(pixels)  # type: ignore[assignment]
        # Paper has no details, so half the size shows it.
        side = round(PAPER_SIDE * self._unit / 2) | 1
        half = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        paper = cv2.morphologyEx(half, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
        paper = cv2.resize(paper, pixels.shape[::-1], interpolation=cv2.INTER_LINEAR)
        darkness = cv2.subtract(paper, pixels)
        levels = darkness[written > 0]
        place = int(0.7 * (len(levels) - 1))
        strong = float(np.partition(levels, place)[place])
        if strong < MIN_LEVELS:
            return None
        least = max(MIN_STRENGTH * strong, MIN_LEVELS)
        return np.asarray(cv2.threshold(darkness, least, 1, cv2.THRESH_BINARY)[1], np.uint8)

    def _find_lines(self, ink: U8) -> tuple[U8, U8]:
        """Ruled lines, level or upright, and upright ones; uint8 ``[height, width]``."""
        across, down = (round(length * self._unit) for length in LINE_LENGTHS)
        level = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((1, across), np.uint8))
        upright = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((down, 1), np.uint8))
        # On to where a line is interrupted, as by digits, but not over what is thicker.
        thick = cv2.morphologyEx(
            ink, cv2.MORPH_OPEN, np.ones((max(3, round(self._unit / 8)), 1), np.uint8)
        )
        further = cv2.dilate(level, np.ones((3, across | 1), np.uint8)) * (1 - thick)
        both = cv2.max(further, cv2.dilate(cv2.max(level, upright), np.ones((3, 3), np.uint8)))
        return np.asarray(both, np.uint8), np.asarray(upright, np.uint8)

    def _split(self, ink: U8, least: int = 1) -> list[Shape]:
        """The connected pieces of ink, of at least so many pixels."""
        if cv2.countNonZero(ink) < least:
            return []
        count, labels, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
        return [
            self._to_shape(labels, i, stats[i].tolist())
            for i in range(1, count)
            if stats[i, cv2.CC_STAT_AREA] >= least
        ]

    def _to_shape(self, labels: npt.NDArray[np.generic], i: int, stats: list[int]) -> Shape:
        """The piece with a label; its stats are OpenCV's."""
        x, y, w, h, area = stats
        unit = self._unit
        return Shape(
            x / unit, y / unit + self._top / self._height, w / unit, h / unit,
            area / unit**2, (labels[y : y + h, x : x + w] == i).astype(np.uint8),
        )  # fmt: skip

    def _find_others(self, ink: U8, digits: U8) -> list[Shape]:
        """Ink that belongs to no digit.

        Pieces apart from all digits stay as they are. Of one that is connected with a digit, what
        is beyond the digit's strokes stays, if it is more than their edges.
        """
        _, labels, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
        areas = stats[:, cv2.CC_STAT_AREA]
        # How much of each is a digit's.
        taken = cv2.threshold(digits, 64, 1, cv2.THRESH_BINARY)[1]
        shared = np.bincount(labels[taken > 0], minlength=len(areas))
        apart = (shared < 0.1 * areas) | self._are_points(np.asarray(stats, np.int32))
        apart[self._find_swallowed(np.asarray(stats, np.int32))] = True
        apart[0] = False
        shapes = [
            self._to_shape(labels, i, stats[i].tolist()) for i in np.flatnonzero(apart).tolist()
        ]
        reach = 2 * max(1, round(REMNANT * self._unit)) + 1
        near = cv2.dilate(taken, np.ones((reach, reach), np.uint8))
        rest = np.asarray(cv2.subtract(ink, near), np.uint8)
        least = round(MIN_ATTACHED * self._unit**2)
        if cv2.countNonZero(rest) >= least + sum(areas[apart]) // 2:
            rest[apart[labels]] = 0
            shapes += self._split(rest, least)
        return shapes

    def _are_points(self, stats: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Which pieces may be points or commas that a digit's detection took with it.

        They are small, and neither above nor below any larger piece, as those of a digit are.

        Args:
            stats: of the pieces, as OpenCV gives them, int32 ``[N, 5]``.
        """
        x, y, w, h, area = (stats / self._unit).T
        area = area / self._unit
        low = y + h / 2 + self._top / self._height >= LOW
        small = (w <= 0.4) & (h <= np.where(low, 0.6, 0.3)) & (area >= MIN_AREA) & (area < 0.1)
        large = ~small & (area >= MIN_ATTACHED)
        large[0] = False
        middle = (x + w / 2)[:, None]
        within = (x < middle) & (middle < x + w) & large
        small &= ~within.any(1)
        # A dot in the upper half is a piece of a digit, or the upper one of a colon.
        beside = np.abs(middle - (x + w / 2)) < PAIR_SHIFT
        return np.asarray(small & (low | (beside & small & low).any(1)))

    def _find_swallowed(self, stats: npt.NDArray[np.int32]) -> list[int]:
        """Strokes that a digit's detection took with it: as high as the digit, and beside it.

        Args:
            stats: of the pieces of ink, as OpenCV gives them, int32 ``[N, 5]``.
        """
        left, width, height, area = (stats[:, column] for column in (0, 2, 3, 4))
        tall = np.flatnonzero(height >= SWALLOWED * self._unit)
        tall = tall[tall > 0]
        largest, beside, reach = set[int](), set[int](), 0.2 * self._unit
        for start, end in self._spans:
            middle = left[tall] + width[tall] / 2
            own = tall[(middle >= start - reach) & (middle <= end + reach)]
            if not len(own):
                continue
            main = own[area[own].argmax()]
            largest.add(int(main))
            common = np.minimum(left[own] + width[own], left[main] + width[main])
            common = common - np.maximum(left[own], left[main])
            beside.update(own[(common < 0.2 * width[own]) & (own != main)].tolist())
        return sorted(beside - largest)

    def _reclassify(self, member: Member) -> list[Mark]:
        """The mark that a digit in doubt is, if its shape is one of a sign."""
        box = member.digit.row_box
        ink = (_crop(member.detection.ink) > 96).astype(np.uint8)
        size = [max(1, round(side / self._scale)) for side in box[2:]]
        ink = np.asarray(cv2.resize(ink, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        centre = self._to_level([member.digit.box])[0]
        middle = centre[1] - float(self._middle(centre[:1])[0])
        width, height = (side / self._height for side in box[2:])
        shape = Shape(
            (centre[0] - self._left) / self._height - width / 2, middle / self._height - height / 2,
            width, height, float(ink.sum()) / self._unit**2, ink,
        )  # fmt: skip
        (kind, _), *_ = classify([shape]) or [("ink", shape)]
        if kind == "ink":
            return []
        return [Mark(kind, member.digit.box, self._row, member.digit.level_box)]

    def _to_mark(self, kind: MarkKind, shape: Shape) -> Mark:
        left = self._left + shape.left * self._height
        right = left + shape.width * self._height
        offset = float(self._middle(np.array([(left + right) / 2]))[0])
        top, bottom = (
            offset + edge * self._height for edge in (shape.top, shape.top + shape.height)
        )
        level = _round_box(left, top, right, bottom)
        if not self._tilt:
            return Mark(kind, level, self._row)
        corners = np.array([(left, top), (right, top), (left, bottom), (right, bottom)])
        corners = turn_points(corners, -self._tilt)
        box = _round_box(*corners.min(0), *corners.max(0))
        x, y = self._offset.tolist()
        level = _round_box(left + x, top + y, right + x, bottom + y)
        return Mark(kind, box, self._row, level)


def _round_box(left: float, top: float, right: float, bottom: float) -> Box:
    x, y = round(left), round(top)
    return x, y, max(1, round(right) - x), max(1, round(bottom) - y)


def _fit_line(points: F64) -> tuple[float, float]:
    """The slope of the straight line through points, and where it begins."""
    (x, y), middle = points.T, points.mean(0)
    spread = float(((x - middle[0]) ** 2).sum())
    slope = float(((x - middle[0]) * (y - middle[1])).sum()) / spread if spread > 0 else 0.0
    return slope, float(middle[1] - slope * middle[0])


def _crop(ink: U8) -> U8:
    """Ink without the paper around, as a digit's box is."""
    x, y, w, h = ink_box(ink)
    return ink[y : y + h, x : x + w] if w and h else ink


def _paste(ink: U8, layer: U8, left: int, top: int) -> None:
    """Add ink to a layer where it is within it."""
    x, y = max(0, -left), max(0, -top)
    part = layer[top + y : top + ink.shape[0], left + x : left + ink.shape[1]]
    np.maximum(part, ink[y : y + part.shape[0], x : x + part.shape[1]], out=part)
