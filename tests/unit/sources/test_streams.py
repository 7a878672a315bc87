"""Cameras and streams by name, and a real MJPEG stream on the loopback."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from support.cameras import image
from support.errors import error_of
from support.mjpeg import Server, jpeg

from digitkit.errors import ConfigError, SourceError
from digitkit.images.cv import cv2
from digitkit.sources.capture import make_opener
from digitkit.sources.frames import Frame
from digitkit.sources.live import Live
from digitkit.sources.urls import holds_secret, mask_password


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        *((url, url) for url in (
            "rtsp://10.0.0.7:554/live", "rtsp://me@10.0.0.7/live", "http://cam:80/x?mail=a@b.c",
            "http://[::1]:80/x", "http://cam/compass/x?ch=1", "http://cam/x?passive",
            "/dev/video0", "",
        )),
        ("rtsp://me:geheim@10.0.0.7:554/live", "rtsp://me:***@10.0.0.7:554/live"),
        ("rtsp://:geheim@10.0.0.7/live", "rtsp://:***@10.0.0.7/live"),
        ("http://me:ge:h@eim@cam/x?a=b", "http://me:***@cam/x?a=b"),
        ("rtsp://me:ge/heim@cam/live", "rtsp://me:***@cam/live"),
        ("rtsp://me:ge#h?eim@cam/live", "rtsp://me:***@cam/live"),
        ("http://cam/v?user=me&pwd=geheim&ch=1", "http://cam/v?user=me&pwd=***&ch=1"),
        ("http://cam/v?PassWord=ge=he/im", "http://cam/v?PassWord=***"),
        ("http://cam/v?a=1&access_token=ge;heim", "http://cam/v?a=1&access_token=***"),
        ("http://cam/v?api-key=geheim&x=2", "http://cam/v?api-key=***&x=2"),
        ("rtsp://cam/user=me_password=ge_heim_channel=1.sdp", "rtsp://cam/user=me_password=***"),
    ],
)  # fmt: skip
def test_passwords_are_masked(url, shown):
    assert mask_password(url) == shown
    assert "heim" not in mask_password(url)


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        ("s3://bucket/scans", False),
        ("s3://bucket/author=me/key=1.png", False),
        ("s3://bucket/a@b:c.png", False),
        ("gs://anonymous@bucket/scans", False),
        ("s3://bucket/x?endpoint_override=localhost:9000&scheme=http", False),
        ("s3://me:ge/heim@bucket/x.png", True),
        ("s3://bucket/x.png?X-Amz-Security-Token=geheim", True),
        ("https://host/x.png?a=1&secret_key=geheim", True),
    ],
)
def test_addresses_with_secrets_are_known(address, secret):
    assert holds_secret(address) is secret


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", "''"), ("rstp://me:geheim@cam/x", "rstp://me:***@cam/x"),
        ("rtsp://cam/\udcff", r"rtsp://cam/\udcff"),  # OpenCV would crash
        ("a\nb", r"a\nb"),
        *((name, name) for name in ("front door", "-1", "²", "0.5", "file:///x.avi", "video.mp4")),
    ],
)  # fmt: skip
def test_names_that_are_not_cameras(name, shown):
    assert error_of(SourceError, Live, name).subject == shown


def test_a_stream_has_its_own_size():
    error = error_of(ConfigError, Live, "rtsp://me:geheim@cam", size=(640, 480))
    assert error.field == "size"
    assert "geheim" not in str(error)


@pytest.mark.parametrize("name", ["63", "/dev/video63", "99999999999"])  # too large for OpenCV
def test_cameras_that_do_not_exist(name):
    with Live(name) as source:
        assert error_of(SourceError, next, source).subject == source.name


@pytest.fixture
def capture(monkeypatch):
    """Stands in for ``cv2.VideoCapture``; its calls."""
    capture = SimpleNamespace(calls=[], read=lambda: (True, image()), isOpened=lambda: True)
    capture.set = lambda *arguments: capture.calls.append(arguments)
    capture.get = lambda code: 0.0
    capture.release = lambda: capture.calls.append("release")
    monkeypatch.setattr(cv2, "VideoCapture", lambda *a: capture.calls.append(a) or capture)
    return capture


def test_what_opencv_is_asked_for(capture):
    for name, options in (("2", {"size": (640, 480)}), ("/dev/video1", {}), ("RTSP://cam", {})):
        with Live(name, max_frames=1, **options) as source:
            assert isinstance(next(source), Frame)
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 10000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 5000]
    assert [call for call in capture.calls if call != "release"] == [
        (2,), (cv2.CAP_PROP_FRAME_WIDTH, 640), (cv2.CAP_PROP_FRAME_HEIGHT, 480),
        ("/dev/video1", cv2.CAP_V4L2), ("RTSP://cam", cv2.CAP_FFMPEG, limits),
    ]  # fmt: skip
    assert capture.calls.count("release") >= 3


def test_opencv_is_not_released_during_a_read(capture):
    reading, go_on = threading.Event(), threading.Event()

    def read():
        reading.set()
        go_on.wait()
        capture.calls.append("has read")
        return False, None

    capture.read = read
    camera = make_opener("0")()
    with ThreadPoolExecutor() as pool:
        pool.submit(camera.read)
        reading.wait()
        camera.close()
        go_on.set()
    assert capture.calls[1:] == ["has read", "release"]
    assert camera.read() is None
    assert "has read" not in capture.calls[3:]


def serve(count: int = 10**9, first: int = 0):
    """Parts whose level counts up by tens, 100 a second."""

    def behaviour(connection, handler):
        for i in range(first, first + count):
            if handler.server.over.wait(0.01):
                break
            handler.part(jpeg(10 * (i % 20)))

    return behaviour


def test_a_stream_that_breaks_off_within_a_frame():
    def behaviour(connection, handler):
        serve(5 if connection < 3 else 10**9)(connection, handler)
        handler.part(jpeg()[:200], len(jpeg()))

    lines: list[str] = []
    with (
        Server(behaviour) as server,
        Live(server.url, notice=lines.append, every=True, max_frames=20) as source,
    ):
        frames = list(source)
    assert [frame.number for frame in frames] == list(range(20))
    assert frames[0].image.shape == (48, 64, 3)
    levels = [round(float(frame.image[40, 60].mean()) / 10) for frame in frames[:5]]
    assert levels == list(range(5))
    assert (source.reconnects, len(lines)) == (2, 4)
    assert source.name == server.url.replace("geheim", "***")
    assert "geheim" not in "".join(lines)


def test_broken_images_are_skipped(monkeypatch):
    monkeypatch.setattr("digitkit.sources.capture.STALL_SECONDS", 60)  # this machine may stall, too

    def behaviour(connection, handler):
        for data in (jpeg()[:300], b"not a JPEG at all") * 4:
            serve(2)(connection, handler)
            handler.part(data)
        serve()(connection, handler)

    with Server(behaviour) as server, Live(server.url, every=True, max_frames=25) as source:
        assert [item.number for item in source] == list(range(25))
        assert source.reconnects == 0


def test_a_stream_that_stalls(monkeypatch):
    monkeypatch.setattr("digitkit.sources.capture.READ_SECONDS", 0.6)

    def behaviour(connection, handler):
        serve(5 if connection == 1 else 10**9)(connection, handler)
        handler.server.over.wait(30)

    with Server(behaviour) as server, Live(server.url, every=True, max_frames=10) as source:
        assert len(list(source)) == 10
    # Once more for each time that the machine itself stalls for so long.
    assert 1 <= source.reconnects <= 5


def test_a_stream_that_starts_later_and_comes_back_on_its_port():
    servers: list[Server] = []
    lines: list[str] = []

    def come_back(line: str) -> None:
        lines.append(line)
        if len(lines) % 2:  # lost, then back, and so on
            servers.append(Server(serve(first=10 * len(servers)), port).__enter__())

    with socket.socket() as held:  # so that nobody else is given the port
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        with Live(f"http://me:geheim@127.0.0.1:{port}/", notice=come_back, every=True) as source:
            assert isinstance(next(source), Frame)
            servers[0].__exit__()
            while len(servers) < 2:
                next(source)
            numbers = [next(source).number for _ in range(3)]
            assert numbers == sorted(numbers)
        servers[1].__exit__()
    assert (len(servers), source.reconnects) == (2, 1)
    assert "geheim" not in "".join(lines)


def test_a_stream_that_never_answers(monkeypatch, capfd):
    monkeypatch.setattr("digitkit.sources.capture.OPEN_SECONDS", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://me:geheim@127.0.0.1:{silent.getsockname()[1]}/"
        with Live(url, retry=0.2) as source:
            error = error_of(SourceError, next, source)
    assert error.subject == source.name
    assert "geheim" not in str(error)
    assert capfd.readouterr() == ("", "")  # FFmpeg is quiet, too
