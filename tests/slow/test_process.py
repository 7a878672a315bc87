"""What is loaded when, and the command line in fresh processes and a fresh environment."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from support.paths import ROOT

from digitkit.cli.app import COMMANDS

DIGITKIT = [sys.executable, "-m", "digitkit"]


def run(*command: object, timeout: float = 300, **more) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=timeout, **more
    )


def test_public_names_load_and_others_do_not():
    import digitkit

    assert all(getattr(digitkit, name) is not None for name in digitkit.__all__)
    with pytest.raises(AttributeError):
        _ = digitkit.nothing


def loaded_by(*arguments: object) -> set[str]:
    """The modules that a process has loaded once `digitkit` has done what it was asked."""
    code = (
        "import atexit, sys; "
        "atexit.register(lambda: print(*sys.modules, sep='\\n', file=sys.stderr)); "
        f"sys.argv = {['digitkit', *map(str, arguments)]!r}; "
        "from digitkit.cli.app import main; main()"
    )
    result = run(sys.executable, "-c", code)
    assert result.returncode == 0, result.stderr
    assert result.stdout
    return set(result.stderr.splitlines())


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["--version"], ["infer", "--help"]])
def test_help_and_version_load_no_other_command_and_nothing_large(arguments):
    modules = loaded_by(*arguments)
    assert not modules & {"numpy", "cv2", "onnxruntime", "torch", "onnx", "pydantic"}
    commands = [name for name in COMMANDS if f"digitkit.cli.{name}" in modules]
    assert commands == arguments[:-1]
    assert commands or "rich" not in modules


def test_infer_loads_no_training():
    modules = loaded_by("infer", ROOT / "data/samples")
    assert not modules & {"torch", "onnx", "matplotlib", "safetensors"}


@pytest.mark.parametrize("options", [(), ("--format", "jsonl", "--mode", "digit")])
def test_one_digit_is_read_with_little(options, digit_file):
    modules = loaded_by("infer", digit_file(3), *options)
    assert {"numpy", "cv2", "onnxruntime", "digitkit.reading.reader"} <= modules
    assert not modules & {"torch", "onnx", "matplotlib", "rich", "pydantic", "msgspec"}
    assert not modules & {"csv", "tempfile", "multiprocessing", "concurrent.futures"}
    assert not modules & {"pyarrow", "ray", "pandas", "watchdog", "uvicorn", "starlette", "sqlite3"}
    unneeded = (
        *("reading.detection.pages", "reading.numbers.fields", "reading.live.tracking"),
        *("models.evaluation", "inference.workers", "sinks.drawing", "sinks.video_file", "figures"),
        *("inference.run_state", "sinks.parquet", "sources.watch", "sources.live"),
        *("cluster", "datasets.load"),
    )
    assert not modules & {f"digitkit.{name}" for name in unneeded}


def test_only_the_command_line_prints():
    for path in sorted((ROOT / "digitkit").rglob("*.py")):
        if path.parent.name != "cli":
            assert not re.search(r"\bprint\(", path.read_text("utf-8")), path


def test_oldest_versions_are_the_lower_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    tested = [*project["dependencies"], *project["optional-dependencies"]["web"]]
    bounds = dict(re.match(r"([\w-]+)>=([\w.]+)", line).groups() for line in tested)
    pins = dict(re.findall(r"^([\w-]+)==([\w.]+)$", (ROOT / "tests/oldest.txt").read_text(), re.M))
    assert pins == bounds


def test_telemetry_is_off_and_no_stray_file_is_written(tmp_path):
    code = (
        "import os; os.environ['ORT_DISABLE_TELEMETRY'] = '0'; "
        "from digitkit import Reader; Reader(); import sys, onnxruntime; "
        "print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    folders = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    env = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"} | folders
    result = run(sys.executable, "-c", code, env=env, cwd=tmp_path)
    assert result.stdout == "1\n", result.stderr
    assert list(tmp_path.rglob("*")) == []


def test_a_closed_pipe_gives_no_traceback_and_answers_come_at_once(digit_file):
    path = digit_file(1)
    with subprocess.Popen(
        [*DIGITKIT, "infer", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as piped:  # fmt: skip
        piped.stdin.write(f"{path}\n")
        piped.stdin.flush()
        assert str(path) in piped.stdout.readline()  # before the list has ended
        piped.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            piped.stdin.write(f"{path}\n" * 50)
            piped.stdin.flush()
        assert piped.wait(60) == 1
        assert piped.stderr.read() == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_gives_one_line(digit_file):
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [*DIGITKIT, "infer", str(digit_file(1))], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("digitkit: standard output: ")


def test_a_terminal_without_utf8_gets_no_traceback(tmp_path, digit_file):
    (tmp_path / "zwölf ☃.png").write_bytes(digit_file(1).read_bytes())
    env = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    env["PYTHONIOENCODING"] = "ascii"
    arguments = ("infer", "-", "--null", "--format", "jsonl")
    result = run(*DIGITKIT, *arguments, env=env, input=f"{tmp_path}\0{tmp_path}/zwölf ☃.png")
    assert (result.returncode, len(result.stdout.splitlines())) == (0, 3), result.stderr


def test_ctrl_c_stops_a_training_with_its_checkpoint(tmp_path, small_data):
    pytest.importorskip("torch")
    out = tmp_path / "run"
    with subprocess.Popen(
        [*DIGITKIT, "train", "--data", small_data, "--out", out, "--epochs", "500"],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        # A shell's background job has SIGINT ignored, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as training:  # fmt: skip
        # The record comes after the checkpoint, and may be interrupted.
        for _ in range(2400):
            if (out / "run.json").exists() and json.loads((out / "run.json").read_text())["epochs"]:
                break
            time.sleep(0.1)
        training.send_signal(signal.SIGINT)
        try:
            _, errors = training.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            training.kill()
            raise
    assert training.returncode == 130
    assert f"digitkit train --resume {out}" in errors.splitlines()[-1]
    assert "Traceback" not in errors
    record = json.loads((out / "run.json").read_text())
    assert (record["status"], bool(record["epochs"])) == ("running", True)
    assert (out / "checkpoint.pt").is_file()
    assert {path.name for path in out.glob(".*")} == {".lock"}


def test_infer_without_torch_and_onnx(tmp_path, digit_file, monkeypatch):
    """In a fresh virtual environment with nothing but the wheel and what it asks for."""
    pytest.importorskip("hatchling", reason="builds a wheel; make test-oldest has no builder")
    monkeypatch.delenv("PYTHONPATH", raising=False)  # it is the wheel that is tried
    built = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=ROOT)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    bare = tmp_path / "venv/bin"
    pip = (bare / "python", "-m", "pip", "--retries", 1, "--timeout", 15)
    installed = run(*pip, "install", "--quiet", wheel, timeout=1200)
    if installed.returncode:
        pytest.skip(f"no network to install from: {installed.stderr.splitlines()[-1]}")
    listed = run(*pip, "list", "--format", "freeze").stdout
    assert not re.search(r"^(torch|onnx|onnxscript|matplotlib)==", listed, re.M)
    path = digit_file(8, size=300)
    result = run(bare / "digitkit", "infer", path, "--format", "jsonl", cwd=tmp_path)
    assert json.loads(result.stdout)["text"] == "8"
    assert result.stderr == ""
    result = run(bare / "digitkit", "train", cwd=tmp_path)
    assert result.returncode == 2
    assert "pip install 'digitkit[train]'" in result.stderr
    result = run(bare / "digitkit", "inspect", cwd=tmp_path)
    # A long path is wrapped, in its column.
    assert "digitkit/exported/digits-int8.onnx" in "".join(result.stdout.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("infer", "data/samples", "--model", "{}.onnx"), ("eval", "--data", "{}"),
        ("inspect", "{}.onnx"),
    ],
)  # fmt: skip
def test_a_name_that_no_system_takes_is_one_line(arguments):
    name = "x" * 300
    result = run(*DIGITKIT, *(text.format(name) for text in arguments), cwd=ROOT)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"digitkit: {name}")


def test_a_missing_system_library_is_named(tmp_path):
    """What a bare Debian server says of opencv-python."""
    (tmp_path / "cv2").mkdir()
    (tmp_path / "cv2/__init__.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file: No such file')"
    )
    env = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    result = run(*DIGITKIT, "infer", "x.png", env=env)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "sudo apt-get install libgl1" in line
