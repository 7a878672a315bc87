"""The models that ship, and the file that a name stands for."""

from __future__ import annotations

import os
from pathlib import Path

from digitkit.choices import PrecisionChoice
from digitkit.errors import InputNotFoundError, ModelError


def models_folder() -> Path:
    """Where the shipped models are: inside an installed package, else beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "exported"
    return inside if inside.is_dir() else package.parent / "exported"


def shipped_files(name: str) -> list[Path]:
    """The files of a shipped name, int8 first; of ``digits-int8`` and the like, that one."""
    files = [models_folder() / f"{name}{kind}.onnx" for kind in ("-int8", "-fp32", "")]
    return [file for file in files if file.is_file() and file.stem.endswith(("-int8", "-fp32"))]


def find_model(model: str | os.PathLike[str], precision: PrecisionChoice = "auto") -> Path:
    """The file that a shipped name or a path stands for.

    Args:
        model: a shipped name (``digits``, ``digits-tiny``), also with its precision
            (``digits-int8``); else the path of an ``.onnx`` file.
        precision: of a shipped model; ``auto`` is int8 where there is one, which is the faster.

    Raises:
        InputNotFoundError: there is no such shipped model and no such file.
        ModelError: a precision was asked of a file, which has just the one that it has; or this
            user may not look into the file's folder.
    """
    path = Path(model)
    text = os.fspath(model)
    if path.suffix == "" and text == path.name and not path.exists():
        shipped = shipped_files(text)
        if precision != "auto":
            shipped = [file for file in shipped if file.stem == f"{text}-{precision}"]
        if shipped:
            return shipped[0]
        names = sorted({p.name.rsplit("-", 1)[0] for p in models_folder().glob("*-*.onnx")})
        raise InputNotFoundError(
            f"{text}: is neither a shipped model ({', '.join(names) or 'none is installed'}"
            f"; precision {precision}) nor a file"
        )
    if precision != "auto":
        raise ModelError(
            f"{text}: a precision goes with a shipped name such as digits; a file has its own"
        )
    try:
        there = path.is_file()
    except PermissionError as error:  # raised up to Python 3.13
        raise ModelError(
            f"{text}: cannot be looked at: {error.strerror}; put it where this user may read (a "
            "service sees no homes)"
        ) from error
    if not there:
        raise InputNotFoundError(f"{text}: there is no such model file")
    return path
