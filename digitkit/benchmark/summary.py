"""A report for people: one line about the machine, tables of figures, a page in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from digitkit.benchmark.report import BenchReport, ColdStart, Stages
from digitkit.benchmark.units import (
    MISSING,
    format_mb,
    format_ms,
    format_percent,
    format_range,
    format_us,
)
from digitkit.benchmark.variants import MeasuredVariant, PacedFigures
from digitkit.benchmark.verdicts import recommendations, verdicts
from digitkit.system.tables import Table


def summarize_setup(report: BenchReport) -> str:
    """The machine, the versions and how it was measured, on one line."""
    machine, versions = report.environment.machine, report.environment.versions
    settings = report.settings
    board = f"{machine.board}, " if machine.board else ""
    features = f" ({', '.join(machine.features)})" if machine.features else ""
    virtual = ", virtual machine" if machine.virtual else ""
    cores = "1 core" if machine.usable_cores == 1 else f"{machine.usable_cores} cores"
    before, after = report.environment.before, report.environment.after
    heat = ""
    if before.temperature_c is not None and after.temperature_c is not None:
        heat = f", {before.temperature_c:.0f} to {after.temperature_c:.0f} °C"
    software = ", ".join(
        f"{label} {versions[package]}"
        for package, label in (("onnxruntime", "ONNX Runtime"), ("python", "Python"))
        if package in versions
    )
    return (
        f"{board}{machine.cpu}{features}{virtual}, {cores}, governor "
        f"{report.environment.governor or 'unknown'}{heat}; {software}; {settings.processes} "
        f"processes, at least {settings.runs:,} calls and {settings.seconds:g} s per variant"
    )


def make_tables(report: BenchReport) -> list[Table]:
    """The tables of a report; those without rows are left out, but for the first."""
    tables = [_latency_table(report)]
    if measured := report.measured:
        tables += [_distribution_table(measured), _work_table(measured), _start_table(measured)]
    paced = [(variant, variant.paced) for variant in measured if variant.paced is not None]
    if paced:
        tables.append(_paced_table(paced))
    if report.stages:
        tables.append(_stages_table(report.stages))
    if report.cold_starts:
        tables.append(_cold_start_table(report.cold_starts))
    return tables


def render_markdown(report: BenchReport) -> str:
    """A report as a page in Markdown."""
    lines = [f"{summarize_setup(report)}; {report.created[:10]}.", ""]
    lines += [f"- {line}" for line in (*verdicts(report), *recommendations(report))]
    lines += ["", f"`{report.environment.command}`", ""]
    lines += [table.to_markdown() for table in make_tables(report)]
    return "\n".join(lines)


def _latency_table(report: BenchReport) -> Table:
    cards = {model.name: model.card_accuracy for model in report.models}
    rows = []
    for variant in report.variants:
        if not isinstance(variant, MeasuredVariant):
            rows.append((variant.name, "not measured", *[MISSING] * 5))
            continue
        accuracy = format_percent(variant.accuracy)
        card = cards.get(variant.model)
        if variant.accuracy is None and card is not None:
            accuracy = f"{format_percent(card)}*"
        rows.append(
            (
                variant.name, format_us(variant.p50_us),
                format_range(variant.p50_low_us, variant.p50_high_us), format_us(variant.p90_us),
                format_us(variant.p99_us), f"{variant.ratio:.2f}", accuracy,
            )
        )  # fmt: skip
    note = (
        "p50: median of the processes' medians; range: lowest to highest of these; ratio: time per "
        "image relative to the first variant"
    )
    data = {
        (variant.accuracy_count, variant.accuracy_data or "unnamed data")
        for variant in report.variants
        if variant.accuracy_count is not None
    }
    for count, name in sorted(data):
        note += f"; accuracy: on {count:,} digits, {name}"
    columns = ("variant", ">p50", ">range", ">p90", ">p99", ">ratio", ">accuracy")
    return Table(columns, tuple(rows), "latency per call", note)


def _distribution_table(variants: Sequence[MeasuredVariant]) -> Table:
    with_p999 = any(variant.latency.p999_us is not None for variant in variants)
    rows = []
    for variant in variants:
        latency = variant.latency
        rows.append(
            (
                variant.name, f"{latency.runs:,}", format_us(latency.min_us),
                format_us(latency.mean_us), format_us(latency.std_us),
                *([format_us(latency.p999_us)] if with_p999 else []), f"{latency.outliers:,}",
            )
        )  # fmt: skip
    p999 = [">p99.9"] if with_p999 else []
    columns = ("variant", ">calls", ">min", ">mean", ">std. dev.", *p999, ">outliers")
    note = (
        "all calls of all processes; outliers, above the third quartile by more than three times "
        "the interquartile range, are included"
    )
    return Table(columns, tuple(rows), "latency distribution", note)


def _work_table(variants: Sequence[MeasuredVariant]) -> Table:
    workers = [
        f">{several.workers} process" + "es" * (several.workers > 1)
        for several in variants[0].throughput
    ]
    rows = []
    for variant in variants:
        rates = [several.images_per_second for several in variant.throughput]
        several_processes = [MISSING if rate is None else f"{rate:,.0f}" for rate in rates]
        cpu = f"{variant.cpu_s_per_1000_images:.3f}"
        rows.append((variant.name, f"{variant.images_per_second:,.0f}", *several_processes, cpu))
    columns = ("variant", ">images/s", *workers, ">CPU s/1,000 images")
    return Table(columns, tuple(rows), "throughput")


def _start_table(variants: Sequence[MeasuredVariant]) -> Table:
    rows = tuple(
        (
            variant.name, format_ms(variant.import_ms), format_ms(variant.create_ms),
            format_ms(variant.first_ms), format_mb(variant.resident_import_mb),
            format_mb(variant.resident_load_mb), format_mb(variant.peak_mb),
        )
        for variant in variants
    )  # fmt: skip
    columns = (
        *("variant", ">import", ">session", ">first call", ">memory: imported", ">loaded", ">peak"),
    )
    return Table(columns, rows, "start-up and memory", "of a process that only runs the model")


def _paced_table(variants: Sequence[tuple[MeasuredVariant, PacedFigures]]) -> Table:
    rows = tuple(
        (
            variant.name, format_us(paced.p50_us), format_us(paced.p90_us), f"{paced.ratio:.2f}",
            f"{paced.late} of {paced.calls}", format_percent(paced.idle_cpu),
        )
        for variant, paced in variants
    )  # fmt: skip
    columns = ("variant", ">p50", ">p90", ">ratio", ">late calls", ">CPU while asleep")
    return Table(
        columns,
        rows,
        f"fixed rate of {variants[0][1].hz:g} Hz",
        "asleep between the calls, as with a camera; ratio: relative to calls without pauses",
    )


def _stages_table(stages: Sequence[Stages]) -> Table:
    rows = tuple(
        (
            one.model, one.picture, format_ms(one.decode_ms), format_ms(one.locate_ms),
            format_ms(one.normalise_ms), format_ms(one.classify_ms), format_ms(one.total_ms),
        )
        for one in stages
    )  # fmt: skip
    columns = ("model", "image", ">decode", ">locate", ">normalise", ">classify", ">total")
    return Table(columns, rows, "whole images, from file to digits")


def _cold_start_table(starts: Sequence[ColdStart]) -> Table:
    rows = []
    for start in starts:
        low, high = (None if ms is None else ms * 1000 for ms in (start.min_ms, start.max_ms))
        rows.append(
            (
                start.model, format_ms(start.p50_ms), format_range(low, high),
                format_mb(start.peak_mb),
            )
        )  # fmt: skip
    return Table(
        ("model", ">p50", ">range", ">peak memory"),
        tuple(rows),
        "cold start",
        "digitkit infer one.png, from the start of the process to its result",
    )
