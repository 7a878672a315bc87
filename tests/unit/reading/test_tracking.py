from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.errors import error_of

from digitkit.errors import ConfigError
from digitkit.reading.results import Digit, Reading, Timings
from digitkit.reading.tracking import MAX_MISSING, Tracker


def digit(value: int, x: int, confidence: float = 0.99, is_digit: float = 1.0) -> Digit:
    shares = np.full(10, (1 - confidence) / 9, np.float32)
    shares[value] = confidence
    return Digit(
        digit=value, confidence=confidence * is_digit, box=(x, 50, 30, 60), row=0,
        accepted=confidence * is_digit >= 0.9, image=np.zeros((28, 28), np.uint8),
        probabilities=shares, is_digit=is_digit,
    )  # fmt: skip


def reading(*digits: Digit, frame: int = 0) -> Reading:
    return Reading("camera 0", tuple(digits), Timings(0, 0, 0, 0), frame)


def reports(tracker: Tracker, readings) -> list[tuple[int, str]]:
    """The frames that report a number, and the numbers."""
    reported = []
    for i, frame in enumerate(readings):
        followed = tracker.follow(frame)
        if tracker.report(followed):
            reported.append((i, followed.text))
    return reported


def test_a_number_is_reported_once_it_is_stable():
    page = reading(digit(4, 10), digit(2, 60))
    assert reports(Tracker(3, 0.9), [page] * 10) == [(2, "42")]
    assert reports(Tracker(1, 0.9), [page] * 10) == [(0, "42")]


def test_the_same_number_is_new_again_after_it_was_gone():
    page, empty = reading(digit(4, 10)), reading()
    reported = reports(Tracker(2, 0.9), [page] * 4 + [empty] * (MAX_MISSING + 3) + [page] * 4)
    assert [text for _, text in reported] == ["4", "4"]


def test_one_bad_frame_changes_nothing():
    good = reading(digit(7, 10), digit(1, 60))
    misread = reading(digit(1, 10, 0.95), digit(1, 60))
    hidden = reading(digit(1, 60))
    reported = reports(Tracker(3, 0.6), [good] * 5 + [misread] + [good] * 5 + [hidden] + [good] * 5)
    assert reported == [(2, "71")]


def test_a_digit_that_moves_is_the_same_digit():
    steps = [reading(digit(3, 10 + 12 * i)) for i in range(12)]
    assert reports(Tracker(3, 0.9), steps) == [(2, "3")]


def test_neighbours_are_not_mixed_up_while_the_camera_moves():
    tracker = Tracker(3, 0.6)
    for shift in (*range(0, 180, 12), *range(180, -30, -14)):
        followed = tracker.follow(reading(digit(1, 10 + shift), digit(7, 30 + shift)))
        assert followed.text == "17"


def test_a_leap_of_the_scene_doubles_nothing():
    left = [reading(digit(4, 10), digit(2, 50))] * 4
    right = [reading(digit(4, 610), digit(2, 650))] * 4
    tracker = Tracker(1, 0.6)
    assert {tracker.follow(frame).text for frame in left + right} == {"42"}


def test_a_number_that_changes_is_reported_again():
    reported = reports(Tracker(2, 0.6), [reading(digit(3, 10))] * 6 + [reading(digit(8, 10))] * 8)
    assert [text for _, text in reported] == ["3", "8"]


def test_doubts_are_averaged():
    doubtful = [reading(digit(5, 10, c)) for c in (0.95, 0.7, 0.97, 0.96, 0.97)]
    tracker = Tracker(2, 0.85)
    last = [tracker.follow(frame) for frame in doubtful][-1].digits[0]
    assert 0.85 < last.confidence < 0.97
    assert last.accepted
    assert last.confidence == pytest.approx(float(last.probabilities[5]) * last.is_digit, abs=1e-6)


def test_a_cut_digit_is_never_accepted():
    cut = replace(digit(9, 0), cut=True, accepted=False)
    assert not Tracker(1, 0.5).follow(reading(cut)).digits[0].accepted


def test_a_number_with_a_digit_in_doubt_must_be_stable_for_longer():
    page = [reading(digit(4, 10), digit(2, 60, 0.7))] * 8
    assert reports(Tracker(2, 0.9), page) == [(5, "4")]
    far = [reading(digit(4, 10), digit(2, 400, 0.7))] * 8
    assert reports(Tracker(2, 0.9), far) == [(1, "4")]
    sure = [reading(digit(4, 10), digit(2, 60))] * 8
    assert reports(Tracker(2, 0.9), page[:3] + sure)[0][1] == "42"


def test_clutter_stays_clutter():
    followed = Tracker(1, 0.9).follow(reading(digit(9, 0, is_digit=0.3)))
    assert followed.text == ""
    assert followed.digits[0].is_digit == pytest.approx(0.3, abs=1e-6)


def test_hold_is_checked():
    assert error_of(ConfigError, Tracker, 0, 0.9).field == "hold"
