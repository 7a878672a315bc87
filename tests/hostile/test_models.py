"""Models that fail, loop forever, or return something else than probabilities."""

import time
from pathlib import Path

import numpy as np
import pytest
from support.cli import one_error_line, run

from digitkit.errors import ModelError
from digitkit.models import classifier
from digitkit.models.classifier import Classifier
from digitkit.models.registry import find_model

onnx = pytest.importorskip("onnx")

BODIES = {
    "fails": "x = Constant <value = int64[2] {7, 7}> () \n out = Reshape (scores, x)",
    "NaN": "zero = Sub (scores, scores) \n out = Div (zero, zero)",
    "infinite": "zero = Sub (scores, scores) \n one = Exp (zero) \n out = Div (one, zero)",
    "two rows per image": "out = Concat <axis = 0> (scores, scores)",
}


def make_model(path: Path, body: str) -> Path:
    """A third-party model whose ten scores go through a few more nodes."""
    model = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : 18]>
        g (float[N,1,28,28] in) => (float[M,10] out)
        <int64[1] first = {{0}}, int64[1] end = {{10}}, int64[1] axis = {{1}}> {{
            flat = Flatten (in)
            scores = Slice (flat, first, end, axis)
            {body}
        }}"""
    )
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("kind", BODIES)
def test_a_model_that_does_not_answer_like_one(tmp_path, kind, digit_file, small_data):
    path = make_model(tmp_path / "bad.onnx", BODIES[kind])
    with pytest.raises(ModelError):
        Classifier(path).classify(np.zeros((3, 28, 28), np.uint8))
    for command in (
        ["infer", digit_file(7), "--model", path],
        ["eval", path, "--data", small_data, "--no-pictures"],
    ):
        assert "bad.onnx" in one_error_line(run(*command), 2)


def test_an_own_model_with_other_outputs(tmp_path, digit_file, monkeypatch):
    """Weights of NaN, as a damaged file may have."""
    model = onnx.load(find_model("digits-tiny", "fp32"))
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(tensor)
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.full_like(values, np.nan), tensor.name))
    path = tmp_path / "nan.onnx"
    onnx.save(model, path)
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere")  # systemd may try again
    for image in (digit_file(7), digit_file(7, "page.png", size=200)):
        assert "nan.onnx" in one_error_line(run("infer", image, "--model", path), 2)
    with pytest.raises(ModelError):
        Classifier(path).scores(np.zeros((2, 28, 28), np.uint8))


def test_an_endless_loop_is_stopped(tmp_path, monkeypatch, digit_file):
    helper = onnx.helper
    f32, i64, boolean = (getattr(onnx.TensorProto, kind) for kind in ("FLOAT", "INT64", "BOOL"))
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["goes_on"]),
            helper.make_node("Identity", ["state"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", i64, []),
            helper.make_tensor_value_info("go", boolean, []),
            helper.make_tensor_value_info("state", f32, None),
        ],
        [
            helper.make_tensor_value_info("goes_on", boolean, []),
            helper.make_tensor_value_info("next", f32, None),
        ],
    )
    model = onnx.load(make_model(tmp_path / "loop.onnx", "out = Identity (scores)"))
    model.graph.node.pop()
    model.graph.initializer.extend(
        [
            helper.make_tensor("trips", i64, [], [2**62]),
            helper.make_tensor("start", boolean, [], [True]),
        ]
    )
    model.graph.node.append(
        helper.make_node("Loop", ["trips", "start", "scores"], ["out"], body=body)
    )
    onnx.save(model, tmp_path / "loop.onnx")
    monkeypatch.setattr(classifier, "FIRST_CALL_SECONDS", 0.3)
    started = time.monotonic()
    result = run("infer", digit_file(7), "--model", tmp_path / "loop.onnx")
    assert "loop.onnx" in one_error_line(result, 2)
    assert time.monotonic() - started < 30


def write_metadata(path: Path, key: str, text: str | bytes) -> Path:
    """A shipped model with one text of its metadata replaced."""
    model = onnx.load(find_model("digits-tiny"))
    entry = next(entry for entry in model.metadata_props if entry.key == key)
    placeholder = "x" * len(text)
    entry.value = text if isinstance(text, str) else placeholder
    data = model.SerializeToString()
    path.write_bytes(data if isinstance(text, str) else data.replace(placeholder.encode(), text))
    return path


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("digitkit.temperature", "9" * 400),  # more than a float holds
        ("digitkit.test_accuracy", "9" * 5000),  # more than Python reads
        ("digitkit.recipe", b"\xff" * 99),  # not UTF-8
    ],
)
def test_metadata_that_cannot_be_read(tmp_path, key, text):
    with pytest.raises(ModelError) as caught:
        Classifier(write_metadata(tmp_path / "bad.onnx", key, text))
    assert caught.value.subject.endswith("bad.onnx")


def test_a_model_without_outputs(tmp_path):
    model = onnx.load(find_model("digits-tiny"))
    del model.graph.output[:]
    onnx.save(model, tmp_path / "mute.onnx")
    with pytest.raises(ModelError) as caught:
        Classifier(tmp_path / "mute.onnx")
    assert "outputs" in caught.value.problem
