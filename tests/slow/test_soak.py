"""Two minutes of video through the live path, by ``benchmarks/soak.py``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")


def soak(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "benchmarks/soak.py", "--size", "96x72", *arguments],
        capture_output=True, text=True, timeout=300, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_two_minutes_of_video_leave_memory_flat():
    """3,600 frames, small ones; benchmarks/soak.py does an hour of 640×480."""
    done = soak("--seconds", "120")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3,600 frames" in done.stdout
    assert " 0 dropped" in done.stdout


def test_the_soak_notices_growth():
    done = soak("--seconds", "4", "--speed", "8", "--grow=-500")
    assert done.returncode == 1
    assert "memory" in done.stderr
