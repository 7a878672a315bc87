"""Pixels, scores and readings of digitkit, measured on two machines and compared.

``compare.py OUT FOLDER`` runs the installed digitkit on ``FOLDER/samples`` and ``FOLDER/mnist``
(28×28 PNG files). `find_differences` compares two such results, of x86-64 and of Arm. Its bounds:

Files decode to the same bytes, colour converts to the same grey, and an image that already is in
MNIST's normal form is unchanged. The normal form of others may differ by a level: OpenCV enlarges
with Intel's IPP on x86-64 only, and Arm's fused multiply-add rounds once instead of twice. Where a
digit's centre of mass lies between two pixels, one level can move the whole digit by one pixel.

Given the same 28×28 pixels, int8 sums are integers and thus the same, whichever instructions add
them; only dequantization and softmax are floats. fp32 adds floats in another order.
"""

import hashlib
import json
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

PRECISIONS = ("fp32", "int8")

SAME_PIXELS = 1e-5
"""Largest difference of a probability, given the same pixels. Measured on 5,000 images: 1.4e-6 in
fp32, 3.6e-7 in int8."""

SAME_FILE = 1e-3
"""Largest difference of a confidence, given the same image file. Measured: 4e-6."""

LEVELS, FRACTION = {"reduced": 1, "enlarged": 2}, {"reduced": 0.001, "enlarged": 0.05}
"""Largest difference of a normal form in grey levels, and the largest fraction of pixels."""


def _digest(array: np.ndarray) -> list[object]:
    """The shape, and a hash of the content."""
    return [*array.shape, hashlib.sha256(np.ascontiguousarray(array)).hexdigest()[:16]]


def measure(data: Path) -> dict[str, Any]:
    """Run digitkit on all images.

    Returns:
        Arrays by name, and under ``files`` a JSON text: by file what must be the same, and
        confidences.
    """
    from digitkit import Classifier, Reader
    from digitkit.images.convert import to_grey
    from digitkit.images.decode import decode_file
    from digitkit.images.normal_form import digit_image

    paths = sorted(data.glob("*/*"))
    decoded = {path: decode_file(path) for path in paths}
    mnist = np.stack([decoded[path] for path in paths if path.parent.name == "mnist"])
    measured: dict[str, Any] = {
        "unchanged": np.stack([digit_image(image) for image in mnist]),
        "reduced": np.stack([digit_image(np.kron(i, np.ones((10, 10), np.uint8))) for i in mnist]),
        # The middle of a digit: smaller than the normal form.
        "enlarged": np.stack([digit_image(image[6:22, 6:22]) for image in mnist]),
    }
    files: dict[str, dict[str, Any]] = {
        f"{path.parent.name}/{path.name}": {"pixels": [_digest(image), _digest(to_grey(image))]}
        for path, image in decoded.items()
    }
    for precision in PRECISIONS:
        classifier = Classifier("digits", precision=precision)
        scores = classifier.scores(mnist)
        measured[f"probabilities {precision}"] = scores.probabilities
        measured[f"is_digit {precision}"] = scores.is_digit
        reader = Reader(classifier)
        for path, file in zip(paths, files.values(), strict=True):
            reading = reader.read(path)
            digits = [
                (digit.digit, digit.row, digit.box, digit.accepted) for digit in reading.digits
            ]
            file[precision] = [reading.text, digits]
            file[f"confidences {precision}"] = [digit.confidence for digit in reading.digits]
    return measured | {"files": json.dumps(files)}


def _find_difference_of_file(name: str, here: dict[str, Any], there: dict[str, Any]) -> str | None:
    for step in ("pixels", *PRECISIONS):
        if here[step] != there[step]:
            return f"{name}, {step}: {there[step]} instead of {here[step]}"
    for step in (f"confidences {precision}" for precision in PRECISIONS):
        largest = np.abs(np.subtract(here[step], there[step])).max(initial=0)
        if largest > SAME_FILE:
            return f"{name}, {step}: they differ by {largest:.1e}"
    return None


def _subtract(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Absolute difference of two normal forms in levels, a shift by one pixel undone."""
    shifts = product((0, -1, 1), repeat=2)
    shifted = (np.abs(here.astype(int) - np.roll(there, shift, (0, 1))) for shift in shifts)
    return min(shifted, key=np.sum)


def find_differences(here: Path, there: Path) -> tuple[list[str], str]:
    """Compare what `measure` wrote on x86-64 with what it wrote elsewhere.

    Returns:
        What exceeds the bounds, and a summary of all differences.
    """
    a, b = np.load(here), np.load(there)
    files_a, files_b = json.loads(str(a["files"])), json.loads(str(b["files"]))
    found = (_find_difference_of_file(name, files_a[name], files_b[name]) for name in files_a)
    violations, notes = [text for text in found if text], [f"{len(files_a)} images"]
    if not np.array_equal(a["unchanged"], b["unchanged"]):
        violations.append("MNIST's normal form is not kept")
    for name in ("reduced", "enlarged"):
        levels = np.stack([_subtract(*pair) for pair in zip(a[name], b[name], strict=True)])
        fraction = float((levels > 0).mean())
        notes.append(f"{name}: {fraction:.3%} of the pixels differ, by at most {levels.max()}")
        if levels.max() > LEVELS[name] or fraction > FRACTION[name]:
            violations.append(notes[-1])
    for precision in PRECISIONS:
        names = (f"probabilities {precision}", f"is_digit {precision}")
        largest = max(float(np.abs(a[name] - b[name]).max()) for name in names)
        notes.append(f"{precision} within {largest:.1e}")
        if largest > SAME_PIXELS or (a[names[0]].argmax(1) != b[names[0]].argmax(1)).any():
            violations.append(f"probabilities in {precision} differ by up to {largest:.1e}")
    return violations, "; ".join(notes)


if __name__ == "__main__":
    np.savez(sys.argv[1], **measure(Path(sys.argv[2])))
