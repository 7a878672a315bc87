"""Installs a bundle in emulated arm64 Debian, reads with it, compares, and interrupts upgrades.

``make test-arm64``; ``ARM64_QUICK=1`` takes one Debian and one processor. It requires, next to the
development environment, Linux 5.11 or newer, apt, root (or subordinate user ids), and ``apt-get
install qemu-user-static`` (see `emulation` and `roots`). Each check prints a line. The seconds say
nothing about a Pi. What does not depend on arm64 is tested in tests/device and tests/slow.

Processors are emulated, not boards: no camera, no service manager, no throttling; and qemu's
Cortex-A53 and A72 have AES and SHA instructions, which the Pi 3 and Pi 4 lack.
"""

import argparse
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import checks
import compare
from emulation import CPUS, HarnessError, Machine
from material import Material, make_material
from roots import BUILD, SUITES, make_root

failures: list[str] = []
"""The names of the checks that have failed."""


def check(name: str, test: Callable[..., str], *arguments: object) -> bool:
    """Run ``test(*arguments)`` and print the note that it returns; returns whether it passed."""
    begun, mark = time.monotonic(), "ok  "
    try:
        note = test(*arguments)
    except Exception as error:
        note = str(error) if isinstance(error, HarnessError) else traceback.format_exc()
        mark = "FAIL"
        failures.append(name)
    print(f"{mark} {name} ({time.monotonic() - begun:.0f} s here): {note}", flush=True)
    return mark != "FAIL"


def check_installation(suite: str, cpus: list[str], material: Material) -> None:
    """Install, read on each processor, then upgrade."""
    python = SUITES[suite]
    with Machine(BUILD / suite) as machine:
        # As on a system without python3-venv.
        machine.run_outside(f"mount -t tmpfs -o ro hidden usr/lib/python{python}/ensurepip")
        check(f"{suite}: arm64, offline", checks.offline, machine, python)
        bundle = machine.put(material.first)
        if not check(f"{suite}: install.sh", checks.install, machine, bundle):
            return
        machine.put(material.images)
        machine.put(Path(compare.__file__))
        for cpu in cpus:
            name = f"{suite}: {cpu} ({CPUS[cpu]})"
            check(f"{name}: results", checks.same_results, machine, cpu, material.measured)
            check(f"{name}: doctor", checks.doctor, machine, cpu)
        check(f"{suite}: docs/raspberry-pi.md", checks.documented_commands, machine, bundle)
        bundle = machine.put(material.next)
        for how in (signal.SIGTERM, signal.SIGKILL):
            check(f"{suite}: upgrade, {how.name}", checks.interrupted, machine, bundle, how)
        check(f"{suite}: upgrade, uninstall.sh", checks.upgrade, machine, bundle)


def check_system_and_space(suite: str, material: Material) -> None:
    """The system-wide installation, and a disk that fills up."""
    first = material.first
    with Machine(BUILD / suite) as machine:
        check(f"{suite}: --system", checks.system_wide, machine, machine.put(first))
    home_mb = checks.needed_mb(first, SUITES[suite]) * 21 // 20 + 20
    with Machine(BUILD / suite, home_mb=home_mb) as machine:
        check(f"{suite}: disk fills up", checks.fills_up, machine, machine.put(first))


def main() -> int:
    """Run all checks; 1 if one fails."""
    quick = os.environ.get("ARM64_QUICK", "0") not in ("", "0")
    parser = argparse.ArgumentParser(description="test a bundle in emulated arm64 Debian")
    parser.add_argument("--bundle", type=Path, help="built from the checkout by default")
    parser.add_argument("--suite", action="append", choices=SUITES)
    parser.add_argument("--cpu", action="append", choices=CPUS)
    arguments = parser.parse_args()
    suites = arguments.suite or (["bookworm"] if quick else list(SUITES))
    cpus = arguments.cpu or (["cortex-a72"] if quick else list(CPUS))
    begun = time.monotonic()
    for stale in BUILD.glob(".machine-*"):  # of a run that was killed
        shutil.rmtree(stale, ignore_errors=True)
    for suite in suites:
        make_root(suite)
    material = make_material(arguments.bundle, [SUITES[suite] for suite in suites])
    print("The seconds are those of this machine, emulating; they say nothing about a Pi.")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = []
        for suite in suites:
            jobs.append(pool.submit(check_installation, suite, cpus, material))
            jobs.append(pool.submit(check_system_and_space, suite, material))
        for job in jobs:
            job.result()
    minutes = (time.monotonic() - begun) / 60
    print(f"checks failed: {', '.join(failures) or 'none'}; {minutes:.1f} minutes here")
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except HarnessError as error:
        sys.exit(f"test-arm64: {error}")
