"""What a fresh process measures: each job is a function here, called through `job_calls.run_job`.

What a job returns is a dataclass, which travels as JSON. Nothing heavy is imported at the top:
imports are measured, too. Times are of ``perf_counter_ns``.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitkit.benchmark.job_results import (
    ImageReadings,
    ModelFacts,
    ModelInspection,
    PacedSamples,
    Score,
    StartedProgram,
    SteadyState,
    WorkDone,
)
from digitkit.errors import one_line, printable_path
from digitkit.system.kernel import parse_fields, parse_number, read_text

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_now = time.perf_counter_ns

IMAGE_COUNT = 64
"""How many different images the timed calls take turns with."""


# --- loops -----------------------------------------------------------------------------------


def closed_loop(
    run: Callable[[Any], Any], feeds: Sequence[Any], runs: int, seconds: float
) -> array[int]:
    """Call `run` without pauses: at least once, at least `runs` times and for `seconds`.

    Returns:
        The nanoseconds of each call, int64.
    """
    durations = array("q")
    end = _now() + int(seconds * 1e9)
    for feed in cycle(feeds):
        begun = _now()
        run(feed)
        done = _now()
        durations.append(done - begun)
        if done >= end and len(durations) >= runs:
            break
    return durations


def paced_loop(
    run: Callable[[Any], Any], feeds: Sequence[Any], calls: int, hz: float
) -> PacedSamples:
    """Call `run` at a fixed rate, as a camera does, and sleep between the calls."""
    durations = array("q")
    cpu = asleep = late = 0
    due = _now()
    for number in range(calls):
        due += int(1e9 / hz)
        left = due - _now()
        if left > 0:
            cpu_before, wall_before = time.process_time_ns(), _now()
            time.sleep(left / 1e9)
            cpu += time.process_time_ns() - cpu_before
            asleep += _now() - wall_before
        else:
            late += 1
        feed = feeds[number % len(feeds)]
        begun = _now()
        run(feed)
        durations.append(_now() - begun)
    return PacedSamples(hz, tuple(durations), cpu / asleep if asleep else None, late)


# --- jobs ------------------------------------------------------------------------------------


def measure_steady(
    model: str,
    runtime: str,
    threads: int,
    batch: int,
    scale: float | None,
    warmup_runs: int,
    warmup_seconds: float,
    runs: int,
    seconds: float,
    paced: float,
    paced_calls: int,
    samples: str,
) -> SteadyState:
    """Measure a variant: import, session, first call, steady state, fixed rate, memory.

    The durations of the timed calls, int64 nanoseconds, go to the ``.npy`` file `samples`.

    Raises:
        MissingDependencyError: the runtime is not installed.
        ModelError: it cannot load the file.
    """
    from digitkit.system.conditions import read_frequencies

    began = _now()
    import numpy as np

    from digitkit.benchmark import runtimes

    module = runtimes.import_runtime(runtime)
    imported = _now()
    resident_import = resident_mb()
    before_load = _now()
    loaded = module.load(Path(model), threads, batch, scale)
    created = _now()
    feeds = _feeds(batch, scale)
    before_first = _now()
    loaded.run(feeds[0])
    first = _now()
    resident_load = resident_mb()
    gc.collect()
    gc.disable()
    closed_loop(loaded.run, feeds, warmup_runs, warmup_seconds)  # at least one call
    peak = peak_mb()
    clocks = read_frequencies()
    durations, cpu = _time_calls(loaded.run, feeds, runs, seconds)
    clocks_after = read_frequencies()
    np.save(samples, np.frombuffer(durations, np.int64))
    return SteadyState(
        import_ms=(imported - began) / 1e6,
        create_ms=(created - before_load) / 1e6,
        first_ms=(first - before_first) / 1e6,
        resident_import_mb=resident_import,
        resident_load_mb=resident_load,
        peak_mb=peak,
        cpu_s_per_1000_images=cpu / (len(durations) * batch) * 1000,
        frequencies_mhz=(clocks, clocks_after),
        paced=paced_loop(loaded.run, feeds, paced_calls, paced) if paced else None,
        options=loaded.options,
    )


def measure_throughput(
    model: str,
    runtime: str,
    threads: int,
    batch: int,
    scale: float | None,
    warmup_seconds: float,
    seconds: float,
) -> Iterator[str | WorkDone]:
    """Classify images while other processes do the same.

    Yields ``ready`` once it is, waits for a line on standard input, and yields what it has done.
    """
    from digitkit.benchmark import runtimes

    loaded = runtimes.load(runtime, Path(model), threads=threads, batch=batch, scale=scale)
    feeds = _feeds(batch, scale)
    closed_loop(loaded.run, feeds, 1, warmup_seconds)
    gc.disable()
    yield "ready"
    sys.stdin.readline()
    begun = _now()
    durations = closed_loop(loaded.run, feeds, 1, seconds)
    yield WorkDone(len(durations) * batch, (_now() - begun) / 1e9)


def measure_accuracy(
    model: str, runtime: str, batch: int, scale: float | None, data: str | None
) -> Score:
    """Classify labelled digits with this file in this runtime.

    Args:
        model: the file.
        runtime: one of `runtimes.RUNTIMES`.
        batch: images per call.
        scale: as for `runtimes.as_input`.
        data: a folder as for `load_test`; None for MNIST.
    """
    import numpy as np

    from digitkit.benchmark import runtimes
    from digitkit.datasets.load import load_test

    digits = load_test(Path(data) if data is not None else None)
    loaded = runtimes.load(runtime, Path(model), threads=1, batch=batch, scale=scale)
    correct = 0
    for start in range(0, len(digits), batch):
        images = digits.images[start : start + batch, None]
        count = len(images)
        if count < batch:  # a runtime may be compiled for one size
            images = np.concatenate([images, np.zeros((batch - count, 1, 28, 28), np.uint8)])
        scores = loaded.run(runtimes.as_input(images, scale))[:count]
        correct += int((scores.argmax(1) == digits.labels[start : start + count]).sum())
    return Score(correct, len(digits), digits.name)


def measure_stages(
    model: str, threads: int, scale: float | None, pictures: Sequence[str], runs: Sequence[int]
) -> list[ImageReadings]:
    """Read image files step by step, each `runs` times after a warm-up."""
    from digitkit.images.cv import cv2
    from digitkit.models.classifier import Classifier
    from digitkit.reading.reader import Reader

    cv2.setNumThreads(threads)
    classifier = Classifier(model, threads=threads, input_scale=scale)
    reader = Reader(classifier, threads=threads)
    results = []
    for picture, count in zip(pictures, runs, strict=True):
        reader.read(picture)
        gc.collect()
        steps = []
        for _ in range(count):
            begun = _now()
            reading = reader.read(picture)
            total = (_now() - begun) / 1e6
            ms = reading.ms
            steps.append((ms.decode, ms.locate, ms.normalise, ms.classify, total))
        results.append(ImageReadings(len(reading.digits), tuple(steps)))
    return results


def start_program(command: Sequence[str], seconds: float) -> StartedProgram:
    """Start a program and wait for its first line, or for its end if it prints nothing.

    A program that has not ended after `seconds` is killed. The system includes this process's
    memory, which is small, in the program's peak: a peak that does not exceed it is reported as
    None.
    """
    late = threading.Event()

    def stop() -> None:
        late.set()
        process.kill()

    watch = threading.Timer(seconds, stop)
    watch.daemon = True  # an interrupted job does not wait for it
    begun = _now()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        watch.start()
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        ms = (_now() - begun) / 1e6
        errors = process.stderr.read()
        peak: float | None = None
        if hasattr(os, "wait4"):
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
            if peak <= (peak_mb() or 0.0):
                peak = None
        watch.cancel()
    if late.is_set():
        return StartedProgram(ms, None, f"no end within {seconds:g} s")
    if process.returncode:
        return StartedProgram(ms, None, one_line(errors.decode("utf-8", "replace")))
    return StartedProgram(ms, peak)


def inspect_model(model: str, name: str) -> ModelInspection:
    """Load a model as digitkit does, and describe it.

    Args:
        model: path of its file.
        name: its name in the report.

    Raises:
        ModelError: it is not a digit model.
    """
    from digitkit.export import graph
    from digitkit.models.classifier import Classifier
    from digitkit.models.session import load_onnxruntime

    ort = load_onnxruntime()
    classifier = Classifier(model)
    contract = classifier.contract
    return ModelInspection(
        ort.__version__,
        ort.get_build_info(),
        classifier.fixed_batch,
        ModelFacts(
            name,
            printable_path(classifier.path.name),
            sha256=classifier.sha256,
            bytes=classifier.path.stat().st_size,
            precision=contract.precision if contract else None,
            card_accuracy=contract.test_accuracy if contract else None,
            card_count=contract.test_count if contract else None,
            **asdict(graph.describe_model(classifier.path, contract)),
        ),
    )


# --- helpers of the jobs ---------------------------------------------------------------------


def _time_calls(
    run: Callable[[Any], Any], feeds: Sequence[Any], runs: int, seconds: float
) -> tuple[array[int], float]:
    """A `closed_loop`, and the CPU seconds that all threads used meanwhile."""
    before = time.process_time_ns()
    durations = closed_loop(run, feeds, runs, seconds)
    return durations, (time.process_time_ns() - before) / 1e9


def resident_mb() -> float | None:
    """Resident memory of this process, MB of 10⁶ bytes; None without the package psutil.

    A device bundle has no psutil, and the benchmark works without it.
    """
    try:
        import psutil
    except ImportError:
        return None
    return float(psutil.Process().memory_info().rss) / 1e6


def peak_mb() -> float | None:
    """Peak resident memory of this process, MB; None where the system has no such figure."""
    # psutil has a peak on Windows only. Linux counts into ru_maxrss what the parent process held.
    fields = parse_fields(read_text(Path("/proc/self/status")))
    kb = parse_number(fields.get("VmHWM", [""])[0].removesuffix(" kB"))
    if kb is not None:
        return kb * 1024 / 1e6
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _feeds(batch: int, scale: float | None) -> list[npt.NDArray[np.generic]]:
    """The same random images on every machine, as a model takes them."""
    import numpy as np

    from digitkit.benchmark import runtimes

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (IMAGE_COUNT, batch, 1, 28, 28), dtype=np.uint8)
    return [runtimes.as_input(one, scale) for one in images]
