"""Ruled lines in a strip: horizontal, nearly horizontal, and vertical ones, whole or in pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F64, I32, U8
from digitkit.images.cv import cv2
from digitkit.images.masks import connected_components, open_mask
from digitkit.reading.rows.faint_lines import find_faint_lines
from digitkit.reading.rows.shapes import MIN_ARC_SIZE, MIN_AREA, Shape

LINE_LENGTHS = 2.2, 1.55
"""Horizontal and vertical strokes longer than this are ruled lines, in heights."""

MAX_THICKNESS = 0.2
"""Maximum thickness of a ruled line, in heights; what is thicker is a shadow."""

CROSSING_HEIGHTS = 0.35, 0.8
"""Strokes of this height that cross a line, in heights, such as a comma, stay whole."""

SLOPING_LENGTH = 3.0
"""Lines that are not quite horizontal are longer than this, in heights; tails of digits seldom."""

SLOPES = np.linspace(-0.18, 0.18, 25)
"""Slopes that ruled lines may have where they are not quite horizontal."""

MAX_SLOPES = 3
"""Maximum number of different slopes of ruled lines removed from one strip."""

MIN_PIECE_WIDTH, MAX_PIECE_ASPECT = 0.2, 0.5
"""Minimum width of a flat piece of a sloping line, in heights; and its maximum height, in its
width."""

MAX_SEEDS = 8
"""Number of widest flat pieces tested as seeds of a sloping line."""

MAX_SLOPING_WIDTH = 40
"""In wider strips, in heights, no sloping lines are looked for: it would take long."""

MIN_LINE_INK = 0.92
"""Minimum fraction of a candidate line's pixels that must be ink."""

MAX_DOT_HEIGHT = 0.25
"""Dots and dashes of a dotted or broken line are not higher than this, in heights."""

DOT_WIDTH = 0.25
"""Maximum width of a dot of a dotted line, in heights; what is wider is a dash."""

MIN_DOTTED, DOTTED_LENGTH = 3, 1.0
"""Minimum number of dots and dashes of a dotted line; and its minimum length, in heights."""

DOTTED_GAP = 0.5
"""Maximum gap between two dots or dashes of a dotted line, in heights."""

DOTTED_RISE, DOTTED_SLOPE = 0.05, 0.12
"""Maximum difference in height between two dots that follow each other in a dotted line: a number
of heights, plus a fraction of their distance."""

MIN_LEAN_WIDTH = 0.07
"""A high stroke that is this much wider beside the digits than its pen, in heights, is a slash or a
bracket and no ruled line."""


class Dotted(NamedTuple):
    """A dotted line.

    Attributes:
        x: where its dots are, from the left end of the strip, in heights; float64 ``[N]``, rising.
        y: where they are, from the top of the strip, in heights; float64 ``[N]``.
    """

    x: F64
    y: F64

    def runs_near(self, x: float, y: float) -> bool:
        """Whether it, or its continuation, is near a place, in heights."""
        return abs(y - float(np.interp(x, self.x, self.y))) <= 2 * DOTTED_RISE


@dataclass(frozen=True, eq=False)
class RuledLines:
    """The ruled lines of a strip.

    Attributes:
        horizontal: horizontal lines, or nearly horizontal ones, uint8 ``[height, width]``, 0 or 1.
        vertical: vertical lines, uint8 ``[height, width]``, 0 or 1.
        faint: fainter vertical lines between these, uint8 ``[height, width]``, 0 or 1.
        dotted: dotted lines.
    """

    horizontal: U8
    vertical: U8
    faint: U8
    dotted: Sequence[Dotted]

    def has_horizontal(self, rows: slice, columns: slice) -> bool:
        """Whether there is a piece of a horizontal line in a part of the strip."""
        return bool(self.horizontal[rows, columns].any())

    def horizontal_columns(self, rows: slice) -> npt.NDArray[np.bool_]:
        """In which columns there is a piece of a horizontal line in some rows, ``[width]``."""
        return np.asarray(self.horizontal[rows].any(0))

    def runs_dotted(self, x: float, y: float) -> bool:
        """Whether a dotted line, or its continuation, is near a place.

        Args:
            x: from the left end of the strip, in heights.
            y: from its top, in heights.
        """
        return any(each.runs_near(x, y) for each in self.dotted)


