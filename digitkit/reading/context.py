"""Rescoring of detections by their context on the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from digitkit.reading.order import median

if TYPE_CHECKING:
    from digitkit.reading.detections import Classified

MIN_NEIGHBOUR_SCORE = 0.45
"""Detection score from which a digit supports its neighbours, 0–1."""

MIN_LONE_SCORE = 0.6
"""Detection score from which a digit without such a neighbour is kept, 0–1."""

MIN_LONE_STROKE_SCORE = 0.75
"""The same for a small 0 or 1, since rings and strokes are everywhere. All three were chosen on
synthetic pages: about one false digit in ten pages that hold nothing but clutter."""

SMALL = 0.2
"""A digit is small up to this fraction of the image's longer side."""


class Rescored(NamedTuple):
    """A detection in its context: the factor for its confidence, 0–1; whether a part is missing."""

    factor: float
    cut: bool


def rescore(classified: Sequence[Classified], min_confidence: float, side: int) -> list[Rescored]:
    """Rescore detections by context.

    Digits stand together: a faint one is kept next to others of its size, while a lone one needs a
    high detection score. A digit that meets the image's border is cut if it shows no digit
    clearly, is lower than the whole ones near it, or meets the border at more than one side.

    Args:
        classified: all detections of one image.
        min_confidence: threshold for a digit to be accepted, 0–1.
        side: the image's longer side, pixels.

    Returns:
        One for each detection, in the same order.
    """
    detections = [candidate.detection for candidate in classified]
    digit = np.array([candidate.prediction.digit for candidate in classified])
    confidence = np.array([candidate.prediction.confidence for candidate in classified])
    x, y, w, h = np.array([each.box for each in detections], np.float64).reshape(-1, 4).T
    score = np.array([each.score for each in detections])
    whole = np.array([each.whole_image for each in detections], bool)
    sides = np.array([each.cut_sides for each in detections], int)
    at_border = sides > 0
    read = (confidence >= min_confidence) & ~whole
    # Each (down) next to each (across): of about its height, level, and not far.
    tall = np.maximum(h[:, None], h[None, :])
    gap = np.maximum(x[None, :] - (x + w)[:, None], x[:, None] - (x + w)[None, :])
    level = np.abs((y + h / 2)[None, :] - (y + h / 2)[:, None]) < 0.6 * tall
    neighbours = level & (gap < 4 * tall) & (np.minimum(h[:, None], h[None, :]) > 0.6 * tall)
    neighbours &= (read & (score >= MIN_NEIGHBOUR_SCORE))[None, :]
    np.fill_diagonal(neighbours, False)
    stroke = np.isin(digit, (0, 1)) & (np.maximum(w, h) < SMALL * side)
    alone = score >= np.where(stroke, MIN_LONE_STROKE_SCORE, MIN_LONE_SCORE)
    factor = np.where(neighbours.any(1) | alone, 1.0, score)

    heights = h[read & ~at_border]
    usual = median(heights) if len(heights) else 0.0
    cut = at_border & ((confidence < 0.99) | (h < 0.85 * usual) | (sides > 1))
    # Either the whole image is one digit, or the digits within it count.
    if whole.any():
        others = factor * confidence * ~whole
        any_within = bool((~cut & (others >= min_confidence)).any())
        as_one = not any_within and float(confidence[whole].max()) >= float(others.max())
        dropped = ~whole if as_one else whole
        factor[dropped], cut[dropped] = 0.0, False
    return list(map(Rescored, factor.tolist(), cut.tolist()))
