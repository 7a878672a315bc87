"""A finished training to verified ONNX files. Needs torch and onnx."""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from digitkit import figures
from digitkit.arrays import F32
from digitkit.datasets.digits import DigitData, stratified_split
from digitkit.datasets.load import load_train_and_test
from digitkit.errors import DatasetError, GateError, ModelError, one_line
from digitkit.export import card, graph, quantize
from digitkit.images.normal_form import NORMAL_FORM_VERSION
from digitkit.models.classifier import Classifier
from digitkit.models.contract import INPUT, IS_DIGIT, OUTPUT, ModelContract
from digitkit.models.evaluation import Evaluation, predict_probabilities, score_predictions
from digitkit.system import atomic
from digitkit.system.hashes import file_sha256
from digitkit.system.progress import Progress
from digitkit.training.folder import Run, calibration_of
from digitkit.version import __version__

PARITY = 1e-4
"""Gate: largest difference of a probability between torch and ONNX Runtime, on any test image."""

INT8_LOSS = 0.001
"""Gate: how much test accuracy int8 may lose against fp32 (0.10 points)."""


@dataclass(frozen=True)
class Exported:
    """One model that was written.

    Attributes:
        path: its file.
        size: bytes.
        contract: what it promises.
        evaluation: what it gave on the test data.
        agreement: share of the test images that it reads as the trained net does, 0–1.
        difference: largest difference of a probability from the trained net's.
    """

    path: Path
    size: int
    contract: ModelContract
    evaluation: Evaluation
    agreement: float
    difference: float


