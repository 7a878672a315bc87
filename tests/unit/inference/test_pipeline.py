"""From outcomes to sinks: tracking, failures, rules for rows, and worker processes."""

import os
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from support.errors import error_of
from support.readings import make_digit, make_reading

from digitkit.errors import SourceError
from digitkit.inference import pipeline
from digitkit.inference.workers import read_with_workers
from digitkit.reading import fields
from digitkit.reading.fields import Field
from digitkit.reading.reader import Reader
from digitkit.reading.results import Reading
from digitkit.sources.frames import Failure, Frame


class Kept:
    """A sink that remembers."""

    def __init__(self, wants_every_frame: bool = False) -> None:
        self.wants_every_frame = wants_every_frame
        self.read: list[tuple[int | None, str]] = []
        self.failed: list[Failure] = []

    def write(self, frame: Frame, reading: Reading) -> None:
        self.read.append((frame.number, reading.text))

    def fail(self, failure: Failure) -> None:
        self.failed.append(failure)


def outcome(text: str, number: int | None = None, source: str = "camera 0"):
    """A frame, and the reading of this number in it."""
    digits = [make_digit({int(digit): 0.991}, 40 * i) for i, digit in enumerate(text)]
    frame = Frame(source, np.zeros((28, 28), np.uint8), number=number)
    return frame, make_reading(*digits, source=source, frame=number)


def deliver(outcomes, *sinks, **options):
    failures: list[Failure] = []
    summary = pipeline.deliver(
        outcomes, sinks, on_failure=failures.append, min_confidence=0.5, **options
    )
    return summary, failures


def test_images_and_failures_are_all_reported():
    sink = Kept()
    bad = Failure("b.png", "broken")
    summary, failures = deliver([outcome("1", source="a.png"), bad, outcome("")], sink, hold=5)
    assert sink.read == [(None, "1"), (None, "")]
    assert sink.failed == failures == [bad]
    assert (summary.images, summary.failures) == (2, 1)


def test_stable_frames_are_reported_once_and_all_are_shown():
    lines, video, raw = Kept(), Kept(wants_every_frame=True), Kept()
    outcomes = [outcome("42", i) for i in range(6)]
    deliver(outcomes, lines, video, hold=3)
    deliver(outcomes, raw, hold=3, every_frame=True)
    assert lines.read == [(2, "42")]
    assert len(video.read) == len(raw.read) == 6


def test_each_video_is_tracked_on_its_own():
    sink = Kept()
    clips = [outcome("7", i, name) for name in ("a.mp4", "b.mp4") for i in range(3)]
    deliver(clips, sink, hold=2)
    assert sink.read == [(1, "7"), (1, "7")]


@pytest.mark.parametrize(("text", "expected"), [("42", []), ("423", [(1, "423")])])
def test_rows_are_checked_after_tracking(text, expected):
    sink = Kept()
    deliver([outcome(text, i) for i in range(4)], sink, hold=2, number_rule=Field(expect=3))
    assert sink.read == expected


def test_a_slow_pattern_fails_its_image_only(monkeypatch):
    monkeypatch.setattr(fields, "MATCH_SECONDS", 0.05)
    sink = Kept()
    images = [outcome("12", source="a.png"), outcome("1" * 60, source="b.png"), outcome("3")]
    summary, (failure,) = deliver(images, sink, number_rule=Field(pattern=r"(\d|\d\d)+[23]|3"))
    assert (summary.images, failure.source, len(sink.read)) == (2, "b.png", 2)


def test_workers_keep_the_order_and_leave_videos_to_this_process(digit_file, tmp_path):
    video, failure = tmp_path / "none.mp4", Failure("none", "no such")
    video.write_bytes(b"no video")
    items: list[Path | Failure] = [digit_file(i, f"{i}.png") for i in range(5)]
    items[2:2] = [failure, video]
    make = partial(Reader, "digits-tiny", min_confidence=0.0)
    made = list(read_with_workers(make, items, 2, keep_images=False))
    assert made.pop(2) == failure
    failed = made.pop(2)
    assert (type(failed), failed.source) == (Failure, str(video))
    assert [reading.text for _, reading in made] == list("01234")
    assert all(frame.image.shape == (1, 1) for frame, _ in made)


@pytest.mark.parametrize("count", [1, 30])
def test_a_worker_that_dies_is_one_clear_error(digit_file, count):
    path = digit_file(1, "1.png")

    def slowly():
        for i in range(count):
            time.sleep(0.1 if i else 0)
            yield path

    dies = partial(os._exit, 9)
    error = error_of(SourceError, list, read_with_workers(dies, slowly(), 1, keep_images=False))
    assert "1.png" in str(error)
    assert "--workers" in error.hint


def test_an_image_that_cannot_be_read_does_not_stop_the_rest(one_of_each):
    plain = Frame("plain.png", np.full((90, 90), 7, np.uint8))
    good = replace(plain, source="good.png", image=one_of_each[3])
    bad, (_, reading) = pipeline.read_each(Reader(min_confidence=0), [plain, good])
    assert (type(bad), bad.source, reading.text) == (Failure, "plain.png", "3")
