"""Synthetic filled-in forms, with what is written in them: for ``forms.py``.

A form of 12 fields on A4: combs, free fields, amounts with a sum, and an identifier with a
checksum. It is filled in with MNIST's digits and drawn as a scan (75 to 300 dots per inch, slightly
skewed, sometimes by a quarter or half turn, cropped, thresholded) or as a photo of a phone
(perspective, curl, uneven light, shadow, blur, noise, JPEG). `make_other` makes what must be
refused: other forms, blank pages and pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from form_camera import Rng, take_photo, take_scan

from digitkit.arrays import U8
from digitkit.datasets.digits import DigitData
from digitkit.images.cv import cv2
from digitkit.training.scenes.fonts import Font, load_fonts
from digitkit.training.scenes.glyphs import glyph
from digitkit.training.scenes.words import WORDS, make_word

DPI = 300
"""Forms are drawn at this resolution, dots per inch."""

WIDTH, HEIGHT = 210.0, 297.0
"""A4, millimetres."""

SCAN_DPI = (75, 100, 150, 200, 300)
"""Resolutions of scans, dots per inch."""


@dataclass(frozen=True)
class Place:
    """One field of the form.

    Attributes:
        name: of the field.
        label: printed above it.
        x: left side, millimetres.
        y: upper side, millimetres.
        width: of the writing area, millimetres.
        height: of the writing area, millimetres.
        cells: of a comb; 0 for a free field.
        comma: cells before a printed decimal comma; 0 for none.
        line: whether a free field is a line instead of a box.
    """

    name: str
    label: str
    x: float
    y: float
    width: float
    height: float
    cells: int = 0
    comma: int = 0
    line: bool = False


PLACES = (
    Place("customer", "Customer number", 20, 62, 75, 9, cells=10),
    Place("date", "Date (day, month, year)", 118, 62, 64, 9, cells=8),
    Place("postcode", "Postal code", 20, 86, 40, 9, cells=5),
    Place("phone", "Telephone", 118, 86, 70, 10, line=True),
    Place("meter", "Meter number", 20, 110, 48, 9, cells=6),
    Place("persons", "Persons in the household", 118, 110, 24, 10),
    Place("area", "Living space in square metres", 20, 134, 30, 10),
    Place("built", "Year of construction", 118, 134, 32, 9, cells=4),
    Place("water", "Water, EUR", 20, 176, 52, 11),
    Place("energy", "Energy, EUR", 118, 176, 52, 9, cells=6, comma=4),
    Place("service", "Service, EUR", 20, 200, 52, 11, line=True),
    Place("total", "Total, EUR", 118, 200, 60, 9, cells=7, comma=5),
)
"""The 12 fields."""

RULED = ("customer", "water", "energy", "service", "total")
"""The fields that a checksum or a sum covers."""


@dataclass(frozen=True)
class Sheet:
    """One picture of a form.

    Attributes:
        image: uint8 ``[H, W]`` or ``[H, W, 3]`` BGR.
        texts: what is written, by the field's name; digits and a decimal point.
        corners: where the form's corners are in the picture, from the upper left clockwise,
            float64 ``[4, 2]`` pixels.
        dpi: of a scan; 0 for a photo.
    """

    image: U8
    texts: dict[str, str]
    corners: np.ndarray
    dpi: int = 0


def to_pixels(millimetres: float) -> int:
    """A length in pixels at `DPI`."""
    return round(millimetres * DPI / 25.4)


def draw_blank(*, markers: bool = False, version: int = 0) -> U8:
    """The blank form at `DPI`, uint8 ``[H, W]``.

    Args:
        markers: whether it has ArUco markers in its corners.
        version: 0 for the form; others have other texts and boxes in other places.
    """
    page = np.full((to_pixels(HEIGHT), to_pixels(WIDTH)), 255, np.uint8)
    title = ("Annual statement of costs", "Application for a parking permit", "Meter readings 2",
             "Travel expenses", "Delivery note", "Membership")[version % 6]  # fmt: skip
    _print(page, title, 20, 28, 9)
    _print(page, "Please write one digit into each box, in blue or black.", 20, 40, 4.2)
    cv2.rectangle(page, _at(16, 48), _at(194, 156), 0, 3)
    cv2.rectangle(page, _at(16, 162), _at(194, 222), 0, 3)
    places = PLACES if version == 0 else _other_places(version)
    for place in places:
        _draw_place(page, place)
    _print(page, "Signature", 20, 268, 4.2)
    cv2.line(page, _at(20, 262), _at(90, 262), 0, 2)
    _print(page, f"Form {4711 + 13 * version} / {version + 1}", 150, 285, 3.4)
    for row in range(4):
        words = ("The amounts are checked against", "the records of the last year.",
                 "Keep a copy for yourself.", "Answers within four weeks.")  # fmt: skip
        _print(page, words[(row + version) % 4], 20, 232 + 6 * row, 3.6)
    if markers:
        _draw_markers(page)
    return page


def _at(x: float, y: float) -> tuple[int, int]:
    return to_pixels(x), to_pixels(y)


def _print(page: U8, text: str, x: float, y: float, size: float) -> None:
    """Print a line of text, its base line at `y`; `size` in millimetres."""
    scale = to_pixels(size) / 34
    cv2.putText(page, text, _at(x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, 0,
                max(2, round(2.2 * scale)), cv2.LINE_AA)  # fmt: skip


def _draw_place(page: U8, place: Place) -> None:
    _print(page, place.label, place.x, place.y - 2, 3.6)
    x, y, right, low = place.x, place.y, place.x + place.width, place.y + place.height
    if place.line:
        cv2.line(page, _at(x, low), _at(right, low), 0, 3)
        return
    for start, end in _runs(place):
        cv2.rectangle(page, _at(start, y), _at(end, low), 0, 3)
    for left, _ in cell_edges(place)[1:]:
        cv2.line(page, _at(left, y), _at(left, low), 0, 2)
    if place.comma:
        middle = cell_edges(place)[place.comma - 1][1] + COMMA_ROOM / 2
        cv2.line(page, _at(middle + 0.4, low - 1.2), _at(middle - 0.4, low + 0.9), 0, 8)


COMMA_ROOM = 4.0
"""Between the cells around a printed comma, millimetres."""


def cell_edges(place: Place) -> list[tuple[float, float]]:
    """The left and right sides of a comb's cells, millimetres."""
    if not place.cells:
        return [(place.x, place.x + place.width)]
    pitch = (place.width - (COMMA_ROOM if place.comma else 0)) / place.cells
    lefts = [
        place.x + pitch * i + (COMMA_ROOM if place.comma and i >= place.comma else 0)
        for i in range(place.cells)
    ]
    return [(left, left + pitch) for left in lefts]


