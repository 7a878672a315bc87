"""The revision of the checkout that digitkit runs from."""

from __future__ import annotations

import subprocess
from pathlib import Path

GIT_SECONDS = 10.0
"""How long git may take."""


def git_revision() -> str | None:
    """The checkout's commit: 40 hexadecimal digits, plus ``-dirty`` if tracked files differ.

    None if digitkit does not run from a checkout, or git does not answer.
    """
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / ".git").exists():
        return None  # an installed package, maybe inside another project's repository
    describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    # Without the option git may write to the index, which takes a lock.
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(checkout), *describe],
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
