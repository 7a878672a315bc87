"""Fresh interpreters that do a piece of work for this one: how they are started, how they ended."""

from __future__ import annotations

import signal
import sys


def command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module's ``main``, with arguments, in a fresh interpreter.

    It finds modules exactly where this process does, and not in the current folder.
    """
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; sys.argv[1:] = {list(arguments)!r}; "
        f"from {module} import main; main()"
    )
    return [sys.executable, "-P", "-c", code]


def died_of(code: int) -> str | None:
    """The name of the signal that ended a process, by its exit code; None if none did."""
    if code >= 0:
        return None
    try:
        return signal.Signals(-code).name
    except ValueError:  # a real-time signal has no name
        return f"signal {-code}"
