"""What the kernel's files say."""

from __future__ import annotations

import os
import re
from pathlib import Path

ROOT = Path("/")
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,9})?")


def usable_cpus() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip("\0 \t\r\n")
    except OSError:
        return ""


def parse_number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def parse_fields(text: str) -> dict[str, list[str]]:
    """The values of "name: value" lines, by name."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name.strip(), []).append(value.strip())
    return found


def cpuinfo(root: Path) -> dict[str, list[str]]:
    return parse_fields(read_text(root / "proc/cpuinfo"))


def memory_mb(root: Path, name: str) -> int | None:
    value = parse_fields(read_text(root / "proc/meminfo")).get(name, [""])[0]
    kb = parse_number(value.removesuffix(" kB"))
    return None if kb is None else int(kb) * 1024 // 10**6


def cpufreq(root: Path, name: str) -> list[str]:
    """What a cpufreq file says, of each usable core that has one."""
    cpus = root / "sys/devices/system/cpu"
    texts = [read_text(cpus / f"cpu{number}/cpufreq/{name}") for number in usable_cpus()]
    return [text for text in texts if text]


def cpufreq_numbers(root: Path, name: str) -> list[float]:
    return [khz for text in cpufreq(root, name) if (khz := parse_number(text)) and khz > 0]
