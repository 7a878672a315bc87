"""``digitkit bench``, most of it without measuring anything."""

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
from support import reports as benches
from support.paths import ROOT
from typer.testing import CliRunner

from digitkit.benchmark import report, runner
from digitkit.cli import show
from digitkit.cli.app import app
from digitkit.errors import OutputError
from digitkit.images.opencv import cv2
from digitkit.models import profiles

FAST = (
    *("--models", "digits-tiny-int8", "--quick", "--model-only", "--no-accuracy"),
    *("--paced", "0", "--processes", "1", "--runs", "1", "--seconds", "0"),
)


def bench(*arguments: object):
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


def line(result, code: int) -> str:
    """A user's mistake: its exit code, one line on stderr, no traceback."""
    assert result.exit_code == code, result.output
    found = [text for text in result.stderr.splitlines() if not text.startswith("warning: ")]
    (text,) = found
    return text


def usage(result) -> str:
    """What typer says of an option, on one line."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return re.sub(r"[\s│╭╮╰╯─]+", " ", result.output)


class Measured:
    """Stands in for the measuring: it remembers what was asked for, and gives a report at once."""

    def __init__(self) -> None:
        self.seen: list[runner.BenchConfig] = []
        self.variants = [benches.variant(f"digits-{k}", us) for k, us in KINDS.items()]
        self.invalid: list[str] = []

    def __call__(self, config, progress):
        self.seen.append(config)
        good = [i for i, variant in enumerate(self.variants) if variant.error is None]
        samples = {f"{i}/0": np.full(64, 30_000) for i in good}
        return benches.made(*self.variants, invalid=self.invalid), samples

    def use_real_hashes(self) -> None:
        self.variants = [
            replace(v, model_sha256=profiles._hashes(name)[kind])
            for v in self.variants
            for name, _, kind in [v.model.rpartition("-")]
        ]


KINDS = {"int8": 30.0, "fp32": 60.0}


@pytest.fixture
def measured(monkeypatch):
    found = Measured()
    monkeypatch.setattr(runner, "run_benchmark", found)
    return found


# --- what is asked for -----------------------------------------------------------------------


def test_help():
    result = bench("--help")
    assert result.exit_code == 0
    assert "--recommend" in result.output
    assert "Examples" in result.output


def test_defaults(measured):
    assert bench().exit_code == 0
    (config,) = measured.seen
    assert (config.models, config.runtimes) == (("digits",), ("onnxruntime",))
    assert (config.threads, config.batches, config.workers) == ((1,), (1,), ())
    assert (config.processes, config.runs, config.seconds, config.paced) == (5, 1024, 10, 10)
    assert (config.whole, config.accuracy, config.quick) == (True, True, False)


def test_lists(measured):
    bench(
        *("--models", "digits, a.onnx,", "--threads", "1,2", "--batches", "4", "--workers", "2,3"),
        *("--runtimes", "opencv,openvino", "--quick", "--runs", "7"),
    )
    (config,) = measured.seen
    assert config.models == ("digits", "a.onnx")
    assert (config.threads, config.batches, config.workers) == ((1, 2), (4,), (2, 3))
    assert config.runtimes == ("opencv", "openvino")
    assert (config.quick, config.runs, config.processes) == (True, 7, 2)


@pytest.mark.parametrize(("cores", "threads"), [(1, (1,)), (2, (1, 2)), (6, (1, 2, 4))])
def test_what_a_recommendation_measures(measured, monkeypatch, cores, threads):
    monkeypatch.setattr("digitkit.system.machine.usable_cores", lambda: cores)
    assert bench("--recommend").exit_code == 0
    (config,) = measured.seen
    assert (config.threads, config.batches) == (threads, (1, 8, 64))
    assert (config.whole, config.paced) == (False, 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--threads", "0"), "--threads: '0': write numbers from 1 on"),
        (("--threads", "a,b"), "--threads: 'a,b': write numbers"),
        (("--threads", ""), "--threads: '': write numbers"),
        (("--threads", "1000000000"), "threads holds 1000000000; needed is 1 to 1,024"),
        (("--batches", "99999999999999999999"), "needed is 1 to 65,536"),
        (("--batches", "1,-2"), "--batches: '1,-2': write numbers"),
        (("--workers", "1.5"), "--workers: '1.5': write numbers"),
        (("--threads", "1,1"), "threads holds something twice"),
        (("--models", ""), "models is empty"),
        (("--runtimes", ","), "runtimes is empty"),
        (("--runtimes", "tflite"), "'tflite' is no runtime; there is onnxruntime"),
        (("--processes", "0"), "--processes"),
        (("--seconds", "-1"), "--seconds"),
        (("--max-latency", "5"), "--max-latency: goes with --recommend"),
        (("--max-accuracy-drop", "0.1"), "--max-accuracy-drop: goes with --recommend"),
        (("--save",), "--save: goes with --recommend"),
        (("--data", "x", "--no-accuracy"), "--data: is what accuracy is measured on"),
        (
            ("--recommend", "--max-accuracy-drop", "0.1", "--no-accuracy"),
            "--max-accuracy-drop: goes without --no-accuracy",
        ),
        (("--recommend", "--runtimes", "opencv"), "--recommend: is for the runtime onnxruntime"),
        (("--whole", "--runtimes", "opencv"), "--whole: is for the runtime onnxruntime"),
        (("--compare", "a", "b", "--quick"), "--quick: goes without --compare"),
        (("--compare", "a", "b", "--json", "x"), "--json: goes without --compare"),
        (("--threads", "1", "--compare", "a", "b"), "--threads: goes without --compare"),
        (("--compare", "a"), "--compare"),
    ],
)
def test_what_cannot_be_asked_for(measured, arguments, said):
    assert said in usage(bench(*arguments))
    assert measured.seen == []


def test_models_that_are_not_there():
    said = line(bench("--models", "nothing", *FAST[2:]), 2)
    assert said.startswith("digitkit: nothing: is neither a shipped model")


def test_an_input_scale_without_a_foreign_model():
    said = line(bench(*FAST, "--input-scale", "0.5"), 2)
    assert said.startswith("digitkit: digits-tiny-int8: an input scale is for foreign models")


@pytest.mark.parametrize("option", ["--json", "--markdown", "--plot"])
def test_places_that_cannot_be_written(measured, tmp_path, option):
    (tmp_path / "file").write_text("x")
    if option == "--plot":
        pytest.importorskip("matplotlib")
    said = line(bench(option, tmp_path), 1)
    assert said == f"digitkit: {tmp_path}: is a folder; name a file"
    said = line(bench(option, tmp_path / "file/r"), 1)
    assert "cannot be written" in said
    assert measured.seen == []


def test_places_that_cannot_be(measured, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    for name in ("loop", "x" * 300, f"{'x' * 248}.json"):  # the last one's samples have no place
        assert "cannot be written: " in line(bench("--json", tmp_path / name), 1)
    assert measured.seen == []


def test_the_samples_need_their_place_too(measured, tmp_path):
    (tmp_path / "r.samples.npz").mkdir()
    assert "r.samples.npz: is a folder" in line(bench("--json", tmp_path / "r.json"), 1)
    for option, name in (("--markdown", "new/../a.json"), ("--plot", "a.samples.npz")):
        said = usage(bench("--json", tmp_path / "a.json", option, tmp_path / name))
        assert "need a file each" in said
    assert measured.seen == []


def test_a_profile_that_cannot_be_written(measured, tmp_path, monkeypatch):
    monkeypatch.setenv("DIGITKIT_PROFILE", str(tmp_path))
    assert "is a folder" in line(bench("--recommend", "--save"), 1)
    assert measured.seen == []


def test_without_matplotlib(measured, monkeypatch, tmp_path):
    for name in ("matplotlib", "matplotlib.figure"):  # the latter may be loaded already
        monkeypatch.setitem(sys.modules, name, None)
    said = line(bench("--plot", tmp_path / "p.png"), 2)
    assert "pip install 'digitkit[train]'" in said
    assert measured.seen == []


def test_it_warns_before_it_starts(measured, monkeypatch):
    powersave = replace(benches.CALM, governor="powersave")
    monkeypatch.setattr("digitkit.system.conditions.read_conditions", lambda: powersave)
    result = bench()
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: the governor powersave may hold the clock down")


# --- what is given ---------------------------------------------------------------------------


def test_text(measured):
    result = bench()
    assert result.stdout.startswith("Board 5, Cortex-A76 (NEON, dotprod), 4 cores")
    for part in ("digits-int8", "30.0 µs", "60.0 µs", "99.00%", "the run is valid"):
        assert part in result.stdout
    assert "None" not in result.stdout


def test_brackets_in_a_name(measured):
    measured.variants = [
        benches.variant("[red]m[/]-int8", 30.0),
        benches.failed("bad", "takes [/nothing], [bold]"),
    ]
    result = bench()
    assert result.exit_code == 0
    assert "[red]m[/]-int8" in result.stdout
    assert "[/nothing]" in result.stdout


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_a_terminal(measured, kept, monkeypatch, width):
    workers = tuple(report.Throughput(count, 123_456.0) for count in (1, 4))
    measured.variants = [
        replace(benches.variant(f"digits-int8, openvino, {n} threads, batch 8", 30.0 * n),
                throughput=workers)
        for n in (2, 4)
    ]  # fmt: skip
    monkeypatch.setattr(show, "out", lambda: Console(width=width, highlight=False))
    drawn = bench().stdout + bench("--compare", *[kept(n, *measured.variants) for n in "ab"]).stdout
    rules = [text for text in drawn.splitlines() if "───" in text]
    assert len(rules) == 5
    assert max(map(len, rules)) <= width
    for part in ("openvino", "threads", "123,456", "60.0 µs", "1.000", "difference"):
        assert re.search(rf"(?<!\S){part}(?![^\s,])", drawn), part  # none is cut, or broken


def test_a_terminal_that_is_too_narrow_breaks_whole_tables(measured, monkeypatch):
    monkeypatch.setattr(show, "out", lambda: Console(width=40, highlight=False))
    drawn = bench().stdout
    assert re.search(r"^ digits-fp32 +60.0 µs  59.4–60.6 µs", drawn, re.MULTILINE)


def test_json_on_standard_output(measured):
    result = bench("--json", "-", "--recommend")
    values = json.loads(result.stdout)
    assert values["variants"][0]["p50_us"] == 30
    assert values["samples"] is None
    assert "recommended for digits: int8" in result.stderr


def test_files(measured, tmp_path):
    places = [tmp_path / "new" / name for name in ("r.json", "r.md")]
    result = bench("--json", places[0], "--markdown", places[1])
    assert result.exit_code == 0
    assert f"written: {places[0]}, {places[1]}" in result.stderr
    values = report.load(places[0])
    assert values["samples"] == "r.samples.npz"
    with np.load(places[0].with_name(values["samples"])) as samples:
        assert set(samples) == {"0/0", "1/0"}
    text = places[1].read_text("utf-8")
    assert "| digits-int8 | 30.0 µs |" in text
    assert "- the run is valid" in text


def test_files_are_written_though_nobody_reads_the_output(measured, tmp_path, monkeypatch):
    def gone(values):
        raise BrokenPipeError

    monkeypatch.setattr(report, "summary", gone)
    assert bench("--json", tmp_path / "r.json").exit_code == 1
    assert report.load(tmp_path / "r.json")["variants"]


def test_the_output_is_given_though_a_file_cannot_be_written(measured, tmp_path, monkeypatch):
    def full(report, samples, path):
        raise OutputError(f"{path}: cannot be written: No space left on device")

    monkeypatch.setattr(runner, "write", full)
    result = bench("--json", tmp_path / "r.json")
    assert line(result, 1).endswith("r.json: cannot be written: No space left on device")
    assert "30.0 µs" in result.stdout


def test_a_plot(measured, tmp_path):
    pytest.importorskip("matplotlib")
    assert bench("--plot", tmp_path / "p.png").exit_code == 0
    assert cv2.imread(str(tmp_path / "p.png")) is not None


def test_strict(measured):
    assert bench("--strict").exit_code == 0
    measured.invalid = ["the board throttled"]
    result = bench()
    assert result.exit_code == 0
    assert "INVALID: the board throttled" in result.stdout
    result = bench("--strict")
    assert line(result, 3) == "digitkit: the run is INVALID: the board throttled"
    assert "30.0 µs" in result.stdout  # what was found is given all the same


# --- recommendations -------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    path = tmp_path / "profile.json"
    monkeypatch.setenv("DIGITKIT_PROFILE", str(path))
    return path


def test_recommend(measured, place):
    result = bench("--recommend")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == (
        "recommended for digits: int8, 1 thread: int8 takes 0.50 times as long as fp32"
    )
    assert not place.exists()


def test_a_recommendation_is_in_the_report(measured, place, tmp_path):
    json_, markdown = tmp_path / "r.json", tmp_path / "r.md"
    result = bench("--recommend", "--json", json_, "--markdown", markdown)
    assert result.exit_code == 0
    (found,) = report.load(json_)["recommended"]
    assert (found["model"], found["precision"], found["threads"]) == ("digits", "int8", 1)
    assert "- recommended for digits: int8, 1 thread: " in markdown.read_text("utf-8")
    bench("--json", json_)
    assert report.load(json_)["recommended"] is None


def test_nothing_fits(measured, place, tmp_path):
    kept = tmp_path / "r.json"
    result = bench("--recommend", "--max-latency", "0.01", "--save", "--json", kept)
    assert "no variant answers within 0.01 ms" in result.stderr.splitlines()[-1]
    assert result.exit_code == 3
    assert not place.exists()
    assert report.load(kept)["recommended"] is None
    assert "digits-int8" in result.stdout


def test_save(measured, place):
    measured.use_real_hashes()
    result = bench("--recommend", "--save")
    assert result.exit_code == 0
    assert f"saved in {place}; digitkit infer uses it" in result.stderr
    kept = json.loads(place.read_text())["models"]["digits"]
    assert (kept["precision"], kept["threads"], kept["cpu"]) == ("int8", 1, "Cortex-A76")


def test_it_is_saved_though_nobody_reads_the_output(measured, place, monkeypatch):
    def gone(values):
        raise BrokenPipeError

    measured.use_real_hashes()
    monkeypatch.setattr(report, "summary", gone)
    assert bench("--recommend", "--save").exit_code == 1
    assert "digits" in json.loads(place.read_text())["models"]


def test_more_threads_than_cores_are_not_saved(measured, place, monkeypatch):
    monkeypatch.setattr("digitkit.system.machine.usable_cores", lambda: 2)
    said = usage(bench("--recommend", "--save", "--threads", "1,4"))
    assert "--save: goes with no more --threads than there are cores (2)" in said
    assert measured.seen == []
    assert bench("--recommend", "--threads", "1,4").exit_code == 0


def test_both_shipped_models_are_saved(measured, place):
    measured.variants += [
        benches.variant("digits-tiny-int8", 20.0), benches.variant("digits-tiny-fp32", 25.0)
    ]  # fmt: skip
    measured.use_real_hashes()
    assert bench("--recommend", "--save").exit_code == 0
    assert set(json.loads(place.read_text())["models"]) == {"digits", "digits-tiny"}


def test_an_invalid_run_is_not_saved(measured, place):
    measured.use_real_hashes()
    measured.invalid = ["hot"]
    said = line(bench("--recommend", "--save"), 3)
    assert said == "digitkit: nothing is saved, since the run is INVALID: hot"
    assert not place.exists()


def test_another_model_is_not_saved(measured, place):
    measured.variants = [benches.variant("own-int8", 30.0)]
    assert "only what runs best of a shipped model" in line(bench("--recommend", "--save"), 2)
    assert not place.exists()


# --- comparing -------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path):
    def write(name: str, *variants, **changes) -> Path:
        path = tmp_path / name
        path.write_text(json.dumps(benches.report(*variants, **changes)), "utf-8")
        return path

    return write


def test_compare(kept):
    a = kept("a.json", benches.variant("digits-int8", 30.0), benches.variant("x", 5.0))
    b = kept("b.json", benches.variant("digits-int8", 15.0), digitkit="0.2.0")
    result = bench("--compare", a, b)
    assert result.exit_code == 0
    for part in (f"first:  {a}: Board 5", f"second: {b}: ", "0.500", "faster", "in the first: x"):
        assert part in result.stdout
    assert result.stderr == "warning: digitkit: 0.1.0 in the first, 0.2.0 in the second\n"


def test_nothing_to_compare(kept):
    a, b = kept("a.json", benches.variant("a", 1.0)), kept("b.json", benches.variant("b", 1.0))
    assert "have no variant in common" in line(bench("--compare", a, b), 2)


def test_comparing_what_is_no_report(kept, tmp_path):
    a = kept("a.json", benches.variant("a", 1.0))
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    assert line(bench("--compare", a, bad), 2).startswith(f"digitkit: {bad}: is no report")
    none = tmp_path / "none.json"
    assert line(bench("--compare", none, a), 2) == f"digitkit: {none}: there is no such report"


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("environment", "versions", []),
        ("settings", "runs", "x"),
        ("settings", "processes", None),
        ("variants", "p50_us", "x"),
        ("variants", "p50_us", 10**400),
        ("variants", "processes", [{"p50_us": "x"}]),
    ],
)
def test_comparing_a_damaged_report(kept, tmp_path, part, key, value):
    a = kept("a.json", benches.variant("a", 1.0))
    values = report.load(a)
    place = values[part][0] if part == "variants" else values[part]
    del place[key]
    if value is not None:
        place[key] = value
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(values), "utf-8")
    assert re.search(
        r"bad\.json.* is damaged \(.+\); bench again$", line(bench("--compare", a, bad), 2)
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_gives_one_line(kept):
    a = kept("a.json", benches.variant("a", 1.0))
    command = [sys.executable, "-m", "digitkit", "bench", "--compare", str(a), str(a)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    (text,) = done.stderr.splitlines()
    assert text == "digitkit: standard output: cannot be written: No space left on device"


# --- fresh processes -------------------------------------------------------------------------


def test_a_quick_run_end_to_end(tmp_path):
    places = {name: tmp_path / f"r.{name}" for name in ("json", "markdown")}
    command = [sys.executable, "-m", "digitkit", "bench", *FAST, "--threads", "1,2"]
    for name, path in places.items():
        command += [f"--{name}", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "digits-tiny-int8, 2 threads" in done.stdout
    assert "a quick run: its figures are rough" in done.stdout
    values = report.load(places["json"])
    assert values["quick"]
    assert "--model-only" in values["environment"]["command"]
    assert [v["threads"] for v in values["variants"]] == [1, 2]
    assert "**a run of the model" in places["markdown"].read_text("utf-8")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.json", "r.markdown", "r.samples.npz"]


def test_an_invalid_run_end_to_end():
    # Two take the same time once in a thousand runs, or in thirty where a clock has coarse steps.
    result = bench(*FAST, "--processes", "6", "--max-spread", "0", "--strict", "--json", "-")
    assert "differ by" in line(result, 3)
    values = json.loads(result.stdout)
    assert values["valid"] is False
    # Where the clock fell meanwhile, that is said as well.
    assert any(
        reason.startswith("digits-tiny-int8: its processes differ by ")
        for reason in values["invalid"]
    )
