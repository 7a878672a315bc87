"""install.sh and uninstall.sh, run for real with tiny wheels in a home of their own."""

from __future__ import annotations

import ensurepip
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from digitkit.device.bundle.config import MACHINES
from support.paths import ROOT
from support.wheels import digitkit_wheel, offline_config

PLATFORM = {machine: name for name, machine in MACHINES.items()}.get(platform.machine())
PIP = next(Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl"), None)
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
FILES = ROOT / "digitkit/device/files"

needs_this_machine = pytest.mark.skipif(
    PLATFORM is None or PIP is None or sys.platform != "linux" or sys.maxsize < 2**32,
    reason="needs a 64-bit Linux and a Python with ensurepip",
)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Builds unpacked bundles around stand-ins for digitkit, each once."""
    pytest.importorskip("cyclonedx", reason="needs the extra bundle")
    from digitkit.device.bundle.build import build_bundle

    top = tmp_path_factory.mktemp("bundles")
    offline = offline_config(top, (PYTHON,), PLATFORM, PIP)

    @cache
    def make(version: str = "0.1.0", model: object = "digits", **of_wheel: object) -> Path:
        folder = Path(tempfile.mkdtemp(dir=top))
        wheel = digitkit_wheel(folder, version, **of_wheel)
        config = replace(offline, out=folder / "b.tar.gz", wheel=wheel, model=str(model))
        bundle = build_bundle(config)
        with tarfile.open(bundle.path) as archive:
            archive.extractall(folder, filter="data")
        return folder / bundle.folder

    return make


@pytest.fixture
def device(tmp_path):
    return Device(tmp_path)


class Device:
    """A home folder, and stubs for the programs that tell what the machine is."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "a & home"
        self.home.mkdir()
        self.root = self.home / ".local/share/digitkit"
        self.link = self.home / ".local/bin/digitkit"
        self.stubs = folder / "stubs"
        self.stubs.mkdir()
        self.stub("sync", "exit 0")  # it would wait for everything that others write on this disk
        self.env = {
            "HOME": str(self.home),
            "PATH": f"{self.stubs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            # A user's settings, which must have no effect.
            "PYTHONPATH": "/nowhere",
            "PIP_INDEX_URL": "http://127.0.0.1:9/",
            "PIP_REQUIRE_VIRTUALENV": "1",
        }

    def stub(self, name: str, text: str) -> Path:
        path = self.stubs / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    def be_root(self, top: Path) -> Path:
        """Let --system install below `top`; returns it."""
        self.env["DIGITKIT_TOP"] = str(top)
        self.stub("id", '[ "$1" = -u ] && echo 0 || echo root')
        return top

    def start(self, script: Path, *options: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [script, *options],
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, script: Path, *options: str, code: int = 0) -> str:
        """Run a script that ends with an exit code; returns its output, or its only error."""
        process = self.start(script, *options)
        out, err = process.communicate(timeout=300)
        assert process.returncode == code, out + err
        if not code:
            assert err == ""
            return out
        (line,) = err.splitlines()
        assert line.startswith(f"{script.name}: ")
        return line

    def install(self, bundle: Path, *options: str, code: int = 0) -> str:
        python = () if "--python" in options else ("--python", sys.executable)
        return self.run(bundle / "install.sh", *python, *options, code=code)

    def refusal(self, bundle: Path, *options: str) -> str:
        return self.install(bundle, *options, code=1)

    def uninstall(self, bundle: Path, *options: str, code: int = 0) -> str:
        return self.run(bundle / "uninstall.sh", *options, code=code)

    def version(self, link: Path | None = None) -> str:
        return self.run(link or self.link, "--version").removeprefix("digitkit ").strip()

    def versions(self) -> list[str]:
        return sorted(path.name for path in (self.root / "versions").iterdir())

    def leftovers(self) -> list[str]:
        """Files that do not belong into a finished installation."""
        return sorted({path.name for path in self.root.iterdir()} - {"current", "versions"})
