"""What the checks work with: bundles, images, and what x86-64 makes of the images."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import compare
import roots
from report import require

PROJECT = Path(__file__).resolve().parents[2]
MATERIAL = roots.BUILD / "material"
MNIST_IMAGES = 200

NEXT, BROKEN = "90.0.0", "91.0.0"
"""Versions of digitkit that are invented for upgrades."""


@dataclass(frozen=True)
class Bundles:
    """Unpacked bundles.

    Attributes:
        first: the one under test.
        next: the same with a higher version.
        broken: a still higher version that cannot read.
        damaged: the first with a byte of a wheel changed.
    """

    first: Path
    next: Path
    broken: Path
    damaged: Path


def _unpack(bundle: Path, name: str) -> Path:
    folder, part = MATERIAL / name, MATERIAL / f"{name}.part"
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(bundle) as archive:
        archive.extractall(part, filter="data")
    (inside,) = part.iterdir()
    inside.rename(folder)
    part.rmdir()
    return folder


def _build_wheel(version: str, *, broken: bool) -> Path:
    """Build digitkit's wheel under another version; a broken one exits before it reads."""
    from digitkit.device.bundle.own_wheel import build_checkout

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "checkout"
        for name in ("digitkit", "exported"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(PROJECT / name, copy / name, ignore=ignored)
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(PROJECT / name, copy)
        source = copy / "digitkit/version.py"
        text = re.sub(r'__version__ = ".*"', f'__version__ = "{version}"', source.read_text())
        source.write_text(text)
        if broken:
            reader = copy / "digitkit/reading/reader.py"
            reader.write_text(reader.read_text() + '\nraise SystemExit("made not to work")\n')
        wheel = build_checkout(copy, Path(folder), offline=True)
        return Path(shutil.copy(wheel, MATERIAL))


def _build_bundle(name: str, *options: str) -> Path:
    bundle = MATERIAL / f"{name}.tar.gz"
    command = [sys.executable, "-m", "digitkit", "bundle", "--out", str(bundle), *options]
    subprocess.run(command, check=True, cwd=PROJECT, stdout=subprocess.DEVNULL)
    return bundle


def make_bundles(given: Path | None, pythons: list[str]) -> Bundles:
    """Build the bundle under test, unless it is given, and those that it is upgraded to."""
    options = ["--python", ",".join(pythons)]
    first = _unpack(given or _build_bundle("bundle", *options), "first")
    options += ["--wheelhouse", str(first / "wheels")]
    others = {}
    for name, version in (("next", NEXT), ("broken", BROKEN)):
        wheel = _build_wheel(version, broken=name == "broken")
        others[name] = _unpack(_build_bundle(name, *options, "--wheel", str(wheel)), name)
    damaged = MATERIAL / "damaged"
    shutil.rmtree(damaged, ignore_errors=True)
    shutil.copytree(first, damaged)
    wheel = next((damaged / "wheels").glob("numpy-*.whl"))
    data = bytearray(wheel.read_bytes())
    data[len(data) // 2] ^= 1
    wheel.write_bytes(data)
    return Bundles(first, others["next"], others["broken"], damaged)


def make_images() -> Path:
    """The samples, and MNIST test images as PNG files, in ``samples`` and ``mnist``."""
    from digitkit.datasets.mnist import load_mnist
    from digitkit.images.opencv import cv2

    folder = MATERIAL / "images"
    shutil.rmtree(folder, ignore_errors=True)
    ignored = shutil.ignore_patterns("make_samples.py")
    shutil.copytree(PROJECT / "data/samples", folder / "samples", ignore=ignored)
    (folder / "mnist").mkdir()
    for number, image in enumerate(load_mnist("test").images[:MNIST_IMAGES]):
        cv2.imwrite(str(folder / f"mnist/{number:03d}.png"), image)
    return folder


Readings = dict[str, tuple[object, float]]
"""Image: its text and digits with rows and boxes; and its least confidence."""


def parse_readings(lines: str) -> Readings:
    """Parse the JSON lines of ``digitkit infer``."""
    readings: Readings = {}
    for line in lines.splitlines():
        reading = json.loads(line)
        require("error" not in reading, line)
        digits = reading["digits"]
        content = [(d["digit"], d["row"], d["box"], d.get("accepted", True)) for d in digits]
        name = "/".join(Path(reading["source"]).parts[-2:])
        least = min((digit["confidence"] for digit in digits), default=1.0)
        readings[name] = ((reading["text"], content), least)
    return readings


@dataclass(frozen=True)
class Reference:
    """What x86-64 makes of the images.

    Attributes:
        measured: the file of `compare.measure`.
        readings: by precision.
    """

    measured: Path
    readings: dict[str, Readings] = field(repr=False)


def make_reference(images: Path) -> Reference:
    """Read and measure the images on this machine."""
    measured = MATERIAL / "here.npz"
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    command = [sys.executable, compare.__file__, str(measured), "--data", str(images)]
    subprocess.run(command, check=True, env=environment)
    readings: dict[str, Readings] = {}
    for precision in compare.PRECISIONS:
        command = [sys.executable, "-m", "digitkit", "infer", "samples", "mnist"]
        command += ["--precision", precision, "--format", "jsonl"]
        result = subprocess.run(
            command, capture_output=True, text=True, cwd=images, env=environment
        )
        require(result.returncode == 0, f"digitkit infer fails here: {result.stderr}")
        readings[precision] = parse_readings(result.stdout)
    return Reference(measured, readings)


@dataclass(frozen=True)
class Material:
    """All that the checks work with."""

    bundles: Bundles
    images: Path
    reference: Reference
