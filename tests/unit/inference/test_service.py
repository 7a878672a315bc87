"""A service: what systemd hears, and a camera from its start to its end."""

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
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.cli import one_error_line, run
from support.mjpeg import Server
from support.paths import ROOT

from digitkit.cli.exit_codes import WRONG_SETTINGS
from digitkit.system import notify


@pytest.fixture
def heard(monkeypatch):
    """What systemd hears; each call gives what came since the last."""
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


def test_infer_tells_systemd(heard):
    """A service that waits for its camera is up, and alive, until it gives up."""
    assert run("infer", "--camera", "http://127.0.0.1:9/", "--retry", 0.3).exit_code == 2
    assert heard() == ["READY=1", "WATCHDOG=1", "STOPPING=1"]  # one sign of life is enough


@pytest.mark.parametrize(("text", "code"), [
    ("fsp = 5", 78), ("fps = 0", 78), ("fps = ", 78), (None, 78),
    ("model = 'other'", 78), ("model = 'digitkit.toml'", 78),
    ("camera = 'seven'", 78), ("camera = 'rtsp://127.0.0.1:9/'\nsize = '9x9'", 78),
    ("# no camera", 78),
    ("retry = 0", 2), ("camera = '/dev/video999'\nretry = 0", 2),
    ("[output]\nfile = '/dev/null/x'", 1),
])  # fmt: skip
def test_only_wrong_settings_are_final_for_systemd(heard, tmp_path, text, code):
    """The unit is restarted after everything else; elsewhere the exit code is 2."""
    config = tmp_path / "digitkit.toml"
    if text is not None:
        config.write_text(text if "camera" in text else f"camera = 'http://127.0.0.1:9/'\n{text}")
    one_error_line(run("infer", "--config", config), code)
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("NOTIFY_SOCKET")
        assert run("infer", "--config", config).exit_code == min(code, 2)


def test_the_unit_is_not_restarted_with_wrong_settings():
    unit = (ROOT / "digitkit/device/files/digitkit.service").read_text()
    assert f"RestartPreventExitStatus={WRONG_SETTINGS}" in unit.splitlines()


def test_a_service_from_its_start_to_its_end(heard, tmp_path, digit_file):
    """Settings in, JSON lines out and into a file, signs of life, and a clean end."""
    picture = digit_file(7, "seven.jpg", size=120).read_bytes()

    def camera(number: int, write) -> None:
        while not write.server.over.wait(0.05):
            write.part(picture)

    config, log = tmp_path / "digitkit.toml", tmp_path / "log/readings.jsonl"
    with Server(camera) as server:
        config.write_text(
            f"camera = '{server.url}'\nretry = inf\nhold = 2\nformat = 'jsonl'\n"
            f"[output]\nfile = '{log}'\n"
        )
        command = [sys.executable, "-m", "digitkit", "infer", "--config", str(config)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as service:
            line = service.stdout.readline()
            service.send_signal(signal.SIGTERM)
            assert service.stdout.read() == ""
            assert service.wait() == 0
    assert json.loads(line)["text"] == "7"
    assert "geheim" not in line
    assert log.read_text() == line
    first, *alive, last = heard()
    assert (first, set(alive), last) == ("READY=1", {"WATCHDOG=1"}, "STOPPING=1")


@pytest.mark.parametrize("ignored", [True, False])
def test_a_camera_in_a_thread_or_with_ctrl_c_ignored(digit_file, ignored):
    """As in a program with threads, and after nohup … &: the signals stay as they are."""
    picture = digit_file(7, "seven.jpg", size=120).read_bytes()

    def camera(number: int, write) -> None:
        write.part(picture)
        write.part(picture)
        if ignored:
            os.kill(os.getpid(), signal.SIGINT)
        while not write.server.over.wait(0.05):
            write.part(picture)

    handler = signal.SIG_IGN if ignored else signal.default_int_handler
    before = signal.signal(signal.SIGINT, handler)
    try:
        with Server(camera) as server, ThreadPoolExecutor(1) as pool:
            arguments = ("infer", "--camera", server.url, "--max-frames", 4, "--every-frame", "-q")
            result = run(*arguments) if ignored else pool.submit(run, *arguments).result()
    finally:
        left = signal.signal(signal.SIGINT, before)
    assert (result.exit_code, result.stdout) == (0, "7\n" * 4), result.output
    assert left == handler
