"""A run folder: its lock, its weights and its checkpoint; its record is in `record`."""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterator
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

from digitkit.errors import RecipeError, RunError, one_line, os_reason
from digitkit.system import atomic
from digitkit.system.bounded import read_bounded
from digitkit.training import loop, nets
from digitkit.training.recipes import Recipe
from digitkit.training.record import RECORD, RunRecord, read_record

WEIGHTS, CHECKPOINT, LOCK = "model.safetensors", "checkpoint.pt", ".lock"
CURVES, CONFUSION = "curves.png", "confusion.png"

MAX_WEIGHTS_BYTES = 1_000_000_000
"""Largest weights file or checkpoint that is read."""


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        folder: its folder.
        record: its ``run.json``.
        net: the trained net, in evaluation mode.
    """

    folder: Path
    record: RunRecord
    net: nn.Sequential

    @property
    def recipe(self) -> Recipe:
        """The recipe that it was trained by."""
        return self.record.recipe


def default_out(recipe: Recipe) -> Path:
    """``runs/RECIPE-YYYYMMDD-HHMMSS``."""
    return Path("runs") / f"{recipe.name}-{datetime.now():%Y%m%d-%H%M%S}"


def check_free(folder: Path, overwrite: bool) -> None:
    """Check that a training may use a folder: it is new, empty, or a run that may be replaced.

    Raises:
        RunError: it may not.
    """
    if folder.exists() and not folder.is_dir():
        raise RunError(
            "is a file, not a folder", subject=str(folder), hint="choose another with --out"
        )
    names = {path.name for path in folder.iterdir()} - {LOCK} if folder.is_dir() else set()
    names = {name for name in names if not atomic.is_leftover(name)}
    if names and RECORD not in names:
        raise RunError(
            f"is neither empty nor a run folder (no {RECORD})",
            subject=str(folder),
            hint="choose another with --out",
        )
    if names and not overwrite:
        raise RunError(
            "already contains a run",
            subject=str(folder),
            hint="continue it with --resume, replace it with --overwrite, or choose another "
            "folder with --out",
        )


def clear_run(folder: Path) -> None:
    """Remove a run's own files, nothing else."""
    for name in (WEIGHTS, CHECKPOINT, CURVES, CONFUSION, RECORD):
        (folder / name).unlink(missing_ok=True)


@contextmanager
def lock_run(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that no two trainings write into it; makes the folder.

    Raises:
        RunError: another training holds it, or the folder cannot be written.
        OutputError: the folder is another user's link.
    """
    atomic.check_links(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunError("another training is writing into it", subject=str(folder)) from error
    except OSError as error:
        raise RunError(f"cannot be written: {os_reason(error)}", subject=str(folder)) from error
    try:
        yield
    finally:
        lock.release()  # the file stays: removed, it could be locked twice under one name


def load_run(folder: Path) -> Run:
    """Load a finished training.

    Raises:
        InputNotFoundError: the folder contains no run.
        RunError: the training is not finished, its record is damaged, or its weights do not fit
            its recipe.
    """
    record = read_record(folder)
    if record.status != "complete":
        raise RunError(
            "this training is not finished",
            subject=str(folder),
            hint=f"continue it with digitkit train --resume {shlex.quote(str(folder))}",
        )
    try:
        net = nets.build_net(record.recipe.net)
    except RecipeError as error:
        raise RunError(str(error), subject=str(folder / RECORD)) from error
    path = folder / WEIGHTS
    try:
        net.load_state_dict(safetensors.torch.load(read_bounded(path, MAX_WEIGHTS_BYTES)))
    except OSError as error:
        raise RunError(f"cannot be read: {os_reason(error)}", subject=str(path)) from error
    except safetensors.SafetensorError as error:
        raise RunError(f"is damaged: {one_line(error)}", subject=str(path)) from error
    except RuntimeError as error:
        raise RunError(
            f"its weights do not fit the net {record.recipe.net!r} of the recipe in {RECORD}",
            subject=str(path),
            hint="another version of digitkit may have written it: train again",
        ) from error
    net.eval()
    return Run(folder, record, net)


def write_weights(folder: Path, net: nn.Module, name: str) -> None:
    """Write a net's weights; `name` is that of the net.

    Raises:
        OutputError: they cannot be written.
    """
    content = safetensors.torch.save(net.state_dict(), metadata={"net": name})
    atomic.write_bytes(folder / WEIGHTS, content)


def load_checkpoint(folder: Path) -> loop.Checkpoint | None:
    """Load where an interrupted training stopped; None before the end of its first epoch.

    Raises:
        RunError: the checkpoint is damaged.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        return loop.Checkpoint.from_dict(read_tensors(path))
    except Exception as error:  # torch.load raises many unrelated kinds
        raise RunError(
            f"is damaged ({one_line(error)})", subject=str(path), hint="train again"
        ) from error


def read_tensors(path: Path) -> Any:
    """Read what torch saved: containers, numbers, texts and tensors, no other objects.

    Raises:
        Exception: of many unrelated kinds, where it cannot be read or is something else.
    """
    return torch.load(io.BytesIO(read_bounded(path, MAX_WEIGHTS_BYTES)), weights_only=True)


def write_checkpoint(folder: Path, checkpoint: loop.Checkpoint) -> None:
    """Write what `load_checkpoint` reads, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(checkpoint.to_dict(), buffer)
    atomic.write_bytes(folder / CHECKPOINT, buffer.getvalue())
