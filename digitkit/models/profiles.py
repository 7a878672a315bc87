"""What runs best on this device: kept by ``digitkit bench``, used by ``digitkit infer``.

A profile is valid for the model files, the ONNX Runtime and the processor that it was measured
with; when one of them changes, or there are fewer cores than its threads, it is ignored, and the
user sees why.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from digitkit.choices import Precision
from digitkit.errors import OutputError, ReportError, os_reason
from digitkit.models.registry import shipped_files
from digitkit.models.session import load_onnxruntime
from digitkit.system.bounded import MAX_JSON_BYTES, read_bounded
from digitkit.system.folders import config_folder
from digitkit.system.hashes import file_sha256

# What only a device with a profile needs is imported where it is used: every start of digitkit
# looks for one.

PROFILE_FORMAT = "digitkit-profile/1"


@dataclass(frozen=True)
class Profile:
    """How a shipped model runs best on this device.

    Attributes:
        model: name of the model; a shipped one if the profile is kept.
        precision: which of its files.
        threads: threads that one call may use.
        batch: best number of images per call where there are many; null if only one batch size was
            measured.
        p50_us: median latency of a call with the smallest batch that was measured, microseconds.
        images_per_second: throughput in batches of `batch`.
        accuracy: accuracy, 0–1; null if not measured.
        why: the reasons, in words.
        sha256: SHA-256 of the model's files, by precision.
        onnxruntime: version of ONNX Runtime that it was measured with.
        cpu: processor that it was measured on.
        created: when it was measured, ISO 8601.
    """

    model: str
    precision: Precision
    threads: int
    batch: int | None
    p50_us: float
    images_per_second: float
    accuracy: float | None
    why: str
    sha256: dict[str, str]
    onnxruntime: str
    cpu: str
    created: str


def profile_file() -> Path:
    """The file of this device's profiles.

    ``$DIGITKIT_PROFILE``, else ``digitkit/profile.json`` in ``$XDG_CONFIG_HOME`` or ``~/.config``.

    Raises:
        OutputError: none of them is set, and this user has no home folder.
    """
    named = os.environ.get("DIGITKIT_PROFILE")
    if named:
        return Path(named)
    return config_folder() / "profile.json"


def save_profiles(profiles: Sequence[Profile]) -> Path:
    """Write profiles into this device's file; its profiles of other models are kept.

    Returns:
        The file.

    Raises:
        ReportError: a profile is not for a shipped model.
        OutputError: the file cannot be read or written.
    """
    for profile in profiles:
        shipped = shipped_hashes(profile.model)
        if not profile.sha256 or not profile.sha256.items() <= shipped.items():
            raise _not_shipped(profile.model)
    import msgspec

    from digitkit.system import atomic

    path = profile_file()
    with atomic.hold_lock(path):
        try:
            models = _read(path)
        except OSError as error:
            problem = f"cannot be read: {os_reason(error)}"
            raise OutputError(problem, subject=str(path)) from error
        except (msgspec.MsgspecError, ValueError, RecursionError):
            models = {}  # damaged, and about to be replaced
        models |= {profile.model: asdict(profile) for profile in profiles}
        text = json.dumps({"format": PROFILE_FORMAT, "models": models}, indent=2, sort_keys=True)
        atomic.write_text(path, text + "\n")
    return path


def check_shipped(models: Sequence[str]) -> None:
    """Refuse models that no profile can be kept of.

    Raises:
        ReportError: a model is not a shipped one.
    """
    for model in models:
        if not shipped_hashes(model):
            raise _not_shipped(model)


def find_profile(model: str) -> tuple[Profile | None, ReportError | None]:
    """The profile of a shipped model on this device.

    Returns:
        The profile, or None if there is none or it is not valid any more; and why an existing one
        is ignored (an error to be shown, not raised), or None.
    """
    try:
        path = profile_file()
        if not os.path.isfile(path):  # Path.is_file raises where a folder may not be searched
            return None, None
    except OutputError:
        return None, None
    import msgspec

    from digitkit.system.machine import cpu_name, usable_cores

    try:
        values = _read(path).get(model)
        if values is None:
            return None, None
        profile = _convert(values)
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return None, _ignored(path, "cannot be read and is ignored")
    compared = {
        "model file": (
            shipped_hashes(model).get(profile.precision),
            profile.sha256[profile.precision],
        ),
        "ONNX Runtime": (load_onnxruntime().__version__, profile.onnxruntime),
        "processor": (cpu_name(), profile.cpu),
    }
    for what, (now, then) in compared.items():
        if now != then:
            return None, _ignored(path, f"was measured with a different {what}")
    if profile.threads > (cores := usable_cores()):  # fewer than it was measured with
        return None, _ignored(path, f"uses more threads than this machine has cores ({cores})")
    return profile, None


def shipped_hashes(model: str) -> dict[str, str]:
    """The SHA-256 of a shipped model's files, by precision; empty for other models."""
    return {path.stem.rsplit("-", 1)[1]: file_sha256(path) for path in shipped_files(model)}


def _not_shipped(model: str) -> ReportError:
    return ReportError(
        "a profile can only be kept for a shipped model",
        subject=model,
        hint="omit --save; digitkit infer takes other models by their file",
    )


def _ignored(path: Path, problem: str) -> ReportError:
    hint = "measure again with digitkit bench --recommend --save"
    return ReportError(problem, subject=str(path), hint=hint)


def _read(path: Path) -> dict[str, Any]:
    """The profiles in a file by model, not yet checked; none if it does not exist.

    Raises:
        OSError: it cannot be read.
        msgspec.MsgspecError: it is not JSON.
        ValueError: it is not a file of profiles.
    """
    import msgspec

    if not os.path.isfile(path):
        return {}
    values = msgspec.json.decode(read_bounded(path, MAX_JSON_BYTES))
    if not isinstance(values, dict) or values.get("format") != PROFILE_FORMAT:
        raise ValueError(f"{path}: is not a profile")
    models = values.get("models")
    return models if isinstance(models, dict) else {}


def _convert(values: object) -> Profile:
    """A profile from the values in the file.

    Raises:
        msgspec.ValidationError: a value is missing or of a wrong type.
        ValueError: a number is out of range, or the hash of the model file is missing.
    """
    import msgspec

    profile = msgspec.convert(values, Profile)
    if profile.threads < 1 or (profile.batch is not None and profile.batch < 1):
        raise ValueError("threads and batch must be at least 1")
    if profile.precision not in profile.sha256:
        raise ValueError("the hash of the model file is missing")
    return profile
