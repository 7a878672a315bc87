"""What an ONNX graph consists of: operators, parameters, multiply-adds. Counting needs onnx."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from digitkit.errors import ModelError, one_line
from digitkit.models.contract import ModelContract

if TYPE_CHECKING:
    import onnx


OPSET = 18
"""ONNX operator set of exported models; every admitted ONNX Runtime knows it."""

IR_VERSION = 8
"""ONNX file format of exported models, the one that came with that operator set."""


@dataclass(frozen=True)
class GraphFacts:
    """What a graph consists of.

    Attributes:
        op_counts: how often each operator occurs, most frequent first.
        parameters: values in floating-point (or 8-bit quantised) weights and biases, without
            the scales and zero points of quantisation.
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

    try:
        graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    except Exception as error:  # onnx raises several unrelated kinds here
        raise ModelError(f"the shapes of the graph cannot be inferred: {one_line(error)}") from None
    counts = Counter(node.op_type for node in graph.node)
    return GraphFacts(
        dict(counts.most_common()), _count_parameters(graph), _count_multiply_adds(graph)
    )


def _count_multiply_adds(graph: onnx.GraphProto) -> int:
    shapes: dict[str, list[int]] = {
        value.name: [max(1, d.dim_value) for d in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    shapes |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    total = 0
    for node in graph.node:
        if node.op_type == "Conv":
            weight = shapes[node.input[1]]
            total += math.prod(shapes[node.output[0]][1:]) * math.prod(weight[1:])
        elif node.op_type in ("Gemm", "MatMul"):
            transposed = any(a.name == "transA" and a.i for a in node.attribute)
            inner = shapes[node.input[0]][0 if transposed else -1]
            total += inner * math.prod(shapes[node.output[0]][1:])
    return total


def _count_parameters(graph: onnx.GraphProto) -> int:
    from onnx import TensorProto

    quantisers = [n for n in graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    scales = {name for node in quantisers for name in node.input[1:]}
    weights = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.UINT8)
    # Quantised biases are int32; int32 and int64 are otherwise shapes and axes.
    quantised = {node.input[0] for node in quantisers}
    return sum(
        math.prod(tensor.dims)
        for tensor in graph.initializer
        if tensor.name not in scales and (tensor.data_type in weights or tensor.name in quantised)
    )


def read_opset(model: onnx.ModelProto) -> int | None:
    """The version of the standard operator set that a model uses; None if it names none."""
    versions = (o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    return next(versions, None)


@dataclass(frozen=True)
class ModelDescription:
    """What is known about a model file without running it.

    Attributes:
        opset: version of the ONNX operator set; None if it is not known.
        op_counts: as in `GraphFacts`; None if they could not be counted.
        parameters: as in `GraphFacts`; None if they could not be counted.
        multiply_adds: as in `GraphFacts`; None if they could not be counted.
        not_counted: why they could not be counted; None if they were.
    """

    opset: int | None = None
    op_counts: dict[str, int] | None = None
    parameters: int | None = None
    multiply_adds: int | None = None
    not_counted: str | None = None


def describe_model(path: Path, contract: ModelContract | None) -> ModelDescription:
    """Operator set, operators, parameters and multiply-adds of a model.

    Args:
        path: the file.
        contract: its contract, which states them. Without one (third-party models) they are
            counted, if onnx is installed.
    """
    if contract is not None:
        return ModelDescription(
            contract.opset, contract.op_counts, contract.parameters, contract.multiply_adds
        )
    try:
        import onnx
    except ImportError:
        return ModelDescription(
            not_counted="counting a third-party model requires onnx, which is not installed"
        )
    model = onnx.load(path)
    opset = read_opset(model)
    try:
        facts = count_graph(model)
    except ModelError as error:
        return ModelDescription(opset, not_counted=str(error))
    return ModelDescription(opset, facts.op_counts, facts.parameters, facts.multiply_adds)


def clean_graph(model: onnx.ModelProto) -> None:
    """Keep only what a device needs, under short names that are the same each time.

    Nodes and tensors are numbered in graph order; inputs and outputs keep their names. Notes,
    source paths, stack traces, inferred shapes and unused tensors are removed.
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
    """Serialise a model with this metadata; the same model gives the same bytes."""
    del model.metadata_props[:]
    for key, value in sorted(metadata.items()):
        model.metadata_props.add(key=key, value=value)
    return bytes(model.SerializeToString(deterministic=True))
