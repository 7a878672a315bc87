"""Samples that are composed by several processes, of what, and how they are kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from digitkit.images.cv import cv2
from digitkit.system.progress import Progress
from digitkit.training.scenes.fonts import load_fonts
from digitkit.training.steps import StepConfig

Sample = TypeVar("Sample")


class StoredSamples(Dataset[Sample]):
    """Samples by their number, each varied from what was composed into a file.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path, seed: int, first: int, count: int) -> None:
        """Take samples from a file.

        Args:
            path: of the file.
            seed: the same seed gives the same samples.
            first: number of the first.
            count: how many.
        """
        self.path = path
        self._seed, self._first, self._count = seed, first, count

    @classmethod
    def from_step(cls, path: Path, config: StepConfig, step: int) -> Self:
        """The samples of a training from one of its steps on."""
        count = (config.steps - step) * config.batch
        return cls(path, config.seed, step * config.batch, count)

    def __len__(self) -> int:
        """How many there are."""
        return self._count

    def randomness(self, number: int) -> np.random.Generator:
        """What decides a sample."""
        return np.random.default_rng([self._seed, self._first + number])


def compose_all(
    samples: Dataset[Sample], count: int, what: str, progress: Progress
) -> Iterator[Sample]:
    """Compose samples in as many processes as torch may use threads, which does not change them.

    Args:
        samples: by their number, made with the fonts.
        count: how many there are.
        what: is done, for the progress.
        progress: called after each sample.

    Yields:
        The samples, in order.

    Raises:
        DatasetError: the fonts are missing, as outside of a checkout.
    """
    load_fonts()  # here, too, where an error is seen as it is
    loader = DataLoader(
        samples,
        batch_size=None,
        collate_fn=_as_it_is,
        num_workers=torch.get_num_threads(),
        worker_init_fn=_use_one_thread,
        multiprocessing_context="spawn",  # forked, OpenCV waits for threads that are not there
    )
    for i, sample in enumerate(loader):
        yield sample
        progress(what, i + 1, count)


def _as_it_is(sample: Sample) -> Sample:
    return sample


def _use_one_thread(_: int) -> None:
    cv2.setNumThreads(1)
