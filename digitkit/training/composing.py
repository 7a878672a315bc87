"""Samples that are composed by several processes, as pages are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from digitkit.images.cv import cv2
from digitkit.system.progress import Progress
from digitkit.training.scenes.fonts import load_fonts

Sample = TypeVar("Sample")


def compose_all(
    samples: Dataset[Sample], count: int, what: str, progress: Progress | None
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
        if progress:
            progress(what, i + 1, count)


def _as_it_is(sample: Sample) -> Sample:
    return sample


def _use_one_thread(_: int) -> None:
    cv2.setNumThreads(1)
