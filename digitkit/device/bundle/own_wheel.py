"""digitkit's own wheel: built from a checkout, or packed again from an installation."""

from __future__ import annotations

import base64
import hashlib
import io
import tomllib
import zipfile
from collections.abc import Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from digitkit.device.bundle.archive import EPOCH
from digitkit.device.bundle.pip import OFFLINE, run_pip
from digitkit.errors import BundleError, MissingDependencyError, os_reason

_NOT_PACKED = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
"""Files of a ``.dist-info`` folder that belong to the installation, not to the wheel."""


def make_own_wheel(work: Path, *, offline: bool = False) -> Path:
    """Build digitkit's wheel from the checkout that it runs from, or pack the installation.

    Args:
        work: a folder for temporary files; the wheel goes into ``work / "own"``.
        offline: download nothing: a checkout is built with the hatchling that is installed.

    Returns:
        The wheel. The same files give the same bytes.

    Raises:
        BundleError: it cannot be built or packed.
        MissingDependencyError: it cannot be built offline, since hatchling is not installed.
    """
    checkout = find_checkout()
    if checkout is not None:
        return build_checkout(checkout, work, offline=offline)
    return pack_installation(work)


def find_checkout() -> Path | None:
    """The checkout that this very code is in; None if it is installed."""
    folder = Path(__file__).resolve().parents[3]
    try:
        settings = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    project = settings.get("project", {})
    return folder if project.get("name") == "digitkit" else None


def build_checkout(checkout: Path, work: Path, *, offline: bool = False) -> Path:
    """Build the wheel of a checkout with pip; raises like `make_own_wheel`.

    pip builds it in an environment of its own, for which it downloads hatchling; offline it takes
    the installed one.
    """
    folder = work / "own"
    options = ["--no-deps", "--disable-pip-version-check", "--no-input"]
    options += ["--wheel-dir", str(folder)]
    if offline:
        if find_spec("hatchling") is None:
            raise MissingDependencyError(
                "its wheel cannot be built offline without hatchling",
                subject=str(checkout),
                hint="install it with pip install hatchling, or name a wheel with --wheel",
            )
        options += [*OFFLINE, "--no-build-isolation"]
    environment = {"SOURCE_DATE_EPOCH": str(EPOCH)}
    errors = run_pip(["wheel", *options, str(checkout)], work, environment=environment)
    wheels = sorted(folder.glob("*.whl"))
    if errors or len(wheels) != 1:
        reason = errors[-1] if errors else "pip wrote no wheel"
        raise BundleError(
            f"its wheel cannot be built: {reason}",
            subject=str(checkout),
            hint="name a wheel with --wheel",
        )
    return wheels[0]


def pack_installation(work: Path) -> Path:
    """Pack the files of an installed digitkit into a wheel; raises like `make_own_wheel`."""
    try:
        installed = distribution("digitkit")
    except PackageNotFoundError as error:
        raise BundleError(
            "digitkit is neither a checkout nor installed by pip",
            hint="name its wheel with --wheel",
        ) from error
    info, files = _read_installation(installed)
    if "digitkit/__init__.py" not in files or not info:
        raise BundleError(
            "this installation of digitkit cannot be packed into a wheel",
            hint="name its wheel with --wheel",
        )
    files[f"{info}/RECORD"] = _make_record(files, info)
    folder = work / "own"
    folder.mkdir(parents=True)
    path = folder / f"digitkit-{installed.version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        # .dist-info comes last, as wheels should have it.
        for name in sorted(files, key=lambda name: (name.startswith(info), name)):
            entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, files[name])
    return path


def _read_installation(installed: Distribution) -> tuple[str, dict[str, bytes]]:
    """The name of the ``.dist-info`` folder, empty if there is none, and the wheel's files."""
    files: dict[str, bytes] = {}
    info = ""
    for file in installed.files or []:
        name = file.as_posix()
        if file.parts[0].endswith(".dist-info"):
            info = file.parts[0]
        if ".." in file.parts or file.suffix == ".pyc" or file.name in _NOT_PACKED:
            continue  # ".." leads to bin/, where pip writes the command again
        try:
            files[name] = Path(str(installed.locate_file(file))).read_bytes()
        except OSError as error:
            raise BundleError(
                f"of the installed digitkit cannot be read: {os_reason(error)}",
                subject=name,
                hint="reinstall digitkit, or name its wheel with --wheel",
            ) from error
    return info, files


def _make_record(files: Mapping[str, bytes], info: str) -> bytes:
    record = io.StringIO()
    for name in sorted(files):
        digest = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).rstrip(b"=")
        record.write(f"{name},sha256={digest.decode()},{len(files[name])}\n")
    record.write(f"{info}/RECORD,,\n")
    return record.getvalue().encode()
