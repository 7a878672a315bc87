"""digitkit's folders for data of this user on this machine (XDG base directories)."""

from __future__ import annotations

import os
from pathlib import Path

from digitkit.errors import OutputError


def cache_folder() -> Path:
    """For files that can be recreated: ``$XDG_CACHE_HOME/digitkit``, else ``~/.cache/digitkit``.

    Raises:
        OutputError: the variable is not set, and this user has no home.
    """
    return _folder("XDG_CACHE_HOME", ".cache")


def config_folder() -> Path:
    """For choices: ``$XDG_CONFIG_HOME/digitkit``, else ``~/.config/digitkit``.

    Raises:
        OutputError: the variable is not set, and this user has no home.
    """
    return _folder("XDG_CONFIG_HOME", ".config")


def state_folder() -> Path:
    """For what a service keeps: systemd's ``$STATE_DIRECTORY``, ``$XDG_STATE_HOME/digitkit``, else
    ``~/.local/state/digitkit``.

    Raises:
        OutputError: no variable is set, and this user has no home.
    """
    if folders := os.environ.get("STATE_DIRECTORY"):
        return Path(folders.split(":")[0])
    return _folder("XDG_STATE_HOME", ".local/state")


def _folder(variable: str, default: str) -> Path:
    base = os.environ.get(variable)
    if base:
        return Path(base) / "digitkit"
    try:
        return Path.home() / default / "digitkit"
    except RuntimeError:
        raise OutputError("this user has no home folder", hint=f"set {variable}") from None
