from dataclasses import replace

import pytest
from support.reports import CALM, MACHINE, UNKNOWN, UNKNOWN_MACHINE, make_variant

from digitkit.benchmark.validity import descheduled_fraction, find_problems, judge, warnings_before
from digitkit.system.conditions import Conditions


def moment(**changes) -> Conditions:
    return replace(UNKNOWN, **changes)


def test_warnings():
    at_the_limits = moment(governor="ondemand", temperature_c=75.0, throttled=0x50000, load_1m=2.0)
    assert warnings_before(MACHINE, at_the_limits) == []
    assert warnings_before(UNKNOWN_MACHINE, moment()) == []
    bad = moment(governor="performance/powersave", temperature_c=75.6, throttled=0x5, load_1m=2.1)
    words = ("powersave", "2.1", "under-voltage now, throttled now: use a better power", "76 °C")
    for line, word in zip(warnings_before(MACHINE, bad), words, strict=True):
        assert word in line
    (throttled,) = warnings_before(MACHINE, moment(throttled=0x8))
    assert "cool" in throttled


@pytest.mark.parametrize(
    ("before", "after", "flags"),
    [
        (0, 0, []),
        (None, None, []),
        (0x50000, 0x50000, []),  # before the run
        (None, 0x50000, []),  # perhaps
        (0, 0x50000, ["under-voltage", "throttled"]),
        (0x10000, 0x50000, ["throttled"]),
        (0, 0x50005, ["under-voltage", "throttled"]),
        (0x80000, 0x80008, ["soft temperature limit"]),
        (0x20002, 0x20000, ["frequency capped"]),  # at its beginning
        (None, 0x2, ["frequency capped"]),
        (0x5, None, []),
    ],
)
def test_throttling_makes_a_run_invalid(before, after, flags):
    findings = judge(MACHINE, moment(throttled=before), moment(throttled=after))
    assert [finding.flag for finding in findings] == flags
    assert all(finding.invalidates for finding in findings)


@pytest.mark.parametrize(
    ("others", "total", "load", "kinds"),
    [
        (4, 40, None, []),
        (10, 40, None, ["other_load"]),
        (10, 40, 9, ["other_load"]),
        (0, 40, 9, []),  # what was busy before has ended
        # Too short to tell, so that only the load is left.
        *((0.1, 0.4, load, []) for load in (None, 2.0)),
        (0.1, 0.4, 2.1, ["busy_at_start"]),
    ],
)
def test_other_programs_make_a_run_noisy(others, total, load, kinds):
    before = moment(cpu_seconds=(100.0, 1000.0), load_1m=load)
    after = moment(cpu_seconds=(100 + others, 1000 + total), load_1m=4.0)
    assert [finding.kind for finding in judge(MACHINE, before, after)] == kinds


def test_processes_that_are_delayed_or_disagree():
    """Those that are all delayed alike agree with each other, and are slow: CPU time tells."""
    slow = make_variant(us=30.0, cpu_s_per_1000_images=0.01)
    assert descheduled_fraction(slow) == pytest.approx(2 / 3)
    assert descheduled_fraction(replace(slow, threads=2)) is None
    assert descheduled_fraction(replace(slow, cpu_s_per_1000_images=1e9)) == 0.0
    (finding,) = find_problems(MACHINE, CALM, CALM, [slow, make_variant("b")], 1)
    assert (finding.kind, finding.variant) == ("descheduled", slow.name)
    assert not finding.invalidates
    wild = make_variant(medians=[20.0, 30.0, 40.0])
    (finding,) = find_problems(MACHINE, CALM, CALM, [wild, make_variant("b")], 0.6)
    assert (finding.kind, finding.variant, finding.limit) == ("spread", wild.name, 0.6)
    assert (finding.value, finding.invalidates) == (pytest.approx(2 / 3), True)
    assert find_problems(MACHINE, CALM, CALM, [wild], 0.7) == ()
    assert find_problems(MACHINE, CALM, CALM, [], 0.1) == ()
