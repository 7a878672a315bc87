"""The evidence of a diagnosis: everything that the checks look at, gathered before them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digitkit.device.doctor import answers
from digitkit.device.doctor.answers import (
    CAMERA_TIMEOUT,
    TIMEOUT,
    Answer,
    Facts,
    FrameFacts,
    NumPyFacts,
    OnnxRuntimeFacts,
    OpenCVFacts,
    ProbedModelFacts,
)
from digitkit.device.doctor.service_answer import ServiceAnswer, ask_service
from digitkit.errors import ConfigError, SourceError
from digitkit.sources import v4l2
from digitkit.sources.camera_names import PI_CAMERA, camera_kind
from digitkit.sources.v4l2 import VideoDevice
from digitkit.system.conditions import Conditions, read_conditions
from digitkit.system.kernel import ROOT
from digitkit.system.machine import Machine, read_machine
from digitkit.system.processes import RunCommand, run_command
from digitkit.system.progress import Progress, no_progress


@dataclass(frozen=True)
class DoctorConfig:
    """What a diagnosis looks at.

    Attributes:
        model: a shipped name, or an ``.onnx`` file.
        camera: the camera or stream that must work, as `digitkit.sources.live.Live` takes it; None
            to try one of those that exist, and to require none.
        cameras: whether to look at cameras at all.
        service: the URL at which ``digitkit serve`` must answer; None to ask where the settings of
            this machine's service say, if they do.

    Raises:
        ConfigError: `camera` is not a camera's name, or is set without `cameras`; `service` is not
            an http URL.
    """

    model: str = "digits"
    camera: str | None = None
    cameras: bool = True
    service: str | None = None

    def __post_init__(self) -> None:
        """Check the names of camera and service."""
        if self.service is not None and not self.service.startswith(("http://", "https://")):
            raise ConfigError(
                f"must be a URL such as http://127.0.0.1:8080, got {self.service!r}",
                field="service",
            )
        if self.camera is None:
            return
        if not self.cameras:
            raise ConfigError("cannot be combined with --no-camera", field="camera")
        try:
            camera_kind(self.camera)
        except SourceError as error:
            problem = f"{error.subject} {error.problem}"
            raise ConfigError(problem, field="camera", hint=error.hint) from error

    @property
    def remote(self) -> bool:
        """Whether the camera is a stream."""
        return self.camera is not None and camera_kind(self.camera) == "stream"

    @property
    def device(self) -> str | None:
        """The device file of a camera given by number or by file; None for others."""
        kind = self.camera and camera_kind(self.camera)
        if kind == "number" and sys.platform == "linux":
            return f"/dev/video{self.camera}"
        return self.camera if kind == "device" else None


@dataclass(frozen=True)
class Evidence:
    """What the checks look at.

    Attributes:
        config: what to look at.
        root: the folder that holds the system's files; another than ``/`` in tests only.
        machine: see there.
        conditions: see there.
        on_board: whether it is a single-board computer.
        numpy: what NumPy's probe answered.
        opencv: what OpenCV's probe answered; not asked if NumPy does not load.
        onnxruntime: what ONNX Runtime's probe answered; not asked if NumPy does not load.
        model: what the model's probe answered; not asked if one of the three does not load.
        devices: the cameras of Video4Linux.
        frames: what the probes of cameras answered, by the camera's name.
        service: what ``digitkit serve`` answered; None where it was not asked.
    """

    config: DoctorConfig
    root: Path
    machine: Machine
    conditions: Conditions
    on_board: bool
    numpy: Answer[NumPyFacts]
    opencv: Answer[OpenCVFacts]
    onnxruntime: Answer[OnnxRuntimeFacts]
    model: Answer[ProbedModelFacts]
    devices: tuple[VideoDevice, ...]
    frames: Mapping[str, Answer[FrameFacts]]
    service: ServiceAnswer | None = None

    @property
    def on_pi(self) -> bool:
        """Whether it is a Raspberry Pi."""
        return _is_pi(self.machine)

    @property
    def missing_for_cameras(self) -> str | None:
        """The first package that cameras need and that does not load."""
        if not self.numpy.works:
            return "NumPy"
        return None if self.opencv.works else "OpenCV"

    @property
    def missing_for_models(self) -> str | None:
        """The first package that models need and that does not load."""
        return self.missing_for_cameras or (None if self.onnxruntime.works else "ONNX Runtime")

    @property
    def requested_devices(self) -> tuple[VideoDevice, ...]:
        """Those that the requested camera's device file, or a link to one, stands for."""
        if self.config.device is None:
            return ()
        return tuple(v4l2.resolve_device(self.devices, self.config.device, self.root))


def gather_evidence(
    config: DoctorConfig,
    root: Path = ROOT,
    run: RunCommand = run_command,
    progress: Progress = no_progress,
) -> Evidence:
    """Read the machine's state and run the probes; takes seconds.

    Args:
        config: what to look at.
        root: the folder that holds the system's files.
        run: runs a command of the system.
        progress: called before each probe.
    """
    machine = read_machine(root)
    on_pi = _is_pi(machine)
    total = 4 + config.cameras * (1 + on_pi)
    asked = 0

    def ask(
        what: str, probe: str, facts: type[Facts], *, possible: bool = True, **arguments: Any
    ) -> Answer[Facts]:
        nonlocal asked
        progress(what, asked, total)
        asked += 1
        if not possible:
            return Answer()
        seconds = CAMERA_TIMEOUT if probe == "camera" else TIMEOUT
        return answers.ask(probe, facts, arguments, seconds)

    numpy = ask("NumPy", "numpy", NumPyFacts)
    opencv = ask("OpenCV", "opencv", OpenCVFacts, possible=numpy.works)
    onnxruntime = ask("ONNX Runtime", "onnxruntime", OnnxRuntimeFacts, possible=numpy.works)
    loads = opencv.works and onnxruntime.works
    model = ask("the model", "model", ProbedModelFacts, possible=loads, name=config.model)
    devices = tuple(v4l2.list_devices(root)) if config.cameras else ()
    cameras = _cameras_to_try(config, devices, root, on_pi) if opencv.works else []
    return Evidence(
        config=config,
        root=root,
        machine=machine,
        conditions=read_conditions(root, run),
        on_board=(root / "proc/device-tree/model").is_file(),
        numpy=numpy,
        opencv=opencv,
        onnxruntime=onnxruntime,
        model=model,
        devices=devices,
        frames={name: ask("the camera", "camera", FrameFacts, name=name) for name in cameras},
        service=ask_service(config.service, root),
    )


def _is_pi(machine: Machine) -> bool:
    return "Raspberry Pi" in (machine.board or "")


def _cameras_to_try(
    config: DoctorConfig, devices: tuple[VideoDevice, ...], root: Path, on_pi: bool
) -> list[str]:
    """The cameras to take a frame from: the requested one, else the first, and the Pi's own."""
    if not config.cameras:
        return []
    if config.camera is not None:
        if config.device is not None:
            same = v4l2.resolve_device(devices, config.device, root)
            if not same or any(device.trouble == "permission" for device in same):
                return []
        return [config.camera]
    usable = [device.path for device in devices if device.usable]
    return usable[:1] + [PI_CAMERA] * on_pi
