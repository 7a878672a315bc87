from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from digitkit import Reader, pixels, sinks
from digitkit._opencv import cv2
from digitkit.sources import Failure, Frame


@pytest.fixture(scope="module")
def frame(one_of_each) -> Frame:
    image = np.full((100, 160), 230, np.uint8)
    for place, digit in enumerate((1, 8)):
        big = cv2.resize(one_of_each[digit], (70, 70), interpolation=cv2.INTER_CUBIC)
        image[15:85, 5 + 75 * place : 75 + 75 * place] = 230 - big * 0.8
    return Frame("two\ndigits.png", image, 1.0)


@pytest.fixture(scope="module")
def reading(frame):
    return Reader(min_confidence=0).read_frame(frame)


def written(how, frame, reading) -> str:
    stream = io.StringIO()
    lines = sinks.Lines(stream, how)
    lines.write(frame, reading)
    lines.fail(Failure("bad, one.png", "broken"))
    return stream.getvalue()


def test_text_is_one_line_a_picture(frame, reading):
    text = written("text", frame, reading)
    assert text.startswith("two\\ndigits.png: 18 (at least ")
    assert text.count("\n") == 1
    doubtful = Reader(min_confidence=1.0).read_frame(frame)
    assert "[not accepted: 1? " in sinks.as_text(doubtful)


def test_jsonl(frame, reading):
    first, second = written("jsonl", frame, reading).splitlines()
    assert json.loads(first)["source"] == "two\ndigits.png"
    assert json.loads(first)["text"] == "18"
    assert json.loads(second) == {"source": "bad, one.png", "error": "broken"}


def test_csv(frame, reading):
    rows = list(csv.DictReader(io.StringIO(written("csv", frame, reading))))
    assert rows[0]["text"] == "18"
    assert float(rows[0]["confidence"]) > 0.5
    assert rows[0]["digits"] == "2"
    assert rows[1] == {
        "source": "bad, one.png", "text": "", "confidence": "", "digits": "", "rejected": "",
        "error": "broken",
    }  # fmt: skip


def test_confidence_is_never_rounded_up_to_certainty():
    assert sinks.percent(0.99999) == ">99.9%"
    assert sinks.percent(0.9994) == "99.9%"
    assert sinks.percent(0.5) == "50.0%"


@pytest.mark.parametrize("kind", [sinks.Annotated, sinks.Explained])
def test_pictures_of_one_name_do_not_replace_each_other(tmp_path, frame, reading, kind):
    sink = kind(tmp_path / "new")
    for source in ("a/1.png", "b/1.jpg", "c/1.PNG", "/"):
        sink.write(Frame(source, frame.image), reading)
    sink.write(Frame("camera 0", frame.image, number=7), reading)
    names = sorted(p.name for p in (tmp_path / "new").iterdir())
    assert names == ["1-2.png", "1-3.png", "1.png", "camera 0-000007.png", "image.png"]
    for path in (tmp_path / "new").iterdir():
        assert pixels.decode_file(path).ndim == 3


def test_small_pictures_are_enlarged_and_marked(frame, reading, one_of_each):
    small = Reader(min_confidence=0).read(one_of_each[5])
    drawn = sinks.annotate(one_of_each[5], small)
    assert min(drawn.shape[:2]) >= 300
    green = (drawn == sinks.GREEN).all(axis=2).sum()
    assert green > 100
    nothing = Reader(mode="page").read(np.zeros((200, 200), np.uint8) + np.eye(200, dtype=np.uint8))
    assert sinks.explain(frame.image, nothing).ndim == 3
