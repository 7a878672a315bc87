from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from digitkit import Reader
from digitkit.errors import MissingDependencyError, OutputError
from digitkit.images import containers
from digitkit.images.decode import decode_file
from digitkit.images.opencv import cv2
from digitkit.sinks.drawing import GREEN, RED, draw
from digitkit.sinks.explain import explain
from digitkit.sinks.images import AnnotatedImageSink, ExplanationSink
from digitkit.sinks.lines import LineSink, format_percent, format_text
from digitkit.sinks.video import VideoSink
from digitkit.sinks.window import WindowSink
from digitkit.sources.frames import Failure, Frame
from digitkit.sources.video import video_frames


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
    lines = LineSink(stream, how)
    lines.write(frame, reading)
    lines.fail(Failure("bad, one.png", "broken"))
    return stream.getvalue()


def test_text_is_one_line_per_image(frame, reading):
    text = written("text", frame, reading)
    assert text.startswith("two\\ndigits.png: 18 (at least ")
    assert text.count("\n") == 1
    doubtful = Reader(min_confidence=1.0).read_frame(frame)
    assert "[not accepted: 1? " in format_text(doubtful)


def test_a_doubtful_digit_keeps_its_place(reading):
    one, eight = reading.digits
    doubt = replace(one, accepted=False, confidence=0.7)
    text = format_text(replace(reading, digits=(doubt, eight)))
    assert text.startswith("two\\ndigits.png: [1?]8 (")
    assert text.endswith("[not accepted: 1? 70.0%]")
    cut = replace(eight, accepted=False, cut=True, row=1)
    assert ": 1 (" in format_text(replace(reading, digits=(one, cut)))
    assert "[not accepted: 8 cut" in format_text(replace(reading, digits=(one, cut)))


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
        "error": "broken", "frame": "", "time": "",
    }  # fmt: skip


def test_confidence_is_never_rounded_up_to_100_percent():
    assert format_percent(0.99999) == ">99.9%"
    assert format_percent(0.9994) == "99.9%"
    assert format_percent(0.5) == "50.0%"


@pytest.mark.parametrize("kind", [AnnotatedImageSink, ExplanationSink])
def test_images_of_one_name_do_not_replace_each_other(tmp_path, frame, reading, kind):
    sink = kind(tmp_path / "new")
    for source in ("a/1.png", "b/1.jpg", "c/1.PNG", "/"):
        sink.write(Frame(source, frame.image), reading)
    sink.write(Frame("camera 0", frame.image, number=7), reading)
    names = sorted(p.name for p in (tmp_path / "new").iterdir())
    assert names == ["1-2.png", "1-3.png", "1.png", "camera 0-000007.png", "image.png"]
    for path in (tmp_path / "new").iterdir():
        assert decode_file(path).ndim == 3


def test_small_images_are_enlarged_and_labelled(frame, reading, one_of_each):
    small = Reader(min_confidence=0).read(one_of_each[5])
    drawn = draw(one_of_each[5], small)
    assert min(drawn.shape[:2]) >= 400
    green = (drawn == GREEN).all(axis=2).sum()
    assert green > 100
    nothing = Reader(mode="page").read(np.zeros((200, 200), np.uint8) + np.eye(200, dtype=np.uint8))
    assert explain(frame.image, nothing).ndim == 3


@pytest.mark.parametrize("long", [320, 1280, 4000])
def test_labels_scale_with_the_image(frame, reading, long):
    ratio = long / frame.image.shape[1]
    image = cv2.resize(frame.image, None, fx=ratio, fy=ratio)
    scaled = [
        replace(d, box=tuple(round(v * ratio) for v in d.box), accepted=i == 0)  # type: ignore[arg-type]
        for i, d in enumerate(reading.digits)
    ]
    drawn = draw(image, replace(reading, digits=tuple(scaled)))
    for colour in (GREEN, RED):
        rows = np.flatnonzero((drawn == colour).all(axis=2).any(axis=1))
        # A label's plate and a box's lines take about the same fraction of the image.
        assert 0.2 < len(rows) / drawn.shape[0] < 1


