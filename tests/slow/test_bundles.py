"""Bundles that need many calls of pip."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from support.wheels import offline_config

pytest.importorskip("cyclonedx", reason="needs the extra bundle")

from digitkit.device.bundle import own_wheel
from digitkit.device.bundle.build import build_bundle
from digitkit.errors import BundleError


def test_missing_wheels_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # pip's output must stay readable for us
    config = offline_config(tmp_path)
    with pytest.raises(BundleError) as caught:
        build_bundle(replace(config, pythons=("3.12", "3.11", "3.14")))
    text = str(caught.value)
    for python in ("3.12", "3.14"):
        wheels = "msgspec>=0.19.0, numpy>=1.26.0, onnxruntime!=1.21.0,>=1.20.1;"
        assert f"Python {python}: {wheels}" in text
    assert "3.11" not in text
    assert "opencv" not in text  # its one wheel fits each Python
    # A dependency of a dependency.
    (config.wheelhouse / "flatbuffers-25.1-py3-none-any.whl").unlink()
    with pytest.raises(BundleError) as caught:
        build_bundle(replace(config, pythons=("3.11",)))
    assert "flatbuffers" in str(caught.value)


def test_own_wheels(tmp_path):
    """The wheel of a checkout; packed again when installed, it is the same."""
    pytest.importorskip("hatchling")
    built, again = (own_wheel.make_own_wheel(tmp_path / name, offline=True) for name in ("a", "b"))
    assert built.read_bytes() == again.read_bytes()
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", tmp_path / "site", built], check=True)
    code = (
        "from pathlib import Path; from digitkit.device.bundle import own_wheel; "
        "print(own_wheel.make_own_wheel(Path('packed')))"
    )
    command, env = [sys.executable, "-c", code], os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    output = subprocess.check_output(command, env=env, cwd=tmp_path, text=True)
    packed = tmp_path / output.strip()
    subprocess.run([*install, "--target", tmp_path / "second", packed], check=True)

    def read(wheel: Path) -> dict[str, bytes]:
        with zipfile.ZipFile(wheel) as archive:
            return {n: archive.read(n) for n in archive.namelist() if not n.endswith("RECORD")}

    assert read(packed) == read(built)
    installer = {"README.md", "digitkit.service", "digitkit.toml", "install.sh", "uninstall.sh"}
    assert {f"digitkit/device/files/{name}" for name in installer} <= set(read(built))
