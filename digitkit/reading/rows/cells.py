"""Boxes of a form for one digit each, and combs: a base line with strokes at equal distances on it.

Their strokes would be points, commas, 1s, or lines between numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F64, U8, Box
from digitkit.boxes import middle_x
from digitkit.images.cv import cv2
from digitkit.images.masks import connected_components, find_runs
from digitkit.reading.numbers.parts import MIN_TICKS, is_one_per_box

MIN_LENGTH, MIN_BASE = 1.5, 0.3
"""Minimum length of a base line, and its minimum distance below the middle of the digits, in
heights."""

MAX_BASE_STEP = 0.07
"""Maximum change of a base line's height from a pixel to the next, in heights, but at least 1
pixel."""

MAX_THICKNESS, MIN_TICK, MAX_TICK_WIDTH = 0.15, 0.18, 0.22
"""Maximum thickness of a base line; minimum height of a stroke on it, the line included, and its
maximum width; in heights."""

CELL_WIDTHS, MAX_UNEVENNESS, MIN_FOUND = (0.6, 2.2), 0.12, 0.75
"""Minimum and maximum width of a cell, and maximum distance of a stroke from where it would be if
all were equal, in heights; and minimum fraction of the strokes that are seen between two."""

MAX_APART = 3
"""Between two strokes of cells there are fewer others than this, which are a part of digits."""

MAX_FLUSH_OFFSET, MIN_END, MAX_END = 0.2, 0.6, 1.15
"""One end of a base line is at a stroke, within the first fraction of a cell. The other one may be
beyond the last stroke that is seen, by at most the last value; from the second on there is one more
cell."""

DIGIT_HEIGHTS = (0.82, 1.15)
"""Strokes of a height between these, in heights, are as high as digits, and may be 1s."""

MIN_ROOM, MIN_FILLED = 0.5, 0.9
"""Minimum width of the paper in a closed box, in heights; and minimum fraction of a rectangle that
it is, with what it encloses."""

MAX_BOX_DIFFERENCE, MAX_BETWEEN, MIN_GROUP_SPACE = 0.25, 0.5, 0.15
"""Maximum difference between the widths and the ends of boxes beside each other, and maximum gap
between the paper in them; one that is wider than most by the last value separates groups; in
heights."""

MIN_FRAME_SIZE = 0.9
"""Minimum size of a box around digits, in heights."""

MIN_THICKENING = 0.07
"""A stroke is thicker where something is on it, by at least this, in heights, and by 2 pixels."""

MAX_HEIGHT_DIFFERENCE = 0.3
"""So many of the strokes differ in height from most by at most this, in heights of the digits."""

MIN_DIGITS, MIN_STROKE_DISTANCE, MAX_WRITTEN, MIN_APART = 2, 0.2, 0.4, 0.75
"""Minimum number of digits in cells; minimum distance of their middles from strokes, in the width
of a cell; maximum fraction of a stroke that is a part of digits; and minimum fraction of the digits
and of the strokes for which that is so."""


class Cells(NamedTuple):
    """Cells of a strip beside each other.

    Attributes:
        sides: the strokes between and beside them, in pixels of the strip, from the left.
        base: where the base line is, uint8 ``[height, width]``, 0 or 1.
    """

    sides: list[Box]
    base: U8


def find_cells(ink: U8, unit: float) -> list[Cells]:
    """The rows of cells in a strip.

    Args:
        ink: with what is fainter than writing, too; uint8 ``[height, width]``, 0 or 1.
        unit: height of the row's digits, pixels of the strip.
    """
    found = _find_boxes(ink, unit)
    if found:
        return found
    labels, stats = connected_components(ink)
    for i, (x, y, width, height, _) in enumerate(stats[1:].tolist(), 1):
        if width < MIN_LENGTH * unit:
            continue
        piece = labels[y : y + height, x : x + width] == i
        for start, end, bottom in _find_base_lines(piece, unit):
            if y + np.median(bottom) < ink.shape[0] / 2 + MIN_BASE * unit:
                continue
            cells = _find_sides(piece[:, start:end], bottom, unit)
            if cells:
                base = np.zeros_like(ink)
                base[y : y + height, x + start : x + end] = cells.base
                sides = [(x + start + left, y + top, w, h) for left, top, w, h in cells.sides]
                found.append(Cells(sides, base))
    return found


def are_in_cells(strokes: Sequence[Box], middles: Sequence[float], written: U8) -> bool:
    """Whether digits are in the cells between strokes, and these are not strokes of the digits.

    There are at least two digits, and at most one in each cell.

    Args:
        strokes: boxes, from the left.
        middles: x coordinates of the digits.
        written: where their strokes are, uint8 ``[height, width]``, 0 or 1.
    """
    edges = [middle_x(stroke) for stroke in strokes]
    within = [x for x in middles if edges[0] < x < edges[-1]]
    if len(within) < MIN_DIGITS or not is_one_per_box(edges, middles):
        return False
    least = MIN_STROKE_DISTANCE * min(right - left for left, right in pairwise(edges))
    apart = sum(min(abs(x - edge) for edge in edges) >= least for x in within)
    free = sum(written[y : y + h, x : x + w].mean() < MAX_WRITTEN for x, y, w, h in strokes)
    return bool(apart >= MIN_APART * len(within) and free >= MIN_APART * len(strokes))


def erase_cells(
    cells: Cells, written: npt.NDArray[np.bool_], layers: Sequence[U8], unit: float
) -> None:
    """Take the strokes and the base line of cells out of layers.

    Digits that cross them stay, and what makes a stroke thicker, such as a comma on it.

    Args:
        cells: of the strip.
        written: where digits are, bool ``[height, width]``.
        layers: uint8 ``[height, width]``; changed. The first one, of 0 and 1, says what crosses.
        unit: height of the row's digits, pixels of the strip.
    """
    ink, erased = layers[0] > 0, (cells.base > 0) & ~written
    near = cv2.dilate(np.maximum(written, cells.base), np.ones((5, 5), np.uint8)) > 0
    foreign = ink & ~near
    for x, y, width, height in cells.sides:
        rows, left, right = slice(y, y + height), max(2, x - 1), x + width + 1
        right = min(ink.shape[1] - 2, right)
        before = ink[rows, left - 2 : left].all(axis=1, keepdims=True)
        after = ink[rows, right : right + 2].all(axis=1, keepdims=True)
        kept = (before & after) | ((before | after) & written[rows, left:right])
        kept |= _find_thicker(foreign[rows, max(0, x - 3) : x + width + 3], unit)[:, None]
        erased[rows, left:right] |= ~kept
    for layer in layers:
        layer[erased] = 0


def _find_thicker(stroke: npt.NDArray[np.bool_], unit: float) -> npt.NDArray[np.bool_]:
    """In which rows of ink a stroke is thicker than in most, ``[h]``.

    Args:
        stroke: its ink, ``[h, w]``.
        unit: height of the row's digits, pixels of the strip.
    """
    widths = stroke.sum(1)
    usual = np.median(widths[widths > 0]) if widths.any() else 0
    return np.asarray(widths >= usual + max(2, round(MIN_THICKENING * unit)))


def _find_boxes(ink: U8, unit: float) -> list[Cells]:
    """The rows of closed boxes in a strip; its borders may cut off their tops and bottoms."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(1 - ink, connectivity=4)
    stats = stats[1:]  # without the ink
    x, _, width, height, _ = stats.T
    may_be = (x > 0) & (x + width < ink.shape[1]) & (height >= MIN_FRAME_SIZE * unit)
    may_be &= (width >= MIN_ROOM * unit) & (width <= CELL_WIDTHS[1] * unit)
    boxes = [box for box in sorted(stats[may_be, :4].tolist()) if _is_rectangle(ink, box)]
    rows = list[list[list[int]]]()
    for box in boxes:
        if rows and _are_beside(rows[-1][-1], box, unit):
            rows[-1].append(box)
        else:
            rows.append([box])
    groups = [group for row in rows for group in _split_at_spaces(row, unit)]
    return [_to_cells(ink, group, unit) for group in groups if len(group) >= MIN_TICKS - 1]


