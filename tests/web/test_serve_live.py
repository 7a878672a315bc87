"""A camera's pictures and events, as clients of a service get them."""

import json
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from support.mjpeg import Server
from support.paths import ROOT
from support.serving import Serving, until

from digitkit import Reader
from digitkit.errors import ModelRunError
from digitkit.images.cv import cv2
from digitkit.sources.camera_names import camera_name

pytest.importorskip("uvicorn")

from digitkit.web.reading_loop import ReadingLoop
from digitkit.web.serve_config import ServedConfig

PAGE = cv2.imread(str(ROOT / "data" / "samples" / "page.jpg"))


class Camera:
    """An MJPEG camera that shows a picture until another one is set."""

    def __init__(self) -> None:
        self.blank = cv2.imencode(".jpg", np.full((480, 640, 3), 230, np.uint8))[1].tobytes()
        self.page = cv2.imencode(".jpg", cv2.resize(PAGE, (640, 480)))[1].tobytes()
        self.shown = self.page
        self.silent = threading.Event()

    def __call__(self, connection, handler) -> None:
        while not handler.server.over.is_set():
            if not self.silent.is_set():
                handler.part(self.shown)
            time.sleep(0.05)


@pytest.fixture(scope="module")
def camera():
    return Camera()


@pytest.fixture(scope="module")
def serving(tmp_path_factory, camera):
    with (
        Server(camera) as server,
        Serving(tmp_path_factory.mktemp("live"), "--camera", server.url, "--hold", 2) as service,
    ):
        until(lambda: service.client.get("snapshot.jpg").status_code == 200)
        yield service


def events(serving, *, headers=None, params=None):
    """The server-sent events, as (id, kind, data)."""
    with serving.client.stream("GET", "api/live", headers=headers, params=params) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        fields = {}
        for line in response.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields:
                yield fields.get("id"), fields["event"], json.loads(fields["data"])
                fields = {}


def test_the_snapshot_shows_the_camera_with_its_numbers(serving):
    data = serving.client.get("snapshot.jpg").content
    image = cv2.imdecode(np.frombuffer(data, np.uint8), 1)
    assert image.shape[:2] == (480, 640)


def test_the_stream_has_the_newest_pictures(serving):
    with serving.client.stream("GET", "stream.mjpg") as response:
        assert "boundary=frame" in response.headers["content-type"]
        data = b""
        for chunk in response.iter_bytes():
            data += chunk
            if data.count(b"--frame") > 3:
                break
    parts = data.split(b"--frame\r\n")[1:-1]
    for part in parts:
        head, _, body = part.partition(b"\r\n\r\n")
        length = int(head.split(b"Content-Length: ")[1])
        assert cv2.imdecode(np.frombuffer(body[:length], np.uint8), 1) is not None
    until(lambda: serving.client.get("api/health").json() is not None)
    metric = "digitkit_viewers 0.0"
    until(lambda: metric in serving.client.get("metrics").text)


def test_events_come_as_they_happen_and_are_in_the_history(serving, camera):
    seen = []
    stream = events(serving)
    assert next(stream)[1] == "state"
    camera.shown = camera.blank
    for number, kind, data in stream:
        if kind == "disappeared":
            seen.append((number, data["number"]["text"]))
        if len(seen) == 3:
            break
    camera.shown = camera.page
    for number, kind, data in stream:
        if kind == "appeared":
            seen.append((number, data["number"]["text"]))
        if len(seen) == 6:
            break
    stream.close()
    assert {text for _, text in seen[:3]} == {text for _, text in seen[3:]}
    assert "1984" in {text for _, text in seen}
    # They were in the history when they came.
    stored = serving.client.get("api/readings").json()["readings"]
    ids = {str(line["id"]): line for line in stored}
    for number, text in seen:
        assert ids[number]["number"]["text"] == text
    # A client that comes back gets what it missed, in order.
    again = events(serving, headers={"Last-Event-ID": seen[0][0]})
    missed = [next(again) for _ in range(6)]
    again.close()
    assert [one[0] for one in missed[1:]] == [number for number, _ in seen[1:]]


def test_the_state_says_what_is_to_be_read(serving):
    stream = events(serving)
    for _, kind, data in stream:
        if kind == "state" and "1984" in data.get("text", ""):
            break
    stream.close()
    assert data["fps"] > 0
    assert data["age"] < 5
    assert not data["stale"]
    assert data["numbers"]
    assert "geheim" not in json.dumps(data)


def test_health_says_that_the_camera_is_up(serving):
    health = serving.client.get("api/health").json()
    assert health["status"] == "ok"
    assert health["camera"]["fps"] > 0


@pytest.mark.slow
def test_sigterm_ends_it_with_viewers(tmp_path):
    camera = Camera()
    with (
        Server(camera) as server,
        Serving(tmp_path, "--camera", server.url) as service,
        service.client.stream("GET", "stream.mjpg") as pictures,
        service.client.stream("GET", "api/live") as live,
    ):
        next(pictures.iter_bytes())
        next(live.iter_lines())
        assert service.end() == 0


@pytest.mark.slow
def test_a_silent_camera_makes_a_stale_picture(tmp_path):
    camera = Camera()
    with Server(camera) as server, Serving(tmp_path, "--camera", server.url) as service:
        until(lambda: service.client.get("api/health").json()["status"] == "ok")
        camera.silent.set()
        until(lambda: service.client.get("api/health").json()["status"] == "degraded")
        note = until(lambda: service.client.get("api/health").json()["camera"]["note"])
        assert "geheim" not in note
        camera.silent.clear()
        until(lambda: service.client.get("api/health").json()["status"] == "ok", 60)


def test_a_camera_that_is_not_there_is_waited_for(tmp_path):
    with Serving(tmp_path, "--camera", "77") as service:
        health = service.client.get("api/health").json()
        assert health["status"] == "degraded"
        assert until(lambda: service.client.get("api/health").json()["camera"]["note"])


def test_a_camera_is_closed_where_reading_fails(monkeypatch):
    def fail(reader, frame):
        raise ModelRunError("the model fails")

    monkeypatch.setattr(Reader, "read_frame", fail)
    view, said = SimpleNamespace(ended=None), []
    with Server(Camera()) as server:
        loop = ReadingLoop(ServedConfig(camera=server.url), Reader(), None, view, said.append)
        loop.start()
        until(lambda: said)
        names = camera_name(server.url), "reads"
        until(lambda: not any(thread.name in names for thread in threading.enumerate()))
    assert said == [view.ended] == ["the model fails"]


def test_files_are_read_once_and_are_in_the_history(tmp_path):
    samples = ROOT / "data" / "samples"
    with Serving(tmp_path, samples / "page.jpg", samples / "3-blue-pen.jpg", "nowhere.jpg") as one:
        read = until(lambda: len(one.client.get("api/readings").json()["readings"]) == 2)
        assert read
        newest = one.client.get("api/readings").json()["readings"][0]
        assert newest["text"] == "3"
        assert one.client.get("snapshot.jpg").status_code == 200
        until(lambda: "nowhere.jpg" in one.errors.read_text())
