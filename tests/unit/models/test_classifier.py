"""Shipped, third-party and broken models in `Classifier`."""

import hashlib
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
from support.errors import error_of
from support.paths import SHARED

from digitkit import Classifier, Prediction, Reader, evaluate
from digitkit.errors import (
    ConfigError,
    ImageError,
    InputNotFoundError,
    InputTypeError,
    ModelError,
)
from digitkit.images.normal_form import normal_form
from digitkit.models.registry import find_model, models_folder
from digitkit.reading.networks.detector import DETECTOR_FILE
from digitkit.reading.networks.grey_classifier import GREY_FILE
from digitkit.reading.networks.line_reader import LINE_FILE

SHIPPED = {"digits": (0.997, 109_626, 150_000), "digits-tiny": (0.995, 32_506, 50_000)}
"""Least test accuracy, parameters, and largest int8 file in bytes."""


def test_shipped_models_and_checksums():
    folder = models_folder()
    listed = dict(
        reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines()
    )
    shipped = {f"{name}-{kind}.onnx" for name in SHIPPED for kind in ("fp32", "int8")}
    shipped |= {DETECTOR_FILE, LINE_FILE, GREY_FILE}
    assert set(listed) == {p.name for p in folder.glob("*.onnx")} == shipped
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert find_model("digits").name == "digits-int8.onnx"
    assert find_model("digits", "fp32").name == "digits-fp32.onnx"
    assert "empty" in error_of(InputNotFoundError, find_model, "").problem


def test_a_folder_is_no_model(tmp_path, monkeypatch):
    """Also one with the name of a shipped model, such as a folder of photos of digits."""
    monkeypatch.chdir(tmp_path)
    for name in ("digits", "digits-fp32", "photos"):
        Path(name).mkdir()
    assert find_model("digits") == models_folder() / "digits-int8.onnx"
    assert find_model("digits-fp32") == models_folder() / "digits-fp32.onnx"
    for name in ("photos", "./digits"):
        assert "is a folder" in str(error_of(ModelError, find_model, name))


@pytest.mark.parametrize("load", [Classifier, Reader, find_model])
@pytest.mark.parametrize("model", [None, 3, b"digits"])
def test_a_model_that_is_neither_a_name_nor_a_path(load, model):
    error = error_of(ConfigError, load, model)
    assert str(error) == f"model must be a name or a path, got {model!r}"
    assert error.field == "model"


def test_what_are_no_images(shipped):
    classifier = Classifier(shipped)
    assert "got list" in str(error_of(InputTypeError, classifier.probabilities, [[0.0]]))
    shape = np.zeros((1, 28, 28), np.float32)
    assert "got float32" in str(error_of(ImageError, classifier.probabilities, shape))
    assert error_of(ConfigError, Reader, classifier, precision="fp32").field == "precision"
    assert "got the int 90 instead of text" in str(error_of(ConfigError, Reader, orientation=90))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_keep_their_contract(name, mnist_test):
    least, parameters, most_bytes = SHIPPED[name]
    results, sizes = [], []
    for precision in ("fp32", "int8"):
        model = Classifier(name, precision=precision)
        contract = model.contract
        assert (contract.precision, contract.parameters) == (precision, parameters)
        assert model.knows_digits
        result = evaluate(model, mnist_test)
        # Kernels differ between processors; a test error is 0.0001.
        assert result.accuracy == pytest.approx(contract.test_accuracy, abs=0.0005)
        assert result.accuracy >= least
        assert result.calibration_error < 0.005
        results.append(result)
        sizes.append(find_model(name, precision).stat().st_size)
    fp32, int8 = results
    parent = hashlib.sha256(find_model(name, "fp32").read_bytes()).hexdigest()
    assert contract.parent_sha256 == parent
    assert abs(fp32.accuracy - int8.accuracy) <= 0.0005
    assert sum(fp32.paired(int8)) <= 20
    assert sizes[1] <= min(most_bytes, sizes[0] / 2.5)