def export(
    run: Run,
    out: Path,
    name: str,
    *,
    int8: bool = True,
    target: quantize.Target = "x86",
    data: Path | None = None,
    step: Callable[[str], None] = lambda what: None,
    progress: Progress | None = None,
) -> list[Exported]:
    """Export a training to ``out/NAME-fp32.onnx`` and ``out/NAME-int8.onnx``, verified.

    Gates, before anything is written: ONNX's own checker; the same digit as torch on every test
    image and probabilities within `PARITY`; int8 within `INT8_LOSS` of fp32.

    Args:
        run: the finished training.
        out: the folder to write to; a model card, a picture of the mistakes and checksums are kept
            up to date in it.
        name: of the files.
        int8: whether to quantise as well.
        target: the processors that the int8 model is for.
        data: where the training's data is now; None for where it was.
        step: told what is being done.
        progress: told how reading of data goes.

    Raises:
        GateError: a gate failed; nothing was written.
        DatasetError, InputNotFoundError: the data that it was trained on is not there.
        OutputError: the files cannot be written.
    """
    step("reading the data")
    source = run.record["data"]["source"]
    folder = data or (Path(source) if source else None)
    both = load_train_and_test(folder, progress=progress)
    for part, digits in (("train", both.train), ("test", both.test)):
        if digits.digest != run.record["data"][part]["digest"]:
            raise DatasetError(
                f"{folder or 'MNIST'}: its {part} set is not the one that {run.folder} recorded; "
                "name the right data with --data"
            )
    kept, _ = stratified_split(both.train.labels, run.recipe.validation, run.recipe.seed)
    share = min(1.0, quantize.CALIBRATION_IMAGES / len(kept))
    if share < 1:
        _, chosen = stratified_split(both.train.labels[kept], share, run.recipe.seed)
        kept = kept[chosen]

    step("exporting to ONNX")
    temperature, min_confidence = calibration_of(run.record)
    net = deployed(run.net, temperature, run.recipe.negatives > 0)
    model = to_onnx(net)
    _check(model, f"{name}-fp32")
    facts = graph.count_graph(model)
    contract = ModelContract(
        architecture=run.recipe.net,
        parameters=facts.parameters,
        multiply_adds=facts.multiply_adds,
        op_counts=facts.op_counts,
        recipe=run.recipe.name,
        recipe_version=run.recipe.version,
        overrides=json.dumps(run.record["overrides"], sort_keys=True),
        seed=run.recipe.seed,
        data=both.train.name,
        data_digest=both.train.digest,
        test_data=both.test.name,
        test_accuracy=0.0,  # measured below
        test_count=len(both.test),
        calibration_error=0.0,
        temperature=temperature,
        min_confidence=min_confidence,
        precision="fp32",
        calibration="none",
        parent_sha256="",
        digitkit_version=__version__,
        preprocessing=NORMAL_FORM_VERSION,
    )

    with tempfile.TemporaryDirectory() as scratch:
        truth = _torch_probabilities(net, both.test)
        step("verifying fp32")
        fp32 = _verified(model, contract, Path(scratch, f"{name}-fp32.onnx"), both.test, truth)
        if fp32.agreement < 1 or fp32.difference >= PARITY:
            raise GateError(
                f"{name}-fp32: parity failed: ONNX Runtime reads {fp32.agreement:.2%} of the "
                f"{len(both.test)} test images as torch does, probabilities differ by up to "
                f"{fp32.difference:.1e}; needed are 100% and under {PARITY:.0e}; nothing written"
            )
        results = [fp32]
        if int8:
            step("quantising to int8")
            small = quantize.quantize(model, both.train.images[kept], target)
            _check(small, f"{name}-int8")
            promise = replace(
                contract,
                op_counts=graph.count_graph(small).op_counts,
                precision="int8",
                calibration=f"{quantize.describe_target(target)}, {len(kept)} training images",
                parent_sha256=file_sha256(fp32.path),
            )
            step("verifying int8")
            path = Path(scratch, f"{name}-int8.onnx")
            result = _verified(small, promise, path, both.test, truth)
            lost = fp32.evaluation.accuracy - result.evaluation.accuracy
            if lost > INT8_LOSS + 1e-9:
                raise GateError(
                    f"{name}-int8: accuracy failed: {result.evaluation.accuracy:.2%} on the test "
                    f"set, {100 * lost:.2f} points under fp32; allowed are "
                    f"{100 * INT8_LOSS:.2f}; nothing written (--no-int8 exports fp32 alone)"
                )
            results.append(result)
        step("drawing the mistakes")
        picture = figures.mistakes(
            f"{results[-1].path.stem} on {both.test.name}",
            both.test.images,
            results[-1].evaluation,
        )
        step("writing")
        written = []
        for result in results:
            path = out / result.path.name
            atomic.write_bytes(path, result.path.read_bytes())
            written.append(replace(result, path=path))
    atomic.write_bytes(out / card.mistakes_name(name), picture)
    if not int8:
        # One of an earlier export would pass for this fp32's sibling.
        (out / f"{name}-int8.onnx").unlink(missing_ok=True)
    card.write_card(out)
    return written


def _layers(net: nn.Module) -> Iterator[nn.Module]:
    for layer in net.children():
        if isinstance(layer, nn.Sequential):
            yield from _layers(layer)
        else:
            yield layer


