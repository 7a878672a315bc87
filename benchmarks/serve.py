"""``digitkit serve`` under load: the camera's rate, what is lost, memory.

    python benchmarks/serve.py
    python benchmarks/serve.py --seconds 60 --viewers 50 --clients 20 --fps 5

A camera (motion JPEG on the loopback, 640×480) shows two pages in turn. First nobody watches; then
viewers watch the stream, while clients post a page again and again, refused ones (429) too. Printed
are the frames a second of both times and their ratio, the posted pages that were read and refused
and how long they took, whether the history has all that was acknowledged and all that the camera
showed, resident memory (the service and the processes that read), and how long the service takes to
end at SIGTERM with all viewers connected. All runs on this machine: the clients need a part of it.
Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import numpy as np
import psutil

from digitkit.images.cv import cv2
from digitkit.images.encode import encode_jpeg
from digitkit.system.machine import cpu_name, versions

SAMPLES = Path(__file__).resolve().parents[1] / "data" / "samples"
PAGES = ("page.jpg", "notes.jpg")
SHOWN_SECONDS = 5.0
"""How long the camera shows a page."""


class Camera(BaseHTTPRequestHandler):
    """Shows pages in turn."""

    frames: ClassVar[list[bytes]] = []
    period = 0.05
    begun = 0.0

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        """Send frames until the client goes."""
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
        try:
            while True:
                place = int((time.monotonic() - Camera.begun) / SHOWN_SECONDS)
                data = self.frames[place % len(self.frames)]
                self.wfile.write(head % len(data) + data + b"\r\n")
                time.sleep(self.period)
        except OSError:
            return


@dataclass
class Load:
    """What viewers and clients saw, and how the service did meanwhile.

    Attributes:
        pictures: that viewers got.
        states: of HTTP, of posted pages.
        seconds: that each page took that was read.
        acknowledged: numbers in the history that the service named.
        events: numbers in the history of the events that a client heard of.
        rate: frames a second that the service read.
        settled_mb: its resident memory after a quarter of the time, MB.
        last_mb: the same at the end.
        end_seconds: how long it took to end.
    """

    pictures: int = 0
    states: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    events: set[int] = field(default_factory=set)
    rate: float = 0.0
    settled_mb: float = 0.0
    last_mb: float = 0.0
    end_seconds: float = 0.0


async def watch(port: int, load: Load) -> None:
    """Watch the stream, as a browser does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
    try:
        while chunk := await reader.read(1 << 20):
            load.pictures += chunk.count(b"--frame\r\n")
    finally:
        writer.close()


async def post(client: httpx.AsyncClient, data: bytes, load: Load) -> None:
    """Post a page again and again; where the service is busy, a second later."""
    while True:
        begun = time.monotonic()
        response = await client.post("api/read", content=data)
        load.states[response.status_code] += 1
        if response.status_code == 200:
            load.seconds.append(time.monotonic() - begun)
            load.acknowledged.append(int(response.headers["digitkit-reading"]))
        else:
            await asyncio.sleep(float(response.headers.get("retry-after", 1)))


