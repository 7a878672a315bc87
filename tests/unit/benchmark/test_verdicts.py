from __future__ import annotations

from dataclasses import replace

import pytest
from support import reports
from support.reports import BUSY, HOT, PROFILE, make_failed, make_report, make_variant

from digitkit.benchmark.findings import Finding
from digitkit.benchmark.report import ColdStart, Stages
from digitkit.benchmark.variants import Throughput
from digitkit.benchmark.verdicts import describe, general_faults, reasons, recommendations, verdicts

DISAGREE = Finding("spread", "digits-int8", 0.3, 0.15)


@pytest.mark.parametrize(
    ("finding", "words"),
    [
        (HOT, ["throttled"]),
        (DISAGREE, ["digits-int8: ", "30%", "15%"]),
        (Finding("frequency_fall", None, 0.25, 0.05, None, (2.4e3, 1.8e3)), ["25%", "1800 MHz"]),
        (BUSY, ["50%"]),
        (Finding("busy_at_start", value=2.1), ["2.1"]),
        (Finding("descheduled", "m", 0.2, 0.1), ["m: ", "20%"]),
    ],
)
def test_findings_in_words(finding, words):
    assert all(word in describe(finding) for word in words)


NO_CLOCK = make_variant(clocks=((), ()))
ONE_PROCESS = make_variant(clocks=((), ()), medians=[30.0])
# A virtual machine may report the same clock forever.
GUEST = {
    "machine": replace(reports.MACHINE, virtual=True),
    "before": replace(reports.CALM, governor=None),
}


@pytest.mark.parametrize(
    ("variant", "changes", "verdict"),
    [
        (make_variant(), {}, "the run is valid: no throttling, stable clock, processes agree"),
        (make_variant(), {"before": reports.UNKNOWN}, "is valid: stable clock, processes agree"),
        (make_variant(), GUEST, "the run is valid: no throttling, processes agree"),
        (NO_CLOCK, {"before": reports.UNKNOWN}, "the run is valid: processes agree"),
        (ONE_PROCESS, {"before": reports.UNKNOWN}, "this machine reports little"),
        (make_failed("a", "died"), {}, "nothing could be measured"),
        (make_variant(), {"findings": (BUSY,)}, "the run is valid, though noisy: "),
    ],
)
def test_a_verdict_claims_no_more_than_the_machine_reports(variant, changes, verdict):
    assert verdict in verdicts(make_report(variant, **changes))[-1]


def test_an_invalid_and_noisy_run():
    findings = (HOT, DISAGREE, BUSY)
    report = make_report(make_variant(), findings=findings, quick=True)
    lines = verdicts(report)
    assert [line.partition(":")[0] for line in lines[:3]] == ["INVALID", "INVALID", "noisy"]
    assert "quick" in lines[3]
    assert len(lines) == 4
    # What is wrong with a single variant is no fault of the whole run.
    assert general_faults(report) == [describe(HOT)]
    assert reasons(report, invalid=True, ignore={"digits-int8"}) == [describe(HOT)]


def test_the_sentences_of_an_older_report_are_shown_as_they_are():
    older = {"valid": False, "invalid": ("digits-int8: slow", "hot"), "noisy": ("busy",)}
    report = make_report(make_variant(), **older)
    assert verdicts(report) == ["INVALID: digits-int8: slow", "INVALID: hot", "noisy: busy"]
    assert general_faults(report) == ["digits-int8: slow", "hot"]


def test_what_could_not_be_measured():
    report = make_report(
        make_variant("m", throughput=(Throughput(2, None, "one died"),)),
        make_failed("a", "cannot be loaded"),
        *(make_variant(name, accuracy=None, accuracy_note="no MNIST") for name in "bc"),
        stages=(Stages("m", "12 MP", "out of memory"),),
        cold_starts=(ColdStart("m", "killed"),),
    )
    assert verdicts(report)[:-1] == [
        "not measured: a: cannot be loaded",
        "not measured: 12 MP with m: out of memory",
        "not measured: digitkit infer with m: killed",
        "not measured: m in 2 processes: one died",
        "* accuracy from the model card, not measured: no MNIST",
    ]


def test_of_many_variants_with_the_same_problem_the_worst_is_named():
    fractions = (0.2, 1.0, 0.3, 0.15, 0.4)
    noisy = [Finding("descheduled", f"digits-{i}", value) for i, value in enumerate(fractions)]
    report = make_report(make_variant(), findings=(BUSY, *noisy))
    worst = f"{describe(noisy[1])}; the worst of 5 variants"
    assert reasons(report, invalid=False) == [describe(BUSY), worst]
    report = make_report(make_variant(), findings=tuple(noisy[:3]))
    assert reasons(report, invalid=False) == list(map(describe, noisy[:3]))


def test_recommendations():
    report = make_report(make_variant())
    assert recommendations(report) == []
    report = replace(report, recommended=(PROFILE, replace(PROFILE, threads=1, batch=1)))
    assert recommendations(report) == [
        "recommended for digits: int8, 2 threads, batches of 64 for many images: it is",
        "recommended for digits: int8, 1 thread: it is",
    ]
