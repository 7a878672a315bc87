"""``digitkit infer`` through Typer's runner; fresh processes are in tests/slow."""

import csv
import io
import itertools
import json
import os
import signal
import sys
import threading
import time
import zipfile
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.cli import json_lines, one_error_line, run
from support.documents import pages_of, without_tag, write_tiff, write_video
from support.paths import ROOT

from digitkit.cli.infer_report import ReadingBar
from digitkit.errors import install_command
from digitkit.images.cv import cv2
from digitkit.reading.reader import Reader
from digitkit.sources import live
from digitkit.sources.video import video_frames


def photo_of(image: np.ndarray) -> np.ndarray:
    """A digit on paper, uint8 [240, 320, 3]."""
    photo = np.full((240, 320), 230, np.uint8)
    photo[60:180, 100:220] -= cv2.resize(image, (120, 120)) // 2
    return cv2.cvtColor(photo, cv2.COLOR_GRAY2BGR)


def test_formats_and_files_whose_suffix_gives_the_format(digit_file, tmp_path):
    path = digit_file(7, "new\nline.png", size=100)
    text, jsonl, table = (
        run("infer", path, "--format", kind).stdout for kind in ("text", "jsonl", "csv")
    )
    assert text.count("\n") == 1
    assert "new\\nline.png: 7 (" in text
    for line in (json.loads(jsonl), *csv.DictReader(io.StringIO(table))):
        assert (line["source"], line["text"]) == (str(path), "7")
    for name, printed in (("a.txt", text), ("a.jsonl", jsonl), ("a.CSV", table)):
        out = tmp_path / "out" / name
        assert run("infer", path, "--output", out).stdout == ""
        assert out.read_text()[:40] == printed[:40]


@pytest.mark.parametrize("workers", [1, 2])
def test_many_files_some_broken(tmp_path, digit_file, workers):
    digits = [digit_file(digit, f"{digit}.png").read_bytes() for digit in range(10)]
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(100):
        data = digits[i % 10]
        (folder / f"{i:02}.png").write_bytes(data[:i] if i % 10 == 3 else data)
    result = run(
        "infer", folder, "--format", "jsonl", "--min-confidence", 0, "--annotate",
        tmp_path / "seen", "--workers", workers,
    )  # fmt: skip
    lines = json_lines(result)
    assert result.exit_code == 1
    assert [Path(line["source"]).stem for line in lines] == [f"{i:02}" for i in range(100)]
    assert [line.get("text") for line in lines] == ["0", "1", "2", None, *"456789"] * 10
    assert sum("error" in line for line in lines) == 10
    *errors, summary, written = result.stderr.splitlines()
    assert len(errors) == 10
    assert written == f"written: {tmp_path / 'seen'}"
    assert summary.startswith("90 images in")
    assert "10 failed" in summary
    assert len(list((tmp_path / "seen").iterdir())) == 90


def test_only_what_was_written_is_named(tmp_path, digit_file):
    """Nothing that was there before; a table also where all of its records are failures."""
    bad, seen, table = tmp_path / "bad.png", tmp_path / "seen", tmp_path / "table.csv"
    bad.write_bytes(b"")
    seen.mkdir()
    assert "written: " not in run("infer", bad, "--annotate", seen).stderr
    assert f"written: {table}" in run("infer", bad, "--output", table).stderr
    table.unlink()
    begin = ("infer", digit_file(3), "--output", table, "--resume")
    assert f"written: {table}" in run(*begin).stderr
    assert "written: " not in run(*begin).stderr
    assert run("infer", digit_file(3), "--output", tmp_path / "quiet.csv", "-q").stderr == ""


@pytest.mark.parametrize("workers", [1, 2])
def test_an_excel_table_shows_what_is_doubtful(tmp_path, workers):
    pytest.importorskip("xlsxwriter")
    path, bad = tmp_path / "table.xlsx", tmp_path / "bad.png"
    bad.write_text("")
    page = ROOT / "data/samples/page.jpg"
    options = ("--min-confidence", 0.999, "--workers", workers, "--output", path)
    result = run("infer", page, bad, page, *options)
    assert (result.exit_code, result.stdout) == (1, "")
    sheet = zipfile.ZipFile(path).read("xl/worksheets/sheet1.xml").decode()
    pictures = [name for name in zipfile.ZipFile(path).namelist() if "media" in name]
    assert pictures  # of the first number; the same one twice is stored once
    assert sheet.count("<t>1984</t>") == 2
    assert "bad.png" in sheet


