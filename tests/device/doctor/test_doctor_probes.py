"""Which probes run, and real probes in fresh processes, with stand-ins for packages that fail."""

import shutil
import sys

import pytest
from support.doctor import FACTS
from support.machines import CAPTURED
from support.mjpeg import Server, jpeg

from digitkit.device.doctor import answers, evidence, probes
from digitkit.device.doctor.answers import Answer, NumPyFacts, ProbedModelFacts, ask
from digitkit.device.doctor.evidence import DoctorConfig
from digitkit.errors import CameraMissingError, ModelError, SourceError
from digitkit.models.registry import models_folder
from digitkit.sources import v4l2
from digitkit.sources.v4l2 import VideoDevice
from digitkit.system.machine import read_machine

WEBCAM = VideoDevice("/dev/video0", "Webcam C270", "uvcvideo", captures=True)
DATA = VideoDevice("/dev/video1", "Webcam C270", "uvcvideo")
BARRED = VideoDevice("/dev/video0", trouble="permission", group="video")
PI_CAMERA = VideoDevice("/dev/video0", "unicam", "unicam", captures=True)


@pytest.mark.parametrize(("board", "devices", "options", "tried"), [
    ("server", [], {}, []), ("server", [], {"camera": "0"}, []),
    ("server", [WEBCAM], {"cameras": False}, []), ("server", [BARRED], {"camera": "0"}, []),
    ("server", [WEBCAM, DATA], {}, ["/dev/video0"]),
    ("server", [WEBCAM], {"camera": "0"}, ["0"]),
    ("server", [WEBCAM], {"camera": "/dev/video0"}, ["/dev/video0"]),
    ("server", [WEBCAM], {"camera": "rtsp://h/x"}, ["rtsp://h/x"]),
    ("pi4", [PI_CAMERA], {}, ["picamera2"]), ("pi4", [WEBCAM], {}, ["/dev/video0", "picamera2"]),
    ("pi4", [], {"camera": "picamera2"}, ["picamera2"]),
])  # fmt: skip
def test_which_cameras_are_tried(monkeypatch, board, devices, options, tried):
    config, asked, steps = DoctorConfig(**options), [], []

    def ask(probe, facts, arguments, seconds):
        asked.append((probe, arguments.get("name")))
        return Answer(FACTS.get(probe))

    machine = read_machine(CAPTURED / board)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(answers, "ask", ask)
    monkeypatch.setattr(evidence, "read_machine", lambda root: machine)
    monkeypatch.setattr(v4l2, "list_devices", lambda root: devices)
    gathered = evidence.gather_evidence(config, progress=lambda *step: steps.append(step))
    assert [name for probe, name in asked if probe == "camera"] == list(gathered.frames) == tried
    assert [done for _, done, _ in steps] == list(range(len(asked)))
    assert all(done < total for _, done, total in steps)


def ask_model(name: object) -> Answer[ProbedModelFacts]:
    return ask("model", ProbedModelFacts, {"name": str(name)})


def test_telemetry_is_off_in_fact(monkeypatch):
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    facts = ask("onnxruntime", answers.OnnxRuntimeFacts, {}).facts
    assert (facts.telemetry_switch, facts.loaded_early) == ("1", False)  # as compiled code sees it
    assert "CPUExecutionProvider" in facts.providers


LIBRARY = "ImportError('libGL.so.1: cannot open shared object file: No such file')"
OPENCV = f"""
try: raise {LIBRARY}
except ImportError as error: raise ImportError('\\n\\nPLEASE READ THIS\\n') from error
"""
KILL = "import os, signal; os.kill(os.getpid(), signal.{})"


@pytest.mark.parametrize(("code", "reason", "details"), [
    ("raise ModuleNotFoundError('x', name='x')", "missing-module", {"module": "x"}),
    (f"raise {LIBRARY}", "missing-library", {"library": "libGL.so.1"}),
    (OPENCV, "missing-library", {"library": "libGL.so.1"}),
    ("raise ImportError('whatever')", "import", {"problem": "whatever"}),
    ("import sys; sys.exit('whatever')", "exited", {}), ("import os; os._exit(7)", "exited", {}),
    (KILL.format("SIGILL"), "killed", {"signal": "SIGILL"}),
    (KILL.format("SIGKILL"), "killed", {"signal": "SIGKILL"}),
    ("import time; time.sleep(60)", "timeout", {}),
    # What packages print is no answer.
    ("""print('={"facts": {}}'); import os; os.write(1, b'.null\\n'); 1/0""", "exited", {}),
])  # fmt: skip
def test_how_a_package_fails(stub, code, reason, details):
    stub("numpy", code)
    answer = ask("numpy", NumPyFacts, {}, 0.5 if reason == "timeout" else 60)
    assert (answer.facts, answer.failure.reason) == (None, reason)
    assert {name: getattr(answer.failure, name) for name in details} == details


