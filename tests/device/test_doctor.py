"""`digitkit doctor`: real probes in fresh processes, with stand-ins for packages that fail."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.cli import run
from support.machines import CAPTURED, NO_FIRMWARE, Firmware, write
from support.mjpeg import Server, jpeg

from digitkit.device.doctor import diagnosis as doctor
from digitkit.device.doctor.diagnosis import Answer, Check, Diagnosis
from digitkit.images.opencv import cv2
from digitkit.models.registry import models_folder
from digitkit.sources import v4l2
from digitkit.sources.v4l2 import VideoDevice
from digitkit.system.kernel import usable_cpus
from digitkit.system.machine import read_machine
from digitkit.system.processes import RunCommand

really_ask = doctor.ask

SIGILL = "import os, signal; os.kill(os.getpid(), signal.SIGILL)"


@pytest.fixture(autouse=True)
def no_profile_and_no_screen(monkeypatch, tmp_path):
    monkeypatch.setenv("DIGITKIT_PROFILE", str(tmp_path / "none.json"))
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """Puts a package, or what pip knows of one, in front of the installed ones."""
    folder = tmp_path / "stubs"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)

    def make(name: str, code: str | None = None, version: str | None = None, record: str = ""):
        if code is not None:
            write(folder / name / "__init__.py", code)
        if version is not None:
            info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
            write(info / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            write(info / "RECORD", record)

    return make


# What probes answer where all is well.
FINE = {
    "numpy": {"numpy": {"version": "2.2.0", "right": True}},
    "opencv": {"opencv": {"version": "4.11.0", "windows": False}},
    "onnxruntime": {
        "onnxruntime": {
            "version": "1.24.1",
            "providers": ["CPUExecutionProvider"],
            "switch": "1",
            "early": False,
        }
    },
    "model": {
        "files": {
            "shipped": True,
            "files": [
                {"name": "digits-int8.onnx", "sha256": "ab", "listed": "ab", "own": True},
                {"name": "finder.onnx", "sha256": "cd", "listed": "cd", "own": True},
            ],
        },
        "contract of digits-int8.onnx": {
            "takes": "image",
            "promise": {
                "contract": 1,
                "precision": "int8",
                "test_accuracy": 0.9973,
                "test_data": "MNIST test",
            },
        },
        "digit by digits-int8.onnx": {"text": "0"},
        "page": {"text": "1984", "all": "1984", "expected": "1984"},
        "sockets": {"opened": 0},
        "profile": {"fits": None, "note": None},
    },
    "camera": {"frame": {"width": 640, "height": 480, "brightness": 101.4}},
}


@pytest.fixture
def probes(monkeypatch):
    """Answers instead of processes; what a test puts in takes the place of what is well."""
    answers = {name: Answer(found) for name, found in FINE.items()}
    asked = []

    def ask(probe, arguments, seconds=1.0):
        asked.append((probe, arguments.get("name")))
        return answers[probe]

    monkeypatch.setattr(doctor, "ask", ask)
    answers["asked"] = asked
    return answers


@pytest.fixture
def videos(monkeypatch):
    """Cameras that are found."""
    found: list[VideoDevice] = []
    monkeypatch.setattr(v4l2, "devices", lambda root: found)
    return found


def by_name(diagnosis: Diagnosis) -> dict[str, Check]:
    named = {check.name: check for check in diagnosis.checks}
    assert len(named) == len(diagnosis.checks)
    for check in diagnosis.checks:
        assert "\n" not in check.found + (check.remedy or "")
        assert check.remedy or check.state in ("ok", "skipped"), check
    return named


def look(root: Path = Path("/"), run: RunCommand = NO_FIRMWARE, **options) -> dict[str, Check]:
    options.setdefault("cameras", False)
    return by_name(doctor.diagnose(root=root, run=run, **options))


def on(name: str) -> Path:
    return CAPTURED / name


# --- with what is installed ------------------------------------------------------------------


def test_this_machine():
    steps = []
    found = doctor.diagnose(cameras=False, progress=lambda *step: steps.append(step))
    checks = by_name(found)
    assert found.problems == []
    assert checks["NumPy"].found == np.__version__
    assert checks["OpenCV"].found.startswith(cv2.__version__)
    assert checks["inference"].found == "a 0 is read by digits-int8.onnx, digits-fp32.onnx"
    assert checks["page"].found == "read right: 1984 / 2750 / 6361"
    assert checks["contract"].found.startswith("digits-int8.onnx: contract 1, int8, 99.7")
    assert checks["model files"].found.endswith("finder.onnx: as SHA256SUMS says")
    assert checks["cameras"].state == "skipped"
    assert checks["telemetry"].state == "ok"
    linux = Path("/proc/self/fd").exists()
    assert checks["telemetry"].found.endswith("and reading opened no socket" if linux else "loaded")
    steps_of_four = ["NumPy", "OpenCV", "ONNX Runtime", "the model"]
    assert steps == [(what, done, 4) for done, what in enumerate(steps_of_four)]
    told = json.loads(json.dumps(found.to_json()))
    assert told["fine"] is True
    assert told["checks"][0] == {
        "name": "Python",
        "state": "ok",
        "found": checks["Python"].found,
        "remedy": None,
        "group": "system",
    }


def test_telemetry_is_off_in_fact(monkeypatch):
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    answer = doctor.ask("onnxruntime", {})
    assert answer.found["onnxruntime"]["switch"] == "1"  # as compiled code sees it
    assert answer.found["onnxruntime"]["early"] is False


def test_it_loads_nothing_heavy():
    code = (
        "import sys, digitkit.device.doctor.diagnosis, digitkit.cli.doctor; "
        "print({'cv2', 'numpy', 'onnxruntime', 'rich'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# --- packages that fail ----------------------------------------------------------------------


def test_opencv_without_a_system_library(stub):
    stub("cv2", "raise ImportError('libGL.so.1: cannot open shared object file: No such file')")
    checks = look(on("pi4"))
    check = checks["OpenCV"]
    assert check.state == "problem"
    assert "libGL.so.1: cannot open shared object file" in check.found
    assert check.remedy.startswith("sudo apt-get install -y libgl1 libglib2.0-0")
    assert checks["ONNX Runtime"].state == "ok"
    assert checks["inference"].found == "needs OpenCV, which does not load"
    assert checks["display"].state == "skipped"


def test_opencv_without_another_library(stub):
    stub("cv2", "raise ImportError('libopenblas.so.0: cannot open shared object file')")
    assert "apt-file search libopenblas.so.0" in look()["OpenCV"].remedy


def test_a_numpy_that_this_processor_cannot_run(stub, monkeypatch):
    stub("numpy", SIGILL, "2.3.0")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    checks = look(on("pi3"))
    check = checks["NumPy"]
    assert check.state == "problem"
    assert check.found == (
        "numpy 2.3.0: its process died of SIGILL (an instruction that this processor does not have)"
    )
    assert check.remedy.startswith("export OPENBLAS_CORETYPE=ARMV8 and try again; ")
    for name in ("OpenCV", "ONNX Runtime", "telemetry", "inference", "page"):
        assert checks[name].state == "skipped"


@pytest.mark.parametrize(
    ("board", "version", "state"),
    [
        ("pi4", "1.21.0", "problem"),
        ("pi5", "1.21.0", "warning"),
        ("pi3", "1.22.0", "problem"),  # the core of a Pi Zero 2 W
        ("pi4", "1.22.0", "warning"),
    ],
)
def test_versions_of_onnxruntime_that_are_known(probes, board, version, state):
    told = FINE["onnxruntime"]["onnxruntime"] | {"version": version}
    probes["onnxruntime"] = Answer({"onnxruntime": told})
    check = look(on(board))["ONNX Runtime"]
    assert check.state == state
    assert check.found.startswith(f"{version}, which ")
    assert "--upgrade 'onnxruntime!=1.21.0,!=1.22.0'" in check.remedy


def test_an_onnxruntime_that_lacks_something(stub):
    stub("onnxruntime", "__version__ = '1.21.0'\nget_available_providers = list", "1.21.0")
    checks = look(on("pi4"))
    assert checks["ONNX Runtime"].state == checks["provider"].state == "problem"
    # An error that nobody foresaw.
    assert checks["contract"].state == "problem"
    assert "has no attribute 'SessionOptions'" in checks["contract"].found
    assert checks["inference"].state == checks["page"].state == "skipped"


def test_an_onnxruntime_that_dies(stub):
    stub("onnxruntime", SIGILL, "1.21.0")
    check = look(on("pi4"))["ONNX Runtime"]
    assert check.state == "problem"
    assert check.found == (
        "onnxruntime 1.21.0: its process died of SIGILL (an instruction that this processor does "
        "not have); it dies of an illegal instruction on a Raspberry Pi 4"
    )


def test_an_onnxruntime_that_dies_while_reading(stub):
    stub(
        "onnxruntime",
        "import os, signal\n__version__ = '1.23.0'\n"
        "def get_available_providers(): return ['CPUExecutionProvider']\n"
        "def SessionOptions(): os.kill(os.getpid(), signal.SIGABRT)\n",
        "1.23.0",
    )
    checks = look()
    assert checks["ONNX Runtime"].state == "ok"
    assert checks["contract"].state == "problem"
    assert checks["contract"].found.startswith("its process died of SIGABRT (an assertion")
    assert "--upgrade 'onnxruntime!=" in checks["contract"].remedy
    assert checks["profile"].found == "its process ended before"


@pytest.mark.parametrize(
    ("code", "found", "remedy"),
    [
        (
            "raise ModuleNotFoundError('No module named x')",
            "No module named",
            "install numpy",
        ),
        ("import sys; sys.exit('whatever')", "whatever", "--force-reinstall"),
        ("import os; os._exit(7)", "its process ended with code 7", "--force-reinstall"),
        ("import os; os.kill(os.getpid(), 9)", "died of SIGKILL (too little memory", "free -m"),
        (
            "try: raise ImportError('libx.so.0: cannot open shared object file')\n"
            "except ImportError as e: raise ImportError('\\n\\nPLEASE READ THIS\\n') from e",
            "libx.so.0: cannot open",
            "apt-file search libx.so.0",
        ),
    ],
)
def test_other_ends(stub, code, found, remedy):
    stub("numpy", code)
    check = look()["NumPy"]
    assert check.state == "problem"
    assert found in check.found
    assert remedy in check.remedy


def test_what_a_process_told_before_it_hung(stub):
    stub("numpy", "import time; time.sleep(60)")
    answer = doctor.ask("numpy", {}, 0.5)
    assert answer == Answer({}, "gave no answer in 0.5 s")


def test_a_python_that_is_gone(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    answer = doctor.ask("numpy", {})
    assert answer.error == "/nowhere/python cannot be run: No such file or directory"


def test_what_packages_print_is_no_answer(stub):
    printed = """print('["numpy", {}]'); import os; os.write(1, b'["end", {}]')"""
    stub("numpy", f"{printed}; raise ImportError")
    assert doctor.ask("numpy", {}) == Answer({}, "ImportError")


def test_two_opencvs(stub, probes):
    stub("opencv-python", version="4.11.0.86")
    stub("opencv-python-headless", version="4.11.0.86")
    check = look(on("pi5"))["OpenCV"]
    assert check.state == "warning"
    assert "pip uninstall -y opencv-python opencv-python-headless && " in check.remedy
    assert check.remedy.endswith("pip install opencv-python-headless")
    assert look(on("server"))["OpenCV"].remedy.endswith("pip install opencv-python")
    probes["opencv"] = Answer({}, "something")
    check = look(on("pi5"))["OpenCV"]
    assert check.state == "problem"
    assert check.remedy.startswith(f"{sys.executable} -m pip uninstall -y opencv-python ")


def test_a_torch_on_a_board(stub, probes, tmp_path):
    record = "torch/a.so,sha256=x,250000000\ntorch/__init__.py,,1000000\n"
    stub("torch", "", version="2.8.0", record=record)
    write(tmp_path / "stubs/torch/a.so", "")
    check = look(on("pi4"))["torch"]
    assert check.state == "warning"
    assert check.found.startswith("2.8.0, 251 MB: ")
    assert check.remedy.endswith("pip uninstall -y torch")
    assert look(on("server"))["torch"].state == "skipped"


def test_no_torch_on_a_board(probes, monkeypatch):
    def missing(name):
        raise doctor.PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "distribution", missing)
    assert look(on("pi4"))["torch"].state == "ok"


def test_what_a_bundle_installed_has_no_pip(probes, monkeypatch, tmp_path):
    probes["onnxruntime"] = Answer({}, "No module named 'onnxruntime'")
    assert look()["ONNX Runtime"].remedy == f"{sys.executable} -m pip install onnxruntime"
    write(tmp_path / "bundle.conf", "")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    assert look()["ONNX Runtime"].remedy.startswith("run ./install.sh of the bundle again; ")


@pytest.mark.parametrize(
    ("change", "opened", "found"),
    [
        ({"switch": None}, 0, "ORT_DISABLE_TELEMETRY is None"),
        ({"early": True}, 0, "something loads ONNX Runtime before"),
        ({}, 2, "switched off, but reading opened sockets: 2"),
    ],
)
def test_telemetry_that_is_not_off(probes, change, opened, found):
    told = FINE["onnxruntime"]["onnxruntime"] | change
    probes["onnxruntime"] = Answer({"onnxruntime": told})
    probes["model"] = Answer(FINE["model"] | {"sockets": {"opened": opened}})
    check = look()["telemetry"]
    assert check.state == "warning"
    assert check.found.startswith(found)


def test_a_missing_provider(probes):
    told = FINE["onnxruntime"]["onnxruntime"] | {"providers": ["AzureExecutionProvider"]}
    probes["onnxruntime"] = Answer({"onnxruntime": told})
    assert look()["provider"].state == "problem"


def test_what_makes_int8_fast(probes):
    assert look(on("pi5"))["int8"].found == "the processor has dotprod"
    assert look(on("pi4"))["int8"].found.startswith("the processor has none of dotprod, i8mm")
    assert look(on("server"))["int8"].found == "the processor has VNNI, AVX-VNNI"


# --- the system ------------------------------------------------------------------------------


def pretend(monkeypatch, **change):
    here = read_machine(on("pi4"))
    known = {"architecture": "aarch64", "bits": 64, "libc": "glibc 2.36"}
    monkeypatch.setattr(
        doctor, "read_machine", lambda root: dataclasses.replace(here, **known | change)
    )


def test_a_64_bit_kernel_under_32_bit_programs(probes, monkeypatch):
    pretend(monkeypatch, bits=32)
    probes["onnxruntime"] = Answer({}, "No module named 'onnxruntime'")
    checks = look(on("pi4"))
    assert checks["userland"].state == "problem"
    assert checks["userland"].found.startswith("32-bit Python, aarch64")
    assert "64-bit OS" in checks["userland"].remedy
    assert "64-bit OS" in checks["ONNX Runtime"].remedy
    probes["onnxruntime"] = Answer(FINE["onnxruntime"])  # somebody built one
    assert look(on("pi4"))["userland"].state == "warning"


def test_a_processor_without_64_bits(probes, monkeypatch):
    pretend(monkeypatch, bits=32, architecture="armv6l", cpu="ARM1176")
    probes["onnxruntime"] = Answer({}, "No module named 'onnxruntime'")
    checks = look(on("pi4"))
    assert checks["userland"].remedy.startswith("this processor has no 64-bit mode")
    assert checks["processor"].state == "problem"


@pytest.mark.parametrize(
    ("libc", "loads", "state"),
    [
        ("glibc 2.28", False, "ok"),
        ("glibc 2.27", False, "problem"),
        ("glibc 2.27", True, "warning"),
        (None, False, "problem"),
        ("musl 1.2", False, "problem"),
    ],
)
def test_c_libraries(probes, monkeypatch, libc, loads, state):
    monkeypatch.setattr(sys, "platform", "linux")
    pretend(monkeypatch, libc=libc)
    if not loads:
        probes["onnxruntime"] = Answer({}, "No module named 'onnxruntime'")
    assert look()["C library"].state == state


def test_an_old_python(probes, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    assert look()["Python"].found == "3.9.2; digitkit needs 3.11 or newer"
    assert look()["Python"].state == "problem"


def test_environments(probes, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert look()["environment"].state == "ok"
    write(tmp_path / "pyvenv.cfg", "home = /usr/bin\ninclude-system-site-packages = true\n")
    assert look()["environment"].state == "warning"
    monkeypatch.setattr(sys, "prefix", "/usr")
    monkeypatch.setattr(doctor.sysconfig, "get_path", lambda name: str(tmp_path))
    assert look()["environment"].found == "no virtual environment, /usr"
    write(tmp_path / "EXTERNALLY-MANAGED", "[externally-managed]\n")
    assert look()["environment"].state == "warning"
    assert look()["environment"].remedy.startswith("python3 -m venv ")


# --- models ----------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path):
    """The shipped int8 model with its list of checksums, in a folder of the user's."""
    for name in ("digits-int8.onnx", "SHA256SUMS"):
        shutil.copy(models_folder() / name, tmp_path)
    return tmp_path / "digits-int8.onnx"


