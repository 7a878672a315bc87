"""A training from start to end, and the folder that holds what came of it."""

from __future__ import annotations

import io
import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import nn

from digitkit import figures
from digitkit.arrays import F32
from digitkit.datasets.digits import DigitData, TrainAndTest, stratified_split
from digitkit.datasets.load import load_train_and_test
from digitkit.errors import DatasetError, RunError
from digitkit.models.calibration import fit_min_confidence, fit_temperature, softmax
from digitkit.models.evaluation import Evaluation, score_predictions
from digitkit.system import atomic
from digitkit.system.git import git_revision
from digitkit.system.hashes import file_sha256
from digitkit.system.machine import cpu_name, usable_cores, versions
from digitkit.training import loop, nets, recipes
from digitkit.training.folder import (
    CHECKPOINT,
    CONFUSION,
    CURVES,
    FORMAT,
    RECORD,
    WEIGHTS,
    Run,
    calibration_of,
    check_free,
    clear_run,
    load_checkpoint,
    load_run,
    lock_run,
    read_record,
    write_record,
)
from digitkit.training.recipes import Recipe
from digitkit.version import __version__


@dataclass(frozen=True)
class TrainConfig:
    """What is to be trained, and where.

    Attributes:
        recipe: how, overrides applied.
        overrides: the recipe's fields that were changed, as given.
        out: the run folder.
        data: folder of the data (see `digitkit.datasets.load_train_and_test`); None for MNIST.
        init: a run whose weights to start from; None for fresh ones.
        threads: torch's threads; 0 for all cores.
        overwrite: whether a finished or broken run in `out` may be replaced.
    """

    recipe: Recipe
    overrides: Mapping[str, str]
    out: Path
    data: Path | None = None
    init: Path | None = None
    threads: int = 0
    overwrite: bool = False