def _runs(place: Place) -> list[tuple[float, float]]:
    """The boxes of a place: two where a comma separates its cells."""
    edges = cell_edges(place)
    if not place.comma:
        return [(edges[0][0], edges[-1][1])]
    before, after = edges[: place.comma], edges[place.comma :]
    return [(before[0][0], before[-1][1]), (after[0][0], after[-1][1])]


def _other_places(version: int) -> tuple[Place, ...]:
    """Fields of another form, which looks alike."""
    rng = np.random.default_rng([16, version])
    order = rng.permutation(len(PLACES))
    places = []
    for spot, kind in zip(PLACES, order, strict=True):
        other = PLACES[kind]
        x = 20 if spot.x < 100 else 105
        places.append(replace(other, x=x, y=spot.y + rng.uniform(-4, 4)))
    return tuple(places)


def _draw_markers(page: U8) -> None:
    """ArUco markers 0 to 3 in the corners, from the upper left clockwise."""
    words = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    side = to_pixels(11)
    for number, (x, y) in enumerate(((8, 8), (191, 8), (191, 278), (8, 278))):
        left, top = _at(x, y)
        marker = cv2.aruco.generateImageMarker(words, number, side)
        page[top : top + side, left : left + side] = marker


# --- filling in ---


def invent(rng: Rng) -> dict[str, str]:
    """What is to be written: by the field's name, digits and a decimal point."""
    digits = "".join(map(str, rng.integers(0, 10, 9)))
    amounts = [int(rng.integers(100, 10 ** int(rng.integers(3, 7)))) for _ in range(3)]
    day, month, year = rng.integers(1, 29), rng.integers(1, 13), rng.integers(2020, 2027)
    return {
        "customer": digits + _luhn_digit(digits),
        "date": f"{day:02d}{month:02d}{year}",
        "postcode": f"{rng.integers(0, 10**5):05d}",
        "phone": str(rng.integers(10**6, 10**8)),
        "meter": f"{rng.integers(0, 10**6):06d}",
        "persons": str(rng.integers(1, 13)),
        "area": str(rng.integers(20, 400)),
        "built": str(rng.integers(1900, 2027)),
        "water": _amount(amounts[0]),
        "energy": _amount(amounts[1]),
        "service": _amount(amounts[2]),
        "total": _amount(sum(amounts)),
    }