def test_a_model_by_its_file(own, probes):
    probes["model"] = really_ask("model", {"name": str(own)})
    checks = look(model=str(own))
    assert checks["model files"].found == ("digits-int8.onnx, finder.onnx: as SHA256SUMS says")
    assert checks["inference"].found == "a 0 is read by digits-int8.onnx"
    assert checks["profile"].found == "of shipped models only"
    (own.parent / "SHA256SUMS").unlink()
    probes["model"] = really_ask("model", {"name": str(own)})
    assert look(model=str(own))["model files"].found == (
        "digits-int8.onnx (not listed), finder.onnx: as SHA256SUMS says"
    )


def test_a_damaged_model(own, probes):
    own.write_bytes(own.read_bytes()[:-5000])
    probes["model"] = really_ask("model", {"name": str(own)})
    checks = look(model=str(own))
    assert checks["model files"].state == "problem"
    assert checks["model files"].found.startswith("digits-int8.onnx: not as SHA256SUMS says")
    assert checks["contract"].state == "problem"
    assert "cannot load it" in checks["contract"].found
    assert checks["inference"].state == checks["page"].state == "skipped"


def test_a_shipped_precision_that_is_gone(tmp_path, monkeypatch):
    """infer would take the other without a word."""
    from digitkit.device.doctor import probes

    for file in models_folder().iterdir():
        if file.name not in ("digits-int8.onnx", "digits-tiny-fp32.onnx"):
            shutil.copy(file, tmp_path)
    monkeypatch.setattr("digitkit.models.registry.models_folder", lambda: tmp_path)

    def gone(name: str) -> list[str]:
        step, told = next(iter(probes.model(name)))
        assert step == "files"
        return [file["name"] for file in told["files"] if file["sha256"] is None]

    assert gone("digits") == ["digits-int8.onnx"]
    assert gone("digits-tiny") == ["digits-tiny-fp32.onnx"]
    assert gone("digits-fp32") == []


