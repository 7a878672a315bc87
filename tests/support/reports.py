"""Reports of benchmarks that never ran, for the tests of what is made of them."""

from dataclasses import replace
from typing import Any

import numpy as np

from digitkit.benchmark import stats
from digitkit.benchmark.bench_config import BenchConfig
from digitkit.benchmark.findings import Finding
from digitkit.benchmark.report import REPORT_FORMAT, BenchReport, Environment, ModelFacts
from digitkit.benchmark.variants import MeasuredVariant, PacedFigures, ProcessFigures, Variant
from digitkit.benchmark.verdicts import describe
from digitkit.models.profiles import Profile
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

UNKNOWN_MACHINE = Machine(None, "x", "", (), 1, 1, None, None, None, None, None, "", None, None, 64)
UNKNOWN = Conditions(None, (), None, None, None, None, None)
NOTHING_KNOWN: dict[str, Any] = {"machine": UNKNOWN_MACHINE, "before": UNKNOWN, "versions": {}}

VERSIONS = {"python": "3.11.7", "numpy": "2.4.6", "onnxruntime": "1.32.0"}
SETTINGS = BenchConfig().settings

PROFILE = Profile(
    model="digits", precision="int8", threads=2, batch=64, p50_us=30.0, accuracy=None,
    images_per_second=1e5, why="it is", sha256={"int8": "0"}, onnxruntime="1", cpu="x",
    created="today",
)  # fmt: skip

HOT = Finding("throttled", flag="throttled")
BUSY = Finding("other_load", value=0.5, limit=0.1)


def make_failed(model: str, error: str) -> Variant:
    return Variant(model, model, None, "onnxruntime", threads=1, batch=1, error=error)


def make_variant(model: str = "digits-int8", us: float = 30.0, **changes: Any) -> MeasuredVariant:
    """A variant whose five processes differ by 2% around a median, µs per call."""
    medians = changes.pop("medians", [us * ratio for ratio in (0.99, 1, 1.01, 1.005, 0.995)])
    paced = changes.pop("paced_us", None)
    clocks = changes.pop("clocks", ((2400.0,), (2400.0,)))
    processes = tuple(
        ProcessFigures(
            p50, 1.1 * p50, 1.5 * p50, 300, 150.0, 10.0, 0.5, 50.0, 70.0, 71.0, us / 1000, clocks
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
        "paced": paced and PacedFigures(10.0, 50, paced, 1.2 * paced, paced / us, 0, 0.001),
    }  # fmt: skip
    values |= changes
    return MeasuredVariant(**values, images_per_second=values["batch"] / us * 1e6)


def make_report(
    *variants: Variant,
    findings: tuple[Finding, ...] = (),
    precisions: dict[str, str] | None = None,
    **changes: Any,
) -> BenchReport:
    """A report; a model's precision is what its name ends with, unless `precisions` has it."""
    machine, versions = changes.pop("machine", MACHINE), changes.pop("versions", VERSIONS)
    before = changes.pop("before", CALM)
    environment = Environment(
        before.governor, machine, before, before, versions, None, None, "digitkit bench"
    )
    models = {}
    for variant in variants:
        name = variant.model
        suffix = name.rpartition("-")[2]
        precision: Any = suffix if suffix in ("int8", "fp32") else (precisions or {}).get(name)
        models[name] = ModelFacts(name, f"{name}.onnx", variant.model_sha256, 50_000, precision)
    invalid = tuple(describe(finding) for finding in findings if finding.invalidates)
    noisy = tuple(describe(finding) for finding in findings if not finding.invalidates)
    report = BenchReport(
        format=REPORT_FORMAT, digitkit="0.1.0", created="2026-01-02T03:04:05+00:00", quick=False,
        valid=not invalid, invalid=invalid, noisy=noisy, settings=SETTINGS, environment=environment,
        models=tuple(models.values()), variants=variants, stages=(), cold_starts=(),
        findings=findings,
    )  # fmt: skip
    return replace(report, **changes)
