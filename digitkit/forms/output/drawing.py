"""Pictures of forms: their fields, and what was read of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from digitkit.arrays import U8, Box
from digitkit.forms.fields.field_ink import READ_SIDE
from digitkit.forms.registration.geometry import Placement
from digitkit.forms.results import FormReading
from digitkit.forms.templates.template import FormField, Template
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.reading.confidence import format_confidence
from digitkit.sinks.labels import MIN_SIZE, Label, LabelPlacer, around, plate_size

GREEN, YELLOW, RED, BLUE, GREY = (
    (60, 150, 40), (0, 150, 230), (40, 40, 220), (190, 90, 20), (150, 150, 150),
)  # fmt: skip

LETTERS_PER_PAGE = 100
"""Longer side of a page, in heights of the letters of its labels."""

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
    page = _to_colour(_pale(reference))
    size, thick = _pen(page)
    placer = LabelPlacer(_to_colour(reference), [one.box for one in fields])
    for one in fields:
        x, y, w, h = one.box
        cv2.rectangle(page, (x, y), (x + w, y + h), BLUE, thick + 1)
        for left, _ in one.cells[1:]:
            cv2.line(page, (round(left), y), (round(left), y + h), BLUE, thick)
        text = one.name + (f": {len(one.cells)} cells" if one.cells else "")
        width, height = plate_size(text, size)
        inside = Label(text, (x, y + h - thick - height, width, height), size)
        fits = width <= w and height <= h
        (inside if fits else _place_label(placer, text, one.box, size)).draw(page, BLUE)
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
    sampled = placement.sample(image, (0.0, 0.0, float(width), float(height)), ratio)
    page = _to_colour(_pale(sampled))
    reference = cv2.resize(template.reference, sampled.shape[::-1], interpolation=cv2.INTER_AREA)
    edges = cv2.Canny(reference, 80, 200)
    page[edges > 0] = BLUE
    size, thick = _pen(page)
    boxes = [_scaled(one.box, ratio) for one in template.fields]
    placer = LabelPlacer(_to_colour(np.asarray(reference, np.uint8)), boxes)
    for one, (x, y, w, h) in zip(template.fields, boxes, strict=True):
        read = reading[one.name]
        colour = COLOURS[read.status]
        cv2.rectangle(page, (x, y), (x + w, y + h), colour, thick + 1)
        text = f"{one.name}: {read.text or '-'} {format_confidence(read.confidence, 0)}"
        _place_label(placer, text, (x, y, w, h), size).draw(page, colour)
    return page


def _scaled(box: Box, ratio: float) -> Box:
    x, y, w, h = (round(side * ratio) for side in box)
    return x, y, w, h


def _place_label(placer: LabelPlacer, text: str, box: Box, size: float) -> Label:
    """A label that covers least: below its field, above or beside it."""
    label, _ = placer.place(around(text, box, [size], round(size / 3), below=True))
    placer.take(label.plate)
    return label


def _to_colour(grey: U8) -> U8:
    """Grey levels as BGR, uint8 ``[H, W, 3]``."""
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)


def _pale(grey: U8) -> U8:
    """A picture made paler, so that what is drawn on it is seen."""
    return np.asarray(cv2.convertScaleAbs(grey, alpha=0.6, beta=100), np.uint8)


def _pen(page: U8) -> tuple[float, int]:
    """The height of letters on a page, and the width of its lines; pixels."""
    return max(MIN_SIZE, max(page.shape) / LETTERS_PER_PAGE), max(1, max(page.shape) // 900)
