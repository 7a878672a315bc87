"""Lines, drawn images and videos, and what happens where they cannot be written."""

import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from support.errors import error_of

from digitkit import Reader
from digitkit.errors import MissingDependencyError, OutputError
from digitkit.images import containers
from digitkit.images.cv import cv2
from digitkit.images.decode import decode_file
from digitkit.reading.confidence import format_confidence
from digitkit.reading.numbers.finding import find_numbers
from digitkit.reading.results import Number
from digitkit.sinks.drawing import GREEN, draw
from digitkit.sinks.explain import BLUE, draw_tiles, explain
from digitkit.sinks.images import AnnotatedImageSink, ExplanationSink
from digitkit.sinks.lines import LineSink, format_text, keep_text
from digitkit.sinks.video_file import VideoSink
from digitkit.sinks.window import WindowSink
from digitkit.sources.frames import Failure, Frame
from digitkit.sources.video import video_frames


@pytest.fixture(scope="module")
def frame(one_of_each) -> Frame:
    image = np.full((100, 160), 230, np.uint8)
    for place, digit in enumerate((1, 8)):
        big = cv2.resize(one_of_each[digit], (70, 70), interpolation=cv2.INTER_CUBIC)
        cell = image[15:85, 15 + 50 * place : 85 + 50 * place]
        cell[:] = np.minimum(cell, 230 - big * 0.8)
    return Frame("two\ndigits.png", image, 1.0)


@pytest.fixture(scope="module")
def reading(frame):
    return Reader(min_confidence=0).read_frame(frame)


def written(line_format, frame, reading) -> str:
    stream = io.StringIO()
    lines = LineSink(stream, line_format)
    lines.write(frame, reading)
    lines.fail(Failure("bad, one.png", "broken"))
    return stream.getvalue()


def make_number(text: str, *, confidence: float, reasons: tuple[str, ...] = ()) -> Number:
    return Number(text, text, not reasons, confidence, (0, 0, 9, 9), 0, 0, (), reasons)


def with_digits(reading, *digits):
    return replace(reading, digits=digits, numbers=find_numbers(digits))


def test_text_is_one_line_per_image(frame, reading):
    text = written("text", frame, reading)
    assert text.startswith("two\\ndigits.png: 18 (")
    assert text.count("\n") == 1
    one, eight = reading.digits
    doubtful = replace(one, accepted=False, confidence=0.7)
    text = format_text(with_digits(reading, doubtful, eight))
    assert text.startswith("two\\ndigits.png: ?8 (")  # it keeps its place
    assert text.endswith(") [?8: digit 1 is doubtful (1 at 70%)]")
    x, y, w, h = eight.box
    below = replace(eight, row=1, confidence=0.98, box=(x, y + 100, w, h))
    text = format_text(with_digits(reading, one, below))
    assert re.fullmatch(r"two\\ndigits.png: 1 / 8 \(at least \d\d\.\d%\)", text)
    cut = replace(eight, accepted=False, cut=True, row=1, confidence=0.5)
    text = format_text(with_digits(reading, one, cut))
    assert text.endswith("%) [not accepted: 8 cut 50.0%]")
    text = format_text(with_digits(reading, cut))
    assert text == "two\\ndigits.png: [not accepted: 8 cut 50.0%]"
    assert format_text(with_digits(reading)) == "two\\ndigits.png: no digit found"
    assert format_text(replace(reading, frame=5)).startswith("two\\ndigits.png #5: 18")
    assert format_text(replace(reading, page=2)).startswith("two\\ndigits.png#2: 18")


