"""The same files in several runtimes."""

import sys
from pathlib import Path

import numpy as np
import pytest

from digitkit.benchmark import runtimes
from digitkit.errors import MissingDependencyError, ModelError
from digitkit.images.cv import cv2
from digitkit.models.classifier import Classifier
from digitkit.models.registry import find_model

TINY = "digits-tiny"


@pytest.fixture(params=["onnxruntime", "opencv", "openvino"])
def runtime(request) -> str:
    if request.param == "openvino":
        pytest.importorskip("openvino")
    return request.param


def classify(runtime, path, images, batch):
    loaded = runtimes.load(runtime, path, threads=1, batch=batch, scale=None)
    batches = (images[start : start + batch, None] for start in range(0, len(images), batch))
    return np.concatenate([loaded.run(runtimes.as_input(b, None)).copy() for b in batches])


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("model", ["digits", TINY])
def test_all_runtimes_read_the_same_as_digitkit(mnist_test, runtime, model, precision):
    path, images = find_model(model, precision), mnist_test.images[:200]
    # OpenCV 4 reads batches of a quantised model wrong.
    batch = 1 if runtime == "opencv" and precision == "int8" else 50
    assert not np.shares_memory(images, runtimes.as_input(images, None))
    scores = classify(runtime, path, images, batch)
    expected = Classifier(path).probabilities(images)
    assert scores.shape == expected.shape == (200, 10)
    assert scores.dtype == np.float32
    assert np.allclose(scores.sum(1), 1, atol=1e-4)
    assert (scores.argmax(1) == expected.argmax(1)).mean() >= 0.99
    if precision == "fp32":
        assert np.abs(scores - expected).max() < 1e-4
    if runtime == "onnxruntime":
        assert np.array_equal(classify(runtime, path, images, 200), expected)


def test_threads_are_what_was_asked_for(runtime):
    before = cv2.getNumThreads()
    try:
        path = find_model(TINY, "fp32")
        options = runtimes.load(runtime, path, threads=2, batch=1, scale=None).options
    finally:
        cv2.setNumThreads(before)
    names = ("threads", "intra_op_num_threads", "INFERENCE_NUM_THREADS")
    assert [options[name] for name in names if name in options] == [2]


def test_a_broken_file(tmp_path, runtime):
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"garbage")
    with pytest.raises(ModelError, match=r"bad\.onnx: ") as error:
        runtimes.load(runtime, path, threads=1, batch=1, scale=None)
    assert "\n" not in str(error.value)


def test_a_runtime_that_is_not_installed(monkeypatch):
    monkeypatch.delitem(sys.modules, "digitkit.benchmark.runtimes.openvino", raising=False)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        runtimes.load("openvino", Path("x.onnx"), threads=1, batch=1, scale=None)
