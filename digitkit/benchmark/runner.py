"""Latency that one can believe: what fresh processes measure, round by round, and what it says.

The rules are taken from several benchmarks' best: MLPerf's single stream (Reddi et al., ISCA 2020)
gives a least number of runs and a least time; what loads, what runs first and what runs steadily
are three figures; every variant runs in several fresh processes, which differ more than runs do.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from math import inf
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from digitkit.benchmark import runtimes, stats
from digitkit.benchmark.report import (
    FORMAT,
    ColdStart,
    Environment,
    ModelFacts,
    Paced,
    Process,
    Report,
    Stages,
    Throughput,
    Variant,
    microseconds,
)
from digitkit.benchmark.validity import BUSY_SHARE, judge
from digitkit.datasets.load import load_test
from digitkit.datasets.mnist import find_mnist
from digitkit.errors import ModelError, ReportError, one_line, printable_path
from digitkit.images import samples as pictures
from digitkit.models.classifier import DEFAULT_INPUT_SCALE
from digitkit.models.registry import find_model, shipped_files
from digitkit.system import atomic
from digitkit.system import processes as children
from digitkit.system.conditions import Conditions, read_conditions
from digitkit.system.hashes import file_sha256
from digitkit.system.machine import Machine, read_machine, versions
from digitkit.system.processes import run_command
from digitkit.system.progress import Progress
from digitkit.version import __version__

MAX_SPREAD = 0.15
"""By how much the medians of a variant's processes may differ before a run is invalid: the range
as a share of the middle one."""

PACE = 10.0
"""Calls a second that are made beside the closed loop."""

MOST = {"threads": 1024, "batches": 65_536, "workers": 1024}
"""More is a slip of the keys, and would end in an error of ONNX Runtime's or of the system's."""

QUICK: dict[str, Any] = {
    "processes": 2, "runs": 64, "seconds": 0.2, "warmup_runs": 10, "warmup_seconds": 0.05,
}  # fmt: skip
"""What makes a quick run of `BenchConfig`: seconds instead of minutes, to see that all works."""

PACED_CALLS = 50
"""Calls at a camera's pace, over all processes."""

INTERPRETER = "python -c pass"
"""What cold starts are laid beside."""

_PATIENCE = 600.0
"""Seconds after which a process that measures is given up, beside what it was asked to take."""


@dataclass(frozen=True)
class BenchConfig:
    """What is measured, and for how long.

    Attributes:
        models: shipped names (``digits``: both precisions), shipped files' stems (``digits-int8``)
            or ``.onnx`` files, foreign ones too.
        runtimes: of `digitkit.runtimes.NAMES`.
        threads: numbers of threads that a run may use, each at least 1.
        batches: images in a run, each at least 1.
        processes: fresh processes a variant; a full run has at least 5.
        runs: timed runs a variant at least, over all processes.
        seconds: timed seconds a variant at least, over all processes.
        warmup_runs: runs before, in each process, at least.
        warmup_seconds: seconds before, in each process, at least.
        paced: calls a second beside the closed loop; 0 for none.
        workers: numbers of processes that run side by side for throughput; empty for none.
        whole: whether whole pictures are read and processes started cold, too.
        accuracy: whether the models' accuracy is measured.
        data: labelled digits; None for the nearest MNIST test set on this disk.
        input_scale: foreign models' pixels are 0–255 times this.
        max_spread: see `MAX_SPREAD`.
        quick: whether it is called a quick run.
        own: whether one of digitkit's own models must be among them, as a recommendation needs it.
        command: the command line, for the report.
    """

    models: tuple[str, ...] = ("digits",)
    runtimes: tuple[str, ...] = ("onnxruntime",)
    threads: tuple[int, ...] = (1,)
    batches: tuple[int, ...] = (1,)
    processes: int = 5
    runs: int = 1024
    seconds: float = 10.0
    warmup_runs: int = 50
    warmup_seconds: float = 0.5
    paced: float = PACE
    workers: tuple[int, ...] = ()
    whole: bool = True
    accuracy: bool = True
    data: Path | None = None
    input_scale: float | None = None
    max_spread: float = MAX_SPREAD
    quick: bool = False
    own: bool = False
    command: str = field(default_factory=lambda: shlex.join(["digitkit", *sys.argv[1:]]))

    def __post_init__(self) -> None:
        """Refuse what cannot be measured.

        Raises:
            ValueError: a number is too low or too high, a list is empty, a runtime not known.
        """
        for name in ("models", "runtimes", "threads", "batches"):
            if not getattr(self, name):
                raise ValueError(f"{name} is empty; needed is one at least")
        for name in ("threads", "batches", "workers"):
            for value in getattr(self, name):
                if not 1 <= value <= MOST[name]:
                    raise ValueError(f"{name} holds {value}; needed is 1 to {MOST[name]:,}")
        for name in ("runtimes", "threads", "batches", "workers"):
            if len({*getattr(self, name)}) < len(getattr(self, name)):
                raise ValueError(f"{name} holds something twice; needed is each once")
        for name in ("processes", "runs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; needed is 1 or more")
        for name in ("seconds", "warmup_runs", "warmup_seconds", "paced", "max_spread"):
            if not 0 <= getattr(self, name) < inf:  # nan is neither
                raise ValueError(f"{name} is {getattr(self, name)}; needed is 0 or more")
        for runtime in self.runtimes:
            if runtime not in runtimes.NAMES:
                raise ValueError(f"{runtime!r} is no runtime; there is {', '.join(runtimes.NAMES)}")


