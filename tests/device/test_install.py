"""install.sh and uninstall.sh, run for real with tiny wheels in a home of their own."""

from __future__ import annotations

import ensurepip
import os
import platform
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.paths import ROOT
from support.wheels import digitkit_wheel, wheelhouse

from digitkit.device.bundle.build import build_bundle
from digitkit.device.bundle.config import MACHINES, BundleConfig

MACHINE = platform.machine()
PLATFORM = {machine: name for name, machine in MACHINES.items()}.get(MACHINE)
PIP = next(Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl"), None)
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
SCRIPTS = [ROOT / "digitkit/device/files/install.sh", ROOT / "digitkit/device/files/uninstall.sh"]

needs_this_machine = pytest.mark.skipif(
    PLATFORM is None or PIP is None or sys.platform != "linux" or sys.maxsize < 2**32,
    reason="needs a 64-bit Linux and a Python with ensurepip",
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_they_are_posix_shell(script):
    shell = shutil.which("dash") or "sh"
    assert subprocess.run([shell, "-n", script]).returncode == 0
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(["shellcheck", "-s", "sh", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    house = wheelhouse(folder / "house", [PYTHON], MACHINE)
    shutil.copy(PIP, house)
    return BundleConfig(folder / "x", (PYTHON,), PLATFORM, wheelhouse=house)


@pytest.fixture(scope="module")
def unpacked(config, tmp_path_factory):
    """Makes and unpacks a bundle around a digitkit of some version; once for each."""
    done: dict[tuple[object, ...], Path] = {}

    def make(version: str = "0.1.0", **of_wheel: object) -> Path:
        key = (version, *of_wheel.items())
        if key not in done:
            folder = tmp_path_factory.mktemp("bundle")
            wheel = digitkit_wheel(folder, version, **of_wheel)
            made = build_bundle(replace(config, out=folder / "b.tar.gz", wheel=wheel))
            with tarfile.open(made.path) as archive:
                archive.extractall(folder, filter="data")
            done[key] = folder / made.folder
        return done[key]

    return make


class Device:
    """A home, and programs that say what the machine is."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.root = home / ".local/share/digitkit"
        self.link = home / ".local/bin/digitkit"
        self.stubs = home.parent / "stubs"
        self.stubs.mkdir()
        self.stub("sync", "exit 0")  # it would wait for all that others write on this disk
        self.env = {
            "HOME": str(home),
            "PATH": f"{self.stubs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            # What a user may have set, and what must not matter.
            "PYTHONPATH": "/nowhere",
            "PIP_INDEX_URL": "http://127.0.0.1:9/",
            "PIP_REQUIRE_VIRTUALENV": "1",
        }

    def stub(self, name: str, text: str) -> None:
        path = self.stubs / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def start(self, bundle: Path, *options: str, **env: str) -> subprocess.Popen[str]:
        options = ("--python", sys.executable, *options)
        return subprocess.Popen(
            [bundle / "install.sh", *options],
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
        return subprocess.run(command, env=self.env, capture_output=True, text=True).stdout

    def versions(self) -> list[str]:
        return sorted(path.name for path in (self.root / "versions").iterdir())

    def untidy(self) -> list[str]:
        """What has no business in the folder of an installation that rests."""
        return sorted({path.name for path in self.root.iterdir()} - {"current", "versions"})


@pytest.fixture
def device(tmp_path):
    home = tmp_path / "a & home"
    home.mkdir()
    return Device(home)


pytestmark = needs_this_machine


def test_a_life(device, unpacked):
    """Installed, again, upgraded, an upgrade that fails its self-test, removed."""
    done = device.install(unpacked("0.1.0"))
    assert done.returncode == 0, done
    assert done.stderr == ""
    assert "installed: " in done.stdout
    assert "not on your PATH" in done.stdout
    assert device.version() == "digitkit 0.1.0\n"
    (first,) = device.versions()
    site = device.root / f"current/venv/lib/python{PYTHON}/site-packages"
    assert (site / "onnxruntime/__init__.py").is_file()
    assert list((site / "digitkit/__pycache__").glob("*.pyc"))  # a service could not write them
    assert not (site / "pip").exists()
    settings = (device.root / "current/venv/pyvenv.cfg").read_text()
    assert "include-system-site-packages = false" in settings
    assert (device.root / "current/models/MODEL_CARD.md").read_text() == "card"
    assert (device.root / "current/mnist/t10k-labels-idx1-ubyte.gz").is_file()
    assert device.untidy() == []

    done = device.install(unpacked("0.1.0"))
    assert done.returncode == 0, done
    assert "installed already, and it works" in done.stdout
    assert device.versions() == [first]

    done = device.install(unpacked("0.2.0", text="1984"))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "it reads '1984' on the sample page instead of '1984 2750 6361'" in line
    assert "the earlier version stays as it was" in line
    assert device.version() == "digitkit 0.1.0\n"
    assert device.versions() == [first]
    done = device.install(unpacked("0.2.0", code=132))
    assert "ends with code 132" in done.stderr
    assert device.version() == "digitkit 0.1.0\n"

    done = device.install(unpacked("0.3.0"))
    assert done.returncode == 0, done
    assert device.version() == "digitkit 0.3.0\n"
    (second,) = device.versions()
    assert second.startswith("0.3.0-")
    assert device.untidy() == []

    done = device.run(device.root / "current", script="uninstall.sh")
    assert done.returncode == 1
    assert "nothing removed" in done.stderr  # nobody said yes
    assert device.version() == "digitkit 0.3.0\n"
    done = device.run(device.root / "current", "--yes", script="uninstall.sh")
    assert done.returncode == 0, done
    assert not device.root.exists()
    assert not device.link.is_symlink()
    done = device.run(unpacked("0.3.0"), "--yes", script="uninstall.sh")
    assert done.returncode == 1
    assert "nothing is installed there" in done.stderr


def test_a_damaged_installation_is_built_anew(device, unpacked):
    bundle = unpacked("0.1.0")
    assert device.install(bundle).returncode == 0
    (first,) = device.versions()
    site = device.root / f"current/venv/lib/python{PYTHON}/site-packages"
    shutil.rmtree(site / "digitkit")
    done = device.install(bundle)
    assert done.returncode == 0, done
    assert "does not work" in done.stdout
    assert device.version() == "digitkit 0.1.0\n"
    assert device.versions() == [f"{first}.2"]


def test_interrupted(device, unpacked, tmp_path):
    """Ended in the middle of an upgrade, by a signal or a power cut, the earlier version works."""
    assert device.install(unpacked("0.1.0")).returncode == 0
    (first,) = device.versions()
    for how, code in ((signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        started = tmp_path / f"started-{how}"
        process = device.start(unpacked("0.3.0"), STAND_IN_STARTED=str(started))
        wait_for(started)
        assert len(device.versions()) == 2
        second = device.install(unpacked("0.3.0"))
        assert second.returncode == 1
        assert f"another install.sh (process {process.pid}) is at work" in second.stderr
        process.send_signal(how)
        process.communicate(timeout=100)  # and not the ten minutes that the self-test would take
        assert process.returncode == code
        assert device.version() == "digitkit 0.1.0\n"
        if how == signal.SIGTERM:
            assert device.versions() == [first]
            assert device.untidy() == []
            wait_until_gone(int(started.read_text()))
        else:
            os.kill(int(started.read_text()), signal.SIGKILL)
    assert device.untidy() == [".lock"]
    done = device.install(unpacked("0.3.0"))
    assert done.returncode == 0, done
    assert device.version() == "digitkit 0.3.0\n"
    assert len(device.versions()) == 1
    assert device.untidy() == []


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 300
    while not (path.is_file() and path.read_text()):
        assert time.monotonic() < deadline, f"{path} does not come"
        time.sleep(0.02)


def runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes() != b""
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until_gone(process: int) -> None:
    """It may stay in the list for ever, without a command line: not every container has an init."""
    deadline = time.monotonic() + 100
    while runs(process):
        assert time.monotonic() < deadline, f"{process} is still there"
        time.sleep(0.02)


# --- what this machine must have -------------------------------------------------------------


@pytest.fixture
def copied(unpacked, tmp_path):
    """A bundle that a test may damage."""
    return Path(shutil.copytree(unpacked("0.1.0"), tmp_path / "copied"))


def test_a_damaged_wheel(device, copied):
    (wheel,) = copied.glob("wheels/flatbuffers-*.whl")
    wheel.write_bytes(wheel.read_bytes()[:-1] + b"x")
    line = device.refusal(copied)
    assert f"damaged or missing: wheels/{wheel.name}" in line
    assert "copy the bundle again" in line
    wheel.unlink()
    assert wheel.name in device.refusal(copied)
    assert not device.root.exists()


def test_an_incomplete_bundle(device, copied):
    (copied / "SHA256SUMS").write_text("")
    assert "SHA256SUMS itself" in device.refusal(copied)
    (copied / "SHA256SUMS").unlink()
    assert "is no whole bundle" in device.refusal(copied)


@pytest.mark.parametrize(
    ("stubs", "message"),
    [
        ({"uname": "echo armv7l"}, "this system is 32-bit (armv7l)"),
        ({"uname": "echo armv8l"}, "64-bit Raspberry Pi OS"),
        ({"uname": "echo riscv64"}, "this machine is riscv64, the bundle is for"),
        ({"getconf": "echo 32"}, "this system is 32-bit, though its kernel"),
        ({"getconf": '[ "$1" = LONG_BIT ] && echo 64 || echo glibc 2.27'}, "glibc is 2.27, needed"),
        ({"getconf": '[ "$1" = LONG_BIT ] && echo 64 || exit 1'}, "is not glibc"),
        ({"df": 'echo; echo "x 9 9 4096 1% /"'}, "has 4 MB free, needed are"),
    ],
)
def test_machines_that_cannot(device, unpacked, stubs, message):
    for name, text in stubs.items():
        device.stub(name, text)
    assert message in device.refusal(unpacked("0.1.0"))
    assert not device.link.exists()
    assert not (device.root / "versions").exists() or device.versions() == []


def test_pythons_that_cannot(device, unpacked):
    device.stub("python3.9", 'echo "3.9 64"')
    line = device.refusal(unpacked("0.1.0"), "--python", f"{device.stubs}/python3.9")
    assert f"Python {PYTHON} is needed" in line
    assert f"{device.stubs}/python3.9 (3.9)" in line
    device.stub("python3.x", f'echo "{PYTHON} 32"')
    assert "32-bit Python" in device.refusal(
        unpacked("0.1.0"), "--python", f"{device.stubs}/python3.x"
    )
    assert "found: none" in device.refusal(unpacked("0.1.0"), "--python", "/no/python")


def test_a_python_is_found(device, unpacked):
    if not shutil.which(f"python{PYTHON}", path=device.env["PATH"]):
        pytest.skip(f"there is no python{PYTHON} on the PATH")
    assert device.run(unpacked("0.1.0")).returncode == 0
    assert device.version() == "digitkit 0.1.0\n"


def test_a_home_that_cannot_be_written(device, unpacked):
    device.env["HOME"] = "/proc/none"  # root may write wherever a mode forbids it
    line = device.refusal(unpacked("0.1.0"))
    assert "/proc/none/.local/share/digitkit and /proc/none/.local/bin cannot be written" in line


def test_a_lock_that_cannot_be_made(device, unpacked):
    device.stub("ln", "exit 1")
    assert "/.lock cannot be made" in device.refusal(unpacked("0.1.0"))


def test_a_full_disk(device, unpacked):
    """Full in the middle: what was begun goes away, and one line says why."""
    assert device.install(unpacked("0.1.0")).returncode == 0
    device.stub("cp", "echo 'cp: error writing: No space left on device' >&2; exit 1")
    line = device.refusal(unpacked("0.3.0"))
    assert "the disk is full" in line
    assert device.version() == "digitkit 0.1.0\n"
    assert len(device.versions()) == 1
    assert device.untidy() == []


def test_leftovers_that_somebody_still_writes_to(device, unpacked):
    """A killed install.sh's pip goes on for a while."""
    assert device.install(unpacked("0.1.0")).returncode == 0
    (device.root / "versions/0.2.0-left").mkdir()
    device.stub("rm", 'case "$*" in *0.2.0-left*) echo no >&2; exit 1 ;; esac; exec /bin/rm "$@"')
    assert "0.2.0-left cannot be removed; if an install.sh was" in device.refusal(unpacked("0.3.0"))
    assert device.version() == "digitkit 0.1.0\n"
    assert device.untidy() == []


def test_someone_elses_command_is_left_alone(device, unpacked):
    device.link.parent.mkdir(parents=True)
    device.link.write_text("#!/bin/sh\n")
    assert "is there and not from here; remove it first" in device.refusal(unpacked("0.1.0"))
    assert device.link.read_text() == "#!/bin/sh\n"


def test_options(device, unpacked):
    assert "--sytem: is no option" in device.refusal(unpacked("0.1.0"), "--sytem")
    done = device.run(unpacked("0.1.0"), "--help")
    assert done.returncode == 0
    assert "--system" in done.stdout
    done = device.run(unpacked("0.1.0"), "--help", script="uninstall.sh")
    assert "--purge" in done.stdout


# --- for the whole system --------------------------------------------------------------------


def test_system(device, unpacked, tmp_path):
    top = tmp_path / "top"
    device.env["DIGITKIT_TOP"] = str(top)
    device.stub("id", '[ "$1" = -u ] && echo 1000 || echo me')
    assert "needs root: sudo ./install.sh --system" in device.refusal(unpacked(), "--system")
    device.stub("id", '[ "$1" = -u ] && echo 0 || echo root')
    done = device.install(unpacked("0.1.0"), "--system")
    assert done.returncode == 0, done
    link = top / "usr/local/bin/digitkit"
    unit = top / "etc/systemd/system/digitkit.service"
    settings = top / "etc/digitkit.toml"
    assert device.version(link) == "digitkit 0.1.0\n"
    assert unit.read_text() == (ROOT / "digitkit/device/files/digitkit.service").read_text()
    assert 'model = "digits"' in settings.read_text()
    assert settings.stat().st_mode & 0o007 == 0  # a stream's URL may hold a password

    settings.write_text("# mine\n")
    assert device.install(unpacked("0.3.0"), "--system").returncode == 0
    assert settings.read_text() == "# mine\n"
    # An upgrade that could not read the settings would leave a service that does not start.
    settings.write_text("WRONG = 1\n")
    line = device.refusal(unpacked("0.1.0"), "--system")
    assert "there is no key WRONG" in line
    assert device.version(link) == "digitkit 0.3.0\n"

    done = device.run(unpacked("0.1.0"), "--system", "--yes", script="uninstall.sh")
    assert done.returncode == 0, done
    assert not link.is_symlink()
    assert not unit.exists()
    assert not (top / "opt/digitkit").exists()
    assert settings.exists()
    assert device.install(unpacked("0.1.0"), "--system").returncode == 1  # WRONG is still in it
    settings.unlink()
    assert device.install(unpacked("0.1.0"), "--system").returncode == 0
    done = device.run(unpacked("0.1.0"), "--system", "--yes", "--purge", script="uninstall.sh")
    assert done.returncode == 0, done
    assert not settings.exists()


def test_for_whom_it_installs(device, unpacked):
    """With sudo and without --system it is root alone: hardly what is meant."""
    device.stub("uname", "echo sparc64")  # so that it ends soon
    device.env["SUDO_USER"] = "pi"
    done = device.install(unpacked())
    assert "alone, not for pi; with --system it is for all" in done.stdout
    device.env["HOME"] = "home"
    assert "HOME is home; it must begin with /" in device.refusal(unpacked())
    done = device.run(unpacked(), "--yes", script="uninstall.sh")
    assert done.returncode == 1
    assert done.stderr == "uninstall.sh: HOME is home; it must begin with /\n"


def test_settings_that_name_an_own_model(device, config, unpacked, shipped, tmp_path):
    """It is in the version's folder, which an upgrade replaces."""
    top = tmp_path / "top"
    device.env["DIGITKIT_TOP"] = str(top)
    device.stub("id", '[ "$1" = -u ] && echo 0 || echo root')
    mine = tmp_path / "mine.onnx"
    mine.write_bytes(shipped.read_bytes())
    wheel = digitkit_wheel(tmp_path, "0.2.0")
    made = build_bundle(replace(config, out=tmp_path / "b", wheel=wheel, model=str(mine)))
    with tarfile.open(made.path) as archive:
        archive.extractall(tmp_path, filter="data")
    with_mine = tmp_path / made.folder

    assert device.install(with_mine, "--system").returncode == 0
    model = top / "opt/digitkit/current/models/own/mine.onnx"
    settings = top / "etc/digitkit.toml"
    assert f'model = "{model}"' in settings.read_text()
    assert model.read_bytes() == mine.read_bytes()
    line = device.refusal(unpacked("0.3.0"), "--system")
    assert f"model is {model}, which this bundle does not bring" in line
    assert model.is_file()

    settings.write_text('model = "digits"\n')
    done = device.install(unpacked("0.3.0"), "--system")
    assert done.returncode == 0, done
    assert "stays as it is" not in done.stdout
    done = device.install(with_mine, "--system")
    assert f'{settings} stays as it is; this bundle is for: model = "{model}"' in done.stdout


def test_the_unit():
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    unit = ROOT / "digitkit/device/files/digitkit.service"
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if unit.name in line]
    # Not installed where this runs; before systemd 254 two keys are unknown.
    lines = [line for line in lines if "is not executable" not in line and "Restart" not in line]
    assert lines == []
