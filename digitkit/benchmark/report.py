"""What a benchmark found: data that travels as JSON, and how two of them compare.

Its JSON Schema is ``bench-report.schema.json`` beside this file (``benchmarks/schema.py`` makes
it). A report holds null where something is not known; times are in the unit that the name ends
with, memory in MB of 10⁶ bytes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from digitkit.benchmark import stats
from digitkit.benchmark.stats import Interval, Latency
from digitkit.errors import InputNotFoundError, ReportError, one_line
from digitkit.models.profiles import Profile
from digitkit.system.conditions import Conditions
from digitkit.system.machine import Machine

FORMAT = "digitkit-bench/1"
"""Stands in every report; the number goes up when an older digitkit could not read it rightly."""


@dataclass(frozen=True)
class ModelFacts:
    """A model that was measured.

    Attributes:
        name: what it is called in the report.
        file: its file's name, without folders, since reports travel.
        sha256: of the file; null if it could not be read.
        bytes: the file's size.
        precision: ``fp32`` or ``int8``; null for a foreign model.
        opset: version of ONNX's operators.
        parameters: trained values.
        multiply_adds: multiply-accumulate operations an image.
        op_counts: how often each operator occurs.
        not_counted: why the counts are null.
        card_accuracy: what its contract says of MNIST's test set or its own, 0–1.
        card_count: images that this was measured on.
    """

    name: str
    file: str
    sha256: str | None = None
    bytes: int | None = None
    precision: str | None = None
    opset: int | None = None
    parameters: int | None = None
    multiply_adds: int | None = None
    op_counts: dict[str, int] | None = None
    not_counted: str | None = None
    card_accuracy: float | None = None
    card_count: int | None = None


@dataclass(frozen=True)
class Process:
    """One fresh process that measured a variant.

    Attributes:
        p50_us: median of its timed runs.
        p90_us: 90% of them take no longer.
        p99_us: 99% take no longer.
        runs: how many there were.
        import_ms: numpy, the runtime and digitkit's own modules; Python is running already.
        create_ms: from the file to a session that can run.
        first_ms: the first run.
        resident_import_mb: memory held after the import.
        resident_load_mb: after the session was made and ran once.
        peak_mb: the most up to the end of the warm-up.
        cpu_s_per_1000_images: CPU time of all threads in the steady state.
        frequencies_mhz: clocks at the beginning and at the end of the timed runs.
    """

    p50_us: float
    p90_us: float
    p99_us: float
    runs: int
    import_ms: float
    create_ms: float
    first_ms: float
    resident_import_mb: float | None
    resident_load_mb: float | None
    peak_mb: float | None
    cpu_s_per_1000_images: float
    frequencies_mhz: list[list[float]]


@dataclass(frozen=True)
class Paced:
    """Calls at a camera's pace, asleep in between.

    Attributes:
        hz: calls a second that were asked for.
        calls: how many there were over all processes.
        p50_us: median.
        p90_us: 90% take no longer.
        ratio: `p50_us` as a multiple of the closed loop's: what cold caches and clocks cost.
        late: calls that began late because the one before took too long.
        idle_cpu: CPU seconds of this process in a second of sleep; spinning threads show here.
    """

    hz: float
    calls: int
    p50_us: float
    p90_us: float
    ratio: float
    late: int
    idle_cpu: float | None


@dataclass(frozen=True)
class Throughput:
    """Several processes at once, each in a closed loop.

    Attributes:
        workers: processes.
        images_per_second: of all together; null if one of them failed.
        error: how it failed.
    """

    workers: int
    images_per_second: float | None
    error: str | None = None


@dataclass(frozen=True)
class Variant:
    """One model in one runtime with one number of threads and one size of batch.

    Attributes:
        name: all of that, short.
        model: the model's name.
        model_sha256: of its file; null if it could not be read.
        runtime: onnxruntime, opencv, openvino or torch.
        threads: that one run may use.
        batch: images in a run.
        error: why there are no figures; null if there are.
        p50_us: the headline: the median of the processes' medians, microseconds a run (of `batch`
            images).
        p50_low_us: the lowest of the processes' medians.
        p50_high_us: the highest.
        p90_us: the median of the processes' 90th percentiles.
        p99_us: and of their 99th.
        spread: (`p50_high_us` - `p50_low_us`) / `p50_us`.
        ratio: `p50_us` an image as a multiple of the first variant's, from pairs in the same round.
        latency: of all runs of all processes together, so that quick processes, which do more
            runs, weigh more.
        images_per_second: `batch` / `p50_us`.
        import_ms: median over the processes, as in `Process`.
        create_ms: likewise.
        first_ms: likewise.
        resident_import_mb: likewise.
        resident_load_mb: likewise.
        peak_mb: likewise.
        cpu_s_per_1000_images: likewise.
        accuracy: share of `accuracy_count` labelled digits that this file reads right in this
            runtime on this machine, 0–1.
        accuracy_count: how many digits that is.
        accuracy_data: name of the data.
        accuracy_note: why it is null.
        paced: at a camera's pace.
        throughput: with several processes.
        processes: what each process found, in the order of the rounds.
        options: how the runtime was set up.
    """

    name: str
    model: str
    model_sha256: str | None
    runtime: str
    threads: int
    batch: int
    error: str | None = None
    p50_us: float | None = None
    p50_low_us: float | None = None
    p50_high_us: float | None = None
    p90_us: float | None = None
    p99_us: float | None = None
    spread: float | None = None
    ratio: float | None = None
    latency: Latency | None = None
    images_per_second: float | None = None
    import_ms: float | None = None
    create_ms: float | None = None
    first_ms: float | None = None
    resident_import_mb: float | None = None
    resident_load_mb: float | None = None
    peak_mb: float | None = None
    cpu_s_per_1000_images: float | None = None
    accuracy: float | None = None
    accuracy_count: int | None = None
    accuracy_data: str | None = None
    accuracy_note: str | None = None
    paced: Paced | None = None
    throughput: tuple[Throughput, ...] = ()
    processes: tuple[Process, ...] = ()
    options: dict[str, Any] | None = None


@dataclass(frozen=True)
class Stages:
    """The whole way of a picture, from a file's bytes to digits; medians, milliseconds.

    Attributes:
        model: the model's name.
        picture: which picture.
        error: why there are no figures; null if there are.
        digits: how many digits were reported in it.
        runs: how often it was read, over all processes.
        decode_ms: from the file to pixels.
        locate_ms: finding the digits and lifting their ink off the paper.
        normalise_ms: MNIST's normal form.
        classify_ms: the net, all digits in one batch, and their order.
        total_ms: all of it, with what lies between.
    """

    model: str
    picture: str
    error: str | None = None
    digits: int | None = None
    runs: int | None = None
    decode_ms: float | None = None
    locate_ms: float | None = None
    normalise_ms: float | None = None
    classify_ms: float | None = None
    total_ms: float | None = None


@dataclass(frozen=True)
class ColdStart:
    """``digitkit infer one.png`` in fresh processes, from their start to the first answer.

    Attributes:
        model: the model's name; ``python -c pass`` for the interpreter alone, for comparison.
        error: why there are no figures; null if there are.
        runs: how many processes.
        p50_ms: median until the answer can be read; for the interpreter, until it has ended.
        min_ms: the shortest.
        max_ms: the longest.
        peak_mb: the most memory that one of them held.
    """

    model: str
    error: str | None = None
    runs: int | None = None
    p50_ms: float | None = None
    min_ms: float | None = None
    max_ms: float | None = None
    peak_mb: float | None = None


@dataclass(frozen=True)
class Environment:
    """Where and with what it was measured.

    Attributes:
        governor: what set the clocks when it began.
        machine: the machine.
        before: its conditions when it began.
        after: and when it ended.
        versions: of Python and of the packages that take part.
        onnxruntime_build: what ONNX Runtime says of its own build.
        git_revision: of the checkout that digitkit ran from, with ``+`` if it was changed; null
            for an installed one.
        command: the command line.
    """

    governor: str | None
    machine: Machine
    before: Conditions
    after: Conditions
    versions: dict[str, str]
    onnxruntime_build: str | None
    git_revision: str | None
    command: str


@dataclass(frozen=True)
class Report:
    """What a benchmark found.

    Attributes:
        format: `FORMAT`.
        digitkit: version of digitkit.
        created: when it began, ISO 8601.
        quick: whether it was a quick run, whose figures are not to be relied on.
        valid: whether its figures can be trusted: no reason in `invalid`.
        invalid: why they cannot.
        noisy: why they may be off.
        settings: what was asked for.
        environment: where it ran.
        models: the models, in order.
        variants: the figures, in order.
        stages: whole pictures.
        cold_starts: fresh processes.
        samples: file of the raw samples, beside the report; null if none was written.
        recommended: what to run here, of each model; null unless it was asked for and found.
    """

    format: str
    digitkit: str
    created: str
    quick: bool
    valid: bool
    invalid: tuple[str, ...]
    noisy: tuple[str, ...]
    settings: dict[str, Any]
    environment: Environment
    models: tuple[ModelFacts, ...]
    variants: tuple[Variant, ...]
    stages: tuple[Stages, ...]
    cold_starts: tuple[ColdStart, ...]
    samples: str | None = None
    recommended: tuple[Profile, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self)


def load(path: Path) -> dict[str, Any]:
    """Read a report's JSON.

    Raises:
        InputNotFoundError: there is no such file.
        ReportError: it is no report, or one of a newer digitkit.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputNotFoundError(f"{path}: there is no such report") from None
    except (OSError, ValueError, RecursionError) as error:
        reason = one_line(error)
        raise ReportError(f"{path}: is no report of digitkit bench: {reason}") from None
    kind = found.get("format") if isinstance(found, dict) else None
    if kind != FORMAT:
        what = f"has the format {kind!r}" if kind else "is no report of digitkit bench"
        raise ReportError(f"{path}: {what}; needed is what digitkit bench --json wrote ({FORMAT})")
    # What has a default came later than the format: an older digitkit's reports lack it.
    later = {field.name: field.default for field in fields(Report) if field.default is not MISSING}
    missing = [field.name for field in fields(Report) if field.name not in later | found]
    if missing:
        raise ReportError(f"{path}: lacks {missing[0]}; digitkit bench --json writes whole reports")
    return {**later, **found}


