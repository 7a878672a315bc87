"""How well models distinguish digits from images without a digit: area under the ROC curve.

    python benchmarks/nondigits.py digits-int8 digits-tiny-int8 some/other.onnx

The digits are MNIST's test set. The non-digits, a thousand of each kind, are made from test digits
and from seeds that no training uses; kinds marked with a star are never trained on: letters in
other fonts, and three digits in a row. The score is the model's confidence in the digit that it
reads. AUC is the probability that a digit gets a higher score than a non-digit.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from common import ran_on

from digitkit import Classifier
from digitkit.datasets.mnist import load_mnist
from digitkit.training import negatives

COUNT = 1000


def auc(digits: npt.NDArray[np.float32], others: npt.NDArray[np.float32]) -> float:
    """Probability that one of `digits` is larger than one of `others`; ties count half."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, digits, "left")
    upto = np.searchsorted(ordered, digits, "right")
    return float((below + upto).mean() / (2 * len(others)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+", help="shipped stems or files")
    options = parser.parse_args()
    test = load_mnist("test")
    kinds = negatives.make_each_kind(test.images, test.labels, COUNT, seed=2**20)
    rng = np.random.default_rng(2**21)
    kinds["letter*"] = np.stack([negatives.letter(rng, (4, 7)) for _ in range(COUNT)])
    kinds["three digits*"] = np.stack(
        [
            negatives.side_by_side(list(test.images[rng.integers(len(test), size=3)]), rng)
            for _ in range(COUNT)
        ]
    )
    models = [Classifier(name) for name in options.models]
    print(ran_on())
    print(f"{len(test):,} digits against {COUNT:,} images of each kind; in brackets the fraction")
    print("of them that is accepted at the model's own threshold")
    print(f"{'':<16}" + "".join(f"{Path(name).stem:>24}" for name in options.models))
    of_digits = [model.scores(test.images).joint.max(1) for model in models]
    all_areas = []
    for kind, images in kinds.items():
        cells, areas = [], []
        for model, digits in zip(models, of_digits, strict=True):
            others = model.scores(images).joint.max(1)
            areas.append(auc(digits, others))
            accepted = (others >= model.min_confidence).mean()
            cells.append(f"{areas[-1]:.4f} ({accepted:.1%})")
        all_areas.append(areas)
        print(f"{kind:<16}" + "".join(f"{cell:>24}" for cell in cells))
    print(f"{'mean':<16}" + "".join(f"{area:>24.4f}" for area in np.mean(all_areas, axis=0)))
    kept = [
        f"{(digits >= model.min_confidence).mean():.2%}"
        for model, digits in zip(models, of_digits, strict=True)
    ]
    print(f"{'digits kept':<16}" + "".join(f"{ratio:>24}" for ratio in kept))


if __name__ == "__main__":
    main()
