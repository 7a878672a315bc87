"""Ruled lines in a strip: level, nearly level, and upright ones, whole or in pieces."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from digitkit.arrays import F64, I32, U8
from digitkit.images.cv import cv2
from digitkit.reading.shapes import ARC, MIN_AREA, Shape

LINE_LENGTHS = 2.2, 1.55
"""Level and upright strokes longer than this are ruled lines, in heights."""

THIN = 0.2
"""Such a line is thinner than this, in heights; what is not is a shadow."""

CROSSING = 0.35, 0.8
"""Strokes of this height that cross a line, in heights, such as a comma, stay whole."""

SLOPING_LENGTH = 3.0
"""Lines that are not quite level are longer than this, in heights; some tails of digits are not."""

SLOPES = np.linspace(-0.18, 0.18, 25)
"""Slopes that ruled lines may have where they are not quite level."""

DIRECTIONS = 3
"""So many slopes are dealt with in one strip."""

SHORTEST_PIECE, HIGHEST_PIECE = 0.2, 0.5
"""Least width of a piece of such a line, in heights; and its greatest height, in its width."""

MOST_PIECES = 8
"""So many of these pieces are followed, the widest first."""

WIDEST_SLOPING = 40
"""In wider strips, in heights, no sloping lines are looked for: it would take long."""

ALMOST_ALL = 0.92
"""So much of it is seen."""

FLAT = 0.25
"""Dots and dashes of a dotted or broken line are not higher than this, in heights."""

DOT_WIDTH = 0.25
"""What is wider is a dash, in heights."""

MIN_DOTTED, DOTTED_LENGTH = 3, 1.0
"""It has at least so many, and is at least so long, in heights."""

DOTTED_GAP = 0.5
"""They are at most this far apart, in heights, ..."""

DOTTED_RISE, DOTTED_SLOPE = 0.05, 0.12
"""... and one higher than the next by at most this, in heights, and this part of their distance."""

LEANS = 0.07
"""A high stroke that is this much wider beside the digits than its pen, in heights, is a slash or a
bracket and no ruled line."""


class Dotted(NamedTuple):
    """A dotted line.

    Attributes:
        x: where its dots are, from the left end of the strip, in heights; float64 ``[N]``, rising.
        y: from its top, likewise.
    """

    x: F64
    y: F64

    def runs_near(self, x: float, y: float) -> bool:
        """Whether it, or its continuation, is near a place, in heights."""
        return abs(y - float(np.interp(x, self.x, self.y))) <= 2 * DOTTED_RISE


def find_lines(ink: U8, faint: U8, unit: float) -> tuple[U8, U8]:
    """Level ruled lines, and upright ones; uint8 ``[height, width]``.

    Args:
        ink: 0 or 1, uint8 ``[height, width]``.
        faint: the same with what is fainter, too: pieces of a faint level line are as dark as ink.
            Changed: dark lines are taken out.
        unit: height of the row's digits, pixels.
    """
    level = _find_level(ink, faint, unit)
    upright = _open(ink, round(LINE_LENGTHS[1] * unit), 1)
    _drop_leaning(upright, np.asarray(cv2.subtract(ink, level), np.uint8), unit)
    return level, upright


def _find_level(ink: U8, faint: U8, unit: float) -> U8:
    """Level ruled lines; see `find_lines`."""
    across = round(LINE_LENGTHS[0] * unit)
    level = _open(ink, 1, across)
    # Of a dark line, whole as it is, the soft edges are no other one.
    faint[cv2.dilate(level, np.ones((5, 1), np.uint8)) > 0] = 0
    if (paler := _open(faint, 1, across)).any():
        level |= paler - _open(paler, round(THIN * unit), 1)
    if not level.any():
        return level
    # On to where a line is interrupted, as by digits, but not over what is thicker.
    thick = _open(ink, max(3, round(unit / 8)), 1)
    further = cv2.dilate(level, np.ones((3, across | 1), np.uint8)) * (1 - thick)
    lines = np.asarray(cv2.max(further, cv2.dilate(level, np.ones((3, 3), np.uint8))), np.uint8)
    low, high = (_open(ink, round(height * unit), 1) for height in CROSSING)
    return lines * (1 - (low - high))


def find_sloping(ink: U8, faint: U8, stats: I32, unit: float) -> U8 | None:
    """Ruled lines that are not quite level, all of one slope; None without any.

    Args:
        ink: as for `find_lines`.
        faint: likewise.
        stats: of the connected pieces of the ink, as OpenCV gives them, int32 ``[N, 5]``.
        unit: height of the row's digits, pixels.
    """
    height, width = ink.shape
    if width > WIDEST_SLOPING * unit:
        return None
    slope = _find_slope(faint, stats, unit)
    if slope is None:
        return None
    shear = np.array([[1, 0, 0], [-slope, 1, max(slope, 0) * width]], np.float64)
    size = width, height + round(abs(slope) * width)
    # Where the slope is not quite that of the line, its pixels are in two rows.
    thicker = cv2.dilate(faint, np.ones((3, 1), np.uint8))
    level = _find_level(
        np.asarray(cv2.warpAffine(ink, shear, size, flags=cv2.INTER_NEAREST), np.uint8),
        np.asarray(cv2.warpAffine(thicker, shear, size, flags=cv2.INTER_NEAREST), np.uint8),
        unit,
    )
    back = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(level, shear, (width, height), flags=back), np.uint8)


def _find_slope(faint: U8, stats: I32, unit: float) -> float | None:
    """The slope of a line that a flat piece of ink is a part of, pixels down per pixel."""
    pieces = stats[1:, :4]
    is_flat = pieces[:, 3] <= HIGHEST_PIECE * pieces[:, 2]
    pieces = pieces[is_flat & (pieces[:, 2] >= SHORTEST_PIECE * unit)]
    if not len(pieces):
        return None
    length = round(SLOPING_LENGTH * unit)
    thick = np.pad(cv2.dilate(faint, np.ones((3, 1), np.uint8)), 1)
    widest = np.argsort(-pieces[:, 2], kind="stable")[:MOST_PIECES]
    for x, y, width, height in pieces[widest].tolist():
        middle = round(x + width / 2)
        across = np.arange(max(0, middle - length), min(faint.shape[1], middle + length))
        down = np.round(y + height / 2 + SLOPES[:, None] * (across - middle)).astype(np.intp)
        seen = thick[np.clip(down + 1, 0, thick.shape[0] - 1), across + 1]
        total = np.pad(seen, ((0, 0), (1, 0))).cumsum(1, dtype=np.int64)
        longest = (total[:, length:] - total[:, :-length]).max(1, initial=0)
        if longest.max() >= ALMOST_ALL * length:
            return float(SLOPES[longest.argmax()])
    return None


def find_dotted(stats: I32, unit: float) -> tuple[list[int], list[Dotted]]:
    """The dots and dashes of dotted or broken lines, by their labels; and where these lines are.

    They follow each other without a digit between them: beyond one, a dot may be a decimal point.

    Args:
        stats: of the connected pieces, as OpenCV gives them, int32 ``[N, 5]``.
        unit: height of the row's digits, pixels.
    """
    left, top, width, height, area = (stats / unit).T
    centre, middle, right = left + width / 2, top + height / 2, left + width
    flat = np.flatnonzero((height <= FLAT) & (area >= MIN_AREA * unit))
    if len(flat) < MIN_DOTTED:
        return [], []
    flat = flat[np.argsort(left[flat], kind="stable")]
    chains, near = list[list[int]](), list[list[int]]()
    for i in flat.tolist():
        near = [chain for chain in near if left[i] - right[chain[-1]] <= DOTTED_GAP]
        for chain in near:
            last = chain[-1]
            steepest = DOTTED_RISE + DOTTED_SLOPE * (centre[i] - centre[last])
            if right[last] <= left[i] and abs(middle[i] - middle[last]) <= steepest:
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
        lines.append(Dotted(centre[chain], middle[chain]))
        dotted += chain
    return dotted, lines


def _open(mask: U8, height: int, width: int) -> U8:
    """A mask without what is smaller than a rectangle of this size, pixels."""
    kernel = np.ones((max(1, height), max(1, width)), np.uint8)
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel), np.uint8)


def _drop_leaning(upright: U8, ink: U8, unit: float) -> None:
    """Drop what is a part of a slash, a bracket or a circle from upright lines.

    Args:
        upright: changed.
        ink: without level lines, uint8 ``[height, width]``, 0 or 1.
        unit: height of the row's digits, pixels.
    """
    if not upright.any():
        return
    _, labels, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    for i in filter(None, np.unique(labels[upright > 0]).tolist()):
        x, y, width, height, area = stats[i].tolist()
        piece = (labels[y : y + height, x : x + width] == i).astype(np.uint8)
        top = (y - ink.shape[0] / 2) / unit
        shape = Shape(x / unit, top, width / unit, height / unit, area / unit**2, piece)
        stroke = shape.high_stroke
        if stroke and (shape.width >= ARC[0] or stroke.width - stroke.pen >= LEANS):
            upright[labels == i] = 0
