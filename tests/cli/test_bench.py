"""``digitkit bench`` and ``digitkit bench compare``, most of it without measuring anything."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from support import reports
from support.paths import ROOT
from support.reports import make_failed, make_report, make_variant
from typer.testing import CliRunner

from digitkit.benchmark import runner, summary
from digitkit.benchmark.config import BenchConfig
from digitkit.benchmark.findings import Finding
from digitkit.benchmark.report import BenchResult, load_report, save_report
from digitkit.benchmark.variants import Throughput
from digitkit.cli import show
from digitkit.cli.app import app
from digitkit.errors import OutputError
from digitkit.images.opencv import cv2
from digitkit.models import profiles

FAST = (
    *("--models", "digits-tiny-int8", "--quick", "--model-only", "--no-accuracy"),
    *("--paced", "0", "--processes", "1", "--runs", "1", "--seconds", "0"),
)
KINDS = {"int8": 30.0, "fp32": 60.0}


def bench(*arguments: object):
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


def line(result, code: int) -> str:
    """A user's mistake: its exit code, one line on stderr, no traceback."""
    assert result.exit_code == code, result.output
    (text,) = [text for text in result.stderr.splitlines() if not text.startswith("warning: ")]
    return text


def usage(result) -> str:
    """What typer says about an option, on one line."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return re.sub(r"[\s│╭╮╰╯─]+", " ", result.output)


class Measured:
    """Stands in for the measuring: remembers what was asked for, and returns a report."""

    def __init__(self) -> None:
        self.seen: list[BenchConfig] = []
        self.variants = [make_variant(f"digits-{kind}", us) for kind, us in KINDS.items()]
        self.findings: tuple[Finding, ...] = ()

    def __call__(self, config, progress):
        self.seen.append(config)
        good = [i for i, variant in enumerate(self.variants) if variant.error is None]
        samples = {f"{i}/0": np.full(64, 30_000) for i in good}
        return BenchResult(make_report(*self.variants, findings=self.findings), samples)

    def use_real_hashes(self) -> None:
        self.variants = [
            replace(v, model_sha256=profiles.shipped_hashes(name)[kind])
            for v in self.variants
            for name, _, kind in [v.model.rpartition("-")]
        ]


@pytest.fixture
def measured(monkeypatch):
    stand_in = Measured()
    monkeypatch.setattr(runner, "run_benchmark", stand_in)
    return stand_in


# --- options ---------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("--help",), ("compare", "--help")])
def test_help(words):
    result = bench(*words)
    assert result.exit_code == 0
    assert "Examples" in result.output
    assert "compare before.json after.json" in result.output


def test_options_become_a_configuration(measured, tmp_path):
    assert bench().exit_code == 0
    assert replace(measured.seen.pop(), command="") == BenchConfig(command="")
    bench(
        *("--models", "digits, a.onnx,", "--threads", "1,2", "--batches", "4", "--workers", "2,3"),
        *("--runtimes", "opencv,openvino", "--quick", "--runs", "7", "--paced", "2.5"),
        *("--data", tmp_path, "--input-scale", "0.5", "--max-spread", "0.3", "--model-only"),
    )
    (config,) = measured.seen
    assert config.models == ("digits", "a.onnx")
    assert (config.threads, config.batches, config.workers) == ((1, 2), (4,), (2, 3))
    assert config.runtimes == ("opencv", "openvino")
    assert (config.quick, config.runs, config.processes, config.paced) == (True, 7, 2, 2.5)
    assert (config.data, config.input_scale, config.max_spread) == (tmp_path, 0.5, 0.3)
    assert config.whole is False


@pytest.mark.parametrize(
    ("option", "arguments"),
    [
        *(("--threads", ("--threads", text)) for text in ("0", "a,b", "", "1,1", "1000000000")),
        ("--batches", ("--batches", "1,-2")),
        ("--workers", ("--workers", "1.5")),
        ("--models", ("--models", "")),
        *(("--runtimes", ("--runtimes", text)) for text in (",", "tflite", "torch")),
        ("--processes", ("--processes", "0")),
        ("--seconds", ("--seconds", "-1")),
        ("--max-latency", ("--max-latency", "5")),  # without --recommend
        ("--max-accuracy-drop", ("--max-accuracy-drop", "0.1")),
        ("--save", ("--save",)),
        ("--save", ("--recommend", "--save", "--quick")),
        ("--max-latency", ("--recommend", "--max-latency", "-1")),
        ("--max-accuracy-drop", ("--recommend", "--max-accuracy-drop", "0.1", "--no-accuracy")),
        ("--data", ("--data", "x", "--no-accuracy")),
        ("--recommend", ("--recommend", "--runtimes", "opencv")),
        ("--whole", ("--whole", "--runtimes", "opencv")),
        ("--markdown", ("--markdown", "-")),
        ("--plot", ("--plot", "-")),
        ("--quick", ("--quick", "compare", "a", "b")),
        ("--threads", ("--threads", "1", "compare", "a", "b")),
        ("--json", ("--json", "x", "compare", "a", "b")),
        ("REPORT", ("compare", "a")),
        ("REPORT", ("compare",)),
        ("nothing", ("nothing",)),
    ],
)
def test_usage_errors_name_the_option(measured, option, arguments):
    assert option in usage(bench(*arguments)).partition("Error")[2]
    assert measured.seen == []


def test_models_that_cannot_be_measured():
    assert line(bench("--models", "nothing", *FAST[2:]), 2).startswith("digitkit: nothing: ")
    assert line(bench(*FAST, "--input-scale", "0.5"), 2).startswith("digitkit: digits-tiny-int8: ")


def test_samples_and_profiles_need_their_place_too(measured, tmp_path, monkeypatch):
    (tmp_path / "r.samples.npz").mkdir()
    assert "r.samples.npz" in line(bench("--json", tmp_path / "r.json"), 1)
    assert "cannot be written" in line(bench("--json", tmp_path / f"{'x' * 248}.json"), 1)
    for option, name in (("--markdown", "new/../a.json"), ("--plot", "a.samples.npz")):
        assert option in usage(bench("--json", tmp_path / "a.json", option, tmp_path / name))
    monkeypatch.setenv("DIGITKIT_PROFILE", str(tmp_path))
    assert str(tmp_path) in line(bench("--recommend", "--save"), 1)
    assert measured.seen == []


@pytest.mark.parametrize("option", ["--json", "--markdown", "--plot"])
def test_files_that_cannot_be_written(measured, tmp_path, option):
    (tmp_path / "file").write_text("x")
    if option == "--plot":
        pytest.importorskip("matplotlib")
    for path in (tmp_path, tmp_path / "file/r"):
        assert str(path) in line(bench(option, path), 1)
    assert measured.seen == []


def test_without_matplotlib(measured, monkeypatch, tmp_path):
    for name in ("matplotlib", "matplotlib.figure"):  # the latter may be loaded already
        monkeypatch.setitem(sys.modules, name, None)
    assert "pip install 'digitkit[train]'" in line(bench("--plot", tmp_path / "p.png"), 2)
    assert measured.seen == []


def test_it_warns_before_it_starts(measured, monkeypatch):
    powersave = replace(reports.CALM, governor="powersave")
    monkeypatch.setattr("digitkit.system.conditions.read_conditions", lambda: powersave)
    result = bench()
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: the governor powersave")


# --- output ----------------------------------------------------------------------------------


def test_text(measured):
    # Brackets are not markup.
    measured.variants += [make_variant("[red]m[/]", 3.0), make_failed("bad", "takes [/nothing]")]
    result = bench()
    assert result.exit_code == 0
    assert result.stdout.startswith("Board 5, Cortex-A76 (NEON, dotprod), 4 cores")
    for part in ("digits-int8", "30.0 µs", "60.0 µs", "99.00%", "[red]m[/]", "[/nothing]"):
        assert part in result.stdout
    assert "None" not in result.stdout


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_a_terminal(measured, kept, monkeypatch, width):
    workers = tuple(Throughput(count, 123_456.0) for count in (1, 4))
    measured.variants = [
        make_variant(f"digits-int8, openvino, {n} threads, batch 8", 30.0 * n, throughput=workers)
        for n in (2, 4)
    ]
    monkeypatch.setattr(show, "out", lambda: Console(width=width, highlight=False))
    files = [kept(name, *measured.variants) for name in "abc"]
    drawn = bench().stdout + bench("compare", *files[:2]).stdout + bench("compare", *files).stdout
    rules = [text for text in drawn.splitlines() if "───" in text]
    assert len(rules) == 6
    assert max(map(len, rules)) <= width
    for part in ("openvino", "threads", "123,456", "60.0 µs", "1.000", "difference"):
        assert re.search(rf"(?<!\S){part}(?![^\s,])", drawn), part  # none is cut, or broken


def test_a_terminal_that_is_too_narrow_breaks_whole_tables(measured, monkeypatch):
    monkeypatch.setattr(show, "out", lambda: Console(width=40, highlight=False))
    assert re.search(r"^ digits-fp32 +60.0 µs  59.4–60.6 µs", bench().stdout, re.MULTILINE)


def test_files(measured, tmp_path):
    pytest.importorskip("matplotlib")
    json_, markdown, plot = places = [tmp_path / "new" / f"r.{k}" for k in ("json", "md", "png")]
    result = bench("--json", json_, "--markdown", markdown, "--plot", plot)
    assert result.exit_code == 0
    assert ", ".join(map(str, places)) in result.stderr
    report = load_report(json_)
    assert report.samples == "r.samples.npz"
    with np.load(json_.with_name(report.samples)) as samples:
        assert set(samples) == {"0/0", "1/0"}
    assert "| digits-int8 | 30.0 µs |" in markdown.read_text("utf-8")
    assert cv2.imread(str(plot)) is not None


@pytest.fixture
def closed_output(monkeypatch):
    """Nobody reads standard output any more."""

    def fail(report):
        raise BrokenPipeError

    monkeypatch.setattr(summary, "summarize_setup", fail)


def test_the_output_is_printed_even_if_a_file_cannot_be_written(measured, tmp_path, monkeypatch):
    def full(result, path):
        raise OutputError("No space left on device", subject=str(path))

    monkeypatch.setattr(BenchResult, "save", full)
    result = bench("--json", tmp_path / "r.json")
    assert line(result, 1).endswith("r.json: No space left on device")
    assert "30.0 µs" in result.stdout


def test_runs_without_value(measured):
    assert bench("--strict").exit_code == 0
    measured.findings = (reports.HOT,)
    result = bench()
    assert (result.exit_code, "INVALID: throttled" in result.stdout) == (0, True)
    result = bench("--strict")
    assert "INVALID: throttled" in line(result, 3)
    assert "30.0 µs" in result.stdout  # the figures are printed all the same
    measured.variants = [make_failed("digits-int8", "died")]
    result = bench("--recommend")
    assert (result.exit_code, "digits-int8: died" in result.stdout) == (1, True)


# --- recommendations -------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    path = tmp_path / "profile.json"
    monkeypatch.setenv("DIGITKIT_PROFILE", str(path))
    return path


def test_recommend(measured, place, tmp_path):
    markdown = tmp_path / "r.md"
    result = bench("--recommend", "--json", "-", "--markdown", markdown)
    assert result.exit_code == 0
    (config,) = measured.seen
    assert (config.recommend, config.batches, config.reads_images) == (True, (1, 8, 64), False)
    values = json.loads(result.stdout)
    assert (values["variants"][0]["p50_us"], values["samples"]) == (30, None)
    (profile,) = values["recommended"]
    assert (profile["model"], profile["precision"], profile["threads"]) == ("digits", "int8", 1)
    text = "recommended for digits: int8, 1 thread: "
    assert text in result.stderr
    assert f"- {text}" in markdown.read_text("utf-8")
    assert bench("--recommend").stdout.splitlines()[-1].startswith(text)
    assert json.loads(bench("--json", "-").stdout)["recommended"] is None
    assert not place.exists()


def test_nothing_qualifies(measured, place, tmp_path):
    path = tmp_path / "r.json"
    result = bench("--recommend", "--max-latency", "0.01", "--save", "--json", path)
    assert result.exit_code == 3
    assert "0.01 ms" in result.stderr.splitlines()[-1]
    assert not place.exists()
    assert load_report(path).recommended is None
    assert "digits-int8" in result.stdout


def test_save(measured, place):
    measured.variants.append(make_variant("digits-tiny-int8", 20.0))
    measured.use_real_hashes()
    result = bench("--recommend", "--save")
    assert result.exit_code == 0
    assert str(place) in result.stderr
    kept = json.loads(place.read_text())["models"]
    assert set(kept) == {"digits", "digits-tiny"}
    assert (kept["digits"]["precision"], kept["digits"]["cpu"]) == ("int8", "Cortex-A76")


def test_everything_is_kept_even_if_nobody_reads_the_output(
    measured, tmp_path, place, closed_output
):
    measured.use_real_hashes()
    assert bench("--recommend", "--save", "--json", tmp_path / "r.json").exit_code == 1
    assert load_report(tmp_path / "r.json").variants
    assert "digits" in json.loads(place.read_text())["models"]


def test_more_threads_than_cores_are_not_saved(measured, place, monkeypatch):
    monkeypatch.setattr("digitkit.system.machine.usable_cores", lambda: 2)
    assert "--save" in usage(bench("--recommend", "--save", "--threads", "1,4"))
    assert measured.seen == []
    assert bench("--recommend", "--threads", "1,4").exit_code == 0


def test_an_invalid_run_is_not_saved(measured, place):
    measured.use_real_hashes()
    measured.findings = (reports.HOT,)
    assert "throttled" in line(bench("--recommend", "--save"), 3).partition("INVALID")[2]
    assert not place.exists()
    # A single variant whose processes disagree does not matter.
    measured.findings = (Finding("spread", "digits-fp32", 0.3, 0.15),)
    assert bench("--recommend", "--save").exit_code == 0
    assert place.exists()


def test_another_model_is_not_saved(measured, place):
    measured.variants = [make_variant("own-int8", 30.0)]
    assert line(bench("--recommend", "--save"), 2).startswith("digitkit: own: ")
    assert line(bench("--recommend", "--save", "--models", "own"), 2).startswith("digitkit: own: ")
    assert len(measured.seen) == 1  # where it can be known before, it is
    assert not place.exists()


# --- comparing -------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path):
    def write(name: str, *variants, **changes) -> Path:
        save_report(make_report(*variants, **changes), tmp_path / name)
        return tmp_path / name

    return write


def test_compare(kept):
    a = kept("a.json", make_variant(), make_variant("x", 5.0), quick=True)
    b, c = kept("b.json", make_variant(us=15.0)), kept("c.json", make_variant(us=60.0))
    warnings = set()
    for files, parts in (
        ((a, b), (f"first:  {a}: Board 5", f"second: {b}: ", "0.500", "faster", "the second: x")),
        ((a, b, c), ("third:  ", "0.500 faster", "2.000 slower")),
    ):
        result = bench("compare", *files)
        assert result.exit_code == 0
        assert all(part in result.stdout for part in parts)
        warnings.add(result.stderr)
    (warning,) = warnings  # it is about the first, and not repeated
    assert len(warning.splitlines()) == 1
    # Reports of older versions can be compared, too.
    stored = next((ROOT / "benchmarks/results").glob("*/bench.json"))
    result = bench("compare", stored, a, stored)
    assert (result.exit_code, "1.000 no difference" in result.stdout) == (0, True)


def test_what_cannot_be_compared(kept, tmp_path):
    a, b = kept("a.json", make_variant("a")), kept("b.json", make_variant("b"))
    text = line(bench("compare", a, b), 2)  # they have no variant in common
    assert str(a) in text
    assert str(b) in text
    b.write_text("{}")
    for bad in (b, tmp_path / "none.json"):
        assert line(bench("compare", a, bad), 2).startswith(f"digitkit: {bad}: ")


# --- real measurements -----------------------------------------------------------------------


def test_a_quick_run_end_to_end(tmp_path):
    places = {name: tmp_path / f"r.{name}" for name in ("json", "markdown")}
    command = [sys.executable, "-m", "digitkit", "bench", *FAST, "--threads", "1,2"]
    for name, path in places.items():
        command += [f"--{name}", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "digits-tiny-int8, 2 threads" in done.stdout
    report = load_report(places["json"])
    assert report.quick
    assert "--model-only" in report.environment.command
    assert [v.threads for v in report.measured] == [1, 2]
    assert "**latency per call**" in places["markdown"].read_text("utf-8")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.json", "r.markdown", "r.samples.npz"]
