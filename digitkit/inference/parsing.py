"""Options that are written as text: a size, a number of processes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from digitkit.errors import ConfigError


def only_given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given; None and False stand for those that were not."""
    return {
        name: value for name, value in options.items() if value is not None and value is not False
    }


def parse_size(text: str) -> tuple[int, int]:
    """Width and height of text such as ``1280x720``.

    Raises:
        ConfigError: it is something else.
    """
    width, cross, height = text.lower().partition("x")
    is_number = width.isdecimal() and height.isdecimal() and max(len(width), len(height)) < 10
    if not (cross and is_number and int(width) and int(height)):
        raise ConfigError(
            f"must be a width and a height such as 1280x720, got {text!r}", field="size"
        )
    return int(width), int(height)


def parse_workers(text: str) -> int | Literal["auto"]:
    """A number of processes, or ``auto``.

    Raises:
        ConfigError: it is something else.
    """
    if text == "auto":
        return "auto"
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise ConfigError(f"must be a number of processes, or auto, got {text!r}", field="workers")
    return int(text)