def test_a_model_that_is_not_there(tmp_path, probes):
    probes["model"] = really_ask("model", {"name": str(tmp_path / "none.onnx")})
    checks = look(model=str(tmp_path / "none.onnx"))
    assert checks["model files"].state == "problem"
    assert checks["model files"].found.endswith("none.onnx: there is no such model file")


def test_lists_that_lack_a_file_and_files_that_are_gone(probes):
    def told(**change):
        first, finder = FINE["model"]["files"]["files"]
        files = {"shipped": True, "files": [first, finder | change]}
        probes["model"] = Answer(FINE["model"] | {"files": files})
        return look()["model files"]

    assert told(listed=None).state == "warning"
    assert told(sha256=None, listed=None).state == "problem"
    assert told(sha256=None).found == "finder.onnx: missing or unreadable"
    assert told(sha256="ef").found == "finder.onnx: not as SHA256SUMS says; damaged or changed"


def test_misreadings(probes):
    wrong = {
        "digit by digits-int8.onnx": {"text": "6"},
        "page": {"text": "1", "all": "16", "expected": "19"},
    }
    probes["model"] = Answer(FINE["model"] | wrong)
    checks = look()
    assert checks["inference"].found == "a 0 is read as digits-int8.onnx: '6'"
    assert checks["inference"].state == checks["page"].state == "problem"
    # Somebody's own model may read less well.
    files = FINE["model"]["files"] | {"shipped": False}
    probes["model"] = Answer(FINE["model"] | wrong | {"files": files})
    checks = look(model="own.onnx")
    assert checks["inference"].state == checks["page"].state == "warning"
    assert checks["page"].remedy.startswith("digitkit eval own.onnx ")


