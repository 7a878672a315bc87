"""What ``run.json`` contains: everything that decided a training, and its results."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from digitkit.choices import MAX_THREADS
from digitkit.errors import InputNotFoundError, RunError, one_line
from digitkit.models.contract import DEFAULT_MIN_CONFIDENCE, TEMPERATURES
from digitkit.system import atomic
from digitkit.system.bounded import MAX_JSON_BYTES, read_bounded
from digitkit.training.augment import Augmentation
from digitkit.training.ranges import Fraction
from digitkit.training.recipes import Recipe

FORMAT = 1
"""Version of ``run.json``."""

RECORD = "run.json"

Number = Annotated[int, Meta(ge=0)]

Seconds = Annotated[float, Meta(ge=0)]

Temperature = Annotated[float, Meta(ge=TEMPERATURES[0], le=TEMPERATURES[1])]


@dataclass(frozen=True)
class DatasetRecord:
    """A data set that was trained or tested on.

    Attributes:
        name: what the data is.
        count: number of images.
        digest: SHA-256 of the images and labels, see `digitkit.datasets.digits.DigitData`.
    """

    name: str
    count: Number
    digest: str


@dataclass(frozen=True)
class DataRecord:
    """Where the data came from.

    Attributes:
        source: its folder; None for MNIST.
        train: the training set, validation images included.
        test: the test set.
    """

    source: str | None
    train: DatasetRecord
    test: DatasetRecord


InitKind = Literal["run", "model"]
"""What a training starts from: a run folder, or an exported model."""


@dataclass(frozen=True)
class InitRecord:
    """The run or the model whose weights a training started from.

    Attributes:
        run: the run's folder, or the model's name or file.
        recipe: name of its recipe.
        weights_sha256: SHA-256 of the run's weights file, or of the model.
        kind: which of both it is.
    """

    run: str
    recipe: str
    weights_sha256: str
    kind: InitKind = "run"


@dataclass(frozen=True)
class MixedScoreRecord:
    """What a net reads right, of MNIST and of the user's own images.

    Attributes:
        mnist: fraction of MNIST's test set, 0–1.
        own: fraction of the own validation images, 0–1; None without any.
    """

    mnist: Fraction
    own: Fraction | None


@dataclass(frozen=True)
class MixRecord:
    """A user's own images that MNIST was mixed into, and what that changed.

    Attributes:
        own: the own images, validation images included.
        own_validation: how many of them are validated on.
        without_digit: how many own images without a digit there are.
        without_digit_sha256: SHA-256 of these.
        start: what the net read right before.
        result: what it reads right now; None before the end.
    """

    own: DatasetRecord
    own_validation: Number
    without_digit: Number
    without_digit_sha256: str
    start: MixedScoreRecord
    result: MixedScoreRecord | None = None

    @property
    def forgotten(self) -> float:
        """By how much less of MNIST's test set is read right than before, 0–1; below 0 for more."""
        return 0.0 if self.result is None else round(self.start.mnist - self.result.mnist, 9)


@dataclass(frozen=True)
class MachineRecord:
    """The machine that trained.

    Attributes:
        platform: operating system and version.
        cpu: name of the processor.
        cores: logical cores; None if unknown.
    """

    platform: str
    cpu: str
    cores: Number | None


@dataclass(frozen=True)
class EpochRecord:
    """Results of one epoch.

    Attributes:
        epoch: from 1.
        train_loss: mean loss on the augmented training images, label smoothing and images without
            a digit included, as in the recipe.
        train_accuracy: fraction of the augmented training images read right, 0–1.
        val_loss: mean cross-entropy on the validation images; None without any.
        val_accuracy: fraction of the validation images read right, 0–1; None without any.
        seconds: duration of the epoch, validation included.
        elapsed: seconds of training up to the end of this epoch, interruptions not counted.
    """

    epoch: Annotated[int, Meta(ge=1)]
    train_loss: float
    train_accuracy: Fraction
    val_loss: float | None
    val_accuracy: Fraction | None
    seconds: Seconds
    elapsed: Seconds


@dataclass(frozen=True)
class ScoreRecord:
    """Results on a data set.

    Attributes:
        accuracy: fraction read right, 0–1.
        loss: mean cross-entropy of the calibrated probabilities, nats.
        count: number of images.
        mean_confidence: mean probability of the digit that was read, 0–1.
        calibration_error: expected calibration error, 0–1.
    """

    accuracy: Fraction
    loss: float
    count: Number
    mean_confidence: float
    calibration_error: Fraction


@dataclass(frozen=True)
class CalibrationRecord:
    """Temperature and threshold of a net, and where they are from.

    Attributes:
        source: ``validation``: fitted on the validation images; ``init``: there were fewer than
            `digitkit.models.calibration.MIN_CALIBRATION_IMAGES`, and those of the run that the
            training started from are kept; ``default``: nor was there such a run, or it had none
            that were fitted.
        temperature: what the logits are divided by.
        min_confidence: default threshold for accepting a digit, 0–1.
    """

    source: Literal["validation", "init", "default"]
    temperature: Temperature
    min_confidence: Fraction


UNCALIBRATED = CalibrationRecord("default", 1.0, DEFAULT_MIN_CONFIDENCE)


