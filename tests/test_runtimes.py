"""The same files in several runtimes; torch's operators against ONNX Runtime's."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from digitkit import runtimes
from digitkit.classifier import Classifier, find_model, models_folder
from digitkit.errors import MissingDependencyError, ModelError

OTHERS = ("opencv", "openvino", "torch")
PACKAGES = {"openvino": ("openvino",), "torch": ("torch", "onnx")}
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
    from digitkit._opencv import cv2

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


@pytest.mark.parametrize(("runtime", "package"), [("openvino", "openvino"), ("torch", "torch")])
def test_a_runtime_that_is_not_installed(monkeypatch, runtime, package):
    monkeypatch.delitem(sys.modules, f"digitkit.runtimes.{runtime}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    if runtime == "torch" and "onnx" not in sys.modules:
        pytest.importorskip("onnx")
    with pytest.raises(MissingDependencyError, match="pip install"):
        runtimes.load(runtime, models_folder() / "x.onnx", threads=1, batch=1, scale=None)


# --- torch's operators -----------------------------------------------------------------------


def model_of(nodes, shape, constants=None, opset=18, kind=1):
    """A graph of one input ``x`` and one output ``y``."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("torch")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(name, inputs, outputs, **attributes)
         for name, inputs, outputs, attributes in nodes],
        "g",
        [onnx.helper.make_tensor_value_info("x", kind, shape)],
        [onnx.helper.make_empty_tensor_value_info("y")],
        [onnx.numpy_helper.from_array(np.asarray(value), name)
         for name, value in (constants or {}).items()],
    )  # fmt: skip
    return onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8
    )


def both(tmp_path, model, x):
    """What ONNX Runtime and torch make of an input."""
    import onnx
    import onnxruntime

    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    expected = session.run(None, {"x": x})[0]
    found = runtimes.load("torch", path, threads=1, batch=1, scale=None).run(x)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    return expected, found


def agree(tmp_path, nodes, x, constants=None, **more) -> None:
    kind = {"float32": 1, "uint8": 2, "int8": 3, "int64": 7}[x.dtype.name]
    model = model_of(nodes, list(x.shape), constants, kind=kind, **more)
    expected, found = both(tmp_path, model, x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"pads": [0, 1, 2, 3]},
        {"strides": [2, 3], "pads": [1, 1, 1, 1]},
        {"auto_pad": "SAME_UPPER"},
        {"auto_pad": "SAME_LOWER"},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
        {"auto_pad": "SAME_UPPER", "strides": [3, 1]},
        {"auto_pad": "VALID"},
        {"dilations": [2, 1]},
    ],
)
def test_convolutions(tmp_path, attributes):
    """On sides of 7 and 8 with a kernel of 2 by 3: both kinds of uneven padding."""
    node = ("Conv", ["x", "w", "b"], ["y"], attributes)
    agree(tmp_path, [node], floats(2, 3, 7, 8), {"w": floats(4, 3, 2, 3), "b": floats(4)})


def test_grouped_convolutions_without_a_bias(tmp_path):
    for inputs in (["x", "w"], ["x", "w", ""]):
        node = ("Conv", inputs, ["y"], {"group": 2})
        agree(tmp_path, [node], floats(1, 4, 5, 5), {"w": floats(6, 2, 3, 3)})


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"strides": [2, 2]},
        {"strides": [2, 2], "pads": [1, 0, 0, 1]},
        {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
        {"strides": [2, 2], "auto_pad": "SAME_LOWER"},
        {"dilations": [2, 2]},
        {"strides": [2, 2], "ceil_mode": 1},
    ],
)
def test_pooling(tmp_path, attributes):
    node = ("MaxPool", ["x"], ["y"], {"kernel_shape": [2, 3]} | attributes)
    agree(tmp_path, [node], floats(1, 2, 7, 8) - 5)  # what is padded is no maximum


@pytest.mark.parametrize("left", [0, 1])
@pytest.mark.parametrize("right", [0, 1])
def test_gemm(tmp_path, left, right):
    x, w = floats(*((3, 2) if left else (2, 3))), floats(*((4, 3) if right else (3, 4)))
    attributes = {"transA": left, "transB": right, "alpha": 0.5, "beta": 2.0}
    agree(tmp_path, [("Gemm", ["x", "w", "c"], ["y"], attributes)], x, {"w": w, "c": floats(4)})
    agree(tmp_path, [("Gemm", ["x", "w"], ["y"], attributes)], x, {"w": w})
    agree(tmp_path, [("Gemm", ["x", "w", "c"], ["y"], {"transA": left, "transB": right})],
          x, {"w": w, "c": floats(2, 4)})  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "attributes"),
    [
        ([6, 4], {}), ([0, -1], {}), ([0, 0, 2, 2], {}), ([-1], {}), ([4, 0, 2], {"allowzero": 0}),
    ],
)  # fmt: skip
def test_reshape(tmp_path, shape, attributes):
    shape = np.array(shape, np.int64)
    x = floats(2, 3, 4) if len(shape) != 3 else floats(4, 3, 2)
    agree(tmp_path, [("Reshape", ["x", "s"], ["y"], attributes)], x, {"s": shape})


