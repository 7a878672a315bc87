"""How many rows of labelled pages are read completely and right, and how many are silently wrong.

    python benchmarks/photo_numbers.py FOLDER

The folder is that of ``photos.py``. Its labels say which digits are in a row, but not which of them
are one number; so rows are judged, with all numbers of a row joined, and without decimal
separators and signs.

complete and right   rows of labels that some row of the reading equals, all its numbers complete
complete and wrong   rows that are complete and equal no row of the label, and complete numbers of
                     other rows that are in no row of the label; per row of the labels. What is
                     printed in an image is not wrong.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from common import ran_on, table, tracked
from photos import GROUPS, Label, read_labels

from digitkit import Classifier, Number, Reader
from digitkit.images.cv import cv2
from digitkit.reading.results import Reading

Counts = tuple[int, int, int, int]
"""Rows of the label; those read completely and right; wrong ones; complete numbers."""


def digits_of(numbers: Sequence[Number]) -> str:
    """The digits of numbers of a row."""
    return "".join(filter(str.isdecimal, "".join(number.text for number in numbers)))


def judge(label: Label, reading: Reading) -> Counts:
    """Compare the rows of a reading with those of the label."""
    lines = label.text.split()
    truth = Counter(lines)
    printed = "".join(filter(str.isdecimal, label.printed))
    right, wrong = 0, list[str]()
    for row in reading.rows:
        text = digits_of(row)
        if not all(number.complete for number in row):
            complete = [digits_of([number]) for number in row if number.complete]
            wrong += [own for own in complete if not any(own in line for line in lines)]
        elif truth[text] > 0:
            truth[text] -= 1
            right += 1
        else:
            wrong.append(text)
    wrong = [text for text in wrong if text not in printed]
    return len(lines), right, len(wrong), sum(number.complete for number in reading.numbers)


def main() -> None:
    """Read and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="images and labels.jsonl")
    parser.add_argument("--model", default="digits-int8", help="the classifier")
    parser.add_argument("--wrong", action="store_true", help="list the images with wrong numbers")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    reader = Reader(Classifier(options.model))
    labels = [label for label in read_labels(options.folder) if label.kind != "video"]
    judged: list[tuple[Label, Counts]] = []
    for label in tracked(labels):
        counts = judge(label, reader.read(options.folder / label.file))
        judged.append((label, counts))
    rows = []
    for group in GROUPS:
        own = [counts for label, counts in judged if label.group == group]
        if not own:
            continue
        written, right, wrong, complete = (sum(each) for each in zip(*own, strict=True))
        shares = [f"{count / written:.1%}" if written else "–" for count in (right, wrong)]
        rows.append([group, f"{len(own)}", f"{written}", f"{complete}", *shares, f"{wrong}"])
    heads = ["", "images", "rows", "complete numbers", "complete and right", "complete and wrong",
             "wrong"]  # fmt: skip
    print(f"{ran_on()}\n\n{table(heads, rows)}")
    if options.wrong:
        print("\n" + "\n".join(label.file for label, counts in judged if counts[2]))


if __name__ == "__main__":
    main()
