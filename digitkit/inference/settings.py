"""A service's settings: fields of `InferConfig` and `ServeOptions` in a TOML file."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from digitkit.errors import ConfigError, SettingsError, SourceError, unknown_key
from digitkit.inference.infer_config import InferConfig
from digitkit.inference.infer_values import RotatingOutput
from digitkit.inference.parsing import parse_size
from digitkit.inference.serve_options import ServeOptions
from digitkit.system.toml import read_toml

KEYS = (
    *("camera", "size", "fps", "retry", "hold", "every_frame", "model", "precision"),
    *(
        "input_scale",
        "threads",
        "mode",
        "orientation",
        "min_confidence",
        "gap",
        "expect",
        "pattern",
    ),
    "format",
)
"""The fields of `InferConfig` that a file may set; ``[output]`` is the rotating files, ``[serve]``
is of `ServeOptions`."""

MAX_SETTINGS_BYTES = 1 << 16
"""Largest settings file that is read."""

OUTPUT, SERVE = "output", "serve"
"""The tables of a file."""

SERVE_KEYS = tuple(field.name for field in fields(ServeOptions) if field.name != "token")
"""The fields of `ServeOptions` that a file may set; a token has a file of its own, which only the
service can read."""

_TEXTS = ("camera", "model", "pattern", "file", "token_file", "history")
"""Keys whose values must not be empty."""

_NOUNS = {bool: "true or false", int: "a whole number", float: "a number", str: "text in quotes"}
"""What a value of a type is called in messages."""

_ANY_CAMERA = InferConfig(camera="0")
"""A valid configuration, of which one field at a time is replaced to check it."""


@dataclass(frozen=True)
class Settings:
    """What a settings file says: some fields of `InferConfig`.

    Attributes:
        path: the file.
        values: each field that it sets.
        serve: each field of `ServeOptions` that it sets.
    """

    path: Path
    values: dict[str, Any]
    serve: dict[str, Any] = field(default_factory=dict)

    @property
    def served_values(self) -> dict[str, Any]:
        """What of `values` is for ``digitkit serve``, which keeps a history instead of lines."""
        return {name: v for name, v in self.values.items() if name not in ("format", "rotating")}

    @property
    def model(self) -> str | None:
        """The model that it names; None if it names none."""
        return self.values.get("model")


def load_settings(path: Path) -> Settings:
    """Read a settings file. Paths in it are relative to its folder.

    Raises:
        InputNotFoundError: it does not exist.
        SettingsError: it cannot be read, is not TOML, or has unknown keys or values that are not
            allowed; the message names each of them.
    """
    table = _read_toml(path)
    output, serve = table.pop(OUTPUT, None), table.pop(SERVE, {})
    values, problems = _check_keys(table, KEYS, InferConfig, _ANY_CAMERA)
    if isinstance(output, dict):
        values["rotating"], more = _check_output(output, path.parent)
        problems += more
    elif output is not None:
        problems.append(f"{OUTPUT} must be a table: [output], file = …")
    served, more = _check_serve(serve, path.parent)
    problems += more
    if not problems:
        problems = _check_together(values)
    if problems:
        raise SettingsError("; also: ".join(problems), subject=str(path))
    model = values.get("model")
    if model is not None and ("/" in model or model.endswith(".onnx")):
        values["model"] = str(path.parent / model)
    return Settings(path, values, served)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path, MAX_SETTINGS_BYTES, SettingsError)
    except SettingsError as error:
        is_denied = isinstance(error.__cause__, PermissionError)
        if is_denied and path.absolute().is_relative_to("/etc"):
            error.hint = (
                "a service's settings are readable by root and its group: use sudo, or "
                "sudo usermod -aG video $USER and log in again"
            )
        raise


def _check_keys(
    table: dict[str, Any], allowed: tuple[str, ...], config: type, valid: Any, prefix: str = ""
) -> tuple[dict[str, Any], list[str]]:
    """The values that a table may set, and what is wrong with the others.

    Args:
        table: of the file.
        allowed: its keys.
        config: the dataclass that they are fields of.
        valid: an instance, of which one field at a time is replaced to check it.
        prefix: of the keys in messages.
    """
    hints = get_type_hints(config)
    values: dict[str, Any] = {}
    problems: list[str] = []
    for key, value in table.items():
        if key not in allowed:
            names = allowed if prefix else (*allowed, OUTPUT, SERVE)
            problems.append(unknown_key(key, names, prefix))
            continue
        try:
            values[key] = _convert(key, value, hints[key])
            replace(valid, **{key: values[key]})
        except ConfigError as error:
            problems.append(f"{prefix}{error}")
    return values, problems


def _convert(key: str, value: Any, kind: Any) -> Any:
    """A value of the file as its field holds it.

    Raises:
        ConfigError: it is of another type.
    """
    import msgspec  # not at the top: only a service has a settings file

    if key == "size" and isinstance(value, str):
        return parse_size(value)
    # 0 for "0" and 90 for "90": what is meant is clear.
    if key in ("camera", "orientation") and type(value) is int and value >= 0:
        value = str(value)
    if key in _TEXTS and value == "":
        raise ConfigError("must not be empty", field=key)
    if Path in get_args(kind):
        if not isinstance(value, str):
            raise ConfigError(f"must be a path in quotes, got {value!r}", field=key)
        return Path(value)
    choices = any(get_origin(part) is Literal for part in (kind, *get_args(kind)))
    try:
        # Which choices there are the configuration says better.
        return msgspec.convert(value, str if choices else kind)
    except msgspec.ValidationError as error:
        kinds = [_NOUNS[part] for part in (kind, *get_args(kind)) if part in _NOUNS]
        wanted = " or ".join(kinds or ["text in quotes"])
        raise ConfigError(f"must be {wanted}, got {value!r}", field=key) from error


def _check_output(table: dict[str, Any], folder: Path) -> tuple[RotatingOutput | None, list[str]]:
    values, problems = _check_keys(
        {key: value for key, value in table.items() if key != "file"},
        ("file", "max_mb", "keep"),
        RotatingOutput,
        RotatingOutput(folder),
        f"{OUTPUT}.",
    )
    file = table.get("file")
    if file is None:
        problems.append(f"{OUTPUT} must name a file: [output], file = …")
    elif not isinstance(file, str) or not file:
        problems.append(f"{OUTPUT}.file must be a path in quotes, got {file!r}")
    if problems:
        return None, problems
    return RotatingOutput(folder / str(file), **values), []


def _check_serve(table: object, folder: Path) -> tuple[dict[str, Any], list[str]]:
    if not isinstance(table, dict):
        return {}, [f"{SERVE} must be a table: [serve], port = …"]
    values, problems = _check_keys(table, SERVE_KEYS, ServeOptions, ServeOptions(), f"{SERVE}.")
    for key in ("token_file", "history"):
        if key in values:
            values[key] = folder / values[key]
    return values, problems


def _check_together(values: dict[str, Any]) -> list[str]:
    from digitkit.sources.capture import make_opener  # not at the top: loads OpenCV

    try:
        config = InferConfig(**({"camera": "0"} | values))
        make_opener(str(config.camera), config.size)
    except (ConfigError, SourceError) as error:
        return [str(error)]
    return []
