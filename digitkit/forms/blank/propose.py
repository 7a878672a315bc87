"""Proposes the fields of a blank form: its boxes, combs and lines to write on.

Sizes and distances are fractions of the form's longer side, unless something else is said.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from digitkit.arrays import U8, Box
from digitkit.boxes import bounding_box, intersects
from digitkit.forms.blank.cells import (
    MAX_CELL_ASPECT,
    MIN_CELL_WIDTH,
    MIN_TICK_HEIGHT,
    Cell,
    are_dark_above,
    divide,
    longest_free,
)
from digitkit.forms.blank.light_areas import find_light_areas
from digitkit.forms.blank.write_lines import (
    DOT_GAP,
    FREE_HEIGHT,
    FREE_WIDTH,
    MAX_DOT_HEIGHT,
    find_dotted_lines,
    find_write_lines,
)
from digitkit.forms.templates.template import FormField
from digitkit.forms.templates.template_file import MAX_CELLS
from digitkit.images.cv import cv2
from digitkit.images.masks import connected_components, open_mask

MIN_PRINT_DARKNESS, MIN_LINE_DARKNESS = 20, 8
"""Darkness from which a pixel is print, and from which it may be of a line, 0–255."""

MIN_HEIGHT, MAX_HEIGHT = 0.008, 0.07
"""Minimum and maximum height of a box to write in."""

MAX_CELL_HEIGHT = 0.14
"""A cell of a comb is at most this high: as on a small card."""

MIN_BOX_WIDTH = 0.02
"""A box alone is at least this wide: large letters enclose areas, too."""

MIN_DOTTED_LENGTH = 0.8
"""Minimum length of a dotted line that divides a box, as a share of the box's height."""

MAX_CELL_GAP = 0.006
"""Boxes that are this near to each other are cells of one comb."""

NUMBER_WIDTH, NUMBER_ASPECT = 0.05, 1.3
"""Boxes wider than this, and wider than this in their heights, are for a number each."""

MAX_HINT_DARKNESS = 0.3
"""Print in a box that is paler than this, relative to a form's dark print, is a hint such as
``DD``, over which people write."""

BEFORE_UNIT, BEHIND_UNIT = 0.5, 0.5
"""Minimum free width before print at the right end of a box, such as ``kg`` or ``,00``, as a share
of the box's width, at least the box's height; and maximum free width behind it, in that height."""

MAX_CORNER, ROUNDED_ASPECT = 0.012, 1.3
"""A rounded corner of a box is at most this large; such a box is at least this wide, in its height:
so circles are not taken for boxes."""


def propose_fields(reference: U8, page: U8 | None = None) -> tuple[FormField, ...]:
    """The fields that a blank form may have, from the top, those of a row from the left.

    Args:
        reference: upright, on white paper, uint8 ``[H, W]``.
        page: the same with its printed shades, uint8 ``[H, W]``; None for no shades.
    """
    side = max(reference.shape)
    darkness = find_print(reference)
    dark, strong = (darkness >= MIN_PRINT_DARKNESS).astype(np.uint8), _find_strong_print(darkness)
    faint = (darkness >= MIN_LINE_DARKNESS).astype(np.uint8)
    horizontal, vertical = _find_lines(faint)
    outlined = _find_cells(horizontal, vertical)
    rounded = _find_cells(horizontal | _find_corners(faint, horizontal, vertical), vertical)
    outlined += [
        cell
        for cell in rounded
        if cell.w >= ROUNDED_ASPECT * cell.h and not any(intersects(cell, one) for one in outlined)
    ]
    combs = [
        comb
        for comb in _join_cells(outlined + _find_light_cells(page, outlined), side)
        if max(cell.h for cell in comb) <= MAX_HEIGHT * side
        or (len(comb) > 1 and all(_has_room(strong, cell) for cell in comb))
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
        if len(comb) > 1 or (comb[0].w >= MIN_BOX_WIDTH * side and _has_room(strong, comb[0]))
    ]
    horizontal |= find_dotted_lines(dark)
    cells = [cell for comb in combs for cell in comb]
    fields += find_write_lines(dark, thick, horizontal, vertical, cells)
    return tuple(
        FormField(f"field_{number}", box, tuple((float(cell.x), float(cell.w)) for cell in members))
        for number, (box, members) in enumerate(_in_rows(fields), 1)
    )


def _in_rows(fields: list[tuple[Box, list[Cell]]]) -> list[tuple[Box, list[Cell]]]:
    """Fields by rows: those whose middles are at about the same height, from the left."""
    rows: list[list[tuple[Box, list[Cell]]]] = []
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


def _find_strong_print(darkness: U8) -> U8:
    """The print of a form without paler hints, uint8 ``[H, W]`` of 0 and 1."""
    printed = darkness[darkness >= MIN_PRINT_DARKNESS]
    usual = float(np.percentile(printed, 95)) if len(printed) else 0.0
    return np.asarray(darkness >= max(MIN_PRINT_DARKNESS, MAX_HINT_DARKNESS * usual), np.uint8)


