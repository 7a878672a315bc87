"""What of a reading a person should look at, with pictures of it, and how it travels as JSON."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import numpy as np

from digitkit.arrays import U8, Box
from digitkit.boxes import bounding_box, clip_box
from digitkit.images.encode import data_uri, encode_jpeg, encode_png
from digitkit.images.grey import resize_to
from digitkit.images.orientation import rotate
from digitkit.reading.confidence import format_confidence, round_confidence
from digitkit.reading.results import Digit, Number, Reading
from digitkit.sources.frames import Frame

ReviewKind = Literal["digit", "number", "field"]
"""What a person decides on: one digit, a number, or a field of a form."""

MAX_CROP = 320
"""Longer side of a crop, pixels; what is larger is reduced."""

MIN_GREY_SIDE = 2560
"""Of pictures of this side or more, crops are grey: their colours may not have been decoded."""

_MARGIN, _ALONE = 0.5, 1.5
"""Room around a number, and around a digit that is in none, in heights of the digit."""

_MAX_CROP_WIDTH = 8.0
"""Of a wider number only this much around a digit is shown, in heights of the digit."""

_MIN_SHOWN_SIDE = 160
"""A large picture is halved while the part that is shown stays this long, pixels."""

_MIN_SECOND = 0.05
"""The second likeliest digit is named from this probability on."""


@dataclass(frozen=True)
class ReviewItem:
    """One thing that a person should look at.

    Attributes:
        kind: what it is.
        read: what was read: ``7``, or of a number or field its text: ``19?4``.
        confidence: probability that this is right, 0–1.
        reasons: why it is doubtful, one phrase each.
        crop: it and what is around it, uint8 ``[h, w]`` or ``[h, w, 3]`` BGR; longer side up to
            `MAX_CROP`.
        box: of it in the crop, pixels.
        images: what the classifier saw of its digits, uint8 ``[28, 28]`` each, from the left;
            without those that the border cuts.
        source: the file with its page, or the camera.
        time: when a live frame was taken; None for a file.
        place: of it in the picture, pixels; tells items of a picture apart.
        name: of a form's field; "" elsewhere.
    """

    kind: ReviewKind
    read: str
    confidence: float
    reasons: tuple[str, ...]
    crop: U8 = field(repr=False, compare=False)
    box: Box
    images: tuple[U8, ...] = field(repr=False, compare=False)
    source: str
    time: datetime | None = None
    place: Box = (0, 0, 0, 0)
    name: str = ""

    @property
    def key(self) -> str:
        """Identifies the item: 16 hexadecimal digits, the same each time a picture is read."""
        when = "" if self.time is None else self.time.isoformat()
        text = "\0".join([self.kind, self.source, when, *map(str, self.place)])
        digest = hashlib.sha256(text.encode("utf-8", "surrogateescape"))
        for image in self.images:
            digest.update(image.tobytes())
        return digest.hexdigest()[:16]


def review_items(frame: Frame, reading: Reading) -> list[ReviewItem]:
    """What of a reading is doubtful, the most doubtful first.

    A digit is an item of its own if it is not accepted. A number is one if it is incomplete for
    another reason: ink that cannot be read, a digit that the border cuts, a field that it does not
    meet.

    Args:
        frame: the image that was read.
        reading: what was read from it.
    """
    picture = UprightFrame(frame, reading.turn)
    items: list[ReviewItem] = []
    for number in reading.numbers:
        if number.complete:
            continue
        doubtful = [digit for digit in number.digits if not (digit.cut or digit.accepted)]
        items += [_digit_item(picture, digit, number) for digit in doubtful]
        both = {sign for _, sign in number.signs} >= {",", "."}
        cut = any(digit.cut for digit in number.digits)
        if number.unread or both or cut or not doubtful:
            items.append(_number_item(picture, number))
    items += [_number_item(picture, number) for number in reading.dropped]
    items += [_digit_item(picture, digit, None) for digit in reading.lone_digits]
    return sorted(items, key=lambda item: item.confidence)


class UprightFrame:
    """The upright pixels of an image, of which parts are shown.

    Attributes:
        frame: the image.
    """

    def __init__(self, frame: Frame, turn: int = 0) -> None:
        """Show a frame, turned clockwise by 0, 90, 180 or 270 degrees."""
        self.frame = frame
        self._turn = turn
        self._colours: U8 | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the upright image, pixels."""
        height, width = self.frame.shape
        return (width, height) if self._turn in (90, 270) else (height, width)

    def cut_out(self, around: Box, box: Box) -> tuple[U8, Box]:
        """A part of the image, reduced to `MAX_CROP`, and where a box is in it.

        Args:
            around: the part, pixels of the upright image; what is outside of it is left out.
            box: a box in it.
        """
        pixels, halvings = self._pixels(max(around[2:]))
        ratio = 2.0**-halvings
        height, width = pixels.shape[:2]
        x = min(max(0, int(around[0] * ratio)), width - 1)
        y = min(max(0, int(around[1] * ratio)), height - 1)
        right = min(width, max(x + 1, round((around[0] + around[2]) * ratio)))
        bottom = min(height, max(y + 1, round((around[1] + around[3]) * ratio)))
        crop = pixels[y:bottom, x:right]
        fit = min(1.0, MAX_CROP / max(crop.shape[:2]))
        if fit < 1:
            crop = resize_to(crop, fit)
        left, top = (box[0] * ratio - x) * fit, (box[1] * ratio - y) * fit
        sides = (side * ratio * fit for side in box[2:])
        return np.ascontiguousarray(crop), clip_box(left, top, *sides, *crop.shape[1::-1])

    def _pixels(self, side: int) -> tuple[U8, int]:
        """The image, and how often it is halved; `side` is that of the part that is shown."""
        if max(self.frame.shape) < MIN_GREY_SIDE:
            if self._colours is None:
                self._colours = rotate(self.frame.image, self._turn)
            return self._colours, 0
        grey = self.frame.grey
        halvings = 0
        while halvings < grey.halvings and side >> (halvings + 1) >= _MIN_SHOWN_SIDE:
            halvings += 1
        return rotate(grey.halved(halvings), self._turn), halvings