def test_text_gathers_numbers_with_the_same_reasons(reading):
    sure = make_number("12", confidence=0.98)
    alike = [
        make_number(text, confidence=low, reasons=("it goes across a line between columns",))
        for text, low in (("34", 0.4), ("56", 0.6))
    ]
    other = make_number("7?", confidence=0.2, reasons=("ink on its right cannot be read",))
    text = format_text(replace(reading, digits=(), numbers=(alike[0], sure, other, alike[1])))
    assert text.endswith(
        " 34 12 7? 56 (1 of 4 complete, 98.0%) [34, 56: it goes across a line between columns]"
        " [7?: ink on its right cannot be read]"
    )
    # Without a complete number, the percentage is the lowest of all.
    text = format_text(replace(reading, digits=(), numbers=tuple(alike)))
    assert " 34 56 (at least 40.0%) [34, 56: " in text


def test_quiet_text_is_the_numbers_alone(reading):
    one, eight = reading.digits
    stream = io.StringIO()
    lines = LineSink(stream, "text", quiet=True)
    lines.write(None, with_digits(reading, one, replace(eight, row=1)))
    lines.write(None, with_digits(reading))
    lines.fail(Failure("bad.png", "broken"))
    assert stream.getvalue() == "1\n8\n\n"


def test_jsonl(frame, reading):
    first, second = map(json.loads, written("jsonl", frame, reading).splitlines())
    assert (first["source"], first["text"]) == ("two\ndigits.png", "18")
    assert second == {"source": "bad, one.png", "error": "broken"}


def test_csv_has_a_record_per_number(frame, reading):
    one, eight = reading.digits
    doubtful = replace(eight, accepted=False, confidence=0.7)
    rows = with_digits(reading, one, replace(doubtful, row=1), replace(one, row=1))
    first, second, failed = csv.DictReader(io.StringIO(written("csv", frame, rows)))
    assert list(first) == [
        "source", "page", "row", "column", "text", "complete", "confidence", "x", "y", "width",
        "height", "reasons", "error", "frame", "time", "position", "event",
    ]  # fmt: skip
    assert (first["text"], first["complete"], first["row"], first["reasons"]) == (
        "1", "true", "0", ""
    )  # fmt: skip
    assert [int(first[name]) for name in ("x", "y", "width", "height")] == list(one.box)
    assert 0.5 < float(first["confidence"]) < 1
    assert second["complete"] == "false"
    assert "digit 2 is doubtful (8 at 70%)" in second["reasons"]
    assert failed == dict.fromkeys(first, "") | {"source": "bad, one.png", "error": "broken"}
    time = datetime(2026, 1, 1, tzinfo=UTC)
    empty = replace(with_digits(reading, doubtful), frame=7, time=time, seconds=0.25)
    (record, _) = csv.DictReader(io.StringIO(written("csv", frame, empty)))
    assert {name: value for name, value in record.items() if value} == {
        "source": "two\ndigits.png", "reasons": "not accepted: 8? 70.0%", "frame": "7",
        "time": "2026-01-01T00:00:00.000+00:00", "position": "0.250",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        *((text, text) for text in ("7", "0", "1984", "-5", "12345678901", "19?4", "?4", "0?", "")),
        *((text, f'="{text}"') for text in (
            "0123", "00", "123456789012", "12.50", "1,5", "-0", "-05", "-?4", "-2.5", '=1"',
        )),
    ],
)  # fmt: skip
def test_what_a_spreadsheet_would_change_is_kept_as_text(text, cell):
    assert keep_text(text) == cell.replace('=1"', '=1""')


@pytest.mark.parametrize(
    ("confidence", "decimals", "text"),
    [
        (0.99999, 1, ">99.9%"),
        (0.9996, 1, ">99.9%"),
        (0.9994, 1, "99.9%"),
        (0.5, 1, "50.0%"),
        (0.996, 0, ">99%"),
        (0.994, 0, "99%"),
        (0.987, 0, "98%"),
        (0.98796, 1, "98.7%"),
        (0.57, 0, "57%"),
        (float(np.float32(0.7)), 1, "70.0%"),
        (0, 0, "0%"),
        (1, 1, ">99.9%"),
    ],
)
def test_confidence_is_never_rounded_up(confidence, decimals, text):
    assert format_confidence(confidence, decimals) == text


