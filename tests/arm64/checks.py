"""The checks. Each returns a note to print, or raises `HarnessError`."""

import json
import re
import signal
import subprocess
import time
from pathlib import Path
from subprocess import CompletedProcess

import compare
from emulation import STICK, HarnessError, Machine, kill
from material import NEXT, PROJECT

DIGITKIT = "$HOME/.local/bin/digitkit"
INSTALLED = "home/pi/.local/share/digitkit"


def require(condition: object, message: str, result: CompletedProcess[str] | None = None) -> None:
    """Fail with a message, and the output of a command, unless a condition holds."""
    if not condition:
        if result is not None:
            output = (result.stdout + result.stderr).strip()[-1500:]
            message += f"\n{output}\n(exit code {result.returncode})"
        raise HarnessError(message)


def run(machine: Machine, command: str, **options: str) -> CompletedProcess[str]:
    """Run a command that must succeed."""
    result = machine.run(command, **options)
    require(result.returncode == 0, f"it fails: {command}", result)
    return result


def needed_mb(bundle: Path, python: str) -> int:
    """The size of an installation according to the bundle, MiB."""
    sizes = re.findall(rf"^kilobytes_{python}=(\d+)$", (bundle / "bundle.conf").read_text(), re.M)
    require(sizes, f"bundle.conf has no size of the packages for Python {python}")
    return int(sizes[0]) // 1024


def _list_versions(machine: Machine) -> list[str]:
    """The folders of versions on the disk."""
    return sorted(path.name for path in (machine.disk / INSTALLED).glob("versions/*"))


def _require_working(machine: Machine) -> str:
    """Fail unless the installed digitkit reads a sample; returns its version."""
    result = run(machine, f"{DIGITKIT} infer {STICK}/first/sample/page.jpg --format jsonl")
    require(json.loads(result.stdout)["text"], "digitkit does not read", result)
    return run(machine, f"{DIGITKIT} --version").stdout.split()[-1]


def offline(machine: Machine, python: str) -> str:
    """The machine is a 64-bit Arm with its Debian's Python and has no network."""
    code = (
        "import platform, socket; print(platform.architecture()[0], platform.python_version())\n"
        'try: socket.create_connection(("192.0.2.1", 80), 5)\n'
        "except OSError as error: print(error.errno)"
    )
    result = run(machine, f"uname -m; python3 -c '{code}'")
    expected = rf"aarch64\n64bit {python}\.\d+\n101\n"  # ENETUNREACH
    require(re.fullmatch(expected, result.stdout), "another machine, or a network", result)
    return result.stdout.replace("\n", " ").strip()


def install(machine: Machine, bundle: str) -> str:
    """A fresh installation by a user, with a Python that has no ensurepip."""
    run(machine, f"{bundle}/install.sh")
    require(len(_list_versions(machine)) == 1, f"versions are {_list_versions(machine)}")
    return f"digitkit {_require_working(machine)}"


def same_results(machine: Machine, cpu: str, measured: Path) -> str:
    """Pixels, probabilities and readings are those of x86-64, within the bounds of `compare`."""
    python = f"$(dirname $(readlink -f {DIGITKIT}))/python"
    command = f"{python} {STICK}/compare.py measured.npz {STICK}/images"
    result = run(machine, command, cpu=cpu)
    # ONNX Runtime's warning if it cannot detect the processor's features.
    require("cpuinfo" not in result.stderr, "ONNX Runtime does not know the processor", result)
    there = machine.disk / "home/pi/measured.npz"
    violations, summary = compare.find_differences(measured, there)
    require(not violations, "; ".join(violations))
    return summary


def doctor(machine: Machine, cpu: str) -> str:
    """`digitkit doctor` finds no problem, although there is no camera."""
    result = run(machine, f"{DIGITKIT} doctor", cpu=cpu)
    # Only a Cortex-A76 has UDOT and SDOT, which int8 kernels are chosen by.
    info = run(machine, "grep -m1 Features /proc/cpuinfo", cpu=cpu)
    require(("asimddp" in info.stdout) == (cpu == "cortex-a76"), "wrong instructions", info)
    return result.stdout.strip().splitlines()[-1]