def test_images_that_are_not_digits_get_little_confidence(one_of_each):
    model = Classifier()
    assert all(min(p.is_digit, p.confidence) > 0.9 for p in model.classify(one_of_each))
    noise = np.random.default_rng(0).integers(0, 256, (100, 28, 28)).astype(np.uint8)
    none = {
        "blank": np.zeros((28, 28), np.uint8),
        "white": np.full((28, 28), 255, np.uint8),
        "noise": noise[0],
        "two digits": normal_form(np.hstack([one_of_each[3][:, 4:24], one_of_each[8][:, 4:24]])),
        "half a digit": normal_form(one_of_each[5][:14]),
        "a cross": np.maximum(np.eye(28), np.eye(28)[::-1]).astype(np.uint8) * 255,
    }
    for what, image in none.items():
        assert model.classify(image).confidence < model.min_confidence, what
    assert np.median(model.scores(noise).joint.max(1)) < 0.3


@pytest.fixture
def edited(tmp_path, shipped):
    """Writes a shipped model after a change to it."""
    onnx = pytest.importorskip("onnx")

    def write(change) -> Path:
        model = onnx.load(shipped)
        change(model.graph)
        onnx.save(model, tmp_path / "a.onnx")
        return tmp_path / "a.onnx"

    return write


def test_a_digitkit_model_with_a_fixed_batch_of_one(edited, shipped, mnist_test):
    def fix(graph):
        for value in (*graph.input, *graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = 1

    classifier = Classifier(edited(fix))
    assert classifier.fixed_batch
    fixed, free = (m.scores(mnist_test.images[:5]) for m in (classifier, Classifier(shipped)))
    assert np.allclose(fixed.joint, free.joint, atol=1e-6)


def test_a_second_output_that_is_not_digitkits(edited):
    def rename(graph):
        (second,) = graph.output[1:]
        (node,) = (n for n in graph.node if second.name in n.output)
        node.output[0] = second.name = "something"

    assert "something: float32 [N]" in error_of(ModelError, Classifier, edited(rename)).problem


def test_one_or_many(shipped, one_of_each):
    model = Classifier(shipped)
    one = model.classify(one_of_each[7])
    assert isinstance(one, Prediction)
    assert (one.digit, one.probabilities.shape) == (7, (10,))
    assert one.confidence == pytest.approx(float(one.probabilities.max()))
    for many in (one_of_each, np.stack(one_of_each)):
        assert [p.digit for p in model.classify(many)] == list(range(10))
    images = np.stack(one_of_each)[:7]
    out = model.probabilities(images)
    assert (out.dtype, out.shape) == (np.float32, (7, 10))
    assert np.allclose(out.sum(1), 1, atol=1e-5)
    assert np.allclose(model.probabilities(images[:, None]), out)
    assert model.probabilities(images[:0]).shape == (0, 10)


@pytest.mark.parametrize(
    ("shape", "kind"), [((2, 28, 28), np.float32), ((28, 28), np.uint8), ((1, 27, 28), np.uint8)]
)
def test_other_arrays_are_refused(shipped, shape, kind):
    error_of(ValueError, Classifier(shipped).probabilities, np.zeros(shape, kind))


def test_what_cannot_be_classified(shipped, one_of_each):
    classify = Classifier(shipped).classify
    for images in (None, 3, (image for image in one_of_each), [None], [one_of_each[0], [0]]):
        assert "got " in str(error_of(InputTypeError, classify, images))
    narrow = one_of_each[0][:, 1:]
    assert "[28, 28] and [28, 27]" in str(error_of(ImageError, classify, [one_of_each[0], narrow]))
    error_of(ImageError, classify, [narrow])
    error_of(ImageError, classify, np.array(3, np.uint8))
    assert classify([]) == classify(np.empty((0, 28, 28), np.uint8)) == []
    assert [p.digit for p in classify(np.stack(one_of_each)[:, None])] == list(range(10))


def test_one_thread_and_no_spinning_by_default(shipped):
    session = Classifier(shipped).session
    options = session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert Classifier(shipped, threads=2).session.get_session_options().intra_op_num_threads == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [("threads", 0), ("batch", 0), ("batch", -1), ("precision", "fp32"), ("input_scale", 1.0)],
)
def test_values_that_do_not_apply(shipped, field, value):
    assert error_of(ConfigError, Classifier, shipped, **{field: value}).field == field


def test_a_model_in_a_folder_without_access(monkeypatch):
    """As for a service's user, who does not see home folders."""
    refuse = MagicMock(side_effect=PermissionError(13, "Permission denied"))
    monkeypatch.setattr(Path, "is_file", refuse)  # root has access everywhere
    error = error_of(ModelError, find_model, "/home/me/a.onnx")
    assert (error.subject, bool(error.hint)) == ("/home/me/a.onnx", True)


