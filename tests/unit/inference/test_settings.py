"""A service's settings, from a file to what infer does; and how systemd hears of it."""

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
from support.cli import one_error_line, run
from support.mjpeg import Server
from support.paths import ROOT

from digitkit.cli.app import _loaded
from digitkit.errors import InputNotFoundError, OutputError, SettingsError
from digitkit.inference import settings
from digitkit.sinks.rotating import RotatingFile
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


def test_all_keys(file):
    path = file(
        """
        camera = 0
        size = "1280x720"
        fps = 5
        hold = 3
        every_frame = true
        retry = inf
        model = "digits-tiny"
        precision = "fp32"
        input_scale = 0.5
        threads = 2
        mode = "page"
        orientation = 90
        min_confidence = 0.9
        expect = 4
        pattern = '[1-9]\\d{3}'
        format = "jsonl"
        [output]
        file = "logs/readings.jsonl"
        max_mb = 0.5
        keep = 2
        """
    )
    read = settings.load_settings(path)
    assert read.output == settings.OutputFile(path.parent / "logs/readings.jsonl", 0.5, 2)
    assert read.options() == {
        "camera": "0", "size": "1280x720", "fps": 5.0, "hold": 3, "every_frame": True,
        "retry": math.inf, "model": "digits-tiny", "precision": "fp32", "input_scale": 0.5,
        "threads": 2, "mode": "page", "orientation": "90", "min_confidence": 0.9, "expect": 4,
        "pattern": r"[1-9]\d{3}", "format": "jsonl",
    }  # fmt: skip
    assert settings.load_settings(file("")).options() == {}


def test_each_key_is_an_option_of_infer():
    infer = _loaded("infer")
    options = {option for parameter in infer.params for option in parameter.opts}
    assert {f"--{key.replace('_', '-')}" for key in settings._KEYS} <= options


def test_paths_are_from_the_files_folder(file):
    path = file('model = "nets/mine.onnx"\n[output]\nfile = "/var/log/r.jsonl"\n')
    read = settings.load_settings(path)
    assert read.model == str(path.parent / "nets/mine.onnx")
    assert read.output is not None
    assert read.output.file == Path("/var/log/r.jsonl")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fsp = 5", "there is no key fsp; did you mean fps? there are camera, size, "),
        ("[outptu]", "there is no key outptu; did you mean output? "),
        ("[camera]", "camera is {}; allowed is a number, "),
        ("camera = -1", "camera is -1; allowed is a number, "),
        ("camera = ''", "camera is ''; allowed is a number, "),
        ("size = '12'", "size is '12'; allowed is width and height such as \"1280x720\""),
        ("size = '0x720'", "size is '0x720'"),
        ("fps = 0", "fps is 0; allowed is a number above 0"),
        ("fps = '5'", "fps is '5'; allowed is a number above 0"),
        ("fps = nan", "fps is nan; allowed is a number above 0"),
        ("fps = true", "fps is True; allowed is a number above 0"),
        ("retry = -1", "retry is -1; allowed is seconds from 0, or inf"),
        ("hold = 2.5", "hold is 2.5; allowed is a whole number from 1"),
        ("threads = 0", "threads is 0; allowed is a whole number from 1"),
        ("every_frame = 1", "every_frame is 1; allowed is true or false"),
        ("min_confidence = 90", "min_confidence is 90; allowed is a number from 0 to 1"),
        ("orientation = 45", 'orientation is 45; allowed is "exif" or "auto" or "0"'),
        ("mode = ['page']", "mode is ['page']; allowed is \"auto\" or"),
        ("pattern = '('", "pattern: "),
        ("output = 'x'", "output is 'x'; it is a table"),
        ("[output]", "output names no file"),
        ("[output]\nfile='x'\nkeep=0", "output.keep is 0; allowed is a whole number from 1"),
        ("[output]\nfile='x'\nmb=0", "there is no key output.mb; "),
        ("format='csv'\n[output]\nfile='x'", "output takes format jsonl or text"),
        ("fps = ", "is no TOML: Invalid value (at end of document)"),
        ("fps = 5\nfps = 6", "is no TOML: Cannot overwrite a value"),
    ],
)
def test_what_is_wrong_is_told(file, text, message):
    path = file(text)
    with pytest.raises(SettingsError) as caught:
        settings.load_settings(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)
    assert one_error_line(run("infer", "--config", path), 2) == f"digitkit: {caught.value}"


def test_all_mistakes_are_told_at_once(file):
    path = file('fps = 0\nhold = 2.5\npattern = "("\n[output]\nkeep = 0\nmb = 1\n')
    with pytest.raises(SettingsError) as caught:
        settings.load_settings(path)
    told = str(caught.value).removeprefix(f"{path}: ").split("; also: ")
    assert [one.split(";")[0].split(":")[0] for one in told] == [
        *("fps is 0", "hold is 2.5", "output.keep is 0", "there is no key output.mb"),
        *("output names no file", "pattern"),
    ]
    assert "\n" not in str(caught.value)


