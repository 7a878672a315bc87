"""An MJPEG camera on the loopback, for tests, that misbehaves on demand."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from digitkit.images.cv import cv2


def jpeg(value: int = 128) -> bytes:
    image = np.full((48, 64, 3), value, np.uint8)
    image[16:32, 24:40] = 255 - image[16:32, 24:40]
    return cv2.imencode(".jpg", image)[1].tobytes()


class Server(ThreadingHTTPServer):
    """Serves `behaviour(connection number, handler)`, which sends parts until it returns."""

    daemon_threads = True
    allow_reuse_address = True
    allow_reuse_port = True  # with a socket that holds the port but does not listen

    def __init__(self, behaviour, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.behaviour = behaviour
        self.connections = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()
        self.thread.join()

    def handle_error(self, *request) -> None:
        """A reader that leaves is no error."""

    @property
    def url(self) -> str:
        return f"http://me:geheim@127.0.0.1:{self.server_address[1]}/stream"


class Handler(BaseHTTPRequestHandler):
    log_message = lambda self, *arguments: None  # noqa: E731 - quiet

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        self.server.connections += 1
        self.server.behaviour(self.server.connections, self)

    def part(self, data: bytes, length: int | None = None) -> None:
        self.wfile.write(
            b"--frame\r\nContent-Type: image/jpeg\r\n"
            b"Content-Length: %d\r\n\r\n%b\r\n" % (length or len(data), data)
        )
        self.wfile.flush()
