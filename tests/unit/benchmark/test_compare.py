import itertools
from dataclasses import replace

import pytest
from support import reports
from support.reports import make_failed, make_report, make_variant

from digitkit.benchmark.compare import compare, comparison_table, ordinal
from digitkit.benchmark.findings import Finding


def compare_pair(first, second):
    (comparison,) = compare([first, second])
    return comparison


def test_variants_are_compared_by_name():
    int8, fp32 = make_variant(), make_variant("digits-fp32", 60)
    both = make_report(int8, fp32)
    same = compare_pair(both, both)
    assert [row.name for row in same.rows] == ["digits-int8", "digits-fp32"]
    assert {(row.ratio.value, row.same_model, row.accuracy) for row in same.rows} == {(1, True, 0)}
    assert (same.only_first, same.only_other, same.warnings) == ((), (), ())
    apart = compare_pair(make_report(fp32), make_report(int8))
    assert (apart.only_first, apart.only_other) == (("digits-fp32",), ("digits-int8",))
    assert apart.rows == comparison_table([apart]).rows == ()
    failed = compare_pair(both, make_report(int8, make_failed("digits-fp32", "died")))
    assert [row.name for row in failed.rows] == ["digits-int8"]
    assert (failed.only_first, failed.only_other) == (("digits-fp32",), ())
    slow, quick = make_report(make_variant(us=60)), make_report(make_variant(us=30))
    (row,) = compare_pair(slow, quick).rows
    assert (row.first_us, row.other_us, row.verdict) == (60, 30, "faster")
    assert row.ratio.value == pytest.approx(0.5)
    assert 0.48 < row.ratio.low < 0.5 < row.ratio.high < 0.52


def test_verdicts():
    for first, second, verdict in (
        ([30] * 5, [25] * 5, "faster"),
        ([25] * 5, [30] * 5, "slower"),
        ([30] * 5, [25] * 4, "too few processes"),
        ([30] * 5, [25], "too few processes"),
        ([30], [30], "no difference"),
        ([26, 28, 30, 32, 34], [27, 29, 31, 33, 35], "no difference"),  # within their spread
    ):
        measured = [make_report(make_variant(medians=medians)) for medians in (first, second)]
        assert compare_pair(*measured).rows[0].verdict == verdict


def test_accuracies_are_compared_on_the_same_digits():
    for changes, difference in (
        ({"accuracy": 0.98}, pytest.approx(-0.01)),
        ({"accuracy": None, "accuracy_count": None, "accuracy_data": None}, None),
        ({"accuracy_count": 300}, None),
        ({"accuracy_data": "other digits"}, None),
    ):
        other = make_report(make_variant(**changes))
        assert compare_pair(make_report(make_variant()), other).rows[0].accuracy == difference


MACHINE, SETTINGS, VERSIONS = reports.MACHINE, reports.SETTINGS, reports.VERSIONS


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"quick": True}, ("second", "quick")),
        ({"findings": (reports.HOT,)}, ("second", "INVALID", "throttled")),
        ({"findings": (reports.BUSY,)}, ("second", "noisy", "50%")),
        ({"valid": False, "invalid": ("it was hot",)}, ("INVALID: it was hot",)),  # an old one's
        ({"machine": replace(MACHINE, board="Board 4")}, ("board: Board 5", "Board 4")),
        ({"machine": replace(MACHINE, features=())}, ("NEON, dotprod in the first", "none")),
        ({"before": replace(reports.CALM, governor="performance")}, ("governor: ondemand",)),
        ({"versions": VERSIONS | {"onnxruntime": "1.20.1"}}, ("1.32.0", "1.20.1")),
        ({"versions": VERSIONS | {"opencv-python": "4.12"}}, ("not available", "4.12")),
        ({"digitkit": "0.2.0"}, ("digitkit: 0.1.0 in the first, 0.2.0 in the second",)),
        ({"settings": replace(SETTINGS, runs=64)}, ("runs: 1024", "64")),
    ],
)
def test_differences_are_warnings(changes, words):
    plain, other = make_report(make_variant()), make_report(make_variant(), **changes)
    (warning,) = compare_pair(plain, other).warnings
    assert all(word in warning for word in words)
    (reversed_warning,) = compare_pair(other, plain).warnings
    assert reversed_warning != warning


def test_runtimes_that_only_one_has_are_no_difference_but_their_options_are():
    first = make_report(make_variant(options={"x": 1, "y": "0"}))
    variant = make_variant(options={"x": 1, "y": "1", "z": True})
    second = make_report(variant, versions=VERSIONS | {"openvino": "2"})
    assert compare_pair(first, second).warnings == (
        "digits-int8, y: 0 in the first, 1 in the second",
        "digits-int8, z: not available in the first, True in the second",
    )


def test_findings_about_variants_that_are_not_compared():
    int8, fp32 = make_variant(), make_variant("digits-fp32", 60)
    kinds = itertools.product(("spread", "descheduled"), (int8, fp32))
    findings = tuple(Finding(kind, variant.name, 0.5, 0.1) for kind, variant in kinds)
    first = make_report(int8, fp32, findings=findings)
    invalid, noisy = compare_pair(first, make_report(int8)).warnings
    assert invalid.startswith("the first is INVALID: digits-int8: ")
    assert noisy.startswith("the first is noisy: digits-int8: ")


def test_more_reports_than_two():
    first = make_report(make_variant(), make_variant("a", 10), make_variant("b", 10))
    second = make_report(make_variant(us=15), quick=True)
    third = make_report(make_variant(us=60), make_variant("a", 10, model_sha256="another"))
    comparisons = compare([first, second, third])
    labels = [(c.label, c.only_first, len(c.warnings)) for c in comparisons]
    assert labels == [("second", ("a", "b"), 1), ("third", ("b",), 0)]
    table = comparison_table(comparisons)
    assert table.columns[2:] == (">second", ">third")
    assert table.rows == (
        ("digits-int8", "30.0 µs", "0.500 faster", "2.000 slower"),
        ("a (different files)", "10.0 µs", "–", "1.000 no difference"),
    )
    names = [row[0] for row in comparison_table([compare_pair(first, third)]).rows]
    assert names == ["digits-int8", "a (different file)"]
    assert [ordinal(place) for place in (8, 9)] == ["ninth", "10th"]
