"""Every error that digitkit raises on purpose.

All of them derive from `DigitkitError`, and each kind is also the builtin that fits it, so
``except FileNotFoundError`` works for a caller who has never heard of digitkit. The message is
one line: it names the input, says what is wrong and what to do about it.
"""

from __future__ import annotations

import os


class DigitkitError(Exception):
    """Base of all errors that digitkit raises on purpose; its text is fit to be shown to a user."""


class InputNotFoundError(DigitkitError, FileNotFoundError):
    """A file or folder that was named does not exist."""


class ImageError(DigitkitError, ValueError):
    """A file or an array is no image that digits can be read from."""


class SourceError(DigitkitError, OSError):
    """A source of images cannot be read: an unreadable folder, a camera that gives no frames."""


class ModelError(DigitkitError, ValueError):
    """A model file is broken, is no digit model, or promises a contract this version can't keep."""


class DatasetError(DigitkitError, ValueError):
    """A data set is incomplete, ambiguous or damaged."""


class RecipeError(DigitkitError, ValueError):
    """A recipe, or a value given for one of its fields, does not exist."""


class RunError(DigitkitError, RuntimeError):
    """A run folder cannot be used: taken, locked by another training, or not fitting its recipe."""


class ReportError(DigitkitError, ValueError):
    """A file is no report of a benchmark, or two of them have nothing to compare."""


class GateError(DigitkitError, AssertionError):
    """A check that guards quality failed (parity, accuracy); nothing was written."""


class OutputError(DigitkitError, OSError):
    """A result could not be written: a full disk, a folder without permission."""


class SettingsError(DigitkitError, ValueError):
    """A settings file has a key or a value that does not exist."""


class BundleError(DigitkitError, ValueError):
    """A device bundle cannot be made: no such platform, a package that has no wheel for it."""


class MissingDependencyError(DigitkitError, ImportError):
    """A package or a system library that this command needs is not there."""


def one_line(error: BaseException | str) -> str:
    """The first non-empty line of an error's text, for messages that must stay on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def shown(path: str | os.PathLike[str]) -> str:
    """A path as text that can be printed: bytes that are no UTF-8 become replacement marks."""
    return os.fsencode(path).decode("utf-8", "replace")


def needs_extra(package: str, what: str) -> MissingDependencyError:
    """The error for a package of the ``train`` extra that `what` needs and that is missing."""
    return MissingDependencyError(
        f"{what} needs the package {package}, which is not installed: "
        "pip install 'digitkit[train]' brings it"
    )
