"""What a fresh process measures; how the processes are started is in test_job_calls.py."""

import gc
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from support.paths import ROOT

from digitkit.benchmark import jobs, runtimes
from digitkit.benchmark.jobs import closed_loop, paced_loop
from digitkit.datasets.load import load_test

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="as Linux reports it")


def run_python(code: str) -> str:
    """What code prints in a process of its own."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout


@pytest.mark.parametrize(("runs", "calls"), [(0, 1), (1, 1), (3, 3), (4, 4), (100, 100)])
def test_a_closed_loop_runs_often_enough(runs, calls):
    """Once at least; the feeds take turns."""
    seen = []
    durations = closed_loop(seen.append, "abc", runs, 0)
    assert (durations.typecode, len(durations)) == ("q", calls)
    assert seen == (list("abc") * 34)[:calls]
    assert all(ns >= 0 for ns in durations)


def test_a_closed_loop_runs_long_enough():
    begun = time.perf_counter()
    durations = closed_loop(lambda feed: time.sleep(0.002), [1, 2], 1, 0.05)
    passed = time.perf_counter() - begun
    assert min(durations) >= 2_000_000
    assert passed >= 0.05
    assert sum(durations) <= passed * 1e9


def test_a_paced_loop_keeps_its_rate():
    seen = []
    begun = time.perf_counter()
    paced = paced_loop(seen.append, "ab", 5, 100)
    assert time.perf_counter() - begun >= 0.05
    assert (seen, paced.hz, len(paced.samples)) == (list("ababa"), 100, 5)
    paced = paced_loop(seen.append, "a", 3, 1e9)  # that never sleeps, and cannot be idle
    assert (paced.idle_cpu, paced.late) == (None, 3)


@pytest.mark.parametrize(("ms", "idle", "late"), [(5, 0, 0), (100, 0, 3), (5, 0.5, 0)])
def test_late_calls_are_counted_and_threads_that_spin_are_seen(monkeypatch, ms, idle, late):
    """Calls of two periods are late, but for the first; only CPU time between calls is idle use."""
    clock = SimpleNamespace(ns=0, process_ns=0)

    def advance(seconds: float, use: float) -> None:
        clock.ns += round(seconds * 1e9)
        clock.process_ns += round(use * seconds * 1e9)

    monkeypatch.setattr(jobs, "_now", lambda: clock.ns)  # whatever else runs here
    monkeypatch.setattr("time.sleep", lambda seconds: advance(seconds, idle))
    monkeypatch.setattr("time.process_time_ns", lambda: clock.process_ns)
    paced = paced_loop(lambda feed: advance(ms / 1000, 1), [1], 4, 20)
    assert (paced.late, paced.samples) == (late, (ms * 1_000_000,) * 4)
    assert paced.idle_cpu == pytest.approx(idle)


@pytest.fixture
def model(monkeypatch):
    """A model that remembers what it was given, and whether the garbage collector was on."""
    seen = []

    def load(path, threads, batch, scale):
        def run(images):
            seen.append((images, gc.isenabled()))
            return np.zeros((batch, 10), np.float32)

        return runtimes.LoadedModel(run, {"threads": threads})

    module = SimpleNamespace(load=load)
    monkeypatch.setattr(runtimes, "import_runtime", lambda runtime: module)
    yield seen
    gc.enable()


def measure_steady(folder, **changes):
    values = {
        "model": "m.onnx", "runtime": "onnxruntime", "threads": 2, "batch": 3, "scale": None,
        "warmup_runs": 0, "warmup_seconds": 0, "runs": 1, "seconds": 0, "paced": 0,
        "paced_calls": 0, "samples": str(folder / "s.npy"),
    }  # fmt: skip
    return jobs.measure_steady(**(values | changes))


def test_the_steady_state(model, tmp_path):
    state = measure_steady(tmp_path, runs=65, warmup_runs=1)
    durations = np.load(tmp_path / "s.npy")
    assert (durations.dtype, durations.shape) == (np.int64, (65,))
    first, *others = model
    assert len(others) == 1 + 65  # the warm-up is not kept
    assert first[1] is True
    assert not any(collects for _, collects in others)
    assert {(feed.dtype.name, feed.shape) for feed, _ in model} == {("uint8", (3, 1, 28, 28))}
    # After the last, the first.
    assert len({feed.tobytes() for feed, _ in model}) == jobs.IMAGE_COUNT
    assert (state.options, state.paced) == ({"threads": 2}, None)
    assert min(state.cpu_s_per_1000_images, state.import_ms, state.create_ms, state.first_ms) >= 0
    assert len(state.frequencies_mhz) == 2


def test_a_third_party_model_at_a_fixed_rate(model, tmp_path):
    state = measure_steady(tmp_path, scale=1 / 255, batch=1, paced=500, paced_calls=4)
    feed = model[0][0]
    assert (feed.dtype, feed.shape) == (np.float32, (1, 1, 28, 28))
    assert 0.9 < feed.max() <= 1
    assert len(state.paced.samples) == 4
    assert len(np.load(tmp_path / "s.npy")) == 1  # those at the fixed rate are not among them


@on_linux
def test_memory_grows_in_order(model, tmp_path):
    pytest.importorskip("psutil")
    state = measure_steady(tmp_path)
    assert 10 < state.resident_import_mb <= state.peak_mb + 1
    assert state.resident_load_mb <= state.peak_mb + 1


def test_memory_that_is_not_available(model, monkeypatch, tmp_path):
    """A device has no psutil; other systems than Linux have no /proc."""
    monkeypatch.setitem(sys.modules, "psutil", None)
    state = measure_steady(tmp_path)
    assert (state.resident_import_mb, state.resident_load_mb) == (None, None)

    def refuse(*args, **kwargs):
        raise OSError

    monkeypatch.setattr(jobs.Path, "read_text", refuse)
    assert jobs.peak_mb() > 1  # from what other systems have
    monkeypatch.setitem(sys.modules, "resource", None)
    assert jobs.peak_mb() is None


def test_accuracy_fills_the_last_batch(monkeypatch, small_data):
    """300 digits in batches of 128: the images added to the last batch are not counted."""
    shapes = []

    def load(runtime, path, *, threads, batch, scale):
        def run(images):
            shapes.append(images.shape)
            return np.eye(10, dtype=np.float32)[np.zeros(len(images), int)]

        return runtimes.LoadedModel(run)

    monkeypatch.setattr(runtimes, "load", load)
    score = jobs.measure_accuracy("m", "onnxruntime", 128, None, str(small_data))
    assert shapes == [(128, 1, 28, 28)] * 3
    assert (score.count, score.correct) == (300, int((load_test(small_data).labels == 0).sum()))


def test_whole_images(digit_file, shipped):
    (readings,) = jobs.measure_stages(str(shipped), 1, None, [str(digit_file(7))], [2])
    assert (readings.digits, len(readings.steps)) == (1, 2)
    for *steps, total in readings.steps:
        assert 0 < sum(steps) <= total


def test_the_facts_of_a_model(shipped):
    inspection = jobs.inspect_model(str(shipped), "a")
    facts = inspection.facts
    assert (facts.name, facts.file) == ("a", shipped.name)
    assert (facts.precision, facts.opset, inspection.fixed_batch) == ("int8", 18, False)
    assert (facts.bytes, facts.parameters > 10_000) == (shipped.stat().st_size, True)
    assert 0.99 < facts.card_accuracy < 1


@on_linux
def test_the_peak_of_a_cold_start():
    """The system reports no less than what the parent process held."""
    code = (
        "import sys; from digitkit.benchmark import jobs; "
        "print([jobs.start_program([sys.executable, '-c', command], 60).peak_mb "
        "for command in ('pass', 'x = b\"x\" * 10**8; print(1)')])"
    )
    little, much = run_python(code).strip("[]\n").split(", ")
    assert little == "None"
    assert 100 < float(much) < 150


def test_a_cold_start_ends_with_the_first_line(tmp_path, monkeypatch):
    """The clock is looked at while the program still runs: it waits until that has been done."""
    looked = tmp_path / "looked"
    times = iter((lambda: 0, lambda: looked.write_text("")))  # no third
    monkeypatch.setattr(jobs, "_now", lambda: next(times)())
    code = (
        f"import os, time; print(1, flush=True); last = time.monotonic() + 60\n"
        f"while not os.path.exists({str(looked)!r}):\n"
        "    time.sleep(0.01)\n"
        "    if time.monotonic() > last: raise SystemExit('nobody looks')\n"
    )
    assert jobs.start_program([sys.executable, "-c", code], 60).error is None


def test_a_program_that_fails():
    code = "import sys; print('no such\\nmodel', file=sys.stderr); sys.exit(2)"
    assert jobs.start_program([sys.executable, "-c", code], 60).error == "no such"
    assert jobs.start_program([sys.executable, "-c", "import os; os._exit(1)"], 60).error


@pytest.mark.parametrize("line", ["", "print(1, flush=True); "])
def test_a_program_that_takes_too_long_is_killed(tmp_path, line):
    pid = tmp_path / "pid"
    code = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); {line}time.sleep(60)"
    started = jobs.start_program([sys.executable, "-c", code], 1.5)
    assert started.error == "no end within 1.5 s"
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_the_module_loads_nothing_heavy():
    """Imports are measured, and a cold start's peak memory includes this module's."""
    code = "import sys, digitkit.benchmark.jobs; print({'numpy', 'msgspec'} & {*sys.modules})"
    assert run_python(code) == "set()\n"
