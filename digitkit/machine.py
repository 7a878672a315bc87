"""What a figure was measured on: the machine, what runs on it, and the conditions of the moment.

Every reader gives None (or an empty tuple) for what the system does not tell, and never raises.
Files are looked up under `root`, which is another folder than ``/`` only in tests.
"""

from __future__ import annotations

import glob
import os
import platform
import re
import struct
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from statistics import median

ROOT = Path("/")

VCGENCMD_SECONDS = 2.0
"""How long a Raspberry Pi's firmware may take to answer; it takes milliseconds."""

BUSY_LOAD = 0.5
"""A one-minute load per usable core above which a benchmark should not begin."""

BUSY_SHARE = 0.1
"""The share of the machine's CPU time above which other processes make a measurement noisy."""

HOT_C = 75.0
"""A processor this hot before a benchmark begins is near where it slows down (80 °C on a Pi)."""

FREQUENCY_FALL = 0.05
"""A clock that falls by more than this share during a benchmark makes it invalid."""

_ARM_CORES = {
    **{"0xb76": "ARM1176", "0xc07": "Cortex-A7", "0xc08": "Cortex-A8", "0xc09": "Cortex-A9"},
    **{"0xc0f": "Cortex-A15", "0xd03": "Cortex-A53", "0xd04": "Cortex-A35"},
    **{"0xd05": "Cortex-A55", "0xd07": "Cortex-A57", "0xd08": "Cortex-A72", "0xd09": "Cortex-A73"},
    **{"0xd0a": "Cortex-A75", "0xd0b": "Cortex-A76", "0xd0c": "Neoverse-N1", "0xd0d": "Cortex-A77"},
    **{"0xd40": "Neoverse-V1", "0xd41": "Cortex-A78", "0xd42": "Cortex-A78AE"},
    **{"0xd44": "Cortex-X1", "0xd46": "Cortex-A510", "0xd47": "Cortex-A710"},
    **{"0xd49": "Neoverse-N2", "0xd4d": "Cortex-A715", "0xd4f": "Neoverse-V2"},
    **{"0xd80": "Cortex-A520", "0xd81": "Cortex-A720"},
}
"""The cores by implementer 0x41, Arm itself, by part number as /proc/cpuinfo writes it."""

_FEATURES = {
    **{"avx2": "AVX2", "fma": "FMA", "avx512f": "AVX512", "avx512_vnni": "VNNI"},
    **{"avx_vnni": "AVX-VNNI", "amx_int8": "AMX", "amx_bf16": "AMX"},
    **{"neon": "NEON", "asimd": "NEON", "asimddp": "dotprod", "i8mm": "i8mm"},
    **{"asimdhp": "fp16", "avx512_fp16": "fp16", "bf16": "bf16", "avx512_bf16": "bf16"},
    **{"sve": "SVE", "sve2": "SVE2"},
}
"""What the kernels of int8 and fp32 nets are written for, by the kernel's names, in our order."""

_THROTTLE = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
"""Bits 0 to 3 of a Pi's throttling word, as they are now; bits 16 to 19 are the same since boot."""

_FILLERS = ("", "none", "default string", "system manufacturer", "system product name")
_CPU_ZONE = re.compile("cpu|soc|pkg|package|core", re.IGNORECASE)
_THROTTLED = re.compile("(?:throttled=)?(?:0x)?([0-9a-f]{1,8})", re.IGNORECASE)
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,9})?")

Run = Callable[[Sequence[str]], str | None]
"""Runs a command and gives its output, or None if there is no such command or it fails."""


@dataclass(frozen=True)
class Machine:
    """What does not change during a run.

    Attributes:
        board: the board's or the computer's name.
        cpu: the model; on Arm the kinds of core, joined with " + "; else the architecture.
        architecture: such as "aarch64".
        features: the instruction sets that matter to a net's speed, such as "AVX2", "dotprod";
            empty where the system does not list them.
        cores: logical ones of the machine.
        usable_cores: those that this process may run on.
        cpu_quota: cores' worth of time that a control group allows, None for no limit.
        frequency_min_mhz: the lowest clock of the usable cores.
        frequency_max_mhz: the highest clock of the usable cores.
        memory_mb: MB of 10⁶ bytes, what the kernel does not keep for itself.
        os: the distribution's name and version, else the system's name.
        kernel: its release.
        libc: name and version.
        virtual: whether it is a virtual machine, None if unknown.
        bits: of this Python, 32 or 64; a 64-bit kernel may run 32-bit programs.
    """

    board: str | None
    cpu: str
    architecture: str
    features: tuple[str, ...]
    cores: int
    usable_cores: int
    cpu_quota: float | None
    frequency_min_mhz: float | None
    frequency_max_mhz: float | None
    memory_mb: int | None
    os: str | None
    kernel: str
    libc: str | None
    virtual: bool | None
    bits: int


