"""Checks of the device: disk, memory, temperature, power, clocks and the display."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from digitkit.device.doctor.checks import Check, State
from digitkit.device.doctor.evidence import Evidence
from digitkit.errors import printable_path
from digitkit.system import folders
from digitkit.system.conditions import HOT_C, throttle_words

LOW_MEMORY_MB = 150
"""Reading a page takes about as much."""

LOW_DISK_MB = 100

SANE_YEAR = 2025
"""An earlier clock was never set: a Raspberry Pi has none that runs without power."""

UNDER_VOLTAGE = 0x10001
HEAT = 0x80008
"""Bits of the throttling word, now and since boot; see `throttle_words`."""

NOT_AVAILABLE = "not available on this system"

_COOL = "cool it: a heat sink, a fan, a case with holes"

_Check = partial(Check, group="device")


def check_board(evidence: Evidence) -> Iterator[Check]:
    """Check the device that digitkit runs on."""
    conditions = evidence.conditions
    yield _check_disk()
    yield _check_memory(conditions.memory_available_mb, evidence.machine.memory_mb)
    yield _check_temperature(conditions.temperature_c)
    yield _check_power(conditions.throttled, on_pi=evidence.on_pi)
    yield _check_governor(conditions.governor, on_board=evidence.on_board)
    yield _check_clock()
    facts = evidence.opencv.facts
    yield _check_display(None if facts is None else facts.windows)


def _check_disk() -> Check:
    places: list[Path] = []
    for locate in (Path.cwd, folders.cache_folder, folders.config_folder):
        with suppress(OSError):  # the current folder was removed; this user has no home
            places.append(locate())
    found: dict[int, str] = {}
    low = False
    for place in places:
        with suppress(OSError):  # it may be inside another user's folder
            while not place.exists() and place != place.parent:
                place = place.parent
            disk = place.stat().st_dev
            if disk not in found:
                megabytes = shutil.disk_usage(place).free / 1e6
                found[disk] = f"{megabytes:,.0f} MB free for {printable_path(place)}"
                low |= megabytes < LOW_DISK_MB
    if not found:
        return _Check("disk", "skipped", NOT_AVAILABLE)
    remedy = "sudo apt-get clean; du -xh ~ | sort -h | tail shows what is large"
    state: State = "warning" if low else "ok"
    return _Check("disk", state, "; ".join(found.values()), remedy if low else None)


def _check_memory(available_mb: int | None, total_mb: int | None) -> Check:
    if available_mb is None:
        return _Check("memory", "skipped", NOT_AVAILABLE)
    found = f"{available_mb:,} MB available" + (f" of {total_mb:,}" if total_mb else "")
    if available_mb >= LOW_MEMORY_MB:
        return _Check("memory", "ok", found)
    remedy = "stop other programs (ps aux --sort -rss | head), or use Raspberry Pi OS Lite"
    return _Check("memory", "warning", found, remedy)


def _check_temperature(celsius: float | None) -> Check:
    if celsius is None:
        return _Check("temperature", "skipped", NOT_AVAILABLE)
    found = f"{celsius:.0f} °C"
    if celsius <= HOT_C:
        return _Check("temperature", "ok", found)
    return _Check("temperature", "warning", found, f"{_COOL}; it slows down at 80 °C")


def _check_power(throttled: int | None, *, on_pi: bool) -> Check:
    if throttled is None:
        if not on_pi:
            return _Check("power", "skipped", "available on a Raspberry Pi only")
        remedy = "sudo usermod -aG video $USER, then log out and in again"
        return _Check("power", "skipped", "vcgencmd does not answer", remedy)
    words = throttle_words(throttled)
    if not words:
        return _Check("power", "ok", "no under-voltage and no throttling since boot")
    remedies = []
    if throttled & UNDER_VOLTAGE:
        remedies.append(
            "use the board's own power supply (5.1 V; 3 A for a Pi 4, 5 A for a Pi 5) and a short "
            "cable"
        )
    if not remedies or throttled & HEAT:
        remedies.append(_COOL)
    remedy = "; ".join([*remedies, "sudo reboot clears what was since boot"])
    return _Check("power", "warning", ", ".join(words), remedy)


def _check_governor(governor: str | None, *, on_board: bool) -> Check:
    if governor is None:
        return _Check("governor", "skipped", NOT_AVAILABLE)
    # On other machines a governor of this name may still scale the clock with the load.
    if not on_board or "powersave" not in governor.split("/"):
        return _Check("governor", "ok", governor)
    return _Check(
        "governor",
        "warning",
        f"{governor}, which may keep the clock low",
        "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
    )


def _check_clock() -> Check:
    now = time.localtime()
    found = time.strftime("%Y-%m-%d %H:%M", now)
    if now.tm_year >= SANE_YEAR:
        return _Check("clock", "ok", found)
    found += ": not set; times of readings are wrong, and https and rtsps fail"
    remedy = "sudo timedatectl set-ntp true, or sudo date -s '2026-01-31 12:00'"
    return _Check("clock", "warning", found, remedy)


def _check_display(windows: bool | None) -> Check:
    """Check whether ``--show`` works; `windows` is None if OpenCV does not load."""
    name = "display"
    if sys.platform == "linux" and not (
        os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY")
    ):
        found = "no screen in this session: --show cannot open a window, use --annotate"
        return _Check(name, "skipped", found)
    if windows is None:
        return _Check(name, "skipped", "OpenCV does not load")
    if windows:
        return _Check(name, "ok", "--show can open a window")
    found = "this OpenCV is headless: --show cannot open a window, use --annotate"
    return _Check(name, "skipped", found)
