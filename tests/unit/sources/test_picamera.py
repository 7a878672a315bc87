"""A Raspberry Pi's camera module: its process with a stand-in for picamera2."""

import ast
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import pytest
from support.cameras import Endless
from support.errors import error_of
from support.paths import ROOT

from digitkit.errors import CameraMissingError, SourceError
from digitkit.sources.live import Live
from digitkit.sources.picamera import PiCamera

FAKE = """
import os, sys, time
mode = os.environ["FAKE_CAMERA"]
if mode == "missing":
    raise ModuleNotFoundError("No module named 'picamera2'", name="picamera2")
if mode == "numpy":
    raise ValueError("numpy.dtype size changed, may indicate binary incompatibility")

class Picamera2:
    count = 0
    global_camera_info = staticmethod(lambda: [{"Model": "imx708"}] if mode != "none" else [])
    camera_configuration = lambda self: {"main": self.main}

    def __init__(self):
        if mode == "busy":
            try:
                raise RuntimeError("Failed to acquire camera: Device or resource busy")
            except RuntimeError:
                raise RuntimeError("Camera __init__ sequence did not complete.")

    def start(self):
        print("[0:17:45.123] INFO Camera libcamera v0.5", flush=True)
        print("a warning of libcamera", file=sys.stderr, flush=True)

    def create_video_configuration(self, main):
        assert main["format"] == "RGB888"
        return main

    def configure(self, config):
        width, height = config["size"]
        width -= width % 2  # the nearest that it can do
        self.main = {"format": "RGB888", "size": (width, height), "stride": width * 3 + 8}

    def capture_buffer(self, name):
        assert name == "main"
        (width, height), stride = self.main["size"], self.main["stride"]
        self.count += 1
        now = (mode, self.count)
        if now in (("stall", 2), ("silent", 1)):
            time.sleep(60)
        if now == ("broken off", 3):
            raise RuntimeError("Camera frontend has timed out!")
        if now == ("crash", 4):
            os._exit(3)
        row = bytes((1, 2, self.count)) * width + b"\\xee" * (stride - 3 * width)
        buffer = row * height + b"behind the last row"
        return buffer[:40] if now == ("crash", 3) else buffer
"""


def write_python(path, script: str):
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def pi(tmp_path, monkeypatch):
    """Makes a `PiCamera` with an interpreter whose picamera2 is a stand-in in some mode."""
    (tmp_path / "picamera2.py").write_text(FAKE)
    folder = shlex.quote(str(tmp_path))
    # -I would exclude the stand-in as well; it is the first argument.
    python = write_python(
        tmp_path / "python3",
        f'env > {folder}/env\nflag=$1; shift\ntest "$flag" = -I || exit 9\n'
        f'PYTHONPATH={folder} exec {shlex.quote(sys.executable)} -P "$@"',
    )
    cameras: list[PiCamera] = []

    def make(mode: str, size: tuple[int, int] | None = (7, 5), **more: float) -> PiCamera:
        monkeypatch.setenv("FAKE_CAMERA", mode)
        cameras.append(PiCamera(size, python=python, **more))
        return cameras[-1]

    yield make
    for camera in cameras:
        camera.close()
        assert camera._process.returncode is not None


def test_frames(pi, tmp_path, monkeypatch):
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "/nowhere")
    camera = pi("fine")
    for count in (1, 2, 3):
        image = camera.read()
        assert image.shape == (5, 6, 3)  # as the camera chose, without the rows' padding
        assert image.flags.c_contiguous
        assert (image == np.array([1, 2, count], np.uint8)).all()
    names = {line.split("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert "FAKE_CAMERA" in names
    assert not [name for name in names if name.startswith("PYTHON") or name == "VIRTUAL_ENV"]
    camera.close()
    assert camera.read() is None
    assert pi("fine", None).read().shape == (720, 1280, 3)  # the default


@pytest.mark.parametrize(
    ("mode", "kind", "problem", "hint"),
    [
        ("missing", CameraMissingError, "picamera2", "sudo apt install -y python3-picamera2"),
        ("numpy", SourceError, "numpy.dtype size changed", "sudo apt install --reinstall"),
        ("none", CameraMissingError, "", "rpicam-hello --list-cameras"),
        ("busy", SourceError, "Failed to acquire camera: ", "rpicam-hello"),
    ],
)
def test_a_camera_that_cannot_be_used(pi, mode, kind, problem, hint):
    with Live("picamera2", opener=lambda: pi(mode)) as source:
        error = error_of(SourceError, next, source)
    assert (type(error), error.subject) == (kind, "picamera2")
    assert problem in error.problem
    assert hint in error.hint


@pytest.mark.parametrize(
    ("mode", "frames", "limits", "problem"),
    [
        ("crash", 2, {}, "code 3"),
        ("broken off", 2, {}, "Camera frontend has timed out!"),
        ("stall", 1, {"frame_seconds": 0.2}, "0.2 seconds"),
        ("silent", 0, {"start_seconds": 0.01}, "0.01 seconds"),
    ],
)
def test_a_camera_that_is_lost(pi, mode, frames, limits, problem):
    camera = pi(mode, **limits)
    assert all(camera.read() is not None for _ in range(frames))
    error = error_of(SourceError, camera.read)
    assert error.subject == "picamera2"
    assert problem in error.problem


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("printf 'not a frame at all, but text'", ""),
        (r"printf 'DKF1\0\0\0\0\0\0\0\0\0\0\0\0'", ""),
        *((f"echo '{text}' >&2", text)
          for text in ("[]", '{"reason": "stopped"}', "Traceback: no module json")),
    ],
)  # fmt: skip
def test_a_process_that_sends_something_else(tmp_path, script, problem):
    camera = PiCamera(python=write_python(tmp_path / "python3", script))
    assert problem in error_of(SourceError, camera.read).problem
    camera.close()


def test_an_interpreter_that_does_not_exist(tmp_path):
    error = error_of(SourceError, PiCamera, python=tmp_path / "python3")
    assert error.subject == "picamera2"


def test_closing_during_a_read_and_the_end_of_the_parent(pi):
    camera, orphan = pi("stall"), pi("stall")
    camera.read()
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(camera.read)
        camera.close()
        wait([reading], 10)
        assert reading.done()
    orphan.read()
    orphan._process.stdin.close()  # as the system does when the parent dies
    assert orphan._process.wait(10) == 0


def test_the_name_that_opens_it(monkeypatch):
    sizes: list[object] = []
    monkeypatch.setattr(
        "digitkit.sources.picamera.PiCamera", lambda size: sizes.append(size) or Endless()
    )
    with Live("picamera2", size=(640, 480), max_frames=1) as source:
        assert next(source).source == "picamera2"
    assert sizes == [(640, 480)]


def test_the_script_for_the_system_s_python_stands_alone():
    text = (ROOT / "digitkit/sources/picamera_pipe.py").read_text("utf-8")
    nodes = list(ast.walk(ast.parse(text, feature_version=(3, 9))))
    imports = [node for node in nodes if isinstance(node, ast.Import)]
    imported = {alias.name for node in imports for alias in node.names}
    imported |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert imported - set(sys.stdlib_module_names) == {"picamera2"}