def _amount(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _luhn_digit(digits: str) -> str:
    doubled = [int(d) * (2 - i % 2) for i, d in enumerate(reversed(digits))]
    return str(-sum(d // 10 + d % 10 for d in doubled) % 10)


class Pen:
    """Writes into a form with one pen; digits of any hands."""

    def __init__(self, page: U8, data: DigitData, rng: Rng) -> None:
        """Write on `page`, uint8 ``[H, W, 3]``, in place."""
        self._page, self._data, self._rng = page, data, rng
        blue = rng.random() < 0.5
        self._colour = np.array(
            (rng.uniform(90, 170), rng.uniform(40, 80), rng.uniform(20, 60))
            if blue
            else np.full(3, rng.uniform(15, 90))
        )
        self._size = rng.uniform(0.55, 0.82)
        self._by_digit = [np.flatnonzero(data.labels == d) for d in range(10)]

    def write(self, place: Place, text: str) -> None:
        """Write a text into a field."""
        if place.cells:
            self._write_comb(place, text.replace(".", ""))
        else:
            self._write_free(place, text)

    def write_word(self, place: Place, word: str, font: Font) -> None:
        """Write a word into a field, of a comb a letter into each cell, in this hand."""
        thick = int(self._rng.integers(0, 7))
        height = min(6.5, place.height * self._size)
        if place.cells:
            for (left, right), letter in zip(cell_edges(place), word, strict=False):
                ink, _ = font.write(letter, to_pixels(height), thick)
                middle = to_pixels(place.y + place.height / 2)
                centre = to_pixels((left + right) / 2)
                self._put(ink, centre - ink.shape[1] // 2, middle - ink.shape[0] // 2)
            return
        ink, _ = font.write(word, to_pixels(height), thick)
        base = to_pixels(place.y + place.height - (1.3 if place.line else 2.5))
        self._put(ink, to_pixels(place.x + 2), base - ink.shape[0])

    def _digit(self, digit: str, height: float) -> U8:
        image = self._data.images[self._rng.choice(self._by_digit[int(digit)])]
        return glyph(image, max(8, to_pixels(height)), None, self._rng)

    def _write_comb(self, place: Place, text: str) -> None:
        edges = cell_edges(place)[place.cells - len(text) :]
        for (left, right), digit in zip(edges, text, strict=True):
            size = place.height * self._size * self._rng.uniform(0.9, 1.1)
            ink = self._digit(digit, size)
            shift = self._rng.normal(0, 0.05, 2) * (right - left, place.height)
            x = (left + right) / 2 + shift[0]
            y = place.y + place.height / 2 + shift[1]
            self._put(ink, to_pixels(x) - ink.shape[1] // 2, to_pixels(y) - ink.shape[0] // 2)

    def _write_free(self, place: Place, text: str) -> None:
        size = min(6.5, place.height * self._size)
        gap = size * self._rng.uniform(0.08, 0.3)
        base = place.y + place.height - (1.3 if place.line else (place.height - size) / 2)
        base += self._rng.normal(0, 0.05) * place.height
        slope = self._rng.normal(0, 0.012)
        x = place.x + 2 + self._rng.uniform(0, 4)
        begun = x
        for sign in text:
            y = base + slope * (x - begun)
            if sign == ".":
                self._comma(x, y, size)
                x += gap + 0.12 * size
                continue
            tall = size * self._rng.uniform(0.92, 1.08)
            ink = self._digit(sign, tall)
            lift = self._rng.normal(0, 0.03) * size
            self._put(ink, to_pixels(x), to_pixels(y - lift) - ink.shape[0])
            x += ink.shape[1] * 25.4 / DPI + gap * self._rng.uniform(0.7, 1.3)

    def _comma(self, x: float, y: float, size: float) -> None:
        side = to_pixels(size)
        layer = np.zeros((side, side), np.uint8)
        thick = max(3, round(side * 0.13))
        start = (side // 2, side // 3)
        end = (side // 2 - round(0.1 * side), side // 3 + round(side * self._rng.uniform(0, 0.25)))
        cv2.line(layer, start, end, 255, thick, cv2.LINE_AA)
        self._put(layer, to_pixels(x) - side // 2, to_pixels(y) - side // 3)

    def _put(self, ink: U8, x: int, y: int) -> None:
        h, w = ink.shape
        part = self._page[y : y + h, x : x + w]
        alpha = (ink[: part.shape[0], : part.shape[1], None] / 255.0) * 0.92
        part[:] = np.rint(part + (np.minimum(self._colour, part) - part) * alpha)


def fill_in(blank: U8, texts: dict[str, str], data: DigitData, rng: Rng) -> U8:
    """A form filled in, uint8 ``[H, W, 3]`` BGR at `DPI`."""
    page = np.asarray(cv2.cvtColor(np.maximum(blank, 25), cv2.COLOR_GRAY2BGR), np.uint8)
    pen = Pen(page, data, rng)
    for place in PLACES:
        pen.write(place, texts[place.name])
    return page


def make_words(seed: int, number: int, data: DigitData, blank: U8) -> U8:
    """A scan of the form with words in all fields, in a handwriting font of the training split."""
    rng = np.random.default_rng([18, seed, number])
    page = np.asarray(cv2.cvtColor(np.maximum(blank, 25), cv2.COLOR_GRAY2BGR), np.uint8)
    pen, fonts = Pen(page, data, rng), load_fonts()
    font = fonts[rng.integers(len(fonts))]
    for place in PLACES:
        word = str(rng.choice(WORDS)) if rng.random() < 0.5 else make_word(rng)
        pen.write_word(place, word if not place.cells else (word * 10)[: place.cells], font)
    return take_scan(page, rng, int(rng.choice(SCAN_DPI)) / DPI)[0]


def make_sheet(kind: str, data: DigitData, seed: int, number: int, blank: U8) -> Sheet:
    """The sheet of a kind, ``scans`` or ``photos``, with this seed and number; always the same."""
    rng = np.random.default_rng([16, seed, number])
    texts = invent(rng)
    page = fill_in(blank, texts, data, rng)
    if kind == "photos":
        image, corners = take_photo(page, rng)
        return Sheet(image, texts, corners)
    dpi = int(rng.choice(SCAN_DPI))
    image, corners = take_scan(page, rng, dpi / DPI)
    return Sheet(image, texts, corners, dpi)


def make_other(data: DigitData, seed: int, number: int, blanks: Sequence[U8]) -> U8:
    """A picture that is not the form: another form, a blank page, a picture; by turns.

    Args:
        data: digits.
        seed: of the set.
        number: of the picture.
        blanks: other forms.
    """
    rng = np.random.default_rng([17, seed, number])
    kind = number % 4
    if kind < 2:
        page = cv2.cvtColor(blanks[number // 4 % len(blanks)], cv2.COLOR_GRAY2BGR)
        pen = Pen(np.asarray(page, np.uint8), data, rng)
        for place in PLACES:
            pen.write(place, invent(rng)[place.name])
    elif kind == 2:
        page = np.full((to_pixels(HEIGHT), to_pixels(WIDTH), 3), 250, np.uint8)
    else:
        page = _picture(rng)
    photo = number % 8 >= 4
    taken = take_photo(np.asarray(page, np.uint8), rng) if photo else take_scan(
        np.asarray(page, np.uint8), rng, 150 / DPI
    )  # fmt: skip
    return taken[0]


def _picture(rng: Rng) -> U8:
    """Blobs, edges and lines of many colours."""
    grain = rng.normal(0, 1, (60, 45, 3)).astype(np.float32)
    size = (to_pixels(WIDTH), to_pixels(HEIGHT))
    image = np.asarray(
        (128 + 60 * cv2.resize(grain, size, interpolation=cv2.INTER_CUBIC)).clip(0, 255), np.uint8
    )
    for _ in range(40):
        points = rng.integers(0, size, (4, 2)).astype(np.int32)
        colour = rng.uniform(0, 255, 3).tolist()
        if rng.random() < 0.5:
            cv2.fillPoly(image, [points], colour)
        else:
            cv2.polylines(image, [points], True, colour, int(rng.integers(2, 20)), cv2.LINE_AA)
    return image
