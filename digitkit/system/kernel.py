"""Reads the kernel's files under ``/proc`` and ``/sys``.

No function raises: what the system does not provide is None, or empty. `root` is the folder that
holds the files, which is another than ``/`` in tests only.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

ROOT = Path("/")
"""Where the system's files are."""

_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,9})?")


def usable_cpus() -> list[int]:
    """The numbers of the cores that this process may run on, ascending."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def read_text(path: Path) -> str:
    """A file's text without blanks and null bytes around it; empty if it cannot be read."""
    try:
        return path.read_text("utf-8", "replace").strip("\0 \t\r\n")
    except OSError:
        return ""


def parse_number(text: str) -> float | None:
    """A decimal number; None for any other text, ``nan`` and exponents included."""
    return float(text) if _NUMBER.fullmatch(text) else None


def parse_fields(text: str) -> dict[str, list[str]]:
    """The values of ``name: value`` lines, by name, in order."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name.strip(), []).append(value.strip())
    return found


def read_cpuinfo(root: Path) -> dict[str, list[str]]:
    """The fields of ``/proc/cpuinfo``; those of a core have one value per core."""
    return parse_fields(read_text(root / "proc/cpuinfo"))


def read_memory_mb(root: Path, name: str) -> int | None:
    """A field of ``/proc/meminfo`` such as ``MemTotal``, in MB of 10⁶ bytes."""
    value = parse_fields(read_text(root / "proc/meminfo")).get(name, [""])[0]
    kb = parse_number(value.removesuffix(" kB"))
    return None if kb is None else int(kb) * 1024 // 10**6


def read_cpufreq(root: Path, name: str) -> list[str]:
    """The content of a cpufreq file such as ``scaling_governor``, per usable core that has it."""
    cpus = root / "sys/devices/system/cpu"
    texts = [read_text(cpus / f"cpu{number}/cpufreq/{name}") for number in usable_cpus()]
    return [text for text in texts if text]


def read_cpufreq_numbers(root: Path, name: str) -> list[float]:
    """The positive numbers in a cpufreq file such as ``scaling_cur_freq``, kHz, per usable core."""
    return [khz for text in read_cpufreq(root, name) if (khz := parse_number(text)) and khz > 0]
