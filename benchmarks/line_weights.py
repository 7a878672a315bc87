"""Fit the weights of `digitkit.reading.digits.fusion` on synthetic images.

    python benchmarks/line_weights.py --count 400

Strips, tables, rows with operators, dates (``number_sets.py``) and pages as the detector is trained
on, all of digits that no shipped classifier was trained on, are read up to where the probabilities
of classifier and line reader are combined. Prints the weights that make what was written most
likely, without the least probability of slashes, and how many digits are right at each number of
wrong ones: by the classifier in its context, by the line reader, and by both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from common import fit_options, load_digits, ran_on, table, tracked
from number_sets import FITTED, make_sheet

from digitkit import Classifier
from digitkit.arrays import F64, U8, Box
from digitkit.boxes import is_at
from digitkit.datasets.digits import DigitData
from digitkit.images.grey import GreyImage
from digitkit.reading.networks.combining import PROBABILITY_FLOOR
from digitkit.reading.networks.detector import Detector
from digitkit.reading.networks.line_reader import SIGN, SPOILED, LineReader
from digitkit.reading.rows.lines import read_lines
from digitkit.reading.strategies import PageStrategy, classify_with, find_row_digits
from digitkit.training.scenes.scene import compose_scene

SEED = 103
WRONG = (0.002, 0.005, 0.01, 0.02)
NO_DIGIT = 10
"""The class of what is no digit, when signs, points and other ink are taken together."""

Labels = npt.NDArray[np.int64]


def compose(data: DigitData, number: int) -> tuple[U8, Sequence[Box], Sequence[int]]:
    """An image, and the boxes and values of its digits."""
    kinds = [*FITTED, "page"]
    kind = kinds[number % len(kinds)]
    if kind == "page":
        scene = compose_scene(data.images, data.labels, np.random.default_rng([SEED, number]))
        return scene.image, scene.boxes, scene.digits
    sheet = make_sheet(kind, data, SEED, number)
    boxes, values = zip(*sheet.digits, strict=True)
    return sheet.image, boxes, values


def read_digits(
    strategy: PageStrategy, classifier: Classifier, reader: LineReader, image: U8
) -> Iterator[tuple[Box, F64, F64]]:
    """Each digit's box, and its probabilities by the classifier and by its row, ``[11]``."""
    grey = GreyImage.from_pixels(image)
    found = classify_with(
        classifier, [each for each in strategy.detect(grey) if not each.whole_image]
    )
    row_digits, _ = find_row_digits(found, classifier.min_confidence, max(grey.shape))
    lines = read_lines(grey, row_digits, reader)
    for row_digit in row_digits:
        digit = row_digit.digit
        line = lines.get(digit.row)
        probabilities = line.probabilities_at(digit.box) if line else None
        if probabilities is not None and not digit.cut:
            own = np.append(digit.probabilities * digit.is_digit, 1 - digit.is_digit)
            row = np.append(probabilities[:SIGN], probabilities[SIGN:SPOILED].sum())
            yield digit.box, own.astype(np.float64), row.astype(np.float64)


def fit(own: F64, row: F64, labels: Labels) -> tuple[list[float], F64]:
    """The weights that make the labels most likely; and the combined probabilities ``[N, 11]``."""
    x, y = (torch.from_numpy(np.log(np.maximum(each, PROBABILITY_FLOOR))) for each in (own, row))
    none = torch.nn.functional.one_hot(torch.tensor(NO_DIGIT), NO_DIGIT + 1).double()
    weights = torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def combine() -> torch.Tensor:
        return weights[0] * x + weights[1] * y + weights[2] * none

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = torch.nn.functional.cross_entropy(combine(), torch.from_numpy(labels))
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return weights.tolist(), torch.softmax(combine(), 1).detach().numpy()


def find_rates(probabilities: F64, labels: Labels) -> list[str]:
    """The fraction of the digits that is right where a fraction of them is accepted and wrong."""
    digits = (labels != NO_DIGIT).sum()
    confidence = probabilities[:, :NO_DIGIT].max(1)
    right = probabilities[:, :NO_DIGIT].argmax(1) == labels
    order = np.argsort(-confidence)
    wrong_so_far, right_so_far = np.cumsum(~right[order]), np.cumsum(right[order])
    rates = []
    for limit in WRONG:
        last = int(np.searchsorted(wrong_so_far, limit * digits, side="right")) - 1
        rates.append(f"{(right_so_far[last] if last >= 0 else 0) / digits:.1%}")
    return rates


def main() -> None:
    """Read, fit, print."""
    options = fit_options(__doc__, 800)
    data, classifier, reader = load_digits("validation"), Classifier(options.model), LineReader()
    strategy = PageStrategy(Detector())
    own, row, labels = list[F64](), list[F64](), list[int]()
    for number in tracked(range(options.count)):
        image, boxes, values = compose(data, number)
        for box, by_itself, in_row in read_digits(strategy, classifier, reader, image):
            written = [v for b, v in zip(boxes, values, strict=True) if is_at(box, b)]
            if len(written) <= 1:
                own.append(by_itself)
                row.append(in_row)
                labels.append(int(written[0]) if written else NO_DIGIT)
    truth = np.array(labels)
    weights, both = fit(np.array(own), np.array(row), truth)
    names = ("classifier, in its context", "line reader", "both")
    rates = [find_rates(each, truth) for each in (np.array(own), np.array(row), both)]
    rows = [[name, *each] for name, each in zip(names, rates, strict=True)]
    heads = ["digits right, at wrong ones", *(f"{limit:.1%}" for limit in WRONG)]
    print(f"{ran_on()}; {len(truth)} detections\n\n{table(heads, rows)}\n")
    print(f"PAGE_WEIGHTS = Weights({', '.join(f'{w:.2f}' for w in weights)})")


if __name__ == "__main__":
    main()
