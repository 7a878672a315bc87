from __future__ import annotations

import copy
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support import reports as benches
from support.paths import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import schema

from digitkit.benchmark import report
from digitkit.errors import InputNotFoundError, ReportError
from digitkit.models.profiles import Profile

SCHEMA = schema.schema()


def one(us: float = 30.0, name: str = "digits-int8", **changes):
    return benches.variant(name, us, **changes)


# --- the schema ------------------------------------------------------------------------------


def check(values) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    error = next(jsonschema.Draft202012Validator(SCHEMA).iter_errors(values), None)
    if error is not None:
        raise error


def test_the_published_schema_is_up_to_date():
    """If not: python benchmarks/schema.py."""
    assert json.loads(schema.PATH.read_text("utf-8")) == schema.schema()


def test_the_schema_is_one():
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_describes_every_value():
    written = schema.schema()
    for part in (written, *written["$defs"].values()):
        assert part["description"]
        assert all(value["description"] for value in part["properties"].values())
        assert part["required"] == list(part["properties"])


def test_a_real_report_fits_the_schema(quick_run):
    made, _ = quick_run
    values = json.loads(json.dumps(made.to_json()))
    check(values)
    assert "governor" in values["environment"]
    for variant in values["variants"]:
        keys = {"p50_us", "p90_us", "p99_us", "accuracy", "model_sha256"}
        assert keys <= variant.keys()
        assert variant["p50_us"] > 0
        assert 0 < variant["p90_us"] <= variant["p99_us"]
        assert len(variant["model_sha256"]) == 64


def test_reports_with_nulls_fit_the_schema():
    nothing = {"machine": benches.UNKNOWN_MACHINE, "before": benches.UNKNOWN, "versions": {}}
    check(benches.report(one(accuracy=None), benches.failed("x", "broken"), **nothing))
    check(benches.report())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda r: r.pop("valid"),
        lambda r: r.update(format="digitkit-bench/2"),
        lambda r: r.update(more=1),
        lambda r: r["variants"][0].pop("p50_us"),
        lambda r: r["variants"][0].update(p90_us="31"),
        lambda r: r["environment"].pop("governor"),
        lambda r: r["environment"]["before"].update(cpu_seconds=[1.0]),
    ],
)
def test_the_schema_refuses(spoil):
    jsonschema = pytest.importorskip("jsonschema")
    values = benches.report(one())
    check(values)
    spoil(values)
    with pytest.raises(jsonschema.ValidationError):
        check(values)


# --- loading ---------------------------------------------------------------------------------


def test_load_gives_what_was_written(tmp_path):
    values = benches.report(one())
    path = tmp_path / "r.json"
    path.write_text(json.dumps(values), "utf-8")
    assert report.load(path) == values


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is no report of digitkit bench"),
        ("{", "is no report of digitkit bench"),
        ("\x00\x01", "is no report of digitkit bench"),
        ("[" * 100_000, "is no report of digitkit bench"),
        ("null", "is no report of digitkit bench"),
        ("[1, 2]", "is no report of digitkit bench"),
        ('{"a": 1}', "is no report of digitkit bench"),
        ('{"format": "digitkit-bench/2"}', "has the format 'digitkit-bench/2'"),
        ('{"format": ["x"]}', "has the format ['x']"),
        ('{"format": "digitkit-bench/1"}', "lacks digitkit"),
    ],
)
def test_load_refuses(tmp_path, text, reason):
    path = tmp_path / "r.json"
    path.write_text(text, "utf-8")
    with pytest.raises(ReportError) as error:
        report.load(path)
    assert str(error.value).startswith(f"{path}: {reason}")
    assert "\n" not in str(error.value)


def test_load_refuses_what_is_no_text_file(tmp_path):
    with pytest.raises(InputNotFoundError, match="there is no such report"):
        report.load(tmp_path / "none.json")
    with pytest.raises(ReportError, match="is no report"):
        report.load(tmp_path)
    path = tmp_path / "r.json"
    path.write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(ReportError, match="is no report"):
        report.load(path)


def test_a_report_from_before_recommendations_were_in_it(tmp_path):
    values = benches.report(one())
    del values["recommended"]
    path = tmp_path / "r.json"
    path.write_text(json.dumps(values), "utf-8")
    found = report.load(path)
    assert found["recommended"] is None
    assert report.markdown(found)


# --- comparing -------------------------------------------------------------------------------


def test_a_report_beside_itself():
    values = benches.report(one(), one(60, "digits-fp32"))
    found = report.compare(values, values)
    assert [row.name for row in found.rows] == ["digits-int8", "digits-fp32"]
    for row in found.rows:
        assert (row.ratio.value, row.verdict) == (1.0, "no difference seen")
        assert (row.same_model, row.accuracy) == (True, 0.0)
    assert (found.only_a, found.only_b, found.warnings) == ((), (), ())


