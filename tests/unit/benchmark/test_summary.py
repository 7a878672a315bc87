"""What people are shown of a report: figures, tables, verdicts, the page in Markdown."""

import re
from dataclasses import replace

import pytest
from support import reports
from support.reports import BUSY, HOT, PROFILE, make_failed, make_report, make_variant

from digitkit.benchmark import units
from digitkit.benchmark.findings import Finding
from digitkit.benchmark.report import ColdStart, Stages
from digitkit.benchmark.summary import make_tables, render_markdown, summarize_setup
from digitkit.benchmark.variants import Throughput
from digitkit.benchmark.verdicts import describe, general_faults, reasons, recommendations, verdicts

TITLES = [
    "latency per call", "latency distribution", "throughput", "start-up and memory",
    "fixed rate of 250 Hz", "whole images, from file to digits", "cold start",
]  # fmt: skip


def test_figures():
    for value, text in (
        (None, "–"), (0, "0.00 µs"), (9.99, "9.99 µs"), (10, "10.0 µs"), (99.9, "99.9 µs"),
        (100, "100 µs"), (999, "999 µs"), (1000, "1.00 ms"), (99_900, "99.9 ms"),
        (999_000, "999 ms"), (1e6, "1.00 s"), (6e7, "60.00 s"),
    ):  # fmt: skip
        assert units.format_us(value) == text
        assert units.format_ms(None if value is None else value / 1000) == text
    assert (units.format_percent(0.99584), units.format_mb(87.4)) == ("99.58%", "87 MB")
    assert units.format_range(28.3, 29) == "28.3–29.0 µs"
    assert units.format_range(500, 2000) == "500 µs – 2.00 ms"
    assert units.format_range(None, None) == "–"
    assert [units.format_threads(n) for n in (1, 2)] == ["1 thread", "2 threads"]


def check_page(report) -> str:
    """The page in Markdown; every table's rows are as wide as its head."""
    for table in make_tables(report):
        assert {len(row) for row in table.rows} <= {len(table.columns)}, table.title
    page = render_markdown(report)
    assert "None" not in page
    assert not re.search(r"\bnan\b", page)  # there is a board called Banana Pi
    return page


def test_a_full_report(quick_run):
    check_page(quick_run.report)
    assert [table.title for table in make_tables(quick_run.report)] == TITLES


def test_a_machine_that_reports_nothing():
    unknown = dict.fromkeys(("resident_import_mb", "resident_load_mb", "peak_mb", "accuracy"))
    report = make_report(make_variant(**unknown), **reports.NOTHING_KNOWN)
    assert summarize_setup(report).startswith("x, 1 core, governor unknown; ; 5 processes")
    check_page(report)
    latencies, _, _, memory = make_tables(report)
    assert (latencies.rows[0][-1], *memory.rows[0][-3:]) == ("–",) * 4
    assert "virtual machine" in summarize_setup(make_report(machine=VIRTUAL))


def test_accuracies_and_where_they_come_from():
    report = make_report(make_variant(accuracy=None), make_variant("other", 1.0, accuracy=None))
    card, other = report.models
    report = replace(report, models=(replace(card, card_accuracy=0.995), other))
    assert [row[-1] for row in make_tables(report)[0].rows] == ["99.50%*", "–"]
    few = make_variant("b", 1.0, accuracy_count=10, accuracy_data="mine")
    none = make_variant("c", 1.0, accuracy=None, accuracy_count=None, accuracy_data=None)
    note = make_tables(make_report(make_variant(), few, none, make_failed("d", "died")))[0].note
    assert note.endswith("accuracy: on 10 digits, mine; accuracy: on 10,000 digits, MNIST test")
    assert "accuracy:" not in make_tables(make_report(none))[0].note


def test_distribution_throughput_and_fixed_rate():
    few = make_variant(throughput=(Throughput(1, 1234.5), Throughput(4, None, "died")))
    many = make_variant("digits-fp32", 60, paced_us=200.0)
    latency = replace(many.latency, p999_us=71.0, std_us=2.0, min_us=55.0)
    many = replace(many, latency=latency, paced=replace(many.paced, idle_cpu=None))
    _, distribution, throughput, _, paced = make_tables(make_report(few, many))
    assert throughput.columns[2:4] == (">1 process", ">4 processes")
    assert throughput.rows[0][1:4] == ("33,333", "1,234", "–")
    assert [row[1:] for row in distribution.rows] == [
        ("1,500", "30.0 µs", "30.0 µs", "0.00 µs", "–", "0"),
        ("1,500", "55.0 µs", "60.0 µs", "2.00 µs", "71.0 µs", "0"),
    ]
    assert paced.rows == (("digits-fp32", "200 µs", "240 µs", "3.33", "0 of 50", "–"),)
    assert ">p99.9" not in make_tables(make_report(few))[1].columns


