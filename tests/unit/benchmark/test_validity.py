"""What makes a measurement invalid or noisy."""

from __future__ import annotations

import dataclasses

import pytest
from support.machines import CAPTURED, no_conditions

from digitkit.benchmark.validity import frequency_fall, judge, others_share, warnings_before
from digitkit.system.machine import Machine, read_machine


@pytest.fixture
def pi() -> Machine:
    return dataclasses.replace(read_machine(CAPTURED / "pi4"), usable_cores=4)


def test_warnings(pi):
    fine = no_conditions(
        governor="ondemand", temperature_c=75.0, throttled=0x50000, load_1m=2.0, frequencies_mhz=()
    )
    assert warnings_before(pi, fine) == []  # each at its bound
    bad = no_conditions(
        governor="performance/powersave", temperature_c=75.6, throttled=0x5, load_1m=2.1
    )
    power, busy, throttled, hot = warnings_before(pi, bad)
    assert "echo performance | sudo tee /sys/" in power
    assert busy.startswith("the machine is busy (load 2.1, usable cores: 4)")
    assert throttled.startswith(
        "the board reports under-voltage now, throttled now: a better power"
    )
    assert hot.startswith("the processor is at 76 °C")
    (throttled,) = warnings_before(pi, no_conditions(throttled=0x8))
    assert throttled == "the board reports soft temperature limit now: let it cool down"


@pytest.mark.parametrize(
    ("before", "after", "reasons"),
    [
        (0, 0, []),
        (None, None, []),
        (0x50000, 0x50000, []),  # an old story
        (None, 0x50000, []),  # perhaps
        (0, 0x50000, ["under-voltage", "throttled"]),
        (0x10000, 0x50000, ["throttled"]),
        (0, 0x50005, ["under-voltage", "throttled"]),
        (0x80000, 0x80008, ["soft temperature limit"]),
        (0x20002, 0x20000, ["frequency capped"]),  # it began so
        (None, 0x2, ["frequency capped"]),
        (0x5, None, []),
    ],
)
def test_throttling_makes_a_run_invalid(pi, before, after, reasons):
    moments = no_conditions(throttled=before), no_conditions(throttled=after)
    expected = [f"{reason} during the run" for reason in reasons]
    assert judge(pi, *moments) == (expected, [])


def test_a_falling_clock_makes_a_run_invalid(pi):
    assert frequency_fall([], [600.0]) == 0
    assert frequency_fall([600.0], []) == 0
    assert frequency_fall([600.0], [1800.0]) == 0
    assert frequency_fall([2000.0] * 4, [2000.0, 1500.0, 1500.0, 1500.0]) == 0.25

    def judged(first, last):
        return judge(pi, no_conditions(), no_conditions(), first, last)

    assert judged([1000.0], [951.0]) == ([], [])
    assert judged([1800.0] * 4, [1500.0] * 4) == (
        ["the clock fell by 17% during the run, from 1800 to 1500 MHz"],
        [],
    )
    # One core of four that is idle at the end does not count.
    assert judged([1800.0] * 4, [1800.0, 1800.0, 1800.0, 600.0]) == ([], [])


def test_others_make_a_run_noisy(pi):
    def judged(others: float, total: float, load: float | None = None):
        before = no_conditions(cpu_seconds=(100.0, 1000.0), load_1m=load)
        return judge(pi, before, no_conditions(cpu_seconds=(100 + others, 1000 + total)))[1]

    assert judged(4, 40) == []
    assert judged(10, 40) == ["other processes used 25% of the CPU time during the run"]
    assert judged(10, 40, load=9) == judged(10, 40)
    assert judged(0, 40, load=9) == []  # what was busy before has ended
    # Too short to tell, so that only the load is left.
    assert judged(0.1, 0.4) == []
    assert judged(0.1, 0.4, load=2.1) == ["the machine was busy when the run began (load 2.1)"]
    assert judge(pi, no_conditions(load_1m=2.0), no_conditions(load_1m=4.0)) == ([], [])


def test_the_time_that_others_used(pi):
    before, after = (
        no_conditions(cpu_seconds=(101.0, 310.0)),
        no_conditions(cpu_seconds=(105.0, 350.0)),
    )
    assert others_share(before, after) == 0.1
    assert others_share(before, no_conditions()) is None
    assert others_share(no_conditions(), after) is None


def test_a_machine_that_reports_nothing_is_not_judged(tmp_path):
    machine = read_machine(tmp_path)
    assert warnings_before(machine, no_conditions()) == []
    assert judge(machine, no_conditions(), no_conditions()) == ([], [])