def test_the_ratio_is_the_second_over_the_first():
    slow, quick = benches.report(one(60)), benches.report(one(30))
    (row,) = report.compare(slow, quick).rows
    assert (row.a_us, row.b_us, row.verdict) == (60, 30, "faster")
    assert row.ratio.value == pytest.approx(0.5)
    assert 0.48 < row.ratio.low < 0.5 < row.ratio.high < 0.52
    (row,) = report.compare(quick, slow).rows
    assert (row.verdict, row.ratio.value) == ("slower", pytest.approx(2))


def test_a_difference_within_the_processes_spread_is_not_seen():
    a = benches.report(one(30, medians=[26, 28, 30, 32, 34]))
    b = benches.report(one(31, medians=[27, 29, 31, 33, 35]))
    assert report.compare(a, b).rows[0].verdict == "no difference seen"


@pytest.mark.parametrize(
    ("processes", "verdict"),
    [(1, "too few processes to say"), (4, "too few processes to say"), (5, "faster")],
)
def test_few_processes_give_no_verdict(processes, verdict):
    """The interval of one has no width, that of two holds the truth in 70 of 100 cases."""
    many, few = one(30), one(25, medians=[25.0] * processes)
    assert report.compare(benches.report(many), benches.report(few)).rows[0].verdict == verdict
    same = one(30, medians=[30.0] * processes)
    (row,) = report.compare(benches.report(same), benches.report(same)).rows
    assert row.verdict == "no difference seen"


def test_another_file_of_the_same_name():
    a, b = benches.report(one()), benches.report(one(model_sha256="another"))
    found = report.compare(a, b)
    assert found.rows[0].same_model is False
    assert report.compared(found).rows[0][0] == "digits-int8 (another file)"


def test_nothing_in_common():
    found = report.compare(benches.report(one()), benches.report(one(9, "digits-fp32")))
    assert (found.rows, found.only_a, found.only_b) == ((), ("digits-int8",), ("digits-fp32",))
    assert report.compared(found).rows == ()


def test_a_variant_that_failed_on_one_side():
    a = benches.report(one(), one(60, "digits-fp32"))
    b = benches.report(one(), benches.failed("digits-fp32", "died"))
    found = report.compare(a, b)
    assert [row.name for row in found.rows] == ["digits-int8"]
    assert (found.only_a, found.only_b) == (("digits-fp32",), ())


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"accuracy": 0.98}, -0.01),
        ({"accuracy": None, "accuracy_count": None, "accuracy_data": None}, None),
        ({"accuracy_count": 300}, None),
        ({"accuracy_data": "other digits"}, None),  # says nothing of the model
    ],
)
def test_accuracies_are_compared_on_the_same_digits(changes, difference):
    (row,) = report.compare(benches.report(one()), benches.report(one(**changes))).rows
    assert row.accuracy == (None if difference is None else pytest.approx(difference))


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"quick": True}, "the second is a quick run; its figures are rough"),
        ({"invalid": ["throttled"]}, "the second is INVALID: throttled"),
        ({"noisy": ["a busy machine"]}, "the second is noisy: a busy machine"),
        (
            {"machine": replace(benches.MACHINE, board="Board 4")},
            "board: Board 5 in the first, Board 4 in the second",
        ),
        (
            {"machine": replace(benches.MACHINE, bits=32)},
            "bits: 64 in the first, 32 in the second",
        ),
        (
            {"machine": replace(benches.MACHINE, frequency_max_mhz=1500.0)},
            "frequency max mhz: 2400.0 in the first, 1500.0 in the second",
        ),
        (
            {"machine": replace(benches.MACHINE, features=("NEON",))},
            "features: NEON, dotprod in the first, NEON in the second",
        ),
        (
            {"machine": replace(benches.MACHINE, features=())},
            "features: NEON, dotprod in the first, none in the second",
        ),
        (
            {"machine": replace(benches.MACHINE, cpu_quota=1.5)},
            "cpu quota: unknown in the first, 1.5 in the second",
        ),
        (
            {"before": replace(benches.CALM, governor="performance")},
            "governor: ondemand in the first, performance in the second",
        ),
        (
            {"versions": benches.VERSIONS | {"onnxruntime": "1.20.1"}},
            "onnxruntime: 1.32.0 in the first, 1.20.1 in the second",
        ),
        (
            {"versions": benches.VERSIONS | {"opencv-python": "4.12"}},
            "opencv-python: unknown in the first, 4.12 in the second",
        ),
        ({"digitkit": "0.2.0"}, "digitkit: 0.1.0 in the first, 0.2.0 in the second"),
        ({"settings": {"runs": 64}}, "runs: 1024 in the first, 64 in the second"),
        ({"settings": {"paced": 0.0}}, "paced: 10.0 in the first, 0.0 in the second"),
    ],
)
def test_what_differs_is_said(changes, warning):
    a, b = benches.report(one()), benches.report(one(), **changes)
    assert report.compare(a, b).warnings == (warning,)
    turned = report.compare(b, a).warnings
    assert len(turned) == 1
    assert turned != (warning,)


