"""Digits over frames, and which numbers are reported, and when."""

from dataclasses import replace

import pytest
from support.errors import error_of
from support.readings import make_digit
from support.readings import make_reading as reading

from digitkit.errors import ConfigError
from digitkit.reading.live.events import EventFinder
from digitkit.reading.live.tracking import MAX_MISSING, Tracker
from digitkit.reading.numbers.fields import Field
from digitkit.reading.numbers.fitting import apply_field
from digitkit.reading.results import Digit, EventKind, Mark, Reading


def digit(value: int, x: int, confidence: float = 0.99, **more: float) -> Digit:
    return make_digit({value: confidence}, x, **more)


Reported = tuple[int, EventKind, str, str | None]


def reports(hold: int, readings, min_confidence=0.6, field=None, size=None) -> list[Reported]:
    """The events of each frame: its number, what happened, to which text, and what was before."""
    tracker, finder, reported = Tracker(min_confidence), EventFinder(hold), []
    for i, frame in enumerate(readings):
        followed = tracker.follow(frame)
        if field is not None:
            followed = apply_field(followed, field)
        events = finder.update(followed, tracker.tracks, size)
        reported += [(i, each.kind, each.number.text, each.previous) for each in events]
    return reported


@pytest.mark.parametrize("hold", [1, 3])
def test_a_number_appears_once_it_is_stable(hold):
    page = reading(digit(4, 10), digit(2, 60))
    assert reports(hold, [page] * 10, 0.9) == [(hold - 1, "appeared", "42", None)]


def test_a_number_changes_disappears_and_appears_again():
    page, other, empty = reading(digit(4, 10)), reading(digit(8, 10)), reading()
    readings = [page] * 4 + [other] * 8 + [empty] * (MAX_MISSING + 6) + [other] * 6
    found = reports(2, readings)
    assert [each[1:] for each in found] == [
        ("appeared", "4", None),
        ("changed", "8", "4"),
        ("disappeared", "8", None),
        ("appeared", "8", None),
    ]
    frames = [each[0] for each in found]
    assert frames[0] == 1
    assert 5 <= frames[1] < 12 < frames[2] <= 12 + MAX_MISSING + 2
    assert frames[3] == len(readings) - 5


def test_numbers_are_reported_one_by_one():
    both = reading(digit(4, 10), digit(2, 400))
    found = reports(2, [reading(digit(4, 10))] * 4 + [both] * 4 + [reading(digit(2, 400))] * 9)
    assert [each[1:3] for each in found] == [
        ("appeared", "4"), ("appeared", "2"), ("disappeared", "4"),
    ]  # fmt: skip


def test_one_bad_frame_changes_nothing():
    good = reading(digit(7, 10), digit(1, 60))
    misread = reading(digit(1, 10, 0.95), digit(1, 60))
    hidden = reading(digit(1, 60))
    frames = [good] * 5 + [misread] + [good] * 5 + [hidden] + [good] * 5
    assert reports(3, frames) == [(2, "appeared", "71", None)]


def test_a_torn_frame_makes_no_number_disappear():
    good, torn = reading(digit(7, 10), digit(1, 60)), reading(digit(9, 500), digit(9, 560))
    frames = [good] * 5 + ([torn] + [good] * 6) * 3
    assert reports(3, frames) == [(2, "appeared", "71", None)]
    elsewhere = reading(digit(7, 510), digit(1, 560))
    assert [each[1] for each in reports(3, [good] * 5 + [torn] + [elsewhere] * 6)] == [
        "appeared", "disappeared", "appeared",
    ]  # fmt: skip


FRAME = 640, 480


def passing(text: str, left: float, top: int = 50) -> Reading:
    """What is to be seen in `FRAME` of a number whose first digit begins at this x."""
    digits = []
    for k, each in enumerate(text):
        x, bottom = round(left + 45 * k), min(top + 60, FRAME[1])
        if 0 <= x <= FRAME[0] - 30 and bottom - max(top, 0) > 20:
            box = (x, max(top, 0), 30, bottom - max(top, 0))
            cut = box[3] < 60
            whole = digit(int(each), x)
            digits.append(replace(whole, box=box, cut=cut, accepted=not cut))
    return reading(*digits)


@pytest.mark.parametrize("step", [1.5, 4])
@pytest.mark.parametrize("way", [1, -1])
def test_a_number_that_passes_is_not_reported_in_parts(way, step):
    count = round(1100 / step)
    lefts = [-200 + step * i if way > 0 else 660 - step * i for i in range(count)]
    found = reports(5, [passing("4072", left) for left in lefts], size=FRAME)
    assert [each[1:3] for each in found] == [("appeared", "4072"), ("disappeared", "4072")]


@pytest.mark.parametrize("way", [1, -1])
def test_a_number_that_passes_from_above_or_below_is_not_reported_in_parts(way):
    tops = [-70 + 2 * i if way > 0 else 490 - 2 * i for i in range(280)]
    found = reports(5, [passing("47", 200, top) for top in tops], size=FRAME)
    assert [each[1:3] for each in found] == [("appeared", "47"), ("disappeared", "47")]