class Watcher(loop.Observer, Protocol):
    """Is told how a training goes, beginning with what it trains."""

    def started(self, config: TrainConfig, train_count: int, val_count: int, done: int) -> None:
        """Before the first batch; `done` epochs were made before an interruption."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """While data is read or downloaded; `total` is 0 where it is not known."""


# --- training --------------------------------------------------------------------------------


def train(config: TrainConfig, watcher: Watcher) -> Run:
    """Train from the start, or from another run's weights.

    Raises:
        RunError: the folder is taken or locked, `init` does not fit, or the training diverged.
        DatasetError, InputNotFoundError: the data is missing or damaged.
        OutputError: the disk is full.
        KeyboardInterrupt: it was stopped; the last epoch's checkpoint is in the folder.
    """
    check_free(config.out, config.overwrite)
    start = None
    init: dict[str, Any] | None = None
    if config.init is not None:
        origin = load_run(config.init)
        if origin.recipe.net != config.recipe.net:
            raise RunError(
                f"{config.init}: is a run of the net {origin.recipe.net!r}, but the recipe "
                f"{config.recipe.name!r} trains {config.recipe.net!r}"
            )
        start = origin.net.state_dict()
        init = {
            "run": str(config.init),
            "recipe": origin.recipe.name,
            "weights_sha256": file_sha256(config.init / WEIGHTS),
        }
    data = load_train_and_test(config.data, progress=watcher.preparing)
    with lock_run(config.out):
        check_free(config.out, config.overwrite)
        clear_run(config.out)
        record = _new_record(config, init, data)
        write_record(config.out, record)
        return _go(config, record, data, None, start, watcher)


def resume(folder: Path, watcher: Watcher) -> Run:
    """Go on with an interrupted training; a finished one is just loaded.

    Ends with the weights that an uninterrupted training would have given, on the same machine
    and number of threads.

    Raises:
        RunError: the folder holds no run, its checkpoint does not fit its recipe, or another
            process trains in it.
        DatasetError: the data is no longer what the training began with.
    """
    if not (folder / RECORD).is_file():
        raise RunError(f"{folder}: holds no run to go on with (no {RECORD})")
    with lock_run(folder):
        record = read_record(folder)
        if record["status"] == "complete":
            return load_run(folder)
        recipe = recipes.from_json(record["recipe"])
        source = record["data"]["source"]
        config = TrainConfig(
            recipe=recipe,
            overrides=record["overrides"],
            out=folder,
            data=Path(source) if source else None,
        )
        data = load_train_and_test(config.data, progress=watcher.preparing)
        if data.train.digest != record["data"]["train"]["digest"]:
            raise DatasetError(
                f"{source or 'MNIST'}: is not the data that {folder} was trained on so far; "
                "restore it, or start a new training"
            )
        checkpoint = load_checkpoint(folder)
        start = None
        if checkpoint is None and record["init"] is not None:
            start = load_run(Path(record["init"]["run"])).net.state_dict()
        return _go(config, record, data, checkpoint, start, watcher)


def _go(
    config: TrainConfig,
    record: dict[str, Any],
    data: TrainAndTest,
    checkpoint: loop.Checkpoint | None,
    start: loop.State | None,
    watcher: Watcher,
) -> Run:
    recipe, out = config.recipe, config.out
    begun = time.perf_counter()
    before = float(record["wall_seconds"])
    train, validation = split(data.train, recipe)
    val_count = len(validation) if validation else 0

    class Saving:
        """Passes on what happens, and writes checkpoint and record after every epoch."""

        batch = staticmethod(watcher.batch)

        @staticmethod
        def epoch(epoch: loop.EpochRecord, reached: loop.Checkpoint) -> None:
            buffer = io.BytesIO()
            torch.save(reached.to_dict(), buffer)
            atomic.write_bytes(out / CHECKPOINT, buffer.getvalue())
            record["epochs"] = [asdict(one) for one in reached.history]
            record["best_epoch"] = reached.best_epoch
            record["wall_seconds"] = round(before + time.perf_counter() - begun, 3)
            write_record(out, record)
            watcher.epoch(epoch, reached)

    with using_threads(record["threads"]):
        done = len(checkpoint.history) if checkpoint else 0
        watcher.started(config, len(train), val_count, done)
        final = loop.fit(
            recipe,
            train,
            validation,
            Saving(),
            start=start,
            resume=checkpoint,
        )
        net = nets.build_net(recipe.net)
        net.load_state_dict(final.best)
        net.eval()
        if validation is not None:
            record["validation"] = _fit_on_validation(recipe, net, validation)
        temperature, _ = calibration_of(record)
        # The one time that the test set is looked at.
        scores = _logits(net, data.test)
        test = score_predictions(
            _answers(recipe, scores, temperature), data.test.labels, data.test.name
        )
        raw = score_predictions(_answers(recipe, scores, 1.0), data.test.labels, data.test.name)
        record["test"] = _summary(test) | {"loss_uncalibrated": raw.loss}
    atomic.write_bytes(
        out / WEIGHTS,
        safetensors.torch.save(net.state_dict(), metadata={"net": recipe.net}),
    )
    atomic.write_bytes(
        out / CURVES,
        figures.curves(f"{recipe.name}: loss and error", record["epochs"], record["best_epoch"]),
    )
    atomic.write_bytes(out / CONFUSION, figures.confusion(f"{recipe.name} on {test.data}", test))
    record["status"] = "complete"
    record["wall_seconds"] = round(before + time.perf_counter() - begun, 3)
    write_record(out, record)
    (out / CHECKPOINT).unlink(missing_ok=True)
    return Run(out, recipe, record, net)


def _logits(net: nn.Module, data: DigitData) -> F32:
    return nets.logits(net, torch.from_numpy(data.images.copy())).numpy()


def _summary(result: Evaluation) -> dict[str, Any]:
    return {
        "accuracy": result.accuracy,
        "loss": result.loss,
        "count": result.count,
        "mean_confidence": result.mean_confidence,
        "calibration_error": result.calibration_error,
    }


def split(data: DigitData, recipe: Recipe) -> tuple[DigitData, DigitData | None]:
    """What a recipe trains on, and what it validates on (None where it validates on nothing)."""
    kept, split_off = stratified_split(data.labels, recipe.validation, recipe.seed)
    return data.take(kept), data.take(split_off, "validation") if len(split_off) else None


def _answers(recipe: Recipe, scores: F32, temperature: float) -> F32:
    """Probability of being each digit, as the exported model gives it: float32 ``[N, 10]``."""
    if recipe.negatives:
        # "No digit" is an eleventh class whose score is 0.
        scores = np.pad(scores, ((0, 0), (0, 1)))
    return softmax(scores, temperature)[:, :10]


def _fit_on_validation(recipe: Recipe, net: nn.Module, data: DigitData) -> dict[str, Any]:
    scores = _logits(net, data)
    temperature = fit_temperature(scores, data.labels)
    calibrated = _answers(recipe, scores, temperature)
    result = score_predictions(calibrated, data.labels, data.name)
    return _summary(result) | {
        "temperature": temperature,
        "min_confidence": fit_min_confidence(calibrated, data.labels),
    }


@contextmanager
def using_threads(count: int) -> Iterator[None]:
    """So many threads for torch, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _new_record(
    config: TrainConfig, init: dict[str, Any] | None, data: TrainAndTest
) -> dict[str, Any]:
    def described(part: DigitData) -> dict[str, Any]:
        return {"name": part.name, "count": len(part), "digest": part.digest}

    return {
        "format": FORMAT,
        "status": "running",
        "recipe": recipes.to_json(config.recipe),
        "overrides": dict(config.overrides),
        "seed": config.recipe.seed,
        "parameters": nets.parameter_count(nets.build_net(config.recipe.net)),
        "threads": config.threads or usable_cores(),
        "versions": {
            "digitkit": __version__,
            **versions("torch", "numpy", "onnx", "onnxruntime", "opencv-python"),
        },
        "machine": {
            "platform": platform.platform(),
            "cpu": cpu_name(),
            "cores": os.cpu_count(),
        },
        "git_revision": git_revision(),
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "data": {
            "source": str(config.data.resolve()) if config.data else None,
            "train": described(data.train),
            "test": described(data.test),
        },
        "init": init,
        "epochs": [],
        "best_epoch": None,
        "validation": None,
        "test": None,
        "wall_seconds": 0.0,
    }
