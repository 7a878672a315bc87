"""How many numbers are read completely and right, and how many are wrong without a sign.

    python benchmarks/number_reading.py
    python benchmarks/number_reading.py --kind tables --count 60 --digits test --seed 6 --wrong
    python benchmarks/number_reading.py --digits test --curve curve.png

Strips, tables, rows with operators and dates are composed of MNIST's digits, and notes with units
and words of handwriting fonts (``number_sets.py``). With ``--kind puzzles``, Sudokus; with ``--kind
corrected``, numbers in which a digit is struck out or written over, of which none should be
complete. They are read as a user would: default options, one thread. A number that was read
belongs to the written one whose box has most of it.

complete and right   written numbers that were read as they are written, and reported as complete
complete and wrong   numbers reported as complete which no one wrote like that, per written number
incomplete           written numbers that were found, with a sign that something is missing
cells                numbers of tables whose row and column are right, of those that were found
calibration error    expected calibration error of `Number.confidence`, 15 bins, all that were found

The second table shows what a threshold on `Number.confidence` buys; ``--curve`` draws it.

coverage             complete numbers at or above the threshold, per written number
risk                 those among them which no one wrote like that
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from common import DIGITS, load_digits, ran_on, table, tracked
from number_sets import ASIDE, KINDS, Sheet, Written, make_sheet

from digitkit import Classifier, Number, Reader, figures
from digitkit.boxes import intersection_area
from digitkit.images.cv import cv2
from digitkit.models.calibration import expected_calibration_error

THRESHOLDS = (0.0, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
"""Of `Number.confidence`, in the table of risk and coverage; 0 keeps all complete numbers."""

MIN_KEPT = 50
"""The risk of fewer numbers is not drawn: it is mostly chance."""

Read = Sequence[tuple["Sheet", list["Found"]]]
"""Images, and what was read in each."""


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
        shares = [intersection_area(number.box, written.box) for written in sheet.numbers]
        best = int(np.argmax(shares)) if shares else -1
        written = sheet.numbers[best] if shares and shares[best] > 0 else None
        found.append(Found(number, written))
    return found


def summarize(sheets: Read) -> list[str]:
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


@dataclass(frozen=True)
class Point:
    """What is left at a threshold.

    Attributes:
        threshold: least `Number.confidence`.
        kept: complete numbers at or above it.
        wrong: those among them that were not written like that.
        written: numbers that were written.
    """

    threshold: float
    kept: int
    wrong: int
    written: int

    @property
    def coverage(self) -> float:
        """Kept numbers per written one."""
        return self.kept / max(self.written, 1)

    @property
    def risk(self) -> float:
        """The fraction of the kept numbers that is wrong; 0 where none is kept."""
        return self.wrong / max(self.kept, 1)


def risk_coverage(sheets: Read, thresholds: Sequence[float] | None = None) -> list[Point]:
    """Coverage and risk by threshold.

    Args:
        sheets: images, and what was read in each.
        thresholds: None for one at each confidence of a complete number, the highest first.
    """
    written = sum(len(sheet.numbers) for sheet, _ in sheets)
    complete = [each for _, own in sheets for each in own if each.number.complete]
    confidence = np.array([each.number.confidence for each in complete])
    wrong = np.array([not each.right for each in complete], bool)
    limits = np.unique(confidence)[::-1].tolist() if thresholds is None else thresholds
    points = []
    for limit in limits:
        kept = confidence >= limit
        points.append(Point(limit, int(kept.sum()), int(wrong[kept].sum()), written))
    return points


def tabulate(sheets: Mapping[str, Read]) -> str:
    """The table of risk and coverage, by kind of image."""
    points = {kind: risk_coverage(own, THRESHOLDS) for kind, own in sheets.items()}
    rows = []
    for place, threshold in enumerate(THRESHOLDS):
        row = [f"{threshold:.2f}" if threshold else "none"]
        for own in points.values():
            point = own[place]
            risk = f"{point.risk:.2%} ({point.wrong} of {point.kept})" if point.kept else "–"
            row += [f"{point.coverage:.1%}", risk]
        rows.append(row)
    return table(["threshold", *(head for kind in points for head in (kind, "risk"))], rows)


def draw_curve(title: str, sheets: Mapping[str, Read]) -> bytes:
    """Risk against coverage as a PNG image, a line for each kind of image.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    figure = figures.new_figure(7.4, 4)
    figure.suptitle(title.replace("; ", "\n"), fontsize=9)
    axes = figure.subplots()
    for kind, own in sheets.items():
        curve, marks = (
            [point for point in risk_coverage(own, limits) if point.kept >= MIN_KEPT]
            for limits in (None, THRESHOLDS)
        )
        (line,) = axes.step(
            [100 * point.coverage for point in curve],
            [100 * point.risk for point in curve],
            label=kind,
            where="post",
        )
        axes.plot(
            [100 * point.coverage for point in marks],
            [100 * point.risk for point in marks],
            marker="o",
            markersize=4,
            linestyle="none",
            color=line.get_color(),
        )
    axes.set(
        xlabel="coverage: complete numbers at or above the threshold, % of those written",
        ylabel="risk: wrong among them, %",
    )
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(
        title=f"dots: {', '.join(f'{t:g}' for t in reversed(THRESHOLDS))}",
        fontsize=8,
        title_fontsize=8,
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),  # beside the lines
    )
    return figures.figure_to_png(figure)


def main() -> None:
    """Compose, read, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--kind", choices=KINDS, help=f"only this kind; by default all but {' and '.join(ASIDE)}"
    )
    parser.add_argument("--count", type=int, default=200, help="images of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--digits", choices=DIGITS, default=DIGITS[0], help="of MNIST")
    parser.add_argument("--model", default="digits-int8", help="the classifier")
    parser.add_argument("--min-confidence", type=float, metavar="P", help="instead of the model's")
    parser.add_argument("--wrong", action="store_true", help="list what is wrong")
    parser.add_argument(
        "--curve", type=Path, metavar="FILE.png", help="draw risk against coverage into this file"
    )
    options = parser.parse_args()
    if options.curve:
        figures.require()  # before the minutes of reading
    cv2.setNumThreads(1)
    reader = Reader(Classifier(options.model), min_confidence=options.min_confidence)
    data = load_digits(options.digits)
    read: dict[str, list[tuple[Sheet, list[Found]]]] = {}
    rows, lines = [], []
    for kind in [options.kind] if options.kind else [each for each in KINDS if each not in ASIDE]:
        sheets = read[kind] = []
        for i in tracked(range(options.count), f"reading {kind}"):
            sheet = make_sheet(kind, data, options.seed, i)
            found = match(sheet, reader.read(sheet.image).numbers)
            sheets.append((sheet, found))
            lines += [
                f"{kind} {i}: {each.written.text if each.written else 'nothing'} read as "
                f"{each.number.text}, confidence {each.number.confidence:.4f}"
                for each in found
                if each.number.complete and not each.right
            ]
        rows.append([kind, *summarize(sheets)])
    heads = ["", "numbers", "complete and right", "complete and wrong", "incomplete", "cells",
             "calibration error"]  # fmt: skip
    setting = f"{ran_on()}; MNIST's {options.digits} digits, seed {options.seed}"
    print(f"{setting}\n\n{table(heads, rows)}\n")
    if len(read) > 1:
        read["all"] = [sheet for own in read.values() for sheet in own]
    print(tabulate(read))
    if options.curve:
        options.curve.write_bytes(draw_curve(setting, read))
    if options.wrong:
        print("\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
