"""Bundles of tiny wheels, built by pip and installed in a home of their own."""

import ensurepip
import os
import platform
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from support.paths import ROOT
from support.wheels import digitkit_wheel, offline_config

pytest.importorskip("cyclonedx", reason="needs the extra bundle")

from digitkit.device.bundle import own_wheel
from digitkit.device.bundle.build import build_bundle
from digitkit.device.bundle.bundle_config import MACHINES
from digitkit.errors import BundleError

PLATFORM = {machine: name for name, machine in MACHINES.items()}.get(platform.machine())
PIP = next(Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl"), None)
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
FILES = ROOT / "digitkit/device/files"

pytestmark = pytest.mark.skipif(
    PLATFORM is None or PIP is None or sys.platform != "linux" or sys.maxsize < 2**32,
    reason="needs a 64-bit Linux and a Python with ensurepip",
)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Builds unpacked bundles around stand-ins for digitkit, each once."""
    top = tmp_path_factory.mktemp("bundles")
    offline = offline_config(top, (PYTHON,), PLATFORM, PIP)

    @cache
    def make(
        version: str = "0.1.0", model: object = "digits", web: bool = False, **of_wheel: object
    ) -> Path:
        folder = Path(tempfile.mkdtemp(dir=top))
        wheel = digitkit_wheel(folder, version, **of_wheel)
        config = replace(offline, out=folder / "b.tar.gz", wheel=wheel, model=str(model), web=web)
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
        streams = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        return subprocess.Popen([script, *options], env=self.env | env, text=True, **streams)

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
        """The versions on the disk, and what does not belong into a finished installation."""
        paths = [*self.root.glob("versions/*"), *self.root.glob("*")]
        return sorted({path.name for path in paths} - {"current", "versions"})


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


@pytest.mark.parametrize("script", ["install.sh", "uninstall.sh"])
def test_scripts_are_posix_shell(script):
    subprocess.run([shutil.which("dash") or "sh", "-n", FILES / script], check=True)
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    subprocess.run(["shellcheck", "-s", "sh", FILES / script], check=True)


def test_the_unit_is_valid():
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    unit = FILES / "digitkit.service"
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if unit.name in line]
    # Not installed where this runs; before systemd 254 two keys are unknown.
    assert all("is not executable" in line or "Restart" in line for line in lines), lines


def test_damaged_bundles(device, bundles, tmp_path):
    copied = shutil.copytree(bundles(), tmp_path / "copied")
    (wheel,) = copied.glob("wheels/flatbuffers-*.whl")
    wheel.write_bytes(wheel.read_bytes()[:-1] + b"x")
    assert f"wheels/{wheel.name}" in device.refusal(copied)
    wheel.unlink()
    assert f"wheels/{wheel.name}" in device.refusal(copied)
    (copied / "SHA256SUMS").write_text("")
    assert "SHA256SUMS" in device.refusal(copied)
    (copied / "SHA256SUMS").unlink()
    assert str(copied) in device.refusal(copied)
    assert not device.root.exists()


def test_only_listed_files_are_installed(device, bundles, tmp_path):
    copied = shutil.copytree(bundles(), tmp_path / "-a 'b'\n*")
    (copied / "models/other.onnx").touch()
    (copied / "sample/-rf").touch()
    (copied / "mnist/a\nb c").touch()
    (copied / "models/secret").symlink_to("/etc/shadow")
    device.install(copied)
    sums = (copied / "SHA256SUMS").read_text().splitlines()
    folders = ("models/", "mnist/", "sample/")
    names = [line.partition("  ")[2] for line in sums]
    current = (device.root / "current").resolve()
    found = [path for folder in folders for path in current.glob(f"{folder}**/*")]
    installed = {str(path.relative_to(current)) for path in found if not path.is_dir()}
    assert installed == {name for name in names if name.startswith(folders)}


@pytest.mark.parametrize("name", [".", "versions"])
def test_links_to_folders_of_others(device, bundles, name):
    """What they lead to is neither written to nor removed."""
    others = device.home / "others"
    (others / "versions/precious").mkdir(parents=True)
    link = device.root / name
    link.parent.mkdir(parents=True)
    link.symlink_to(others / name)
    before = sorted(others.rglob("*"))
    assert str(link) in device.refusal(bundles())
    assert not device.link.is_symlink()
    if name == ".":
        assert str(link) in device.uninstall(bundles(), "--yes", code=1)
    else:
        device.uninstall(bundles(), "--yes")
    assert link.is_symlink() == (name == ".")
    assert sorted(others.rglob("*")) == before


@pytest.mark.parametrize("name", [".lock", "current", "current.new", "../../bin/digitkit.new"])
@pytest.mark.parametrize("is_folder", [True, False])
def test_something_in_place_of_a_link(device, bundles, name, is_folder):
    earlier = device.root / "versions/earlier"
    earlier.mkdir(parents=True)
    path = device.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_folder:
        path.mkdir()
    else:
        path.touch()
    assert path.name in device.refusal(bundles())
    assert earlier.is_dir()
    assert list(path.iterdir()) == [] if is_folder else path.read_bytes() == b""


def test_things_in_place_of_the_service_files(device, bundles, tmp_path):
    top = device.be_root(tmp_path / "top")
    settings, unit = top / "etc/digitkit.toml", top / "etc/systemd/system/digitkit.service"
    for file in (settings, unit):
        file.mkdir(parents=True)
        assert str(file) in device.refusal(bundles(), "--system")
        assert list(file.iterdir()) == []
        file.rmdir()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for file in (settings, unit):
        file.with_name(f"{file.name}.new").symlink_to(victim)
    device.install(bundles(), "--system")
    assert victim.read_text() == "precious"
    assert not any(file.is_symlink() for file in (settings, unit))
    settings.unlink()
    settings.mkdir()
    (settings / "mine").touch()
    assert str(settings) in device.uninstall(bundles(), "--system", "--yes", "--purge", code=1)
    assert (settings / "mine").exists()
    assert device.version(top / "usr/local/bin/digitkit") == "0.1.0"


def test_a_page_of_earlier_settings_is_said_to_be_local(device, bundles, tmp_path):
    settings = device.be_root(tmp_path / "top") / "etc" / "digitkit.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('model = "digits"\n')
    (settings.parent / "digitkit-token").touch()  # left by a power cut
    said = device.install(bundles(web=True), "--system")
    assert "no table [serve]" in said
    assert ".local:8080" not in said
    assert len((settings.parent / "digitkit-token").read_text()) > 20


def test_the_service_with_a_page_gets_a_token(device, bundles, tmp_path):
    top = device.be_root(tmp_path / "top")
    device.install(bundles(web=True), "--system")
    token = top / "etc/digitkit-token"
    first = token.read_text()
    assert len(first.strip()) > 30
    assert token.stat().st_mode & 0o007 == 0
    assert "digitkit serve" in (top / "etc/systemd/system/digitkit.service").read_text()
    device.install(bundles("0.2.0", web=True), "--system")
    assert token.read_text() == first
    device.uninstall(bundles(web=True), "--system", "--yes", "--purge")
    assert not token.exists()
    device.install(bundles(), "--system")
    assert not token.exists()


@pytest.mark.parametrize(("program", "stub", "message"), [
    ("uname", "echo armv7l", "32-bit (armv7l)"), ("uname", "echo riscv64", "riscv64"),
    ("uname", "echo armv8l", "64-bit Raspberry Pi OS"), ("getconf", "echo 32", "32-bit"),
    ("getconf", '[ "$1" = LONG_BIT ] && echo 64 || echo glibc 2.27', "2.27"),
    ("getconf", '[ "$1" = LONG_BIT ] && echo 64 || exit 1', "glibc"),
    ("df", 'echo; echo "x 9 9 4096 1% /"', "4 MB free"),
    ("ln", "exit 1", "/.lock"),
])  # fmt: skip
def test_unsuitable_machines(device, bundles, program, stub, message):
    device.stub(program, stub)
    assert message in device.refusal(bundles())
    assert not device.link.exists()
    assert device.versions() == []


def test_unsuitable_pythons(device, bundles):
    old = device.stub("python3.9", 'echo "3.9 64"')
    line = device.refusal(bundles(), "--python", str(old))
    assert f"Python {PYTHON}" in line
    assert f"{old} (3.9)" in line
    narrow = device.stub("python3.x", f'echo "{PYTHON} 32"')
    assert "32-bit" in device.refusal(bundles(), "--python", str(narrow))
    assert "found: none" in device.refusal(bundles(), "--python", "/no/python")


def test_unsuitable_homes(device, bundles):
    assert str(device.root) in device.uninstall(bundles(), "--yes", code=1)  # nothing is installed
    device.link.parent.mkdir(parents=True)
    device.link.write_text("#!/bin/sh\n")  # the command of someone else is left alone
    assert str(device.link) in device.refusal(bundles())
    assert device.link.read_text() == "#!/bin/sh\n"
    device.env["HOME"] = "/proc/none"  # root may write wherever a mode forbids it
    assert "/proc/none/.local/share/digitkit" in device.refusal(bundles())
    device.env["HOME"] = "home"
    assert "HOME is home" in device.refusal(bundles())
    assert "HOME is home" in device.uninstall(bundles(), "--yes", code=1)


def test_options(device, bundles):
    assert "--sytem" in device.refusal(bundles(), "--sytem")
    for script, option in (("install.sh", "--system"), ("uninstall.sh", "--purge")):
        usage = device.run(bundles() / script, "--help")
        assert option in usage
        assert "set -eu" not in usage
    device.stub("id", '[ "$1" = -u ] && echo 1000 || echo me')
    assert "sudo ./install.sh --system" in device.refusal(bundles(), "--system")
    # With sudo and without --system it installs for root only: hardly what is meant.
    device.stub("uname", "echo sparc64")  # so that it ends soon
    process = device.start(bundles() / "install.sh", SUDO_USER="pi")
    assert "pi; use --system" in process.communicate(timeout=60)[0]


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

    # Again, with the Python that install.sh finds.
    python = shutil.which(f"python{PYTHON}", path=device.env["PATH"])
    options = () if python else ("--python", sys.executable)
    assert "already installed" in device.run(bundles("0.1.0") / "install.sh", *options)
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

    device.uninstall(current, code=1)  # nobody confirmed
    assert device.version() == "0.3.0"
    device.uninstall(current, "--yes")
    assert not device.root.exists()
    assert not device.link.is_symlink()


def test_an_interrupted_upgrade(device, bundles, tmp_path):
    """Ended by a signal or a power cut, the earlier version works."""
    device.install(bundles("0.1.0"))
    (first,) = device.versions()
    for how, code in ((signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        started = tmp_path / f"started-{how}"
        script = bundles("0.3.0") / "install.sh"
        process = device.start(script, "--python", sys.executable, STAND_IN_STARTED=str(started))
        wait_for(lambda started=started: started.is_file() and started.read_text())
        lock, earlier, incomplete = device.versions()
        assert (lock, earlier, incomplete[:6]) == (".lock", first, "0.3.0-")
        assert f"process {process.pid}" in device.refusal(bundles("0.3.0"))
        process.send_signal(how)
        process.communicate(timeout=100)  # and not the ten minutes of the stand-in's self-test
        assert process.returncode == code
        assert device.version() == "0.1.0"
        self_test = int(started.read_text())
        if how == signal.SIGTERM:
            assert device.versions() == [first]
            wait_for(lambda self_test=self_test: not is_running(self_test))
        else:
            os.kill(self_test, signal.SIGKILL)
    assert device.versions() == [".lock", first, incomplete]
    device.install(bundles("0.3.0"))
    assert device.version() == "0.3.0"
    assert len(device.versions()) == 1


def test_a_failed_upgrade_leaves_the_earlier_version(device, bundles):
    device.install(bundles("0.1.0"))
    versions = set(device.versions())
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
        assert set(device.versions()) - {"0.2.0-left"} == versions


def test_system(device, bundles, shipped, tmp_path):
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

    # A custom model is in the version's folder, which an upgrade replaces.
    settings.unlink()
    with_mine = bundles("0.2.0", model=shutil.copy(shipped, tmp_path / "mine.onnx"))
    device.install(with_mine, "--system")
    model = top / "opt/digitkit/current/models/own/mine.onnx"
    assert f'model = "{model}"' in settings.read_text()
    assert model.read_bytes() == shipped.read_bytes()
    assert str(model) in device.refusal(bundles("0.3.0"), "--system")
    assert model.is_file()
    settings.write_text('model = "digits"\n')
    assert "model = " not in device.install(bundles("0.3.0"), "--system")  # nothing to note
    assert f'model = "{model}"' in device.install(with_mine, "--system")

    device.uninstall(with_mine, "--system", "--yes", "--purge")
    assert not settings.exists()


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
