"""Proposes the fields of a blank form: its boxes, combs and lines to write on.

Sizes and distances are fractions of the form's longer side, unless something else is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from digitkit.arrays import I32, U8, Box
from digitkit.boxes import bounding_box, intersects
from digitkit.forms.template import FormField
from digitkit.forms.template_file import MAX_CELLS
from digitkit.images.cv import cv2
from digitkit.images.masks import connected_components, find_runs, open_mask

DARK, FAINT = 20, 8
"""Darkness from which a pixel is print, and from which it may be of a line, 0–255."""

MIN_HEIGHT, MAX_HEIGHT = 0.008, 0.07
"""Minimum and maximum height of a box to write in."""

MAX_CELL_HEIGHT = 0.14
"""A cell of a comb is at most this high: as on a small card."""

MIN_WIDTH = 0.008
"""A cell of a comb is at least this wide."""

MIN_BOX = 0.02
"""A box alone is at least this wide: large letters enclose areas, too."""

MIN_LINE = 0.08
"""A line to write on is at least this long."""

ROOM, MAX_ROOM = 0.025, 0.05
"""Minimum and maximum height of a field above a line."""

LINE_SHAPE, MIN_LETTERS = 3.5, 20
"""Height of a field above a line, in median heights of the form's letters, if no print is in the
way; it is limited to `ROOM` and `MAX_ROOM`. With fewer letters than the second number it is `ROOM`.
"""

CELL_SHAPE = 1.4
"""Minimum ratio of height to width of an open comb's cells, if no print is in the way."""

DOT, DASH = 0.003, 0.005
"""Largest height of a dot and of a dash; a dash is solid and not vertical."""

DOT_GAP = 0.006
"""Largest gap between the dots or dashes of a line."""

CLEAR_ABOVE, CLEAR_BELOW = 0.007, 0.002
"""Heights above and below a line that are free of print; otherwise it is a part of a text."""

MAX_PRINT = 0.04
"""Share of the pixels above and below such a line that may be dark all the same, 0–1."""

UNEVEN = 1.0
"""Standard deviation of a line's thickness, pixels; that of a row of small print is larger."""

TICK = 0.003
"""A tick that divides the line of an open comb is at least this high."""

DOTTED = 0.8
"""Minimum length of a dotted line that divides a box, as a share of the box's height."""

SHEET_EDGE = 0.02
"""What is this near to the upper or lower side is the edge of the sheet, in heights of the form."""

FREE_HEIGHT, FREE_WIDTH = 0.5, 0.75
"""Print in a box, such as a caption or a unit, leaves this share of its height or of its width
free; what leaves less is a label."""

MAX_CELL_ASPECT = 1.6
"""A cell of a comb is narrower than this, in heights of the cell."""

MAX_CELL_GAP = 0.006
"""Boxes that are this near to each other are cells of one comb."""


class _Cell(NamedTuple):
    """The box of an area that lines enclose."""

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
    darkness = find_print(reference)
    dark = (darkness >= DARK).astype(np.uint8)
    horizontal, vertical = _find_lines((darkness >= FAINT).astype(np.uint8))
    combs = [
        comb
        for comb in _join_cells(_find_cells(horizontal, vertical), side)
        if max(cell.h for cell in comb) <= MAX_HEIGHT * side
        or (len(comb) > 1 and all(_has_room(dark, cell) for cell in comb))
    ]
    thick = np.asarray(cv2.dilate(dark, np.ones((3, 3), np.uint8)), np.uint8)
    gap = np.ones((round(DOT_GAP * side), 1), np.uint8)
    dotted = np.asarray(cv2.morphologyEx(thick, cv2.MORPH_CLOSE, gap), np.uint8)
    fields = [
        (
            bounding_box(comb),
            comb if len(comb) > 1 else _divide_box(thick, dotted, horizontal, comb[0]),
        )
        for comb in combs
        if len(comb) > 1 or (comb[0].w >= MIN_BOX * side and _has_room(dark, comb[0]))
    ]
    horizontal |= _find_dotted_lines(dark)
    cells = [cell for comb in combs for cell in comb]
    fields += _find_write_lines(dark, thick, horizontal, vertical, cells)
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


