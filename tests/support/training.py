"""Small data and short trainings."""

import gzip
import struct
from pathlib import Path

import pytest

from digitkit.datasets.digits import DigitData


def write_idx(folder: Path, split: str, data: DigitData) -> None:
    """Write images gzipped and labels plain, named as MNIST's."""
    folder.mkdir(parents=True, exist_ok=True)
    prefix = {"train": "train", "test": "t10k"}[split]
    header = struct.pack(">IIII", 0x803, len(data), 28, 28)
    images = gzip.compress(header + data.images.tobytes(), mtime=0)
    (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(images)
    labels = struct.pack(">II", 0x801, len(data)) + data.labels.tobytes()
    (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(labels)


class Silent:
    """Follows a training without output; may interrupt it after an epoch or a batch."""

    def __init__(self, stop_after: int = 0, stop_in_batch: tuple[int, int] | None = None) -> None:
        self.stop_after, self.stop_in_batch = stop_after, stop_in_batch

    def started(self, config, train_count, val_count, done) -> None:
        self.done = done

    def preparing(self, what, done, total) -> None:
        pass

    def batch(self, epoch, step, steps, loss, accuracy) -> None:
        if (epoch, step) == self.stop_in_batch:
            raise KeyboardInterrupt

    def epoch(self, record, checkpoint) -> None:
        if record.epoch == self.stop_after:
            raise KeyboardInterrupt


FAST = {"epochs": "3", "batch_size": "64", "net": "article-minimal", "optimizer": "adamw"}
"""Changes to recipe quick with which 300 images are trained on in a fifth of a second."""


def train_config(out: Path, data: Path, changes: dict[str, str] = FAST, name="quick", **options):
    """A training by the recipe of this name, with changes."""
    from digitkit.training import recipes
    from digitkit.training.run import TrainConfig

    recipe = recipes.override(recipes.get_recipe(name), changes)
    return TrainConfig(recipe, changes, out, data, threads=1, **options)


def train_calibrated(config):
    """Train, and fit temperature and threshold on however few validation images."""
    from digitkit.training import run, scoring

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "MIN_CALIBRATION_IMAGES", 1)
        return run.train(config, Silent())