def _is_rectangle(ink: U8, box: Sequence[int]) -> bool:
    """Whether what is around a piece of paper is a box, but for a digit that touches it.

    Without any ink in it, what the strip cuts off above and below is the gap between two boxes.
    """
    x, y, width, height = box
    if height == len(ink) and not ink[:, x + 1 : x + width - 1].any():
        return False
    paper = 1 - ink[y : y + height, x : x + width]
    hull = cv2.convexHull(cv2.findNonZero(paper))
    return cv2.contourArea(hull) >= MIN_FILLED * (width - 1) * (height - 1)


def _are_beside(a: Sequence[int], b: Sequence[int], unit: float) -> bool:
    """Whether two boxes are beside each other, as large, and level."""
    gap, room = b[0] - a[0] - a[2], MAX_BOX_DIFFERENCE * unit
    is_level = abs(a[1] - b[1]) <= room and abs(a[1] + a[3] - b[1] - b[3]) <= room
    return 0 < gap <= MAX_BETWEEN * unit and is_level and abs(a[2] - b[2]) <= room


def _split_at_spaces(boxes: Sequence[list[int]], unit: float) -> Iterator[Sequence[list[int]]]:
    """The groups of boxes with more space between them than between most, as those of a date."""
    gaps = [b[0] - a[0] - a[2] for a, b in pairwise(boxes)]
    usual = sorted(gaps)[(len(gaps) - 1) // 2] if gaps else 0
    limit = usual + MIN_GROUP_SPACE * unit
    ends = [0, *(i for i, gap in enumerate(gaps, 1) if gap >= limit), len(boxes)]
    yield from (boxes[start:end] for start, end in pairwise(ends))


def _to_cells(ink: U8, boxes: Sequence[Sequence[int]], unit: float) -> Cells:
    """The cells that are within boxes beside each other."""
    thick = max(1, round(MAX_THICKNESS * unit))
    base = np.zeros_like(ink)
    for x, y, width, height in boxes:
        for start in (max(0, y - thick), y + height):
            part = slice(start, start + thick), slice(max(0, x - thick), x + width + thick)
            base[part] = ink[part]
    top = max(0, int(np.median([box[1] for box in boxes])))
    height = int(np.median([box[1] + box[3] for box in boxes])) - top
    starts = [boxes[0][0] - thick, *(box[0] + box[2] for box in boxes)]
    ends = [*(box[0] for box in boxes), boxes[-1][0] + boxes[-1][2] + thick]
    sides = [
        (max(0, start), top, min(end, ink.shape[1]) - max(0, start), height)
        for start, end in zip(starts, ends, strict=True)
    ]
    return Cells(sides, base)


def _find_base_lines(
    piece: npt.NDArray[np.bool_], unit: float
) -> Iterator[tuple[int, int, npt.NDArray[np.intp]]]:
    """Where the lower edge of a piece of ink is a line: first and last column, and its rows."""
    height = len(piece)
    bottom = height - 1 - piece[::-1].argmax(0)
    is_level = np.abs(np.diff(bottom)) <= max(1, round(MAX_BASE_STEP * unit))
    for start, end in find_runs(is_level).tolist():
        if end + 1 - start >= MIN_LENGTH * unit:
            yield start, end + 1, bottom[start : end + 1]


def _find_sides(
    piece: npt.NDArray[np.bool_], bottom: npt.NDArray[np.intp], unit: float
) -> Cells | None:
    """The strokes at equal distances on a base line; None without any."""
    rows = np.arange(len(piece))[:, None]
    # The length of the run of ink upwards from the lower edge of each column.
    is_gap = ~piece & (rows <= bottom)
    last_gap = np.where(is_gap.any(0), len(piece) - 1 - is_gap[::-1].argmax(0), -1)
    lengths = bottom - last_gap
    thickness = int(np.median(lengths))
    if thickness > MAX_THICKNESS * unit:
        return None
    runs = find_runs(lengths >= max(MIN_TICK * unit, thickness + 2)).tolist()
    ticks = [(a, b) for a, b in runs if b - a <= MAX_TICK_WIDTH * unit]
    places = np.array([(a + b - 1) / 2 for a, b in ticks])
    wanted_places = _place_strokes(places, piece.shape[1], unit)
    if not len(wanted_places):
        return None
    heights = np.array([lengths[a:b].max() for a, b in ticks])
    usual = int(np.median(heights))
    if np.mean(np.abs(heights - usual) <= MAX_HEIGHT_DIFFERENCE * unit) < MIN_FOUND:
        return None
    if DIGIT_HEIGHTS[0] * unit < usual < DIGIT_HEIGHTS[1] * unit:
        return None
    width = max(1, round(float(np.median([b - a for a, b in ticks]))))
    sides = list[Box]()
    for wanted in wanted_places.tolist():
        nearest = int(np.abs(places - wanted).argmin())
        is_seen = abs(places[nearest] - wanted) <= MAX_UNEVENNESS * unit
        x, height = (places[nearest], int(heights[nearest])) if is_seen else (wanted, usual)
        low = int(bottom[round(x)]) + 1
        top = max(0, low - max(usual, height))
        sides.append((max(0, round(x - (width - 1) / 2)), top, width, low - top))
    base = (rows <= bottom) & (rows > bottom - thickness - 1)
    return Cells(sides, base.astype(np.uint8))


def _place_strokes(ticks: F64, length: int, unit: float) -> F64:
    """The places of strokes at equal distances on a base line; of some of them no tick is seen.

    Args:
        ticks: x coordinates of what may be strokes, rising; pixels from the line's start.
        length: of the line, pixels.
        unit: height of the digits, pixels.
    """
    best = np.zeros(0)
    pairs = ((a, a + apart) for apart in range(1, MAX_APART + 1) for a in range(len(ticks) - apart))
    for a, b in pairs:
        pitch, start = ticks[b] - ticks[a], ticks[a]
        if not CELL_WIDTHS[0] * unit <= pitch <= CELL_WIDTHS[1] * unit:
            continue
        for _ in range(2):  # two ticks give only a rough pitch
            steps = np.round((ticks - start) / pitch)
            near = np.abs(ticks - start - steps * pitch) <= MAX_UNEVENNESS * unit
            if near.sum() < MIN_TICKS:
                break
            pitch, start = np.polyfit(steps[near], ticks[near], 1)
        else:
            first, last, count = steps[near].min(), steps[near].max(), len(np.unique(steps[near]))
            before, after = (start + first * pitch) / pitch, (length - 1 - start) / pitch - last
            is_regular = count == near.sum() >= MIN_FOUND * (last - first + 1)
            is_end = max(before, after) <= MAX_END and min(before, after) <= MAX_FLUSH_OFFSET
            if is_end and is_regular and count > len(best):
                ends = first - (before >= MIN_END), last + (after >= MIN_END)
                best = start + np.arange(ends[0], ends[1] + 1) * pitch
    return np.asarray(best.clip(0, length - 1))
