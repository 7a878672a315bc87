"""Cameras and streams: a scripted camera, a real MJPEG stream on the loopback, a stand-in Pi."""

from __future__ import annotations

import ast
import math
import os
import queue
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.mjpeg import Server, jpeg
from support.paths import ROOT

from digitkit.errors import CameraMissingError, SourceError
from digitkit.images.opencv import cv2
from digitkit.sources import live
from digitkit.sources.capture import _OpenCV
from digitkit.sources.frames import Failure, Frame
from digitkit.sources.live import Live, backoff_delays
from digitkit.sources.picamera import PiCamera
from digitkit.sources.urls import mask_password


def picture(value: int = 0) -> np.ndarray:
    return np.full((4, 6, 3), value, np.uint8)


class Scripted:
    """A camera that gives what it is fed; None is the end, an error is raised."""

    def __init__(self, *items: object) -> None:
        self.items: queue.Queue = queue.Queue()
        self.closed = 0
        self.open_item = False
        for item in items:
            self.items.put(item)

    def feed(self, *items: object) -> None:
        """Returns when the grabber has taken all of it."""
        for item in items:
            self.items.put(item)
        self.items.join()

    def read(self):
        if self.open_item:
            self.items.task_done()  # the frame given before has been offered
        item = self.items.get()
        self.open_item = True
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        self.closed += 1
        self.items.put(None)


class Endless:
    """A camera whose frames come without end."""

    def read(self):
        time.sleep(0.001)
        return picture()

    def close(self) -> None:
        pass


