"""What is read of a model file without onnx; counting is in test_export.py."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from digitkit.export import graph
from digitkit.models.classifier import Classifier
from digitkit.models.registry import models_folder

SHIPPED = sorted(models_folder().glob("*.onnx"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_opset_of_shipped_models(path):
    assert graph.read_opset(path.read_bytes()) == graph.OPSET == 18


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_opset_as_onnx_reads_it(path):
    onnx = pytest.importorskip("onnx")
    (standard,) = onnx.load(path).opset_import
    assert graph.read_opset(path.read_bytes()) == standard.version


def opsets(*pairs: tuple[str, int]) -> bytes:
    onnx = pytest.importorskip("onnx")
    model = onnx.ModelProto(ir_version=8, producer_name="x" * 300)
    for domain, version in pairs:
        model.opset_import.add(domain=domain, version=version)
    return model.SerializeToString()


def test_other_domains_are_passed_over():
    assert graph.read_opset(opsets(("com.microsoft", 1), ("", 21))) == 21
    assert graph.read_opset(opsets(("ai.onnx", 300), ("ai.onnx.ml", 3))) == 300
    assert graph.read_opset(opsets(("ai.onnx.ml", 3))) is None
    assert graph.read_opset(opsets()) is None


@given(st.binary(max_size=300))
@example(b"\x42\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")  # longer than the file
@example(b"\x42\x02\x10\x12")
@example(b"\x40\x12")
@example(b"\x42\x00")
def test_garbage_gives_an_opset_or_none(data):
    assert graph.read_opset(data) is None or graph.read_opset(data) >= 0


def test_a_number_has_ten_bytes_at_most():
    """Without a limit a file of 0xff alone would take minutes."""
    for length, opset in ((9, 1 << 63), (10, None)):
        number = b"\x80" * length + b"\x01"
        field = b"\x10" + number
        assert graph.read_opset(bytes([0x42, len(field)]) + field) == opset


@given(st.data())
def test_a_damaged_model_gives_an_opset_or_none(data):
    whole = SHIPPED[0].read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 400)))
    damaged = whole[:start] + data.draw(st.binary(max_size=20)) + whole[end:]
    found = graph.read_opset(damaged)
    assert found is None or isinstance(found, int)


def test_a_shipped_model_is_described_by_its_contract(shipped):
    contract = Classifier(shipped).contract
    found = graph.describe_model(shipped, contract)
    assert found == graph.ModelDescription(
        18, contract.op_counts, contract.parameters, contract.multiply_adds
    )


def test_a_foreign_model_is_counted_with_onnx(shipped):
    pytest.importorskip("onnx")
    found = graph.describe_model(shipped, None)
    assert (found.opset, found.not_counted) == (18, None)
    assert found.op_counts["Conv"] > 1
    assert found.parameters > 10_000
    assert found.multiply_adds > 100_000


def test_without_onnx_a_foreign_model_is_not_counted(shipped, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    found = graph.describe_model(shipped, None)
    assert found == graph.ModelDescription(
        18, not_counted="counting a foreign model needs onnx, not installed here"
    )
