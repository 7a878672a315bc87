"""What a model consists of, by its contract or by counting."""

import sys
from dataclasses import replace

import pytest

from digitkit.export import graph
from digitkit.models.classifier import Classifier
from digitkit.models.registry import models_folder


def test_the_contracts_of_shipped_models():
    onnx = pytest.importorskip("onnx")
    for path in models_folder().glob("digits*.onnx"):
        contract, model = Classifier(path).contract, onnx.load(path)
        assert contract.opset == graph.read_opset(model) == graph.OPSET
        assert contract.op_counts == graph.count_graph(model).op_counts


@pytest.mark.parametrize(
    ("opsets", "version"),
    [
        ({"com.microsoft": 1, "": 21}, 21), ({"ai.onnx": 19}, 19),
        ({"ai.onnx.ml": 3}, None), ({}, None),
    ],
)  # fmt: skip
def test_other_domains_are_ignored(opsets, version):
    onnx = pytest.importorskip("onnx")
    model = onnx.ModelProto(ir_version=8)
    for domain, number in opsets.items():
        model.opset_import.add(domain=domain, version=number)
    assert graph.read_opset(model) == version


def test_digitkit_models_are_described_by_their_contract_others_are_counted(shipped, monkeypatch):
    contract = Classifier(shipped).contract
    description = graph.ModelDescription(
        18, contract.op_counts, contract.parameters, contract.multiply_adds
    )
    assert graph.describe_model(shipped, contract) == description
    assert graph.describe_model(shipped, replace(contract, opset=None)).opset is None
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "onnx", None)
        missing = graph.describe_model(shipped, None)
        assert missing == graph.ModelDescription(not_counted=missing.not_counted)
        assert "onnx" in missing.not_counted
    pytest.importorskip("onnx")
    counted = graph.describe_model(shipped, None)
    assert (counted.opset, counted.op_counts) == (18, contract.op_counts)
    assert counted.parameters > 10_000
    assert counted.multiply_adds > 100_000
    assert counted.not_counted is None