def opening(*captures: object):
    """An opener that gives these in turn, and raises those that are errors; the last for ever."""
    left = list(captures)
    opened = []

    def opener():
        opened.append(left[0])
        item = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(item, BaseException):
            raise item
        return item

    opener.opened = opened
    return opener


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on only as a test says; waits are real, and as short as they may be."""
    stands = SimpleNamespace(now=0.0)
    times = SimpleNamespace(monotonic=lambda: stands.now, perf_counter_ns=time.perf_counter_ns)
    monkeypatch.setattr(live, "time", times)
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.01)
    return stands


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("camera")]


# --- the grabber -----------------------------------------------------------------------------


def test_only_the_newest_frame_is_kept():
    camera = Scripted(picture(7))
    with Live("0", opener=lambda: camera) as source:
        first = next(source)
        camera.feed(*map(picture, range(1, 6)))
        second = next(source)
        assert (first.number, second.number) == (0, 5)
        assert int(second.image[0, 0, 0]) == 5
        assert source.dropped == 4
        camera.feed(picture(8))
        assert next(source).number == 6
        assert (source.dropped, source.reconnects) == (4, 0)
    assert camera.closed
    assert threads() == []


def test_what_a_frame_says():
    with Live("0", opener=Endless, max_frames=1) as source:
        (frame,) = source
    assert frame.source == source.name == "camera 0"
    assert frame.time.tzinfo is not None
    assert abs((datetime.now(frame.time.tzinfo) - frame.time).total_seconds()) < 60
    assert frame.decode_ms >= 1
    assert frame.seconds is None


def test_every_frame_of_a_replay():
    camera = Scripted(*map(picture, range(50)), None)
    with Live("0", opener=lambda: camera, retry=0, every=True) as source:
        items = list(source)
    assert [int(frame.image[0, 0, 0]) for frame in items[:-1]] == list(range(50))
    assert items[-1] == Failure("camera 0", "gives no more frames after 50")
    assert source.dropped == 0


def test_max_frames():
    with Live("0", opener=Endless, max_frames=3) as source:
        assert len(list(source)) == 3
        assert threads() == []  # closed at the end of the iteration already
        assert list(source) == []


def test_duration_runs_from_the_first_frame():
    camera = Scripted()
    fed: list[float] = []

    def feed() -> None:
        fed.append(time.monotonic())
        camera.items.put(picture(1))

    timer = threading.Timer(0.3, feed)
    timer.start()
    with Live("0", opener=lambda: camera, duration=0.2) as source:
        assert [frame.number for frame in source] == [0]
        assert time.monotonic() - fed[0] >= 0.2
    timer.join()
    assert threads() == []


def test_fps_is_a_cap_and_gives_the_newest():
    camera = Scripted(picture(0))
    with Live("0", opener=lambda: camera, fps=5) as source:
        begun = time.monotonic()
        next(source)
        camera.feed(picture(1), picture(2), picture(3))
        assert next(source).number == 3
        assert time.monotonic() - begun >= 0.2
        assert source.dropped == 2


def test_a_frame_before_the_end_is_still_handed_over():
    camera = Scripted(picture(0))
    with Live("0", opener=lambda: camera, retry=0, fps=20) as source:
        next(source)
        camera.items.put(picture(1))
        camera.items.put(None)
        assert [getattr(item, "number", "failure") for item in source] == [1, "failure"]


@pytest.mark.parametrize(
    "options",
    [
        {"retry": -1}, {"retry": math.nan}, {"fps": 0}, {"max_frames": 0}, {"duration": -2},
        {"size": (0, 480)},
    ],
)  # fmt: skip
def test_numbers_out_of_range(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} is"):
        Live("0", opener=Endless, **options)


# --- losing and finding ----------------------------------------------------------------------


def test_a_lost_camera_is_opened_again(clock):
    lost = SourceError("camera 0: cannot be opened")
    cameras = [Scripted(picture(1), None), lost, lost, Scripted(picture(2), picture(3), None)]
    lines: list[str] = []
    last = Scripted(picture(4), SourceError("on fire"))
    opener = opening(*cameras, last, lost)

    def timed():
        clock.now += 0.15 if last.closed else 0.05
        return opener()

    with Live("0", opener=timed, retry=0.2, every=True, notice=lines.append) as source:
        items = list(source)
    assert [int(item.image[0, 0, 0]) for item in items[:-1]] == [1, 2, 3, 4]
    assert [item.number for item in items[:-1]] == [0, 1, 2, 3]
    assert items[-1] == Failure("camera 0", "on fire; given up after trying for 0.2 s")
    assert source.reconnects == 2
    assert lines[0] == "camera 0: gives no more frames after 1; reconnecting for 0.2 s"
    assert lines[1].startswith("camera 0: is back after ")
    assert lines[2] == "camera 0: gives no more frames after 3; reconnecting for 0.2 s"
    assert lines[4] == "camera 0: on fire; reconnecting for 0.2 s"
    assert len(lines) == 5  # one a loss and one a return, not one an attempt
    assert all(camera.closed for camera in cameras if isinstance(camera, Scripted))


def test_the_pauses_double_up_to_a_limit():
    waits = backoff_delays()
    assert [next(waits) for _ in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]


def test_without_retry_the_first_loss_ends_it():
    opener = opening(Scripted(picture(), picture(), SourceError("it was pulled out")))
    with Live("0", opener=opener, retry=0, every=True) as source:
        items = list(source)
    assert items[2:] == [Failure("camera 0", "it was pulled out")]
    assert len(opener.opened) == 1


def test_a_camera_that_is_not_there_is_an_error_at_once():
    opener = opening(SourceError("camera 0: cannot be opened; do this"))
    lines: list[str] = []
    with Live("0", opener=opener, notice=lines.append) as source:
        with pytest.raises(SourceError, match="^camera 0: cannot be opened; do this$"):
            next(source)
        assert list(source) == []
    assert len(opener.opened) == 1
    assert lines == []


def test_a_camera_without_frames_may_be_the_pi_s_own():
    with (
        Live("0", opener=lambda: Scripted(None)) as source,
        pytest.raises(SourceError, match="opens but gives no frames; .*--camera picamera2"),
    ):
        next(source)


def test_a_stream_is_waited_for(clock):
    url = "rtsp://me:geheim@127.0.0.1/x"
    opener = opening(SourceError(f"{url}: is away"))
    lines: list[str] = []

    def timed():
        clock.now += 0.15
        return opener()

    with (
        Live(url, opener=timed, retry=0.4, notice=lines.append) as source,
        pytest.raises(SourceError) as caught,
    ):
        next(source)
    assert str(caught.value) == (
        "rtsp://me:***@127.0.0.1/x: is away; given up after trying for 0.4 s"
    )
    assert len(opener.opened) == 3
    assert lines == ["rtsp://me:***@127.0.0.1/x: is away; trying again for 0.4 s"]
    with (
        Live(url, opener=opener, retry=0) as source,
        pytest.raises(SourceError, match="x: is away$"),
    ):
        next(source)


def test_with_endless_patience_any_camera_is_waited_for():
    away = SourceError("is away")
    lines: list[str] = []
    opener = opening(away, away, Scripted(picture()))
    with Live("0", opener=opener, retry=math.inf, max_frames=1, notice=lines.append) as source:
        assert next(source).number == 0
    assert source.reconnects == 0  # it was never there before
    assert lines[0] == "camera 0: is away; trying again"
    assert lines[1].startswith("camera 0: is there after ")
    assert len(lines) == 2


def test_an_error_in_the_thread_is_not_swallowed():
    with (
        Live("0", opener=opening(ZeroDivisionError("a mistake"))) as source,
        pytest.raises(ZeroDivisionError, match="a mistake"),
    ):
        next(source)


# --- closing ---------------------------------------------------------------------------------


def test_closing_wakes_a_camera_that_waits():
    camera = Scripted(picture())
    with Live("0", opener=lambda: camera) as source:
        next(source)
    assert threads() == []
    source.close()
    assert list(source) == []


def test_closing_before_the_first_frame():
    with Live("0", opener=Endless) as source:
        pass
    assert list(source) == []


def test_closing_does_not_wait_for_a_camera_that_is_stuck(monkeypatch):
    monkeypatch.setattr(live, "CLOSE_SECONDS", 0.05)
    freed, stuck = threading.Event(), threading.Event()

    class Stuck(Endless):
        def read(self):
            stuck.set()
            freed.wait()

    source = Live("0", opener=Stuck)
    threading.Thread(target=lambda: list(source), name="consumer").start()
    stuck.wait()
    source.close()
    (thread,) = [one for one in threading.enumerate() if one.name == "camera 0"]
    assert thread.daemon  # so it doesn't hold up the process's end
    freed.set()
    thread.join(10)
    assert not thread.is_alive()


def test_closing_ends_the_wait_of_another_thread():
    camera = Scripted(picture())
    source = Live("0", opener=lambda: camera)
    items: list[object] = []
    consumer = threading.Thread(target=lambda: items.extend(source))
    consumer.start()
    camera.feed()  # waits until the first frame is offered
    source.close()
    consumer.join(10)
    assert not consumer.is_alive()
    assert len(items) <= 1


def test_closing_during_a_pause():
    lost = threading.Event()
    opener = opening(SourceError("is away"))
    source = Live("0", opener=opener, retry=math.inf, notice=lambda line: lost.set())
    consumer = threading.Thread(target=lambda: list(source))
    consumer.start()
    lost.wait()
    source.close()
    consumer.join(10)
    assert not consumer.is_alive()
    assert threads() == []


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
def test_ctrl_c_interrupts_the_wait():
    def stop(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    try:
        with Live("0", opener=Scripted) as source, pytest.raises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            next(source)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert threads() == []


def test_opencv_is_not_released_under_a_read():
    reading, go_on = threading.Event(), threading.Event()
    calls: list[str] = []

    class Capture:
        def read(self):
            calls.append("read")
            reading.set()
            go_on.wait()
            calls.append("has read")
            return False, None

        def release(self):
            calls.append("release")

    camera = _OpenCV(Capture())
    thread = threading.Thread(target=camera.read)
    thread.start()
    reading.wait()
    camera.close()
    go_on.set()
    thread.join()
    assert calls == ["read", "has read", "release"]
    assert camera.read() is None
    assert "read" not in calls[3:]


# --- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://10.0.0.7:554/live", "rtsp://10.0.0.7:554/live"),
        ("rtsp://me:geheim@10.0.0.7:554/live", "rtsp://me:***@10.0.0.7:554/live"),
        ("rtsp://me@10.0.0.7/live", "rtsp://me@10.0.0.7/live"),
        ("rtsp://:geheim@10.0.0.7/live", "rtsp://:***@10.0.0.7/live"),
        ("http://me:ge:h@eim@cam/x?a=b", "http://me:***@cam/x?a=b"),
        ("rtsp://me:ge/heim@cam/live", "rtsp://me:***@cam/live"),
        ("rtsp://me:ge#h?eim@cam/live", "rtsp://me:***@cam/live"),
        ("http://cam:80/x?mail=a@b.c", "http://cam:80/x?mail=a@b.c"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("http://cam/v?user=me&pwd=geheim&ch=1", "http://cam/v?user=me&pwd=***&ch=1"),
        ("http://cam/v?PassWord=ge=he/im", "http://cam/v?PassWord=***"),
        ("http://cam/v?a=1&access_token=ge;heim", "http://cam/v?a=1&access_token=***"),
        ("http://cam/v?api-key=geheim&x=2", "http://cam/v?api-key=***&x=2"),
        ("rtsp://cam/user=me_password=ge_heim_channel=1.sdp", "rtsp://cam/user=me_password=***"),
        ("http://cam/compass/x?ch=1", "http://cam/compass/x?ch=1"),
        ("http://cam/x?passive", "http://cam/x?passive"),
        ("/dev/video0", "/dev/video0"),
        ("", ""),
    ],
)
def test_passwords_are_masked(url, shown):
    assert mask_password(url) == shown
    assert "heim" not in mask_password(url)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "''"), ("front door", "front door"), ("-1", "-1"), ("²", "²"), ("0.5", "0.5"),
        ("rstp://me:geheim@cam/x", r"rstp://me:\*\*\*@cam/x"), ("file:///x.avi", "file:///x.avi"),
        ("video.mp4", "video.mp4"),
    ],
)  # fmt: skip
def test_names_that_are_no_camera(name, message):
    with pytest.raises(SourceError, match=rf"^{message}: .*rtsp.*picamera2$"):
        Live(name)


def test_names_that_opencv_would_crash_on():
    with pytest.raises(SourceError, match="UTF-8"):
        Live("rtsp://cam/\udcff")


def test_a_stream_has_its_own_size():
    with pytest.raises(SourceError, match=r"rtsp://me:\*\*\*@cam: a stream has its own size"):
        Live("rtsp://me:geheim@cam", size=(640, 480))


def test_what_opencv_is_asked_for(monkeypatch):
    asked: list[object] = []

    class Capture:
        def __init__(self, *arguments):
            asked.append(arguments)

        def isOpened(self):  # noqa: N802 - OpenCV's name
            return True

        def set(self, what, value):
            asked.append((what, value))

        def read(self):
            return True, picture()

        def release(self):
            asked.append("release")

    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    for name, options in (("2", {"size": (640, 480)}), ("/dev/video1", {}), ("RTSP://cam", {})):
        with Live(name, max_frames=1, **options) as source:
            assert isinstance(next(source), Frame)
    assert [one for one in asked if one != "release"] == [
        (2,),
        (cv2.CAP_PROP_FRAME_WIDTH, 640),
        (cv2.CAP_PROP_FRAME_HEIGHT, 480),
        ("/dev/video1", cv2.CAP_V4L2),
        (
            "RTSP://cam",
            cv2.CAP_FFMPEG,
            [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 10000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 5000],
        ),
    ]
    assert asked.count("release") >= 3


def test_cameras_that_do_not_exist():
    for name in ("63", "/dev/video63"):
        with (
            Live(name) as source,
            pytest.raises(SourceError, match=r"63: .*; .* ls /dev/video\*"),
        ):
            next(source)


def test_a_number_that_is_too_large_for_opencv():
    with (
        Live("99999999999") as source,
        pytest.raises(SourceError, match="^camera 99999999999: OpenCV cannot"),
    ):
        next(source)


# --- a real stream ---------------------------------------------------------------------------


def levels(items) -> list[int]:
    return [round(float(item.image[40, 60].mean()) / 10) for item in items]


def serve(count: int = 10**9, first: int = 0):
    """Parts whose level counts up by tens, 100 a second."""

    def behaviour(connection, handler):
        for i in range(first, first + count):
            if handler.server.over.wait(0.01):
                break
            handler.part(jpeg(10 * (i % 20)))

    return behaviour


def test_a_stream():
    with Server(serve()) as server, Live(server.url, max_frames=5) as source:
        frames = list(source)
    assert source.name == server.url.replace("geheim", "***")
    assert frames[0].image.shape == (48, 64, 3)
    assert sorted(levels(frames)) == levels(frames)


def test_a_stream_that_breaks_off_within_a_frame():
    def behaviour(connection, handler):
        serve(5)(connection, handler)
        if connection < 3:
            handler.part(jpeg()[:200], len(jpeg()))
        else:
            serve()(connection, handler)

    lines: list[str] = []
    with (
        Server(behaviour) as server,
        Live(server.url, notice=lines.append, every=True, max_frames=20) as source,
    ):
        frames = list(source)
    assert [frame.number for frame in frames] == list(range(20))
    assert source.reconnects == 2
    assert len(lines) == 4
    assert "geheim" not in "".join(lines)


def test_broken_pictures_are_passed_over(monkeypatch):
    monkeypatch.setattr("digitkit.sources.capture.STALL_SECONDS", 60)  # this machine may stall, too

    def behaviour(connection, handler):
        for data in (jpeg()[:300], b"no JPEG at all") * 4:
            serve(2)(connection, handler)
            handler.part(data)
        serve()(connection, handler)

    with (
        Server(behaviour) as server,
        Live(server.url, every=True, max_frames=25) as source,
    ):
        assert [item.number for item in source] == list(range(25))
        assert source.reconnects == 0


def test_a_stream_that_stalls(monkeypatch):
    monkeypatch.setattr("digitkit.sources.capture.READ_SECONDS", 0.6)

    def behaviour(connection, handler):
        if connection == 1:
            serve(5)(connection, handler)
            handler.server.over.wait(30)
        serve()(connection, handler)

    with Server(behaviour) as server, Live(server.url, every=True, max_frames=10) as source:
        assert len(list(source)) == 10
    # Once more for each time that the machine itself stalls for so long.
    assert 1 <= source.reconnects <= 5


@pytest.fixture
def port():
    """A port that nobody else is given, and where nobody answers but who shares it."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_a_stream_that_comes_up_later_and_comes_back_on_its_port(port):
    servers: list[Server] = []
    lines: list[str] = []

    def come_back(line: str) -> None:
        lines.append(line)
        if line.endswith(" for 30 s"):  # it is away
            servers.append(Server(serve(first=10 * len(servers)), port).__enter__())

    url = f"http://me:geheim@127.0.0.1:{port}/"
    with Live(url, notice=come_back, every=True) as source:
        assert isinstance(next(source), Frame)
        servers[0].__exit__()
        while len(servers) < 2:
            next(source)
        numbers = [next(source).number for _ in range(3)]
        assert numbers == sorted(numbers)
    for server in servers[1:]:
        server.__exit__()
    assert source.reconnects == 1
    assert "cannot be opened; check the address" in lines[0]
    assert "geheim" not in "".join(lines)


