"""Checks of the operating system: Python, the environment, the processor, the C library."""

from __future__ import annotations

import re
import shlex
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from digitkit.device.doctor.checks import Check, State
from digitkit.device.doctor.evidence import Evidence
from digitkit.errors import install_command

OLDEST_PYTHON = (3, 11)
"""The oldest Python that digitkit runs on."""

OLDEST_GLIBC = (2, 28)
"""The oldest C library that today's wheels of ONNX Runtime and NumPy load on."""

WHEEL_ARCHITECTURES = ("aarch64", "arm64", "x86_64", "AMD64")
"""Architectures that ONNX Runtime has wheels for."""

_ONLY_32_BIT = ("ARM1176", "Cortex-A7", "Cortex-A8", "Cortex-A9", "Cortex-A15")

_Check = partial(Check, group="system")


def check_system(evidence: Evidence) -> Iterator[Check]:
    """Check the operating system.

    What wheels do not support is only a warning if ONNX Runtime loads all the same: somebody built
    it for this machine.
    """
    machine = evidence.machine
    unsupported: State = "warning" if evidence.onnxruntime.works else "problem"
    yield _check_python()
    yield _check_environment()
    yield _check_userland(evidence, unsupported)
    found = f"{machine.cpu} ({machine.architecture})"
    if machine.architecture in WHEEL_ARCHITECTURES:
        yield _Check("processor", "ok", found)
    else:
        yield _Check(
            "processor",
            unsupported,
            f"{found}: ONNX Runtime has no wheels for it",
            "use a 64-bit Arm (aarch64) or x86-64 processor with a 64-bit OS",
        )
    yield _Check("OS", "ok", f"{machine.os or 'unknown'}, kernel {machine.kernel}")
    yield _check_libc(machine.libc, unsupported)


def _check_python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= OLDEST_PYTHON:
        return _Check("Python", "ok", f"{version}, {sys.executable}")
    return _Check(
        "Python",
        "problem",
        f"{version}; digitkit requires 3.11 or newer",
        "use Raspberry Pi OS Bookworm or newer, or another Python: python3.11 -m venv ~/digitkit",
    )


def _check_environment() -> Check:
    name = "environment"
    if sys.prefix != sys.base_prefix:
        settings = ""
        with suppress(OSError):
            settings = Path(sys.prefix, "pyvenv.cfg").read_text("utf-8", "replace")
        found = f"virtual environment {sys.prefix}"
        if not re.search(r"(?im)^include-system-site-packages\s*=\s*true", settings):
            return _Check(name, "ok", found)
        return _Check(
            name,
            "warning",
            f"{found}, which includes the system's packages",
            "create it again without --system-site-packages: python3 -m venv --clear "
            f"{shlex.quote(sys.prefix)}, then install digitkit again",
        )
    if Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").is_file():
        return _Check(
            name,
            "warning",
            "none: this is the system's Python, which pip must not change",
            f"python3 -m venv ~/digitkit, then ~/digitkit/bin/{install_command()}",
        )
    return _Check(name, "ok", f"no virtual environment, {sys.prefix}")


def _check_userland(evidence: Evidence, unsupported: State) -> Check:
    """Whether programs are 64-bit, which a 64-bit kernel alone does not make them."""
    name, machine = "userland", evidence.machine
    found = f"{machine.bits}-bit Python, {machine.architecture}"
    if machine.bits == 64:
        return _Check(name, "ok", found)
    if machine.cpu in _ONLY_32_BIT:
        return _Check(
            name,
            unsupported,
            f"{found}; {machine.cpu} has no 64-bit mode",
            "use a Raspberry Pi Zero 2 W, 3, 4 or 5",
        )
    return _Check(
        name,
        unsupported,
        f"{found}: ONNX Runtime has no wheels for it",
        "install a 64-bit OS (Raspberry Pi Imager: Raspberry Pi OS, 64-bit); a 64-bit kernel "
        "alone is not enough",
    )


def _check_libc(libc: str | None, unsupported: State) -> Check:
    name = "C library"
    version = re.fullmatch(r"glibc (\d+)\.(\d+).*", libc or "")
    if version is None:
        if sys.platform != "linux":
            return _Check(name, "skipped", "matters on Linux only")
        return _Check(
            name,
            unsupported,
            f"{libc or 'unknown'}; wheels require glibc",
            "use a distribution with glibc: Raspberry Pi OS, Debian, Ubuntu (not Alpine)",
        )
    if (int(version[1]), int(version[2])) >= OLDEST_GLIBC:
        return _Check(name, "ok", str(libc))
    return _Check(
        name,
        unsupported,
        f"{libc}; wheels require 2.28 or newer",
        "upgrade the OS: Raspberry Pi OS Bookworm or newer, Debian 12, Ubuntu 22.04",
    )
