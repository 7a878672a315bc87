"""A benchmark's report: dataclasses in memory, JSON on disk.

``bench-report.schema.json`` next to this file is the JSON Schema, made of these classes by
``benchmarks/schema.py``. A value is null where it is not available; times are in the unit that the
name ends with, memory in MB of 10⁶ bytes. Reports of older versions load: what they lack gets its
default, and keys that this version does not know are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np

from digitkit.benchmark.findings import Finding
from digitkit.benchmark.job_results import ModelFacts
from digitkit.benchmark.stats import Samples
from digitkit.benchmark.variants import MeasuredVariant, Variant
from digitkit.errors import InputNotFoundError, ReportError, one_line, os_reason
from digitkit.models.profiles import Profile
from digitkit.system import atomic
from digitkit.system.bounded import MAX_JSON_BYTES, read_bounded
from digitkit.system.conditions import Conditions
from digitkit.system.machine import Machine

REPORT_FORMAT: Final = "digitkit-bench/1"
"""In every report; the number goes up when an older digitkit could not read it correctly."""


@dataclass(frozen=True)
class Stages:
    """A whole image, from a file's bytes to digits: medians in milliseconds.

    Attributes:
        model: name of the model.
        picture: which image.
        error: why there are no figures; null if there are.
        digits: number of digits that were read in it.
        runs: number of readings, over all processes.
        decode_ms: from the file to pixels.
        locate_ms: detection of the digits and separation of their ink from the paper.
        normalise_ms: crops in MNIST's normal form.
        classify_ms: the model, the line reader and the grey classifier, and what their digits make
            up.
        total_ms: the whole reading, including the time between the steps.
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
    """``digitkit infer one.png`` in fresh processes, from their start to the first result.

    Attributes:
        model: name of the model; ``python -c pass`` for the interpreter alone, for comparison.
        error: why there are no figures; null if there are.
        runs: number of processes.
        p50_ms: median time to the result; for the interpreter, to its end.
        min_ms: shortest time.
        max_ms: longest time.
        peak_mb: largest peak memory of the processes.
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
        governor: what set the clocks at the beginning.
        machine: the machine.
        before: its conditions at the beginning.
        after: its conditions at the end.
        versions: versions of Python and of the packages involved.
        onnxruntime_build: how ONNX Runtime describes its build.
        git_revision: commit of the checkout that digitkit ran from, marked if files differ from it;
            null for an installed digitkit.
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
class BenchSettings:
    """What was asked for; see `digitkit.BenchConfig`.

    Attributes:
        models: names and files.
        runtimes: names of the runtimes.
        threads: numbers of threads per call.
        batches: batch sizes.
        processes: fresh processes per variant.
        runs: minimum of timed calls per variant, over all processes.
        seconds: minimum of timed seconds per variant, over all processes.
        warmup_runs: minimum of calls before, per process.
        warmup_seconds: minimum of seconds before, per process.
        paced: calls per second at a fixed rate; 0 if not measured.
        workers: numbers of processes at once for throughput.
        whole: whether whole images and cold starts were measured.
        accuracy: whether accuracy was measured.
        data: path of the labelled digits; null for MNIST.
        input_scale: what pixels of third-party models were multiplied by; null for the default.
        max_spread: limit for the spread of a variant's processes.
    """

    models: tuple[str, ...]
    runtimes: tuple[str, ...]
    threads: tuple[int, ...]
    batches: tuple[int, ...]
    processes: int
    runs: int
    seconds: float
    warmup_runs: int
    warmup_seconds: float
    paced: float
    workers: tuple[int, ...]
    whole: bool
    accuracy: bool
    data: str | None
    input_scale: float | None
    max_spread: float


@dataclass(frozen=True)
class BenchReport:
    """What a benchmark measured.

    Attributes:
        format: `REPORT_FORMAT`.
        digitkit: version of digitkit.
        created: when it began, ISO 8601.
        quick: whether it was a quick run, whose figures are rough.
        valid: whether its figures can be trusted: `invalid` is empty.
        invalid: why they cannot be trusted, as sentences.
        noisy: why they may be off, as sentences.
        settings: what was asked for.
        environment: where it ran.
        models: the models, in order.
        variants: the figures, in order.
        stages: whole images.
        cold_starts: fresh processes.
        samples: file of the raw samples, next to the report; null if none was written.
        recommended: what to run on this machine, per model; null unless requested and possible.
        findings: the reasons in `invalid` and `noisy` as data; empty in older reports.
    """

    format: Literal["digitkit-bench/1"]
    digitkit: str
    created: str
    quick: bool
    valid: bool
    invalid: tuple[str, ...]
    noisy: tuple[str, ...]
    settings: BenchSettings
    environment: Environment
    models: tuple[ModelFacts, ...]
    variants: tuple[Variant, ...]
    stages: tuple[Stages, ...]
    cold_starts: tuple[ColdStart, ...]
    samples: str | None = None
    recommended: tuple[Profile, ...] | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def measured(self) -> tuple[MeasuredVariant, ...]:
        """The variants that have figures."""
        return tuple(one for one in self.variants if isinstance(one, MeasuredVariant))


@dataclass(frozen=True)
class BenchResult:
    """What `digitkit.run_benchmark` returns.

    Attributes:
        report: the report.
        samples: nanoseconds of every timed call, int64 ``[N]`` per variant and process, named
            ``VARIANT/PROCESS``, numbers from 0, and ``VARIANT/PROCESS/paced`` at a fixed rate.
    """

    report: BenchReport
    samples: Mapping[str, Samples]

    def save(self, path: Path) -> BenchReport:
        """Write the report as JSON and, next to it, the raw samples (see `samples_path`).

        Returns:
            The report with the name of the samples' file in it.

        Raises:
            OutputError: a file cannot be written.
        """
        raw = samples_path(path)
        with atomic.replace_file(raw) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, **self.samples)  # type: ignore[arg-type]
        report = replace(self.report, samples=raw.name)
        save_report(report, path)
        return report


def samples_path(path: Path) -> Path:
    """Where the raw samples of a report go: for ``NAME.json``, ``NAME.samples.npz`` next to it."""
    return path.with_name(f"{path.name.removesuffix('.json')}.samples.npz")


def save_report(report: BenchReport, path: Path) -> None:
    """Write a report as JSON.

    Raises:
        OutputError: the file cannot be written.
    """
    atomic.write_text(path, encode_report(report) + "\n")


def encode_report(report: BenchReport, *, ascii_only: bool = False) -> str:
    """A report as JSON text.

    Args:
        report: the report.
        ascii_only: escape other characters, for a terminal or a pipe of any encoding.
    """
    return json.dumps(msgspec.to_builtins(report), indent=2, ensure_ascii=ascii_only)


def load_report(path: Path) -> BenchReport:
    """Read a report's JSON and check it.

    Raises:
        InputNotFoundError: the file does not exist.
        ReportError: it is not a report, is damaged, or was written by a newer digitkit.
    """

    def refuse(problem: str) -> ReportError:
        return ReportError(problem, subject=str(path), hint="measure again with digitkit bench")

    try:
        data = read_bounded(path, MAX_JSON_BYTES)
        name = msgspec.json.decode(data, type=_Header).format
    except FileNotFoundError:
        raise InputNotFoundError("does not exist", subject=str(path)) from None
    except OSError as error:
        raise refuse(f"cannot be read: {os_reason(error)}") from None
    except _UNDECODABLE as error:
        raise refuse(f"is not a report of digitkit bench: {one_line(error)}") from None
    if name is None:
        raise refuse("is not a report of digitkit bench")
    if name != REPORT_FORMAT:
        raise refuse(f"has the format {name!r}; this digitkit reads {REPORT_FORMAT}")
    try:
        report = msgspec.json.decode(data, type=BenchReport)
        variants = tuple(map(_with_figures, report.variants))
    except (*_UNDECODABLE, ReportError) as error:
        raise refuse(f"is damaged: {one_line(error)}") from None
    return replace(report, variants=variants)


_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are not JSON of the type."""


@dataclass(frozen=True)
class _Header:
    format: Any = None


def _with_figures(variant: Variant) -> Variant:
    """A decoded variant as `MeasuredVariant`, unless it has an error."""
    if variant.error is not None:
        return variant
    for name in _REQUIRED:
        if getattr(variant, name) is None:
            raise ReportError(f"variant {variant.name} lacks {name}")
    return MeasuredVariant(**vars(variant))


_REQUIRED = sorted(MeasuredVariant.__annotations__.keys() - {"error"})