def _digit_item(picture: UprightFrame, digit: Digit, number: Number | None) -> ReviewItem:
    x, y, w, h = digit.box
    height = max(w, h)
    if number is None:
        around = _grow(digit.box, _ALONE * height)
    else:
        around = _grow(number.box, _MARGIN * height)
        left = max(around[0], round(x + w / 2 - _MAX_CROP_WIDTH / 2 * height))
        right = min(around[0] + around[2], round(x + w / 2 + _MAX_CROP_WIDTH / 2 * height))
        top = max(around[1], round(y + h / 2 - _MAX_CROP_WIDTH / 2 * height))
        bottom = min(around[1] + around[3], round(y + h / 2 + _MAX_CROP_WIDTH / 2 * height))
        around = left, top, right - left, bottom - top
    crop, box = picture.cut_out(around, digit.box)
    return ReviewItem(
        "digit", str(digit.digit), digit.confidence, _digit_reasons(digit), crop, box,
        () if digit.cut else (digit.image,), picture.frame.name, picture.frame.time, digit.box,
    )  # fmt: skip


def _digit_reasons(digit: Digit) -> tuple[str, ...]:
    reasons = []
    if digit.cut:
        reasons.append("the border cuts it")
    if digit.is_digit < 0.5:
        reasons.append(f"it may be no digit ({format_confidence(1 - digit.is_digit, 0)})")
    second = int(np.argsort(-digit.probabilities)[1])
    probability = float(digit.probabilities[second]) * digit.is_digit
    if probability >= _MIN_SECOND and second != digit.digit:
        reasons.append(f"it may be a {second} ({format_confidence(probability, 0)})")
    if not reasons:
        reasons.append("it is not clear, or it may be a sign or a line")
    return tuple(reasons)


def _number_item(picture: UprightFrame, number: Number) -> ReviewItem:
    height = max(digit.box[3] for digit in number.digits)
    box = bounding_box([number.box, *(digit.box for digit in number.digits)])
    crop, place = picture.cut_out(_grow(box, _MARGIN * height), box)
    images = tuple(digit.image for digit in number.digits if not digit.cut)
    return ReviewItem(
        "number", number.text, number.confidence, number.reasons, crop, place, images,
        picture.frame.name, picture.frame.time, box,
    )  # fmt: skip


def _grow(box: Box, room: float) -> Box:
    """A box with room around it, pixels."""
    x, y, w, h = box
    margin = max(2, round(room))
    return x - margin, y - margin, w + 2 * margin, h + 2 * margin


# --- JSON, of the report and of the HTTP service ---


def review_item_json(item: ReviewItem) -> dict[str, Any]:
    """An item as the review in a browser takes it, with its key as id, but without pictures."""
    values: dict[str, Any] = {"id": item.key, "kind": item.kind, "source": item.source}
    if item.name:
        values["name"] = item.name
    if item.time is not None:
        values["time"] = item.time.isoformat(timespec="milliseconds")
    return values | {
        "read": item.read,
        "confidence": round_confidence(item.confidence),
        "reasons": list(item.reasons),
        "box": list(item.box),
    }


def to_inline_json(item: ReviewItem) -> dict[str, Any]:
    """An item with its crop and the images of its digits within, as data URIs."""
    return review_item_json(item) | {
        "image": data_uri(encode_jpeg(item.crop), "image/jpeg"),
        "seen": [data_uri(encode_png(image), "image/png") for image in item.images],
    }
