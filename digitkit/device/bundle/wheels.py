"""The wheels that a device needs: reading them, and fetching them with pip.

pip resolves for the device's platform and Python, but evaluates markers for the machine that it
runs on; what only the device needs is found here, from the wheels' own metadata.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from digitkit.device.bundle.bundle_config import BundleConfig
from digitkit.device.bundle.pip import OFFLINE, run_pip
from digitkit.errors import BundleError, InputNotFoundError, needs_extra, one_line
from digitkit.system.hashes import file_sha256

try:
    from packaging.metadata import InvalidMetadata, Metadata
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet
    from packaging.tags import Tag, compatible_tags, cpython_tags
    from packaging.utils import canonicalize_name, parse_wheel_filename
except ImportError as error:
    raise needs_extra("packaging", "digitkit bundle", "bundle") from error

if TYPE_CHECKING:
    from digitkit.system.progress import Progress

OLDEST_GLIBC_MINOR, NEWEST_GLIBC_MINOR = 17, 36
"""Wheels may require glibc 2.17 up to 2.36, which Bookworm has; Trixie's is newer."""

SUBSTITUTES = {"opencv-python": "opencv-python-headless"}
"""What a device gets instead: a server has no libGL, which opencv-python opens windows with."""


@dataclass(frozen=True)
class Wheel:
    """A wheel file and its metadata.

    Attributes:
        path: the file.
        name: the package's normalized name.
        version: its normalized version.
        tags: what it runs on.
        requires: its requirements, with markers.
        requires_python: the versions of Python that it supports.
        license_expression: its SPDX expression, if its metadata has one.
        license_names: names of its licences, if there is no expression.
    """

    path: Path
    name: str
    version: str
    tags: frozenset[Tag]
    requires: tuple[Requirement, ...]
    requires_python: SpecifierSet
    license_expression: str | None
    license_names: tuple[str, ...]

    @cached_property
    def sha256(self) -> str:
        """The file's SHA-256, hexadecimal."""
        return file_sha256(self.path)


class MissingWheelsError(Exception):
    """Wheels for one Python are not available; the text names them, or is pip's reason."""


def read_wheel(path: Path) -> Wheel:
    """Read a wheel's file name and metadata.

    Raises:
        InputNotFoundError: the file does not exist.
        BundleError: it is not a wheel.
    """
    if not path.is_file():
        raise InputNotFoundError("does not exist", subject=str(path))
    try:
        name, version, _, tags = parse_wheel_filename(path.name)
        with zipfile.ZipFile(path) as archive:
            (member,) = (
                member
                for member in archive.namelist()
                if re.fullmatch(r"[^/]+\.dist-info/METADATA", member)
            )
            metadata = Metadata.from_email(archive.read(member), validate=False)
        expression, names = _read_licenses(metadata)
        return Wheel(
            path=path,
            name=name,
            version=str(version),
            tags=tags,
            requires=tuple(metadata.requires_dist or ()),
            requires_python=metadata.requires_python or SpecifierSet(),
            license_expression=expression,
            license_names=names,
        )
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise BundleError(
            f"is not a wheel: {one_line(error)}", subject=str(path), hint="fetch it again"
        ) from error


def _read_licenses(metadata: Metadata) -> tuple[str | None, tuple[str, ...]]:
    """The SPDX expression, or else the names of the licences."""
    try:
        if metadata.license_expression:
            return str(metadata.license_expression), ()
    except InvalidMetadata:  # not SPDX, whatever the field promises
        pass
    names = [
        classifier.rpartition(" :: ")[2]
        for classifier in metadata.classifiers or ()
        if classifier.startswith("License :: ")
    ]
    text = (metadata.license or "").strip()
    if not names and text:
        names = [one_line(text)[:100]]  # some contain the whole text
    return None, tuple(dict.fromkeys(names))


# --- what a device needs ---------------------------------------------------------------------


def marker_environment(python: str, machine: str) -> dict[str, str]:
    """The values of a requirement's marker on a device (PEP 508)."""
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }


def applies(
    requirement: Requirement, environment: Mapping[str, str], extras: Set[str] = frozenset()
) -> bool:
    """Whether a requirement's marker holds in an environment, for any of the extras or none."""
    marker = requirement.marker
    return marker is None or any(
        marker.evaluate({**environment, "extra": extra}) for extra in {"", *extras}
    )


def device_requirements(
    own: Wheel, environment: Mapping[str, str], extras: Set[str] = frozenset()
) -> list[Requirement]:
    """What digitkit, with extras, requires on a device, without markers; `SUBSTITUTES` applied."""
    requirements = []
    for requirement in own.requires:
        if applies(requirement, environment, extras):
            name = SUBSTITUTES.get(canonicalize_name(requirement.name), requirement.name)
            inner = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
            requirements.append(Requirement(f"{name}{inner}{requirement.specifier}"))
    return requirements


