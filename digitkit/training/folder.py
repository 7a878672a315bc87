"""A run folder: its lock, its record, its weights and checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from filelock import FileLock, Timeout
from torch import nn

from digitkit.errors import InputNotFoundError, RecipeError, RunError, one_line
from digitkit.models.contract import DEFAULT_MIN_CONFIDENCE
from digitkit.system import atomic
from digitkit.training import loop, nets, recipes
from digitkit.training.recipes import Recipe

FORMAT = 1
"""Version of ``run.json``."""

WEIGHTS, RECORD, CHECKPOINT, LOCK = "model.safetensors", "run.json", "checkpoint.pt", ".lock"
CURVES, CONFUSION = "curves.png", "confusion.png"


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


# --- the run folder --------------------------------------------------------------------------


def check_free(folder: Path, overwrite: bool) -> None:
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


def clear_run(folder: Path) -> None:
    """Remove a run's own files, nothing else."""
    for name in (WEIGHTS, CHECKPOINT, CURVES, CONFUSION, RECORD):
        (folder / name).unlink(missing_ok=True)


@contextmanager
def lock_run(folder: Path) -> Iterator[None]:
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


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
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


def load_checkpoint(folder: Path) -> loop.Checkpoint | None:
    path = folder / CHECKPOINT
    if not path.exists():
        return None  # stopped before the first epoch was done
    try:
        return loop.Checkpoint.from_dict(torch.load(path, weights_only=True))
    except Exception as error:  # torch.load raises many unrelated kinds
        raise RunError(f"{path}: is damaged ({one_line(error)}); train anew") from error


def calibration_of(record: Mapping[str, Any]) -> tuple[float, float]:
    """The temperature and the confidence threshold that were fitted on validation data.

    Without validation data: 1 and `digitkit.contract.DEFAULT_MIN_CONFIDENCE`.
    """
    fitted = record["validation"] or {}
    return (
        float(fitted.get("temperature", 1.0)),
        float(fitted.get("min_confidence", DEFAULT_MIN_CONFIDENCE)),
    )
