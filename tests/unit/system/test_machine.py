"""What machines are, and the conditions that they are in."""

import dataclasses
import os
import shutil
from pathlib import Path

import pytest
from support.machines import CAPTURED, CPUS, NO_FIRMWARE, Firmware, no_conditions, write

from digitkit.system.conditions import Conditions, read_conditions, read_frequencies, throttle_words
from digitkit.system.machine import cpu_name, read_machine, usable_cores
from digitkit.system.processes import run_command


@pytest.fixture
def four_cores(monkeypatch):
    """Four usable cores and a known load, whatever this machine has."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.25, 0.5, 0.75), raising=False)


@pytest.fixture
def captured(tmp_path, four_cores):
    """Copies a captured tree; each core gets its policy's clock, as on the real machines."""

    def copy(name: str) -> Path:
        root = shutil.copytree(CAPTURED / name, tmp_path / name)
        if (root / CPUS).exists():
            for cpu in range(4):
                shutil.copytree(root / CPUS / "cpufreq/policy0", root / CPUS / f"cpu{cpu}/cpufreq")
        return root

    return copy


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
@pytest.mark.parametrize("garbage", [b"", b"\0\xff\xfe\1" * 99, b"no number\n", b"nan", b"9e+99"])
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
    # Version 1. In a container the path is the host's, and the container's own files are on top.
    group = groups / "cpu"
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


def test_conditions_of_a_pi(captured):
    answers = {"measure_clock": "frequency(0)=1500019456\n", "get_throttled": "throttled=0x50005\n"}
    firmware = Firmware(**answers)
    conditions = read_conditions(captured("pi5"), firmware)
    assert conditions.frequencies_mhz == (1500.019456,)  # not the 2400 that the kernel requested
    assert (conditions.governor, conditions.temperature_c) == ("ondemand", 52.35)
    assert (conditions.throttled, conditions.load_1m) == (0x50005, 0.25)
    assert conditions.memory_available_mb == 7887
    assert firmware.asked == [("vcgencmd", "measure_clock", "arm"), ("vcgencmd", "get_throttled")]


def test_conditions_of_a_server(captured, monkeypatch):
    firmware, root = Firmware(get_throttled="throttled=0x0"), captured("server")
    conditions = read_conditions(root, firmware)
    assert firmware.asked == []  # a Pi's only
    assert conditions.frequencies_mhz == (2299.998, 2299.998)  # without cpufreq, from cpuinfo
    assert conditions.governor is conditions.temperature_c is conditions.throttled is None
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1})
    text = (root / "proc/cpuinfo").read_text()
    write(root / "proc/cpuinfo", text.replace("2299.998", "3100.5", 1))
    assert read_frequencies(root, NO_FIRMWARE) == (2299.998,)


@pytest.mark.parametrize("folder", ["soc/soc:firmware", "soc@107c000000/soc@107c000000:firmware"])
@pytest.mark.parametrize("answers", [{}, {"get_throttled": "error=1", "measure_clock": "error=1"}])
def test_throttling_without_vcgencmd(captured, folder, answers):
    root = captured("pi4")
    write(root / "sys/devices/platform" / folder / "get_throttled", "80008\n")
    conditions = read_conditions(root, Firmware(**answers))
    assert conditions.throttled == 0x80008
    assert conditions.frequencies_mhz == (1800.0,) * 4


@pytest.mark.parametrize(("script", "answer"), [
    ("echo throttled=0x0", "throttled=0x0\n"), ("sleep 60", None), (None, None),
    ("echo throttled=0x0; exit 1", None), (r"printf '\377'", "\ufffd"),
])  # fmt: skip
def test_commands(tmp_path, monkeypatch, script, answer):
    seconds = 0.3 if script == "sleep 60" else 30
    monkeypatch.setattr("digitkit.system.processes.COMMAND_SECONDS", seconds)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    if script:
        write(tmp_path / "vcgencmd-or-not", f"#!/bin/sh\nexec 2>/dev/null\n{script}\n")
        (tmp_path / "vcgencmd-or-not").chmod(0o755)
    assert run_command(("vcgencmd-or-not", "get_throttled")) == answer


def test_clocks_and_governors_of_usable_cores(captured, monkeypatch):
    root = captured("pi4")
    write(root / CPUS / "cpu2/cpufreq/scaling_cur_freq", "600000\n")
    write(root / CPUS / "cpu3/cpufreq/scaling_cur_freq", "<unknown>\n")
    write(root / CPUS / "cpu3/cpufreq/scaling_governor", "powersave\n")
    for cpus, clocks, governor in (
        ({0, 1, 2, 3}, (1800.0, 1800.0, 600.0), "ondemand/powersave"),
        ({1, 2}, (1800.0, 600.0), "ondemand"),
    ):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid, cpus=cpus: cpus)
        conditions = read_conditions(root, NO_FIRMWARE)
        assert (conditions.frequencies_mhz, conditions.governor) == (clocks, governor)


def test_temperatures(captured):
    root = captured("pi3")
    zones = root / "sys/class/thermal"

    def read_with_zone(number: int, kind: str, temperature: str) -> float | None:
        write(zones / f"thermal_zone{number}/type", kind)
        write(zones / f"thermal_zone{number}/temp", temperature)
        return read_conditions(root, NO_FIRMWARE).temperature_c

    assert read_with_zone(1, "gpu-thermal", "90000") == 51.54  # hotter, but not the CPU's
    assert read_with_zone(10, "x86_pkg_temp", "64000") == 64.0
    shutil.rmtree(zones)
    assert read_with_zone(0, "acpitz", "27800") == 27.8  # better than none
    assert read_with_zone(0, "acpitz", "-5000") == -5.0


@pytest.mark.parametrize(("bits", "flags"), [
    (0, []),
    (0x50005, ["under-voltage", "throttled"]),
    (0xA000A, ["frequency capped", "soft temperature limit"]),
])  # fmt: skip
def test_words_for_throttling(bits, flags):
    assert throttle_words(bits) == [f"{w} {when}" for when in ("now", "since boot") for w in flags]


def test_own_cpu_time_is_not_that_of_others(captured, monkeypatch):
    root, second = captured("server"), os.sysconf("SC_CLK_TCK")

    def read(user: int, idle: int, own: float, children: float) -> Conditions:
        times = (user, 1, 1, idle, 5, 1, 1, 1)  # 5 of waiting for a disk
        text = " ".join(str(seconds * second) for seconds in times)
        write(root / "proc/stat", f"cpu  {text} 7 7\ncpu0 1 2 3\n")
        monkeypatch.setattr(os, "times", lambda: (own, 0.5, children, 0.5, 1e6))
        return read_conditions(root, NO_FIRMWARE)

    assert read(100, 200, 1, 2).cpu_seconds == (105 - 4, 310)
    assert read(110, 230, 4, 5).cpu_seconds == (115 - 10, 350)