def test_a_stream_that_never_answers(monkeypatch, capfd):
    monkeypatch.setattr("digitkit.sources.capture.OPEN_SECONDS", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://me:geheim@127.0.0.1:{silent.getsockname()[1]}/"
        with (
            Live(url, retry=0.2) as source,
            pytest.raises(SourceError, match="cannot be opened; .*; given up after") as caught,
        ):
            next(source)
    assert "geheim" not in str(caught.value)
    assert capfd.readouterr() == ("", "")  # FFmpeg is quiet, too


# --- a Raspberry Pi's own camera ---------------------------------------------------------------

FAKE = """
import os, sys, time
mode = os.environ["FAKE_CAMERA"]
if mode == "missing":
    raise ModuleNotFoundError("No module named 'picamera2'", name="picamera2")
if mode == "numpy":
    raise ValueError("numpy.dtype size changed, may indicate binary incompatibility")

class Picamera2:
    @staticmethod
    def global_camera_info():
        return [] if mode == "none" else [{"Model": "imx708", "Num": 0}]

    def __init__(self):
        if mode == "busy":
            try:
                raise RuntimeError("Failed to acquire camera: Device or resource busy")
            except RuntimeError:
                raise RuntimeError("Camera __init__ sequence did not complete.")
        self.count = 0

    def create_video_configuration(self, main):
        assert main["format"] == "RGB888"
        return main

    def configure(self, config):
        width, height = config["size"]
        width -= width % 2  # the nearest that it can do
        self.main = {"format": "RGB888", "size": (width, height), "stride": width * 3 + 8}

    def camera_configuration(self):
        return {"main": self.main}

    def start(self):
        print("[0:17:45.123] INFO Camera libcamera v0.5", flush=True)
        print("a warning of libcamera", file=sys.stderr, flush=True)

    def capture_buffer(self, name):
        assert name == "main"
        (width, height), stride = self.main["size"], self.main["stride"]
        self.count += 1
        if mode == "stall" and self.count == 2:
            time.sleep(60)
        if mode == "broken off" and self.count == 3:
            raise RuntimeError("Camera frontend has timed out!")
        if mode == "crash" and self.count == 4:
            os._exit(3)
        row = bytes((1, 2, self.count)) * width + b"\\xee" * (stride - 3 * width)
        buffer = row * height + b"behind the last row"
        return buffer[:40] if mode == "crash" and self.count == 3 else buffer
"""


@pytest.fixture
def pi(tmp_path, monkeypatch):
    """Makes a `PiCamera` over an interpreter whose picamera2 is a stand-in in some mode."""
    (tmp_path / "picamera2.py").write_text(FAKE)
    python = tmp_path / "python3"
    python.write_text(
        # -I would keep the stand-in out as well; it is the first argument.
        f'#!/bin/sh\nenv > {tmp_path}/env\nflag=$1; shift\ntest "$flag" = -I || exit 9\n'
        f"PYTHONPATH={shlex.quote(str(tmp_path))} exec {shlex.quote(sys.executable)} "
        '-P "$@"\n'
    )
    python.chmod(0o755)
    cameras: list[PiCamera] = []

    def make(mode: str, size: tuple[int, int] | None = (7, 5), **more: float) -> PiCamera:
        monkeypatch.setenv("FAKE_CAMERA", mode)
        cameras.append(PiCamera(size, python=python, **more))
        return cameras[-1]

    yield make
    for camera in cameras:
        camera.close()
        assert camera._process.returncode is not None


def test_frames_of_a_pi_camera(pi, tmp_path, monkeypatch):
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "/nowhere")
    camera = pi("fine")
    for count in (1, 2, 3):
        image = camera.read()
        assert image.shape == (5, 6, 3)  # as the camera could do it, without the rows' padding
        assert image.flags.c_contiguous
        assert (image == np.array([1, 2, count], np.uint8)).all()
    names = {line.split("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert "FAKE_CAMERA" in names
    assert not [name for name in names if name.startswith("PYTHON") or name == "VIRTUAL_ENV"]
    camera.close()
    assert camera.read() is None


def test_a_pi_camera_s_own_size(pi):
    assert pi("fine", None).read().shape == (720, 1280, 3)


@pytest.mark.parametrize(
    ("mode", "kind", "problem", "hint"),
    [
        ("missing", CameraMissingError, "picamera2", "sudo apt install -y python3-picamera2"),
        ("numpy", SourceError, "numpy.dtype size changed", "sudo apt install --reinstall"),
        ("none", CameraMissingError, "", "rpicam-hello --list-cameras"),
        ("busy", SourceError, "Failed to acquire camera: ", "rpicam-hello"),
    ],
)
def test_a_pi_without_a_camera(pi, mode, kind, problem, hint):
    with pytest.raises(SourceError) as caught:
        pi(mode).read()
    assert type(caught.value) is kind
    assert caught.value.subject == "picamera2"
    assert problem in caught.value.problem
    assert hint in caught.value.hint


def test_what_is_missing_is_still_told_through_live(pi):
    with (
        Live("picamera2", opener=lambda: pi("none")) as source,
        pytest.raises(CameraMissingError) as caught,
    ):
        next(source)
    assert (caught.value.subject, bool(caught.value.hint)) == ("picamera2", True)


@pytest.mark.parametrize(
    ("mode", "frames", "seconds", "message"),
    [
        ("crash", 2, 60, "its process ended with code 3"),
        ("broken off", 2, 60, r"the camera stopped \(Camera frontend has timed out!\)"),
        ("stall", 1, 0.2, "gave no frame for 0.2 seconds"),
    ],
)
def test_a_pi_camera_that_goes_away(pi, mode, frames, seconds, message):
    camera = pi(mode, frame_seconds=seconds)
    for _ in range(frames):
        assert camera.read() is not None
    with pytest.raises(SourceError, match=f"^picamera2: {message}$"):
        camera.read()


def test_a_pi_camera_that_never_starts(pi):
    with pytest.raises(SourceError, match="gave no frame for 0.01 seconds"):
        pi("fine", start_seconds=0.01).read()


def test_a_pi_camera_that_sends_something_else(tmp_path):
    for said in ("hello, this is no frame at all", "DKF1\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0"):
        python = tmp_path / "python3"
        python.write_text(f"#!/bin/sh\nprintf '{said}'\n")
        python.chmod(0o755)
        camera = PiCamera(python=python)
        with pytest.raises(SourceError, match="sent something other than frames"):
            camera.read()
        camera.close()


def test_an_interpreter_that_is_not_there(tmp_path):
    with pytest.raises(SourceError, match=r"cannot be run \(No such file or directory\)"):
        PiCamera(python=tmp_path / "python3")


def test_a_pi_camera_is_closed_while_it_is_read(pi):
    camera = pi("stall")
    camera.read()
    errors: list[SourceError] = []

    def read() -> None:
        try:
            camera.read()
        except SourceError as error:
            errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    camera.close()
    reader.join(10)
    assert not reader.is_alive()


def test_a_pi_camera_ends_with_its_parent(pi):
    camera = pi("stall")
    camera.read()
    camera._process.stdin.close()  # as the system does when the parent dies
    assert camera._process.wait(10) == 0


def test_a_pi_camera_that_comes_back(pi):
    lines: list[str] = []
    with Live(
        "picamera2", opener=lambda: pi("crash"), notice=lines.append, every=True, max_frames=6
    ) as source:
        assert [int(frame.image[0, 0, 2]) for frame in source] == [1, 2, 1, 2, 1, 2]
    assert source.reconnects == 2
    assert lines[0].startswith("picamera2: its process ended with code 3")


def test_picamera2_is_what_the_name_opens(monkeypatch):
    asked: list[object] = []
    monkeypatch.setattr(
        "digitkit.sources.picamera.PiCamera", lambda size: asked.append(size) or Endless()
    )
    with Live("picamera2", size=(640, 480), max_frames=1) as source:
        assert next(source).source == "picamera2"
    assert asked == [(640, 480)]


def test_the_script_for_the_system_s_python_stands_alone():
    text = (ROOT / "digitkit/sources/picamera_pipe.py").read_text("utf-8")
    tree = ast.parse(text, feature_version=(3, 9))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
            assert node.level == 0
    assert imported - set(sys.stdlib_module_names) == {"picamera2"}


# --- two minutes -----------------------------------------------------------------------------


def soak(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "benchmarks/soak.py", "--size", "96x72", *arguments],
        capture_output=True, text=True, timeout=300, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")


@linux
def test_two_minutes_of_video_leave_memory_flat():
    """3,600 frames, small ones; benchmarks/soak.py does an hour of 640×480."""
    done = soak("--seconds", "120")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3,600 frames" in done.stdout
    assert " 0 dropped" in done.stdout


@linux
def test_the_soak_notices_growth():
    done = soak("--seconds", "4", "--speed", "8", "--grow=-500")
    assert done.returncode == 1
    assert "memory has grown by " in done.stderr