def test_files_that_are_not_models(tmp_path, shipped):
    bad, whole = tmp_path / "bad.onnx", shipped.read_bytes()
    for data in (b"", b"hello" * 9, whole[: len(whole) // 2]):
        bad.write_bytes(data)
        assert error_of(ModelError, Classifier, bad).subject == str(bad)


def test_models_that_do_not_exist(tmp_path):
    missing = str(tmp_path / "none.onnx")
    assert error_of(InputNotFoundError, Classifier, missing).subject == missing
    error = error_of(InputNotFoundError, Classifier, "digitz")
    assert error.subject == "digitz"
    assert "digits-tiny" in error.hint


def graph(tmp_path: Path, inputs, outputs, kind="float", metadata=None) -> Path:
    """A model whose scores are some pixels in the middle of its input."""
    onnx = pytest.importorskip("onnx")
    pixels, scores = (",".join(map(str, shape)) for shape in (inputs, outputs))
    model = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : 18]>
        g ({kind}[{pixels}] in) => (float[{scores}] out)
        <int64[1] first = {{380}}, int64[1] end = {{{380 + outputs[1]}}}, int64[1] axis = {{1}}> {{
            floats = Cast <to = 1> (in)
            flat = Flatten (floats)
            out = Slice (flat, first, end, axis)
        }}"""
    )
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    path = tmp_path / "made.onnx"
    onnx.save(model, path)
    return path


def test_third_party_models(tmp_path, mnist_test):
    images = mnist_test.images[:5]
    model = Classifier(graph(tmp_path, ["N", 1, 28, 28], ["N", 10]))
    assert model.contract is None
    out = model.probabilities(images)
    assert np.allclose(out.sum(1), 1, atol=1e-5)  # its scores were no probabilities
    fixed = Classifier(graph(tmp_path, [1, 1, 28, 28], [1, 10]))
    assert np.allclose(fixed.probabilities(images), out, atol=1e-5)
    other = Classifier(tmp_path / "made.onnx", input_scale=1.0)
    assert not np.allclose(other.probabilities(images), out, atol=1e-3)


@pytest.mark.parametrize(
    ("inputs", "outputs", "kind", "metadata", "word"),
    [
        (["N", 1, 32, 32], ["N", 10], "float", {}, "32, 32"),
        (["N", 1, 28, 28], ["N", 11], "float", {}, "11"),
        (["N", 1, 28, 28], ["N", 10], "uint8", {}, "uint8"),
        ([4, 1, 28, 28], [4, 10], "float", {}, "exactly 4"),
        (["N", 1, 28, 28], ["N", 10], "uint8", {"digitkit.contract": "99"}, "contract version 99"),
    ],
)
def test_models_that_are_not_digit_models(tmp_path, inputs, outputs, kind, metadata, word):
    model = graph(tmp_path, inputs, outputs, kind, metadata)
    assert word in error_of(ModelError, Classifier, model).problem


def test_the_zoos_model():
    path = SHARED / "peers/zoo-mnist-7.onnx"
    if not path.is_file():
        pytest.skip("needs the peer's model (../shared/peers)")
    from digitkit.datasets.mnist import load_mnist

    result = evaluate(Classifier(path, input_scale=1.0), load_mnist("test"))
    assert result.accuracy == pytest.approx(0.9891, abs=0.0003)


@pytest.mark.parametrize("batch", [1, 7, 20, 64])
@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_batches_give_the_same(mnist_test, batch, precision):
    images = mnist_test.images[:20]
    whole = Classifier("digits-tiny", precision=precision)
    split = Classifier("digits-tiny", precision=precision, batch=batch)
    assert np.allclose(split.scores(images).joint, whole.scores(images).joint, atol=1e-5)
    assert [p.digit for p in split.classify(images)] == [p.digit for p in whole.classify(images)]
    assert split.classify(images[0]).digit == whole.classify(images[0]).digit
    assert split.classify([]) == []


def test_no_call_is_larger_than_the_batch(mnist_test):
    classifier = Classifier("digits-tiny", batch=8)
    classifier.session = MagicMock(run=MagicMock(side_effect=classifier.session.run))
    classifier.scores(mnist_test.images[:20])
    calls = classifier.session.run.call_args_list
    assert [len(*call.args[1].values()) for call in calls] == [8, 8, 4]
