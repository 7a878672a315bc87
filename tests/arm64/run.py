"""Installs a bundle in emulated arm64 Debian, reads with it, compares, and breaks things.

``make test-arm64``; ``ARM64_QUICK=1`` takes one Debian and one processor. It requires, next to the
development environment, Linux 5.11 or newer, apt, root (or subordinate user ids), and ``apt-get
install qemu-user-static`` (see `emulation` and `roots`). Each check prints a line. The seconds say
nothing about a Pi.

Processors are emulated, not boards: no camera, no service manager, no throttling; and qemu's
Cortex-A53 and A72 have AES and SHA instructions, which the Pi 3 and Pi 4 lack.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import checks
import compare
import roots
from checks import UNPACKED, needed_mb, put_bundle
from emulation import CPUS, EmulationError, Machine
from material import MATERIAL, Material, make_bundles, make_images, make_reference
from report import CheckError, Report

INTERRUPTIONS = (
    ("packages", signal.SIGTERM),
    ("packages", signal.SIGKILL),
    ("self-test", signal.SIGKILL),
)


def check_installation(suite: str, cpus: list[str], material: Material, report: Report) -> None:
    """Install, read on each processor, then upgrade."""
    python = roots.SUITES[suite]
    root = roots.BUILD / suite
    installed = roots.BUILD / f"installed-{suite}"
    shutil.rmtree(installed, ignore_errors=True)
    bundles, reference = material.bundles, material.reference
    with Machine(root) as machine:
        # As on a system without python3-venv.
        machine.hide(f"/usr/lib/python{python}/ensurepip")
        report.check(f"{suite}: arm64, offline", checks.offline, machine, python)
        bundle = put_bundle(machine, bundles.first)
        if not report.check(f"{suite}: install.sh", checks.install, machine, bundle):
            return
        machine.put(material.images, f"{UNPACKED}/images")
        machine.put(Path(compare.__file__), f"{UNPACKED}/compare.py")
        for cpu in cpus:
            name = f"{suite}: {cpu} ({CPUS[cpu]})"
            report.check(f"{name}: instructions", checks.features, machine, cpu)
            report.check(f"{name}: readings", checks.same_readings, machine, cpu, reference)
            report.check(f"{name}: numbers", checks.same_numbers, machine, cpu, reference)
            report.check(f"{name}: doctor", checks.doctor, machine, cpu)
        name = f"{suite}: docs/raspberry-pi.md"
        report.check(name, checks.documented_commands, machine, bundle)
        report.check(f"{suite}: missing camera", checks.no_camera, machine)
        machine.copy_disk(installed)
    check_upgrades(suite, installed, material, report)
    shutil.rmtree(installed, ignore_errors=True)


def check_upgrades(suite: str, installed: Path, material: Material, report: Report) -> None:
    """Upgrades of what is installed: without space, broken, interrupted, and good."""
    bundles = material.bundles
    home_mb = needed_mb(bundles.first, roots.SUITES[suite]) + 60
    with Machine(installed, home_mb=home_mb) as machine:
        bundle = put_bundle(machine, bundles.next)
        report.check(f"{suite}: upgrade without space", checks.too_small, machine, bundle)
    with Machine(installed) as machine:
        bundle = put_bundle(machine, bundles.broken)
        name = f"{suite}: upgrade that fails its self-test"
        report.check(name, checks.broken_upgrade, machine, bundle)
        bundle = put_bundle(machine, bundles.next)
        for when, how in INTERRUPTIONS:
            name = f"{suite}: upgrade, {how.name} at its {when}"
            report.check(name, checks.interrupted, machine, bundle, when, how)
        report.check(f"{suite}: upgrade", checks.upgrade, machine, bundle)
        report.check(f"{suite}: the same again", checks.install_again, machine, bundle)
        report.check(f"{suite}: uninstall.sh", checks.uninstall, machine, bundle)


def check_failures(suite: str, material: Material, report: Report) -> None:
    """Where install.sh has to refuse, or to stop; and the system-wide installation."""
    root, bundles = roots.BUILD / suite, material.bundles
    with Machine(root) as machine:
        bundle = put_bundle(machine, bundles.damaged)
        report.check(f"{suite}: damaged wheel", checks.damaged, machine, bundle)
        bundle = put_bundle(machine, bundles.first)
        report.check(f"{suite}: read-only home", checks.read_only, machine, bundle)
        report.check(f"{suite}: --system", checks.system_wide, machine, bundle)
    with Machine(root, home_mb=60) as machine:
        bundle = put_bundle(machine, bundles.first)
        report.check(f"{suite}: no space", checks.too_small, machine, bundle)
    size = needed_mb(bundles.first, roots.SUITES[suite])
    with Machine(root, home_mb=size * 21 // 20 + 20) as machine:
        bundle = put_bundle(machine, bundles.first)
        report.check(f"{suite}: disk fills up", checks.fills_up, machine, bundle)


def main() -> int:
    """Run all checks; 1 if one fails."""
    quick = os.environ.get("ARM64_QUICK", "0") not in ("", "0")
    parser = argparse.ArgumentParser(description="test a bundle in emulated arm64 Debian")
    parser.add_argument("--bundle", type=Path, help="built from the checkout by default")
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
    bundles = make_bundles(arguments.bundle, [roots.SUITES[suite] for suite in suites])
    images = make_images()
    material = Material(bundles, images, make_reference(images))
    print("The seconds are those of this machine, emulating; they say nothing about a Pi.")
    with ThreadPoolExecutor(arguments.jobs) as pool:
        jobs = []
        for suite in suites:
            jobs.append(pool.submit(check_installation, suite, cpus, material, report))
            jobs.append(pool.submit(check_failures, suite, material, report))
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
