"""From outcomes to sinks: tracking, failures, rules for rows, and worker processes."""

import errno
import itertools
import os
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from support.documents import pages_of, without_tag, write_tiff
from support.errors import error_of
from support.readings import make_digit, make_reading

from digitkit.errors import ImageError, ModelRunError, SourceError, WorkerError
from digitkit.images.cv import cv2
from digitkit.inference import pipeline, workers
from digitkit.inference.pipeline import Reporting, read_each
from digitkit.inference.worker import ResultFormat
from digitkit.reading.numbers import fields
from digitkit.reading.numbers.fields import Field
from digitkit.reading.reader import Reader
from digitkit.reading.results import Reading
from digitkit.reading.strategies import SingleDigitStrategy
from digitkit.sources.files import read_frames
from digitkit.sources.frames import Failure, Frame
from digitkit.sources.items import ImageBytes, PageOfFile


def read_with_workers(make, items, count, **options):
    """The outcomes of images that several processes read."""
    for result in workers.read_with_workers(make, items, count, ResultFormat(), **options):
        yield from result


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


def test_the_border_of_a_turned_camera_is_that_of_the_upright_frame():
    """A number that moves inwards, where the frame would end if it were not turned."""
    kept = Kept()
    outcomes = []
    for i in range(8):
        left = 450 - 3 * i
        digits = [make_digit({4: 0.991}, left), make_digit({0: 0.991}, left + 45)]
        reading = replace(make_reading(*digits, frame=i), turn=90)
        frame = Frame("camera 0", np.zeros((640, 480), np.uint8), number=i)
        outcomes.append((frame, reading))
    pipeline.deliver(outcomes, [kept], Reporting(0.9, hold=3), on_failure=kept.failed.append)
    assert kept.read == [(2, "40")]


@pytest.mark.parametrize("batch", [1, 2])
def test_a_model_that_fails_on_an_image_does_not_stop_the_others(monkeypatch, one_of_each, batch):
    frames = [Frame(f"{digit}.png", one_of_each[digit]) for digit in range(6)]
    reader, failing = Reader(), {1}
    classify, calls = reader.classifier.classify, itertools.count()

    def fail_at_times(images):
        if next(calls) in failing:
            raise ModelRunError("fails: out of memory", subject="model.onnx")
        return classify(images)

    monkeypatch.setattr(reader.classifier, "classify", fail_at_times)
    outcomes = list(read_each(reader, frames, batch=batch))
    failed = [each for each in outcomes if isinstance(each, Failure)]
    # The images of a batch are read one by one then.
    assert [(each.source, "out of memory" in each.error) for each in failed] == (
        [("1.png", True)] if batch == 1 else []
    )
    assert len(outcomes) == 6
    calls, failing = itertools.count(), {0}
    with pytest.raises(ModelRunError):  # the next frame of a camera would fail, too
        list(read_each(reader, [replace(frames[0], number=0)]))


def test_an_image_on_which_opencv_fails_does_not_stop_a_batch(monkeypatch, one_of_each):
    frames = [Frame(f"{digit}.png", one_of_each[digit]) for digit in range(4)]
    reader = Reader()
    classify = reader.classifier.classify

    def fail_for_a_one(images):
        if any(np.count_nonzero(image) == np.count_nonzero(ones[0]) for image in images):
            cv2.resize(np.zeros((0, 1), np.uint8), (1, 1))
        return classify(images)

    ones = reader._find(frames[1].grey, SingleDigitStrategy(reader._load_grey)).images
    monkeypatch.setattr(reader.classifier, "classify", fail_for_a_one)
    outcomes = list(read_each(reader, frames, batch=4))
    assert [each.source for each in outcomes if isinstance(each, Failure)] == ["1.png"]
    assert len(outcomes) == 4


def outcome(text: str, number: int | None = None, source: str = "camera 0"):
    """A frame, and the reading of this number in it."""
    digits = [make_digit({int(digit): 0.991}, 40 * i) for i, digit in enumerate(text)]
    frame = Frame(source, np.zeros((28, 28), np.uint8), number=number)
    return frame, make_reading(*digits, source=source, frame=number)


