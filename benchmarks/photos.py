"""How well digits are read from a folder of labelled pictures, and how long it takes.

    python benchmarks/photos.py FOLDER
    python benchmarks/photos.py FOLDER digits-int8 --peer mnist-7.onnx --wrong --json figures.json

The folder holds ``labels.jsonl``: a line a picture, with ``file``; ``kind``, ``page`` or
``single``; ``text``, the digits in reading order, rows parted by newlines, empty where there is
none; and, where wanted, ``hard`` (false) and ``reading_order`` (true). Each model reads them as a
user's call does: mode ``auto``, its own threshold, one thread. The models take turns at each
picture. With ``--peer`` the usual recipe (``benchmarks/tutorial.py``) reads them with that net,
and with ``--classical`` the first model reads what a finder without a net has found
(``benchmarks/classical.py``).

Digits that were read are aligned with those that are there, row breaks left out; where there is no
reading order, both are sorted first. Of the alignments with the fewest edits the one with the
fewest substitutions counts, which is the one with the most false digits.

digits right    1 - edits / digits that are there
images right    pictures without an edit
false digits    digits that stand for none that is there, per ten pictures
ms              of each step, the median picture and the slowest; and all pictures' time over all
                their pixels

Of single digits, the expected calibration error (15 bins) comes with the 95% interval of 2,000
bootstrap samples; on few pictures it is too high by chance, and what follows says by how much: what
a model whose confidences are exactly right would show. There each picture counts by its most
confident digit, accepted or not.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from classical import Classical
from common import ran_on, table
from tutorial import Tutorial

from digitkit import Classifier, Reader
from digitkit.cli import show
from digitkit.errors import DigitkitError, ImageError, printable_path
from digitkit.images.opencv import cv2
from digitkit.models.calibration import expected_calibration_error
from digitkit.reading.results import Reading
from digitkit.sources.files import load_frame
from digitkit.sources.frames import to_failure

SAMPLES = 2000
GROUPS = ("easy pages", "hard pages", "single digits", "no digits")
STAGES = ("decode", "locate", "normalise", "classify")


@dataclass(frozen=True)
class Label:
    """What a picture shows.

    Attributes:
        file: its name in the folder.
        kind: ``page`` or ``single``.
        text: its digits, rows parted by newlines.
        hard: whether a good reader may still miss some.
        reading_order: whether the digits have one; else they are compared sorted.
    """

    file: str
    kind: str
    text: str
    hard: bool = False
    reading_order: bool = True

    @property
    def group(self) -> str:
        """One of `GROUPS`."""
        if not self.text:
            return "no digits"
        if self.kind == "single":
            return "single digits"
        return "hard pages" if self.hard else "easy pages"


@dataclass(frozen=True)
class Edits:
    """What makes digits that were read into those that are there."""

    substituted: int
    missed: int
    false: int

    @property
    def total(self) -> int:
        """The edit distance."""
        return self.substituted + self.missed + self.false


def align(truth: Sequence[str], read: Sequence[str]) -> Edits:
    """The fewest edits; where several ways have as few, the one with the fewest substitutions."""
    # A row of the table: the least (edits, substitutions) for the truth so far and j digits read.
    row = [(j, 0) for j in range(len(read) + 1)]
    for i, there in enumerate(truth, 1):
        before, row = row, [(i, 0)]
        for j, got in enumerate(read, 1):
            wrong = int(there != got)
            edits, substituted = before[j - 1]
            row.append(
                min(
                    (edits + wrong, substituted + wrong),
                    (before[j][0] + 1, before[j][1]),
                    (row[j - 1][0] + 1, row[j - 1][1]),
                )
            )
    edits, substituted = row[-1]
    # What is left is missed or false, and their difference is that of the lengths.
    false = (edits - substituted + len(read) - len(truth)) // 2
    return Edits(substituted, edits - substituted - false, false)


def compare(label: Label, text: str) -> Edits:
    """Align what was read of a picture, rows parted by newlines, with its label."""
    truth, read = "".join(label.text.split()), "".join(text.split())
    if label.reading_order:
        return align(truth, read)
    return align(sorted(truth), sorted(read))


@dataclass(frozen=True)
class Outcome:
    """One picture as one reader read it; without a reading where it was refused."""

    label: Label
    megapixels: float
    reading: Reading | None
    refusal: str = ""

    @property
    def edits(self) -> Edits:
        """From the accepted digits to the label."""
        return compare(self.label, self.reading.text if self.reading else "")

    def __str__(self) -> str:
        """Truth and reading, digits that were not accepted in brackets."""
        rows: dict[int, str] = {}
        for digit in self.reading.digits if self.reading else ():
            shown = f"{digit.digit}" if digit.accepted else f"({digit.digit})"
            rows[digit.row] = rows.get(digit.row, "") + shown
        read = " ".join(rows.values()) or self.refusal or "nothing"
        truth = " ".join(self.label.text.split()) or "no digits"
        return f"{self.label.file}: {truth} read as {read}"


def read_labels(folder: Path) -> list[Label]:
    """The folder's ``labels.jsonl``; other fields are passed over.

    Raises:
        SystemExit: there is none, or a line of it is none.
    """
    path = folder / "labels.jsonl"
    labels = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise SystemExit(f"{path}: cannot be read: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
            fields = {name: values[name] for name in Label.__annotations__ if name in values}
            labels.append(Label(**fields))
        except (TypeError, ValueError) as error:
            raise SystemExit(f"{path}:{number}: is no label: {error}") from error
    return labels


def read_all(
    folder: Path, labels: Sequence[Label], readers: dict[str, Reader | Tutorial]
) -> dict[str, list[Outcome]]:
    """Every picture by every reader; the readers take turns in an order that turns as well."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in readers}
    names = list(readers)
    with show.progress() as report:
        for number, label in enumerate(labels):
            path = folder / label.file
            path.stat()  # what is named must be there
            for i in range(len(names)):
                name = names[(number + i) % len(names)]
                outcomes[name].append(_read(path, label, readers[name]))
            report("reading", number + 1, len(labels))
    return outcomes


