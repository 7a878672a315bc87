"""How confidences are written."""

from __future__ import annotations

import math


def round_confidence(confidence: float) -> float:
    """A confidence for tables and JSON: four decimals, never rounded up to 1."""
    return round(min(confidence, 0.9999), 4)


def format_confidence(confidence: float, decimals: int = 1) -> str:
    """A confidence for people, 0–1, rounded down; what would round to 100% is ``>99.9%``.

    >>> format_confidence(0.9876), format_confidence(0.9876, 0), format_confidence(0.9999)
    ('98.7%', '98%', '>99.9%')
    """
    scale = 10 ** (decimals + 2)
    scaled = float(confidence) * scale
    steps = min(math.floor(scaled + 1e-3), scale - 1)  # 0.7 as float32 is 0.69999…
    return f"{'>' * (scaled >= scale - 0.5)}{steps / scale:.{decimals}%}"