def test_doubts_are_no_misreading(probes):
    """digits-tiny doubts a digit of the page on every machine."""
    page = {"text": "198\n27", "all": "198427", "expected": "1984\n27"}
    probes["model"] = Answer(FINE["model"] | {"page": page})
    assert look()["page"].state == "warning"
    probes["model"] = Answer(FINE["model"] | {"page": page | {"all": "198421"}})
    assert look()["page"].state == "problem"


@pytest.mark.parametrize("model", ["digits", "digits-tiny", "digits-tiny-fp32"])
def test_no_shipped_model_is_a_problem(model, probes):
    probes["model"] = really_ask("model", {"name": model})
    checks = look(model=model)
    assert checks["inference"].state == "ok"
    assert checks["page"].state in ("ok", "warning")
    assert checks["page"].state == "ok" or checks["page"].remedy.startswith("digitkit eval")


def test_a_finder_that_fails_and_a_death_before_the_page(probes):
    page = {"page": {"error": "finder.onnx: is no finder of digits of version 1"}}
    probes["model"] = Answer(FINE["model"] | page)
    assert look()["page"].state == "problem"
    told = {k: v for k, v in FINE["model"].items() if k not in ("page", "sockets", "profile")}
    probes["model"] = Answer(told, "its process died of SIGILL", "SIGILL")
    checks = look()
    assert checks["inference"].state == "ok"
    assert checks["page"].state == "problem"
    assert checks["telemetry"].state == "ok"