@dataclass(frozen=True)
class Conditions:
    """What may change during a run.

    Attributes:
        governor: what sets the usable cores' clocks, several joined with "/".
        frequencies_mhz: as `frequencies` gives them.
        temperature_c: of the hottest CPU or SoC sensor, else of the hottest one.
        throttled: a Raspberry Pi's throttling word (see `throttle_words`).
        load_1m: processes that ran or waited, averaged over the last minute.
        memory_available_mb: MB of 10⁶ bytes.
        cpu_seconds: since boot, of all cores: what others than this process used (its children
            that have ended count as its own), and all, idle or not; see `others_share`.
    """

    governor: str | None
    frequencies_mhz: tuple[float, ...]
    temperature_c: float | None
    throttled: int | None
    load_1m: float | None
    memory_available_mb: int | None
    cpu_seconds: tuple[float, float] | None


def run_command(command: Sequence[str]) -> str | None:
    """The output of a command; None if it does not exist, fails or takes too long."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=VCGENCMD_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def read(root: Path = ROOT) -> Machine:
    """Describe this machine."""
    info = _cpuinfo(root)
    listed = info.get("flags") or info.get("Features") or [""]
    flags = set(listed[0].split())
    lowest = [khz / 1000 for khz in _cpufreq_numbers(root, "cpuinfo_min_freq")]
    highest = [khz / 1000 for khz in _cpufreq_numbers(root, "cpuinfo_max_freq")]
    virtual = "hypervisor" in flags if "flags" in info else None
    libc = None
    with suppress(OSError):  # it reads Python's own file
        libc = " ".join(platform.libc_ver()).strip() or None
    return Machine(
        board=_board(root),
        cpu=cpu_name(root),
        architecture=platform.machine(),
        features=tuple(dict.fromkeys(name for flag, name in _FEATURES.items() if flag in flags)),
        cores=len(info.get("processor", ())) or os.cpu_count() or 1,
        usable_cores=usable_cores(),
        cpu_quota=_quota(root),
        frequency_min_mhz=min(lowest, default=None),
        frequency_max_mhz=max(highest, default=None),
        memory_mb=_memory(root, "MemTotal"),
        os=_system(root),
        kernel=platform.release(),
        libc=libc,
        virtual=True if _text(root / "sys/hypervisor/type") else virtual,
        bits=struct.calcsize("P") * 8,
    )


def conditions(root: Path = ROOT, run: Run = run_command) -> Conditions:
    """Read the conditions of this moment; takes milliseconds."""
    names = _cpufreq(root, "scaling_governor")
    governors = dict.fromkeys(name for name in names if name.isidentifier())
    load = None
    if hasattr(os, "getloadavg"):
        with suppress(OSError):
            load = os.getloadavg()[0]
    return Conditions(
        governor="/".join(governors) or None,
        frequencies_mhz=frequencies(root, run),
        temperature_c=_temperature(root),
        throttled=_throttled(root, run),
        load_1m=load,
        memory_available_mb=_memory(root, "MemAvailable"),
        cpu_seconds=_cpu_seconds(root),
    )


def frequencies(root: Path = ROOT, run: Run = run_command) -> tuple[float, ...]:
    """The clocks of the usable cores at this moment, MHz; one for all on a Raspberry Pi.

    Governors let an idle core's clock fall, so ask while the work to be judged is running. On a
    Raspberry Pi this runs vcgencmd, which takes some milliseconds of a core.
    """
    # A Pi's kernel tells the clock it asked for, not the lower one of a firmware that throttles.
    name, _, hertz = _firmware(root, run, "measure_clock", "arm").partition("=")
    if name.startswith("frequency(") and (clock := _number(hertz)):
        return (clock / 1e6,)
    if current := _cpufreq_numbers(root, "scaling_cur_freq"):
        return tuple(khz / 1000 for khz in current)
    info, usable = _cpuinfo(root), {str(cpu) for cpu in _usable()}
    clocks = zip(info.get("processor", ()), info.get("cpu MHz", ()), strict=False)
    return tuple(
        mhz for cpu, text in clocks if cpu in usable and (mhz := _number(text)) and mhz > 0
    )


def throttle_words(bits: int) -> list[str]:
    """A Raspberry Pi's throttling word in words: what is so now, then what was since boot."""
    now = [f"{word} now" for bit, word in enumerate(_THROTTLE) if bits >> bit & 1]
    return now + [f"{w} since boot" for bit, w in enumerate(_THROTTLE, 16) if bits >> bit & 1]


