"""Labelled data with one bad image: nothing starts, and the error names the file."""

import numpy as np
import pytest
from support.cli import one_error_line, run

from digitkit.datasets.load import load_test
from digitkit.errors import DatasetError
from digitkit.images.cv import cv2


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


BLANK = np.full((40, 30), 255, np.uint8)
BAD = {
    "blank": png(BLANK),
    "black": png(BLANK * 0),
    "transparent": png(np.zeros((40, 30, 4), np.uint8)),
    "one pixel": png(BLANK[:1, :1]),
    "empty": b"",
    "text": b"not an image",
    "truncated": png(BLANK)[:-20],
}


@pytest.fixture
def data(tmp_path, digit_file):
    """A folder with one image of each digit, and the path of a bad one."""
    for digit in range(10):
        digit_file(digit, f"data/{digit}/good.png")
    return tmp_path / "data"


def spoil(data, kind: str):
    path = data / "3/bad.png"
    if kind == "dangling":
        path.symlink_to("nowhere.png")
    else:
        path.write_bytes(BAD[kind])
    return path


@pytest.mark.parametrize("kind", [*BAD, "dangling"])
def test_it_is_named(data, kind):
    path = spoil(data, kind)
    with pytest.raises(DatasetError) as caught:
        load_test(data)
    assert caught.value.subject == str(path)


@pytest.mark.parametrize("arguments", [("eval",), ("train", "--out", "run")])
def test_the_commands_refuse_it(data, tmp_path, monkeypatch, arguments):
    if arguments[0] == "train":
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    path = spoil(data, "blank")
    line = one_error_line(run(*arguments, "--data", data), 2)
    assert line.startswith(f"digitkit: {path}: ")
    assert {p.name for p in tmp_path.iterdir()} == {"data"}