def _resolve(
    wheels: Iterable[Wheel], wanted: Iterable[Requirement], environment: Mapping[str, str]
) -> dict[str, str]:
    """All that `wanted` leads to on the device, in `wheels` or not.

    Returns:
        Names of packages to one requirement for each, such as ``numpy>=1.26``.
    """
    known = {wheel.name: wheel for wheel in wheels}
    needed: dict[str, str] = {}
    waiting = [(requirement, frozenset[str]()) for requirement in wanted]
    done = set()
    while waiting:
        requirement, extras = waiting.pop()
        if (requirement, extras) in done or not applies(requirement, environment, extras):
            continue
        done.add((requirement, extras))
        name = canonicalize_name(requirement.name)
        needed.setdefault(name, f"{requirement.name}{requirement.specifier}")
        if name in known:
            inner = frozenset(requirement.extras)
            waiting += [(each, inner) for each in known[name].requires]
    return needed


def _platform_tags(machine: str, glibc: int) -> list[str]:
    """The platform tags of wheels that run with glibc 2.`glibc`, the newest first."""
    legacy = [f"manylinux2010_{machine}", f"manylinux1_{machine}"] if machine == "x86_64" else []
    return [
        *(f"manylinux_2_{minor}_{machine}" for minor in range(glibc, OLDEST_GLIBC_MINOR - 1, -1)),
        *(f"manylinux2014_{machine}", *legacy, f"linux_{machine}"),
    ]


@lru_cache
def _target_tags(python: str, machine: str, glibc: int) -> frozenset[Tag]:
    """The tags of all wheels that run on a device."""
    version = tuple(int(number) for number in python.split("."))
    interpreter = f"cp{python.replace('.', '')}"
    platforms = _platform_tags(machine, glibc)
    return frozenset(
        [
            *cpython_tags(version, [interpreter], platforms),
            *compatible_tags(version, interpreter, platforms),
        ]
    )


def required_glibc(wheels: Mapping[str, Sequence[Wheel]], machine: str) -> str:
    """The oldest glibc that all these wheels, by their Python, run with, such as ``2.28``."""
    needed = OLDEST_GLIBC_MINOR
    for python, of_python in wheels.items():
        for wheel in of_python:
            while needed < NEWEST_GLIBC_MINOR and wheel.tags.isdisjoint(
                _target_tags(python, machine, needed)
            ):
                needed += 1
    return f"2.{needed}"


# --- fetching --------------------------------------------------------------------------------


def _download_options(config: BundleConfig, python: str) -> list[str]:
    """Options that make pip look for a device's wheels instead of this machine's."""
    options = ["--disable-pip-version-check", "--no-input", "--only-binary=:all:"]
    for tag in _platform_tags(config.machine, NEWEST_GLIBC_MINOR):
        options += ["--platform", tag]
    options += ["--implementation", "cp", "--python-version", python]
    for abi in (f"cp{python.replace('.', '')}", "abi3", "none"):
        options += ["--abi", abi]
    if config.wheelhouse is not None:
        options += [*OFFLINE, "--find-links", str(config.wheelhouse.resolve())]
    return options


def fetch_wheels(
    config: BundleConfig, python: str, own: Wheel, folder: Path, progress: Progress
) -> list[Wheel]:
    """Fetch the wheels that a device needs with one Python.

    Args:
        config: the platform, and where the wheels come from.
        python: the device's Python.
        own: digitkit's wheel, which names the requirements.
        folder: the folder to put the wheels into; pip's temporary files go next to it.
        progress: called for each package that pip looks at.

    Returns:
        The wheels, without digitkit's own, and with pip's, which installs the others there.

    Raises:
        MissingWheelsError: some are not available.
        BundleError: pip cannot reach its index, or the disk is full.
    """
    environment = marker_environment(python, config.machine)
    wanted = device_requirements(own, environment, config.extras)
    count = 0

    def on_line(line: str) -> None:
        nonlocal count
        if line.startswith(("Collecting ", "Processing ")):
            count += 1
            progress(f"fetching for Python {python}", count, 0)

    download = ["download", "--dest", str(folder), *_download_options(config, python)]
    asked = [*map(str, wanted), "pip"]
    # What only the device needs is asked for by name; what only this machine needs is left out.
    while True:
        errors = run_pip([*download, *asked], folder.parent, on_line)
        if errors:
            single = [*download, "--no-deps"]
            lost = [text for text in asked if run_pip([*single, text], folder.parent)]
            raise MissingWheelsError(", ".join(lost) if lost else errors[-1])
        wheels = [read_wheel(path) for path in sorted(folder.glob("*.whl"))]
        needed = _resolve(wheels, wanted, environment)
        names = {wheel.name for wheel in wheels}
        lacking = [text for name, text in needed.items() if name not in names]
        if not lacking:
            return [wheel for wheel in wheels if wheel.name in {*needed, "pip"}]
        asked += lacking
