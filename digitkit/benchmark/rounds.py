"""The measuring itself: fresh processes in rounds that all variants share, one at a time."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from digitkit.benchmark import jobs
from digitkit.benchmark.aggregate import Measurements, summarize_cold_starts, summarize_stages
from digitkit.benchmark.candidates import Candidate, format_name
from digitkit.benchmark.config import BenchConfig
from digitkit.benchmark.job_calls import JobError, run_job, run_throughput
from digitkit.benchmark.job_results import ImageReadings, Score, StartedProgram
from digitkit.benchmark.report import ColdStart, Stages
from digitkit.benchmark.units import format_us
from digitkit.benchmark.variants import Throughput, Variant
from digitkit.images.samples import SAMPLE_DIGIT, write_sample_sizes
from digitkit.system.processes import interpreter_command
from digitkit.system.progress import Progress

INTERPRETER = "python -c pass"
"""What cold starts are compared with."""

STARTS_PER_ROUND = 2

READINGS = {"28×28": 40, "640×480": 20, "12 MP": 4}
"""Readings of each image in a round; one in a quick run."""

_AccuracyKey = tuple[str, str, int]
"""Model, runtime, batch: OpenCV 4, say, reads single images of a quantized model correctly and
batches wrong."""


class Rounds:
    """Measures variants step by step, and keeps what the processes found.

    Attributes:
        measurements: of each variant that was given, in order.
    """

    def __init__(
        self,
        config: BenchConfig,
        candidates: Sequence[Candidate],
        variants: Sequence[Variant],
        folder: Path,
        progress: Progress,
    ) -> None:
        """Plan the steps.

        Args:
            config: what is measured.
            candidates: the models.
            variants: as `plan_variants` returns them; those with an error are not measured.
            folder: for temporary files.
            progress: called before each step; nothing runs while something is measured.
        """
        self.measurements = [Measurements(variant) for variant in variants]
        self._config, self._folder, self._progress = config, folder, progress
        self._models = {candidate.name: candidate for candidate in candidates}
        self._complete = [one for one in candidates if one.error is None]
        if not config.reads_images:
            self._complete = []
        usable = self._usable()
        self._done, self._latest = 0, ""
        self._total = (
            config.processes * (len(usable) + 2 * len(self._complete))
            + config.accuracy * len({_accuracy_key(one.variant) for one in usable})
            + len(usable) * len(config.workers)
        )
        self._readings: dict[tuple[str, str], list[ImageReadings]] = defaultdict(list)
        self._reading_errors: dict[str, str] = {}
        self._starts: dict[str, list[StartedProgram]] = defaultdict(list)

    def run(self) -> None:
        """Measure all rounds."""
        pictures = write_sample_sizes(self._folder) if self._complete else []
        usable = self._usable()
        for number in range(self._config.processes):
            # Every round begins with another variant, so that none is always the first.
            turn = number % max(len(usable), 1)
            for measurements in usable[turn:] + usable[:turn]:
                self._measure_variant(measurements, number)
            for candidate in self._complete:
                self._read_images(candidate, pictures, number)
                self._start_cold(candidate)

    def measure_accuracy(self) -> dict[str, dict[str, Any]]:
        """The fields of `Variant` about accuracy, by the names of the variants that ran."""
        usable = self._usable()
        if not self._config.accuracy:
            note = {"accuracy_note": "not requested"}
            return {one.variant.name: note for one in usable}
        keys = sorted({_accuracy_key(one.variant) for one in usable})
        fields = {key: self._score(*key) for key in keys}
        return {one.variant.name: fields[_accuracy_key(one.variant)] for one in usable}

    def measure_throughput(self) -> dict[str, tuple[Throughput, ...]]:
        """Images per second of several processes, by the names of the variants that ran."""
        return {
            one.variant.name: tuple(
                self._run_workers(one.variant, workers) for workers in self._config.workers
            )
            for one in self._usable()
        }

    def summarize_stages(self) -> tuple[Stages, ...]:
        """Whole images, of each model and picture."""
        return tuple(
            Stages(model, picture, self._reading_errors[model])
            if model in self._reading_errors
            else summarize_stages(model, picture, readings)
            for (model, picture), readings in self._readings.items()
        )

    def summarize_cold_starts(self) -> tuple[ColdStart, ...]:
        """Cold starts of each model, and of the bare interpreter at the end."""
        names = sorted(self._starts, key=INTERPRETER.__eq__)
        return tuple(summarize_cold_starts(name, self._starts[name]) for name in names)

    def _usable(self) -> list[Measurements]:
        return [one for one in self.measurements if one.variant.error is None]

    def _report_step(self, what: str) -> None:
        self._progress(f"{what}{self._latest}", self._done, self._total)
        self._done += 1

    def _measure_variant(self, measurements: Measurements, number: int) -> None:
        config, variant = self._config, measurements.variant
        self._report_step(f"round {number + 1}: {variant.name}")
        if variant.error is not None:  # it failed in an earlier round
            return
        file = self._folder / "samples.npy"
        try:
            state = run_job(
                config.time_limit,
                jobs.measure_steady,
                **self._arguments(variant),
                warmup_runs=config.warmup_runs,
                warmup_seconds=config.warmup_seconds,
                runs=-(-config.runs // config.processes),
                seconds=config.seconds / config.processes,
                paced=config.paced,
                paced_calls=config.paced_calls,
                samples=str(file),
            )
        except JobError as error:
            measurements.variant = replace(variant, error=str(error))
            measurements.processes, measurements.samples = [], []
            return
        measurements.processes.append(state)
        measurements.samples.append(np.load(file))
        p50 = format_us(float(np.median(measurements.samples[-1])) / 1000)
        self._latest = f"  ({variant.name}: {p50})"

    def _arguments(self, variant: Variant) -> dict[str, Any]:
        """What jobs that run one variant have in common."""
        candidate = self._models[variant.model]
        return {
            "model": str(candidate.path),
            "runtime": variant.runtime,
            "threads": variant.threads,
            "batch": variant.batch,
            "scale": candidate.scale,
        }

    def _score(self, model: str, runtime: str, batch: int) -> dict[str, Any]:
        self._report_step(f"accuracy: {format_name(model, runtime, batch=batch)}")
        candidate, config = self._models[model], self._config
        if config.find_data() is None:
            note = "MNIST is not on this disk; digitkit eval downloads it, --data names other data"
            return {"accuracy_note": note}
        try:
            score: Score = run_job(
                config.time_limit,
                jobs.measure_accuracy,
                model=str(candidate.path),
                runtime=runtime,
                batch=batch,
                scale=candidate.scale,
                data=None if config.data is None else str(config.data),
            )
        except JobError as error:
            return {"accuracy_note": str(error)}
        return {
            "accuracy": score.correct / score.count,
            "accuracy_count": score.count,
            "accuracy_data": score.data,
        }

    def _run_workers(self, variant: Variant, workers: int) -> Throughput:
        self._report_step(f"{workers} processes: {variant.name}")
        config = self._config
        try:
            rate = run_throughput(
                config.time_limit,
                workers,
                **self._arguments(variant),
                warmup_seconds=config.warmup_seconds,
                seconds=max(0.2, config.seconds / 5),
            )
        except JobError as error:
            return Throughput(workers, None, str(error))
        return Throughput(workers, rate)

    def _read_images(
        self, candidate: Candidate, pictures: Sequence[tuple[str, Path]], number: int
    ) -> None:
        self._report_step(f"round {number + 1}: whole images, {candidate.name}")
        for name, _ in pictures:
            self._readings.setdefault((candidate.name, name), [])
        if candidate.name in self._reading_errors:
            return
        quick = self._config.quick
        try:
            readings = run_job(
                self._config.time_limit,
                jobs.measure_stages,
                model=str(candidate.path),
                threads=self._config.threads[0],
                scale=candidate.scale,
                pictures=[str(path) for _, path in pictures],
                runs=[1 if quick else READINGS[name] for name, _ in pictures],
            )
        except JobError as error:  # a small board may lack the memory for the largest
            self._reading_errors[candidate.name] = str(error)
            return
        for (name, _), one in zip(pictures, readings, strict=True):
            self._readings[candidate.name, name].append(one)

    def _start_cold(self, candidate: Candidate) -> None:
        infer = ["infer", str(SAMPLE_DIGIT), "--model", str(candidate.path)]
        if candidate.scale is not None:
            infer += ["--input-scale", repr(candidate.scale)]
        commands = {
            candidate.name: interpreter_command("digitkit.cli.app", *infer),
            INTERPRETER: [sys.executable, "-c", "pass"],
        }
        self._report_step(f"cold start: {candidate.name}")
        for _ in range(STARTS_PER_ROUND):
            for name, command in commands.items():
                try:
                    start = run_job(self._config.time_limit, jobs.start_program, command=command)
                except JobError as error:
                    start = StartedProgram(0.0, None, str(error))
                self._starts[name].append(start)


def _accuracy_key(variant: Variant) -> _AccuracyKey:
    return variant.model, variant.runtime, variant.batch
