"""Digits of a page: detected, separated, turned, put in reading order."""

import random

import numpy as np
import pytest

from digitkit import Reader
from digitkit.datasets.mnist import load_mnist
from digitkit.images import large
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.images.masks import connected_components
from digitkit.reading.detection import pages
from digitkit.reading.detection.crops import crop_detection
from digitkit.reading.detection.order import reading_order
from digitkit.reading.detection.pages import detect_digits
from digitkit.reading.detection.scales import Candidate, Scale
from digitkit.reading.networks.detector import INK_STRIDE, Detector, Maps
from digitkit.training.scenes.glyphs import crop_to_ink


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


def page_of(rows: list[str], digits, dark=True, shade=0.0) -> np.ndarray:
    """An image of rows of digits, dark or light ones, darker to the right by `shade`."""
    width = max(map(len, rows)) * 120 + 80
    ink = np.zeros((len(rows) * 120 + 80, width), np.float32)
    for r, row in enumerate(rows):
        for c, char in enumerate(row):
            if char != " ":
                y, x = 40 + r * 120 + 5 * (c % 2), 40 + c * 120
                big = cv2.resize(digits[int(char)], (90, 90), interpolation=cv2.INTER_CUBIC)
                ink[y : y + 90, x : x + 90] = big / 255
    level = 225 * (1 - 0.8 * ink) if dark else 40 + 190 * ink
    light = 1 - shade * np.linspace(0, 1, width)[None, :]
    return np.rint(np.clip(level * light, 0, 255)).astype(np.uint8)


def fits(box, shape) -> bool:
    """Whether a box lies within an image."""
    x, y, w, h = box
    return x >= 0 and y >= 0 and x + w <= shape[1] and y + h <= shape[0]


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize("shade", [0.0, 0.5])
def test_rows_are_read_as_a_person_reads(one_of_each, reader, dark, shade):
    image = page_of(["0123", "456", "789"], one_of_each, dark=dark, shade=shade)
    assert reader.read(image).text == "0123\n456\n789"


def test_boxes_are_in_pixels_of_the_image(one_of_each, detector):
    small = page_of(["38"], one_of_each)
    large = cv2.resize(small, None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)
    boxes = sorted(detection.box for detection in detect_digits(large, detector))
    expected = sorted(detection.box for detection in detect_digits(small, detector))
    assert len(boxes) == len(expected) == 2
    assert np.allclose(np.array(boxes) / 6, expected, atol=5)
    assert all(fits(box, large.shape) for box in boxes)