# --- for people ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0.00 µs"),
        (9.99, "9.99 µs"),
        (10, "10.0 µs"),
        (99.9, "99.9 µs"),
        (100, "100 µs"),
        (999, "999 µs"),
        (1000, "1.00 ms"),
        (99_900, "99.9 ms"),
        (999_000, "999 ms"),
        (1e6, "1.00 s"),
        (6e7, "60.00 s"),
    ],
)
def test_microseconds(value, text):
    assert report.microseconds(value) == text


def test_what_is_not_known():
    assert (report.share(None), report.megabytes(None)) == ("–", "–")
    assert (report.share(0.99584), report.megabytes(87.4)) == ("99.58%", "87 MB")


def everything(values) -> str:
    """All that people are shown; every table's rows are as wide as its head."""
    for table in report.tables(values):
        assert {len(row) for row in table.rows} <= {len(table.heads)}, table.title
    return report.markdown(values)


def test_tables_of_a_full_report(quick_run):
    made, _ = quick_run
    values = json.loads(json.dumps(made.to_json()))
    text = everything(values)
    for part in (
        *("a run of", "all its runs", "how much", "start of", "paced at", "whole pictures"),
        "cold start",
    ):
        assert f"**{part}" in text, part
    assert "None" not in text
    assert not re.search(r"\bnan\b", text)  # there is a board called Banana Pi


def test_a_machine_that_tells_nothing():
    nothing = {"machine": benches.UNKNOWN_MACHINE, "before": benches.UNKNOWN, "versions": {}}
    unknown = dict.fromkeys(("resident_import_mb", "resident_load_mb", "peak_mb", "accuracy"))
    values = benches.report(one(**unknown), **nothing)
    assert report.summary(values).startswith("x, 1 core, governor unknown; ; 5 processes")
    assert "None" not in everything(values)
    assert report.tables(values)[0].rows[0][-1] == "–"
    assert report.tables(values)[3].rows[0][-3:] == ("–", "–", "–")


def test_the_table_says_how_many_digits_accuracy_is_of():
    known = benches.variant("a", 1.0)
    few = benches.variant("b", 1.0, accuracy_count=10, accuracy_data="mine")
    none = benches.variant(
        "c", 1.0, accuracy=None, accuracy_count=None, accuracy_data=None, accuracy_note="no digits"
    )
    note = report.tables(benches.report(known, few, none, benches.failed("d", "died")))[0].note
    assert note.endswith("; accuracy: of 10 digits, mine; accuracy: of 10,000 digits, MNIST test")
    assert "accuracy:" not in report.tables(benches.report(none))[0].note


def test_the_idle_cpu_of_a_paced_variant_may_be_unknown():
    variant = one(paced_us=200.0)
    variant = replace(variant, paced=replace(variant.paced, idle_cpu=None))
    table = report.tables(benches.report(variant, one()))[4]
    assert table.title == "paced at 10 calls a second, asleep in between"
    assert table.rows == (("digits-int8", "200 µs", "240 µs", "6.67", "0 of 50", "–"),)


def test_all_variants_failed():
    values = benches.report(benches.failed("a", "cannot be loaded"), benches.failed("b", "died"))
    text = everything(values)
    assert "| a | not run | – |" in text
    assert report.verdicts(values) == [
        "not run: a: cannot be loaded", "not run: b: died", "nothing could be measured",
    ]  # fmt: skip


def test_no_variant_at_all():
    assert "a run of the model" in everything(benches.report())


def test_a_bar_in_a_name_parts_no_cell():
    values = benches.report(benches.failed("a|b", "x | y"))
    assert r"| a\|b | not run |" in report.markdown(values)
    assert "- not run: a|b: x | y" in report.markdown(values)


def test_verdicts():
    frequencies = "no throttling, no fall of the clock, processes agree"
    assert report.verdicts(benches.report(one())) == [f"the run is valid: {frequencies}"]
    bad = benches.report(one(), invalid=["hot", "slow"], noisy=["busy"], quick=True)
    assert report.verdicts(bad)[:3] == ["INVALID: hot", "INVALID: slow", "noisy: busy"]
    assert "a quick run" in report.verdicts(bad)[3]


def test_a_virtual_machine_that_tells_one_clock_for_ever():
    guest = {"machine": replace(benches.MACHINE, virtual=True)}
    values = benches.report(one(), before=replace(benches.CALM, governor=None), **guest)
    assert "clock" not in report.verdicts(values)[-1]
    assert "virtual machine" in report.summary(values)


