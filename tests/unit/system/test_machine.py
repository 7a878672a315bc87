from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.machines import CAPTURED, NO_FIRMWARE, Firmware, write

from digitkit.system.conditions import Conditions, read_conditions, read_frequencies, throttle_words
from digitkit.system.machine import cpu_name, read_machine, usable_cores
from digitkit.system.processes import run_command

CPUS = Path("sys/devices/system/cpu")
ZONES = Path("sys/class/thermal")


@pytest.fixture(autouse=True)
def four_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.25, 0.5, 0.75), raising=False)


@pytest.fixture
def captured(tmp_path):
    """A copy of a captured tree; each core's clock is its policy's, as on the real ones."""

    def copy(name: str) -> Path:
        root = tmp_path / name
        shutil.copytree(CAPTURED / name, root)
        if (root / CPUS).exists():
            for number in range(4):
                (root / CPUS / f"cpu{number}").mkdir()
                link = root / CPUS / f"cpu{number}/cpufreq"
                shutil.copytree(root / CPUS / "cpufreq/policy0", link)
        return root

    return copy


def moment(**changes) -> Conditions:
    nothing = {field.name: None for field in dataclasses.fields(Conditions)}
    return Conditions(**{**nothing, "frequencies_mhz": (), **changes})


@pytest.mark.parametrize(
    ("name", "board", "cpu", "features", "clocks", "memory", "system"),
    [
        (
            *("pi3", "Raspberry Pi 3 Model B Rev 1.2", "Cortex-A53", ("NEON",), (600, 1200)),
            *(949, "Debian GNU/Linux 12 (bookworm)"),
        ),
        (
            *("pi4", "Raspberry Pi 4 Model B Rev 1.5", "Cortex-A72", ("NEON",), (600, 1800)),
            *(8192, "Debian GNU/Linux 12 (bookworm)"),
        ),
        (
            *("pi5", "Raspberry Pi 5 Model B Rev 1.0", "Cortex-A76"),
            *(("NEON", "dotprod", "fp16"), (1500, 2400), 8454, "Debian GNU/Linux 13 (trixie)"),
        ),
    ],
)
def test_raspberry_pis(captured, name, board, cpu, features, clocks, memory, system):
    found = read_machine(captured(name))
    assert (found.board, found.cpu, found.features) == (board, cpu, features)
    assert (found.frequency_min_mhz, found.frequency_max_mhz) == clocks
    assert (found.memory_mb, found.os) == (memory, system)
    assert (found.cores, found.usable_cores) == (4, 4)
    assert found.cpu_quota is None
    assert found.virtual is None  # Arm's flags do not tell


def test_a_server(captured):
    root = captured("server")
    found = read_machine(root)
    assert found.board is None
    assert found.cpu == "Intel(R) Xeon(R) Processor"
    assert found.features == ("AVX2", "FMA", "AVX512", "VNNI", "AVX-VNNI", "fp16", "bf16")
    assert (found.cores, found.memory_mb) == (2, 25276)
    assert (found.frequency_min_mhz, found.cpu_quota) == (None, None)
    assert found.virtual is True
    now = read_conditions(root, NO_FIRMWARE)
    assert now.frequencies_mhz == (2299.998, 2299.998)  # cpufreq is missing, cpuinfo has them
    assert (now.governor, now.temperature_c, now.throttled) == (None, None, None)


def test_names_of_computers(tmp_path):
    dmi = tmp_path / "sys/class/dmi/id"
    write(dmi / "sys_vendor", "Amazon EC2\n")
    write(dmi / "product_name", "t3.micro\n")
    assert read_machine(tmp_path).board == "Amazon EC2 t3.micro"
    write(dmi / "sys_vendor", "To Be Filled By O.E.M.\n")
    write(dmi / "product_name", "System Product Name\n")
    assert read_machine(tmp_path).board is None


def test_arm_cores(tmp_path):
    def named(*cores: tuple[str, str], model: str = "") -> str:
        lines = [f"CPU implementer\t: {maker}\nCPU part\t: {part}\n" for maker, part in cores]
        write(tmp_path / "proc/cpuinfo", model + "\n".join(lines))
        return cpu_name(tmp_path)

    little, big = ("0x41", "0xd05"), ("0x41", "0xd0b")
    assert named(little, little, big, big) == "Cortex-A55 + Cortex-A76"
    assert named(little, model="model name\t: ARMv8 Processor rev 4 (v8l)\n") == "Cortex-A55"
    assert named(("0x41", "0xfff")) == "implementer 0x41 part 0xfff"
    assert named(("0x51", "0xd03")) == "implementer 0x51 part 0xd03"  # another maker's numbers


