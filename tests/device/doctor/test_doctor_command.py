"""`digitkit doctor`, and a diagnosis of this machine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.cli import one_error_line, run
from support.doctor import by_name

from digitkit.device.doctor import diagnosis
from digitkit.device.doctor.checks import Check, Diagnosis
from digitkit.device.doctor.evidence import DoctorConfig

PROBLEM = Check("clock", "problem", "bad", "mend it", group="device")


@pytest.mark.parametrize("model", ["digits", "digits-tiny"])
def test_this_machine(model):
    steps = []
    config = DoctorConfig(model, cameras=False)
    result = diagnosis.diagnose(config, progress=lambda *step: steps.append(step[1:]))
    checks = by_name(result.checks)
    assert result.problems == []
    for name in ("NumPy", "OpenCV", "telemetry", "contract", "inference"):
        assert checks[name].state in ("ok", "warning")
    assert checks["page"].state == "ok" or model == "digits-tiny"
    assert checks["cameras"].state == "skipped"
    assert steps == [(0, 4), (1, 4), (2, 4), (3, 4)]


def test_it_loads_nothing_heavy():
    code = (
        "import sys, digitkit.device.doctor.diagnosis, digitkit.cli.doctor; "
        "print({'cv2', 'numpy', 'onnxruntime', 'rich'} & {*sys.modules})"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


@pytest.fixture
def command(monkeypatch):
    """The checks that the command gets, and the configs that it passes."""
    configs, checks = [], [
        Check("Python", "ok", "3.11.2", group="system"),
        Check("frame", "warning", "all [bold]black[/]", "take the cap off", group="camera"),
        Check("disk", "skipped", "word " * 40, group="device"),
    ]  # fmt: skip

    def diagnose(config, progress):
        configs.append(config)
        return Diagnosis("0.1.0", "Raspberry Pi 4 Model B", tuple(checks))

    monkeypatch.setattr(diagnosis, "diagnose", diagnose)
    return checks, configs


def test_text(command, monkeypatch):
    checks, configs = command
    result = run("doctor")
    assert (result.exit_code, configs) == (0, [DoctorConfig()])
    lines = result.stdout.splitlines()
    assert lines[0] == "digitkit 0.1.0 on Raspberry Pi 4 Model B"
    assert "  Python        ok       3.11.2" in lines
    assert "  frame         warning  all [bold]black[/]" in lines
    assert "                do:      take the cap off" in lines
    assert lines[-1].endswith("problems: 0, warnings: 1")
    assert "\x1b" not in result.stdout
    _, second = (line for line in lines if "word" in line)
    assert second.startswith(" " * 25 + "word")
    checks.append(Check("serve", "problem", "does not answer", group="service"))
    result = run("doctor")
    assert result.exit_code == 1
    assert result.stdout.endswith("digitkit infer can run; problems: 1, warnings: 1\n")
    checks[-1] = PROBLEM
    result = run("doctor")
    assert result.exit_code == 1
    assert result.stdout.endswith("digitkit infer cannot run; problems: 1, warnings: 1\n")
    for name, value in (("FORCE_COLOR", "1"), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    assert "\x1b[33mwarning" in run("doctor").stdout


def test_json_and_options(command):
    checks, configs = command
    result = run("doctor", "--json", "--camera", "rtsp://h/x", "--model", "digits-tiny")
    assert configs == [DoctorConfig("digits-tiny", "rtsp://h/x")]
    keys = ("name", "state", "found", "remedy", "group")
    assert json.loads(result.stdout) == {
        **{"format": "digitkit-doctor/1", "fine": True, "digitkit": "0.1.0"},
        "board": "Raspberry Pi 4 Model B",
        "checks": [{key: getattr(check, key) for key in keys} for check in checks],
    }
    checks.append(PROBLEM)
    result = run("doctor", "--json", "--no-camera")
    assert (result.exit_code, json.loads(result.stdout)["fine"]) == (1, False)
    assert not configs[-1].cameras


@pytest.mark.parametrize(
    "options",
    [
        *("--camera 0 --no-camera", "--camera front", "--camera ftp://me:geheim@host/x"),
        *("--camera \udcff", "--camer"),
    ],
)
def test_wrong_options(options):
    result = run("doctor", *options.split())
    assert result.exit_code == 2
    assert "--camer" in result.stderr
    assert "geheim" not in result.stderr
    assert "Traceback" not in result.output


def test_a_machine_where_packages_are_broken(stub, monkeypatch):
    stub("cv2", "raise ImportError('libGL.so.1: cannot open shared object file: No such file')")
    result = run("doctor", "--no-camera")
    assert result.exit_code == 1
    assert any("do: " in line and "libgl1" in line for line in result.stdout.splitlines())
    monkeypatch.setitem(sys.modules, "msgspec", None)  # doctor itself requires it
    assert "pip install" in one_error_line(run("doctor", "--no-camera"), 2)


def test_a_password_is_not_shown():
    result = run("doctor", "--json", "--camera", "http://me:geheim@127.0.0.1:9/x")
    assert result.exit_code == 1
    assert "geheim" not in result.output
    frame = next(c for c in json.loads(result.stdout)["checks"] if c["name"] == "frame")
    assert frame["state"] == "problem"
    assert "http://me:***@127.0.0.1:9/x" in frame["found"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_full_disk(form):
    command = [sys.executable, "-m", "digitkit", "doctor", "--no-camera", *form]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, "standard output" in line) == (1, True)
