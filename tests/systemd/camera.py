"""Serves one picture over and over, as a camera: ``camera.py PICTURE PORT``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.mjpeg import Handler, Server

picture = Path(sys.argv[1]).read_bytes()


def send(connection: int, to: Handler) -> None:
    while not to.server.over.wait(0.1):
        to.part(picture)


with Server(send, int(sys.argv[2])) as server:
    server.over.wait()