def test_quiet_prints_the_numbers_alone(tmp_path):
    page, bad = ROOT / "data/samples/page.jpg", tmp_path / "bad.png"
    result = run("infer", "-q", page, page, bad)
    assert result.stdout == f"{PAGE}\n" * 2
    assert one_error_line(result, 1).startswith(str(bad))
    assert run("infer", "--quiet", page, page, "--format", "csv").stderr == ""


def test_a_missing_file_does_not_stop_the_rest(digit_file, tmp_path):
    bad = tmp_path / "bad\nname.png"
    result = run("infer", bad, digit_file(1))
    assert "1 (" in result.stdout
    assert result.exit_code == 1
    error, summary = result.stderr.splitlines()
    assert error.startswith(f"{tmp_path}/bad\\nname.png: ")
    assert "1 failed" in summary


@pytest.mark.parametrize("workers", [1, 2])
def test_pages(tmp_path, one_of_each, monkeypatch, workers):
    monkeypatch.chdir(tmp_path)
    scan = write_tiff(Path("scan.tiff"), pages_of(one_of_each))
    scan.write_bytes(without_tag(scan.read_bytes(), 3, 273))
    options = ("--min-confidence", 0, "--workers", workers)
    result = run("infer", scan, "--format", "jsonl", "--annotate", "seen", *options)
    assert result.exit_code == 1
    lines = json_lines(result)
    assert [line["source"] for line in lines] == ["scan.tiff"] * 5
    assert [line["page"] for line in lines] == [1, 2, 3, 4, 5]
    assert [line.get("text") for line in lines] == ["1", "2", None, "4", "5"]
    assert result.stderr.startswith("scan.tiff#3: ")
    seen = sorted(path.name for path in Path("seen").iterdir())
    assert seen == [f"scan-page{page}.png" for page in (1, 2, 4, 5)]
    result = run("infer", "scan.tiff#4", *options)
    assert result.exit_code == 0
    assert result.stdout.startswith("scan.tiff#4: 4 (")
    assert one_error_line(run("infer", "scan.tiff#3", *options), 1).startswith("scan.tiff#3: ")
    table = csv.DictReader(io.StringIO(run("infer", scan, "--format", "csv", *options).stdout))
    assert [(row["source"], row["page"]) for row in table] == [
        ("scan.tiff", str(page)) for page in range(1, 6)
    ]


@pytest.mark.parametrize("option", ["--output", "--annotate", "--explain"])
def test_an_output_never_replaces_the_file_of_a_page(tmp_path, one_of_each, option):
    scan = write_tiff(tmp_path / "scan.tiff", pages_of(one_of_each))
    output = scan if option == "--output" else tmp_path
    result = run("infer", f"{scan}#2", option, output)
    assert result.exit_code == 2
    assert option in result.stderr


def test_images_may_be_written_into_a_folder_below_the_searched_one(digit_file, tmp_path):
    folder = digit_file(3, "in/3.png").parent
    digit_file(8, "in/8.png")
    seen = folder / "seen"
    result = run("infer", folder, "--annotate", seen, "--output", tmp_path / "t.csv")
    assert result.exit_code == 0, result.output
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 3
    assert len(list(seen.iterdir())) == 2
    again = run("infer", folder, "--annotate", seen, "--output", tmp_path / "t.csv")
    assert "--annotate" in one_error_line(again, 2)  # they would be read
    resumed = ("infer", folder, "--annotate", seen, "--output", tmp_path / "r.csv", "--resume")
    assert run(*resumed).exit_code == 0
    assert run(*resumed).exit_code == 0
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 3