def test_a_label_fits_where_the_box_touches_the_border(reading):
    image = np.full((120, 90), 200, np.uint8)
    corner = replace(reading.digits[0], box=(70, 0, 20, 118))
    drawn = draw(image, replace(reading, digits=(corner,)))
    assert (drawn == GREEN).all(axis=2).any()


def test_a_rotated_image_is_drawn_rotated(frame, reading):
    drawn = draw(frame.image, replace(reading, turn=90))
    height, width = frame.image.shape
    assert drawn.shape[0] / drawn.shape[1] == pytest.approx(width / height, rel=0.02)


def clip(path, frames, reading) -> list[Frame]:
    with VideoSink(path) as sink:
        for one in frames:
            sink.write(one, reading)
    return [one for one in video_frames(path) if isinstance(one, Frame)]


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_a_videos_frames_keep_their_rate(tmp_path, frame, reading, suffix):
    path = tmp_path / "new" / f"seen{suffix}"
    made = clip(path, [replace(frame, number=i, seconds=i / 30) for i in range(12)], reading)
    assert len(made) == 12
    assert made[-1].seconds == pytest.approx(11 / 30, abs=0.01)
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_second_video_follows_the_first(tmp_path, frame, reading):
    frames = [
        replace(frame, source=name, number=i, seconds=i / 10)
        for name in ("a.mp4", "b.mp4")
        for i in range(8)
    ]
    assert len(clip(tmp_path / "seen.mp4", frames, reading)) == 16


def test_a_cameras_frames_are_shown_until_the_next(tmp_path, frame, reading):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    # A gap of half a second; one of an hour, as after a reconnection; and a clock that is set back.
    taken = [0, 0.1, 0.6, 3600, 3600.1, 100, 100.1]
    frames = [
        replace(frame, number=i, time=start + timedelta(seconds=t)) for i, t in enumerate(taken)
    ]
    made = clip(tmp_path / "seen.avi", frames, reading)
    rate = VideoSink.LIVE_FPS
    assert len(made) == pytest.approx(rate * (0.1 + 0.5 + 0.1 + 0.1) + 3, abs=1)


def test_images_of_several_sizes_are_fitted_into_one_video(tmp_path, frame, reading):
    wide = replace(frame, image=cv2.resize(frame.image, (1200, 500)))
    tall = replace(frame, image=cv2.resize(frame.image, (500, 1200)))
    made = clip(tmp_path / "seen.avi", [wide, tall], reading)
    assert made[0].image.shape == made[-1].image.shape == (500, 1200, 3)
    assert made[-1].image[:, :400].max() < 30  # beside the tall one
    assert made[-1].image[:, 500:700].mean() > 100
    assert len(made) == 2 * round(VideoSink.IMAGE_SECONDS * VideoSink.LIVE_FPS)


def test_a_video_that_does_not_fit_on_the_disk_is_an_error(tmp_path, frame, reading, monkeypatch):
    monkeypatch.setattr(containers, "is_whole", lambda file: False)
    with pytest.raises(OutputError):
        clip(tmp_path / "seen.avi", [frame], reading)
    assert not list(tmp_path.iterdir())
    with pytest.raises(OutputError):
        VideoSink(tmp_path / "\udcff.mp4")


def test_an_interrupted_video_leaves_no_file(tmp_path, frame, reading):
    def broken() -> None:
        with VideoSink(tmp_path / "seen.mp4") as sink:
            sink.write(frame, reading)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken()
    with VideoSink(tmp_path / "none.mp4"):
        pass  # not a single frame
    assert not list(tmp_path.iterdir())
    with pytest.raises(OutputError, match=r"\.mp4"):
        VideoSink(tmp_path / "seen.gif")
    (tmp_path / "taken").write_text("")
    with (
        pytest.raises(OutputError, match="cannot be written"),
        VideoSink(tmp_path / "taken" / "seen.mp4") as sink,
    ):
        sink.write(frame, reading)


def test_no_screen_is_one_clear_error(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(MissingDependencyError, match="--annotate"):
        WindowSink(lambda: None)
