"""Clients that mean a service no good: it goes on, and does not grow."""

import socket
import struct
import time
import zlib
from contextlib import ExitStack, closing, suppress

import numpy as np
import pytest
from support.mjpeg import Server, jpeg
from support.paths import ROOT
from support.serving import Serving, until

psutil = pytest.importorskip("psutil")
pytest.importorskip("uvicorn")
pytestmark = pytest.mark.slow
from digitkit.web.history import History

PAGE = (ROOT / "data" / "samples" / "page.jpg").read_bytes()
IMPATIENT = (
    "import digitkit.web.http, digitkit.web.server\n"
    "digitkit.web.http.BODY_SECONDS = 1.0\n"
    "digitkit.web.server.HEAD_SECONDS = 1.0\n"
    "digitkit.web.server.STUCK_SECONDS = 1.0\n"
)


def show(connection, handler) -> None:
    while not handler.server.over.is_set():
        handler.part(jpeg())
        time.sleep(0.02)


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    with (
        Server(show) as server,
        Serving(tmp_path_factory.mktemp("hostile"), "--camera", server.url) as service,
    ):
        assert service.read(PAGE).status_code == 200
        until(lambda: service.client.get("snapshot.jpg").status_code == 200)
        yield service


@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    with (
        Server(show) as server,
        Serving(
            tmp_path_factory.mktemp("impatient"), "--camera", server.url, before=IMPATIENT
        ) as service,
    ):
        until(lambda: service.client.get("snapshot.jpg").status_code == 200)
        yield service


def connect(serving) -> socket.socket:
    return socket.create_connection(("127.0.0.1", serving.port), timeout=30)


def talk(serving, data: bytes) -> bytes:
    """What comes back until the service closes the connection."""
    with connect(serving) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while chunk := connection.recv(65_536):
                answer += chunk
        except ConnectionResetError:
            pass
    return answer


def goes_on(serving) -> bool:
    """The camera is read, posted images are, and nothing was printed."""
    frames = "digitkit_frames_total"

    def count() -> str:
        text = serving.client.get("metrics").text
        return next(line for line in text.splitlines() if line.startswith(frames))

    before = count()
    until(lambda: count() != before)
    assert serving.read(PAGE, store="false").json()["text"] == "1984\n2750\n6361"
    assert "Traceback" not in serving.errors.read_text()
    return True


HEAD = b"POST /api/read HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        HEAD + b"Content-Length: -5\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\nContent-Length: 7\r\n\r\nhello",
        HEAD + b"Content-Length: 99999999999999999999999999\r\n\r\nhello",
        HEAD + b"Content-Length: x\r\n\r\nhello",
        HEAD + b"Content-Length: 3\r\n\r\nhello, this is too much",
        HEAD + b"Content-Length: 50\r\n\r\ntoo little",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\nx",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)),
        b"\0" * 1000,
        b"CONNECT example.org:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://example.org/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    ],
)
def test_broken_requests(serving, request_):
    answer = talk(serving, request_)
    assert b"Traceback" not in answer
    assert not answer or answer.startswith(b"HTTP/1.1 ")
    if b" 400 " in answer:
        assert b'"code": "bad_request"' in answer or b'"code": "not_an_image"' in answer
    assert goes_on(serving)