def documented_commands(machine: Machine, bundle: str) -> str:
    """The commands of docs/raspberry-pi.md that a board without a camera can run, verbatim."""
    text = (PROJECT / "docs/raspberry-pi.md").read_text("utf-8")
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
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
        result = machine.run(f"cd {bundle} && {path} {command} </dev/null")
        crashed = "Traceback" in result.stderr or result.returncode == 124
        require(not crashed, f"{line}: crashes", result)
        require(camera or result.returncode == 0, f"{line}: fails", result)
    return f"{len(lines)} lines"


def _start_halfway(machine: Machine, bundle: str) -> subprocess.Popen[str]:
    """Start an install.sh and wait until it unpacks packages into a new version."""
    pattern = "versions/*/venv/lib/python3*/site-packages/numpy"
    before = set((machine.disk / INSTALLED).glob(pattern))
    process = machine.start(f"exec {bundle}/install.sh")
    deadline = time.monotonic() + 900
    while not set((machine.disk / INSTALLED).glob(pattern)) - before:
        require(process.poll() is None, "install.sh ended early")
        require(time.monotonic() < deadline, "install.sh does not get to its packages")
        time.sleep(0.1)
    return process


def fills_up(machine: Machine, bundle: str) -> str:
    """A disk that becomes full halfway is reported, and nothing incomplete stays."""
    process = _start_halfway(machine, bundle)
    machine.run_outside("cat /dev/zero > home/pi/filler 2>/dev/null || true")
    out, err = process.communicate(timeout=900)
    result = CompletedProcess(process.args, process.returncode, out, err)
    require(process.returncode == 1 and "full" in err, "not reported", result)
    require(not _list_versions(machine), f"left behind: {_list_versions(machine)}", result)
    link = machine.disk / "home/pi/.local/bin/digitkit"
    require(not link.is_symlink(), "a link is left", result)
    return err.strip()


def interrupted(machine: Machine, bundle: str, how: signal.Signals) -> str:
    """An upgrade that is interrupted halfway leaves the earlier version working."""
    before, versions = _require_working(machine), _list_versions(machine)
    process = _start_halfway(machine, bundle)
    kill(process, how)
    process.communicate(timeout=300)
    require(_require_working(machine) == before, f"it is not {before} any more")
    left = _list_versions(machine)
    # After SIGKILL the next install.sh removes what is left.
    require(left == versions or how == signal.SIGKILL, f"left behind: {left}")
    return f"{before} works; incomplete: {len(left) - len(versions)}"


def upgrade(machine: Machine, bundle: str) -> str:
    """An upgrade replaces what was there before; uninstall.sh leaves nothing."""
    run(machine, f"{bundle}/install.sh")
    require(_require_working(machine) == NEXT, f"it is not {NEXT}")
    require(len(_list_versions(machine)) == 1, f"versions are {_list_versions(machine)}")
    note = run(machine, f"{bundle}/uninstall.sh --yes").stdout.strip()
    left = machine.run("find .local/bin .local/share/digitkit 2>/dev/null | grep digitkit").stdout
    require(not left, f"left behind: {left}")
    return note


_RUN_SERVICE = """
log=$(mktemp); {command} 2>$log & pid=$!
for _ in $(seq 300); do [ -s $log ] && break; sleep 1; done
sleep 5
kill -TERM $pid; wait $pid; code=$?; cat $log >&2; exit $code
"""


def system_wide(machine: Machine, bundle: str) -> str:
    """--system installs for all users, with settings and a unit; uninstall.sh removes all of it."""
    run(machine, f"{bundle}/install.sh --system", user="root")
    settings, unit = "etc/digitkit.toml", "etc/systemd/system/digitkit.service"
    require((machine.disk / settings).is_file(), f"/{settings} is missing")
    command = re.findall(r"^ExecStart=(.*)$", (machine.disk / unit).read_text(), re.MULTILINE)[0]
    # As the service runs it: as another user, waiting for a camera, stopped by systemd.
    service = run(machine, _RUN_SERVICE.format(command=command).strip())
    require("camera" in service.stderr, "the service does not wait", service)
    run(machine, f"digitkit infer {STICK}/first/sample/page.jpg", user="pi")
    run(machine, f"{bundle}/uninstall.sh --system --yes --purge", user="root")
    for name in (settings, unit, "opt/digitkit", "usr/local/bin/digitkit"):
        path = machine.disk / name
        require(not (path.exists() or path.is_symlink()), f"/{name} is left")
    return service.stderr.strip().splitlines()[0]
