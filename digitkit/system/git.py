"""The revision of the checkout that digitkit runs from."""

from __future__ import annotations

import subprocess
from pathlib import Path


def git_revision() -> str | None:
    """The checkout's commit, ``-dirty`` where files differ from it; None outside of one."""
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / ".git").exists():
        return None  # an installed package, maybe inside somebody else's repository
    describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), *describe],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
