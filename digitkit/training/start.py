"""What a training starts from: the weights of a run, or of an exported model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, numpy_helper
from torch import Tensor, nn

from digitkit.errors import (
    InputNotFoundError,
    ModelError,
    RecipeError,
    RunError,
    one_line,
)
from digitkit.models.contract import IS_DIGIT, ModelContract
from digitkit.models.registry import find_model, shipped_files
from digitkit.system.bounded import read_bounded
from digitkit.system.hashes import file_sha256
from digitkit.training import nets
from digitkit.training.folder import MAX_WEIGHTS_BYTES, WEIGHTS, load_run
from digitkit.training.forgetting import check_forgotten
from digitkit.training.recipes import Recipe
from digitkit.training.record import RECORD, UNCALIBRATED, CalibrationRecord, InitKind, InitRecord


@dataclass(frozen=True)
class Start:
    """What a training starts from.

    Attributes:
        record: what it is, for ``run.json``.
        net: the name of its net.
        state: its weights.
        calibration: its temperature and threshold.
        knows_digits: whether it was trained with images without a digit.
    """

    record: InitRecord
    net: str
    state: nets.State
    calibration: CalibrationRecord
    knows_digits: bool


def is_model(init: Path) -> bool:
    """Whether what a training is to start from is an exported model, not a run folder."""
    if init.is_dir():  # a folder with the name of a shipped model is not what is meant
        is_run = (init / RECORD).is_file() or not shipped_files(str(init))
        return not is_run
    return init.suffix == ".onnx" or init.name == str(init)


def load_start(init: Path, kind: InitKind | None = None) -> Start:
    """Load what a training starts from.

    Args:
        init: a run folder; or an fp32 model of digitkit: a shipped name or an ``.onnx`` file.
        kind: which of both it is; None for what is there.

    Raises:
        GateError: the run did not pass the gate of its training, which would then start from there.
        InputNotFoundError: it does not exist, or is not a run folder.
        RunError: the run is not finished or damaged, or the net of the model is not known.
        ModelError: the model is not one of digitkit's in fp32, or is damaged.
    """
    kind = kind or ("model" if is_model(init) else "run")
    return _load_model(init) if kind == "model" else _load_run(init)


def _load_run(folder: Path) -> Start:
    run = load_run(folder)
    check_forgotten(run.record, folder)
    calibration = run.record.calibration
    if calibration != UNCALIBRATED:
        calibration = replace(calibration, source="init")
    return Start(
        InitRecord(str(folder), run.recipe.name, file_sha256(folder / WEIGHTS)),
        run.recipe.net,
        run.net.state_dict(),
        calibration,
        run.recipe.negatives > 0,
    )


def adapt(recipe: Recipe, start: Start) -> Recipe:
    """A recipe for fine-tuning, for what it starts from.

    The net is that of the start. One that was trained without images that show no digit stays so.
    """
    negatives = recipe.negatives if start.knows_digits else 0.0
    return replace(recipe, net=start.net, negatives=negatives)


# --- exported models ---


def _load_model(init: Path) -> Start:
    path = _find_fp32(init)
    name = str(init)
    try:
        model = onnx.load_model_from_string(read_bounded(path, MAX_WEIGHTS_BYTES))
    except Exception as error:  # protobuf's own kinds, and OSError
        raise ModelError(f"cannot be read: {one_line(error)}", subject=name) from error
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    contract = ModelContract.from_metadata(metadata, name)
    if contract is None:
        raise ModelError("is not a model of digitkit, which alone can be trained on", subject=name)
    if contract.precision != "fp32":
        raise ModelError(
            f"is {contract.precision}, and only fp32 can be trained on",
            subject=name,
            hint="name the fp32 file that it was made from",
        )
    try:
        net = nets.build_net(contract.architecture)
    except RecipeError as error:
        raise RunError(str(error), subject=name) from error
    _unfold(net, _read_layers(model, name), contract.temperature, name)
    calibration = CalibrationRecord("init", contract.temperature, contract.min_confidence)
    if contract.confidence_source == "default":
        calibration = replace(calibration, source="default")
    return Start(
        InitRecord(name, contract.recipe, file_sha256(path), "model"),
        contract.architecture,
        net.state_dict(),
        calibration,
        any(output.name == IS_DIGIT for output in model.graph.output),
    )


def _find_fp32(init: Path) -> Path:
    """The fp32 file of a shipped name, or the file itself."""
    if str(init) == init.name:
        for path in shipped_files(init.name):
            if path.stem.endswith("-fp32"):
                return path
    try:
        return find_model(init)
    except InputNotFoundError as error:
        hint = error.hint or "name a run folder, a shipped model or an .onnx file"
        raise InputNotFoundError(error.problem, subject=str(init), hint=hint) from error


def _read_layers(model: onnx.ModelProto, name: str) -> list[tuple[Tensor, Tensor]]:
    """Weights and biases of a model's convolutions and its dense layers, in order."""
    if any(one.data_location == TensorProto.EXTERNAL for one in model.graph.initializer):
        raise ModelError("has weights in another file", subject=name)
    try:
        values = {one.name: numpy_helper.to_array(one).copy() for one in model.graph.initializer}
        return [
            (torch.from_numpy(values[node.input[1]]), torch.from_numpy(values[node.input[2]]))
            for node in model.graph.node
            if node.op_type in ("Conv", "Gemm")
        ]
    except Exception as error:  # onnx raises several unrelated kinds
        raise ModelError(f"its weights cannot be read: {one_line(error)}", subject=name) from error


@torch.no_grad()
def _unfold(
    net: nn.Module, layers: list[tuple[Tensor, Tensor]], temperature: float, name: str
) -> None:
    """Give a net the weights of an exported model; the inverse of `deploy_net`.

    Batch normalisation, which is folded into the convolutions there, is made to change nothing but
    to add their biases. So the net's outputs are the model's, as long as the statistics of the
    normalisation stay fixed.

    Args:
        net: of the model's architecture; it is changed.
        layers: weights and biases of the model.
        temperature: of the model.
        name: of the model, for errors.

    Raises:
        ModelError: the weights are those of another net.
    """
    wanted = [one for one in net.modules() if isinstance(one, nn.Conv2d | nn.Linear)]
    shapes = [one.weight.shape for one in wanted]
    if [weight.shape for weight, _ in layers] != shapes or any(
        bias.shape != weight.shape[:1] for weight, bias in layers
    ):
        raise ModelError(
            "its weights do not fit its net",
            subject=name,
            hint="another version of digitkit may have written it: train again",
        )
    rest = iter(layers)
    bias = torch.zeros(0)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight, bias = next(rest)
            if module is wanted[0]:
                weight = weight * 255  # pixels are 0 to 1 in training
            if module is wanted[-1]:
                weight, bias = weight * temperature, bias * temperature
            module.weight.copy_(weight)
            if module.bias is not None:
                module.bias.copy_(bias)
        elif isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.zero_()
            module.running_var.fill_(1)
            module.weight.fill_((1 + module.eps) ** 0.5)
            module.bias.copy_(bias)