@pytest.mark.parametrize("left", [5, 480])
def test_a_number_that_stands_at_the_border_is_reported(left):
    frames = [passing("407", left)] * 8
    assert reports(5, frames, size=FRAME) == [(4, "appeared", "407", None)]


def test_a_whole_number_that_leaves_is_reported():
    frames = [passing("407", 480 + 2 * i) for i in range(5)]
    assert reports(3, frames, size=FRAME) == [(2, "appeared", "407", None)]


def test_a_number_that_lost_a_digit_far_from_the_border_is_reported():
    frames = [passing("407", 300)] * 4 + [passing("40", 300 + 3 * i) for i in range(86)]
    found = reports(3, frames, size=FRAME)
    assert [each[1:3] for each in found] == [("appeared", "407"), ("changed", "40")]
    frames = [passing("407", 300)] * 4 + [passing("40", 300)] * 4
    frames += [passing("40" if i < 10 else "49", 480 + 3 * i) for i in range(30)]
    assert reports(3, frames, size=FRAME)[-1][1:3] == ("changed", "49")


def test_a_number_that_flickers_is_not_stable():
    page = reading(digit(4, 10))
    frames = ([page] + [reading(digit(7, 500))] * 2) * 12
    assert [each[2] for each in reports(4, frames)] == ["7"]


