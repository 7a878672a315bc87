"""The measuring itself: fresh processes in rounds that all variants share, one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from digitkit.benchmark import jobs
from digitkit.benchmark.aggregate import Accuracy, Measurements
from digitkit.benchmark.bench_config import BenchConfig
from digitkit.benchmark.candidates import ModelCandidate, format_name
from digitkit.benchmark.job_calls import JobError, run_job, run_throughput
from digitkit.benchmark.job_results import Score
from digitkit.benchmark.steps import Steps
from digitkit.benchmark.units import format_us
from digitkit.benchmark.variants import Throughput, Variant
from digitkit.benchmark.whole_images import STEPS_PER_ROUND, WholeImages
from digitkit.system.progress import Progress

_AccuracyKey = tuple[str, str, int]
"""Model, runtime, batch: OpenCV 4, say, reads single images of a quantized model correctly and
batches wrong."""


class Rounds:
    """Measures variants step by step, and keeps what the processes found.

    Attributes:
        measurements: of each variant that was given, in order.
        whole_images: readings of whole images, and cold starts.
    """

    def __init__(
        self,
        config: BenchConfig,
        candidates: Sequence[ModelCandidate],
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
        self._config, self._folder = config, folder
        self._models = {candidate.name: candidate for candidate in candidates}
        readers = [candidate for candidate in candidates if candidate.error is None]
        self._readers = readers if config.reads_images else []
        usable = self._usable()
        self._steps = Steps(
            progress,
            config.processes * (len(usable) + STEPS_PER_ROUND * len(self._readers))
            + config.accuracy * len({_accuracy_key(one.variant) for one in usable})
            + len(usable) * len(config.workers),
        )
        self.whole_images = WholeImages(config, folder, self._steps)

    def run(self) -> None:
        """Measure all rounds."""
        usable = self._usable()
        for number in range(self._config.processes):
            # Every round begins with another variant, so that none is always the first.
            turn = number % max(len(usable), 1)
            for measurements in usable[turn:] + usable[:turn]:
                self._measure_variant(measurements, number)
            for candidate in self._readers:
                self.whole_images.measure(candidate, number)

    def measure_accuracy(self) -> dict[str, Accuracy]:
        """The accuracy, or why it is not known, by the names of the variants that ran."""
        usable = self._usable()
        if not self._config.accuracy:
            return {one.variant.name: Accuracy(accuracy_note="not requested") for one in usable}
        keys = sorted({_accuracy_key(one.variant) for one in usable})
        accuracies = {key: self._score(*key) for key in keys}
        return {one.variant.name: accuracies[_accuracy_key(one.variant)] for one in usable}

    def measure_throughput(self) -> dict[str, tuple[Throughput, ...]]:
        """Images per second of several processes, by the names of the variants that ran."""
        return {
            one.variant.name: tuple(
                self._run_workers(one.variant, workers) for workers in self._config.workers
            )
            for one in self._usable()
        }

    def _usable(self) -> list[Measurements]:
        return [one for one in self.measurements if one.variant.error is None]

    def _measure_variant(self, measurements: Measurements, number: int) -> None:
        config, variant = self._config, measurements.variant
        self._steps.begin(f"round {number + 1}: {variant.name}")
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
        self._steps.latest = f"  ({variant.name}: {p50})"

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

    def _score(self, model: str, runtime: str, batch: int) -> Accuracy:
        self._steps.begin(f"accuracy: {format_name(model, runtime, batch=batch)}")
        candidate, config = self._models[model], self._config
        if config.find_data() is None:
            note = "MNIST is not on this disk; digitkit eval downloads it, --data names other data"
            return Accuracy(accuracy_note=note)
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
            return Accuracy(accuracy_note=str(error))
        return Accuracy(score.correct / score.count, score.count, score.data)

    def _run_workers(self, variant: Variant, workers: int) -> Throughput:
        self._steps.begin(f"{workers} processes: {variant.name}")
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


def _accuracy_key(variant: Variant) -> _AccuracyKey:
    return variant.model, variant.runtime, variant.batch
