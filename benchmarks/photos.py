"""Digits that are not like MNIST's: accuracy and calibration on a folder of photos.

    python benchmarks/photos.py FOLDER digits-int8 digits-tiny-int8

The folder holds ``labels.jsonl``: a line a picture, with ``file``, ``text`` and ``kind``; those of
kind ``single`` show one digit. The expected calibration error (15 bins) comes with the 95%
interval of 2,000 bootstrap samples; on few pictures it is too high by chance, and the line below
says by how much: what a model whose confidences are exactly right would show.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from models import loaded, ran_on

from digitkit import Reader
from digitkit.evaluation import expected_calibration_error

SAMPLES = 2000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="+", help="shipped stems or files")
    options = parser.parse_args()
    lines = (options.folder / "labels.jsonl").read_text().splitlines()
    singles = [one for one in map(json.loads, lines) if one["kind"] == "single"]
    print(ran_on())
    for name in options.models:
        reader = Reader(loaded(name), min_confidence=0)
        confidence, right, wrong = np.zeros(len(singles)), np.zeros(len(singles), bool), []
        for i, one in enumerate(singles):
            digits = reader.read(options.folder / one["file"]).digits
            if digits:
                best = max(digits, key=lambda digit: digit.confidence)
                confidence[i] = best.confidence
                right[i] = len(digits) == 1 and str(best.digit) == one["text"]
            if not right[i]:
                read = " ".join(f"{d.digit} ({d.confidence:.2f})" for d in digits) or "nothing"
                wrong.append(f"{one['file']}: {one['text']} read as {read}")
        rng = np.random.default_rng(0)
        drawn = rng.integers(len(singles), size=(SAMPLES, len(singles)))
        errors = [expected_calibration_error(confidence[i], right[i]) for i in drawn]
        low, high = np.percentile(errors, [2.5, 97.5])
        exact = [
            expected_calibration_error(confidence, rng.random(len(singles)) < confidence)
            for _ in range(SAMPLES)
        ]
        accepted = confidence >= loaded(name).min_confidence
        print(
            f"{Path(name).stem}: {right.sum()} of {len(singles)} right, calibration error "
            f"{expected_calibration_error(confidence, right):.1%} ({low:.1%} to {high:.1%}), "
            f"{np.mean(exact):.1%} if its confidences were exactly right; accepted at its own "
            f"threshold: {accepted.sum()}, of which wrong: {(accepted & ~right).sum()}"
        )
        for line in wrong:
            print(f"  {line}")


if __name__ == "__main__":
    main()
