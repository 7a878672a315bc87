from __future__ import annotations

import pytest
from support.doctor import FACTS
from support.machines import CAPTURED

from digitkit.device.doctor import answers, evidence
from digitkit.device.doctor.answers import Answer
from digitkit.device.doctor.evidence import DoctorConfig, gather_evidence
from digitkit.errors import ConfigError
from digitkit.sources import v4l2
from digitkit.sources.v4l2 import VideoDevice
from digitkit.system.machine import read_machine

WEBCAM = VideoDevice("/dev/video0", "Webcam C270", "uvcvideo", captures=True)
DATA = VideoDevice("/dev/video1", "Webcam C270", "uvcvideo")
BARRED = VideoDevice("/dev/video0", trouble="permission", group="video")
PI_CAMERA = VideoDevice("/dev/video0", "unicam", "unicam", captures=True)


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
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(answers, "ask", ask)
    monkeypatch.setattr(evidence, "read_machine", lambda root: machine)
    monkeypatch.setattr(v4l2, "list_devices", lambda root: devices)
    gathered = gather_evidence(DoctorConfig(**options), progress=lambda *step: steps.append(step))
    assert [name for probe, name in asked if probe == "camera"] == list(gathered.frames) == tried
    assert [done for _, done, _ in steps] == list(range(len(asked)))
    assert all(done < total for _, done, total in steps)
