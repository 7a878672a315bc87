"""What the checks make of evidence: state and remedy, case by case."""

import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from support.doctor import (
    DETECTOR,
    FACTS,
    FILE,
    FRAME,
    GREY_CLASSIFIER,
    LINE_READER,
    PAGE,
    READING,
    failed,
    killed,
    look,
    states,
)
from support.machines import CAPTURED, Firmware, write

from digitkit.device.doctor import packages
from digitkit.device.doctor.answers import Answer, ProbeFailure, ProfileFacts
from digitkit.sources.v4l2 import VideoDevice
from digitkit.system.kernel import usable_cpus

UNTRIED = Answer()
MISSING = failed("missing-module", module="x")
BROKEN = ProbeFailure("error", "is broken", "x.onnx")
PIP = f"{sys.executable} -m pip"
REINSTALL = f"{PIP} install --force-reinstall"
OTHER = "--upgrade 'onnxruntime!=1.21.0,!=1.22.0'"
PACKAGES = ("OpenCV", "ONNX Runtime", "provider", "telemetry", "contract", "inference", "page")
SUPPLY, HEAT = "power supply", "heat sink"
ENVIRONMENT = "digitkit.device.doctor.board.os.environ"
SCREEN = {ENVIRONMENT: {"WAYLAND_DISPLAY": "wayland-0"}}
FULL = type(shutil.disk_usage("/"))(10**9, 10**9, 5_000_000)
WEBCAM = VideoDevice("/dev/video0", "Webcam C270", "uvcvideo", captures=True)
BARRED = {"devices": [VideoDevice("/dev/video0", trouble="permission", group="video")]}
BUSY = {"devices": [replace(WEBCAM, trouble="busy")]}
MEMBER = {"digitkit.device.doctor.cameras.read_memberships": lambda: {"video"}}
HELD = {"digitkit.sources.v4l2.find_holders": lambda device, root: ["mpv (12)"]}
NO_FRAME = failed("error", subject="camera 0", hint="close others")
ABSENT = failed("missing-camera", hint="sudo apt install python3-picamera2")


def case(name: str, state: str, remedy: str | None = None, patch=None, **evidence):
    """A check's expected state, and text in its remedy; `patch` holds what is replaced."""
    return pytest.param(name, state, remedy, evidence, patch or {}, id=f"{name}-{state}-{remedy}")


def files(**change: object) -> dict[str, object]:
    return {"files": (FILE, replace(DETECTOR, **change), LINE_READER, GREY_CLASSIFIER)}


def webcam(answer: Answer) -> dict[str, object]:
    """One that nobody requires."""
    return {"devices": [WEBCAM], "frames": {"/dev/video0": answer}}


def required(answer: Answer) -> dict[str, object]:
    return {"devices": [WEBCAM], "camera": "0", "frames": {"0": answer}}


def pi_camera(answer: Answer, camera: str | None = None) -> dict[str, object]:
    """A Pi's own, whose driver OpenCV cannot use."""
    device = VideoDevice("/dev/video0", "unicam", "unicam", captures=True)
    frames = {"picamera2": answer}
    return {"captured": "pi4", "devices": [device], "frames": frames, "camera": camera}


