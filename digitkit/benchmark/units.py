"""Figures as text: durations, percentages and memory, ``–`` where a value is not available."""

from __future__ import annotations

MISSING = "–"


def format_us(value: float | None) -> str:
    """A duration in microseconds, in the unit that suits its size: ``31.3 µs``, ``4.21 ms``."""
    if value is None:
        return MISSING
    for limit, unit, size in ((999.5, "µs", 1.0), (999_500, "ms", 1e3)):
        if value < limit:
            number = value / size
            return f"{number:.{2 if number < 10 else 1 if number < 100 else 0}f} {unit}"
    return f"{value / 1e6:.2f} s"


def format_ms(value: float | None) -> str:
    """A duration in milliseconds, like `format_us`."""
    return format_us(None if value is None else value * 1000)


def format_range(low_us: float | None, high_us: float | None) -> str:
    """Two durations in microseconds, with the unit once if both have it: ``28.3–29.0 µs``."""
    if low_us is None or high_us is None:
        return MISSING
    first, last = format_us(low_us), format_us(high_us)
    number, _, unit = first.partition(" ")
    return f"{number}–{last}" if last.endswith(f" {unit}") else f"{first} – {last}"


def format_percent(value: float | None) -> str:
    """A fraction as a percentage: ``99.58%``."""
    return MISSING if value is None else f"{value:.2%}"


def format_mb(value: float | None) -> str:
    """Memory in MB of 10⁶ bytes: ``87 MB``."""
    return MISSING if value is None else f"{value:.0f} MB"


def format_threads(count: int) -> str:
    """A number of threads: ``1 thread``, ``2 threads``."""
    return "1 thread" if count == 1 else f"{count} threads"
