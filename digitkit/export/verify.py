"""Measuring an exported model, and the gates that it must pass. Needs torch and onnx."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from digitkit.arrays import F32
from digitkit.datasets.digits import DigitData
from digitkit.errors import GateError, one_line
from digitkit.export import graph
from digitkit.models.contract import INPUT
from digitkit.models.evaluation import Evaluation, score_predictions
from digitkit.models.session import make_session
from digitkit.system.scratch import scratch_folder

MAX_PROBABILITY_DIFFERENCE = 1e-4
"""Gate: largest difference of a probability between torch and ONNX Runtime, on any test image."""

INT8_LOSS = 0.001
"""Gate: how much test accuracy int8 may lose compared with fp32 (0.10 percentage points)."""

_BATCH = 256


@dataclass(frozen=True)
class Measurement:
    """Results of an exported model on the test data, in ONNX Runtime.

    Attributes:
        evaluation: accuracy, calibration and mistakes.
        agreement: fraction of the test images that it reads as the trained net does, 0–1.
        difference: largest difference of a probability from the trained net's.
    """

    evaluation: Evaluation
    agreement: float
    difference: float


def measure(model: onnx.ModelProto, data: DigitData, expected: F32) -> Measurement:
    """Run an exported model on the test data and compare it with the trained net.

    Args:
        model: as `digitkit.export.deploy.to_onnx` or `digitkit.export.quantize.quantize` gives it.
        data: the test data.
        expected: the trained net's probabilities, see `torch_probabilities`.
    """
    probabilities = _onnx_probabilities(model, data)
    return Measurement(
        evaluation=score_predictions(probabilities, data.labels, data.name),
        agreement=float((probabilities.argmax(1) == expected.argmax(1)).mean()),
        difference=float(np.abs(probabilities - expected).max()),
    )


def torch_probabilities(net: nn.Module, data: DigitData) -> F32:
    """Probability of being each digit by a deployed net: float32 ``[N, 10]``."""
    with torch.no_grad():
        images = torch.from_numpy(data.images.copy()).unsqueeze(1)
        return torch.cat([_joint(net(batch)) for batch in torch.split(images, 500)]).numpy()


def _joint(outputs: tuple[Tensor, ...]) -> Tensor:
    return outputs[0] * outputs[1][:, None] if len(outputs) > 1 else outputs[0]


def _onnx_probabilities(model: onnx.ModelProto, data: DigitData) -> F32:
    with scratch_folder() as scratch:
        path = scratch / "model.onnx"
        path.write_bytes(graph.to_bytes(model, {}))
        session = make_session(path)
    names = [output.name for output in session.get_outputs()]
    batches = []
    for start in range(0, len(data), _BATCH):
        images = data.images[start : start + _BATCH, None]
        probabilities, *is_digit = session.run(names, {INPUT: images})
        batches.append(probabilities * is_digit[0][:, None] if is_digit else probabilities)
    return np.concatenate(batches)


def check_graph(model: onnx.ModelProto, name: str) -> None:
    """Gate: ONNX's checker accepts the model, and it uses only standard operators.

    Raises:
        GateError: it does not pass.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # checker and shape inference raise unrelated kinds
        raise GateError(f"ONNX's checker rejects it: {one_line(error)}", subject=name) from error
    domains = {node.domain for node in model.graph.node} | {o.domain for o in model.opset_import}
    if domains - {""}:
        raise GateError(f"uses non-standard operators: {sorted(domains)}", subject=name)


def check_parity(result: Measurement, name: str) -> None:
    """Gate: torch's digit on every test image, probabilities within `MAX_PROBABILITY_DIFFERENCE`.

    Raises:
        GateError: it does not pass.
    """
    if result.agreement < 1 or result.difference >= MAX_PROBABILITY_DIFFERENCE:
        raise GateError(
            f"parity failed: ONNX Runtime reads {result.agreement:.2%} of the "
            f"{result.evaluation.count} test images as torch does and probabilities differ by up "
            f"to {result.difference:.1e}, but 100% and less than "
            f"{MAX_PROBABILITY_DIFFERENCE:.0e} are required",
            subject=name,
            hint="nothing was written",
        )


def check_int8_loss(int8: Measurement, fp32: Measurement, name: str) -> None:
    """Gate: int8 loses at most `INT8_LOSS` of test accuracy compared with fp32.

    Raises:
        GateError: it does not pass.
    """
    lost = fp32.evaluation.accuracy - int8.evaluation.accuracy
    if lost > INT8_LOSS + 1e-9:
        raise GateError(
            f"accuracy failed: {int8.evaluation.accuracy:.2%} on the test set is "
            f"{100 * lost:.2f} percentage points below fp32, but at most {100 * INT8_LOSS:.2f} are "
            "allowed",
            subject=name,
            hint="nothing was written; export fp32 alone with --no-int8",
        )
