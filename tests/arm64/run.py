"""Proof on arm64: installs a bundle in emulated Debian, reads, compares, and breaks things.

``make test-arm64``; ``ARM64_QUICK=1`` takes one Debian and one processor. Needed beside the
development's own environment: Linux 5.11 or newer, apt, root (or subordinate user ids), and
``apt-get install qemu-user-static`` (see `emulation` and `roots`). Each check prints a line. What
qemu takes says nothing about a Pi.

Emulated are processors, not boards: no camera, no service manager, no throttling; and qemu's
Cortex-A53 and A72 have AES and SHA instructions, which the Pi 3's and Pi 4's lack.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import compare
import roots
from emulation import CPUS, EmulationError, Machine, Ran, kill

PROJECT = Path(__file__).resolve().parents[2]
MATERIAL = roots.BUILD / "material"
MNIST_IMAGES = 200
UNPACKED = "/media/stick"
"""Where the bundle is unpacked in a machine: not in the home, which may be small or read-only."""

HAS_DOT_PRODUCT = {"cortex-a53": False, "cortex-a72": False, "cortex-a76": True}
"""Whether a processor has UDOT and SDOT, which int8 kernels are chosen by."""


class CheckError(Exception):
    """A check has failed; the message says what was seen."""


def must(truth: object, message: str, ran: Ran | None = None) -> None:
    """Fail with a message, and what a command said, unless something holds."""
    if not truth:
        said = f"\n{ran.said.strip()[-1500:]}\n(exit code {ran.code})" if ran else ""
        raise CheckError(message + said)


@dataclass
class Report:
    """Runs checks and prints a line for each.

    Attributes:
        failed: how many have failed.
    """

    failed: int = 0

    def check(self, name: str, test: Callable[[], str | None]) -> bool:
        """Run a check; what it returns is printed behind its name.

        Returns:
            Whether it has passed.
        """
        begun = time.monotonic()
        try:
            note = test()
            passed = True
        except (CheckError, EmulationError) as error:
            note, passed = str(error), False
        except Exception:
            note, passed = traceback.format_exc(), False
        self.failed += not passed
        took = f"{time.monotonic() - begun:.0f} s here"
        print(f"{'ok  ' if passed else 'FAIL'} {name} ({took}){f': {note}' if note else ''}")
        sys.stdout.flush()
        return passed


# --- material: bundles, pictures, what x86-64 makes of them ---


@dataclass(frozen=True)
class Bundles:
    """Unpacked bundles.

    Attributes:
        first: the one under test.
        next: the same with a higher version.
        broken: a still higher version that reads nothing.
        damaged: the first with a byte of a wheel changed.
    """

    first: Path
    next: Path
    broken: Path
    damaged: Path


NEXT, BROKEN = "90.0.0", "91.0.0"
"""Versions of digitkit that are made up for upgrades."""


def _unpack(bundle: Path, name: str) -> Path:
    folder = MATERIAL / name
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(bundle) as archive:
        archive.extractall(MATERIAL / f"{name}.part", filter="data")
    (inside,) = (MATERIAL / f"{name}.part").iterdir()
    inside.rename(folder)
    (MATERIAL / f"{name}.part").rmdir()
    return folder


def _wheel(version: str, *, broken: bool = False) -> Path:
    """Build digitkit's wheel under another version; a broken one ends before it reads."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("digitkit", "exported"):
            shutil.copytree(
                PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(PROJECT / name, copy)
        init = copy / "digitkit" / "__init__.py"
        text = re.sub(r'__version__ = ".*"', f'__version__ = "{version}"', init.read_text())
        init.write_text(text)
        if broken:
            reader = copy / "digitkit" / "reader.py"
            reader.write_text(reader.read_text() + '\nraise SystemExit("made not to work")\n')
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(MATERIAL)],
            cwd=copy,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    return MATERIAL / f"digitkit-{version}-py3-none-any.whl"


def _bundle(*options: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "digitkit", "bundle", *options],
        check=True,
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
    )


