"""The command line through Typer's runner; fresh processes are in test_process.py."""

from __future__ import annotations

import csv
import inspect
import io
import json
import os
import re
import shutil
import signal
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import Annotated
from unittest.mock import MagicMock

import numpy as np
import pytest
import typer
from rich.console import Console
from support.cli import one_error_line, run
from support.paths import SHARED
from typer.testing import CliRunner

from digitkit import __version__
from digitkit.cli import show
from digitkit.cli.app import COMMANDS, _Command
from digitkit.cli.options import Report
from digitkit.images.opencv import cv2
from digitkit.sources.video import video_frames


@pytest.mark.parametrize(
    "command", ["train", "export", "infer", "eval", "inspect", "bundle", "doctor"]
)
def test_help_shows_examples(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"digitkit {command}" in result.output
    assert "Examples" in result.output


def test_the_list_of_commands_says_what_they_say_themselves():
    listed = run("--help").output
    for name, summary in COMMANDS.items():
        command = import_module(f"digitkit.cli.{name}").command
        assert inspect.getdoc(command).split("\n\n")[0].replace("\n", " ") == summary
        assert re.search(rf"^  {name} +{summary[:30]}", listed, re.MULTILINE)
    assert re.search(r"\bExamples\b", listed)


def test_a_command_that_is_none():
    result = run("infr", "x.png")
    assert result.exit_code == 2
    assert "No such command 'infr'" in result.output
    assert "infer" in result.output


def test_no_argument_gives_the_list():
    result = run()
    assert result.exit_code == 2
    assert all(f"\n  {name} " in result.output for name in COMMANDS)


def test_what_is_given_is_checked_and_what_is_not_has_its_default():
    got: list[object] = []
    alone = typer.Typer(add_completion=False)

    @alone.command(cls=_Command)
    def command(
        names: list[str] | None = None,
        word: str = "a",
        form: Report = Report.text,
        place: Path | None = None,
        count: Annotated[int, typer.Option(min=1)] = 3,
        sure: bool = False,
    ) -> None:
        got[:] = [names, word, form, place, count, sure]

    def call(*arguments: str) -> int:
        return CliRunner().invoke(alone, arguments).exit_code

    assert call() == 0
    assert got == [None, "a", Report.text, None, 3, False]
    assert call("--names", "x", "--names", "1", "--word", "2", "--sure") == 0
    assert got == [["x", "1"], "2", Report.text, None, 3, True]
    assert call("--form", "json", "--place", "x", "--count", "4") == 0
    assert got == [None, "a", Report.json, Path("x"), 4, False]
    for wrong in (("--form", "xml"), ("--count", "0"), ("--count", "many"), ("--word",)):
        assert call(*wrong) == 2


@pytest.mark.parametrize(("total", "drawn"), [(1, False), (3, True), (0, True)])
def test_a_bar_is_drawn_only_where_there_is_something_to_wait_for(monkeypatch, total, drawn):
    made = []
    monkeypatch.setattr(show, "_bar", lambda still: made.append(MagicMock()) or made[-1])
    monkeypatch.setattr("sys.stderr", MagicMock(isatty=lambda: True))
    with show.progress() as report:
        for done in range(1, max(total, 2)):
            report("reading", done, total)
    assert bool(made) == drawn
    for bar in made:
        bar.start.assert_called_once()
        bar.stop.assert_called_once()


@pytest.mark.parametrize("width", [80, 120])
def test_a_still_bar_keeps_its_figures(monkeypatch, width):
    drawn = io.StringIO()
    console = Console(file=drawn, force_terminal=True, width=width)
    monkeypatch.setattr(show, "err", lambda: console)
    monkeypatch.setattr("sys.stderr", MagicMock(isatty=lambda: True))
    with show.progress(still=True) as report:
        for done in (0, 1030):
            report("round 12: digits-tiny-int8, 2 threads, batch 8 " * 3, done, 1135)
            assert f"{done:4}/1135 0:00:0" in re.sub(
                r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn.getvalue()
            )
    assert "…" not in drawn.getvalue()


def test_version():
    assert run("--version").output == f"digitkit {__version__}\n"


# --- infer -----------------------------------------------------------------------------------


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


def test_the_format_follows_the_outputs_name(digit_file, tmp_path):
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
    assert summary.startswith("990 pictures in")
    assert [line["source"] for line in lines] == sorted(line["source"] for line in lines)


def test_a_missing_file_does_not_stop_the_rest(digit_file, tmp_path):
    result = run("infer", tmp_path / "none.png", digit_file(1))
    assert "1 (" in result.stdout
    assert one_error_line(result, 1) == f"{tmp_path}/none.png: does not exist"


def test_a_name_with_a_newline_stays_on_one_line(digit_file, tmp_path):
    good = tmp_path / "new\nline.png"
    good.write_bytes(digit_file(1).read_bytes())
    bad = tmp_path / "bad\nname.png"
    bad.write_bytes(b"x")
    result = run("infer", good, bad)
    assert len(result.stdout.splitlines()) == 1
    assert "new\\nline.png: 1" in result.stdout
    assert "bad\\nname.png: not an image" in one_error_line(result, 1)


def test_one_colour(tmp_path, digit_file):
    from digitkit.images.opencv import cv2

    path = tmp_path / "plain.png"
    cv2.imwrite(str(path), np.full((100, 100), 80, np.uint8))
    assert "is of a single colour" in one_error_line(run("infer", path), 1)


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
    assert run("infer", path, "--camera", 0).exit_code == 2
    assert run("infer", path, "--min-confidence", 1.5).exit_code == 2
    assert run("infer", path, "--threads", 0).exit_code == 2
    assert run("infer", path, "--format", "xml").exit_code == 2
    assert "digitz: is neither a shipped" in one_error_line(
        run("infer", path, "--model", "digitz"), 2
    )
    (tmp_path / "m.onnx").write_bytes(b"nothing")
    assert "cannot load it" in one_error_line(run("infer", path, "--model", tmp_path / "m.onnx"), 2)
    assert "camera 63: cannot be opened" in one_error_line(run("infer", "--camera", 63), 2)


@pytest.fixture
def camera(monkeypatch, one_of_each):
    """Stands in for OpenCV's camera: so many frames of a 4, then what `ends` it happens."""
    from digitkit.images.opencv import cv2
    from digitkit.reading.reader import Reader

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


def test_a_camera_tells_a_reading_once_it_has_held(camera, tmp_path, monkeypatch):
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


def test_camera_options_without_a_camera_are_not_dropped_in_silence(digit_file):
    path = digit_file(1)
    for option in (["--fps", 5], ["--size", "640x480"], ["--duration", 3], ["--show"]):
        result = run("infer", path, *option)
        assert result.exit_code == 2
        assert option[0] in result.stderr
    assert run("infer", "--camera", "0", "--size", "wide").exit_code == 2
    assert "webcam" in one_error_line(run("infer", "--camera", "webcam"), 2)
    assert run("infer", "--camera", 0, "--workers", 2).exit_code == 2
    assert run("infer", "http://127.0.0.1:9/a", path).exit_code == 2


def test_options_that_make_no_sense(digit_file, tmp_path):
    path = digit_file(1)
    assert run("infer", path, "--null").exit_code == 2
    assert "name an .mp4" in one_error_line(run("infer", path, "--annotate", "seen.mkv"), 1)
    result = run("infer", path, "--output", path)
    assert result.exit_code == 2
    assert "name another file" in " ".join(result.stderr.split())
    result = run("infer", "--camera", 0, "--fps", 0)
    assert result.exit_code == 2
    assert "--fps" in result.stderr


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
    result = run("infer", path, "--pattern", "402B")
    assert result.exit_code == 2
    assert "'B' matches no digit" in " ".join(result.stderr.split())


def test_workers_keep_the_order_and_go_on(digit_file, tmp_path):
    for i in range(9):
        digit_file(i, f"many/{i}.png")
    (tmp_path / "many" / "3.png").write_bytes(b"no image")
    options = ["--format", "jsonl", "--min-confidence", 0, "--annotate", tmp_path / "seen"]
    result = run("infer", tmp_path / "many", "--workers", 2, *options)
    assert result.exit_code == 1
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [Path(line["source"]).stem for line in lines] == [str(i) for i in range(9)]
    assert [line.get("text") for line in lines] == ["0", "1", "2", None, *"45678"]
    assert "8 pictures in" in result.stderr
    assert "Traceback" not in result.stderr
    assert "1 failed" in result.stderr
    assert len(list((tmp_path / "seen").iterdir())) == 8


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written(digit_file, tmp_path):
    path = digit_file(1)
    assert "is a folder" in one_error_line(run("infer", path, "--output", tmp_path), 1)
    taken = tmp_path / "file"
    taken.write_text("")
    result = run("infer", path, "--output", taken / "below.txt")
    assert "cannot be written" in one_error_line(result, 1)
    result = run("infer", path, "--annotate", taken)
    assert "cannot be written" in one_error_line(result, 1)


def test_a_batch_that_breaks_off_leaves_no_half_file(digit_file, tmp_path, monkeypatch):
    from digitkit.reading.reader import Reader

    monkeypatch.setattr(Reader, "read_frame", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    run("infer", digit_file(1), "--output", tmp_path / "out.txt")
    assert not list(tmp_path.glob("*out*"))


# --- eval, inspect ---------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_eval(here, small_data):
    result = run("eval", "digits", "--data", small_data, "--no-pictures")
    assert result.exit_code == 0
    assert "300" in result.stdout
    assert "calibration error" in result.stdout
    result = run("eval", "--data", small_data, "--format", "json", "--no-pictures")
    values = json.loads(result.stdout)
    assert values["count"] == 300
    assert values["accuracy"] > 0.97
    assert list(here.iterdir()) == []


def test_eval_draws(here, small_data):
    pytest.importorskip("matplotlib")
    result = run("eval", "--data", small_data)
    assert result.exit_code == 0
    assert {p.name for p in (here / "eval/digits-int8").iterdir()} == {
        "confusion.png",
        "mistakes.png",
    }


def test_eval_problems(here, tmp_path):
    assert "is no folder" in one_error_line(run("eval", "--data", "nowhere"), 2)
    (here / "empty").mkdir()
    assert "holds neither" in one_error_line(run("eval", "--data", "empty"), 2)
    assert "does not exist" in one_error_line(run("eval", "x.onnx"), 2)


def test_inspect():
    text = run("inspect").stdout
    for part in ("109,626", "3,301,920", "Conv", "int8", "MNIST train", "sha256", "temperature"):
        assert part in text
    values = json.loads(run("inspect", "--precision", "fp32", "--format", "json").stdout)
    assert values["precision"] == "fp32"
    assert values["input"] == "image: uint8 [N, 1, 28, 28]"


def test_a_foreign_model():
    zoo = SHARED / "peers/zoo-mnist-7.onnx"
    if not zoo.is_file():
        pytest.skip("the peer's model is not here (../shared/peers)")
    values = json.loads(run("inspect", zoo, "--format", "json").stdout)
    assert values["contract"] is None
    try:
        import onnx  # noqa: F401
    except ImportError:
        assert values["parameters"] is None
        assert "needs onnx" in values["not_counted"]
    else:
        assert values["parameters"] == 5994
        assert values["multiply_adds"] == 786_560
    result = run("eval", zoo, "--input-scale", 1, "--no-pictures", "--format", "json")
    assert json.loads(result.stdout)["accuracy"] == pytest.approx(0.9891, abs=0.0003)


# --- train, export ---------------------------------------------------------------------------


def test_train_without_torch_says_what_brings_it():
    try:
        import torch  # noqa: F401
    except ImportError:
        line = one_error_line(run("train"), 2)
        assert "pip install 'digitkit[train]' brings it" in line
        assert "pip install 'digitkit[train]' brings it" in one_error_line(run("export", "x"), 2)
    else:
        pytest.skip("torch is installed here; make test-oldest runs this")


SMALL = ("--epochs", 2, "--batch-size", 64, "--set", "net=article-minimal", "--threads", 1)


def test_train_and_export(here, small_data, monkeypatch):
    pytest.importorskip("torch")
    from digitkit.export import export

    monkeypatch.setattr(export, "INT8_LOSS", 0.02)
    result = run("train", "--data", small_data, "--out", "run", "--seed", 3, *SMALL)
    assert result.exit_code == 0, result.output
    assert "Test loss: 0." in result.stdout
    assert "Test accuracy: 0." in result.stdout
    assert "next: digitkit export run" in result.stdout
    epochs = [line for line in result.stderr.splitlines() if line.startswith("epoch")]
    assert len(epochs) == 2  # one line an epoch where there is no terminal
    assert "img/s" in epochs[0]
    record = json.loads(Path("run/run.json").read_text())
    assert record["overrides"] == {
        "net": "article-minimal", "epochs": "2", "batch_size": "64", "seed": "3",
    }  # fmt: skip
    result = run("export", "run")
    assert result.exit_code == 0, result.output
    assert "run/exported/quick-int8.onnx" in result.stdout
    assert Path("run/exported/MODEL_CARD.md").is_file()
    result = run("export", "run", "--out", "other", "--name", "mine", "--no-int8")
    assert {p.name for p in Path("other").iterdir()} == {
        "mine-fp32.onnx", "mine-mistakes.png", "MODEL_CARD.md", "SHA256SUMS",
    }  # fmt: skip


def test_default_run_folder(here, small_data):
    pytest.importorskip("torch")
    assert run("train", "--data", small_data, *SMALL).exit_code == 0
    (folder,) = Path("runs").iterdir()
    assert folder.name.startswith("quick-20")


def test_ctrl_c_and_resume(here, small_data, monkeypatch):
    pytest.importorskip("torch")
    from digitkit.cli import training_progress

    right = training_progress.TrainingProgress.epoch
    monkeypatch.setattr(
        training_progress.TrainingProgress,
        "epoch",
        lambda *a: (_ for _ in ()).throw(KeyboardInterrupt),
    )
    result = run("train", "--data", small_data, "--out", "run", *SMALL)
    assert result.exit_code == 130
    assert "digitkit train --resume run goes on" in result.stderr
    monkeypatch.setattr(training_progress.TrainingProgress, "epoch", right)
    result = run("train", "--resume", "run")
    assert result.exit_code == 0
    assert "going on after epoch 1" in result.stderr


def test_train_list():
    pytest.importorskip("torch")
    result = run("train", "--list")
    assert result.exit_code == 0
    assert "1,199,882" in result.stdout
    assert "augmentation.rotate=" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--recipe", "articel"), "did you mean article"),
        (("--set", "epochs"), "--set epochs: needed is FIELD=VALUE"),
        (("--set", "epochs=2", "--epochs", 3), "epochs is given twice"),
        (("--set", "depth=2"), "'depth' does not exist"),
        (("--data", "nowhere"), "nowhere: is no folder"),
        (("--resume", "nowhere"), "nowhere: holds no run to go on with"),
        (("--resume", "run", "--epochs", 3), "goes on as the training began"),
        (("--resume", "run", "--overwrite"), "goes on as the training began"),
        (("--init", "nowhere"), "nowhere: is no run folder"),
    ],
)
def test_train_mistakes(here, arguments, message):
    pytest.importorskip("torch")
    assert message in one_error_line(run("train", *arguments), 2)
    assert list(here.iterdir()) == []


def test_export_mistakes(here, small_run, monkeypatch):
    from digitkit.export import export

    assert "nowhere: is no run folder" in one_error_line(run("export", "nowhere"), 2)
    assert run("export", small_run.folder, "--name", "a/b").exit_code == 2
    monkeypatch.setattr(export, "PARITY", 0.0)
    result = run("export", small_run.folder, "--out", "out")
    assert result.exit_code == 3
    assert "parity failed" in result.stderr.splitlines()[-1]
    assert not Path("out").exists()
    copy = here / "moved"
    shutil.copytree(small_run.folder, copy)
    record = json.loads((copy / "run.json").read_text())
    record["data"]["source"] = str(here / "gone")
    (copy / "run.json").write_text(json.dumps(record))
    result = run("export", copy)
    assert result.exit_code == 2
    assert "gone: is no folder" in result.stderr
