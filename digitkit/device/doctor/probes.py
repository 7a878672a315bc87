"""What `digitkit doctor` has fresh processes try: imports that may crash, a reading, a camera.

A probe yields what it knows so far whenever it knows more, so that a process that dies has
reported how far it came.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitkit.device.doctor.answers import (
    Answer,
    ContractFacts,
    FileFacts,
    FrameFacts,
    ModelReading,
    NumPyFacts,
    OnnxRuntimeFacts,
    OpenCVFacts,
    PageReading,
    ProbedModelFacts,
    ProbeFailure,
    ProfileFacts,
)
from digitkit.errors import CameraMissingError, DigitkitError, one_line
from digitkit.system.hashes import file_sha256

if TYPE_CHECKING:
    from digitkit.models.contract import ModelContract

# Before any probe: what loads it earlier loads it before telemetry is switched off.
_LOADED_EARLY = "onnxruntime" in sys.modules

FRAMES = 8
"""Frames taken from a camera before one is judged: the exposure takes some to settle."""

FRAMES_SECONDS = 3.0
"""How long they may take after the first."""

_MISSING_LIBRARY = re.compile(r"(lib[\w.+-]+\.so[\d.]*): cannot open")
"""How the dynamic loader reports a missing library; Python hands on its text only."""


def probe_numpy() -> Iterator[NumPyFacts]:
    """Load NumPy and multiply matrices, for which it takes the processor's best kernels."""
    import numpy as np

    square = np.ones((64, 64), np.float32)
    yield NumPyFacts(np.__version__, bool((square @ square == 64).all()))


def probe_opencv() -> Iterator[OpenCVFacts]:
    """Load OpenCV, and see whether it can open windows."""
    from digitkit.images.cv import cv2

    toolkit = re.search(r"^\s*GUI:\s*(\S*)", cv2.getBuildInformation(), re.MULTILINE)
    yield OpenCVFacts(cv2.__version__, toolkit is not None and toolkit[1] not in ("", "NONE"))


def probe_onnxruntime() -> Iterator[OnnxRuntimeFacts]:
    """Load ONNX Runtime, and see whether its telemetry was switched off before."""
    from digitkit.models.session import load_onnxruntime

    switch = _read_c_environment("ORT_DISABLE_TELEMETRY")
    module = load_onnxruntime()
    providers = tuple(module.get_available_providers())
    yield OnnxRuntimeFacts(module.__version__, providers, switch, _LOADED_EARLY)


def probe_model(name: str) -> Iterator[ProbedModelFacts]:
    """Check a model's files, load it and read with it.

    Args:
        name: a shipped name, or a file.
    """
    from digitkit.models.registry import find_model, shipped_files

    paths = [] if Path(name).exists() else shipped_files(name)
    shipped = bool(paths)
    paths = paths or [find_model(name)]
    facts = ProbedModelFacts(shipped, tuple(_hash_files(paths, name if shipped else None)))
    yield facts
    sockets = _count_sockets()
    for facts in _read_samples(facts, paths):  # noqa: B020 - each contains the one before
        yield facts
    if sockets is not None:
        facts = replace(facts, sockets_opened=(_count_sockets() or 0) - sockets)
    if shipped:
        from digitkit.models import profiles

        profile, ignored = profiles.find_profile(name)
        choice = problem = None
        if profile is not None:
            choice = f"{profile.precision}, threads: {profile.threads}; {profile.why}"
        if ignored is not None:
            problem = f"{ignored.subject}: {ignored.problem}"
        facts = replace(facts, profile=ProfileFacts(choice, problem))
    yield facts


def probe_camera(name: str) -> Iterator[FrameFacts]:
    """Take a frame from a camera or a stream as ``digitkit infer`` would.

    Args:
        name: as `digitkit.sources.live.Live` takes it.
    """
    from digitkit.sources.frames import Failure
    from digitkit.sources.live import Live

    image = None
    with Live(name, retry=0, max_frames=FRAMES, duration=FRAMES_SECONDS, every=True) as frames:
        for frame in frames:
            if isinstance(frame, Failure):
                break
            image = frame.image
    if image is not None:
        height, width = image.shape[:2]
        yield FrameFacts(width, height, float(image.mean()))


PROBES: dict[str, Callable[..., Iterator[Any]]] = {
    "numpy": probe_numpy,
    "opencv": probe_opencv,
    "onnxruntime": probe_onnxruntime,
    "model": probe_model,
    "camera": probe_camera,
}


def run_probe(probe: str, arguments: dict[str, Any]) -> Iterator[Answer[Any]]:
    """Run a probe, and yield its answer so far whenever it grows.

    Args:
        probe: a key of `PROBES`.
        arguments: of its function.
    """
    facts = None
    try:
        for facts in PROBES[probe](**arguments):
            yield Answer(facts)
    except (DigitkitError, ImportError) as error:
        yield Answer(facts, describe_failure(error))