def test_profiles(probes, tmp_path):
    note = f"{tmp_path}/p.json: the processor is another than it was measured with; digitkit bench"
    probes["model"] = Answer(FINE["model"] | {"profile": {"fits": None, "note": note}})
    check = look()["profile"]
    assert check.state == "warning"
    assert check.found.endswith("than it was measured with")
    assert check.remedy == "digitkit bench --recommend --save"
    probes["model"] = Answer(FINE["model"] | {"profile": {"fits": "int8, 4", "note": None}})
    assert look()["profile"].found == "int8, 4"


def test_a_stale_profile_in_fact(tmp_path, monkeypatch, probes):
    write(tmp_path / "p.json", "{")
    monkeypatch.setenv("DIGITKIT_PROFILE", str(tmp_path / "p.json"))
    probes["model"] = really_ask("model", {"name": "digits-tiny"})
    assert look()["profile"].found.endswith("p.json: cannot be read and is passed over")


# --- cameras ---------------------------------------------------------------------------------


def answer_of(driver: str, card: str, all_: int, own: int) -> bytes:
    names = (driver.encode(), card.encode(), b"usb")
    return struct.pack("=16s32s32s6I", *names, 1, all_, own, 0, 0, 0)


def test_what_a_device_says_it_can():
    usb = v4l2.capability("/dev/video0", answer_of("uvcvideo", "C270", 0x84A00001, 0x4200001))
    assert usb == VideoDevice("/dev/video0", "C270", "uvcvideo", captures=True)
    data = v4l2.capability("/dev/video1", answer_of("uvcvideo", "C270", 0x84A00001, 0x4A00000))
    assert not data.captures  # of data about frames
    codec = v4l2.capability("/dev/video10", answer_of("bcm2835-codec", "x", 0x84204000, 0x4204000))
    assert not codec.captures
    assert v4l2.capability("/dev/video2", answer_of("old", "x", 0x1, 0x0)).captures
    assert v4l2.capability("/dev/video3", answer_of("cfe", "x", 0x80001000, 0x1000)).captures