@dataclass(frozen=True)
class ValidationRecord(ScoreRecord):
    """Results on the validation images.

    Attributes:
        temperature: the calibration's, with which they were computed.
        min_confidence: the calibration's.
    """

    temperature: Temperature
    min_confidence: Fraction


@dataclass(frozen=True)
class FinalScoreRecord(ScoreRecord):
    """Results on the test set.

    Attributes:
        loss_uncalibrated: mean cross-entropy without the temperature, nats.
    """

    loss_uncalibrated: float


@dataclass(frozen=True)
class RunRecord:
    """A training, as ``run.json`` stores it.

    Attributes:
        format: version of the file's format.
        status: ``running`` until everything is written; an interrupted training stays so.
        recipe: the recipe, overrides applied.
        overrides: the recipe fields that were changed, as given.
        seed: of the recipe.
        parameters: number of trained values.
        threads: torch threads.
        versions: of digitkit, Python and the packages that matter.
        machine: the machine that trained.
        git_revision: of the checkout that digitkit ran from; None outside of one.
        started: ISO 8601 time with zone.
        data: what it was trained and tested on.
        init: the run that it started from; None for fresh weights.
        epochs: the epochs so far.
        best_epoch: the epoch whose weights are kept, from 1; None before the first has ended.
        calibration: temperature and threshold.
        mix: the user's own images where MNIST was mixed into them; None for others.
        validation: results on the validation images; None without any, or before the end.
        test: results on the test set; None before the end.
        wall_seconds: duration, interruptions not counted.
    """

    format: int
    status: Literal["running", "complete"]
    recipe: Recipe
    overrides: dict[str, str]
    seed: int
    parameters: Number
    threads: Annotated[int, Meta(ge=1, le=MAX_THREADS)]
    versions: dict[str, str]
    machine: MachineRecord
    git_revision: str | None
    started: str
    data: DataRecord
    init: InitRecord | None
    epochs: tuple[EpochRecord, ...]
    best_epoch: int | None
    calibration: CalibrationRecord = field(default=UNCALIBRATED, kw_only=True)
    mix: MixRecord | None = field(default=None, kw_only=True)
    validation: ValidationRecord | None
    test: FinalScoreRecord | None
    wall_seconds: Seconds


def read_record(folder: Path) -> RunRecord:
    """Read a run folder's ``run.json``.

    Raises:
        InputNotFoundError: the folder contains no run.
        RunError: the record is damaged or incomplete, or another version of digitkit wrote it.
    """
    path = folder / RECORD
    try:
        values = msgspec.json.decode(read_bounded(path, MAX_JSON_BYTES))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputNotFoundError(
            f"is not a run folder (no {RECORD})",
            subject=str(folder),
            hint="create one with digitkit train",
        ) from error
    except (msgspec.MsgspecError, ValueError, RecursionError, OSError) as error:
        raise RunError(f"cannot be read: {one_line(error)}", subject=str(path)) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise RunError("is not a run record of this digitkit version", subject=str(path))
    try:
        record = msgspec.convert(values, RunRecord)
    except msgspec.ValidationError as error:
        raise RunError(f"is damaged: {one_line(error)}", subject=str(path)) from error
    if "calibration" not in values and (fitted := record.validation) is not None:
        # An older version, which fitted it on any number of validation images.
        old = CalibrationRecord("validation", fitted.temperature, fitted.min_confidence)
        record = replace(record, calibration=old)
    # A field that is not known here would silently not be applied.
    augmentation = values["recipe"].get("augmentation", {})
    unknown = [
        *_unknown_fields(values["recipe"], Recipe),
        *(f"augmentation.{name}" for name in _unknown_fields(augmentation, Augmentation)),
    ]
    if unknown:
        raise RunError(
            f"its recipe has fields that this digitkit version does not know: {', '.join(unknown)}",
            subject=str(path),
        )
    _check_consistent(record, str(path))
    return record


def _check_consistent(record: RunRecord, name: str) -> None:
    epochs = [one.epoch for one in record.epochs]
    if epochs != list(range(1, len(epochs) + 1)):
        raise RunError(f"is damaged: its epochs are numbered {epochs}", subject=name)
    if record.best_epoch not in (epochs or (None,)):
        raise RunError(
            f"is damaged: it has {len(epochs)} epochs, and the best is {record.best_epoch}",
            subject=name,
        )
    source = record.calibration.source
    if source != "default" and getattr(record, source) is None:
        raise RunError(
            f"is damaged: its calibration is from {source!r}, which it lacks", subject=name
        )
    if record.status == "complete" and (record.test is None or not epochs):
        raise RunError("is damaged: a finished training has epochs and test results", subject=name)


def _unknown_fields(
    values: dict[str, object], kind: type[Recipe] | type[Augmentation]
) -> list[str]:
    """The names in `values` that are not fields of the dataclass `kind`."""
    known = {field.name for field in fields(kind)}
    return [name for name in values if name not in known]


def write_record(folder: Path, record: RunRecord) -> None:
    """Write a run folder's ``run.json``, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    text = json.dumps(asdict(record), indent=2, ensure_ascii=False)
    atomic.write_text(folder / RECORD, text + "\n")
