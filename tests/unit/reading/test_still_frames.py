"""Frames of a stream in which nothing has changed keep the last reading; all others are read."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from support.readings import make_digit, make_reading

from digitkit.images.cv import cv2
from digitkit.inference.pipeline import read_each
from digitkit.reading.live.streams import KEEP_SECONDS, MIN_SETTLED, StreamReader
from digitkit.sources.frames import Frame

START = datetime(2026, 1, 1, tzinfo=UTC)
PAPER = np.full((480, 640, 3), 200.0)


class Counted:
    """A reader that counts, and reads each frame as one of these texts in turn."""

    def __init__(self, *texts: str) -> None:
        self.texts, self.read = texts or ("7",), 0

    def read_frame(self, frame):
        text = self.texts[self.read % len(self.texts)]
        self.read += 1
        digits = [make_digit({int(digit): 0.99}, 40 * i) for i, digit in enumerate(text)]
        return make_reading(*digits, source=frame.source, frame=frame.number)


def camera(seed=0, noise=3.0):
    """A function that takes one frame after the other of a scene, 30 a second, with noise."""
    rng = np.random.default_rng(seed)
    number = -1

    def take(scene=PAPER, source="camera 0", step=1, **values):
        nonlocal number
        number += step
        pixels = np.clip(scene + rng.normal(0, noise, scene.shape), 0, 255).astype(np.uint8)
        values.setdefault("time", START + timedelta(seconds=number / 30))
        return Frame(source, pixels, 1.5, number, **values)

    return take


def settled(reader, take, **how):
    """A stream's reader that has read a still scene often enough."""
    stream = StreamReader(reader)
    for _ in range(MIN_SETTLED):
        stream.read(take(**how))
    assert reader.read == MIN_SETTLED
    return stream


def written(image, contrast, height=12):
    """The paper with a digit in thin strokes, darker than the paper by `contrast`."""
    stroke = np.zeros((8 * height, 8 * height), np.uint8)
    cv2.polylines(stroke, [np.array([[16, 10], [70, 10], [36, 86]])], False, 255, 9, cv2.LINE_AA)
    ink = cv2.resize(stroke, (height, height), interpolation=cv2.INTER_AREA)[:, :, None] / 255
    scene = image.copy()
    scene[301 : 301 + height, 402 : 402 + height] -= contrast * ink
    return scene


def test_a_still_frame_keeps_the_reading_with_its_own_number_time_and_timings():
    reader, take = Counted(), camera()
    stream = settled(reader, take)
    frame = take()
    reading = stream.read(frame)
    assert reader.read == MIN_SETTLED
    assert (reading.text, reading.frame, reading.time) == ("7", frame.number, frame.time)
    assert reading.ms.decode == 1.5
    assert reading.ms.locate > 0
    assert (reading.ms.normalise, reading.ms.classify) == (0, 0)


@pytest.mark.parametrize("noise", [0.0, 2.0, 4.0])
def test_noise_and_flickering_light_are_no_change(noise):
    reader, take = Counted(), camera(noise=noise)
    stream = settled(reader, take)
    for k in range(20):
        stream.read(take(PAPER + (-4, 4)[k % 2]))
    assert reader.read == MIN_SETTLED


@pytest.mark.parametrize("contrast", [40, -40])
@pytest.mark.parametrize("noise", [2.0, 4.0])
def test_a_small_faint_digit_is_a_change_when_it_appears_and_when_it_goes(contrast, noise):
    reader, take = Counted(), camera(noise=noise)
    with_digit = written(PAPER, contrast)
    for before, after in ((PAPER, with_digit), (with_digit, PAPER)):
        reader.read = 0
        settled(reader, take, scene=before).read(take(after))
        assert reader.read == MIN_SETTLED + 1


def test_ink_that_appears_slowly_is_compared_with_the_last_frame_that_was_read():
    reader, take = Counted(), camera()
    stream = settled(reader, take)
    for contrast in range(1, 25):
        stream.read(take(written(PAPER, 2 * contrast)))
    assert reader.read > MIN_SETTLED


def test_every_frame_is_read_until_readings_agree():
    reader, take = Counted("7", "7", "1"), camera()
    stream = StreamReader(reader)
    for _ in range(20):
        stream.read(take())
    assert reader.read == 20


@pytest.mark.parametrize("clock", ["time", "seconds", "number"])
def test_a_still_scene_is_read_anew_after_a_second(clock):
    reader, take = Counted(), camera()
    count = round(3 * KEEP_SECONDS * 30)
    stream = StreamReader(reader)
    for k in range(count):
        values = {"time": None, "seconds": k / 30 if clock == "seconds" else None}
        stream.read(take(**({} if clock == "time" else values)))
    assert MIN_SETTLED + 2 <= reader.read <= MIN_SETTLED + 3


def test_a_clock_that_was_set_back_keeps_nothing():
    reader, take = Counted(), camera()
    settled(reader, take).read(take(time=START - timedelta(hours=1)))
    assert reader.read == MIN_SETTLED + 1


def test_sources_do_not_mix_and_files_are_always_read():
    reader, take = Counted(), camera()
    stream = settled(reader, take)
    assert stream.read(take(source="camera 1")).source == "camera 1"
    assert stream.read(take()).source == "camera 0"
    for _ in range(MIN_SETTLED + 3):
        stream.read(Frame("page.png", PAPER.astype(np.uint8)))
    assert reader.read == 2 * MIN_SETTLED + 5


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (1080, 1920, 3)])
def test_frames_of_any_size_and_a_change_of_size(shape):
    reader, take = Counted(), camera()
    stream = settled(reader, take, scene=np.full(shape, 90.0))
    stream.read(take(np.full(shape, 90.0)))
    assert reader.read == MIN_SETTLED
    stream.read(take())
    assert reader.read == MIN_SETTLED + 1


def test_the_pipeline_reads_streams_so():
    reader, take = Counted(), camera()
    outcomes = list(read_each(reader, (take() for _ in range(20))))
    assert [reading.frame for _, reading in outcomes] == list(range(20))
    assert reader.read == MIN_SETTLED
