"""Digits that were cut out too small, or twice, are cut out again."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from support.readings import make_digit
from support.rows import write_row

from digitkit.images.cv import cv2
from digitkit.models.classifier import Prediction
from digitkit.reading.detection.detections import ClassifiedDetection, Detection
from digitkit.reading.digits import resegmentation
from digitkit.reading.networks.line_reader import HEIGHT, NONE
from digitkit.reading.rows.layout import RowDigit
from digitkit.reading.rows.lines import Peak, TextLine
from digitkit.reading.rows.matching import _match_peaks
from digitkit.reading.rows.strip_ink import Ink
from digitkit.reading.rows.strips import Strip


@pytest.fixture
def detect(detect_only):
    """Lets a function change the detection at a place from the left into others."""

    def install(place: int, change) -> None:
        detect_only(lambda found: [*found[:place], *change(found[place]), *found[place + 1 :]])

    return install


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
    image = write_row(f"28{digit}53", one_of_each)
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
        (6, [(0, 0, 0.5, 0.6), (0.45, 0, 1, 1)]),  # ink is left out, too
        (4, [(0, 0, 0.5, 0.6), (0.3, 0, 1, 1)]),
        (9, [(0, 0, 1, 0.5), (0, 0, 1, 1)]),
    ],
)
def test_a_digit_that_was_detected_twice_is_one(reader, one_of_each, detect, digit, parts):
    image = write_row(f"28{digit}53", one_of_each)
    detect(2, lambda found: [cut(found, *part) for part in parts])
    (number,) = reader.read(image).numbers
    assert (number.text, number.complete) == (f"28{digit}53", True)


def test_a_second_box_in_a_digit_that_is_not_joined_is_in_doubt(
    reader, one_of_each, detect, monkeypatch
):
    monkeypatch.setattr(resegmentation, "_confirm", lambda *_: None)
    detect(2, lambda found: [cut(found, 0, 0, 0.4, 1), cut(found, 0.2, 0, 1, 1)])
    (number,) = reader.read(write_row("28653", one_of_each)).numbers
    assert not number.complete


@pytest.mark.parametrize("pair", ["38", "26", "53"])
def test_digits_that_touch_stay_two(reader, one_of_each, detect, pair):
    image = write_row(f"2{pair}2", one_of_each)
    cv2.line(image, (105, 82), (130, 82), 47, 3)  # joins them
    detect(1, lambda found: [cut(found, 0, 0, 0.6, 1)])
    (number,) = reader.read(image).numbers
    assert number.text == f"2{pair}2" or not number.complete


@pytest.mark.parametrize("text", ["244", "245", "274", "285"])
def test_a_sliver_of_a_digit_at_the_border_is_not_lost(reader, one_of_each, text):
    """It touches its neighbour, and may be more than what is seen of it."""
    image = write_row(text, one_of_each, lefts=(30, 76, 110))[:, :132]
    numbers = reader.read(np.ascontiguousarray(image)).numbers
    assert not any(each.text == text[:2] and each.complete for each in numbers)


@pytest.mark.parametrize("top", [59, 62, 65])
def test_boxes_are_in_the_image(reader, one_of_each, detect, top):
    detect(2, lambda found: [cut(found, 0.3, 0, 1, 1)])
    image = np.ascontiguousarray(write_row("28053", one_of_each)[top:])
    digits = reader.read(image).digits
    assert digits
    for digit in digits:
        x, y, w, h = digit.box
        assert min(x, y) >= 0
        assert x + w <= image.shape[1]
        assert y + h <= image.shape[0]


def seen_as(*likely: tuple[int, float]) -> np.ndarray:
    """What a row shows, float32 [13]."""
    seen = np.full(NONE + 1, 1e-4, np.float32)
    for kind, probability in likely:
        seen[kind] = probability
    return seen / seen.sum()


@pytest.mark.parametrize(
    ("before", "own", "seen", "confirmed"),
    [
        ((6, 0.97), (6, 0.99), ((6, 0.99),), True),
        ((6, 0.70), (6, 0.99), ((6, 0.99),), True),
        ((6, 0.97), (6, 0.40), ((6, 0.99),), False),  # the classifier does not see it
        ((6, 0.97), (6, 0.99), ((NONE, 0.99),), False),  # the row shows nothing
        ((6, 0.999), (6, 0.99), ((6, 0.05), (NONE, 0.95)), False),  # less sure than before
        ((7, 0.92), (2, 0.99), ((2, 0.99),), True),  # a 2 that had lost its tail
        ((7, 0.9999), (2, 0.9), ((2, 0.5), (7, 0.5)), False),
    ],
)
def test_when_ink_is_a_part_of_a_digit(before, own, seen, confirmed):
    digit = make_digit({before[0]: before[1]})
    detection = Detection(digit.box, np.full((60, 30), 255, np.uint8))
    part = resegmentation._Part(0, 0, detection.ink)
    proposal = resegmentation._Proposal(RowDigit(digit, detection), part, detection, seen_as(*seen))
    rest = (1 - own[1]) / 9
    probabilities = np.full(10, rest, np.float32)
    probabilities[own[0]] = own[1]
    prediction = Prediction(own[0], own[1], 1.0, probabilities)
    classified = ClassifiedDetection(detection, digit.image, prediction)
    whole = resegmentation._confirm(proposal, classified, 0.85)
    assert (whole is not None) == confirmed
    assert whole is None or (whole.digit.digit, whole.digit.accepted) == (own[0], True)


@pytest.mark.parametrize("digit", [5, 8])
def test_a_drawing_that_touches_a_digit_is_no_part_of_it(reader, one_of_each, digit):
    image = write_row(f"28{digit}53", one_of_each)
    path = np.array([(166, 66), (178, 44), (200, 34), (250, 30)], np.int32)
    cv2.polylines(image, [path], False, 47, 3)
    heights = [each.box[3] for each in reader.read(image).digits if each.accepted]
    assert max(heights) <= 52


@pytest.mark.parametrize(("digit", "count"), [(3, 1), (1, 2)])
def test_alike_digits_closer_than_strokes_are_one_unless_they_are_ones(digit, count):
    probabilities = np.zeros((NONE + 1, 40), np.float32)
    probabilities[NONE] = 1
    for columns, likely in ((slice(10, 12), 0.74), (slice(13, 15), 0.69)):
        probabilities[:, columns] = 0
        probabilities[digit, columns], probabilities[NONE, columns] = likely, 1 - likely
    strip = cast("Strip", SimpleNamespace(unit=28.0, shape=(HEIGHT, 80)))
    line = TextLine(strip, cast("Ink", None), probabilities)
    assert [peak.digit for peak in line.peaks] == [digit] * count


def test_a_wide_digit_in_which_the_row_shows_two_is_matched_with_its_own(one_of_each):
    box = 20, 0, 24, 28
    digit = replace(make_digit({9: 0.99}), box=box)
    row_digit = RowDigit(digit, Detection(box, one_of_each[9]))
    middle = np.array([[32.0, 0.0]])
    strip = cast("Strip", SimpleNamespace(unit=28.0, locate=lambda boxes: middle))
    classes = np.eye(NONE + 1, dtype=np.float32)
    nine, one = Peak(24.5, classes[9]), Peak(33.0, classes[1])
    assert _match_peaks(strip, [row_digit], [nine, one]) == [row_digit, None]
