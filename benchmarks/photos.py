"""How well and how fast digits are read from a folder of labelled images.

    python benchmarks/photos.py FOLDER
    python benchmarks/photos.py FOLDER digits-int8 --peer mnist-7.onnx --wrong --json figures.json

The folder contains ``labels.jsonl``: one line per image, with ``file``; ``kind``: ``page``,
``single``, ``empty`` or ``video``; ``text``, the handwritten digits in reading order, rows
separated by newlines, empty for none; and optionally ``hard`` (false), ``reading_order`` (true),
``printed``, which names what is printed in the picture, and for videos ``timeline`` (see
``benchmarks/videos.py``). Each model reads them as a user would:
mode ``auto``, its own threshold, one thread. The models take turns at each image. With ``--peer``
the tutorials' method (``benchmarks/tutorial.py``) reads them with that model, with ``--ocr`` a
general OCR (``benchmarks/general_ocr.py``), and with
``--classical`` the first model reads what a detector without a network finds
(``benchmarks/classical.py``).

The digits read are aligned with the label, without row breaks; where there is no reading order,
both are sorted first. Of the alignments with the fewest edits the one with the fewest substitutions
counts, which is the one with the most false digits.

digits right    1 - edits / digits in the label
images right    images without an edit
false digits    digits that are neither in the label nor among those printed, per ten images
ms              per stage: the median image and the slowest; and the time of all images over all
                their pixels

For single digits, the expected calibration error (15 bins) comes with the 95% interval of 2,000
bootstrap samples. On few images it is too high by chance; the last figure shows by how much: the
error of a model whose confidences are exactly right. Each image counts by its most confident digit,
accepted or not.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from alignment import Edits, align
from classical import Classical
from common import ran_on, table, tracked
from general_ocr import GeneralOcr
from tutorial import Tutorial
from videos import Playback, play, print_videos

from digitkit import Classifier, Reader
from digitkit.errors import DigitkitError, ImageError, printable_path
from digitkit.images.cv import cv2
from digitkit.models.calibration import expected_calibration_error
from digitkit.reading.results import Reading
from digitkit.sources.files import load_frame
from digitkit.sources.frames import Frame, to_failure

SAMPLES = 2000
GROUPS = ("easy pages", "hard pages", "single digits", "no digits")
STAGES = ("decode", "locate", "normalise", "classify")


class FrameReader(Protocol):
    """What reads an image."""

    def read_frame(self, frame: Frame) -> Reading:
        """The reading of an image."""


@dataclass(frozen=True)
class Label:
    """The label of an image.

    Attributes:
        file: its name in the folder.
        kind: ``page``, ``single``, ``empty`` or ``video``.
        text: its digits, rows separated by newlines.
        hard: whether a good reader may miss some.
        reading_order: whether the digits have one; else they are compared sorted.
        printed: what is printed in it, in words; each of its digits may be read once or not.
        timeline: of a video: from, to (seconds) and the text that is legible then.
    """

    file: str
    kind: str
    text: str
    hard: bool = False
    reading_order: bool = True
    printed: str = ""
    timeline: Sequence[tuple[float, float, str]] = ()

    @property
    def group(self) -> str:
        """One of `GROUPS`."""
        if not self.text:
            return "no digits"
        if self.kind == "single":
            return "single digits"
        return "hard pages" if self.hard else "easy pages"


def compare(label: Label, text: str) -> Edits:
    """Align the text read from an image, rows separated by newlines, with its label."""
    truth, read = "".join(label.text.split()), "".join(filter(str.isdecimal, text))
    if not label.reading_order:
        truth, read = "".join(sorted(truth)), "".join(sorted(read))
    edits, false = align(truth, read)
    printed = Counter(filter(str.isdigit, label.printed))
    return replace(edits, false=edits.false - (Counter(false) & printed).total())


@dataclass(frozen=True)
class Outcome:
    """One image as read by one reader; without a reading where it was refused."""

    label: Label
    megapixels: float
    reading: Reading | None
    refusal: str = ""

    @property
    def edits(self) -> Edits:
        """The edits from the accepted digits to the label."""
        return compare(self.label, self.reading.text if self.reading else "")

    def __str__(self) -> str:
        """Label and reading, with digits that were not accepted in brackets."""
        rows: dict[int, str] = {}
        for digit in self.reading.digits if self.reading else ():
            shown = f"{digit.digit}" if digit.accepted else f"({digit.digit})"
            rows[digit.row] = rows.get(digit.row, "") + shown
        read = " ".join(rows.values()) or self.refusal or "nothing"
        truth = " ".join(self.label.text.split()) or "no digits"
        return f"{self.label.file}: {truth} read as {read}"


def read_labels(folder: Path) -> list[Label]:
    """The folder's ``labels.jsonl``; unknown fields are ignored.

    Raises:
        SystemExit: it cannot be read, or a line is not a label.
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
            raise SystemExit(f"{path}:{number}: is not a label: {error}") from error
    return labels


