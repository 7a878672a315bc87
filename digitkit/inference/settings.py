"""A service's settings: what ``digitkit infer`` reads, and how, from a TOML file."""

from __future__ import annotations

import difflib
import math
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from digitkit.errors import InputNotFoundError, SettingsError, one_line


@dataclass(frozen=True)
class OutputFile:
    """Files that readings go to beside standard output: ``NAME``, ``NAME.1`` and so on.

    Attributes:
        file: the newest.
        max_mb: a file that would get larger than so many megabytes is put aside, over 0.
        keep: how many of those stay, from 1.
    """

    file: Path
    max_mb: float = 10.0
    keep: int = 5


@dataclass(frozen=True)
class Settings:
    """What a settings file says. None is what it does not say, and the command's default then.

    All but the first and the last are options of ``digitkit infer``, which explains them.

    Attributes:
        path: the file.
        output: files that readings go to beside standard output.
    """

    path: Path
    camera: str | None = None
    size: str | None = None
    fps: float | None = None
    hold: int | None = None
    every_frame: bool | None = None
    retry: float | None = None
    model: str | None = None
    precision: str | None = None
    input_scale: float | None = None
    threads: int | None = None
    mode: str | None = None
    orientation: str | None = None
    min_confidence: float | None = None
    expect: int | None = None
    pattern: str | None = None
    format: str | None = None
    output: OutputFile | None = None

    def options(self) -> dict[str, Any]:
        """The command's options that the file sets, by their names here."""
        values = {field.name: getattr(self, field.name) for field in fields(self)[1:-1]}
        return {name: value for name, value in values.items() if value is not None}


class _UnfitError(Exception):
    """A value that a key does not take; the text says which ones it does."""


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _UnfitError("text in quotes")
    return value


def _camera(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(value)
    if not isinstance(value, str) or not value:
        raise _UnfitError('a number, "/dev/video0", a stream\'s URL or "picamera2"')
    return value


def _size(value: Any) -> str:
    parts = value.lower().split("x") if isinstance(value, str) else []
    if len(parts) != 2 or not all(part.isdecimal() and int(part) for part in parts):
        raise _UnfitError('width and height such as "1280x720"')
    return str(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _UnfitError("true or false")
    return value


def _number(value: Any, what: str, low: float, high: float, *, above: bool = False) -> float:
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    if not fits or not low <= value <= high or (above and value == low):  # nan is not, either
        raise _UnfitError(what)
    return float(value)


def _positive(value: Any) -> float:
    return _number(value, "a number above 0", 0, 1e9, above=True)


def _share(value: Any) -> float:
    return _number(value, "a number from 0 to 1", 0, 1)


def _seconds(value: Any) -> float:
    return _number(value, "seconds from 0, or inf", 0, math.inf)


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1_000_000:
        raise _UnfitError("a whole number from 1")
    return value


def _one_of(*allowed: str) -> Any:
    def check(value: Any) -> str:
        # 90 for "90": what is meant is clear.
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if text not in allowed:
            raise _UnfitError(" or ".join(f'"{one}"' for one in allowed))
        return str(text)

    return check


_KEYS: dict[str, Any] = {
    "camera": _camera,
    "size": _size,
    "fps": _positive,
    "hold": _count,
    "every_frame": _flag,
    "retry": _seconds,
    "model": _text,
    "precision": _one_of("auto", "int8", "fp32"),
    "input_scale": _positive,
    "threads": _count,
    "mode": _one_of("auto", "digit", "page"),
    "orientation": _one_of("exif", "auto", "0", "90", "180", "270"),
    "min_confidence": _share,
    "expect": _count,
    "pattern": _text,
    "format": _one_of("text", "jsonl", "csv"),
}
_OUTPUT_KEYS: dict[str, Any] = {"file": _text, "max_mb": _positive, "keep": _count}


def load_settings(path: Path) -> Settings:
    """Read a settings file. Paths in it are taken from its folder.

    Raises:
        InputNotFoundError: there is no such file.
        SettingsError: it cannot be read, is no TOML, or has keys or values that do not exist; the
            message names the file, each such key and what is allowed.
    """
    try:
        said = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise InputNotFoundError(f"{path}: there is no such settings file") from error
    except OSError as error:
        remedy = ""
        if isinstance(error, PermissionError) and path.absolute().is_relative_to("/etc"):
            remedy = (
                "; a service's settings are for root and its group: sudo, or sudo usermod -aG "
                "video $USER and log in anew"
            )
        raise SettingsError(f"{path}: cannot be read: {error.strerror or error}{remedy}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is no UTF-8 text; save it as such") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: is no TOML: {one_line(error)}") from error
    table = said.pop("output", None)
    values, wrong = _checked("", said, _KEYS, more=("output",))
    output = None
    if isinstance(table, dict):
        parts, wrong_there = _checked("output.", table, _OUTPUT_KEYS)
        wrong += wrong_there
        if "file" not in table:
            wrong.append("output names no file; say where: [output], file = …")
        if values.get("format") == "csv":
            wrong.append(
                "output takes format jsonl or text; of rotated CSV files only the first would have "
                "its header"
            )
        if not wrong:
            output = OutputFile(**(parts | {"file": path.parent / parts["file"]}))
    elif table is not None:
        wrong.append(f"output is {table!r}; it is a table: [output], file = …")
    if "pattern" in values:
        from digitkit.reading.fields import Field  # not at the top: loads NumPy

        try:
            Field(values.get("expect"), values["pattern"])
        except ValueError as error:
            wrong.append(f"pattern: {error}")
    if wrong:
        raise SettingsError(f"{path}: {'; also: '.join(wrong)}")
    model = values.get("model")
    if model is not None and ("/" in model or model.endswith(".onnx")):
        values["model"] = str(path.parent / model)
    return Settings(path, **values, output=output)


def _checked(
    within: str, said: dict[str, Any], keys: dict[str, Any], more: tuple[str, ...] = ()
) -> tuple[dict[str, Any], list[str]]:
    """The values that fit, and what is wrong with the others."""
    values, wrong = {}, []
    for key, value in said.items():
        if key not in keys:
            near = difflib.get_close_matches(key, [*keys, *more], 1)
            guess = f"did you mean {within}{near[0]}? " if near else ""
            allowed = ", ".join([*keys, *more])
            wrong.append(f"there is no key {within}{key}; {guess}there are {allowed}")
            continue
        try:
            values[key] = keys[key](value)
        except _UnfitError as error:
            wrong.append(f"{within}{key} is {value!r}; allowed is {error}")
    return values, wrong
