"""Running pip, and what its output says about a failure."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from digitkit.errors import BundleError, MissingDependencyError

OFFLINE = ("--isolated", "--no-index")
"""Options with which pip ignores the user's settings and uses no index."""

_NO_NETWORK = re.compile(
    r"Retry\(total=0,.*connection broken by "
    r"'?(NewConnection|NameResolution|ConnectTimeout|Proxy)Error"
)
"""What pip prints before its last attempt to connect; after an earlier one it may succeed."""


def check_pip() -> None:
    """Check that this Python has pip.

    Raises:
        MissingDependencyError: it does not.
    """
    if find_spec("pip") is None:
        raise MissingDependencyError(
            f"digitkit bundle needs pip, which {sys.executable} does not have",
            hint="install it with python -m ensurepip, or on Debian with "
            "sudo apt-get install python3-pip",
        )


def run_pip(
    arguments: Sequence[str],
    temporary: Path,
    on_line: Callable[[str], None] = lambda line: None,
    *,
    environment: Mapping[str, str] | None = None,
) -> list[str]:
    """Run pip.

    Args:
        arguments: its arguments; with `OFFLINE` among them it also ignores the machine's settings.
        temporary: the folder for its temporary files, which stay there if it is stopped.
        on_line: called with each line of its output.
        environment: further environment variables.

    Returns:
        Its error lines, without addresses; empty if it succeeded.

    Raises:
        BundleError: the disk of `temporary` is full, or there is no network.
    """
    env = os.environ | {"PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "TMPDIR": str(temporary)}
    env |= environment or {}
    env.pop("FORCE_COLOR", None)  # it would colour the lines in spite of NO_COLOR
    if set(OFFLINE) <= set(arguments):
        env["PIP_CONFIG_FILE"] = os.devnull
    lines = []
    with subprocess.Popen(
        [sys.executable, "-m", "pip", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=env,
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                lines.append(line.strip())
                on_line(line)
            code = process.wait()
        finally:
            process.terminate()  # on Ctrl-C; otherwise it has ended
    return _find_errors(lines, temporary) if code else []


def _find_errors(lines: Sequence[str], temporary: Path) -> list[str]:
    if any(f"[Errno {errno.ENOSPC}]" in line for line in lines):
        raise BundleError(
            "the disk is full",
            subject=str(temporary.parent),
            hint="make room there, or name another folder in TMPDIR",
        )
    if any(_NO_NETWORK.search(line) for line in lines):
        raise BundleError(
            "pip cannot reach its package index",
            hint="check this machine's network, or take the wheels from a folder with --wheelhouse",
        )
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    # The address of an index may contain a password.
    return [re.sub(r"\S*://\S*", "…", line) for line in errors or lines[-1:] or ["no reason given"]]