def remove_lines(mask: U8, faint: U8, strength: U8, unit: float) -> tuple[RuledLines, I32, I32]:
    """Find the ruled lines of a strip, and take them out of its ink.

    Args:
        mask: ink, uint8 ``[height, width]``, 0 or 1. Changed: the lines are taken out.
        faint: the same with what is fainter, too. Changed: dark lines are taken out.
        strength: how strong the ink is, uint8 ``[height, width]``. Changed: the dots of dotted
            lines are taken out.
        unit: height of the row's digits, pixels of the strip.

    Returns:
        The lines; and the connected pieces of the ink that is left, as `connected_components`
        returns them.
    """
    horizontal, vertical = _find_straight(mask, faint, unit)
    mask[cv2.max(horizontal, cv2.dilate(vertical, np.ones((3, 3), np.uint8))) > 0] = 0
    labels, stats = connected_components(mask)
    for _ in range(MAX_SLOPES):
        sloping = _find_sloping(mask, faint, stats, unit)
        if sloping is None:
            break
        mask[sloping > 0] = 0
        horizontal |= sloping
        labels, stats = connected_components(mask)
    thin = np.zeros_like(vertical)
    if vertical.any():
        thin = find_faint_lines(strength, mask, vertical, unit)
        mask[thin > 0] = 0
        labels, stats = connected_components(mask)
    dots, dotted = _find_dotted(stats, unit)
    if dots:
        _take_out(mask, strength, labels, stats, dots, unit)
        labels, stats = connected_components(mask)
    return RuledLines(horizontal, vertical, thin, dotted), labels, stats


def _take_out(
    mask: U8, strength: U8, labels: I32, stats: I32, dotted: list[int], unit: float
) -> None:
    """Take the pieces of a dotted line out of the mask, and its dots out of the strength as well.

    They are points to the line reader.
    """
    mask[np.isin(labels, dotted)] = 0
    dots = [i for i in dotted if stats[i, cv2.CC_STAT_WIDTH] <= DOT_WIDTH * unit]
    edges = cv2.dilate(np.isin(labels, dots).astype(np.uint8), np.ones((3, 3), np.uint8))
    strength[edges > mask] = 0


def _find_straight(ink: U8, faint: U8, unit: float) -> tuple[U8, U8]:
    """Horizontal ruled lines, and vertical ones; uint8 ``[height, width]``.

    Args:
        ink: 0 or 1, uint8 ``[height, width]``.
        faint: the same with what is fainter, too: pieces of a faint horizontal line are as dark as
            ink. Changed: dark lines are taken out.
        unit: height of the row's digits, pixels.
    """
    horizontal = _find_horizontal(ink, faint, unit)
    vertical = open_mask(ink, round(LINE_LENGTHS[1] * unit), 1)
    _drop_leaning(vertical, np.asarray(cv2.subtract(ink, horizontal), np.uint8), unit)
    return horizontal, vertical


def _find_horizontal(ink: U8, faint: U8, unit: float) -> U8:
    """Horizontal ruled lines; see `_find_straight`."""
    across = round(LINE_LENGTHS[0] * unit)
    horizontal = open_mask(ink, 1, across)
    if horizontal.any():  # its soft edges are no other line
        faint[cv2.dilate(horizontal, np.ones((5, 1), np.uint8)) > 0] = 0
    if (paler := open_mask(faint, 1, across)).any():
        horizontal |= paler - open_mask(paler, round(MAX_THICKNESS * unit), 1)
    if not horizontal.any():
        return horizontal
    # On to where a line is interrupted, as by digits, but not over what is thicker.
    thick = open_mask(ink, max(3, round(unit / 8)), 1)
    further = cv2.dilate(horizontal, np.ones((3, across | 1), np.uint8)) * (1 - thick)
    lines = np.asarray(
        cv2.max(further, cv2.dilate(horizontal, np.ones((3, 3), np.uint8))), np.uint8
    )
    low, high = (open_mask(ink, round(height * unit), 1) for height in CROSSING_HEIGHTS)
    return lines * (1 - (low - high))


def _find_sloping(ink: U8, faint: U8, stats: I32, unit: float) -> U8 | None:
    """Ruled lines that are not quite horizontal, all of one slope; None without any.

    Args:
        ink: as for `_find_straight`.
        faint: as for `_find_straight`.
        stats: of the connected pieces of the ink, as OpenCV gives them, int32 ``[N, 5]``.
        unit: height of the row's digits, pixels.
    """
    height, width = ink.shape
    if width > MAX_SLOPING_WIDTH * unit:
        return None
    pieces = _find_flat(stats, unit)
    if not pieces:
        return None
    # Where the slope is not quite that of the line, its pixels are in two rows.
    thicker = np.asarray(cv2.dilate(faint, np.ones((3, 1), np.uint8)), np.uint8)
    slope = _find_slope(thicker, pieces, unit)
    if slope is None:
        return None
    shear = np.array([[1, 0, 0], [-slope, 1, max(slope, 0) * width]], np.float64)
    size = width, height + round(abs(slope) * width)
    horizontal = _find_horizontal(
        np.asarray(cv2.warpAffine(ink, shear, size, flags=cv2.INTER_NEAREST), np.uint8),
        np.asarray(cv2.warpAffine(thicker, shear, size, flags=cv2.INTER_NEAREST), np.uint8),
        unit,
    )
    back = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(horizontal, shear, (width, height), flags=back), np.uint8)


