from dataclasses import replace

import pytest
from support.errors import error_of

from digitkit.errors import ModelError
from digitkit.images.normal_form import NORMAL_FORM_VERSION
from digitkit.models.classifier import Classifier
from digitkit.models.contract import CONTRACT_VERSION, PREPROCESSING, ModelContract
from digitkit.reading.networks.detector import Detector
from digitkit.reading.networks.grey_classifier import GreyClassifier
from digitkit.reading.networks.line_reader import LineReader


@pytest.fixture(scope="module")
def contract(shipped) -> ModelContract:
    return Classifier(shipped).contract


def test_round_trip(contract):
    metadata = contract.to_metadata()
    assert all(isinstance(v, str) and k.startswith("digitkit.") for k, v in metadata.items())
    assert list(metadata) == sorted(metadata)
    unknown = {"other.key": "x", "digitkit.invented_later": "1"}
    assert ModelContract.from_metadata(metadata | unknown, "m") == contract
    assert contract.confidence_source is None
    for source in ("init", "default"):
        unfitted = replace(contract, confidence_source=source)
        assert ModelContract.from_metadata(unfitted.to_metadata(), "m") == unfitted
    older = replace(contract, opset=None)  # from before the opset was stored
    assert "digitkit.opset" not in older.to_metadata()
    assert ModelContract.from_metadata(older.to_metadata(), "m") == older
    whole = ModelContract.from_metadata(metadata | {"digitkit.temperature": "1"}, "m")
    assert repr(whole.temperature) == "1.0"
    assert ModelContract.from_metadata({"author": "x"}, "m") is None  # third-party


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("contract", str(CONTRACT_VERSION + 1)), ("contract", "x"),
        ("seed", "{"), ("seed", "true"), ("seed", "1.5"),
        ("test_accuracy", '"high"'), ("op_counts", "[]"), ("op_counts", '{"Conv": "1"}'),
        ("opset", '"18"'), ("opset", "null"), ("confidence_source", "elsewhere"),
        ("precision", "int4"), ("labels", "0123456798"), ("recipe", None),
        *(("min_confidence", text) for text in ("null", "[1]", "NaN", "-1", "2", '"abc"')),
        *(("test_accuracy", text) for text in ("null", "1.5", "Infinity")),
        *(("temperature", text) for text in ("0", "-1", "NaN")),
        ("op_counts", "[" * 100_000), ("preprocessing", "2"),
    ],
)  # fmt: skip
def test_bad_contracts(contract, key, text):
    metadata = contract.to_metadata() | {f"digitkit.{key}": text}
    given = {k: v for k, v in metadata.items() if v is not None}
    error = error_of(ModelError, ModelContract.from_metadata, given, "m.onnx")
    assert error.subject == "m.onnx"
    assert key in str(error)


@pytest.mark.parametrize("network", [Detector, LineReader, GreyClassifier])
def test_other_networks_are_refused(network):
    error = error_of(ModelError, Classifier, network.shipped_path())
    assert "another network" in error.problem
    assert "digits" in (error.hint or "")


def test_the_preprocessing_is_the_normal_forms():
    assert PREPROCESSING == NORMAL_FORM_VERSION
