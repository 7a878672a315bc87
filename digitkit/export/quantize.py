"""Quantise fp32 ONNX to int8, for the CPU kernels of ONNX Runtime. Needs onnx, not torch."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from digitkit.arrays import U8
from digitkit.choices import Target
from digitkit.errors import DatasetError, ModelError
from digitkit.export import graph
from digitkit.models.contract import INPUT
from digitkit.system.scratch import scratch_folder

if TYPE_CHECKING:
    import onnx

CALIBRATION_IMAGES = 1000
"""Number of training images that the ranges are determined from."""


@dataclass(frozen=True)
class Preset:
    """Number formats for one kind of processor, as ONNX Runtime recommends.

    Attributes:
        activations: type of the values between layers.
        weight_bits: how many of the 8 bits of a weight are used.
    """

    activations: Literal["uint8", "int8"]
    weight_bits: Literal[7, 8]


PRESETS: dict[Target, Preset] = {
    # The AVX2 and AVX512 kernels add pairs of uint8 x int8 products in 16 bits, which can overflow
    # with weights of 8 bits but not of 7. VNNI and Arm add in 32 bits.
    "x86": Preset("uint8", 7),
    "x86-vnni": Preset("uint8", 8),
    "arm": Preset("int8", 8),
}
"""Formats per target; x86 is correct on every processor, the others on theirs."""


def describe_target(target: Target) -> str:
    """How a model for this target is quantised, one line for people."""
    preset = PRESETS[target]
    return (
        f"static QDQ for {target}: {preset.activations} activations, {preset.weight_bits}-bit "
        "weights per channel, MinMax"
    )


def quantize(model: onnx.ModelProto, images: U8, target: Target = "x86") -> onnx.ModelProto:
    """Quantise a model that `digitkit.export` made, statically, in QDQ form.

    Ranges come from `images`; weights are int8 with a scale per output channel. Compared with the
    stock quantisation, which makes a net this small slower:

    - A ReLU is absorbed by the quantisation after it; otherwise each layer's output is quantised
      twice, which costs a quarter of the run time.
    - Pixels have 8 bits already, so a single DequantizeLinear (scale 1, zero point 0) takes them
      unchanged.
    - int8 kernels process channels in fours, and an image has one: a first convolution of stride 2
      becomes one of stride 1 over the four pixels of each 2x2 square, the same sums in a faster
      order.
    - The last layer's scores stay float, so that softmax sees them unrounded.

    Args:
        model: fp32, input uint8 ``[N, 1, 28, 28]`` followed by a Cast; left unchanged.
        images: uint8 ``[M, 28, 28]``, training images in normal form, never test images.
        target: the processors that it is for, see `PRESETS`.

    Raises:
        ModelError: the graph does not begin with a Cast of the pixels.
        DatasetError: there are no images.
    """
    if len(images) == 0:
        raise DatasetError("at least one image is required for calibration, got 0")
    preset = PRESETS[target]
    quantised = _quantize_statically(model, images, preset)
    _take_raw_pixels(quantised, preset)
    _leave_scores_float(quantised)
    _fold_pixels(quantised)
    graph.clean_graph(quantised)
    return quantised


def _quantize_statically(model: onnx.ModelProto, images: U8, preset: Preset) -> onnx.ModelProto:
    """ONNX Runtime's stock quantisation."""
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """One batch of all images: the ranges are over all of them anyway."""

        def __init__(self) -> None:
            self.batches = iter([{INPUT: images.reshape(-1, 1, 28, 28)}])

        def get_next(self) -> dict[str, U8] | None:
            return next(self.batches, None)

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it recommends a preprocessing that this graph does not need
    try:
        with scratch_folder() as folder:
            source, out = folder / "fp32.onnx", folder / "int8.onnx"
            onnx.save(model, source)  # quantize_static clears the weights of a model in memory
            try:
                quantize_static(
                    source,
                    out,
                    Reader(),
                    quant_format=QuantFormat.QDQ,
                    op_types_to_quantize=["Conv", "Relu", "Gemm", "MatMul", "MaxPool"],
                    per_channel=True,
                    reduce_range=preset.weight_bits == 7,
                    activation_type=(
                        QuantType.QUInt8 if preset.activations == "uint8" else QuantType.QInt8
                    ),
                    weight_type=QuantType.QInt8,
                )
                return onnx.load(out)
            except Exception:
                # Parts in C++ write what fits and say nothing; this does, where that is the reason.
                # The disk's free space is not asked for: it knows no quotas and limits on files.
                (folder / "room").write_bytes(bytes(2 * source.stat().st_size))
                raise
    finally:
        root.setLevel(level)


def _users(model: onnx.ModelProto, name: str) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if name in node.input]


