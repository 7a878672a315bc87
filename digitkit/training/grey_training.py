"""Training the grey classifier: a net that reads the pixels of a digit as they are.

digitkit train --recipe grey
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from msgspec import Meta
from torch import Tensor
from torch.utils.data import Dataset

from digitkit.arrays import U8
from digitkit.datasets.digits import DigitData
from digitkit.datasets.mnist import split_mnist
from digitkit.images.cv import cv2
from digitkit.reading.networks.grey_classifier import SIDE, fit_square
from digitkit.system import atomic
from digitkit.system.progress import Progress
from digitkit.training.composing import StoredSamples, compose_all
from digitkit.training.grey_net import GreyNet
from digitkit.training.ranges import Batch, Seed, Steps, Workers
from digitkit.training.scenes.single import compose_single
from digitkit.training.steps import StepConfig, StepTask, fast_autocast

IMAGES_FILE = "grey.npz"
"""The images that are trained on, in the run folder."""

_TOGETHER = 100  # images that a process composes at a time


@dataclass(frozen=True)
class GreyConfig(StepConfig):
    """One training of the grey classifier; see `StepConfig`.

    Attributes:
        images: how many are composed and trained on.
    """

    steps: Steps = 12_000
    batch: Batch = 128
    seed: Seed = 2
    workers: Workers = 0
    images: Annotated[int, Meta(ge=1, le=10_000_000)] = 240_000


def grey_loss(net: GreyNet, batch: list[Tensor]) -> tuple[Tensor, dict[str, float]]:
    """The cross entropy of a batch, and the fraction of its images that are wrong.

    Args:
        net: the grey classifier.
        batch: images, uint8 ``[N, SIDE, SIDE]``, and labels, int64 ``[N]``.
    """
    images, labels = batch
    x = images[:, None].float().contiguous(memory_format=torch.channels_last)
    with fast_autocast():
        logits = net(x)
    logits = logits.float()
    loss = F.cross_entropy(logits, labels)
    wrong = (logits.argmax(1) != labels).float().mean()
    return loss, {"loss": loss.item(), "wrong": wrong.item()}


class _Composed(Dataset[tuple[U8, U8]]):
    """Images by the number of their batch."""

    def __init__(self, data: DigitData, images: int, seed: int) -> None:
        self._data, self._images, self._seed = data, images, seed

    def __len__(self) -> int:
        return -(-self._images // _TOGETHER)

    def __getitem__(self, number: int) -> tuple[U8, U8]:
        first = number * _TOGETHER
        made = [
            compose_single(
                self._data.images, self._data.labels, np.random.default_rng([self._seed, i])
            )
            for i in range(first, min(first + _TOGETHER, self._images))
        ]
        images = np.stack([fit_square(image) for image, _ in made])
        return images, np.array([label for _, label in made], np.uint8)


class GreySamples(StoredSamples[tuple[U8, int]]):
    """A composed image, varied, and what it shows."""

    @cached_property
    def _made(self) -> tuple[U8, U8]:
        with np.load(self.path) as data:  # of each process
            return data["images"], data["labels"]

    def __getitem__(self, number: int) -> tuple[U8, int]:
        rng = self.randomness(number)
        images, labels = self._made
        which = int(rng.integers(len(images)))
        return vary(images[which], rng), int(labels[which])


def vary(image: U8, rng: np.random.Generator) -> U8:
    """Stretch, slant, turn and move an image at random, and invert some; uint8 ``[SIDE, SIDE]``."""
    size, stretch = np.exp(rng.normal(0, 0.08)), np.exp(rng.normal(0, 0.05))
    turn, slant = rng.normal(0, 0.06), rng.normal(0, 0.08)
    matrix: Any = np.array(
        [[size * stretch, slant - np.sin(turn), 0], [np.sin(turn), size / stretch, 0]]
    )
    matrix[:, 2] = SIDE / 2 - matrix[:, :2] @ [SIDE / 2, SIDE / 2] + rng.normal(0, 1.2, 2)
    varied = cv2.warpAffine(image, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(255 - varied if rng.random() < 0.3 else varied, np.uint8)


def _samples(config: GreyConfig, step: int, prepare: Progress) -> GreySamples:
    """The samples of a training; the images are composed for its first step.

    Raises:
        DatasetError: the fonts are missing, as outside of a checkout.
    """
    path = config.out / IMAGES_FILE
    if step == 0 or not path.is_file():
        data = _Composed(split_mnist()[0], config.images, config.seed)

        def report(what: str, done: int, total: int) -> None:
            prepare(what, min(done * _TOGETHER, config.images), config.images)

        parts = list(compose_all(data, len(data), "composing images", report))
        with atomic.replace_file(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                images=np.concatenate([images for images, _ in parts]),
                labels=np.concatenate([labels for _, labels in parts]),
            )
    return GreySamples.from_step(path, config, step)


GREY = StepTask(
    recipe="grey",
    version=1,
    noun="grey classifier",
    samples_noun=f"images of {SIDE}×{SIDE} pixels",
    summary=f"reads poor images of one digit; {GreyConfig.steps:,} steps, 40 minutes",
    kind="residual CNN",
    config=GreyConfig,
    build=GreyNet,
    samples=_samples,
    loss=grey_loss,
)
"""The training of the grey classifier."""