def _find_corners(faint: U8, horizontal: U8, vertical: U8) -> U8:
    """Rounded corners of boxes: print that joins a horizontal line with a vertical one.

    Args:
        faint: what is printed, uint8 ``[H, W]`` of 0 and 1.
        horizontal: the horizontal lines.
        vertical: the vertical lines.

    Returns:
        uint8 ``[H, W]`` of 0 and 1.
    """
    size = round(MAX_CORNER * max(faint.shape)) | 1
    square, three = np.ones((size, size), np.uint8), np.ones((3, 3), np.uint8)
    near = cv2.min(cv2.dilate(horizontal, square), cv2.dilate(vertical, square))
    labels, stats = connected_components(
        np.asarray(cv2.min(cv2.dilate(faint, three), near), np.uint8)
    )
    joins = np.ones(len(stats), np.bool_)
    for lines in (horizontal, vertical):
        joins &= np.bincount(labels[cv2.dilate(lines, three) > 0], minlength=len(stats)) > 0
    joins[0] = False  # the paper
    return np.asarray(joins[labels], np.uint8)


def _find_lines(dark: U8) -> tuple[U8, U8]:
    """The horizontal and the vertical lines of a form, uint8 ``[H, W]`` of 0 and 1."""
    side = max(dark.shape)
    # A line may rise a little: pieces of it are horizontal.
    across, down = (max(9, round(length * side)) for length in (MIN_CELL_WIDTH, MIN_HEIGHT))
    thick = np.asarray(cv2.dilate(dark, np.ones((3, 3), np.uint8)), np.uint8)
    return open_mask(thick, 1, across), open_mask(thick, down, 1)


def _find_cells(horizontal: U8, vertical: U8) -> list[Cell]:
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
        fits = MIN_HEIGHT * side <= h <= MAX_CELL_HEIGHT * side and w >= MIN_CELL_WIDTH * side
        area = cv2.contourArea(cv2.convexHull(contour))
        if parent < 0 and fits and area >= 0.85 * (w - 1) * (h - 1) and w < 0.95 * width:
            left, top = max(0, x - 2), max(0, y - 2)
            right, bottom = min(width, x + w + 2), min(height, y + h + 2)
            cells.append(Cell(left, top, right - left, bottom - top))
    return cells


def _find_light_cells(page: U8 | None, outlined: Sequence[Cell]) -> list[Cell]:
    """White boxes on a tinted form, of the size of a box or of a cell, without those in outlines.

    Args:
        page: with its printed shades, uint8 ``[H, W]``; None for no shades.
        outlined: areas that lines enclose.
    """
    if page is None:
        return []
    side, width = max(page.shape), page.shape[1]
    cells = (Cell(*box) for box in find_light_areas(page, round(MAX_HEIGHT * side)))
    return [
        cell
        for cell in cells
        if cell.h >= MIN_HEIGHT * side
        and MIN_CELL_WIDTH * side <= cell.w < 0.95 * width
        and not any(intersects(cell, other) for other in outlined)
    ]


def _join_cells(cells: Sequence[Cell], side: int) -> list[list[Cell]]:
    """Cells of a comb together: side by side, alike in height and width."""
    combs: list[list[Cell]] = []
    for cell in sorted(cells, key=lambda each: each.x):
        for comb in combs:
            last = comb[-1]
            near = -4 <= cell.x - (last.x + last.w) <= max(MAX_CELL_GAP * side, 0.9 * last.w)
            is_level = abs(cell.y - last.y) < 0.25 * last.h and abs(cell.h - last.h) < 0.25 * last.h
            alike = (
                abs(cell.w - last.w) < 0.25 * min(cell.w, last.w)
                and cell.w < MAX_CELL_ASPECT * cell.h
                and not (cell.w > NUMBER_WIDTH * side and cell.w > NUMBER_ASPECT * cell.h)
            )
            if near and is_level and alike and len(comb) < MAX_CELLS:
                comb.append(cell)
                break
        else:
            combs.append([cell])
    return combs


def _has_room(strong: U8, box: Cell) -> bool:
    """Whether print inside of a box leaves room to write."""
    least = MAX_DOT_HEIGHT * max(strong.shape)
    _, stats = connected_components(strong[box.y : box.y + box.h, box.x : box.x + box.w])
    rows, columns = np.zeros(box.h, bool), np.zeros(box.w, bool)
    for x, y, w, h in stats[1:, :4].tolist():
        is_inside = x > 0 and y > 0 and x + w < box.w and y + h < box.h  # no side of the box
        if is_inside and min(w, h) > least:
            rows[y : y + h] = columns[x : x + w] = True
    if longest_free(rows) >= FREE_HEIGHT * box.h or longest_free(columns) >= FREE_WIDTH * box.w:
        return True
    printed = np.flatnonzero(columns)
    before, behind = printed[0], box.w - 1 - printed[-1]
    return bool(before >= max(BEFORE_UNIT * box.w, box.h) and behind <= BEHIND_UNIT * box.h)


def _divide_box(thick: U8, dotted: U8, horizontal: U8, box: Cell) -> list[Cell]:
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
    is_tick = are_dark_above(thick, box.x, rows, round(MIN_TICK_HEIGHT * side))
    is_line = are_dark_above(dotted, box.x, rows, round(MIN_DOTTED_LENGTH * box.h))
    return divide(is_tick | is_line, box, side)