def png(width: int, height: int) -> bytes:
    """A PNG that claims so many white pixels, and has them."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + width // 8)) for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", rows + packer.flush()) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_decompression_bombs(serving):
    process = psutil.Process(serving.process.pid)
    before = process.memory_info().rss
    for width, height in ((40_000, 40_000), (1_000_000, 500), (8, 8_000_000)):
        response = serving.read(png(width, height))
        assert response.status_code == 400
        assert response.json()["error"]["code"] == "not_an_image"
    assert process.memory_info().rss < before + 100e6
    assert goes_on(serving)


def test_slow_bodies_are_given_up(impatient):
    with connect(impatient) as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        answer = b""
        for _ in range(1000):
            try:
                connection.sendall(b"x")
            except OSError:
                break
            connection.settimeout(0.05)
            try:
                chunk = connection.recv(65_536)
            except TimeoutError:
                continue
            except ConnectionResetError:
                break
            answer += chunk
            if not chunk:
                break
        else:
            raise AssertionError("the service waits for ever")
    assert b" 408 " in answer
    assert goes_on(impatient)


@pytest.mark.parametrize("data", [b"", b"G", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_requests_that_never_come_are_given_up(impatient, data):
    with connect(impatient) as connection:
        connection.sendall(data)
        with suppress(ConnectionResetError):
            assert connection.recv(100) == b""


def test_viewers_that_do_not_read_are_given_up(impatient):
    with connect(impatient) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        viewers = "digitkit_viewers 1.0"
        until(lambda: viewers in impatient.client.get("metrics").text)
        until(lambda: viewers not in impatient.client.get("metrics").text, 60)
    assert goes_on(impatient)


def test_a_slow_client_gets_a_large_answer(tmp_path):
    """Longer than the service waits for one that reads nothing, or sends nothing."""
    data = {"source": "x" * 20_000}
    with closing(History(tmp_path / "history.db", keep_days=1, keep_mb=100, notice=print)) as own:
        for _ in range(1000):
            own.add(data)
    with Serving(tmp_path, before=IMPATIENT) as service, connect(service) as connection:
        connection.sendall(b"GET /api/readings?limit=1000 HTTP/1.0\r\nHost: localhost\r\n\r\n")
        size = 0
        while chunk := connection.recv(200_000):
            size += len(chunk)
            time.sleep(0.04)
        assert size > 20e6


def test_thousands_of_idle_connections(serving):
    process = psutil.Process(serving.process.pid)
    assert goes_on(serving)
    before = process.memory_info().rss
    with ExitStack() as stack:
        for _ in range(900):
            stack.enter_context(connect(serving))
        until(lambda: len(process.net_connections("tcp")) < 300)
        assert goes_on(serving)
    assert process.memory_info().rss < before + 50e6


def test_a_read_process_that_dies_is_started_again(serving):
    process = psutil.Process(serving.process.pid)
    (child,) = [one for one in process.children() if "spawn_main" in " ".join(one.cmdline())]
    child.kill()
    until(lambda: serving.read(PAGE, store="false").status_code == 200)
    assert goes_on(serving)


def test_many_wrong_tokens(tmp_path):
    with Serving(tmp_path, "--token", "a-right-token") as service:
        for number in range(100):
            headers = {"Authorization": f"Bearer wrong-{number}" + "x" * 2000}
            assert service.client.get("api/readings", headers=headers).status_code == 401
        noise = np.random.default_rng(1).bytes(5000)
        assert service.read(noise).status_code == 401


def test_what_is_posted_by_clients_that_are_gone_is_dropped(tmp_path):
    with Serving(tmp_path) as service:
        service.read(PAGE, store="false")  # starts the process that reads
        request = HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(PAGE), PAGE)
        for _ in range(25):
            with connect(service) as connection:
                connection.sendall(request)
        assert service.read(PAGE, name="last").status_code == 200
        stored = service.client.get("api/readings").json()["readings"]
        assert stored[0]["source"] == "last"
        assert len(stored) < 10


def test_bodies_together_have_a_limit(tmp_path):
    with Serving(tmp_path, "--max-mb", "2") as service, ExitStack() as stack:
        head = HEAD + b"Content-Length: 2000000\r\n\r\n"
        for _ in range(4):
            connection = stack.enter_context(connect(service))
            connection.sendall(head + bytes(1_995_000))  # and then nothing
        time.sleep(1.0)  # until they are there: before, a page would take the place of one
        refused = service.read(PAGE)
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "queue_full"
        stack.close()
        until(lambda: service.read(PAGE).status_code == 200)


def test_a_full_queue_is_a_429(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    with Serving(tmp_path, "--queue", "1") as service, ThreadPoolExecutor(12) as threads:
        service.read(PAGE)
        answers = list(threads.map(lambda _: service.read(PAGE, store="false"), range(24)))
        states = {answer.status_code for answer in answers}
        assert states == {200, 429}
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.json()["error"]["code"] == "queue_full"
        assert refused.headers["retry-after"]
