"""A training from start to end, and the run folder that it leaves."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from digitkit import figures
from digitkit.choices import MAX_THREADS
from digitkit.datasets.digits import DigitData
from digitkit.errors import DatasetError, RunError, check_range
from digitkit.system import atomic
from digitkit.system.git import git_revision
from digitkit.system.machine import cpu_name, usable_cores, versions
from digitkit.training import loop, nets
from digitkit.training.augment import Augmentation
from digitkit.training.folder import (
    CHECKPOINT,
    CONFUSION,
    CURVES,
    Run,
    check_free,
    clear_run,
    load_checkpoint,
    load_run,
    lock_run,
    write_checkpoint,
    write_weights,
)
from digitkit.training.forgetting import score_mixed
from digitkit.training.material import (
    TrainingData,
    add_pages,
    load_material,
    mix_epoch,
    own_validation,
)
from digitkit.training.recipes import FINE_TUNE, RECIPES, Recipe, override
from digitkit.training.record import (
    FORMAT,
    RECORD,
    UNCALIBRATED,
    DataRecord,
    DatasetRecord,
    EpochRecord,
    InitRecord,
    MachineRecord,
    MixRecord,
    RunRecord,
    read_record,
    write_record,
)
from digitkit.training.scoring import calibrate_and_validate, score_test
from digitkit.training.start import Start, adapt, load_start
from digitkit.training.threads import torch_threads
from digitkit.version import __version__


@dataclass(frozen=True)
class TrainConfig:
    """One training.

    Attributes:
        recipe: how to train, overrides applied. The recipe `FINE_TUNE` is adapted to `init`, see
            `fit_to_start`.
        overrides: the recipe fields that were changed, as given.
        out: the run folder.
        data: folder of the data (see `digitkit.datasets.load.load_train_and_test`); None for
            MNIST.
        init: what to start from, see `digitkit.training.start.load_start`; None for fresh weights.
        threads: torch threads; 0 for all cores.
        overwrite: whether a finished or broken run in `out` may be replaced.

    Raises:
        ConfigError: `threads` is out of range.
    """

    recipe: Recipe
    overrides: Mapping[str, str]
    out: Path
    data: Path | None = None
    init: Path | None = None
    threads: int = 0
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Check the values; raises `ConfigError`."""
        check_range("threads", self.threads, 0, MAX_THREADS, whole=True)