def test_devices(tmp_path, monkeypatch):
    for name in ("video10", "video2", "vbi0", "video"):
        write(tmp_path / "dev" / name, "")
    found = v4l2.devices(tmp_path)
    assert [Path(one.path).name for one in found] == ["video2", "video10"]
    assert [one.captures for one in found] == [False, False]  # files, and no devices
    assert found[0].trouble

    def refuse(error):
        def open_(path, flags):
            raise error

        monkeypatch.setattr(v4l2.os, "open", open_)
        return v4l2.devices(tmp_path)[0].trouble

    assert refuse(PermissionError(13, "Permission denied")) == "permission"
    assert refuse(OSError(16, "Device or resource busy")) == "busy"
    assert refuse(OSError(19, "No such device")) == "No such device"


def test_who_has_a_camera_open(tmp_path):
    for pid, name, opened in (("12", "mpv", "/dev/video0"), ("7", "sh", "/dev/null")):
        write(tmp_path / "proc" / pid / "comm", f"{name}\n")
        (tmp_path / "proc" / pid / "fd").mkdir()
        (tmp_path / "proc" / pid / "fd" / "3").symlink_to(opened)
    write(tmp_path / "proc" / "99" / "comm", "another user's\n")
    assert v4l2.holders("/dev/video0", tmp_path) == ["mpv (12)"]
    assert v4l2.holders("/dev/video1", tmp_path) == []


def test_this_process_holds_a_file(tmp_path):
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc")
    path = tmp_path / "held"
    with path.open("w"):
        assert f"({os.getpid()})" in v4l2.holders(str(path))[0]


WEBCAM = VideoDevice("/dev/video0", "Webcam C270", "uvcvideo", captures=True)
DATA = VideoDevice("/dev/video1", "Webcam C270", "uvcvideo")


def test_a_camera_that_works(probes, videos):
    videos += [WEBCAM, DATA]
    checks = look(cameras=True)
    assert checks["cameras"].found == "/dev/video0 (Webcam C270, uvcvideo)"
    assert checks["frame"].found == "640×480 pixels, brightness 101 of 255"
    assert probes["asked"][-1] == ("camera", "/dev/video0")
    assert {checks[name].state for name in ("cameras", "permission", "in use", "frame")} == {"ok"}
    assert look(cameras=True, camera="0")["frame"].state == "ok"
    assert probes["asked"][-1] == ("camera", "0")


def test_no_camera(probes, videos):
    checks = look(cameras=True)
    names = ("cameras", "permission", "in use", "frame", "picamera2")
    assert {checks[name].state for name in names} == {"skipped"}
    assert "camera" not in dict(probes["asked"])
    checks = look(cameras=True, camera="2")
    assert checks["cameras"].state == "problem"
    assert checks["cameras"].found == "/dev/video2 is not there"
    assert checks["frame"].state == "skipped"
    videos.append(WEBCAM)
    found = look(cameras=True, camera="/dev/video7")["cameras"].found
    assert found == "/dev/video7 is not there; there are /dev/video0 (Webcam C270, uvcvideo)"


def test_cameras_are_left_alone_if_asked(probes, monkeypatch):
    monkeypatch.setattr(v4l2, "devices", lambda root: pytest.fail("looked at"))
    assert look(cameras=False)["cameras"].found == "left alone, as asked"
    assert "camera" not in dict(probes["asked"])


def test_permission(probes, videos, monkeypatch):
    videos.append(VideoDevice("/dev/video0", trouble="permission", group="video"))
    monkeypatch.setattr(doctor, "_memberships", set)
    checks = look(cameras=True)
    check = checks["permission"]
    assert check.state == "warning"  # nobody asked for one
    assert check.remedy == "sudo usermod -aG video $USER, then log out and in again"
    assert checks["cameras"].found.startswith("none that can be asked")
    checks = look(cameras=True, camera="0")
    assert checks["permission"].state == "problem"
    assert checks["frame"].state == "skipped"
    monkeypatch.setattr(doctor, "_memberships", lambda: {"video"})
    assert look(cameras=True)["permission"].remedy == "log out and in again, or sudo reboot"


def test_a_camera_in_use(probes, videos, monkeypatch):
    videos.append(WEBCAM)
    monkeypatch.setattr(v4l2, "holders", lambda device, root: ["mpv (12)"])
    probes["camera"] = Answer(
        {},
        "camera 0: opens but gives no frames; is it in use elsewhere? A Raspberry Pi's camera "
        "module needs --camera picamera2",
    )
    checks = look(cameras=True, camera="0")
    assert checks["in use"].found == "/dev/video0 by mpv (12)"
    assert "systemctl stop digitkit" in checks["in use"].remedy
    assert checks["frame"].state == "problem"
    assert checks["frame"].found == "camera 0: opens but gives no frames"
    assert checks["frame"].remedy.startswith("is it in use elsewhere?")
    assert look(cameras=True)["frame"].state == "warning"
    monkeypatch.setattr(v4l2, "holders", lambda device, root: [])
    videos[0] = dataclasses.replace(WEBCAM, trouble="busy")
    assert look(cameras=True)["in use"].remedy.startswith("sudo fuser -v /dev/video0 ")