def make_bundles(given: Path | None, suites: list[str]) -> Bundles:
    """Make what is installed, unless a bundle is given, and what it is upgraded to."""
    pythons = ",".join(roots.SUITES[suite] for suite in suites)
    first = given or MATERIAL / "bundle.tar.gz"
    if given is None:
        _bundle("--python", pythons, "--out", str(first))
    unpacked = _unpack(first, "first")
    others = {}
    for name, version in (("next", NEXT), ("broken", BROKEN)):
        packed = MATERIAL / f"{name}.tar.gz"
        wheel = _wheel(version, broken=name == "broken")
        _bundle(
            *("--python", pythons, "--wheel", str(wheel), "--out", str(packed)),
            *("--wheelhouse", str(unpacked / "wheels")),
        )
        others[name] = _unpack(packed, name)
    damaged = MATERIAL / "damaged"
    shutil.rmtree(damaged, ignore_errors=True)
    shutil.copytree(unpacked, damaged)
    wheel = next((damaged / "wheels").glob("numpy-*.whl"))
    data = bytearray(wheel.read_bytes())
    data[len(data) // 2] ^= 1
    wheel.write_bytes(data)
    return Bundles(unpacked, others["next"], others["broken"], damaged)


def make_pictures() -> Path:
    """The samples, and MNIST test images as PNG files, in ``samples`` and ``mnist``."""
    import cv2

    from digitkit.datasets.mnist import load_mnist

    folder = MATERIAL / "pictures"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(
        PROJECT / "data" / "samples", folder / "samples", ignore=lambda *_: ["make_samples.py"]
    )
    (folder / "mnist").mkdir()
    for number, image in enumerate(load_mnist("test").images[:MNIST_IMAGES]):
        cv2.imwrite(str(folder / "mnist" / f"{number:03d}.png"), image)
    return folder


# --- what both sides read ---

Read = dict[str, tuple[object, float]]
"""Picture: its text, digits, rows and boxes; and its least confidence."""


def _read(lines: str) -> Read:
    found: Read = {}
    for line in lines.splitlines():
        reading = json.loads(line)
        must("error" not in reading, f"{line}")
        digits = reading["digits"]
        said = [(d["digit"], d["row"], d["box"], d.get("accepted", True)) for d in digits]
        name = "/".join(Path(reading["source"]).parts[-2:])
        least = min((digit["confidence"] for digit in digits), default=1.0)
        found[name] = ((reading["text"], said), least)
    return found


@dataclass(frozen=True)
class Here:
    """What x86-64 makes of the pictures.

    Attributes:
        taken: file of `compare.take`.
        read: by precision.
    """

    taken: Path
    read: dict[str, Read] = field(repr=False)


def take_here(pictures: Path) -> Here:
    """Take what this machine makes of the pictures."""
    taken = MATERIAL / "here.npz"
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    script = str(Path(compare.__file__))
    subprocess.run(
        [sys.executable, script, str(taken), "--data", str(pictures)], check=True, env=environment
    )
    read: dict[str, Read] = {}
    for precision in compare.PRECISIONS:
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "digitkit", "infer", "samples", "mnist"),
                *("--precision", precision, "--format", "jsonl"),
            ],
            capture_output=True,
            text=True,
            cwd=pictures,
            env=environment,
        )
        must(ran.returncode == 0, f"digitkit infer fails here: {ran.stderr}")
        read[precision] = _read(ran.stdout)
    return Here(taken, read)


@dataclass(frozen=True)
class Material:
    """What the checks work with."""

    bundles: Bundles
    pictures: Path
    here: Here


# --- checks ---

DIGITKIT = "$HOME/.local/bin/digitkit"
VERSIONS = "home/pi/.local/share/digitkit/versions"


def put_bundle(machine: Machine, bundle: Path) -> str:
    """Copy an unpacked bundle in.

    Returns:
        Its folder in the machine.
    """
    target = f"{UNPACKED}/{bundle.name}"
    machine.put(bundle, target)
    return target


def version_of(machine: Machine) -> str:
    """What the installed digitkit calls itself."""
    ran = machine.run(f"{DIGITKIT} --version")
    must(ran.code == 0, "digitkit does not start", ran)
    return ran.out.strip().split()[-1]


def versions(machine: Machine) -> list[str]:
    """The folders of versions that are on the disk."""
    folder = machine.disk / VERSIONS
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def reads(machine: Machine) -> None:
    """Fail unless what is installed reads a sample."""
    ran = machine.run(f"{DIGITKIT} infer {UNPACKED}/first/sample/page.jpg --format jsonl")
    must(ran.code == 0 and json.loads(ran.out)["text"], "digitkit does not read", ran)


