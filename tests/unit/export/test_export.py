from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import onnx

from digitkit import Classifier
from digitkit.datasets.digits import stratified_split
from digitkit.datasets.load import load_train_and_test
from digitkit.errors import DatasetError, GateError, ModelError
from digitkit.export import export, graph, quantize
from digitkit.models.calibration import fit_min_confidence
from digitkit.models.evaluation import score_predictions


@pytest.fixture(scope="module")
def exported(small_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported")
    # 300 test images: one that flips is 0.33 points, over the gate that 10,000 are held to.
    before, export.INT8_LOSS = export.INT8_LOSS, 0.02
    try:
        return export.export(small_run, out, "small")
    finally:
        export.INT8_LOSS = before


def test_files_and_contract(exported, small_run):
    fp32, int8 = exported
    assert [e.path.name for e in exported] == ["small-fp32.onnx", "small-int8.onnx"]
    names = {p.name for p in fp32.path.parent.iterdir()}
    assert names == {
        "small-fp32.onnx", "small-int8.onnx", "small-mistakes.png", "MODEL_CARD.md", "SHA256SUMS",
    }  # fmt: skip
    card = (fp32.path.parent / "MODEL_CARD.md").read_text()
    assert "![mistakes of small](small-mistakes.png)" in card
    contract = Classifier(int8.path).contract
    assert contract == int8.contract
    assert contract.precision == "int8"
    assert contract.parameters == 95_754
    assert contract.recipe == "quick"
    assert json.loads(contract.overrides) == {"epochs": "6", "batch_size": "64"}
    assert contract.data_digest == small_run.record["data"]["train"]["digest"]
    assert contract.temperature == small_run.record["validation"]["temperature"]
    assert contract.test_count == 300
    assert int8.size < fp32.size / 2.5


def test_the_graph_keeps_its_promises(exported):
    fp32, int8 = (onnx.load(e.path) for e in exported)
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
            assert node.domain == ""
            assert not node.metadata_props
            assert not node.doc_string
            assert node.op_type != "BatchNormalization"
        text = model.SerializeToString()
        assert b".py" not in text
        assert b"torch" not in text
    ops = Counter(n.op_type for n in int8.graph.node)
    # The pixels as they are, but for their order.
    first = [n.op_type for n in int8.graph.node[:5]]
    assert first == ["Reshape", "Transpose", "Reshape", "Transpose", "DequantizeLinear"]
    assert "Cast" not in ops
    assert ops["Conv"] == Counter(n.op_type for n in fp32.graph.node)["Conv"]
    counted = graph.count_graph(fp32)
    assert (counted.parameters, counted.multiply_adds) == (95_754, 1_518_592)


def test_parity_with_torch_at_any_batch_size(exported, small_run, mnist_test):
    net = export.deployed(small_run.net, small_run.record["validation"]["temperature"])
    with torch.no_grad():
        (truth,) = net(torch.from_numpy(mnist_test.images[:50].copy()).unsqueeze(1))
    model = Classifier(exported[0].path)
    for size in (1, 3, 50):
        assert (
            np.abs(model.probabilities(mnist_test.images[:size]) - truth[:size].numpy()).max()
            < 1e-4
        )


def test_the_same_run_exports_to_the_same_bytes(exported, small_run, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "INT8_LOSS", 0.02)
    for again, before in zip(export.export(small_run, tmp_path, "small"), exported, strict=True):
        assert again.path.read_bytes() == before.path.read_bytes()


def test_without_int8_no_older_one_stays(small_run, tmp_path):
    (tmp_path / "a-int8.onnx").write_bytes(b"of another training")
    (only,) = export.export(small_run, tmp_path, "a", int8=False)
    assert only.path.name == "a-fp32.onnx"
    assert not (tmp_path / "a-int8.onnx").exists()


def test_parity_gate_can_fail(small_run, tmp_path, monkeypatch):
    right = export.to_onnx

    def wrong(net):
        model = right(net)
        bias = model.graph.initializer[1]
        values = onnx.numpy_helper.to_array(bias) + 0.05
        bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
        return model

    monkeypatch.setattr(export, "to_onnx", wrong)
    with pytest.raises(GateError, match="a-fp32: parity failed: .* nothing written"):
        export.export(small_run, tmp_path / "out", "a")
    assert not (tmp_path / "out").exists()


def test_int8_gate_can_fail(small_run, tmp_path, monkeypatch):
    right = quantize.quantize

    def wrong(model, images, target):
        return right(model, np.minimum(images, 3), target)  # ranges far too small

    monkeypatch.setattr(quantize, "quantize", wrong)
    with pytest.raises(GateError, match="a-int8: accuracy failed: .* nothing written"):
        export.export(small_run, tmp_path / "out", "a")
    assert not (tmp_path / "out").exists()


def test_checker_gate_can_fail(small_run, tmp_path, monkeypatch):
    right = export.to_onnx

    def wrong(net):
        model = right(net)
        model.graph.node[0].op_type = "Nothing"
        return model

    monkeypatch.setattr(export, "to_onnx", wrong)
    with pytest.raises(GateError, match="a-fp32: ONNX's checker refuses it"):
        export.export(small_run, tmp_path / "out", "a")
    assert not (tmp_path / "out").exists()


def test_calibration_never_sees_test_or_validation_images(small_run, tmp_path, monkeypatch):
    seen = []
    right = quantize.quantize
    monkeypatch.setattr(export, "INT8_LOSS", 1.0)
    monkeypatch.setattr(
        quantize,
        "quantize",
        lambda model, images, target: seen.append(images) or right(model, images, target),
    )
    export.export(small_run, tmp_path, "a")
    both = load_train_and_test(Path(small_run.record["data"]["source"]))
    kept, off = stratified_split(both.train.labels, small_run.recipe.validation, 0)
    allowed = {i.tobytes() for i in both.train.images[kept]}
    used = {i.tobytes() for i in seen[0]}
    assert used <= allowed
    assert not used & {i.tobytes() for i in both.train.images[off]}
    assert 900 < len(seen[0]) <= 1001


def test_other_data_than_the_run_recorded(small_run, tmp_path, mnist_test):
    from conftest import write_idx

    write_idx(tmp_path, "train", mnist_test.take(np.arange(100)))
    write_idx(tmp_path, "test", mnist_test.take(np.arange(100)))
    with pytest.raises(DatasetError, match="its train set is not the one that"):
        export.export(small_run, tmp_path / "out", "a", data=tmp_path)


def test_articles_nets_export_too(tmp_path):
    from digitkit.training import nets

    for name in ("article", "article-minimal"):
        torch.manual_seed(0)
        net = nets.build_net(name)
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=0.1)  # biases of 0 would be left out
        model = export.to_onnx(export.deployed(net, 1.3))
        counted = graph.count_graph(model)
        assert counted.parameters == nets.parameter_count(nets.build_net(name))
        small = quantize.quantize(
            model, np.random.default_rng(0).integers(0, 255, (20, 28, 28), np.uint8)
        )
        onnx.checker.check_model(small, full_check=True)


