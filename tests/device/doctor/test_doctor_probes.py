"""Real probes in fresh processes, with stand-ins for packages that fail."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import pytest
from support.mjpeg import Server, jpeg

from digitkit.device.doctor import probes
from digitkit.device.doctor.answers import (
    Answer,
    FrameFacts,
    ModelFacts,
    NumPyFacts,
    OnnxRuntimeFacts,
    OpenCVFacts,
    ask,
)
from digitkit.errors import CameraMissingError, ModelError, SourceError
from digitkit.models.registry import models_folder

LIBRARY = "cannot open shared object file: No such file or directory"


def kill_by(signal: str) -> str:
    return f"import os, signal; os.kill(os.getpid(), signal.{signal})"


def test_packages():
    assert ask("numpy", NumPyFacts, {}) == Answer(NumPyFacts(np.__version__, correct=True))
    assert ask("opencv", OpenCVFacts, {}).works


def test_telemetry_is_off_in_fact(monkeypatch):
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    facts = ask("onnxruntime", OnnxRuntimeFacts, {}).facts
    assert facts.telemetry_switch == "1"  # as compiled code sees it
    assert not facts.loaded_early
    assert "CPUExecutionProvider" in facts.providers


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            "raise ModuleNotFoundError('No module named x', name='x')",
            {"reason": "missing-module", "module": "x"},
        ),
        (f"raise ImportError('libx.so.0: {LIBRARY}')", {"library": "libx.so.0"}),
        (
            f"try: raise ImportError('libx.so.0: {LIBRARY}')\n"
            "except ImportError as e: raise ImportError('\\n\\nPLEASE READ THIS\\n') from e",
            {"reason": "missing-library", "library": "libx.so.0"},
        ),
        ("raise ImportError('whatever')", {"reason": "import", "problem": "whatever"}),
        ("import sys; sys.exit('whatever')", {"reason": "exited"}),
        ("import os; os._exit(7)", {"reason": "exited"}),
        (kill_by("SIGILL"), {"reason": "killed", "signal": "SIGILL"}),
        (kill_by("SIGKILL"), {"reason": "killed", "signal": "SIGKILL"}),
        (
            # What packages print is no answer.
            """print('={"facts": {}}'); import os; os.write(1, b'.null\\n'); raise ImportError""",
            {"reason": "import", "problem": "ImportError"},
        ),
    ],
)
def test_how_a_package_fails(stub, code, expected):
    stub("numpy", code)
    answer = ask("numpy", NumPyFacts, {})
    assert answer.facts is None
    assert {name: getattr(answer.failure, name) for name in expected} == expected


def test_a_package_that_hangs(stub):
    stub("numpy", "import time; time.sleep(60)")
    assert ask("numpy", NumPyFacts, {}, 0.5).failure.reason == "timeout"


def test_a_python_that_does_not_exist(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert ask("numpy", NumPyFacts, {}).failure.reason == "not-started"


def test_opencv_s_explanation_is_not_the_cause(stub):
    stub("cv2", f"raise ImportError('libGL.so.1: {LIBRARY}')")
    failure = ask("opencv", OpenCVFacts, {}).failure
    assert (failure.reason, failure.library) == ("missing-library", "libGL.so.1")


def test_an_onnxruntime_that_dies_while_reading(stub):
    stub(
        "onnxruntime",
        "import os, signal\n__version__ = '1.23.0'\n"
        "def SessionOptions(): os.kill(os.getpid(), signal.SIGABRT)\n",
    )
    answer = ask("model", ModelFacts, {"name": "digits"})
    assert answer.failure.signal == "SIGABRT"
    assert answer.facts.files  # what it had reported before
    assert answer.facts.profile is None


def test_an_error_that_nobody_foresaw(stub):
    stub("onnxruntime", "__version__ = '1.21.0'")
    answer = ask("model", ModelFacts, {"name": "digits"})
    assert answer.failure.reason == "exited"
    assert "SessionOptions" in answer.failure.problem


def test_errors_become_data():
    failure = probes.describe_failure(ModelError("is damaged", subject="x.onnx", hint="export it"))
    assert (failure.reason, failure.hint) == ("error", "export it")
    assert str(failure) == "x.onnx: is damaged"
    assert probes.describe_failure(SourceError("is busy")).reason == "error"
    assert probes.describe_failure(CameraMissingError("none")).reason == "missing-camera"


@pytest.mark.parametrize("model", ["digits", "digits-tiny-fp32"])
def test_a_shipped_model(model):
    answer = ask("model", ModelFacts, {"name": model})
    assert answer.works
    facts = answer.facts
    assert facts.shipped
    assert {file.sha256 == file.listed_sha256 for file in facts.files} == {True}
    assert facts.files[-1].name == "finder.onnx"
    assert {reading.text for reading in facts.readings} == {"0"}
    assert {reading.contract.version for reading in facts.readings} == {1}
    assert facts.page.digits
    assert facts.sockets_opened in (0, None)
    assert facts.profile.problem is None


def test_a_profile_that_is_ignored(tmp_path, monkeypatch):
    (tmp_path / "p.json").write_text("{")
    monkeypatch.setenv("DIGITKIT_PROFILE", str(tmp_path / "p.json"))
    assert "p.json" in ask("model", ModelFacts, {"name": "digits-tiny"}).facts.profile.problem


def test_a_custom_model(tmp_path):
    """The shipped one with its list of checksums, in a folder of the user's."""
    model = tmp_path / "digits-int8.onnx"
    for name in (model.name, "SHA256SUMS"):
        shutil.copy(models_folder() / name, tmp_path)
    facts = ask("model", ModelFacts, {"name": str(model)}).facts
    assert not facts.shipped
    assert facts.files[0].sha256 == facts.files[0].listed_sha256
    assert facts.readings[0].text == "0"
    assert facts.profile is None
    (tmp_path / "SHA256SUMS").unlink()
    model.write_bytes(model.read_bytes()[:-5000])
    answer = ask("model", ModelFacts, {"name": str(model)})
    assert answer.works
    assert answer.facts.files[0].listed_sha256 is None
    assert answer.facts.readings[0].input is None
    assert answer.facts.readings[0].failure.reason == "error"
    assert answer.facts.page is None


def test_a_model_that_does_not_exist(tmp_path):
    answer = ask("model", ModelFacts, {"name": str(tmp_path / "none.onnx")})
    assert (answer.facts, answer.failure.reason) == (None, "error")
    assert "none.onnx" in str(answer.failure)


def test_a_shipped_precision_that_is_missing(tmp_path, monkeypatch):
    """infer would take the other without notice."""
    for file in models_folder().iterdir():
        if file.name not in ("digits-int8.onnx", "digits-tiny-fp32.onnx"):
            shutil.copy(file, tmp_path)
    monkeypatch.setattr("digitkit.models.registry.models_folder", lambda: tmp_path)

    def missing(name: str) -> list[str]:
        facts = next(probes.probe_model(name))
        return [file.name for file in facts.files if file.sha256 is None]

    assert missing("digits") == ["digits-int8.onnx"]
    assert missing("digits-tiny") == ["digits-tiny-fp32.onnx"]
    assert missing("digits-fp32") == []


def test_a_stream():
    def send(connection, camera):
        for _ in range(50):
            camera.part(jpeg(90))

    with Server(send) as server:
        frame = ask("camera", FrameFacts, {"name": server.url}).facts
    assert (frame.width, frame.height) == (64, 48)
    assert frame.brightness == pytest.approx(90 + 75 / 12, abs=2)
