"""A device's offline install in one file: digitkit, what it needs, the models and an installer.

The wheels come from pip: it resolves for the target's platform and Python, and fetches exactly
that. Everything else is in this package. The same inputs give the same bytes.
"""

from __future__ import annotations

import base64
import errno
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import uuid
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from functools import cached_property
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitkit.errors import (
    BundleError,
    DatasetError,
    InputNotFoundError,
    MissingDependencyError,
    one_line,
)
from digitkit.images import samples
from digitkit.system import atomic
from digitkit.system.hashes import file_sha256
from digitkit.version import __version__

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from digitkit.system.progress import Progress


MACHINES = {"linux-arm64": "aarch64", "linux-x64": "x86_64"}
"""The platforms there are, and what ``uname -m`` says there."""

PYTHONS = ("3.11", "3.13")
"""What Raspberry Pi OS Bookworm and Trixie have."""

NEWEST_GLIBC = 36
"""Wheels may ask for glibc up to 2.36, Bookworm's; Trixie's is newer and runs them all."""

INSTEAD = {"opencv-python": "opencv-python-headless"}
"""What a device gets instead: a server has no libGL, which opencv-python draws windows with."""

DEVICE = Path(__file__).resolve().parents[1] / "files"
"""The files of this package that go to a device."""

_THIRTY_TWO = re.compile(r"(linux[-_])?(armhf|armel|arm|arm32|armv[5-8]l?|i[3-6]86|x86)\Z")
_EPOCH = 1577836800
"""2020-01-01: the time of every file, seconds since 1970; wheels cannot go below 1980."""


@dataclass(frozen=True)
class BundleConfig:
    """What to bundle.

    Attributes:
        out: the file to write, ``.tar.gz``.
        pythons: versions of Python on the devices, such as ``3.11``.
        platform: a key of `MACHINES`.
        model: what the service reads with: a shipped name or an ``.onnx`` file, which then
            travels along.
        wheel: digitkit's own wheel; by default it is made.
        wheelhouse: a folder with all wheels that are needed; by default pip fetches them.
    """

    out: Path
    pythons: tuple[str, ...] = PYTHONS
    platform: str = "linux-arm64"
    model: str = "digits"
    wheel: Path | None = None
    wheelhouse: Path | None = None


