"""The same files in several runtimes."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from digitkit.benchmark import runtimes
from digitkit.errors import MissingDependencyError, ModelError
from digitkit.models.classifier import Classifier
from digitkit.models.registry import find_model, models_folder

OTHERS = ("opencv", "openvino")
PACKAGES = {"openvino": ("openvino",)}
TINY = "digits-tiny"


def needs(runtime: str) -> None:
    for package in PACKAGES.get(runtime, ()):
        pytest.importorskip(package)


def scores(runtime, path, images, batch, scale=None):
    loaded = runtimes.load(runtime, path, threads=1, batch=batch, scale=scale)
    found = [
        loaded.run(runtimes.as_input(images[start : start + batch, None], scale)).copy()
        for start in range(0, len(images), batch)
    ]
    return np.concatenate(found)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("runtime", OTHERS)
@pytest.mark.parametrize("model", ["digits", TINY])
def test_all_runtimes_read_the_same(mnist_test, model, runtime, precision):
    needs(runtime)
    path, images = find_model(model, precision), mnist_test.images[:200]
    # OpenCV 4 reads batches of a quantised model wrong.
    batch = 1 if runtime == "opencv" and precision == "int8" else 50
    other, ours = (scores(name, path, images, batch) for name in (runtime, "onnxruntime"))
    assert other.shape == ours.shape == (200, 10)
    assert other.dtype == np.float32
    assert np.allclose(other.sum(1), 1, atol=1e-4)
    assert (other.argmax(1) == ours.argmax(1)).mean() >= 0.99
    if precision == "fp32":
        assert np.abs(other - ours).max() < 1e-4


def test_onnx_runtime_is_run_as_digitkit_runs_it(mnist_test):
    images = mnist_test.images[:20]
    ours = scores("onnxruntime", find_model(TINY), images, 20)
    assert np.array_equal(ours, Classifier(TINY).probabilities(images))


@pytest.mark.parametrize("runtime", ["onnxruntime", *OTHERS])
def test_threads_are_what_was_asked_for(runtime):
    needs(runtime)
    from digitkit.images.opencv import cv2

    before = cv2.getNumThreads()
    try:
        options = runtimes.load(
            runtime, find_model(TINY, "fp32"), threads=2, batch=1, scale=None
        ).options
    finally:
        cv2.setNumThreads(before)
    names = ("threads", "intra_op_num_threads", "INFERENCE_NUM_THREADS")
    assert [options[name] for name in names if name in options] == [2]


def test_inputs():
    images = np.arange(2 * 784, dtype=np.uint8).reshape(2, 1, 28, 28)
    raw, scaled = runtimes.as_input(images, None), runtimes.as_input(images, 1 / 255)
    assert np.array_equal(raw, images)
    assert not np.shares_memory(raw, images)
    assert (scaled.dtype, scaled.min(), scaled.max()) == (np.float32, 0, 1)


# --- what does not load ----------------------------------------------------------------------


@pytest.mark.parametrize("runtime", ["onnxruntime", *OTHERS])
def test_a_broken_file(tmp_path, runtime):
    needs(runtime)
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"garbage")
    with pytest.raises(ModelError, match=r"bad\.onnx: ") as error:
        runtimes.load(runtime, path, threads=1, batch=1, scale=None)
    assert "\n" not in str(error.value)


def test_a_runtime_that_is_not_installed(monkeypatch):
    monkeypatch.delitem(sys.modules, "digitkit.benchmark.runtimes.openvino", raising=False)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        runtimes.load("openvino", models_folder() / "x.onnx", threads=1, batch=1, scale=None)
