from __future__ import annotations

from dataclasses import replace

import pytest

from digitkit.errors import ModelError
from digitkit.images.normal_form import NORMAL_FORM_VERSION
from digitkit.models.classifier import Classifier
from digitkit.models.contract import CONTRACT_VERSION, PREPROCESSING, ModelContract


@pytest.fixture(scope="module")
def contract(shipped) -> ModelContract:
    return Classifier(shipped).contract


def test_round_trip(contract):
    metadata = contract.to_metadata()
    assert all(isinstance(v, str) and k.startswith("digitkit.") for k, v in metadata.items())
    assert list(metadata) == sorted(metadata)
    unknown = {"other.key": "x", "digitkit.invented_later": "1"}
    assert ModelContract.from_metadata(metadata | unknown, "m") == contract


def test_models_from_before_the_opset_was_stored(contract):
    older = replace(contract, opset=None)
    assert "digitkit.opset" not in older.to_metadata()
    assert ModelContract.from_metadata(older.to_metadata(), "m") == older


def test_no_metadata_is_a_third_party_model():
    assert ModelContract.from_metadata({"author": "x"}, "m") is None


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("contract", str(CONTRACT_VERSION + 1)),
        ("contract", "x"),
        ("seed", "{"),
        ("seed", "true"),
        ("seed", "1.5"),
        ("test_accuracy", '"high"'),
        ("op_counts", "[]"),
        ("op_counts", '{"Conv": "1"}'),
        ("opset", '"18"'),
        ("precision", "int4"),
        ("labels", "0123456798"),
        ("recipe", None),
        *(("min_confidence", text) for text in ("null", "[1]", "NaN", "-1", "2", '"abc"')),
        *(("test_accuracy", text) for text in ("null", "1.5", "Infinity")),
        *(("temperature", text) for text in ("0", "-1", "NaN")),
        ("op_counts", "[" * 100_000),
        ("preprocessing", "2"),
    ],
)
def test_bad_contracts(contract, key, text):
    metadata = contract.to_metadata() | {f"digitkit.{key}": text}
    with pytest.raises(ModelError, match=key) as error:
        ModelContract.from_metadata({k: v for k, v in metadata.items() if v is not None}, "m.onnx")
    assert error.value.subject == "m.onnx"


def test_whole_numbers_can_stand_for_fractions(contract):
    metadata = contract.to_metadata() | {"digitkit.temperature": "1"}
    assert repr(ModelContract.from_metadata(metadata, "m").temperature) == "1.0"


def test_the_preprocessing_is_the_normal_forms():
    assert PREPROCESSING == NORMAL_FORM_VERSION
