"""Commands that several checks recommend."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from digitkit.device.doctor.answers import ProbeFailure
from digitkit.system.machine import versions

KNOWN_BAD = {
    "1.21.0": (("Cortex-A72",), "crashes with an illegal instruction on a Raspberry Pi 4"),
    "1.22.0": (("Cortex-A53",), "aborts on a Raspberry Pi Zero 2 W"),
}
"""Versions of ONNX Runtime with the cores that they fail on, and how."""


def pip(*commands: str) -> str:
    """The command line that runs pip; a device bundle's environment has no pip."""
    if Path(sys.prefix).with_name("bundle.conf").is_file():
        return (
            "run the bundle's ./install.sh again; if that does not help, build a new bundle on "
            "another computer with digitkit bundle"
        )
    return " && ".join(f"{shlex.quote(sys.executable)} -m pip {command}" for command in commands)


def reinstall(package: str, *options: str) -> str:
    """The command that installs a package again."""
    return pip(" ".join(["install --force-reinstall", *options, package]))


def replace_onnxruntime() -> str:
    """The command that installs a version of ONNX Runtime that is not known to fail."""
    bad = ",".join(f"!={version}" for version in KNOWN_BAD)
    return pip(f"install --upgrade 'onnxruntime{bad}'")


def repair_package(failure: ProbeFailure, package: str) -> str:
    """What to do about a package that does not load."""
    if failure.signal == "SIGKILL":
        return "stop other programs and try again; free -m shows the memory"
    if failure.library is not None:
        return (
            f"install the package that contains {failure.library}: sudo apt-get install -y "
            f"apt-file && sudo apt-file update && apt-file search {failure.library}"
        )
    if failure.reason == "missing-module" and "." not in (failure.module or ""):
        return pip(f"install {package}")
    return reinstall(package, "--no-cache-dir")


def installed_versions(*packages: str) -> dict[str, str]:
    """The versions of those packages that are installed."""
    found = versions(*packages)
    return {name: found[name] for name in packages if name in found}


def with_versions(text: str, *packages: str) -> str:
    """A message, prefixed with the versions of the packages that it is about."""
    names = ", ".join(
        f"{name} {version}" for name, version in installed_versions(*packages).items()
    )
    return f"{names}: {text}" if names else text