def test_files_that_are_none(file, tmp_path, monkeypatch):
    with pytest.raises(InputNotFoundError, match=r"gone\.toml: there is no such settings file"):
        settings.load_settings(tmp_path / "gone.toml")
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        settings.load_settings(tmp_path)
    path = file("")
    with monkeypatch.context() as patch:
        patch.setattr(
            Path, "read_text", lambda *_: (_ for _ in ()).throw(PermissionError(13, "no"))
        )
        with pytest.raises(SettingsError, match=r"cannot be read: no$"):
            settings.load_settings(path)
        with pytest.raises(SettingsError, match=r"cannot be read: no; .* usermod -aG video"):
            settings.load_settings(Path("/etc/digitkit.toml"))
    path.write_bytes(b"camera = '\xff'")
    with pytest.raises(SettingsError, match="is no UTF-8 text"):
        settings.load_settings(path)


def test_the_example_is_valid_and_says_the_defaults(file):
    example = ROOT / "digitkit/device/files/digitkit.toml"
    assert settings.load_settings(example).camera == "0"
    lines = []
    for line in example.read_text("utf-8").splitlines():
        commented = line.removeprefix("# ")
        lines.append(commented if " = " in commented or commented == "[output]" else "")
    assert set(settings._KEYS) - {"input_scale"} <= {line.split(" = ")[0] for line in lines}
    assert settings.load_settings(file("\n".join(lines))).output is not None


# --- infer --config --------------------------------------------------------------------------


def test_the_command_line_goes_first(file, digit_file):
    picture = digit_file(7, size=100)
    config = file("format = 'jsonl'\nmin_confidence = 1.0\ncamera = 0\nfps = 5\nretry = inf\n")
    read = json.loads(run("infer", "--config", config, picture).stdout)
    assert read["text"] == ""
    read = json.loads(run("infer", picture, "--config", config, "--min-confidence", 0.5).stdout)
    assert read["text"] == "7"
    assert (
        ": 7 ("
        in run(
            "infer", picture, "--config", config, "--min-confidence", 0.5, "--format", "text"
        ).stdout
    )
    assert (
        "pictures or a camera, not both"
        in run("infer", picture, "--config", config, "--camera", "1").output
    )


def test_a_rotated_file_beside_standard_output(file, digit_file, tmp_path):
    pictures = [digit_file(digit, f"{digit}.png", size=100) for digit in (3, 5, 7)]
    config = file("format = 'jsonl'\n[output]\nfile = 'log/r.jsonl'\nmax_mb = 0.0003\nkeep = 1\n")
    for _ in range(2):
        lines = run("infer", "--config", config, *pictures).stdout.splitlines()
        assert [json.loads(line)["text"] for line in lines] == ["3", "5", "7"]
    files = {path.name: path.read_text() for path in (tmp_path / "log").iterdir()}
    assert set(files) == {"r.jsonl", "r.jsonl.1"}
    assert files["r.jsonl"] == lines[2] + "\n"  # whole lines, the newest in the newest
    assert files["r.jsonl.1"] == lines[1] + "\n"
    result = run("infer", "--config", config, pictures[0], "--output", tmp_path / "o.jsonl")
    assert result.stdout == ""
    assert (tmp_path / "log/r.jsonl").read_text() == files["r.jsonl"]


def test_a_rotated_file_that_cannot_be_written(file, digit_file, tmp_path):
    picture = digit_file(3, size=100)
    config = file("[output]\nfile = '/dev/full'\n")
    assert "/dev/full: cannot be written: No space left" in one_error_line(
        run("infer", "--config", config, picture), 1
    )
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="cannot be written: "):
        RotatingFile(tmp_path / "taken/r.jsonl", 1000, 1)


def test_pictures_that_are_named_stay_out_of_the_cameras_file(file, digit_file, tmp_path):
    config = file("camera = 0\n[output]\nfile = 'r.jsonl'\n")
    assert run("infer", "--config", config, digit_file(3, size=100)).exit_code == 0
    assert not (config.parent / "r.jsonl").exists()


def test_the_rotated_files_name_tells_its_format(file, digit_file):
    config = file("[output]\nfile = 'r.jsonl'\n")
    assert run("infer", "--config", config, digit_file(3, size=100)).exit_code == 0
    assert json.loads((config.parent / "r.jsonl").read_text("utf-8"))["text"] == "3"
    for options in (["--format", "csv"], []):
        config = file("[output]\nfile = 'r.csv'\n")
        result = run("infer", "--config", config, digit_file(3, size=100), *options)
        assert "no head line" in " ".join(result.output.replace("│", " ").split())
        assert result.exit_code == 2


def test_a_camera_on_the_command_line_stands(file, digit_file):
    """Even the one that the file names: pictures beside it are a mistake."""
    config = file("camera = 0\n")
    result = run("infer", "--config", config, digit_file(3), "--camera", "0")
    assert "name pictures or a camera, not both" in result.output


def test_settings_without_a_camera(file):
    assert "or set camera in the settings' file" in " ".join(
        run("infer", "--config", file("fps = 5\n")).output.replace("│", " ").split()
    )


# --- systemd ---------------------------------------------------------------------------------


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
    live = Live("a", alive=lambda: signs.append(camera.given), opener=lambda: camera, every=True)
    with live:
        next(live)
        before = len(signs)
        time.sleep(0.1)  # the consumer takes nothing
        assert len(signs) == before
        for _ in range(3):
            next(live)
        before = len(signs)
        live._duration, live._until = (
            0.0,
            live._last_grab + 1.2,
        )  # wait a while for a camera that hangs
        assert list(live) == []
        assert len(signs) == before
