from __future__ import annotations

from dataclasses import replace

import pytest
from support.doctor import FACTS, FRAME, failed, killed, look, states
from support.machines import CAPTURED

from digitkit.device.doctor import answers, cameras, evidence
from digitkit.device.doctor.answers import Answer
from digitkit.device.doctor.evidence import DoctorConfig, gather_evidence
from digitkit.errors import ConfigError
from digitkit.sources import v4l2
from digitkit.sources.v4l2 import VideoDevice
from digitkit.system.machine import read_machine

WEBCAM = VideoDevice("/dev/video0", "Webcam C270", "uvcvideo", captures=True)
DATA = VideoDevice("/dev/video1", "Webcam C270", "uvcvideo")
BARRED = VideoDevice("/dev/video0", trouble="permission", group="video")
BUSY = replace(WEBCAM, trouble="busy")
PI_CAMERA = VideoDevice("/dev/video0", "unicam", "unicam", captures=True)
LISTED = ("cameras", "permission", "in use", "frame")


@pytest.fixture(autouse=True)
def nobody_uses_cameras(monkeypatch):
    monkeypatch.setattr(v4l2, "find_holders", lambda device, root: [])
    monkeypatch.setattr(cameras, "read_memberships", set)
    monkeypatch.setattr("sys.platform", "linux")


@pytest.mark.parametrize("options", [{"camera": "front"}, {"camera": "0", "cameras": False}])
def test_wrong_configs(options):
    with pytest.raises(ConfigError) as caught:
        DoctorConfig(**options)
    assert caught.value.field == "camera"


@pytest.mark.parametrize(
    ("board", "devices", "options", "tried"),
    [
        ("server", [WEBCAM, DATA], {}, ["/dev/video0"]),
        ("server", [WEBCAM], {"cameras": False}, []),
        ("server", [], {}, []),
        ("server", [], {"camera": "0"}, []),
        ("server", [BARRED], {"camera": "0"}, []),
        ("server", [WEBCAM], {"camera": "0"}, ["0"]),
        ("server", [WEBCAM], {"camera": "/dev/video0"}, ["/dev/video0"]),
        ("server", [WEBCAM], {"camera": "rtsp://h/x"}, ["rtsp://h/x"]),
        ("pi4", [PI_CAMERA], {}, ["picamera2"]),
        ("pi4", [WEBCAM], {}, ["/dev/video0", "picamera2"]),
        ("pi4", [], {"camera": "picamera2"}, ["picamera2"]),
    ],
)
def test_which_cameras_are_tried(monkeypatch, board, devices, options, tried):
    asked, steps = [], []

    def ask(probe, facts, arguments, seconds):
        asked.append((probe, arguments.get("name")))
        return Answer(FACTS.get(probe))

    machine = read_machine(CAPTURED / board)
    monkeypatch.setattr(answers, "ask", ask)
    monkeypatch.setattr(evidence, "read_machine", lambda root: machine)
    monkeypatch.setattr(v4l2, "list_devices", lambda root: devices)
    gathered = gather_evidence(DoctorConfig(**options), progress=lambda *step: steps.append(step))
    assert [name for probe, name in asked if probe == "camera"] == list(gathered.frames) == tried
    assert [done for _, done, _ in steps] == list(range(len(asked)))
    assert all(done < total for _, done, total in steps)


def test_a_camera_that_works():
    checks = look(devices=[WEBCAM, DATA], frames={"/dev/video0": Answer(FRAME)})
    assert states(checks, *LISTED) == {"ok"}
    assert "Webcam C270" in checks["cameras"].found
    assert "640×480" in checks["frame"].found
    assert checks["picamera2"].state == "skipped"
    checks = look(devices=[WEBCAM], camera="0", frames={"0": Answer(FRAME)})
    assert states(checks, *LISTED) == {"ok"}


def test_no_camera():
    assert states(look(devices=[]), *LISTED, "picamera2") == {"skipped"}
    assert look(devices=None)["cameras"].state == "skipped"
    checks = look(devices=[WEBCAM], camera="/dev/video7")
    assert (checks["cameras"].state, checks["frame"].state) == ("problem", "skipped")
    assert "/dev/video0" in checks["cameras"].found  # which exists


@pytest.mark.parametrize(("camera", "state"), [(None, "warning"), ("0", "problem")])
def test_permission(monkeypatch, camera, state):
    checks = look(devices=[BARRED], camera=camera)
    assert (checks["permission"].state, checks["frame"].state) == (state, "skipped")
    assert checks["permission"].remedy.startswith("sudo usermod -aG video $USER")
    monkeypatch.setattr(cameras, "read_memberships", lambda: {"video"})
    assert "sudo reboot" in look(devices=[BARRED], camera=camera)["permission"].remedy


def test_a_camera_in_use(monkeypatch):
    check = look(devices=[BUSY])["in use"]
    assert check.state == "warning"
    assert check.remedy.startswith("sudo fuser -v /dev/video0 ")
    monkeypatch.setattr(v4l2, "find_holders", lambda device, root: ["mpv (12)"])
    check = look(devices=[WEBCAM], camera="0")["in use"]
    assert check.state == "warning"
    assert "mpv (12)" in check.found
    assert "systemctl stop digitkit" in check.remedy


@pytest.mark.parametrize(
    ("answer", "optional", "required", "remedy"),
    [
        (failed("error", hint="close others"), "warning", "problem", "close others"),
        (killed("SIGSEGV"), "warning", "problem", "dmesg"),
        (Answer(), "warning", "problem", "dmesg"),
        (Answer(replace(FRAME, brightness=0.3)), "warning", "warning", "lens cap"),
    ],
)
def test_a_camera_that_gives_no_frame(answer, optional, required, remedy):
    check = look(devices=[WEBCAM], camera="0", frames={"0": answer})["frame"]
    assert check.state == required
    assert remedy in check.remedy
    check = look(devices=[WEBCAM], frames={"/dev/video0": answer})["frame"]
    assert check.state == optional


@pytest.mark.parametrize(
    ("answer", "optional", "required"),
    [
        (failed("missing-camera", hint="sudo apt install python3-picamera2"), "skipped", "problem"),
        (failed("error", hint="close other programs"), "warning", "problem"),
        (Answer(FRAME), "ok", "ok"),
    ],
)
def test_a_pi_s_own_camera(answer, optional, required):
    frames = {"picamera2": answer}
    checks = look("pi4", devices=[PI_CAMERA], frames=frames)  # whose driver OpenCV cannot use
    assert (checks["cameras"].state, checks["frame"].state) == ("ok", "skipped")
    assert checks["picamera2"].state == optional
    assert checks["picamera2"].remedy == (answer.failure and answer.failure.hint)
    checks = look("pi4", devices=[PI_CAMERA], camera="picamera2", frames=frames)
    assert checks["picamera2"].state == required
    assert "frame" not in checks


def test_what_a_camera_needs():
    options = {"devices": [WEBCAM], "camera": "0", "frames": {"0": Answer(FRAME)}}
    assert look(**options, onnxruntime=failed())["frame"].state == "ok"
    assert look(**options, opencv=failed())["frame"].state == "skipped"