@pytest.mark.parametrize("kind", [AnnotatedImageSink, ExplanationSink])
def test_images_of_one_name_do_not_replace_each_other(tmp_path, frame, reading, kind):
    sink = kind(tmp_path / "new")
    for source in ("a/1.png", "b/1.jpg", "c/1.PNG", "/"):
        sink.write(Frame(source, frame.image), reading)
    sink.write(Frame("camera 0", frame.image, number=7), reading)
    sink.write(Frame("scan.tiff", frame.image, page=2), reading)
    paths = sorted((tmp_path / "new").iterdir())
    assert [path.name for path in paths] == [
        "1-2.png", "1-3.png", "1.png", "camera 0-000007.png", "image.png",
        "scan-page2.png",
    ]  # fmt: skip
    assert all(decode_file(path).ndim == 3 for path in paths)


def test_small_images_are_enlarged_and_labelled(frame, one_of_each):
    drawn = draw(one_of_each[5], Reader(min_confidence=0).read(one_of_each[5]))
    assert min(drawn.shape[:2]) >= 400
    assert (drawn == GREEN).all(axis=2).sum() > 100
    nothing = Reader(mode="page").read(np.eye(200, dtype=np.uint8))
    assert explain(frame.image, nothing).ndim == 3


def test_numbers_link_tiles_to_digits_and_a_mark_shows_the_threshold(frame, reading):
    count = len(reading.digits)
    plain, marked = (draw_tiles(reading, 6, min_confidence=at) for at in (None, 0.5))
    assert (plain.shape, (plain != marked).any()) == (marked.shape, True)
    numbered = draw_tiles(reading, 6, numbered=True)
    assert (numbered == BLUE).all(axis=2).sum() > (plain == BLUE).all(axis=2).sum() + 60 * count
    without, explained = (explain(frame.image, reading, at) for at in (None, 0.5))
    tiles = explained[: numbered.shape[0], -numbered.shape[1] - 12 : -12]
    assert tiles.shape == numbered.shape
    left = explained[:, : -numbered.shape[1] - 24]
    assert (left == BLUE).all(axis=2).sum() > 60 * count
    assert explained.shape[0] >= without.shape[0] > numbered.shape[0]  # the legend below


def test_a_rotated_image_is_drawn_rotated(frame, reading):
    drawn = draw(frame.image, replace(reading, turn=90))
    height, width = frame.image.shape
    assert drawn.shape[0] / drawn.shape[1] == pytest.approx(width / height, rel=0.02)


def write_clip(path, frames, reading) -> list[Frame]:
    """The frames of a video of these frames, read again."""
    with VideoSink(path) as sink:
        for frame in frames:
            sink.write(frame, reading)
    return [frame for frame in video_frames(path) if isinstance(frame, Frame)]


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_videos_keep_their_rate_and_follow_each_other(tmp_path, frame, reading, suffix):
    path = tmp_path / "new" / f"seen{suffix}"
    frames = [
        replace(frame, source=name, number=i, seconds=i / 30) for name in "ab" for i in range(12)
    ]
    made = write_clip(path, frames[:12], reading)
    assert len(made) == 12
    assert made[-1].seconds == pytest.approx(11 / 30, abs=0.01)
    assert list(path.parent.iterdir()) == [path]
    assert len(write_clip(path, frames, reading)) == 24


def timed(frame, seconds):
    """Frames of a video at these times, each of another grey."""
    return [
        replace(frame, image=np.full_like(frame.image, 18 * (i % 14)), number=i, seconds=at)
        for i, at in enumerate(seconds)
    ]


VARYING = np.cumsum([0, 1.5, *[1 / 30, 1 / 20, 1 / 30] * 4])
"""Times of frames, of which the first is shown for long."""


