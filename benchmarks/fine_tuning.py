"""What fine-tuning on few corrections teaches, and what it costs, for several settings.

    python benchmarks/fine_tuning.py
    python benchmarks/fine_tuning.py --models digits-tiny --set learning_rate=0.001 --set own=0.02

The corrections are digits by a hand that the shipped models do not read (``odd_hand.py``), and so
are 600 others, which are read before and after. What is forgotten is measured on the validation
images of MNIST, which neither the model nor the fine-tuning was trained on; the test set chooses
nothing. Each ``--set`` is a setting of its own; without any, those of the recipe are measured.
"""

from __future__ import annotations

import argparse
import os

# As in digitkit train: spinning threads bring a busy machine to a standstill.
os.environ.setdefault("GOMP_SPINCOUNT", "5000")

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from odd_hand import DIGITS, draw_odd_digit

from digitkit.arrays import F32
from digitkit.datasets.corrections import Correction, add_corrections
from digitkit.datasets.digits import DigitData, digit_data
from digitkit.images.normal_form import digit_image
from digitkit.models.calibration import softmax
from digitkit.system.machine import cpu_name, usable_cores, versions
from digitkit.training import loop, nets, recipes
from digitkit.training.material import load_material, mix_epoch, own_validation
from digitkit.training.recipes import FINE_TUNE, Recipe
from digitkit.training.start import Start, adapt, load_start

FRESH = 600
"""Digits by the odd hand that are read, other than the corrections."""


class Nobody:
    """Follows a training without doing anything."""

    def batch(self, *_: object) -> None:
        """Nothing."""

    def epoch(self, *_: object) -> None:
        """Nothing."""


def odd_digits(count: int, seed: int) -> DigitData:
    """Digits by the odd hand, in normal form."""
    rng = np.random.default_rng(seed)
    labels = np.array([DIGITS[i % len(DIGITS)] for i in range(count)], np.uint8)
    images = [digit_image(draw_odd_digit(int(label), rng), "digit") for label in labels]
    return digit_data(np.stack(images), labels, "odd hand")


def probabilities(state: nets.State, start: Start, images: np.ndarray) -> F32:
    """Probability of being each digit, as the exported model gives it: float32 ``[N, 10]``."""
    net = nets.build_net(start.net)
    net.load_state_dict(state)
    logits = nets.logits(net, torch.from_numpy(images.copy())).numpy()
    if start.knows_digits:
        logits = np.pad(logits, ((0, 0), (0, 1)))
    return softmax(logits, start.calibration.temperature)[:, :10]


def read(state: nets.State, start: Start, data: DigitData) -> str:
    """How many are read right, and how many of these are accepted, percent."""
    likely = probabilities(state, start, data.images)
    right = likely.argmax(1) == data.labels
    accepted = right & (likely.max(1) >= start.calibration.min_confidence)
    return f"{right.mean():7.2%} {accepted.mean():7.2%}"


def tune(recipe: Recipe, start: Start, corrections: Path) -> tuple[nets.State, DigitData]:
    """Fine-tune; the weights, and the validation images of MNIST."""
    material = load_material(corrections, recipe)
    epoch = mix_epoch(material, recipe)
    validation = epoch.validation
    own = own_validation(material, recipe)
    assert validation is not None
    of_mnist = np.arange(len(validation) - (len(own) if own else 0))  # the own ones are the last
    done = loop.fit(
        recipe,
        epoch.train,
        validation,
        Nobody(),
        start=start.state,
        without_digit=epoch.without_digit,
        new=epoch.new,
    )
    return done.best, validation.take(of_mnist)


def main() -> None:
    """Print a line per model and setting."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--models", nargs="+", default=["digits", "digits-tiny"])
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE[,…]")
    parser.add_argument("--corrections", type=int, default=100)
    parser.add_argument("--seed", type=int, default=5, help="of the corrections")
    parser.add_argument("--threads", type=int, default=usable_cores())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{cpu_name()}, threads: {options.threads}, torch {versions('torch')['torch']}")
    print("right and accepted before and after, of the odd hand and of MNIST validation images")
    corrections, fresh = odd_digits(options.corrections, options.seed), odd_digits(FRESH, 999)
    with tempfile.TemporaryDirectory() as folder:
        pairs = zip(corrections.images, corrections.labels, strict=True)
        lines = [
            Correction(f"{place}", "digit", str(label), (image,))
            for place, (image, label) in enumerate(pairs)
        ]
        add_corrections(Path(folder), lines)
        for name in options.models:
            start = load_start(Path(name))
            for setting in options.set or [""]:
                changes = dict(part.split("=") for part in setting.split(",") if part)
                recipe = recipes.override(adapt(recipes.get_recipe(FINE_TUNE), start), changes)
                begun = time.perf_counter()
                state, validation = tune(recipe, start, Path(folder))
                seconds = time.perf_counter() - begun
                print(
                    f"{name:12} {setting or 'recipe':32} "
                    f"{read(start.state, start, fresh)} -> {read(state, start, fresh)}   "
                    f"{read(start.state, start, validation)} -> {read(state, start, validation)}   "
                    f"{seconds:.0f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
