"""fp32 ONNX to int8 ONNX, for the CPU kernels of ONNX Runtime. Needs onnx, not torch."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import graph
from .contract import INPUT
from .errors import DatasetError, ModelError

if TYPE_CHECKING:
    import onnx

CALIBRATION_IMAGES = 1000
"""How many training images the ranges are taken from."""

CALIBRATION = "static QDQ, uint8 activations, int8 weights per channel, MinMax"


def quantize(model: onnx.ModelProto, images: npt.NDArray[np.uint8]) -> onnx.ModelProto:
    """Quantise a model as `digitkit.export` writes it, statically, in QDQ form.

    Activations are uint8 with ranges seen on `images`, weights int8 with a scale per output
    channel. The stock flow quantises the pixels anew, though they are 8 bits already: here a
    single DequantizeLinear (scale 1, zero point 0) takes them as they are, which saves two nodes
    of the ten that a small net has. The last layer's scores stay float, so that softmax sees them
    unrounded.

    Args:
        model: fp32, input uint8 ``[N, 1, 28, 28]`` followed by a Cast.
        images: uint8 ``[M, 28, 28]``, training images in normal form, never test images.

    Raises:
        ModelError: the graph does not begin with a Cast of the pixels.
        DatasetError: there are no images.
    """
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    if len(images) == 0:
        raise DatasetError("there are no images to calibrate on")

    class Images(CalibrationDataReader):  # type: ignore[misc]
        """One batch holding all images: the ranges are over all of them anyway."""

        def __init__(self) -> None:
            self.batches = iter([{INPUT: images.reshape(-1, 1, 28, 28)}])

        def get_next(self) -> dict[str, npt.NDArray[np.uint8]] | None:
            return next(self.batches, None)

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it advises a preprocessing that this graph has no use for
    try:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder, "int8.onnx")
            quantize_static(
                model,
                out,
                Images(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv", "Gemm", "MatMul", "MaxPool"],
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
            quantised = onnx.load(out)
    finally:
        root.setLevel(level)
    _take_pixels_as_they_are(quantised)
    _leave_scores_float(quantised)
    graph.tidy(quantised)
    return quantised


def _users(model: onnx.ModelProto, name: str) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if name in node.input]


def _take_pixels_as_they_are(model: onnx.ModelProto) -> None:
    """Image → Cast → QuantizeLinear → DequantizeLinear becomes image → DequantizeLinear."""
    from onnx import numpy_helper

    chain = []
    name = INPUT
    for op_type in ("Cast", "QuantizeLinear", "DequantizeLinear"):
        users = _users(model, name)
        if len(users) != 1 or users[0].op_type != op_type:
            raise ModelError("the graph to quantise does not begin with a Cast of its pixels")
        chain.append(users[0])
        name = users[0].output[0]
    cast, quantiser, dequantiser = chain
    # Scales are shared by name, so the new ones get names of their own.
    scale, zero = "pixel_scale", "pixel_zero"
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(np.array(1, np.float32), scale),
            numpy_helper.from_array(np.array(0, np.uint8), zero),
        ]
    )
    dequantiser.input[:] = [INPUT, scale, zero]
    model.graph.node.remove(cast)
    model.graph.node.remove(quantiser)


def _leave_scores_float(model: onnx.ModelProto) -> None:
    """Drop the quantisation between the last layer and softmax."""
    (softmax,) = (node for node in model.graph.node if node.op_type == "Softmax")
    producers = {node.output[0]: node for node in model.graph.node}
    dequantiser = producers.get(softmax.input[0])
    if dequantiser is None or dequantiser.op_type != "DequantizeLinear":
        return
    quantiser = producers[dequantiser.input[0]]
    softmax.input[0] = quantiser.input[0]
    model.graph.node.remove(dequantiser)
    model.graph.node.remove(quantiser)