def test_a_number_that_changes_all_the_time_is_reported():
    frames = [passing(str(683 + i // 7), 10) for i in range(28)]
    assert [each[2] for each in reports(5, frames, 0.9)] == ["683", "684", "685", "686"]


def test_a_doubtful_frame_does_not_begin_the_count_anew():
    clear = reading(digit(4, 10), digit(2, 60))
    doubtful = reading(digit(4, 10, 0.3), digit(2, 60))
    frames = [clear] * 2 + [doubtful] + [clear] * 3  # the average is in doubt for two frames
    assert reports(4, frames, 0.9) == [(5, "appeared", "42", None)]
    assert reports(4, [clear] + [doubtful] * 20, 0.9)[0][2] == "?2"


def test_a_number_disappears_from_where_it_was_last():
    tracker, finder, events = Tracker(0.6), EventFinder(2), []
    moving = [reading(digit(4, 10 + 5 * i), digit(2, 60 + 5 * i)) for i in range(10)]
    for frame in moving + [reading()] * 9:
        events += finder.update(tracker.follow(frame), tracker.tracks)
    assert [(each.kind, each.number.box[0]) for each in events] == [
        ("appeared", 15), ("disappeared", 55),
    ]  # fmt: skip


def test_clutter_where_a_number_was_does_not_keep_it():
    page, clutter = reading(digit(4, 10)), reading(digit(4, 10, is_digit=0.3))
    assert [each[:3] for each in reports(3, [page] * 4 + [clutter] * 12)] == [
        (2, "appeared", "4"), (13, "disappeared", "4"),
    ]  # fmt: skip


def test_a_list_that_scrolls_is_not_another_list():
    texts = ["407", "518", "962", "337", "845", "221"]

    def page(first: int) -> Reading:
        digits = []
        for row, text in enumerate(texts[first : first + 4]):
            for k, each in enumerate(text):
                placed = digit(int(each), 100 + 45 * k)
                digits.append(replace(placed, row=row, box=(placed.box[0], 60 + 80 * row, 30, 60)))
        return reading(*digits)

    found = reports(2, [page(0)] * 4 + [page(1)] * 4 + [page(2)] * 4)
    assert {each[1] for each in found} == {"appeared", "disappeared"}


def test_digits_are_not_mixed_up_while_the_camera_moves():
    shifts = (*range(0, 180, 12), *range(180, -30, -14))
    moving = [reading(digit(1, 10 + shift), digit(7, 30 + shift)) for shift in shifts]
    tracker = Tracker(0.6)
    assert {tracker.follow(frame).text for frame in moving} == {"17"}
    assert reports(3, moving) == [(2, "appeared", "17", None)]


def test_a_leap_of_the_scene_doubles_nothing():
    frames = [reading(digit(4, x), digit(2, x + 40)) for x in (10,) * 4 + (610,) * 4]
    tracker = Tracker(0.6)
    assert {tracker.follow(frame).text for frame in frames} == {"42"}


def test_doubts_are_averaged():
    doubtful = [reading(digit(5, 10, c)) for c in (0.95, 0.7, 0.97, 0.96, 0.97)]
    tracker = Tracker(0.85)
    last = [tracker.follow(frame) for frame in doubtful][-1].digits[0]
    assert 0.85 < last.confidence < 0.97
    assert last.accepted
    assert last.confidence == pytest.approx(float(last.probabilities[5]) * last.is_digit, abs=1e-6)


def test_a_number_in_doubt_must_be_stable_for_longer():
    page = [reading(digit(4, 10), digit(2, 60, 0.7))] * 8
    assert reports(2, page, 0.9) == [(5, "appeared", "4?", None)]
    far = [reading(digit(4, 10), digit(2, 400, 0.7))] * 8
    alone = (5, "appeared", "?", None)
    assert reports(2, far, 0.9) == [(1, "appeared", "4", None), alone]
    sure = [reading(digit(4, 10), digit(2, 60))] * 8
    assert reports(2, page[:3] + sure, 0.9)[0][1:3] == ("appeared", "42")


def test_marks_follow_the_rows_of_tracked_digits():
    tracker = Tracker(0.6)
    tracker.follow(reading(digit(7, 10), digit(5, 60)))
    comma = Mark("comma", (42, 105, 8, 14), row=0)
    followed = tracker.follow(replace(reading(digit(7, 10), digit(5, 60)), marks=(comma,)))
    assert followed.text == "7,5"


def test_clutter_stays_clutter_and_a_cut_digit_is_never_accepted():
    followed = Tracker(0.9).follow(reading(digit(9, 0, is_digit=0.3)))
    assert followed.text == ""
    assert followed.digits[0].is_digit == pytest.approx(0.3, abs=1e-6)
    cut = replace(digit(9, 0), cut=True, accepted=False)
    assert not Tracker(0.5).follow(reading(cut)).digits[0].accepted


def test_hold_is_checked():
    assert error_of(ConfigError, EventFinder, 0).field == "hold"


def test_tilted_rows_keep_their_order():
    # Two rows that fall steeply: 12 and 34. By their boxes alone, 3 stands left of 1.
    level = {1: (0, 0, 20, 40), 2: (40, 0, 20, 40), 3: (0, 60, 20, 40), 4: (40, 60, 20, 40)}
    boxes = {1: (52, 0, 30, 40), 2: (80, 28, 30, 40), 3: (10, 42, 30, 40), 4: (38, 70, 30, 40)}
    tilted = [replace(digit(k, 0), box=boxes[k], level_box=level[k]) for k in (1, 2, 3, 4)]
    followed = Tracker(0.6).follow(reading(*tilted))
    assert [each.digit for each in followed.digits] == [1, 2, 3, 4]
    assert [each.row for each in followed.digits] == [0, 0, 1, 1]


def test_numbers_that_join_leave_none_behind():
    digits = [digit(value, x) for value, x in ((1, 0), (2, 40), (3, 80), (4, 120))]
    joined = reading(*digits)
    apart = replace(joined, marks=(Mark("sign", (73, 0, 3, 200), 0),))
    found = reports(2, [apart] * 4 + [joined] * 6 + [reading()] * (MAX_MISSING + 6))
    assert [each[1:] for each in found] == [
        ("appeared", "12", None), ("appeared", "34", None), ("disappeared", "34", None),
        ("changed", "1234", "12"), ("disappeared", "1234", None),
    ]  # fmt: skip


def test_a_number_that_is_dropped_takes_the_place_of_another():
    fits = reading(digit(5, 0), digit(5, 40), digit(6, 80))
    other = reading(digit(9, 0, 0.999), digit(6, 80, 0.999))
    found = reports(3, [fits] * 5 + [other] * 20, field=Field(pattern=r"5\d\d"))
    assert [each[1:3] for each in found] == [("appeared", "556"), ("disappeared", "556")]
    assert found[1][0] <= 5 + MAX_MISSING + 3 + 3  # while the digits' averages change


def follow_all(*readings: Reading) -> Reading:
    tracker = Tracker(0.6)
    return [tracker.follow(each) for each in readings][-1]


def test_ink_of_a_digit_that_is_missing_for_a_frame_is_no_other_ink():
    one, two, three = digit(1, 0), digit(2, 40), digit(3, 80)
    lost = replace(reading(one, three), marks=(Mark("ink", two.box, 0),))
    assert follow_all(reading(one, two, three), lost).text == "123"


def test_a_doubtful_frame_makes_no_sign_of_a_digit():
    one, two, three = digit(1, 0), digit(2, 40), digit(3, 80)
    blurred = replace(digit(2, 40, 0.55), accepted=False)
    doubtful = replace(reading(one, blurred, three), marks=(Mark("sign", two.box, 0),))
    assert follow_all(reading(one, two, three), doubtful).text == "123"


@pytest.mark.parametrize(("kind", "text"), [("sign", "7 8"), ("line", "7? 8")])
def test_a_slash_and_a_piece_of_a_line_stay_what_they_are(kind, text):
    slash = replace(digit(1, 40), accepted=False)
    frame = replace(reading(digit(7, 0), slash, digit(8, 80)), marks=(Mark(kind, slash.box, 0),))
    followed = follow_all(frame, frame)
    assert followed.text == text
    assert [each.accepted for each in followed.digits] == [True, False, True]
