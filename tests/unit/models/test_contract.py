from __future__ import annotations

from dataclasses import replace

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
        opset=18,
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
    unknown = {"other.key": "x", "digitkit.invented_later": "1"}
    assert ModelContract.from_metadata(metadata | unknown, "m") == contract


def test_models_from_before_the_opset_was_stored(contract):
    older = replace(contract, opset=None)
    metadata = older.to_metadata()
    assert "digitkit.opset" not in metadata
    assert ModelContract.from_metadata(metadata, "m") == older


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
    ],
)
def test_bad_contracts(contract, key, text):
    metadata = contract.to_metadata() | {f"digitkit.{key}": text}
    metadata = {k: v for k, v in metadata.items() if v is not None}
    with pytest.raises(ModelError) as error:
        ModelContract.from_metadata(metadata, "m.onnx")
    assert error.value.subject == "m.onnx"
    assert key in str(error.value)


def test_whole_numbers_are_fine_for_fractions(contract):
    metadata = contract.to_metadata() | {"digitkit.temperature": "1"}
    temperature = ModelContract.from_metadata(metadata, "m").temperature
    assert (temperature, type(temperature)) == (1.0, float)
