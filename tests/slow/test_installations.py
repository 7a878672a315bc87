"""Installations with tiny wheels: upgrade, failure, interruption, removal, the whole system."""

# ruff: noqa: F401, F811 (fixtures are imported)

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path

from support.installs import FILES, PYTHON, bundles, device, needs_this_machine

pytestmark = needs_this_machine


def test_install_rebuild_upgrade_uninstall(device, bundles):
    assert "not on your PATH" in device.install(bundles("0.1.0"))
    assert device.version() == "0.1.0"
    (first,) = device.versions()
    current = device.root / "current"
    site = current / f"venv/lib/python{PYTHON}/site-packages"
    assert (site / "onnxruntime/__init__.py").is_file()
    assert (site / "msgspec/__init__.py").is_file()
    assert list((site / "digitkit/__pycache__").glob("*.pyc"))  # a service could not write them
    assert not (site / "pip").exists()
    settings = (current / "venv/pyvenv.cfg").read_text()
    assert "include-system-site-packages = false" in settings
    assert (current / "models/MODEL_CARD.md").read_text() == "card"
    assert (current / "mnist/t10k-labels-idx1-ubyte.gz").is_file()
    assert device.leftovers() == []

    # Again, with the Python that install.sh finds.
    python = shutil.which(f"python{PYTHON}", path=device.env["PATH"])
    again = (
        device.run(bundles("0.1.0") / "install.sh") if python else device.install(bundles("0.1.0"))
    )
    assert "already installed" in again
    assert device.versions() == [first]

    # Again, because it is damaged.
    shutil.rmtree(site / "digitkit")
    device.install(bundles("0.1.0"))
    assert (device.version(), device.versions()) == ("0.1.0", [f"{first}.2"])

    # Upgrades that fail their self-test.
    line = device.refusal(bundles("0.2.0", text="1984"))
    assert "'1984'" in line
    assert "'1984 2750 6361'" in line
    assert "132" in device.refusal(bundles("0.2.0", code=132))
    assert (device.version(), device.versions()) == ("0.1.0", [f"{first}.2"])

    device.install(bundles("0.3.0"))
    assert device.version() == "0.3.0"
    (second,) = device.versions()
    assert second.startswith("0.3.0-")
    assert device.leftovers() == []

    device.uninstall(current, code=1)  # nobody confirmed
    assert device.version() == "0.3.0"
    device.uninstall(current, "--yes")
    assert not device.root.exists()
    assert not device.link.is_symlink()


def test_an_interrupted_upgrade(device, bundles, tmp_path):
    """Ended by a signal or a power cut, the earlier version works."""
    device.install(bundles("0.1.0"))
    versions = device.versions()
    for how, code in ((signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        started = tmp_path / f"started-{how}"
        script = bundles("0.3.0") / "install.sh"
        process = device.start(script, "--python", sys.executable, STAND_IN_STARTED=str(started))
        wait_for(lambda started=started: started.is_file() and started.read_text())
        assert len(device.versions()) == 2
        assert f"process {process.pid}" in device.refusal(bundles("0.3.0"))
        process.send_signal(how)
        process.communicate(timeout=100)  # and not the ten minutes of the stand-in's self-test
        assert process.returncode == code
        assert device.version() == "0.1.0"
        self_test = int(started.read_text())
        if how == signal.SIGTERM:
            assert (device.versions(), device.leftovers()) == (versions, [])
            wait_for(lambda self_test=self_test: not is_running(self_test))
        else:
            os.kill(self_test, signal.SIGKILL)
    assert device.leftovers() == [".lock"]
    device.install(bundles("0.3.0"))
    assert device.version() == "0.3.0"
    assert len(device.versions()) == 1
    assert device.leftovers() == []


def wait_for(condition) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_running(process: int) -> bool:
    """A zombie has no command line, and stays in containers without an init."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes() != b""
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_failed_upgrade_leaves_the_earlier_version(device, bundles):
    device.install(bundles("0.1.0"))
    versions = device.versions()
    for program, stub, message in (
        ("df", 'echo; echo "x 9 9 4096 1% /"', "4 MB free"),
        ("cp", "echo 'cp: error writing: No space left on device' >&2; exit 1", "disk is full"),
        # The pip of a killed install.sh goes on writing for a while.
        ("rm", 'case "$*" in *0.2.0-left*) exit 1 ;; esac; exec /bin/rm "$@"', "0.2.0-left"),
    ):
        (device.root / "versions/0.2.0-left").mkdir()
        program = device.stub(program, stub)
        assert message in device.refusal(bundles("0.3.0"))
        program.unlink()
        assert device.version() == "0.1.0"
        assert set(device.versions()) - {"0.2.0-left"} == set(versions)
        assert device.leftovers() == []


def test_system(device, bundles, tmp_path):
    top = device.be_root(tmp_path / "top")
    device.install(bundles("0.1.0"), "--system")
    link = top / "usr/local/bin/digitkit"
    unit = top / "etc/systemd/system/digitkit.service"
    settings = top / "etc/digitkit.toml"
    assert device.version(link) == "0.1.0"
    assert unit.read_text() == (FILES / "digitkit.service").read_text()
    assert 'model = "digits"' in settings.read_text()
    assert settings.stat().st_mode & 0o007 == 0  # a stream's URL may contain a password

    settings.write_text("# mine\n")
    device.install(bundles("0.3.0"), "--system")
    assert settings.read_text() == "# mine\n"
    # An upgrade that could not read the settings would leave a service that does not start.
    settings.write_text("WRONG = 1\n")
    assert "WRONG" in device.refusal(bundles("0.1.0"), "--system")
    assert device.version(link) == "0.3.0"

    device.uninstall(bundles("0.1.0"), "--system", "--yes")
    assert not link.is_symlink()
    assert not unit.exists()
    assert not (top / "opt/digitkit").exists()
    assert settings.exists()
    assert "WRONG" in device.refusal(bundles("0.1.0"), "--system")
    settings.unlink()
    device.install(bundles("0.1.0"), "--system")
    device.uninstall(bundles("0.1.0"), "--system", "--yes", "--purge")
    assert not settings.exists()


def test_settings_that_name_a_custom_model(device, bundles, shipped, tmp_path):
    """The model is in the version's folder, which an upgrade replaces."""
    top = device.be_root(tmp_path / "top")
    mine = shutil.copy(shipped, tmp_path / "mine.onnx")
    model = top / "opt/digitkit/current/models/own/mine.onnx"
    settings = top / "etc/digitkit.toml"

    device.install(bundles("0.2.0", model=mine), "--system")
    assert f'model = "{model}"' in settings.read_text()
    assert model.read_bytes() == mine.read_bytes()
    assert str(model) in device.refusal(bundles("0.3.0"), "--system")
    assert model.is_file()

    settings.write_text('model = "digits"\n')
    assert "model = " not in device.install(bundles("0.3.0"), "--system")  # nothing to note
    assert f'model = "{model}"' in device.install(bundles("0.2.0", model=mine), "--system")