def test_a_python_that_does_not_exist(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert ask("numpy", NumPyFacts, {}).failure.reason == "not-started"


@pytest.mark.parametrize(("code", "reason"), [
    ("\ndef SessionOptions(): os.kill(os.getpid(), 6)", "killed"),
    ("", "exited"),  # an error that nobody foresaw
])  # fmt: skip
def test_an_onnxruntime_that_fails_while_reading(stub, code, reason):
    stub("onnxruntime", f"import os; __version__ = '1.23.0'{code}")
    answer = ask_model("digits")
    assert answer.failure.reason == reason
    assert answer.facts.files  # what it had reported before
    assert answer.facts.profile is None


def test_errors_become_data():
    failure = probes.describe_failure(ModelError("is damaged", subject="x.onnx", hint="export it"))
    assert (failure.reason, failure.hint) == ("error", "export it")
    assert str(failure) == "x.onnx: is damaged"
    assert probes.describe_failure(SourceError("is busy")).reason == "error"
    assert probes.describe_failure(CameraMissingError("none")).reason == "missing-camera"


def test_a_shipped_model(tmp_path, monkeypatch):
    (tmp_path / "p.json").write_text("{")
    monkeypatch.setenv("DIGITKIT_PROFILE", str(tmp_path / "p.json"))
    facts = ask_model("digits").facts
    names = [file.name for file in facts.files]
    assert names[1:] == ["digits-fp32.onnx", "finder.onnx", "lines.onnx", "grey.onnx"]
    assert (facts.shipped, facts.sockets_opened in (0, None)) == (True, True)
    assert "p.json" in facts.profile.problem


def test_a_custom_model(tmp_path):
    """The shipped one with its list of checksums, in a folder of the user's."""
    model = shutil.copy(models_folder() / "digits-int8.onnx", tmp_path / "digits-int8.onnx")
    shutil.copy(models_folder() / "SHA256SUMS", tmp_path)
    facts = ask_model(model).facts
    assert (facts.shipped, facts.profile) == (False, None)
    assert facts.files[0].sha256 == facts.files[0].listed_sha256
    assert facts.readings[0].text == "0"
    (tmp_path / "SHA256SUMS").unlink()
    model.write_bytes(model.read_bytes()[:-5000])
    answer = ask_model(model)
    assert (answer.failure, answer.facts.page) == (None, None)
    assert answer.facts.files[0].listed_sha256 is None
    assert answer.facts.readings[0].input is None
    assert answer.facts.readings[0].failure.reason == "error"
    model.unlink()
    answer = ask_model(model)
    assert (answer.facts, answer.failure.reason) == (None, "error")
    assert model.name in str(answer.failure)


def test_a_shipped_precision_that_is_missing(tmp_path, monkeypatch):
    """infer would take the other without notice."""
    gone = ("digits-int8.onnx", "digits-tiny-fp32.onnx")
    shutil.copytree(models_folder(), tmp_path, ignore=lambda *_: gone, dirs_exist_ok=True)
    monkeypatch.setattr("digitkit.models.registry.models_folder", lambda: tmp_path)
    for name, missing in (("digits", [gone[0]]), ("digits-tiny", [gone[1]]), ("digits-fp32", [])):
        facts = next(probes.probe_model(name))
        assert [file.name for file in facts.files if file.sha256 is None] == missing


def test_a_stream():
    with Server(lambda _, camera: [camera.part(jpeg(90)) for _ in range(50)]) as server:
        frame = ask("camera", answers.FrameFacts, {"name": server.url}).facts
    assert (frame.width, frame.height) == (64, 48)
    assert frame.brightness == pytest.approx(90 + 75 / 12, abs=2)
