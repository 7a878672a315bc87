"""How many numbers are read completely and right, and how many are wrong without a sign.

    python benchmarks/number_reading.py
    python benchmarks/number_reading.py --kind tables --count 60 --digits test --seed 6 --wrong

Strips, tables and rows with operators are composed of MNIST's digits (``number_sets.py``) and read
as a user would: default options, one thread. A number that was read belongs to the written one
whose box has most of it.

complete and right   written numbers that were read as they are written, and reported as complete
complete and wrong   numbers reported as complete which no one wrote like that, per written number
incomplete           written numbers that were found, with a sign that something is missing
cells                numbers of tables whose row and column are right, of those that were found
calibration error    expected calibration error of `Number.confidence`, 15 bins, all that were found
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from common import ran_on, table
from number_sets import KINDS, Sheet, Written, make_sheet

from digitkit import Classifier, Number, Reader
from digitkit.arrays import Box
from digitkit.cli import show
from digitkit.datasets.mnist import load_mnist
from digitkit.images.cv import cv2
from digitkit.models.calibration import expected_calibration_error


@dataclass(frozen=True)
class Found:
    """One number that was read, and the written one that it belongs to; None for none."""

    number: Number
    written: Written | None

    @property
    def right(self) -> bool:
        """Whether it was written like that."""
        return self.written is not None and self.number.text == self.written.text

    @property
    def guessed(self) -> bool:
        """Whether its likeliest reading is right."""
        return self.written is not None and self.number.guess == self.written.text


def match(sheet: Sheet, numbers: Sequence[Number]) -> list[Found]:
    """Match what was read with what is written: each with the one that it covers most of."""
    found = []
    for number in numbers:
        shares = [common_area(number.box, written.box) for written in sheet.numbers]
        best = int(np.argmax(shares)) if shares else -1
        written = sheet.numbers[best] if shares and shares[best] > 0 else None
        found.append(Found(number, written))
    return found


def common_area(a: Box, b: Box) -> float:
    """The area that two boxes have in common, square pixels."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(0, width) * max(0, height)


def summarize(sheets: Sequence[tuple[Sheet, list[Found]]]) -> list[str]:
    """The figures of one kind, as text."""
    written = sum(len(sheet.numbers) for sheet, _ in sheets)
    found = [each for _, own in sheets for each in own]
    right = sum(each.number.complete and each.right for each in found)
    wrong = sum(each.number.complete and not each.right for each in found)
    incomplete = sum(not each.number.complete for each in found)
    placed = [each for each in found if each.written]
    cells = sum(
        (each.number.row, each.number.column) == (each.written.row, each.written.column)
        for each in placed
        if each.written
    )
    confidence = np.array([each.number.confidence for each in found])
    outcome = np.array([each.guessed for each in found])
    error = expected_calibration_error(confidence, outcome) if len(found) else float("nan")
    return [
        f"{written}",
        f"{right / written:.1%}",
        f"{wrong / written:.2%}",
        f"{incomplete / written:.1%}",
        f"{cells / max(len(placed), 1):.1%}",
        f"{error:.2%}",
    ]


def main() -> None:
    """Compose, read, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kind", choices=KINDS, help="only this kind")
    parser.add_argument("--count", type=int, default=200, help="images of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--digits", choices=["train", "test"], default="train", help="of MNIST")
    parser.add_argument("--model", default="digits-int8", help="the classifier")
    parser.add_argument("--min-confidence", type=float, metavar="P", help="instead of the model's")
    parser.add_argument("--wrong", action="store_true", help="list what is wrong")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    reader = Reader(Classifier(options.model), min_confidence=options.min_confidence)
    data = load_mnist(options.digits)
    rows, lines = [], []
    for kind in [options.kind] if options.kind else KINDS:
        sheets = []
        with show.progress() as report:
            for i in range(options.count):
                sheet = make_sheet(kind, data, options.seed, i)
                found = match(sheet, reader.read(sheet.image).numbers)
                sheets.append((sheet, found))
                report(f"reading {kind}", i + 1, options.count)
                lines += [
                    f"{kind} {i}: {each.written.text if each.written else 'nothing'} read as "
                    f"{each.number.text}, confidence {each.number.confidence:.4f}"
                    for each in found
                    if each.number.complete and not each.right
                ]
        rows.append([kind, *summarize(sheets)])
    heads = ["", "numbers", "complete and right", "complete and wrong", "incomplete", "cells",
             "calibration error"]  # fmt: skip
    print(f"{ran_on()}; MNIST's {options.digits} digits, seed {options.seed}\n")
    print(table(heads, rows))
    if options.wrong:
        print("\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
