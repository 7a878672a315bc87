"""Trainings that take seconds: of nets that learn, their export, and of the detector."""

import re
from collections import Counter

import numpy as np
import pytest
from support.cli import one_error_line, run
from support.errors import error_of

pytest.importorskip("torch", reason="needs the train extra")

import onnx
import onnxruntime as ort
import torch

from digitkit import Classifier
from digitkit.datasets.digits import SPLIT_SEED, stratified_split
from digitkit.datasets.load import load_train_and_test
from digitkit.errors import GateError
from digitkit.export import (
    detector_export,
    export_job,
    graph,
    grey_export,
    line_export,
    verify,
)
from digitkit.export.export_job import ExportConfig, export_run
from digitkit.models.calibration import fit_min_confidence
from digitkit.models.evaluation import score_predictions
from digitkit.reading.networks.detector import Detector
from digitkit.reading.networks.grey_classifier import GreyClassifier
from digitkit.reading.networks.line_reader import LETTER, SPOILED, LineReader
from digitkit.training import negatives, steps


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        # Of 300 test images, one that flips is 0.33 points: over the gate for 10,000.
        patch.setattr(verify, "INT8_LOSS", 0.03)
        return export_run(ExportConfig(tiny_run.folder, tmp_path_factory.mktemp("out")))


def test_the_graphs(exported, tmp_path):
    fp32, int8 = (onnx.load(model.path) for model in exported)
    for model in (fp32, int8):
        assert [(o.domain, o.version) for o in model.opset_import] == [("", graph.OPSET)]
        assert (model.ir_version, len(model.functions)) == (graph.IR_VERSION, 0)
        (image,) = model.graph.input
        kind = image.type.tensor_type
        assert (image.name, kind.elem_type) == ("image", onnx.TensorProto.UINT8)
        assert kind.shape.dim[0].dim_param == "N"
        assert [o.name for o in model.graph.output] == ["probabilities", "is_digit"]
        for node in model.graph.node:
            assert (node.domain, node.doc_string, len(node.metadata_props)) == ("", "", 0)
            assert node.op_type != "BatchNormalization"
        assert not re.search(rb"\.py|torch", model.SerializeToString())
    # The pixels unchanged, but for their order.
    first = [n.op_type for n in int8.graph.node[:5]]
    assert first == ["Reshape", "Transpose", "Reshape", "Transpose", "DequantizeLinear"]
    counts = [Counter(n.op_type for n in model.graph.node) for model in (fp32, int8)]
    assert counts[0]["Conv"] == counts[1]["Conv"] == 4
    assert "Cast" not in counts[1]
    # No layer is quantised twice, among the operators that ONNX Runtime really runs.
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4
    ort.InferenceSession(exported[1].path, options, providers=["CPUExecutionProvider"])
    ops = Counter(n.op_type for n in onnx.load(tmp_path / "optimised.onnx").graph.node)
    assert (ops["QLinearConv"], ops["QGemm"]) == (4, 1)
    assert ops["QuantizeLinear"] == ops["DequantizeLinear"] == ops["Relu"] == 0


def test_it_learns_and_recognises_digits(exported, tiny_run, mnist_test):
    record = tiny_run.record
    assert record.test.accuracy > 0.85
    assert record.epochs[-1].train_loss < 0.6 * record.epochs[0].train_loss
    # Other seeds and digits than in training.
    others = negatives.make_negatives(mnist_test.images, mnist_test.labels, 240, seed=99)
    for model in (Classifier(exported.path) for exported in exported):
        assert model.knows_digits
        assert model.output.endswith("is_digit: float32 [N]")
        scores = model.scores(mnist_test.images[:300])
        assert scores.probabilities.sum(1) == pytest.approx(np.ones(300), abs=1e-5)
        assert scores.joint.sum(1) == pytest.approx(scores.is_digit, abs=1e-5)
        assert np.median(scores.is_digit) > 0.8
        assert np.median(model.scores(others).is_digit) < 0.4
        digit = model.classify(mnist_test.images[0])
        assert digit.confidence == pytest.approx(scores.joint[0].max(), abs=1e-4)
        assert digit.is_digit == pytest.approx(scores.is_digit[0], abs=1e-4)


def test_a_run_is_scored_as_its_export_is(exported, tiny_run, small_data):
    """Threshold and test results are based on the confidence that the device computes."""
    fp32, recipe = Classifier(exported[0].path), tiny_run.recipe
    data = load_train_and_test(small_data)
    result = score_predictions(fp32.scores(data.test.images).joint, data.test.labels, "test")
    assert result.loss == pytest.approx(tiny_run.record.test.loss, abs=1e-4)
    _, off = stratified_split(data.train.labels, recipe.validation, SPLIT_SEED)
    validation = data.train.take(off)
    fitted = fit_min_confidence(fp32.scores(validation.images).joint, validation.labels)
    assert fitted == pytest.approx(fp32.min_confidence, abs=0.002)


def test_the_parity_gate_covers_is_digit(tiny_run, tmp_path, monkeypatch):
    right = export_job.to_onnx

    def wrong(net):
        model = right(net)
        (node,) = (n for n in model.graph.node if n.op_type == "Sigmoid")
        node.op_type = "Softplus"
        return model

    monkeypatch.setattr(export_job, "to_onnx", wrong)
    config = ExportConfig(tiny_run.folder, tmp_path / "out")
    assert "parity" in str(error_of(GateError, export_run, config))
    assert not (tmp_path / "out").exists()


