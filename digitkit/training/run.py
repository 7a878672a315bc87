"""A training from start to end, and the folder that holds what came of it."""

from __future__ import annotations

import io
import json
import os
import platform
import subprocess
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
from filelock import FileLock, Timeout
from torch import nn

from .. import __version__, atomic, datasets, figures, machine
from ..contract import DEFAULT_MIN_CONFIDENCE
from ..errors import DatasetError, InputNotFoundError, RecipeError, RunError, one_line
from ..evaluation import F32, Evaluation, fit_min_confidence, fit_temperature, score, softmax
from ..hashes import file_sha256
from . import loop, nets, recipes
from .recipes import Recipe

FORMAT = 1
"""Version of ``run.json``."""

WEIGHTS, RECORD, CHECKPOINT, LOCK = "model.safetensors", "run.json", "checkpoint.pt", ".lock"
CURVES, CONFUSION = "curves.png", "confusion.png"


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


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        folder: its folder.
        recipe: what ran.
        record: all of ``run.json``.
        net: the trained net, in evaluation mode.
    """

    folder: Path
    recipe: Recipe
    record: dict[str, Any]
    net: nn.Sequential


def default_out(recipe: Recipe) -> Path:
    """``runs/RECIPE-YYYYMMDD-HHMMSS``."""
    return Path("runs") / f"{recipe.name}-{datetime.now():%Y%m%d-%H%M%S}"


# --- training --------------------------------------------------------------------------------


def train(config: TrainConfig, watcher: Watcher) -> Run:
    """Train from the start, or from another run's weights.

    Raises:
        RunError: the folder is taken or locked, `init` does not fit, or the training diverged.
        DatasetError, InputNotFoundError: the data is missing or damaged.
        OutputError: the disk is full.
        KeyboardInterrupt: it was stopped; the last epoch's checkpoint is in the folder.
    """
    _check_free(config.out, config.overwrite)
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
    data = datasets.load_train_and_test(config.data, progress=watcher.preparing)
    with _locked(config.out):
        _check_free(config.out, config.overwrite)
        _clear(config.out)
        record = _new_record(config, init, data)
        _write_record(config.out, record)
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
    with _locked(folder):
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
        data = datasets.load_train_and_test(config.data, progress=watcher.preparing)
        if data.train.digest != record["data"]["train"]["digest"]:
            raise DatasetError(
                f"{source or 'MNIST'}: is not the data that {folder} was trained on so far; "
                "restore it, or start a new training"
            )
        checkpoint = _load_checkpoint(folder)
        start = None
        if checkpoint is None and record["init"] is not None:
            start = load_run(Path(record["init"]["run"])).net.state_dict()
        return _go(config, record, data, checkpoint, start, watcher)


def _go(
    config: TrainConfig,
    record: dict[str, Any],
    data: datasets.TrainAndTest,
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
            _write_record(out, record)
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
        test = score(_answers(recipe, scores, temperature), data.test.labels, data.test.name)
        raw = score(_answers(recipe, scores, 1.0), data.test.labels, data.test.name)
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
    _write_record(out, record)
    (out / CHECKPOINT).unlink(missing_ok=True)
    return Run(out, recipe, record, net)


def _logits(net: nn.Module, data: datasets.DigitData) -> F32:
    return nets.logits(net, torch.from_numpy(data.images.copy())).numpy()


def _summary(result: Evaluation) -> dict[str, Any]:
    return {
        "accuracy": result.accuracy,
        "loss": result.loss,
        "count": result.count,
        "mean_confidence": result.mean_confidence,
        "calibration_error": result.calibration_error,
    }


def split(
    data: datasets.DigitData, recipe: Recipe
) -> tuple[datasets.DigitData, datasets.DigitData | None]:
    """What a recipe trains on, and what it validates on (None where it validates on nothing)."""
    kept, split_off = datasets.stratified_split(data.labels, recipe.validation, recipe.seed)
    return data.take(kept), data.take(split_off, "validation") if len(split_off) else None


def _answers(recipe: Recipe, scores: F32, temperature: float) -> F32:
    """Probability of being each digit, as the exported model gives it: float32 ``[N, 10]``."""
    if recipe.negatives:
        # "No digit" is an eleventh class whose score is 0.
        scores = np.pad(scores, ((0, 0), (0, 1)))
    return softmax(scores, temperature)[:, :10]


def _fit_on_validation(recipe: Recipe, net: nn.Module, data: datasets.DigitData) -> dict[str, Any]:
    scores = _logits(net, data)
    temperature = fit_temperature(scores, data.labels)
    calibrated = _answers(recipe, scores, temperature)
    result = score(calibrated, data.labels, data.name)
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


# --- the run folder --------------------------------------------------------------------------


def _check_free(folder: Path, overwrite: bool) -> None:
    """Refuse a folder that holds anything, but for a run that may be overwritten."""
    names = {path.name for path in folder.iterdir()} - {LOCK} if folder.is_dir() else set()
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder}: is a file, not a folder; name another with --out")
    if names and RECORD not in names:
        raise RunError(
            f"{folder}: is not empty and no run folder (no {RECORD}); name another with --out"
        )
    if names and not overwrite:
        raise RunError(
            f"{folder}: already holds a run; go on with it (--resume), replace it (--overwrite), "
            "or name another folder (--out)"
        )


def _clear(folder: Path) -> None:
    """Remove a run's own files, nothing else."""
    for name in (WEIGHTS, CHECKPOINT, CURVES, CONFUSION, RECORD):
        (folder / name).unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that no two trainings write into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunError(f"{folder}: another training is writing into it") from error
    except OSError as error:
        raise RunError(f"{folder}: cannot be written: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()
        (folder / LOCK).unlink(missing_ok=True)


def read_record(folder: Path) -> dict[str, Any]:
    """A run's ``run.json``.

    Raises:
        InputNotFoundError: the folder holds no run.
        RunError: the record is damaged, or of another format.
    """
    path = folder / RECORD
    try:
        record = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputNotFoundError(
            f"{folder}: is no run folder (no {RECORD}); digitkit train makes one"
        ) from error
    except (ValueError, OSError) as error:
        raise RunError(f"{path}: cannot be read: {one_line(error)}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise RunError(f"{path}: is no run record of this digitkit version")
    return record


def _write_record(folder: Path, record: Mapping[str, Any]) -> None:
    atomic.write_text(folder / RECORD, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def load_run(folder: Path) -> Run:
    """Load a finished training.

    Raises:
        InputNotFoundError: the folder holds no run.
        RunError: the training is not finished, or its weights don't fit its recipe.
    """
    record = read_record(folder)
    if record["status"] != "complete":
        raise RunError(
            f"{folder}: this training is not finished; go on with digitkit train --resume {folder}"
        )
    try:
        recipe = recipes.from_json(record["recipe"])
        net = nets.build_net(recipe.net)
    except RecipeError as error:
        raise RunError(f"{folder / RECORD}: {error}") from error
    path = folder / WEIGHTS
    try:
        net.load_state_dict(safetensors.torch.load(path.read_bytes()))
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror or error}") from error
    except safetensors.SafetensorError as error:
        raise RunError(f"{path}: is damaged: {one_line(error)}") from error
    except RuntimeError as error:
        raise RunError(
            f"{path}: its weights don't fit the net {recipe.net!r} of the recipe in {RECORD}; "
            "another version of digitkit may have written it: train anew"
        ) from error
    net.eval()
    return Run(folder, recipe, record, net)


def _load_checkpoint(folder: Path) -> loop.Checkpoint | None:
    path = folder / CHECKPOINT
    if not path.exists():
        return None  # stopped before the first epoch was done
    try:
        return loop.Checkpoint.from_dict(torch.load(path, weights_only=True))
    except Exception as error:  # torch.load raises many unrelated kinds
        raise RunError(f"{path}: is damaged ({one_line(error)}); train anew") from error


def _new_record(
    config: TrainConfig, init: dict[str, Any] | None, data: datasets.TrainAndTest
) -> dict[str, Any]:
    def described(part: datasets.DigitData) -> dict[str, Any]:
        return {"name": part.name, "count": len(part), "digest": part.digest}

    return {
        "format": FORMAT,
        "status": "running",
        "recipe": recipes.to_json(config.recipe),
        "overrides": dict(config.overrides),
        "seed": config.recipe.seed,
        "parameters": nets.parameter_count(nets.build_net(config.recipe.net)),
        "threads": config.threads or machine.usable_cores(),
        "versions": {
            "digitkit": __version__,
            **machine.versions("torch", "numpy", "onnx", "onnxruntime", "opencv-python"),
        },
        "machine": {
            "platform": platform.platform(),
            "cpu": machine.cpu_name(),
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


def calibration_of(record: Mapping[str, Any]) -> tuple[float, float]:
    """The temperature and the confidence threshold that were fitted on validation data.

    Without validation data: 1 and `digitkit.contract.DEFAULT_MIN_CONFIDENCE`.
    """
    fitted = record["validation"] or {}
    return (
        float(fitted.get("temperature", 1.0)),
        float(fitted.get("min_confidence", DEFAULT_MIN_CONFIDENCE)),
    )


def git_revision() -> str | None:
    """The checkout's commit, ``-dirty`` where files differ from it; None outside of one."""
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / ".git").exists():
        return None  # an installed package, maybe inside somebody else's repository
    describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), *describe],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
