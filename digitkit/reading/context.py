"""Rescoring of detections by their context on the page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from digitkit.reading.detections import Detection
from digitkit.reading.order import median

SURE, ALONE, LONE_STROKE = 0.45, 0.6, 0.75
"""Certainty from which a digit vouches for its neighbours; from which one that has no neighbours is
believed; and from which a lone, small 0 or 1 is, since rings and strokes are everywhere. Chosen on
synthetic pages: about one false digit in ten pages that hold nothing but clutter."""

SMALL = 0.2
"""What is small: a share of the picture's longer side."""


def rescore(
    found: Sequence[Detection],
    digits: Sequence[int],
    confidences: Sequence[float],
    threshold: float,
    side: int,
) -> list[tuple[float, bool]]:
    """How far each thing that was found is believed beyond its looks, and whether it is cut.

    Digits stand together: a faint one is believed beside others of its size, while what stands
    alone must be found for sure. What runs out of the picture is cut if it shows no digit clearly,
    is lower than the whole ones beside it, or runs out at more than one side.

    Args:
        found: everything that was found in one picture.
        digits: what the classifier reads, 0 to 9.
        confidences: how surely, 0–1.
        threshold: from which confidence on a digit is accepted.
        side: the picture's longer side, pixels.

    Returns:
        Of each a factor for its confidence, 0–1, and whether a part of it is missing.
    """
    x, y, w, h = np.array([one.box for one in found], np.float64).reshape(-1, 4).T
    certainty = np.array([one.certainty for one in found])
    confidence, digit = np.array(confidences), np.array(digits)
    whole = np.array([one.whole for one in found], bool)
    sides = np.array([one.runs_out for one in found], int)
    runs_out = sides > 0
    read = (confidence >= threshold) & ~whole
    # Each (down) beside each (across): of about its height, level, and not far.
    tall = np.maximum(h[:, None], h[None, :])
    apart = np.maximum(x[None, :] - (x + w)[:, None], x[:, None] - (x + w)[None, :])
    level = np.abs((y + h / 2)[None, :] - (y + h / 2)[:, None]) < 0.6 * tall
    beside = level & (apart < 4 * tall) & (np.minimum(h[:, None], h[None, :]) > 0.6 * tall)
    beside &= (read & (certainty >= SURE))[None, :]
    np.fill_diagonal(beside, False)
    stroke = np.isin(digit, (0, 1)) & (np.maximum(w, h) < SMALL * side)
    believed = beside.any(1) | (certainty >= np.where(stroke, LONE_STROKE, ALONE))
    factor = np.where(believed, 1.0, certainty)

    heights = h[read & ~runs_out]
    usual = median(heights) if len(heights) else 0.0
    cut = runs_out & ((confidence < 0.99) | (h < 0.85 * usual) | (sides > 1))
    # Either the whole picture is one digit, or what was found in it counts.
    if whole.any():
        others = factor * confidence * ~whole
        found_in_it = bool((~cut & (others >= threshold)).any())
        as_one = not found_in_it and float(confidence[whole].max()) >= float(others.max())
        out = ~whole if as_one else whole
        factor[out], cut[out] = 0.0, False
    return list(zip(factor.tolist(), cut.tolist(), strict=True))