def warnings_before(machine: Machine, conditions: Conditions) -> list[str]:
    """What speaks against beginning a benchmark now, one line each, with what to do about it."""
    found = []
    if "powersave" in (conditions.governor or "").split("/"):
        found.append(
            "the governor powersave may hold the clock down: echo performance | sudo tee "
            "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        )
    load = conditions.load_1m
    if load is not None and load > BUSY_LOAD * machine.usable_cores:
        found.append(
            f"the machine is busy (load {load:.1f}, usable cores: {machine.usable_cores}): "
            "stop other programs, or wait"
        )
    now = (conditions.throttled or 0) & 0xF
    if now:
        remedy = "a better power supply or cable helps" if now & 1 else "let it cool down"
        found.append(f"the board reports {', '.join(throttle_words(now))}: {remedy}")
    heat = conditions.temperature_c
    if heat is not None and heat > HOT_C:
        found.append(f"the processor is at {heat:.0f} °C: let it cool down, or cool it better")
    return found


def frequency_fall(first: Sequence[float], last: Sequence[float]) -> float:
    """By which share the median clock fell, 0 to 1; 0 if it rose, or where a sample is empty.

    Args:
        first: clocks of the cores, MHz, as `frequencies` gave them under load soon after the start.
        last: the same just before the end, still under load.
    """
    if not first or not last:
        return 0.0
    return max(0.0, 1 - median(last) / median(first))


def others_share(before: Conditions, after: Conditions) -> float | None:
    """The share of the machine's CPU time that other processes used between two moments.

    None if unknown, or if less than half a second of CPU time passed: ticks are 10 ms.
    """
    if before.cpu_seconds is None or after.cpu_seconds is None:
        return None
    pairs = zip(before.cpu_seconds, after.cpu_seconds, strict=True)
    others, total = (end - begin for begin, end in pairs)
    return max(0.0, others / total) if total >= 0.5 else None


def judge(
    machine: Machine,
    before: Conditions,
    after: Conditions,
    first: Sequence[float] = (),
    last: Sequence[float] = (),
) -> tuple[list[str], list[str]]:
    """Whether what was measured between two moments may be believed.

    Invalid is a run that a board throttled: a bit was active at either moment, or its "since boot"
    bit is new (one that was set before tells nothing more, but the clock does); or whose clock
    fell by more than `FREQUENCY_FALL`. Noisy is one during which others used more than `BUSY_SHARE`
    of the CPU time or, where that is unknown, that began with more load than `BUSY_LOAD`.

    Args:
        machine: what it ran on.
        before: read before the run.
        after: read after it.
        first: as for `frequency_fall`; `before` and `after` see idle clocks.
        last: likewise.

    Returns:
        The reasons why it is invalid, and those why it is noisy, one line each.
    """
    invalid, noisy = [], []
    if after.throttled is not None:
        was = after.throttled if before.throttled is None else before.throttled
        bits = (after.throttled | was) & 0xF | (after.throttled & ~was) >> 16 & 0xF
        invalid = [
            f"{word} during the run" for bit, word in enumerate(_THROTTLE) if bits >> bit & 1
        ]
    fall = frequency_fall(first, last)
    if fall > FREQUENCY_FALL:
        invalid.append(
            f"the clock fell by {fall:.0%} during the run, "
            f"from {median(first):.0f} to {median(last):.0f} MHz"
        )
    share = others_share(before, after)
    if share is not None:
        if share > BUSY_SHARE:
            noisy.append(f"other processes used {share:.0%} of the CPU time during the run")
    elif before.load_1m is not None and before.load_1m > BUSY_LOAD * machine.usable_cores:
        noisy.append(f"the machine was busy when the run began (load {before.load_1m:.1f})")
    return invalid, noisy


def cpu_name(root: Path = ROOT) -> str:
    """The processor's model name, or its architecture where the system does not tell."""
    info = _cpuinfo(root)
    # On Arm a model name, if there is one, is only "ARMv8 Processor rev 4 (v8l)".
    parts = zip(info.get("CPU implementer", ()), info.get("CPU part", ()), strict=False)
    kinds = [
        (maker == "0x41" and _ARM_CORES.get(part)) or f"implementer {maker} part {part}"
        for maker, part in dict.fromkeys(parts)
    ]
    names = [name for name in info.get("model name", ()) if name]
    return " + ".join(kinds) or (names or [platform.processor() or platform.machine()])[0]


def usable_cores() -> int:
    """How many cores this process may use; a container may allow fewer than there are."""
    return len(_usable())


def versions(*packages: str) -> dict[str, str]:
    """The versions of Python and of those of `packages` (distribution names) that are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _usable() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip("\0 \t\r\n")
    except OSError:
        return ""


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _fields(text: str) -> dict[str, list[str]]:
    """The values of "name: value" lines, by name."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name.strip(), []).append(value.strip())
    return found


def _cpuinfo(root: Path) -> dict[str, list[str]]:
    return _fields(_text(root / "proc/cpuinfo"))


def _memory(root: Path, name: str) -> int | None:
    value = _fields(_text(root / "proc/meminfo")).get(name, [""])[0]
    kb = _number(value.removesuffix(" kB"))
    return None if kb is None else int(kb) * 1024 // 10**6


def _cpufreq(root: Path, name: str) -> list[str]:
    """What a cpufreq file says, of each usable core that has one."""
    cpus = root / "sys/devices/system/cpu"
    texts = [_text(cpus / f"cpu{number}/cpufreq/{name}") for number in _usable()]
    return [text for text in texts if text]


def _cpufreq_numbers(root: Path, name: str) -> list[float]:
    return [khz for text in _cpufreq(root, name) if (khz := _number(text)) and khz > 0]


def _board(root: Path) -> str | None:
    if model := _text(root / "proc/device-tree/model"):
        return model
    dmi = root / "sys/class/dmi/id"
    words = [_text(dmi / "sys_vendor"), _text(dmi / "product_name")]
    told = [w for w in words if w.lower() not in _FILLERS and "o.e.m" not in w.lower()]
    return " ".join(told) or None


def _system(root: Path) -> str | None:
    lines = _text(root / "etc/os-release").splitlines()
    names = [line.partition("=")[2].strip("\"' ") for line in lines if line[:12] == "PRETTY_NAME="]
    return next(filter(None, names), platform.system() or None)


def _quota(root: Path) -> float | None:
    """The cores' worth of CPU time that the control groups of this process and above allow."""
    quotas = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        inner = PurePosixPath(path.lstrip("/"))
        # In a container the path may be the host's, and only the topmost folder be there.
        for folder in (base / inner, *(base / parent for parent in inner.parents)):
            if controllers:
                parts = [_text(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
            else:
                parts = _text(folder / "cpu.max").split()
            numbers = [number for part in parts if (number := _number(part)) and number > 0]
            if len(numbers) == 2:  # no limit is "max", or -1
                quotas.append(numbers[0] / numbers[1])
    return min(quotas, default=None)


def _temperature(root: Path) -> float | None:
    cpu: list[float] = []
    other: list[float] = []
    for zone in glob.glob("sys/class/thermal/thermal_zone*", root_dir=root):
        degrees = _number(_text(root / zone / "temp"))
        if degrees is not None:
            like_cpu = _CPU_ZONE.search(_text(root / zone / "type"))
            (cpu if like_cpu else other).append(degrees / 1000)
    return max(cpu or other, default=None)


def _firmware(root: Path, run: Run, *question: str) -> str:
    """What a Raspberry Pi's firmware answers; nothing on another board."""
    if "Raspberry Pi" not in _text(root / "proc/device-tree/model"):
        return ""
    return (run(("vcgencmd", *question)) or "").strip()


def _throttled(root: Path, run: Run) -> int | None:
    found = _THROTTLED.fullmatch(_firmware(root, run, "get_throttled"))
    if not found:
        # Reading it logs a warning, and newer kernels have none; its folder is soc@… on a Pi 5.
        files = glob.glob("sys/devices/platform/soc*/soc*:firmware/get_throttled", root_dir=root)
        found = _THROTTLED.fullmatch(_text(root / files[0])) if files else None
    return int(found[1], 16) if found else None


def _cpu_seconds(root: Path) -> tuple[float, float] | None:
    words = _text(root / "proc/stat").partition("\n")[0].split()
    ticks = [number for word in words[1:9] if (number := _number(word)) is not None]
    if words[:1] != ["cpu"] or len(ticks) < 8:
        return None
    idle = ticks[3] + ticks[4]  # the latter while waiting for a disk
    second = os.sysconf("SC_CLK_TCK")
    others = (sum(ticks) - idle) / second - sum(os.times()[:4])
    return round(others, 2), round(sum(ticks) / second, 2)