def _find_flat(stats: I32, unit: float) -> list[list[int]]:
    """The boxes of the widest flat pieces of ink, which may be pieces of a line."""
    boxes = stats[1:, :4]
    is_flat = boxes[:, 3] <= MAX_PIECE_ASPECT * boxes[:, 2]
    boxes = boxes[is_flat & (boxes[:, 2] >= MIN_PIECE_WIDTH * unit)]
    widest = np.argsort(-boxes[:, 2], kind="stable")[:MAX_SEEDS]
    pieces: list[list[int]] = boxes[widest].tolist()
    return pieces


def _find_slope(thicker: U8, pieces: Sequence[Sequence[int]], unit: float) -> float | None:
    """The slope of a line that a flat piece of ink is a part of, pixels down per pixel."""
    length = round(SLOPING_LENGTH * unit)
    framed = np.pad(thicker, 1)
    for x, y, width, height in pieces:
        middle = round(x + width / 2)
        across = np.arange(max(0, middle - length), min(thicker.shape[1], middle + length))
        down = np.round(y + height / 2 + SLOPES[:, None] * (across - middle)).astype(np.intp)
        sampled = framed[np.clip(down + 1, 0, framed.shape[0] - 1), across + 1]
        total = np.pad(sampled, ((0, 0), (1, 0))).cumsum(1, dtype=np.int64)
        longest = (total[:, length:] - total[:, :-length]).max(1, initial=0)
        if longest.max() >= MIN_LINE_INK * length:
            return float(SLOPES[longest.argmax()])
    return None


def _find_dotted(stats: I32, unit: float) -> tuple[list[int], list[Dotted]]:
    """The dots and dashes of dotted or broken lines, by their labels; and where these lines are.

    They follow each other without a digit between them: beyond one, a dot may be a decimal point.

    Args:
        stats: of the connected pieces, as OpenCV gives them, int32 ``[N, 5]``.
        unit: height of the row's digits, pixels.
    """
    left, top, width, height, area = (stats / unit).T
    centre_x, centre_y, right = left + width / 2, top + height / 2, left + width
    flat = np.flatnonzero((height <= MAX_DOT_HEIGHT) & (area >= MIN_AREA * unit))
    if len(flat) < MIN_DOTTED:
        return [], []
    flat = flat[np.argsort(left[flat], kind="stable")]
    chains, near = list[list[int]](), list[list[int]]()
    for i in flat.tolist():
        near = [chain for chain in near if left[i] - right[chain[-1]] <= DOTTED_GAP]
        for chain in near:
            last = chain[-1]
            steepest = DOTTED_RISE + DOTTED_SLOPE * (centre_x[i] - centre_x[last])
            if right[last] <= left[i] and abs(centre_y[i] - centre_y[last]) <= steepest:
                chain.append(i)
                break
        else:
            near.append([i])
            chains.append(near[-1])
    dotted, lines = list[int](), list[Dotted]()
    for chain in chains:
        first, last = chain[0], chain[-1]
        if len(chain) < MIN_DOTTED or right[last] - left[first] < DOTTED_LENGTH:
            continue
        lines.append(Dotted(centre_x[chain], centre_y[chain]))
        dotted += chain
    return dotted, lines


def _drop_leaning(vertical: U8, ink: U8, unit: float) -> None:
    """Drop what is a part of a slash, a bracket or a circle from vertical lines.

    Args:
        vertical: changed.
        ink: without horizontal lines, uint8 ``[height, width]``, 0 or 1.
        unit: height of the row's digits, pixels.
    """
    if not vertical.any():
        return
    labels, stats = connected_components(ink)
    for i in filter(None, np.unique(labels[vertical > 0]).tolist()):
        x, y, width, height, _ = stats[i].tolist()
        piece = (labels[y : y + height, x : x + width] == i).astype(np.uint8)
        shape = Shape.from_ink(piece, x / unit, (y - ink.shape[0] / 2) / unit, unit)
        stroke = shape.high_stroke
        if stroke and (
            shape.width >= MIN_ARC_SIZE[0] or stroke.width - stroke.stroke_width >= MIN_LEAN_WIDTH
        ):
            vertical[labels == i] = 0
