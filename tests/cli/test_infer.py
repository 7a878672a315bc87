"""``digitkit infer`` through Typer's runner; fresh processes are in tests/slow."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from support.cli import one_error_line, run

from digitkit.images.opencv import cv2
from digitkit.reading.reader import Reader
from digitkit.sources.video import video_frames


def test_infer_formats(digit_file, tmp_path):
    path = digit_file(7, "seven.png", size=100)
    assert f"{path}: 7 (" in run("infer", path).stdout
    line = json.loads(run("infer", path, "--format", "jsonl").stdout)
    assert line["text"] == "7"
    (row,) = csv.DictReader(io.StringIO(run("infer", path, "--format", "csv").stdout))
    assert row["text"] == "7"
    out = tmp_path / "out" / "readings.csv"
    result = run("infer", path, "--format", "csv", "--output", out)
    assert result.stdout == ""
    assert out.read_text().startswith("source,text,")


def test_the_format_follows_the_outputs_suffix(digit_file, tmp_path):
    path = digit_file(7)
    for name, begins in (("a.csv", "source,"), ("a.jsonl", "{"), ("a.txt", str(path))):
        run("infer", path, "--output", tmp_path / name)
        assert (tmp_path / name).read_text().startswith(begins)


def test_a_thousand_files_ten_broken(tmp_path, one_of_each, digit_file):
    good = digit_file(3).read_bytes()
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(1000):
        (folder / f"{i:04}.png").write_bytes(good if i % 100 else good[: i // 10])
    result = run("infer", folder, "--format", "jsonl", "--min-confidence", 0)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 1
    assert len(lines) == 1000
    assert sum(line.get("text") == "3" for line in lines) == 990
    assert sum("error" in line for line in lines) == 10
    *errors, summary = result.stderr.splitlines()
    assert len(errors) == 10
    assert summary.startswith("990 images in")
    assert [line["source"] for line in lines] == sorted(line["source"] for line in lines)


def test_a_missing_file_does_not_stop_the_rest(digit_file, tmp_path):
    result = run("infer", tmp_path / "none.png", digit_file(1))
    assert "1 (" in result.stdout
    assert one_error_line(result, 1).startswith(f"{tmp_path}/none.png: ")


def test_a_name_with_a_newline_stays_on_one_line(digit_file, tmp_path):
    good = tmp_path / "new\nline.png"
    good.write_bytes(digit_file(1).read_bytes())
    bad = tmp_path / "bad\nname.png"
    bad.write_bytes(b"x")
    result = run("infer", good, bad)
    assert len(result.stdout.splitlines()) == 1
    assert "new\\nline.png: 1" in result.stdout
    assert "bad\\nname.png: " in one_error_line(result, 1)


def test_one_colour(tmp_path, digit_file):
    path = tmp_path / "plain.png"
    cv2.imwrite(str(path), np.full((100, 100), 80, np.uint8))
    assert str(path) in one_error_line(run("infer", path), 1)


def test_list_on_standard_input(digit_file):
    a, b = digit_file(1, "a.png"), digit_file(2, "b.png")
    result = run("infer", "-", "--format", "jsonl", stdin=f"{a}\n{b}\n")
    assert [json.loads(line)["text"] for line in result.stdout.splitlines()] == ["1", "2"]


def test_annotate_and_explain(digit_file, tmp_path):
    path = digit_file(5, "five.png", size=200)
    result = run("infer", path, "--annotate", tmp_path / "a", "--explain", tmp_path / "e")
    assert result.exit_code == 0
    assert (tmp_path / "a/five.png").is_file()
    assert (tmp_path / "e/five.png").is_file()


def test_threshold_and_mode(digit_file):
    path = digit_file(5, size=200)
    assert "not accepted: 5?" in run("infer", path, "--min-confidence", 1).stdout
    line = json.loads(run("infer", path, "--mode", "digit", "--format", "jsonl").stdout)
    assert line["digits"][0]["box"] == [0, 0, 200, 200]


def test_infer_with_nothing_to_start_from(digit_file, tmp_path):
    path = digit_file(1)
    assert run("infer").exit_code == 2
    assert run("infer", path, "--format", "xml").exit_code == 2
    assert "digitz" in one_error_line(run("infer", path, "--model", "digitz"), 2)
    (tmp_path / "m.onnx").write_bytes(b"nothing")
    assert "m.onnx" in one_error_line(run("infer", path, "--model", tmp_path / "m.onnx"), 2)
    assert "camera 63" in one_error_line(run("infer", "--camera", 63), 2)


@pytest.fixture
def camera(monkeypatch, one_of_each):
    """Stands in for OpenCV's camera: so many frames of a 4, then what `ends` it happens."""
    # A slow machine may have looked at none of the frames, or one, by the time that all are given.
    looked_at = threading.Semaphore(0)
    read_frame = Reader.read_frame

    def read(reader, frame):
        looked_at.release()
        return read_frame(reader, frame)

    monkeypatch.setattr(Reader, "read_frame", read)

    def plug_in(frames: int, ends: str) -> None:
        class Camera:
            def __init__(self, *what: object) -> None:
                self.left = frames

            def isOpened(self):  # noqa: N802 - OpenCV's name
                return True

            def read(self):
                time.sleep(0.02)
                self.left -= 1
                if self.left == -1:
                    for _ in range(2):
                        assert looked_at.acquire(timeout=60)
                if self.left < 0 and ends == "unplugged":
                    return False, None
                if self.left == -1:
                    os.kill(os.getpid(), getattr(signal, ends))
                image = np.full((240, 320), 230, np.uint8)
                image[60:180, 100:220] -= cv2.resize(one_of_each[4], (120, 120)) // 2
                return True, cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)

            def release(self):
                pass

        monkeypatch.setattr(cv2, "VideoCapture", Camera)

    return plug_in


