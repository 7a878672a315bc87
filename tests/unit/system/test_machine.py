from __future__ import annotations

import dataclasses
import os

import pytest
from support.machines import no_conditions, write

from digitkit.system.conditions import read_conditions
from digitkit.system.machine import cpu_name, read_machine, usable_cores

PIS = {
    "pi3": ("3 Model B Rev 1.2", "Cortex-A53", ("NEON",), 600, 1200, 949, "12 (bookworm)"),
    "pi4": ("4 Model B Rev 1.5", "Cortex-A72", ("NEON",), 600, 1800, 8192, "12 (bookworm)"),
    "pi5": (
        *("5 Model B Rev 1.0", "Cortex-A76", ("NEON", "dotprod", "fp16")),
        *(1500, 2400, 8454, "13 (trixie)"),
    ),
}


@pytest.mark.parametrize("name", PIS)
def test_raspberry_pis(captured, name):
    pi = read_machine(captured(name))
    board, os_name = pi.board.removeprefix("Raspberry Pi "), pi.os.removeprefix("Debian GNU/Linux ")
    clocks = (pi.frequency_min_mhz, pi.frequency_max_mhz)
    assert (board, pi.cpu, pi.features, *clocks, pi.memory_mb, os_name) == PIS[name]
    assert (pi.cores, pi.usable_cores, pi.cpu_quota) == (4, 4, None)
    assert pi.virtual is None  # Arm's flags do not contain it


def test_a_server(captured):
    machine = read_machine(captured("server"))
    assert (machine.board, machine.cpu) == (None, "Intel(R) Xeon(R) Processor")
    assert machine.features == ("AVX2", "FMA", "AVX512", "VNNI", "AVX-VNNI", "fp16", "bf16")
    assert (machine.cores, machine.memory_mb, machine.virtual) == (2, 25276, True)
    assert (machine.frequency_min_mhz, machine.cpu_quota) == (None, None)


@pytest.mark.parametrize(("vendor", "product", "board"), [
    ("Amazon", "t3.micro", "Amazon t3.micro"),
    ("To Be Filled By O.E.M.", "System Product Name", None),
])  # fmt: skip
def test_names_of_computers(tmp_path, vendor, product, board):
    write(tmp_path / "sys/class/dmi/id/sys_vendor", f"{vendor}\n")
    write(tmp_path / "sys/class/dmi/id/product_name", f"{product}\n")
    assert read_machine(tmp_path).board == board


@pytest.mark.parametrize(("cores", "name"), [
    (["0x41 0xd05", "0x41 0xd05", "0x41 0xd0b"], "Cortex-A55 + Cortex-A76"),
    (["0x41 0xd05"], "Cortex-A55"),
    (["0x41 0xfff"], "implementer 0x41 part 0xfff"),
    (["0x51 0xd03"], "implementer 0x51 part 0xd03"),  # another maker's numbers
])  # fmt: skip
def test_arm_cores(tmp_path, cores, name):
    cpus = ("CPU implementer\t: {}\nCPU part\t: {}\n".format(*core.split()) for core in cores)
    write(tmp_path / "proc/cpuinfo", "model name\t: ARMv8 rev 4 (v8l)\n" + "\n".join(cpus))
    assert cpu_name(tmp_path) == name


@pytest.mark.parametrize(("line", "virtual", "features"), [
    ("Features\t: asimd asimddp sve sve2 i8mm", None, "NEON dotprod i8mm SVE SVE2"),
    ("Features\t: half thumb neon vfpv4", None, "NEON"),
    ("flags\t\t: sse2 avx amx_bf16 amx_int8 avx2x", False, "AMX"),
])  # fmt: skip
def test_features(tmp_path, line, virtual, features):
    write(tmp_path / "proc/cpuinfo", f"{line}\n")
    machine = read_machine(tmp_path)
    assert (machine.virtual, " ".join(machine.features)) == (virtual, features)


def test_a_system_that_provides_nothing(tmp_path, monkeypatch):
    machine = read_machine(tmp_path)
    assert machine.cpu
    assert machine.cores >= 1
    assert (machine.board, machine.features, machine.cpu_quota) == (None, (), None)
    assert (machine.memory_mb, machine.frequency_max_mhz, machine.virtual) == (None, None, None)
    for name in ("sched_getaffinity", "getloadavg"):  # on Linux only
        monkeypatch.delattr(os, name, raising=False)
    assert read_conditions(tmp_path) == no_conditions()
    assert usable_cores() == os.cpu_count()


@pytest.mark.parametrize("name", ["pi5", "server"])
@pytest.mark.parametrize(
    "garbage", [b"", b"\0\xff\xfe\1" * 99, b"not a number\n", b"nan", b"9e+99"]
)
def test_garbage_in_files(captured, name, garbage):
    root = captured(name)
    for path in root.rglob("*"):
        if path.is_file():
            path.write_bytes(garbage)
    write(root / "sys/devices/platform/soc/soc:firmware/get_throttled", garbage)
    machine, conditions = read_machine(root), read_conditions(root, lambda command: None)
    assert (machine.features, machine.memory_mb, machine.cpu_quota) == ((), None, None)
    assert (machine.frequency_min_mhz, machine.frequency_max_mhz) == (None, None)
    assert conditions.governor in (None, "nan")  # which may be a governor's name
    assert dataclasses.replace(conditions, governor=None) == no_conditions(load_1m=0.25)


def test_folders_in_place_of_files(tmp_path, four_cores):
    for path in ("proc/cpuinfo", "proc/stat", "etc/os-release", "proc/device-tree/model"):
        (tmp_path / path).mkdir(parents=True)
    assert read_machine(tmp_path).board is None
    assert read_conditions(tmp_path) == no_conditions(load_1m=0.25)


def test_control_groups(tmp_path):
    groups = tmp_path / "sys/fs/cgroup"
    write(tmp_path / "proc/self/cgroup", "0::/a.slice/b.scope\n")
    for path, limit, quota in (
        ("a.slice/b.scope", "max 100000", None),
        ("a.slice", "150000 100000", 1.5),  # a parent's limit counts
        ("a.slice/b.scope", "50000 100000", 0.5),
    ):
        write(groups / path / "cpu.max", f"{limit}\n")
        assert read_machine(tmp_path).cpu_quota == quota


def test_control_groups_of_version_1(tmp_path):
    group = tmp_path / "sys/fs/cgroup/cpu"
    # In a container the path is the host's, and the container's own files are on top.
    write(tmp_path / "proc/self/cgroup", "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n")
    write(group / "cpu.cfs_period_us", "100000\n")
    for limit, quota in (("250000", 2.5), ("-1", None)):
        write(group / "cpu.cfs_quota_us", f"{limit}\n")
        assert read_machine(tmp_path).cpu_quota == quota


def test_this_machine():
    machine, conditions = read_machine(), read_conditions()
    assert machine.cpu == cpu_name()
    assert machine.bits in (32, 64)
    assert machine.kernel
    assert all(mhz > 1 for mhz in conditions.frequencies_mhz)
