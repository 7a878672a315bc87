"""The benchmark scripts run on little data and print what they should; no timing is asserted."""

import importlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from support import reports
from support.documents import write_video
from support.errors import error_of
from support.paths import ROOT, SHARED

from digitkit import Number
from digitkit.images.cv import cv2
from digitkit.training.scenes.scene import compose_scene

pytest.importorskip("torch")
pytest.importorskip("onnx")


@pytest.fixture
def script(monkeypatch):
    """Imports a benchmark script by its name."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


@pytest.fixture
def run(script, monkeypatch, capsys):
    """Runs a script as if from the shell and returns what it printed."""

    def run_main(name: str, *arguments: object) -> str:
        monkeypatch.setattr("sys.argv", [name, *map(str, arguments)])
        script(name).main()
        return capsys.readouterr().out

    return run_main


@pytest.mark.parametrize(
    ("command", "rows"),
    [
        ("nondigits digits-int8", ["cut digit", "two digits", "letter", "letter*", "mean"]),
        ("line_weights --count 8", ["classifier, in its context", "line reader", "both"]),
        ("startup --rounds 1", ["digitkit infer", "import typer", "digitkit --help"]),
        (
            "overhead --rounds 2 --paced 2 --images 3",
            ["classify, [28, 28]", "100×100, dark on light", "Reader, 28×28, threads: 1"],
        ),
    ],
)
def test_tables(run, command, rows):
    out = run(*command.split())
    assert [row for row in rows if f"\n{row} " not in out] == []


def test_runs_that_are_killed_and_continued(run, capsys):
    pytest.importorskip("pyarrow")
    error = error_of(SystemExit, run, "scale", "--crops", 300, "--pages", 4, "--kills", 2)
    assert error.code == 0
    out = capsys.readouterr().out
    assert "0 files missing, 0 rows too many" in out
    assert [line for line in out.splitlines() if line.startswith(("300 crops", "4 pages"))]


def test_names_are_listed(run):
    pytest.importorskip("pyarrow")
    for more, count in (((), 6), (("--read",), 4)):
        out = run("scale", "--names", 1500, *more)
        rows = [line for line in out.splitlines() if line.startswith("1,500 ") and " MB" in line]
        assert len(rows) == count


def test_forms(run):
    out = run("forms", "--count", 1, "--others", 1, "--words", 1, "--markers")
    rows = [line.split() for line in out.splitlines()]
    found = {row[0]: row[2] for row in rows if row[:1] in (["scans"], ["photos"]) and row[1] == "1"}
    assert found == {"scans": "100.00%", "photos": "100.00%"}
    assert "refused: 1 of 1" in out
    assert "of 2 taken for a number" in out


def test_startup_of_what_fails(run, tmp_path):
    error = error_of(SystemExit, run, "startup", "--rounds", 1, "--image", tmp_path)
    assert "ends with exit code 1" in str(error)


@pytest.mark.parametrize(
    ("digits", "others", "area"),
    [
        ([0.9, 0.8], [0.1, 0.2], 1), ([0.1], [0.2, 0.3], 0),
        ([0.5, 0.5], [0.5], 0.5), ([0.3, 0.9], [0.5, 0.1], 0.75),
    ],
)  # fmt: skip
def test_area_under_the_curve(script, digits, others, area):
    assert script("nondigits").auc(np.array(digits), np.array(others)) == area


PEER = SHARED / "peers/zoo-mnist-7.onnx"


@pytest.fixture
def photos(tmp_path, one_of_each):
    """A folder of labelled images: single digits, pages, one without digits, one of one colour."""
    for digit in (3, 7):
        cv2.imwrite(str(tmp_path / f"{digit}.png"), one_of_each[digit])
    for name in ("3-blue-pen.jpg", "page.jpg"):
        shutil.copy(ROOT / "data/samples" / name, tmp_path)
    paper = np.random.default_rng(0).normal(220, 3, (240, 320)).clip(0, 255).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "paper.png"), paper)
    cv2.imwrite(str(tmp_path / "blank.png"), np.full((240, 320), 220, np.uint8))
    labels = [
        {"file": "3.png", "text": "3", "kind": "single"},
        {"file": "7.png", "text": "1", "kind": "single"},  # a wrong label: a mistake to show
        {"file": "3-blue-pen.jpg", "text": "3", "kind": "page", "hard": True, "notes": "a pen"},
        {"file": "page.jpg", "text": "1984\n2750\n6361", "kind": "page", "reading_order": True},
        {"file": "page.jpg", "text": "012345667\n199", "kind": "page", "reading_order": False},
        {"file": "paper.png", "text": "", "kind": "page"},
        {"file": "blank.png", "text": "", "kind": "page"},
    ]
    (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, labels)))
    return tmp_path


def test_photos(run, photos):
    figures = photos / "figures.json"
    out = run("photos", photos, "digits-int8", "--wrong", "--json", figures)
    assert "ONNX Runtime" in out
    assert "digits-int8: 1 of 2 single digits right" in out
    assert "7.png: 1 read as 7\n" in out
    rows = [line.split("  ")[0] for line in out.splitlines() if "  digits-int8  " in line]
    assert rows == ["easy pages", "hard pages", "single digits", "no digits"] * 2
    assert "tutorial" not in out
    (result,) = json.loads(figures.read_text())["readers"].values()
    easy, hard, single, none = result["groups"].values()
    assert (easy["images"], easy["images_right"], easy["digits"]) == (2, 1, 24)
    assert (easy["substituted"], easy["digits_right"]) == (1, 1 - 1 / 24)  # an 8, labelled 9
    assert (hard["images_right"], hard["digits_right"]) == (1, 1)
    assert (single["images_right"], single["substituted"]) == (1, 1)
    assert none["digits_right"] is None
    assert (none["images"], none["images_right"], none["refused"]) == (2, 2, 0)
    assert none["false_digits_per_ten_images"] == 0
    for stage in easy["ms"].values():
        assert 0 < stage["median"] <= stage["largest"]
        assert stage["per_megapixel"] > 0
    run("photos", photos, "digits-int8", "--min-confidence", 1, "--json", figures)
    (result,) = json.loads(figures.read_text())["readers"].values()
    easy = result["groups"]["easy pages"]
    assert (easy["digits_right"], easy["missed"]) == (0, 24)


@pytest.mark.skipif(not PEER.exists(), reason="the peer's model is not here (../shared/peers)")
def test_photos_compared_with_the_tutorial(run, photos):
    run("photos", photos, "digits-int8", "--peer", PEER, "--json", photos / "figures.json")
    readers = json.loads((photos / "figures.json").read_text())["readers"]
    assert list(readers) == ["digits-int8", "tutorial with zoo-mnist-7"]
    tutorial = readers["tutorial with zoo-mnist-7"]
    assert tutorial["groups"]["hard pages"]["digits_right"] == 1
    assert tutorial["single_digits"]["images"] == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "labels.jsonl:1: "), ('{"file": "x.png"}', "labels.jsonl:1: "),
        ('{"file": "x.png", "kind": "page", "text": "1"}', "x.png"), ("", "labels.jsonl"),
    ],
)  # fmt: skip
def test_photos_in_a_bad_folder(run, capsys, tmp_path, line, message):
    (tmp_path / "labels.jsonl").write_text(line)
    error = error_of(SystemExit, run, "photos", tmp_path, "digits-int8")
    assert message in f"{error}{capsys.readouterr().err}"


@pytest.mark.parametrize(
    ("truth", "read", "substituted", "missed", "false"),
    [
        ("", "", 0, 0, 0), ("", "12", 0, 0, 2), ("123", "", 0, 3, 0), ("123", "123", 0, 0, 0),
        ("123", "173", 1, 0, 0), ("123", "13", 0, 1, 0), ("123", "1723", 0, 0, 1),
        ("12", "23", 0, 1, 1),  # as few edits as two substitutions
        ("1111", "2", 1, 3, 0), ("12345", "02355", 2, 0, 0), ("71", "712457747918", 0, 0, 10),
    ],
)  # fmt: skip
def test_alignment(script, truth, read, substituted, missed, false):
    alignment = script("alignment")
    assert alignment.align(truth, read)[0] == alignment.Edits(substituted, missed, false)
    assert alignment.align(read, truth)[0] == alignment.Edits(substituted, false, missed)


@pytest.mark.parametrize(
    ("read", "ordered", "edits"),
    [
        ("1\n23", True, (0, 0, 0)),  # row breaks are ignored
        ("3\n12", True, (0, 1, 1)), ("3\n12", False, (0, 0, 0)), ("3\n11", False, (1, 0, 0)),
    ],
)  # fmt: skip
def test_comparison_with_and_without_reading_order(script, read, ordered, edits):
    photos = script("photos")
    page = photos.Label(file="x.png", kind="page", text="12\n3", reading_order=ordered)
    assert photos.compare(page, read) == photos.Edits(*edits)


def test_printed_digits_may_be_read_or_not(script):
    photos = script("photos")
    page = photos.Label(file="x.png", kind="page", text="12", printed="number 55 at the top")
    assert photos.compare(page, "12") == photos.Edits(0, 0, 0)
    assert photos.compare(page, "55\n12") == photos.Edits(0, 0, 0)
    assert photos.compare(page, "555\n126") == photos.Edits(0, 0, 2)
    assert photos.compare(page, "52") == photos.Edits(1, 0, 0)


def test_what_a_video_shows(script):
    judge = script("videos").judge
    timeline = [(0.0, 2.0, "12"), (2.0, 5.0, "7\n8")]
    reports = [(0.5, "12"), (2.5, "7"), (3.0, "7\n8")]
    shown = judge("x.mp4", timeline, reports)
    assert (shown.nothing, shown.right, shown.wrong) == (0.5, 1.5 + 2.0, 0.5 + 0.5)
    assert judge("x.mp4", timeline, []).nothing == 5


def test_photos_play_videos(run, tmp_path, one_of_each):
    page = np.full((240, 320), 230, np.uint8)
    page[80:160, 120:200] -= (cv2.resize(one_of_each[7], (80, 80)) * 0.8).astype(np.uint8)
    write_video(tmp_path / "x.avi", [cv2.cvtColor(page, cv2.COLOR_GRAY2BGR)] * 12)
    label = {"file": "x.avi", "kind": "video", "text": "7", "timeline": [[0, 1.2, "7"]]}
    (tmp_path / "labels.jsonl").write_text(json.dumps(label))
    figures = tmp_path / "figures.json"
    out = run("photos", tmp_path, "digits-int8", "--json", figures)
    assert "x.avi" in out
    (result,) = json.loads(figures.read_text())["readers"].values()
    (video,) = result["videos"]
    assert [text for _, text in video["reports"]] == ["7"]
    assert video["right"] > 0.5
    assert video["wrong"] == 0


def test_the_tutorial_detects_digits_in_rows(script, one_of_each):
    find_digits = script("tutorial").find_digits
    page = np.zeros((200, 200), np.uint8)
    for digit, x, y in ((1, 20, 20), (2, 80, 26), (3, 10, 110), (4, 130, 104)):
        page[y : y + 56, x : x + 56] = cv2.resize(one_of_each[digit], (56, 56))
    for image in (page, 255 - page):
        digits = find_digits(image)
        assert [row for _, row, _ in digits] == [0, 0, 1, 1]
        centres = [(x + w / 2, y + h / 2) for (x, y, w, h), _, _ in digits]
        assert np.allclose(centres, [(48, 48), (108, 54), (38, 138), (158, 132)], atol=12)
        for _, _, square in digits:
            assert (square.shape, square.dtype) == ((28, 28), np.uint8)
            assert not square[:4].any()
            assert square[4:24, 4:24].max() == 255
    assert find_digits(np.full((60, 60), 255, np.uint8)) == []


def test_seeds(run, fast_run, tmp_path, monkeypatch):
    from digitkit.export import export_job, verify

    folder = shutil.copytree(fast_run.folder, tmp_path / "run")
    monkeypatch.setattr(verify, "INT8_LOSS", 1.0)
    export_job.export_run(export_job.ExportConfig(folder))
    better = shutil.copytree(folder, tmp_path / "better")
    record = json.loads((better / "run.json").read_text())
    record["validation"]["accuracy"] += 0.01
    (better / "run.json").write_text(json.dumps(record))
    for order in ((folder, better), (better, folder)):
        out = run("seeds", *order)
        assert f"ships: {better}" in out
        assert "2 seeds" in out


def test_scenes(script, run, tmp_path, monkeypatch):
    small = partial(compose_scene, sides=(200, 240))
    monkeypatch.setattr(script("scenes"), "compose_scene", small)
    run("scenes", tmp_path, "--count", 2)
    labels = list(map(json.loads, (tmp_path / "labels.jsonl").read_text().splitlines()))
    assert len(labels) == 2
    for label in labels:
        assert cv2.imread(str(tmp_path / label["file"])) is not None
        assert set(label["text"]) <= set("0123456789\n")


@pytest.mark.parametrize("kind", ["words", "empty", "tilted", "single"])
def test_scenes_of_one_difficulty(run, tmp_path, kind):
    run("scenes", tmp_path, "--count", 1, "--kind", kind, "--degrees", 30)
    (label,) = map(json.loads, (tmp_path / "labels.jsonl").read_text().splitlines())
    side = max(cv2.imread(str(tmp_path / label["file"])).shape)
    assert bool(label["text"]) == (kind in ("tilted", "single"))
    assert (20 <= side <= 100) if kind == "single" else (side > 300)


def test_weights_of_the_context_are_fitted(script, run, monkeypatch):
    small = partial(compose_scene, sides=(300, 360), empty=False)
    monkeypatch.setattr(script("context"), "compose_scene", small)
    out = run("context", "--count", 8)
    assert "in its context" in out
    own, context = (line for line in out.splitlines() if "_WEIGHTS = (" in line)
    assert (own.count(","), context.count(",")) == (5, 8)


def test_numbers_are_counted(run, tmp_path):
    pytest.importorskip("matplotlib")
    curve = tmp_path / "curve.png"
    out = run("number_reading", "--count", 2, "--wrong", "--curve", curve)
    for row in ("strips", "tables", "rows", "threshold", "none", "0.99"):
        assert f"\n{row} " in out
    assert cv2.imread(str(curve)) is not None
    alone = run("number_reading", "--count", 1, "--kind", "strips")
    assert "tables" not in alone
    assert "all" not in alone.splitlines()[-8]


def test_risk_and_coverage(script):
    reading, sets = script("number_reading"), script("number_sets")

    def found(text, confidence, complete=True):
        box = (0, 0, 10, 10)
        return Number(text, text, complete, confidence, box, row=0, column=0, digits=())

    written = tuple(sets.Written("12", (20 * i, 0, 10, 10), 0, i) for i in range(4))
    sheet = sets.Sheet(np.zeros((10, 80, 3), np.uint8), written)
    numbers = [found("12", 0.9), found("13", 0.8), found("12", 0.8), found("1?", 0.99, False)]
    sheets = [(sheet, [reading.Found(number, written[0]) for number in numbers])]
    points = reading.risk_coverage(sheets, [0, 0.8, 0.85, 0.95])
    assert [point.coverage for point in points] == [0.75, 0.75, 0.25, 0]
    assert [point.risk for point in points] == [1 / 3, 1 / 3, 0, 0]
    assert [point.threshold for point in reading.risk_coverage(sheets)] == [0.9, 0.8]
    assert reading.risk_coverage([(sheet, [])]) == []
    assert reading.draw_curve("nothing was read", {"strips": [(sheet, [])]})
    few, none = (reading.draw_curve("a", {"strips": own}) for own in (sheets, [(sheet, [])]))
    assert few == none  # the risk of three numbers is chance


def test_orientations_are_counted(run):
    out = run("orientation", "--count", 1)
    assert "turned pages corrected: " in out
    assert "level pages turned: " in out


@pytest.mark.parametrize(("accuracy", "seconds"), [(0.9912, 10.0), (0.994, None)])
def test_training_time_to_an_accuracy(script, accuracy, seconds):
    points = [(5.0, 0.98), (10.0, 0.9912), (15.0, 0.993)]
    assert script("training").time_to(points, accuracy) == seconds


def test_candidate_networks(script):
    pytest.importorskip("matplotlib")
    values = {"name": "a", "fp32_varied_accuracy": 0.98, "int8_varied_accuracy": 0.99}
    rows = [values | {"fp32_ratio": 0.5 + i / 10, "int8_ratio": 0.4 + i / 10} for i in range(4)]
    figure, again = (script("search").plot_candidates(rows, "a machine") for _ in range(2))
    assert (figure == again, figure[:4]) == (True, b"\x89PNG")


def test_the_page_of_results(script, tmp_path):
    results = script("results")
    assert results.PAGE.read_text("utf-8") == results.make_page(), "run benchmarks/results.py"
    rows = [line for line in results.make_page(tmp_path).splitlines() if "| Raspberry Pi" in line]
    assert [row.strip("| ") for row in rows] == list(results.WANTED.values())  # without results


@pytest.mark.parametrize(
    ("board", "cpu", "features", "name"),
    [
        ("Raspberry Pi 5 Model B Rev 1.0", "Cortex-A76", (), "raspberry-pi-5"),
        ("Raspberry Pi Zero 2 W Rev 1.0", "Cortex-A53", (), "raspberry-pi-zero-2-w"),
        (None, "Intel(R) Xeon(R) Processor", ("AVX2", "VNNI"), "intel-xeon-processor-vnni-2-cores"),
    ],
)
def test_machines_have_classes(script, board, cpu, features, name):
    changes = {"board": board, "cpu": cpu, "features": features, "usable_cores": 2}
    report = reports.make_report(machine=replace(reports.MACHINE, **changes))
    assert script("results").machine_class(report) == name


def test_the_hot_paths_run():
    pytest.importorskip("pytest_benchmark")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "benchmarks/test_hot_paths.py",
        "--benchmark-disable",
    ]
    assert subprocess.run(command, cwd=ROOT, timeout=300).returncode == 0


def test_fine_tuning(run, small_mnist):
    options = ("--models", "digits-tiny", "--corrections", 12, "--threads", 1)
    out = run("fine_tuning", *options, "--set", "distill=0,epochs=1", "--set", "epochs=1")
    rows = [line for line in out.splitlines() if line.startswith("digits-tiny")]
    assert [row.split()[1] for row in rows] == ["distill=0,epochs=1", "epochs=1"]
    assert all(row.count("->") == 2 for row in rows)
