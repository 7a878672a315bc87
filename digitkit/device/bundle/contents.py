"""The files of a bundle: wheels, models, test data, and what the installer needs."""

from __future__ import annotations

import gzip
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from digitkit.device.bundle.archive import Entry
from digitkit.device.bundle.bundle_config import BundleConfig
from digitkit.device.bundle.wheels import Wheel, required_glibc
from digitkit.errors import DatasetError
from digitkit.images import samples

if TYPE_CHECKING:
    from digitkit.system.progress import Progress

DEVICE_FILES = Path(__file__).resolve().parents[1] / "files"
"""The installer, the service, its settings and the README."""

_EXPORTED = "digitkit/exported/"
"""The folder of the shipped models in digitkit's wheel."""


@dataclass(frozen=True)
class ServiceModel:
    """The model that the service reads with.

    Attributes:
        setting: its name in the settings file.
        file: the file of a model that is not a shipped one; None for a shipped one.
        text: what it reads on the sample page here, and must read on the device.
        name: the name of `file` among the bundle's models.
    """

    setting: str
    file: Path | None
    text: str
    name: str = ""

    @classmethod
    def load(cls, model: str) -> Self:
        """Load a model by its name or file, and read the sample page with it.

        Raises:
            InputNotFoundError: it does not exist.
            ModelError: it cannot be used.
        """
        from digitkit.models.classifier import Classifier
        from digitkit.models.registry import models_folder
        from digitkit.reading.reader import Reader

        classifier = Classifier(model)
        text = Reader(classifier).read(samples.SAMPLE_PAGE).text
        path = classifier.path
        target = path.resolve()
        if target.parent == models_folder():
            # A shipped model given by its path goes by its name, since the path exists only here.
            return cls(target.stem if Path(model).exists() else model, None, text)
        # In a folder of its own, since it may have the name of a shipped one; in letters that need
        # no quoting in TOML, the shell and tar.
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem)[:60]
        name = f"own/{stem}.onnx"
        return cls(f"@ROOT@/current/models/{name}", path, text, name)


@dataclass(frozen=True)
class Contents:
    """What goes into a bundle.

    Attributes:
        config: what was asked for.
        own: digitkit's wheel.
        wheels: all other wheels, by the Python that needs them; pip's among them.
        model: what the service reads with.
        mnist: MNIST's test set, gzipped IDX files by name.
    """

    config: BundleConfig
    own: Wheel
    wheels: Mapping[str, Sequence[Wheel]]
    model: ServiceModel
    mnist: Mapping[str, bytes]

    @property
    def folder(self) -> str:
        """The bundle's folder."""
        return f"digitkit-{self.own.version}-{self.config.platform}"

    def different_wheels(self) -> dict[str, Wheel]:
        """All wheels but digitkit's, by file name, each once."""
        return {wheel.path.name: wheel for each in self.wheels.values() for wheel in each}

    def shipped(self, pattern: str) -> dict[str, bytes]:
        """The files of digitkit's ``exported`` folder whose names match a pattern, by name."""
        with zipfile.ZipFile(self.own.path) as archive:
            return {
                name.removeprefix(_EXPORTED): archive.read(name)
                for name in archive.namelist()
                if name.startswith(_EXPORTED)
                and re.fullmatch(pattern, name.removeprefix(_EXPORTED))
            }


def load_mnist_files(wheelhouse: Path | None, progress: Progress) -> dict[str, bytes]:
    """MNIST's test set as gzipped IDX files, by name.

    Args:
        wheelhouse: where the wheels come from; None to download MNIST if it is not here.
        progress: called while it is downloaded.

    Raises:
        DatasetError: it is damaged, or not here and must not be downloaded.
    """
    from digitkit.datasets.idx import idx_names
    from digitkit.datasets.mnist import find_mnist, mnist_files

    folder = find_mnist("test")
    if folder is None and wheelhouse is not None:
        folder = wheelhouse.resolve().parent / "mnist"  # where an earlier bundle has it
        if not all((folder / f"{stem}.gz").is_file() for stem in idx_names("test")):
            raise DatasetError(
                "MNIST's test set, which is part of a bundle, is not on this machine",
                hint="name the folder of its IDX files in DIGITKIT_MNIST, or omit --wheelhouse to "
                "download it",
            )
    files = {}
    for stem, path in mnist_files("test", folder, progress=progress).items():
        data = path.read_bytes()
        is_packed = data[:2] == b"\x1f\x8b"
        files[f"{stem}.gz"] = data if is_packed else gzip.compress(data, 9, mtime=0)
    return files


