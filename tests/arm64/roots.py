"""Arm64 Debian file trees, built from unpacked packages.

`make` builds ``build/arm64/SUITE`` for bookworm (Python 3.11) and trixie (Python 3.13). apt, with a
separate state, resolves and fetches the packages from the
mirror that this machine's apt uses (or ``DEBIAN_MIRROR`` and ``DEBIAN_SECURITY_MIRROR``, on Ubuntu
for example), checks their signatures, and keeps them under the user's cache folder. Maintainer
scripts do not run; the little that they would do is done here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from emulation import Machine

SUITES = {"bookworm": "3.11", "trixie": "3.13"}
"""Debian releases and their Pythons."""

PACKAGES = """
base-files base-passwd bash coreutils dash debianutils diffutils findutils grep gzip hostname
libc-bin libstdc++6 mawk procps sed tar util-linux python3 python3-venv
"""
"""What is installed, with dependencies. libstdc++6 is on every Debian, since apt needs it."""

KEYRINGS = (
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/usr/share/keyrings/debian-archive-keyring.gpg",
)

BUILD = Path(__file__).resolve().parents[2] / "build" / "arm64"


class RootError(Exception):
    """A root cannot be built; the message says why and what to do."""


def cache_folder() -> Path:
    """The folder in which packages are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "digitkit" / "arm64"


def mirrors() -> dict[str, str]:
    """Addresses of Debian's archive and, where apt has it, its security archive.

    Returns:
        ``Debian`` and ``Debian-Security`` to an address that ends with a slash.

    Raises:
        RootError: apt has no Debian archive.
    """
    found = {}
    for label, name in (
        ("Debian", "DEBIAN_MIRROR"),
        ("Debian-Security", "DEBIAN_SECURITY_MIRROR"),
    ):
        if os.environ.get(name):
            found[label] = os.environ[name].rstrip("/") + "/"
    if "Debian" in found:
        return found
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for line in listed.splitlines():
        label, _, address = line.partition(" ")
        if label in ("Debian", "Debian-Security"):
            found.setdefault(label, address)
    if "Debian" not in found:
        raise RootError(
            "apt has no Debian archive here; set DEBIAN_MIRROR=… "
            "(and DEBIAN_SECURITY_MIRROR=…), or run apt-get update first"
        )
    return found


def _sources(suite: str) -> str:
    keyring = next((path for path in KEYRINGS if Path(path).exists()), None)
    if keyring is None:
        raise RootError(
            "Debian's keys are missing; install them with apt-get install debian-archive-keyring"
        )
    archives = mirrors()
    lines = [f"{archives['Debian']} {suite} main", f"{archives['Debian']} {suite}-updates main"]
    if "Debian-Security" in archives:
        lines.append(f"{archives['Debian-Security']} {suite}-security main")
    return "".join(f"deb [signed-by={keyring}] {line}\n" for line in lines)


