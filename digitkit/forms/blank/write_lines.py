"""Lines of a blank form to write on: plain, dotted, or divided by ticks.

Sizes and distances are fractions of the form's longer side, unless something else is said.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from digitkit.arrays import I32, U8, Box
from digitkit.boxes import intersects
from digitkit.forms.blank.cells import MIN_TICK_HEIGHT, Cell, are_dark_above, divide, longest_free
from digitkit.images.cv import cv2
from digitkit.images.masks import connected_components, open_mask

MIN_LINE_LENGTH = 0.08
"""A line to write on is at least this long."""

MIN_ROOM, MAX_ROOM = 0.025, 0.05
"""Minimum and maximum height of a field above a line."""

LINE_SHAPE, MIN_LETTERS = 3.5, 20
"""Height of a field above a line, in median heights of the form's letters, if no print is in the
way; it is limited to `MIN_ROOM` and `MAX_ROOM`. With fewer letters than the second number it is
`MIN_ROOM`."""

COMB_ROOM = 0.0375
"""Maximum height of the cells of an open comb, by which their width is judged."""

CELL_SHAPE = 1.4
"""Minimum ratio of height to width of an open comb's cells, if no print is in the way."""

MAX_DOT_HEIGHT, MAX_DASH_HEIGHT = 0.003, 0.005
"""Largest height of a dot and of a dash; a dash is solid and not vertical."""

BLUR_PIXELS, MIN_DOT, MAX_DOT_WIDTH = 1.5, 5, 0.0075
"""A dot is at most this wide, if blur makes it higher than `MAX_DOT_HEIGHT`: by the first number of
pixels at most, or up to the second."""

CLEAR_ABOVE, CLEAR_BELOW = 0.007, 0.002
"""Heights above and below a line that are free of print; otherwise it is a part of a text."""

MAX_PRINT = 0.04
"""Share of the pixels above and below such a line that may be dark all the same, 0–1."""

MAX_COMB_PRINT = 0.08
"""The same directly below the line of an open comb: ticks may go through it."""

MIN_TITLE_PRINT, FREE_ROOM = 0.03, 0.55
"""A row of pixels with more print than this share is of a title. Below a title in the room above a
line this share of the room is free, or the line underlines it."""

MAX_UNEVENNESS = 1.0
"""Standard deviation of a line's thickness, pixels; that of a row of small print is larger."""

SHEET_EDGE = 0.02
"""What is this near to the upper or lower side is the edge of the sheet, in heights of the form."""

DOT_GAP = 0.006
"""Largest gap between the dots or dashes of a line."""

FREE_HEIGHT, FREE_WIDTH = 0.5, 0.75
"""Print in a box, such as a caption or a unit, leaves this share of its height or of its width
free; what leaves less is a label."""


