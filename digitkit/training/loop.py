"""The training loop: epochs over a training set, validation, and checkpoints.

Nothing here prints or writes: `fit` passes every batch and a `Checkpoint` after every epoch to an
`Observer`. All randomness in an epoch comes from the seed and the epoch's number, so a training
that is resumed from a checkpoint gives the same weights as an uninterrupted one.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from digitkit.datasets.digits import DigitData, Images
from digitkit.errors import RunError
from digitkit.training import negatives, stroke_digits
from digitkit.training.augment import augment
from digitkit.training.distillation import Teacher, make_teacher
from digitkit.training.nets import State, build_net, logits, to_input
from digitkit.training.recipes import Recipe
from digitkit.training.record import EpochRecord


@dataclass(frozen=True)
class Checkpoint:
    """Everything that is needed to resume a training after an epoch.

    Attributes:
        history: the epochs so far.
        best_epoch: the epoch whose weights are kept, as the recipe defines it.
        best: its weights.
        net: the raw weights.
        average: the averaged weights; None without averaging.
        optimizer: the optimiser's own state.
    """

    history: tuple[EpochRecord, ...]
    best_epoch: int
    best: State
    net: State
    average: State | None
    optimizer: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain containers and tensors, for ``torch.save`` and ``weights_only`` loading."""
        return {
            **{field: getattr(self, field) for field in self.__dataclass_fields__},
            "history": [asdict(record) for record in self.history],
        }

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Checkpoint:
        """Read what `to_dict` gave; raises ValueError if it is something else."""
        checkpoint = msgspec.convert(values, Checkpoint)
        if not 1 <= checkpoint.best_epoch <= len(checkpoint.history):
            raise ValueError(f"the best epoch is {checkpoint.best_epoch}")
        return checkpoint


class Observer(Protocol):
    """Follows a training."""

    def batch(self, epoch: int, step: int, steps: int, loss: float, accuracy: float) -> None:
        """After a batch: running mean loss and accuracy (0–1) of the epoch so far."""

    def epoch(self, record: EpochRecord, checkpoint: Checkpoint) -> None:
        """After an epoch."""