async def follow(port: int, load: Load) -> None:
    """Hear of events as they happen."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    try:
        while line := await reader.readline():
            if line.startswith(b"id: "):
                load.events.add(int(line[4:]))
    finally:
        writer.close()


async def put_under_load(
    api: httpx.Client, service: subprocess.Popen[str], options: argparse.Namespace
) -> Load:
    """Watch and post for a while, then end the service."""
    load, data, port = Load(), (SAMPLES / PAGES[0]).read_bytes(), api.base_url.port
    assert port is not None
    first, begun = count_frames(api), time.monotonic()
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=api.base_url, timeout=120, limits=limits) as client:
        viewers = [asyncio.create_task(watch(port, load)) for _ in range(options.viewers)]
        viewers.append(asyncio.create_task(follow(port, load)))
        clients = [asyncio.create_task(post(client, data, load)) for _ in range(options.clients)]
        await asyncio.sleep(options.seconds / 4)
        load.settled_mb = resident_mb(service.pid)
        await asyncio.sleep(options.seconds * 3 / 4)
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        load.rate = (count_frames(api) - first) / (time.monotonic() - begun)
        load.last_mb = resident_mb(service.pid)
        begun = time.monotonic()
        service.send_signal(signal.SIGTERM)
        await asyncio.to_thread(service.wait, 30)
        load.end_seconds = time.monotonic() - begun
        for task in viewers:
            task.cancel()
        await asyncio.gather(*viewers, return_exceptions=True)
    return load


def count_frames(client: httpx.Client) -> float:
    """Frames that the service has read."""
    lines = client.get("metrics").text.splitlines()
    return float(
        next(line for line in lines if line.startswith("digitkit_frames_total")).split()[1]
    )


def resident_mb(pid: int) -> float:
    """Resident memory of a process and its children, MB."""
    process = psutil.Process(pid)
    return sum(one.memory_info().rss for one in (process, *process.children())) / 1e6


def read_history(path: Path) -> tuple[set[int], set[int]]:
    """The numbers of all readings in a history, and those of its events."""
    import sqlite3

    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT id, line FROM readings").fetchall()
    return {number for number, _ in rows}, {n for n, line in rows if '"event": ' in line}


def main() -> None:
    """Measure, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="of load, and half without")
    parser.add_argument("--viewers", type=int, default=50, help="of the stream")
    parser.add_argument("--clients", type=int, default=20, help="that post pages")
    parser.add_argument("--fps", type=float, default=5, help="that the service is asked for")
    options = parser.parse_args()
    for name in PAGES:
        image = cv2.resize(cv2.imread(str(SAMPLES / name)), (640, 480))
        Camera.frames.append(encode_jpeg(np.asarray(image, np.uint8), 95))
    Camera.begun = time.monotonic()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        history = Path(folder) / "history.db"
        service = subprocess.Popen(
            [
                *(sys.executable, "-m", "digitkit", "serve", "--port", "0"),
                *("--camera", f"http://127.0.0.1:{server.server_port}/", "--fps", str(options.fps)),
                *("--history", str(history)),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert service.stdout is not None
        try:
            if not (line := service.stdout.readline()):
                sys.exit("the service has ended")
            with httpx.Client(base_url=line.split()[2], timeout=60) as client:
                client.post("api/read", content=(SAMPLES / PAGES[0]).read_bytes())
                time.sleep(5)  # until the process that reads posted images has begun
                measure(client, service, options, history)
        finally:
            service.terminate()
            service.wait(10)


def measure(
    client: httpx.Client,
    service: subprocess.Popen[str],
    options: argparse.Namespace,
    history: Path,
) -> None:
    """Measure a service that runs, which is ended."""
    first, begun = count_frames(client), time.monotonic()
    time.sleep(options.seconds / 2)
    alone = (count_frames(client) - first) / (time.monotonic() - begun)
    before = resident_mb(service.pid)
    known = read_history(history)[1]
    load = asyncio.run(put_under_load(client, service, options))
    numbers, events = read_history(history)
    lost = len(set(load.acknowledged) - numbers)
    latency = np.percentile(load.seconds, [50, 95]) if load.seconds else [np.nan, np.nan]
    facts = ", ".join(f"{name} {version}" for name, version in versions("onnxruntime").items())
    print(f"{cpu_name()}, {psutil.cpu_count()} cores; {facts}")
    print(f"camera alone: {alone:.2f} frames per second of {options.fps:g}")
    print(
        f"with {options.viewers} viewers and {options.clients} clients for {options.seconds:g} s: "
        f"{load.rate:.2f}, ratio {load.rate / alone:.2f}"
    )
    print(f"pictures that viewers got: {load.pictures}")
    print(
        f"posted pages: {load.states[200]} read, {load.states[429]} refused (429), others "
        f"{load.states.total() - load.states[200] - load.states[429]}; "
        f"median {latency[0]:.2f} s, 95% within {latency[1]:.2f} s"
    )
    print(f"acknowledged readings that the history lacks: {lost} of {len(load.acknowledged)}")
    heard = events - known
    print(
        f"events of the camera: {len(heard)} in the history, of which a client that followed them "
        f"heard {len(heard & load.events)}"
    )
    print(
        f"resident memory: {before:.0f} MB before, {load.settled_mb:.0f} MB after a quarter, "
        f"{load.last_mb:.0f} MB at the end"
    )
    ended = f"{load.end_seconds:.2f} s, exit code {service.returncode}"
    print(f"end at SIGTERM with all viewers: {ended}")


if __name__ == "__main__":
    main()
