"""What is drawn of digits and numbers, and that labels do not cover what was read."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from support.errors import error_of
from support.readings import make_digit, make_reading

from digitkit.errors import ConfigError, InputNotFoundError
from digitkit.images.cv import cv2
from digitkit.reading.results import Reading
from digitkit.sinks import drawing
from digitkit.sinks.drawing import GREEN, RED, draw
from digitkit.sinks.labels import MIN_SIZE, Label, LabelPlacer, around, text_sizes

PAPER = np.full((300, 640), 230, np.uint8)


def digits(text: str, y: int = 120, size=(30, 60), row: int = 0, likely: float = 0.999):
    w, h = size
    return [
        replace(make_digit({int(digit): likely}, row=row), box=(20 + i * (w + 8), y, w, h))
        for i, digit in enumerate(text)
    ]


def seen(drawn: np.ndarray, colour) -> np.ndarray:
    return (abs(drawn.astype(int) - colour) < 40).all(axis=2)  # lines are blended with the paper


@pytest.fixture
def labels(monkeypatch):
    """The labels that are drawn."""
    made: list[Label] = []
    draw_label = Label.draw

    def record(label, canvas, colour):
        made.append(label)
        draw_label(label, canvas, colour)

    monkeypatch.setattr(Label, "draw", record)
    return made


def overlap(a, b) -> int:
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(0, width) * max(0, height)


def test_what_is_no_reading_is_refused():
    error = error_of(ConfigError, draw, PAPER, [make_reading()])
    assert str(error) == "reading must be a Reading, got list"


def test_a_number_has_a_bracket_and_its_text_above_its_digits(labels):
    drawn = draw(PAPER, make_reading(*digits("4788", likely=0.9999)))
    (label,) = labels
    assert label.text == "4788"
    assert label.plate[1] + label.plate[3] <= 120
    assert not seen(drawn, RED).any()
    bracket = seen(drawn, GREEN)[label.plate[1] + label.plate[3] : 118].sum(axis=1)
    assert bracket.max() >= 4 * 30 + 3 * 8


def test_doubt_shows_without_colour(labels):
    eight = replace(make_digit({8: 0.617}), box=(20, 120, 30, 60))
    drawn = draw(PAPER, make_reading(eight, *digits("447", likely=0.97)[1:]))
    texts = [label.text for label in labels]
    assert texts[:3] == ["?47", "8? 61%", "97%"]  # a fourth where its font leaves room
    # The bracket and the box of the digit are dashed.
    line = seen(drawn, RED).sum(axis=1)
    above = line[labels[0].plate[1] + labels[0].plate[3] : 117]
    assert 0.3 * 110 < above.max() < 0.8 * 110
    assert 0.3 * 64 < seen(drawn, RED)[118:182, 18].sum() < 0.8 * 64


def test_no_percentage_is_rounded_up(labels):
    cut = replace(make_digit({8: 0.99996}, cut=True), box=(20, 120, 30, 60))
    draw(PAPER, make_reading(cut, replace(make_digit({1: 0.98999}), row=1)))
    assert [label.text for label in labels] == ["1", "8 cut >99%", "98%"]


@pytest.mark.parametrize("gap", [12, 30, 60])
@pytest.mark.parametrize("likely", [0.98, 0.999])
def test_labels_of_dense_rows_cover_nothing(labels, gap, likely):
    lines = [digits("48151", 30 + row * (30 + gap), (14, 28), row, likely) for row in range(3)]
    reading = make_reading(*(digit for line in lines for digit in line))
    draw(PAPER, reading)
    boxes = [label.plate for label in labels]
    assert len(reading.numbers) == 3
    assert all(not overlap(a, b) for a, b in combinations(boxes, 2))
    assert all(not overlap(plate, digit.box) for plate in boxes for digit in reading.digits)


def test_other_ink_is_not_covered(labels):
    page = PAPER.copy()
    page[40:112:6] = 20  # print above the number
    draw(page, make_reading(*digits("12")))
    (label,) = labels
    assert not overlap(label.plate, (0, 40, 640, 72))


@pytest.mark.parametrize("ratio", [2, 8, 25])
def test_all_scales_with_the_image(ratio):
    image = np.full((60 * ratio, 100 * ratio), 200, np.uint8)
    one, doubtful = digits("1", 20, (12, 20))[0], make_digit({8: 0.6}, row=1)
    reading = make_reading(
        replace(one, box=tuple(ratio * side for side in one.box)),
        replace(doubtful, box=tuple(ratio * side for side in (60, 20, 12, 20))),
    )
    drawn = draw(image, reading)
    for colour in (GREEN, RED):
        rows = np.flatnonzero(seen(drawn, colour).any(axis=1))
        assert 0.2 < len(rows) / drawn.shape[0] < 1


@pytest.mark.parametrize(
    "box", [(70, 0, 20, 118), (0, 0, 90, 120), (0, 100, 5, 20), (89, 119, 1, 1)]
)
def test_labels_fit_into_the_image(labels, box):
    image = np.full((120, 90), 200, np.uint8)
    drawn = draw(image, make_reading(replace(make_digit({1: 0.95}), box=box)))
    assert seen(drawn, GREEN).any()
    for label in labels:
        left, top, width, height = label.plate
        assert min(left, top) >= 0
        assert (left + width, top + height) <= (drawn.shape[1], drawn.shape[0])


def test_the_bracket_of_a_tilted_number_is_tilted():
    tilted = [
        replace(digit, box=(20 + 50 * i, 60 + 25 * i, 30, 60), level_box=(20 + 60 * i, 60, 30, 60))
        for i, digit in enumerate(digits("4711"))
    ]
    bracket = drawing._Drawing(PAPER[:, :, None].repeat(3, 2), make_reading(*tilted), 1)._bracket
    (x0, y0), (x1, y1) = bracket(make_reading(*tilted).numbers[0])
    assert (y1 - y0) / (x1 - x0) == pytest.approx(0.5, abs=0.02)
    assert y0 < 60


def test_thousands_of_labels_are_placed_in_a_moment(labels):
    many = [
        digit for row in range(40) for digit in digits("8" * 40, 20 + 45 * row, (20, 30), row, 0.95)
    ]
    reading = make_reading(*many)
    assert draw(np.full((1900, 1200), 220, np.uint8), reading).size
    assert len(labels) >= len(reading.numbers)


def test_sizes_and_places():
    assert text_sizes(4, 2) == [MIN_SIZE]
    sizes = text_sizes(40, 10)
    assert (sizes[0], sizes[-1]) == (40, 10)
    assert sizes == sorted(sizes, reverse=True)
    placer = LabelPlacer(np.full((100, 100, 3), 255, np.uint8), [(0, 0, 100, 100)])
    label, is_free = placer.place(around("7", (40, 40, 20, 20), [12.0], 1, below=True))
    assert not is_free
    assert placer.covered(label.plate) == label.plate[2] * label.plate[3]
    for _ in range(100):
        placer.take((0, 0, 1, 1))
    assert placer.covered((0, 0, 1, 1)) == 101


def test_nothing_to_draw():
    empty: Reading = make_reading()
    assert draw(np.zeros((1, 1), np.uint8), empty).shape == (480, 480, 3)


def test_an_image_is_drawn_as_it_was_read():
    reading = make_reading(*digits("12"))
    expected = draw(PAPER, reading)
    for image in (PAPER / np.float32(255), PAPER[:, :, None]):
        assert np.array_equal(draw(image, reading), expected)


def test_an_image_may_be_given_as_to_a_reader(tmp_path):
    path = tmp_path / "page.png"
    assert cv2.imwrite(str(path), PAPER)
    reading = make_reading(*digits("4788"))
    expected = draw(PAPER, reading)
    for image in (path, str(path), path.read_bytes()):
        assert np.array_equal(draw(image, reading), expected)
    error_of(InputNotFoundError, draw, tmp_path / "none.png", reading)
