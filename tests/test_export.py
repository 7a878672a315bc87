from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import onnx

from digitkit import Classifier, datasets, export, graph, quantize
from digitkit.errors import DatasetError, GateError, ModelError


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
    assert names == {"small-fp32.onnx", "small-int8.onnx", "MODEL_CARD.md", "SHA256SUMS"}
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
    assert int8.graph.node[0].op_type == "DequantizeLinear"  # the pixels, as they are
    assert "Cast" not in ops
    assert ops["Conv"] == Counter(n.op_type for n in fp32.graph.node)["Conv"]
    counted = graph.facts(fp32)
    assert (counted.parameters, counted.multiply_adds) == (95_754, 1_518_592)
    assert graph.facts(int8).multiply_adds == counted.multiply_adds


def test_parity_with_torch_at_any_batch_size(exported, small_run, mnist_test):
    net = export.deployed(small_run.net, small_run.record["validation"]["temperature"])
    with torch.no_grad():
        truth = net(torch.from_numpy(mnist_test.images[:50].copy()).unsqueeze(1)).numpy()
    model = Classifier(exported[0].path)
    for size in (1, 3, 50):
        assert np.abs(model.probabilities(mnist_test.images[:size]) - truth[:size]).max() < 1e-4


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

    def wrong(model, images):
        return right(model, np.minimum(images, 3))  # ranges far too small

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
        quantize, "quantize", lambda model, images: seen.append(images) or right(model, images)
    )
    export.export(small_run, tmp_path, "a")
    both = datasets.load_train_and_test(Path(small_run.record["data"]["source"]))
    kept, off = datasets.stratified_split(both.train.labels, small_run.recipe.validation, 0)
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
        counted = graph.facts(model)
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