@pytest.mark.parametrize(("height", "decoded"), [(60, 0), (30, 1)])
def test_a_large_jpeg_is_decoded_completely_only_for_small_digits(
    one_of_each, reader, tmp_path, monkeypatch, height, decoded
):
    page = page_of(["0123", "456", "789"], one_of_each)
    ratio = height / 64
    written = cv2.resize(page, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
    image = np.full((2448, 3264, 3), 225, np.uint8)
    image[301 : 301 + len(written), 1001 : 1001 + written.shape[1]] = written[:, :, None]
    path = tmp_path / "page.jpg"
    cv2.imwrite(str(path), image)
    expected = reader.read(cv2.imread(str(path)))
    calls = []

    def count(*arguments):
        calls.append(arguments)
        return decode_pixels(*arguments)

    decode_pixels = large.decode_pixels
    monkeypatch.setattr(large, "decode_pixels", count)
    reading = reader.read(path)
    assert reading.text == expected.text == "0123\n456\n789"
    assert len(calls) == 1 + decoded
    boxes = [[digit.box for digit in each.digits] for each in (reading, expected)]
    assert np.allclose(*boxes, atol=3)


@pytest.mark.parametrize(
    ("rows", "side", "across", "down"),
    [(["998", "507", "195", "223"], 17, 14, 20), (["3612", "7070", "1260", "9352"], 20, 16, 24)],
)
def test_a_paragraph_of_small_digits_is_not_one_digit(rows, side, across, down, reader):
    """At the scale that is searched first, its rows are as close as the strokes of a digit."""
    test = load_mnist("test")
    page = np.full((3000, 4000), 225, np.float32)
    for i, row in enumerate(rows):
        for k, digit in enumerate(map(int, row)):
            image = test.images[np.flatnonzero(test.labels == digit)[3]]
            small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
            y, x = 1200 + i * down, 1500 + k * across
            part = page[y : y + side, x : x + side]
            np.minimum(part, 225 - 180.0 * small / 255, out=part)
    assert reader.read(page.astype(np.uint8)).text == "\n".join(rows)


@pytest.mark.parametrize("rows", [["703", "980", "884", "399"], ["365", "969", "533", "951"]])
def test_a_column_of_short_rows_is_not_one_digit(rows, one_of_each, reader):
    """At a coarse scale it looks like one, and is all that is written on the page."""
    page = np.full((600, 600), 245, np.uint8)
    for i, row in enumerate(rows):
        for k, digit in enumerate(row):
            ink = crop_to_ink(one_of_each[int(digit)])
            size = max(4, round(30 * ink.shape[1] / ink.shape[0])), 30
            small = cv2.resize(ink, size, interpolation=cv2.INTER_AREA)
            y, x = 40 + 46 * i, 280 + 26 * k
            part = page[y : y + 30, x : x + size[0]]
            np.minimum(part, 245 - (0.9 * small).astype(np.uint8), out=part)
    assert reader.read(page).text == "\n".join(rows)


@pytest.mark.parametrize(
    ("low", "step", "is_writing"), [(3, 40, True), (2, 40, False), (4, 2, False)]
)
def test_several_rows_of_writing_are_no_digit(low, step, is_writing):
    block = Candidate((0, 0, 150, 200), 0.9, 0.9)
    digits = [Candidate((20 + step * i, 20, 50 + step * i, 60), 0.6, 0.6) for i in range(low)]
    unlikely = Candidate((110, 100, 140, 140), 0.4, 0.4)
    high = Candidate((20, 80, 100, 190), 0.6, 0.6)
    kept = pages._suppress_non_maxima([block, *digits, unlikely, high])
    assert kept == ([*digits, high, unlikely] if is_writing else [block])


@pytest.mark.parametrize(
    ("rows", "width", "size", "finest"),
    [(["385", "274"], 1000, 1.0, 500), (["38"], 1000, 1.0, 1000), (["38"], 640, 1.3, 240)],
    ids=["many clear digits", "few", "few in a camera's frame"],
)
def test_a_finer_scale_is_searched_where_little_is_found(
    one_of_each, detector, monkeypatch, rows, width, size, finest
):
    image = np.full((width * 3 // 4, width), 225, np.uint8)
    page = cv2.resize(page_of(rows, one_of_each), None, fx=size, fy=size)
    image[: page.shape[0], : page.shape[1]] = page
    widths = list[int]()
    maps = detector.maps
    monkeypatch.setattr(
        detector, "maps", lambda grey: (widths.append(grey.shape[1]), maps(grey))[1]
    )
    assert len(detect_digits(image, detector)) == len("".join(rows))
    assert max(widths) == finest


def test_a_candidate_without_ink_does_not_end_the_search(one_of_each, detector, monkeypatch):
    page = page_of(["385", "274"], one_of_each)
    page = cv2.resize(page, (400, 250), interpolation=cv2.INTER_AREA)
    page = cv2.copyMakeBorder(page, 0, 390, 0, 190, cv2.BORDER_CONSTANT, value=225)
    expected = sorted(each.box for each in detect_digits(page, detector))
    find_peaks = pages._find_peaks

    def add_false(scale):
        false = Candidate((150, 300, 450, 620), 0.9, 0.9)
        return [false, *find_peaks(scale)] if scale.ratio[0] > 8 else find_peaks(scale)

    monkeypatch.setattr(pages, "_find_peaks", add_false)
    assert sorted(each.box for each in detect_digits(page, detector)) == expected
    assert len(expected) == 6


@pytest.mark.parametrize("middle", [(84, 0), (0, 82)], ids=["left of it", "above it"])
def test_a_digit_at_the_border_of_a_part_that_is_enlarged_is_whole(
    one_of_each, detector, monkeypatch, middle
):
    page = cv2.resize(page_of(["3", "8"], one_of_each), (66, 93), interpolation=cv2.INTER_AREA)
    page = cv2.copyMakeBorder(page, 60, 60, 60, 60, cv2.BORDER_CONSTANT, value=225)
    monkeypatch.setattr(pages, "choose_tiles", lambda *_: (0.5, [(0, 0, 186, 213)]))
    expected = sorted(each.box for each in detect_digits(page, detector))
    x, y = middle
    tile = x, y, 186 - x, 213 - y
    monkeypatch.setattr(pages, "choose_tiles", lambda *_: (0.5, [tile]))
    found = sorted(each.box for each in detect_digits(page, detector))
    assert len(found) == len(expected) == 2
    assert np.abs(np.subtract(found, expected)).max() <= 3


def test_a_broken_off_bar_goes_to_its_digit(detector):
    image = np.full((300, 300), 240, np.uint8)
    cv2.line(image, (130, 90), (125, 140), 20, 9)
    cv2.ellipse(image, (145, 175), (40, 38), 0, -110, 130, 20, 9)
    cv2.line(image, (150, 86), (195, 82), 20, 9)  # the 5's bar, a gap away
    (detection,) = detect_digits(image, detector)
    assert detection.box[0] + detection.box[2] > 190


def test_a_large_digit_is_cut_out_of_the_scale_that_shows_all_of_it():
    image = np.full((200, 200), 240, np.uint8)
    image[60:130, 95:106] = 20
    maps = [np.zeros((side // INK_STRIDE, side // INK_STRIDE), np.float32) for side in (200, 100)]
    maps[0][30:46, 47:53] = maps[1][15:33, 23:27] = 0.9  # at full size, the upper part only

    def make_scale(ink, ratio):
        components, stats = connected_components((ink > 0).astype(np.uint8))
        seen = Maps(ink, np.zeros_like(ink), np.zeros_like(ink), np.zeros((4, *ink.shape)))
        return Scale((ratio, ratio), seen, components, stats[:, cv2.CC_STAT_AREA])

    scales = [make_scale(maps[0], 1.0), make_scale(maps[1], 2.0)]
    candidate = Candidate((94, 59, 107, 131), 0.8, 0.8)
    found = crop_detection(GreyImage.from_pixels(image), candidate, [candidate], scales)
    assert found.box[3] >= 65
    found = crop_detection(GreyImage.from_pixels(image), candidate, [candidate], scales[:1])
    assert found.box[3] < 50


def test_ruling_shadow_and_clutter_are_ignored(one_of_each, reader):
    page = page_of(["4071", "25"], one_of_each).astype(np.float32)
    for y in range(30, page.shape[0], 38):
        page[y : y + 2] *= 0.75  # ruled
    page[:, 300:] *= 0.55  # a hard shadow's edge
    page[-25:] = 30  # the desk
    image = page.astype(np.uint8)
    cv2.line(image, (300, 205), (350, 205), 30, 8)  # minus
    assert reader.read(image).text == "4071\n25"


def test_both_polarities_faint_and_bold_on_one_page(one_of_each, reader):
    dark, light = page_of(["369"], one_of_each), page_of(["258"], one_of_each, dark=False)
    faint = (225 - (225 - page_of(["147"], one_of_each).astype(np.float32)) * 0.2).astype(np.uint8)
    assert reader.read(np.vstack([dark, light])).text == "369\n258"
    assert reader.read(np.vstack([dark, faint])).text == "369\n147"


def test_touching_digits_are_separated(one_of_each, reader):
    ink = np.zeros((160, 320), np.uint8)
    x = 40
    for digit in (4, 2, 5):
        big = cv2.resize(one_of_each[digit], (110, 110), interpolation=cv2.INTER_CUBIC)
        columns = np.flatnonzero((big > 90).any(0))
        narrow = big[:, columns[0] : columns[-1] + 1]
        view = ink[25:135, x : x + narrow.shape[1]]
        np.maximum(view, narrow, out=view)
        x += narrow.shape[1] - 2
    assert reader.read(230 - (ink * 0.8).astype(np.uint8)).text == "425"


def test_a_cut_digit_is_reported_but_not_accepted(one_of_each, reader):
    page = page_of(["4 8"], one_of_each)
    whole = reader.read(page)
    assert whole.text == "4 8"
    x, _, w, _ = whole.digits[1].box
    digits = reader.read(np.ascontiguousarray(page[:, : x + int(0.6 * w)])).digits
    assert [d.digit for d in digits if d.accepted] == [4]
    assert [d.accepted for d in digits if d.cut] == [False]


@pytest.mark.parametrize("size", [(480, 640), (960, 1280), (240, 320)])
@pytest.mark.parametrize("low", [0, 120])
def test_light_and_edges_are_not_digits(reader, size, low):
    slope = np.tile(np.linspace(low, 255, size[1]), (size[0], 1)).astype(np.uint8)
    half, bar = np.full(size, low, np.uint8), np.full(size, 220, np.uint8)
    half[:, size[1] // 2 :] = 220
    bar[:, size[1] // 2 : size[1] // 2 + size[1] // 12] = low
    for image in (slope, slope[:, ::-1], half, bar):
        assert reader.read(np.ascontiguousarray(image)).text == ""


@pytest.mark.parametrize("level", [0, 90, 255])
def test_noise_is_not_a_digit(level, detector):
    noise = level + np.random.default_rng(0).normal(0, 6, (300, 400))
    assert detect_digits(np.clip(noise, 0, 255).astype(np.uint8), detector) == []


def test_a_digit_cut_out_tightly_is_read(one_of_each):
    for digit in (1, 4, 0):
        big = cv2.resize(one_of_each[digit], (280, 280), interpolation=cv2.INTER_CUBIC)
        x, y, w, h = cv2.boundingRect((big > 100).astype(np.uint8))
        tight = 255 - big[y : y + h, x : x + w]
        assert Reader(min_confidence=0.5).read(tight).text == str(digit)


@pytest.mark.parametrize("shape", [(1, 100), (100, 1), (65, 2), (70, 70), (3, 3000), (2000, 17)])
def test_odd_shapes_do_not_fail(shape, detector):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, shape, dtype=np.uint8)
    assert all(fits(detection.box, shape) for detection in detect_digits(image, detector))


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize(("length", "width"), [(2000, 10), (3000, 15), (4000, 20), (8000, 53)])
def test_the_end_of_a_thin_image_is_searched(one_of_each, reader, length, width, across):
    image = np.full((width, length) if across else (length, width), 235, np.uint8)
    side = round(1.2 * width)
    size = (side, width) if across else (width, side)
    digit = cv2.resize(one_of_each[3], size, interpolation=cv2.INTER_AREA)
    image[-size[1] :, -size[0] :] -= digit // 2
    digits = reader.read(image).digits
    assert digits
    assert all(fits(digit.box, image.shape) for digit in digits)


@pytest.mark.parametrize(("height", "width"), [(1000, 40), (1000, 15), (40, 1000)])
def test_the_box_of_a_digit_in_a_narrow_image_is_around_its_ink(height, width):
    pixels = np.full((height, width), 235, np.uint8)
    top, left = round(0.7 * (height - 1)), round(0.7 * (width - 1))
    pixels[top : top + max(1, height // 5), left : left + max(1, width // 5)] = 30
    x, y, w, h = pages.whole_image_detection(GreyImage.from_pixels(pixels)).box
    assert abs(x - left) <= 2 + width // 20
    assert abs(y - top) <= 2 + height // 20
    assert fits((x, y, w, h), pixels.shape)


@pytest.mark.parametrize(
    ("shape", "size", "places"),
    [
        ((6000, 600), 30, [(x, y) for y in range(60, 5900, 300) for x in (60, 240, 420)]),
        ((100, 9000), 40, [(x, 30) for x in range(100, 8800, 400)]),
        ((12000, 700), 55, [(x, y) for y in range(60, 11800, 118) for x in range(60, 260, 60)]),
    ],
)
def test_small_digits_of_long_strips_are_found(one_of_each, detector, shape, size, places):
    image = np.full(shape, 235, np.uint8)
    for place, (x, y) in enumerate(places):
        side = round(1.4 * size)
        digit = cv2.resize(one_of_each[place % 10], (side, side), interpolation=cv2.INTER_CUBIC)
        image[y : y + side, x : x + side] -= np.asarray(0.75 * digit, np.uint8)
    assert len(detect_digits(image, detector)) >= 0.9 * len(places)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_orientation_auto_turns_what_reads_badly(one_of_each, turn):
    image = page_of(["2345", "7234"], one_of_each)
    turned = np.ascontiguousarray(np.rot90(image, turn // 90))
    reading = Reader(orientation="auto").read(turned)
    assert (reading.text, reading.turn) == ("2345\n7234", turn)
    assert reading.to_json()["turn"] == turn
    assert Reader(orientation=str(turn)).read(turned).text == reading.text
    assert all(fits(digit.box, image.shape) for digit in reading.digits)


@pytest.mark.parametrize("rows", [["3"], ["47"], ["194", "275"]])
def test_orientation_auto_turns_small_and_doubtful_pages(one_of_each, rows):
    turned = np.ascontiguousarray(np.rot90(page_of(rows, one_of_each), 2))
    assert Reader(orientation="auto").read(turned).text == "\n".join(rows)


def test_orientation_auto_leaves_alone_what_reads_both_ways(one_of_each):
    assert Reader(orientation="auto").read(page_of(["6 9", "96"], one_of_each)).turn == 0


def row_at(y: float, *xs: float) -> list[tuple[float, float]]:
    return [(x, y) for x in xs]


ORDERS = {
    **{
        f"rows that slope by {skew}": [
            [(60 * i, 100 + 70 * r + skew * 60 * i) for i in range(9)] for r in range(4)
        ]
        for skew in (-0.15, 0.0, 0.15)
    },
    "drifting rows": [
        [(60 * i, 100 + 80 * r + 10 * np.sin(i / 2)) for i in range(12)] for r in range(3)
    ],
    "groups in a row": [row_at(y, 0, 40, 80, 240, 280, 320) for y in (50, 130)],
    "a table, across": [row_at(50 + 70 * r, 0, 34, 68, 300, 334, 368) for r in range(4)],
    "columns a good two digits apart, across": [
        row_at(50 + 70 * r, 0, 34, 68, 102, 240, 274, 308) for r in range(3)
    ],
    "columns that are not level": [
        row_at(y + 80 * r, *xs) for y, xs in ((50, (0, 40)), (90, (300, 340))) for r in range(3)
    ],
    "a grid of single digits, across": [row_at(50 + 100 * r, 0, 110, 220) for r in range(3)],
    "none": [],
    "one": [[(3, 4)]],
}
"""Rows of centres of digits, in reading order."""


@pytest.mark.parametrize("skew", [-0.1, -0.07, 0.05, 0.1])
def test_a_table_that_is_askew_is_read_across(skew):
    rng = np.random.default_rng(0)
    for _ in range(10):
        assert_order(
            [
                [
                    (x + step, 80 + 70 * row + skew * (x + step) + rng.normal(0, 2))
                    for x in (0, 380, 760)
                    for step in (0, 28, 56)
                ]
                for row in range(5)
            ]
        )


@pytest.mark.parametrize("kind", ORDERS)
def test_reading_order(kind):
    assert_order(ORDERS[kind])


def assert_order(rows: list[list[tuple[float, float]]]) -> None:
    """Digits with these middles are put into these rows, whatever their order."""
    boxes = [(round(x - 12), round(y - 20), 24, 40) for row in rows for x, y in row]
    mixed = list(range(len(boxes)))
    random.Random(len(boxes)).shuffle(mixed)
    order = [(mixed[i], row) for i, row in reading_order([boxes[i] for i in mixed])]
    numbers = [number for number, row in enumerate(rows) for _ in row]
    assert order == list(enumerate(numbers))


@pytest.mark.parametrize("visible", [20, 32])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_digit_that_the_border_cuts_is_missing(one_of_each, reader, side, visible):
    page = page_of(["8450"], one_of_each)
    page = page[:, 40:-40] if side == "left" else page[:, :-40]
    ink = np.flatnonzero((page < 120).any(0))
    if side == "left":
        first = ink[ink < 90]
        cut = page[:, first[-1] - visible :]
    else:
        last = ink[ink > page.shape[1] - 120]
        cut = page[:, : last[0] + visible]
    reading = reader.read(np.ascontiguousarray(cut))
    assert reading.numbers
    assert not reading.complete


@pytest.mark.parametrize("shift", [0, 2])
def test_a_minus_at_the_border_is_one(one_of_each, reader, shift):
    page = page_of(["547"], one_of_each)
    page[82:88, 20:52] = 40
    reading = reader.read(np.ascontiguousarray(page[:, 20 - shift :]))
    assert [number.text for number in reading.numbers] == ["-547"]


@pytest.mark.parametrize("large", [7, None])
def test_small_digits_beside_a_large_one_are_found(reader, one_of_each, large):
    ink = np.zeros((560, 700), np.uint8)

    def put(digit: int, x: int, y: int, side: int) -> None:
        ink[y : y + side, x : x + side] = cv2.resize(one_of_each[digit], (side, side))

    if large is not None:
        put(large, 30, 120, 280)
    else:  # a drawing
        cv2.circle(ink, (170, 260), 120, 255, 10, cv2.LINE_AA)
        cv2.line(ink, (90, 200), (250, 330), 255, 10, cv2.LINE_AA)
    for row in range(4):
        for place, digit in enumerate((2, 8, 4, 0)):
            put(digit, 420 + 26 * place, 80 + 90 * row, 34)
    numbers = reader.read((235 - 0.8 * ink).astype(np.uint8)).numbers
    texts = [number.text for number in numbers if number.complete]
    assert texts.count("2840") == 4
    assert large is None or str(large) in texts


@pytest.mark.parametrize("high", [2, 3, 7])
def test_a_large_digit_in_a_row_of_small_ones_is_not_lost(reader, one_of_each, high):
    """The row is read at a scale at which only the small ones are digits."""
    page = np.full((300, 900), 245, np.uint8)
    places = [(digit, 60 + 60 * i, 140, 26) for i, digit in enumerate((4, 6, 8, 9, 5, 2))]
    for digit, x, y, height in (*places, (high, 560, 110, 80)):
        ink = crop_to_ink(one_of_each[digit])
        size = round(height * ink.shape[1] / ink.shape[0]), height
        small = cv2.resize(ink, size, interpolation=cv2.INTER_AREA)
        page[y : y + height, x : x + size[0]] -= np.asarray(0.9 * small, np.uint8)
    assert [n.text for n in reader.read(page).numbers if n.complete] == ["468952", str(high)]
