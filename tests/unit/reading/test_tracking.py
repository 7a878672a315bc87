from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from digitkit.reading.results import Digit, Reading, Timings
from digitkit.reading.tracking import PATIENCE, Tracker


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


def reports(steady: Tracker, readings) -> list[tuple[int, str]]:
    told = []
    for i, one in enumerate(readings):
        followed = steady.follow(one)
        if steady.report(followed):
            told.append((i, followed.text))
    return told


def test_a_text_is_reported_once_when_it_has_held():
    page = reading(digit(4, 10), digit(2, 60))
    assert reports(Tracker(3, 0.9), [page] * 10) == [(2, "42")]
    assert reports(Tracker(1, 0.9), [page] * 10) == [(0, "42")]


def test_the_same_number_is_news_again_after_it_was_gone():
    page, empty = reading(digit(4, 10)), reading()
    told = reports(Tracker(2, 0.9), [page] * 4 + [empty] * (PATIENCE + 3) + [page] * 4)
    assert [text for _, text in told] == ["4", "4"]


def test_one_bad_frame_changes_nothing():
    good = reading(digit(7, 10), digit(1, 60))
    misread = reading(digit(1, 10, 0.95), digit(1, 60))
    hidden = reading(digit(1, 60))
    told = reports(Tracker(3, 0.6), [good] * 5 + [misread] + [good] * 5 + [hidden] + [good] * 5)
    assert told == [(2, "71")]


def test_a_digit_that_moves_is_the_same_digit():
    steps = [reading(digit(3, 10 + 12 * i)) for i in range(12)]
    steady = Tracker(3, 0.9)
    assert reports(steady, steps) == [(2, "3")]
    assert len(steady.follow(steps[-1]).digits) == 1


def test_neighbours_are_not_mixed_up_while_the_camera_moves():
    steady = Tracker(3, 0.6)
    for i in range(15):
        shift = 12 * i
        followed = steady.follow(reading(digit(1, 10 + shift), digit(7, 30 + shift)))
        assert followed.text == "17"
    for i in range(15):
        shift = 180 - 14 * i
        followed = steady.follow(reading(digit(1, 10 + shift), digit(7, 30 + shift)))
        assert followed.text == "17"


def test_a_leap_of_the_scene_doubles_nothing():
    left = [reading(digit(4, 10), digit(2, 50))] * 4
    right = [reading(digit(4, 610), digit(2, 650))] * 4
    steady = Tracker(1, 0.6)
    assert {steady.follow(one).text for one in left + right} == {"42"}


def test_a_number_that_changes_is_reported_anew():
    told = reports(Tracker(2, 0.6), [reading(digit(3, 10))] * 6 + [reading(digit(8, 10))] * 8)
    assert [text for _, text in told] == ["3", "8"]


def test_doubts_are_averaged():
    doubtful = [reading(digit(5, 10, c)) for c in (0.95, 0.7, 0.97, 0.96, 0.97)]
    steady = Tracker(2, 0.85)
    last = [steady.follow(one) for one in doubtful][-1].digits[0]
    assert 0.85 < last.confidence < 0.97
    assert last.accepted
    assert last.confidence == pytest.approx(float(last.probabilities[5]) * last.is_digit, abs=1e-6)


def test_what_the_border_cuts_is_never_accepted():
    cut = replace(digit(9, 0), cut=True, accepted=False)
    steady = Tracker(1, 0.5)
    assert not steady.follow(reading(cut)).digits[0].accepted


def test_a_text_with_a_digit_in_doubt_must_hold_longer():
    page = [reading(digit(4, 10), digit(2, 60, 0.7))] * 8
    assert reports(Tracker(2, 0.9), page) == [(5, "4")]
    far = [reading(digit(4, 10), digit(2, 400, 0.7))] * 8
    assert reports(Tracker(2, 0.9), far) == [(1, "4")]
    sure = [reading(digit(4, 10), digit(2, 60))] * 8
    assert reports(Tracker(2, 0.9), page[:3] + sure)[0][1] == "42"


def test_clutter_stays_clutter():
    steady = Tracker(1, 0.9)
    followed = steady.follow(reading(digit(9, 0, is_digit=0.3)))
    assert followed.text == ""
    assert followed.digits[0].is_digit == pytest.approx(0.3, abs=1e-6)


def test_hold_is_checked():
    with pytest.raises(ValueError, match="hold is 0"):
        Tracker(0, 0.9)
