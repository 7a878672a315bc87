"""Time to accuracy: how long recipes take to 99.12% and to 99.4% of MNIST's test set.

    python benchmarks/training.py
    python benchmarks/training.py --recipes quick --seeds 5

99.12% is what the classic article's code reaches in Keras after ten epochs (340 s). The clock
covers training and validation, from after the imports and the reading of the data. The
weights that validation would see at the end of each epoch are kept aside and scored on the test
set when the training is over, so the test set decides nothing.
"""

from __future__ import annotations

import argparse
import json
import os

# As digitkit train sets it: spinning threads bring a busy machine to a standstill.
os.environ.setdefault("GOMP_SPINCOUNT", "5000")

from pathlib import Path

import numpy as np
import torch

from digitkit.datasets.digits import TrainAndTest
from digitkit.datasets.load import load_train_and_test
from digitkit.system.machine import cpu_name, usable_cores, versions
from digitkit.training import loop, nets, recipes
from digitkit.training.run import split

GOALS = (0.9912, 0.994)


class Keeping:
    """Keeps the weights of every epoch."""

    def __init__(self) -> None:
        self.states: list[loop.State] = []
        self.seconds: list[float] = []

    def batch(self, *_: object) -> None:
        """Nothing to keep."""

    def epoch(self, record: loop.EpochRecord, checkpoint: loop.Checkpoint) -> None:
        """Keep them, off the clock."""
        self.states.append(checkpoint.average or checkpoint.net)
        self.seconds.append(record.elapsed)


def measured(name: str, seed: int, data: TrainAndTest) -> list[tuple[float, float]]:
    """Seconds and test accuracy (0–1) after each epoch."""
    recipe = recipes.override(recipes.get_recipe(name), {"seed": str(seed)})
    keeping = Keeping()
    loop.fit(recipe, *split(data.train, recipe), keeping)
    net = nets.build_net(recipe.net)
    images = torch.from_numpy(data.test.images.copy())
    points = []
    for seconds, state in zip(keeping.seconds, keeping.states, strict=True):
        net.load_state_dict(state)
        read = nets.logits(net, images).argmax(1).numpy()
        points.append((round(seconds, 2), float((read == data.test.labels).mean())))
    return points


def reached(points: list[tuple[float, float]], goal: float) -> float | None:
    """Seconds until the first epoch whose weights reach the goal."""
    return next((seconds for seconds, accuracy in points if accuracy >= goal), None)


def main() -> None:
    """Train, score, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recipes", nargs="+", default=["quick", "article"])
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds of each")
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = load_train_and_test(None)
    ran = versions("torch")
    where = f"{cpu_name()}, torch {ran['torch']}, Python {ran['python']}, {options.threads} threads"
    print(where)
    trainings: dict[str, list[list[tuple[float, float]]]] = {}
    for name in options.recipes:
        for seed in range(options.seeds):
            points = measured(name, seed, data)
            trainings.setdefault(name, []).append(points)
            times = ", ".join(
                f"{goal:.2%} after {'never' if t is None else f'{t:.0f} s'}"
                for goal, t in ((goal, reached(points, goal)) for goal in GOALS)
            )
            last = points[-1]
            print(f"{name} seed {seed}: {times}; {last[1]:.2%} after {last[0]:.0f} s", flush=True)
    for name, ours in trainings.items():
        parts = []
        for goal in GOALS:
            times = [reached(points, goal) for points in ours]
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
