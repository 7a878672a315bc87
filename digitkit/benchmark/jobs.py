"""What a fresh process measures for `digitkit.benchmark`: ``python -m digitkit.measuring``.

It reads one job, JSON, from a file, and writes what it found, JSON, to another; standard output is
left to the runtimes, some of which print. Each job is a function here, called with the job's
values; times are of ``perf_counter_ns``.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import cycle
from pathlib import Path
from typing import Any

from digitkit.errors import DigitkitError, one_line

_now = time.perf_counter_ns

IMAGES = 64
"""How many different images the timed runs take turns with."""


def _resident_mb() -> float | None:
    """Memory that this process holds now, MB (10⁶ bytes); None where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    import resource

    return pages * resource.getpagesize() / 1e6


def _peak_mb() -> float | None:
    """The most memory that this process has held, MB; None where the system does not tell."""
    # Linux counts into ru_maxrss what the process that started this one held.
    with suppress(OSError, StopIteration, ValueError, IndexError):
        lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
        return int(next(s for s in lines if s.startswith("VmHWM:")).split()[1]) * 1024 / 1e6
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def closed_loop(run: Callable[[Any], Any], feeds: Sequence[Any], runs: int, seconds: float) -> Any:
    """Call `run` again and again: once at least, `runs` times at least and for `seconds`.

    Returns:
        The nanoseconds of each call, an ``array`` of int64.
    """
    took = array("q")
    end = _now() + int(seconds * 1e9)
    for feed in cycle(feeds):
        begun = _now()
        run(feed)
        done = _now()
        took.append(done - begun)
        if done >= end and len(took) >= runs:
            break
    return took


def paced_loop(
    run: Callable[[Any], Any], feeds: Sequence[Any], calls: int, hz: float
) -> dict[str, Any]:
    """Call `run` so many times a second, asleep in between, as a camera does.

    Returns:
        ``samples``: nanoseconds of each call; ``idle_cpu``: CPU seconds a second of sleep, over
        all threads of this process; ``late``: calls that began after their time, because the one
        before took too long.
    """
    took = array("q")
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
        took.append(_now() - begun)
    idle_cpu = cpu / asleep if asleep else None
    return {"hz": hz, "samples": list(took), "idle_cpu": idle_cpu, "late": late}


def _feeds(batch: int, scale: float | None) -> list[Any]:
    """The same random images on every machine, as a model takes them."""
    import numpy as np

    from digitkit.benchmark import runtimes

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (IMAGES, batch, 1, 28, 28), dtype=np.uint8)
    return [runtimes.as_input(one, scale) for one in images]


def steady(
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
) -> dict[str, Any]:
    """One variant: import, session creation, first run, steady state, pace, memory."""
    from digitkit.system.conditions import read_frequencies

    began = _now()
    import numpy as np

    from digitkit.benchmark import runtimes

    # The runtime's own package loads with the first thing it is asked for.
    module = runtimes.module_of(runtime)
    imported = _now()
    resident_import = _resident_mb()
    loaded = module.load(Path(model), threads, batch, scale)
    created = _now()
    feeds = _feeds(batch, scale)
    before_first = _now()
    loaded.run(feeds[0])
    first = _now()
    resident_load = _resident_mb()
    gc.collect()
    gc.disable()
    closed_loop(loaded.run, feeds, warmup_runs, warmup_seconds)  # one run at least
    peak = _peak_mb()
    frequencies = [read_frequencies()]
    cpu_before = time.process_time_ns()
    took = closed_loop(loaded.run, feeds, runs, seconds)
    cpu = time.process_time_ns() - cpu_before
    frequencies.append(read_frequencies())
    pace = paced_loop(loaded.run, feeds, paced_calls, paced) if paced else None
    np.save(samples, np.frombuffer(took, np.int64))
    return {
        "import_ms": (imported - began) / 1e6,
        "create_ms": (created - imported) / 1e6,
        "first_ms": (first - before_first) / 1e6,
        "resident_import_mb": resident_import,
        "resident_load_mb": resident_load,
        "peak_mb": peak,
        "cpu_s_per_1000_images": cpu / 1e9 / (len(took) * batch) * 1000,
        "frequencies_mhz": frequencies,
        "paced": pace,
        "options": loaded.options,
    }


