"""Lines of a page: tilted ones, digits among letters, small ones that are looked at again."""

from dataclasses import replace

import numpy as np
import pytest

from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.models.classifier import Prediction
from digitkit.reading.detection.context import context_features, own_features, rescore
from digitkit.reading.detection.detections import ClassifiedDetection, Detection
from digitkit.reading.detection.fine import MAX_FINE_PIXELS, choose_tiles, merge_fine
from digitkit.reading.detection.scales import Candidate, Scale
from digitkit.reading.detection.tilt import deskew_detections
from digitkit.reading.networks.detector import Maps


def leaning_stroke(degrees: float) -> np.ndarray:
    """A stroke that stands upright on a line that falls to the right by an angle."""
    ink = np.zeros((90, 90), np.uint8)
    for along in np.arange(-35, 36, 0.5):
        x = 45 + along * np.sin(np.radians(-degrees))
        y = 45 + along * np.cos(np.radians(degrees))
        ink[round(y) - 3 : round(y) + 3, round(x) - 3 : round(x) + 3] = 255
    return ink


def page(*lines: tuple[float, int, int, int]) -> GreyImage:
    """A page of strokes on lines: how far each falls to the right, its strokes, where it begins."""
    pixels = np.full((1600, 1600), 200, np.uint8)
    for degrees, count, x, y in lines:
        for i in range(count):
            left = round(x + 100 * i * np.cos(np.radians(degrees)))
            top = round(y + 100 * i * np.sin(np.radians(degrees)))
            part = pixels[top : top + 90, left : left + 90]
            part[leaning_stroke(degrees) > 0] = 20
    return GreyImage.from_pixels(pixels)


PAPER = 12
"""Paper around the ink of detections, pixels."""


def detect(grey: np.ndarray) -> list[Detection]:
    """Each stroke of a page."""
    ink = ((grey < 100) * 255).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink)
    boxes = [tuple(box) for box in stats[1:, :4].tolist()]
    return [
        Detection((x, y, w, h), np.pad(ink[y : y + h, x : x + w], PAPER)) for x, y, w, h in boxes
    ]


def deskewed(image: GreyImage) -> list[Detection]:
    return list(deskew_detections(detect(image.halved(0)), image, detect))


