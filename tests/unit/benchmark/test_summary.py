"""What people are shown of a report: figures, tables, the page in Markdown."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from support import reports
from support.reports import make_failed, make_report, make_variant

from digitkit.benchmark import units
from digitkit.benchmark.report import ColdStart, Stages
from digitkit.benchmark.summary import make_tables, render_markdown, summarize_setup
from digitkit.benchmark.variants import Throughput

TITLES = [
    "latency per call", "latency distribution", "throughput", "start-up and memory",
    "fixed rate of 250 Hz", "whole images, from file to digits", "cold start",
]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((None, "–"), (0, "0.00 µs"), (9.99, "9.99 µs"), (10, "10.0 µs"), (99.9, "99.9 µs")),
        *((100, "100 µs"), (999, "999 µs"), (1000, "1.00 ms"), (99_900, "99.9 ms")),
        *((999_000, "999 ms"), (1e6, "1.00 s"), (6e7, "60.00 s")),
    ],
)
def test_durations(value, text):
    assert units.format_us(value) == text
    assert units.format_ms(None if value is None else value / 1000) == text


def test_other_figures():
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
    assert latencies.rows[0][-1] == "–"
    assert memory.rows[0][-3:] == ("–", "–", "–")
    virtual = make_report(machine=replace(reports.MACHINE, virtual=True))
    assert "virtual machine" in summarize_setup(virtual)


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


def test_what_failed():
    report = make_report(
        make_failed("a|b", "x | y"),
        stages=(Stages("a", "12 MP", "out of memory"),),
        cold_starts=(ColdStart("a", "killed"),),
    )
    page = check_page(report)
    assert r"| a\|b | not measured | – |" in page
    assert "a|b: x | y" in page
    assert [table.title for table in make_tables(report)] == [TITLES[0], *TITLES[-2:]]
    assert TITLES[0] in check_page(make_report())
