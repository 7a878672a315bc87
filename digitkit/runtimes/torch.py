"""PyTorch, eager: the graph's operators translated to torch's, one by one. Needs onnx, too.

int8 files run with their weights and activations rounded as the file says, but computed in floats:
torch has no kernels for this form, so their latency here says nothing about int8.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import ModelError, needs_extra, one_line
from . import F32, Loaded

try:
    import onnx
    import torch
    from onnx import numpy_helper
    from torch.nn import functional
except ImportError as error:
    raise needs_extra(error.name or "torch", "the runtime torch") from error

Values = list[Any]
Attributes = dict[str, Any]


def load(path: Path, threads: int, batch: int, scale: float | None) -> Loaded:
    """See `digitkit.runtimes.load`."""
    torch.set_num_threads(threads)
    try:
        graph = onnx.load(path).graph
    except Exception as error:  # protobuf's own kind
        raise ModelError(f"{path}: onnx cannot load it: {one_line(error)}") from error
    known: dict[str, Any] = {
        tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in graph.initializer
    }
    known[""] = None
    steps: list[tuple[Callable[[Values, Attributes], Any], Attributes, list[str], str]] = []
    for node in graph.node:
        if node.op_type not in _OPERATORS:
            raise ModelError(f"{path}: the runtime torch does not know {node.op_type}")
        given = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        operator = _OPERATORS[node.op_type]
        if all(name in known for name in node.input):  # weights, say, that wait to be unpacked
            known[node.output[0]] = operator([known[name] for name in node.input], given)
            continue
        steps.append((operator, given, list(node.input), node.output[0]))
    sources = [value.name for value in graph.input if value.name not in known]
    first = graph.output[0].name

    @torch.inference_mode()
    def run(images: Any) -> F32:
        values = known | {sources[0]: torch.from_numpy(images)}
        for operator, given, inputs, output in steps:
            values[output] = operator([values[name] for name in inputs], given)
        return values[first].numpy()  # type: ignore[no-any-return]

    return Loaded(run, {"threads": torch.get_num_threads(), "mode": "eager, float arithmetic"})


def _padded(x: Any, kernel: list[int], a: Attributes, value: float) -> Any:
    strides = a.get("strides", [1, 1])
    auto = a.get("auto_pad", b"NOTSET")
    if auto in (b"SAME_UPPER", b"SAME_LOWER"):
        missing = [
            max(0, (-(-side // step) - 1) * step + size - side)
            for side, size, step in zip(x.shape[2:], kernel, strides, strict=True)
        ]
        less, more = [m // 2 for m in missing], [m - m // 2 for m in missing]
        if auto == b"SAME_LOWER":
            less, more = more, less
        pads = [less[1], more[1], less[0], more[0]]
    else:
        top, left, bottom, right = a.get("pads", [0, 0, 0, 0])
        pads = [left, right, top, bottom]
    return functional.pad(x, pads, value=value) if any(pads) else x


def _conv(v: Values, a: Attributes) -> Any:
    x, weight = v[0], v[1]
    x = _padded(x, list(weight.shape[2:]), a, 0.0)
    rest = (a.get("strides", [1, 1]), 0, a.get("dilations", [1, 1]), a.get("group", 1))
    return functional.conv2d(x, weight, v[2] if len(v) > 2 else None, *rest)


def _max_pool(v: Values, a: Attributes) -> Any:
    x = _padded(v[0], a["kernel_shape"], a, float("-inf"))
    rest = (a.get("strides", [1, 1]), 0, a.get("dilations", [1, 1]), bool(a.get("ceil_mode")))
    return functional.max_pool2d(x, a["kernel_shape"], *rest)


def _flatten(v: Values, a: Attributes) -> Any:
    before = v[0].shape[: a.get("axis", 1)]
    return v[0].reshape(math.prod(before), math.prod(v[0].shape[len(before) :]))


def _transpose(v: Values, a: Attributes) -> Any:
    return v[0].permute(*a.get("perm", range(v[0].ndim - 1, -1, -1)))


def _gemm(v: Values, a: Attributes) -> Any:
    left = v[0].T if a.get("transA") else v[0]
    right = v[1].T if a.get("transB") else v[1]
    product = a.get("alpha", 1.0) * (left @ right)
    return product + a.get("beta", 1.0) * v[2] if len(v) > 2 else product


def _reshape(v: Values, a: Attributes) -> Any:
    shape = [int(n) for n in v[1]]
    if not a.get("allowzero"):
        shape = [v[0].shape[i] if n == 0 else n for i, n in enumerate(shape)]
    return v[0].reshape(shape)


def _along(parameter: Any, x: Any, axis: int) -> Any:
    """A scale or a zero point, shaped so that it goes along one axis of `x`."""
    if parameter is None or parameter.ndim == 0 or parameter.numel() == 1:
        return 0 if parameter is None else parameter.reshape(())
    return parameter.reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])


def _quantize(v: Values, a: Attributes) -> Any:
    x, scale, zero = v[0], v[1], v[2] if len(v) > 2 else torch.tensor(0, dtype=torch.uint8)
    axis, limits = a.get("axis", 1), torch.iinfo(zero.dtype)
    level = torch.round(x / _along(scale, x, axis)) + _along(zero.float(), x, axis)
    return level.clamp(limits.min, limits.max).to(zero.dtype)


def _dequantize(v: Values, a: Attributes) -> Any:
    x, scale, zero = v[0], v[1], v[2] if len(v) > 2 else None
    axis = a.get("axis", 1)
    zero = None if zero is None else zero.float()
    return (x.float() - _along(zero, x, axis)) * _along(scale, x, axis)


def _softmax(v: Values, a: Attributes) -> Any:
    return torch.softmax(v[0], a.get("axis", -1))


def _log_sum_exp(v: Values, a: Attributes) -> Any:
    axes = a.get("axes") or [int(n) for n in v[1]]
    return torch.logsumexp(v[0], axes, keepdim=bool(a.get("keepdims", 1)))


def _cast(v: Values, a: Attributes) -> Any:
    kind = onnx.helper.tensor_dtype_to_np_dtype(a["to"]).name
    return v[0].to(getattr(torch, kind))


_OPERATORS: dict[str, Callable[[Values, Attributes], Any]] = {
    "Add": lambda v, a: v[0] + v[1],
    "Cast": _cast,
    "Constant": lambda v, a: torch.from_numpy(numpy_helper.to_array(a["value"]).copy()),
    "Conv": _conv,
    "DequantizeLinear": _dequantize,
    "Div": lambda v, a: v[0] / v[1],
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda v, a: v[0].mean((2, 3), keepdim=True),
    "MatMul": lambda v, a: v[0] @ v[1],
    "MaxPool": _max_pool,
    "Mul": lambda v, a: v[0] * v[1],
    "QuantizeLinear": _quantize,
    "ReduceLogSumExp": _log_sum_exp,
    "Relu": lambda v, a: torch.relu(v[0]),
    "Reshape": _reshape,
    "Sigmoid": lambda v, a: torch.sigmoid(v[0]),
    "Softmax": _softmax,
    "Sub": lambda v, a: v[0] - v[1],
    "Transpose": _transpose,
}
