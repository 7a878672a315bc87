"""Results of a recipe over several seeds: mean, spread, and the run that ships.

    for seed in 0 1 2; do
      digitkit train --recipe best --seed $seed --out runs/best-$seed
      digitkit export runs/best-$seed --name digits
    done
    python benchmarks/seeds.py runs/best-0 runs/best-1 runs/best-2

The rule was fixed before the trainings: the run with the highest validation accuracy ships, with
the lowest validation loss as the tie-breaker. All seeds are validated on the same images. Mean and
spread of the test accuracy are what to expect from training the recipe again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from digitkit import Classifier
from digitkit.training.record import read_record


def main() -> None:
    """Read the runs and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="finished and exported runs")
    options = parser.parse_args()
    records = [read_record(folder) for folder in options.runs]
    tests, ranks = [], []
    print(
        f"{'run':<24}{'seed':>5}{'validation':>12}{'loss':>9}{'test fp32':>11}{'test int8':>11}"
        f"{'ECE int8':>10}{'minutes':>9}"
    )
    for folder, record in zip(options.runs, records, strict=True):
        path = next((folder / "exported").glob("*-fp32.onnx"))
        name = path.name.removesuffix("-fp32.onnx")
        fp32, int8 = (
            Classifier(path).contract,
            Classifier(path.with_name(f"{name}-int8.onnx")).contract,
        )
        assert fp32 is not None
        assert int8 is not None
        tests.append((fp32.test_accuracy, int8.test_accuracy))
        assert record.validation is not None
        validation = record.validation
        ranks.append((validation.accuracy, -validation.loss))
        print(
            f"{folder.name:<24}{record.seed:>5}{validation.accuracy:>12.2%}"
            f"{validation.loss:>9.4f}{fp32.test_accuracy:>11.2%}{int8.test_accuracy:>11.2%}"
            f"{int8.calibration_error:>10.2%}{record.wall_seconds / 60:>9.1f}"
        )
    for column, name in enumerate(("fp32", "int8")):
        values = np.array([accuracies[column] for accuracies in tests])
        spread = 100 * values.std(ddof=1) if len(values) > 1 else 0.0
        print(
            f"{name}: mean {values.mean():.3%}, standard deviation {spread:.3f} points, "
            f"{len(values)} seeds"
        )
    print(f"ships: {options.runs[ranks.index(max(ranks))]}")


if __name__ == "__main__":
    main()
