"""The export of nets that have been trained for seconds."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

import onnx
import onnxruntime as ort

from digitkit import Classifier
from digitkit.datasets.digits import stratified_split
from digitkit.datasets.load import load_train_and_test
from digitkit.errors import GateError
from digitkit.export import export, graph, verify
from digitkit.export.export import ExportConfig, export_run
from digitkit.models.calibration import fit_min_confidence
from digitkit.models.evaluation import score_predictions
from digitkit.training import negatives


def export_both(run, out):
    with pytest.MonkeyPatch.context() as patch:
        # Of 300 test images, one that flips is 0.33 points: over the gate for 10,000.
        patch.setattr(verify, "INT8_LOSS", 0.03)
        return export_run(ExportConfig(run.folder, out, "short"))


@pytest.fixture(scope="module")
def small(small_run, tmp_path_factory):
    return export_both(small_run, tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def tiny(tiny_run, tmp_path_factory):
    return export_both(tiny_run, tmp_path_factory.mktemp("tiny"))


def optimised(path, tmp_path) -> Counter[str]:
    """The operators that ONNX Runtime really runs."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4
    ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return Counter(n.op_type for n in onnx.load(tmp_path / "optimised.onnx").graph.node)


def test_the_graph_keeps_its_promises(small):
    fp32, int8 = (onnx.load(model.path) for model in small)
    for model in (fp32, int8):
        assert [o.version for o in model.opset_import] == [graph.OPSET]
        assert model.ir_version == graph.IR_VERSION
        assert not model.functions
        (image,) = model.graph.input
        assert image.name == "image"
        assert image.type.tensor_type.elem_type == onnx.TensorProto.UINT8
        assert image.type.tensor_type.shape.dim[0].dim_param == "N"
        assert [o.name for o in model.graph.output] == ["probabilities"]
        for node in model.graph.node:
            assert (node.domain, node.doc_string, len(node.metadata_props)) == ("", "", 0)
            assert node.op_type != "BatchNormalization"
        text = model.SerializeToString()
        assert b".py" not in text
        assert b"torch" not in text
    ops = Counter(n.op_type for n in int8.graph.node)
    # The pixels unchanged, but for their order.
    first = [n.op_type for n in int8.graph.node[:5]]
    assert first == ["Reshape", "Transpose", "Reshape", "Transpose", "DequantizeLinear"]
    assert "Cast" not in ops
    assert ops["Conv"] == Counter(n.op_type for n in fp32.graph.node)["Conv"]


def test_no_layer_is_quantised_twice(small, tiny, tmp_path):
    ops = optimised(small[1].path, tmp_path)
    assert (ops["QLinearConv"], ops["QGemm"]) == (4, 1)
    # What the stock quantisation leaves between the layers.
    assert ops["QuantizeLinear"] == ops["DequantizeLinear"] == ops["Relu"] == 0
    ops = optimised(tiny[1].path, tmp_path)
    assert ops["QLinearConv"] == 4
    assert ops["QuantizeLinear"] == ops["DequantizeLinear"] == 0


def test_a_net_that_was_trained_with_negatives_recognises_digits(tiny, mnist_test):
    # Other seeds and digits than in training.
    others = negatives.make_negatives(mnist_test.images, mnist_test.labels, 240, seed=99)
    for exported in tiny:
        model = Classifier(exported.path)
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


def test_a_run_is_scored_as_its_export_is(tiny, tiny_run, small_data):
    """Threshold and test results are based on the confidence that the device computes."""
    fp32 = Classifier(tiny[0].path)
    data = load_train_and_test(small_data)
    result = score_predictions(fp32.scores(data.test.images).joint, data.test.labels, "test")
    assert result.loss == pytest.approx(tiny_run.record.test.loss, abs=1e-4)
    recipe = tiny_run.recipe
    _, off = stratified_split(data.train.labels, recipe.validation, recipe.seed)
    validation = data.train.take(off)
    fitted = fit_min_confidence(fp32.scores(validation.images).joint, validation.labels)
    assert fitted == pytest.approx(fp32.min_confidence, abs=0.002)


def test_the_parity_gate_covers_is_digit(tiny_run, tmp_path, monkeypatch):
    right = export.to_onnx

    def wrong(net):
        model = right(net)
        (node,) = (n for n in model.graph.node if n.op_type == "Sigmoid")
        node.op_type = "Softplus"
        return model

    monkeypatch.setattr(export, "to_onnx", wrong)
    with pytest.raises(GateError, match="parity"):
        export_run(ExportConfig(tiny_run.folder, tmp_path / "out"))
    assert not (tmp_path / "out").exists()
