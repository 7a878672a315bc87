"""Full disks: the error names what could not be written, and nothing half-written stays.

A limit on the size of files stands for them, which an ordinary user can set.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from support.cli import one_error_line, run
from support.errors import error_of
from support.training import Silent, train_config

from digitkit.errors import OutputError
from digitkit.system import sorting
from digitkit.system.run_file import create_run_file, open_run_file

resource = pytest.importorskip("resource")


@contextmanager
def files_of_at_most(size: int):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """The folder for temporary files."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_export_names_the_temporary_folder(fast_run, tmp_path, scratch):
    pytest.importorskip("torch")
    with files_of_at_most(10_000):
        result = run("export", fast_run.folder, "--out", tmp_path / "out")
    assert result.exit_code == 1, result.output
    line = result.stderr.splitlines()[-1]
    assert str(scratch) in line
    assert "TMPDIR" in line
    assert list(scratch.iterdir()) == []
    assert not (tmp_path / "out").exists()


def test_quantisation_names_it_too(shipped, mnist_test, scratch):
    """onnx writes as much as fits, and says nothing."""
    onnx = pytest.importorskip("onnx")
    from digitkit.export.quantize import quantize

    model = onnx.load(shipped.with_name("digits-fp32.onnx"))
    with files_of_at_most(model.ByteSize() + 10):
        error = error_of(OutputError, quantize, model, mnist_test.images[:10], "x86")
    assert Path(error.subject).parent == scratch
    assert list(scratch.iterdir()) == []


def test_export_without_a_temporary_folder(fast_run, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    result = run("export", fast_run.folder, "--out", tmp_path / "out", "--no-int8")
    assert result.exit_code == 1
    assert "TMPDIR" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("size", [100, 20_000])
def test_training_names_the_run_folder(few_digits, tmp_path, size):
    pytest.importorskip("torch")
    from digitkit.training.run import train

    with files_of_at_most(size):
        error = error_of(OutputError, train, train_config(tmp_path / "a", few_digits), Silent())
    assert Path(error.subject).parent == tmp_path / "a"
    left = {path.name for path in (tmp_path / "a").iterdir()}
    assert left <= {".lock", "run.json"}
    if "run.json" in left:
        assert json.loads((tmp_path / "a/run.json").read_text())["status"] == "running"


def test_training_the_detector_names_its_weights(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    from digitkit.system.progress import no_progress
    from digitkit.training import detector_training
    from digitkit.training.detector_data import make_sample
    from digitkit.training.steps import train_steps

    class Blank(torch.utils.data.IterableDataset):
        def __iter__(self):
            page = np.zeros((320, 320), np.uint8)
            yield make_sample(page, page, page, np.array([[60, 100, 40, 80]], np.float32), 0, 0)

    monkeypatch.setattr(detector_training, "SceneSamples", lambda seed, first: Blank())
    config = detector_training.DetectorConfig(
        tmp_path / "a", steps=1, batch=1, threads=1, workers=0
    )
    with files_of_at_most(1000):
        ignore = lambda _: None  # noqa: E731
        task = detector_training.DETECTOR
        error = error_of(OutputError, train_steps, task, config, ignore, no_progress)
    assert error.subject == str(tmp_path / "a/finder.pt")
    assert list((tmp_path / "a").iterdir()) == []


@pytest.mark.parametrize(
    "output", [("--output", "out.jsonl"), ("--annotate", "seen"), ("--annotate", "seen.avi")]
)
def test_infer_names_the_output(digit_file, tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    image = digit_file(3, size=100)
    with files_of_at_most(40):
        result = run("infer", image, image, "--format", "jsonl", *output)
    line = one_error_line(result, 1)
    assert line.startswith(f"digitkit: {output[1]}")
    assert {path.name for path in tmp_path.rglob("*")} <= {image.name, "seen"}


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_standard_output_is_named_where_it_is_full(argument, unbuffered):
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "digitkit", argument],
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    (line,) = done.stderr.splitlines()
    assert (done.returncode, line.startswith("digitkit: standard output: ")) == (1, True)


def test_other_errors_are_not_blamed_on_it():
    code = (
        "import errno; from digitkit.cli import app\n"
        "def fail(**_): raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "app.app = fail\n"
        "app.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "standard output" not in done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_output_stays_as_unbuffered_as_asked_for(unbuffered):
    code = (
        "import os; from digitkit.cli import app\n"
        "app.app = lambda **_: (print('text'), os._exit(0))\n"
        "app.main()"
    )
    env = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=False)
    assert done.stdout == (b"text\n" if unbuffered else b"")


def test_an_entry_of_a_run_that_does_not_fit(tmp_path):
    path = tmp_path / "out.parquet.run"
    with create_run_file(path, {}) as run_file:
        run_file.append(0, b"first")
        size = path.stat().st_size
        with files_of_at_most(size + 30):
            assert str(path) in str(error_of(OutputError, run_file.append, 0, b"x" * 100))
        assert path.stat().st_size == size
        run_file.append(1, b"last")
    with open_run_file(path) as run_file:
        assert list(run_file.entries()) == [(0, b"first"), (1, b"last")]


def test_a_run_that_cannot_begin_leaves_nothing(tmp_path):
    path = tmp_path / "out.parquet.run"
    with files_of_at_most(20):
        error_of(OutputError, create_run_file(path, {"model": "x" * 50}).__enter__)
    assert not path.exists()


def test_a_folder_whose_names_do_not_fit_is_not_read(digit_file, tmp_path, scratch, monkeypatch):
    monkeypatch.setattr(sorting, "MAX_NAMES", 2)
    for number in range(40):
        digit_file(1, f"in/{number:0100d}.png")
    output = tmp_path / "out.csv"
    with files_of_at_most(1000):
        result = run("infer", tmp_path / "in", "--output", output)
    line = one_error_line(result, 1)
    assert str(scratch) in line
    assert "TMPDIR" in line
    assert not output.exists()
    assert not any(scratch.iterdir())
