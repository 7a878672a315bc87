from __future__ import annotations

from dataclasses import replace

import pytest
from support import reports
from support.reports import PROFILE, make_failed, make_report, make_variant

from digitkit.benchmark.findings import Finding
from digitkit.benchmark.report import ColdStart, Stages
from digitkit.benchmark.summary import render_markdown
from digitkit.benchmark.variants import Throughput
from digitkit.benchmark.verdicts import describe, general_faults, reasons, recommendations, verdicts

DISAGREE = Finding("spread", "digits-int8", 0.3, 0.15)


@pytest.mark.parametrize(
    ("finding", "words"),
    [
        (reports.HOT, ["throttled"]),
        (DISAGREE, ["digits-int8: ", "30%", "15%"]),
        (Finding("frequency_fall", None, 0.25, 0.05, None, (2.4e3, 1.8e3)), ["25%", "1800 MHz"]),
        (reports.BUSY, ["50%"]),
        (Finding("busy_at_start", value=2.1), ["2.1"]),
        (Finding("descheduled", "m", 0.2, 0.1), ["m: ", "20%"]),
    ],
)
def test_findings_in_words(finding, words):
    assert all(word in describe(finding) for word in words)


def test_a_valid_run():
    (line,) = verdicts(make_report(make_variant()))
    assert line.startswith("the run is valid: ")
    assert line.count(",") == 2  # throttling, clock, processes
    report = make_report(make_variant(), findings=(reports.BUSY,))
    assert verdicts(report)[-1].startswith("the run is valid, though noisy: ")


def test_an_invalid_and_noisy_run():
    findings = (reports.HOT, DISAGREE, reports.BUSY)
    report = make_report(make_variant(), findings=findings, quick=True)
    lines = verdicts(report)
    assert [line.partition(":")[0] for line in lines[:3]] == ["INVALID", "INVALID", "noisy"]
    assert "quick" in lines[3]
    assert len(lines) == 4


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
    # A virtual machine may report the same clock forever.
    guest = replace(reports.MACHINE, virtual=True)
    report = make_report(make_variant(), machine=guest, before=replace(reports.CALM, governor=None))
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