DISAGREE = Finding("spread", "digits-int8", 0.3, 0.15)
NO_CLOCK = make_variant(clocks=((), ()))
ONE_PROCESS = make_variant(clocks=((), ()), medians=[30.0])
# A virtual machine may report the same clock forever.
VIRTUAL = replace(reports.MACHINE, virtual=True)
GUEST = {"machine": VIRTUAL, "before": replace(reports.CALM, governor=None)}


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
    fall = Finding("frequency_fall", None, 0.25, 0.05, None, (2400, 1800))
    late, busy = Finding("descheduled", "m", 0.2, 0.1), Finding("busy_at_start", value=2.1)
    findings = (HOT, DISAGREE, fall, BUSY, busy, late)
    report = make_report(make_variant(), findings=findings, quick=True)
    expected = (
        *("INVALID: throttled", "INVALID: digits-int8: .*30%.*15%", "INVALID: .*25%.*1800 MHz"),
        *("noisy: .*50%", "noisy: .*2.1", "noisy: m: .*20%", ".*quick"),
    )
    for line, pattern in zip(verdicts(report), expected, strict=True):
        assert re.match(pattern, line)
    # What is wrong with a single variant is no fault of the whole run.
    assert general_faults(report) == [describe(HOT), describe(fall)]
    assert reasons(report, invalid=True, ignore={"digits-int8"}) == [describe(HOT), describe(fall)]


def test_the_sentences_of_an_older_report_are_shown_as_they_are():
    older = {"valid": False, "invalid": ("digits-int8: slow", "hot"), "noisy": ("busy",)}
    report = make_report(make_variant(), **older)
    assert verdicts(report) == ["INVALID: digits-int8: slow", "INVALID: hot", "noisy: busy"]
    assert general_faults(report) == ["digits-int8: slow", "hot"]


def test_what_could_not_be_measured():
    report = make_report(
        make_variant("m", throughput=(Throughput(2, None, "one died"),)),
        make_failed("a|b", "x | y"),
        *(make_variant(name, accuracy=None, accuracy_note="no MNIST") for name in "bc"),
        stages=(Stages("m", "12 MP", "out of memory"),),
        cold_starts=(ColdStart("m", "killed"),),
    )
    assert verdicts(report)[:-1] == [
        "not measured: a|b: x | y",
        "not measured: 12 MP with m: out of memory",
        "not measured: digitkit infer with m: killed",
        "not measured: m in 2 processes: one died",
        "* accuracy from the model card, not measured: no MNIST",
    ]
    nothing = replace(report, variants=(make_failed("a|b", "x | y"),))
    page = check_page(nothing)
    assert r"| a\|b | not measured | – |" in page
    assert "a|b: x | y" in page
    assert [table.title for table in make_tables(nothing)] == [TITLES[0], *TITLES[-2:]]
    assert TITLES[0] in check_page(make_report())


def test_of_many_variants_with_the_same_problem_the_worst_is_named():
    fractions = (0.2, 1.0, 0.3, 0.15, 0.4)
    noisy = [Finding("descheduled", f"digits-{i}", value) for i, value in enumerate(fractions)]
    report = make_report(make_variant(), findings=(BUSY, *noisy))
    worst = f"{describe(noisy[1])}; the worst of 5 variants"
    assert reasons(report, invalid=False) == [describe(BUSY), worst]
    report = make_report(make_variant(), findings=tuple(noisy[:3]))
    assert reasons(report, invalid=False) == list(map(describe, noisy[:3]))


def test_recommendations():
    assert recommendations(make_report()) == []
    profiles = (PROFILE, replace(PROFILE, threads=1, batch=1))
    assert recommendations(make_report(recommended=profiles)) == [
        "recommended for digits: int8, 2 threads, batches of 64 for many images: it is",
        "recommended for digits: int8, 1 thread: it is",
    ]