def offline(machine: Machine, python: str) -> str:
    """The machine is an Arm of 64 bits with its Debian's Python, and reaches nothing."""
    ran = machine.run(
        "uname -m; getconf LONG_BIT; getconf GNU_LIBC_VERSION; python3 -c '"
        "import platform, socket; print(platform.python_version())\n"
        'try: socket.create_connection(("192.0.2.1", 80), 5)\n'
        "except OSError as error: print(error)'"
    )
    must(ran.code == 0, "the root does not run", ran)
    kind, bits, library, version, network = ran.out.splitlines()
    must((kind, bits) == ("aarch64", "64"), f"it is {kind}, {bits} bits")
    must(version.startswith(f"{python}."), f"its Python is {version}, not {python}")
    must("unreachable" in network, f"the network is not cut off: {network}")
    return f"Python {version}, {library}"


def install(machine: Machine, bundle: str) -> str:
    """A fresh install by a user, with a Python that has no ensurepip."""
    ran = machine.run(f"cd {bundle} && ./install.sh")
    must(ran.code == 0, "install.sh fails", ran)
    must(len(versions(machine)) == 1, f"versions are {versions(machine)}")
    reads(machine)
    return f"digitkit {version_of(machine)}"


def features(machine: Machine, cpu: str) -> str:
    """The emulated processor has the instructions of its model, and no others."""
    ran = machine.run("grep -m1 Features /proc/cpuinfo", cpu=cpu)
    found = "asimddp" in ran.out.split()
    must(found == HAS_DOT_PRODUCT[cpu], f"dot products: {found}", ran)
    return ran.out.partition(":")[2].strip()


def same_reading(machine: Machine, cpu: str, here: Here) -> str:
    """`digitkit infer` reads what it reads on x86-64, in both precisions."""
    count = 0
    for precision, expected in here.read.items():
        ran = machine.run(
            f"cd {UNPACKED}/pictures && {DIGITKIT} infer samples mnist "
            f"--precision {precision} --format jsonl",
            cpu=cpu,
        )
        must(ran.code == 0, "digitkit infer fails", ran)
        found = _read(ran.out)
        must(found.keys() == expected.keys(), f"{len(found)} pictures of {len(expected)}")
        for name, (said, least) in expected.items():
            must(found[name][0] == said, f"{name} in {precision}: {found[name][0]}, not {said}")
            apart = abs(found[name][1] - least)
            must(apart <= compare.SAME_FILE + 1e-4, f"{name} in {precision}: {apart} apart")
        count = len(found)
        # What ONNX Runtime says when it could not find out what the processor has.
        must("cpuinfo" not in ran.err, "ONNX Runtime does not know the processor", ran)
    return f"{count} pictures in {' and '.join(here.read)}"


def same_numbers(machine: Machine, cpu: str, here: Here) -> str:
    """Pixels and probabilities are those of x86-64, but for what `compare` allows."""
    python = f"$(dirname $(readlink -f {DIGITKIT}))/python"
    ran = machine.run(
        f"{python} {UNPACKED}/compare.py taken.npz --data {UNPACKED}/pictures", cpu=cpu
    )
    must(ran.code == 0, "compare.py fails", ran)
    wrong, found = compare.differences(here.taken, machine.disk / "home/pi/taken.npz")
    must(not wrong, "; ".join(wrong))
    return found


def doctor(machine: Machine, cpu: str) -> str:
    """`digitkit doctor` finds nothing that would stop `infer` but the camera that isn't there."""
    ran = machine.run(f"{DIGITKIT} doctor", cpu=cpu)
    must(ran.code == 0 and "problems: 0" in ran.out, "digitkit doctor finds a problem", ran)
    return ran.out.strip().splitlines()[-1]


