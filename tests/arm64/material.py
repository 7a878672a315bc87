"""What the checks work with: two bundles, images, and what x86-64 makes of the images."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import compare
import roots

from digitkit.datasets.mnist import load_mnist
from digitkit.device.bundle.build import build_bundle
from digitkit.device.bundle.bundle_config import BundleConfig
from digitkit.device.bundle.own_wheel import build_checkout
from digitkit.images.cv import cv2

PROJECT = Path(__file__).resolve().parents[2]
MATERIAL = roots.BUILD / "material"
MNIST_IMAGES = 200

NEXT = "90.0.0"
"""A version of digitkit that is invented for upgrades."""


@dataclass(frozen=True)
class Material:
    """What the checks work with.

    Attributes:
        first: the unpacked bundle under test.
        next: the same with the version `NEXT`.
        images: a folder with the samples in ``samples``, and MNIST test images in ``mnist``.
        measured: the file of `compare.measure` on this machine.
    """

    first: Path
    next: Path
    images: Path
    measured: Path


def _unpack(bundle: Path, name: str) -> Path:
    with tarfile.open(bundle) as archive:
        archive.extractall(MATERIAL / f"{name}.part", filter="data")
    (inside,) = (MATERIAL / f"{name}.part").iterdir()
    return inside.rename(MATERIAL / name)


def _build_next_wheel() -> Path:
    copy = MATERIAL / "checkout"
    for name in ("digitkit", "exported"):
        shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, copy)
    source = copy / "digitkit/version.py"
    text = source.read_text()
    source.write_text(re.sub(r'__version__ = ".*"', f'__version__ = "{NEXT}"', text))
    return build_checkout(copy, MATERIAL, offline=True)


def make_material(bundle: Path | None, pythons: Sequence[str]) -> Material:
    """Build the bundle under test, unless it is given, and the rest of the material."""
    shutil.rmtree(MATERIAL, ignore_errors=True)
    MATERIAL.mkdir(parents=True)
    config = BundleConfig(MATERIAL / "first.tar.gz", tuple(pythons))
    first = _unpack(bundle or build_bundle(config, log=print).path, "first")
    config = BundleConfig(
        MATERIAL / "next.tar.gz",
        tuple(pythons),
        wheel=_build_next_wheel(),
        wheelhouse=first / "wheels",
    )
    upgrade = _unpack(build_bundle(config).path, "next")

    images = MATERIAL / "images"
    ignored = shutil.ignore_patterns("make_samples.py", "form")
    shutil.copytree(PROJECT / "data/samples", images / "samples", ignore=ignored)
    (images / "mnist").mkdir()
    for number, image in enumerate(load_mnist("test").images[:MNIST_IMAGES]):
        cv2.imwrite(str(images / f"mnist/{number:03d}.png"), image)
    measured = MATERIAL / "here.npz"
    command = [sys.executable, compare.__file__, str(measured), str(images)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(PROJECT)})
    return Material(first, upgrade, images, measured)
