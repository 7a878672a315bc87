from __future__ import annotations

from dataclasses import replace

import pytest
from support import reports
from support.reports import make_failed, make_report, make_variant

from digitkit.benchmark.compare import compare, comparison_table, ordinal
from digitkit.benchmark.findings import Finding


def pair(first, second):
    (comparison,) = compare([first, second])
    return comparison


def test_a_report_with_itself():
    report = make_report(make_variant(), make_variant("digits-fp32", 60))
    found = pair(report, report)
    assert [row.name for row in found.rows] == ["digits-int8", "digits-fp32"]
    for row in found.rows:
        assert (row.ratio.value, row.verdict) == (1.0, "no difference")
        assert (row.same_model, row.accuracy) == (True, 0.0)
    assert (found.only_first, found.only_other, found.warnings) == ((), (), ())


def test_the_ratio_is_the_second_over_the_first():
    slow, quick = make_report(make_variant(us=60)), make_report(make_variant(us=30))
    (row,) = pair(slow, quick).rows
    assert (row.first_us, row.other_us, row.verdict) == (60, 30, "faster")
    assert row.ratio.value == pytest.approx(0.5)
    assert 0.48 < row.ratio.low < 0.5 < row.ratio.high < 0.52
    (row,) = pair(quick, slow).rows
    assert (row.verdict, row.ratio.value) == ("slower", pytest.approx(2))
    # A difference within the spread of the processes is none.
    a = make_report(make_variant(us=30, medians=[26, 28, 30, 32, 34]))
    b = make_report(make_variant(us=31, medians=[27, 29, 31, 33, 35]))
    assert pair(a, b).rows[0].verdict == "no difference"


@pytest.mark.parametrize(
    ("processes", "verdict"), [(1, "too few processes"), (4, "too few processes"), (5, "faster")]
)
def test_few_processes_give_no_verdict(processes, verdict):
    """The interval of one has no width, that of two contains the truth in 70 of 100 cases."""
    few = make_report(make_variant(us=25, medians=[25.0] * processes))
    assert pair(make_report(make_variant()), few).rows[0].verdict == verdict
    same = make_report(make_variant(medians=[30.0] * processes))
    assert pair(same, same).rows[0].verdict == "no difference"


def test_a_different_file_of_the_same_name():
    found = pair(make_report(make_variant()), make_report(make_variant(model_sha256="another")))
    assert found.rows[0].same_model is False
    assert comparison_table([found]).rows[0][0] == "digits-int8 (different file)"


def test_variants_that_only_one_has():
    both, alone = make_variant(), make_variant("digits-fp32", 60)
    found = pair(make_report(alone), make_report(both))
    assert (found.rows, found.only_first, found.only_other) == (
        *((), ("digits-fp32",), ("digits-int8",)),
    )
    assert comparison_table([found]).rows == ()
    found = pair(make_report(both, alone), make_report(both, make_failed("digits-fp32", "died")))
    assert [row.name for row in found.rows] == ["digits-int8"]
    assert (found.only_first, found.only_other) == (("digits-fp32",), ())


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"accuracy": 0.98}, -0.01),
        ({"accuracy": None, "accuracy_count": None, "accuracy_data": None}, None),
        ({"accuracy_count": 300}, None),
        ({"accuracy_data": "other digits"}, None),  # says nothing about the model
    ],
)
def test_accuracies_are_compared_on_the_same_digits(changes, difference):
    (row,) = pair(make_report(make_variant()), make_report(make_variant(**changes))).rows
    assert row.accuracy == (None if difference is None else pytest.approx(difference))


MACHINE, SETTINGS = reports.MACHINE, reports.SETTINGS


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"quick": True}, ("second", "quick")),
        ({"findings": (reports.HOT,)}, ("second", "INVALID", "throttled")),
        ({"findings": (reports.BUSY,)}, ("second", "noisy", "50%")),
        ({"valid": False, "invalid": ("it was hot",)}, ("INVALID: it was hot",)),  # an old one's
        ({"noisy": ("digits-fp32: busy",)}, ("noisy: digits-fp32: busy",)),
        ({"machine": replace(MACHINE, board="Board 4")}, ("board: Board 5", "Board 4")),
        ({"machine": replace(MACHINE, bits=32)}, ("bits: 64", "32")),
        ({"machine": replace(MACHINE, frequency_max_mhz=1500.0)}, ("2400.0", "1500.0")),
        ({"machine": replace(MACHINE, features=())}, ("NEON, dotprod in the first", "none")),
        ({"machine": replace(MACHINE, cpu_quota=1.5)}, ("not available in the first", "1.5")),
        ({"before": replace(reports.CALM, governor="performance")}, ("governor: ondemand",)),
        ({"versions": reports.VERSIONS | {"onnxruntime": "1.20.1"}}, ("1.32.0", "1.20.1")),
        ({"versions": reports.VERSIONS | {"opencv-python": "4.12"}}, ("not available", "4.12")),
        ({"digitkit": "0.2.0"}, ("digitkit: 0.1.0 in the first, 0.2.0 in the second",)),
        ({"settings": replace(SETTINGS, runs=64)}, ("runs: 1024", "64")),
        ({"settings": replace(SETTINGS, paced=0.0)}, ("paced: 10.0", "0.0")),
    ],
)
def test_differences_are_warnings(changes, words):
    a, b = make_report(make_variant()), make_report(make_variant(), **changes)
    (warning,) = pair(a, b).warnings
    assert all(word in warning for word in words)
    (turned,) = pair(b, a).warnings
    assert turned != warning


def test_runtimes_and_their_options():
    versions = reports.VERSIONS | {"openvino": "2"}  # that only one has is no difference
    a = make_report(make_variant(options={"x": 1, "y": "0"}))
    b = make_report(make_variant(options={"x": 1, "y": "1", "z": True}), versions=versions)
    assert pair(a, b).warnings == (
        "digits-int8, y: 0 in the first, 1 in the second",
        "digits-int8, z: not available in the first, True in the second",
    )


def test_findings_about_variants_that_are_not_compared():
    findings = tuple(
        Finding(kind, name, 0.5, 0.1)
        for kind in ("spread", "descheduled")
        for name in ("digits-int8", "digits-fp32")
    )
    a = make_report(make_variant(), make_variant("digits-fp32", 60), findings=findings)
    invalid, noisy = pair(a, make_report(make_variant())).warnings
    assert invalid.startswith("the first is INVALID: digits-int8: ")
    assert noisy.startswith("the first is noisy: digits-int8: ")


def test_three_reports():
    first = make_report(make_variant(), make_variant("a", 10), make_variant("b", 10))
    second = make_report(make_variant(us=15), quick=True)
    third = make_report(make_variant(us=60), make_variant("a", 10, model_sha256="another"))
    comparisons = compare([first, second, third])
    assert [one.label for one in comparisons] == ["second", "third"]
    assert [ordinal(place) for place in (8, 9)] == ["ninth", "10th"]
    assert [one.only_first for one in comparisons] == [("a", "b"), ("b",)]
    assert [len(one.warnings) for one in comparisons] == [1, 0]
    table = comparison_table(comparisons)
    assert table.columns[2:] == (">second", ">third")
    assert table.rows == (
        ("digits-int8", "30.0 µs", "0.500 faster", "2.000 slower"),
        ("a (different files)", "10.0 µs", "–", "1.000 no difference"),
    )