@pytest.fixture(autouse=True)
def linux_and_free_cameras(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("digitkit.sources.v4l2.find_holders", lambda device, root: [])
    monkeypatch.setattr("digitkit.device.doctor.cameras.read_memberships", set)


@pytest.mark.parametrize(("name", "state", "remedy", "evidence", "patch"), [
    case("Python", "problem", "venv", patch={"sys.version_info": (3, 9, 2)}),
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
    case("int8", "ok", captured="pi5"), case("int8", "ok", captured="pi4"),
    case("int8", "skipped", machine={"features": ()}), case("torch", "skipped"),
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
    case("power", "ok", captured="pi4", run=Firmware(get_throttled="throttled=0x0")),
    case("power", "warning", SUPPLY, captured="pi4", run=Firmware(get_throttled="0x50005")),
    case("power", "warning", HEAT, captured="pi4", run=Firmware(get_throttled="0x80008")),
    case("power", "warning", HEAT, captured="pi4", run=Firmware(get_throttled="0x20000")),
    case("power", "skipped", "sudo usermod -aG video", captured="pi4"), case("power", "skipped"),
    case("disk", "warning", "apt-get clean", patch={"shutil.disk_usage": lambda path: FULL}),
    case("clock", "warning", "date -s", patch={"time.localtime": lambda: time.gmtime(0)}),
    case("display", "skipped", opencv={"windows": True}, patch={ENVIRONMENT: {}}),
    case("clock", "ok"), case("display", "skipped", patch=SCREEN),  # headless
    case("display", "skipped", opencv=UNTRIED, patch=SCREEN),
    case("display", "ok", opencv={"windows": True}, patch=SCREEN),
    case("permission", "warning", "sudo usermod -aG video $USER", **BARRED),
    case("permission", "problem", "sudo usermod -aG video $USER", **BARRED, camera="0"),
    case("permission", "warning", "sudo reboot", **BARRED, patch=MEMBER),
    case("frame", "skipped", **BARRED, camera="0"),
    case("in use", "warning", "sudo fuser -v /dev/video0 ", **BUSY),
    case("in use", "warning", "systemctl stop digitkit", **required(Answer(FRAME)), patch=HELD),
    case("frame", "problem", "close others", **required(NO_FRAME)),
    case("frame", "warning", "close others", **webcam(NO_FRAME)),
    case("frame", "problem", "dmesg", **required(killed("SIGSEGV"))),
    case("frame", "problem", "dmesg", **required(Answer())),
    case("frame", "warning", "lens cap", **required(Answer(replace(FRAME, brightness=0.3)))),
    case("frame", "ok", **required(Answer(FRAME)), onnxruntime=MISSING),
    case("frame", "skipped", **required(Answer(FRAME)), opencv=MISSING),
    case("picamera2", "skipped", **webcam(Answer(FRAME))),
    case("picamera2", "ok", **pi_camera(Answer(FRAME))),
    case("picamera2", "skipped", "apt install python3-picamera2", **pi_camera(ABSENT)),
    case("picamera2", "problem", "apt install python3-picamera2", **pi_camera(ABSENT, "picamera2")),
    case("picamera2", "warning", "close others", **pi_camera(NO_FRAME)),
    case("cameras", "ok", **pi_camera(ABSENT)), case("frame", "skipped", **pi_camera(ABSENT)),
    case("cameras", "problem", "ls /dev/video*", devices=[WEBCAM], camera="/dev/video7"),
    case("frame", "skipped", devices=[WEBCAM], camera="/dev/video7"),
    case("cameras", "skipped", devices=None),
])  # fmt: skip
def test_cases(monkeypatch, name, state, remedy, evidence, patch):
    for target, value in patch.items():
        monkeypatch.setattr(target, value)
    check = look(**evidence)[name]
    assert check.state == state
    assert remedy is None or remedy in check.remedy


def test_a_machine_without_problems_or_without_numpy():
    assert states(look(), *PACKAGES, "NumPy", "model files", "profile") == {"ok"}
    checks = look(numpy=MISSING, opencv=UNTRIED, onnxruntime=UNTRIED, model=UNTRIED)
    assert states(checks, *PACKAGES) == {"skipped"}


@pytest.mark.parametrize(("shipped", "remedy"), [(True, REINSTALL), (False, "--model")])
def test_a_model_that_does_not_load(shipped, remedy):
    reading = replace(READING, input=None, contract=None, text=None, failure=BROKEN)
    checks = look(model={"shipped": shipped, "readings": (reading,), "page": None})
    assert checks["contract"].state == "problem"
    assert remedy in checks["contract"].remedy
    assert states(checks, "inference", "page") == {"skipped"}


@pytest.mark.parametrize(("readings", "expected"), [
    ((), ["problem", "skipped", "skipped"]),
    ((replace(READING, text=None),), ["ok", "problem", "skipped"]),
    ((READING,), ["ok", "ok", "problem"]),
])  # fmt: skip
def test_a_process_that_dies_while_reading(readings, expected):
    facts = replace(FACTS["model"], readings=readings, page=None, profile=None)
    checks = look(model=killed("SIGILL", facts))
    steps = [checks[name] for name in ("contract", "inference", "page")]
    assert [check.state for check in steps] == expected
    assert OTHER in steps[expected.index("problem")].remedy
    assert (checks["profile"].state, checks["telemetry"].state) == ("skipped", "ok")


BOTH = f"{PIP} uninstall -y opencv-python opencv-python-headless && {PIP} install opencv-python"


@pytest.mark.parametrize(("captured", "opencv", "state", "remedy"), [
    ("pi5", {}, "warning", f"{BOTH}-headless"),
    ("server", {}, "warning", BOTH),
    ("pi5", failed("import"), "problem", f"{BOTH}-headless"),
])  # fmt: skip
def test_installed_versions(stub, captured, opencv, state, remedy):
    """Two OpenCVs, and an ONNX Runtime that is known to fail and does."""
    stub("opencv-python", version="4.11.0.86")
    stub("opencv-python-headless", version="4.11.0.86")
    stub("onnxruntime", version="1.22.0")
    checks = look(captured, opencv=opencv, onnxruntime=failed("exited"))
    assert (checks["OpenCV"].state, checks["OpenCV"].remedy) == (state, remedy)
    assert checks["ONNX Runtime"].state == "problem"
    assert OTHER in checks["ONNX Runtime"].remedy


def test_torch_on_a_board(stub, tmp_path, monkeypatch):
    record = "torch/a.so,sha256=x,250000000\ntorch/__init__.py,,1000000\n"
    stub("torch", "", version="2.8.0", record=record)
    write(tmp_path / "stubs/torch/a.so", "")
    check = look("pi4")["torch"]
    assert (check.state, check.remedy) == ("warning", f"{PIP} uninstall -y torch")
    assert "251 MB" in check.found

    missing = Mock(side_effect=packages.PackageNotFoundError("torch"))
    monkeypatch.setattr(packages, "distribution", missing)
    assert look("pi4")["torch"].state == "ok"


def test_environments(monkeypatch, tmp_path):
    def check(prefix: Path | str, state: str, remedy: str = "") -> None:
        monkeypatch.setattr(sys, "prefix", str(prefix))
        environment = look(onnxruntime=MISSING)["environment"]
        assert environment.state == state
        assert remedy in (environment.remedy or "")

    monkeypatch.setattr(sys, "base_prefix", "/usr")
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    check(tmp_path / "venv", "ok")
    write(tmp_path / "venv/pyvenv.cfg", "include-system-site-packages = true\n")
    check(tmp_path / "venv", "warning", f"python3 -m venv --clear {tmp_path / 'venv'}")
    check("/usr", "ok")
    write(tmp_path / "EXTERNALLY-MANAGED", "[externally-managed]\n")
    check("/usr", "warning", "python3 -m venv ")
    # A bundle's environment has no pip.
    write(tmp_path / "bundle.conf", "")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    remedy = look(onnxruntime=MISSING)["ONNX Runtime"].remedy
    assert "./install.sh" in remedy
    assert "pip" not in remedy


def test_cameras():
    names = ("cameras", "permission", "in use", "frame")
    for evidence in (webcam(Answer(FRAME)), required(Answer(FRAME))):
        checks = look(**evidence)
        assert states(checks, *names) == {"ok"}
        assert "Webcam C270" in checks["cameras"].found
        assert "640×480" in checks["frame"].found
    assert states(look(devices=[]), *names, "picamera2") == {"skipped"}
    assert "frame" not in look(**pi_camera(Answer(FRAME), "picamera2"))


def test_heat_memory_and_governor(tmp_path):
    names = ("temperature", "memory", "governor")
    root = shutil.copytree(CAPTURED / "pi4", tmp_path / "pi4")
    assert states(look(root), "temperature", "memory") == {"ok"}
    write(root / "sys/class/thermal/thermal_zone0/temp", "81234\n")
    write(root / "proc/meminfo", "MemTotal: 440000 kB\nMemAvailable: 100000 kB\n")
    for cpu in usable_cpus():
        write(root / f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor", "powersave\n")
    checks = look(root)
    assert states(checks, *names) == {"warning"}
    assert "echo performance | sudo tee " in checks["governor"].remedy
    (root / "proc/device-tree/model").unlink()
    assert look(root)["governor"].state == "ok"  # elsewhere the name means another thing
    assert states(look(tmp_path), *names) == {"skipped"}


def test_a_home_that_belongs_to_another_user(monkeypatch, tmp_path):
    home = tmp_path / "theirs"
    really = Path.exists

    def exists(path, **options):
        if path.is_relative_to(home):  # as Python up to 3.13 has it; root may look everywhere
            raise PermissionError(13, "Permission denied", str(path))
        return really(path, **options)

    monkeypatch.setattr(Path, "exists", exists)
    monkeypatch.setattr("digitkit.system.folders.cache_folder", lambda: home / ".cache/digitkit")
    monkeypatch.chdir(tmp_path)
    assert str(tmp_path) in look()["disk"].found
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert look()["disk"].state in ("ok", "warning")