@pytest.mark.parametrize(("ends", "code"), [("SIGINT", 0), ("SIGTERM", 0), ("unplugged", 1)])
def test_camera_loop(camera, ends, code):
    camera(12, ends)
    result = run("infer", "--camera", 0, "--format", "jsonl", "--every-frame", "--retry", 0)
    assert result.exit_code == code, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    numbers = [line["frame"] for line in lines if "frame" in line]
    assert numbers == sorted(set(numbers))
    assert lines[0]["text"] == "4"
    assert "T" in lines[0]["time"]
    assert ("error" in lines[-1]) == (ends == "unplugged")
    assert "frames in" in result.stderr


def test_a_camera_reports_a_stable_reading_once(camera, tmp_path, monkeypatch):
    camera(1000, "unplugged")
    video = tmp_path / "seen.mp4"
    result = run(
        "infer", "--camera", 0, "--format", "jsonl", "--hold", 3, "--max-frames", 12,
        "--annotate", video, "--explain", tmp_path / "why",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (line,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert line["text"] == "4"
    assert len(list((tmp_path / "why").iterdir())) == 1
    monkeypatch.undo()  # OpenCV's own reader again
    frames = list(video_frames(video))
    assert len(frames) > 1
    assert frames[0].image.shape == (480, 640, 3)  # small pictures are enlarged


def test_a_video_file(tmp_path, one_of_each):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    for digit in (3, 3, 3, 3, 8, 8, 8, 8, 8, 8):
        image = np.full((240, 320), 225, np.uint8)
        image[60:180, 100:220] -= cv2.resize(one_of_each[digit], (120, 120)) // 2
        writer.write(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
    writer.release()
    result = run("infer", path, "--format", "jsonl", "--hold", 2)
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["text"] for line in lines] == ["3", "8"]
    assert lines[0]["frame"] == 1
    assert lines[0]["seconds"] == pytest.approx(0.1, abs=0.02)
    raw = run("infer", path, "--format", "csv", "--every-frame").stdout
    assert [row["frame"] for row in csv.DictReader(io.StringIO(raw))] == list("0123456789")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        *((options, options[0]) for options in (
            ["--fps", 5], ["--size", "640x480"], ["--duration", 3], ["--show"], ["--null"],
            ["--retry", 0], ["--max-frames", 3], ["--camera", 0],
            ["--min-confidence", 1.5], ["--threads", 0], ["--pattern", "402B"],
        )),
        (["http://127.0.0.1:9/a"], "SOURCES"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_with_an_image(digit_file, options, named):
    result = run("infer", digit_file(1), *options)
    assert result.exit_code == 2
    assert named.replace("--camera", "SOURCES") in result.stderr


@pytest.mark.parametrize("options", [["--size", "wide"], ["--workers", 2], ["--fps", 0]])
def test_options_that_do_not_go_with_a_camera(options):
    result = run("infer", "--camera", 0, *options)
    assert result.exit_code == 2
    assert options[0] in result.stderr


def test_outputs_that_do_not_fit(digit_file):
    path = digit_file(1)
    assert "webcam" in one_error_line(run("infer", "--camera", "webcam"), 2)
    assert "seen.mkv" in one_error_line(run("infer", path, "--annotate", "seen.mkv"), 1)
    for option in ("--output", "--annotate"):
        clip = path.rename(path.with_suffix(".avi")) if option == "--annotate" else path
        result = run("infer", clip, option, clip)
        assert result.exit_code == 2
        assert option in result.stderr
        assert clip.stat().st_size


def test_a_cameras_readings_can_be_followed_in_their_file(camera, tmp_path):
    camera(1000, "unplugged")
    out = tmp_path / "readings.jsonl"
    result = run(
        "infer", "--camera", 0, "--format", "jsonl", "--every-frame", "--output", out,
        "--max-frames", 3,
    )  # fmt: skip
    assert result.exit_code == 0
    assert result.stdout == ""
    assert len(out.read_text().splitlines()) == 3


def test_a_password_is_never_shown():
    url = "http://me:geheim@127.0.0.1:9/video"
    for named in (["--camera", url], [url]):
        result = run("infer", *named, "--retry", 0)
        assert result.exit_code == 2
        assert "geheim" not in result.output + result.stderr
        assert "me:***@127.0.0.1" in result.stderr


def test_number_fields(digit_file, one_of_each, tmp_path):
    page = np.full((260, 500), 225, np.uint8)
    for i, digit in enumerate((4, 0, 2, 1)):
        page[40:130, 40 + 110 * i : 130 + 110 * i] -= cv2.resize(one_of_each[digit], (90, 90)) // 2
    page[150:240, 40:130] -= cv2.resize(one_of_each[7], (90, 90)) // 2
    path = tmp_path / "form.png"
    path.write_bytes(cv2.imencode(".png", page)[1].tobytes())

    def text(*options: object) -> str:
        return json.loads(run("infer", path, "--format", "jsonl", *options).stdout)["text"]

    assert text() == "4021\n7"
    assert text("--expect", 4) == "4021"
    assert text("--pattern", r"[1-9]\d{3}") == "4021"
    assert text("--expect", 1) == "7"
    assert text("--pattern", r"9\d{3}") == ""


def test_workers_keep_the_order_and_continue(digit_file, tmp_path):
    for i in range(9):
        digit_file(i, f"many/{i}.png")
    (tmp_path / "many" / "3.png").write_bytes(b"no image")
    options = ["--format", "jsonl", "--min-confidence", 0, "--annotate", tmp_path / "seen"]
    result = run("infer", tmp_path / "many", "--workers", 2, *options)
    assert result.exit_code == 1
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [Path(line["source"]).stem for line in lines] == [str(i) for i in range(9)]
    assert [line.get("text") for line in lines] == ["0", "1", "2", None, *"45678"]
    assert "8 images in" in result.stderr
    assert "Traceback" not in result.stderr
    assert "1 failed" in result.stderr
    assert len(list((tmp_path / "seen").iterdir())) == 8


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written(digit_file, tmp_path):
    path = digit_file(1)
    taken = tmp_path / "file"
    taken.write_text("")
    for options in (["--output", tmp_path], ["--output", taken / "x"], ["--annotate", taken]):
        assert str(options[1]) in one_error_line(run("infer", path, *options), 1)


def test_an_interrupted_batch_leaves_no_half_file(digit_file, tmp_path, monkeypatch):
    monkeypatch.setattr(Reader, "read_frame", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    run("infer", digit_file(1), "--output", tmp_path / "out.txt")
    assert not list(tmp_path.glob("*out*"))