def test_an_image_is_piped_in(digit_file, tmp_path, one_of_each):
    data = digit_file(7, size=100).read_bytes()
    (line,) = json_lines(run("infer", "-", "--format", "jsonl", stdin=data))
    assert (line["source"], line["text"]) == ("-", "7")
    result = run("infer", "-", "--annotate", tmp_path / "seen", "--workers", 2, stdin=data)
    assert result.stdout.startswith("-: 7 (")
    assert [path.name for path in (tmp_path / "seen").iterdir()] == ["stdin.png"]
    scan = write_tiff(tmp_path / "scan.tiff", pages_of(one_of_each)).read_bytes()
    result = run("infer", "-", "--min-confidence", 0, stdin=scan)
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [
        [f"-#{page}:", str(page)] for page in range(1, 6)
    ]
    line = one_error_line(run("infer", "-", stdin=data[:-50]), 1)
    assert line.startswith("-: ")
    assert "truncated" in line
    for noise in (bytes(range(256)) * 100, b"\x1f\x8b\x08\0" + data):
        line = one_error_line(run("infer", "-", stdin=noise), 1)
        assert line.startswith("-: is neither")
        assert len(line) < 200
    result = run("infer", "-", stdin="")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "standard input is empty" in result.stderr


def test_a_folder_says_what_was_not_read(digit_file, monkeypatch):
    monkeypatch.setattr("digitkit.sources.folders.find_spec", lambda name: None)
    folder = digit_file(1, "scans/1.png").parent
    for name in ("a.pdf", "b.pdf", "c.mp4", "readme.md"):
        (folder / name).write_bytes(b"x")
    result = run("infer", folder)
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        f"{folder}: skipped 2 PDF files ({install_command('pdf')}), 1 video "
        "(name them to read every frame), 1 other file"
    ]


