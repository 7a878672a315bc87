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


def test_missing_wheels_are_named(tmp_path):
    config = offline_config(tmp_path)
    with pytest.raises(BundleError) as caught:
        build_bundle(replace(config, pythons=("3.12", "3.11", "3.14")))
    text = str(caught.value)
    for python in ("3.12", "3.14"):
        wheels = "msgspec>=0.19.0, numpy>=1.26.0, onnxruntime!=1.21.0,>=1.20.1;"
        assert f"Python {python}: {wheels}" in text
    assert "3.11" not in text
    assert "opencv" not in text  # its one wheel fits each Python


def test_a_missing_dependency_of_a_dependency(tmp_path, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # pip's output must stay readable for us
    config = offline_config(tmp_path, ("3.11",))
    (config.wheelhouse / "flatbuffers-25.1-py3-none-any.whl").unlink()
    with pytest.raises(BundleError) as caught:
        build_bundle(config)
    assert "flatbuffers" in str(caught.value)


def test_the_wheel_of_an_installation(tmp_path):
    """Packed again, an installed digitkit is a wheel that pip installs, with the same files."""
    pytest.importorskip("hatchling")
    built = own_wheel.make_own_wheel(tmp_path / "built", offline=True)
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", str(site), str(built)], check=True)
    code = (
        "from pathlib import Path; from digitkit.device.bundle import own_wheel; "
        f"print(own_wheel.make_own_wheel(Path({str(tmp_path)!r})))"
    )
    env = os.environ | {"PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=tmp_path, check=True, capture_output=True
    )
    packed = Path(done.stdout.decode().strip())
    subprocess.run([*install, "--target", str(tmp_path / "second"), str(packed)], check=True)

    def files(wheel: Path) -> dict[str, bytes]:
        with zipfile.ZipFile(wheel) as archive:
            return {n: archive.read(n) for n in archive.namelist() if not n.endswith("RECORD")}

    assert files(packed) == files(built)
