"""The report's dataclasses on disk: JSON, its schema, and reports of older versions."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import reports
from support.errors import error_of
from support.paths import ROOT
from support.reports import make_failed, make_report, make_variant

sys.path.insert(0, str(ROOT / "benchmarks"))
import schema

from digitkit.benchmark.report import BenchResult, encode_report, load_report, save_report
from digitkit.errors import InputNotFoundError, OutputError, ReportError

SCHEMA = schema.make_schema()
STORED = sorted((ROOT / "benchmarks/results").glob("*/bench.json"))

FULL = make_report(
    make_variant(paced_us=200.0, options={"x": 1, "y": "0", "z": ("a",)}),
    make_failed("x", "broken"),
    findings=(reports.HOT, reports.BUSY),
    recommended=(reports.PROFILE,),
)


def to_json(report) -> dict:
    return json.loads(encode_report(report))


def test_the_schema_is_valid_up_to_date_and_describes_every_value():
    """If it is not up to date: python benchmarks/schema.py."""
    assert json.loads(schema.PATH.read_text("utf-8")) == SCHEMA
    pytest.importorskip("jsonschema").Draft202012Validator.check_schema(SCHEMA)
    for definition in (SCHEMA, *SCHEMA["$defs"].values()):
        assert definition["description"]
        assert "Attributes:" not in definition["description"]
        assert all(value["description"] for value in definition["properties"].values())
        assert definition["required"] == list(definition["properties"])
        assert definition["additionalProperties"] is False


def test_reports_fit_the_schema(quick_run):
    validator = pytest.importorskip("jsonschema").Draft202012Validator(SCHEMA)
    unknown = make_report(make_variant(accuracy=None), **reports.NOTHING_KNOWN)
    for report in (quick_run.report, FULL, make_report(), unknown):
        validator.validate(to_json(report))
    for variant in quick_run.report.variants:
        assert len(variant.model_sha256) == 64


def test_what_is_saved_is_loaded(tmp_path, quick_run):
    for report in (FULL, quick_run.report):
        save_report(report, tmp_path / "r.json")
        assert load_report(tmp_path / "r.json") == report
    assert len(load_report(tmp_path / "r.json").measured) == len(quick_run.report.variants)
    report = make_report(make_failed("é", "×"))
    text = encode_report(report, ascii_only=True)
    assert (text.isascii(), json.loads(text)) == (True, to_json(report))


def write(path: Path, values: object) -> Path:
    path.write_text(json.dumps(values), "utf-8")
    return path


def test_an_older_report(tmp_path):
    """What came later gets its default, and what came even later is ignored."""
    values = to_json(FULL)
    for name in ("samples", "recommended", "findings"):
        del values[name]
    values["more"] = values["variants"][0]["more"] = 1
    expected = replace(FULL, samples=None, recommended=None, findings=())
    assert load_report(write(tmp_path / "r.json", values)) == expected


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.parent.name)
def test_stored_reports_load(path):
    report = load_report(path)
    assert report.measured
    assert to_json(report).keys() >= json.loads(path.read_text("utf-8")).keys()


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
    error = error_of(ReportError, load_report, path)
    assert error.subject == str(path)
    assert "\n" not in str(error)
    error_of(InputNotFoundError, load_report, tmp_path / "none.json")
    error_of(ReportError, load_report, tmp_path)


@pytest.mark.parametrize(
    ("spoil", "word", "fits_the_schema"),
    [
        (lambda r: r.pop("valid"), "valid", False),
        (lambda r: r.update(format="digitkit-bench/2"), "digitkit-bench/2", False),
        (lambda r: r["environment"].update(versions=[]), "versions", False),
        (lambda r: r["environment"].pop("governor"), "governor", False),
        (lambda r: r["environment"]["before"].update(cpu_seconds=[1.0]), "cpu_seconds", False),
        (lambda r: r["settings"].update(runs="x"), "runs", False),
        (lambda r: r["variants"][0].update(p50_us="x"), "p50_us", False),
        (lambda r: r["variants"][0].update(p50_us=None), "p50_us", True),
        (lambda r: r["variants"][0].update(latency=None), "latency", True),
        (lambda r: r["variants"][0].update(p50_us=0), "digits-int8", True),
        (lambda r: r["variants"][0].update(p50_us=10**400), "r.json", True),
        (lambda r: r["variants"][0].update(p50_us=float("nan")), "r.json", True),
        (lambda r: r["variants"][0].update(processes=[]), "digits-int8", True),
        (lambda r: r["variants"][0].update(processes=[{"p50_us": "x"}]), "p50_us", False),
        (lambda r: r["variants"][0]["processes"][0].update(p50_us=-1.0), "digits-int8", True),
        (lambda r: r["findings"][0].update(kind="bad luck"), "findings", False),
    ],
)
def test_a_damaged_report(tmp_path, spoil, word, fits_the_schema):
    values = to_json(FULL)
    spoil(values)
    error = error_of(ReportError, load_report, write(tmp_path / "r.json", values))
    assert word in str(error)
    assert error.hint
    jsonschema = pytest.importorskip("jsonschema")
    assert jsonschema.Draft202012Validator(SCHEMA).is_valid(values) is fits_the_schema


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("r.json", "r.samples.npz"),
        ("r.2026-01-02", "r.2026-01-02.samples.npz"),  # tomorrow's must not replace them
        ("r", "r.samples.npz"),
        (".json", ".samples.npz"),
    ],
)
def test_each_report_has_samples_of_its_own_next_to_it(tmp_path, name, raw):
    samples = {"0/0": np.full(10, 20_000), "0/0/paced": np.full(3, 1, np.int64)}
    path = tmp_path / "new" / name
    report = BenchResult(FULL, samples).save(path)
    assert report.samples == raw
    assert load_report(path) == report
    assert {*path.parent.iterdir()} == {path, path.with_name(raw)}
    with np.load(path.with_name(raw)) as stored:
        assert all(np.array_equal(stored[key], samples[key]) for key in {*stored, *samples})
    error_of(OutputError, BenchResult(FULL, {}).save, path / "r.json")
