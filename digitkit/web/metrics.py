"""What Prometheus may collect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from digitkit.reading.results import Reading
    from digitkit.web.live_view import LiveView

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Upper ends of the latency histogram, seconds."""


class Metrics:
    """Counters, gauges and the latency histogram of a service.

    Attributes:
        readings: by what happened: ``read``, ``appeared``, ``changed``, ``disappeared``.
        rejects: numbers that are not complete, by ``camera`` or ``http``.
        latency: seconds from pixels to numbers, by ``camera`` or ``http``.
        errors: requests that were refused, by their code.
    """

    def __init__(self, view: LiveView) -> None:
        """Count from 0; the gauges are of this view."""
        self._registry = registry = CollectorRegistry()
        self._frames = Counter("digitkit_frames", "Frames that were read.", registry=registry)
        self.readings = Counter(
            "digitkit_readings", "Readings and events.", ["event"], registry=registry
        )
        self.rejects = Counter(
            "digitkit_rejects", "Numbers that are not complete.", ["source"], registry=registry
        )
        self.latency = Histogram(
            "digitkit_read_seconds",
            "Time from an image to its numbers.",
            ["source"],
            buckets=BUCKETS,
            registry=registry,
        )
        self.errors = Counter(
            "digitkit_errors", "Requests that were refused.", ["code"], registry=registry
        )
        gauges = {
            "camera_up": ("Whether the picture is not stale.", lambda: not view.state()["stale"]),
            "frame_age_seconds": ("Age of the newest frame.", lambda: _age(view)),
            "frame_rate": ("Frames a second.", view.rate),
            "viewers": ("Clients that watch the stream.", lambda: view.viewers),
            "temperature_celsius": ("Of the processor.", _temperature),
        }
        for name, (text, value) in gauges.items():
            gauge = Gauge(f"digitkit_{name}", text, registry=registry)
            gauge.set_function(lambda value=value: float(value()))  # type: ignore[misc]

    def count_frame(self, reading: Reading) -> None:
        """Count a frame that was read."""
        self._frames.inc()
        self.latency.labels("camera").observe(reading.ms.total / 1e3)

    def text(self) -> bytes:
        """All of it, in the text format of Prometheus."""
        return generate_latest(self._registry)


def _age(view: LiveView) -> float:
    return float("nan") if view.shown is None else view.shown.age


def _temperature() -> float:
    from digitkit.system.conditions import read_temperature

    degrees = read_temperature()
    return float("nan") if degrees is None else degrees
