"""Where digitkit keeps what belongs to a user and a machine (XDG base directories)."""

from __future__ import annotations

import os
from pathlib import Path

from digitkit.errors import OutputError


def cache_folder() -> Path:
    """What can be had again: ``$XDG_CACHE_HOME/digitkit``, by default ``~/.cache/digitkit``.

    Raises:
        OutputError: the variable is not set, and this user has no home.
    """
    return _folder("XDG_CACHE_HOME", ".cache")


def config_folder() -> Path:
    """What was chosen: ``$XDG_CONFIG_HOME/digitkit``, by default ``~/.config/digitkit``.

    Raises:
        OutputError: the variable is not set, and this user has no home.
    """
    return _folder("XDG_CONFIG_HOME", ".config")


def _folder(variable: str, default: str) -> Path:
    base = os.environ.get(variable)
    if base:
        return Path(base) / "digitkit"
    try:
        return Path.home() / default / "digitkit"
    except RuntimeError:
        raise OutputError(f"this user has no home folder; name one with {variable}") from None