@dataclass(frozen=True)
class Part:
    """A part of a bundle: a name for people, and its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True)
class Bundle:
    """A bundle that was made.

    Attributes:
        path: the file.
        size: its bytes.
        sha256: its SHA-256.
        folder: the one folder inside it.
        parts: what is in it, not compressed.
    """

    path: Path
    size: int
    sha256: str
    folder: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class _Wheel:
    """A wheel file, and what its metadata says."""

    path: Path
    metadata: Message

    @property
    def name(self) -> str:
        return _canonical(str(self.metadata["Name"]))

    @property
    def version(self) -> str:
        return str(self.metadata["Version"])

    @property
    def requires(self) -> list[str]:
        return [str(text) for text in self.metadata.get_all("Requires-Dist") or []]

    @cached_property
    def sha256(self) -> str:
        return file_sha256(self.path)


@dataclass(frozen=True)
class _Entry:
    """A file of the bundle."""

    name: str
    data: bytes | Path
    part: str
    executable: bool = False

    def read(self) -> bytes:
        return self.data if isinstance(self.data, bytes) else self.data.read_bytes()


def _silent(what: str, done: int, total: int) -> None:
    pass


def make_bundle(
    config: BundleConfig,
    *,
    progress: Progress = _silent,
    say: Callable[[str], None] = lambda line: None,
) -> Bundle:
    """Make a device's bundle.

    Args:
        config: what to bundle.
        progress: called while wheels are fetched and packed.
        say: called with a line for people: what will be fetched, before it is.

    Raises:
        BundleError: the platform or a Python cannot be served; a wheel is missing or broken.
        InputNotFoundError: a wheel, a folder or a model that was named does not exist.
        MissingDependencyError: pip, or hatchling in a checkout, is not installed.
        ModelError, DatasetError: the model, or MNIST's test set, cannot be read.
        OutputError: the file cannot be written.
    """
    _check(config)
    with tempfile.TemporaryDirectory(prefix="digitkit-bundle-") as temporary:
        work = Path(temporary)
        own = _read_wheel(config.wheel or _own_wheel(work))
        if own.name != "digitkit" or not own.path.name.endswith("-py3-none-any.whl"):
            raise BundleError(f"{own.path}: is no wheel of digitkit; leave --wheel away to make it")
        wanted = _wanted(own, config.pythons)
        model = _Model.of(config.model)
        if model.text != samples.SAMPLE_PAGE_TEXT:
            read, written = (
                text.replace("\n", " ") for text in (model.text, samples.SAMPLE_PAGE_TEXT)
            )
            say(
                f"note: {config.model} reads {read!r} on the sample page, where {written!r} is "
                "written; on the device it has to read the same"
            )
        say(_what_is_fetched(config, wanted))
        mnist = _mnist_test(config.wheelhouse, progress)
        wheels, lacking = {}, []
        for python in config.pythons:
            try:
                wheels[python] = _fetch(config, python, wanted, work / python, progress)
            except _MissingError as error:
                lacking.append(f"Python {python}: {error}")
        if lacking:
            raise _missing(config, lacking)
        folder = f"digitkit-{own.version}-{config.platform}"
        entries = list(_entries(config, own, wheels, model, mnist))
        return _pack(config.out, folder, entries, progress)


def _check(config: BundleConfig) -> None:
    if _THIRTY_TWO.match(config.platform):
        raise BundleError(
            f"{config.platform}: has no wheels of ONNX Runtime, which exist for 64-bit systems "
            "only; put the 64-bit Raspberry Pi OS on the device (a Pi 3, 4, 5 or Zero 2 W runs it) "
            "and bundle for linux-arm64"
        )
    if config.platform not in MACHINES:
        raise BundleError(f"{config.platform}: is no platform; there are {', '.join(MACHINES)}")
    if not config.pythons:
        raise BundleError("no Python is named; write versions such as 3.11,3.13")
    for python in config.pythons:
        if not re.fullmatch(r"3\.\d{1,3}", python):
            raise BundleError(f"{python!r}: is no version of Python; write it like 3.11")
    if config.wheelhouse is not None and not config.wheelhouse.is_dir():
        raise InputNotFoundError(f"{config.wheelhouse}: is no folder; name one with wheels in it")
    atomic.check_writable(config.out)  # before minutes of downloading
    if find_spec("pip") is None:
        raise MissingDependencyError(
            f"wheels are fetched by pip, which {sys.executable} has not: "
            "python -m ensurepip brings it, on Debian sudo apt-get install python3-pip"
        )


# --- digitkit's own wheel --------------------------------------------------------------------


def _own_wheel(work: Path) -> Path:
    """Build digitkit's wheel from the checkout, else repack the installation."""
    checkout = Path(__file__).resolve().parents[3]
    if (checkout / "pyproject.toml").is_file():
        return _built(checkout, work / "own")
    return _repacked(work / "own")


def _built(checkout: Path, folder: Path) -> Path:
    if find_spec("hatchling") is None:
        raise MissingDependencyError(
            f"{checkout}: is a checkout, and hatchling, which builds its wheel, is not installed: "
            "pip install hatchling brings it, or name a wheel with --wheel"
        )
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    env = os.environ | {"SOURCE_DATE_EPOCH": str(_EPOCH)}
    done = subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True)
    made = sorted(folder.glob("*.whl"))
    if done.returncode or len(made) != 1:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise BundleError(f"{checkout}: its wheel cannot be built: {lines[-1].strip()}")
    return made[0]


def _repacked(folder: Path) -> Path:
    """Make a wheel of the files that an installed digitkit consists of."""
    try:
        installed = distribution("digitkit")
    except PackageNotFoundError as error:
        raise BundleError(
            "digitkit is neither a checkout nor installed by pip; name its wheel with --wheel"
        ) from error
    files: dict[str, bytes] = {}
    left_out = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")  # the installation's own
    info = ""
    for file in installed.files or []:
        name = file.as_posix()
        if file.parts[0].endswith(".dist-info"):
            info = file.parts[0]
        if ".." in file.parts or file.suffix == ".pyc" or file.name in left_out:
            continue  # ".." leads to bin/, where pip makes the command anew
        try:
            files[name] = Path(str(installed.locate_file(file))).read_bytes()
        except OSError as error:
            raise BundleError(
                f"{name}: of the installed digitkit cannot be read ({error.strerror}); install it "
                "anew, or name its wheel with --wheel"
            ) from error
    if "digitkit/__init__.py" not in files or not info:
        raise BundleError(
            "digitkit is installed in a way that cannot be packed again; name its wheel with "
            "--wheel"
        )
    record = io.StringIO()
    for name in sorted(files):
        digest = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).rstrip(b"=")
        record.write(f"{name},sha256={digest.decode()},{len(files[name])}\n")
    record.write(f"{info}/RECORD,,\n")
    files[f"{info}/RECORD"] = record.getvalue().encode()
    folder.mkdir(parents=True)
    path = folder / f"digitkit-{installed.version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files, key=lambda name: (name.startswith(info), name)):
            entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, files[name])
    return path


