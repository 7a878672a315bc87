"""install.sh and uninstall.sh: what they refuse. `slow/test_installations.py` has the rest."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from support.installs import FILES, PYTHON, Bundles, Device, needs_this_machine

pytest.importorskip("cyclonedx", reason="needs the extra bundle")
pytestmark = needs_this_machine


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    return Bundles(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def device(tmp_path):
    return Device(tmp_path)


@pytest.fixture
def copied(bundles, tmp_path):
    """A bundle that a test may damage."""
    return Path(shutil.copytree(bundles(), tmp_path / "copied"))


@pytest.mark.parametrize("script", ["install.sh", "uninstall.sh"])
def test_scripts_are_posix_shell(script):
    shell = shutil.which("dash") or "sh"
    assert subprocess.run([shell, "-n", FILES / script]).returncode == 0
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    command = ["shellcheck", "-s", "sh", FILES / script]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_unit_is_valid():
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    unit = FILES / "digitkit.service"
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if unit.name in line]
    # Not installed where this runs; before systemd 254 two keys are unknown.
    lines = [line for line in lines if "is not executable" not in line and "Restart" not in line]
    assert lines == []


def test_a_damaged_wheel(device, copied):
    (wheel,) = copied.glob("wheels/flatbuffers-*.whl")
    wheel.write_bytes(wheel.read_bytes()[:-1] + b"x")
    assert f"wheels/{wheel.name}" in device.refusal(copied)
    wheel.unlink()
    assert f"wheels/{wheel.name}" in device.refusal(copied)
    assert not device.root.exists()


def test_an_incomplete_bundle(device, copied):
    (copied / "SHA256SUMS").write_text("")
    assert "SHA256SUMS" in device.refusal(copied)
    (copied / "SHA256SUMS").unlink()
    assert str(copied) in device.refusal(copied)


@pytest.mark.parametrize(
    ("program", "stub", "message"),
    [
        ("uname", "echo armv7l", "32-bit (armv7l)"),
        ("uname", "echo armv8l", "64-bit Raspberry Pi OS"),
        ("uname", "echo riscv64", "riscv64"),
        ("getconf", "echo 32", "32-bit"),
        ("getconf", '[ "$1" = LONG_BIT ] && echo 64 || echo glibc 2.27', "2.27"),
        ("getconf", '[ "$1" = LONG_BIT ] && echo 64 || exit 1', "glibc"),
        ("df", 'echo; echo "x 9 9 4096 1% /"', "4 MB free"),
    ],
)
def test_unsuitable_machines(device, bundles, program, stub, message):
    device.stub(program, stub)
    assert message in device.refusal(bundles())
    assert not device.link.exists()
    assert not (device.root / "versions").exists() or device.versions() == []


def test_unsuitable_pythons(device, bundles):
    old = device.stub("python3.9", 'echo "3.9 64"')
    line = device.refusal(bundles(), "--python", str(old))
    assert f"Python {PYTHON}" in line
    assert f"{old} (3.9)" in line
    narrow = device.stub("python3.x", f'echo "{PYTHON} 32"')
    assert "32-bit" in device.refusal(bundles(), "--python", str(narrow))
    assert "found: none" in device.refusal(bundles(), "--python", "/no/python")


def test_a_home_that_cannot_be_written(device, bundles):
    device.env["HOME"] = "/proc/none"  # root may write wherever a mode forbids it
    assert "/proc/none/.local/share/digitkit" in device.refusal(bundles())


def test_a_lock_that_cannot_be_created(device, bundles):
    device.stub("ln", "exit 1")
    assert "/.lock" in device.refusal(bundles())


def test_the_command_of_someone_else_is_left_alone(device, bundles):
    device.link.parent.mkdir(parents=True)
    device.link.write_text("#!/bin/sh\n")
    assert str(device.link) in device.refusal(bundles())
    assert device.link.read_text() == "#!/bin/sh\n"


def test_options(device, bundles):
    assert "--sytem" in device.refusal(bundles(), "--sytem")
    for script, option in (("install.sh", "--system"), ("uninstall.sh", "--purge")):
        done = device.run(bundles(), "--help", script=script)
        assert done.returncode == 0
        assert option in done.stdout
        assert "set -eu" not in done.stdout


def test_who_it_installs_for(device, bundles, tmp_path):
    """With sudo and without --system it installs for root only: hardly what is meant."""
    device.stub("uname", "echo sparc64")  # so that it ends soon
    device.env["SUDO_USER"] = "pi"
    done = device.install(bundles())
    assert "pi; use --system" in done.stdout
    device.env["HOME"] = "home"
    assert "HOME is home" in device.refusal(bundles())
    done = device.run(bundles(), "--yes", script="uninstall.sh")
    assert done.returncode == 1
    assert "HOME is home" in done.stderr
    device.env["DIGITKIT_TOP"] = str(tmp_path / "top")
    device.stub("id", '[ "$1" = -u ] && echo 1000 || echo me')
    assert "sudo ./install.sh --system" in device.refusal(bundles(), "--system")


def test_nothing_to_uninstall(device, bundles):
    done = device.run(bundles(), "--yes", script="uninstall.sh")
    assert done.returncode == 1
    assert str(device.root) in done.stderr
