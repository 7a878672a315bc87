"""What a model consists of, by its contract or by counting."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from digitkit.export import graph
from digitkit.models.classifier import Classifier
from digitkit.models.registry import models_folder

SHIPPED = sorted(models_folder().glob("digits*.onnx"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_contracts_of_shipped_models(path):
    onnx = pytest.importorskip("onnx")
    contract, model = Classifier(path).contract, onnx.load(path)
    assert contract.opset == graph.read_opset(model) == graph.OPSET
    assert contract.op_counts == graph.count_graph(model).op_counts


@pytest.mark.parametrize(
    ("opsets", "version"),
    [
        ({"com.microsoft": 1, "": 21}, 21),
        ({"ai.onnx": 19}, 19),
        ({"ai.onnx.ml": 3}, None),
        ({}, None),
    ],
)
def test_other_domains_are_ignored(opsets, version):
    onnx = pytest.importorskip("onnx")
    model = onnx.ModelProto(ir_version=8)
    for domain, number in opsets.items():
        model.opset_import.add(domain=domain, version=number)
    assert graph.read_opset(model) == version


def test_a_digitkit_model_is_described_by_its_contract(shipped):
    contract = Classifier(shipped).contract
    assert graph.describe_model(shipped, contract) == graph.ModelDescription(
        18, contract.op_counts, contract.parameters, contract.multiply_adds
    )
    assert graph.describe_model(shipped, replace(contract, opset=None)).opset is None


def test_a_third_party_model_is_counted_with_onnx(shipped):
    pytest.importorskip("onnx")
    description = graph.describe_model(shipped, None)
    assert (description.opset, description.not_counted) == (18, None)
    assert description.op_counts["Conv"] > 1
    assert description.parameters > 10_000
    assert description.multiply_adds > 100_000


def test_without_onnx_a_third_party_model_is_not_counted(shipped, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    description = graph.describe_model(shipped, None)
    assert (description.opset, description.parameters) == (None, None)
    assert "onnx" in description.not_counted