def test_a_missing_package_is_one_failure(digit_file, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4")
    for workers in (1, 2):
        result = run("infer", tmp_path / "a.pdf", digit_file(1), "--workers", workers)
        assert result.exit_code == 1
        assert "1 (" in result.stdout
        assert result.stderr.startswith(f"{tmp_path}/a.pdf: ")
        if workers == 1:
            assert install_command("pdf") in result.stderr


def test_blank_pages_are_no_errors(tmp_path):
    for name, level, side in (("a.png", 255, 28), ("b.png", 0, 300), ("c.jpg", 200, 2600)):
        cv2.imwrite(str(tmp_path / name), np.full((side, side), level, np.uint8))
    result = run("infer", tmp_path, "--format", "jsonl")
    assert result.exit_code == 0
    assert [(line["text"], line["digits"]) for line in json_lines(result)] == [("", [])] * 3
    assert "no digit found" in run("infer", tmp_path / "a.png").stdout


def test_images_threshold_and_mode(digit_file, tmp_path):
    path = digit_file(5, "five.png", size=200)
    result = run("infer", path, "--annotate", tmp_path / "a", "--explain", tmp_path / "e")
    assert result.exit_code == 0
    assert (tmp_path / "a/five.png").is_file()
    assert (tmp_path / "e/five.png").is_file()
    result = run("infer", "-", "--min-confidence", 1, stdin=f"{path}\n")
    assert "not accepted: 5?" in result.stdout
    (line,) = json_lines(run("infer", path, "--mode", "digit", "--format", "jsonl"))
    assert line["digits"][0]["box"] == [0, 0, 200, 200]


def test_without_its_camera_the_last_output_stays(tmp_path, monkeypatch):
    path = tmp_path / "readings.jsonl"
    path.write_text("of yesterday\n")
    assert run("infer", "--camera", 63, "--output", path, "--retry", 0).exit_code == 2
    assert path.read_text() == "of yesterday\n"
    monkeypatch.setattr(live.Live, "__next__", lambda self: next(iter(())))  # stopped while waiting
    assert run("infer", "--camera", 63, "--output", path).exit_code == 0
    assert path.read_text() == "of yesterday\n"


@pytest.fixture
def camera(monkeypatch, one_of_each):
    """Stands in for a camera: so many frames of a 4, then what `ends` it happens."""
    # A slow machine may have looked at none of the frames, or one, by the time that all are given.
    looked_at = threading.Semaphore(0)
    read_frame = Reader.read_frame

    def read(reader, frame):
        looked_at.release()
        return read_frame(reader, frame)

    def plug_in(frames: int, ends: str) -> None:
        def images():
            for number in itertools.count():
                time.sleep(0.02)
                if number == frames:
                    assert all(looked_at.acquire(timeout=60) for _ in range(2))
                    if ends == "unplugged":
                        break
                    os.kill(os.getpid(), getattr(signal, ends))
                yield photo_of(one_of_each[4])
            yield None

        opened = SimpleNamespace(read=partial(next, images()), close=lambda: None)
        monkeypatch.setattr(live, "make_opener", lambda name, size: lambda: opened)

    monkeypatch.setattr(Reader, "read_frame", read)
    return plug_in


@pytest.mark.parametrize(("ends", "code"), [("SIGINT", 0), ("SIGTERM", 0), ("unplugged", 1)])
def test_camera_loop(camera, ends, code):
    camera(12, ends)
    result = run("infer", "--camera", 0, "--format", "jsonl", "--every-frame", "--retry", 0)
    assert result.exit_code == code, result.output
    lines = json_lines(result)
    numbers = [line["frame"] for line in lines if "frame" in line]
    assert numbers == sorted(set(numbers))
    assert lines[0]["text"] == "4"
    assert "T" in lines[0]["time"]
    assert ("error" in lines[-1]) == (ends == "unplugged")
    assert "frames in" in result.stderr


def test_a_camera_reports_a_stable_reading_once(camera, tmp_path):
    camera(1000, "unplugged")
    video, out, why = (tmp_path / name for name in ("seen.mp4", "readings.csv", "why"))
    result = run(
        "infer", "--camera", 0, "--hold", 3, "--max-frames", 12, "--output", out,
        "--annotate", video, "--explain", why,
    )  # fmt: skip
    assert (result.exit_code, result.stdout) == (0, ""), result.output
    (line,) = csv.DictReader(io.StringIO(out.read_text()))
    assert line["text"] == "4"
    assert len(list(why.iterdir())) == 1
    first, *others = video_frames(video)
    assert others
    assert first.image.shape == (480, 640, 3)  # small pictures are enlarged


def test_a_video_file(tmp_path, one_of_each, digit_file):
    path = tmp_path / "clip.avi"
    write_video(path, [photo_of(one_of_each[digit]) for digit in (3, 3, 3, 3, 8, 8, 8, 8, 8, 8)])
    result = run("infer", path, "--format", "jsonl", "--hold", 2)
    lines = json_lines(result)
    assert result.exit_code == 0
    assert [line["text"] for line in lines] == ["3", "8"]
    assert lines[0]["frame"] == 1
    assert lines[0]["seconds"] == pytest.approx(0.1, abs=0.02)
    assert "--hold" not in result.stderr
    result = run("infer", path, digit_file(7), "--hold", 7, "-q")
    assert (result.exit_code, result.stdout) == (0, "7\n")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"{path}: no number was stable for 7 frames")
    raw = run("infer", path, "--format", "csv", "--every-frame").stdout
    assert [row["frame"] for row in csv.DictReader(io.StringIO(raw))] == list("0123456789")
    for workers in (1, 2):
        limited = ("--max-frames", 4, "--format", "csv", "--every-frame", "--workers", workers)
        result = run("infer", path, digit_file(7), *limited)
        assert [row["frame"] for row in csv.DictReader(io.StringIO(result.stdout))] == [*"0123", ""]
        assert "5 images and frames in" in result.stderr
    result = run("infer", path, "--duration", 0.3, "--every-frame")
    assert (len(result.stdout.splitlines()), "3 frames in" in result.stderr) == (3, True)


def test_numbers_of_a_video_that_are_all_dropped_are_named(tmp_path, one_of_each):
    path = write_video(tmp_path / "clip.avi", [photo_of(one_of_each[3])] * 4)
    result = run("infer", path, "--expect", 2, "--hold", 2)
    assert (result.exit_code, result.stdout) == (0, "")
    (line,) = result.stderr.splitlines()[:1]
    assert line == f"{path}: all numbers were dropped, such as row 1: 3 has 1 digit, expected 2"


