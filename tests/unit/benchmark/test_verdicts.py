from __future__ import annotations

from dataclasses import replace

import pytest
from support import reports
from support.reports import PROFILE, make_failed, make_report, make_variant

from digitkit.benchmark.findings import Finding
from digitkit.benchmark.report import ColdStart, Stages, Throughput
from digitkit.benchmark.summary import render_markdown
from digitkit.benchmark.verdicts import (
    describe,
    general_faults,
    reasons,
    recommendations,
    verdicts,
)

DISAGREE = Finding("spread", "digits-int8", 0.3, 0.15)


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        (reports.HOT, "throttled during the run"),
        (DISAGREE, "digits-int8: its processes differ by 30%, more than 15%"),
        (
            Finding("frequency_fall", value=0.25, frequencies_mhz=(2400.0, 1800.0)),
            "the clock fell by 25% during the run, from 2400 to 1800 MHz",
        ),
        (reports.BUSY, "other processes used 50% of the CPU time during the run"),
        (
            Finding("busy_at_start", value=2.1),
            "the machine was busy when the run began (load 2.1)",
        ),
        (
            Finding("descheduled", "m", 0.2, 0.1),
            "m: did not run for 20% of its time because of other processes",
        ),
    ],
)
def test_findings_in_words(finding, text):
    assert describe(finding) == text


def test_a_valid_run():
    (line,) = verdicts(make_report(make_variant()))
    assert line.startswith("the run is valid: ")
    assert line.count(",") == 2  # throttling, clock, processes


def test_an_invalid_and_noisy_run():
    findings = (reports.HOT, DISAGREE, reports.BUSY)
    report = make_report(make_variant(), findings=findings, quick=True)
    lines = verdicts(report)
    assert [line.partition(":")[0] for line in lines[:3]] == ["INVALID", "INVALID", "noisy"]
    assert "quick" in lines[3]
    assert len(lines) == 4


def test_a_noisy_run_is_valid_with_a_reservation():
    report = make_report(make_variant(), findings=(reports.BUSY,))
    assert verdicts(report)[-1].startswith("the run is valid, though noisy: ")


def test_the_sentences_of_an_older_report_are_shown_as_they_are():
    report = make_report(
        make_variant(), valid=False, invalid=("digits-int8: slow", "hot"), noisy=("busy",)
    )
    assert verdicts(report) == ["INVALID: digits-int8: slow", "INVALID: hot", "noisy: busy"]
    assert general_faults(report) == ["digits-int8: slow", "hot"]


def test_a_verdict_claims_no_more_than_the_machine_reports():
    report = make_report(make_variant(), before=reports.UNKNOWN)
    assert verdicts(report) == ["the run is valid: stable clock, processes agree"]
    report = make_report(make_variant(clocks=((), ())), before=reports.UNKNOWN)
    assert verdicts(report) == ["the run is valid: processes agree"]
    report = make_report(make_variant(clocks=((), ()), medians=[30.0]), before=reports.UNKNOWN)
    assert "valid" not in verdicts(report)[0]


def test_a_virtual_machine_may_report_the_same_clock_forever():
    report = make_report(
        make_variant(),
        before=replace(reports.CALM, governor=None),
        machine=replace(reports.MACHINE, virtual=True),
    )
    assert "clock" not in verdicts(report)[-1]


def test_what_could_not_be_measured():
    report = make_report(
        make_variant("m", throughput=(Throughput(2, None, "one died"),)),
        make_failed("a", "cannot be loaded"),
        stages=(Stages("m", "12 MP", "out of memory"),),
        cold_starts=(ColdStart("m", "killed"),),
    )
    assert verdicts(report)[:4] == [
        "not measured: a: cannot be loaded",
        "not measured: 12 MP with m: out of memory",
        "not measured: digitkit infer with m: killed",
        "not measured: m in 2 processes: one died",
    ]
    assert verdicts(make_report(make_failed("a", "died")))[-1] == "nothing could be measured"


def test_why_accuracy_is_the_model_cards():
    notes = [make_variant(name, accuracy=None, accuracy_note="no MNIST") for name in "ab"]
    assert [line for line in verdicts(make_report(*notes)) if "no MNIST" in line] == [
        "* accuracy from the model card, not measured: no MNIST"
    ]


def test_of_many_variants_with_the_same_problem_the_worst_is_named():
    shares = (0.2, 1.0, 0.3, 0.15, 0.4)
    noisy = [Finding("descheduled", f"digits-{i}", value) for i, value in enumerate(shares)]
    report = make_report(make_variant(), findings=(reports.BUSY, *noisy))
    assert reasons(report, invalid=False) == [
        describe(reports.BUSY),
        f"{describe(noisy[1])}; the worst of 5 variants",
    ]
    report = make_report(make_variant(), findings=tuple(noisy[:3]))
    assert reasons(report, invalid=False) == list(map(describe, noisy[:3]))


def test_faults_of_single_variants_are_not_general():
    report = make_report(make_variant(), findings=(DISAGREE, reports.HOT, reports.BUSY))
    assert general_faults(report) == [describe(reports.HOT)]
    assert reasons(report, invalid=True, ignore={"digits-int8"}) == [describe(reports.HOT)]


def test_recommendations():
    report = make_report(make_variant())
    assert recommendations(report) == []
    report = replace(report, recommended=(PROFILE, replace(PROFILE, threads=1, batch=1)))
    assert recommendations(report) == [
        "recommended for digits: int8, 2 threads, batches of 64 for many images: it is",
        "recommended for digits: int8, 1 thread: it is",
    ]
    assert "- recommended for digits: int8, 1 thread: it is" in render_markdown(report)
