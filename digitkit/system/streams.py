"""The process's standard error: kept for Python's lines, closed to those of libraries."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO


def divert_errors() -> int | None:
    """Drop what is written to file descriptor 2.

    Returns:
        A copy of it, for `restore_errors`; None in a service without standard error.
    """
    try:
        original = os.dup(2)
    except OSError:
        return None
    with suppress(OSError), open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), 2)
    return original


def restore_errors(original: int | None) -> None:
    """Undo `divert_errors`."""
    if original is not None:
        os.dup2(original, 2)
        os.close(original)


def silence_native_errors() -> Callable[[], None]:
    """Drop what libraries write to file descriptor 2; what Python prints still arrives.

    libpng and libjpeg write about each damaged image, and have no option for it. This concerns all
    of the process, so only code that owns the process may call it.

    Returns:
        A function that undoes it.
    """
    python_stderr: TextIO = sys.stderr
    own: TextIO | None = None
    try:
        is_descriptor = python_stderr.fileno() == 2
    except (AttributeError, OSError, ValueError):  # none, or one that collects text
        is_descriptor = False
    if is_descriptor:
        python_stderr.flush()
    original = divert_errors()
    if is_descriptor and original is not None:
        sys.stderr = own = open(  # noqa: SIM115
            original,
            "w",
            encoding=python_stderr.encoding,
            errors=python_stderr.errors,
            buffering=1,
            closefd=False,
        )

    def undo() -> None:
        if own is not None:
            own.flush()
            if sys.stderr is own:
                sys.stderr = python_stderr
        restore_errors(original)

    return undo
