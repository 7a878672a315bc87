"""What an ONNX graph consists of: operators, parameters, multiply-adds. Counting needs onnx."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from digitkit.errors import ModelError, one_line
from digitkit.models.contract import ModelContract

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class GraphFacts:
    """What a graph consists of.

    Attributes:
        op_counts: how often each operator occurs, most frequent first.
        parameters: values in floating-point (or 8-bit quantised) weights and biases, without
            quantisation's own scales and zero points.
        multiply_adds: of Conv, Gemm and MatMul, for one image.
    """

    op_counts: dict[str, int]
    parameters: int
    multiply_adds: int


def count_graph(model: onnx.ModelProto) -> GraphFacts:
    """Count a model's operators, parameters and multiply-adds.

    Raises:
        ModelError: the shapes of its tensors cannot be inferred.
    """
    import onnx
    from onnx import TensorProto

    try:
        graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    except Exception as error:  # onnx raises several unrelated kinds here
        raise ModelError(f"the shapes of the graph cannot be inferred: {one_line(error)}") from None
    shapes: dict[str, list[int]] = {
        value.name: [max(1, d.dim_value) for d in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    shapes |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    multiply_adds = 0
    for node in graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        if node.op_type == "Conv":
            weight = shapes[node.input[1]]
            multiply_adds += math.prod(shapes[node.output[0]][1:]) * math.prod(weight[1:])
        else:
            transposed = any(a.name == "transA" and a.i for a in node.attribute)
            inner = shapes[node.input[0]][0 if transposed else -1]
            multiply_adds += inner * math.prod(shapes[node.output[0]][1:])
    quantisers = [n for n in graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    scales = {name for node in quantisers for name in node.input[1:]}
    valued = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.UINT8)
    # Quantised biases are int32; int32 and int64 are otherwise shapes and axes.
    quantised = {node.input[0] for node in quantisers}
    parameters = sum(
        math.prod(tensor.dims)
        for tensor in graph.initializer
        if tensor.name not in scales and (tensor.data_type in valued or tensor.name in quantised)
    )
    counts = Counter(node.op_type for node in graph.node)
    return GraphFacts(dict(counts.most_common()), parameters, multiply_adds)


@dataclass(frozen=True)
class ModelDescription:
    """What can be told of a model file without running it.

    Attributes:
        opset: version of ONNX's operators; None where the file does not tell.
        op_counts: as in `GraphFacts`; None if they could not be counted.
        parameters: likewise.
        multiply_adds: likewise.
        not_counted: why; None if they were.
    """

    opset: int | None
    op_counts: dict[str, int] | None = None
    parameters: int | None = None
    multiply_adds: int | None = None
    not_counted: str | None = None


def describe_model(path: Path, contract: ModelContract | None) -> ModelDescription:
    """Operators, parameters and multiply-adds of a model.

    Args:
        path: the file.
        contract: what it promises, counts among it; without one, onnx counts, if it is installed.
    """
    opset = read_opset(path.read_bytes())
    if contract is not None:
        return ModelDescription(
            opset, contract.op_counts, contract.parameters, contract.multiply_adds
        )
    try:
        import onnx
    except ImportError:
        reason = "counting a foreign model needs onnx, not installed here"
        return ModelDescription(opset, not_counted=reason)
    try:
        counted = count_graph(onnx.load(path))
    except ModelError as error:
        return ModelDescription(opset, not_counted=str(error))
    return ModelDescription(opset, counted.op_counts, counted.parameters, counted.multiply_adds)


def read_opset(data: bytes) -> int | None:
    """The version of the standard operators that a model file names, read without onnx.

    A device has no onnx, and ONNX Runtime does not tell. Field 8 of the file's protocol buffer
    holds pairs of a domain (field 1, absent or empty for the standard one) and a version (field 2).
    """
    with suppress(IndexError, ValueError):
        for number, value in _fields(data):
            if number == 8 and isinstance(value, bytes):
                pair = dict(_fields(value))
                version = pair.get(2)
                if pair.get(1, b"") in (b"", b"ai.onnx") and isinstance(version, int):
                    return version
    return None


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protocol buffer: number, and an integer or the bytes of anything else."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = 0
        for shift in range(0, 70, 7):  # 64 bits take ten bytes
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError("a number is longer than ten bytes")

    while at < len(data):
        number, kind = divmod(varint(), 8)
        if kind == 0:
            yield number, varint()
            continue
        size = {1: 8, 5: 4}.get(kind)
        if size is None:
            if kind != 2:
                raise ValueError(f"wire type {kind}")
            size = varint()
        yield number, data[at : at + size]
        at += size


OPSET = 18
"""ONNX operator set of exported models; every admitted ONNX Runtime knows it."""

IR_VERSION = 8
"""ONNX file format of exported models, the one that came with that operator set."""


def clean_graph(model: onnx.ModelProto) -> None:
    """Leave only what a device needs, named shortly and in the same way each time.

    Node and tensor names become numbers in graph order, inputs and outputs keep theirs; notes,
    source paths, stack traces, inferred shapes and what nothing uses are dropped.
    """
    graph = model.graph
    used = {name for node in graph.node for name in node.input} | {o.name for o in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    public = {value.name for value in (*graph.input, *graph.output)}
    names: dict[str, str] = {"": ""}

    def short(name: str) -> str:
        if name not in names:
            names[name] = name if name in public else f"t{len(names)}"
        return names[name]

    for number, node in enumerate(graph.node):
        node.name = f"n{number}"
        node.doc_string = ""
        del node.metadata_props[:]
        node.input[:] = [short(name) for name in node.input]
        node.output[:] = [short(name) for name in node.output]
    del graph.initializer[:]
    for tensor in sorted(kept, key=lambda tensor: list(names).index(tensor.name)):
        tensor.name = short(tensor.name)
        tensor.doc_string = ""
        graph.initializer.append(tensor)
    del graph.value_info[:]
    del graph.metadata_props[:]
    for value in (*graph.input, *graph.output):
        value.doc_string = ""
        del value.metadata_props[:]
    graph.name = "digitkit"
    graph.doc_string = model.doc_string = ""
    model.producer_name, model.producer_version = "digitkit", ""
    model.ir_version = IR_VERSION
    del model.functions[:]
    del model.metadata_props[:]


def to_bytes(model: onnx.ModelProto, metadata: dict[str, str]) -> bytes:
    """The file of a model with this metadata; the same model gives the same bytes."""
    del model.metadata_props[:]
    for key, value in sorted(metadata.items()):
        model.metadata_props.add(key=key, value=value)
    return bytes(model.SerializeToString(deterministic=True))
