"""The models that ship, and the file of a model's name."""

from __future__ import annotations

import os
from pathlib import Path

from digitkit.choices import PrecisionChoice
from digitkit.errors import ConfigError, InputNotFoundError, ModelError, check_choice, os_reason

CHECKSUMS = "SHA256SUMS"
"""The list of the SHA-256 of a folder's models."""


def models_folder() -> Path:
    """The folder of the shipped models: inside an installed package, next to it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "exported"
    return inside if inside.is_dir() else package.parent / "exported"


def shipped_files(name: str) -> list[Path]:
    """The files of a shipped name, int8 first; with a precision (``digits-int8``), that one."""
    files = [models_folder() / f"{name}{suffix}.onnx" for suffix in ("-int8", "-fp32", "")]
    return [file for file in files if file.is_file() and file.stem.endswith(("-int8", "-fp32"))]


def shipped_names() -> list[str]:
    """The shipped names, without precisions."""
    return sorted({path.name.rsplit("-", 1)[0] for path in models_folder().glob("[!.]*-*.onnx")})


def find_model(model: str | os.PathLike[str], precision: PrecisionChoice = "auto") -> Path:
    """The file of a shipped name or a path.

    Args:
        model: a shipped name (``digits``, ``digits-tiny``), also with its precision
            (``digits-int8``); else the path of an ``.onnx`` file.
        precision: of a shipped model.

    Raises:
        InputNotFoundError: neither a shipped model nor a file has this name.
        ConfigError: `model` is neither a name nor a path; a precision is unknown, or given for a
            file, which has only its own.
        ModelError: it is a folder, or this user has no access to the file's folder.
    """
    check_choice("precision", precision, PrecisionChoice)
    if not isinstance(model, str | os.PathLike):
        raise ConfigError(f"must be a name or a path, got {model!r}", field="model")
    path = Path(model)
    text = os.fspath(model)
    if not text:
        raise InputNotFoundError(
            "the name of the model is empty", hint="use digits, or the path of an .onnx file"
        )
    is_name = path.suffix == "" and text == path.name
    if is_name and (not path.exists() or shipped_files(text)):
        return _find_shipped(text, precision)
    if precision != "auto":
        raise ConfigError(
            f"applies to shipped models such as digits, but {text} is a file", field="precision"
        )
    try:
        exists, is_folder = path.is_file(), path.is_dir()
    except PermissionError as error:  # raised up to Python 3.13
        raise ModelError(
            f"cannot be accessed: {os_reason(error)}",
            subject=text,
            hint="move it to where this user may read (a service does not see home folders)",
        ) from error
    if is_folder:
        raise ModelError(
            "is a folder, not an .onnx file",
            subject=text,
            hint="digitkit export makes models of a run, in its folder exported",
        )
    if not exists:
        raise InputNotFoundError("does not exist", subject=text)
    return path


def _find_shipped(name: str, precision: PrecisionChoice) -> Path:
    files = shipped_files(name)
    if precision != "auto":
        files = [file for file in files if file.stem == f"{name}-{precision}"]
    if files:
        return files[0]
    names = shipped_names()
    wanted = "" if precision == "auto" else f" with precision {precision}"
    raise InputNotFoundError(
        f"is neither a shipped model{wanted} nor a file",
        subject=name,
        hint=f"shipped models: {', '.join(names) or 'none is installed'}",
    )
