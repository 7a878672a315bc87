"""The whole path of an image: from file to digits, and from the start of ``digitkit infer``."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from digitkit.benchmark import jobs
from digitkit.benchmark.aggregate import summarize_cold_starts, summarize_stages
from digitkit.benchmark.bench_config import BenchConfig
from digitkit.benchmark.candidates import ModelCandidate
from digitkit.benchmark.job_calls import JobError, run_job
from digitkit.benchmark.job_results import ImageReadings, StartedProgram
from digitkit.benchmark.report import ColdStart, Stages
from digitkit.benchmark.steps import Steps
from digitkit.images.samples import SAMPLE_DIGIT, write_sample_sizes
from digitkit.system.processes import interpreter_command

INTERPRETER = "python -c pass"
"""What cold starts are compared with."""

STARTS_PER_ROUND = 2

KILL_SECONDS = 5.0
"""How much longer than a program its job may take, which kills the program."""

READINGS = {"28×28": 40, "640×480": 20, "12 MP": 4}
"""Readings of each image in a round; one in a quick run."""

STEPS_PER_ROUND = 2
"""Steps of `WholeImages.measure`."""


class WholeImages:
    """Reads images and starts ``digitkit infer``, and keeps the times."""

    def __init__(self, config: BenchConfig, folder: Path, steps: Steps) -> None:
        """Prepare the measurements.

        Args:
            config: what is measured.
            folder: for the images.
            steps: counts the steps.
        """
        self._config, self._folder, self._steps = config, folder, steps
        self._pictures: list[tuple[str, Path]] = []
        self._readings: dict[tuple[str, str], list[ImageReadings]] = defaultdict(list)
        self._errors: dict[str, str] = {}
        self._starts: dict[str, list[StartedProgram]] = defaultdict(list)

    def measure(self, candidate: ModelCandidate, number: int) -> None:
        """Measure a model in the round of this number, from 0."""
        if not self._pictures:
            self._pictures = write_sample_sizes(self._folder)
        self._steps.begin(f"round {number + 1}: whole images, {candidate.name}")
        if candidate.name not in self._errors:
            self._read_images(candidate)
        self._steps.begin(f"cold start: {candidate.name}")
        self._start_programs(candidate)

    def summarize_stages(self) -> tuple[Stages, ...]:
        """Whole images, of each model and image."""
        return tuple(
            Stages(model, picture, self._errors[model])
            if model in self._errors
            else summarize_stages(model, picture, readings)
            for (model, picture), readings in self._readings.items()
        )

    def summarize_cold_starts(self) -> tuple[ColdStart, ...]:
        """Cold starts of each model, and of the bare interpreter at the end."""
        names = sorted(self._starts, key=INTERPRETER.__eq__)
        return tuple(summarize_cold_starts(name, self._starts[name]) for name in names)

    def _read_images(self, candidate: ModelCandidate) -> None:
        lists = [self._readings[candidate.name, picture] for picture, _ in self._pictures]
        try:
            readings = run_job(
                self._config.time_limit,
                jobs.measure_stages,
                model=str(candidate.path),
                threads=self._config.threads[0],
                scale=candidate.scale,
                pictures=[str(path) for _, path in self._pictures],
                runs=[1 if self._config.quick else READINGS[name] for name, _ in self._pictures],
            )
        except JobError as error:  # a small board may lack the memory for the largest
            self._errors[candidate.name] = str(error)
            return
        for kept, one in zip(lists, readings, strict=True):
            kept.append(one)

    def _start_programs(self, candidate: ModelCandidate) -> None:
        infer = ["infer", str(SAMPLE_DIGIT), "--model", str(candidate.path)]
        if candidate.scale is not None:
            infer += ["--input-scale", repr(candidate.scale)]
        commands: dict[str, Sequence[str]] = {
            candidate.name: interpreter_command("digitkit.cli.app", *infer),
            INTERPRETER: [sys.executable, "-c", "pass"],
        }
        seconds = self._config.time_limit
        for _ in range(STARTS_PER_ROUND):
            for name, command in commands.items():
                try:
                    start = run_job(
                        seconds + KILL_SECONDS, jobs.start_program, command=command, seconds=seconds
                    )
                except JobError as error:
                    start = StartedProgram(0.0, None, str(error))
                self._starts[name].append(start)
