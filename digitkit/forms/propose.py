"""Proposes the fields of a blank form: its boxes, combs and lines to write on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from digitkit.arrays import U8, Box
from digitkit.forms.template import FormField
from digitkit.forms.template_file import MAX_CELLS
from digitkit.images.cv import cv2

DARK, FAINT = 20, 8
"""Darkness from which a pixel is print, and from which it may be of a line, 0–255."""

MIN_HEIGHT, MAX_HEIGHT = 0.008, 0.07
"""A box to write in is this high, in longer sides of the form."""

MIN_WIDTH = 0.008
"""A cell of a comb is at least this wide, likewise."""

MIN_BOX = 0.02
"""A box alone is at least this wide, likewise: large letters enclose areas, too."""

MIN_LINE = 0.08
"""A line to write on is at least this long, likewise."""

ROOM = 0.025
"""Height of a field above a line, likewise."""

DOT, DASH = 0.003, 0.005
"""Dots of a line, and dashes, which are solid and not upright, are at most this high, likewise."""

DOT_GAP = 0.006
"""Largest gap between them, likewise."""

CLEAR_ABOVE, CLEAR_BELOW = 0.007, 0.002
"""Heights above and below a line, likewise, that are free of print, or it is a part of a text."""

MAX_PRINT = 0.1
"""Share of them that may be dark all the same, 0–1."""

TICK = 0.003
"""A tick that divides the line of an open comb is at least this high, likewise."""

EDGE = 0.02
"""What is this near to the upper or lower side is the edge of the sheet, in heights of the form."""

CLOSE = 0.006
"""Boxes that are this near to each other are cells of one comb, likewise."""


@dataclass(frozen=True)
class _Cell:
    """An area that lines enclose."""

    x: int
    y: int
    w: int
    h: int


def propose_fields(reference: U8) -> tuple[FormField, ...]:
    """The fields that a blank form may have, from the top, those of a row from the left.

    Args:
        reference: upright, uint8 ``[H, W]``.
    """
    side = max(reference.shape)
    darkness = _darkness(reference)
    dark = (darkness >= DARK).astype(np.uint8)
    level, upright = _find_lines((darkness >= FAINT).astype(np.uint8))
    cells = _find_cells(level, upright, side)
    combs = _join_cells(cells, side)
    fields = [
        (_around(comb), comb if len(comb) > 1 else [])
        for comb in combs
        if len(comb) > 1 or comb[0].w >= MIN_BOX * side
    ]
    level |= _find_dotted_lines(dark)
    fields += _find_write_lines(dark, level, upright, cells)
    return tuple(
        FormField(f"field_{number}", box, tuple((float(cell.x), float(cell.w)) for cell in members))
        for number, (box, members) in enumerate(_in_rows(fields), 1)
    )


def _in_rows(fields: list[tuple[Box, list[_Cell]]]) -> list[tuple[Box, list[_Cell]]]:
    """Fields by rows: those whose middles are at about the same height, from the left."""
    rows: list[list[tuple[Box, list[_Cell]]]] = []
    for each in sorted(fields, key=lambda one: one[0][1] + one[0][3] / 2):
        (_, y, _, h), above = each[0], rows[-1][0][0] if rows else None
        if above is None or y + h / 2 > above[1] + 1.2 * above[3]:
            rows.append([])
        rows[-1].append(each)
    return [each for row in rows for each in sorted(row, key=lambda one: one[0][0])]


def _darkness(reference: U8) -> U8:
    """By how much a form is darker than the paper around, uint8 ``[H, W]``."""
    window = max(reference.shape) // 30 | 1
    paper = cv2.morphologyEx(reference, cv2.MORPH_CLOSE, np.ones((window, window), np.uint8))
    return np.asarray(cv2.subtract(paper, reference), np.uint8)


def _find_lines(dark: U8) -> tuple[U8, U8]:
    """The level and the upright lines of a form, uint8 ``[H, W]`` of 0 and 1."""
    side = max(dark.shape)
    # A line may rise a little: pieces of it are level.
    across, down = (max(9, round(length * side)) for length in (MIN_WIDTH, MIN_HEIGHT))
    thick = cv2.dilate(dark, np.ones((3, 3), np.uint8))
    level = cv2.morphologyEx(thick, cv2.MORPH_OPEN, np.ones((1, across), np.uint8))
    upright = cv2.morphologyEx(thick, cv2.MORPH_OPEN, np.ones((down, 1), np.uint8))
    return np.asarray(level, np.uint8), np.asarray(upright, np.uint8)


def _find_dotted_lines(dark: U8) -> U8:
    """The level lines of dots or dashes, without their gaps, uint8 ``[H, W]`` of 0 and 1."""
    side = max(dark.shape)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(dark, connectivity=8)
    width, height, area = stats[:, cv2.CC_STAT_WIDTH :].T
    is_dash = (height <= DASH * side) & (width >= height) & (area > 0.75 * width * height)
    is_dot = (height <= DOT * side) | is_dash
    is_dot[0] = False  # the paper
    dots = cv2.dilate(is_dot[labels].astype(np.uint8), np.ones((3, 3), np.uint8))
    gap, length = round(DOT_GAP * side), round(MIN_LINE * side)
    joined = cv2.morphologyEx(dots, cv2.MORPH_CLOSE, np.ones((1, gap), np.uint8))
    return np.asarray(
        cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((1, length), np.uint8)), np.uint8
    )


def _find_cells(level: U8, upright: U8, side: int) -> list[_Cell]:
    """Areas that lines enclose, of the size of a box or of a cell of a comb."""
    walls = cv2.dilate(cv2.max(level, upright), np.ones((3, 3), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(
        (walls == 0).astype(np.uint8), connectivity=4
    )
    cells = []
    for place in range(1, count):
        x, y, w, h, area = stats[place].tolist()
        fits = MIN_HEIGHT * side <= h <= MAX_HEIGHT * side and w >= MIN_WIDTH * side
        if fits and area >= 0.85 * w * h and w < 0.95 * level.shape[1]:
            cells.append(_Cell(x - 2, y - 2, w + 4, h + 4))
    return cells


def _join_cells(cells: Sequence[_Cell], side: int) -> list[list[_Cell]]:
    """Cells of a comb together: side by side, alike in height and width."""
    combs: list[list[_Cell]] = []
    for cell in sorted(cells, key=lambda each: each.x):
        for comb in combs:
            last = comb[-1]
            near = -4 <= cell.x - (last.x + last.w) <= max(CLOSE * side, 0.9 * last.w)
            level = abs(cell.y - last.y) < 0.25 * last.h and abs(cell.h - last.h) < 0.25 * last.h
            alike = abs(cell.w - last.w) < 0.25 * min(cell.w, last.w) and cell.w < 1.6 * cell.h
            if near and level and alike and len(comb) < MAX_CELLS:
                comb.append(cell)
                break
        else:
            combs.append([cell])
    return combs


def _around(cells: Sequence[_Cell]) -> Box:
    left, top = min(c.x for c in cells), min(c.y for c in cells)
    right, bottom = max(c.x + c.w for c in cells), max(c.y + c.h for c in cells)
    return max(0, left), max(0, top), right - max(0, left), bottom - max(0, top)


def _find_write_lines(
    dark: U8, level: U8, upright: U8, cells: Sequence[_Cell]
) -> list[tuple[Box, list[_Cell]]]:
    """Room above lines that stand alone, no side of a box or frame, and the cells of open combs."""
    side = max(dark.shape)
    thick = np.asarray(cv2.dilate(dark, np.ones((3, 3), np.uint8)), np.uint8)
    near = cv2.dilate(upright, np.ones((5, 5), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(level, connectivity=8)
    found: list[tuple[Box, list[_Cell]]] = []
    for place, (x, y, w, h) in enumerate(stats[1:, :4].tolist(), 1):
        if h > 0.02 * side:
            continue
        if y < EDGE * level.shape[0] or y + h > (1 - EDGE) * level.shape[0]:
            continue  # of the sheet
        room = min(y, round(ROOM * side))
        box = (x, y - room, w, room)
        if room < 0.5 * ROOM * side or any(_overlap(box, cell) for cell in cells):
            continue
        own = labels[y : y + h, x : x + w] == place
        comb = _find_open_comb(thick, box, y + own.argmax(0))
        meets = np.any(near[y : y + h, x : x + w] * own)
        if comb or (w >= MIN_LINE * side and not meets and _is_clear(dark, (x, y, w, h))):
            found.append((box, comb))
    return found


def _is_clear(dark: U8, line: Box) -> bool:
    """Whether hardly anything is printed along a line, above and below it."""
    x, y, w, h = line
    up, down = (round(near * max(dark.shape)) for near in (CLEAR_ABOVE, CLEAR_BELOW))
    above, below = dark[max(0, y - up) : y, x : x + w], dark[y + h : y + h + down, x : x + w]
    return max(float(above.mean()), float(below.mean())) <= MAX_PRINT


def _find_open_comb(thick: U8, box: Box, rows: npt.NDArray[np.int64]) -> list[_Cell]:
    """The cells of a line that ticks divide evenly; none if there are no such ticks.

    Args:
        thick: what is printed, thickened, uint8 ``[H, W]`` of 0 and 1.
        box: the room above the line.
        rows: of the line's upper edge in each column of the room.
    """
    x, y, w, h = box
    side = max(thick.shape)
    above = np.arange(1, round(TICK * side) + 1)[:, None]
    rises = thick[np.maximum(rows - above, 0), x + np.arange(w)].all(0)
    starts, ends = (
        np.flatnonzero(np.diff(rises.astype(np.int8), prepend=0, append=0) == way)
        for way in (1, -1)
    )
    ticks = (starts + ends) / 2
    margin = MIN_WIDTH * side / 2
    edges = np.array([0, *ticks[(ticks > margin) & (ticks < w - margin)], w])
    widths = np.diff(edges)
    even = widths.min() >= max(0.75 * widths.max(), 2 * margin)
    if not (even and 3 <= len(widths) <= MAX_CELLS):
        return []
    return [
        _Cell(round(x + left), y, round(width), h)
        for left, width in zip(edges, widths, strict=False)
    ]


def _overlap(box: Box, cell: _Cell) -> bool:
    x, y, w, h = box
    return x < cell.x + cell.w and cell.x < x + w and y < cell.y + cell.h and cell.y < y + h
