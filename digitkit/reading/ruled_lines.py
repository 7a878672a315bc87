"""Ruled lines in a strip: level, nearly level, and upright ones, whole or in pieces."""

from __future__ import annotations

import numpy as np

from digitkit.arrays import I32, U8
from digitkit.images.cv import cv2
from digitkit.reading.shapes import ARC, MIN_AREA, Shape

LINE_LENGTHS = 2.2, 1.55
"""Level and upright strokes longer than this are ruled lines, in heights."""

THIN = 0.2
"""Such a line is thinner than this, in heights; what is not is a shadow."""

SLOPING_LENGTH = 3.0
"""Lines that are not quite level are longer than this, in heights; some tails of digits are not."""

SLOPES = np.linspace(-0.18, 0.18, 25)
"""Slopes that ruled lines may have where they are not quite level."""

DIRECTIONS = 3
"""So many slopes are dealt with in one strip."""

SHORTEST_PIECE, HIGHEST_PIECE = 0.2, 0.5
"""Least width of a piece of such a line, in heights; and its greatest height, in its width."""

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


def find_lines(ink: U8, faint: U8, unit: float) -> tuple[U8, U8]:
    """Level ruled lines, and upright ones; uint8 ``[height, width]``.

    Args:
        ink: 0 or 1, uint8 ``[height, width]``.
        faint: the same with what is fainter, too: pieces of a faint level line are as dark as ink.
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
    if (paler := _open(faint, 1, across)).any():
        level |= paler - _open(paler, round(THIN * unit), 1)
    # On to where a line is interrupted, as by digits, but not over what is thicker.
    thick = _open(ink, max(3, round(unit / 8)), 1)
    further = cv2.dilate(level, np.ones((3, across | 1), np.uint8)) * (1 - thick)
    return np.asarray(cv2.max(further, cv2.dilate(level, np.ones((3, 3), np.uint8))), np.uint8)


def find_sloping(ink: U8, faint: U8, stats: I32, unit: float) -> U8 | None:
    """Ruled lines that are not quite level, all of one slope; None without any.

    Args:
        ink: as for `find_lines`.
        faint: likewise.
        stats: of the connected pieces of the ink, as OpenCV gives them, int32 ``[N, 5]``.
        unit: height of the row's digits, pixels.
    """
    slope = _find_slope(faint, stats, unit)
    if slope is None:
        return None
    height, width = ink.shape
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
    length = round(SLOPING_LENGTH * unit)
    thick = np.pad(cv2.dilate(faint, np.ones((3, 1), np.uint8)), 1)
    for x, y, width, height, _ in stats[1:].tolist():
        if width < SHORTEST_PIECE * unit or height > HIGHEST_PIECE * width:
            continue
        middle = round(x + width / 2)
        across = np.arange(max(0, middle - length), min(faint.shape[1], middle + length))
        down = np.round(y + height / 2 + SLOPES[:, None] * (across - middle)).astype(np.intp)
        seen = thick[np.clip(down + 1, 0, thick.shape[0] - 1), across + 1]
        total = np.pad(seen, ((0, 0), (1, 0))).cumsum(1, dtype=np.int64)
        longest = (total[:, length:] - total[:, :-length]).max(1, initial=0)
        if longest.max() >= ALMOST_ALL * length:
            return float(SLOPES[longest.argmax()])
    return None


def find_dotted(stats: I32, unit: float) -> list[int]:
    """The pieces of ink that are dots or dashes of a dotted or broken line, by their labels.

    Those that continue such a line beyond digits are among them.

    Args:
        stats: of the connected pieces, as OpenCV gives them, int32 ``[N, 5]``.
        unit: height of the row's digits, pixels.
    """
    left, top, width, height, area = (stats / unit).T
    centre, middle, right = left + width / 2, top + height / 2, left + width
    flat = np.flatnonzero((height <= FLAT) & (area >= MIN_AREA * unit))
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
    dotted = set[int]()
    for chain in chains:
        first, last = chain[0], chain[-1]
        if len(chain) < MIN_DOTTED or right[last] - left[first] < DOTTED_LENGTH:
            continue
        slope = (middle[last] - middle[first]) / (centre[last] - centre[first])
        off = middle[flat] - middle[first] - slope * (centre[flat] - centre[first])
        dotted.update(chain, flat[np.abs(off) <= DOTTED_RISE].tolist())
    return sorted(dotted)


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
        if stroke and (
            shape.width >= ARC[0] or stroke.width - stroke.area / stroke.height >= LEANS
        ):
            upright[labels == i] = 0