# --- comparing -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compared:
    """One variant in two reports.

    Attributes:
        name: the variant's name.
        a_us: its `p50_us` in the first report.
        b_us: in the second.
        ratio: second over first with a 95% bootstrap interval over processes.
        processes: how many measured it in the report that has fewer.
        same_model: whether the model's file is the same.
        accuracy: second less first, -1 to 1; None unless both tell it of the same digits.
    """

    name: str
    a_us: float
    b_us: float
    ratio: Interval
    processes: int
    same_model: bool
    accuracy: float | None

    @property
    def verdict(self) -> str:
        """What the interval says: ``faster``, ``slower`` or ``no difference seen``.

        ``too few processes to say`` where there seems to be a difference.
        """
        if self.ratio.holds(1.0):
            return "no difference seen"
        if self.processes < stats.PROCESSES_FOR_INTERVAL:
            return "too few processes to say"
        return "faster" if self.ratio.value < 1 else "slower"


@dataclass(frozen=True)
class Comparison:
    """Two reports, the second as a multiple of the first.

    Attributes:
        rows: the variants that both have, in the first one's order.
        only_a: variants that were measured in the first alone.
        only_b: in the second alone.
        warnings: where machines, versions or settings differ or a run cannot be trusted, one line
            each.
    """

    rows: tuple[Compared, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    warnings: tuple[str, ...]


def compare(a: Mapping[str, Any], b: Mapping[str, Any]) -> Comparison:
    """Lay two reports beside each other.

    Args:
        a: the JSON of the first, as `load` or `Report.to_json` gives it.
        b: of the second.

    Raises:
        ValueError: a report's latencies are none.
    """
    ours, theirs = (
        {one["name"]: one for one in report["variants"] if one["error"] is None}
        for report in (a, b)
    )
    rows = []
    for name in ours:
        if name not in theirs:
            continue
        one, other = ours[name], theirs[name]
        medians = [[process["p50_us"] for process in v["processes"]] for v in (other, one)]
        for us in (one["p50_us"], other["p50_us"], *medians[0], *medians[1]):
            if not 0 < us < math.inf:
                raise ValueError(f"{name} takes {us} µs")
        if not all(medians):
            raise ValueError(f"{name} has no processes")
        digits = [(v["accuracy_data"], v["accuracy_count"]) for v in (one, other)]
        known = one["accuracy"] is not None and other["accuracy"] is not None
        rows.append(
            Compared(
                name,
                one["p50_us"],
                other["p50_us"],
                stats.ratio(*medians),
                min(map(len, medians)),
                one["model_sha256"] == other["model_sha256"],
                other["accuracy"] - one["accuracy"] if known and digits[0] == digits[1] else None,
            )
        )
    return Comparison(
        tuple(rows),
        tuple(name for name in ours if name not in theirs),
        tuple(name for name in theirs if name not in ours),
        tuple(_differences(a, b, [row.name for row in rows])),
    )


_MACHINE = (
    "board", "cpu", "architecture", "features", "usable_cores", "cpu_quota", "frequency_max_mhz",
    "virtual", "bits", "os", "kernel", "libc",
)  # fmt: skip
"""What of a machine its speed may hang on."""

_SETTINGS = ("processes", "runs", "seconds", "warmup_runs", "warmup_seconds", "paced")
"""Settings that change what a figure means."""


_CORE = ("python", "numpy", "onnxruntime", "opencv-python", "opencv-python-headless")


def _differences(a: Mapping[str, Any], b: Mapping[str, Any], compared: Sequence[str]) -> list[str]:
    found = []
    for name, report in (("first", a), ("second", b)):
        if report["quick"]:
            found.append(f"the {name} is a quick run; its figures are rough")
        # Of variants that are in one report only it does not matter.
        alone = {variant["name"] for variant in report["variants"]} - {*compared}
        for what, reasons in (("INVALID", report["invalid"]), ("noisy", report["noisy"])):
            told = [reason for reason in reasons if _about(reason, alone) is None]
            found += [f"the {name} is {what}: {reason}" for reason in _gathered(told, compared)]

    def differ(what: str, one: Any, other: Any) -> None:
        if one != other:
            found.append(f"{what}: {_shown(one)} in the first, {_shown(other)} in the second")

    here, there = a["environment"], b["environment"]
    for part in _MACHINE:
        differ(part.replace("_", " "), here["machine"][part], there["machine"][part])
    differ("governor", here["governor"], there["governor"])
    versions, others = here["versions"], there["versions"]
    for package in sorted({*versions, *others}):
        # A runtime that only one of them ran says nothing of what both did.
        if package in _CORE or (package in versions and package in others):
            differ(package, versions.get(package), others.get(package))
    differ("ONNX Runtime's build", here["onnxruntime_build"], there["onnxruntime_build"])
    differ("digitkit", a["digitkit"], b["digitkit"])
    options = [
        {v["name"]: v["options"] for v in report["variants"] if v["options"]} for report in (a, b)
    ]
    for name in options[0]:
        if name in options[1]:
            ours, theirs = options[0][name], options[1][name]
            for option in sorted({*ours, *theirs}):
                differ(f"{name}, {option}", ours.get(option), theirs.get(option))
    for setting in _SETTINGS:
        differ(setting, a["settings"].get(setting), b["settings"].get(setting))
    return found


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "unknown" if value is None else str(value)


# --- for people ------------------------------------------------------------------------------


def microseconds(value: float | None) -> str:
    """A duration in the unit that suits its size: ``31.3 µs``, ``4.21 ms``, ``1.30 s``."""
    if value is None:
        return "–"
    for limit, unit, size in ((999.5, "µs", 1.0), (999_500, "ms", 1e3)):
        if value < limit:
            number = value / size
            return f"{number:.{2 if number < 10 else 1 if number < 100 else 0}f} {unit}"
    return f"{value / 1e6:.2f} s"


def milliseconds(value: float | None) -> str:
    """The same of a duration that is given in milliseconds."""
    return microseconds(None if value is None else value * 1000)


def share(value: float | None, places: int = 2) -> str:
    """A share as a percentage, ``–`` where it is not known."""
    return "–" if value is None else f"{value:.{places}%}"


def megabytes(value: float | None) -> str:
    """``87 MB``, ``–`` where it is not known."""
    return "–" if value is None else f"{value:.0f} MB"


@dataclass(frozen=True)
class Table:
    """A table for people, in the terminal or in Markdown.

    Attributes:
        title: what it shows.
        heads: the columns; those that begin with ``>`` are flush right.
        rows: the cells.
        note: what the columns mean.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def markdown(self) -> str:
        """The table in Markdown, its title above it."""
        names = [head.removeprefix(">") for head in self.heads]
        rules = ["--:" if head.startswith(">") else "---" for head in self.heads]
        rows = [[cell.replace("|", r"\|") for cell in row] for row in self.rows]
        lines = [f"| {' | '.join(row)} |" for row in (names, rules, *rows)]
        note = [self.note, ""] if self.note else []
        return "\n".join([f"**{self.title}**", "", *lines, "", *note])


def summary(report: Mapping[str, Any]) -> str:
    """The machine, versions and how it was measured, one line; of a report's JSON."""
    environment = report["environment"]
    machine, versions = environment["machine"], environment["versions"]
    settings = report["settings"]
    board = f"{machine['board']}, " if machine["board"] else ""
    features = f" ({', '.join(machine['features'])})" if machine["features"] else ""
    ran = ", ".join(
        f"{label} {versions[package]}"
        for package, label in (("onnxruntime", "ONNX Runtime"), ("python", "Python"))
        if package in versions
    )
    before, after = environment["before"], environment["after"]
    heat = ""
    if before["temperature_c"] is not None and after["temperature_c"] is not None:
        heat = f", {before['temperature_c']:.0f} to {after['temperature_c']:.0f} °C"
    cores = "1 core" if machine["usable_cores"] == 1 else f"{machine['usable_cores']} cores"
    virtual = ", virtual machine" if machine["virtual"] else ""
    return (
        f"{board}{machine['cpu']}{features}{virtual}, {cores}, governor "
        f"{environment['governor'] or 'unknown'}{heat}; {ran}; {settings['processes']} processes, "
        f"at least {settings['runs']:,} runs and {settings['seconds']:g} s a variant"
    )


def tables(report: Mapping[str, Any]) -> list[Table]:
    """The tables that people look at, of a report's JSON."""
    made = [_latencies(report)]
    measured = [variant for variant in report["variants"] if variant["error"] is None]
    if measured:
        made += [_runs(measured), _work(measured), _start(measured)]
    paced = [variant for variant in measured if variant["paced"]]
    if paced:
        made.append(_paced(paced))
    if report["stages"]:
        made.append(_stages(report["stages"]))
    if report["cold_starts"]:
        made.append(_cold(report["cold_starts"]))
    return made


def _latencies(report: Mapping[str, Any]) -> Table:
    cards = {one["name"]: one["card_accuracy"] for one in report["models"]}
    rows = []
    for v in report["variants"]:
        if v["error"] is not None:
            rows.append((v["name"], "not run", *["–"] * 5))
            continue
        accuracy = share(v["accuracy"])
        if v["accuracy"] is None and cards[v["model"]] is not None:
            accuracy = f"{share(cards[v['model']])}*"
        rows.append(
            (
                v["name"], microseconds(v["p50_us"]), _span(v["p50_low_us"], v["p50_high_us"]),
                microseconds(v["p90_us"]), microseconds(v["p99_us"]), f"{v['ratio']:.2f}",
                accuracy,
            )
        )  # fmt: skip
    note = (
        "p50: the median of the processes' medians; ratio: an image's time to the first variant's"
    )
    read = {(v["accuracy_count"], v["accuracy_data"]) for v in report["variants"]}
    for count, data in sorted(read - {(None, None)}):
        note += f"; accuracy: of {count:,} digits, {data}"
    return Table(
        "a run of the model",
        ("variant", ">p50", ">processes", ">p90", ">p99", ">ratio", ">accuracy"),
        tuple(rows),
        note,
    )


def _span(low: float, high: float) -> str:
    """Two durations, the unit once if both have it: ``28.3–29.0 µs``."""
    first, last = microseconds(low), microseconds(high)
    number, _, unit = first.partition(" ")
    return f"{number}–{last}" if last.endswith(f" {unit}") else f"{first} – {last}"


def _runs(variants: Sequence[Mapping[str, Any]]) -> Table:
    known = any(v["latency"]["p999_us"] is not None for v in variants)
    rows = []
    for v in variants:
        found = v["latency"]
        rows.append(
            (
                v["name"], f"{found['runs']:,}", microseconds(found["min_us"]),
                microseconds(found["mean_us"]), microseconds(found["std_us"]),
                *([microseconds(found["p999_us"])] if known else []), f"{found['outliers']:,}",
            )
        )  # fmt: skip
    return Table(
        "all its runs",
        (
            "variant", ">runs", ">min", ">mean", ">s.d.", *([">p99.9"] if known else []),
            ">outliers",
        ),
        tuple(rows),
        "outliers are kept: runs beyond the third quartile by three times the quartiles' distance",
    )  # fmt: skip


def _work(variants: Sequence[Mapping[str, Any]]) -> Table:
    workers = [
        f">{one['workers']} process" + "es" * (one["workers"] > 1)
        for one in variants[0]["throughput"]
    ]
    rows = []
    for v in variants:
        rates = [one["images_per_second"] for one in v["throughput"]]
        several = ["–" if rate is None else f"{rate:,.0f}" for rate in rates]
        work = (f"{v['images_per_second']:,.0f}", *several, f"{v['cpu_s_per_1000_images']:.3f}")
        rows.append((v["name"], *work))
    return Table(
        "how much gets done",
        ("variant", ">images/s", *workers, ">CPU s/1,000 images"),
        tuple(rows),
    )


def _start(variants: Sequence[Mapping[str, Any]]) -> Table:
    times, sizes = ("import_ms", "create_ms", "first_ms"), ("import", "load")
    rows = []
    for v in variants:
        held = [megabytes(v[f"resident_{part}_mb"]) for part in sizes] + [megabytes(v["peak_mb"])]
        rows.append((v["name"], *(milliseconds(v[part]) for part in times), *held))
    return Table(
        "start of a process that only runs the model, and the memory that it holds",
        ("variant", ">import", ">session", ">first run", ">imported", ">loaded", ">peak"),
        tuple(rows),
    )


def _paced(variants: Sequence[Mapping[str, Any]]) -> Table:
    hz = variants[0]["paced"]["hz"]
    return Table(
        f"paced at {hz:g} calls a second, asleep in between",
        ("variant", ">p50", ">p90", ">of unpaced", ">late", ">CPU use asleep"),
        tuple(
            (
                v["name"], microseconds(v["paced"]["p50_us"]), microseconds(v["paced"]["p90_us"]),
                f"{v['paced']['ratio']:.2f}", f"{v['paced']['late']} of {v['paced']['calls']}",
                share(v["paced"]["idle_cpu"]),
            )
            for v in variants
        ),
    )  # fmt: skip


def _stages(stages: Sequence[Mapping[str, Any]]) -> Table:
    steps = ("decode_ms", "locate_ms", "normalise_ms", "classify_ms", "total_ms")
    return Table(
        "whole pictures, from file to digits",
        ("model", "picture", *(">" + step.removesuffix("_ms") for step in steps)),
        tuple(
            (
                one["model"], one["picture"],
                *(milliseconds(one[step]) for step in steps),
            )
            for one in stages
        ),
    )  # fmt: skip


def _cold(starts: Sequence[Mapping[str, Any]]) -> Table:
    return Table(
        "cold start: digitkit infer one.png, from the process's start to its answer",
        ("model", ">p50", ">range", ">peak memory"),
        tuple(
            (
                one["model"],
                milliseconds(one["p50_ms"]),
                "–" if one["error"] else _span(one["min_ms"] * 1000, one["max_ms"] * 1000),
                megabytes(one["peak_mb"]),
            )
            for one in starts
        ),
    )


def compared(comparison: Comparison) -> Table:
    """The variants of two reports beside each other."""
    return Table(
        "p50, the second as a multiple of the first, with a 95% interval",
        ("variant", ">first", ">second", ">ratio", ">interval", "verdict", ">accuracy, points"),
        tuple(
            (
                row.name if row.same_model else f"{row.name} (another file)",
                microseconds(row.a_us), microseconds(row.b_us), f"{row.ratio.value:.3f}",
                f"{row.ratio.low:.3f} to {row.ratio.high:.3f}", row.verdict,
                "–" if row.accuracy is None else f"{100 * row.accuracy:+.2f}",
            )
            for row in comparison.rows
        ),
    )  # fmt: skip


ALIKE = 3
"""So many variants of which the same is said have a line each; of more there is one line."""


def faults_of_all(report: Mapping[str, Any]) -> list[str]:
    """Reasons why a run is invalid that are not about one of its variants; of a report's JSON."""
    names = [variant["name"] for variant in report["variants"]]
    return [reason for reason in report["invalid"] if _about(reason, names) is None]


def _about(reason: str, variants: Iterable[str]) -> str | None:
    """The variant that a reason is about; None if it is about none of these."""
    return next((name for name in variants if reason.startswith(f"{name}: ")), None)


def verdicts(report: Mapping[str, Any]) -> list[str]:
    """Whether the figures can be trusted, one line each; of a report's JSON."""
    names = [variant["name"] for variant in report["variants"]]
    lines = [f"INVALID: {reason}" for reason in _gathered(report["invalid"], names)]
    lines += [f"noisy: {reason}" for reason in _gathered(report["noisy"], names)]
    lines += [f"not run: {v['name']}: {v['error']}" for v in report["variants"] if v["error"]]
    lines += [
        f"not run: {one['picture']} with {one['model']}: {one['error']}"
        for one in report["stages"]
        if one["error"]
    ]
    lines += [
        f"not run: digitkit infer with {one['model']}: {one['error']}"
        for one in report["cold_starts"]
        if one["error"]
    ]
    lines += [
        f"not run: {v['name']}, processes: {one['workers']}: {one['error']}"
        for v in report["variants"]
        for one in v["throughput"]
        if one["error"]
    ]
    notes = {v["accuracy_note"] for v in report["variants"] if v["accuracy_note"]}
    lines += [f"* accuracy not measured but the card's: {note}" for note in sorted(notes)]
    if report["quick"]:
        lines.append("a quick run: its figures are rough; leave --quick out for ones to rely on")
    if report["valid"]:
        lines.append(_valid(report))
    return lines


def _gathered(reasons: Sequence[str], variants: Sequence[str]) -> list[str]:
    """Reasons of which many say the same of one variant each, by the worst of them then."""
    alike: dict[str, list[str]] = {}
    for reason in reasons:
        name = _about(reason, variants)
        kind = reason if name is None else re.sub(r"\d+", "", reason.removeprefix(name))
        alike.setdefault(kind, []).append(reason)
    lines = []
    for kind, same in alike.items():
        if len(same) <= ALIKE or kind in reasons:
            lines += same
        else:
            worst = max(same, key=lambda reason: _first_number(reason.rpartition(": ")[2]))
            lines.append(f"{worst}; the worst of {len(same)} variants")
    return lines


def _first_number(text: str) -> float:
    found = re.search(r"\d+(\.\d+)?", text)
    return float(found[0]) if found else 0.0


def _valid(report: Mapping[str, Any]) -> str:
    """What speaks for a run; no more than the machine tells."""
    processes = [v["processes"] for v in report["variants"] if v["error"] is None]
    if not processes:
        return "nothing could be measured"
    seen = []
    if report["environment"]["after"]["throttled"] is not None:
        seen.append("no throttling")
    machine, told = report["environment"]["machine"], report["environment"]["governor"] is not None
    # A virtual machine may tell one clock for ever.
    if (told or machine["virtual"] is not True) and all(
        any(process["frequencies_mhz"]) for of_one in processes for process in of_one
    ):
        seen.append("no fall of the clock")
    if min(map(len, processes)) > 1:
        seen.append("processes agree")
    if not seen:
        return "nothing speaks against the run, but little could be seen"
    noisy = ", though noisy" if report["noisy"] else ""
    return f"the run is valid{noisy}: {', '.join(seen)}"


def threads(count: int) -> str:
    """How many threads, in words: ``1 thread``, ``2 threads``."""
    return "1 thread" if count == 1 else f"{count} threads"


def recommendations(report: Mapping[str, Any]) -> list[str]:
    """What is recommended, and why, one line a model; of a report's JSON."""
    lines = []
    for one in report["recommended"] or ():
        batch = f", batches of {one['batch']} in bulk" if (one["batch"] or 1) > 1 else ""
        how = f"{one['precision']}, {threads(one['threads'])}{batch}"
        lines.append(f"recommended for {one['model']}: {how}: {one['why']}")
    return lines


def markdown(report: Mapping[str, Any]) -> str:
    """A report for people, in Markdown; of its JSON."""
    parts = [f"{summary(report)}; {report['created'][:10]}.", ""]
    parts += [f"- {line}" for line in (*verdicts(report), *recommendations(report))]
    parts += ["", f"`{report['environment']['command']}`", ""]
    parts += [table.markdown() for table in tables(report)]
    return "\n".join(parts)
