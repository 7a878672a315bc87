"""``digitkit bench`` and ``digitkit bench compare``, most of it without measuring anything."""

import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from support import reports
from support.cli import one_error_line, run
from support.paths import ROOT
from support.reports import make_failed, make_report, make_variant

from digitkit.benchmark import runner, summary
from digitkit.benchmark.bench_config import BenchConfig
from digitkit.benchmark.findings import Finding
from digitkit.benchmark.report import BenchResult, load_report, save_report
from digitkit.benchmark.variants import Throughput
from digitkit.cli import show
from digitkit.errors import OutputError, install_command
from digitkit.images.cv import cv2
from digitkit.models import profiles

FAST = (
    *("--models", "digits-tiny-int8", "--quick", "--model-only", "--no-accuracy"),
    *("--paced", "0", "--processes", "1", "--runs", "1", "--seconds", "0"),
)


def bench(*arguments: object):
    return run("bench", *arguments)


class Measured:
    """Stands in for the measuring: remembers what was asked for, and returns a report."""

    def __init__(self) -> None:
        self.seen: list[BenchConfig] = []
        hashes = profiles.shipped_hashes("digits")
        self.variants = [
            make_variant(f"digits-{kind}", us, model_sha256=hashes[kind])
            for kind, us in (("int8", 30.0), ("fp32", 60.0))
        ]
        self.findings: tuple[Finding, ...] = ()

    def __call__(self, config, progress):
        self.seen.append(config)
        report = make_report(*self.variants, findings=self.findings)
        return BenchResult(report, {f"{i}/0": np.full(64, 30_000) for i in range(2)})


@pytest.fixture(autouse=True)
def calm(monkeypatch):
    """Nothing to warn of."""
    monkeypatch.setattr("digitkit.system.conditions.read_conditions", lambda: reports.CALM)


@pytest.fixture
def measured(monkeypatch):
    stand_in = Measured()
    monkeypatch.setattr(runner, "run_benchmark", stand_in)
    return stand_in


def test_help():
    for words in (("--help",), ("compare", "--help")):
        assert "compare before.json after.json" in bench(*words).output


def test_options_become_a_configuration(measured, tmp_path):
    assert bench().exit_code == 0
    assert replace(measured.seen.pop(), command="") == BenchConfig(command="")
    bench(
        *("--models", "digits, a.onnx,", "--threads", "1,2", "--batches", "4", "--workers", "2,3"),
        *("--runtimes", "opencv,openvino", "--quick", "--runs", "7", "--paced", "2.5"),
        *("--data", tmp_path, "--input-scale", "0.5", "--max-spread", "0.3", "--model-only"),
    )
    assert replace(measured.seen.pop(), command="") == BenchConfig.preset(
        models=("digits", "a.onnx"), threads=(1, 2), batches=(4,), workers=(2, 3),
        runtimes=("opencv", "openvino"), quick=True, runs=7, paced=2.5, data=tmp_path,
        input_scale=0.5, max_spread=0.3, whole=False, command="",
    )  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        *("--threads 0", "--threads a,b", "--threads ''", "--workers 1.5", "--models ''"),
        *("--runtimes tflite", "--seconds -1", "--max-latency -1 --recommend"),
        *("--max-latency 5", "--max-accuracy-drop 0.1", "--save"),  # without --recommend
        *("--save --recommend --threads 1024", "--markdown -", "--plot -", "--plot plot.pdf"),
        *("--markdown new/../a.json --json a.json", "--plot a.samples.npz --json a.json"),
        *("--quick compare a b", "--threads 1 compare a b", "nothing"),
    ],
)
def test_usage_errors_name_the_option(measured, arguments):
    option, *_ = words = shlex.split(arguments)
    assert option in one_error_line(bench(*words), 2)
    assert measured.seen == []


def test_models_that_cannot_be_measured():
    assert "nothing: " in one_error_line(bench("--models", "nothing", *FAST[2:]), 2)
    assert "digits-tiny-int8: " in one_error_line(bench(*FAST, "--input-scale", "0.5"), 2)