def test_a_lens_cap_and_a_camera_that_kills(probes, videos):
    videos.append(WEBCAM)
    black = {"width": 640, "height": 480, "brightness": 0.3}
    probes["camera"] = Answer({"frame": black})
    check = look(cameras=True, camera="0")["frame"]
    assert check.state == "warning"
    assert check.remedy.startswith("take the lens cap off")
    probes["camera"] = Answer({}, "its process died of SIGSEGV (a memory fault)", "SIGSEGV")
    check = look(cameras=True, camera="0")["frame"]
    assert check.state == "problem"
    assert check.remedy.startswith("unplug it")


@pytest.mark.parametrize(
    ("error", "found", "remedy"),
    [
        (
            "picamera2: the system's Python has no picamera2: sudo apt install -y "
            "python3-picamera2 brings it",
            "the system's Python has no picamera2",
            "sudo apt install -y python3-picamera2",
        ),
        (
            "picamera2: no camera is detected; check its cable at both ends, then rpicam-hello",
            "no camera is detected",
            "check its cable at both ends, then rpicam-hello",
        ),
    ],
)
def test_a_pi_without_its_camera(probes, videos, error, found, remedy):
    # What the Pi's own drivers offer gives OpenCV nothing.
    videos.append(VideoDevice("/dev/video0", "unicam", "unicam", captures=True))
    probes["camera"] = Answer({}, error)
    checks = look(on("pi4"), cameras=True)
    assert checks["cameras"].found == "of the Pi's own camera: /dev/video0"
    assert checks["frame"].state == "skipped"
    check = checks["picamera2"]
    assert (check.state, check.found, check.remedy) == ("skipped", found, remedy)
    asked = look(on("pi4"), cameras=True, camera="picamera2")
    assert asked["picamera2"].state == "problem"
    assert "frame" not in asked


def test_a_pi_s_camera(probes, videos):
    assert look(on("pi5"), cameras=True)["picamera2"].found.startswith("640×480")
    assert probes["asked"][-1] == ("camera", "picamera2")
    probes["camera"] = Answer({}, "picamera2: the camera cannot be opened (busy); close others")
    assert look(on("pi5"), cameras=True)["picamera2"].state == "warning"


def test_a_camera_needs_no_onnxruntime(probes, videos):
    videos.append(WEBCAM)
    probes["onnxruntime"] = Answer({}, "No module named 'onnxruntime'")
    assert look(cameras=True, camera="0")["frame"].state == "ok"
    probes["opencv"] = Answer({}, "No module named 'cv2'")
    assert look(cameras=True, camera="0")["frame"].found == "needs OpenCV, which does not load"


def test_a_stream_in_fact():
    def send(connection, camera):
        for _ in range(50):
            camera.part(jpeg(90))

    with Server(send) as server:
        answer = doctor.ask("camera", {"name": server.url})
    frame = answer.found["frame"]
    assert (frame["width"], frame["height"]) == (64, 48)
    assert frame["brightness"] == pytest.approx(90 + 75 / 12, abs=2)


# --- the device ------------------------------------------------------------------------------


def test_power(probes):
    def told(word: str | None, board: str = "pi4"):
        run = Firmware(get_throttled=f"throttled={word}") if word else NO_FIRMWARE
        return look(on(board), run)["power"]

    assert told("0x0").state == "ok"
    check = told("0x50005")
    assert check.state == "warning"
    assert check.found == (
        "under-voltage now, throttled now, under-voltage since boot, throttled since boot"
    )
    assert "power supply" in check.remedy
    assert "cool it" not in check.remedy
    assert told("0x80008").remedy.startswith("cool it")
    assert told("0x20000").remedy.startswith("cool it")
    assert told(None).remedy.startswith("sudo usermod -aG video")
    assert told(None, "server").found == "only a Raspberry Pi tells"


