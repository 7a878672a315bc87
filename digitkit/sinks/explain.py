"""What the classifier saw of each digit, with its likeliest readings."""

from __future__ import annotations

import numpy as np

from digitkit.arrays import U8, Box
from digitkit.images.cv import cv2
from digitkit.images.normal_form import BOX, SIDE
from digitkit.reading.confidence import format_confidence
from digitkit.reading.results import Digit, Reading
from digitkit.sinks.drawing import GREEN, GREY, RED, draw
from digitkit.sinks.labels import FONT, LabelPlacer, around

BLUE = (150, 90, 20)
"""Numbers that link the image and the tiles, and the frame of a digit; BGR."""

_TILE = 168  # side of an enlarged digit, pixels: six times 28

MAX_SIDE = 1600
"""Longer side of the annotated image next to many digits, pixels; up to 36 give its height."""

MAX_TILES = 300
"""Digits that are shown; the others are counted. All of thousands would take gigabytes."""


def explain(image: U8, reading: Reading, min_confidence: float | None = None) -> U8:
    """The annotated image, and what the classifier saw of the digits with their top three readings.

    Numbers link the digits of the image to their tiles; a legend is at the bottom.

    Args:
        image: uint8 ``[H, W]`` or ``[H, W, 3]``, as the source decoded it.
        reading: what was read from it.
        min_confidence: threshold that is marked in the bars, 0–1; None for none.

    Returns:
        uint8 ``[h, w, 3]`` BGR.
    """
    right = draw_tiles(reading, columns=6, min_confidence=min_confidence, numbered=True)
    source = draw(image, reading)
    side = min(max(right.shape[0], 2 * _TILE), MAX_SIDE)
    ratio = side / max(source.shape[:2])
    how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_NEAREST
    size = [max(1, round(length * ratio)) for length in source.shape[1::-1]]
    source = cv2.resize(source, size, interpolation=how)  # type: ignore[assignment]
    _number_boxes(source, reading, max(image.shape[:2]))
    height = max(source.shape[0], right.shape[0])
    parts = [
        cv2.copyMakeBorder(
            part, 0, height - part.shape[0], 0, 12, cv2.BORDER_CONSTANT, value=(255, 255, 255)
        )
        for part in (source, right)
    ]
    both = np.hstack(parts)
    return np.vstack([both, _draw_legend(both.shape[1], min_confidence)])


def _number_boxes(canvas: U8, reading: Reading, side: int) -> None:
    """Write the numbers of the tiles next to the digits.

    Args:
        canvas: uint8 ``[h, w, 3]``, the annotated image; it is changed.
        reading: what was read.
        side: longer side of the image that was read, pixels.
    """
    ratio = max(canvas.shape[:2]) / side
    boxes: list[Box] = []
    for digit in reading.digits[:MAX_TILES]:
        x, y, w, h = (round(ratio * length) for length in digit.box)
        boxes.append((x, y, w, h))
    placer = LabelPlacer(canvas, boxes)
    for number, box in enumerate(boxes, 1):
        label, _ = placer.place(around(str(number), box, [12.0], 4, below=True))
        placer.take(label.plate)
        label.draw(canvas, BLUE)


def _draw_legend(width: int, min_confidence: float | None) -> U8:
    """What the tiles show: uint8 ``[h, width, 3]`` BGR."""
    texts = [
        "blue number: the digit in the image",
        "blue frame: the 20x20 pixels that MNIST fits digits into",
        "bars: probabilities of the three likeliest readings, - is no digit",
        "green: accepted; red, ?: not accepted",
    ]
    if min_confidence is not None:
        texts.append(f"black mark: the threshold, {format_confidence(min_confidence)}")
    lines = [""]
    for text in texts:
        line = f"{lines[-1]};  {text}" if lines[-1] else text
        if lines[-1] and cv2.getTextSize(line, FONT, 0.45, 1)[0][0] > width - 16:
            lines.append(text)
        else:
            lines[-1] = line
    legend = np.full((12 + 22 * len(lines), width, 3), 255, np.uint8)
    for row, line in enumerate(lines, 1):
        cv2.putText(legend, line, (8, 22 * row), FONT, 0.45, GREY, 1, cv2.LINE_AA)
    return legend


def draw_tiles(
    reading: Reading, columns: int, *, min_confidence: float | None = None, numbered: bool = False
) -> U8:
    """What the classifier saw of up to `MAX_TILES` digits, with their top three; a dash is none.

    Args:
        reading: what was read.
        columns: maximum number of tiles in a row.
        min_confidence: threshold that is marked in the bars, 0–1; None for none.
        numbered: whether the tiles are numbered, from 1.

    Returns:
        uint8 ``[h, w, 3]`` BGR.
    """
    images = [
        _draw_tile(digit, number if numbered else None, min_confidence)
        for number, digit in enumerate(reading.digits[:MAX_TILES], 1)
    ]
    if not images:
        images = [_draw_text_tile("no digit found")]
    elif more := len(reading.digits) - len(images):
        images.append(_draw_text_tile(f"and {more:,} more"))
    columns = min(len(images), columns)
    while len(images) % columns:
        images.append(np.full_like(images[0], 255))
    rows = [np.hstack(images[i : i + columns]) for i in range(0, len(images), columns)]
    return np.vstack(rows)


def _draw_tile(digit: Digit, number: int | None, min_confidence: float | None) -> U8:
    big = cv2.resize(digit.image, (_TILE, _TILE), interpolation=cv2.INTER_NEAREST)
    tile = np.full((_TILE + 74, _TILE + 12, 3), 255, np.uint8)
    tile[6 : 6 + _TILE, 6 : 6 + _TILE] = big[:, :, None]
    # The box that MNIST fits digits into.
    scale, edge = _TILE // SIDE, (SIDE - BOX) // 2
    corner, far = 6 + edge * scale, 6 + (edge + BOX) * scale
    cv2.rectangle(tile, (corner, corner), (far, far), BLUE, 1)
    if not digit.accepted:
        cv2.putText(tile, "?", (_TILE - 18, 36), FONT, 1.0, RED, 2, cv2.LINE_AA)
    if number is not None:
        (width, height), _ = cv2.getTextSize(str(number), FONT, 0.45, 1)
        cv2.rectangle(tile, (6, 6), (14 + width, 14 + height), BLUE, cv2.FILLED)
        at = (10, 10 + height)
        cv2.putText(tile, str(number), at, FONT, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    # The ten digits, and "no digit".
    scores = np.append(digit.probabilities * digit.is_digit, 1 - digit.is_digit)
    for line, place in enumerate(np.argsort(-scores)[:3]):
        score = float(scores[place])
        y = _TILE + 24 + 20 * line
        colour = (GREEN if digit.accepted else RED) if line == 0 else GREY
        cv2.putText(tile, "0123456789-"[place], (8, y), FONT, 0.5, colour, 1, cv2.LINE_AA)
        cv2.rectangle(tile, (24, y - 9), (24 + round(score * 80), y - 2), colour, -1)
        if line == 0 and min_confidence is not None:
            x = 24 + round(min_confidence * 80)
            cv2.line(tile, (x, y - 12), (x, y + 1), (0, 0, 0), 1)
        label = format_confidence(score)
        cv2.putText(tile, label, (110, y), FONT, 0.42, colour, 1, cv2.LINE_AA)
    return tile


def _draw_text_tile(text: str) -> U8:
    tile = np.full((_TILE + 74, _TILE + 12, 3), 255, np.uint8)
    cv2.putText(tile, text, (14, 90), FONT, 0.55, GREY, 1, cv2.LINE_AA)
    return tile