def test_the_features_of_other_cores(tmp_path):
    write(tmp_path / "proc/cpuinfo", "Features\t: asimd asimddp sve sve2 i8mm bf16\n")
    assert read_machine(tmp_path).features == ("NEON", "dotprod", "i8mm", "bf16", "SVE", "SVE2")
    write(tmp_path / "proc/cpuinfo", "Features\t: half thumb neon vfpv4\n")
    assert read_machine(tmp_path).features == ("NEON",)
    write(tmp_path / "proc/cpuinfo", "flags\t\t: sse2 avx amx_bf16 amx_int8 avx2x\n")
    found = read_machine(tmp_path)
    assert (found.features, found.virtual) == (("AMX",), False)


def test_a_machine_that_tells_nothing(tmp_path):
    found = read_machine(tmp_path)
    assert found.cpu
    assert found.cores >= 1
    assert (found.board, found.features, found.cpu_quota) == (None, (), None)
    assert (found.memory_mb, found.frequency_max_mhz, found.virtual) == (None, None, None)
    now = read_conditions(tmp_path, NO_FIRMWARE)
    assert now == moment(load_1m=0.25)


def test_without_what_only_linux_has(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.delattr(os, "getloadavg")
    assert read_conditions(tmp_path, NO_FIRMWARE) == moment()
    assert usable_cores() == os.cpu_count()


@pytest.mark.parametrize(
    "garbage", [b"", b"\0\xff\xfe\x01" * 99, b"not a number\n", b"nan", b"9e+99"]
)
@pytest.mark.parametrize("name", ["pi5", "server"])
def test_garbage_in_files(captured, name, garbage):
    root = captured(name)
    for path in root.rglob("*"):
        if path.is_file():
            path.write_bytes(garbage)
    write(root / "sys/devices/platform/soc/soc:firmware/get_throttled", garbage)
    found, now = read_machine(root), read_conditions(root, NO_FIRMWARE)
    assert (found.features, found.memory_mb, found.cpu_quota) == ((), None, None)
    assert (found.frequency_min_mhz, found.frequency_max_mhz) == (None, None)
    if garbage != b"nan":  # may be a governor's name
        assert now.governor is None
    assert dataclasses.replace(now, governor=None) == moment(load_1m=0.25)


def test_files_that_are_folders(tmp_path):
    for path in ("proc/cpuinfo", "proc/stat", "etc/os-release", "proc/device-tree/model"):
        (tmp_path / path).mkdir(parents=True)
    assert read_machine(tmp_path).board is None
    assert read_conditions(tmp_path, NO_FIRMWARE) == moment(load_1m=0.25)


def test_it_goes_into_json(captured):
    root = captured("pi5")
    both = (read_machine(root), read_conditions(root, NO_FIRMWARE))
    told = json.loads(json.dumps([dataclasses.asdict(one) for one in both]))
    assert told[0]["features"] == ["NEON", "dotprod", "fp16"]
    assert told[1]["frequencies_mhz"] == [2400.0] * 4


def test_control_groups(tmp_path):
    groups = tmp_path / "sys/fs/cgroup"
    write(tmp_path / "proc/self/cgroup", "0::/a.slice/b.scope\n")
    write(groups / "a.slice/b.scope/cpu.max", "max 100000\n")
    assert read_machine(tmp_path).cpu_quota is None
    write(groups / "a.slice/cpu.max", "150000 100000\n")  # what is above limits, too
    assert read_machine(tmp_path).cpu_quota == 1.5
    write(groups / "a.slice/b.scope/cpu.max", "50000 100000\n")
    assert read_machine(tmp_path).cpu_quota == 0.5


def test_control_groups_of_version_1(tmp_path):
    group = tmp_path / "sys/fs/cgroup/cpu"
    # In a container the host's path is told, and the container's own files are on top.
    write(tmp_path / "proc/self/cgroup", "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n")
    write(group / "cpu.cfs_quota_us", "250000\n")
    write(group / "cpu.cfs_period_us", "100000\n")
    assert read_machine(tmp_path).cpu_quota == 2.5
    write(group / "cpu.cfs_quota_us", "-1\n")
    assert read_machine(tmp_path).cpu_quota is None


def test_conditions_of_a_pi(captured):
    firmware = Firmware(
        measure_clock="frequency(0)=1500019456\n", get_throttled="throttled=0x50005\n"
    )
    now = read_conditions(captured("pi5"), firmware)
    assert now.frequencies_mhz == (1500.019456,)  # and not the 2400 that the kernel asked for
    assert (now.governor, now.temperature_c) == ("ondemand", 52.35)
    assert (now.throttled, now.load_1m, now.memory_available_mb) == (0x50005, 0.25, 7887)
    assert firmware.asked == [
        ("vcgencmd", "measure_clock", "arm"),
        ("vcgencmd", "get_throttled"),
    ]


def test_only_a_pis_firmware_is_asked(captured):
    firmware = Firmware(get_throttled="throttled=0x0")
    assert read_conditions(captured("server"), firmware).throttled is None
    assert firmware.asked == []


@pytest.mark.parametrize("folder", ["soc/soc:firmware", "soc@107c000000/soc@107c000000:firmware"])
@pytest.mark.parametrize(
    "firmware",
    [NO_FIRMWARE, Firmware(get_throttled="error=1 error_msg=x", measure_clock="error=1")],
)
def test_throttling_without_vcgencmd(captured, folder, firmware):
    root = captured("pi4")
    write(root / "sys/devices/platform" / folder / "get_throttled", "80008\n")
    now = read_conditions(root, firmware)
    assert now.throttled == 0x80008
    assert now.frequencies_mhz == (1800.0,) * 4


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        ("echo throttled=0x0", "throttled=0x0\n"),
        ("sleep 60", None),
        ("echo throttled=0x0; exit 1", None),
        (r"printf '\377'", "\ufffd"),
        (None, None),
    ],
)
def test_running_vcgencmd(tmp_path, monkeypatch, script, answer):
    monkeypatch.setattr(
        "digitkit.system.processes.COMMAND_SECONDS", 0.3 if script == "sleep 60" else 30
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    program = tmp_path / "vcgencmd-or-not"
    if script:
        program.write_text(f"#!/bin/sh\nexec 2>/dev/null\n{script}\n")
        program.chmod(0o755)
    assert run_command(("vcgencmd-or-not", "get_throttled")) == answer


def test_the_clocks_and_governors_of_usable_cores(captured, monkeypatch):
    root = captured("pi4")
    write(root / CPUS / "cpu2/cpufreq/scaling_cur_freq", "600000\n")
    write(root / CPUS / "cpu3/cpufreq/scaling_cur_freq", "<unknown>\n")
    write(root / CPUS / "cpu3/cpufreq/scaling_governor", "powersave\n")
    now = read_conditions(root, NO_FIRMWARE)
    assert now.frequencies_mhz == (1800.0, 1800.0, 600.0)
    assert now.governor == "ondemand/powersave"
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 2})
    now = read_conditions(root, NO_FIRMWARE)
    assert (now.frequencies_mhz, now.governor) == ((1800.0, 600.0), "ondemand")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1})
    server = captured("server")
    text = (server / "proc/cpuinfo").read_text()
    write(server / "proc/cpuinfo", text.replace("2299.998", "3100.5", 1))
    assert read_frequencies(server, NO_FIRMWARE) == (2299.998,)


