"""The fields of a form that a person should look at."""

from __future__ import annotations

from digitkit.forms.form import CROP_MARGIN
from digitkit.forms.results import FieldReading, FormReading
from digitkit.images.grey import reduce_to
from digitkit.sinks.review import MAX_CROP, ReviewItem


def field_items(reading: FormReading) -> list[ReviewItem]:
    """The fields of a form that are doubtful or invalid, the least certain first.

    Args:
        reading: of a form.
    """
    items = [_to_item(reading, one) for one in reading.fields if one.crop is not None]
    return sorted(items, key=lambda item: item.confidence)


def _to_item(reading: FormReading, field_reading: FieldReading) -> ReviewItem:
    assert field_reading.crop is not None
    crop = reduce_to(field_reading.crop, MAX_CROP)
    height, width = crop.shape
    room = min(round(height * CROP_MARGIN / (1 + 2 * CROP_MARGIN)), (width - 1) // 2)
    return ReviewItem(
        kind="field",
        read=field_reading.text,
        confidence=field_reading.confidence,
        reasons=tuple(f"{field_reading.name}: {reason}" for reason in field_reading.reasons)
        or (field_reading.name,),
        crop=crop,
        box=(room, room, width - 2 * room, max(1, height - 2 * room)),
        images=tuple(digit.image for digit in field_reading.digits if digit.image is not None),
        source=reading.name,
        place=field_reading.box,
        name=field_reading.name,
    )
