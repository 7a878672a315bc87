"""What a fresh process measures; how the processes are started is in test_job_calls.py."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import threading
import time
from array import array
from types import SimpleNamespace

import numpy as np
import pytest
from support.paths import ROOT

from digitkit.benchmark import jobs, runtimes
from digitkit.benchmark.jobs import closed_loop, paced_loop
from digitkit.datasets.load import load_test


def spin(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


# --- loops -----------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    """Time that goes on only while the loops sleep or as a test says, whatever else runs here."""
    stands = SimpleNamespace(ns=0, process_ns=0)

    def sleep(seconds: float) -> None:
        stands.ns += round(seconds * 1e9)

    monkeypatch.setattr(jobs, "_now", lambda: stands.ns)
    times = SimpleNamespace(sleep=sleep, process_time_ns=lambda: stands.process_ns)
    monkeypatch.setattr(jobs, "time", times)
    return stands


@pytest.mark.parametrize(("runs", "calls"), [(0, 1), (1, 1), (3, 3), (4, 4), (100, 100)])
def test_a_closed_loop_runs_often_enough(runs, calls):
    """Once at least; the feeds take turns."""
    seen = []
    took = closed_loop(seen.append, "abc", runs, 0)
    assert isinstance(took, array)
    assert took.typecode == "q"
    assert len(took) == calls
    assert seen == (list("abc") * 34)[:calls]
    assert all(ns >= 0 for ns in took)


def test_a_closed_loop_runs_long_enough(clock):
    def run(feed: int) -> None:
        clock.ns += 10_000_000

    assert list(closed_loop(run, [1, 2], 1, 0.05)) == [10_000_000] * 5


def test_a_closed_loop_keeps_to_the_real_clock():
    begun = time.perf_counter()
    took = closed_loop(lambda feed: None, [1, 2], 1, 0.05)
    over = time.perf_counter() - begun
    assert over >= 0.05
    assert sum(took) <= over * 1e9


def test_what_is_timed_is_the_call():
    took = closed_loop(lambda feed: time.sleep(0.002), [1], 3, 0)
    assert min(took) >= 2_000_000


def test_a_paced_loop():
    seen = []
    found = paced_loop(seen.append, "ab", 5, 200)
    assert seen == list("ababa")
    assert (found.hz, len(found.samples)) == (200, 5)


def test_late_calls_are_counted(clock):
    """Each takes two periods, so that only the first begins in time."""

    def run(feed: int) -> None:
        clock.ns += 20_000_000

    found = paced_loop(run, [1], 4, 100)
    assert found.late == 3
    assert found.samples == (20_000_000,) * 4


def test_the_pace_is_kept_on_average():
    begun = time.perf_counter()
    paced_loop(lambda feed: None, [1], 10, 100)
    assert time.perf_counter() - begun >= 0.1


def test_calls_that_never_sleep_tell_nothing_of_idleness():
    found = paced_loop(lambda feed: None, [1], 3, 1e9)
    assert (found.idle_cpu, found.late) == (None, 3)


def test_a_loop_that_only_sleeps_is_idle():
    """In a process of its own: the threads of other tests' packages would count."""
    code = (
        "from digitkit.benchmark.jobs import paced_loop; "
        "print(paced_loop(lambda feed: None, [1], 8, 50).idle_cpu)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert 0 <= float(done.stdout) < 0.1


def test_threads_that_spin_between_calls_are_seen(clock, monkeypatch):
    """As a runtime's threads do that wait for work without sleeping."""
    over = threading.Event()

    def spinner() -> None:
        while not over.is_set():
            spin(0.001)

    def sleep(seconds: float) -> None:
        # How much of a core it gets depends on what else runs here, so it is given the time.
        enough, last = time.process_time() + seconds / 2, time.monotonic() + 60
        while time.process_time() < enough and time.monotonic() < last:
            time.sleep(0.001)
        clock.ns += round(seconds * 1e9)

    monkeypatch.setattr(jobs.time, "sleep", sleep)
    monkeypatch.setattr(jobs.time, "process_time_ns", time.process_time_ns)
    thread = threading.Thread(target=spinner)
    thread.start()
    try:
        assert paced_loop(lambda feed: None, [1], 8, 50).idle_cpu >= 0.4
    finally:
        over.set()
        thread.join()


def test_the_work_itself_is_no_idle_use(clock):
    def run(feed: int) -> None:
        clock.ns += 5_000_000
        clock.process_ns += 5_000_000

    found = paced_loop(run, [1], 5, 20)
    assert found.idle_cpu == 0
    assert found.samples == (5_000_000,) * 5


# --- jobs ------------------------------------------------------------------------------------


@pytest.fixture
def model(monkeypatch):
    """A model that remembers what it was given, and whether the garbage collector was on."""
    seen = []

    class Module:
        @staticmethod
        def load(path, threads, batch, scale):
            def run(images):
                seen.append((images, gc.isenabled()))
                return np.zeros((batch, 10), np.float32)

            return runtimes.LoadedModel(run, {"threads": threads})

    monkeypatch.setattr(runtimes, "import_runtime", lambda runtime: Module)
    yield seen
    gc.enable()


def steady(folder, **changes):
    values = {
        "model": "m.onnx", "runtime": "onnxruntime", "threads": 2, "batch": 3, "scale": None,
        "warmup_runs": 0, "warmup_seconds": 0, "runs": 1, "seconds": 0, "paced": 0,
        "paced_calls": 0, "samples": str(folder / "s.npy"),
    }  # fmt: skip
    return jobs.measure_steady(**(values | changes))


def test_the_steady_state(model, tmp_path):
    found = steady(tmp_path, runs=65, warmup_runs=1)
    taken = np.load(tmp_path / "s.npy")
    assert (taken.dtype, taken.shape) == (np.int64, (65,))
    first, *rest = model
    assert len(rest) == 1 + 65  # the warm-up is not kept
    assert first[1] is True
    assert not any(collects for _, collects in rest)
    assert {(feed.dtype.name, feed.shape) for feed, _ in model} == {("uint8", (3, 1, 28, 28))}
    assert len({feed.tobytes() for feed, _ in model}) == jobs.IMAGES  # after the last, the first
    assert found.options == {"threads": 2}
    assert found.paced is None
    assert min(found.cpu_s_per_1000_images, found.import_ms, found.create_ms, found.first_ms) >= 0
    assert len(found.frequencies_mhz) == 2


def test_third_party_models_get_scaled_floats(model, tmp_path):
    steady(tmp_path, scale=1 / 255, batch=1)
    feed = model[0][0]
    assert (feed.dtype, feed.shape) == (np.float32, (1, 1, 28, 28))
    assert 0.9 < feed.max() <= 1


def test_the_pace_comes_after_the_closed_loop(model, tmp_path):
    found = steady(tmp_path, paced=500, paced_calls=4)
    assert len(found.paced.samples) == 4
    assert len(np.load(tmp_path / "s.npy")) == 1  # the paced ones are not among them


@pytest.mark.skipif(sys.platform != "linux", reason="as Linux reports it")
def test_memory_grows_in_order(model, tmp_path):
    pytest.importorskip("psutil")
    found = steady(tmp_path)
    assert 10 < found.resident_import_mb <= found.peak_mb + 1
    assert found.resident_load_mb <= found.peak_mb + 1


def test_memory_that_is_not_available(model, monkeypatch, tmp_path):
    """A device has no psutil; other systems than Linux have no /proc."""
    monkeypatch.setitem(sys.modules, "psutil", None)
    found = steady(tmp_path)
    assert (found.resident_import_mb, found.resident_load_mb) == (None, None)

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
    found = jobs.measure_accuracy("m", "onnxruntime", 128, None, str(small_data))
    assert shapes == [(128, 1, 28, 28)] * 3
    assert (found.count, found.correct) == (300, int((load_test(small_data).labels == 0).sum()))


def test_whole_images(digit_file, shipped):
    (found,) = jobs.measure_stages(str(shipped), 1, None, [str(digit_file(7))], [2])
    assert found.digits == 1
    assert len(found.steps) == 2
    for *steps, total in found.steps:
        assert 0 < sum(steps) <= total


@pytest.mark.skipif(sys.platform != "linux", reason="as Linux reports it")
def test_the_peak_of_a_cold_start():
    """The system reports no less than what the parent process held."""
    code = (
        "import json, sys; from digitkit.benchmark import jobs; "
        "commands = ('pass', 'x = b\"x\" * 10**8; print(1)'); "
        "start = lambda c: jobs.start_program([sys.executable, '-c', c]).peak_mb; "
        "print(json.dumps([start(command) for command in commands]))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    little, much = json.loads(done.stdout)
    assert little is None
    assert 100 < much < 150


def test_a_cold_start_ends_with_the_first_line(tmp_path, monkeypatch):
    """The clock is looked at while the program still runs: it waits until that has been done."""
    looked = tmp_path / "looked"
    calls = []

    def now() -> int:
        calls.append(looked.write_text("") if calls else None)
        return 0

    monkeypatch.setattr(jobs, "_now", now)
    code = (
        f"import os, time; print(1, flush=True); last = time.monotonic() + 60\n"
        f"while not os.path.exists({str(looked)!r}):\n"
        "    time.sleep(0.01)\n"
        "    if time.monotonic() > last: raise SystemExit('nobody looks')\n"
    )
    assert jobs.start_program([sys.executable, "-c", code]).error is None
    assert len(calls) == 2


def test_a_program_that_fails():
    code = "import sys; print('no such\\nmodel', file=sys.stderr); sys.exit(2)"
    assert jobs.start_program([sys.executable, "-c", code]).error == "no such"
    assert jobs.start_program([sys.executable, "-c", "import os; os._exit(1)"]).error


def test_the_facts_of_a_model(shipped):
    found = jobs.inspect_model(str(shipped))
    facts = found.facts
    assert (facts.precision, facts.opset) == ("int8", 18)
    assert facts.bytes == shipped.stat().st_size
    assert facts.parameters > 10_000
    assert 0.99 < facts.card_accuracy < 1
    assert found.fixed_batch is False


def test_the_module_loads_nothing_heavy():
    """Imports are measured, and a cold start's peak memory includes this module's."""
    code = "import sys, digitkit.benchmark.jobs; print({'numpy', 'msgspec'} & {*sys.modules})"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "set()\n"
