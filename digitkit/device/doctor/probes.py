"""What `digitkit.doctor` has a fresh process try: imports that may crash, a reading, a camera.

A probe yields what it finds step by step, and each step is written to standard output as a line of
JSON as soon as it is known: a process that dies has told how far it came.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from digitkit.errors import DigitkitError, one_line
from digitkit.system.hashes import file_sha256

# Before any probe: whoever loads it earlier than this loads it before telemetry is switched off.
_EARLY = "onnxruntime" in sys.modules

Steps = Iterator[tuple[str, dict[str, Any]]]

FRAMES = 8
"""Frames taken from a camera before one is judged: it takes some to settle its exposure."""

FRAMES_SECONDS = 3.0
"""How long they may take after the first."""


def numpy() -> Steps:
    """NumPy: loads it and multiplies matrices, for which it takes the processor's best kernels."""
    import numpy as np

    square = np.ones((64, 64), np.float32)
    yield "numpy", {"version": np.__version__, "right": bool((square @ square == 64).all())}


def opencv() -> Steps:
    """OpenCV: loads it; whether it can open windows."""
    from digitkit.images.opencv import cv2

    toolkit = re.search(r"^\s*GUI:\s*(\S*)", cv2.getBuildInformation(), re.MULTILINE)
    windows = toolkit is not None and toolkit[1] not in ("", "NONE")
    yield "opencv", {"version": cv2.__version__, "windows": windows}


def onnxruntime() -> Steps:
    """ONNX Runtime: loads it; its providers, and whether its telemetry was off before."""
    from digitkit.models.session import load_onnxruntime

    switch = _in_c("ORT_DISABLE_TELEMETRY")
    module = load_onnxruntime()
    yield (
        "onnxruntime",
        {
            "version": module.__version__,
            "providers": module.get_available_providers(),
            "switch": switch,
            "early": _EARLY,
        },
    )


def model(name: str) -> Steps:
    """A model, by its shipped name or its file: its hash, its contract, and real readings."""
    from digitkit.images import samples
    from digitkit.models.classifier import Classifier
    from digitkit.models.registry import find_model, shipped_files
    from digitkit.reading.reader import Reader

    paths = [] if Path(name).exists() else shipped_files(name)
    shipped = bool(paths)
    paths = paths or [find_model(name)]
    yield "files", {"shipped": shipped, "files": list(_hashed(paths, name if shipped else None))}
    before = _sockets()
    first: Reader | None = None
    for path in paths:
        try:
            classifier = Classifier(path)
            promise = classifier.contract and asdict(classifier.contract)
            yield f"contract of {path.name}", {"promise": promise, "takes": classifier.input}
            reader = Reader(classifier)
            first = first or reader
            yield f"digit by {path.name}", {"text": reader.read(samples.SAMPLE_DIGIT).text}
        except DigitkitError as error:
            yield f"failure of {path.name}", {"error": one_line(error)}
    if first is not None:
        try:
            reading = first.read(samples.SAMPLE_PAGE)
            accepted_or_not = "".join(str(digit.digit) for digit in reading.digits)
            yield (
                "page",
                {
                    "text": reading.text,
                    "all": accepted_or_not,
                    "expected": samples.SAMPLE_PAGE_TEXT,
                },
            )
        except DigitkitError as error:
            yield "page", {"error": one_line(error)}
    yield "sockets", {"opened": None if before is None else (_sockets() or 0) - before}
    if shipped:
        from digitkit.models import profiles

        profile, note = profiles.find_profile(name)
        why = profile and f"{profile.precision}, threads: {profile.threads}; {profile.why}"
        yield "profile", {"fits": why, "note": note}


def camera(name: str) -> Steps:
    """A camera or a stream, by its name: takes a frame as ``digitkit infer`` would."""
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
        yield "frame", {"width": width, "height": height, "brightness": float(image.mean())}


PROBES: dict[str, Callable[..., Steps]] = {
    probe.__name__: probe for probe in (numpy, opencv, onnxruntime, model, camera)
}


def main() -> None:
    """Do the probe that is named on standard input, as JSON ``[NAME, ARGUMENTS]``."""
    # What libraries print must not get between the answers.
    out = os.dup(1)
    os.dup2(2, 1)
    name, arguments = json.load(sys.stdin)

    def tell(step: str, **found: Any) -> None:
        os.write(out, f"{json.dumps([step, found])}\n".encode())

    try:
        for step, found in PROBES[name](**arguments):
            tell(step, **found)
    except ImportError as error:
        # Packages and `_opencv` wrap what the loader said.
        bottom: BaseException = error
        while bottom.__cause__ is not None:
            bottom = bottom.__cause__
        tell("error", error=one_line(bottom))
    except DigitkitError as error:
        tell("error", error=one_line(error))
    tell("end")


def _in_c(variable: str) -> str | None:
    """An environment variable as compiled code sees it."""
    import ctypes

    if os.name != "posix":
        return os.environ.get(variable)
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_char_p
    value: bytes | None = getenv(variable.encode())
    return None if value is None else value.decode("utf-8", "replace")


def _sockets() -> int | None:
    """How many sockets this process has open; None where the system does not tell."""
    links = []
    try:
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(OSError):  # the folder's own, closed by now
                links.append(str(entry.readlink()))
    except OSError:
        return None
    return sum(link.startswith("socket:") for link in links)


def _hashed(paths: list[Path], shipped: str | None) -> Iterator[dict[str, Any]]:
    """Each model's file, and the finder's, with its SHA-256 and that of the list beside it.

    Of a shipped name a precision that is listed and not there is one of them, too.
    """
    from digitkit.models.registry import models_folder
    from digitkit.reading.detector import DETECTOR_FILE

    finder = models_folder() / DETECTOR_FILE
    listed = _listed(models_folder())
    both = [models_folder() / f"{shipped}-{precision}.onnx" for precision in ("int8", "fp32")]
    gone = [path for path in both if path.name in listed and path not in paths]
    for path in [*paths, *gone, finder]:
        found = None
        with suppress(OSError):
            found = file_sha256(path)
        yield {
            "name": path.name,
            "sha256": found,
            "listed": _listed(path.parent).get(path.name),
            "own": shipped is not None or path == finder,
        }


def _listed(folder: Path) -> dict[str, str]:
    """The SHA-256 of files by their names, as the folder's own list has them."""
    from digitkit.export.card import CHECKSUMS

    listed: dict[str, str] = {}
    with suppress(OSError, UnicodeDecodeError):
        for line in (folder / CHECKSUMS).read_text("utf-8").splitlines():
            digest, _, name = line.partition("  ")
            listed[name] = digest
    return listed