def find_models(names: Sequence[str]) -> list[tuple[str, Path]]:
    """The files that names stand for, each with what it is called in the report.

    Args:
        names: as in `BenchConfig.models`.

    Raises:
        InputNotFoundError: there is no such model.
    """
    paths: list[Path] = []
    for name in names:
        found = [] if Path(name).exists() else shipped_files(name)
        for path in found or [find_model(name)]:
            if path.resolve() not in [other.resolve() for other in paths]:
                paths.append(path)
    stems = [path.stem for path in paths]
    return [(p.stem if stems.count(p.stem) == 1 else printable_path(p), p) for p in paths]


def run_benchmark(
    config: BenchConfig,
    progress: Progress = lambda what, done, total: None,
) -> tuple[Report, dict[str, stats.Samples]]:
    """Measure.

    Args:
        config: what.
        progress: told before each step; nothing runs beside a measurement.

    Returns:
        The report; and the raw samples, nanoseconds, int64 ``[N]`` a variant and process, named
        ``VARIANT/PROCESS``, numbers from 0, and ``VARIANT/PROCESS/paced``.

    Raises:
        InputNotFoundError: a model or the data is missing.
        DatasetError: the data cannot be used.
        ModelError: an input scale is given, but no foreign model.
    """
    found = find_models(config.models)
    if config.data is not None and config.accuracy:
        load_test(config.data)  # said before minutes have gone by
    with tempfile.TemporaryDirectory(prefix="digitkit-bench-") as name:
        return _Run(config, found, Path(name), progress).report()


def samples_file(path: Path) -> Path:
    """Where the raw samples of a report go: beside ``NAME.json``, ``NAME.samples.npz``."""
    return path.with_name(f"{path.name.removesuffix('.json')}.samples.npz")


