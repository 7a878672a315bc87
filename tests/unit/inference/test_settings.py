"""A settings file, and what ``digitkit infer --config`` makes of it."""

import json
import math
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from support.cli import one_error_line, run
from support.errors import error_of
from support.paths import ROOT

from digitkit.cli.app import _loaded
from digitkit.errors import InputNotFoundError, OutputError, SettingsError
from digitkit.inference.infer_values import RotatingOutput
from digitkit.inference.settings import KEYS, load_settings
from digitkit.sinks.rotating import RotatingFile


@pytest.fixture
def file(tmp_path):
    """Writes a settings file."""

    def write(text: str) -> Path:
        path = tmp_path / "digitkit.toml"
        path.write_text(text, "utf-8")
        return path

    return write


def test_all_keys(file):
    given = {
        "camera": 0, "size": "1280x720", "fps": 5, "hold": 3, "every_frame": True,
        "model": "digits-tiny", "precision": "fp32", "input_scale": 0.5, "threads": 2,
        "mode": "page", "orientation": 90, "min_confidence": 0.9, "expect": 4,
        "pattern": r"[1-9]\d{3}", "format": "jsonl",
    }  # fmt: skip
    lines = [f"{key} = {json.dumps(value)}" for key, value in given.items()]
    lines += ["retry = inf", "[output]", "file = 'logs/readings.jsonl'", "max_mb = 0.5", "keep = 2"]
    path = file("\n".join(lines))
    assert load_settings(path).values == given | {
        "camera": "0", "size": (1280, 720), "orientation": "90", "retry": math.inf,
        "rotating": RotatingOutput(path.parent / "logs/readings.jsonl", 0.5, 2),
    }  # fmt: skip
    assert load_settings(file("")).values == {}
    # Paths are relative to the file's folder.
    path = file('model = "nets/mine.onnx"\n[output]\nfile = "/var/log/r.jsonl"\n')
    settings = load_settings(path)
    assert settings.model == str(path.parent / "nets/mine.onnx")
    assert settings.values["rotating"].file == Path("/var/log/r.jsonl")


def test_each_key_is_an_option_of_infer():
    options = {option for parameter in _loaded("infer").params for option in parameter.opts}
    assert {f"--{key.replace('_', '-')}" for key in KEYS} <= options


@pytest.mark.parametrize(
    ("text", "named"),
    [
        *(("fsp = 5", "fps"), ("[outptu]", "output")),  # what was meant
        *((line, line.split(" = ")[0].strip("[]")) for line in (
            "[camera]", "camera = -1", "camera = ''", "size = '12'", "size = '0x720'", "fps = 0",
            "fps = '5'", "fps = nan", "fps = true", "retry = -1", "hold = 2.5", "threads = 0",
            "every_frame = 1", "min_confidence = 90", "orientation = 45", "mode = ['page']",
            "mode = 'pages'", "model = ''", "pattern = '('", "output = 'x'", "[output]",
        )),
        ("[output]\nfile='x'\nkeep=0", "output.keep"),
        ("[output]\nfile='x'\nmb=0", "output.mb"),
        ("[output]\nfile=1", "output.file"),
        ("camera='seven'", "seven"),
        ("camera='rtsp://cam'\nsize='640x480'", "size"),
        ("format='csv'\n[output]\nfile='x'", "format"),
        ("fps = ", "TOML"),
        ("fps = 5\nfps = 6", "TOML"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_that_names_the_key(file, text, named):
    path = file(text)
    error = error_of(SettingsError, load_settings, path)
    assert error.subject == str(path)
    assert named in error.problem
    assert one_error_line(run("infer", "--config", path), 2) == f"digitkit: {error}"


def test_all_mistakes_are_reported_at_once(file):
    path = file('fps = 0\nhold = 2.5\npattern = "("\n[output]\nkeep = 0\nmb = 1\n')
    problems = error_of(SettingsError, load_settings, path).problem.split("; also: ")
    keys = ("fps", "hold", "pattern", "output.keep", "output.mb", "output")
    assert all(key in problem for key, problem in zip(keys, problems, strict=True))


def test_files_that_cannot_be_read(file, tmp_path, monkeypatch):
    error_of(InputNotFoundError, load_settings, tmp_path / "gone.toml")
    error_of(SettingsError, load_settings, tmp_path)
    path = file("")
    path.write_bytes(b"camera = '\xff'")
    error_of(SettingsError, load_settings, path)
    refuse = MagicMock(side_effect=PermissionError(13, "Permission denied"))
    monkeypatch.setattr("digitkit.system.toml.read_bounded", refuse)
    assert error_of(SettingsError, load_settings, path).hint is None
    error = error_of(SettingsError, load_settings, Path("/etc/digitkit.toml"))
    assert "usermod -aG video" in error.hint


def test_the_example_is_valid_and_lists_all_keys(file):
    example = ROOT / "digitkit/device/files/digitkit.toml"
    assert load_settings(example).values["camera"] == "0"
    lines = []
    for line in example.read_text("utf-8").splitlines():
        commented = line.removeprefix("# ")
        lines.append(commented if " = " in commented or commented[:1] == "[" else "")
    keys = {line.split(" = ")[0] for line in lines}
    assert set(KEYS) - {"input_scale"} <= keys
    settings = load_settings(file("\n".join(lines)))
    assert "rotating" in settings.values
    assert settings.serve.keys() <= keys
    assert settings.serve["port"] == 8080


def test_options_take_precedence(file, digit_file):
    options = ["infer", digit_file(7, size=100), "--config"]
    options.append(file("format = 'jsonl'\nmin_confidence = 1.0\ncamera = 0\nfps = 5\n"))
    assert json.loads(run(*options).stdout)["text"] == ""
    assert ": 7 (" in run(*options, "--min-confidence", 0.5, "--format", "text").stdout
    assert run(*options, "--camera", "1").exit_code == 2


def test_rotating_files_next_to_standard_output(file, digit_file, tmp_path):
    images = [digit_file(digit, f"{digit}.png", size=100) for digit in (3, 5, 7)]
    config = file("format = 'jsonl'\n[output]\nfile = 'log/r.jsonl'\nmax_mb = 0.0003\nkeep = 1\n")
    for _ in range(2):
        lines = run("infer", "--config", config, *images).stdout.splitlines()
        assert [json.loads(line)["text"] for line in lines] == ["3", "5", "7"]
    files = {path.name: path.read_text() for path in (tmp_path / "log").iterdir()}
    assert files == {"r.jsonl": lines[2] + "\n", "r.jsonl.1": lines[1] + "\n"}  # whole lines
    result = run("infer", "--config", config, images[0], "--output", tmp_path / "o.jsonl")
    assert result.stdout == ""
    assert (tmp_path / "log/r.jsonl").read_text() == files["r.jsonl"]
    # Named images leave a camera's files alone.
    config = file("camera = 0\n[output]\nfile = 'camera.jsonl'\n")
    assert run("infer", "--config", config, images[0]).exit_code == 0
    assert not (config.parent / "camera.jsonl").exists()


def test_a_rotating_file_that_cannot_be_written(file, digit_file, tmp_path):
    config = file("[output]\nfile = '/dev/full'\n")
    result = run("infer", "--config", config, digit_file(3, size=100))
    assert "/dev/full" in one_error_line(result, 1)
    (tmp_path / "taken").write_text("")
    error_of(OutputError, RotatingFile, tmp_path / "taken/r.jsonl", 1000, 1)
