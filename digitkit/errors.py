"""Every error that digitkit raises on purpose.

All of them derive from `DigitkitError`, and each kind is also the builtin that fits it, so
``except FileNotFoundError`` works for a caller who has never heard of digitkit. As text an error is
one line: it names the input, says what is wrong and what to do about it. Code decides by the kind
and the attributes, never by the text.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import suppress
from numbers import Integral, Real
from typing import Any, get_args


class DigitkitError(Exception):
    """Base of all errors that digitkit raises on purpose; its text is fit to be shown to a user.

    Attributes:
        problem: what is wrong, without the subject and the hint.
        subject: the file, camera, package or row that it is about; None where there is none, or
            where `problem` names it.
        hint: what to do about it, often a command; None where `problem` says so, or nothing helps.
        field: the configuration's field that is at fault, by its Python name; None for others.
    """

    def __init__(
        self,
        problem: str,
        *,
        subject: str | None = None,
        hint: str | None = None,
        field: str | None = None,
    ) -> None:
        """Make the error; the arguments are its attributes."""
        super().__init__(problem)
        self.problem = problem
        self.subject = subject
        self.hint = hint
        self.field = field

    def __str__(self) -> str:
        """``subject: problem; hint`` on one line; a field's name goes right before the problem."""
        text = self.problem
        if self.subject is not None:
            text = f"{self.subject}: {text}"
        elif self.field is not None:
            text = f"{self.field} {text}"
        return text if self.hint is None else f"{text}; {self.hint}"


class ConfigError(DigitkitError, ValueError):
    """A value is out of range, or does not go with another; `field` names it."""


class AddressError(ConfigError):
    """A service cannot listen where it is to: another one does, or the network is not up yet."""


class InputNotFoundError(DigitkitError, FileNotFoundError):
    """A file or folder that was named does not exist."""


class ImageError(DigitkitError, ValueError):
    """A file or an array is not an image that digits can be read from."""


class FormError(ImageError):
    """A picture shows none of the forms, or the fields of the one that it shows cannot be read."""


class InputTypeError(DigitkitError, TypeError):
    """What was passed as an image is of a kind that none can be made of, such as None."""


class SourceError(DigitkitError, OSError):
    """A source cannot be read: an unreadable folder, a camera that gives no frames."""


class CameraMissingError(SourceError):
    """There is no such camera: none is connected, or what drives it is not installed."""


class WorkerError(SourceError):
    """A process that reads files died, for example because memory ran out; what was read stays."""


class ModelError(DigitkitError, ValueError):
    """A model file is damaged, is not a digit model, or has a newer contract than this version."""


class ModelRunError(ModelError):
    """A model fails, takes too long or gives no probabilities; the next time it may not."""


class DatasetError(DigitkitError, ValueError):
    """A data set is incomplete, ambiguous or damaged."""


class RecipeError(DigitkitError, ValueError):
    """A recipe, or a value given for one of its fields, does not exist."""


class RunError(DigitkitError, RuntimeError):
    """A run folder cannot be used: taken, locked by another training, or not as its recipe says."""


class ReportError(DigitkitError, ValueError):
    """A file is not a benchmark report, or two reports have nothing to compare."""


class GateError(DigitkitError, AssertionError):
    """A quality gate failed (parity, accuracy, a valid benchmark); nothing was written."""


class OutputError(DigitkitError, OSError):
    """A result could not be written: a full disk, a folder without permission."""


class OutputPathError(OutputError):
    """A result cannot be written where it is to be: nothing was read or measured yet."""


class SettingsError(DigitkitError, ValueError):
    """A settings file has an unknown key or a value that its key does not allow."""


class TemplateError(DigitkitError, ValueError):
    """A form's template has something that is not allowed, or its reference is another picture."""


class BundleError(DigitkitError, ValueError):
    """A device bundle cannot be built: an unknown platform, a package without a wheel for it."""


class ClusterError(DigitkitError, RuntimeError):
    """A cluster cannot be reached, has no room, or its work failed."""


class ClusterRunError(ClusterError):
    """A cluster's work failed after it had begun; what was read stays."""


class MissingDependencyError(DigitkitError, ImportError):
    """A package or a system library that this command needs is not installed."""


def one_line(error: BaseException | str) -> str:
    """The first non-empty line of an error's text, for messages that must stay on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def os_reason(error: OSError) -> str:
    """The system's description of an error, without the file's name; else the error's text."""
    return error.strerror or str(error)


def cannot_write(
    output: str | os.PathLike[str], reason: OSError | str, *, hint: str | None = None
) -> OutputError:
    """The error for an output that cannot be written; an `OSError` gives its `os_reason`."""
    text = os_reason(reason) if isinstance(reason, OSError) else reason
    return OutputError(f"cannot be written: {text}", subject=str(output), hint=hint)