def test_heat_memory_and_governor(probes, monkeypatch, tmp_path):
    checks = look(on("pi4"))
    assert {checks[name].state for name in ("temperature", "memory")} == {"ok"}
    root = tmp_path / "pi4"
    shutil.copytree(on("pi4"), root)
    write(root / "sys/class/thermal/thermal_zone0/temp", "81234\n")
    write(root / "proc/meminfo", "MemTotal: 440000 kB\nMemAvailable: 100000 kB\n")
    for cpu in usable_cpus():
        write(root / f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor", "powersave\n")
    checks = look(root)
    assert checks["temperature"].found == "81 °C"
    assert checks["memory"].found == "102 MB available of 450"
    assert checks["governor"].found == "powersave, which may hold the clock down"
    for name in ("temperature", "memory", "governor"):
        assert checks[name].state == "warning"
    (root / "proc/device-tree/model").unlink()
    assert look(root)["governor"].state == "ok"  # where it is the name of another thing


def test_disks(probes, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert f"MB free for {tmp_path}" in look()["disk"].found
    usage = type(shutil.disk_usage("/"))
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage(10**9, 10**9, 5_000_000))
    check = look()["disk"]
    assert check.state == "warning"
    assert check.found.startswith("5 MB free for ")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert look()["disk"].found.startswith("5 MB free for ")


def test_a_home_that_is_somebody_elses(probes, monkeypatch, tmp_path):
    home = tmp_path / "theirs"
    really = Path.exists

    def exists(path, **options):
        if path.is_relative_to(home):  # as Python up to 3.13 has it; root may look everywhere
            raise PermissionError(13, "Permission denied", str(path))
        return really(path, **options)

    monkeypatch.setattr(Path, "exists", exists)
    monkeypatch.setattr(doctor.folders, "cache_folder", lambda: home / ".cache/digitkit")
    monkeypatch.chdir(tmp_path)
    assert f"MB free for {tmp_path}" in look()["disk"].found


def test_a_clock_that_was_never_set(probes, monkeypatch):
    assert look()["clock"].state == "ok"
    never = time.gmtime(0)
    monkeypatch.setattr(doctor.time, "localtime", lambda: never)
    check = look()["clock"]
    assert check.state == "warning"
    assert check.found.startswith("1970-01-01 00:00: not set")


def test_displays(probes, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    assert look()["display"].found.startswith("no screen in this session")
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert "headless" in look()["display"].found
    probes["opencv"] = Answer({"opencv": {"version": "4.11.0", "windows": True}})
    assert look()["display"].state == "ok"


# --- the command -----------------------------------------------------------------------------


@pytest.fixture
def told(monkeypatch):
    """What the command is told, and what it was asked."""
    checks = [
        Check("Python", "ok", "3.11.2", group="system"),
        Check("frame", "warning", "all [bold]black[/]", "take the cap off", group="camera"),
        Check("disk", "skipped", "word " * 40, group="device"),
    ]
    asked = {}

    def diagnose(model, **options):
        asked.update(options, model=model)
        return Diagnosis("0.1.0", "Raspberry Pi 4 Model B", tuple(checks))

    monkeypatch.setattr(doctor, "diagnose", diagnose)
    return checks, asked


def test_the_text(told):
    checks, _ = told
    result = run("doctor")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "digitkit 0.1.0 on Raspberry Pi 4 Model B"
    assert "  Python        ok       3.11.2" in lines
    assert "  frame         warning  all [bold]black[/]" in lines
    assert "                do:      take the cap off" in lines
    assert lines[-1] == "digitkit infer can run; problems: 0, warnings: 1"
    assert "\x1b" not in result.stdout
    wrapped = [line for line in lines if "word" in line]
    assert len(wrapped) == 2
    assert wrapped[1].startswith(" " * 25 + "word")
    checks.append(Check("clock", "problem", "bad", "mend it", group="device"))
    result = run("doctor")
    assert result.exit_code == 1
    assert result.stdout.endswith("digitkit infer would not run; problems: 1, warnings: 1\n")


def test_colours_in_a_terminal(told, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[33mwarning" in run("doctor").stdout


def test_json_and_options(told):
    checks, asked = told
    result = run("doctor", "--json", "--camera", "rtsp://h/x", "--model", "digits-tiny")
    found = json.loads(result.stdout)
    assert (found["format"], found["fine"]) == ("digitkit-doctor/1", True)
    assert found["checks"][1]["remedy"] == "take the cap off"
    assert (asked["camera"], asked["cameras"], asked["model"]) == (
        "rtsp://h/x", True, "digits-tiny",
    )  # fmt: skip
    checks.append(Check("clock", "problem", "bad", "mend it", group="device"))
    result = run("doctor", "--json", "--no-camera")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["fine"] is False
    assert asked["cameras"] is False


def test_wrong_options():
    for options in (("--camera", "0", "--no-camera"), ("--camera", "front"), ("--wrong",)):
        result = run("doctor", *options)
        assert result.exit_code == 2
        assert "Traceback" not in result.output


def test_the_command_where_opencv_is_broken(stub):
    stub("cv2", "raise ImportError('libGL.so.1: cannot open shared object file: No such file')")
    result = run("doctor", "--no-camera")
    assert result.exit_code == 1
    assert "do:      sudo apt-get install -y libgl1" in result.stdout


def test_a_password_is_not_shown():
    result = run("doctor", "--json", "--camera", "http://me:geheim@127.0.0.1:9/x")
    assert result.exit_code == 1
    assert "geheim" not in result.output
    frame = next(c for c in json.loads(result.stdout)["checks"] if c["name"] == "frame")
    assert frame["state"] == "problem"
    assert frame["found"] == "http://me:***@127.0.0.1:9/x: cannot be opened"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_full_disk(form):
    command = [sys.executable, "-m", "digitkit", "doctor", "--no-camera", *form]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line == "digitkit: standard output: cannot be written: No space left on device"


def test_help():
    result = run("doctor", "--help")
    assert result.exit_code == 0
    for word in ("--camera", "--no-camera", "--model", "--json", "Examples", "Exit codes"):
        assert word in result.output
