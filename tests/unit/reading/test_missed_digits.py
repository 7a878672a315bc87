"""The second look: digits that the detector missed, or took only a part of."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from support.rows import write_row

from digitkit.images.cv import cv2
from digitkit.images.orientation import rotate_freely
from digitkit.reading.networks.line_reader import SPOILED


@pytest.mark.parametrize("places", [{0}, {2}, {4}, {0, 1}, {3, 4}, {1, 3}])
@pytest.mark.parametrize("degrees", [0, 20])
def test_digits_that_were_not_detected_are_read(reader, one_of_each, detect_only, places, degrees):
    image = write_row("28402", one_of_each)
    if degrees:
        image = rotate_freely(image, degrees, 235)[0]
    detect_only(lambda found: [each for i, each in enumerate(found) if i not in places])
    (number,) = reader.read(image).numbers
    assert (number.text, number.complete) == ("28402", True)


@pytest.mark.parametrize("known", [0, 3, 7])
def test_of_a_long_number_nothing_is_lost_in_silence(reader, one_of_each, detect_only, known):
    image = write_row("28402573", one_of_each, lefts=range(30, 400, 46))
    detect_only(lambda found: found[known : known + 1])
    (number,) = reader.read(image).numbers
    assert number.text == "28402573" or not number.complete


def test_digits_of_other_rows_stay_there(reader, one_of_each):
    image = np.full((260, 420), 235, np.uint8)
    for text, x, y in (("28", 0, 0), ("57", 0, 80), ("39", 130, 40)):
        part = write_row(text, one_of_each, lefts=(30, 76))[30:130, 20:160]
        place = image[y + 20 : y + 120, x + 20 : x + 160]
        np.minimum(place, part, out=place)
    boxes = [digit.box for digit in reader.read(image).digits if digit.accepted]
    assert len(boxes) == len(set(boxes)) == 6


def test_a_found_digit_is_where_its_ink_is(reader, one_of_each, detect_only):
    image = write_row("28402", one_of_each)
    everything = reader.read(image)
    detect_only(lambda found: found[:2] + found[3:])
    for digit, expected in zip(reader.read(image).digits, everything.digits, strict=True):
        assert np.abs(np.subtract(digit.box, expected.box)).max() <= 4
        assert digit.row == 0


def test_light_ink_on_dark_paper(reader, one_of_each, detect_only):
    detect_only(lambda found: found[1:])
    assert reader.read(255 - write_row("28402", one_of_each)).text == "28402"


@pytest.mark.parametrize("place", [0, 2, 4])
def test_ink_that_is_no_digit_makes_the_number_incomplete(reader, one_of_each, detect_only, place):
    text = "28402"
    image = write_row(text[:place] + " " + text[place + 1 :], one_of_each)
    x = 30 + 46 * place
    scribble = np.random.default_rng(0).integers((x + 12, 58), (x + 46, 102), (9, 2))
    cv2.polylines(image, [scribble.astype(np.int32)], False, 40, 4, cv2.LINE_AA)
    detect_only(lambda found: [each for each in found if not x < each.box[0] + 8 < x + 40])
    (number,) = reader.read(image).numbers
    assert (number.text, number.complete) == (text[:place] + "?" + text[place + 1 :], False)


@pytest.mark.parametrize("pair", ["38", "26", "83"])
def test_two_digits_that_touch_are_cut(reader, one_of_each, detect_only, pair):
    image = write_row(f"2{pair}2", one_of_each, lefts=(30, 80, 118, 166))
    pieces = cv2.connectedComponents((image < 180).astype(np.uint8))[0] - 1
    assert pieces == 3
    detect_only(lambda found: [each for each in found if not 70 <= each.box[0] < 160])
    assert reader.read(image).text == f"2{pair}2"


@pytest.mark.parametrize("left", [82, 83, 84, 86])
def test_a_1_beside_a_slash_is_cut_off_from_it(reader, one_of_each, detect_only, left):
    image = write_row("1 402", one_of_each, lefts=(30, 76, 108, 154, 200))
    cv2.line(image, (left, 116), (left + 22, 44), 40, 4, cv2.LINE_AA)
    detect_only(lambda found: [each for each in found if each.box[0] > 100])
    assert [number.text for number in reader.read(image).numbers] == ["1", "402"]


def test_a_digit_of_which_only_a_part_was_detected_is_read_again(reader, one_of_each, detect_only):
    image = write_row("2862", one_of_each)

    def keep_lower_half(found):
        whole = found[2]
        x, y, w, h = whole.box
        ink = whole.ink[whole.ink.shape[0] // 2 :]
        return [*found[:2], replace(whole, box=(x, y + h // 2, w, h - h // 2), ink=ink), found[3]]

    detect_only(keep_lower_half)
    assert reader.read(image).text == "2862"


@pytest.mark.parametrize("kind", [1, 5, 8])
def test_a_part_of_a_digit_is_not_another_one(reader, one_of_each, change_row, kind):
    def show_a_digit_at_the_left_of_the_6(probabilities: np.ndarray) -> None:
        place = int(probabilities[6].argmax()) - 5
        probabilities[:SPOILED, place - 1 : place + 2] *= 0.01
        probabilities[kind, place - 1 : place + 2] += 0.99

    change_row(show_a_digit_at_the_left_of_the_6)
    (number,) = reader.read(write_row("267", one_of_each, lefts=(30, 84, 138))).numbers
    assert (number.text, number.complete) == ("2?67", False)
    assert number.digits[1].confidence < 0.5


def test_two_parts_of_a_digit_that_were_detected_are_one(reader, one_of_each, detect_only):
    image = write_row("28 2", one_of_each)
    cv2.line(image, (140, 58), (144, 88), 40, 3, cv2.LINE_AA)
    cv2.ellipse(image, (158, 88), (14, 12), 0, 0, 360, 40, 3, cv2.LINE_AA)

    def split(found):
        whole = found[2]
        x, y, w, h = whole.box
        height, width = whole.ink.shape
        stem = replace(whole, box=(x, y, w // 5, h * 4 // 5))
        stem = replace(stem, ink=whole.ink[: height * 4 // 5, : width // 5])
        bowl = replace(whole, box=(x, y + h // 2, w, h - h // 2), ink=whole.ink[height // 2 :])
        return [*found[:2], stem, bowl, found[3]]

    detect_only(split)
    assert reader.read(image).text == "2862"


@pytest.mark.parametrize("thick", [1, 3])
def test_the_sides_of_a_box_are_no_digits(reader, one_of_each, thick):
    image = write_row("28 40", one_of_each)
    for left in (30, 84, 138, 168, 222):
        cv2.rectangle(image, (left, 50), (left + 54, 112), 90, thick)
    digits = [d.digit for d in reader.read(image).digits if d.accepted]
    assert digits == [2, 8, 4, 0]


def test_letters_next_to_a_number_stay_unread(reader, one_of_each):
    image = np.hstack([write_row("28", one_of_each), np.full((160, 300), 235, np.uint8)])
    cv2.putText(image, "min kg", (200, 104), cv2.FONT_HERSHEY_SIMPLEX, 1.6, 40, 3, cv2.LINE_AA)
    digits = [d.digit for d in reader.read(image).digits if d.accepted]
    assert digits[:2] == [2, 8]
    assert len(digits) == 2


def write_closely(digits: Sequence[np.ndarray], gap: int) -> np.ndarray:
    """Digits of one height with only `gap` pixels between their ink."""
    ink = np.zeros((100, 400), np.uint8)
    left = 20
    for digit in digits:
        x, y, w, h = cv2.boundingRect((digit > 48).astype(np.uint8))
        width = min(max(3, round(w * 44 / h)), 70)
        large = cv2.resize(digit[y : y + h, x : x + w], (width, 44), interpolation=cv2.INTER_CUBIC)
        part = ink[28:72, left : left + width]
        np.maximum(part, large, out=part)
        left += width + gap
    return (235 - 0.8 * ink).astype(np.uint8)


@pytest.mark.parametrize(
    ("images", "gap"),
    [
        # One that the box of its neighbour covers, though none of the neighbour's ink is its.
        ((5287, 4772, 4074, 9307, 9020), 3), ((8254, 2160, 2405, 6105, 8512), 1),
        # A known one that is smaller than the one beside it is no stroke that this one swallowed.
        ((2327, 4261, 419, 7521, 4607), 5), ((8382, 2713, 669, 3979, 7605), 3),
        # A 6 that looks like a plus.
        ((8792, 3042, 3568, 1630, 9400), 3),
    ],
)  # fmt: skip
def test_digits_that_stand_close_are_all_read(reader, mnist_test, images, gap):
    image = write_closely([mnist_test.images[i] for i in images], gap)
    (number,) = reader.read(image).numbers
    written = "".join(str(mnist_test.labels[i]) for i in images)
    assert (number.text, number.complete) == (written, True)
