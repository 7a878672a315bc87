"""Debian file trees, built from unpacked packages.

`make_root` builds ``build/arm64/SUITE``, or another folder, for bookworm (Python 3.11) and trixie
(Python 3.13). apt, with a separate state, resolves and fetches the packages from ``DEBIAN_MIRROR``
and ``DEBIAN_SECURITY_MIRROR`` (by default deb.debian.org) and checks their signatures. Maintainer
scripts do not run; the little that they would do is done here.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from emulation import HarnessError, Machine

SUITES = {"bookworm": "3.11", "trixie": "3.13"}
"""Debian releases and their Pythons."""

PACKAGES = """
base-files base-passwd bash coreutils dash debianutils diffutils findutils grep gzip hostname
libc-bin libstdc++6 mawk procps sed tar util-linux python3 python3-venv
"""
"""What is installed, with dependencies. libstdc++6 is on every Debian, since apt needs it."""

USR = {"arm64": ("bin", "sbin", "lib"), "amd64": ("bin", "sbin", "lib", "lib64")}
"""The folders of each architecture that are links into ``/usr``."""

APT_OPTIONS = """
APT::Architecture={architecture}
APT::Architectures={architecture}
APT::Install-Recommends=false
APT::Sandbox::User=root
Acquire::Languages=none
Dir::State={state}
Dir::State::status={state}/status
Dir::Cache={state}
Dir::Etc::sourcelist={state}/sources.list
Dir::Etc::sourceparts=/dev/null
Dir::Etc::preferences=/dev/null
Dir::Etc::preferencesparts=/dev/null
"""

BUILD = Path(__file__).resolve().parents[2] / "build" / "arm64"


def _list_sources(suite: str) -> str:
    keyring = max(Path("/usr/share/keyrings").glob("debian-archive-keyring.*"), default=None)
    if keyring is None:
        raise HarnessError("Debian's keys are missing; apt-get install debian-archive-keyring")
    mirror = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
    security = os.environ.get("DEBIAN_SECURITY_MIRROR", f"{mirror}-security")
    archives = (f"{mirror} {suite}", f"{mirror} {suite}-updates", f"{security} {suite}-security")
    return "".join(f"deb [signed-by={keyring}] {archive} main\n" for archive in archives)


def _fetch(suite: str, folder: Path, architecture: str, wanted: str) -> list[Path]:
    """Fetch packages and their dependencies from a suite; returns the files."""
    state = folder / f"apt-{suite}"
    shutil.rmtree(state, ignore_errors=True)
    for name in ("lists", "archives"):
        (state / name / "partial").mkdir(parents=True)
    (state / "status").touch()
    (state / "sources.list").write_text(_list_sources(suite))
    options = APT_OPTIONS.format(state=state, architecture=architecture).strip().splitlines()
    apt = ["apt-get", "-qq", "--yes", *(f"-o{option}" for option in options)]
    install = [*apt, "install", "--download-only", *wanted.split()]
    try:
        subprocess.run([*apt, "update"], check=True)
        subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise HarnessError(f"apt cannot fetch {suite}, the reason is above: {error}") from error
    return sorted((state / "archives").glob("*.deb"))


def _unpack(package: Path, root: Path) -> None:
    excluded = [f"--exclude=./usr/share/{folder}" for folder in ("doc", "man", "locale")]
    tar = ["tar", "--extract", "--keep-directory-symlink", *excluded, "--directory", root]
    unpack = ["dpkg-deb", "--fsys-tarfile", package]
    with subprocess.Popen(unpack, stdout=subprocess.PIPE) as pipe:
        subprocess.run(tar, stdin=pipe.stdout, check=True)
    if pipe.returncode:
        raise HarnessError(f"{package}: cannot be unpacked")


def _configure(root: Path) -> None:
    """Do what maintainer scripts would do."""
    master = root / "usr/share/base-passwd"
    users = (master / "passwd.master").read_text().replace(":*:", ":x:")
    groups = (master / "group.master").read_text().replace(":*:", ":x:")
    groups = groups.replace("video:x:44:", "video:x:44:pi")
    (root / "etc/passwd").write_text(f"{users}pi:x:1000:1000:,,,:/home/pi:/bin/bash\n")
    (root / "etc/group").write_text(f"{groups}pi:x:1000:\n")
    (root / "etc/hostname").write_text("raspberrypi\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n127.0.1.1 raspberrypi\n")
    for link, target in (("awk", "mawk"), ("sh", "dash"), ("which", "which.debianutils")):
        if not os.path.lexists(root / "usr/bin" / link):
            (root / "usr/bin" / link).symlink_to(target)
    for folder in ("proc", "sys", "dev", "run", "tmp", "home/pi", "var/tmp", "opt", "media"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    # ONNX Runtime reads them before it looks at the instructions; a Pi has 4 cores.
    cores = root / "sys/devices/system/cpu"
    cores.mkdir(parents=True)
    for name in ("possible", "present", "online"):
        (cores / name).write_text("0-3\n")
    for folder in ("tmp", "var/tmp"):
        (root / folder).chmod(0o1777)
    if os.geteuid() == 0:
        os.chown(root / "home/pi", 1000, 1000)


def _compile(root: Path, python: str) -> None:
    """Compile Python's library, as its packages' scripts do; otherwise each start would."""
    library = f"usr/lib/python{python}"
    with Machine(root) as machine:
        result = machine.run(f"python3 -m compileall -q -j 0 /{library}", user="root")
        if result.returncode:
            raise HarnessError(f"{root}: its Python does not run: {result.stderr.strip()}")
        for folder in list((machine.disk / library).rglob("__pycache__")):
            target = root / folder.relative_to(machine.disk)
            shutil.copytree(folder, target, dirs_exist_ok=True)


def make_root(
    suite: str,
    folder: Path = BUILD,
    *,
    architecture: str = "arm64",
    is_emulated: bool = True,
    more: str = "",
) -> Path:
    """Build a root unless it exists: under a temporary name, renamed when it is complete.

    Args:
        suite: the Debian release.
        folder: where it goes.
        architecture: as dpkg names it.
        is_emulated: whether it will run in a `Machine`, where Python's library is best compiled.
        more: packages next to `PACKAGES`.
    """
    root, wanted = folder / suite, f"{PACKAGES} {more}"
    code = Path(__file__).read_bytes()
    recipe = hashlib.sha256(code + f"{suite} {architecture} {wanted}".encode()).hexdigest()
    stamp = root / ".recipe"
    if stamp.is_file() and stamp.read_text() == recipe:  # built by this version of the code
        return root
    packages = _fetch(suite, folder, architecture, wanted)
    made = Path(tempfile.mkdtemp(prefix=f".{suite}-", dir=folder))
    try:
        made.chmod(0o755)
        for name in USR[architecture]:
            (made / "usr" / name).mkdir(parents=True)
            (made / name).symlink_to(f"usr/{name}")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda package: _unpack(package, made), packages))
        _configure(made)
        if is_emulated:
            _compile(made, SUITES[suite])
        (made / ".recipe").write_text(recipe)
        shutil.rmtree(root, ignore_errors=True)
        made.rename(root)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return root
