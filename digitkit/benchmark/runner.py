"""A benchmark from its configuration to its report.

The method follows several benchmarks: as in MLPerf's single stream (Reddi et al., ISCA 2020) there
is a minimum of calls and of time; loading, the first call and the steady state are measured
separately; and every variant runs in several fresh processes, which differ more than calls do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np

from digitkit.benchmark.aggregate import Measurements, summarize_variant
from digitkit.benchmark.bench_config import BenchConfig
from digitkit.benchmark.candidates import ModelCandidate, find_models, inspect_models, plan_variants
from digitkit.benchmark.report import REPORT_FORMAT, BenchReport, BenchResult, Environment
from digitkit.benchmark.rounds import Rounds
from digitkit.benchmark.stats import Samples
from digitkit.benchmark.validity import find_problems
from digitkit.benchmark.variants import MeasuredVariant, Variant
from digitkit.benchmark.verdicts import describe
from digitkit.datasets.load import load_test
from digitkit.system.conditions import Conditions, read_conditions
from digitkit.system.git import git_revision
from digitkit.system.machine import Machine, read_machine, versions
from digitkit.system.progress import Progress, no_progress
from digitkit.system.scratch import scratch_folder
from digitkit.version import __version__


def run_benchmark(config: BenchConfig, progress: Progress = no_progress) -> BenchResult:
    """Measure models on this machine; takes about twenty seconds per variant.

    Args:
        config: what is measured.
        progress: called before each step; nothing else runs while something is measured.

    Returns:
        The report, and the raw samples. A model or a variant that cannot be measured has an error
        in the report.

    Raises:
        InputNotFoundError: a model or the data does not exist.
        DatasetError: the data cannot be used.
        ModelError: `input_scale` is set, but no third-party model can be measured.
        ReportError: `recommend` is set, but no digitkit model can be measured.
    """
    paths = find_models(config.models)
    if config.data is not None and config.accuracy:
        load_test(config.data)  # fails now, not after minutes
    with scratch_folder("digitkit-bench-") as folder:
        return _measure(config, paths, folder, progress)


def _measure(
    config: BenchConfig, paths: Sequence[tuple[str, Path]], folder: Path, progress: Progress
) -> BenchResult:
    created = datetime.now().astimezone().isoformat(timespec="seconds")
    machine, before = read_machine(), read_conditions()
    candidates = inspect_models(config, paths)
    rounds = Rounds(config, candidates, plan_variants(config, candidates), folder, progress)
    rounds.run()
    accuracies, throughputs = rounds.measure_accuracy(), rounds.measure_throughput()
    after = read_conditions()
    variants: list[Variant] = []
    first = next((one for one in rounds.measurements if one.processes), None)
    for measurements in rounds.measurements:
        variant = measurements.variant
        if first is not None and measurements.processes:
            variant = replace(
                summarize_variant(measurements, first),
                throughput=throughputs[variant.name],
                **vars(accuracies[variant.name]),
            )
        variants.append(variant)
    measured = [variant for variant in variants if isinstance(variant, MeasuredVariant)]
    findings = find_problems(machine, before, after, measured, config.max_spread)
    invalid = tuple(describe(finding) for finding in findings if finding.invalidates)
    report = BenchReport(
        format=REPORT_FORMAT,
        digitkit=__version__,
        created=created,
        quick=config.quick,
        valid=not invalid,
        invalid=invalid,
        noisy=tuple(describe(finding) for finding in findings if not finding.invalidates),
        settings=config.settings,
        environment=_describe_environment(config, candidates, machine, before, after),
        models=tuple(candidate.facts for candidate in candidates),
        variants=tuple(variants),
        stages=rounds.whole_images.summarize_stages(),
        cold_starts=rounds.whole_images.summarize_cold_starts(),
        findings=findings,
    )
    return BenchResult(report, _collect_samples(rounds.measurements))


def _describe_environment(
    config: BenchConfig,
    candidates: Sequence[ModelCandidate],
    machine: Machine,
    before: Conditions,
    after: Conditions,
) -> Environment:
    packages = ["numpy", "opencv-python", "opencv-python-headless"]
    packages += [name for name in config.runtimes if name == "openvino"]
    installed = versions(*packages)
    loaded = next((one for one in candidates if one.onnxruntime is not None), None)
    if loaded is not None and loaded.onnxruntime is not None:
        # Not from the package's metadata: several distributions contain it.
        installed["onnxruntime"] = loaded.onnxruntime
    return Environment(
        governor=before.governor,
        machine=machine,
        before=before,
        after=after,
        versions=installed,
        onnxruntime_build=None if loaded is None else loaded.onnxruntime_build,
        git_revision=git_revision(),
        command=config.command,
    )


def _collect_samples(measurements: Sequence[Measurements]) -> dict[str, Samples]:
    """The raw samples by their names in `BenchResult.samples`."""
    samples = {}
    for place, one in enumerate(measurements):
        for number, (durations, state) in enumerate(zip(one.samples, one.processes, strict=True)):
            samples[f"{place}/{number}"] = durations
            if state.paced is not None:
                samples[f"{place}/{number}/paced"] = np.array(state.paced.samples, np.int64)
    return samples