def throughput(
    model: str,
    runtime: str,
    threads: int,
    batch: int,
    scale: float | None,
    warmup_seconds: float,
    seconds: float,
) -> dict[str, Any]:
    """Images a second while other processes do the same; starts when a line comes on stdin."""
    from digitkit.benchmark import runtimes

    loaded = runtimes.load(runtime, Path(model), threads=threads, batch=batch, scale=scale)
    feeds = _feeds(batch, scale)
    closed_loop(loaded.run, feeds, 1, warmup_seconds)
    gc.disable()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    begun = _now()
    took = closed_loop(loaded.run, feeds, 1, seconds)
    return {"images": len(took) * batch, "seconds": (_now() - begun) / 1e9}


def accuracy(
    model: str, runtime: str, batch: int, scale: float | None, data: str | None
) -> dict[str, Any]:
    """How many labelled digits this very file reads right in this runtime.

    `data` is a folder as for `digitkit.datasets.load_test`; None for the nearest MNIST.
    """
    import numpy as np

    from digitkit.benchmark import runtimes
    from digitkit.datasets.load import load_test

    digits = load_test(Path(data) if data is not None else None)
    loaded = runtimes.load(runtime, Path(model), threads=1, batch=batch, scale=scale)
    right = 0
    for start in range(0, len(digits), batch):
        images = digits.images[start : start + batch, None]
        count = len(images)
        if count < batch:  # a runtime may know one size only
            images = np.concatenate([images, np.zeros((batch - count, 1, 28, 28), np.uint8)])
        scores = loaded.run(runtimes.as_input(images, scale))[:count]
        right += int((scores.argmax(1) == digits.labels[start : start + count]).sum())
    return {"right": right, "count": len(digits), "data": digits.name}


def stages(
    model: str, threads: int, scale: float | None, pictures: Sequence[str], runs: Sequence[int]
) -> dict[str, Any]:
    """The whole way of a picture file, step by step; milliseconds of each reading."""
    from digitkit.images.opencv import cv2
    from digitkit.models.classifier import Classifier
    from digitkit.reading.reader import Reader

    cv2.setNumThreads(threads)
    classifier = Classifier(model, threads=threads, input_scale=scale)
    reader = Reader(classifier, threads=threads)
    found = []
    for picture, count in zip(pictures, runs, strict=True):
        reader.read(picture)
        gc.collect()
        rows = []
        for _ in range(count):
            begun = _now()
            reading = reader.read(picture)
            total = (_now() - begun) / 1e6
            rows.append({**vars(reading.ms), "total": total})
        found.append({"digits": len(reading.digits), "rows": rows})
    return {"stages": found}


def cold_start(command: Sequence[str]) -> dict[str, Any]:
    """Start a program: milliseconds to its first line (else to its end), and its peak memory.

    The system counts into the latter what this process held; this one has loaded next to nothing,
    and what is no more than its own is not known.
    """
    begun = _now()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        took = (_now() - begun) / 1e6
        said = process.stderr.read()
        peak: float | None = None
        if hasattr(os, "wait4"):
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
            if peak <= (_peak_mb() or 0.0):
                peak = None
    if process.returncode:
        return {"error": one_line(said.decode("utf-8", "replace"))}
    return {"ms": took, "peak_mb": peak}


def facts(model: str) -> dict[str, Any]:
    """What a model is; counted with onnx where it is foreign and onnx is installed."""
    from digitkit.export import graph
    from digitkit.models.classifier import Classifier
    from digitkit.models.session import load_onnxruntime

    ort = load_onnxruntime()
    classifier = Classifier(model)
    contract = classifier.contract
    return {
        "onnxruntime": {"version": ort.__version__, "build": ort.get_build_info()},
        "fixed_batch": classifier.fixed_batch,
        "facts": {
            "sha256": classifier.sha256,
            "bytes": classifier.path.stat().st_size,
            "precision": contract and contract.precision,
            "card_accuracy": contract and contract.test_accuracy,
            "card_count": contract and contract.test_count,
            **asdict(graph.describe_model(classifier.path, contract)),
        },
    }


JOBS = {job.__name__: job for job in (steady, throughput, accuracy, stages, cold_start, facts)}


def main() -> None:
    """Do one job: ``python -m digitkit.measuring JOB IN OUT``."""
    name, given, out = sys.argv[1:]
    try:
        found = JOBS[name](**json.loads(Path(given).read_text("utf-8")))
    except DigitkitError as error:
        found = {"error": one_line(error)}
    except MemoryError:
        found = {"error": "it does not fit into memory"}
    Path(out).write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main()
