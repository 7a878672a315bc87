"""Tiny wheels for tests: real files that pip installs, with next to nothing in them."""

import shutil
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from digitkit.device.bundle.bundle_config import MACHINES, BundleConfig


def make_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    tag: str = "py3-none-any",
    *,
    requires: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
    metadata: str = "Requires-Python: >=3.9\n",
) -> Path:
    """Write a wheel with `files` and further lines of metadata."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}"
    metadata += "".join(f"Requires-Dist: {text}\n" for text in requires)
    content = {f"{module}/__init__.py": f"VERSION = {version!r}\n", **(files or {})}
    content[f"{info}/METADATA"] = metadata
    content[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n"
    content[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*content, f"{info}/RECORD"])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{module}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, text in content.items():
            archive.writestr(zipfile.ZipInfo(entry, (2020, 1, 1, 0, 0, 0)), text)
    return path


STAND_IN = """
import json, os, pathlib, sys, time
def main():
    if sys.argv[1:] == ["--version"]:
        return print("digitkit VERSION")
    if sys.argv[1] != "infer":
        return 2
    if started := os.environ.get("STAND_IN_STARTED"):
        pathlib.Path(started).write_text(str(os.getpid()))
        time.sleep(600)
    assert pathlib.Path(sys.argv[2]).is_file()
    out = pathlib.Path(sys.argv[sys.argv.index("--output") + 1])
    out.write_text(json.dumps({"text": TEXT}) + "\\n")
    return CODE
"""

SETTINGS = """
import tomllib
from types import SimpleNamespace
from digitkit.errors import DigitkitError
def load_settings(path):
    settings = tomllib.loads(path.read_text())
    if "WRONG" in settings:
        raise DigitkitError(f"{path}: WRONG is not a known key")
    return SimpleNamespace(model=settings.get("model"))
"""


def digitkit_wheel(
    folder: Path, version: str = "0.1.0", *, text: str = "1984\n2750\n6361", code: int = 0
) -> Path:
    """A stand-in for digitkit: its command `infer` reads `text` and exits with `code`."""
    main = STAND_IN.replace("VERSION", version).replace("TEXT", repr(text))
    commands = "[console_scripts]\ndigitkit = digitkit.stand_in:main\n"
    return make_wheel(
        *(folder, "digitkit", version),
        requires=[
            *("msgspec>=0.19.0", "numpy>=1.26.0", "onnxruntime!=1.21.0,>=1.20.1"),
            *("opencv-python>=4.10.0.84", "torch>=2; extra == 'train'"),
            "uvicorn>=0.34; extra == 'web'",
        ],
        files={
            f"digitkit-{version}.dist-info/entry_points.txt": commands,
            "digitkit/stand_in.py": main.replace("CODE", str(code)),
            "digitkit/errors.py": "class DigitkitError(Exception):\n    pass\n",
            "digitkit/inference/__init__.py": "",
            "digitkit/inference/settings.py": SETTINGS,
            "digitkit/web/__init__.py": "",
            "digitkit/web/serve_job.py": "import uvicorn\n",
            "digitkit/exported/digits-int8.onnx": "net",
            "digitkit/exported/MODEL_CARD.md": "card",
        },
        metadata="Requires-Python: >=3.11\nLicense-Expression: MIT\n",
    )


def offline_config(
    folder: Path,
    pythons: tuple[str, ...] = ("3.11", "3.13"),
    platform: str = "linux-arm64",
    pip: Path | None = None,
) -> BundleConfig:
    """A configuration that needs no network, with stand-ins for digitkit's dependencies.

    Packages with binaries have one wheel per Python. pip is a stand-in, too, unless given.
    """
    house, machine = folder / "house", MACHINES[platform]
    for python in pythons:
        abi = f"cp{python.replace('.', '')}"
        make_wheel(house, "msgspec", "0.22.0", f"{abi}-{abi}-manylinux2014_{machine}")
        make_wheel(house, "numpy", "2.4.0", f"{abi}-{abi}-manylinux_2_27_{machine}")
        make_wheel(
            *(house, "onnxruntime", "1.30.0", f"{abi}-{abi}-manylinux_2_28_{machine}"),
            requires=["numpy>=1.26", "flatbuffers", "sympy; extra == 'symbolic'"],
            metadata="License: MIT License\n",
        )
    make_wheel(
        *(house, "opencv-python-headless", "4.12.0.88", f"cp37-abi3-manylinux2014_{machine}"),
        requires=["numpy>=2; python_version >= '3.9'"],
        metadata="Classifier: License :: OSI Approved :: Apache Software License\n",
    )
    make_wheel(house, "flatbuffers", "25.1")
    make_wheel(house, "uvicorn", "0.54.0", requires=["h11"])
    make_wheel(house, "h11", "0.16.0")
    shutil.copy(pip or make_wheel(folder, "pip", "26.0"), house)
    wheel = digitkit_wheel(folder)
    return BundleConfig(folder / "b.tar.gz", pythons, platform, wheel=wheel, wheelhouse=house)


def read_bundle(path: Path) -> dict[str, bytes]:
    """A bundle's files, by their names within its folder."""
    with tarfile.open(path) as archive:
        files = {m.name.partition("/")[2]: archive.extractfile(m).read() for m in archive}
        assert len(files) == len(archive.getmembers())
    return files