class _Deployed(nn.Module):
    """uint8 pixels in; out come probabilities, and whether it is a digit where that was learnt."""

    def __init__(self, layers: list[nn.Module], knows_digits: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.knows_digits = knows_digits

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        scores = self.layers(image.to(torch.float32))
        probabilities = torch.softmax(scores, dim=1)
        if not self.knows_digits:
            return (probabilities,)
        # As it was trained: "no digit" is an eleventh class with the score 0. The temperature,
        # fitted on digits, sharpens this too.
        return probabilities, torch.sigmoid(torch.logsumexp(scores, dim=1))


def deployed(net: nn.Module, temperature: float, knows_digits: bool = False) -> nn.Module:
    """The net as it is shipped: everything linear folded into the layers' weights.

    Batch normalisation goes into the convolution before it, the division of pixels by 255 into
    the first layer, the temperature into the last.

    Args:
        net: a sequence of layers, as `digitkit.training.nets` makes them; left as it is.
        temperature: what the logits are divided by.
        knows_digits: whether the net was trained with pictures that hold no digit.

    Returns:
        A module in evaluation mode: uint8 ``[N, 1, 28, 28]`` to a tuple of float32 ``[N, 10]``
        and, if it knows digits, float32 ``[N]``.

    Raises:
        ModelError: the net does not begin and end with a layer that has weights.
    """
    layers: list[nn.Module] = []
    for layer in _layers(net.eval()):
        if isinstance(layer, nn.BatchNorm2d):
            if not layers or not isinstance(layers[-1], nn.Conv2d):
                raise ModelError("batch normalisation after anything but a convolution can't fold")
            layers[-1] = fuse_conv_bn_eval(layers[-1], layer)
        elif not isinstance(layer, nn.Dropout):
            layers.append(copy.deepcopy(layer))
    first, last = layers[0], layers[-1]
    if not isinstance(first, nn.Conv2d) or not isinstance(last, nn.Linear):
        raise ModelError("a net must begin with a convolution and end with a linear layer")
    with torch.no_grad():
        first.weight.div_(255)
        last.weight.div_(temperature)
        last.bias.div_(temperature)
    return _Deployed(layers, knows_digits).eval().requires_grad_(False)


def to_onnx(net: nn.Module) -> onnx.ModelProto:
    """The deployed net as an ONNX graph with a dynamic batch, tidied.

    Args:
        net: as `deployed` makes it.
    """
    outputs = [OUTPUT, IS_DIGIT] if net.knows_digits else [OUTPUT]
    # A batch of 1 would be taken for a constant, so two images are traced.
    example = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
    return to_onnx_program(net, example, [INPUT], outputs, {0: torch.export.Dim("N")})


def to_onnx_program(
    net: nn.Module, example: Tensor, inputs: list[str], outputs: list[str], dynamic: dict[int, Any]
) -> onnx.ModelProto:
    """Any net with one input as an ONNX graph, tidied.

    Args:
        net: in evaluation mode.
        example: an input.
        inputs: the input's name.
        outputs: the outputs' names.
        dynamic: which of the input's dimensions vary, and their names.
    """
    with _quiet():
        program = torch.onnx.export(
            net,
            (example,),
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=(dynamic,),
            opset_version=graph.OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None  # a path would have been needed for that
    model = program.model_proto
    graph.clean_graph(model)
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns about packages that nothing here needs."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _check(model: onnx.ModelProto, name: str) -> None:
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # checker and shape inference raise unrelated kinds
        raise GateError(f"{name}: ONNX's checker refuses it: {one_line(error)}") from error
    domains = {node.domain for node in model.graph.node} | {o.domain for o in model.opset_import}
    if domains - {""}:
        raise GateError(f"{name}: uses operators beyond the standard ones: {sorted(domains)}")


def _torch_probabilities(net: nn.Module, data: DigitData) -> F32:
    with torch.no_grad():
        images = torch.from_numpy(data.images.copy()).unsqueeze(1)
        return torch.cat([_joint(net(part)) for part in torch.split(images, 500)]).numpy()


def _joint(given: tuple[Tensor, ...]) -> Tensor:
    return given[0] * given[1][:, None] if len(given) > 1 else given[0]


def _verified(
    model: onnx.ModelProto,
    contract: ModelContract,
    path: Path,
    data: DigitData,
    truth: F32,
) -> Exported:
    """Measure a model through the runtime that will run it, and write its final file."""
    path.write_bytes(graph.to_bytes(model, contract.to_metadata()))
    given = predict_probabilities(Classifier(path), data)
    result = score_predictions(given, data.labels, data.name)
    contract = replace(
        contract,
        test_accuracy=result.accuracy,
        calibration_error=result.calibration_error,
    )
    content = graph.to_bytes(model, contract.to_metadata())
    path.write_bytes(content)
    return Exported(
        path=path,
        size=len(content),
        contract=contract,
        evaluation=result,
        agreement=float((given.argmax(1) == truth.argmax(1)).mean()),
        difference=float(np.abs(given - truth).max()),
    )
