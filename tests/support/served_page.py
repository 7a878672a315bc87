"""The page of ``digitkit serve`` in a browser: cameras to watch, a reverse proxy, drawing."""

import http.client
import math
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import numpy as np

from digitkit import Classifier, Reader
from digitkit.images.cv import cv2
from support.mjpeg import Server
from support.paths import ROOT

SAMPLES = ROOT / "data/samples"
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
SECTIONS = ("live", "read", "draw", "history", "review", "device")


def threshold_doubting(name: str, count: int) -> str:
    """A threshold at which so many digits of a sample are doubtful."""
    classifier = Classifier("digits-int8")
    for doubt in np.geomspace(0.1, 1e-6, 100):  # what is read depends on it, too
        digits = Reader(classifier, min_confidence=1 - doubt).read(SAMPLES / name).digits
        if sum(not digit.accepted for digit in digits) == count:
            return f"{1 - doubt:.9f}"
    raise AssertionError(f"no threshold leaves {count} digits of {name} doubtful")


class Pages:
    """Pages of tests, and what the browser says about them."""

    def __init__(self) -> None:
        self.contexts = []
        self.hosts = set()
        self.requests = []
        self.complaints = []
        self.expected = ()

    def open(self, browser, url, *, expected=(), routes=None, **options):
        """Open a page in a profile of its own.

        `expected` are parts of errors that the test provokes. `routes` are handlers of requests by
        their pattern, from the first request on: a page that is already open may send one past
        handlers that are added to it.
        """
        context = browser.new_context(**options)
        context.set_default_timeout(60_000)
        self.contexts.append(context)
        self.hosts.add(urlsplit(url).netloc)
        self.expected += tuple(expected)
        page = context.new_page()
        for pattern, handler in (routes or {}).items():
            page.route(pattern, handler)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complain(message.type, message.text))
        page.on("pageerror", lambda error: self.complain("error", str(error)))
        page.goto(url)
        return page

    def complain(self, kind, text):
        if kind in ("error", "warning") and not any(part in text for part in self.expected):
            self.complaints.append(text)

    def close(self) -> None:
        for context in self.contexts:
            context.close()
        assert not self.complaints, self.complaints
        asked = [urlsplit(url) for url in self.requests]
        others = [url for url in asked if url.scheme != "data" and url.netloc not in self.hosts]
        strangers = [url.geturl() for url in others if url.scheme != "blob"]
        assert not strangers, strangers


def sample(name, width=960):
    """A sample, reduced, as JPEG."""
    image = cv2.imread(str(SAMPLES / name))
    ratio = width / image.shape[1]
    small = cv2.resize(image, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


class Camera(Server):
    """An MJPEG camera that shows `picture`, ten times a second."""

    def __init__(self, picture, port=0) -> None:
        super().__init__(self.show, port)
        self.picture = picture
        self.gone = threading.Event()

    @property
    def port(self) -> int:
        return self.server_address[1]

    def show(self, _number, handler) -> None:
        while not self.gone.wait(0.1):
            handler.part(self.picture)

    def __exit__(self, *error) -> None:
        self.gone.set()
        super().__exit__(*error)


class Proxy(ThreadingHTTPServer):
    """A reverse proxy that serves what is at `target` under ``/some/where/``."""

    daemon_threads = True
    path = "/some/where/"

    def __init__(self, target) -> None:
        super().__init__(("127.0.0.1", 0), _ProxyHandler)
        self.target = urlsplit(target).netloc
        self.elsewhere = []
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{self.path}"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error) -> None:
        self.shutdown()
        self.server_close()
        self.thread.join()

    def handle_error(self, *request) -> None:
        """A browser that leaves is no error."""


class _ProxyHandler(BaseHTTPRequestHandler):
    def log_message(self, *_) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        if not self.path.startswith(self.server.path):
            self.server.elsewhere.append(self.path)
            self.send_error(404)
            return
        length = int(self.headers.get("Content-Length", 0))
        path = self.path.removeprefix(self.server.path.rstrip("/"))
        target = http.client.HTTPConnection(self.server.target, timeout=60)
        with closing(target):
            target.request(self.command, path, self.rfile.read(length), dict(self.headers))
            with target.getresponse() as answer:
                self.pass_on(answer)

    def pass_on(self, answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        self.end_headers()
        while data := answer.read1():
            self.wfile.write(data)
            self.wfile.flush()

    do_POST = do_DELETE = do_GET  # noqa: N815


def _arc(x, y, across, down, start, end):
    angles = [math.radians(start + (end - start) * i / 24) for i in range(25)]
    return [(x + across * math.cos(angle), y + down * math.sin(angle)) for angle in angles]


THREE = [*_arc(0.48, 0.32, 0.17, 0.15, 205, 440), *_arc(0.48, 0.65, 0.2, 0.18, 270, 510)]
ONE = [(0.5, 0.2), (0.5, 0.8)]
SCRIBBLE = [(0.2, 0.3), (0.8, 0.35), (0.25, 0.45), (0.8, 0.5), (0.2, 0.6), (0.75, 0.65)]


def place(locator):
    """Where an element is, once it is shown: x, y, width and height, pixels."""
    locator.wait_for()  # a section is shown a moment after its tab was chosen
    return locator.bounding_box()


def draw(page, points, area="#pad"):
    """Draw a stroke; points are shares of the area."""
    box = place(page.locator(area))
    path = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*path[0])
    page.mouse.down()
    for point in path[1:]:
        page.mouse.move(*point)
    page.mouse.up()