def write(report: Report, samples: dict[str, stats.Samples], path: Path) -> Report:
    """Write a report as JSON and, beside it, its raw samples, compressed.

    Args:
        report: what `run_benchmark` gave.
        samples: likewise.
        path: the JSON file; the samples go to `samples_file`.

    Returns:
        The report with the name of the samples' file in it.

    Raises:
        OutputError: a file cannot be written.
    """
    beside = samples_file(path)
    with atomic.replace_file(beside) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **samples)  # type: ignore[arg-type]
    report = replace(report, samples=beside.name)
    atomic.write_text(path, json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n")
    return report


@dataclass
class _Measured:
    """What is known of a variant while the rounds go on."""

    variant: Variant
    path: Path
    scale: float | None
    processes: list[dict[str, Any]] = field(default_factory=list)
    samples: list[stats.Samples] = field(default_factory=list)

    def fails(self, error: str) -> None:
        self.variant = replace(self.variant, error=error)
        self.processes, self.samples = [], []


class _Run:
    """One benchmark, from the first process to the report."""

    def __init__(
        self,
        config: BenchConfig,
        models: list[tuple[str, Path]],
        folder: Path,
        progress: Progress,
    ) -> None:
        self.config, self.folder, self.progress = config, folder, progress
        self.paths = dict(models)
        self.done = self.total = 0
        self.latest = ""
        self.onnxruntime: dict[str, str] = {}
        self.facts: dict[str, ModelFacts] = {}
        self.scales: dict[str, float | None] = {}
        self.fixed: dict[str, bool] = {}
        self.broken: dict[str, str] = {}

    def report(self) -> tuple[Report, dict[str, stats.Samples]]:
        config = self.config
        created = datetime.now().astimezone().isoformat(timespec="seconds")
        here, before = read_machine(), read_conditions()
        for name, path in self.paths.items():
            self._learn(name, path)
        if config.input_scale is not None and all(s is None for s in self.scales.values()):
            raise ModelError(
                f"{', '.join(self.paths)}: an input scale is for foreign models, of which none can "
                "be measured here"
            )
        if config.own and all(facts.precision is None for facts in self.facts.values()):
            raise ReportError(
                f"{', '.join(self.paths)}: none is a model of digitkit's own, and only of these "
                "something can be recommended"
            )
        measured = self._variants()
        usable = [one for one in measured if one.variant.error is None]
        own = [name for name in self.paths if name not in self.broken]
        whole = own if config.whole and "onnxruntime" in config.runtimes else []
        self.total = (
            config.processes * (len(usable) + 2 * len(whole))
            + config.accuracy * len({_scored(m.variant) for m in usable})
            + len(usable) * len(config.workers)
        )
        made = pictures.write_sample_sizes(self.folder) if whole else []
        self.stages: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.starts: dict[str, list[dict[str, Any]]] = {}
        for number in range(config.processes):
            # Every round begins with another, so that none is always the first.
            turn = number % max(len(usable), 1)
            for one in usable[turn:] + usable[:turn]:
                self._measure(one, number)
            for name in whole:
                self._read_pictures(name, made, number)
                self._start_cold(name)
        usable = [one for one in usable if one.variant.error is None]
        scored = {_scored(m.variant) for m in usable} if config.accuracy else ()
        accuracies = {which: self._accuracy(*which) for which in sorted(scored)}
        throughputs = {
            one.variant.name: tuple(self._throughput(one, n) for n in config.workers)
            for one in usable
        }
        after = read_conditions()
        first = next((one for one in measured if one.processes), None)
        variants = []
        for one in measured:
            variant = _summed(one, first) if one.processes else one.variant
            if variant.error is None:
                variant = replace(
                    variant,
                    throughput=throughputs.get(variant.name, ()),
                    **accuracies.get(_scored(variant), {"accuracy_note": "not asked for"}),
                )
            variants.append(variant)
        invalid, noisy = self._judged(here, before, after, variants)
        finished = Report(
            format=FORMAT,
            digitkit=__version__,
            created=created,
            quick=config.quick,
            valid=not invalid,
            invalid=tuple(invalid),
            noisy=tuple(noisy),
            settings=_settings(config),
            environment=Environment(
                governor=before.governor,
                machine=here,
                before=before,
                after=after,
                versions=self._versions(),
                onnxruntime_build=self.onnxruntime.get("build"),
                git_revision=_git_revision(),
                command=config.command,
            ),
            models=tuple(self.facts.values()),
            variants=tuple(variants),
            stages=tuple(_stage(*key, rows) for key, rows in self.stages.items()),
            cold_starts=tuple(
                _cold(name, self.starts[name])
                for name in sorted(self.starts, key=INTERPRETER.__eq__)
            ),
        )  # fmt: skip
        samples = {}
        for place, one in enumerate(measured):
            for number, (taken, found) in enumerate(zip(one.samples, one.processes, strict=True)):
                samples[f"{place}/{number}"] = taken
                if found["paced"] is not None:
                    samples[f"{place}/{number}/paced"] = np.array(found["paced"]["samples"])
        return finished, samples

    def _versions(self) -> dict[str, str]:
        packages = ["numpy", "opencv-python", "opencv-python-headless"]
        packages += [name for name in ("openvino", "torch") if name in self.config.runtimes]
        if "torch" in self.config.runtimes:
            packages.append("onnx")
        found = versions(*packages)
        if self.onnxruntime:  # several distributions bring it
            found["onnxruntime"] = self.onnxruntime["version"]
        return found

    # --- what a fresh process is asked ---

    def _ask(self, job: str, **values: Any) -> dict[str, Any]:
        """Have a fresh process do a job of `digitkit.measuring`; ``error`` tells if it failed."""
        given, out = self.folder / "job.json", self.folder / "found.json"
        given.write_text(json.dumps(values), "utf-8")
        out.unlink(missing_ok=True)
        try:
            done = subprocess.run(
                _command(job, given, out),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=_patience(self.config),
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            return {"error": f"gave no answer in {error.timeout:.0f} s"}
        found = _answer(out, done.returncode, done.stderr)
        if "error" in found and "model" in values:  # reports travel, and name files without folders
            path = values["model"]
            found["error"] = found["error"].replace(path, Path(path).name)
        return found

    def _step(self, what: str) -> None:
        self.progress(f"{what}{self.latest}", self.done, self.total)
        self.done += 1

    def _learn(self, name: str, path: Path) -> None:
        found = self._ask("facts", model=str(path))
        if "error" in found:
            self.broken[name] = found["error"]
            size = path.stat().st_size
            self.facts[name] = ModelFacts(name, printable_path(path.name), file_sha256(path), size)
            return
        self.onnxruntime = found["onnxruntime"]
        self.fixed[name] = found["fixed_batch"]
        foreign = found["facts"]["precision"] is None
        scale = self.config.input_scale
        self.scales[name] = (DEFAULT_INPUT_SCALE if scale is None else scale) if foreign else None
        self.facts[name] = ModelFacts(name, printable_path(path.name), **found["facts"])

    def _variants(self) -> list[_Measured]:
        config = self.config
        made = []
        for name, path in self.paths.items():
            for runtime in config.runtimes:
                for threads in config.threads:
                    for batch in config.batches:
                        variant = Variant(
                            name=_called(name, runtime, threads, batch),
                            model=name,
                            model_sha256=self.facts[name].sha256,
                            runtime=runtime,
                            threads=threads,
                            batch=batch,
                            error=self.broken.get(name),
                        )
                        if batch > 1 and self.fixed.get(name):
                            reason = "takes one image at a time: its batch is fixed at 1"
                            variant = replace(
                                variant, error=f"{printable_path(path.name)}: {reason}"
                            )
                        made.append(_Measured(variant, path, self.scales.get(name)))
        return made

    def _measure(self, one: _Measured, number: int) -> None:
        config, variant = self.config, one.variant
        self._step(f"round {number + 1}: {variant.name}")
        if variant.error is not None:
            return
        file = self.folder / "samples.npy"
        found = self._ask(
            "steady",
            model=str(one.path),
            runtime=variant.runtime,
            threads=variant.threads,
            batch=variant.batch,
            scale=one.scale,
            warmup_runs=config.warmup_runs,
            warmup_seconds=config.warmup_seconds,
            runs=-(-config.runs // config.processes),
            seconds=config.seconds / config.processes,
            paced=config.paced,
            paced_calls=_paced_calls(config),
            samples=str(file),
        )
        if "error" in found:
            one.fails(found["error"])
            return
        one.processes.append(found)
        one.samples.append(np.load(file))
        p50 = microseconds(float(np.median(one.samples[-1])) / 1000)
        self.latest = f"  ({variant.name}: {p50})"

    def _accuracy(self, model: str, runtime: str, batch: int) -> dict[str, Any]:
        self._step(f"accuracy: {_called(model, runtime, 1, batch)}")
        data = self.config.data
        if data is None:
            data = find_mnist("test")
        if data is None:
            note = (
                "MNIST's test set is not on this disk; digitkit eval downloads it, --data names "
                "other digits"
            )
            return {"accuracy_note": note}
        found = self._ask(
            "accuracy",
            model=str(self.paths[model]),
            runtime=runtime,
            batch=batch,
            scale=self.scales[model],
            data=None if self.config.data is None else str(data),
        )
        if "error" in found:
            return {"accuracy_note": found["error"]}
        return {
            "accuracy": found["right"] / found["count"],
            "accuracy_count": found["count"],
            "accuracy_data": found["data"],
        }

    def _throughput(self, one: _Measured, workers: int) -> Throughput:
        variant = one.variant
        self._step(f"{workers} processes: {variant.name}")
        values = {
            "model": str(one.path), "runtime": variant.runtime, "threads": variant.threads,
            "batch": variant.batch, "scale": one.scale,
            "warmup_seconds": self.config.warmup_seconds,
            "seconds": max(0.2, self.config.seconds / 5),
        }  # fmt: skip
        started: list[tuple[subprocess.Popen[bytes], Path]] = []

        def end() -> None:
            for process, _ in started:
                process.kill()

        watch = threading.Timer(_patience(self.config), end)
        watch.start()
        try:
            for number in range(workers):
                given, out = (
                    self.folder / f"job-{number}.json",
                    self.folder / f"found-{number}.json",
                )
                given.write_text(json.dumps(values), "utf-8")
                out.unlink(missing_ok=True)
                process = subprocess.Popen(
                    _command("throughput", given, out),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
                started.append((process, out))
            for process, _ in started:
                assert process.stdout is not None
                for line in process.stdout:
                    if line.rstrip().endswith(b"ready"):  # else a runtime printed it
                        break
            for process, _ in started:
                assert process.stdin is not None
                with suppress(BrokenPipeError):
                    process.stdin.write(b"go\n")
                    process.stdin.flush()
            found = []
            for process, out in started:
                process.communicate()
                found.append(_answer(out, process.returncode, b""))
        finally:
            watch.cancel()
            end()
            for process, _ in started:
                process.communicate()
        error = next((one["error"] for one in found if "error" in one), None)
        if error is not None:
            return Throughput(workers, None, f"one of {workers}: {error}")
        return Throughput(workers, sum(one["images"] / one["seconds"] for one in found))

    # --- whole pictures, cold starts ---

    def _read_pictures(
        self,
        model: str,
        made: Sequence[tuple[str, Path]],
        number: int,
    ) -> None:
        self._step(f"round {number + 1}: whole pictures, {model}")
        quick = self.config.quick
        found = self._ask(
            "stages",
            model=str(self.paths[model]),
            threads=self.config.threads[0],
            scale=self.scales[model],
            pictures=[str(path) for _, path in made],
            runs=[1 if quick else runs for runs in (40, 20, 4)],
        )
        for place, (name, _) in enumerate(made):
            rows = self.stages.setdefault((model, name), [])
            if "error" in found:
                rows.append(found)
                continue
            one = found["stages"][place]
            rows += [row | {"digits": one["digits"]} for row in one["rows"]]

    def _start_cold(self, model: str) -> None:
        scale = self.scales[model]
        infer = ["infer", str(pictures.SAMPLE_DIGIT), "--model", str(self.paths[model])]
        if scale is not None:
            infer += ["--input-scale", repr(scale)]
        commands = {
            model: children.interpreter_command("digitkit.cli.app", *infer),
            INTERPRETER: [sys.executable, "-c", "pass"],
        }
        self._step(f"cold start: {model}")
        for _ in range(2):
            for name, command in commands.items():
                self.starts.setdefault(name, []).append(self._ask("cold_start", command=command))

    # --- what it comes to ---

    def _judged(
        self, here: Machine, before: Conditions, after: Conditions, variants: list[Variant]
    ) -> tuple[list[str], list[str]]:
        processes = [v.processes for v in variants if v.processes]

        def clocks(number: int, moment: int) -> list[float]:
            # The highest is that of a core at work: idle ones have fallen, or are about to.
            sampled = [of_one[number].frequencies_mhz[moment] for of_one in processes]
            return [max(mhz) for mhz in sampled if mhz]

        first = clocks(0, 0)
        ends = [clocks(number, -1) for number in range(self.config.processes)]
        last = min(filter(None, ends), key=median, default=[])  # it may recover before the end
        invalid, noisy = judge(here, before, after, first, last)
        for v in variants:
            held = _held_by_others(v)
            if held is not None and held > BUSY_SHARE:
                noisy.append(f"{v.name}: did not run for {held:.0%} of its time, others did")
        bound = self.config.max_spread
        invalid += [
            f"{v.name}: its processes differ by {v.spread:.0%}, more than {bound:.0%}"
            for v in variants
            if v.spread is not None and v.spread > bound
        ]
        return invalid, noisy


def _paced_calls(config: BenchConfig) -> int:
    """Calls at a camera's pace in each process."""
    calls = 10 if config.quick else PACED_CALLS
    return -(-calls // config.processes) if config.paced else 0


def _patience(config: BenchConfig) -> float:
    """Seconds after which a process that measures is given up."""
    asleep = _paced_calls(config) / config.paced if config.paced else 0.0
    asked = config.warmup_seconds + config.seconds + asleep
    return min(_PATIENCE + 20 * asked, 2e6)  # poll counts milliseconds in 32 bits


def _command(job: str, given: Path, out: Path) -> list[str]:
    return children.interpreter_command("digitkit.benchmark.jobs", job, str(given), str(out))


def _answer(out: Path, code: int, stderr: bytes) -> dict[str, Any]:
    """What a process found, or how it ended without having found anything."""
    try:
        found: dict[str, Any] = json.loads(out.read_text("utf-8"))
        return found
    except (OSError, ValueError):
        pass
    if killer := children.signal_name(code):
        return {"error": f"the process died of {killer}"}
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return {"error": f"the process failed: {one_line(lines[-1]) if lines else f'code {code}'}"}


def _held_by_others(variant: Variant) -> float | None:
    """Which share of its runs' time a variant on one thread did not run; None if unknown.

    Processes that are all put aside alike agree with each other, and are slow.
    """
    if variant.latency is None or variant.cpu_s_per_1000_images is None or variant.threads > 1:
        return None
    wall = variant.latency.mean_us / variant.batch / 1000
    return max(0.0, 1 - variant.cpu_s_per_1000_images / wall)


def _scored(variant: Variant) -> tuple[str, str, int]:
    """What its accuracy hangs on; OpenCV 4 reads single images right and batches wrong, say."""
    return variant.model, variant.runtime, variant.batch


def _called(model: str, runtime: str, threads: int, batch: int) -> str:
    parts = [model]
    if runtime != "onnxruntime":
        parts.append(runtime)
    if threads > 1:
        parts.append(f"{threads} threads")
    if batch > 1:
        parts.append(f"batch {batch}")
    return ", ".join(parts)


def _middle(processes: Sequence[dict[str, Any]], name: str) -> float | None:
    values = [one[name] for one in processes if one[name] is not None]
    return float(median(values)) if values else None


def _summed(one: _Measured, first: _Measured | None) -> Variant:
    """A variant's figures over its processes."""
    found = one.processes
    each = [stats.latency(taken) for taken in one.samples]
    medians = [process.p50_us for process in each]
    middle = float(median(medians))
    batch = one.variant.batch
    ratio = None
    if first is not None:
        # By the same arithmetic, so that the first variant's own ratio is 1 to the last bit.
        base = [stats.latency(taken).p50_us / first.variant.batch for taken in first.samples]
        ratio = float(median(m / batch / b for m, b in zip(medians, base, strict=False)))
    return replace(
        one.variant,
        p50_us=middle,
        p50_low_us=min(medians),
        p50_high_us=max(medians),
        p90_us=float(median(process.p90_us for process in each)),
        p99_us=float(median(process.p99_us for process in each)),
        spread=stats.spread(medians),
        ratio=ratio,
        latency=stats.latency(np.concatenate(one.samples)),
        images_per_second=batch / middle * 1e6,
        import_ms=_middle(found, "import_ms"),
        create_ms=_middle(found, "create_ms"),
        first_ms=_middle(found, "first_ms"),
        resident_import_mb=_middle(found, "resident_import_mb"),
        resident_load_mb=_middle(found, "resident_load_mb"),
        peak_mb=_middle(found, "peak_mb"),
        cpu_s_per_1000_images=_middle(found, "cpu_s_per_1000_images"),
        paced=_paced(found, middle),
        processes=tuple(
            Process(
                p50_us=process.p50_us,
                p90_us=process.p90_us,
                p99_us=process.p99_us,
                runs=process.runs,
                **{name: p[name] for name in _OF_A_PROCESS},
            )
            for p, process in zip(found, each, strict=True)
        ),
        options=found[0]["options"],
    )


_OF_A_PROCESS = (
    "import_ms", "create_ms", "first_ms", "resident_import_mb", "resident_load_mb", "peak_mb",
    "cpu_s_per_1000_images", "frequencies_mhz",
)  # fmt: skip


def _paced(processes: Sequence[dict[str, Any]], closed_us: float) -> Paced | None:
    found = [p["paced"] for p in processes if p["paced"] is not None]
    if not found:
        return None
    us = np.concatenate([one["samples"] for one in found]) / 1000
    p50, p90 = (float(value) for value in np.percentile(us, [50, 90]))
    idle = [one["idle_cpu"] for one in found if one["idle_cpu"] is not None]
    return Paced(
        hz=found[0]["hz"],
        calls=len(us),
        p50_us=p50,
        p90_us=p90,
        ratio=p50 / closed_us,
        late=sum(one["late"] for one in found),
        idle_cpu=float(median(idle)) if idle else None,
    )


def _stage(model: str, picture: str, rows: Sequence[dict[str, Any]]) -> Stages:
    error = next((row["error"] for row in rows if "error" in row), None)
    if error is not None:
        return Stages(model, picture, error)
    steps = ("decode", "locate", "normalise", "classify", "total")
    decode, locate, normalise, classify, total = (
        float(median(row[step] for row in rows)) for step in steps
    )
    return Stages(
        model=model,
        picture=picture,
        digits=rows[-1]["digits"],
        runs=len(rows),
        decode_ms=decode,
        locate_ms=locate,
        normalise_ms=normalise,
        classify_ms=classify,
        total_ms=total,
    )


def _cold(model: str, starts: Sequence[dict[str, Any]]) -> ColdStart:
    error = next((start["error"] for start in starts if "error" in start), None)
    if error is not None:
        return ColdStart(model, error)
    took = [start["ms"] for start in starts]
    peaks = [start["peak_mb"] for start in starts if start["peak_mb"] is not None]
    return ColdStart(
        model,
        runs=len(took),
        p50_ms=float(median(took)),
        min_ms=min(took),
        max_ms=max(took),
        peak_mb=max(peaks, default=None),
    )


def _settings(config: BenchConfig) -> dict[str, Any]:
    values = asdict(config)
    del values["command"], values["quick"], values["own"]
    values["data"] = None if config.data is None else printable_path(config.data)
    return values


def _git_revision() -> str | None:
    """The revision of the checkout that this package lies in, ``+`` behind it if it was changed."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    revision = run_command(["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"])
    if revision is None:
        return None
    changed = run_command(["git", "-C", str(root), "status", "--porcelain", "--untracked-files=no"])
    return revision.strip() + ("+" if changed else "")
