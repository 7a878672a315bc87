"""What a device bundle is built for, and from what."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from digitkit.errors import ConfigError

MACHINES = {"linux-arm64": "aarch64", "linux-x64": "x86_64"}
"""The platforms that bundles are built for, and what ``uname -m`` prints there."""

SUFFIXES = (".tar.gz", ".tgz")
"""Those of a bundle's file."""

PYTHONS = ("3.11", "3.13")
"""The Pythons of Raspberry Pi OS Bookworm and Trixie."""

_THIRTY_TWO_BIT = re.compile(r"(linux[-_])?(armhf|armel|arm|arm32|armv[5-8]l?|i[3-6]86|x86)\Z")


@dataclass(frozen=True)
class BundleConfig:
    """What to bundle.

    Attributes:
        out: the file to write, ``.tar.gz`` or ``.tgz``.
        pythons: versions of Python on the devices, such as ``3.11``.
        platform: a key of `MACHINES`.
        model: what the service reads with: the name of a shipped model, or an ``.onnx`` file, which
            then goes into the bundle.
        wheel: digitkit's own wheel; built by default.
        wheelhouse: a folder with all other wheels; by default pip downloads them.
        web: whether the service is ``digitkit serve``, with the page and the API, instead of
            ``digitkit infer``.

    Raises:
        ConfigError: `out` has another suffix, the platform is not supported, or no valid version of
            Python is given.
    """

    out: Path
    pythons: tuple[str, ...] = PYTHONS
    platform: str = "linux-arm64"
    model: str = "digits"
    wheel: Path | None = None
    wheelhouse: Path | None = None
    web: bool = False

    def __post_init__(self) -> None:
        if self.out.name and not self.out.name.lower().endswith(SUFFIXES):
            raise ConfigError(f"must be a .tar.gz or .tgz file, got {self.out}", field="out")
        if _THIRTY_TWO_BIT.match(self.platform):
            raise ConfigError(
                f"must be a 64-bit platform, got {self.platform!r}: "
                "ONNX Runtime has no 32-bit wheels",
                hint="install the 64-bit Raspberry Pi OS on the device (it runs on a Pi 3, 4, 5 "
                "and Zero 2 W) and bundle for linux-arm64",
                field="platform",
            )
        if self.platform not in MACHINES:
            choices = ", ".join(MACHINES)
            raise ConfigError(f"must be one of {choices}, got {self.platform!r}", field="platform")
        if not self.pythons:
            raise ConfigError("must name at least one version, such as 3.11", field="pythons")
        for python in self.pythons:
            if not re.fullmatch(r"3\.\d{1,3}", python):
                raise ConfigError(f"must be versions such as 3.11, got {python!r}", field="pythons")

    @property
    def extras(self) -> frozenset[str]:
        """The extras of digitkit that the device gets."""
        return frozenset({"web"} if self.web else ())

    @property
    def machine(self) -> str:
        """What ``uname -m`` prints on the device."""
        return MACHINES[self.platform]
