import base64
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from support.readings import make_digit, make_reading

from digitkit import Frame
from digitkit.reading.numbers.finding import find_numbers
from digitkit.reading.results import Digit, Mark, Reading, Timings
from digitkit.sinks.review import MAX_CROP, review_item_json, review_items, to_inline_json


def frame_of(shape=(200, 400, 3)) -> Frame:
    return Frame("page.png", np.full(shape, 200, np.uint8))


def items_of(*digits: Digit, marks=(), shape=(200, 400, 3)):
    reading = replace(make_reading(*digits, frame=None), marks=marks)
    reading = replace(reading, numbers=find_numbers(digits, marks))
    return review_items(frame_of(shape), reading)


def test_nothing_of_a_complete_number_is_an_item():
    assert items_of(make_digit({1: 0.999}, 50), make_digit({9: 0.999}, 90)) == []


def test_each_digit_in_doubt_is_an_item_and_its_number_is_not():
    items = items_of(
        make_digit({1: 0.999}, 50), make_digit({7: 0.5, 1: 0.4}, 90), make_digit({4: 0.7}, 130)
    )
    assert [(item.kind, item.read) for item in items] == [("digit", "7"), ("digit", "4")]
    assert items[0].confidence == pytest.approx(0.5)
    assert items[0].reasons == ("it may be a 1 (40%)",)
    assert [len(item.images) for item in items] == [1, 1]


def test_digits_in_no_number_are_items():
    (item,) = items_of(make_digit({7: 0.6}, 50, is_digit=0.4))
    assert (item.kind, item.read) == ("digit", "7")
    assert item.reasons == ("it may be no digit (60%)",)


def test_ink_that_cannot_be_read_makes_the_number_an_item():
    marks = (Mark("ink", (90, 50, 30, 60), 0),)
    (item,) = items_of(make_digit({1: 0.999}, 50), make_digit({9: 0.999}, 130), marks=marks)
    assert (item.kind, item.read, len(item.images)) == ("number", "1?9", 2)
    assert item.reasons


def test_a_cut_digit_makes_the_number_an_item_and_is_not_learned_from():
    cut = make_digit({4: 0.7}, 90, cut=True)
    (item,) = items_of(make_digit({1: 0.999}, 50), cut)
    assert (item.kind, item.read, len(item.images)) == ("number", "1?", 1)
    (item,) = items_of(cut)
    assert item.images == ()


def test_a_number_that_does_not_meet_a_field_is_one_item():
    digits = [replace(make_digit({d: 0.999}, 50 * d), accepted=False) for d in (1, 2)]
    number = replace(find_numbers([make_digit({1: 0.999}, 50)])[0], digits=tuple(digits))
    reading = Reading("a.png", tuple(digits), Timings(0, 0, 0, 0), dropped=(number,))
    assert [item.kind for item in review_items(frame_of(), reading)] == ["number"]


@pytest.mark.parametrize("shape", [(120, 400, 3), (120, 400), (3000, 4000), (112, 82)])
def test_crops_are_small_and_contain_their_box(shape):
    (item,) = items_of(make_digit({7: 0.5}, 50), shape=shape)
    assert item.crop.dtype == np.uint8
    assert max(item.crop.shape[:2]) <= MAX_CROP
    x, y, w, h = item.box
    assert x >= 0
    assert y >= 0
    assert w >= 1
    assert h >= 1
    assert x + w <= item.crop.shape[1]
    assert y + h <= item.crop.shape[0]


def test_the_box_is_where_the_digit_is():
    image = np.full((600, 900), 255, np.uint8)
    image[50:110, 500:530] = 0
    reading = make_reading(make_digit({7: 0.5}, 500), frame=None)
    (item,) = review_items(Frame("a.png", image), reading)
    x, y, w, h = item.box
    assert item.crop[y : y + h, x : x + w].max() == 0
    assert (item.crop == 0).sum() == w * h


def test_a_digit_of_a_long_number_is_shown_large():
    digits = [make_digit({1: 0.999}, 40 * i) for i in range(40)]
    digits[20] = make_digit({7: 0.5}, 800)
    item = min(items_of(*digits, shape=(200, 1700)), key=lambda item: item.kind)
    assert item.kind == "digit"
    assert item.box[3] >= 30


def test_items_of_turned_pictures_are_upright():
    image = np.full((900, 600), 255, np.uint8)
    image[370:400, 50:110] = 0  # at 500, 50 of the upright picture, which is 900 wide
    reading = replace(make_reading(make_digit({7: 0.5}, 500), frame=None), turn=90)
    upright = cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE)
    assert upright.shape == (600, 900)
    reading = replace(reading, digits=(replace(reading.digits[0], box=_dark_box(upright)),))
    (item,) = review_items(Frame("a.png", image), reading)
    x, y, w, h = item.box
    assert item.crop[y : y + h, x : x + w].max() == 0


def _dark_box(image):
    return tuple(map(int, cv2.boundingRect((image == 0).astype(np.uint8))))


def test_keys_tell_items_apart_and_stay():
    """Corrections that a browser or a file holds are found by them later."""
    items = items_of(make_digit({7: 0.5}, 50), make_digit({7: 0.5}, 300))
    assert [item.key for item in items] == ["ea0bb587d0847434", "8d609f985ed812ea"]


def test_json_holds_what_a_browser_needs():
    (item,) = items_of(make_digit({7: 0.5, 1: 0.4}, 50))
    assert json.loads(json.dumps(review_item_json(item))) == {
        "id": item.key, "kind": "digit", "source": "page.png", "read": "7", "confidence": 0.5,
        "reasons": ["it may be a 1 (40%)"], "box": list(item.box),
    }  # fmt: skip


def test_pictures_can_be_within_the_json():
    (item,) = items_of(make_digit({7: 0.5}, 50))
    values = to_inline_json(item)
    assert values.items() >= review_item_json(item).items()
    head, _, data = values["seen"][0].partition(",")
    assert head == "data:image/png;base64"
    seen = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(seen, item.images[0])
    assert values["image"].startswith("data:image/jpeg;base64,")