def read_all(
    folder: Path, labels: Sequence[Label], readers: Mapping[str, FrameReader]
) -> dict[str, list[Outcome]]:
    """Every image by every reader; the readers take turns, in a rotating order."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in readers}
    names = list(readers)
    for number, label in enumerate(tracked(labels)):
        path = folder / label.file
        path.stat()  # a labelled file must exist
        for i in range(len(names)):
            name = names[(number + i) % len(names)]
            outcomes[name].append(_read(path, label, readers[name]))
    return outcomes


def _read(path: Path, label: Label, reader: FrameReader) -> Outcome:
    megapixels = 0.0
    try:
        frame = load_frame(path)
        megapixels = frame.shape[0] * frame.shape[1] / 1e6
        return Outcome(label, megapixels, reader.read_frame(frame))
    except ImageError as error:
        refusal = to_failure(printable_path(path), error).error
        return Outcome(label, megapixels, None, refusal)


def summarize(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The figures of a group's outcomes; times in milliseconds, None where there are none."""
    edits = [outcome.edits for outcome in outcomes]
    digits = sum(len("".join(outcome.label.text.split())) for outcome in outcomes)
    wrong = sum(edit.total for edit in edits)
    false = sum(edit.false for edit in edits)
    readings = [outcome.reading for outcome in outcomes if outcome.reading]
    megapixels = sum(outcome.megapixels for outcome in outcomes if outcome.reading)
    ms: dict[str, Any] = {}
    for stage in STAGES:
        durations = [getattr(reading.ms, stage) for reading in readings]
        ms[stage] = {
            "median": float(np.median(durations)) if durations else None,
            "largest": max(durations) if durations else None,
            "per_megapixel": sum(durations) / megapixels if durations else None,
        }
    return {
        "images": len(outcomes),
        "refused": len(outcomes) - len(readings),
        "images_right": sum(edit.total == 0 for edit in edits),
        "digits": digits,
        "digits_right": 1 - wrong / digits if digits else None,
        "substituted": sum(edit.substituted for edit in edits),
        "missed": sum(edit.missed for edit in edits),
        "false_digits": false,
        "false_digits_per_ten_images": 10 * false / len(outcomes),
        "ms": ms,
    }


def measure_calibration(singles: Sequence[Outcome], threshold: float) -> dict[str, Any]:
    """Calibration of the confidences on images of single digits, by the most confident digit."""
    confidence, right = np.zeros(len(singles)), np.zeros(len(singles), bool)
    for i, outcome in enumerate(singles):
        digits = outcome.reading.digits if outcome.reading else ()
        if digits:
            best = max(digits, key=lambda digit: digit.confidence)
            confidence[i] = best.confidence
            right[i] = len(digits) == 1 and str(best.digit) == outcome.label.text
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
    """Print the figures: accuracy, times, calibration."""
    accuracy, times = [], []
    for group in GROUPS:
        for name, result in results.items():
            if group not in result["groups"]:
                continue
            of = result["groups"][group]
            right = "–" if of["digits_right"] is None else f"{of['digits_right']:.1%}"
            accuracy.append(
                [
                    group, name, f"{of['images']}", f"{of['digits']:,}", right,
                    f"{of['images_right']}", f"{of['substituted']}", f"{of['missed']}",
                    f"{of['false_digits']}", f"{of['false_digits_per_ten_images']:.1f}",
                    f"{of['refused']}",
                ]
            )  # fmt: skip
            ms = [value for stage in STAGES for value in of["ms"][stage].values()]
            times.append([group, name, *("–" if t is None else f"{t:.2f}" for t in ms)])
    heads = [
        "", "", "images", "digits", "digits right", "images right", "substituted", "missed",
        "false", "false/10 images", "refused",
    ]  # fmt: skip
    print(table(heads, accuracy, left=2))
    heads = [f"{stage}{end}" for stage in STAGES for end in (" ms", " max", "/MP")]
    print(f"\n{table(['', '', *heads], times, left=2)}\n")
    for name, result in results.items():
        of = result["single_digits"]
        if of is None:
            continue
        low, high = of["interval"]
        print(
            f"{name}: {of['right']} of {of['images']} single digits right, accepted or not; "
            f"calibration error {of['calibration_error']:.1%} ({low:.1%} to {high:.1%}), "
            f"{of['if_exact']:.1%} if its confidences were exactly right; accepted from "
            f"{of['threshold']:.3f}: {of['accepted']}, {of['accepted_wrong']} of them wrong"
        )