def _take_raw_pixels(model: onnx.ModelProto, preset: Preset) -> None:
    """Image → Cast → QuantizeLinear → DequantizeLinear becomes image → DequantizeLinear.

    Layers with int8 values cannot take uint8 pixels, which are shifted by 128 without loss.
    """
    from onnx import helper, numpy_helper

    chain = []
    name = INPUT
    for op_type in ("Cast", "QuantizeLinear", "DequantizeLinear"):
        users = _users(model, name)
        if len(users) != 1 or users[0].op_type != op_type:
            raise ModelError("the graph to quantise must begin with a Cast of its pixels")
        chain.append(users[0])
        name = users[0].output[0]
    cast, quantiser, dequantiser = chain
    # Scales are shared by name, so the new ones need names of their own.
    scale, zero, low = "pixel_scale", "pixel_zero", "pixel_low"
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(np.array(1, np.float32), scale),
            numpy_helper.from_array(np.array(0, np.uint8), zero),
            numpy_helper.from_array(np.array(-128, np.int8), low),
        ]
    )
    model.graph.node.remove(cast)
    if preset.activations == "uint8":
        dequantiser.input[:] = [INPUT, scale, zero]
        model.graph.node.remove(quantiser)
    else:
        model.graph.node.insert(
            0, helper.make_node("DequantizeLinear", [INPUT, scale, zero], ["pixel_values"])
        )
        quantiser.input[:] = ["pixel_values", scale, low]
        dequantiser.input[:] = [quantiser.output[0], scale, low]


def _leave_scores_float(model: onnx.ModelProto) -> None:
    """Remove the quantisation of the last layer's scores."""
    (softmax,) = (node for node in model.graph.node if node.op_type == "Softmax")
    producers = {node.output[0]: node for node in model.graph.node}
    dequantiser = producers.get(softmax.input[0])
    if dequantiser is None or dequantiser.op_type != "DequantizeLinear":
        return
    quantiser = producers[dequantiser.input[0]]
    for user in _users(model, dequantiser.output[0]):
        user.input[0] = quantiser.input[0]
    model.graph.node.remove(dequantiser)
    model.graph.node.remove(quantiser)


def _fold_pixels(model: onnx.ModelProto) -> None:
    """Present each 2x2 square of pixels as four channels to a first convolution of stride 2."""
    from onnx import helper, numpy_helper

    values = {tensor.name: tensor for tensor in model.graph.initializer}
    producers = {node.output[0]: node for node in model.graph.node}
    conv = next((node for node in model.graph.node if node.op_type == "Conv"), None)
    if conv is None:
        return
    settings = {attribute.name: attribute for attribute in conv.attribute}
    weight = values[producers[conv.input[1]].input[0]]
    kernel = numpy_helper.to_array(weight)
    pads = list(settings["pads"].ints) if "pads" in settings else [0] * 4
    outputs, channels, side, _ = kernel.shape
    if channels != 1 or list(settings["strides"].ints) != [2, 2] or len(set(pads)) > 1:
        return
    # Squares begin at even pixels, so an odd padding shifts the kernel by one within its square.
    shift = pads[0] % 2
    squares = (side + shift + 1) // 2
    wide = np.zeros((outputs, 2 * squares, 2 * squares), kernel.dtype)
    wide[:, shift : shift + side, shift : shift + side] = kernel[:, 0]
    folded = wide.reshape(outputs, squares, 2, squares, 2).transpose(0, 2, 4, 1, 3)
    folded = np.ascontiguousarray(folded.reshape(outputs, 4, squares, squares))
    weight.CopyFrom(numpy_helper.from_array(folded, weight.name))
    settings["strides"].ints[:] = [1, 1]
    settings["kernel_shape"].ints[:] = [squares, squares]
    begin = (pads[0] + shift) // 2
    size = (28 + 2 * pads[0] - side) // 2 + 1
    end = size + squares - 1 - 14 - begin
    if "pads" in settings:
        settings["pads"].ints[:] = [begin, begin, end, end]
    (user,) = _users(model, INPUT)
    user.input[0] = "squares"
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(np.array([-1, 2, 14, 2], np.int64), "row_pairs"),
            numpy_helper.from_array(np.array([-1, 14, 14, 4], np.int64), "channels_last"),
        ]
    )
    # ONNX's SpaceToDepth for uint8 is too new for some of the supported runtimes; and in this order
    # the last step cancels with the runtime's own conversion to channels last.
    steps = [
        helper.make_node("Reshape", [INPUT, "row_pairs"], ["pairs"]),
        helper.make_node("Transpose", ["pairs"], ["turned"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["turned", "channels_last"], ["last"]),
        helper.make_node("Transpose", ["last"], ["squares"], perm=[0, 3, 1, 2]),
    ]
    for place, node in enumerate(steps):
        model.graph.node.insert(place, node)
