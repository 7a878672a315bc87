"""Fit the weights of `digitkit.reading.numbers.confidence`.

    python benchmarks/number_weights.py --count 600

Synthetic strips, tables, rows with operators and dates are read (``number_sets.py``; digits that no
shipped classifier was trained on, with a seed of their own): which numbers are right, doubtful
digits taken for what they most likely are. Prints the weights, and what they reach on the other
half of the images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from common import fit_options, load_digits, ran_on, table, tracked
from context import fit
from number_reading import match
from number_sets import FITTED, Sheet, make_sheet

from digitkit import Classifier, Reader
from digitkit.arrays import F64
from digitkit.models.calibration import expected_calibration_error
from digitkit.reading.detection.context import predict_logistic
from digitkit.reading.numbers import confidence, finding
from digitkit.reading.results import Reading

SEED = 77
SHARES = {"strips": 0.5, "tables": 0.3, "rows": 1.0, "dates": 0.08}
"""Images of each kind, of ``--count``."""

DECAY = 1e-5

SIGNS = {0: 1.0, 1: 1.0, 7: -1.0, 8: 1.0}
"""Features of a number that say how sure its digits are: a surer digit never makes it less sure."""

Bools = npt.NDArray[np.bool_]


def make_sheets(count: int) -> list[Sheet]:
    """The images, kinds mixed."""
    data = load_digits("validation")
    sheets = [
        make_sheet(kind, data, SEED, i)
        for kind in FITTED
        for i in range(round(count * SHARES[kind]))
    ]
    return [sheets[i] for i in np.random.default_rng(0).permutation(len(sheets))]


def read_all(reader: Reader, sheets: Sequence[Sheet]) -> list[Reading]:
    """Read each image."""
    return [reader.read(sheet.image) for sheet in tracked(sheets)]


def split_fit(
    features: F64,
    truth: Bools,
    signs: Mapping[int, float] | None = None,
    decay: float = DECAY,
) -> tuple[list[float], F64]:
    """Weights of everything; and probabilities of the second half by the weights of the first."""
    half = len(features) // 2
    weights = fit(features[:half], truth[:half], decay, signs)
    return fit(features, truth, decay, signs), predict_logistic(features[half:], weights)


def main() -> None:
    """Read, fit, print."""
    options = fit_options(__doc__, 600)
    reader, sheets = Reader(Classifier(options.model)), make_sheets(options.count)

    kept: list[F64] = []
    own_confidence = confidence.number_confidence

    def remember(features: F64) -> float:
        kept.append(features)
        return own_confidence(features)

    finding.number_confidence = remember  # type: ignore[attr-defined]
    all_features, right = [], []
    for sheet, reading in zip(sheets, read_all(reader, sheets), strict=True):
        kept.clear()
        candidates = finding.find_candidates(reading.digits, reading.marks)
        for found, own in zip(match(sheet, candidates), kept, strict=True):
            if any(digit.accepted for digit in found.number.digits):
                all_features.append(own)
                right.append(found.guessed)
    outcome = np.array(right)
    weights, probabilities = split_fit(np.array(all_features), outcome, SIGNS)
    truth = outcome[len(outcome) // 2 :]
    edges = np.quantile(probabilities, np.linspace(0, 1, 9))
    rows = []
    for low, high in pairwise(edges):
        members = (probabilities >= low) & (probabilities <= high)
        rows.append([f"{low:.3f} to {high:.3f}", f"{probabilities[members].mean():.1%}",
                     f"{truth[members].mean():.1%}"])  # fmt: skip
    error = expected_calibration_error(probabilities, truth)
    print(f"{ran_on()}; {len(outcome)} numbers; calibration error {error:.2%}\n")
    print(table(["confidence", "mean", "right"], rows))
    print(f"\nNUMBER_WEIGHTS = ({', '.join(f'{weight:.2f}' for weight in weights)})")


if __name__ == "__main__":
    main()
