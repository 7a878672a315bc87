"""What the classifier saw of each digit, with its likeliest readings."""

from __future__ import annotations

import numpy as np

from digitkit.arrays import U8
from digitkit.images.cv import cv2
from digitkit.images.normal_form import BOX, SIDE
from digitkit.reading.results import Digit, Reading
from digitkit.sinks.drawing import GREEN, GREY, RED, draw
from digitkit.sinks.labels import FONT
from digitkit.sinks.records import format_confidence

_TILE = 168  # side of an enlarged digit, pixels: six times 28

MAX_SIDE = 1600
"""Longer side of the annotated image next to many digits, pixels; up to 36 give its height."""

MAX_TILES = 300
"""Digits that are shown; the others are counted. All of thousands would take gigabytes."""


def explain(image: U8, reading: Reading) -> U8:
    """The annotated image, and what the classifier saw of the digits with their top three readings.

    Args:
        image: uint8 ``[H, W]`` or ``[H, W, 3]``, as the source decoded it.
        reading: what was read from it.

    Returns:
        uint8 ``[h, w, 3]`` BGR.
    """
    right = draw_tiles(reading, columns=6)
    source = draw(image, reading)
    side = min(max(right.shape[0], 2 * _TILE), MAX_SIDE)
    ratio = side / max(source.shape[:2])
    how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_NEAREST
    size = [max(1, round(length * ratio)) for length in source.shape[1::-1]]
    source = cv2.resize(source, size, interpolation=how)  # type: ignore[assignment]
    height = max(source.shape[0], right.shape[0])
    parts = [
        cv2.copyMakeBorder(
            part, 0, height - part.shape[0], 0, 12, cv2.BORDER_CONSTANT, value=(255, 255, 255)
        )
        for part in (source, right)
    ]
    return np.hstack(parts)


def draw_tiles(reading: Reading, columns: int) -> U8:
    """What the classifier saw of up to `MAX_TILES` digits, with their top three; a dash is none.

    Args:
        reading: what was read.
        columns: maximum number of tiles in a row.

    Returns:
        uint8 ``[h, w, 3]`` BGR.
    """
    images = [_draw_tile(digit) for digit in reading.digits[:MAX_TILES]]
    if not images:
        images = [_draw_text_tile("no digit found")]
    elif more := len(reading.digits) - len(images):
        images.append(_draw_text_tile(f"and {more:,} more"))
    columns = min(len(images), columns)
    while len(images) % columns:
        images.append(np.full_like(images[0], 255))
    rows = [np.hstack(images[i : i + columns]) for i in range(0, len(images), columns)]
    return np.vstack(rows)


def _draw_tile(digit: Digit) -> U8:
    big = cv2.resize(digit.image, (_TILE, _TILE), interpolation=cv2.INTER_NEAREST)
    tile = np.full((_TILE + 74, _TILE + 12, 3), 255, np.uint8)
    tile[6 : 6 + _TILE, 6 : 6 + _TILE] = big[:, :, None]
    # The box that MNIST fits digits into.
    scale, edge = _TILE // SIDE, (SIDE - BOX) // 2
    corner, far = 6 + edge * scale, 6 + (edge + BOX) * scale
    cv2.rectangle(tile, (corner, corner), (far, far), (120, 90, 20), 1)
    if not digit.accepted:
        cv2.putText(tile, "?", (_TILE - 18, 36), FONT, 1.0, RED, 2, cv2.LINE_AA)
    # The ten digits, and "no digit".
    scores = np.append(digit.probabilities * digit.is_digit, 1 - digit.is_digit)
    for line, place in enumerate(np.argsort(-scores)[:3]):
        score = float(scores[place])
        y = _TILE + 24 + 20 * line
        colour = (GREEN if digit.accepted else RED) if line == 0 else GREY
        cv2.putText(tile, "0123456789-"[place], (8, y), FONT, 0.5, colour, 1, cv2.LINE_AA)
        cv2.rectangle(tile, (24, y - 9), (24 + round(score * 80), y - 2), colour, -1)
        label = format_confidence(score)
        cv2.putText(tile, label, (110, y), FONT, 0.42, colour, 1, cv2.LINE_AA)
    return tile


def _draw_text_tile(text: str) -> U8:
    tile = np.full((_TILE + 74, _TILE + 12, 3), 255, np.uint8)
    cv2.putText(tile, text, (14, 90), FONT, 0.55, GREY, 1, cv2.LINE_AA)
    return tile
