"""How reports compare: each with the first, variant by variant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from digitkit.benchmark import stats
from digitkit.benchmark.report import BenchReport
from digitkit.benchmark.stats import Interval
from digitkit.benchmark.units import MISSING, format_us
from digitkit.benchmark.variants import MeasuredVariant
from digitkit.benchmark.verdicts import reasons
from digitkit.system.tables import Table

Verdict = Literal["faster", "slower", "no difference", "too few processes"]

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")

_MACHINE_FIELDS = (
    "board", "cpu", "architecture", "features", "usable_cores", "cpu_quota", "frequency_max_mhz",
    "virtual", "bits", "os", "kernel", "libc",
)  # fmt: skip
"""The fields of the machine that the speed may depend on."""

_SETTINGS_FIELDS = ("processes", "runs", "seconds", "warmup_runs", "warmup_seconds", "paced")
"""Settings that change what a figure means."""

_ALWAYS_USED = ("python", "numpy", "onnxruntime", "opencv-python", "opencv-python-headless")
"""Packages whose absence is a difference, too; another runtime is not needed by both."""


@dataclass(frozen=True)
class VariantComparison:
    """One variant in two reports.

    Attributes:
        name: the variant's name.
        first_us: its `p50_us` in the first report.
        other_us: its `p50_us` in the other one.
        ratio: other divided by first, with a 95% bootstrap interval over processes.
        processes: number of processes, in the report that has fewer.
        same_model: whether both measured the same file.
        accuracy: other minus first, -1 to 1; None unless both measured it on the same digits.
    """

    name: str
    first_us: float
    other_us: float
    ratio: Interval
    processes: int
    same_model: bool
    accuracy: float | None

    @property
    def verdict(self) -> Verdict:
        """What the interval shows; with too few processes it is too narrow to show a difference."""
        if self.ratio.contains(1.0):
            return "no difference"
        if self.processes < stats.PROCESSES_FOR_INTERVAL:
            return "too few processes"
        return "faster" if self.ratio.value < 1 else "slower"


@dataclass(frozen=True)
class Comparison:
    """A report compared with the first.

    Attributes:
        label: which report it is: ``second``, ``third``, ….
        rows: the variants that both have, in the order of the first.
        only_first: names of variants that only the first has figures of.
        only_other: names of variants that only the other has figures of.
        warnings: where machines, versions or settings differ or a run cannot be trusted.
    """

    label: str
    rows: tuple[VariantComparison, ...]
    only_first: tuple[str, ...]
    only_other: tuple[str, ...]
    warnings: tuple[str, ...]


def ordinal(index: int) -> str:
    """The name of a place, from 0: ``first``, ``second``, …, ``10th``."""
    return _ORDINALS[index] if index < len(_ORDINALS) else f"{index + 1}th"


def compare(reports: Sequence[BenchReport]) -> list[Comparison]:
    """Compare reports with the first of them.

    Args:
        reports: two or more.

    Returns:
        One comparison for each report but the first.
    """
    first, *others = reports
    return [_compare(first, other, ordinal(i)) for i, other in enumerate(others, 1)]


def comparison_table(comparisons: Sequence[Comparison]) -> Table:
    """The latencies of all reports next to each other.

    Of two reports it shows intervals and accuracies; of more a column with the ratio for each
    further report.
    """
    if len(comparisons) == 1:
        return _pair_table(comparisons[0])
    rows = []
    by_name = [{row.name: row for row in comparison.rows} for comparison in comparisons]
    names = dict.fromkeys(row.name for comparison in comparisons for row in comparison.rows)
    for name in names:
        variants = [rows_by_name.get(name) for rows_by_name in by_name]
        first_us = next(row.first_us for row in variants if row is not None)
        ratios = [
            MISSING if row is None else f"{row.ratio.value:.3f} {row.verdict}" for row in variants
        ]
        same = all(row is None or row.same_model for row in variants)
        rows.append((name if same else f"{name} (different files)", format_us(first_us), *ratios))
    columns = ("variant", ">first p50", *(f">{one.label}" for one in comparisons))
    note = "ratio: p50 relative to the first report; verdicts by its 95% interval"
    return Table(columns, tuple(rows), "p50 relative to the first report", note)


def _pair_table(comparison: Comparison) -> Table:
    rows = tuple(
        (
            row.name if row.same_model else f"{row.name} (different file)",
            format_us(row.first_us), format_us(row.other_us), f"{row.ratio.value:.3f}",
            f"{row.ratio.low:.3f} to {row.ratio.high:.3f}", row.verdict,
            MISSING if row.accuracy is None else f"{100 * row.accuracy:+.2f}",
        )
        for row in comparison.rows
    )  # fmt: skip
    columns = (
        *("variant", ">first", ">second", ">ratio", ">95% interval", "verdict"),
        ">accuracy, points",
    )
    return Table(columns, rows, "p50 relative to the first report")


def _compare(first: BenchReport, other: BenchReport, label: str) -> Comparison:
    ours = {variant.name: variant for variant in first.measured}
    theirs = {variant.name: variant for variant in other.measured}
    rows = tuple(
        _compare_variant(variant, theirs[name]) for name, variant in ours.items() if name in theirs
    )
    return Comparison(
        label,
        rows,
        tuple(name for name in ours if name not in theirs),
        tuple(name for name in theirs if name not in ours),
        tuple(_warn(first, other, label)),
    )


def _compare_variant(first: MeasuredVariant, other: MeasuredVariant) -> VariantComparison:
    accuracy = None
    digits, other_digits = ((v.accuracy_data, v.accuracy_count) for v in (first, other))
    if first.accuracy is not None and other.accuracy is not None and digits == other_digits:
        accuracy = other.accuracy - first.accuracy
    return VariantComparison(
        first.name,
        first.p50_us,
        other.p50_us,
        stats.ratio(_medians(other), _medians(first)),
        min(len(first.processes), len(other.processes)),
        first.model_sha256 == other.model_sha256,
        accuracy,
    )


def _medians(variant: MeasuredVariant) -> list[float]:
    return [process.p50_us for process in variant.processes]


def _warn(first: BenchReport, other: BenchReport, label: str) -> Iterator[str]:
    """Why the two may not be comparable."""
    compared = {v.name for v in first.measured} & {v.name for v in other.measured}
    for which, report in (("first", first), (label, other)):
        if report.quick:
            yield f"the {which} is a quick run with rough figures"
        ignore = {variant.name for variant in report.variants} - compared
        for reason in reasons(report, invalid=True, ignore=ignore):
            yield f"the {which} is INVALID: {reason}"
        for reason in reasons(report, invalid=False, ignore=ignore):
            yield f"the {which} is noisy: {reason}"
    for name, value, other_value in _pair_values(first, other):
        if value != other_value:
            yield f"{name}: {_format(value)} in the first, {_format(other_value)} in the {label}"


def _pair_values(first: BenchReport, other: BenchReport) -> Iterator[tuple[str, object, object]]:
    """What should be the same in both: its name and both values."""
    ours, theirs = first.environment, other.environment
    for name in _MACHINE_FIELDS:
        yield name.replace("_", " "), getattr(ours.machine, name), getattr(theirs.machine, name)
    yield "governor", ours.governor, theirs.governor
    for package in sorted({*ours.versions, *theirs.versions}):
        if package in _ALWAYS_USED or (package in ours.versions and package in theirs.versions):
            yield package, ours.versions.get(package), theirs.versions.get(package)
    yield "build of ONNX Runtime", ours.onnxruntime_build, theirs.onnxruntime_build
    yield "digitkit", first.digitkit, other.digitkit
    other_options = {variant.name: variant.options for variant in other.variants}
    for variant in first.variants:
        options, others = variant.options, other_options.get(variant.name)
        if options and others:
            for option in sorted({*options, *others}):
                yield f"{variant.name}, {option}", options.get(option), others.get(option)
    for name in _SETTINGS_FIELDS:
        yield name, getattr(first.settings, name), getattr(other.settings, name)


def _format(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "not available" if value is None else str(value)
