"""The configuration of infer: what is valid, and what takes precedence."""

import math
from pathlib import Path

import pytest
from support.errors import error_of

from digitkit.errors import ConfigError
from digitkit.inference.infer_config import InferConfig
from digitkit.inference.infer_values import RotatingOutput
from digitkit.inference.parsing import parse_size

FILES, CAMERA = {"sources": ("a.png",)}, {"camera": "0"}
WATCH = {"watch": Path("arriving"), "output": Path("a.csv")}


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("sources", {}),
        ("sources", FILES | CAMERA),
        *((name, FILES | {name: 1}) for name in ("fps", "max_frames", "duration")),
        ("retry", FILES | {"retry": 0.0}),
        ("size", FILES | {"size": (640, 480)}),
        ("show", FILES | {"show": True}),
        ("null", FILES | {"null": True}),
        ("workers", CAMERA | {"workers": 2}),
        ("size", CAMERA | {"size": (0, 480)}),
        *((name, CAMERA | {name: 0}) for name in ("hold", "threads", "max_frames", "expect")),
        *((name, CAMERA | {name: value}) for name in ("fps", "duration", "input_scale")
          for value in (0, -1, math.nan, math.inf)),
        *((name, FILES | {name: value}) for name in ("workers", "threads")
          for value in (0, 1025, 10**1000)),
        *(("size", CAMERA | {"size": (value, 480)}) for value in (65_537, 10**5000)),
        ("retry", CAMERA | {"retry": -1}),
        ("min_confidence", FILES | {"min_confidence": 1.5}),
        ("gap", FILES | {"mode": "number", "gap": 0.1}),
        *((name, FILES | {name: "x"}) for name in ("mode", "orientation", "precision", "format")),
        ("pattern", FILES | {"pattern": "("}),
        ("pattern", FILES | {"pattern": "[a-z]"}),
        ("format", CAMERA | {"format": "csv", "rotating": RotatingOutput(Path("r.jsonl"))}),
        ("format", CAMERA | {"rotating": RotatingOutput(Path("r.csv"))}),
        ("format", FILES | {"format": "xlsx"}),
        ("format", CAMERA | {"format": "xlsx", "output": Path("a")}),
        ("output", CAMERA | {"output": Path("a.xlsx")}),
        ("output", FILES | {"output": Path("/")}),
        ("output", FILES | {"output": Path("-")}),
        ("annotate", FILES | {"annotate": Path(__file__)}),
        *((name, FILES | {name: Path("a.PNG")}) for name in ("annotate", "explain")),
        ("report", FILES | {"report": Path("page.jpg")}),
        *((name, WATCH | {name: 1}) for name in ("fps", "retry", "max_frames", "duration")),
    ],
)  # fmt: skip
def test_what_is_not_valid_names_its_field(field, values):
    assert error_of(ConfigError, InferConfig, **values).field == field


@pytest.mark.parametrize("source", ["clip.mp4", "clips/*.AVI", "-"])
def test_a_video_may_be_cut_short(source):
    config = InferConfig(sources=("a.png", source), max_frames=3, duration=0.5)
    assert (config.max_frames, config.duration) == (3, 0.5)


@pytest.mark.parametrize("field", ["max_mb", "keep"])
@pytest.mark.parametrize("value", [0, 1e7, 1e303])
def test_rotating_files(field, value):
    assert error_of(ConfigError, RotatingOutput, Path("r.jsonl"), **{field: value}).field == field


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "text"), ({"output": Path("a.csv")}, "csv"), ({"output": Path("a.jsonl")}, "jsonl"),
        ({"output": Path("a.log")}, "text"), ({"output": Path("a.csv"), "format": "text"}, "text"),
        ({"rotating": RotatingOutput(Path("r.jsonl"))}, "jsonl"),
        ({"output": Path("a.xlsx")}, "xlsx"),
    ],
)  # fmt: skip
def test_the_format_follows_the_files_suffix(values, expected):
    assert InferConfig(**FILES, **values).resolved_format == expected


def test_sizes():
    assert (parse_size("1280x720"), parse_size("8X9")) == ((1280, 720), (8, 9))
    for text in ("", "wide", "12", "0x720", "12x", "-1x5", "1.5x2"):
        assert error_of(ConfigError, parse_size, text).field == "size"


def test_options_take_precedence_over_settings():
    service = {"camera": "0", "fps": 5.0, "min_confidence": 0.9, "hold": 3}
    config = InferConfig.create(service, min_confidence=0.0, hold=None, every_frame=False)
    assert (config.camera, config.fps, config.min_confidence, config.hold) == ("0", 5.0, 0.0, 3)
    assert InferConfig.create(service, camera="1").camera == "1"
    assert InferConfig.create({"camera": "0", "gap": 0.5}, mode="number").gap is None
    # An output file takes the place of rotating files.
    service = {"camera": "0", "rotating": RotatingOutput(Path("r.csv"))}
    assert InferConfig.create(service, output=Path("a.csv")).rotating is None


def test_named_images_take_the_place_of_the_settings_camera():
    service = {
        "camera": "0", "size": (640, 480), "fps": 5.0, "retry": 1.0, "hold": 3,
        "rotating": RotatingOutput(Path("r.jsonl")),
    }  # fmt: skip
    config = InferConfig.create(service, sources=("a.png",))
    assert (config.camera, config.size, config.fps, config.retry) == (None, None, None, None)
    assert (config.rotating, config.hold) == (None, 3)
    config = InferConfig.create(service, watch=Path("in"), output=Path("a.csv"))
    assert (config.camera, config.rotating) == (None, None)
    assert InferConfig.create({"fps": 2.0}, sources=("a.png",)).fps is None
    config = InferConfig.create({"format": "jsonl"}, sources=("a.png",), output=Path("a.csv"))
    assert config.resolved_format == "csv"
    config = InferConfig.create({"format": "jsonl"}, sources=("a.png",), output=Path("a.log"))
    assert config.resolved_format == "jsonl"
    config = InferConfig.create({"size": (640, 480)}, camera="rtsp://10.0.0.7/live")
    assert config.size is None
    with pytest.raises(ConfigError):  # even the camera that the settings name
        InferConfig.create(service, sources=("a.png",), camera="0")


def test_a_streams_url_is_a_camera():
    url = "rtsp://10.0.0.7/live"
    assert InferConfig.create(sources=(url,)).camera == url
    assert InferConfig.create({"camera": "0"}, sources=(url,)).camera == url
    for given in ({"sources": (url, "a.png")}, {"sources": (url,), "camera": "0"}):
        assert error_of(ConfigError, InferConfig.create, **given).field == "sources"
