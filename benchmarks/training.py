"""Time to accuracy: how long recipes take to reach 99.12% and 99.4% on MNIST's test set.

    python benchmarks/training.py
    python benchmarks/training.py --recipes quick --seeds 5

99.12% is what the classic article's code reaches in Keras after ten epochs (340 s). The time covers
training and validation, but not imports and reading the data. The weights that are validated at the
end of each epoch are kept and scored on the test set after the training, so the test set does not
influence it.
"""

from __future__ import annotations

import argparse
import json
import os

# As in digitkit train: spinning threads bring a busy machine to a standstill.
os.environ.setdefault("GOMP_SPINCOUNT", "5000")

from pathlib import Path

import numpy as np
import torch

from digitkit.datasets.digits import TrainAndTest
from digitkit.datasets.load import load_train_and_test
from digitkit.system.machine import cpu_name, usable_cores, versions
from digitkit.training import loop, nets, recipes
from digitkit.training.material import split_validation
from digitkit.training.record import EpochRecord

GOALS = (0.9912, 0.994)


class WeightKeeper:
    """Keeps the weights of every epoch."""

    def __init__(self) -> None:
        self.states: list[nets.State] = []
        self.seconds: list[float] = []

    def batch(self, *_: object) -> None:
        """Keep nothing."""

    def epoch(self, record: EpochRecord, checkpoint: loop.Checkpoint) -> None:
        """Keep the weights that were validated, outside of the measured time."""
        self.states.append(checkpoint.average or checkpoint.net)
        self.seconds.append(record.elapsed)


def measure(name: str, seed: int, data: TrainAndTest) -> list[tuple[float, float]]:
    """Seconds and test accuracy (0–1) after each epoch."""
    recipe = recipes.override(recipes.get_recipe(name), {"seed": str(seed)})
    keeper = WeightKeeper()
    loop.fit(recipe, *split_validation(data.train, recipe), keeper)
    net = nets.build_net(recipe.net)
    images = torch.from_numpy(data.test.images.copy())
    points = []
    for seconds, state in zip(keeper.seconds, keeper.states, strict=True):
        net.load_state_dict(state)
        predicted = nets.logits(net, images).argmax(1).numpy()
        points.append((round(seconds, 2), float((predicted == data.test.labels).mean())))
    return points


def time_to(points: list[tuple[float, float]], goal: float) -> float | None:
    """Seconds until the end of the first epoch that reaches the goal; None if none does."""
    return next((seconds for seconds, accuracy in points if accuracy >= goal), None)


def main() -> None:
    """Train, score, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recipes", nargs="+", default=["quick", "article"])
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds per recipe")
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = load_train_and_test(None)
    ran = versions("torch")
    where = f"{cpu_name()}, torch {ran['torch']}, Python {ran['python']}, {options.threads} threads"
    print(where)
    trainings: dict[str, list[list[tuple[float, float]]]] = {}
    for name in options.recipes:
        for seed in range(options.seeds):
            points = measure(name, seed, data)
            trainings.setdefault(name, []).append(points)
            times = ", ".join(
                f"{goal:.2%} after {'never' if t is None else f'{t:.0f} s'}"
                for goal, t in ((goal, time_to(points, goal)) for goal in GOALS)
            )
            last = points[-1]
            print(f"{name} seed {seed}: {times}; {last[1]:.2%} after {last[0]:.0f} s", flush=True)
    for name, ours in trainings.items():
        parts = []
        for goal in GOALS:
            times = [time_to(points, goal) for points in ours]
            got = [t for t in times if t is not None]
            spread = f"{np.mean(got):.0f} s" if got else "never"
            if len(got) > 1:
                spread += f" ± {np.std(got, ddof=1):.0f}"
            parts.append(f"{goal:.2%}: {len(got)} of {len(times)} seeds, {spread}")
        ends = np.array([points[-1][1] for points in ours])
        parts.append(f"at the end {ends.mean():.2%}")
        if len(ends) > 1:
            parts[-1] += f" ± {100 * ends.std(ddof=1):.2f}"
        print(f"{name}: " + "; ".join(parts))
    if options.json:
        report = {"ran_on": where, "goals": GOALS, "trainings": trainings}
        options.json.write_text(json.dumps(report) + "\n", "utf-8")


if __name__ == "__main__":
    main()
