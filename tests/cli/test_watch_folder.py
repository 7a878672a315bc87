"""``infer --watch``: files as they arrive, remembered across restarts."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from support.cli import run
from support.paths import ROOT

from digitkit.images.cv import cv2
from digitkit.sources import watch
from digitkit.sources.watch import FolderWatch

ENV = {**os.environ, "PYTHONPATH": str(ROOT)}


def start(folder, output) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "digitkit", "infer", "--watch", folder, "--output", output],
        env=ENV, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_read_is_remembered(tmp_path, one_of_each, number):
    folder, output = tmp_path / "in", tmp_path / "out.jsonl"
    folder.mkdir()

    def add(digit: int) -> None:
        data = cv2.imencode(".png", one_of_each[digit])[1].tobytes()
        (folder / f"{digit}.png").write_bytes(data)

    def texts() -> list[str]:
        lines = output.read_text().splitlines() if output.exists() else []
        return [json.loads(line)["text"] for line in lines]

    def wait_for(process: subprocess.Popen, count: int) -> None:
        deadline = time.monotonic() + 60
        while len(texts()) < count:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)

    add(1)
    process = start(folder, output)
    try:
        wait_for(process, 1)
        add(2)
        wait_for(process, 2)
        process.send_signal(number)
        errors = process.communicate(timeout=60)[1]
        assert process.returncode == 0, errors
        add(3)
        process = start(folder, output)
        wait_for(process, 3)
        process.kill()
        process.communicate()
        add(4)
        process = start(folder, output)
        wait_for(process, 4)
        process.send_signal(number)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert texts() == list("1234")


def test_a_relative_folder_is_another_one_elsewhere(tmp_path, monkeypatch, digit_file):
    output = tmp_path / "out.jsonl"
    for place in ("here", "there"):
        digit_file(1, f"{place}/in/a.png")
    watched = FolderWatch.__iter__

    def once(self):
        yield next(watched(self))
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(FolderWatch, "__iter__", once)
    command = ("infer", "--watch", "in", "--output", output)
    monkeypatch.chdir(tmp_path / "here")
    assert run(*command).exit_code == 0
    before = output.read_bytes()
    monkeypatch.chdir(tmp_path / "there")
    result = run(*command)
    assert result.exit_code == 2
    assert str(tmp_path / "here") in result.stderr
    assert output.read_bytes() == before


def test_ctrl_c_while_a_part_is_written(tmp_path, monkeypatch, digit_file):
    pq = pytest.importorskip("pyarrow.parquet")
    from digitkit.sinks import parquet

    digit_file(1, "in/a.png")
    output = tmp_path / "out.parquet"
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(parquet, "_HELD_SECONDS", 1000)  # so that rows are left to `idle`
    monkeypatch.setattr(parquet, "PART_SECONDS", 0)
    take = parquet.RowSink.take

    def interrupted(self):
        rows = take(self)
        signal.raise_signal(signal.SIGINT)
        return rows

    monkeypatch.setattr(parquet.RowSink, "take", interrupted)
    result = run("infer", "--watch", tmp_path / "in", "--output", output)
    assert result.exit_code == 0, result.output
    assert "1 image" in result.stderr
    assert len(pq.read_table(output)) == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--watch", "."), "--watch"),
        (("--watch", ".", "a.png", "--output", "x.csv"), "--watch"),
        (("--watch", ".", "--output", "x.csv", "--workers", 2), "--workers"),
        (("--watch", "none", "--output", "x.csv"), "none"),
        (("--watch", ".", "--output", "x.parquet", "--engine", "ray"), "--watch"),
    ],
)
def test_wrong_options(tmp_path, monkeypatch, arguments, named):
    monkeypatch.chdir(tmp_path)
    result = run("infer", *arguments)
    assert result.exit_code == 2
    assert named in result.stderr
