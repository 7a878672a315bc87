"""The report's dataclasses on disk: JSON, its schema, and reports of older versions."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from support import reports
from support.paths import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import schema

from digitkit.benchmark.report import (
    BenchResult,
    encode_report,
    load_report,
    samples_path,
    save_report,
)
from digitkit.benchmark.variants import MeasuredVariant
from digitkit.errors import InputNotFoundError, OutputError, ReportError

SCHEMA = schema.make_schema()
STORED = sorted((ROOT / "benchmarks/results").glob("*/bench.json"))

FULL = replace(
    reports.make_report(
        reports.make_variant(paced_us=200.0, options={"x": 1, "y": "0", "z": ("a",)}),
        reports.make_failed("x", "broken"),
        findings=(reports.HOT, reports.BUSY),
    ),
    recommended=(reports.PROFILE,),
)


def values_of(report) -> dict:
    return json.loads(encode_report(report))


# --- the schema ------------------------------------------------------------------------------


def check(values) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator(SCHEMA).validate(values)


def test_the_published_schema_is_up_to_date():
    """If not: python benchmarks/schema.py."""
    assert json.loads(schema.PATH.read_text("utf-8")) == SCHEMA


def test_the_schema_is_valid_and_describes_every_value():
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for part in (SCHEMA, *SCHEMA["$defs"].values()):
        assert part["description"]
        assert "Attributes:" not in part["description"]
        assert all(value["description"] for value in part["properties"].values())
        assert part["required"] == list(part["properties"])


def test_reports_fit_the_schema(quick_run):
    values = values_of(quick_run.report)
    check(values)
    for variant in values["variants"]:
        assert len(variant["model_sha256"]) == 64
    check(values_of(FULL))
    check(values_of(reports.make_report()))
    unknown = reports.make_report(reports.make_variant(accuracy=None), **reports.NOTHING_KNOWN)
    check(values_of(unknown))


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
    values = values_of(FULL)
    spoil(values)
    with pytest.raises(jsonschema.ValidationError):
        check(values)


# --- loading ---------------------------------------------------------------------------------


def test_what_is_saved_is_loaded(tmp_path, quick_run):
    for report in (FULL, quick_run.report):
        save_report(report, tmp_path / "r.json")
        assert load_report(tmp_path / "r.json") == report
    assert [type(one) is MeasuredVariant for one in FULL.variants] == [True, False]
    report = reports.make_report(reports.make_failed("é", "×"))
    assert encode_report(report, ascii_only=True).isascii()
    assert json.loads(encode_report(report, ascii_only=True)) == values_of(report)


def write(path: Path, values: object) -> Path:
    path.write_text(json.dumps(values), "utf-8")
    return path


def test_an_older_report(tmp_path):
    """What came later gets its default, and what came even later is ignored."""
    values = values_of(FULL)
    for name in ("samples", "recommended", "findings"):
        del values[name]
    values["more"] = values["variants"][0]["more"] = 1
    report = load_report(write(tmp_path / "r.json", values))
    assert (report.samples, report.recommended, report.findings) == (None, None, ())
    assert report.invalid == FULL.invalid
    assert report.measured == FULL.measured


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.parent.name)
def test_stored_reports_load(path):
    report = load_report(path)
    assert report.measured
    assert msgspec.to_builtins(report).keys() >= json.loads(path.read_text("utf-8")).keys()


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{", b"\x00\x01", b"\xff\xfe\x00\xd8", b"[" * 100_000, b"null", b"[1, 2]"),
        *(b'{"a": 1}', b'{"format": "digitkit-bench/2"}', b'{"format": ["x"]}'),
        b'{"format": "digitkit-bench/1"}',
    ],
)
def test_what_is_not_a_report(tmp_path, data):
    path = tmp_path / "r.json"
    path.write_bytes(data)
    with pytest.raises(ReportError) as error:
        load_report(path)
    assert error.value.subject == str(path)
    assert "\n" not in str(error.value)
    with pytest.raises(InputNotFoundError):
        load_report(tmp_path / "none.json")
    with pytest.raises(ReportError):
        load_report(tmp_path)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda r: r["environment"].update(versions=[]), "versions"),
        (lambda r: r["settings"].update(runs="x"), "runs"),
        (lambda r: r["settings"].pop("processes"), "processes"),
        (lambda r: r["variants"][0].update(p50_us="x"), "p50_us"),
        (lambda r: r["variants"][0].update(p50_us=None), "p50_us"),
        (lambda r: r["variants"][0].update(latency=None), "latency"),
        (lambda r: r["variants"][0].update(p50_us=0), "digits-int8"),
        (lambda r: r["variants"][0].update(p50_us=10**400), "r.json"),
        (lambda r: r["variants"][0].update(p50_us=float("nan")), "r.json"),
        (lambda r: r["variants"][0].update(processes=[]), "digits-int8"),
        (lambda r: r["variants"][0].update(processes=[{"p50_us": "x"}]), "p50_us"),
        (lambda r: r["variants"][0]["processes"][0].update(p50_us=-1.0), "digits-int8"),
        (lambda r: r["findings"][0].update(kind="bad luck"), "findings"),
    ],
)
def test_a_damaged_report(tmp_path, change, word):
    values = values_of(FULL)
    change(values)
    with pytest.raises(ReportError, match=word) as error:
        load_report(write(tmp_path / "r.json", values))
    assert error.value.hint


# --- raw samples -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("r.json", "r.samples.npz"),
        ("r.2026-01-02", "r.2026-01-02.samples.npz"),  # tomorrow's must not replace them
        ("r", "r.samples.npz"),
        (".json", ".samples.npz"),
    ],
)
def test_each_report_has_samples_of_its_own(name, raw):
    assert samples_path(Path("a", name)) == Path("a", raw)


def test_the_samples_are_next_to_the_report(tmp_path):
    samples = {"0/0": np.full(10, 20_000), "0/0/paced": np.full(3, 1, np.int64)}
    path = tmp_path / "new" / "pi.4.json"
    written = BenchResult(FULL, samples).save(path)
    assert written.samples == "pi.4.samples.npz"
    assert load_report(path) == written
    assert sorted(p.name for p in path.parent.iterdir()) == ["pi.4.json", "pi.4.samples.npz"]
    with np.load(path.with_name(written.samples)) as kept:
        assert {name: kept[name].tolist() for name in kept} == {
            "0/0": [20_000] * 10,
            "0/0/paced": [1] * 3,
        }
    with pytest.raises(OutputError):
        BenchResult(FULL, {}).save(path / "r.json")