def test_no_frame_of_a_varying_rate_is_left_out(tmp_path, frame, reading):
    frames = timed(frame, VARYING)
    made = write_clip(tmp_path / "seen.avi", frames, reading)
    shown = [round(one.image[-2, -2].mean() / 18) for one in made]
    assert sorted(set(shown)) == list(range(len(frames)))
    begun = [made[shown.index(i)].seconds for i in range(len(frames))]
    assert begun == pytest.approx(VARYING, abs=1 / 30)


def test_where_memory_is_limited_the_rate_is_that_of_the_first_steps(
    tmp_path, frame, reading, monkeypatch
):
    monkeypatch.setattr("digitkit.sinks.video_file.WAITING_BYTES", 1)
    assert len(write_clip(tmp_path / "seen.avi", timed(frame, VARYING), reading)) < 4


@pytest.mark.parametrize(("rate", "late"), [(60, 0), (24, 0), (30, 0.0325)])
def test_a_rate_is_that_of_most_steps(tmp_path, frame, reading, rate, late):
    """Times are rounded to milliseconds, or one frame is late."""
    seconds = [round(i / rate, 3) for i in range(60)]
    seconds[30] += late
    made = write_clip(tmp_path / "seen.avi", timed(frame, seconds), reading)
    assert len(made) == pytest.approx(60, abs=1)


def test_a_cameras_frames_are_shown_until_the_next(tmp_path, frame, reading):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    # A gap of half a second; one of an hour, as after a reconnection; and a clock that is set back.
    taken = [0, 0.1, 0.6, 3600, 3600.1, 100, 100.1]
    frames = [
        replace(frame, number=i, time=start + timedelta(seconds=t)) for i, t in enumerate(taken)
    ]
    made = write_clip(tmp_path / "seen.avi", frames, reading)
    assert len(made) == pytest.approx(VideoSink.LIVE_FPS * 0.8 + 3, abs=1)


def test_images_of_several_sizes_are_fitted_into_one_video(tmp_path, frame, reading):
    wide, tall = (
        replace(frame, image=cv2.resize(frame.image, size)) for size in ((1200, 500), (500, 1200))
    )
    made = write_clip(tmp_path / "seen.avi", [wide, tall], reading)
    assert made[0].image.shape == made[-1].image.shape == (500, 1200, 3)
    assert made[-1].image[:, :400].max() < 30  # beside the tall one
    assert made[-1].image[:, 500:700].mean() > 100
    assert len(made) == 2 * round(VideoSink.IMAGE_SECONDS * VideoSink.LIVE_FPS)


def test_frames_without_times_are_shown_for_one_frames_time(tmp_path, frame, reading):
    untimed = [replace(frame, number=number, seconds=None) for number in range(5)]
    made = write_clip(tmp_path / "seen.avi", [frame, *untimed], reading)
    assert len(made) == round(VideoSink.IMAGE_SECONDS * VideoSink.LIVE_FPS) + 5


def test_a_video_that_is_not_completed_leaves_no_file(tmp_path, frame, reading, monkeypatch):
    with pytest.raises(KeyboardInterrupt), VideoSink(tmp_path / "seen.mp4") as sink:
        sink.write(frame, reading)
        raise KeyboardInterrupt
    with VideoSink(tmp_path / "none.mp4"):
        pass  # not a single frame
    monkeypatch.setattr(
        containers, "check_container", lambda file: "truncated"
    )  # as on a full disk
    error_of(OutputError, write_clip, tmp_path / "seen.avi", [frame], reading)
    monkeypatch.setattr(cv2.VideoWriter, "isOpened", lambda self: False)
    error_of(OutputError, write_clip, tmp_path / "seen.avi", [frame], reading)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["seen.gif", "\udcff.mp4", "taken/seen.mp4"])
def test_a_video_that_cannot_be_written(tmp_path, frame, reading, name):
    (tmp_path / "taken").write_text("")
    error_of(OutputError, write_clip, tmp_path / name, [frame], reading)


def test_no_screen_is_one_clear_error(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert "--annotate" in str(error_of(MissingDependencyError, WindowSink, lambda: None))