def test_a_video_that_is_named_twice_is_followed_twice(tmp_path, one_of_each):
    path = write_video(tmp_path / "clip.avi", [photo_of(one_of_each[3])] * 4)
    result = run("infer", path, path, "--hold", 2, "--format", "jsonl")
    assert [line["event"] for line in json_lines(result)] == ["appeared", "appeared"]


CAMERA = ("--camera", 0)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        *((["IMAGE", *options], options[0]) for options in (
            ("--fps", 5), ("--show",), ("--null",), ("--min-confidence", 1.5), ("--pattern", "4B"),
            ("--format", "xml"), ("--format", "xlsx"), ("--hold", "many"), ("--model",),
            ("--output", "IMAGE"), ("--output", "table.ods"),
        )),
        *(([*CAMERA, *options], options[0]) for options in (
            ("--size", "wide"), ("--workers", 2), ("--fps", 0), ("--output", "table.xlsx"),
        )),
        (["IMAGE", *CAMERA], "SOURCES"),
        (["IMAGE", "http://127.0.0.1:9/a"], "SOURCES"),
        (["s3://bucket/scans"], "--engine ray"),
        ([], "SOURCES"),
        (["clip.avi", "--annotate", "clip.avi"], "--annotate"),
        (["--camera", 63], "camera 63"),
        (["--camera", "webcam"], "webcam"),
        (["IMAGE", "--model", "digitz"], "digitz"),
        (["IMAGE", "--model", "IMAGE.onnx"], "IMAGE.onnx"),
    ],
)  # fmt: skip
def test_mistakes_name_the_option_or_the_file(digit_file, monkeypatch, tmp_path, arguments, named):
    monkeypatch.chdir(tmp_path)
    image = digit_file(1, "IMAGE").read_bytes()
    for name in ("clip.avi", "IMAGE.onnx"):
        Path(name).write_bytes(image)
    result = run("infer", *arguments)
    assert result.exit_code == 2
    assert named in result.stderr
    assert all(path.read_bytes() == image for path in tmp_path.iterdir())


def test_outputs_that_cannot_be_written(digit_file, tmp_path):
    path = digit_file(1)
    taken = tmp_path / "file"
    taken.write_text("")
    for *options, code in (
        ["--output", tmp_path, 2], ["--annotate", taken, 2],
        ["--output", taken / "x", 1], ["--annotate", "seen.mkv", 2],
    ):  # fmt: skip
        assert str(options[1]) in one_error_line(run("infer", path, *options), code)


def test_a_password_is_never_shown():
    url = "http://me:geheim@127.0.0.1:9/video"
    for named in (["--camera", url], [url]):
        result = run("infer", *named, "--retry", 0)
        assert result.exit_code == 2
        assert "geheim" not in result.output + result.stderr
        assert "me:***@127.0.0.1" in result.stderr


PAGE = "1984\n2750\n6361"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ((), PAGE), (("--expect", 4), PAGE), (("--expect", 3), ""),
        (("--pattern", r"[12]\d{3}"), "1984\n2750"),
    ],
)  # fmt: skip
def test_number_fields(options, text):
    result = run("infer", ROOT / "data/samples/page.jpg", "--format", "jsonl", *options)
    assert [line["text"] for line in json_lines(result)] == [text]


@pytest.mark.parametrize("suffix", ["txt", "csv", "xlsx"])
def test_an_interrupted_batch_leaves_no_half_file(digit_file, tmp_path, monkeypatch, suffix):
    if suffix == "xlsx":
        pytest.importorskip("xlsxwriter")
    monkeypatch.setattr(Reader, "read_frame", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    run("infer", digit_file(1, size=80), "--output", tmp_path / f"out.{suffix}")
    assert not list(tmp_path.glob("*out*"))


def test_a_run_where_everything_fails_has_a_summary(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(b"no image")
    result = run("infer", tmp_path, "--output", tmp_path / "out.csv")
    assert result.exit_code == 1
    assert "3 failed" in result.stderr


def test_a_bar_has_no_total_once_a_file_has_more_images_than_one(monkeypatch, capsys):
    bar = ReadingBar(visible=True)
    for done, total in ((1, 2), (2, 2), (3, 0)):
        bar.report("reading", done, total)
        (task,) = bar._bars.tasks
        assert (task.completed, task.total) == (done, total or None)
    bar.stop()