def make_readers(
    models: Sequence[str],
    min_confidence: float | None,
    peer: Path | None,
    *,
    classical: bool,
    ocr: bool,
) -> dict[str, FrameReader]:
    """The readers to compare, by name.

    Args:
        models: shipped stems or files.
        min_confidence: threshold instead of the models' own.
        peer: the model for the tutorials' method; None to leave it out.
        classical: add classical detection with the first model.
        ocr: add a general OCR.

    Raises:
        DigitkitError: a model cannot be used.
        ValueError: the threshold is out of range.
    """
    readers: dict[str, FrameReader] = {}
    for model in models:
        stem = Path(model).stem
        name = stem if stem not in readers else str(Path(model).with_suffix(""))
        readers[name] = Reader(Classifier(model), min_confidence=min_confidence)
    if classical:
        readers[f"{next(iter(readers))}, classical detection"] = Classical(
            Classifier(models[0]), min_confidence=min_confidence
        )
    if peer:
        readers[f"tutorial with {peer.stem}"] = Tutorial(peer)
    if ocr:
        general = GeneralOcr()
        readers[general.name] = general
    return readers


def measure(
    folder: Path, all_labels: Sequence[Label], readers: Mapping[str, FrameReader]
) -> tuple[dict[str, Any], dict[str, list[Playback]]]:
    """The figures of each reader; and what it reported of each video, but for the tutorials'."""
    labels = [label for label in all_labels if label.kind != "video"]
    videos = [label for label in all_labels if label.kind == "video"]
    read_all(folder, labels[:1], readers)  # first calls are slow
    outcomes = read_all(folder, labels, readers)
    played = {
        name: [play(folder / video.file, video.timeline, reader) for video in videos]
        for name, reader in readers.items()
        if isinstance(reader, Reader)
    }
    results: dict[str, Any] = {}
    for name, reader in readers.items():
        threshold = reader.min_confidence if isinstance(reader, Reader) else 0.0
        grouped = {
            group: [outcome for outcome in outcomes[name] if outcome.label.group == group]
            for group in GROUPS
        }
        singles = grouped["single digits"]
        results[name] = {
            "groups": {group: summarize(members) for group, members in grouped.items() if members},
            "single_digits": measure_calibration(singles, threshold) if singles else None,
            "videos": [asdict(playback) for playback in played.get(name, [])],
            "wrong": [str(outcome) for outcome in outcomes[name] if outcome.edits.total],
        }
    return results, played


def main() -> None:
    """Measure and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="images and labels.jsonl")
    parser.add_argument(
        "models", nargs="*", default=["digits-int8", "digits-tiny-int8"],
        help="shipped stems or files",
    )  # fmt: skip
    parser.add_argument(
        "--peer", type=Path, metavar="FILE", help="the model for the tutorials' method"
    )
    parser.add_argument("--ocr", action="store_true", help="also a general OCR, for comparison")
    parser.add_argument(
        "--classical",
        action="store_true",
        help="also detect digits without a network, for comparison",
    )
    parser.add_argument(
        "--min-confidence", type=float, metavar="P",
        help="threshold of the models, instead of their own; the tutorials' method has none",
    )  # fmt: skip
    parser.add_argument("--wrong", action="store_true", help="list every image that was misread")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    options = parser.parse_args()
    labels = read_labels(options.folder)
    if not labels:
        parser.error(f"{options.folder}/labels.jsonl: has no line")
    cv2.setNumThreads(1)
    try:
        readers = make_readers(
            options.models,
            options.min_confidence,
            options.peer,
            classical=options.classical,
            ocr=options.ocr,
        )
    except (DigitkitError, ValueError) as error:
        parser.error(str(error))
    try:
        results, played = measure(options.folder, labels, readers)
    except (DigitkitError, OSError) as error:
        raise SystemExit(str(error)) from error
    print(f"{ran_on()}; {len(labels)} images and videos\n")
    print_report(results)
    print_videos(played)
    if options.wrong:
        for name, result in results.items():
            print(f"\n{name}, {len(result['wrong'])} images misread:")
            for line in result["wrong"]:
                print(f"  {line}")
    if options.json:
        report = {"ran_on": ran_on(), "pictures": len(labels), "readers": results}
        options.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
