"""Pictures of forms: their fields, and what was read of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from digitkit.arrays import U8
from digitkit.forms.geometry import Placement
from digitkit.forms.results import FormReading
from digitkit.forms.template import FormField, Template
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage

GREEN, YELLOW, RED, BLUE, GREY = (
    (60, 150, 40), (0, 150, 230), (40, 40, 220), (190, 90, 20), (150, 150, 150),
)  # fmt: skip

COLOURS = {"ok": GREEN, "doubtful": YELLOW, "invalid": RED, "empty": GREY}
"""Of a field's status; blue, green, red."""


def draw_fields(reference: U8, fields: Sequence[FormField]) -> U8:
    """A form with its fields: their names, inside of them, so that the print around stays seen.

    Args:
        reference: uint8 ``[H, W]``.
        fields: of it.

    Returns:
        uint8 ``[H, W, 3]`` BGR.
    """
    page = np.asarray(cv2.cvtColor(_pale(reference), cv2.COLOR_GRAY2BGR), np.uint8)
    thick = max(1, max(page.shape) // 900)
    for one in fields:
        x, y, w, h = one.box
        cv2.rectangle(page, (x, y), (x + w, y + h), BLUE, thick + 1)
        for left, _ in one.cells[1:]:
            cv2.line(page, (round(left), y), (round(left), y + h), BLUE, thick)
        text = one.name + (f": {len(one.cells)} cells" if one.cells else "")
        _label(page, text, (x, y + h), BLUE, thick)
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
    ratio = min(1.0, 1754 / max(height, width))
    seen = placement.sample(image, (0.0, 0.0, float(width), float(height)), ratio)
    page = np.asarray(cv2.cvtColor(_pale(seen), cv2.COLOR_GRAY2BGR), np.uint8)
    reference = cv2.resize(template.reference, seen.shape[::-1], interpolation=cv2.INTER_AREA)
    edges = cv2.Canny(reference, 80, 200)
    page[edges > 0] = BLUE
    thick = max(1, max(page.shape) // 900)
    for one in template.fields:
        read = reading[one.name]
        x, y, w, h = (round(side * ratio) for side in one.box)
        colour = COLOURS[read.status]
        cv2.rectangle(page, (x, y), (x + w, y + h), colour, thick + 1)
        _label(page, f"{one.name}: {read.text or '-'} {read.confidence:.0%}", (x, y), colour, thick)
    return page


def _pale(grey: U8) -> U8:
    """A picture made paler, so that what is drawn on it is seen."""
    return np.asarray(cv2.convertScaleAbs(grey, alpha=0.6, beta=100), np.uint8)


def _label(
    page: U8, text: str, at: tuple[int, int], colour: tuple[int, int, int], thick: int
) -> None:
    scale = max(page.shape) / 3000
    (w, h), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    x, y = at[0], max(h + below, at[1] - thick)
    cv2.rectangle(page, (x, y - h - below), (x + w, y), colour, -1)
    white = (255, 255, 255)
    cv2.putText(page, text, (x, y - below // 2), cv2.FONT_HERSHEY_SIMPLEX, scale, white, thick, 16)