def printable_path(path: str | os.PathLike[str]) -> str:
    r"""A path as text that can be printed: bytes that are not UTF-8 are escaped: ``\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def page_name(source: str, page: int | None) -> str:
    """``scan.tiff#2``: a page as messages name it, and as it can be asked for; the file if None."""
    return source if page is None else f"{source}#{page}"


def escape_controls(text: str) -> str:
    r"""Text that can be printed on one line of a terminal.

    Line breaks and characters that a terminal would obey or hide (names of files, metadata of
    models and addresses of cameras may contain any) become escapes such as ``\x1b``.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def to_json(value: object, *, indent: int | None = None) -> str:
    """JSON text without control characters that a terminal would obey, beyond line breaks."""
    import json

    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return text.translate({code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)})


def needs_extra(
    package: str, what: str, extra: str = "train", *, subject: str | None = None
) -> MissingDependencyError:
    """The error for a missing package that `what` needs and an optional extra brings."""
    return MissingDependencyError(
        f"{what} needs the package {package}, which is not installed",
        subject=subject,
        hint=install_command(extra),
    )


def install_command(extra: str | None = None) -> str:
    """The command that installs digitkit, or an extra of it, the way it was installed here.

    From the checkout that this module is in; from the folder that pip installed it from; else from
    a package index.
    """
    import json
    import shlex
    from importlib import metadata
    from pathlib import Path
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    suffix = "" if extra is None else f"[{extra}]"
    checkout = Path(__file__).parents[1]
    if (checkout / "pyproject.toml").is_file():
        with suppress(FileNotFoundError):  # the working folder may be gone
            if checkout.samefile(os.curdir):
                checkout = Path(os.curdir)
        return f"pip install -e {shlex.quote(f'{checkout}{suffix}')}"
    try:
        origin = json.loads(metadata.distribution("digitkit").read_text("direct_url.json") or "{}")
        folder = url2pathname(urlsplit(origin["url"]).path) if "dir_info" in origin else ""
    except (metadata.PackageNotFoundError, ValueError, KeyError):
        folder = ""
    source = folder if folder and Path(folder).is_dir() else "digitkit"
    return f"pip install {shlex.quote(source + suffix)}"


def at_least(field: str, value: float, minimum: float, *, whole: bool = False) -> None:
    """Check a number of a configuration, an integer if it is to be `whole`.

    Raises:
        ConfigError: `value` is less than `minimum`, or not such a number.
    """
    _check_number(field, value, whole=whole)
    if not value >= minimum:
        raise ConfigError(f"must be at least {_show(minimum)}, got {_show(value)}", field=field)


def _check_number(field: str, value: object, *, whole: bool = False) -> None:
    is_number = isinstance(value, Integral if whole else Real)  # as int and float are, and NumPy's
    if not is_number or isinstance(value, bool):
        kind = "an integer" if whole else "a number"
        raise ConfigError(f"must be {kind}, got {value!r}", field=field)


def _show(value: float) -> str:
    if isinstance(value, Integral) and abs(value) < 10**15:  # a longer one is hard to read
        return str(value)
    try:
        return f"{value:g}"
    except OverflowError:  # an integer that no float can hold
        return "a number of hundreds of digits"


def check_positive(field: str, value: float) -> None:
    """Check that a value is above 0 and finite; raises `ConfigError`."""
    _check_number(field, value)
    if not 0 < value < math.inf:
        limit = "" if value < math.inf else " and finite"
        raise ConfigError(f"must be greater than 0{limit}, got {value:g}", field=field)


def check_range(
    field: str, value: float, minimum: float, maximum: float, *, whole: bool = False
) -> None:
    """Check a number of a configuration, an integer if it is to be `whole`.

    Raises:
        ConfigError: `value` is not within `minimum` to `maximum`, or not such a number.
    """
    _check_number(field, value, whole=whole)
    if not minimum <= value <= maximum:
        text = f"must be between {_show(minimum)} and {_show(maximum)}, got {_show(value)}"
        raise ConfigError(text, field=field)


def check_choice(field: str, value: object, choices: Any) -> None:
    """Check a choice of a configuration.

    Args:
        field: its name.
        value: what was chosen.
        choices: a ``Literal`` type.

    Raises:
        ConfigError: `value` is not one of them.
    """
    allowed = get_args(choices)
    if value not in allowed:
        got = repr(value)
        if str(value) in allowed:  # an int, for example
            got = f"the {type(value).__name__} {value!r} instead of text"
        text = f"must be one of {', '.join(map(str, allowed))}, got {got}"
        raise ConfigError(text, field=field)


def unknown_key(key: str, allowed: Sequence[str], prefix: str = "") -> str:
    """What is wrong with a key of a file that is none of the allowed ones.

    Args:
        key: the unknown key.
        allowed: the keys of its table.
        prefix: of the table's keys in messages, such as ``serve.``.
    """
    import difflib

    near = difflib.get_close_matches(key, allowed, 1)
    guess = f"did you mean {prefix}{near[0]}? " if near else ""
    return f"unknown key {prefix}{key}; {guess}allowed keys: {', '.join(allowed)}"
