"""What a benchmark measures, and for how long."""

from __future__ import annotations

import math
import shlex
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from digitkit.benchmark import runtimes
from digitkit.benchmark.report import BenchSettings
from digitkit.benchmark.stats import MAX_PROCESSES
from digitkit.choices import MAX_THREADS
from digitkit.datasets.mnist import find_mnist
from digitkit.errors import ConfigError, at_least, check_range, printable_path
from digitkit.system.machine import usable_cores

MAX_SPREAD = 0.15
"""How far the medians of a variant's processes may differ before a run is invalid: their range
divided by their median."""

PACED_RATE = 10.0
"""Calls per second at a fixed rate, as a slow camera makes them."""

PACED_CALLS, QUICK_PACED_CALLS = 50, 10
"""Calls at a fixed rate per variant, over all processes."""

MAXIMA = {"threads": MAX_THREADS, "batches": 65_536, "workers": MAX_THREADS}
"""Largest values of what is a list."""

QUICK: dict[str, Any] = {
    "processes": 2, "runs": 64, "seconds": 0.2, "warmup_runs": 10, "warmup_seconds": 0.05,
}  # fmt: skip
"""The lengths of a quick run: seconds instead of minutes, to see that everything works."""

_TIME_LIMIT = 600.0
"""Seconds that a process gets in addition to 20 times what it is asked to take."""

_MAX_SECONDS = 2e6
"""Seconds that a process gets at most: poll counts milliseconds in 32 bits."""


@dataclass(frozen=True)
class BenchConfig:
    """What is measured, and for how long; the defaults give reliable latency measurements.

    Every variant (model, runtime, threads, batch) runs in several fresh processes that take turns.
    Memory is measured with the package psutil (``pip install 'digitkit[bench]'``) and null where
    that is not installed, as on a device.

    Attributes:
        models: shipped names (``digits``: both precisions), names of shipped files
            (``digits-int8``) or ``.onnx`` files, third-party ones too.
        runtimes: ``onnxruntime``, ``opencv``, ``openvino``.
        threads: numbers of threads that a call may use, 1 to 1,024.
        batches: images per call, 1 to 65,536.
        processes: fresh processes per variant, 1 to 1,000; five or more give intervals.
        runs: minimum of timed calls per variant, over all processes.
        seconds: minimum of timed seconds per variant, over all processes.
        warmup_runs: minimum of calls before, in each process.
        warmup_seconds: minimum of seconds before, in each process.
        paced: calls per second at a fixed rate, measured in addition; 0 for none.
        workers: numbers of processes at once for throughput, 1 to 1,024; empty for none.
        whole: whether whole images and cold starts are measured, too; None for "if the runtime
            onnxruntime is among the runtimes", which that needs.
        accuracy: whether accuracy is measured.
        data: folder of labelled digits for that; None for the MNIST test set on this disk.
        input_scale: pixels of third-party models are 0–255 times this; None for 1/255.
        max_spread: see `MAX_SPREAD`.
        quick: whether the report is marked as a quick run.
        recommend: whether to recommend a variant; requires a digitkit model in ONNX Runtime.
        command: the command line, for the report.

    Raises:
        ConfigError: a value is out of range, or does not go with another.
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
    paced: float = PACED_RATE
    workers: tuple[int, ...] = ()
    whole: bool | None = None
    accuracy: bool = True
    data: Path | None = None
    input_scale: float | None = None
    max_spread: float = MAX_SPREAD
    quick: bool = False
    recommend: bool = False
    command: str = field(default_factory=lambda: shlex.join(["digitkit", *sys.argv[1:]]))

    def __post_init__(self) -> None:
        """Refuse what cannot be measured."""
        for name in ("threads", "batches", "workers"):
            if not isinstance(value := getattr(self, name), tuple):
                raise ConfigError(f"must be a tuple of integers, got {value!r}", field=name)
        for name in ("models", "runtimes", "threads", "batches"):
            if not getattr(self, name):
                raise ConfigError("must not be empty", field=name)
        for name in ("models", "runtimes"):
            if isinstance(getattr(self, name), str):
                raise ConfigError("must be a tuple of names, not text", field=name)
        for name, most in MAXIMA.items():
            for value in getattr(self, name):
                check_range(name, value, 1, most, whole=True)
        for name in ("runtimes", "threads", "batches", "workers"):
            if len({*getattr(self, name)}) < len(getattr(self, name)):
                raise ConfigError("contains duplicates", field=name)
        at_least("runs", self.runs, 1, whole=True)
        check_range("processes", self.processes, 1, MAX_PROCESSES, whole=True)
        at_least("warmup_runs", self.warmup_runs, 0, whole=True)
        for name in ("seconds", "warmup_seconds", "paced", "max_spread"):
            at_least(name, getattr(self, name), 0)
            if math.isinf(getattr(self, name)):
                raise ConfigError("must be finite", field=name)
        for runtime in self.runtimes:
            if runtime not in runtimes.RUNTIMES:
                available = ", ".join(runtimes.RUNTIMES)
                raise ConfigError(f"must be of {available}; got {runtime!r}", field="runtimes")
        for name in ("recommend", "whole"):
            if getattr(self, name) and "onnxruntime" not in self.runtimes:
                raise ConfigError("requires the runtime onnxruntime", field=name)
        if self.data is not None and not self.accuracy:
            raise ConfigError("is used for accuracy, which is not measured", field="data")

    @classmethod
    def preset(cls, *, quick: bool = False, recommend: bool = False, **changes: Any) -> BenchConfig:
        """The configuration of a full or a quick run, or of one to recommend from.

        Args:
            quick: seconds instead of minutes (`QUICK`), with rough figures.
            recommend: measure 1, 2, 4, … threads and batches of 1, 8 and 64, and neither whole
                images nor a fixed rate.
            changes: values of other fields; None keeps the preset's.

        Raises:
            ConfigError: see `BenchConfig`.
        """
        values: dict[str, Any] = {"quick": quick, "recommend": recommend}
        if quick:
            values |= QUICK
        if recommend:
            threads = tuple(2**k for k in range(usable_cores().bit_length()))
            values |= {"threads": threads, "batches": (1, 8, 64), "paced": 0.0, "whole": False}
        return cls(**values | {k: value for k, value in changes.items() if value is not None})

    @property
    def reads_images(self) -> bool:
        """Whether whole images are read and processes are started cold."""
        return self.whole is not False and "onnxruntime" in self.runtimes

    @property
    def paced_calls(self) -> int:
        """Calls at a fixed rate in each process."""
        calls = QUICK_PACED_CALLS if self.quick else PACED_CALLS
        return -(-calls // self.processes) if self.paced else 0

    @property
    def time_limit(self) -> float:
        """Seconds after which a process that measures is stopped."""
        asleep = self.paced_calls / self.paced if self.paced else 0.0
        expected = self.warmup_seconds + self.seconds + asleep
        return min(_TIME_LIMIT + 20 * expected, _MAX_SECONDS)

    @property
    def settings(self) -> BenchSettings:
        """The part of it that the report keeps."""
        values = {name: getattr(self, name) for name in (one.name for one in fields(BenchSettings))}
        values["data"] = None if self.data is None else printable_path(self.data)
        values["whole"] = self.reads_images
        return BenchSettings(**values)

    def find_data(self) -> Path | None:
        """The folder of the labelled digits: `data`, else MNIST on this disk, else None."""
        return find_mnist("test") if self.data is None else self.data
