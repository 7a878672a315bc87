"""What the checks make of evidence: state and remedy, case by case."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
from support.doctor import (
    DETECTOR,
    FACTS,
    FILE,
    PAGE,
    READING,
    failed,
    killed,
    look,
    states,
)
from support.machines import Firmware, write

from digitkit.device.doctor import packages
from digitkit.device.doctor.answers import Answer, ProbeFailure, ProfileFacts

UNTRIED = Answer()
MISSING = failed("missing-module", module="x")
BROKEN = ProbeFailure("error", "is broken", "x.onnx")
PIP = f"{sys.executable} -m pip"
REINSTALL = f"{PIP} install --force-reinstall"
OTHER = "--upgrade 'onnxruntime!=1.21.0,!=1.22.0'"
PACKAGES = ("OpenCV", "ONNX Runtime", "provider", "telemetry", "contract", "inference", "page")


def case(name: str, state: str, remedy: str | None = None, **evidence):
    return pytest.param(name, state, remedy, evidence, id=f"{name}-{state}-{remedy}")


def files(**change: object) -> dict[str, object]:
    return {"files": (FILE, replace(DETECTOR, **change))}


SYSTEM = [
    case("userland", "problem", "64-bit OS", machine={"bits": 32}, onnxruntime=MISSING),
    case("userland", "warning", "64-bit OS", machine={"bits": 32}),  # somebody built one
    case("userland", "warning", "Pi Zero 2 W", machine={"bits": 32, "cpu": "ARM1176"}),
    case("processor", "warning", "64-bit", machine={"architecture": "armv6l"}),
    case("processor", "problem", machine={"architecture": "armv6l"}, onnxruntime=MISSING),
    case("C library", "ok", machine={"libc": "glibc 2.28"}, onnxruntime=MISSING),
    case("C library", "problem", machine={"libc": "glibc 2.27"}, onnxruntime=MISSING),
    case("C library", "warning", machine={"libc": "glibc 2.27"}),
    case("C library", "problem", machine={"libc": None}, onnxruntime=MISSING),
    case("C library", "problem", machine={"libc": "musl 1.2"}, onnxruntime=MISSING),
]
PACKAGE = [
    case("NumPy", "problem", REINSTALL, numpy={"correct": False}),
    case("NumPy", "problem", f"{PIP} install numpy", numpy=MISSING),
    case("NumPy", "problem", REINSTALL, numpy=failed("missing-module", module="numpy._core")),
    case("NumPy", "problem", "apt-file search libx.so", numpy=failed(library="libx.so")),
    case("NumPy", "problem", REINSTALL, numpy=failed("exited")),
    case("NumPy", "problem", "free -m", numpy=killed("SIGKILL")),
    case("NumPy", "problem", "export OPENBLAS_CORETYPE=ARMV8 ", numpy=killed("SIGILL")),
    case("OpenCV", "problem", "apt-get install -y libgl1", opencv=failed(library="libGL.so.1")),
    case("OpenCV", "problem", "apt-file search libopen", opencv=failed(library="libopen.so")),
    case("ONNX Runtime", "problem", OTHER, captured="pi4", onnxruntime={"version": "1.21.0"}),
    case("ONNX Runtime", "warning", OTHER, captured="pi5", onnxruntime={"version": "1.21.0"}),
    case("ONNX Runtime", "problem", captured="pi3", onnxruntime={"version": "1.22.0"}),
    case("ONNX Runtime", "warning", captured="pi4", onnxruntime={"version": "1.22.0"}),
    case("ONNX Runtime", "problem", OTHER, onnxruntime=killed("SIGILL")),
    case("ONNX Runtime", "problem", f"{PIP} install onnxruntime", onnxruntime=MISSING),
    case("ONNX Runtime", "problem", "64-bit", onnxruntime=MISSING, machine={"bits": 32}),
    case("provider", "problem", REINSTALL, onnxruntime={"providers": ("Azure",)}),
    case("telemetry", "ok", model={"sockets_opened": None}),
    case("telemetry", "warning", "export ORT_DIS", onnxruntime={"telemetry_switch": None}),
    case("telemetry", "warning", "export ORT_DIS", onnxruntime={"loaded_early": True}),
    case("telemetry", "warning", "digitkit doctor --json", model={"sockets_opened": 2}),
    case("int8", "ok", captured="pi5"),
    case("int8", "ok", captured="pi4"),
    case("int8", "skipped", machine={"features": ()}),
    case("torch", "skipped"),
]
MODEL = [
    case("model files", "warning", REINSTALL, model=files(listed_sha256=None)),
    case("model files", "problem", REINSTALL, model=files(sha256=None)),
    case("model files", "problem", REINSTALL, model=files(sha256=None, listed_sha256=None)),
    case("model files", "problem", REINSTALL, model=files(sha256="x")),
    case("model files", "ok", model=files(listed_sha256=None, shipped=False)),
    case("model files", "problem", "--model", model=failed("error", subject="none.onnx")),
    case("contract", "ok", model={"readings": (replace(READING, contract=None),)}),  # third-party
    case("inference", "problem", REINSTALL, model={"readings": (replace(READING, text="6"),)}),
    case("page", "problem", model={"page": replace(PAGE, text="1", digits="16", expected="19")}),
    # digits-tiny does not accept a digit of the page, on any machine.
    case("page", "warning", "digitkit eval digits", model={"page": replace(PAGE, text="198")}),
    case("page", "warning", model={"page": replace(PAGE, text="1", digits="1"), "shipped": False}),
    case("page", "problem", model={"page": replace(PAGE, failure=BROKEN)}),
    case("profile", "ok", model={"profile": ProfileFacts("int8, threads: 4", None)}),
    case("profile", "skipped", model={"profile": None}),
    case("profile", "warning", "digitkit bench ", model={"profile": ProfileFacts(None, "is old")}),
]
SUPPLY, HEAT = "power supply", "heat sink"
BOARD = [
    case("power", "ok", captured="pi4", run=Firmware(get_throttled="throttled=0x0")),
    case("power", "warning", SUPPLY, captured="pi4", run=Firmware(get_throttled="0x50005")),
    case("power", "warning", HEAT, captured="pi4", run=Firmware(get_throttled="0x80008")),
    case("power", "warning", HEAT, captured="pi4", run=Firmware(get_throttled="0x20000")),
    case("power", "skipped", "sudo usermod -aG video", captured="pi4"),
    case("power", "skipped"),
]


@pytest.mark.parametrize(("name", "state", "remedy", "evidence"), SYSTEM + PACKAGE + MODEL + BOARD)
def test_cases(monkeypatch, name, state, remedy, evidence):
    monkeypatch.setattr(sys, "platform", "linux")
    check = look(**evidence)[name]
    assert check.state == state
    assert remedy is None or remedy in check.remedy


def test_no_problem():
    assert states(look(), *PACKAGES, "NumPy", "model files", "profile") == {"ok"}


def test_what_needs_numpy():
    checks = look(numpy=MISSING, opencv=UNTRIED, onnxruntime=UNTRIED, model=UNTRIED)
    assert states(checks, *PACKAGES) == {"skipped"}


@pytest.mark.parametrize(("shipped", "remedy"), [(True, REINSTALL), (False, "--model")])
def test_a_model_that_does_not_load(shipped, remedy):
    reading = replace(READING, input=None, contract=None, text=None, failure=BROKEN)
    checks = look(model={"shipped": shipped, "readings": (reading,), "page": None})
    assert checks["contract"].state == "problem"
    assert remedy in checks["contract"].remedy
    assert states(checks, "inference", "page") == {"skipped"}


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ((), ["problem", "skipped", "skipped"]),
        ((replace(READING, text=None),), ["ok", "problem", "skipped"]),
        ((READING,), ["ok", "ok", "problem"]),
    ],
)
def test_a_process_that_dies_while_reading(readings, expected):
    facts = replace(FACTS["model"], readings=readings, page=None, profile=None)
    checks = look(model=killed("SIGILL", facts))
    found = [checks[name] for name in ("contract", "inference", "page")]
    assert [check.state for check in found] == expected
    assert OTHER in found[expected.index("problem")].remedy
    assert checks["profile"].state == "skipped"
    assert checks["telemetry"].state == "ok"


def test_two_opencvs(stub):
    stub("opencv-python", version="4.11.0.86")
    stub("opencv-python-headless", version="4.11.0.86")
    both = f"{PIP} uninstall -y opencv-python opencv-python-headless && {PIP} install opencv-python"
    for captured, answer, state, remedy in (
        ("pi5", {}, "warning", f"{both}-headless"),
        ("server", {}, "warning", both),
        ("pi5", failed("import"), "problem", f"{both}-headless"),
    ):
        check = look(captured, opencv=answer)["OpenCV"]
        assert (check.state, check.remedy) == (state, remedy)


def test_a_version_that_is_known_to_fail_and_does(stub):
    stub("onnxruntime", version="1.22.0")
    check = look("server", onnxruntime=failed("exited"))["ONNX Runtime"]
    assert check.state == "problem"
    assert OTHER in check.remedy


def test_a_bundle_s_environment_has_no_pip(monkeypatch, tmp_path):
    write(tmp_path / "bundle.conf", "")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    remedy = look(onnxruntime=MISSING)["ONNX Runtime"].remedy
    assert "./install.sh" in remedy
    assert "pip" not in remedy


def test_torch_on_a_board(stub, tmp_path, monkeypatch):
    record = "torch/a.so,sha256=x,250000000\ntorch/__init__.py,,1000000\n"
    stub("torch", "", version="2.8.0", record=record)
    write(tmp_path / "stubs/torch/a.so", "")
    check = look("pi4")["torch"]
    assert (check.state, check.remedy) == ("warning", f"{PIP} uninstall -y torch")
    assert "251 MB" in check.found

    def missing(name):
        raise packages.PackageNotFoundError(name)

    monkeypatch.setattr(packages, "distribution", missing)
    assert look("pi4")["torch"].state == "ok"


def test_an_old_python(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    assert look()["Python"].state == "problem"


def test_environments(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert look()["environment"].state == "ok"
    write(tmp_path / "pyvenv.cfg", "home = /usr/bin\ninclude-system-site-packages = true\n")
    check = look()["environment"]
    assert check.state == "warning"
    assert f"python3 -m venv --clear {tmp_path}" in check.remedy
    monkeypatch.setattr(sys, "prefix", "/usr")
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    assert look()["environment"].state == "ok"
    write(tmp_path / "EXTERNALLY-MANAGED", "[externally-managed]\n")
    check = look()["environment"]
    assert check.state == "warning"
    assert check.remedy.startswith("python3 -m venv ")