def _fetch(suite: str) -> list[Path]:
    """Fetch `PACKAGES` and their dependencies from a suite; returns the files."""
    state = cache_folder() / suite
    archives = state / "archives"
    for folder in (state / "lists" / "partial", archives / "partial"):
        folder.mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    (state / "sources.list").write_text(_sources(suite))
    options = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::Cache": state,
        "Dir::Etc::sourcelist": state / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
    }
    apt = ["apt-get", "-qq"]
    for name, value in options.items():
        apt += ["-o", f"{name}={value}"]
    install = [*apt, "install", "--yes"]
    try:
        subprocess.run([*apt, "update"], check=True)
        subprocess.run(
            [*install, "--download-only", *PACKAGES.split()], check=True, stdout=subprocess.DEVNULL
        )
        listed = subprocess.run(
            # With an empty cache, since packages that were fetched are not listed.
            [
                *install,
                "--print-uris",
                "-o",
                f"Dir::Cache::archives={state / 'none'}",
                *PACKAGES.split(),
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    except FileNotFoundError as error:
        raise RootError(
            "apt-get is missing; roots can be built on Debian or Ubuntu only"
        ) from error
    except subprocess.CalledProcessError as error:
        raise RootError(
            f"apt could not fetch the packages of {suite}; the reason is above"
        ) from error
    # 'address' file-name size hash
    return [archives / line.split()[1] for line in listed.splitlines() if line.startswith("'")]


def _unpack(package: Path, root: Path) -> None:
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
    ) as pipe:
        subprocess.run(
            [
                *("tar", "--extract", "--keep-directory-symlink", "--exclude=./usr/share/doc"),
                *("--exclude=./usr/share/man", "--exclude=./usr/share/locale"),
                *("--directory", str(root)),
            ],
            stdin=pipe.stdout,
            check=True,
        )
    if pipe.returncode:
        raise RootError(f"{package}: cannot be unpacked; remove it and try again")


def _settle(root: Path) -> None:
    """Do what maintainer scripts would do."""
    master = root / "usr" / "share" / "base-passwd"
    passwd = (master / "passwd.master").read_text()
    groups = (master / "group.master").read_text()
    (root / "etc" / "passwd").write_text(
        passwd.replace(":*:", ":x:") + "pi:x:1000:1000:,,,:/home/pi:/bin/bash\n"
    )
    (root / "etc" / "group").write_text(
        groups.replace(":*:", ":x:").replace("video:x:44:", "video:x:44:pi") + "pi:x:1000:\n"
    )
    (root / "etc" / "hostname").write_text("raspberrypi\n")
    (root / "etc" / "hosts").write_text("127.0.0.1 localhost\n127.0.1.1 raspberrypi\n")
    for link, target in (("usr/bin/awk", "mawk"), ("usr/bin/sh", "dash")):
        if not (root / link).is_symlink():
            (root / link).symlink_to(target)
    if not (root / "usr" / "bin" / "which").exists():
        (root / "usr" / "bin" / "which").symlink_to("which.debianutils")
    for folder in ("proc", "sys", "dev", "run", "tmp", "home/pi", "var/tmp", "opt", "media"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    # ONNX Runtime reads them before it looks at the instructions; a Pi has 4 cores.
    cores = root / "sys" / "devices" / "system" / "cpu"
    cores.mkdir(parents=True)
    for name in ("possible", "present", "online"):
        (cores / name).write_text("0-3\n")
    for folder in ("tmp", "var/tmp"):
        (root / folder).chmod(0o1777)
    if os.geteuid() == 0:
        os.chown(root / "home" / "pi", 1000, 1000)


def _compile(root: Path, python: str) -> None:
    """Compile Python's library, as its packages' scripts do; otherwise each start would."""
    library = f"usr/lib/python{python}"
    with Machine(root) as machine:
        result = machine.run(
            ["python3", "-m", "compileall", "-q", "-j", "0", f"/{library}"], user="root"
        )
        if result.code:
            raise RootError(f"{root}: its Python does not run: {result.output.strip()}")
        for folder in list((machine.disk / library).rglob("__pycache__")):
            target = root / folder.relative_to(machine.disk)
            shutil.copytree(folder, target, dirs_exist_ok=True)


def make(suite: str) -> Path:
    """Build a root unless it exists: under a temporary name, renamed when it is complete.

    Raises:
        RootError: it cannot be built.
    """
    root = BUILD / suite
    recipe = hashlib.sha256(Path(__file__).read_bytes() + suite.encode()).hexdigest()
    stamp = root / ".recipe"
    if stamp.is_file() and stamp.read_text() == recipe:  # built by this version of the code
        return root
    packages = _fetch(suite)
    BUILD.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{suite}-", dir=BUILD))
    try:
        made.chmod(0o755)
        for folder in ("bin", "sbin", "lib"):
            (made / "usr" / folder).mkdir(parents=True)
            (made / folder).symlink_to(f"usr/{folder}")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda package: _unpack(package, made), packages))
        _settle(made)
        _compile(made, SUITES[suite])
        (made / ".recipe").write_text(recipe)
        if root.exists():
            shutil.rmtree(root)
        made.rename(root)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return root
