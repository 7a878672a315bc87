"""Trainings that take seconds: a net that learns, and the detector."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.cli import one_error_line, run
from support.paths import ROOT

pytest.importorskip("torch", reason="needs the train extra")

from digitkit.errors import GateError
from digitkit.images.opencv import cv2
from digitkit.reading.detector import Detector
from digitkit.training.scenes.scene import compose_scene


def test_a_real_training_learns(small_run):
    record = small_run.record
    assert record.test.accuracy > 0.85
    assert record.epochs[-1].train_loss < 0.6 * record.epochs[0].train_loss


def test_a_trained_detector_can_be_used_and_trained_on(tmp_path, monkeypatch):
    from digitkit.export import detector

    monkeypatch.setattr("digitkit.training.detector_data.CROP", 96)
    monkeypatch.setattr("digitkit.training.detector.CROP", 96)
    out = tmp_path / "a"
    options = ["--set", "steps=2", "--set", "workers=0", "--batch-size", 2, "--threads", 1]
    first = run("train", "--recipe", "finder", "--out", out, *options)
    assert first.exit_code == 0, first.output
    trained = Detector(out / "finder.onnx")
    assert "2 steps of 2 crops of 96×96" in trained.metadata["digitkit.training"]
    maps = trained.maps(np.full((50, 75), 128, np.uint8))
    assert (maps.ink.shape, maps.centre.shape) == ((25, 38), (13, 19))
    assert maps.reach.shape == (4, 13, 19)
    assert 0 <= maps.ink.min() <= maps.ink.max() <= 1
    assert maps.reach.min() > 0
    again = run("train", "--recipe", "finder", "--out", out, *options)
    assert "--overwrite" in one_error_line(again, 2)
    further = ["--out", tmp_path / "b", "--init", out, *options]
    assert run("train", "--recipe", "finder", *further).exit_code == 0
    training = Detector(tmp_path / "b/finder.onnx").metadata["digitkit.training"]
    assert training.count("2 steps") == 2
    (out / "finder.onnx").unlink()
    monkeypatch.setattr(detector, "PARITY", -1.0)
    with pytest.raises(GateError, match="ink"):
        detector.export_detector_run(out)
    assert not (out / "finder.onnx").exists()


def test_a_folder_of_scenes_to_measure_on(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import scenes

    monkeypatch.setattr("sys.argv", ["scenes.py", str(tmp_path), "--count", "2"])
    monkeypatch.setattr(scenes, "compose_scene", lambda *a: compose_scene(*a, sides=(200, 240)))
    scenes.main()
    labels = list(map(json.loads, (tmp_path / "labels.jsonl").read_text().splitlines()))
    assert len(labels) == 2
    for label in labels:
        assert cv2.imread(str(tmp_path / label["file"])) is not None
        assert set(label["text"]) <= set("0123456789\n")
