"""What probes answer, as data; and how they are asked, each in a fresh process.

Loads nothing heavy. `digitkit.device.doctor.probes` is the other end.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from digitkit.errors import MissingDependencyError
from digitkit.system.processes import ChildFailure, call_in_child

Facts = TypeVar("Facts")

FailureReason = Literal[
    "missing-module",
    "missing-library",
    "import",
    "missing-camera",
    "error",
    "killed",
    "exited",
    "timeout",
    "not-started",
]
"""Why a probe failed: a Python module or a shared library is missing, an import failed otherwise,
there is no such camera, another of digitkit's errors; or how its process ended."""

TIMEOUT = 180.0
"""Seconds that a probe may take; on an emulated processor it takes some."""

CAMERA_TIMEOUT = 60.0
"""Seconds that the probe of a camera may take."""

_SIGNALS = {
    "SIGILL": "an instruction that this processor does not have",
    "SIGSEGV": "a memory fault",
    "SIGBUS": "probably a damaged file",
    "SIGABRT": "a failed assertion",
    "SIGKILL": "probably too little memory",
}


@dataclass(frozen=True)
class ProbeFailure:
    """Why a probe did not finish.

    Attributes:
        reason: the kind of failure.
        problem: what is wrong, one line.
        subject: the file or camera that it is about; None if there is none.
        hint: what the error suggests; None if it suggests nothing.
        module: for ``missing-module``, the module's full name; None if unknown.
        library: for ``missing-library``, the file's name, such as ``libGL.so.1``.
        signal: for ``killed``, the name of the signal.
    """

    reason: FailureReason
    problem: str
    subject: str | None = None
    hint: str | None = None
    module: str | None = None
    library: str | None = None
    signal: str | None = None

    def __str__(self) -> str:
        """The problem, after its subject."""
        return self.problem if self.subject is None else f"{self.subject}: {self.problem}"


NO_ANSWER = ProbeFailure("exited", "the process gave no answer")
"""Stands for the failure of a probe that reported neither facts nor a failure."""


@dataclass(frozen=True)
class Answer(Generic[Facts]):
    """What a probe answered. Of a probe that was not asked both attributes are None.

    Attributes:
        facts: what it found, maybe incomplete if it failed.
        failure: why it did not finish; None if it did.
    """

    facts: Facts | None = None
    failure: ProbeFailure | None = None

    @property
    def works(self) -> bool:
        """Whether the probe finished."""
        return self.facts is not None and self.failure is None


@dataclass(frozen=True)
class NumPyFacts:
    """NumPy's version, and whether it computes a matrix product correctly."""

    version: str
    correct: bool


@dataclass(frozen=True)
class OpenCVFacts:
    """OpenCV's version, and whether it can open windows."""

    version: str
    windows: bool


@dataclass(frozen=True)
class OnnxRuntimeFacts:
    """ONNX Runtime as digitkit loads it.

    Attributes:
        version: its version.
        providers: the names of its execution providers.
        telemetry_switch: ``ORT_DISABLE_TELEMETRY`` as compiled code saw it before it loaded.
        loaded_early: whether something had loaded it before digitkit could set the switch.
    """

    version: str
    providers: tuple[str, ...]
    telemetry_switch: str | None
    loaded_early: bool


@dataclass(frozen=True)
class FileFacts:
    """A model file.

    Attributes:
        name: its name without the folder.
        sha256: of its content; None if it is missing or unreadable.
        listed_sha256: as the ``SHA256SUMS`` next to it states; None if it is not listed.
        shipped: whether it comes with digitkit, and must be listed.
        is_classifier: whether it is of the model that was named, and not another network.
    """

    name: str
    sha256: str | None
    listed_sha256: str | None
    shipped: bool
    is_classifier: bool


@dataclass(frozen=True)
class ContractFacts:
    """What a digitkit model states about itself; see `digitkit.models.contract`."""

    version: int
    precision: str
    test_accuracy: float
    test_data: str


@dataclass(frozen=True)
class ModelReading:
    """One model file, loaded and tried on a sample digit.

    Attributes:
        file: the file's name.
        input: the name of the model's input; None if the model does not load.
        contract: None for a third-party model, and if it does not load.
        text: what it reads on a sample image of a 0; None if it reads nothing.
        failure: why it does not load or read; None if it does.
    """

    file: str
    input: str | None = None
    contract: ContractFacts | None = None
    text: str | None = None
    failure: ProbeFailure | None = None


@dataclass(frozen=True)
class PageReading:
    """The sample page, read by the first model that loads.

    Attributes:
        text: the accepted text.
        digits: all digits in reading order, accepted or not.
        expected: the text on the page.
        failure: why it could not be read; None if it was.
    """

    text: str
    digits: str
    expected: str
    failure: ProbeFailure | None = None


@dataclass(frozen=True)
class ProfileFacts:
    """What `digitkit.models.profiles` keeps for a shipped model on this device.

    Attributes:
        choice: precision, threads and why, in words; None without a profile that fits.
        problem: why a profile is ignored; None if none is.
    """

    choice: str | None
    problem: str | None


@dataclass(frozen=True)
class ProbedModelFacts:
    """A model, by its shipped name or its file.

    Attributes:
        shipped: whether a shipped name was given.
        files: the model's files, then those of the detector, the line reader and the grey
            classifier.
        readings: one per file of the model; fewer if the probe failed before.
        page: None if the probe failed before, or no model loads.
        sockets_opened: how many sockets reading opened; None if not available.
        profile: of shipped models; None if the probe failed before.
    """

    shipped: bool
    files: tuple[FileFacts, ...]
    readings: tuple[ModelReading, ...] = ()
    page: PageReading | None = None
    sockets_opened: int | None = None
    profile: ProfileFacts | None = None


@dataclass(frozen=True)
class FrameFacts:
    """A camera's frame: width and height in pixels, mean brightness 0–255."""

    width: int
    height: int
    brightness: float


def ask(
    probe: str, facts: type[Facts], arguments: dict[str, Any], seconds: float = TIMEOUT
) -> Answer[Facts]:
    """Run a probe of `digitkit.device.doctor.probes` in a fresh process.

    Args:
        probe: its name.
        facts: the dataclass that it answers with.
        arguments: of its function.
        seconds: after which it is stopped.

    Raises:
        MissingDependencyError: msgspec does not load, without which no answer can be read.
    """
    try:
        import msgspec
    except ImportError as error:
        hint = "pip install --force-reinstall msgspec"
        raise MissingDependencyError(f"msgspec does not load ({error})", hint=hint) from error

    # digitkit itself must switch telemetry off there.
    env = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    result = call_in_child(
        "digitkit.device.doctor.probes",
        "run_probe",
        {"probe": probe, "arguments": arguments},
        seconds=seconds,
        env=env,
    )
    answer: Answer[Facts] = Answer()
    if result.items:  # the last one contains the others
        answer = msgspec.json.decode(result.items[-1], type=Answer[facts])  # type: ignore[valid-type]
    if answer.failure is None and result.failure is not None:
        return Answer(answer.facts, _describe_end(result.failure))
    return answer


def _describe_end(end: ChildFailure) -> ProbeFailure:
    if end.kind == "raised":  # out of memory: `run_probe` catches other errors
        return ProbeFailure("error", end.message)
    if end.kind != "killed":
        return ProbeFailure(end.kind, str(end))
    why = f" ({_SIGNALS[end.message]})" if end.message in _SIGNALS else ""
    return ProbeFailure("killed", f"{end}{why}", signal=end.message)