def test_a_trained_detector_can_be_used_and_trained_on(tmp_path, monkeypatch):
    monkeypatch.setattr("digitkit.training.detector_data.CROP_SIDE", 96)
    out = tmp_path / "a"
    options = ["--set", "steps=2", "--set", "workers=0", "--batch-size", 2, "--threads", 1]
    first = run("train", "--recipe", "finder", "--out", out, *options)
    assert first.exit_code == 0, first.output
    trained = Detector(out / "finder.onnx")
    assert "2 steps of 2 crops" in trained.metadata["digitkit.training"]
    maps = trained.maps(np.full((50, 75), 128, np.uint8))
    assert (maps.ink.shape, maps.centre.shape) == ((25, 38), (13, 19))
    assert maps.reach.shape == (4, 13, 19)
    assert 0 <= maps.ink.min() <= maps.ink.max() <= 1
    assert maps.reach.min() > 0
    assert maps.other.shape == (25, 38)
    again = run("train", "--recipe", "finder", "--out", out, *options)
    assert "--overwrite" in one_error_line(again, 2)
    further = ["--out", tmp_path / "b", "--init", out, *options]
    assert run("train", "--recipe", "finder", *further).exit_code == 0
    training = Detector(tmp_path / "b/finder.onnx").metadata["digitkit.training"]
    assert training.count("2 steps") == 2
    assert "complete" in one_error_line(run("train", "--resume", out), 2)
    (out / "finder.onnx").unlink()
    monkeypatch.setattr(detector_export, "MAX_OUTPUT_DIFFERENCE", -1.0)
    assert "ink" in str(error_of(GateError, detector_export.DETECTOR_EXPORT.run, out))
    assert not (out / "finder.onnx").exists()


def test_a_trained_line_reader_can_be_used_and_trained_on(tmp_path, monkeypatch):
    out = tmp_path / "a"
    options = ["--set", "steps=2", "--set", "scenes=3", "--set", "workers=0", "--threads", 1]
    first = run("train", "--recipe", "lines", "--out", out, "--batch-size", 2, *options)
    assert first.exit_code == 0, first.output
    trained = LineReader(out / "lines.onnx")
    assert "2 steps of 2 parts of rows of 192×48" in trained.metadata["digitkit.training"]
    found = trained.read(np.full((48, 74), 128, np.uint8))
    assert found.shape == (LETTER + 1, 37)
    assert np.allclose(found[:SPOILED].sum(0), 1, atol=1e-5)
    assert (found[SPOILED:] > 0).all()
    assert (found[SPOILED:] < 1).all()
    further = ["--out", tmp_path / "b", "--init", out, "--set", "seed=3", *options]
    assert run("train", "--recipe", "lines", *further).exit_code == 0
    training = LineReader(tmp_path / "b/lines.onnx").metadata["digitkit.training"]
    assert training.count("2 steps") == 2
    (out / "lines.onnx").unlink()
    monkeypatch.setattr(line_export, "MAX_PROBABILITY_DIFFERENCE", -1.0)
    assert "probabilities" in str(error_of(GateError, line_export.LINE_EXPORT.run, out))
    assert not (out / "lines.onnx").exists()


def test_a_trained_grey_classifier_can_be_used_and_trained_on(tmp_path, monkeypatch):
    out = tmp_path / "a"
    options = ["--set", "steps=2", "--set", "images=130", "--threads", 1]
    first = run("train", "--recipe", "grey", "--out", out, "--batch-size", 4, *options)
    assert first.exit_code == 0, first.output
    trained = GreyClassifier(out / "grey.onnx")
    assert "2 steps of 4 images of 40×40" in trained.metadata["digitkit.training"]
    found = trained.classify([np.full((30, 50), 128, np.uint8), np.eye(90, dtype=np.uint8)])
    assert found.shape == (2, 11)
    assert np.allclose(found.sum(1), 1, atol=1e-5)
    with np.load(out / "grey.npz") as made:
        assert made["images"].shape == (130, 40, 40)
        assert 10 in made["labels"]
    further = ["--out", tmp_path / "b", "--init", out, "--set", "seed=3", *options]
    assert run("train", "--recipe", "grey", *further).exit_code == 0
    training = GreyClassifier(tmp_path / "b/grey.onnx").metadata["digitkit.training"]
    assert training.count("2 steps") == 2
    (out / "grey.onnx").unlink()
    monkeypatch.setattr(grey_export, "MAX_PROBABILITY_DIFFERENCE", -1.0)
    assert "probabilities" in str(error_of(GateError, grey_export.GREY_EXPORT.run, out))
    assert not (out / "grey.onnx").exists()


def test_an_interrupted_training_of_the_detector_is_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr("digitkit.training.detector_data.CROP_SIDE", 96)
    monkeypatch.setattr(steps, "SAVED_STEPS", 1)
    step = steps.take_step
    taken = []

    def stop_at_the_third(task, training, batch):
        if training.step == 2 and not taken:
            taken.append(training.step)
            raise KeyboardInterrupt
        return step(task, training, batch)

    monkeypatch.setattr(steps, "take_step", stop_at_the_third)
    options = ["--set", "steps=3", "--set", "workers=0", "--batch-size", 2, "--threads", 1]
    stopped = run("train", "--recipe", "finder", "--out", tmp_path, *options)
    assert stopped.exit_code == 130
    assert f"--resume {tmp_path}" in stopped.stderr
    saved = torch.load(tmp_path / "finder.pt", weights_only=True)
    assert saved["state"]["step"] == 2
    again = run("train", "--resume", tmp_path)
    assert again.exit_code == 0, again.output
    assert "state" not in torch.load(tmp_path / "finder.pt", weights_only=True)
    assert "3 steps" in Detector(tmp_path / "finder.onnx").metadata["digitkit.training"]
