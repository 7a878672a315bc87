"""What may be wrong with the picture of a blank form: small, upside down, or filled in."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from digitkit.arrays import U8, Box
from digitkit.forms.blank.propose import MIN_PRINT_DARKNESS, find_print
from digitkit.forms.blank.write_lines import find_letters
from digitkit.forms.templates.template import FormField
from digitkit.images.masks import connected_components

MIN_FORM_SIDE = 800
"""A form of a smaller longer side has too few pixels for small print."""

LETTER_REACH = 6.0, 0.6
"""Letters are compared with those that are at most so far away, horizontally and vertically, in
median heights."""

MIN_AROUND = 5
"""Minimum number of letters that are compared."""

MIN_STANDS_OUT, MAX_LEVEL_OFFSET = 0.2, 0.15
"""A letter has an ascender or a descender if one of its ends stands out by at least the first
value, and the other one is level with those around by the second, in their heights."""

MIN_STANDARD_ERRORS, MIN_DESCENDER_RATIO = 2.0, 1.5
"""Print is upside down if its descenders are more than its ascenders by so many standard deviations
of chance, and by so many times."""

WRITTEN_HEIGHT = 0.35, 0.95
"""Minimum and maximum height of ink in a field that may be a digit, in heights of the field."""

MAX_WRITTEN = 0.2
"""A form is filled in if there is such ink in more than this share of its fields."""


def check_blank(page: U8, fields: Sequence[FormField]) -> list[str]:
    """Say what may be wrong with a blank form, a line for each.

    Args:
        page: the form, straightened, uint8 ``[H, W]``.
        fields: that were found in it.
    """
    dark = (find_print(page) >= MIN_PRINT_DARKNESS).astype(np.uint8)
    height, width = page.shape
    found = []
    if max(page.shape) < MIN_FORM_SIDE:
        found.append(
            f"shows the form with only {width}×{height} pixels: scan it with at least 150 dpi, or "
            "photograph it from nearer"
        )
    if is_upside_down(dark):
        found.append("seems to be upside down; if it is, turn it, and repeat this")
    if is_filled_in(dark, fields):
        found.append("has ink or print in several fields; if it is filled in, use one that is not")
    return found


def is_upside_down(dark: U8) -> bool:
    """Whether print is upside down: letters with descenders are more than those with ascenders.

    In upright print of Latin letters it is the other way round (Bloomberg, Kopec and Dasari,
    Measuring document image skew and orientation, SPIE 2422, 1995).

    Args:
        dark: print, uint8 ``[H, W]`` of 0 and 1.
    """
    x, y, w, h = (side.astype(np.float64) for side in find_letters(dark).T)
    if not len(h):
        return False
    across, down = (reach * float(np.median(h)) for reach in LETTER_REACH)
    ascenders = descenders = 0
    for middle_x, middle_y, top, high in zip(x + w / 2, y + h / 2, y, h, strict=True):
        near = (np.abs(x + w / 2 - middle_x) < across) & (np.abs(y + h / 2 - middle_y) < down)
        if near.sum() < MIN_AROUND:
            continue
        line_top, line_bottom = float(np.median(y[near])), float(np.median((y + h)[near]))
        above, below = line_top - top, top + high - line_bottom
        stands_out, level = (
            part * (line_bottom - line_top) for part in (MIN_STANDS_OUT, MAX_LEVEL_OFFSET)
        )
        ascenders += above > stands_out and abs(below) < level
        descenders += below > stands_out and abs(above) < level
    more = descenders - ascenders
    is_significant = more > MIN_STANDARD_ERRORS * math.sqrt(descenders + ascenders)
    return bool(is_significant and descenders >= MIN_DESCENDER_RATIO * ascenders)


def is_filled_in(dark: U8, fields: Sequence[FormField]) -> bool:
    """Whether there is ink, or print, like digits in several fields, apart from their sides.

    Args:
        dark: print and ink, uint8 ``[H, W]`` of 0 and 1.
        fields: of the form.
    """
    written = sum(any(_is_written(dark, box) for box in _boxes_of(one)) for one in fields)
    return written > max(1, MAX_WRITTEN * len(fields))


def _boxes_of(field: FormField) -> list[Box]:
    """The cells of a field, or its box."""
    x, y, w, h = field.box
    return [(round(left), y, round(wide), h) for left, wide in field.cells] or [(x, y, w, h)]


def _is_written(dark: U8, box: Box) -> bool:
    x, y, w, h = box
    _, stats = connected_components(np.ascontiguousarray(dark[y : y + h, x : x + w]))
    left, top, wide, high, _ = stats[1:].T
    is_apart = (left > 0) & (top > 0) & (left + wide < w) & (top + high < h)
    return bool(
        (is_apart & (high >= WRITTEN_HEIGHT[0] * h) & (high <= WRITTEN_HEIGHT[1] * h)).any()
    )
