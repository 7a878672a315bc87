"""The process's standard error: kept for Python's lines, closed to those of libraries."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TextIO


def silence_native_errors() -> Callable[[], None]:
    """Drop what libraries write to file descriptor 2; what Python prints still arrives.

    libpng and libjpeg write about each damaged image, and have no option for it. This concerns all
    of the process, so only code that owns the process may call it.

    Returns:
        A function that undoes it.
    """
    try:
        original = os.dup(2)
    except OSError:  # a service without standard error
        return lambda: None
    python_stderr: TextIO = sys.stderr
    own: TextIO | None = None
    try:
        is_descriptor = python_stderr.fileno() == 2
    except (AttributeError, OSError, ValueError):  # none, or one that collects text
        is_descriptor = False
    if is_descriptor:
        python_stderr.flush()
        sys.stderr = own = open(  # noqa: SIM115
            original,
            "w",
            encoding=python_stderr.encoding,
            errors=python_stderr.errors,
            buffering=1,
            closefd=False,
        )
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)

    def undo() -> None:
        if own is not None:
            own.flush()
            if sys.stderr is own:
                sys.stderr = python_stderr
        os.dup2(original, 2)
        os.close(original)

    return undo
