"""`Live` over scripted cameras: the newest frame, losses and returns, closing."""

import math
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from support.cameras import Endless, Scripted, grabbing_threads, image, opener_of
from support.errors import error_of

from digitkit.errors import ConfigError, SourceError
from digitkit.sources import live
from digitkit.sources.frames import Failure
from digitkit.sources.live import Live, backoff_delays


@pytest.fixture
def clock(monkeypatch):
    """A clock that advances only as a test says; waits are real, and as short as possible."""
    stopped = SimpleNamespace(now=0.0)
    times = SimpleNamespace(monotonic=lambda: stopped.now, perf_counter_ns=time.perf_counter_ns)
    monkeypatch.setattr(live, "time", times)
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.01)
    return stopped


def levels(frames) -> list[int]:
    return [int(frame.image[0, 0, 0]) for frame in frames]


def test_only_the_newest_frame_is_kept():
    camera = Scripted(image(7))
    with Live("0", opener=lambda: camera) as source:
        first = next(source)
        camera.feed(*map(image, range(1, 6)))
        second = next(source)
        assert [first.number, second.number, *levels([second])] == [0, 5, 5]
        assert source.dropped == 4
        camera.feed(image(8))
        assert next(source).number == 6
        assert (source.dropped, source.reconnects) == (4, 0)
    assert camera.closed
    assert grabbing_threads() == []
    source.close()
    assert list(source) == []


def test_max_frames_and_the_fields_of_a_frame():
    with Live(0, opener=Endless) as source:
        pass
    assert list(source) == []  # closed before the first frame
    with Live("0", opener=Endless, max_frames=3) as source:
        *_, frame = list(source)
        assert grabbing_threads() == []  # closed at the end of the iteration already
        assert list(source) == []
    assert frame.source == source.name == "camera 0"
    assert abs((datetime.now(frame.time.tzinfo) - frame.time).total_seconds()) < 60
    assert frame.decode_ms >= 1
    assert (frame.number >= 2, frame.seconds) == (True, None)


def test_duration_runs_from_the_first_frame():
    camera = Scripted()
    fed: list[float] = []
    timer = threading.Timer(0.3, lambda: (fed.append(time.monotonic()), camera.put(image(1))))
    timer.start()
    with Live("0", opener=lambda: camera, duration=0.2) as source:
        assert [frame.number for frame in source] == [0]
        assert time.monotonic() - fed[0] >= 0.2
    timer.join()


def test_fps_is_a_cap_and_gives_the_newest():
    camera = Scripted(image(0))
    with Live("0", opener=lambda: camera, fps=5, retry=0) as source:
        begun = time.monotonic()
        next(source)
        camera.feed(image(1), image(2), image(3))
        assert next(source).number == 3
        assert time.monotonic() - begun >= 0.2
        assert source.dropped == 2
        # A frame before the end is still handed over.
        camera.put(image(4), None)
        assert [getattr(item, "number", "failure") for item in source] == [4, "failure"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("retry", -1), ("retry", math.nan), ("fps", 0), ("max_frames", 0), ("duration", -2),
        ("size", (0, 480)), ("size", (640, 480, 3)), ("size", 5),
        ("size", "64"), ("size", (1.5, 2)), ("size", ()), ("max_frames", 0.5), ("fps", "3"),
    ],
)  # fmt: skip
def test_values_out_of_range(field, value):
    assert error_of(ConfigError, Live, "0", opener=Endless, **{field: value}).field == field


def test_a_lost_camera_is_opened_again(clock):
    lost = SourceError("cannot be opened")
    cameras = [Scripted(image(1), None), lost, lost, Scripted(image(2), image(3), None)]
    last = Scripted(image(4), SourceError("on fire", hint="put it out"))
    opener = opener_of(*cameras, last, lost)
    lines: list[str] = []

    def timed():
        clock.now += 0.15 if last.closed else 0.05
        return opener()

    with Live("0", opener=timed, retry=0.2, every=True, notice=lines.append) as source:
        *frames, failure = source
    assert levels(frames) == [1, 2, 3, 4]
    assert [frame.number for frame in frames] == [0, 1, 2, 3]
    # The first reason of the last loss, and its remedy.
    assert failure.source == "camera 0"
    assert failure.error.startswith("on fire")
    assert failure.error.endswith("; put it out")
    assert (source.reconnects, source.dropped) == (2, 0)
    assert len(lines) == 5  # one per loss and per return, not per attempt
    assert all(line.startswith("camera 0: ") for line in lines)
    assert all(camera.closed for camera in cameras if isinstance(camera, Scripted))