def find_dotted_lines(dark: U8) -> U8:
    """The horizontal lines of dots or dashes, without their gaps, uint8 ``[H, W]`` of 0 and 1.

    Args:
        dark: print, uint8 ``[H, W]`` of 0 and 1.
    """
    side = max(dark.shape)
    labels, stats = connected_components(dark)
    width, height, area = stats[:, cv2.CC_STAT_WIDTH :].T
    is_dash = (
        (height <= MAX_DASH_HEIGHT * side) & (width >= height) & (area > 0.75 * width * height)
    )
    is_blurred = (height <= max(MAX_DOT_HEIGHT * side + BLUR_PIXELS, MIN_DOT)) & (
        width <= MAX_DOT_WIDTH * side
    )
    is_dot = (height <= MAX_DOT_HEIGHT * side) | is_blurred | is_dash
    is_dot[0] = False  # the paper
    dots = cv2.dilate(is_dot[labels].astype(np.uint8), np.ones((3, 3), np.uint8))
    gap, length = round(DOT_GAP * side), round(MIN_LINE_LENGTH * side)
    joined = cv2.morphologyEx(dots, cv2.MORPH_CLOSE, np.ones((1, gap), np.uint8))
    joined = cv2.dilate(joined, np.ones((3, 1), np.uint8))
    # A line may rise a little: pieces of it are horizontal.
    pieces = open_mask(np.asarray(joined, np.uint8), 1, max(9, length // 3))
    labels, stats = connected_components(pieces)
    is_line = stats[:, cv2.CC_STAT_WIDTH] >= length
    is_line[0] = False
    return np.asarray(is_line[labels], np.uint8)


def find_write_lines(
    dark: U8, thick: U8, horizontal: U8, vertical: U8, boxes: Sequence[Cell]
) -> list[tuple[Box, list[Cell]]]:
    """Room above lines that stand alone, no side of a box or frame, and the cells of open combs.

    Args:
        dark: print, uint8 ``[H, W]`` of 0 and 1.
        thick: the same, thickened.
        horizontal: horizontal lines, uint8 ``[H, W]`` of 0 and 1.
        vertical: vertical lines, likewise.
        boxes: boxes to write in, and cells of combs, which have lines of their own.
    """
    height, width = dark.shape
    side, letters = max(dark.shape), find_letters(dark)
    letter_height = float(np.median(letters[:, 3])) if len(letters) else 0.0
    beside_verticals = cv2.dilate(vertical, np.ones((5, 5), np.uint8))
    printed = np.asarray(cv2.max(dark, cv2.max(horizontal, vertical)), np.uint8)
    labels, stats = connected_components(horizontal)
    found: list[tuple[Box, list[Cell]]] = []
    for place, (x, y, w, h) in enumerate(stats[1:, :4].tolist(), 1):
        if h > 0.02 * side or w > 0.95 * width:
            continue
        if y < SHEET_EDGE * height or y + h > (1 - SHEET_EDGE) * height:
            continue
        room = min(y, round(MIN_ROOM * side))
        box, with_line = (x, y - room, w, room), (x, y - room, w, room + h)
        if room < 0.5 * MIN_ROOM * side or any(intersects(with_line, cell) for cell in boxes):
            continue  # the line may be the upper side of a box with rounded corners
        own = labels[y : y + h, x : x + w] == place
        comb = _find_open_comb(thick, box, y + own.argmax(0))
        meets = np.any(beside_verticals[y : y + h, x : x + w] * own)
        is_even = own.sum(0).std() <= MAX_UNEVENNESS
        if comb and is_even and _print_below(dark, (x, y, w, h)) <= MAX_COMB_PRINT:
            needed = CELL_SHAPE * float(np.median([cell.w for cell in comb]))
        elif (
            not comb
            and w >= MIN_LINE_LENGTH * side
            and not meets
            and is_even
            and _is_clear(dark, (x, y, w, h))
            and _has_free_room(dark, box)
        ):
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
    is_letter = (
        (height > MAX_DOT_HEIGHT * side) & (height < MIN_ROOM * side) & (width < 1.5 * height)
    )
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
    x, y, w, _ = line
    up = max(1, round(CLEAR_ABOVE * max(dark.shape)))
    above = dark[max(0, y - up) : y, x : x + w]
    return max(float(above.mean()), _print_below(dark, line)) <= MAX_PRINT


def _print_below(dark: U8, line: Box) -> float:
    """The share of what is directly below a line that is printed, 0–1."""
    x, y, w, h = line
    down = max(1, round(CLEAR_BELOW * max(dark.shape)))
    return float(dark[y + h : y + h + down, x : x + w].mean())


def _has_free_room(dark: U8, room: Box) -> bool:
    """Whether the room above a line is free to write, and not a title that the line underlines."""
    x, y, w, h = room
    above = dark[y : y + h - max(1, round(CLEAR_BELOW * max(dark.shape))), x : x + w]
    printed = np.flatnonzero(above.mean(1) > MIN_TITLE_PRINT)
    is_low = len(printed) > 0 and h - printed[-1] < FREE_ROOM * h
    return not is_low or longest_free(np.asarray(above.any(0), np.bool_)) >= FREE_WIDTH * w


def _find_open_comb(thick: U8, box: Box, rows: npt.NDArray[np.int64]) -> list[Cell]:
    """The cells of a line that ticks divide evenly; none if there are no such ticks.

    Args:
        thick: what is printed, thickened, uint8 ``[H, W]`` of 0 and 1.
        box: the room above the line.
        rows: of the line's upper edge in each column of the room.
    """
    x, y, w, h = box
    if are_dark_above(thick, x, rows, round(1.3 * h)).any():
        return []  # by the sides of something that is higher
    side = max(thick.shape)
    # Cells may be wider than the least room is high: there may be more room above.
    high = x, y, w, max(h, round(COMB_ROOM * side))
    cells = divide(are_dark_above(thick, x, rows, round(MIN_TICK_HEIGHT * side)), high, side)
    return [cell._replace(h=h) for cell in cells]
