"""Accuracy on MNIST-C (Mu and Gilmer, 2019): corruptions that the training does not imitate.

    python benchmarks/corruptions.py mnist_c_500.npz digits-int8 some/other.onnx

The file contains ``labels`` (uint8 [N]) and one uint8 [N, 28, 28] array per corruption, and
``identity`` without one. Pixels go to the net unchanged, without being brought to normal form.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from digitkit import Classifier


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="the .npz file")
    parser.add_argument("models", nargs="+", help="shipped stems or files")
    options = parser.parse_args()
    arrays = np.load(options.data)
    labels = arrays["labels"]
    kinds = [name for name in arrays.files if arrays[name].shape[1:] == (28, 28)]
    models = [Classifier(name) for name in options.models]
    print(f"{'':<16}" + "".join(f"{Path(name).stem:>16}" for name in options.models))
    table = np.array(
        [[(m.probabilities(arrays[k]).argmax(1) == labels).mean() for m in models] for k in kinds]
    )
    for kind, row in zip(kinds, table, strict=True):
        print(f"{kind:<16}" + "".join(f"{accuracy:16.1%}" for accuracy in row))
    corrupted = table[[kind != "identity" for kind in kinds]]
    print(
        f"{'mean, corrupted':<16}" + "".join(f"{accuracy:16.1%}" for accuracy in corrupted.mean(0))
    )


if __name__ == "__main__":
    main()
