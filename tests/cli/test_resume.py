"""Runs that are interrupted and continued: each picture ends up in the output once."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from support.cli import one_error_line, run
from support.documents import pages_of, write_tiff, write_video
from support.paths import ROOT

from digitkit.models.classifier import Classifier
from digitkit.reading.reader import Reader
from digitkit.system.run_file import create_run_file, open_run_file, run_file_path

FORMATS = ["jsonl", "csv", "parquet"]


@pytest.fixture
def scans(digit_file, tmp_path, one_of_each):
    """Six digits, a damaged file, and a document of five pages in a folder below."""
    for digit in range(6):
        digit_file(digit, f"scans/{digit}.png")
    (tmp_path / "scans/6.png").write_bytes(b"no image")
    (tmp_path / "scans/more").mkdir()
    write_tiff(tmp_path / "scans/more/7.tiff", pages_of(one_of_each, "12345"))
    return tmp_path / "scans"


def rows_of(output: Path) -> list[dict]:
    """What an output says of each picture: source, page, text (None for a failure)."""
    if output.suffix == ".parquet":
        pq = pytest.importorskip("pyarrow.parquet")
        rows = pq.read_table(output).to_pylist()
    elif output.suffix == ".csv":
        with output.open(newline="") as file:
            rows = list(csv.DictReader(file))
        rows = [row | {"page": int(row["page"]) if row["page"] else None} for row in rows]
    else:
        rows = [json.loads(line) for line in output.read_text().splitlines()]
    return [
        {"source": row["source"], "page": row.get("page"), "text": None}
        if row.get("error")
        else {"source": row["source"], "page": row.get("page"), "text": row["text"]}
        for row in rows
    ]


def interrupt_after(monkeypatch, count: int) -> None:
    """Ctrl-C while the next picture after so many is read."""
    read, taken = Reader.read_frame, iter(range(count))

    def read_frame(self, frame):
        if next(taken, None) is None:
            signal.raise_signal(signal.SIGINT)
        return read(self, frame)

    monkeypatch.setattr(Reader, "read_frame", read_frame)
    monkeypatch.setattr(Reader, "is_small", lambda *a: False)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("count", [1, 4, 8])
def test_ctrl_c_keeps_what_was_read_and_resume_reads_the_rest(
    scans, tmp_path, monkeypatch, suffix, count
):
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    output, whole = tmp_path / f"out.{suffix}", tmp_path / f"whole.{suffix}"
    arguments = ("infer", scans, "--model", "digits-tiny", "--output")
    run(*arguments, whole)
    with monkeypatch.context() as patch:
        interrupt_after(patch, count)
        result = run(*arguments, output)
    assert result.exit_code == 130
    assert f"{count} image" in result.stderr
    kept = rows_of(output)
    assert kept == rows_of(whole)[: len(kept)]
    again = run(*arguments, output)
    assert "--resume" in again.stderr
    assert again.exit_code == 2
    assert rows_of(output) == kept
    result = run(*arguments, output, "--resume")
    assert result.exit_code == (1 if count < 6 else 0)  # the damaged file was read before, or not
    assert f"{len(kept)} were read before" in result.stderr
    assert rows_of(output) == rows_of(whole)
    result = run(*arguments, output, "--resume")
    assert result.exit_code == 0
    assert rows_of(output) == rows_of(whole)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--output", "out.txt"), "out.txt was not written; .jsonl, .csv and .parquet can be"),
        (("--report", "report.html"), "no report was written"),
    ],
)
def test_ctrl_c_says_what_is_lost(scans, tmp_path, monkeypatch, options, words):
    option, name = options
    interrupt_after(monkeypatch, 4)
    result = run("infer", scans, "--model", "digits-tiny", option, tmp_path / name)
    assert result.exit_code == 130
    assert words in result.stderr
    assert not (tmp_path / name).exists()


def test_a_stopped_run_has_no_report(scans, tmp_path, monkeypatch):
    output, report = tmp_path / "out.csv", tmp_path / "report.html"
    report.write_text("an older one")
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        result = run("infer", scans, "--output", output, "--report", report)
    assert result.exit_code == 130
    assert report.read_text() == "an older one"
    assert "no report" in result.stderr
    assert "without --report" in result.stderr


def test_a_stopped_video_is_not_continued(tmp_path, monkeypatch):
    video, output = make_clip(tmp_path), tmp_path / "out.jsonl"
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3)
        result = run("infer", video, "--every-frame", "--output", output)
    assert result.exit_code == 130
    assert "--resume" not in result.stderr
    assert len(output.read_text().splitlines()) == 3
    assert run("infer", video, "--every-frame", "--output", output).exit_code == 0


def test_a_video_that_is_stopped_early_keeps_the_older_output(tmp_path, monkeypatch):
    video, output = make_clip(tmp_path), tmp_path / "out.jsonl"
    output.write_text("older\n")
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        assert run("infer", video, "--output", output).exit_code == 130
    assert output.read_text() == "older\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.avi", "out.jsonl"]


def make_clip(folder: Path) -> Path:
    """A video of six white frames."""
    return write_video(folder / "clip.avi", [np.full((240, 320, 3), 255, np.uint8)] * 6)


def test_resume_reads_what_was_added(scans, tmp_path, digit_file):
    output = tmp_path / "out.jsonl"
    command = ("infer", scans, "--output", output, "--resume")
    run(*command)
    digit_file(9, "scans/0-first.png")
    assert run(*command).exit_code == 0
    rows = rows_of(output)
    assert Path(rows[-1]["source"]).name == "0-first.png"
    assert len(rows) == 13


def test_a_file_that_is_named_twice_has_two_rows(digit_file, tmp_path, monkeypatch):
    files = [digit_file(3, "a.png"), digit_file(4, "b.png")]
    output = tmp_path / "out.jsonl"
    command = ("infer", *files, *files, "--output", output)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3)
        run(*command)
    run(*command, "--resume")
    assert [row["text"] for row in rows_of(output)] == list("3434")


def test_a_file_that_is_named_twice_is_not_read_again_into_csv(digit_file, tmp_path):
    a, b = digit_file(3, "a.png"), digit_file(4, "b.png")
    output = tmp_path / "out.csv"
    command = ("infer", a, a, b, "--output", output, "--resume")
    run(*command)
    before = output.read_bytes()
    assert [row["text"] for row in rows_of(output)] == list("334")
    for _ in range(2):
        run(*command)
        assert output.read_bytes() == before


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_strange_names_are_read_once(digit_file, tmp_path, monkeypatch, suffix):
    image, output = digit_file(3, "a").read_bytes(), tmp_path / f"out.{suffix}"
    (tmp_path / "scans").mkdir()
    monkeypatch.chdir(tmp_path / "scans")
    names = ["'=x.png", "=x.png", "''=x.png", "\udcff.png", "\udcfe.png"]
    command = ("infer", "*.png", "--output", output, "--resume")
    for count, name in enumerate(names, 1):
        Path(name).write_bytes(image)
        assert run(*command).exit_code == 0
        assert len(rows_of(output)) == count
    assert "nothing new" in run(*command).stderr


@pytest.mark.parametrize("count", [2, 3])
def test_the_last_picture_of_a_csv_file_is_not_read_again(digit_file, tmp_path, monkeypatch, count):
    files = [digit_file(digit, f"{digit}.png") for digit in (3, 4, 5)]
    output = tmp_path / "out.csv"
    command = ("infer", *files, "--output", output)
    with monkeypatch.context() as patch:  # Ctrl-C, or all is read
        interrupt_after(patch, count)
        run(*command, "--resume")
    before = output.read_bytes()
    files[count - 1].unlink()
    result = run(*command, "--resume")
    assert f"{count} were read before" in result.stderr
    assert output.read_bytes().startswith(before)
    assert [row["text"] for row in rows_of(output)] == list("345")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--model", "digits"), "model"),
        (("--expect", "3"), " --expect was "),
        (("--min-confidence", "0.5"), " --min-confidence was "),
        (("--orientation", "auto"), " --orientation was "),
        (("--format", "csv"), " --format was "),
    ],
)
def test_a_changed_model_or_option_is_refused(digit_file, tmp_path, options, named):
    output = tmp_path / "out.jsonl"
    begin = ("infer", digit_file(1), "--output", output, "--resume")
    assert run(*begin, "--model", "digits-tiny").exit_code == 0
    before = output.read_bytes()
    model = () if "--model" in options else ("--model", "digits-tiny")
    result = run(*begin, *model, *options)
    assert result.exit_code == 2
    assert named in result.stderr
    assert output.read_bytes() == before


def test_the_model_is_told_by_its_bytes(digit_file, tmp_path, shipped):
    model, output = tmp_path / "model.onnx", tmp_path / "out.jsonl"
    model.write_bytes(shipped.read_bytes())
    command = ("infer", digit_file(1), "--output", output, "--resume", "--model", model)
    assert run(*command).exit_code == 0
    model.write_bytes(shipped.with_name("digits-fp32.onnx").read_bytes())
    assert run(*command).exit_code == 2
    assert Classifier(model).sha256 not in output.read_text()


def test_what_cannot_be_continued(digit_file, tmp_path):
    image, output = digit_file(1), tmp_path / "out.csv"
    run("infer", image, "--output", output)
    assert not run_file_path(output).exists()  # finished: nothing is left behind
    before = output.read_bytes()
    for options in (
        ("--output", output), ("--output", tmp_path / "out.xlsx"), ("--camera", 0), (),
    ):  # fmt: skip
        sources = () if "--camera" in options else (image,)
        assert run("infer", *sources, *options, "--resume").exit_code == 2
    assert output.read_bytes() == before
    clip = tmp_path / "clip.avi"
    clip.write_bytes(b"video")
    result = run("infer", clip, "--output", tmp_path / "new.jsonl", "--resume")
    assert result.exit_code == 2
    assert "SOURCES" in result.stderr


def test_an_image_on_standard_input_cannot_be_continued(digit_file, tmp_path):
    image, output = digit_file(1), tmp_path / "out.csv"
    command = ("infer", "-", "--output", output, "--resume")
    result = run(*command, stdin=image.read_bytes())
    assert "--resume" in one_error_line(result, 2)
    assert [path.name for path in tmp_path.iterdir()] == [image.name]
    assert run(*command, stdin=f"{image}\n").exit_code == 0
    assert "--resume" in one_error_line(run(*command, stdin=image.read_bytes()), 2)
    second = digit_file(2, "b.png")
    assert run(*command, stdin=f"{image}\n{second}\n").exit_code == 0
    assert [row["text"] for row in rows_of(output)] == ["1", "2"]


def test_one_run_at_a_time(digit_file, tmp_path):
    output = tmp_path / "out.jsonl"
    command = ("infer", digit_file(1), "--output", output, "--resume")
    run(*command)
    with open_run_file(run_file_path(output)):
        assert str(output) in one_error_line(run(*command), 1)


def test_a_run_that_has_written_nothing_yet_is_left_alone(digit_file, tmp_path):
    """It may list its files for minutes, before there is an output."""
    pytest.importorskip("pyarrow")
    output = tmp_path / "new/out.parquet"
    state = run_file_path(output)
    with create_run_file(state, {"model": "first"}):
        before = state.read_bytes()
        for more in ((), ("--resume",)):
            result = run("infer", digit_file(1), "--output", output, *more)
            assert "another run" in one_error_line(result, 1)
            assert state.read_bytes() == before
        assert not output.exists()
    assert run("infer", digit_file(1), "--output", output).exit_code == 0  # it ended


def test_a_run_that_ended_while_it_began(digit_file, tmp_path):
    output = tmp_path / "out.jsonl"
    run("infer", digit_file(1), "--output", output)
    run_file_path(output).touch()
    assert run("infer", digit_file(2, "b.png"), "--output", output).exit_code == 0
    assert [row["text"] for row in rows_of(output)] == ["2"]


def test_a_damaged_state_is_refused(digit_file, tmp_path):
    output = tmp_path / "out.jsonl"
    command = ("infer", digit_file(1), "--output", output, "--resume")
    run(*command)
    run_file_path(output).write_bytes(b"\0" * 50)
    assert str(output) in one_error_line(run(*command), 1)


@pytest.mark.parametrize("suffix", FORMATS)
def test_lines_and_parts_that_were_torn(scans, tmp_path, suffix):
    """A disk that was full, or a power failure, may leave half a record."""
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    output, whole = tmp_path / f"out.{suffix}", tmp_path / f"whole.{suffix}"
    command = ("infer", scans, "--model", "digits-tiny", "--resume", "--output")
    run(*command, whole)
    for cut in (1, 7, 40, 200):
        run(*command, output)
        torn = run_file_path(output) if suffix == "parquet" else output
        if suffix == "parquet":  # as if the last part had not been written
            parts = sorted(output.glob("*.parquet"))
            with open_run_file(torn) as state:
                state.append(len(parts), b"x" * 100)
        with torn.open("r+b") as file:
            file.truncate(file.seek(0, os.SEEK_END) - cut)
        run(*command, output)
        assert rows_of(output) == rows_of(whole)


@pytest.mark.parametrize("suffix", FORMATS)
def test_kill_9_at_any_moment(digit_file, tmp_path, suffix):
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    count = 400
    for i in range(count):
        digit_file(i % 10, f"scans/{i:03d}.png")
    output = tmp_path / f"out.{suffix}"
    command = [
        *(sys.executable, "-m", "digitkit", "infer", tmp_path / "scans", "--mode", "page"),
        *("--model", "digits-tiny", "--output", output, "--resume"),
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    grown = 0
    for _ in range(3):
        process = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 60
            while process.poll() is None and time.monotonic() < deadline:
                size = output.stat().st_size if output.is_file() else 0
                with_state = size + sum(p.stat().st_size for p in tmp_path.glob("*.run"))
                if with_state > grown + 4000:
                    break
                time.sleep(0.005)
            grown = with_state
            process.kill()
        finally:
            process.kill()
            process.wait()
    assert subprocess.run(command, env=env, stderr=subprocess.DEVNULL).returncode == 0
    found = Counter(row["source"] for row in rows_of(output))
    if suffix == "csv":  # a record per number
        assert len(found) == count
    else:
        assert list(found.values()) == [1] * count


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_finished_table_stays_until_the_next_one_is(digit_file, tmp_path, monkeypatch, suffix):
    files = [digit_file(3, "a.png"), digit_file(4, "b.png")]
    output, link = tmp_path / f"out.{suffix}", tmp_path / f"link.{suffix}"
    old, own = tmp_path / f"out.{suffix}.old2", tmp_path / f"out.{suffix}.old"
    own.write_text("mine")
    link.symlink_to(output)
    run("infer", files[0], "--output", output)
    output.chmod(0o600)
    before = output.read_bytes()

    with monkeypatch.context() as patch:  # before the first picture
        interrupt_after(patch, 0)
        result = run("infer", *files, "--output", link)
    assert result.exit_code == 130
    assert "--resume" not in result.stderr
    assert output.read_bytes() == before
    assert not run_file_path(link).exists()
    assert not old.exists()

    with monkeypatch.context() as patch:  # after it
        interrupt_after(patch, 1)
        result = run("infer", *reversed(files), "--output", link)
    assert "--resume" in result.stderr
    assert old.read_bytes() == before
    run("infer", *reversed(files), "--output", link, "--resume")
    assert [row["text"] for row in rows_of(output)] == ["4", "3"]
    assert not old.exists()
    assert output.stat().st_mode & 0o777 == 0o600
    old.write_text("mine, too")
    run("infer", *reversed(files), "--output", link, "--resume")
    assert old.read_text() == "mine, too"
    old.unlink()
    run_file_path(link).unlink()

    before = output.read_bytes()
    assert run("infer", tmp_path / "nosuch.png", "--output", output).exit_code == 1
    assert old.read_bytes() == before
    assert own.read_text() == "mine"
    run("infer", *files, "--output", tmp_path / f"new.{suffix}")
    assert run("infer", *files, "--output", tmp_path / f"new.{suffix}").exit_code == 0
    assert not list(tmp_path.glob("new.*.old*"))


@pytest.mark.parametrize("suffix", ["txt", "xlsx"])
def test_a_mistyped_source_does_not_cost_a_table(digit_file, tmp_path, suffix):
    if suffix == "xlsx":
        pytest.importorskip("xlsxwriter")
    output, old = tmp_path / f"out.{suffix}", tmp_path / f"out.{suffix}.old"
    run("infer", digit_file(3), "--output", output)
    output.chmod(0o600)
    before = output.read_bytes()
    assert run("infer", tmp_path / "nosuch.png", "--output", output).exit_code == 1
    assert old.read_bytes() == before
    assert {output.stat().st_mode & 0o777, old.stat().st_mode & 0o777} == {0o600}
    if suffix == "txt":  # an empty one is not worth another copy
        run("infer", tmp_path / "nosuch.png", "--output", output)
    run("infer", digit_file(4), "--output", output)
    assert old.read_bytes() == before
    assert [path.name for path in tmp_path.glob("out.*.old*")] == [old.name]
