"""Reports of benchmarks that never ran, for the tests of what is made of them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from digitkit.benchmark import stats
from digitkit.benchmark.report import (
    FORMAT,
    Environment,
    ModelFacts,
    Paced,
    Process,
    Report,
    Variant,
)
from digitkit.system.conditions import Conditions
from digitkit.system.machine import Machine

MACHINE = Machine(
    board="Board 5", cpu="Cortex-A76", architecture="aarch64", features=("NEON", "dotprod"),
    cores=4, usable_cores=4, cpu_quota=None, frequency_min_mhz=600.0, frequency_max_mhz=2400.0,
    memory_mb=8062, os="Debian", kernel="6.12", libc="glibc 2.41", virtual=False, bits=64,
)  # fmt: skip

CALM = Conditions(
    governor="ondemand", frequencies_mhz=(2400.0,), temperature_c=50.0, throttled=0, load_1m=0.1,
    memory_available_mb=7000, cpu_seconds=(10.0, 100.0),
)  # fmt: skip

UNKNOWN_MACHINE = Machine(
    board=None, cpu="x", architecture="", features=(), cores=1, usable_cores=1, cpu_quota=None,
    frequency_min_mhz=None, frequency_max_mhz=None, memory_mb=None, os=None, kernel="", libc=None,
    virtual=None, bits=64,
)  # fmt: skip

UNKNOWN = Conditions(
    governor=None, frequencies_mhz=(), temperature_c=None, throttled=None, load_1m=None,
    memory_available_mb=None, cpu_seconds=None,
)  # fmt: skip

VERSIONS = {"python": "3.11.7", "numpy": "2.4.6", "onnxruntime": "1.32.0"}


def failed(model: str, error: str, **changes: Any) -> Variant:
    values = {"model_sha256": None, "runtime": "onnxruntime", "threads": 1, "batch": 1}
    return Variant(**({"name": model, "model": model, "error": error} | values | changes))


def variant(model: str, us: float, **changes: Any) -> Variant:
    """A variant whose five processes differ by 2% about a median, µs a run."""
    medians = changes.pop("medians", [us * (1 + share / 100) for share in (-1, 0, 1, 0.5, -0.5)])
    paced = changes.pop("paced_us", None)
    processes = tuple(
        Process(
            p50,
            1.1 * p50,
            1.5 * p50,
            300,
            150.0,
            10.0,
            0.5,
            50.0,
            70.0,
            71.0,
            us / 1000,
            [[2400.0], [2400.0]],
        )
        for p50 in medians
    )
    values: dict[str, Any] = {
        "name": model, "model": model, "model_sha256": f"sha of {model}", "runtime": "onnxruntime",
        "threads": 1, "batch": 1, "p50_us": us, "p50_low_us": min(medians),
        "p50_high_us": max(medians), "p90_us": 1.1 * us, "p99_us": 1.5 * us,
        "spread": stats.spread(medians), "ratio": 1.0,
        "latency": stats.latency(np.full(1500, int(us * 1000))), "import_ms": 150.0,
        "create_ms": 10.0, "first_ms": 0.5, "resident_import_mb": 50.0, "resident_load_mb": 70.0,
        "peak_mb": 71.0, "cpu_s_per_1000_images": us / 1000, "accuracy": 0.99,
        "accuracy_count": 10_000, "accuracy_data": "MNIST test", "processes": processes,
        "paced": paced and Paced(10.0, 50, paced, 1.2 * paced, paced / us, 0, 0.001),
    }  # fmt: skip
    values |= changes
    values["images_per_second"] = values["batch"] / us * 1e6
    return Variant(**values)


def made(
    *variants: Variant, precisions: dict[str, str | None] | None = None, **changes: Any
) -> Report:
    """A report; a model's precision is what its name ends with."""
    machine, before = changes.pop("machine", MACHINE), changes.pop("before", CALM)
    versions = changes.pop("versions", VERSIONS)
    models = {}
    for one in variants:
        kind = one.model.rsplit("-", 1)[-1]
        kind = kind if kind in ("int8", "fp32") else None
        kind = (precisions or {}).get(one.model, kind)
        models[one.model] = ModelFacts(
            one.model, f"{one.model}.onnx", one.model_sha256, 50_000, kind
        )
    invalid = tuple(changes.pop("invalid", ()))
    settings = {"processes": 5, "runs": 1024, "seconds": 10.0, "paced": 10.0, "max_spread": 0.15}
    values: dict[str, Any] = {
        "format": FORMAT, "digitkit": "0.1.0", "created": "2026-01-02T03:04:05+00:00",
        "quick": False, "valid": not invalid, "invalid": invalid, "noisy": (),
        "settings": settings | changes.pop("settings", {}),
        "environment": Environment(
            before.governor, machine, before, before, versions, None, None, "digitkit bench"
        ),
        "models": tuple(models.values()), "variants": variants, "stages": (), "cold_starts": (),
    }  # fmt: skip
    return Report(**(values | changes))


def report(*variants: Variant, **changes: Any) -> dict[str, Any]:
    """The same as JSON values, as they are read back from a file."""
    return json.loads(json.dumps(made(*variants, **changes).to_json()))
