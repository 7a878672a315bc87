from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import pytest
from support.doctor import Answer, look, states
from support.machines import CAPTURED, write

from digitkit.system.kernel import usable_cpus


def test_heat_memory_and_governor(tmp_path):
    names = ("temperature", "memory", "governor")
    root = tmp_path / "pi4"
    shutil.copytree(CAPTURED / "pi4", root)
    assert states(look(root), "temperature", "memory") == {"ok"}
    write(root / "sys/class/thermal/thermal_zone0/temp", "81234\n")
    write(root / "proc/meminfo", "MemTotal: 440000 kB\nMemAvailable: 100000 kB\n")
    for cpu in usable_cpus():
        write(root / f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor", "powersave\n")
    checks = look(root)
    assert states(checks, *names) == {"warning"}
    assert "81 °C" in checks["temperature"].found
    assert "102 MB" in checks["memory"].found
    assert "echo performance | sudo tee " in checks["governor"].remedy
    (root / "proc/device-tree/model").unlink()
    assert look(root)["governor"].state == "ok"  # elsewhere the name means another thing
    assert states(look(tmp_path), *names) == {"skipped"}


def test_disks(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert str(tmp_path) in look()["disk"].found
    usage = type(shutil.disk_usage("/"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 5_000_000))
    assert look()["disk"].state == "warning"
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert look()["disk"].state == "warning"


def test_a_home_that_belongs_to_another_user(monkeypatch, tmp_path):
    home = tmp_path / "theirs"
    really = Path.exists

    def exists(path, **options):
        if path.is_relative_to(home):  # as Python up to 3.13 has it; root may look everywhere
            raise PermissionError(13, "Permission denied", str(path))
        return really(path, **options)

    monkeypatch.setattr(Path, "exists", exists)
    monkeypatch.setattr("digitkit.system.folders.cache_folder", lambda: home / ".cache/digitkit")
    monkeypatch.chdir(tmp_path)
    assert str(tmp_path) in look()["disk"].found


def test_a_clock_that_was_never_set(monkeypatch):
    assert look()["clock"].state == "ok"
    never = time.gmtime(0)
    monkeypatch.setattr(time, "localtime", lambda: never)
    assert look()["clock"].state == "warning"


@pytest.mark.parametrize(
    ("screen", "opencv", "state"),
    [
        (False, {"windows": True}, "skipped"),
        (True, {"windows": False}, "skipped"),
        (True, Answer(), "skipped"),
        (True, {"windows": True}, "ok"),
    ],
)
def test_displays(monkeypatch, screen, opencv, state):
    monkeypatch.setattr(sys, "platform", "linux")
    if screen:
        monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert look(opencv=opencv)["display"].state == state