def test_without_retry_the_first_loss_ends_it():
    opener = opener_of(Scripted(image(), image(), SourceError("it was pulled out")))
    with Live("0", opener=opener, retry=0, every=True) as source:
        assert list(source)[2:] == [Failure("camera 0", "it was pulled out")]
    assert opener.call_count == 1
    delays = backoff_delays()  # else, pauses double up to a limit
    assert [next(delays) for _ in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]


def test_a_camera_that_is_not_available_is_an_error_at_once():
    opener = opener_of(SourceError("cannot be opened", hint="do this"))
    lines: list[str] = []
    with Live("0", opener=opener, notice=lines.append) as source:
        error = error_of(SourceError, next, source)
        assert list(source) == []
    assert (error.subject, error.problem, error.hint) == ("camera 0", "cannot be opened", "do this")
    assert (opener.call_count, lines) == (1, [])
    # One that opens but gives nothing may be a Raspberry Pi's camera module.
    with Live("0", opener=lambda: Scripted(None)) as source:
        assert "picamera2" in error_of(SourceError, next, source).hint
    with Live("0", opener=opener_of(ZeroDivisionError("a mistake"))) as source:
        error_of(ZeroDivisionError, next, source)


def test_a_stream_is_waited_for(clock):
    url, shown = "rtsp://me:geheim@127.0.0.1/x", "rtsp://me:***@127.0.0.1/x"
    opener = opener_of(SourceError(f"{url} is away", subject=url))
    lines: list[str] = []

    def timed():
        clock.now += 0.15
        return opener()

    with Live(url, opener=timed, retry=0.4, notice=lines.append) as source:
        late = error_of(SourceError, next, source)
    assert late.subject == shown
    assert (opener.call_count, len(lines)) == (3, 1)
    with Live(url, opener=opener, retry=0) as source:
        at_once = error_of(SourceError, next, source)
    assert (at_once.subject, at_once.problem) == (shown, f"{shown} is away")
    assert "geheim" not in f"{late} {lines} {at_once}"


def test_with_endless_retry_any_camera_is_waited_for():
    away = SourceError("is away")
    lines: list[str] = []
    opener = opener_of(away, away, Scripted(image()))
    with Live("0", opener=opener, retry=math.inf, max_frames=1, notice=lines.append) as source:
        assert next(source).number == 0
    assert source.reconnects == 0  # it was never available before
    assert len(lines) == 2


def test_alive_means_that_frames_come_and_are_taken():
    alive, camera = MagicMock(), Scripted(*map(image, range(4)))
    with Live("0", alive=alive, opener=lambda: camera, every=True, duration=1) as live:
        next(live)
        before = alive.call_count
        time.sleep(0.1)  # the consumer takes nothing
        assert alive.call_count == before
        for _ in range(3):
            next(live)
        before = alive.call_count
        assert list(live) == []  # the camera hangs until the duration is over
        assert alive.call_count == before


def test_closing_does_not_wait_for_a_camera_that_is_stuck(monkeypatch):
    monkeypatch.setattr(live, "CLOSE_SECONDS", 0.05)
    camera = Scripted(image())
    camera.close = lambda: None  # so its read goes on
    source = Live("0", opener=lambda: camera)
    next(source)
    camera.feed()  # until it is in the next read
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "camera 0"]
    waits = MagicMock(side_effect=thread.join)
    monkeypatch.setattr(thread, "join", waits)
    source.stop()
    assert list(source) == []  # closes it
    source.close()
    assert waits.call_count == 1
    assert thread.daemon  # so it does not delay the process's end
    camera.put(None)
    waits.side_effect(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("during", ["a wait for a frame", "a pause"])
def test_closing_ends_the_wait_of_another_thread(during):
    camera, lost = Scripted(image()), threading.Event()
    opener = (lambda: camera) if during != "a pause" else opener_of(SourceError("is away"))
    source = Live("0", opener=opener, retry=math.inf, notice=lambda line: lost.set())
    with ThreadPoolExecutor() as pool:
        consumer = pool.submit(lambda: list(source))
        lost.wait() if during == "a pause" else camera.feed()  # until the first frame is offered
        source.close()
        assert len(consumer.result(10)) <= 1
    assert grabbing_threads() == []


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
def test_ctrl_c_interrupts_the_wait():
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with Live("0", opener=Scripted) as source, pytest.raises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            next(source)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert grabbing_threads() == []
