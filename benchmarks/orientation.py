"""How often `--orientation auto` turns a page upright, and how often it turns one that is.

    python benchmarks/orientation.py --count 200

Synthetic pages of rows, as ``scenes.py --kind tilted`` makes them, level; each is read as it is,
and turned by one of the three other quarter turns.
"""

from __future__ import annotations

import argparse

import numpy as np
from common import ran_on, tracked
from scenes import make_tilted

from digitkit import Classifier, Reader
from digitkit.datasets.mnist import load_mnist
from digitkit.images.cv import cv2
from digitkit.images.orientation import rotate


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=200, metavar="N", help="pages")
    parser.add_argument("--model", default="digits-int8", help="the classifier")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    mnist = load_mnist("train")
    reader = Reader(Classifier(options.model), orientation="auto")
    corrected = turned = 0
    for i in tracked(range(options.count)):
        page, _ = make_tilted(mnist, np.random.default_rng([2027, options.seed, i]))
        turned += reader.read(page).turn != 0
        turn = 90 * (1 + i % 3)
        corrected += (reader.read(rotate(page, turn)).turn + turn) % 360 == 0
    print(f"{ran_on()}; {options.count} pages")
    print(f"turned pages corrected: {corrected / options.count:.1%}")
    print(f"level pages turned: {turned / options.count:.1%} ({turned})")


if __name__ == "__main__":
    main()