class Average:
    """Exponential moving average of weights and of batch-normalisation statistics."""

    def __init__(self, net: nn.Module, decay: float, state: State | None = None) -> None:
        """Start from a copy of `net`, or from `state`; `decay` per step is 0–1."""
        self.net = copy.deepcopy(net)
        if state is not None:
            self.net.load_state_dict(state)
        self.decay = decay

    @torch.no_grad()
    def update(self, net: nn.Module, step: int) -> None:
        """Move towards `net`; faster in the first steps, when the average is mostly its start."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        ours, theirs = self.net.state_dict(), net.state_dict()
        floats = [name for name, value in ours.items() if value.is_floating_point()]
        torch._foreach_lerp_([ours[n] for n in floats], [theirs[n] for n in floats], weight)


def fit(
    recipe: Recipe,
    train: DigitData,
    validation: DigitData | None,
    observer: Observer,
    *,
    start: State | None = None,
    resume: Checkpoint | None = None,
    without_digit: Images | None = None,
    new: int = 0,
) -> Checkpoint:
    """Train a net.

    Args:
        recipe: how to train.
        train: the training images.
        validation: decides which epoch is kept, if the recipe keeps the best; with None the last
            one is kept.
        observer: called after every batch and epoch.
        start: weights to start from instead of fresh ones.
        resume: continue after the last epoch of this checkpoint.
        without_digit: images without a digit, uint8 ``[M, 28, 28]``, next to those that are made
            for a recipe that trains with such; None for no others.
        new: how many of the last training images are new to `start`, as all of `without_digit` are;
            a recipe that distils, which requires `start`, does so on the others.

    Returns:
        The last epoch's checkpoint; its `best` are the weights to keep.

    Raises:
        RecipeError: the net does not exist.
        RunError: `start` or `resume` does not fit the net, there are too few images, or the
            training diverged.
    """
    with _deterministic():
        torch.manual_seed(recipe.seed)
        net = build_net(recipe.net)
        optimizer = _make_optimizer(recipe, net)
        average = _load_weights(recipe, net, optimizer, start, resume)
        if len(train) < 2:
            raise RunError(
                f"at least 2 images to train on are required, got {len(train)}", subject=train.name
            )
        material = _prepare(recipe, train, without_digit, new)
        teacher = make_teacher(recipe, start)
        validation_tensors = _to_tensors(validation) if validation else None

        history = list(resume.history) if resume else []
        best_epoch, best = (resume.best_epoch, resume.best) if resume else (0, {})
        checkpoint = resume
        while len(history) < recipe.epochs and not _out_of_patience(recipe, history, best_epoch):
            begun = time.perf_counter()
            epoch = len(history) + 1
            loss, accuracy = _train_epoch(
                recipe, net, optimizer, average, material, epoch, observer, teacher
            )
            candidate = average.net if average else net
            val_loss, val_accuracy = _validate(candidate, validation_tensors)
            seconds = time.perf_counter() - begun
            elapsed = (history[-1].elapsed if history else 0.0) + seconds
            history.append(
                EpochRecord(epoch, loss, accuracy, val_loss, val_accuracy, seconds, elapsed)
            )
            if recipe.keep == "last" or _is_best(history):
                best_epoch, best = epoch, _snapshot(candidate)
            checkpoint = Checkpoint(
                history=tuple(history),
                best_epoch=best_epoch,
                best=best,
                net=_snapshot(net),
                average=_snapshot(average.net) if average else None,
                optimizer=copy.deepcopy(optimizer.state_dict()),
            )
            observer.epoch(history[-1], checkpoint)
    assert checkpoint is not None  # every recipe has an epoch
    return checkpoint


def _load_weights(
    recipe: Recipe,
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    start: State | None,
    resume: Checkpoint | None,
) -> Average | None:
    """Start from weights or a checkpoint; what averages the weights, if the recipe does."""
    try:
        if resume is not None:
            net.load_state_dict(resume.best)  # only to see whether they fit
            net.load_state_dict(resume.net)
            settings = set(optimizer.param_groups[0])
            optimizer.load_state_dict(copy.deepcopy(resume.optimizer))
            if missing := settings - set(optimizer.param_groups[0]):  # another kind of optimizer
                raise KeyError(*missing)
        elif start is not None:
            net.load_state_dict(start)
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return Average(net, recipe.ema, resume.average if resume else None) if recipe.ema else None
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"the starting weights do not fit the network {recipe.net!r} and the optimizer "
            f"{recipe.optimizer} of this recipe"
        ) from error


@contextmanager
def _deterministic() -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def _make_optimizer(recipe: Recipe, net: nn.Module) -> torch.optim.Optimizer:
    decayed = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if recipe.optimizer == "adadelta":
        # torch's own defaults are rho 0.9 and epsilon 1e-6.
        return torch.optim.Adadelta(groups, lr=recipe.learning_rate, rho=0.95, eps=1e-7)
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=recipe.learning_rate)


def _learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """The rate at `step` (from 0) of `steps`; it has no state, so nothing has to be resumed."""
    if recipe.schedule == "constant":
        return recipe.learning_rate
    rise = max(1.0, recipe.warmup * steps)
    if step < rise:
        return recipe.learning_rate * (step + 1) / rise
    return recipe.learning_rate * max(0.0, (steps - step) / (steps - rise))


@dataclass(frozen=True)
class _TrainingData:
    """What is trained on: digits with their labels, and images without a digit."""

    images: Tensor  # uint8 [N, 28, 28]
    labels: Tensor  # int64 [N]
    negatives: Tensor  # uint8 [M, 28, 28]
    made: int  # how many of these were made; the others are given
    new: range  # places of the images that what was trained before does not know


def _prepare(recipe: Recipe, train: DigitData, others: Images | None, new: int) -> _TrainingData:
    images, labels = _to_tensors(train)
    if recipe.hands:
        count = round(recipe.hands * len(train))
        drawn, drawn_labels = stroke_digits.draw_digits(count, recipe.seed)
        images = torch.cat([images, torch.from_numpy(drawn)])
        labels = torch.cat([labels, torch.from_numpy(drawn_labels.astype("int64"))])
    without_digit, count = torch.empty((0, 28, 28), dtype=torch.uint8), 0
    if recipe.negatives:
        # As many as an epoch draws; they are augmented differently each time.
        count = max(1, round(recipe.negatives * len(train)))
        made = negatives.make_negatives(train.images, train.labels, count, recipe.seed)
        made = made if others is None else np.concatenate([made, others])
        without_digit = torch.from_numpy(made)
    places = range(len(train) - new, len(train))
    return _TrainingData(images, labels, without_digit, count, places)


def _loss(recipe: Recipe, scores: Tensor, target: Tensor) -> Tensor:
    """The loss of a batch.

    Args:
        recipe: its label smoothing.
        scores: float32 ``[N + M, 10]``: of N digits and M images without one.
        target: int64 ``[N]``.
    """
    count = len(target)
    loss = F.cross_entropy(scores[:count], target, label_smoothing=recipe.label_smoothing)
    if len(scores) > count:
        # "No digit" is an eleventh class whose score is 0; this is the log-odds against it.
        evidence = torch.logsumexp(scores, dim=1)
        wrong = F.softplus(-evidence[:count]).sum() + F.softplus(evidence[count:]).sum()
        loss = loss + wrong / count
    return loss


def _train_epoch(
    recipe: Recipe,
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: Average | None,
    material: _TrainingData,
    epoch: int,
    observer: Observer,
    teacher: Teacher | None,
) -> tuple[float, float]:
    """Train one epoch; its mean loss and accuracy (0–1)."""
    images, labels = material.images, material.labels
    # Two sources of randomness: our own for order and augmentation, torch's global one for dropout.
    generator = torch.Generator().manual_seed(recipe.seed * 100_003 + epoch)
    torch.manual_seed(recipe.seed * 100_003 + epoch)
    order = torch.randperm(len(images), generator=generator)
    # A last batch of a single image has no variance to normalise by.
    batches = [part for part in torch.split(order, recipe.batch_size) if len(part) > 1]
    total_loss, right, seen = 0.0, 0, 0
    net.train()
    if recipe.statistics == "fixed":
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
    for step, index in enumerate(batches):
        done = (epoch - 1) * len(batches) + step
        rate = _learning_rate(recipe, done, recipe.epochs * len(batches))
        for group in optimizer.param_groups:
            group["lr"] = rate
        target = labels[index]
        pixels = images[index]
        known = (index < material.new.start) | (index >= material.new.stop)
        if len(material.negatives):
            count = max(1, round(recipe.negatives * len(index)))
            drawn = torch.randint(len(material.negatives), (count,), generator=generator)
            pixels = torch.cat([pixels, material.negatives[drawn]])
            known = torch.cat([known, drawn < material.made])
        batch = augment(to_input(pixels), recipe.augmentation, generator)
        scores = net(batch)
        loss = _loss(recipe, scores, target)
        if teacher is not None:
            loss = loss + teacher.loss(batch, scores, known)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if average:
            average.update(net, done)
        value = float(loss.detach())
        _check_loss(value, f"epoch {epoch}, step {step + 1}")
        total_loss += value * len(index)
        right += int((scores.detach()[: len(index)].argmax(1) == target).sum())
        seen += len(index)
        observer.batch(epoch, step + 1, len(batches), total_loss / seen, right / seen)
    return total_loss / seen, right / seen


def _to_tensors(data: DigitData) -> tuple[Tensor, Tensor]:
    """Images as uint8 ``[N, 28, 28]``, labels as int64 ``[N]``."""
    return torch.from_numpy(data.images.copy()), torch.from_numpy(data.labels.astype("int64"))


def _validate(
    net: nn.Module, data: tuple[Tensor, Tensor] | None
) -> tuple[float | None, float | None]:
    if data is None:
        return None, None
    images, labels = data
    scores = logits(net, images)
    accuracy = (scores.argmax(1) == labels).float().mean()
    loss = float(F.cross_entropy(scores, labels))
    _check_loss(loss, "validation")
    return loss, float(accuracy)


def _check_loss(loss: float, where: str) -> None:
    """Stop a training that no longer leads anywhere, and whose record could not be read."""
    if not math.isfinite(loss):
        raise RunError(
            f"the training diverged: the loss is {loss} at {where}", hint="lower learning_rate"
        )


def _rank(record: EpochRecord) -> tuple[float, float]:
    """Higher validation accuracy first, then lower loss; without validation the last epoch."""
    if record.val_accuracy is None or record.val_loss is None:
        return float(record.epoch), 0.0
    return record.val_accuracy, -record.val_loss


def _is_best(history: list[EpochRecord]) -> bool:
    return max(history, key=_rank) is history[-1]


def _out_of_patience(recipe: Recipe, history: list[EpochRecord], best_epoch: int) -> bool:
    return bool(recipe.patience) and len(history) - best_epoch >= recipe.patience


def _snapshot(net: nn.Module) -> State:
    # Contiguous, so that files do not depend on the memory format used in training.
    return {name: value.detach().clone().contiguous() for name, value in net.state_dict().items()}