def test_what_cannot_be_folded_or_quantised(small_run):
    nn = torch.nn
    with pytest.raises(ModelError, match="begin with a convolution"):
        export.deployed(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), 1.0)
    with pytest.raises(ModelError, match="can't fold"):
        export.deployed(nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 1, 3)), 1.0)
    net = export.to_onnx(export.deployed(small_run.net, 1.0))
    with pytest.raises(DatasetError, match="no images"):
        quantize.quantize(net, np.zeros((0, 28, 28), np.uint8))


def test_folding_leaves_the_run_as_it_is(small_run):
    before = {k: v.clone() for k, v in small_run.net.state_dict().items()}
    export.deployed(small_run.net, 2.0)
    for key, value in small_run.net.state_dict().items():
        assert torch.equal(value, before[key])


def test_contract_is_frozen(exported):
    assert replace(exported[0].contract, seed=5).seed == 5


# --- int8 ------------------------------------------------------------------------------------


def optimised(path, tmp_path) -> Counter[str]:
    """The operators that ONNX Runtime really runs."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4
    ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return Counter(n.op_type for n in onnx.load(tmp_path / "optimised.onnx").graph.node)


def test_no_layer_is_quantised_twice(exported, tmp_path):
    ops = optimised(exported[1].path, tmp_path)
    assert ops["QLinearConv"] == 4
    assert ops["QGemm"] == 1
    # What the stock flow leaves between the layers.
    assert ops["QuantizeLinear"] == ops["DequantizeLinear"] == ops["Relu"] == 0


@pytest.mark.parametrize("target", quantize.PRESETS)
def test_targets(small_run, mnist_test, mnist_train, tmp_path, target):
    fp32 = export.to_onnx(export.deployed(small_run.net, 1.0))
    small = quantize.quantize(fp32, mnist_train.images[:200], target)
    onnx.checker.check_model(small, full_check=True)
    preset = quantize.PRESETS[target]
    weights = [onnx.numpy_helper.to_array(t) for t in small.graph.initializer]
    largest = max(np.abs(w.astype(int)).max() for w in weights if w.ndim == 4)
    # Two products of 255 and 64 still fit into 16 bits.
    assert largest == (64 if preset.weight_bits == 7 else 127)
    values = {t.name: onnx.numpy_helper.to_array(t) for t in small.graph.initializer}
    between = [n for n in small.graph.node if n.op_type == "QuantizeLinear"]
    kinds = {str(values[n.input[2]].dtype) for n in between}
    assert kinds == {preset.activations}
    path = tmp_path / "a.onnx"
    path.write_bytes(graph.to_bytes(small, {}))
    import onnxruntime as ort

    given = ort.InferenceSession(path).run(None, {"image": mnist_test.images[:300, None]})[0]
    with torch.no_grad():
        (truth,) = export.deployed(small_run.net, 1.0)(
            torch.from_numpy(mnist_test.images[:300, None].copy())
        )
    assert (given.argmax(1) == truth.argmax(1).numpy()).mean() > 0.98
    assert quantize.describe_target(target).startswith(
        f"static QDQ for {target}: {preset.activations}"
    )


@pytest.mark.parametrize(
    "layers", ["8x5s2 8x3", "8x5s2p2 8x3", "8x4s2p1 8x3", "8x6s2 8x3", "8x3s2p1", "8x3s2"]
)
def test_folding_pixels_into_channels_changes_no_answer(layers, mnist_train, monkeypatch, tmp_path):
    import onnxruntime as ort

    from digitkit.training import nets

    torch.manual_seed(0)
    fp32 = export.to_onnx(export.deployed(nets.convnet(layers), 1.0))
    images = mnist_train.images[:50]
    folded = quantize.quantize(fp32, images)
    monkeypatch.setattr(quantize, "_fold_pixels", lambda model: None)
    plain = quantize.quantize(fp32, images)
    assert folded.graph.node[0].op_type == "Reshape"
    assert plain.graph.node[0].op_type == "DequantizeLinear"
    answers = []
    for model in (folded, plain):
        session = ort.InferenceSession(graph.to_bytes(model, {}))
        answers.append(session.run(None, {"image": images[:, None]})[0])
    assert np.allclose(*answers, atol=1e-6)


def test_a_first_layer_of_another_stride_stays(mnist_train):
    from digitkit.training import nets

    fp32 = export.to_onnx(export.deployed(nets.convnet("8x5s3p1 8x3"), 1.0))
    small = quantize.quantize(fp32, mnist_train.images[:50])
    assert small.graph.node[0].op_type == "DequantizeLinear"


def test_quantising_leaves_the_fp32_model_as_it_is(small_run, mnist_train):
    model = export.to_onnx(export.deployed(small_run.net, 1.0))
    before = model.SerializeToString(deterministic=True)
    quantize.quantize(model, mnist_train.images[:50])
    assert model.SerializeToString(deterministic=True) == before


# --- is it a digit ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tiny_run, tmp_path_factory):
    before, export.INT8_LOSS = export.INT8_LOSS, 0.03
    try:
        return export.export(tiny_run, tmp_path_factory.mktemp("tiny"), "tiny")
    finally:
        export.INT8_LOSS = before


def test_a_net_that_saw_negatives_says_whether_it_is_a_digit(tiny, mnist_test, tmp_path):
    from digitkit.training import negatives

    for one in tiny:
        model = Classifier(one.path)
        assert model.knows_digits
        assert model.output.endswith("is_digit: float32 [N]")
        scores = model.scores(mnist_test.images[:300])
        assert scores.probabilities.sum(1) == pytest.approx(np.ones(300), abs=1e-5)
        assert scores.joint.sum(1) == pytest.approx(scores.is_digit, abs=1e-5)
        # Other seeds and digits than in training.
        others = negatives.negatives(mnist_test.images, mnist_test.labels, 240, seed=99)
        none = model.scores(others).is_digit
        assert np.median(scores.is_digit) > 0.8
        assert np.median(none) < 0.4
        one_digit = model.classify(mnist_test.images[0])
        assert one_digit.confidence == pytest.approx(scores.joint[0].max(), abs=1e-4)
        assert one_digit.is_digit == pytest.approx(scores.is_digit[0], abs=1e-4)
    ops = optimised(tiny[1].path, tmp_path)
    assert ops["QLinearConv"] == 4
    assert ops["QuantizeLinear"] == ops["DequantizeLinear"] == 0


def test_the_run_knows_what_its_export_will_say(tiny, tiny_run, small_data):
    """The threshold is fitted on, and the test scored with, the confidence that the device sees."""
    fp32 = Classifier(tiny[0].path)
    both = load_train_and_test(small_data)
    joint = fp32.scores(both.test.images).joint
    ours = score_predictions(joint, both.test.labels, "test")
    assert ours.loss == pytest.approx(tiny_run.record["test"]["loss"], abs=1e-4)
    seed = tiny_run.recipe.seed
    _, off = stratified_split(both.train.labels, tiny_run.recipe.validation, seed)
    validation = both.train.take(off)
    fitted = fit_min_confidence(fp32.scores(validation.images).joint, validation.labels)
    assert fitted == pytest.approx(fp32.min_confidence, abs=0.002)


def test_parity_covers_is_digit(tiny_run, tmp_path, monkeypatch):
    right = export.to_onnx

    def wrong(net):
        model = right(net)
        (node,) = (n for n in model.graph.node if n.op_type == "Sigmoid")
        node.op_type = "Softplus"
        return model

    monkeypatch.setattr(export, "to_onnx", wrong)
    with pytest.raises(GateError, match="parity failed"):
        export.export(tiny_run, tmp_path / "out", "a")