class Watcher(loop.Observer, Protocol):
    """Follows a training, from reading the data on."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """While data is read or downloaded (a `digitkit.system.progress.Progress`)."""

    def started(self, config: TrainConfig, train_count: int, val_count: int, done: int) -> None:
        """Before the first batch; `done` epochs were trained before an interruption."""


def train(config: TrainConfig, watcher: Watcher) -> Run:
    """Train from the start, or from the weights of a run or a model.

    Where MNIST is mixed in, `digitkit.training.forgetting.check_forgotten` says of the result
    whether it still reads MNIST.

    Raises:
        GateError: `init` is a run that did not pass the gate of its training.
        RecipeError: the recipe names a net that does not exist.
        RunError: the folder is taken or locked, `init` does not fit, the recipe requires one, or
            the training diverged.
        ModelError: `init` is a model that cannot be trained on.
        DatasetError, InputNotFoundError: the data is missing or damaged.
        OutputError: the disk is full.
        KeyboardInterrupt: it was stopped; the last epoch's checkpoint is in the folder.
    """
    check_free(config.out, config.overwrite)
    config, start = fit_to_start(config)
    if start is None and config.recipe.own:
        raise RunError(
            f"the recipe {config.recipe.name} requires a net to start from",
            hint="name it with --init: digits, or a run folder",
        )
    if start is not None and start.net != config.recipe.net:
        raise RunError(
            f"has the net {start.net!r}, but the recipe {config.recipe.name!r} trains "
            f"{config.recipe.net!r}",
            subject=str(config.init),
        )
    material = load_material(config.data, config.recipe, progress=watcher.preparing)
    record = _new_record(config, start, material)
    with lock_run(config.out):
        check_free(config.out, config.overwrite)
        clear_run(config.out)
        write_record(config.out, record)
        state = start.state if start else None
        return _train(config, _Recorder(config.out, record, watcher), material, start=state)


def fit_to_start(config: TrainConfig) -> tuple[TrainConfig, Start | None]:
    """Load what a training starts from, and adapt the recipe `FINE_TUNE` to it.

    Its net and negatives are then those of `digitkit.training.start.adapt`, unless they are
    among the overrides.

    Returns:
        The training with this recipe, and its start; None for fresh weights.

    Raises:
        GateError, InputNotFoundError, RunError, ModelError: as `load_start`.
    """
    if config.init is None:
        return config, None
    start = load_start(config.init)
    if config.recipe.name == FINE_TUNE:
        recipe = override(adapt(config.recipe, start), config.overrides)
        config = replace(config, recipe=recipe)
    return config, start


def resume(folder: Path, watcher: Watcher) -> Run:
    """Continue an interrupted training; a finished one is only loaded.

    Gives the weights that an uninterrupted training would have given, on the same machine and
    with the same number of threads.

    Raises:
        RunError: the folder contains no run, its record or checkpoint is damaged or does not fit
            its recipe, this digitkit has another version of that, or another process trains in it.
        DatasetError: the data has changed since the training began.
    """
    if not (folder / RECORD).is_file():
        raise RunError(f"contains no run to resume (no {RECORD})", subject=str(folder))
    with lock_run(folder):
        record = read_record(folder)
        if record.status == "complete":
            return load_run(folder)
        recipe = record.recipe
        known = RECIPES.get(recipe.name)
        if known is not None and recipe.version != known.version:
            raise RunError(
                f"was started with version {recipe.version} of the recipe {recipe.name}, and this "
                f"digitkit has version {known.version}",
                subject=str(folder),
                hint="start a new training",
            )
        source = record.data.source
        config = TrainConfig(
            recipe=recipe,
            overrides=record.overrides,
            out=folder,
            data=Path(source) if source else None,
            threads=record.threads,
        )
        material = load_material(config.data, config.recipe, progress=watcher.preparing)
        if not is_recorded(material, record):
            raise DatasetError(
                f"is not the data that {folder} was trained on so far",
                subject=source or "MNIST",
                hint="restore it, or start a new training",
            )
        checkpoint = load_checkpoint(folder)
        start = None
        needed = checkpoint is None or record.recipe.distill
        if needed and record.init is not None:
            origin = load_start(Path(record.init.run), record.init.kind)
            if origin.record.weights_sha256 != record.init.weights_sha256:
                raise RunError(
                    "has changed since the training began",
                    subject=record.init.run,
                    hint="restore it, or start a new training",
                )
            start = origin.state
        recorder = _Recorder(folder, record, watcher)
        return _train(config, recorder, material, start=start, checkpoint=checkpoint)


def is_recorded(material: TrainingData, record: RunRecord) -> bool:
    """Whether these are the images that a training was begun with, to train and to test on."""
    mix, data = record.mix, record.data
    return (
        material.train.digest == data.train.digest
        and material.test.digest == data.test.digest
        and (mix is None or material.without_digit_sha256 == mix.without_digit_sha256)
    )


class _Recorder:
    """Passes on what happens, and writes checkpoint and record after every epoch."""

    def __init__(self, folder: Path, record: RunRecord, watcher: Watcher) -> None:
        self.folder, self.record, self.watcher = folder, record, watcher
        self._begun = time.perf_counter() - record.wall_seconds

    def batch(self, epoch: int, step: int, steps: int, loss: float, accuracy: float) -> None:
        self.watcher.batch(epoch, step, steps, loss, accuracy)

    def epoch(self, epoch: EpochRecord, checkpoint: loop.Checkpoint) -> None:
        write_checkpoint(self.folder, checkpoint)
        self.record = replace(
            self.record, epochs=checkpoint.history, best_epoch=checkpoint.best_epoch
        )
        self.write()
        self.watcher.epoch(epoch, checkpoint)

    def write(self) -> None:
        seconds = round(time.perf_counter() - self._begun, 3)
        self.record = replace(self.record, wall_seconds=seconds)
        write_record(self.folder, self.record)


def _train(
    config: TrainConfig,
    recorder: _Recorder,
    material: TrainingData,
    *,
    start: nets.State | None = None,
    checkpoint: loop.Checkpoint | None = None,
) -> Run:
    recipe, out = config.recipe, config.out
    epoch = mix_epoch(material, recipe)
    validation = epoch.validation
    with torch_threads(recorder.record.threads):
        if recipe.pages:
            epoch = add_pages(epoch, recipe, progress=recorder.watcher.preparing)
        done = len(checkpoint.history) if checkpoint else 0
        val_count = len(validation) if validation else 0
        recorder.watcher.started(config, len(epoch.train), val_count, done)
        final = loop.fit(
            recipe,
            epoch.train,
            validation,
            recorder,
            start=start,
            resume=checkpoint,
            without_digit=epoch.without_digit,
            new=epoch.new,
        )
        net = nets.build_net(recipe.net)
        net.load_state_dict(final.best)
        net.eval()
        record = recorder.record
        if validation is not None:
            record = calibrate_and_validate(record, net, validation)
        if record.mix is not None:
            result = score_mixed(net, material, recipe)
            record = replace(record, mix=replace(record.mix, result=result))
        test, scores = score_test(recipe, net, material.test, record.calibration.temperature)
        record = replace(record, test=scores, status="complete")
    write_weights(out, net, recipe.net)
    curves = figures.curves(
        f"{recipe.name}: loss and error",
        record.epochs,
        final.best_epoch,
        harder=_what_is_harder(recipe),
    )
    atomic.write_bytes(out / CURVES, curves)
    confusion = figures.confusion(f"{recipe.name} on {test.data}", test)
    atomic.write_bytes(out / CONFUSION, confusion)
    recorder.record = record
    recorder.write()
    (out / CHECKPOINT).unlink(missing_ok=True)
    return Run(out, recorder.record, net)


def _what_is_harder(recipe: Recipe) -> list[str]:
    """What makes the training loss of a recipe higher than that on validation images."""
    reasons = {
        "augmented images": recipe.augmentation != Augmentation(),
        f"labels smoothed by {recipe.label_smoothing:g}": bool(recipe.label_smoothing),
        "images without a digit": bool(recipe.negatives),
        "weights that are not averaged": bool(recipe.ema),
    }
    return [reason for reason, applies in reasons.items() if applies]


def _new_record(config: TrainConfig, start: Start | None, material: TrainingData) -> RunRecord:
    def describe(part: DigitData) -> DatasetRecord:
        return DatasetRecord(part.name, len(part), part.digest)

    source = str(config.data.resolve()) if config.data else None
    packages = versions("torch", "numpy", "onnx", "onnxruntime", "opencv-python")
    return RunRecord(
        format=FORMAT,
        status="running",
        recipe=config.recipe,
        overrides=dict(config.overrides),
        seed=config.recipe.seed,
        parameters=nets.parameter_count(nets.build_net(config.recipe.net)),
        threads=config.threads or usable_cores(),
        versions={"digitkit": __version__, **packages},
        machine=MachineRecord(platform.platform(), cpu_name(), os.cpu_count()),
        git_revision=git_revision(),
        started=datetime.now().astimezone().isoformat(timespec="seconds"),
        data=DataRecord(source, describe(material.train), describe(material.test)),
        init=_describe_init(config, start),
        epochs=(),
        best_epoch=None,
        calibration=start.calibration if start else UNCALIBRATED,
        mix=_new_mix(config.recipe, start, material),
        validation=None,
        test=None,
        wall_seconds=0.0,
    )


def _describe_init(config: TrainConfig, start: Start | None) -> InitRecord | None:
    """What a training starts from; of a file its full path, since it may be resumed elsewhere."""
    if start is None or config.init is None or not config.init.exists():  # a shipped name
        return start.record if start else None
    return replace(start.record, run=str(config.init.resolve()))


def _new_mix(recipe: Recipe, start: Start | None, material: TrainingData) -> MixRecord | None:
    """What MNIST is mixed into, and what is read before the training; None for other trainings."""
    own = material.own
    if own is None or start is None:
        return None
    net = nets.build_net(recipe.net)
    net.load_state_dict(start.state)
    validation = own_validation(material, recipe)
    return MixRecord(
        own=DatasetRecord(own.name, len(own), own.digest),
        own_validation=len(validation) if validation else 0,
        without_digit=len(material.without_digit),
        without_digit_sha256=material.without_digit_sha256,
        start=score_mixed(net, material, recipe),
    )
