"""Where digitkit keeps what belongs to a user and a machine (XDG base directories)."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """What can be had again: ``$XDG_CACHE_HOME/digitkit``, by default ``~/.cache/digitkit``."""
    return _folder("XDG_CACHE_HOME", ".cache")


def config_folder() -> Path:
    """What was chosen: ``$XDG_CONFIG_HOME/digitkit``, by default ``~/.config/digitkit``."""
    return _folder("XDG_CONFIG_HOME", ".config")


def _folder(variable: str, default: str) -> Path:
    base = os.environ.get(variable)
    # A service's user may have no home; what is looked for there is not found then.
    return Path(base or os.path.join(os.path.expanduser("~"), default)) / "digitkit"  # noqa: PTH111
