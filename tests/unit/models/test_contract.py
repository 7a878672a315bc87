from __future__ import annotations

import pytest

from digitkit.errors import ModelError
from digitkit.models.contract import CONTRACT_VERSION, ModelContract


@pytest.fixture
def contract() -> ModelContract:
    return ModelContract(
        architecture="net",
        parameters=10,
        multiply_adds=20,
        op_counts={"Conv": 1},
        recipe="quick",
        recipe_version=1,
        overrides="{}",
        seed=0,
        data="MNIST train",
        data_digest="ab",
        test_data="MNIST test",
        test_accuracy=0.99,
        test_count=10_000,
        calibration_error=0.001,
        temperature=0.8,
        min_confidence=0.9,
        precision="fp32",
        calibration="none",
        parent_sha256="",
        digitkit_version="0",
    )


def test_round_trip(contract):
    metadata = contract.to_metadata()
    assert all(isinstance(v, str) and k.startswith("digitkit.") for k, v in metadata.items())
    assert list(metadata) == sorted(metadata)
    assert ModelContract.from_metadata(metadata | {"other.key": "x"}, "m") == contract


def test_later_fields_of_the_same_contract_are_left_aside(contract):
    metadata = contract.to_metadata() | {"digitkit.invented_later": "1"}
    assert ModelContract.from_metadata(metadata, "m") == contract


def test_none_at_all_is_a_foreign_model():
    assert ModelContract.from_metadata({"author": "x"}, "m") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"digitkit.contract": str(CONTRACT_VERSION + 1)}, "keeps contract 2 .*upgrade digitkit"),
        ({"digitkit.contract": "x"}, "no contract version"),
        ({"digitkit.seed": "{"}, "digitkit.seed is damaged"),
        ({"digitkit.labels": "0123456798"}, "has the labels"),
        ({"digitkit.recipe": None}, "lacks digitkit.recipe"),
    ],
)
def test_bad_contracts(contract, change, message):
    metadata = {k: v for k, v in (contract.to_metadata() | change).items() if v is not None}
    with pytest.raises(ModelError, match=message):
        ModelContract.from_metadata(metadata, "m.onnx")
