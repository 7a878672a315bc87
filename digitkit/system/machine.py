"""Describes the machine: processor, memory, operating system, and installed versions.

What the system does not provide is None, or an empty tuple; no function raises. Files are read
under `root`, which is another folder than ``/`` in tests only.
"""

from __future__ import annotations

import os
import platform
import struct
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath

from digitkit.system.kernel import (
    ROOT,
    parse_number,
    read_cpufreq_numbers,
    read_cpuinfo,
    read_memory_mb,
    read_text,
    usable_cpus,
)

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
"""Cores of implementer 0x41, Arm itself, by their part number in /proc/cpuinfo."""

_FEATURES = {
    **{"avx2": "AVX2", "fma": "FMA", "avx512f": "AVX512", "avx512_vnni": "VNNI"},
    **{"avx_vnni": "AVX-VNNI", "amx_int8": "AMX", "amx_bf16": "AMX"},
    **{"neon": "NEON", "asimd": "NEON", "asimddp": "dotprod", "i8mm": "i8mm"},
    **{"asimdhp": "fp16", "avx512_fp16": "fp16", "bf16": "bf16", "avx512_bf16": "bf16"},
    **{"sve": "SVE", "sve2": "SVE2"},
}
"""Instruction sets that int8 and fp32 kernels use, by Linux's names, in the order of reports."""

_FILLERS = ("", "none", "default string", "system manufacturer", "system product name")


@dataclass(frozen=True)
class Machine:
    """What does not change during a measurement.

    Attributes:
        board: the name of the board or computer.
        cpu: the processor's model; on Arm the types of core, joined with " + "; else the
            architecture.
        architecture: such as "aarch64".
        features: the instruction sets that matter to the speed of a network, such as "AVX2" and
            "dotprod"; empty if not available.
        cores: logical cores of the machine.
        usable_cores: cores that this process may run on.
        cpu_quota: CPU time that a control group allows, in cores; None for no limit.
        frequency_min_mhz: the lowest clock of the usable cores.
        frequency_max_mhz: the highest clock of the usable cores.
        memory_mb: MB of 10⁶ bytes, without what the kernel reserves for itself.
        os: the distribution's name and version, else the system's name.
        kernel: the kernel's release.
        libc: the C library's name and version.
        virtual: whether it is a virtual machine; None if unknown.
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


def read_machine(root: Path = ROOT) -> Machine:
    """Describe this machine."""
    info = read_cpuinfo(root)
    listed = info.get("flags") or info.get("Features") or [""]
    flags = set(listed[0].split())
    lowest = [khz / 1000 for khz in read_cpufreq_numbers(root, "cpuinfo_min_freq")]
    highest = [khz / 1000 for khz in read_cpufreq_numbers(root, "cpuinfo_max_freq")]
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
        memory_mb=read_memory_mb(root, "MemTotal"),
        os=_system(root),
        kernel=platform.release(),
        libc=libc,
        virtual=True if read_text(root / "sys/hypervisor/type") else virtual,
        bits=struct.calcsize("P") * 8,
    )


def cpu_name(root: Path = ROOT) -> str:
    """The processor's model name, or its architecture if the name is not available."""
    info = read_cpuinfo(root)
    # On Arm a model name, if there is one, is only "ARMv8 Processor rev 4 (v8l)".
    parts = zip(info.get("CPU implementer", ()), info.get("CPU part", ()), strict=False)
    kinds = [
        (maker == "0x41" and _ARM_CORES.get(part)) or f"implementer {maker} part {part}"
        for maker, part in dict.fromkeys(parts)
    ]
    names = [name for name in info.get("model name", ()) if name]
    return " + ".join(kinds) or (names or [platform.processor() or platform.machine()])[0]


def usable_cores() -> int:
    """The number of cores that this process may use; a container may allow fewer than exist."""
    return len(usable_cpus())


def versions(*packages: str) -> dict[str, str]:
    """The versions of Python and of the installed ones of `packages` (distribution names)."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _board(root: Path) -> str | None:
    if model := read_text(root / "proc/device-tree/model"):
        return model
    dmi = root / "sys/class/dmi/id"
    words = [read_text(dmi / "sys_vendor"), read_text(dmi / "product_name")]
    names = [w for w in words if w.lower() not in _FILLERS and "o.e.m" not in w.lower()]
    return " ".join(names) or None


def _system(root: Path) -> str | None:
    lines = read_text(root / "etc/os-release").splitlines()
    names = [line.partition("=")[2].strip("\"' ") for line in lines if line[:12] == "PRETTY_NAME="]
    return next(filter(None, names), platform.system() or None)


def _quota(root: Path) -> float | None:
    """The CPU time, in cores, that this process's control groups and their parents allow."""
    quotas = []
    for line in read_text(root / "proc/self/cgroup").splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        inner = PurePosixPath(path.lstrip("/"))
        # In a container the path may be the host's, and only the topmost folder exist.
        for folder in (base / inner, *(base / parent for parent in inner.parents)):
            if controllers:
                texts = [read_text(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
            else:
                texts = read_text(folder / "cpu.max").split()
            numbers = [number for text in texts if (number := parse_number(text)) and number > 0]
            if len(numbers) == 2:  # no limit is "max", or -1
                quotas.append(numbers[0] / numbers[1])
    return min(quotas, default=None)