def test_places_that_cannot_be_written(measured, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    (tmp_path / "r.samples.npz").mkdir()
    for option in ("--json", "--markdown", "--plot"):
        for path in (tmp_path, tmp_path / "file/r"):
            assert str(path) in one_error_line(bench(option, path), 2)
    for name, refused in (("r", "r.samples.npz"), ("x" * 248, "x.samples.npz")):
        assert refused in one_error_line(bench("--json", tmp_path / f"{name}.json"), 2)
    monkeypatch.setenv("DIGITKIT_PROFILE", str(tmp_path))
    assert str(tmp_path) in one_error_line(bench("--recommend", "--save"), 2)
    for name in ("matplotlib", "matplotlib.figure"):  # the latter may be loaded already
        monkeypatch.setitem(sys.modules, name, None)
    assert install_command("train") in one_error_line(bench("--plot", tmp_path / "p.png"), 2)
    assert measured.seen == []


def test_text(measured, monkeypatch):
    powersave = replace(reports.CALM, governor="powersave")
    monkeypatch.setattr("digitkit.system.conditions.read_conditions", lambda: powersave)
    # Brackets are not markup.
    measured.variants += [make_variant("[red]m[/]", 3.0), make_failed("bad", "takes [/nothing]")]
    result = bench()
    assert result.stderr.startswith("warning: the governor powersave")
    assert result.stdout.startswith("Board 5, Cortex-A76 (NEON, dotprod), 4 cores")
    for text in ("digits-int8", "30.0 µs", "60.0 µs", "99.00%", "[red]m[/]", "[/nothing]"):
        assert text in result.stdout
    assert "None" not in result.stdout


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_a_terminal(measured, tmp_path, monkeypatch, width):
    workers = tuple(Throughput(count, 123_456.0) for count in (1, 4))
    names = [f"digits-int8, openvino, {n} threads, batch 8" for n in (2, 4)]
    measured.variants = [make_variant(name, 60.0, throughput=workers) for name in names]
    monkeypatch.setattr(show, "out", lambda: Console(width=width, highlight=False))
    files = [store(tmp_path / name, *measured.variants) for name in "abc"]
    drawn = bench().stdout + bench("compare", *files[:2]).stdout + bench("compare", *files).stdout
    rules = [text for text in drawn.splitlines() if "───" in text]
    assert (len(rules), max(map(len, rules)) <= width) == (6, True)
    for text in ("openvino", "threads", "123,456", "60.0 µs", "1.000", "difference"):
        assert re.search(rf"(?<!\S){text}(?![^\s,])", drawn), text  # none is cut, or broken


def test_a_terminal_that_is_too_narrow_breaks_whole_tables(measured, monkeypatch):
    monkeypatch.setattr(show, "out", lambda: Console(width=40, highlight=False))
    assert re.search(r"^ digits-fp32 +60.0 µs  59.4–60.6 µs", bench().stdout, re.MULTILINE)


def test_files(measured, tmp_path):
    pytest.importorskip("matplotlib")
    json_, markdown, plot = (tmp_path / "new" / f"r.{k}" for k in ("json", "md", "png"))
    result = bench("--json", json_, "--markdown", markdown, "--plot", plot)
    assert (result.exit_code, f"{json_}, {markdown}, {plot}" in result.stderr) == (0, True)
    report = load_report(json_)
    assert report.samples == "r.samples.npz"
    with np.load(json_.with_name(report.samples)) as samples:
        assert set(samples) == {"0/0", "1/0"}
    assert "| digits-int8 | 30.0 µs |" in markdown.read_text("utf-8")
    assert cv2.imread(str(plot)) is not None


def test_what_was_measured_is_not_lost(measured, tmp_path, place, monkeypatch):
    """Not if nobody reads the output, and not if the disk is full."""

    def close(report):
        raise BrokenPipeError

    with monkeypatch.context() as patched:
        patched.setattr(summary, "summarize_setup", close)
        assert bench("--recommend", "--save", "--json", tmp_path / "r.json").exit_code == 1
    assert load_report(tmp_path / "r.json").variants
    assert "digits" in json.loads(place.read_text())["models"]

    def fill(result, path):
        raise OutputError("No space left on device", subject=str(path))

    monkeypatch.setattr(BenchResult, "save", fill)
    result = bench("--json", tmp_path / "r.json")
    assert "r.json" in one_error_line(result, 1)
    assert "30.0 µs" in result.stdout


def test_runs_without_value(measured):
    assert bench("--strict").exit_code == 0
    measured.findings = (reports.HOT,)
    result = bench()
    assert (result.exit_code, "INVALID: throttled" in result.stdout) == (0, True)
    result = bench("--strict")
    assert "INVALID: throttled" in one_error_line(result, 3)
    assert "30.0 µs" in result.stdout  # the figures are printed all the same
    measured.variants = [make_failed("digits-int8", "died")]
    result = bench("--recommend")
    assert (result.exit_code, "digits-int8: died" in result.stdout) == (1, True)


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


def test_save(measured, place):
    tiny = profiles.shipped_hashes("digits-tiny")["int8"]
    measured.variants.append(make_variant("digits-tiny-int8", 20.0, model_sha256=tiny))
    # A single variant whose processes disagree does not matter.
    measured.findings = (Finding("spread", "digits-fp32", 0.3, 0.15),)
    result = bench("--recommend", "--save")
    assert (result.exit_code, str(place) in result.stderr) == (0, True)
    saved = json.loads(place.read_text())["models"]
    assert set(saved) == {"digits", "digits-tiny"}
    assert (saved["digits"]["precision"], saved["digits"]["cpu"]) == ("int8", "Cortex-A76")


def test_what_is_not_saved(measured, place, tmp_path):
    options = ("--recommend", "--save", "--json", tmp_path / "r.json")
    result = bench(*options, "--max-latency", "0.01")  # nothing qualifies
    assert (result.exit_code, "0.01 ms" in result.stderr.splitlines()[-1]) == (3, True)
    assert "digits-int8" in result.stdout
    assert load_report(tmp_path / "r.json").recommended is None
    measured.findings = (reports.HOT,)
    result = bench(*options)
    assert (result.exit_code, "throttled" in result.stderr.partition("INVALID")[2]) == (3, True)
    measured.variants, measured.findings = [make_variant("own-int8", 30.0)], ()
    result = bench(*options)
    assert (result.exit_code, "own: " in result.stderr) == (2, True)
    assert "own: " in one_error_line(bench(*options, "--models", "own"), 2)
    assert len(measured.seen) == 3  # where it can be known before, it is
    assert not place.exists()


def store(path: Path, *variants, **changes) -> Path:
    save_report(make_report(*variants, **changes), path)
    return path


def test_compare(tmp_path):
    a = store(tmp_path / "a.json", make_variant(), make_variant("x", 5.0), quick=True)
    b, c = (store(tmp_path / f"{us}.json", make_variant(us=us)) for us in (15.0, 60.0))
    result = bench("compare", a, b)
    assert result.exit_code == 0
    for text in (f"first:  {a}: Board 5", f"second: {b}: ", "0.500", "faster", "the second: x"):
        assert text in result.stdout
    result = bench("compare", a, b, c)
    assert all(text in result.stdout for text in ("third:  ", "0.500 faster", "2.000 slower"))
    assert len(result.stderr.splitlines()) == 1  # it is about the first, and not repeated
    # Reports of older versions can be compared, too.
    old = next((ROOT / "benchmarks/results").glob("*/bench.json"))
    assert "1.000 no difference" in bench("compare", old, a, old).stdout


def test_what_cannot_be_compared(tmp_path):
    for files in ((), ("a",)):
        assert "REPORT" in one_error_line(bench("compare", *files), 2)
    a, b = (store(tmp_path / f"{name}.json", make_variant(name)) for name in "ab")
    # They have no variant in common.
    assert f"{a} and {b}: " in one_error_line(bench("compare", a, b), 2)
    b.write_text("{}")
    for bad in (b, tmp_path / "none.json"):
        assert f"{bad}: " in one_error_line(bench("compare", a, bad), 2)


def test_a_quick_run_end_to_end(tmp_path):
    json_, markdown = tmp_path / "r.json", tmp_path / "r.md"
    options = ("--threads", "1,2", "--json", json_, "--markdown", markdown)
    command = [sys.executable, "-m", "digitkit", "bench", *FAST, *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "digits-tiny-int8, 2 threads" in done.stdout
    report = load_report(json_)
    assert "--model-only" in report.environment.command
    assert [v.threads for v in report.measured] == [1, 2]
    assert "**latency per call**" in markdown.read_text("utf-8")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.json", "r.md", "r.samples.npz"]