# --- what it needs ---------------------------------------------------------------------------


def _canonical(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirement(text: str) -> Requirement:
    try:
        from packaging.requirements import Requirement
    except ImportError as error:  # ONNX Runtime depends on it
        raise MissingDependencyError(
            "bundling needs the package packaging, which is not installed: "
            "pip install packaging brings it"
        ) from error
    return Requirement(text)


def _environment(python: str, machine: str) -> dict[str, str]:
    """What a requirement's marker is judged by on a device (PEP 508)."""
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


def _applies(requirement: Requirement, environment: dict[str, str], extras: Set[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(
        marker.evaluate(environment | {"extra": extra}) for extra in {"", *extras}
    )


def _wanted(own: _Wheel, pythons: Iterable[str]) -> list[str]:
    """What digitkit's metadata asks for at run time, with what a device gets instead."""
    from packaging.specifiers import SpecifierSet

    allowed = SpecifierSet(own.metadata["Requires-Python"] or "")
    for python in pythons:
        if not allowed.contains(f"{python}.99"):
            raise BundleError(f"Python {python}: digitkit {own.version} needs {allowed}")
    wanted = []
    for text in own.requires:
        requirement = _requirement(text)
        if requirement.marker is not None and "extra" in str(requirement.marker):
            continue
        requirement.name = INSTEAD.get(_canonical(requirement.name), requirement.name)
        wanted.append(str(requirement))
    return wanted


def _needed(
    wheels: Iterable[_Wheel], wanted: Iterable[str], environment: dict[str, str]
) -> dict[str, str]:
    """What `wanted` leads to on the device, among `wheels` or not: names, and who asks for what."""
    known = {wheel.name: wheel for wheel in wheels}
    needed: dict[str, str] = {}
    waiting = [(text, frozenset[str]()) for text in wanted]
    done = set()
    while waiting:
        text, extras = waiting.pop()
        requirement = _requirement(text)
        if (text, extras) in done or not _applies(requirement, environment, extras):
            continue
        done.add((text, extras))
        name = _canonical(requirement.name)
        needed.setdefault(name, f"{requirement.name}{requirement.specifier}")
        if name in known:
            of = frozenset(requirement.extras)
            waiting += [(each, of) for each in known[name].requires]
    return needed


# --- pip -------------------------------------------------------------------------------------


def _tags(machine: str) -> list[str]:
    """The platform tags of wheels that run on a device, the newest first."""
    return [
        *(f"manylinux_2_{minor}_{machine}" for minor in range(NEWEST_GLIBC, 16, -1)),
        f"manylinux2014_{machine}",
        *([f"manylinux2010_{machine}", f"manylinux1_{machine}"] if machine == "x86_64" else []),
        f"linux_{machine}",
    ]


def _for_target(config: BundleConfig, python: str) -> list[str]:
    """Pip's options that make it look for a device's wheels instead of this machine's."""
    options = ["--disable-pip-version-check", "--no-input", "--only-binary=:all:"]
    for tag in _tags(MACHINES[config.platform]):
        options += ["--platform", tag]
    options += ["--implementation", "cp", "--python-version", python]
    for abi in (f"cp{python.replace('.', '')}", "abi3", "none"):
        options += ["--abi", abi]
    if config.wheelhouse is not None:
        options += ["--isolated", "--no-index", "--find-links", str(config.wheelhouse.resolve())]
    return options


_NO_NETWORK = re.compile(
    r"Retry\(total=0,.*connection broken by "
    r"'?(NewConnection|NameResolution|ConnectTimeout|Proxy)Error"
)
"""What pip says before the last of its tries to get a connection; an earlier one may succeed."""


def _pip(
    arguments: Sequence[str],
    temporary: Path,
    on_line: Callable[[str], None] = lambda line: None,
) -> list[str]:
    """Run pip; returns the lines with errors, none if all went well.

    What it leaves lying if it is stopped is in the folder `temporary`.

    Raises:
        BundleError: that folder's disk is full, or there is no network.
    """
    env = os.environ | {"PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "TMPDIR": str(temporary)}
    env.pop("FORCE_COLOR", None)  # it would put codes between the lines all the same
    if "--isolated" in arguments:
        env["PIP_CONFIG_FILE"] = os.devnull  # the machine's settings, too
    lines = []
    with subprocess.Popen(
        [sys.executable, "-m", "pip", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=env,
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                lines.append(line.strip())
                on_line(line)
            code = process.wait()
        finally:
            process.terminate()  # at Ctrl-C; else it has ended
    if not code:
        return []
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    if any(f"[Errno {errno.ENOSPC}]" in line for line in lines):
        raise BundleError(
            f"{temporary.parent}: the disk is full; make room there, or name another folder in "
            "TMPDIR"
        )
    if any(_NO_NETWORK.search(line) for line in lines):
        raise BundleError(
            "pip does not reach its index; see whether this machine has a network, or take the "
            "wheels from a folder with --wheelhouse"
        )
    # An index's address, which may hold a password, is nobody's business.
    return [re.sub(r"\S*://\S*", "…", line) for line in errors or lines[-1:] or ["no reason given"]]


def _what_is_fetched(config: BundleConfig, wanted: Sequence[str]) -> str:
    from digitkit.datasets.mnist import find_mnist

    if config.wheelhouse is not None:
        verb, size = f"taking from {config.wheelhouse}", ""
    else:
        verb, size = "fetching with pip", "; about 100 MB, and 45 MB for each further Python"
        if find_mnist("test") is None:
            size += "; and MNIST from its mirrors, 11 MB"
    pythons = " and ".join(config.pythons)
    return (
        f"{verb}, for {config.platform} and Python {pythons}: pip, {', '.join(wanted)}, "
        f"and what these need{size}"
    )


def _fetch(
    config: BundleConfig, python: str, wanted: Sequence[str], folder: Path, progress: Progress
) -> list[_Wheel]:
    """The wheels that the device needs with this Python, and pip's, which installs them there."""
    environment = _environment(python, MACHINES[config.platform])
    asked = [*wanted, "pip"]
    done = 0

    def count(line: str) -> None:
        nonlocal done
        if line.startswith(("Collecting ", "Processing ")):
            done += 1
            progress(f"fetching for Python {python}", done, 0)

    download = ["download", "--dest", str(folder), *_for_target(config, python)]
    # pip judges markers by the machine that it runs on: what only the device needs is asked for
    # by name, and what only this machine needs is left away.
    while True:
        errors = _pip([*download, *asked], folder.parent, count)
        if errors:
            alone = [*download, "--no-deps"]
            lost = [text for text in asked if _pip([*alone, text], folder.parent)]
            raise _MissingError(", ".join(lost) if lost else errors[-1])
        wheels = [_read_wheel(path) for path in sorted(folder.glob("*.whl"))]
        needed = _needed(wheels, wanted, environment)
        lacking = [text for name, text in needed.items() if name not in {w.name for w in wheels}]
        if not lacking:
            return [wheel for wheel in wheels if wheel.name in needed or wheel.name == "pip"]
        asked += lacking


class _MissingError(Exception):
    """A device's Python lacks wheels; the text names them, or is what pip says."""


def _missing(config: BundleConfig, lacking: Sequence[str]) -> BundleError:
    """The error for downloads that failed, each with its Python."""
    if config.wheelhouse is not None:
        place, remedy = f"in {config.wheelhouse}", "put them there"
    else:
        place, remedy = "to be had", "see whether pip finds them"
    return BundleError(
        f"wheels for {config.platform} are not all {place}; lacking for {'; for '.join(lacking)}; "
        f"{remedy}, or choose other versions with --python"
    )


def _read_wheel(path: Path) -> _Wheel:
    if not path.is_file():
        raise InputNotFoundError(f"{path}: there is no such wheel")
    try:
        with zipfile.ZipFile(path) as archive:
            (name,) = (
                name
                for name in archive.namelist()
                if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)
            )
            return _Wheel(path, BytesParser().parsebytes(archive.read(name), headersonly=True))
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise BundleError(f"{path}: is no wheel: {one_line(error)}; fetch it again") from error


# --- the other parts -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Model:
    """The model that the service reads with.

    Attributes:
        setting: its name in the settings file.
        file: an own model's file; None for a shipped one.
        text: what it reads on the sample page here, which a device must read, too.
        name: an own model's name among the bundle's models.
    """

    setting: str
    file: Path | None
    text: str
    name: str = ""

    @classmethod
    def of(cls, model: str) -> _Model:
        from digitkit.models.classifier import Classifier
        from digitkit.models.registry import models_folder
        from digitkit.reading.reader import Reader

        classifier = Classifier(model)
        text = Reader(classifier).read(samples.SAMPLE_PAGE).text
        path = classifier.path
        leads_to = path.resolve()
        if leads_to.parent == models_folder():
            # A shipped file that was named by its path goes by its name; the path is only here.
            return cls(leads_to.stem if Path(model).exists() else model, None, text)
        # In a folder of its own, since it may be called like a shipped one; in letters that TOML,
        # the shell and tar take as they are.
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem)[:60]
        name = f"own/{stem}.onnx"
        return cls(f"@ROOT@/current/models/{name}", path, text, name)


def _mnist_test(wheelhouse: Path | None, progress: Progress) -> dict[str, bytes]:
    """MNIST's test set as two gzipped IDX files."""
    from digitkit.datasets.idx import idx_names
    from digitkit.datasets.mnist import MNIST_MD5, download_mnist, find_mnist
    from digitkit.system.folders import cache_folder

    folder = find_mnist("test")
    if folder is None and wheelhouse is not None:
        folder = wheelhouse.resolve().parent / "mnist"  # an earlier bundle's wheels lie beside it
        if not all((folder / f"{stem}.gz").is_file() for stem in idx_names("test")):
            raise DatasetError(
                "MNIST's test set, which goes into a bundle, is not on this machine; name a folder "
                "with its IDX files in DIGITKIT_MNIST, or leave --wheelhouse away to download"
            )
    if folder is None:
        folder = cache_folder() / "mnist"
        download_mnist(folder, progress=progress)
    files = {}
    for stem in idx_names("test"):
        packed, plain = folder / f"{stem}.gz", folder / stem
        data = (
            packed.read_bytes()
            if packed.is_file()
            else gzip.compress(plain.read_bytes(), 9, mtime=0)
        )
        found = hashlib.md5(gzip.decompress(data), usedforsecurity=False).hexdigest()
        if found != MNIST_MD5[stem]:
            raise DatasetError(f"{folder / stem}: is not MNIST's file; restore it")
        files[f"{stem}.gz"] = data
    return files


def _entries(
    config: BundleConfig,
    own: _Wheel,
    wheels: Mapping[str, Sequence[_Wheel]],
    model: _Model,
    mnist: Mapping[str, bytes],
) -> Iterator[_Entry]:
    """All files of the bundle but the list of their checksums."""
    yield _Entry(f"wheels/{own.path.name}", own.path, "digitkit")
    files = {wheel.path.name: wheel for each in wheels.values() for wheel in each}
    for name, wheel in files.items():
        yield _Entry(f"wheels/{name}", wheel.path, wheel.name)
    for python, each in wheels.items():
        lines = [
            f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n"
            for wheel in sorted(each, key=lambda wheel: wheel.name)
            if wheel.name != "pip"  # it installs, from its wheel, and is not installed
        ]
        yield _Entry(f"requirements-{python}.txt", "".join(lines).encode(), "installer")

    for name, data in _shipped(own, r"[^/]+\.onnx|MODEL_CARD\.md").items():
        yield _Entry(f"models/{name}", data, "models")
    if model.file is not None:
        yield _Entry(f"models/{model.name}", model.file, "models")
    for name, data in mnist.items():
        yield _Entry(f"mnist/{name}", data, "MNIST test set")
    yield _Entry("sample/page.jpg", samples.SAMPLE_PAGE, "sample page")
    yield _Entry("sample/expected.txt", f"{model.text}\n".encode(), "sample page")

    facts = {
        "version": own.version,
        "platform": config.platform,
        "machine": MACHINES[config.platform],
        "pythons": " ".join(config.pythons),
        "glibc": _glibc_needed(files),
        "wheel": own.path.name,
        "pip": next(name for name, wheel in files.items() if wheel.name == "pip"),
        "model": model.setting,
    }
    facts |= {
        f"kilobytes_{python}": str(_installed_size([own, *each]) // 1024)
        for python, each in wheels.items()
    }
    text = "".join(f"{key}={value}\n" for key, value in facts.items())
    yield _Entry("bundle.conf", text.encode(), "installer")
    for name in ("install.sh", "uninstall.sh"):
        yield _Entry(name, DEVICE / name, "installer", executable=True)
    yield _Entry("digitkit.service", DEVICE / "digitkit.service", "installer")
    settings = (DEVICE / "digitkit.toml").read_text("utf-8")
    settings = settings.replace('model = "digits"', f'model = "{model.setting}"')
    yield _Entry("digitkit.toml", settings.encode(), "installer")
    readme = (DEVICE / "README.md").read_text("utf-8")
    for key in ("version", "platform", "pythons", "glibc"):
        shown = " or ".join(facts[key].split())
        readme = readme.replace(f"@{key.upper()}@", shown)
    yield _Entry("README.md", readme.encode(), "installer")
    sbom = _sbom(config, own, wheels, model, mnist)
    yield _Entry("sbom.cdx.json", sbom, "bill of materials")


def _glibc_needed(names: Iterable[str]) -> str:
    """The glibc that all these wheels run with, such as ``2.28``."""
    least = 17
    for name in names:
        tags = name.removesuffix(".whl").split("-")[-1].split(".")
        minors = [int(m[1]) for tag in tags if (m := re.match(r"manylinux_2_(\d+)_", tag))]
        minors += [17 for tag in tags if tag.startswith(("manylinux2014", "manylinux1", "any"))]
        if minors:
            least = max(least, min(minors))
    return f"2.{least}"


def _shipped(own: _Wheel, pattern: str) -> dict[str, bytes]:
    """The files beside the models in digitkit's wheel whose names match, by name."""
    folder = "digitkit/exported/"
    with zipfile.ZipFile(own.path) as archive:
        return {
            name.removeprefix(folder): archive.read(name)
            for name in archive.namelist()
            if name.startswith(folder) and re.fullmatch(pattern, name.removeprefix(folder))
        }


def _installed_size(wheels: Iterable[_Wheel]) -> int:
    """Bytes that these wheels take once installed, compiled modules included."""
    size = 0
    for wheel in wheels:
        if wheel.name == "pip":
            continue
        with zipfile.ZipFile(wheel.path) as archive:
            for info in archive.infolist():
                # A file fills whole blocks; a module's bytecode is about as large as its source.
                size += (info.file_size + 4095) // 4096 * 4096
                size += info.file_size if info.filename.endswith(".py") else 0
    return size


# --- bill of materials -----------------------------------------------------------------------


def _sbom(
    config: BundleConfig,
    own: _Wheel,
    wheels: Mapping[str, Sequence[_Wheel]],
    model: _Model,
    mnist: Mapping[str, bytes],
) -> bytes:
    """What the bundle holds, as CycloneDX 1.6 JSON; no time in it, so that it is reproducible."""
    components: list[dict[str, Any]] = []
    dependencies: dict[str, set[str]] = {_ref(own): set()}
    for python, each in wheels.items():
        environment = _environment(python, MACHINES[config.platform])
        of = {wheel.name: _ref(wheel) for wheel in each}
        for wheel in (own, *each):
            needs = dependencies.setdefault(_ref(wheel), set())
            for text in wheel.requires:
                requirement = _requirement(text)
                name = _canonical(requirement.name)
                name = INSTEAD.get(name, name) if wheel is own else name
                if name in of and _applies(requirement, environment, set[str]()):
                    needs.add(of[name])
    different = {_ref(wheel): wheel for each in wheels.values() for wheel in each}
    components += [_component("library", wheel) for wheel in different.values()]
    models = _shipped(own, r"[^/]+\.onnx")
    kinds = dict.fromkeys(models, ("machine-learning-model", "MIT"))
    if model.file is not None:
        models[model.name] = model.file.read_bytes()
        kinds[model.name] = ("machine-learning-model", "")
    kinds |= dict.fromkeys(mnist, ("data", "CC-BY-SA-3.0"))
    for name, data in (models | dict(mnist)).items():
        kind, licence = kinds[name]
        digest = hashlib.sha256(data).hexdigest()
        entry: dict[str, Any] = {"type": kind, "bom-ref": f"{name}#{digest[:12]}", "name": name}
        entry["hashes"] = [{"alg": "SHA-256", "content": digest}]
        if licence:
            entry["licenses"] = [{"license": {"id": licence}}]
        components.append(entry)
    components.sort(key=lambda component: str(component["bom-ref"]))
    bom: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": _component("application", own),
            "tools": {
                "components": [
                    {"type": "application", "name": "digitkit bundle", "version": __version__}
                ]
            },
            "properties": [
                {"name": "digitkit:platform", "value": config.platform},
                {"name": "digitkit:pythons", "value": " ".join(config.pythons)},
            ],
        },
        "components": components,
        "dependencies": [
            {"ref": ref, "dependsOn": sorted(needs)} for ref, needs in sorted(dependencies.items())
        ],
    }
    content = json.dumps(bom, sort_keys=True)
    serial = uuid.uuid5(uuid.NAMESPACE_OID, content)
    bom = {"$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", **bom}
    bom["serialNumber"] = f"urn:uuid:{serial}"
    return (json.dumps(bom, indent=1, ensure_ascii=False) + "\n").encode()


def _ref(wheel: _Wheel) -> str:
    """A wheel's package URL; the file's name tells one Python's from another's."""
    purl = f"pkg:pypi/{wheel.name}@{wheel.version}"
    return purl if wheel.name == "digitkit" else f"{purl}?file_name={wheel.path.name}"


def _component(kind: str, wheel: _Wheel) -> dict[str, Any]:
    licences = _licences(wheel.metadata)
    return {
        "type": kind,
        "bom-ref": _ref(wheel),
        "name": wheel.name,
        "version": wheel.version,
        "purl": _ref(wheel),
        "hashes": [{"alg": "SHA-256", "content": wheel.sha256}],
        **({"licenses": licences} if licences else {}),
    }


def _licences(metadata: Message) -> list[dict[str, Any]]:
    """A wheel's licences as its metadata has them: an SPDX expression, or names."""
    expression = metadata["License-Expression"]
    if expression:
        return [{"expression": str(expression)}]
    names = [
        str(classifier).rpartition(" :: ")[2]
        for classifier in metadata.get_all("Classifier") or []
        if str(classifier).startswith("License :: ")
    ]
    text = str(metadata["License"] or "").strip()
    if not names and text:
        names = [one_line(text)[:100]]  # some have the whole text there
    return [{"license": {"name": name}} for name in names]


# --- the archive -----------------------------------------------------------------------------


def _pack(out: Path, folder: str, entries: Sequence[_Entry], progress: Progress) -> Bundle:
    """Write the archive: sorted, without times, owners and names of this machine."""
    sums, sizes = [], dict[str, int]()
    for entry in sorted(entries, key=lambda entry: entry.name):
        data = entry.read()
        sums.append(f"{hashlib.sha256(data).hexdigest()}  {entry.name}\n")
        sizes[entry.part] = sizes.get(entry.part, 0) + len(data)
    listed = [*entries, _Entry("SHA256SUMS", "".join(sums).encode(), "installer")]
    listed.sort(key=lambda entry: entry.name)
    with atomic.replace_file(out) as temporary:
        with (
            temporary.open("wb") as raw,
            # Stored: wheels are compressed already, and zlib's builds differ in their bytes.
            gzip.GzipFile("", "wb", compresslevel=0, fileobj=raw, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
        ):
            for done, entry in enumerate(listed, 1):
                progress("packing", done, len(listed))
                data = entry.read()
                info = tarfile.TarInfo(f"{folder}/{entry.name}")
                info.size, info.mtime = len(data), _EPOCH
                info.mode = 0o755 if entry.executable else 0o644
                archive.addfile(info, io.BytesIO(data))
        digest = hashlib.sha256()
        with temporary.open("rb") as handle:
            while block := handle.read(1 << 20):
                digest.update(block)
        size = temporary.stat().st_size
    parts = sorted(sizes.items(), key=lambda part: -part[1])
    return Bundle(
        out, size, digest.hexdigest(), folder, tuple(Part(name, size) for name, size in parts)
    )