@pytest.mark.parametrize("degrees", [-44, -40, -12, 12, 40, 44])
def test_tilted_lines_become_level(degrees):
    y = 700 - round(5 * 100 * np.sin(np.radians(degrees)) / 2)
    image = page((degrees, 6, 400, y), (degrees, 6, 400, y + 230))
    upright = deskewed(image)
    assert len(upright) == 12
    for each in upright:
        ys, xs = np.nonzero(each.ink > 128)
        assert np.ptp(xs) < np.ptp(ys) / 4  # it stands now
    tops = sorted(each.level_box[1] for each in upright)
    for line in (tops[:6], tops[6:]):
        assert max(line) - min(line) < 20
    # Boxes are those of the image as it came.
    before = {
        (x + w // 2, y + h // 2) for x, y, w, h in (each.box for each in detect(image.reduced))
    }
    for x, y, w, h in (each.box for each in upright):
        assert min(np.hypot(x + w / 2 - cx, y + h / 2 - cy) for cx, cy in before) < 8


def test_a_climbing_number_among_level_ones():
    image = page((0, 6, 100, 100), (-30, 4, 100, 900), (0, 6, 100, 1300), (0, 6, 900, 1300))
    upright = deskewed(image)
    level = [each for each in upright if not 300 < each.box[1] < 1200]
    climbing = [each for each in upright if 300 < each.box[1] < 1200]
    assert len(climbing) == 4
    tops = [each.level_box[1] for each in climbing]
    assert max(tops) - min(tops) < 10
    assert len(level) == 18
    assert all(each.row_box == each.box for each in level)
    for each in climbing:
        assert each.level_box[3] == pytest.approx(level[0].box[3], abs=4)
        ys, xs = np.nonzero(each.ink > 128)
        assert np.ptp(xs) < np.ptp(ys) / 4


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_level_digits_stay_as_they_are(count):
    image = page((4, count, 100, 700))
    assert deskewed(image) == detect(image.reduced)


def test_a_turn_after_which_less_is_found_is_undone():
    image = page((40, 6, 400, 300), (40, 6, 400, 530))
    before = detect(image.reduced)

    def detect_worse(grey: np.ndarray) -> list[Detection]:
        return [replace(each, score=0.9) for each in detect(grey)]

    assert deskew_detections(before, image, detect_worse) == before
    assert all(each.level_box for each in deskew_detections(before, image, detect))


def test_scattered_digits_are_not_tilted():
    places = np.random.default_rng(0).uniform(0, 1400, (9, 2)).astype(int).tolist()
    image = page(*[(0, 1, x, y) for x, y in places])
    assert deskewed(image) == detect(image.reduced)


def seen(x: int, y: int = 0, *, digit=3, height=40, score=0.9, other=0.0, confidence=0.99):
    """A detection that was classified."""
    probabilities = np.full(10, (1 - confidence) / 9, np.float32)
    probabilities[digit] = confidence
    prediction = Prediction(digit, confidence, 1.0, probabilities)
    box = (x, y, height * 2 // 3, height)
    detection = Detection(box, np.zeros((4, 4), np.uint8), score, other=other)
    return ClassifiedDetection(detection, np.zeros((28, 28), np.uint8), prediction)


def test_what_is_known_of_a_detection():
    detections = [seen(0), seen(30, score=0.2, other=0.9, digit=1), seen(900, height=200)]
    own = own_features(detections, 1000)
    assert own.shape == (3, 5)
    assert (own[0, :3] > [0, 0, -10]).all()
    assert own[1, 0] < own[0, 0]
    assert own[1, 2] > own[0, 2]
    assert own[2, 3] > own[0, 3]
    assert own[:, 4].tolist() == [0, 1, 0]
    context = context_features(detections, np.array([0.9, 0.4, 0.8]))
    assert np.allclose(context[:, 0], [0.4, 0.9, 0])
    assert context[:, 1].tolist() == [0, 0, 1]
    assert np.allclose(context[:, 2], np.log([40 / 200, 40 / 200, 1]))
    assert own_features([], 100).shape == (0, 5)
    assert rescore([], 0.9, 100) == []


def test_a_doubtful_digit_counts_among_digits_but_not_among_letters():
    doubtful = seen(120, score=0.45, other=0.4)
    among_digits = [seen(40 * i) for i in range(3)] + [doubtful]
    among_letters = [seen(40 * i, score=0.25, other=0.9) for i in range(3)] + [doubtful]
    good, bad = (
        [each.factor for each in rescore(detections, 0.9, 1000)]
        for detections in (among_digits, among_letters)
    )
    assert good == [1, 1, 1, 1]
    assert max(bad) < 0.9


def test_a_digit_that_fills_the_image_or_those_in_it():
    whole = seen(0, digit=9, height=900)
    whole = replace(whole, detection=replace(whole.detection, whole_image=True))
    assert rescore([whole], 0.0, 4000)[0].factor == 1  # whatever the threshold
    within = [seen(10, height=300), seen(10, height=300, confidence=0.5)]
    assert [rescore([part, whole], 0.9, 1000)[1].factor for part in within] == [0, 1]


def scale(ratio: float, ink: np.ndarray) -> Scale:
    """A scale with this ink map, and nothing else."""
    maps = Maps(ink, ink * 0, ink[::2, ::2], np.zeros((4, 1, 1), np.float32))
    return Scale((ratio, ratio), maps, (ink > 0.4).astype(np.int32), np.zeros(2, np.int32))


def test_small_ink_is_looked_at_again():
    work = np.full((320, 640), 200, np.uint8)
    work[100:104, 300:340:4] = 40
    blank = np.zeros((160, 320), np.float32)
    ratio, tiles = choose_tiles(work, scale(3.0, blank), [])
    assert ratio == 0.5
    ((x, y, w, h),) = tiles
    assert x <= 900 < x + w
    assert y <= 300 < y + h
    assert choose_tiles(work, scale(1.0, blank), [])[1] == []  # as large as a camera frame
    ratio, tiles = choose_tiles(work[80:130], scale(1.0, blank[40:65]), [])
    assert (ratio, len(tiles)) == (0.5, 1)  # a strip is enlarged
    assert choose_tiles(np.full((320, 640), 200, np.uint8), scale(3.0, blank), [])[1] == []
    # Not where digits of clear ink were found; a paragraph may look like one, of faint ink mostly.
    digit = Candidate((890, 280, 1030, 330), 0.7, 0.7)
    for probability, candidates, count in ((0.95, 5, 0), (0.6, 5, 1), (0.95, 1, 1)):
        ink = blank.copy()
        ink[48:54, 150:170] = probability
        assert len(choose_tiles(work, scale(3.0, ink), [digit] * candidates)[1]) == count


@pytest.mark.parametrize(
    ("width", "height", "expected"), [(320, 32, 0.5), (640, 200, 0.74), (1280, 960, 1.5)]
)
def test_much_small_ink_is_searched_at_a_coarser_scale(width, height, expected):
    work = np.full((960, 1280), 200, np.uint8)
    work[:height:8, :width:4] = 40
    ratio, tiles = choose_tiles(work, scale(3.1, np.zeros((480, 640), np.float32)), [])
    assert ratio == pytest.approx(expected, abs=0.05)
    pixels = sum(w * h for _, _, w, h in tiles) / ratio**2
    assert MAX_FINE_PIXELS / 5 < pixels <= MAX_FINE_PIXELS
    assert all(x + w <= 1280 * 3.1 and y + h <= 960 * 3.1 for x, y, w, h in tiles)


def test_a_part_that_is_too_large_does_not_end_the_search():
    work = np.full((960, 1280), 200, np.uint8)
    work[100:500:8, 100:500:3] = 40
    work[900:904, 1200:1240:4] = 40
    _, tiles = choose_tiles(work, scale(3.1, np.zeros((480, 640), np.float32)), [])
    assert any(x <= 3720 < x + w and y <= 2790 < y + h for x, y, w, h in tiles)


def test_parts_of_a_digit_do_not_replace_it():
    digit = Candidate((0, 0, 40, 80), 0.9, 0.9)
    parts = [Candidate((5, y, 20, y + 15), 0.8, 0.8) for y in (5, 50)]
    apart = Candidate((100, 0, 110, 20), 0.7, 0.7)
    assert merge_fine([digit], [*parts, apart]) == [digit, apart]
    text = [Candidate((x, 5, x + 5, 15), 0.8, 0.8) for x in (5, 15, 25)]
    assert merge_fine([digit], text) == text
    faint = [Candidate((x, 5, x + 5, 15), 0.35, 0.35) for x in (5, 15, 25)]
    assert merge_fine([digit], faint) == [digit]
    blot = Candidate((0, 0, 40, 80), 0.3, 0.3)  # bold writing, at a scale at which it is one
    assert merge_fine([blot], faint) == faint