def find_print(reference: U8) -> U8:
    """By how much thin print is darker than what is around, uint8 ``[H, W]``.

    Args:
        reference: grey levels, uint8 ``[H, W]``.
    """
    side = max(7, max(reference.shape) // 150) | 1
    window = np.ones((side, side), np.uint8)
    return np.asarray(cv2.morphologyEx(reference, cv2.MORPH_BLACKHAT, window), np.uint8)


def _find_lines(dark: U8) -> tuple[U8, U8]:
    """The horizontal and the vertical lines of a form, uint8 ``[H, W]`` of 0 and 1."""
    side = max(dark.shape)
    # A line may rise a little: pieces of it are horizontal.
    across, down = (max(9, round(length * side)) for length in (MIN_WIDTH, MIN_HEIGHT))
    thick = np.asarray(cv2.dilate(dark, np.ones((3, 3), np.uint8)), np.uint8)
    return open_mask(thick, 1, across), open_mask(thick, down, 1)


def _find_dotted_lines(dark: U8) -> U8:
    """The horizontal lines of dots or dashes, without their gaps, uint8 ``[H, W]`` of 0 and 1."""
    side = max(dark.shape)
    labels, stats = connected_components(dark)
    width, height, area = stats[:, cv2.CC_STAT_WIDTH :].T
    is_dash = (height <= DASH * side) & (width >= height) & (area > 0.75 * width * height)
    is_dot = (height <= DOT * side) | is_dash
    is_dot[0] = False  # the paper
    dots = cv2.dilate(is_dot[labels].astype(np.uint8), np.ones((3, 3), np.uint8))
    gap, length = round(DOT_GAP * side), round(MIN_LINE * side)
    joined = cv2.morphologyEx(dots, cv2.MORPH_CLOSE, np.ones((1, gap), np.uint8))
    return open_mask(np.asarray(joined, np.uint8), 1, length)


def _find_cells(horizontal: U8, vertical: U8) -> list[_Cell]:
    """Areas that lines enclose, of the size of a box or of a cell of a comb."""
    height, width = horizontal.shape
    side = max(horizontal.shape)
    walls = cv2.dilate(cv2.max(horizontal, vertical), np.ones((3, 3), np.uint8))
    free = (walls == 0).astype(np.uint8)
    # The outlines: what is printed inside of a box does not count.
    contours, parents = cv2.findContours(free, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if parents is None:  # nothing is free
        return []
    cells = []
    for contour, (*_, parent) in zip(contours, parents[0], strict=True):
        x, y, w, h = cv2.boundingRect(contour)
        fits = MIN_HEIGHT * side <= h <= MAX_CELL_HEIGHT * side and w >= MIN_WIDTH * side
        area = cv2.contourArea(cv2.convexHull(contour))
        if parent < 0 and fits and area >= 0.85 * (w - 1) * (h - 1) and w < 0.95 * width:
            left, top = max(0, x - 2), max(0, y - 2)
            right, bottom = min(width, x + w + 2), min(height, y + h + 2)
            cells.append(_Cell(left, top, right - left, bottom - top))
    return cells


def _join_cells(cells: Sequence[_Cell], side: int) -> list[list[_Cell]]:
    """Cells of a comb together: side by side, alike in height and width."""
    combs: list[list[_Cell]] = []
    for cell in sorted(cells, key=lambda each: each.x):
        for comb in combs:
            last = comb[-1]
            near = -4 <= cell.x - (last.x + last.w) <= max(MAX_CELL_GAP * side, 0.9 * last.w)
            is_level = abs(cell.y - last.y) < 0.25 * last.h and abs(cell.h - last.h) < 0.25 * last.h
            alike = (
                abs(cell.w - last.w) < 0.25 * min(cell.w, last.w)
                and cell.w < MAX_CELL_ASPECT * cell.h
            )
            if near and is_level and alike and len(comb) < MAX_CELLS:
                comb.append(cell)
                break
        else:
            combs.append([cell])
    return combs


def _has_room(dark: U8, box: _Cell) -> bool:
    """Whether print inside of a box leaves room to write."""
    least = DOT * max(dark.shape)
    _, stats = connected_components(dark[box.y : box.y + box.h, box.x : box.x + box.w])
    rows, columns = np.zeros(box.h, bool), np.zeros(box.w, bool)
    for x, y, w, h in stats[1:, :4].tolist():
        is_inside = x > 0 and y > 0 and x + w < box.w and y + h < box.h  # no side of the box
        if is_inside and min(w, h) > least:
            rows[y : y + h] = columns[x : x + w] = True
    return (
        _longest_free(rows) >= FREE_HEIGHT * box.h or _longest_free(columns) >= FREE_WIDTH * box.w
    )


def _longest_free(is_print: npt.NDArray[np.bool_]) -> int:
    """Length of the longest run without print."""
    starts, ends = find_runs(~is_print).T
    return int((ends - starts).max(initial=0))


def _find_write_lines(
    dark: U8, thick: U8, horizontal: U8, vertical: U8, boxes: Sequence[_Cell]
) -> list[tuple[Box, list[_Cell]]]:
    """Room above lines that stand alone, no side of a box or frame, and the cells of open combs."""
    height, width = dark.shape
    side, letters = max(dark.shape), find_letters(dark)
    letter_height = float(np.median(letters[:, 3])) if len(letters) else 0.0
    beside_verticals = cv2.dilate(vertical, np.ones((5, 5), np.uint8))
    printed = np.asarray(cv2.max(dark, cv2.max(horizontal, vertical)), np.uint8)
    labels, stats = connected_components(horizontal)
    found: list[tuple[Box, list[_Cell]]] = []
    for place, (x, y, w, h) in enumerate(stats[1:, :4].tolist(), 1):
        if h > 0.02 * side or w > 0.95 * width:
            continue
        if y < SHEET_EDGE * height or y + h > (1 - SHEET_EDGE) * height:
            continue
        room = min(y, round(ROOM * side))
        box = (x, y - room, w, room)
        if room < 0.5 * ROOM * side or any(intersects(box, cell) for cell in boxes):
            continue
        own = labels[y : y + h, x : x + w] == place
        comb = _find_open_comb(thick, box, y + own.argmax(0))
        meets = np.any(beside_verticals[y : y + h, x : x + w] * own)
        is_text = own.sum(0).std() > UNEVEN or not _is_clear(dark, (x, y, w, h))
        if comb:
            needed = CELL_SHAPE * float(np.median([cell.w for cell in comb]))
        elif w >= MIN_LINE * side and not meets and not is_text:
            needed = min(LINE_SHAPE * letter_height, MAX_ROOM * side)
        else:
            continue
        found.append((_make_room(printed, box, needed), comb))
    return found


def find_letters(dark: U8) -> I32:
    """The boxes of a form's letters, int32 ``[N, 4]``; none of less than `MIN_LETTERS`.

    Args:
        dark: print, uint8 ``[H, W]`` of 0 and 1.
    """
    side = max(dark.shape)
    _, stats = connected_components(dark)
    boxes = stats[1:, : cv2.CC_STAT_AREA]
    width, height = boxes[:, 2], boxes[:, 3]
    is_letter = (height > DOT * side) & (height < ROOM * side) & (width < 1.5 * height)
    letters = boxes[is_letter & (height < 5 * width)]
    return np.asarray(letters if len(letters) >= MIN_LETTERS else letters[:0], np.int32)


def _make_room(dark: U8, box: Box, height: float) -> Box:
    """The box above a line, extended upwards to a height or up to the print above it."""
    x, y, w, h = box
    bottom = y + h
    top = max(0, min(y, bottom - round(height)))
    printed = np.flatnonzero(dark[top:y, x : x + w].any(1))
    top += int(printed[-1]) + 1 if len(printed) else 0
    return x, top, w, bottom - top


def _is_clear(dark: U8, line: Box) -> bool:
    """Whether hardly anything is printed along a line, above and below it."""
    x, y, w, h = line
    up, down = (max(1, round(near * max(dark.shape))) for near in (CLEAR_ABOVE, CLEAR_BELOW))
    above, below = dark[max(0, y - up) : y, x : x + w], dark[y + h : y + h + down, x : x + w]
    return max(float(above.mean()), float(below.mean())) <= MAX_PRINT


def _find_open_comb(thick: U8, box: Box, rows: npt.NDArray[np.int64]) -> list[_Cell]:
    """The cells of a line that ticks divide evenly; none if there are no such ticks.

    Args:
        thick: what is printed, thickened, uint8 ``[H, W]`` of 0 and 1.
        box: the room above the line.
        rows: of the line's upper edge in each column of the room.
    """
    x, _, _, h = box
    if _are_dark_above(thick, x, rows, round(1.3 * h)).any():
        return []  # by the sides of something that is higher
    side = max(thick.shape)
    return _divide(_are_dark_above(thick, x, rows, round(TICK * side)), box, side)


def _divide_box(thick: U8, dotted: U8, horizontal: U8, box: _Cell) -> list[_Cell]:
    """The cells of a box that ticks on its lower side, or dotted lines, divide evenly.

    Args:
        thick: what is printed, thickened, uint8 ``[H, W]`` of 0 and 1.
        dotted: `thick` with the gaps between dots of vertical lines filled.
        horizontal: the horizontal lines.
        box: the box.
    """
    side, middle = max(thick.shape), box.y + box.h // 2
    lower = horizontal[middle : box.y + box.h + 2, box.x : box.x + box.w]
    rows = np.where(lower.any(0), middle + lower.argmax(0), box.y + box.h)
    is_tick = _are_dark_above(thick, box.x, rows, round(TICK * side))
    is_line = _are_dark_above(dotted, box.x, rows, round(DOTTED * box.h))
    return _divide(is_tick | is_line, box, side)


def _divide(rises: npt.NDArray[np.bool_], box: Box, side: int) -> list[_Cell]:
    """The even cells of a box, or of the room above a line, between what rises in its columns."""
    x, y, w, h = box
    ticks = find_runs(rises).sum(1) / 2
    margin = MIN_WIDTH * side / 2
    edges = [0, *ticks[(ticks > margin) & (ticks < w - margin)].tolist(), w]
    cells = [_Cell(round(x + left), y, round(right - left), h) for left, right in pairwise(edges)]
    least, most = (limit(cell.w for cell in cells) for limit in (min, max))
    is_even = least >= max(0.75 * most, 2 * margin) and most < MAX_CELL_ASPECT * h
    return cells if is_even and 3 <= len(cells) <= MAX_CELLS else []


def _are_dark_above(
    thick: U8, x: int, rows: npt.NDArray[np.int64], height: int
) -> npt.NDArray[np.bool_]:
    """In which columns, from `x` on, all is print from a line's upper edge up to a height."""
    above = np.maximum(rows - np.arange(1, height + 1)[:, None], 0)
    return np.asarray(thick[above, x + np.arange(len(rows))].all(0), np.bool_)
