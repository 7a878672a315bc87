"""Pictures of forms: their fields, and what was read of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from digitkit.arrays import U8, Box
from digitkit.forms.field_ink import READ_SIDE
from digitkit.forms.geometry import Placement
from digitkit.forms.results import FormReading
from digitkit.forms.template import FormField, Template
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.reading.confidence import format_confidence

GREEN, YELLOW, RED, BLUE, GREY = (
    (60, 150, 40), (0, 150, 230), (40, 40, 220), (190, 90, 20), (150, 150, 150),
)  # fmt: skip

PRINT_GREY = 200
"""Grey level below which a reference is print that no label should cover."""

COLOURS = {"ok": GREEN, "doubtful": YELLOW, "invalid": RED, "empty": GREY}
"""Of a field's status; blue, green, red."""


def draw_fields(reference: U8, fields: Sequence[FormField]) -> U8:
    """A form with its fields and their names, inside of them where they fit, else off the print.

    Args:
        reference: uint8 ``[H, W]``.
        fields: of it.

    Returns:
        uint8 ``[H, W, 3]`` BGR.
    """
    page = np.asarray(cv2.cvtColor(_pale(reference), cv2.COLOR_GRAY2BGR), np.uint8)
    _, thick = _pen(page)
    taken = _taken(reference, [one.box for one in fields])
    for one in fields:
        x, y, w, h = one.box
        cv2.rectangle(page, (x, y), (x + w, y + h), BLUE, thick + 1)
        for left, _ in one.cells[1:]:
            cv2.line(page, (round(left), y), (round(left), y + h), BLUE, thick)
        text = one.name + (f": {len(one.cells)} cells" if one.cells else "")
        size = _label_size(page, text)
        fits = size[0] <= w and size[1] <= h
        _label(page, text, (x, y + h - thick) if fits else _find_room(taken, one.box, size), BLUE)
    return page


def draw_reading(
    image: GreyImage, reading: FormReading, template: Template, placement: Placement
) -> U8:
    """A picture as its form's reference would show it, with what was read of each field.

    Args:
        image: the picture.
        reading: of it.
        template: of its form.
        placement: where that lies in the picture.

    Returns:
        uint8 ``[h, w, 3]`` BGR: the print of the reference in blue where it should be, the fields
        in the colours of `COLOURS`.
    """
    height, width = template.reference.shape
    ratio = min(1.0, READ_SIDE / max(height, width))
    seen = placement.sample(image, (0.0, 0.0, float(width), float(height)), ratio)
    page = np.asarray(cv2.cvtColor(_pale(seen), cv2.COLOR_GRAY2BGR), np.uint8)
    reference = cv2.resize(template.reference, seen.shape[::-1], interpolation=cv2.INTER_AREA)
    edges = cv2.Canny(reference, 80, 200)
    page[edges > 0] = BLUE
    _, thick = _pen(page)
    boxes = [_scaled(one.box, ratio) for one in template.fields]
    taken = _taken(np.asarray(reference, np.uint8), boxes)
    for one, (x, y, w, h) in zip(template.fields, boxes, strict=True):
        read = reading[one.name]
        colour = COLOURS[read.status]
        cv2.rectangle(page, (x, y), (x + w, y + h), colour, thick + 1)
        text = f"{one.name}: {read.text or '-'} {format_confidence(read.confidence, 0)}"
        _label(page, text, _find_room(taken, (x, y, w, h), _label_size(page, text)), colour)
    return page


def _scaled(box: Box, ratio: float) -> Box:
    x, y, w, h = (round(side * ratio) for side in box)
    return x, y, w, h


def _taken(reference: U8, boxes: Sequence[Box]) -> U8:
    """Where no label should be, 1: on print and fields; uint8 ``[H, W]``."""
    taken = (reference < PRINT_GREY).astype(np.uint8)
    for x, y, w, h in boxes:
        taken[y : y + h, x : x + w] = 1
    return taken


def _find_room(taken: U8, box: Box, size: tuple[int, int]) -> tuple[int, int]:
    """The lower left corner of a label that covers least: below its field, above or beside it.

    Args:
        taken: uint8 ``[H, W]``, 1 where nothing should be covered; the label's place is added.
        box: of the field.
        size: the label's width and height.
    """
    (x, y, w, h), (width, height) = box, size
    gap = height // 3
    below, above = (x, y + h + gap + height), (x, y - gap)
    places = (below, above, (x + w + gap, y + h), (x - gap - width, y + h))
    inside = [
        (min(max(0, left), max(0, taken.shape[1] - width)), min(max(height, low), taken.shape[0]))
        for left, low in places
    ]
    left, low = min(
        inside,
        key=lambda at: np.count_nonzero(taken[at[1] - height : at[1], at[0] : at[0] + width]),
    )
    taken[low - height : low, left : left + width] = 1
    return left, low


def _pale(grey: U8) -> U8:
    """A picture made paler, so that what is drawn on it is seen."""
    return np.asarray(cv2.convertScaleAbs(grey, alpha=0.6, beta=100), np.uint8)


def _label_size(page: U8, text: str) -> tuple[int, int]:
    """The width and height of a label, pixels."""
    scale, thick = _pen(page)
    (w, h), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    return w, h + below


def _label(page: U8, text: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """Write a label whose lower left corner is at a place."""
    scale, thick = _pen(page)
    (w, h), (x, y) = _label_size(page, text), at
    cv2.rectangle(page, (x, y - h), (x + w, y), colour, -1)
    white = (255, 255, 255)
    cv2.putText(page, text, (x, y - h // 5), cv2.FONT_HERSHEY_SIMPLEX, scale, white, thick, 16)


def _pen(page: U8) -> tuple[float, int]:
    """The scale of letters on a page, and their thickness in pixels."""
    return max(page.shape) / 3000, max(1, max(page.shape) // 900)
