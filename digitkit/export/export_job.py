"""A finished training to verified ONNX files. Needs torch and onnx."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx

from digitkit import figures
from digitkit.choices import Precision, Target
from digitkit.datasets.digits import Images, stratified_split
from digitkit.errors import ConfigError, DatasetError, RunError, check_choice
from digitkit.export import card, graph, quantize
from digitkit.export.deploy import deploy_net, to_onnx
from digitkit.export.verify import (
    Measurement,
    check_graph,
    check_int8_loss,
    check_parity,
    measure,
    torch_probabilities,
)
from digitkit.images.normal_form import NORMAL_FORM_VERSION
from digitkit.models.contract import ModelContract
from digitkit.models.evaluation import Evaluation
from digitkit.system import atomic
from digitkit.system.progress import Progress, no_progress
from digitkit.training.folder import Run, load_run
from digitkit.training.forgetting import check_forgotten
from digitkit.training.material import TrainingData, load_material, split_material
from digitkit.version import __version__


def is_file_name(text: str) -> bool:
    """Whether a text is the name of a file, in no other folder."""
    return text not in ("", ".", "..") and text == Path(text).name and "\0" not in text


@dataclass(frozen=True)
class ExportConfig:
    """One export.

    Attributes:
        run: folder of the finished training.
        out: folder to write to; the model card, a figure of the mistakes and the checksums in it
            are updated. None for ``exported`` in the run folder.
        name: of the files ``NAME-fp32.onnx`` and ``NAME-int8.onnx``; None for the recipe's.
        int8: whether to write int8 as well.
        target: the processors that the int8 model is for.
        data: where the training's data is now; None for where it was.

    Raises:
        ConfigError: `name` is not a file name, or `target` is not a target.
    """

    run: Path
    out: Path | None = None
    name: str | None = None
    int8: bool = True
    target: Target = "x86"
    data: Path | None = None

    def __post_init__(self) -> None:
        """Check the values; raises `ConfigError`."""
        if self.name is not None and not is_file_name(self.name):
            raise ConfigError(f"must be a file name, got {self.name!r}", field="name")
        check_choice("target", self.target, Target)


@dataclass(frozen=True)
class Exported:
    """One model that was written.

    Attributes:
        path: its file.
        size: of the file, bytes.
        contract: the contract stored in it.
        evaluation: its results on the test data.
        agreement: fraction of the test images that it reads as the trained net does, 0–1.
        difference: largest difference of a probability from the trained net's.
    """

    path: Path
    size: int
    contract: ModelContract
    evaluation: Evaluation
    agreement: float
    difference: float


@dataclass(frozen=True)
class _Candidate:
    """A model that has passed its gates but is not written yet."""

    name: str
    model: onnx.ModelProto
    measurement: Measurement
    contract: ModelContract
    content: bytes


def export_run(
    config: ExportConfig,
    *,
    step: Callable[[str], None] = lambda what: None,
    progress: Progress = no_progress,
) -> list[Exported]:
    """Export a training to ``NAME-fp32.onnx`` and ``NAME-int8.onnx``, verified.

    Gates, before anything is written: ONNX's checker; the same digit as torch on every test image
    and probabilities within `digitkit.export.verify.MAX_PROBABILITY_DIFFERENCE`; int8 within
    `digitkit.export.verify.INT8_LOSS` of fp32.

    Args:
        config: what to export, and where to.
        step: called with what is being done.
        progress: called while data is read.

    Raises:
        GateError: a gate failed, also that of the training; nothing was written.
        RunError, InputNotFoundError: `config.run` is not a finished training.
        DatasetError, InputNotFoundError: its data does not exist or has changed.
        OutputError: the files cannot be written.
    """
    run = load_run(config.run)
    name = config.name or run.recipe.name
    if not is_file_name(name):
        raise RunError(
            f"the recipe's name {name!r} is not a file name",
            subject=str(config.run),
            hint="name the files with --name",
        )
    check_forgotten(run.record, config.run)
    out = config.out or config.run / "exported"
    atomic.check_writable(out, is_folder=True)
    step("reading the data")
    data = _load_data(run, config.data, progress)
    step("exporting to ONNX")
    net = deploy_net(run.net, run.record.calibration.temperature, run.recipe.negatives > 0)
    model = to_onnx(net)
    check_graph(model, f"{name}-fp32")
    expected = torch_probabilities(net, data.test)
    step("verifying fp32")
    measured = measure(model, data.test, expected)
    check_parity(measured, f"{name}-fp32")
    fp32 = _make_candidate(f"{name}-fp32", run, data, model, measured)
    candidates = [fp32]
    if config.int8:
        step("quantising to int8")
        images = _select_calibration_images(run, data)
        small = quantize.quantize(model, images, config.target)
        check_graph(small, f"{name}-int8")
        step("verifying int8")
        measured = measure(small, data.test, expected)
        check_int8_loss(measured, fp32.measurement, f"{name}-int8")
        calibration = f"{quantize.describe_target(config.target)}, {len(images)} training images"
        candidates.append(
            _make_candidate(
                f"{name}-int8", run, data, small, measured, parent=fp32, calibration=calibration
            )
        )
    step("drawing the mistakes")
    shown = candidates[-1]
    figure = figures.mistakes(
        f"{shown.name} on {data.test.name}", data.test.images, shown.measurement.evaluation
    )
    step("writing")
    return _write(out, name, candidates, figure)


def _load_data(run: Run, folder: Path | None, progress: Progress) -> TrainingData:
    """Load the data that a run was trained on, and check that it is the same."""
    recorded = run.record.data
    if folder is None and recorded.source:
        folder = Path(recorded.source)
    data = load_material(folder, run.recipe, progress=progress)
    for part, digits, record in (
        ("train", data.train, recorded.train),
        ("test", data.test, recorded.test),
    ):
        if digits.digest != record.digest:
            raise DatasetError(
                f"its {part} set is not the one recorded in {run.folder}",
                subject=str(folder or "MNIST"),
                hint="name the right data with --data",
            )
    return data


def _select_calibration_images(run: Run, data: TrainingData) -> Images:
    """Training images to quantise with, never validation images: uint8 ``[M, 28, 28]``."""
    train = data.train
    kept, _ = split_material(data, run.recipe)
    fraction = min(1.0, quantize.CALIBRATION_IMAGES / len(kept))
    if fraction < 1:
        _, chosen = stratified_split(train.labels[kept], fraction, run.recipe.seed)
        kept = kept[chosen]
    return train.images[kept]


def _make_candidate(
    name: str,
    run: Run,
    data: TrainingData,
    model: onnx.ModelProto,
    measurement: Measurement,
    *,
    parent: _Candidate | None = None,
    calibration: str = "none",
) -> _Candidate:
    """Complete a measured model with its contract; `parent` is an int8 model's fp32 one."""
    # Quantisation adds values and rearranges layers: what was trained is counted in fp32.
    facts = graph.count_graph(parent.model if parent else model)
    precision: Precision = "int8" if parent else "fp32"
    calibrated = run.record.calibration
    contract = ModelContract(
        architecture=run.recipe.net,
        parameters=facts.parameters,
        multiply_adds=facts.multiply_adds,
        op_counts=graph.count_graph(model).op_counts,
        opset=graph.read_opset(model),
        recipe=run.recipe.name,
        recipe_version=run.recipe.version,
        overrides=json.dumps(run.record.overrides, sort_keys=True),
        seed=run.recipe.seed,
        data=data.train.name,
        data_digest=data.train.digest,
        test_data=data.test.name,
        test_accuracy=measurement.evaluation.accuracy,
        test_count=len(data.test),
        calibration_error=measurement.evaluation.calibration_error,
        temperature=calibrated.temperature,
        min_confidence=calibrated.min_confidence,
        confidence_source=None if calibrated.source == "validation" else calibrated.source,
        precision=precision,
        calibration=calibration,
        parent_sha256=hashlib.sha256(parent.content).hexdigest() if parent else "",
        digitkit_version=__version__,
        preprocessing=NORMAL_FORM_VERSION,
    )
    content = graph.to_bytes(model, contract.to_metadata())
    return _Candidate(name, model, measurement, contract, content)


def _write(out: Path, name: str, candidates: list[_Candidate], figure: bytes) -> list[Exported]:
    """Write the models, the figure of the mistakes, the card and the checksums."""
    exported = []
    for candidate in candidates:
        path = out / f"{candidate.name}.onnx"
        atomic.write_bytes(path, candidate.content)
        exported.append(
            Exported(
                path=path,
                size=len(candidate.content),
                contract=candidate.contract,
                evaluation=candidate.measurement.evaluation,
                agreement=candidate.measurement.agreement,
                difference=candidate.measurement.difference,
            )
        )
    atomic.write_bytes(out / card.mistakes_name(name), figure)
    if len(candidates) == 1:
        # An older export's int8 file would pass for this fp32 model's sibling.
        (out / f"{name}-int8.onnx").unlink(missing_ok=True)
    card.write_card(out)
    return exported
