"""The synthetic pages, and the training of the net that finds digits on them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from digitkit.images.opencv import cv2
from digitkit.training.scenes.glyphs import glyph, thin
from digitkit.training.scenes.scene import scene


def made(mnist_train, seed: int, **options):
    return scene(
        mnist_train.images, mnist_train.labels, np.random.default_rng(seed), sides=(300, 420),
        **options,
    )  # fmt: skip


def test_the_same_seed_gives_the_same_scene(mnist_train):
    one, same, other = (made(mnist_train, seed) for seed in (3, 3, 4))
    assert np.array_equal(one.image, same.image)
    assert (one.boxes, one.text, one.tags) == (same.boxes, same.text, same.tags)
    assert one.image.shape != other.image.shape or not np.array_equal(one.image, other.image)


def test_boxes_hold_the_ink(mnist_train):
    for seed in range(25):
        page = made(mnist_train, seed, empty=False)
        assert page.image.dtype == np.uint8
        assert page.image.shape[:2] == page.ink.shape
        assert len(page.boxes) == len(page.digits) == len(page.rows)
        assert page.text.replace("\n", "") == "".join(map(str, page.digits))
        left = page.ink.copy()
        for x, y, w, h in (*page.boxes, *page.cut):
            assert min(x, y, w, h) >= 0
            assert x + w <= page.ink.shape[1]
            assert y + h <= page.ink.shape[0]
            assert page.ink[y : y + h, x : x + w].max() > 100
            left[y : y + h, x : x + w] = 0
        assert left.max() <= 60


def test_a_scene_without_digits_has_none(mnist_train):
    for seed in range(8):
        page = made(mnist_train, seed, empty=True)
        assert (page.text, page.boxes, page.cut) == ("", [], [])
        assert page.ink.max() == 0


def test_digits_that_the_border_cuts_touch_it(mnist_train):
    cut = [
        (p, box) for p in (made(mnist_train, s, empty=False) for s in range(60)) for box in p.cut
    ]
    assert cut
    for page, (x, y, w, h) in cut:
        height, width = page.ink.shape
        assert x == 0 or y == 0 or x + w == width or y + h == height


def test_thinning_leaves_middle_lines():
    bar = np.zeros((40, 60), np.uint8)
    cv2.rectangle(bar, (10, 15), (50, 23), 1, -1)
    line = thin(bar)
    assert set(np.flatnonzero(line.any(1))) <= {17, 18, 19, 20, 21}
    assert 25 < line.sum() < 45
    assert (line <= bar).all()


@pytest.mark.parametrize("pen", [2, 6, None])
@pytest.mark.parametrize("height", [20, 90])
def test_glyphs_have_the_height_and_the_pen_that_is_asked_for(mnist_test, pen, height):
    rng = np.random.default_rng(0)
    seven = mnist_test.images[0]
    ink = glyph(seven, height, pen, rng)
    # The ends of a thinned line are half a pen of MNIST's shorter, those drawn half a pen longer.
    assert abs(ink.shape[0] - height) <= 3 + 0.12 * height + (pen or 0) / 2
    if pen and height > 50:
        stem = (ink[height // 2] > 127).sum()  # a row through the stem, which leans
        assert pen - 1 <= stem <= 2.5 * pen + 2


def test_a_folder_of_scenes_can_be_measured_on(tmp_path, monkeypatch):
    import sys

    from support.paths import ROOT

    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import scenes as writer

    monkeypatch.setattr(sys, "argv", ["scenes.py", str(tmp_path), "--count", "2"])
    monkeypatch.setattr(writer, "scene", lambda *a: scene(*a, sides=(200, 240)))
    writer.main()
    lines = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    assert len(lines) == 2
    for line in lines:
        image = cv2.imread(str(tmp_path / line["file"]))
        assert image is not None
        assert set(line["text"]) <= set("0123456789\n")


# --- the finder's training -------------------------------------------------------------------


@pytest.fixture
def training():
    torch = pytest.importorskip("torch", reason="needs the train extra")

    torch.manual_seed(0)
    torch.set_num_threads(1)


def test_what_the_net_should_say_of_a_digit(training):
    from digitkit.training import detector_data

    plain, ink = np.full((320, 320), 200, np.uint8), np.zeros((320, 320), np.uint8)
    ink[100:180, 60:100] = 255
    boxes = np.array([[60, 100, 40, 80]], np.float32)
    image, stroke, heat, reach = detector_data._sample(plain, ink, boxes, 0, 0)
    assert image.shape == (320, 320)
    assert stroke[50:90, 30:50].all()
    assert stroke.sum() == 40 * 20
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    assert (y, x) == (35, 20)
    assert heat[y, x] == 1
    left, top, right, bottom = np.exp(reach[:4, y, x]) * 4
    cx, cy = (x + 0.5) * 4, (y + 0.5) * 4
    assert np.allclose(
        [cx - left, cy - top, cx + right, cy + bottom], [60, 100, 100, 180], atol=0.1
    )
    assert reach[4].sum() > 1
    # Most of it outside: nothing to learn.
    _, _, none, _ = detector_data._sample(plain, ink, boxes, 95, 0)
    assert none.max() == 0


def test_training_exports_a_finder_that_loads(training, tmp_path, monkeypatch):
    from support.cli import one_error_line, run

    from digitkit.reading.detector import Detector

    monkeypatch.setattr("digitkit.training.detector_data.CROP", 96)
    monkeypatch.setattr("digitkit.training.detector.CROP", 96)
    options = ["--set", "steps=2", "--set", "workers=0", "--batch-size", 2, "--threads", 1]
    first = run("train", "--recipe", "finder", "--out", tmp_path / "a", *options)
    assert first.exit_code == 0, first.output
    assert "written to" in first.stdout
    found = Detector(tmp_path / "a" / "finder.onnx")
    assert "Trained for 2 steps of 2 pieces of 96×96" in found.metadata["digitkit.training"]
    maps = found.maps(np.full((50, 75), 128, np.uint8))
    assert maps.ink.shape == (25, 38)
    assert maps.centre.shape == (13, 19)
    assert maps.reach.shape == (4, 13, 19)
    assert 0 <= maps.ink.min() <= maps.ink.max() <= 1
    assert maps.reach.min() > 0
    again = run("train", "--recipe", "finder", "--out", tmp_path / "a", *options)
    assert "holds a finder already" in one_error_line(again, 2)
    further = ["--out", tmp_path / "b", "--init", tmp_path / "a", *options]
    assert run("train", "--recipe", "finder", *further).exit_code == 0
    both = Detector(tmp_path / "b" / "finder.onnx").metadata["digitkit.training"]
    assert both.count("2 steps") == 2
    for wrong in (["--epochs", 3], ["--set", "steps=0"], ["--set", "net=x"], ["--init", tmp_path]):
        result = run("train", "--recipe", "finder", "--out", tmp_path / "c", *wrong)
        one_error_line(result, 2)
    assert not (tmp_path / "c").exists()


def test_export_refuses_another_answer_than_torchs(training, tmp_path, monkeypatch):
    from digitkit.errors import GateError
    from digitkit.export import detector
    from digitkit.training.detector_net import DetectorNet

    monkeypatch.setattr("digitkit.export.detector.PARITY", -1.0)
    with pytest.raises(GateError, match="parity failed: ink"):
        detector.export_detector(DetectorNet((8, 8, 8, 8)), tmp_path / "finder.onnx", "never")
    assert not list(tmp_path.iterdir())
