"""No output of a run replaces a source or another output."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.cli import run

from digitkit.errors import ConfigError
from digitkit.inference.infer_config import InferConfig
from digitkit.models.registry import models_folder
from digitkit.reading.results import Digit, Reading, Timings
from digitkit.sinks.explain import explain
from digitkit.sinks.video_file import MAX_SIDE, VideoSink
from digitkit.sources.frames import Frame
from digitkit.sources.video import video_frames


@pytest.fixture
def folder(tmp_path, digit_file) -> Path:
    """A folder with an image of a 7."""
    return digit_file(7, "images/seven.png", size=100).parent


@pytest.mark.parametrize(
    "options",
    [
        ("--annotate", "images"),
        ("--explain", "images/../images"),
        ("--output", "images/seven.png"),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
def test_a_source_is_never_replaced(folder, monkeypatch, options, listed):
    monkeypatch.chdir(folder.parent)
    image = folder / "seven.png"
    before = image.read_bytes()
    result = run("infer", "-" if listed else "images", *options, stdin=f"{image}\n")
    assert result.exit_code == 2
    assert options[0] in result.stderr
    assert [path.name for path in folder.iterdir()] == [image.name]
    assert image.read_bytes() == before


def test_no_other_input_is_replaced(folder, tmp_path):
    model = shutil.copy(models_folder() / "digits-tiny-int8.onnx", tmp_path / "mine.onnx")
    settings = tmp_path / "digitkit.toml"
    settings.write_text("mode = 'page'\n")
    listed = tmp_path / "list.txt"
    listed.write_text(f"{folder / 'seven.png'}\n")
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    image = folder / "seven.png"
    assert run("infer", image, "--model", model, "--output", model).exit_code == 2
    assert run("infer", image, "--config", settings, "--output", settings).exit_code == 2
    command = [sys.executable, "-m", "digitkit", "infer", "-", "--output", listed]
    with listed.open("rb") as stdin:
        assert subprocess.run(command, stdin=stdin, check=False).returncode == 2
    settings.write_text("camera = '0'\n[output]\nfile = './digitkit.toml'\n")
    before[settings] = settings.read_bytes()
    assert run("infer", "--config", settings).exit_code == 2
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_link_to_a_source_is_that_source(folder, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert run("infer", folder, "--annotate", link).exit_code == 2


@pytest.mark.parametrize(
    "outputs",
    [
        {"annotate": Path("seen"), "explain": Path("seen")},
        {"annotate": Path("seen.mp4"), "output": Path("x/../seen.mp4")},
    ],
)
def test_outputs_differ_from_each_other(outputs):
    with pytest.raises(ConfigError) as caught:
        InferConfig(sources=("a.png",), **outputs)
    assert caught.value.field in outputs


@pytest.mark.parametrize("name", ["数" * 80, "x" * 240, "é" * 120])
def test_long_names_of_sources(digit_file, tmp_path, name):
    """A name may have 255 bytes."""
    image = digit_file(7, f"{name}.png", size=100)
    result = run("infer", image, "--annotate", tmp_path / "seen", "--explain", tmp_path / "why")
    assert result.exit_code == 0, result.output
    for folder in ("seen", "why"):
        (path,) = (tmp_path / folder).iterdir()
        assert name.startswith(path.stem)


@pytest.mark.parametrize("shape", [(1, 3000), (3000, 1), (1, 1)])
def test_images_of_any_shape_are_explained(shape):
    reading = Reading("x", (), Timings(0, 0, 0, 0))
    assert min(explain(np.full(shape, 7, np.uint8), reading).shape) == 3


def test_an_explanation_of_thousands_of_digits():
    """It would take gigabytes."""
    image = np.zeros((28, 28), np.uint8)
    digit = Digit(7, 0.9, (4, 4, 20, 20), 0, True, image, np.full(10, 0.1, np.float32))
    reading = Reading("x", (digit,) * 3000, Timings(0, 0, 0, 0))
    assert explain(image, reading).size < 150_000_000


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
@pytest.mark.parametrize("shape", [(1, 3000), (3000, 1), (20_000, 3)])
def test_images_of_any_shape_become_a_video(tmp_path, suffix, shape):
    path = tmp_path / f"seen{suffix}"
    with VideoSink(path) as sink:
        sink.write(Frame("x", np.full(shape, 7, np.uint8)), Reading("x", (), Timings(0, 0, 0, 0)))
    frames = list(video_frames(path))
    assert frames
    assert all(isinstance(frame, Frame) for frame in frames)
    assert max(frames[0].image.shape) == min(max(shape), MAX_SIDE)
