"""Streams that change, stall or send broken images, and workers stuck in an image."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.mjpeg import Server
from support.paths import ROOT

from digitkit.images.cv import cv2
from digitkit.sources.live import Live

ENV = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A fresh process that runs `code`; `communicate` gives what it prints."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENV,
    )


def encode(height: int, width: int) -> bytes:
    image = np.full((height, width, 3), 40, np.uint8)
    image[: height // 2, : width // 2] = 220
    return cv2.imencode(".jpg", image)[1].tobytes()


def damaged(data: bytes) -> bytes:
    """A JPEG image with noise among its pixels, about which libjpeg would print."""
    at = len(data) - 60
    return data[:at] + random.Random(0).randbytes(40).replace(b"\xff", b"\0") + data[at + 40 :]


@pytest.fixture
def stalling():
    """A stream of a few frames, a damaged one among them, that then stays silent."""

    def behaviour(connection, handler) -> None:
        for data in (encode(48, 64), damaged(encode(48, 64)), encode(48, 64), encode(48, 64)):
            handler.part(data)
        handler.server.over.wait(60)

    with Server(behaviour) as server:
        yield server.url


def test_a_stream_keeps_the_size_of_each_image():
    shapes = [(48, 64), (120, 160), (64, 48), (48, 64)]

    def behaviour(connection, handler) -> None:
        for shape in shapes:
            for _ in range(3):
                handler.part(encode(*shape))
        handler.server.over.wait(30)

    with Server(behaviour) as server, Live(server.url, every=True, max_frames=12) as live:
        images = [frame.image for frame in live]
    assert [image.shape[:2] for image in images] == [shape for shape in shapes for _ in range(3)]
    for image in images:
        height, width = image.shape[:2]
        assert image[: height // 2 - 8, : width // 2 - 8].mean() > 200
        assert image[height // 2 + 8 :].mean() < 60


def test_images_without_an_end_marker_are_shown():
    def behaviour(connection, handler) -> None:
        while not handler.server.over.wait(0.01):
            handler.part(encode(48, 64).removesuffix(b"\xff\xd9"))

    with Server(behaviour) as server, Live(server.url, retry=1, max_frames=5) as live:
        assert [frame.image.shape for frame in live] == [(48, 64, 3)] * 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stalled_camera_is_left_at_once(stalling, number):
    code = """
import sys
from digitkit.sources import capture
capture.READ_SECONDS = 300  # the test ends before
from digitkit.cli.app import main
main()
"""
    process = start(code, "infer", "--camera", stalling, "--every-frame", "--format", "jsonl")
    try:
        assert process.stdout.readline().startswith("{")
        process.send_signal(number)
        errors = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 0
    assert "JPEG" not in errors


def test_an_exit_during_a_read_aborts_nothing(stalling):
    """On Python before 3.14, a thread that returns from OpenCV during shutdown is an abort."""
    code = """
import sys, time
from digitkit.sources import capture, live
capture.READ_SECONDS = live.READ_SECONDS = 1.5
class Slow:
    def __del__(self, sleep=time.sleep):
        sleep(3)  # the read ends meanwhile
sys.slow = Slow()
frames = live.Live(sys.argv[1])
next(frames)
"""
    process = start(code, stalling)
    process.communicate(timeout=60)
    assert process.returncode == 0


STUCK = """
import faulthandler, signal
faulthandler.dump_traceback_later(100, exit=True)  # shows where it hangs
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background of a shell
from digitkit.inference import infer_job
from digitkit.cli.app import main
from hostile.test_interruptions import make_stuck_reader
infer_job.reader_factory = lambda config, notice: make_stuck_reader
main()
"""


class StuckReader:
    """A reader that waits for ever, as at a network mount that hangs."""

    min_confidence = 0.5
    obeys_exif = True
    gap = None
    classifier = SimpleNamespace(sha256="0")

    def is_small(self, frame):
        return False

    def read_frame(self, frame):
        folder = Path(frame.source).parent
        (folder / f"{os.getpid()}.pid").touch()
        open(folder / "never")  # noqa: SIM115 - a FIFO that nobody writes to


def make_stuck_reader() -> StuckReader:
    return StuckReader()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stuck_workers_end_with_a_signal(tmp_path, digit_file, number):
    files = [digit_file(i, f"{i}.png") for i in range(3)]
    os.mkfifo(files[0].parent / "never")
    output = tmp_path / "out/readings.csv"
    process = start(STUCK, "infer", *files, "--workers", 2, "--output", output)
    try:
        while len(pids := list(files[0].parent.glob("*.pid"))) < 2:
            assert process.poll() is None
            signal.sigtimedwait([], 0.05)
        process.send_signal(number)
        errors = process.communicate(timeout=120)[1]
    finally:
        process.kill()
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[number], errors
    assert list(output.parent.iterdir()) == []
    for pid in pids:
        while Path(f"/proc/{pid.stem}/cmdline").exists():  # the test's time limit would end this
            signal.sigtimedwait([], 0.05)


def test_workers_print_nothing_about_damaged_images(tmp_path):
    for i in range(4):
        (tmp_path / f"{i}.jpg").write_bytes(damaged(encode(90, 90)))
    process = start(
        "from digitkit.cli.app import main; main()", "infer", tmp_path, "--workers", 2, "--format",
        "jsonl",
    )  # fmt: skip
    out, errors = process.communicate(timeout=60)
    assert len(out.splitlines()) == 4
    assert len(errors.splitlines()) == 1  # the summary, and no complaint when Python exits
