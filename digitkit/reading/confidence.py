"""How confidences are written."""

from __future__ import annotations

import math


def round_confidence(confidence: float) -> float:
    """A confidence for tables and JSON: four decimals, never rounded up to 1."""
    return round(min(confidence, 0.9999), 4)


def format_confidence(confidence: float, decimals: int = 1) -> str:
    """A confidence for people, 0–1, rounded down; where that is not to the nearest: ``>99.9%``.

    >>> format_confidence(0.9876), format_confidence(0.9876, 0), format_confidence(0.9999)
    ('98.7%', '98%', '>99.9%')
    """
    most = 10 ** (decimals + 2) - 1
    steps = min(math.floor(confidence * (most + 1) + 1e-6), most)  # 0.57 * 100 is 56.99…
    is_more = confidence * (most + 1) >= most + 0.5
    return f"{'>' * is_more}{steps / (most + 1):.{decimals}%}"
