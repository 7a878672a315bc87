from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from support.machines import CAPTURED, CPUS


@pytest.fixture
def four_cores(monkeypatch):
    """Four usable cores and a known load, whatever this machine has."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.25, 0.5, 0.75), raising=False)


@pytest.fixture
def captured(tmp_path, four_cores):
    """Copies a captured tree; each core gets its policy's clock, as on the real machines."""

    def copy(name: str) -> Path:
        root = shutil.copytree(CAPTURED / name, tmp_path / name)
        if (root / CPUS).exists():
            for cpu in range(4):
                shutil.copytree(root / CPUS / "cpufreq/policy0", root / CPUS / f"cpu{cpu}/cpufreq")
        return root

    return copy
