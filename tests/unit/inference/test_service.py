"""A service: what systemd hears, and a camera from its start to its end."""

from __future__ import annotations

import json
import math
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from support.cli import run
from support.mjpeg import Server
from support.paths import ROOT

from digitkit.sources.live import Live
from digitkit.system import notify


@pytest.fixture
def file(tmp_path):
    """Writes a settings file."""

    def write(text: str) -> Path:
        path = tmp_path / "digitkit.toml"
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.fixture
def heard(monkeypatch):
    """What systemd hears; each call gives what came since the last. One sign of life is enough."""
    monkeypatch.setattr(notify, "_last", -math.inf)
    monkeypatch.setattr(notify, "_ALIVE_SECONDS", 3600)
    came: queue.Queue[str] = queue.Queue()

    def listen() -> None:
        while (state := listener.recv(100).decode()) != "over":
            came.put(state)

    def states() -> list[str]:
        notify._send("so far")
        return list(iter(came.get, "so far"))

    with (
        tempfile.TemporaryDirectory(dir="/tmp") as folder,  # a socket's name is short
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener,
    ):
        listener.bind(f"{folder}/notify")
        monkeypatch.setenv("NOTIFY_SOCKET", f"{folder}/notify")
        # The kernel holds ten, and then whoever tells more waits.
        thread = threading.Thread(target=listen)
        thread.start()
        yield states
        notify._send("over")
        thread.join()


def test_systemd_hears(heard):
    notify.notify_ready()
    notify.notify_alive()
    notify.notify_alive()  # so soon that it need not be said again
    notify.notify_stopping()
    assert heard() == ["READY=1", "WATCHDOG=1", "STOPPING=1"]


def test_nobody_listens(tmp_path, monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify.notify_ready()
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify.notify_ready()


def test_a_name_without_a_file(monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0digitkit-{os.getpid()}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@digitkit-{os.getpid()}")
        notify.notify_ready()
        assert listener.recv(100) == b"READY=1"


def test_infer_tells_systemd(heard, tmp_path, file):
    """A service that waits for its camera is up, and alive, until it gives up."""
    config = file("camera = 'http://127.0.0.1:9/'\nretry = 0.3\n")
    result = run("infer", "--config", config)
    assert result.exit_code == 2
    assert heard() == ["READY=1", "WATCHDOG=1", "STOPPING=1"]


def test_a_service_from_its_start_to_its_end(heard, file, tmp_path, digit_file):
    """Settings in, JSON lines out and into a file, signs of life, and a clean end."""
    picture = digit_file(7, "seven.jpg", size=120).read_bytes()

    def camera(number: int, write) -> None:
        while not write.server.over.wait(0.05):
            write.part(picture)

    log = tmp_path / "log/readings.jsonl"
    with Server(camera) as server:
        config = file(
            f"camera = '{server.url}'\nretry = inf\nhold = 2\nformat = 'jsonl'\n"
            f"[output]\nfile = '{log}'\n"
        )
        command = [sys.executable, "-m", "digitkit", "infer", "--config", str(config)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as service:
            assert service.stdout is not None
            line = service.stdout.readline()
            service.send_signal(signal.SIGTERM)
            assert service.stdout.read() == ""
            assert service.wait() == 0
    read = json.loads(line)
    assert read["text"] == "7"
    assert "geheim" not in line
    assert log.read_text() == line
    states = heard()
    assert states[0] == "READY=1"
    assert "WATCHDOG=1" in states
    assert states[-1] == "STOPPING=1"


class Camera:
    """Gives frames until it is told to hang."""

    def __init__(self, hangs_at: int) -> None:
        self.given, self.hangs_at = 0, hangs_at
        self.closed = False

    def read(self):
        while self.given >= self.hangs_at and not self.closed:
            time.sleep(0.01)
        self.given += 1
        return None if self.closed else np.zeros((8, 8), np.uint8)

    def close(self) -> None:
        self.closed = True


def test_alive_means_that_frames_come_and_are_taken():
    signs: list[int] = []
    camera = Camera(hangs_at=4)
    live = Live(
        "a",
        alive=lambda: signs.append(camera.given),
        opener=lambda: camera,
        every=True,
        duration=1.5,
    )
    with live:
        next(live)
        before = len(signs)
        time.sleep(0.1)  # the consumer takes nothing
        assert len(signs) == before
        for _ in range(3):
            next(live)
        before = len(signs)
        assert list(live) == []  # the camera hangs until the duration is over
        assert len(signs) == before