def deliver(outcomes, *sinks, notice=None, **options):
    failures: list[Failure] = []
    reporting = Reporting(0.5, **options)
    summary = pipeline.deliver(
        outcomes, sinks, reporting, on_failure=failures.append, notice=notice
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


def test_videos_of_which_nothing_is_reported_are_named():
    lengths = {"a.mp4": ("7", 2), "b.mp4": ("7", 3), "c.mp4": ("", 3), "d.mp4": ("7", 1)}
    clips = [outcome(text, i, name) for name, (text, n) in lengths.items() for i in range(n)]
    notices: list[str] = []
    deliver(clips, hold=3, notice=notices.append)
    assert [notice.partition(":")[0] for notice in notices] == ["a.mp4", "d.mp4"]
    deliver(clips, hold=3, every_frame=True, notice=notices.append)
    assert len(notices) == 2


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
    made = list(read_with_workers(make, items, 2))
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
    error = error_of(SourceError, list, read_with_workers(dies, slowly(), 1))
    assert "1.png" in str(error)
    assert "--workers" in error.hint


def test_a_worker_that_cannot_be_started(monkeypatch, digit_file):
    def refuse(_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", refuse)
    error = error_of(WorkerError, list, read_with_workers(Reader, [digit_file(1, "1.png")], 2))
    assert "cannot be started: Too many open files" in str(error)
    assert "--workers" in error.hint


class Choosy(Reader):
    """Fails at pages 3."""

    def read_frame(self, frame: Frame) -> Reading:
        if frame.page == 3:
            raise ImageError("does not decode", subject=frame.name)
        return super().read_frame(frame)


def test_an_image_that_cannot_be_read_does_not_stop_the_rest(one_of_each):
    spoilt = Frame("a.tiff", one_of_each[4], page=3)
    good = replace(spoilt, image=one_of_each[3], page=4)
    bad, (_, reading) = pipeline.read_each(Choosy(min_confidence=0), [spoilt, good])
    assert bad == Failure("a.tiff", "does not decode", 3)
    assert (reading.name, reading.text) == ("a.tiff#4", "3")


def test_workers_read_pages_in_order(tmp_path, one_of_each, digit_file):
    scan = write_tiff(tmp_path / "scan.tiff", pages_of(one_of_each, "1234567890" * 2))
    spoilt = tmp_path / "spoilt.tiff"
    spoilt.write_bytes(without_tag(scan.read_bytes(), 3, 273))
    other = digit_file(7, "7.png")
    items = [
        *(other, scan, PageOfFile(scan, 4), spoilt, PageOfFile(spoilt, 3), PageOfFile(scan, 99)),
        *(Failure("x", "lost"), ImageBytes(scan.read_bytes(), "-"), scan.with_name("none"), other),
    ]
    make = partial(Reader, "digits-tiny", mode="page", min_confidence=0)
    outcomes = [
        list(read_each(make(), read_frames(items))),
        *(list(read_with_workers(make, items, count)) for count in (1, 2)),
    ]
    ready = list(read_with_workers(make, items, 2, ordered=False))
    assert Counter(o.name for o in ready if isinstance(o, Failure)) == Counter(
        o.name for o in outcomes[0] if isinstance(o, Failure)
    )
    assert Counter(o[1].name for o in ready if not isinstance(o, Failure)) == Counter(
        o[1].name for o in outcomes[0] if not isinstance(o, Failure)
    )
    names = [
        [
            (o.name, o.error) if isinstance(o, Failure) else (o[1].name, o[1].text, o[0].page)
            for o in of
        ]
        for of in outcomes
    ]
    assert names[0] == names[1] == names[2]
    assert len(names[0]) == 1 + 20 + 1 + 20 + 1 + 1 + 1 + 20 + 1 + 1
    assert names[0][21] == (f"{scan}#4", "4", 4)
    assert [name for name, *rest in names[0] if len(rest) == 1] == [
        *(f"{spoilt}#3", f"{spoilt}#3", f"{scan}#99", "x", str(scan.with_name("none")))
    ]


def test_files_that_are_read_quickly_are_handed_out_together(digit_file, monkeypatch):
    sizes = []
    submit = workers._Pool.submit
    monkeypatch.setattr(
        workers._Pool, "submit", lambda self, files: sizes.append(len(files)) or submit(self, files)
    )
    items = [digit_file(1)] * 300
    assert len(list(read_with_workers(Reader, items, 1))) == 300
    assert sizes[0] == 1
    assert max(sizes) > 8
    assert sum(sizes) == 300


def test_small_images_are_read_together_and_alike(mnist_test):
    reader = Reader()
    sizes = [28, 28, 80, 28, *[28] * 40]
    frames: list[Frame | Failure] = [
        Frame(str(i), np.resize(image, (size, size)) if size != 28 else image)
        for i, (size, image) in enumerate(zip(sizes, mnist_test.images, strict=False))
    ]
    frames[10:10] = [Failure("x", "broken"), Frame("blank", np.zeros((20, 20), np.uint8))]
    calls = []
    classify = reader.classifier.classify
    reader.classifier.classify = lambda images: calls.append(len(images)) or classify(images)
    together = list(read_each(reader, frames, batch=pipeline.BATCH))
    assert max(calls) == pipeline.BATCH - 1  # one of them is blank
    alone = list(read_each(reader, frames))
    assert len(together) == len(alone) == len(frames)
    for a, b in zip(together, alone, strict=True):
        if isinstance(a, Failure):
            assert a == b
        else:
            assert a[0] is b[0]
            assert replace(a[1], ms=b[1].ms).to_json() == b[1].to_json()
