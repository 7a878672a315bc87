"""Jobs in real processes: results, failures, and what is left after an interrupt."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.errors import error_of
from support.paths import ROOT

from digitkit.benchmark import job_calls, jobs
from digitkit.benchmark.job_calls import JobError, run_job, run_throughput
from digitkit.benchmark.job_results import WorkDone
from digitkit.system.processes import Child


def test_errors_name_files_without_folders(tmp_path):
    """Reports travel."""
    file = tmp_path / "broken.onnx"
    file.write_bytes(b"no model")
    for job, arguments in (
        (jobs.inspect_model, {"name": "broken"}),
        (jobs.measure_accuracy, {"runtime": "onnxruntime", "batch": 1, "scale": 1, "data": None}),
        (jobs.measure_stages, {"threads": 1, "scale": 1, "pictures": [], "runs": []}),
    ):
        error = error_of(JobError, run_job, 60, job, model=str(file), **arguments)
        assert "broken.onnx" in str(error)
        assert str(tmp_path) not in str(error)


def test_a_job_that_takes_too_long():
    error_of(JobError, run_job, 0.5, jobs.start_program, command=["sleep", "3"], seconds=60)


def measure_throughput(model: str, folder: str) -> Iterator[str | WorkDone]:
    """Stands in for the job of this name in the children; `model` says how the first one fails."""
    try:
        (Path(folder) / "first").mkdir()
    except FileExistsError:
        model = "fine"
    os.write(1, b"\xff \n\n=ready\n")  # as some runtimes do
    if model == "crash-before":
        os.kill(os.getpid(), signal.SIGKILL)
    if model == "interrupt":
        os.kill(os.getppid(), signal.SIGINT)
    if model in ("hang", "interrupt"):
        time.sleep(60)
    yield "ready"
    assert sys.stdin.readline() == "go\n"
    if model == "crash-after":
        raise SystemExit(4)
    yield WorkDone(100, 0.5)


@pytest.fixture
def stand_in(monkeypatch):
    """Children call the function of this module."""

    def start(module, function, arguments, **options):
        return Child("unit.benchmark.test_job_calls", function, arguments, **options)

    monkeypatch.setattr(job_calls, "Child", start)


@pytest.mark.parametrize("workers", [1, 3])
def test_throughput_is_summed(stand_in, tmp_path, workers):
    assert run_throughput(60, workers, model="fine", folder=str(tmp_path)) == 200 * workers


@pytest.mark.parametrize("model", ["crash-before", "crash-after", "hang"])
def test_throughput_of_which_one_fails(stand_in, tmp_path, model):
    """The others' sum would be taken for all."""
    with pytest.raises(JobError, match="one of 2 processes: "):
        run_throughput(1.0 if model == "hang" else 60, 2, model=model, folder=str(tmp_path))


def test_more_processes_than_can_be_started(monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(job_calls, "Child", refuse)
    with pytest.raises(JobError, match="only 0 of 2 processes can be started: Too many open files"):
        run_throughput(60, 2, model="fine")


def ps(*options: object) -> list[str]:
    if shutil.which("ps") is None:
        pytest.skip("needs ps")
    command = ["ps", "-ww", *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()


def running_children(pid: int) -> list[str]:
    """Processes that a process has started and that still run."""
    listed = ps("-o", "stat=,pid=,args=", "--ppid", pid)
    alive = [line for line in listed if not line.startswith("Z") and "ps -ww" not in line]
    return [line.split(maxsplit=1)[1] for line in alive]  # whether one sleeps or runs may change


def test_an_interrupt_ends_the_processes_that_run_at_once(stand_in, tmp_path):
    before = running_children(os.getpid())
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_throughput(60, 2, model="interrupt", folder=str(tmp_path))
    finally:
        signal.signal(signal.SIGINT, handler)
    assert running_children(os.getpid()) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_behind(tmp_path, number):
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-m", "digitkit", "bench", "--models", "digits-tiny"]
    with subprocess.Popen(
        [*command, "--json", tmp_path / "r.json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
        # A shell's background job has SIGINT ignored, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as benchmark:  # fmt: skip
        for _ in range(2400):
            children = running_children(benchmark.pid)
            # Asleep, it waits for what it has started; before, it may be about to note that.
            asleep = ps("-o", "stat=", "-p", benchmark.pid)[0].startswith("S")
            if asleep and any("'measure_steady'" in line for line in children):
                break
            time.sleep(0.05)
        assert len(children) == 1, children
        benchmark.send_signal(number)
        _, errors = benchmark.communicate(timeout=60)
    assert benchmark.returncode in (130, 128 + number)
    assert "Traceback" not in errors
    assert list(tmp_path.rglob("*")) == [tmp_path / "tmp"]
    assert str(tmp_path / "tmp") not in "\n".join(ps("-eo", "args="))
