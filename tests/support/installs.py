"""install.sh and uninstall.sh, run for real with tiny wheels in a home of their own."""

from __future__ import annotations

import ensurepip
import os
import platform
import subprocess
import sys
import tarfile
from dataclasses import replace
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


class Bundles:
    """Unpacked bundles around stand-ins for digitkit, each built once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = offline_config(folder, (PYTHON,), PLATFORM, PIP)
        self.made: dict[tuple[object, ...], Path] = {}

    def __call__(
        self, version: str = "0.1.0", model: object = "digits", **of_wheel: object
    ) -> Path:
        """A bundle; further arguments are those of `digitkit_wheel`."""
        from digitkit.device.bundle.build import build_bundle

        key = (version, model, *of_wheel.items())
        if key not in self.made:
            folder = self.folder / str(len(self.made))
            wheel = digitkit_wheel(folder, version, **of_wheel)
            config = replace(self.config, out=folder / "b.tar.gz", wheel=wheel, model=str(model))
            bundle = build_bundle(config)
            with tarfile.open(bundle.path) as archive:
                archive.extractall(folder, filter="data")
            self.made[key] = folder / bundle.folder
        return self.made[key]


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

    def start(self, bundle: Path, *options: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [bundle / "install.sh", "--python", sys.executable, *options],
            env=self.env | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, bundle: Path, *options: str, script: str = "install.sh"):
        return subprocess.run(
            [bundle / script, *options],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
        )

    def install(self, bundle: Path, *options: str):
        return self.run(bundle, "--python", sys.executable, *options)

    def refusal(self, bundle: Path, *options: str) -> str:
        """The one line that it refuses with."""
        done = self.install(bundle, *options)
        assert done.returncode == 1, done
        (line,) = done.stderr.splitlines()
        assert line.startswith("install.sh: ")
        return line

    def version(self, link: Path | None = None) -> str:
        command = [link or self.link, "--version"]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True)
        return done.stdout.removeprefix("digitkit ").strip()

    def versions(self) -> list[str]:
        return sorted(path.name for path in (self.root / "versions").iterdir())

    def leftovers(self) -> list[str]:
        """Files that do not belong into a finished installation."""
        return sorted({path.name for path in self.root.iterdir()} - {"current", "versions"})