def documented(machine: Machine, bundle: str) -> str:
    """The commands of docs/raspberry-pi.md that a board without a camera can run, as printed."""
    text = (PROJECT / "docs/raspberry-pi.md").read_text("utf-8")
    blocks = "\n".join(re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    lines = re.findall(r"^digitkit (?!bundle).*$", blocks, re.MULTILINE)
    must(len(lines) > 6, "the page has no commands")
    for line in lines:
        command, camera = line, "--camera" in line or "--config" in line
        if " bench " in line:  # minutes here, and its figures are nobody's
            command = command.replace(" --save", "")
            command += " --quick --model-only --paced 0 --no-accuracy"
            if "--recommend" in line:
                # On a busy machine processes differ too much to recommend anything: exit code 3.
                command += " --threads 1 --batches 1 --max-spread 1000"
        path = 'PATH="$HOME/.local/bin:$PATH"'
        ran = machine.run(f"cd {bundle} && {path} {command} </dev/null", timeout=900)
        must("Traceback" not in ran.said, f"{line}: breaks off", ran)
        must(camera or ran.code == 0, f"{line}: fails", ran)
    return f"{len(lines)} lines"


def no_camera(machine: Machine) -> str:
    """Without a camera: one line that says so, soon."""
    ran = machine.run(f"{DIGITKIT} infer --camera 0 --retry 0", timeout=300)
    must(ran.code not in (0, 124) and "Traceback" not in ran.said, "no error", ran)
    lines = ran.err.strip().splitlines()
    must("camera" in lines[-1] or "/dev/video0" in lines[-1], "the camera is not named", ran)
    must(len(lines) == 1, "more than one line", ran)
    return f"{lines[-1]!r}, exit code {ran.code}"


def damaged(machine: Machine, bundle: str) -> str:
    """A damaged wheel is named, and nothing is installed."""
    ran = machine.run(f"cd {bundle} && ./install.sh")
    must(ran.code == 1, "a damaged wheel is taken", ran)
    must("numpy-" in ran.err, "it is not named", ran)
    must(not (machine.disk / "home/pi/.local").exists(), "something is installed", ran)
    return ran.err.strip()


def read_only(machine: Machine, bundle: str) -> str:
    """A home that nobody can write to is told, and no traceback."""
    machine.make_read_only("/home/pi")
    ran = machine.run(f"cd {bundle} && ./install.sh")
    machine.undo("/home/pi")
    must(ran.code == 1 and "cannot be written" in ran.err, "not told", ran)
    return ran.err.strip()


def too_small(machine: Machine, bundle: str) -> str:
    """Too little room is told before anything is written; what was there stays."""
    before = versions(machine)
    ran = machine.run(f"cd {bundle} && ./install.sh")
    must(ran.code == 1 and "MB free" in ran.err, "not told", ran)
    must(versions(machine) == before, f"versions are {versions(machine)}", ran)
    if before:
        reads(machine)
    return ran.err.strip()


def fills_up(machine: Machine, bundle: str) -> str:
    """A disk that fills up halfway is told, and nothing half-done stays."""
    process = machine.start(f"cd {bundle} && ./install.sh")
    halfway(machine, process)
    machine.fill("/home/pi")
    out, err = process.communicate(timeout=900)
    ran = Ran(process.returncode, out, err, 0)
    must(ran.code == 1 and "full" in ran.err, "not told", ran)
    must(not versions(machine), f"left behind: {versions(machine)}", ran)
    must(not (machine.disk / "home/pi/.local/bin/digitkit").is_symlink(), "a link is left", ran)
    return ran.err.strip()


def halfway(machine: Machine, process: subprocess.Popen[str]) -> None:
    """Wait until an install.sh unpacks packages into a new version."""
    wanted = f"{VERSIONS}/*/venv/lib/python3*/site-packages/numpy"
    before = set(machine.disk.glob(wanted))
    for _ in range(9000):
        if set(machine.disk.glob(wanted)) - before:
            return
        must(process.poll() is None, "install.sh has ended early")
        time.sleep(0.1)
    kill(process)
    raise CheckError("install.sh does not get to its packages")


def interrupted(machine: Machine, bundle: str, when: str, how: signal.Signals) -> str:
    """An upgrade that is broken off leaves the earlier version at work."""
    before = version_of(machine)
    process = machine.start(f"cd {bundle} && exec ./install.sh")
    if when == "packages":
        halfway(machine, process)
    else:
        assert process.stdout is not None
        for line in process.stdout:
            if when in line:
                break
        else:
            raise CheckError(f"install.sh does not get to {when!r}")
    kill(process, how)
    out, err = process.communicate(timeout=300)
    must(version_of(machine) == before, f"it is {version_of(machine)} now")
    reads(machine)
    current = ((machine.disk / VERSIONS).parent / "current").readlink().name
    left = [name for name in versions(machine) if name != current]
    if how != signal.SIGKILL:
        must(not left, f"left behind: {left}; {out}{err}")
        return f"{before} works, nothing left behind"
    return f"{before} works; unfinished, for the next install.sh to clear away: {len(left)}"


def does_not_work(machine: Machine, bundle: str) -> str:
    """A version that fails its self-test does not take the earlier one's place."""
    before, old = version_of(machine), versions(machine)
    ran = machine.run(f"cd {bundle} && ./install.sh")
    must(ran.code == 1, "a version that does not work is installed", ran)
    must(versions(machine) == old, f"versions are {versions(machine)}, were {old}", ran)
    must(version_of(machine) == before, f"it is {version_of(machine)} now", ran)
    reads(machine)
    return ran.err.strip()


def upgrade(machine: Machine, bundle: str) -> str:
    """An upgrade takes the earlier version's place, and clears away what was left behind."""
    before = version_of(machine)
    ran = machine.run(f"cd {bundle} && ./install.sh")
    must(ran.code == 0, "install.sh fails", ran)
    must(version_of(machine) == NEXT, f"it is {version_of(machine)}", ran)
    must(len(versions(machine)) == 1, f"versions are {versions(machine)}", ran)
    reads(machine)
    return f"{before} to {NEXT}"


def again(machine: Machine, bundle: str) -> str:
    """install.sh a second time finds everything in place."""
    ran = machine.run(f"cd {bundle} && ./install.sh")
    must(ran.code == 0 and "already" in ran.out, "not seen", ran)
    return ran.out.strip().splitlines()[0]


def uninstall(machine: Machine, bundle: str) -> str:
    """uninstall.sh leaves nothing."""
    ran = machine.run(f"cd {bundle} && ./uninstall.sh --yes")
    must(ran.code == 0, "uninstall.sh fails", ran)
    left = machine.run("find .local/bin .local/share/digitkit 2>/dev/null | grep digitkit").out
    must(not left, f"left behind: {left}")
    return ran.out.strip()


def system_wide(machine: Machine, bundle: str) -> str:
    """--system installs for all, with settings and a unit; uninstall.sh takes all of it away."""
    denied = machine.run(f"cd {bundle} && ./install.sh --system")
    must(denied.code == 1 and "root" in denied.err, "not root, not told", denied)
    ran = machine.run(f"cd {bundle} && ./install.sh --system", user="root")
    must(ran.code == 0, "install.sh --system fails", ran)
    settings, unit = "etc/digitkit.toml", "etc/systemd/system/digitkit.service"
    for name in (settings, unit):
        must((machine.disk / name).is_file(), f"/{name} is missing", ran)
    text = (machine.disk / unit).read_text()
    command = re.search(r"^ExecStart=(.*)$", text, re.MULTILINE)
    assert command is not None
    # As the service runs it: nobody's user, a camera that is waited for, ended by systemd.
    waits = machine.run(
        f"said=$(mktemp); {command[1]} 2>$said & "
        "for _ in $(seq 300); do grep -q 'trying again' $said && break; sleep 1; done; "
        "kill -TERM $!; wait $!; code=$?; cat $said >&2; exit $code"
    )
    must(waits.code == 0 and "trying again" in waits.err, "the service does not wait", waits)
    used = machine.run(f"digitkit infer {UNPACKED}/first/sample/page.jpg", user="pi")
    must(used.code == 0, "digitkit is not there for all", used)
    gone = machine.run(f"cd {bundle} && ./uninstall.sh --system --yes --purge", user="root")
    must(gone.code == 0, "uninstall.sh --system fails", gone)
    for name in (settings, unit, "opt/digitkit", "usr/local/bin/digitkit"):
        path = machine.disk / name
        must(not (path.exists() or path.is_symlink()), f"/{name} is left", gone)
    return (waits.err.strip().splitlines() or ["silent"])[0]


# --- all of it, in one Debian ---


def needed_mb(bundle: Path, python: str) -> int:
    """What an installation takes, as the bundle says, MiB."""
    found = re.search(rf"^kilobytes_{python}=(\d+)$", (bundle / "bundle.conf").read_text(), re.M)
    must(found, f"bundle.conf does not say what Python {python}'s packages take")
    assert found is not None
    return int(found[1]) // 1024


def installed_well(suite: str, cpus: list[str], given: Material, report: Report) -> None:
    """Install, read on each processor, then upgrade what is installed."""
    python = roots.SUITES[suite]
    root = roots.BUILD / suite
    kept = roots.BUILD / f"installed-{suite}"
    shutil.rmtree(kept, ignore_errors=True)

    def check(name: str, test: Callable[..., str], *arguments: object) -> bool:
        return report.check(f"{suite}: {name}", lambda: test(*arguments))

    with Machine(root) as machine:
        # As on a system without python3-venv.
        machine.hide(f"/usr/lib/python{python}/ensurepip")
        check("arm64, offline", offline, machine, python)
        bundle = put_bundle(machine, given.bundles.first)
        if not check("install.sh", install, machine, bundle):
            return
        machine.put(given.pictures, f"{UNPACKED}/pictures")
        machine.put(Path(compare.__file__), f"{UNPACKED}/compare.py")
        for cpu in cpus:
            name = f"{cpu} ({CPUS[cpu]})"
            check(f"{name}: instructions", features, machine, cpu)
            check(f"{name}: reading", same_reading, machine, cpu, given.here)
            check(f"{name}: numbers", same_numbers, machine, cpu, given.here)
            check(f"{name}: doctor", doctor, machine, cpu)
        check("docs/raspberry-pi.md", documented, machine, bundle)
        check("missing camera", no_camera, machine)
        machine.copy_disk(kept)
    with Machine(kept, home_mb=needed_mb(given.bundles.first, python) + 60) as machine:
        bundle = put_bundle(machine, given.bundles.next)
        check("upgrade without room", too_small, machine, bundle)
    with Machine(kept) as machine:
        bundle = put_bundle(machine, given.bundles.broken)
        check("upgrade that fails its self-test", does_not_work, machine, bundle)
        bundle = put_bundle(machine, given.bundles.next)
        breaks = (
            ("packages", signal.SIGTERM),
            ("packages", signal.SIGKILL),
            ("self-test", signal.SIGKILL),
        )
        for when, how in breaks:
            check(f"upgrade, {how.name} at its {when}", interrupted, machine, bundle, when, how)
        check("upgrade", upgrade, machine, bundle)
        check("the same again", again, machine, bundle)
        check("uninstall.sh", uninstall, machine, bundle)
    shutil.rmtree(kept, ignore_errors=True)


def installed_badly(suite: str, given: Material, report: Report) -> None:
    """Where install.sh has to refuse, or to stop; and the installation for all."""
    root = roots.BUILD / suite

    def check(name: str, test: Callable[..., str], *arguments: object) -> bool:
        return report.check(f"{suite}: {name}", lambda: test(*arguments))

    with Machine(root) as machine:
        check("damaged wheel", damaged, machine, put_bundle(machine, given.bundles.damaged))
        bundle = put_bundle(machine, given.bundles.first)
        check("read-only home", read_only, machine, bundle)
        check("--system", system_wide, machine, bundle)
    with Machine(root, home_mb=60) as machine:
        check("no room", too_small, machine, put_bundle(machine, given.bundles.first))
    size = needed_mb(given.bundles.first, roots.SUITES[suite])
    with Machine(root, home_mb=size * 21 // 20 + 20) as machine:
        check("disk fills up", fills_up, machine, put_bundle(machine, given.bundles.first))


def main() -> int:
    """Run all checks; 1 if one fails."""
    quick = os.environ.get("ARM64_QUICK", "0") not in ("", "0")
    parser = argparse.ArgumentParser(description="prove a bundle in emulated arm64 Debian")
    parser.add_argument("--bundle", type=Path, help="made from the checkout by default")
    parser.add_argument("--suite", action="append", choices=roots.SUITES)
    parser.add_argument("--cpu", action="append", choices=CPUS)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="machines at a time")
    arguments = parser.parse_args()
    suites = arguments.suite or (["bookworm"] if quick else list(roots.SUITES))
    cpus = arguments.cpu or (["cortex-a72"] if quick else list(CPUS))
    begun = time.monotonic()
    report = Report()
    MATERIAL.mkdir(parents=True, exist_ok=True)
    for stale in roots.BUILD.glob(".machine-*"):  # of a run that was killed
        shutil.rmtree(stale, ignore_errors=True)
    for suite in suites:
        roots.make(suite)
    bundles = make_bundles(arguments.bundle, suites)
    pictures = make_pictures()
    given = Material(bundles, pictures, take_here(pictures))
    print("Seconds are those of this machine, emulating; they say nothing about a Pi.")
    with ThreadPoolExecutor(arguments.jobs) as pool:
        jobs = []
        for suite in suites:
            jobs.append(pool.submit(installed_well, suite, cpus, given, report))
            jobs.append(pool.submit(installed_badly, suite, given, report))
        for job in jobs:
            job.result()
    minutes = (time.monotonic() - begun) / 60
    print(f"checks failed: {report.failed or 'none'}; {minutes:.1f} minutes here")
    return 1 if report.failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (roots.RootError, EmulationError, CheckError) as error:
        sys.exit(f"test-arm64: {error}")
