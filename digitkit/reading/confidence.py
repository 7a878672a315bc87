"""How confidences are written."""

from __future__ import annotations


def round_confidence(confidence: float) -> float:
    """A confidence for tables and JSON: four decimals, never rounded up to 1."""
    return round(min(confidence, 0.9999), 4)


def format_confidence(confidence: float, decimals: int = 1) -> str:
    """A confidence for people, 0–1; never rounded up to 100%: ``>99.9%``."""
    text = f"{confidence:.{decimals}%}"
    most = 1 - 10 ** -(decimals + 2)
    return text if float(text[:-1]) < 100 else f">{most:.{decimals}%}"
