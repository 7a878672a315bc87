"""Digits that were cut out too small, or twice, are cut out again."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from digitkit import Reader
from digitkit.images.cv import cv2
from digitkit.reading import pages
from digitkit.reading.detections import Detection
from digitkit.reading.line_reader import HEIGHT, NONE
from digitkit.reading.lines import Line
from digitkit.reading.strips import Strip

SIDE = 60  # of a digit's cell; its ink is 20/28 of that
LEFTS = range(30, 330, 46)


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(mode="page")


@pytest.fixture
def detect(monkeypatch):
    """Lets a function change the detection at a place from the left into others."""

    def install(place: int, change) -> None:
        detect_digits = pages.detect_digits

        def changed(image, detector):
            found = sorted(detect_digits(image, detector), key=lambda each: each.box)
            return [*found[:place], *change(found[place]), *found[place + 1 :]]

        monkeypatch.setattr(pages, "detect_digits", changed)

    return install


def write(text: str, digits) -> np.ndarray:
    """A row of digits, dark on light paper."""
    ink = np.zeros((160, LEFTS[len(text) - 1] + 120), np.uint8)
    for char, left in zip(text, LEFTS, strict=False):
        part = ink[50 : 50 + SIDE, left : left + SIDE]
        big = cv2.resize(digits[int(char)], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        np.maximum(part, big, out=part)
    return (235 - 0.8 * ink).astype(np.uint8)


def cut(detection: Detection, left: float, top: float, right: float, bottom: float) -> Detection:
    """A part of a detection, as fractions of its box."""
    x, y, w, h = detection.box
    rows, columns = detection.ink.shape
    ink = detection.ink[
        round(top * rows) : round(bottom * rows), round(left * columns) : round(right * columns)
    ]
    box = (
        x + round(left * w), y + round(top * h), round((right - left) * w),
        round((bottom - top) * h),
    )  # fmt: skip
    return replace(detection, box=box, ink=np.ascontiguousarray(ink))


@pytest.mark.parametrize(
    ("digit", "part"),
    [
        (4, (0.3, 0, 1, 1)),
        (0, (0.3, 0, 1, 1)),
        (0, (0, 0, 0.7, 1)),
        (8, (0, 0, 0.7, 1)),
    ],
)
def test_ink_that_a_detection_left_out_belongs_to_its_digit(
    reader, one_of_each, detect, digit, part
):
    image = write(f"28{digit}53", one_of_each)
    whole = reader.read(image).digits[2]
    detect(2, lambda found: [cut(found, *part)])
    reading = reader.read(image)
    (number,) = reading.numbers
    assert (number.text, number.complete) == (f"28{digit}53", True)
    assert np.abs(np.subtract(reading.digits[2].box, whole.box)).max() <= 4


@pytest.mark.parametrize(
    ("digit", "parts"),
    [
        (6, [(0, 0, 0.4, 1), (0.3, 0.3, 1, 1)]),
        (4, [(0, 0, 0.5, 0.6), (0.3, 0, 1, 1)]),
        (9, [(0, 0, 1, 0.5), (0, 0, 1, 1)]),
    ],
)
def test_a_digit_that_was_detected_twice_is_one(reader, one_of_each, detect, digit, parts):
    image = write(f"28{digit}53", one_of_each)
    detect(2, lambda found: [cut(found, *part) for part in parts])
    (number,) = reader.read(image).numbers
    assert number.text == f"28{digit}53" or not number.complete
    assert sum(each.accepted for each in number.digits) <= 5


def test_digits_that_touch_stay_two(reader, one_of_each):
    image = write("2453", one_of_each)
    cv2.line(image, (85, 80), (150, 80), 40, 3)
    (number,) = reader.read(image).numbers
    assert number.text == "2453" or not number.complete


@pytest.mark.parametrize(("digit", "count"), [(3, 1), (1, 2)])
def test_alike_digits_closer_than_strokes_are_one_unless_they_are_ones(digit, count):
    probabilities = np.zeros((NONE + 1, 40), np.float32)
    probabilities[NONE] = 1
    for columns, likely in ((slice(10, 12), 0.74), (slice(13, 15), 0.69)):
        probabilities[:, columns] = 0
        probabilities[digit, columns], probabilities[NONE, columns] = likely, 1 - likely
    strip = cast("Strip", SimpleNamespace(unit=28.0, shape=(HEIGHT, 80)))
    assert [peak.digit for peak in Line(strip, probabilities).peaks] == [digit] * count


@pytest.mark.parametrize("digit", [7, 8])
def test_a_drawing_that_touches_a_digit_is_no_part_of_it(reader, one_of_each, digit):
    image = write(f"28{digit}53", one_of_each)
    cv2.polylines(
        image, [np.array([(166, 66), (178, 44), (200, 34), (250, 30)], np.int32)], False, 47, 3
    )
    heights = [each.box[3] for each in reader.read(image).digits if each.accepted]
    assert max(heights) <= 52