def test_reshape_to_nothing(tmp_path):
    shape = np.array([0, 5], np.int64)
    agree(tmp_path, [("Reshape", ["x", "s"], ["y"], {"allowzero": 1})], floats(0, 3), {"s": shape})


@pytest.mark.parametrize("axis", [None, 0, 1, 2, 3, 4, -1])
def test_flatten(tmp_path, axis):
    attributes = {} if axis is None else {"axis": axis}
    agree(tmp_path, [("Flatten", ["x"], ["y"], attributes)], floats(2, 3, 4, 5))


@pytest.mark.parametrize("perm", [None, [0, 2, 1], [2, 0, 1]])
def test_transpose(tmp_path, perm):
    attributes = {} if perm is None else {"perm": perm}
    agree(tmp_path, [("Transpose", ["x"], ["y"], attributes)], floats(2, 3, 4))


@pytest.mark.parametrize(
    ("axis", "count"), [(None, 3), (1, 3), (0, 2), (-1, 4), (None, 1), (None, None)]
)
@pytest.mark.parametrize("kind", [np.int8, np.uint8])
def test_quantisation(tmp_path, axis, count, kind):
    rng = np.random.default_rng(1)
    size = () if count is None else (count,)
    constants = {
        "s": rng.uniform(0.01, 0.1, size).astype(np.float32),
        "z": rng.integers(0, 100, size).astype(kind),
    }
    attributes = {} if axis is None else {"axis": axis}
    nodes = [
        ("QuantizeLinear", ["x", "s", "z"], ["q"], attributes),
        ("DequantizeLinear", ["q", "s", "z"], ["y"], attributes),
    ]
    agree(tmp_path, nodes, 4 * floats(2, 3, 4), constants)


def test_quantised_weights_of_a_channel_each(tmp_path):
    constants = {
        "q": np.arange(-9, 9, dtype=np.int8).reshape(3, 6),
        "s": np.array([0.1, 0.2, 0.3], np.float32),
        "qb": np.array([1, -2, 3], np.int32),
        "sb": np.array([0.5, 0.25, 0.125], np.float32),
    }
    nodes = [
        ("DequantizeLinear", ["q", "s"], ["w"], {"axis": 0}),
        ("DequantizeLinear", ["qb", "sb"], ["b"], {"axis": 0}),
        ("Gemm", ["x", "w", "b"], ["y"], {"transB": 1}),
    ]
    agree(tmp_path, nodes, floats(2, 6), constants)


def test_quantisation_rounds_half_to_even_and_saturates(tmp_path):
    x = np.array([[0.5, 1.5, 2.5, -0.5, 1e6, -1e6]], np.float32)
    agree(tmp_path, [("QuantizeLinear", ["x", "s"], ["y"], {})], x, {"s": np.float32(1)})


@pytest.mark.parametrize(
    "nodes",
    [
        [("Add", ["x", "c"], ["y"], {})],
        [("Sub", ["c", "x"], ["y"], {})],
        [("Mul", ["x", "c"], ["y"], {})],
        [("Div", ["x", "c"], ["y"], {})],
        [("MatMul", ["x", "m"], ["y"], {})],
        [("Relu", ["x"], ["y"], {})],
        [("Sigmoid", ["x"], ["y"], {})],
        [("Softmax", ["x"], ["y"], {})],
        [("Softmax", ["x"], ["y"], {"axis": 0})],
        [("ReduceLogSumExp", ["x", "one"], ["y"], {})],
        [("ReduceLogSumExp", ["x", "one"], ["y"], {"keepdims": 0})],
        [("Cast", ["x"], ["y"], {"to": 6})],
        [("Cast", ["x"], ["h"], {"to": 7}), ("Cast", ["h"], ["y"], {"to": 1})],
    ],
)
def test_simple_operators(tmp_path, nodes):
    constants = {"c": floats(3) + 3, "m": floats(3, 5), "one": np.array([1], np.int64)}
    used = {name for _, inputs, _, _ in nodes for name in inputs}
    agree(tmp_path, nodes, 3 * floats(2, 3), {n: c for n, c in constants.items() if n in used})


def test_a_constant_and_the_mean_of_a_picture(tmp_path):
    onnx = pytest.importorskip("onnx")
    half = onnx.numpy_helper.from_array(np.float32(0.5))
    nodes = [
        ("Constant", [], ["half"], {"value": half}),
        ("GlobalAveragePool", ["x"], ["mean"], {}),
        ("Mul", ["mean", "half"], ["y"], {}),
    ]
    agree(tmp_path, nodes, floats(2, 3, 4, 4))


def test_an_operator_that_torch_is_not_taught(tmp_path):
    onnx = pytest.importorskip("onnx")

    path = tmp_path / "odd.onnx"
    onnx.save(model_of([("Hardmax", ["x"], ["y"], {})], [1, 10]), path)
    with pytest.raises(ModelError, match=r"odd\.onnx: the runtime torch does not know Hardmax"):
        runtimes.load("torch", path, threads=1, batch=1, scale=None)
