"""The checks. Each returns a note to print, or raises `CheckError`."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import compare
from emulation import Machine, Result, kill
from material import NEXT, PROJECT, Reference, parse_readings
from report import CheckError, require

UNPACKED = "/media/stick"
"""Where bundles are unpacked in a machine: not in the home, which may be small or read-only."""

DIGITKIT = "$HOME/.local/bin/digitkit"
VERSIONS = "home/pi/.local/share/digitkit/versions"

HAS_DOT_PRODUCT = {"cortex-a53": False, "cortex-a72": False, "cortex-a76": True}
"""Whether a processor has UDOT and SDOT, which int8 kernels are chosen by."""


def put_bundle(machine: Machine, bundle: Path) -> str:
    """Copy an unpacked bundle in; returns its folder in the machine."""
    target = f"{UNPACKED}/{bundle.name}"
    machine.put(bundle, target)
    return target


def _install(machine: Machine, bundle: str) -> Result:
    return machine.run(f"cd {bundle} && ./install.sh")


def _version(machine: Machine) -> str:
    """The version that the installed digitkit reports."""
    result = machine.run(f"{DIGITKIT} --version")
    require(result.code == 0, "digitkit does not start", result)
    return result.out.strip().split()[-1]


def _versions(machine: Machine) -> list[str]:
    """The folders of versions on the disk."""
    folder = machine.disk / VERSIONS
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def _require_reading(machine: Machine) -> None:
    """Fail unless the installed digitkit reads a sample."""
    result = machine.run(f"{DIGITKIT} infer {UNPACKED}/first/sample/page.jpg --format jsonl")
    ok = result.code == 0 and json.loads(result.out)["text"]
    require(ok, "digitkit does not read", result)


def needed_mb(bundle: Path, python: str) -> int:
    """The size of an installation according to the bundle, MiB."""
    settings = (bundle / "bundle.conf").read_text()
    match = re.search(rf"^kilobytes_{python}=(\d+)$", settings, re.MULTILINE)
    if match is None:
        raise CheckError(f"bundle.conf has no size of the packages for Python {python}")
    return int(match[1]) // 1024


# --- a working installation ---


def offline(machine: Machine, python: str) -> str:
    """The machine is a 64-bit Arm with its Debian's Python and has no network."""
    result = machine.run(
        "uname -m; getconf LONG_BIT; getconf GNU_LIBC_VERSION; python3 -c '"
        "import platform, socket; print(platform.python_version())\n"
        'try: socket.create_connection(("192.0.2.1", 80), 5)\n'
        "except OSError as error: print(error.errno)'"
    )
    require(result.code == 0, "the root does not run", result)
    kind, bits, library, version, network = result.out.splitlines()
    require((kind, bits) == ("aarch64", "64"), f"it is {kind}, {bits} bits")
    require(version.startswith(f"{python}."), f"its Python is {version}, not {python}")
    require(network == "101", f"the network is not cut off: {network}")  # ENETUNREACH
    return f"Python {version}, {library}"


def install(machine: Machine, bundle: str) -> str:
    """A fresh installation by a user, with a Python that has no ensurepip."""
    result = _install(machine, bundle)
    require(result.code == 0, "install.sh fails", result)
    require(len(_versions(machine)) == 1, f"versions are {_versions(machine)}")
    _require_reading(machine)
    return f"digitkit {_version(machine)}"


def features(machine: Machine, cpu: str) -> str:
    """The emulated processor has the instructions of its model, and no others."""
    result = machine.run("grep -m1 Features /proc/cpuinfo", cpu=cpu)
    has = "asimddp" in result.out.split()
    require(has == HAS_DOT_PRODUCT[cpu], f"dot products: {has}", result)
    return result.out.partition(":")[2].strip()


def same_readings(machine: Machine, cpu: str, reference: Reference) -> str:
    """`digitkit infer` reads the same as on x86-64, in both precisions."""
    count = 0
    for precision, expected in reference.readings.items():
        result = machine.run(
            f"cd {UNPACKED}/images && {DIGITKIT} infer samples mnist "
            f"--precision {precision} --format jsonl",
            cpu=cpu,
        )
        require(result.code == 0, "digitkit infer fails", result)
        readings = parse_readings(result.out)
        require(readings.keys() == expected.keys(), f"{len(readings)} images of {len(expected)}")
        for name, (content, least) in expected.items():
            seen = readings[name]
            require(seen[0] == content, f"{name} in {precision}: {seen[0]}, not {content}")
            difference = abs(seen[1] - least)
            bound = compare.SAME_FILE + 1e-4
            require(difference <= bound, f"{name} in {precision}: confidence off by {difference}")
        count = len(readings)
        # ONNX Runtime's warning if it cannot detect the processor's features.
        require("cpuinfo" not in result.err, "ONNX Runtime does not know the processor", result)
    return f"{count} images in {' and '.join(reference.readings)}"