def list_entries(contents: Contents) -> Iterator[Entry]:
    """All files of a bundle but its bill of materials and the list of checksums."""
    yield from _list_wheels(contents)
    yield from _list_data(contents)
    yield from _list_installer(contents)


def _list_wheels(contents: Contents) -> Iterator[Entry]:
    own = contents.own
    yield Entry(f"wheels/{own.path.name}", own.path, "digitkit")
    for name, wheel in contents.different_wheels().items():
        yield Entry(f"wheels/{name}", wheel.path, wheel.name)
    for python, wheels in contents.wheels.items():
        lines = [
            f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n"
            for wheel in sorted(wheels, key=lambda wheel: wheel.name)
            if wheel.name != "pip"  # it runs from its wheel and is not installed
        ]
        yield Entry(f"requirements-{python}.txt", "".join(lines).encode(), "installer")


def _list_data(contents: Contents) -> Iterator[Entry]:
    for name, data in contents.shipped(r"[^/]+\.onnx|MODEL_CARD\.md").items():
        yield Entry(f"models/{name}", data, "models")
    model = contents.model
    if model.file is not None:
        yield Entry(f"models/{model.name}", model.file, "models")
    for name, data in contents.mnist.items():
        yield Entry(f"mnist/{name}", data, "MNIST test set")
    yield Entry("sample/page.jpg", samples.SAMPLE_PAGE, "sample page")
    yield Entry("sample/expected.txt", f"{model.text}\n".encode(), "sample page")


def _list_installer(contents: Contents) -> Iterator[Entry]:
    settings = _collect_install_settings(contents)
    text = "".join(f"{key}={value}\n" for key, value in settings.items())
    yield Entry("bundle.conf", text.encode(), "installer")
    for name in ("install.sh", "uninstall.sh"):
        yield Entry(name, DEVICE_FILES / name, "installer", executable=True)
    unit = (DEVICE_FILES / "digitkit.service").read_text("utf-8")
    service = (DEVICE_FILES / "digitkit.toml").read_text("utf-8")
    service = service.replace('model = "digits"', f'model = "{contents.model.setting}"')
    if contents.config.web:
        unit = unit.replace("digitkit infer --config", "digitkit serve --config")
        service = re.sub(r"^# (?=\[serve\]|host = |port = |token_file = )", "", service, flags=re.M)
    yield Entry("digitkit.service", unit.encode(), "installer")
    yield Entry("digitkit.toml", service.encode(), "installer")
    readme = (DEVICE_FILES / "README.md").read_text("utf-8")
    for key in ("version", "platform", "pythons", "glibc"):
        readme = readme.replace(f"@{key.upper()}@", " or ".join(settings[key].split()))
    yield Entry("README.md", readme.encode(), "installer")


def _collect_install_settings(contents: Contents) -> dict[str, str]:
    """What ``install.sh`` looks up in ``bundle.conf``."""
    config, own = contents.config, contents.own
    wheels = contents.different_wheels()
    settings = {
        "version": own.version,
        "platform": config.platform,
        "machine": config.machine,
        "pythons": " ".join(config.pythons),
        "glibc": required_glibc(contents.wheels, config.machine),
        "wheel": own.path.name,
        "pip": next(name for name, wheel in wheels.items() if wheel.name == "pip"),
        "model": contents.model.setting,
        "web": "1" if config.web else "",
    }
    for python, of_python in contents.wheels.items():
        settings[f"kilobytes_{python}"] = str(_installed_size([own, *of_python]) // 1024)
    return settings


def _installed_size(wheels: Iterable[Wheel]) -> int:
    """Bytes that these wheels take once they are installed, compiled modules included."""
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
