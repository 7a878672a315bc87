"""Reads the current conditions: clocks, temperature, throttling, load.

What the system does not provide is None, or empty; no function raises. `root` is the folder that
holds the system's files, which is another than ``/`` in tests only; `run` runs ``vcgencmd``.
"""

from __future__ import annotations

import glob
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from digitkit.system.kernel import (
    ROOT,
    parse_number,
    read_cpufreq,
    read_cpufreq_numbers,
    read_cpuinfo,
    read_memory_mb,
    read_text,
    usable_cpus,
)
from digitkit.system.processes import RunCommand, run_command

HOT_C = 75.0
"""Above this temperature a processor is close to slowing down (at 80 °C on a Raspberry Pi)."""

THROTTLE_FLAGS = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
"""Bits 0 to 3 of a Pi's throttling word, the current state; bits 16 to 19 mean "since boot"."""

_CPU_ZONE = re.compile("cpu|soc|pkg|package|core", re.IGNORECASE)
_THROTTLED = re.compile("(?:throttled=)?(?:0x)?([0-9a-f]{1,8})", re.IGNORECASE)


@dataclass(frozen=True)
class Conditions:
    """What may change during a measurement.

    Attributes:
        governor: the cpufreq governors of the usable cores, joined with "/".
        frequencies_mhz: as `read_frequencies` returns them.
        temperature_c: of the hottest CPU or SoC sensor, else of the hottest sensor.
        throttled: a Raspberry Pi's throttling word (see `throttle_words`).
        load_1m: processes that ran or waited, averaged over the last minute.
        memory_available_mb: MB of 10⁶ bytes.
        cpu_seconds: since boot, summed over all cores: CPU time of other processes (ended children
            of this one count as its own), and the total, idle time included.
    """

    governor: str | None
    frequencies_mhz: tuple[float, ...]
    temperature_c: float | None
    throttled: int | None
    load_1m: float | None
    memory_available_mb: int | None
    cpu_seconds: tuple[float, float] | None


def read_conditions(root: Path = ROOT, run: RunCommand = run_command) -> Conditions:
    """Read the current conditions; takes milliseconds."""
    names = read_cpufreq(root, "scaling_governor")
    governors = dict.fromkeys(name for name in names if name.isidentifier())
    load = None
    if hasattr(os, "getloadavg"):
        with suppress(OSError):
            load = os.getloadavg()[0]
    return Conditions(
        governor="/".join(governors) or None,
        frequencies_mhz=read_frequencies(root, run),
        temperature_c=read_temperature(root),
        throttled=_throttled(root, run),
        load_1m=load,
        memory_available_mb=read_memory_mb(root, "MemAvailable"),
        cpu_seconds=_cpu_seconds(root),
    )


def read_frequencies(root: Path = ROOT, run: RunCommand = run_command) -> tuple[float, ...]:
    """Read the current clocks of the usable cores, MHz; one for all cores on a Raspberry Pi.

    Governors lower an idle core's clock, so call this while the measured work runs. On a Raspberry
    Pi this runs vcgencmd, which takes some milliseconds of a core.
    """
    # A Pi's kernel reports the clock it requested, not the lower one while the firmware throttles.
    name, _, hertz = _firmware(root, run, "measure_clock", "arm").partition("=")
    if name.startswith("frequency(") and (clock := parse_number(hertz)):
        return (clock / 1e6,)
    if current := read_cpufreq_numbers(root, "scaling_cur_freq"):
        return tuple(khz / 1000 for khz in current)
    info, usable = read_cpuinfo(root), {str(cpu) for cpu in usable_cpus()}
    clocks = zip(info.get("processor", ()), info.get("cpu MHz", ()), strict=False)
    return tuple(
        mhz for cpu, text in clocks if cpu in usable and (mhz := parse_number(text)) and mhz > 0
    )


def throttle_words(bits: int) -> list[str]:
    """Describe a Raspberry Pi's throttling word: what happens now, then what did since boot."""
    now = [f"{word} now" for bit, word in enumerate(THROTTLE_FLAGS) if bits >> bit & 1]
    return now + [f"{w} since boot" for bit, w in enumerate(THROTTLE_FLAGS, 16) if bits >> bit & 1]


def read_temperature(root: Path = ROOT) -> float | None:
    """Of the hottest CPU or SoC sensor, else of the hottest sensor, °C; None without any."""
    cpu: list[float] = []
    other: list[float] = []
    for zone in glob.glob("sys/class/thermal/thermal_zone*", root_dir=root):
        degrees = parse_number(read_text(root / zone / "temp"))
        if degrees is not None:
            of_cpu = _CPU_ZONE.search(read_text(root / zone / "type"))
            (cpu if of_cpu else other).append(degrees / 1000)
    return max(cpu or other, default=None)


def _firmware(root: Path, run: RunCommand, *question: str) -> str:
    """A Raspberry Pi's firmware's answer; empty on other boards."""
    if "Raspberry Pi" not in read_text(root / "proc/device-tree/model"):
        return ""
    return (run(("vcgencmd", *question)) or "").strip()


def _throttled(root: Path, run: RunCommand) -> int | None:
    found = _THROTTLED.fullmatch(_firmware(root, run, "get_throttled"))
    if not found:
        # Only as a fallback: reading it logs a warning. Its folder is soc@… on a Pi 5.
        files = glob.glob("sys/devices/platform/soc*/soc*:firmware/get_throttled", root_dir=root)
        found = _THROTTLED.fullmatch(read_text(root / files[0])) if files else None
    return int(found[1], 16) if found else None


def _cpu_seconds(root: Path) -> tuple[float, float] | None:
    words = read_text(root / "proc/stat").partition("\n")[0].split()
    ticks = [number for word in words[1:9] if (number := parse_number(word)) is not None]
    if words[:1] != ["cpu"] or len(ticks) < 8:
        return None
    idle = ticks[3] + ticks[4]  # the latter is time waiting for a disk
    second = os.sysconf("SC_CLK_TCK")
    others = (sum(ticks) - idle) / second - sum(os.times()[:4])
    return round(others, 2), round(sum(ticks) / second, 2)