def same_numbers(machine: Machine, cpu: str, reference: Reference) -> str:
    """Pixels and probabilities are those of x86-64, within the bounds of `compare`."""
    python = f"$(dirname $(readlink -f {DIGITKIT}))/python"
    command = f"{python} {UNPACKED}/compare.py measured.npz --data {UNPACKED}/images"
    result = machine.run(command, cpu=cpu)
    require(result.code == 0, "compare.py fails", result)
    path = machine.disk / "home/pi/measured.npz"
    violations, summary = compare.find_differences(reference.measured, path)
    require(not violations, "; ".join(violations))
    return summary


def doctor(machine: Machine, cpu: str) -> str:
    """`digitkit doctor` finds no problem, although there is no camera."""
    result = machine.run(f"{DIGITKIT} doctor", cpu=cpu)
    require(result.code == 0, "digitkit doctor finds a problem", result)
    return result.out.strip().splitlines()[-1]


def documented_commands(machine: Machine, bundle: str) -> str:
    """The commands of docs/raspberry-pi.md that a board without a camera can run, verbatim."""
    text = (PROJECT / "docs/raspberry-pi.md").read_text("utf-8")
    blocks = "\n".join(re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    lines = re.findall(r"^digitkit (?!bundle).*$", blocks, re.MULTILINE)
    require(len(lines) > 6, "the page has no commands")
    for line in lines:
        command, camera = line, "--camera" in line or "--config" in line
        if " bench " in line:  # takes minutes here, and emulated figures mean nothing
            command = command.replace(" --save", "")
            command += " --quick --model-only --paced 0 --no-accuracy"
            if "--recommend" in line:
                # On a busy machine processes differ too much to recommend anything: exit code 3.
                command += " --threads 1 --batches 1 --max-spread 1000"
        path = 'PATH="$HOME/.local/bin:$PATH"'
        result = machine.run(f"cd {bundle} && {path} {command} </dev/null", timeout=900)
        require("Traceback" not in result.output, f"{line}: crashes", result)
        require(camera or result.code == 0, f"{line}: fails", result)
    return f"{len(lines)} lines"


def no_camera(machine: Machine) -> str:
    """Without a camera: one line that says so, soon."""
    result = machine.run(f"{DIGITKIT} infer --camera 0 --retry 0", timeout=300)
    failed = result.code not in (0, 124) and "Traceback" not in result.output
    require(failed, "no error", result)
    lines = result.err.strip().splitlines()
    require("camera" in lines[-1] or "/dev/video0" in lines[-1], "no camera is named", result)
    require(len(lines) == 1, "more than one line", result)
    return f"{lines[-1]!r}, exit code {result.code}"


# --- installations that fail ---


def damaged(machine: Machine, bundle: str) -> str:
    """A damaged wheel is named, and nothing is installed."""
    result = _install(machine, bundle)
    require(result.code == 1, "a damaged wheel is accepted", result)
    require("numpy-" in result.err, "it is not named", result)
    require(not (machine.disk / "home/pi/.local").exists(), "something is installed", result)
    return result.err.strip()


def read_only(machine: Machine, bundle: str) -> str:
    """A home that nobody can write to is named."""
    machine.make_read_only("/home/pi")
    result = _install(machine, bundle)
    machine.undo("/home/pi")
    require(result.code == 1 and "/home/pi/.local" in result.err, "not reported", result)
    return result.err.strip()


def too_small(machine: Machine, bundle: str) -> str:
    """Too little space is reported before anything is written; an earlier version works on."""
    before = _versions(machine)
    result = _install(machine, bundle)
    require(result.code == 1 and "MB free" in result.err, "not reported", result)
    require(_versions(machine) == before, f"versions are {_versions(machine)}", result)
    if before:
        _require_reading(machine)
    return result.err.strip()


def fills_up(machine: Machine, bundle: str) -> str:
    """A disk that becomes full halfway is reported, and nothing incomplete stays."""
    process = machine.start(f"cd {bundle} && ./install.sh")
    _wait_halfway(machine, process)
    machine.fill("/home/pi")
    out, err = process.communicate(timeout=900)
    result = Result(process.returncode, out, err, 0)
    require(result.code == 1 and "full" in result.err, "not reported", result)
    require(not _versions(machine), f"left behind: {_versions(machine)}", result)
    link = machine.disk / "home/pi/.local/bin/digitkit"
    require(not link.is_symlink(), "a link is left", result)
    return result.err.strip()


def _wait_halfway(machine: Machine, process: subprocess.Popen[str]) -> None:
    """Wait until an install.sh unpacks packages into a new version."""
    pattern = f"{VERSIONS}/*/venv/lib/python3*/site-packages/numpy"
    before = set(machine.disk.glob(pattern))
    for _ in range(9000):
        if set(machine.disk.glob(pattern)) - before:
            return
        require(process.poll() is None, "install.sh ended early")
        time.sleep(0.1)
    kill(process)
    raise CheckError("install.sh does not get to its packages")


# --- upgrades ---


def interrupted(machine: Machine, bundle: str, when: str, how: signal.Signals) -> str:
    """An interrupted upgrade leaves the earlier version working."""
    before = _version(machine)
    process = machine.start(f"cd {bundle} && exec ./install.sh")
    if when == "packages":
        _wait_halfway(machine, process)
    else:
        assert process.stdout is not None
        if not any(when in line for line in process.stdout):
            raise CheckError(f"install.sh does not get to {when!r}")
    kill(process, how)
    out, err = process.communicate(timeout=300)
    require(_version(machine) == before, f"it is {_version(machine)} now")
    _require_reading(machine)
    current = ((machine.disk / VERSIONS).parent / "current").readlink().name
    left = [name for name in _versions(machine) if name != current]
    if how != signal.SIGKILL:
        require(not left, f"left behind: {left}; {out}{err}")
        return f"{before} works, nothing left behind"
    return f"{before} works; incomplete, for the next install.sh to remove: {len(left)}"


def broken_upgrade(machine: Machine, bundle: str) -> str:
    """A version that fails its self-test does not replace the earlier one."""
    before, old = _version(machine), _versions(machine)
    result = _install(machine, bundle)
    require(result.code == 1, "a version that does not work is installed", result)
    require(_versions(machine) == old, f"versions are {_versions(machine)}, were {old}", result)
    require(_version(machine) == before, f"it is {_version(machine)} now", result)
    _require_reading(machine)
    return result.err.strip()


def upgrade(machine: Machine, bundle: str) -> str:
    """An upgrade replaces the earlier version, and removes what was left behind."""
    before = _version(machine)
    result = _install(machine, bundle)
    require(result.code == 0, "install.sh fails", result)
    require(_version(machine) == NEXT, f"it is {_version(machine)}", result)
    require(len(_versions(machine)) == 1, f"versions are {_versions(machine)}", result)
    _require_reading(machine)
    return f"{before} to {NEXT}"


def install_again(machine: Machine, bundle: str) -> str:
    """A second run of install.sh changes nothing."""
    before = _versions(machine)
    result = _install(machine, bundle)
    require(result.code == 0 and _versions(machine) == before, "installed again", result)
    return result.out.strip().splitlines()[0]


def uninstall(machine: Machine, bundle: str) -> str:
    """uninstall.sh leaves nothing."""
    result = machine.run(f"cd {bundle} && ./uninstall.sh --yes")
    require(result.code == 0, "uninstall.sh fails", result)
    left = machine.run("find .local/bin .local/share/digitkit 2>/dev/null | grep digitkit").out
    require(not left, f"left behind: {left}")
    return result.out.strip()


# --- for the whole system ---

_RUN_SERVICE = """
log=$(mktemp); {command} 2>$log & pid=$!
for _ in $(seq 300); do [ -s $log ] && break; sleep 1; done
sleep 5
kill -TERM $pid; wait $pid; code=$?; cat $log >&2; exit $code
"""


def system_wide(machine: Machine, bundle: str) -> str:
    """--system installs for all users, with settings and a unit; uninstall.sh removes all of it."""
    command_line = f"cd {bundle} && ./install.sh --system"
    denied = machine.run(command_line)
    require(denied.code == 1 and "root" in denied.err, "not root, not reported", denied)
    result = machine.run(command_line, user="root")
    require(result.code == 0, "install.sh --system fails", result)
    settings, unit = "etc/digitkit.toml", "etc/systemd/system/digitkit.service"
    for name in (settings, unit):
        require((machine.disk / name).is_file(), f"/{name} is missing", result)
    command = re.search(r"^ExecStart=(.*)$", (machine.disk / unit).read_text(), re.MULTILINE)
    assert command is not None
    # As the service runs it: as another user, waiting for a camera, stopped by systemd.
    service = machine.run(_RUN_SERVICE.format(command=command[1]).strip())
    require(service.code == 0 and service.err, "the service does not wait", service)
    used = machine.run(f"digitkit infer {UNPACKED}/first/sample/page.jpg", user="pi")
    require(used.code == 0, "not every user can run digitkit", used)
    gone = machine.run(f"cd {bundle} && ./uninstall.sh --system --yes --purge", user="root")
    require(gone.code == 0, "uninstall.sh --system fails", gone)
    for name in (settings, unit, "opt/digitkit", "usr/local/bin/digitkit"):
        path = machine.disk / name
        require(not (path.exists() or path.is_symlink()), f"/{name} is left", gone)
    return service.err.strip().splitlines()[0]
