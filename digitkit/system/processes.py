"""Fresh interpreters that do a piece of work for this one: how they are started, how they ended."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence


def interpreter_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module's ``main``, with arguments, in a fresh interpreter.

    It finds modules exactly where this process does, and not in the current folder.
    """
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; sys.argv[1:] = {list(arguments)!r}; "
        f"from {module} import main; main()"
    )
    return [sys.executable, "-P", "-c", code]


def signal_name(code: int) -> str | None:
    """The name of the signal that ended a process, by its exit code; None if none did."""
    if code >= 0:
        return None
    try:
        return signal.Signals(-code).name
    except ValueError:  # a real-time signal has no name
        return f"signal {-code}"


COMMAND_SECONDS = 2.0
"""How long a Raspberry Pi's firmware may take to answer; it takes milliseconds."""

RunCommand = Callable[[Sequence[str]], str | None]
"""Runs a command and gives its output, or None if there is no such command or it fails."""


def run_command(command: Sequence[str]) -> str | None:
    """The output of a command; None if it does not exist, fails or takes too long."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=COMMAND_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