def test_temperatures(captured):
    root = captured("pi3")

    def zone(number: int, kind: str, temperature: str) -> float | None:
        write(root / ZONES / f"thermal_zone{number}/type", kind)
        write(root / ZONES / f"thermal_zone{number}/temp", temperature)
        return read_conditions(root, NO_FIRMWARE).temperature_c

    assert zone(1, "gpu-thermal", "90000") == 51.54  # hotter, and no CPU
    assert zone(10, "x86_pkg_temp", "64000") == 64.0
    shutil.rmtree(root / ZONES)
    assert zone(0, "acpitz", "27800") == 27.8  # better than none
    assert zone(0, "acpitz", "-5000") == -5.0


def test_words_for_throttling():
    assert throttle_words(0) == []
    assert throttle_words(0x50005) == [
        *("under-voltage now", "throttled now"),
        *("under-voltage since boot", "throttled since boot"),
    ]
    assert throttle_words(0xA000A) == [
        *("frequency capped now", "soft temperature limit now"),
        *("frequency capped since boot", "soft temperature limit since boot"),
    ]


def test_own_work_is_not_that_of_others(captured, monkeypatch):
    root, second = captured("server"), os.sysconf("SC_CLK_TCK")

    def read(user: int, idle: int, own: float, children: float) -> Conditions:
        times = (user, 1, 1, idle, 5, 1, 1, 1)  # 5 of waiting for a disk
        text = " ".join(str(seconds * second) for seconds in times)
        write(root / "proc/stat", f"cpu  {text} 7 7\ncpu0 1 2 3\n")
        monkeypatch.setattr(os, "times", lambda: (own, 0.5, children, 0.5, 1e6))
        return read_conditions(root, NO_FIRMWARE)

    before, after = read(100, 200, 1, 2), read(110, 230, 4, 5)
    assert before.cpu_seconds == (105 - 4, 310)
    assert after.cpu_seconds == (115 - 10, 350)


def test_this_machine():
    found, now = read_machine(), read_conditions()
    assert found.cpu == cpu_name()
    assert found.bits in (32, 64)
    assert found.kernel
    assert all(mhz > 1 for mhz in now.frequencies_mhz)


def test_it_loads_nothing_heavy():
    code = (
        "import sys, digitkit.system.machine; "
        "print({'cv2', 'numpy', 'onnxruntime'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
