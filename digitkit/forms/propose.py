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
from digitkit.images.grey import resize_to

DARK = 45
"""Darkness from which a pixel is print, 0–255."""

MIN_HEIGHT, MAX_HEIGHT = 0.008, 0.07
"""A box to write in is this high, in longer sides of the form."""

MIN_WIDTH = 0.012
"""A cell of a comb is at least this wide, likewise."""

MIN_BOX = 0.02
"""A box alone is at least this wide, likewise: large letters enclose areas, too."""

MIN_LINE = 0.08
"""A line to write on is at least this long, likewise."""

ROOM = 0.025
"""Height of a field above a line, likewise."""

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
    level, upright = find_lines(reference)
    cells = _find_cells(level, upright, side)
    combs = _join_cells(cells, side)
    fields = [
        (_around(comb), comb if len(comb) > 1 else [])
        for comb in combs
        if len(comb) > 1 or comb[0].w >= MIN_BOX * side
    ]
    fields += [(box, []) for box in _find_write_lines(level, upright, cells, side)]
    fields = _in_rows(fields)
    return tuple(
        FormField(f"field_{number}", box, tuple((float(cell.x), float(cell.w)) for cell in members))
        for number, (box, members) in enumerate(fields, 1)
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


def find_lines(reference: U8) -> tuple[U8, U8]:
    """The level and the upright lines of a form, uint8 ``[H, W]`` of 0 and 1."""
    side = max(reference.shape)
    window = side // 30 | 1
    paper = cv2.morphologyEx(reference, cv2.MORPH_CLOSE, np.ones((window, window), np.uint8))
    dark = (cv2.subtract(paper, reference) >= DARK).astype(np.uint8)
    # A line may rise a little: pieces of it are level.
    across, down = (max(9, round(length * side)) for length in (MIN_WIDTH, MIN_HEIGHT))
    thick = cv2.dilate(dark, np.ones((3, 3), np.uint8))
    level = cv2.morphologyEx(thick, cv2.MORPH_OPEN, np.ones((1, across), np.uint8))
    upright = cv2.morphologyEx(thick, cv2.MORPH_OPEN, np.ones((down, 1), np.uint8))
    return np.asarray(level, np.uint8), np.asarray(upright, np.uint8)


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


def _find_write_lines(level: U8, upright: U8, cells: Sequence[_Cell], side: int) -> list[Box]:
    """Room above lines that stand alone: no side of a box, no frame."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(level, connectivity=8)
    found = []
    near = cv2.dilate(upright, np.ones((5, 5), np.uint8))
    for place in range(1, len(stats)):
        x, y, w, h = stats[place, :4].tolist()
        if w < MIN_LINE * side or h > 0.02 * side:
            continue
        own = labels[y : y + h, x : x + w] == place
        if y < EDGE * level.shape[0] or y + h > (1 - EDGE) * level.shape[0]:
            continue  # of the sheet
        meets = int(np.count_nonzero(near[y : y + h, x : x + w] * own))
        room = min(y, round(ROOM * side))
        box = (x, y - room, w, room)
        if meets or room < 0.5 * ROOM * side or any(_overlap(box, cell) for cell in cells):
            continue
        found.append(box)
    return found


def _overlap(box: Box, cell: _Cell) -> bool:
    x, y, w, h = box
    return x < cell.x + cell.w and cell.x < x + w and y < cell.y + cell.h and cell.y < y + h


# --- the page of a photo ---

MAX_GROUND = 0.75
"""What a page lies on is at most this bright, against the page."""

MIN_PAGE = 0.2
"""A page covers at least this share of a photo."""


def straighten(grey: U8) -> U8:
    """A blank form upright and level: the page of a photo cut out, a scan turned by its lines.

    Args:
        grey: uint8 ``[H, W]``; the form's upper side is up.

    Returns:
        uint8 ``[h, w]``.
    """
    corners = _find_page(grey)
    if corners is not None:
        return _cut_page(grey, corners)
    angle = _find_skew(grey)
    if abs(angle) < 0.03:
        return grey
    height, width = grey.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    turned = cv2.warpAffine(
        grey, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(turned, np.uint8)


def _find_page(grey: U8) -> npt.NDArray[np.float32] | None:
    """The corners of a bright page on darker ground, from the upper left clockwise; None where the
    page fills the picture.
    """
    ratio = min(1.0, 800 / max(grey.shape))
    small = cv2.morphologyEx(resize_to(grey, ratio), cv2.MORPH_CLOSE, np.ones((15, 15), np.uint8))
    bright = cv2.threshold(small, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1]
    contours, _ = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return None
    page = max(contours, key=cv2.contourArea)
    mask = np.zeros_like(bright)
    cv2.drawContours(mask, [page], -1, 255, -1)
    around = cv2.bitwise_not(cv2.dilate(mask, np.ones((5, 5), np.uint8)))
    if cv2.mean(small, around)[0] > MAX_GROUND * cv2.mean(small, mask)[0]:
        return None  # uneven light on a scan
    area, whole = cv2.contourArea(page), small.shape[0] * small.shape[1]
    if not MIN_PAGE * whole < area < 0.96 * whole:
        return None
    hull = cv2.convexHull(page)
    for share in np.linspace(0.01, 0.1, 19):
        outline = cv2.approxPolyDP(hull, share * cv2.arcLength(hull, True), True)
        if len(outline) == 4:
            break
    else:
        return None
    points = outline.reshape(4, 2).astype(np.float32)
    if cv2.contourArea(points) > 1.15 * area or not cv2.isContourConvex(points):
        return None
    sums, differences = points.sum(1), points[:, 0] - points[:, 1]
    places = [sums.argmin(), differences.argmax(), sums.argmax(), differences.argmin()]
    if len(set(map(int, places))) < 4:
        return None
    return np.asarray((points[places] + 0.5) / ratio, np.float32)


def _cut_page(grey: U8, corners: npt.NDArray[np.float32]) -> U8:
    sides = np.linalg.norm(np.roll(corners, -1, 0) - corners, axis=1)
    width, height = float(max(sides[0], sides[2])), float(max(sides[1], sides[3]))
    # Perspective shortens a side; most forms have the shape of A4, or of half of it.
    shape = height / width
    for usual in (np.sqrt(2), 1 / np.sqrt(2), 11 / 8.5):
        if abs(shape / usual - 1) < 0.12:
            height = width * usual
            break
    size = (round(width), round(height))
    goal = np.array([(0, 0), (size[0], 0), size, (0, size[1])], np.float32)
    turn = cv2.getPerspectiveTransform(corners, goal)
    return np.asarray(cv2.warpPerspective(grey, turn, size, flags=cv2.INTER_CUBIC), np.uint8)


def _find_skew(grey: U8) -> float:
    """By how many degrees a scan's long lines rise to the right, negative for those that fall."""
    edges = cv2.Canny(grey, 60, 180)
    least = min(grey.shape) // 4
    lines = cv2.HoughLinesP(edges, 1, np.pi / 1800, least, minLineLength=least, maxLineGap=8)
    if lines is None:
        return 0.0
    x0, y0, x1, y1 = np.asarray(lines, np.float64).reshape(-1, 4).T
    angles = np.degrees(np.arctan2(y1 - y0, x1 - x0))
    level = angles[np.abs(angles) < 10]
    return float(np.median(level)) if len(level) >= 2 else 0.0
