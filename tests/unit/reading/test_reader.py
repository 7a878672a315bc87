"""`Reader`: its inputs, modes, thresholds, JSON lines and errors."""

import json
from unittest.mock import MagicMock

import numpy as np
import pytest
from support.errors import error_of
from support.paths import ROOT, SHARED

from digitkit import Reader, Reading
from digitkit.errors import ConfigError, ImageError, InputNotFoundError, ModelError
from digitkit.images.cv import cv2
from digitkit.images.ink import separability
from digitkit.sources.frames import Failure, Frame


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader()


def test_path_array_and_many_are_the_same_thing(reader, digit_file, one_of_each):
    path = digit_file(4)
    by_path, by_array = reader.read(path), reader.read(one_of_each[4])
    assert isinstance(by_path, Reading)
    assert (by_path.text, by_path.source, by_array.source) == ("4", str(path), "array")
    assert by_path.ms.decode > 0
    assert by_array.digits == by_path.digits
    assert [r.text for r in reader.read([str(path), one_of_each[9]])] == ["4", "9"]
    assert reader.read([]) == []


@pytest.mark.parametrize("size", [24, 64, 200, 2000])
def test_any_size_and_polarity(reader, one_of_each, size):
    for digit, image in enumerate(one_of_each):
        sized = cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC)
        texts = [reading.text for reading in reader.read([sized, 255 - sized])]
        assert texts == [str(digit)] * 2


def test_mode_auto_changes_at_64_pixels(reader, one_of_each):
    at, over = (reader.read(cv2.resize(one_of_each[3], (side, side))) for side in (64, 65))
    assert at.digits[0].box == (0, 0, 64, 64)
    x, y, w, h = over.digits[0].box
    assert min(x, y) > 0
    assert max(w, h) < 60


def test_one_clear_digit_needs_no_other_network(one_of_each, shipped, monkeypatch):
    missing = MagicMock(side_effect=ModelError("not found"))
    for other in ("Detector", "LineReader", "GreyClassifier"):
        monkeypatch.setattr(f"digitkit.reading.reader.{other}", missing)
    assert Reader(shipped).read(one_of_each[3]).text == "3"
    assert Reader(shipped, min_confidence=1.0).read(one_of_each[3]).text == ""  # it is clear
    error_of(ModelError, Reader(shipped).read, np.pad(one_of_each[3], 40))


def test_how_clear_ink_is(one_of_each):
    assert min(map(separability, one_of_each)) > 0.85
    noise = np.random.default_rng(0).normal(120, 20, (28, 28)).clip(0, 255).astype(np.uint8)
    assert separability(noise) < 0.7
    assert separability(np.array([[0, 9]], np.uint8)) == 1
    assert separability(np.full((4, 4), 9, np.uint8)) == 1
    assert separability(np.full((28, 28), 255, np.uint8)) == 1  # a deviation of 5e-8


def test_threshold(one_of_each, shipped):
    doubtful = Reader(shipped, min_confidence=1.0).read(one_of_each[3])
    assert doubtful.text == ""
    assert not doubtful.digits[0].accepted
    assert doubtful.to_json()["digits"][0]["accepted"] is False
    assert Reader(shipped).min_confidence == Reader(shipped).classifier.contract.min_confidence


def test_json_line(reader, digit_file):
    line = reader.read(digit_file(6, size=300)).to_json()
    assert list(line) == ["source", "text", "numbers", "digits", "ms"]
    assert set(line["digits"][0]) == {"digit", "confidence", "accepted", "box", "row"}
    (number,) = line["numbers"]
    assert (number["text"], number["complete"], number["digits"]) == ("6", True, [0])
    assert (number["row"], number["column"]) == (0, 0)
    assert set(line["ms"]) == {"decode", "locate", "normalise", "classify"}
    assert json.loads(json.dumps(line)) == line


@pytest.mark.parametrize("orientation", ["exif", "auto", "90"])
@pytest.mark.parametrize("level", [0, 9, 255])
def test_a_blank_page_has_no_digits(reader, orientation, level):
    turned = Reader(reader.classifier, orientation=orientation, min_confidence=0)
    blue = np.full(
        (100, 100, 3), (level, 60, 10), np.uint8
    )  # its channels differ, its pixels don't
    for shape in ((28, 28), (40, 64), (600, 800), (2600, 2600)):
        image = np.full(shape, level, np.uint8)
        assert [reading.digits for reading in turned.read([image, blue])] == [(), ()]


def test_an_image_without_a_digit_is_no_error(reader):
    covered_lens = Frame("camera 0", np.zeros((480, 640, 3), np.uint8), number=3)
    line = reader.read_frame(covered_lens).to_json()
    assert (line["frame"], line["text"], line["digits"]) == (3, "", [])


def test_errors_and_stream(reader, digit_file, tmp_path):
    good, bad = digit_file(2), tmp_path / "bad.png"
    bad.write_bytes(b"x")
    error_of(InputNotFoundError, reader.read, tmp_path / "none.png")
    error_of(ImageError, reader.read, [good, bad])
    results = list(reader.stream([good, bad, None, good]))
    assert [type(r) for r in results] == [Reading, Failure, Failure, Reading]
    assert results[1].source == str(bad)
    assert str(bad) not in results[1].error


def test_an_image_on_which_opencv_fails_does_not_end_a_stream(reader, digit_file, monkeypatch):
    detect = reader.detector.maps

    def fail(image):
        if max(image.shape) >= 200:
            cv2.resize(image[:0], (1, 1))
        return detect(image)

    monkeypatch.setattr(reader.detector, "maps", fail)
    page = np.tile(np.arange(200, dtype=np.uint8), (100, 1))
    failure, reading = reader.stream([page, digit_file(7)])
    assert isinstance(failure, Failure)
    assert "cannot be processed by OpenCV" in str(failure.error)
    assert "\n" not in str(failure.error)
    assert reading.text == "7"


@pytest.mark.parametrize("path", sorted((ROOT / "data/samples").glob("?-*")), ids=lambda p: p.name)
def test_samples(reader, path):
    """8-pencil.png once came out as a 0: bright paper amid dark corners was taken for the ink."""
    assert reader.read(path).text == path.name[0]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("mode", "both"), ("orientation", "45"), ("min_confidence", 2), ("threads", 0)),
        *(
            ("threads", 10**9),
            ("threads", "2"),
            ("threads", 1.5),
            ("min_confidence", "0.5"),
            ("gap", "1"),
        ),
    ],
)
def test_values_that_are_not_valid(field, value):
    assert error_of(ConfigError, Reader, **{field: value}).field == field


def test_one_number_has_no_gap_to_others():
    assert error_of(ConfigError, Reader, mode="number", gap=0.1).field == "gap"


@pytest.mark.slow
def test_real_photos_of_single_digits(reader):
    """A floor, not an aim: what this version reads of digits it was never tuned to."""
    labels = SHARED / "photos/labels.jsonl"
    if not labels.is_file():
        pytest.skip("the real photos are not here (../shared/photos)")
    lines = [json.loads(line) for line in labels.read_text().splitlines()]
    singles = [line for line in lines if line["kind"] == "single"]
    frank = Reader(reader.classifier, min_confidence=0.0)
    right = sum(frank.read(labels.parent / s["file"]).text == s["text"] for s in singles)
    assert right >= 0.95 * len(singles)