def test_a_noisy_run_is_not_praised():
    values = benches.report(one(), noisy=["busy"])
    assert report.verdicts(values)[-1].startswith("the run is valid, though noisy: ")


def test_a_runtime_that_one_of_them_had_is_no_difference():
    a, b = benches.report(one()), benches.report(one(), versions=benches.VERSIONS | {"torch": "2"})
    assert report.compare(a, b).warnings == ()


def test_a_verdict_claims_no_more_than_is_known():
    values = benches.report(one(), before=benches.UNKNOWN)
    assert report.verdicts(values) == ["the run is valid: no fall of the clock, processes agree"]
    for process in values["variants"][0]["processes"]:
        process["frequencies_mhz"] = [[], []]
    assert report.verdicts(values) == ["the run is valid: processes agree"]
    single = copy.deepcopy(values)
    del single["variants"][0]["processes"][1:]
    assert report.verdicts(single) == ["nothing speaks against the run, but little could be seen"]


def test_the_schema_lies_beside_the_module():
    assert Path(report.__file__).with_name("bench-report.schema.json") == schema.PATH


def test_all_runs_are_told_of():
    few, many = one(), one(60, "digits-fp32")
    many = replace(many, latency=replace(many.latency, p999_us=71.0, std_us=2.0, min_us=55.0))
    table = report.tables(benches.report(few, many))[1]
    assert table.heads[2:] == (">min", ">mean", ">s.d.", ">p99.9", ">outliers")
    assert table.rows[0][1:] == ("1,500", "30.0 µs", "30.0 µs", "0.00 µs", "–", "0")
    assert table.rows[1][1:] == ("1,500", "55.0 µs", "60.0 µs", "2.00 µs", "71.0 µs", "0")
    assert ">p99.9" not in report.tables(benches.report(few))[1].heads


def test_what_many_variants_share_is_said_once():
    variants = [one(30, f"digits-{number}") for number in range(5)]
    names = [variant.name for variant in variants]
    shares = (20, 100, 30, 9, 40)
    noisy = [f"{n}: did not run for {k}% of its time" for n, k in zip(names, shares, strict=True)]
    values = benches.report(*variants, noisy=["a busy machine", *noisy])
    told = [line for line in report.verdicts(values) if line.startswith("noisy: ")]
    assert told == [
        "noisy: a busy machine",
        f"noisy: {noisy[1]}; the worst of 5 variants",
    ]
    values = benches.report(*variants, noisy=noisy[:3])
    assert [f"noisy: {reason}" for reason in noisy[:3]] == report.verdicts(values)[:3]


def test_what_is_not_compared_has_no_warning():
    both = ["digits-int8: slow", "digits-fp32: slow", "all is slow"]
    a = benches.report(one(), one(60, "digits-fp32"), noisy=both, invalid=both)
    found = report.compare(a, benches.report(one()))
    assert found.warnings == (
        *("the first is INVALID: digits-int8: slow", "the first is INVALID: all is slow"),
        *("the first is noisy: digits-int8: slow", "the first is noisy: all is slow"),
    )


def test_of_the_options_what_differs_is_said():
    a, b = one(options={"x": 1, "y": "0"}), one(options={"x": 1, "y": "1", "z": True})
    assert report.compare(benches.report(a), benches.report(b)).warnings == (
        "digits-int8, y: 0 in the first, 1 in the second",
        "digits-int8, z: unknown in the first, True in the second",
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"p50_us": 0}, "digits-int8 takes 0 µs"),
        ({"p50_us": float("nan")}, "digits-int8 takes nan µs"),
        ({"p50_us": float("inf")}, "digits-int8 takes inf µs"),
        ({"processes": []}, "digits-int8 has no processes"),
        ({"processes": [{"p50_us": -1.0}]}, "digits-int8 takes -1.0 µs"),
    ],
)
def test_latencies_that_are_none(change, said):
    good, bad = benches.report(one()), benches.report(one())
    bad["variants"][0] |= change
    for pair in ((good, bad), (bad, good)):
        with pytest.raises(ValueError, match=said):
            report.compare(*pair)


def test_recommendations():
    values = benches.report(one())
    assert report.recommendations(values) == []
    profile = Profile(
        model="digits", precision="int8", threads=2, batch=64, p50_us=30.0, accuracy=None,
        images_per_second=1e5, why="it is", sha256={}, onnxruntime="1", cpu="x", created="today",
    )  # fmt: skip
    made = replace(benches.made(one()), recommended=(profile, replace(profile, threads=1, batch=1)))
    values = json.loads(json.dumps(made.to_json()))
    assert report.recommendations(values) == [
        "recommended for digits: int8, 2 threads, batches of 64 in bulk: it is",
        "recommended for digits: int8, 1 thread: it is",
    ]
    assert "- recommended for digits: int8, 1 thread: it is" in report.markdown(values)
