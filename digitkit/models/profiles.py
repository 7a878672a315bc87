"""What runs best on this device: kept by ``digitkit bench``, used by ``digitkit infer``.

A profile holds for the model files, the ONNX Runtime and the processor that it was measured with;
when one of them changes, or there are fewer cores than its threads, it is passed over, and whoever
asks is told why.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from digitkit.errors import OutputError, ReportError
from digitkit.models.registry import shipped_files
from digitkit.models.session import load_onnxruntime
from digitkit.system.folders import config_folder
from digitkit.system.hashes import file_sha256

# What only a device with a profile needs is imported there: every start of digitkit asks for one.

FORMAT = "digitkit-profile/1"

Precision = Literal["int8", "fp32"]


@dataclass(frozen=True)
class Profile:
    """How a shipped model runs best on this device.

    Attributes:
        model: its name: of a profile that is kept, a shipped one.
        precision: which of its files.
        threads: that one run may use.
        batch: images that are best given to one run, where there are many; None where only one
            size of batch was measured.
        p50_us: median latency of a run of the smallest batch that was measured, microseconds.
        images_per_second: in batches of `batch`.
        accuracy: 0–1; None where it was not measured.
        why: in words.
        sha256: of the model's files, by precision.
        onnxruntime: version that it was measured with.
        cpu: processor that it was measured on.
        created: when, ISO 8601.
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
    """Where this device's profile is.

    ``$DIGITKIT_PROFILE``, else ``digitkit/profile.json`` in ``$XDG_CONFIG_HOME`` or ``~/.config``.

    Raises:
        OutputError: none of them is set, and this user has no home.
    """
    named = os.environ.get("DIGITKIT_PROFILE")
    if named:
        return Path(named)
    return config_folder() / "profile.json"


def save_profiles(profiles: Sequence[Profile]) -> Path:
    """Write profiles into this device's file; what it holds of other models stays.

    Returns:
        The file.

    Raises:
        ReportError: one of them is of no shipped model, which is what a name stands for.
        OutputError: it cannot be written.
    """
    for one in profiles:
        if not one.sha256 or not one.sha256.items() <= _hashes(one.model).items():
            raise _not_shipped(one.model)
    from digitkit.system import atomic

    path = profile_file()
    try:
        models = _read(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError):
        models = {}  # damaged, and about to be replaced
    models |= {one.model: asdict(one) for one in profiles}
    text = json.dumps({"format": FORMAT, "models": models}, indent=2, sort_keys=True)
    atomic.write_text(path, text + "\n")
    return path


def check_shipped(models: Sequence[str]) -> None:
    """Refuse models that no profile can be kept of.

    Raises:
        ReportError: one is no shipped name.
    """
    for model in models:
        if not _hashes(model):
            raise _not_shipped(model)


def _not_shipped(model: str) -> ReportError:
    return ReportError(
        f"{model}: only what runs best of a shipped model can be saved, since digitkit infer "
        "takes others by their file"
    )


def find_profile(model: str) -> tuple[Profile | None, ReportError | None]:
    """The profile of a shipped model on this device.

    Returns:
        The profile, or None where there is none that fits; and why an existing one is ignored (an
        error to be shown, not raised), or None.
    """
    try:
        path = profile_file()
        if not os.path.isfile(path):  # Path's own raises where a folder may not be searched
            return None, None
    except OutputError:
        return None, None
    from digitkit.system.machine import cpu_name, usable_cores

    try:
        values = _read(path).get(model)
        if values is None:
            return None, None
        profile = Profile(**values)
        measured = profile.sha256[profile.precision]
        if profile.precision not in get_args(Precision):
            raise ValueError(f"precision is {profile.precision}")
        for count in (profile.threads, 1 if profile.batch is None else profile.batch):
            if type(count) is not int or count < 1:
                raise ValueError(f"{count} is no number of threads or images")
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None, _ignored(path, "cannot be read and is ignored")
    here = {
        "model file": (_hashes(model).get(profile.precision), measured),
        "ONNX Runtime": (load_onnxruntime().__version__, profile.onnxruntime),
        "processor": (cpu_name(), profile.cpu),
    }
    for what, (now, then) in here.items():
        if now != then:
            return None, _ignored(path, f"was measured with a different {what}")
    if profile.threads > (cores := usable_cores()):  # fewer than it was measured with
        return None, _ignored(path, f"uses more threads than this machine has cores ({cores})")
    return profile, None


def _ignored(path: Path, problem: str) -> ReportError:
    hint = "measure again with digitkit bench --recommend --save"
    return ReportError(problem, subject=str(path), hint=hint)


def _read(path: Path) -> dict[str, Any]:
    if not os.path.isfile(path):
        return {}
    values = json.loads(path.read_text("utf-8"))
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ValueError(f"{path}: is no profile")
    models = values.get("models")
    return models if isinstance(models, dict) else {}


def _hashes(model: str) -> dict[str, str]:
    return {path.stem.rsplit("-", 1)[1]: file_sha256(path) for path in shipped_files(model)}