def _read(path: Path, label: Label, reader: Reader | Tutorial) -> Outcome:
    megapixels = 0.0
    try:
        frame = load_frame(path)
        megapixels = frame.image.shape[0] * frame.image.shape[1] / 1e6
        return Outcome(label, megapixels, reader.read_frame(frame))
    except ImageError as error:  # a page of one colour, say
        refusal = to_failure(printable_path(path), error).error
        return Outcome(label, megapixels, None, refusal)


def figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What `outcomes` of a group come to; times in milliseconds, None where there are none."""
    edits = [one.edits for one in outcomes]
    digits = sum(len("".join(one.label.text.split())) for one in outcomes)
    wrong = sum(one.total for one in edits)
    false = sum(one.false for one in edits)
    timed = [one for one in outcomes if one.reading]
    megapixels = sum(one.megapixels for one in timed)
    ms: dict[str, Any] = {}
    for stage in STAGES:
        taken = [getattr(one.reading.ms, stage) for one in timed if one.reading]
        ms[stage] = {
            "median": float(np.median(taken)) if taken else None,
            "largest": max(taken) if taken else None,
            "per_megapixel": sum(taken) / megapixels if taken else None,
        }
    return {
        "images": len(outcomes),
        "refused": len(outcomes) - len(timed),
        "images_right": sum(one.total == 0 for one in edits),
        "digits": digits,
        "digits_right": 1 - wrong / digits if digits else None,
        "substituted": sum(one.substituted for one in edits),
        "missed": sum(one.missed for one in edits),
        "false_digits": false,
        "false_digits_per_ten_images": 10 * false / len(outcomes),
        "ms": ms,
    }


def calibration(singles: Sequence[Outcome], threshold: float) -> dict[str, Any]:
    """How right the confidences are on pictures of single digits, by the most confident digit."""
    confidence, right = np.zeros(len(singles)), np.zeros(len(singles), bool)
    for i, one in enumerate(singles):
        digits = one.reading.digits if one.reading else ()
        if digits:
            best = max(digits, key=lambda digit: digit.confidence)
            confidence[i] = best.confidence
            right[i] = len(digits) == 1 and str(best.digit) == one.label.text
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(singles), size=(SAMPLES, len(singles)))
    errors = [expected_calibration_error(confidence[i], right[i]) for i in drawn]
    exact = [
        expected_calibration_error(confidence, rng.random(len(singles)) < confidence)
        for _ in range(SAMPLES)
    ]
    accepted = confidence >= threshold
    return {
        "images": len(singles),
        "right": int(right.sum()),
        "calibration_error": expected_calibration_error(confidence, right),
        "interval": [float(end) for end in np.percentile(errors, [2.5, 97.5])],
        "if_exact": float(np.mean(exact)),
        "threshold": threshold,
        "accepted": int(accepted.sum()),
        "accepted_wrong": int((accepted & ~right).sum()),
    }


def print_report(results: dict[str, Any]) -> None:
    """The figures of `main` for people: what was read, what it took, calibration."""
    read, took = [], []
    for group in GROUPS:
        for name, result in results.items():
            if group not in result["groups"]:
                continue
            of = result["groups"][group]
            share = "–" if of["digits_right"] is None else f"{of['digits_right']:.1%}"
            read.append(
                [
                    group, name, f"{of['images']}", f"{of['digits']:,}", share,
                    f"{of['images_right']}", f"{of['substituted']}", f"{of['missed']}",
                    f"{of['false_digits']}", f"{of['false_digits_per_ten_images']:.1f}",
                    f"{of['refused']}",
                ]
            )  # fmt: skip
            times = [value for stage in STAGES for value in of["ms"][stage].values()]
            took.append([group, name, *("–" if t is None else f"{t:.2f}" for t in times)])
    heads = [
        "", "", "images", "digits", "digits right", "images right", "substituted", "missed",
        "false", "false/10 images", "refused",
    ]  # fmt: skip
    print(table(heads, read, left=2))
    heads = [f"{stage}{end}" for stage in STAGES for end in (" ms", " max", "/MP")]
    print(f"\n{table(['', '', *heads], took, left=2)}\n")
    for name, result in results.items():
        of = result["single_digits"]
        if of is None:
            continue
        low, high = of["interval"]
        print(
            f"{name}: {of['right']} of {of['images']} single digits right, accepted or not; "
            f"calibration error {of['calibration_error']:.1%} ({low:.1%} to {high:.1%}), "
            f"{of['if_exact']:.1%} if its confidences were exactly right; accepted from "
            f"{of['threshold']:.3f} on: {of['accepted']}, of which wrong: {of['accepted_wrong']}"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="pictures and labels.jsonl")
    parser.add_argument(
        "models", nargs="*", default=["digits-int8", "digits-tiny-int8"],
        help="shipped stems or files",
    )  # fmt: skip
    parser.add_argument("--peer", type=Path, metavar="FILE", help="the tutorial recipe's net")
    parser.add_argument(
        "--classical", action="store_true", help="also find digits without a net, for comparison"
    )
    parser.add_argument(
        "--min-confidence", type=float, metavar="P",
        help="threshold of the models, instead of their own; the recipe has none",
    )  # fmt: skip
    parser.add_argument("--wrong", action="store_true", help="list every picture read wrong")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    options = parser.parse_args()
    labels = read_labels(options.folder)
    if not labels:
        parser.error(f"{options.folder}/labels.jsonl: has no line")
    cv2.setNumThreads(1)
    readers: dict[str, Reader | Tutorial] = {}
    try:
        for model in options.models:
            stem = Path(model).stem
            name = stem if stem not in readers else str(Path(model).with_suffix(""))
            readers[name] = Reader(Classifier(model), min_confidence=options.min_confidence)
        if options.classical:
            readers[f"{next(iter(readers))}, found classically"] = Classical(
                Classifier(options.models[0]), min_confidence=options.min_confidence
            )
        if options.peer:
            readers[f"tutorial with {options.peer.stem}"] = Tutorial(options.peer)
    except (DigitkitError, ValueError) as error:
        parser.error(str(error))
    try:
        read_all(options.folder, labels[:1], readers)  # first calls are slow
        outcomes = read_all(options.folder, labels, readers)
    except (DigitkitError, OSError) as error:
        raise SystemExit(str(error)) from error
    results: dict[str, Any] = {}
    for name, reader in readers.items():
        threshold = reader.min_confidence if isinstance(reader, Reader) else 0.0
        grouped = {
            group: [one for one in outcomes[name] if one.label.group == group] for group in GROUPS
        }
        singles = grouped["single digits"]
        results[name] = {
            "groups": {group: figures(ones) for group, ones in grouped.items() if ones},
            "single_digits": calibration(singles, threshold) if singles else None,
            "wrong": [str(one) for one in outcomes[name] if one.edits.total],
        }
    print(f"{ran_on()}; {len(labels)} pictures\n")
    print_report(results)
    if options.wrong:
        for name, result in results.items():
            print(f"\n{name}, {len(result['wrong'])} pictures wrong:")
            for line in result["wrong"]:
                print(f"  {line}")
    if options.json:
        report = {"ran_on": ran_on(), "pictures": len(labels), "readers": results}
        options.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
