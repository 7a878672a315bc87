from __future__ import annotations

import os
import shutil

import pytest
from support.machines import CPUS, NO_FIRMWARE, Firmware, write

from digitkit.system.conditions import Conditions, read_conditions, read_frequencies, throttle_words
from digitkit.system.processes import run_command


def test_a_pi(captured):
    answers = {"measure_clock": "frequency(0)=1500019456\n", "get_throttled": "throttled=0x50005\n"}
    firmware = Firmware(**answers)
    conditions = read_conditions(captured("pi5"), firmware)
    assert conditions.frequencies_mhz == (1500.019456,)  # not the 2400 that the kernel requested
    assert (conditions.governor, conditions.temperature_c) == ("ondemand", 52.35)
    assert (conditions.throttled, conditions.load_1m) == (0x50005, 0.25)
    assert conditions.memory_available_mb == 7887
    assert firmware.asked == [("vcgencmd", "measure_clock", "arm"), ("vcgencmd", "get_throttled")]


def test_a_server(captured, monkeypatch):
    firmware, root = Firmware(get_throttled="throttled=0x0"), captured("server")
    conditions = read_conditions(root, firmware)
    assert firmware.asked == []  # a Pi's only
    assert conditions.frequencies_mhz == (2299.998, 2299.998)  # without cpufreq, from cpuinfo
    assert (conditions.governor, conditions.temperature_c) == (None, None)
    assert conditions.throttled is None
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