def describe_failure(error: DigitkitError | ImportError) -> ProbeFailure:
    """Describe an error as data; of an import, the error that began it."""
    cause: BaseException = error
    while cause.__cause__ is not None and isinstance(error, ImportError):
        cause = cause.__cause__  # packages, and digitkit, wrap the loader's own
    if isinstance(cause, DigitkitError):
        missing = isinstance(cause, CameraMissingError)
        return ProbeFailure(
            "missing-camera" if missing else "error",
            one_line(cause.problem),
            cause.subject,
            cause.hint,
        )
    text = one_line(cause)
    if isinstance(cause, ModuleNotFoundError):
        return ProbeFailure("missing-module", text, module=cause.name)
    if library := _MISSING_LIBRARY.search(text):
        return ProbeFailure("missing-library", text, library=library[1])
    return ProbeFailure("import", text)


def _read_samples(facts: ProbedModelFacts, paths: list[Path]) -> Iterator[ProbedModelFacts]:
    """Load each file and read the sample digit with it, then the page with the first."""
    import numpy

    from digitkit.images import samples
    from digitkit.models.classifier import Classifier
    from digitkit.reading.reader import Reader

    first: Reader | None = None
    done: tuple[ModelReading, ...] = ()
    for path in paths:
        reading = ModelReading(path.name)
        try:
            classifier = Classifier(path)
            reading = replace(
                reading, input=classifier.input, contract=_describe_contract(classifier.contract)
            )
            yield replace(facts, readings=(*done, reading))
            reader = Reader(classifier)
            first = first or reader
            reading = replace(reading, text=reader.read(samples.SAMPLE_DIGIT).text)
        except DigitkitError as error:
            reading = replace(reading, failure=describe_failure(error))
        done = (*done, reading)
        facts = replace(facts, readings=done)
        yield facts
    if first is None:
        return
    page = PageReading("", "", samples.SAMPLE_PAGE_TEXT)
    try:
        found = first.read(samples.SAMPLE_PAGE)
        digits = "".join(str(digit.digit) for digit in found.digits)
        page = replace(page, text=found.text, digits=digits)
        # No sample is so unclear that it is asked.
        first.grey_classifier.classify([numpy.zeros((28, 28), numpy.uint8)])
    except DigitkitError as error:
        page = replace(page, failure=describe_failure(error))
    yield replace(facts, page=page)


def _describe_contract(contract: ModelContract | None) -> ContractFacts | None:
    if contract is None:
        return None
    return ContractFacts(
        contract.contract, contract.precision, contract.test_accuracy, contract.test_data
    )


def _read_c_environment(variable: str) -> str | None:
    """An environment variable as compiled code sees it."""
    import ctypes

    if os.name != "posix":
        return os.environ.get(variable)
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_char_p
    value: bytes | None = getenv(variable.encode())
    return None if value is None else value.decode("utf-8", "replace")


def _count_sockets() -> int | None:
    """How many sockets this process has open; None if not available."""
    links = []
    try:
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(OSError):  # the folder's own, closed by now
                links.append(str(entry.readlink()))
    except OSError:
        return None
    return sum(link.startswith("socket:") for link in links)


def _hash_files(paths: list[Path], shipped: str | None) -> Iterator[FileFacts]:
    """Each file of the model and of the other networks, with its SHA-256 and the listed one.

    For a shipped name this includes a precision that is listed but does not exist.
    """
    from digitkit.models.registry import models_folder
    from digitkit.reading.networks.detector import Detector
    from digitkit.reading.networks.grey_classifier import GreyClassifier
    from digitkit.reading.networks.line_reader import LineReader

    others = [each.shipped_path() for each in (Detector, LineReader, GreyClassifier)]
    listed = _read_checksums(models_folder())
    both = [models_folder() / f"{shipped}-{precision}.onnx" for precision in ("int8", "fp32")]
    missing = [path for path in both if path.name in listed and path not in paths]
    for path in [*paths, *missing, *others]:
        sha256 = None
        with suppress(OSError):
            sha256 = file_sha256(path)
        yield FileFacts(
            path.name,
            sha256,
            _read_checksums(path.parent).get(path.name),
            shipped is not None or path in others,
            path not in others,
        )


def _read_checksums(folder: Path) -> dict[str, str]:
    """The SHA-256 of files by name, as the folder's own list states them."""
    from digitkit.models.registry import CHECKSUMS

    listed: dict[str, str] = {}
    with suppress(OSError, UnicodeDecodeError):
        for line in (folder / CHECKSUMS).read_text("utf-8").splitlines():
            digest, _, name = line.partition("  ")
            listed[name] = digest
    return listed
