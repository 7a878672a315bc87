"""Pixels and scores of digitkit, measured on two machines and compared.

``compare.py OUT --data FOLDER`` runs the installed digitkit on ``FOLDER/samples`` and
``FOLDER/mnist`` (28×28 PNG files) and writes the pixels after each step, and the scores in both
precisions. `find_differences` compares two such files, of x86-64 and of Arm. Its bounds, and why:

Files decode to the same bytes, colour converts to the same grey, and an image that already is in
MNIST's normal form is unchanged. The normal form of others may differ by a level. OpenCV enlarges
with Intel's IPP on x86-64 and with its own code on Arm, which round differently (with
``OPENCV_IPP=disabled`` hardly any pixel does), and where it reduces by a ratio that is not a whole
number it adds floats, which Arm's fused multiply-add rounds once instead of twice. Where a digit's
centre of mass lies between two pixels, one level can move the whole digit by one pixel.

Given the same 28×28 pixels, int8 sums are integers and thus the same, whichever instructions add
them (SMLAL on a Pi 4, UDOT on a Pi 5, VNNI on a PC: the weights use 7 bits, so that no older
instruction saturates); only dequantization and softmax are floats. fp32 adds floats in another
order. Neither comes near the bound.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]

PRECISIONS: tuple[Literal["fp32", "int8"], ...] = ("fp32", "int8")

SAME_PIXELS = 1e-5
"""Largest difference of a probability, given the same pixels. Measured on 5,000 images: 1.4e-6 in
fp32, 3.6e-7 in int8."""

SAME_FILE = 1e-3
"""Largest difference of a confidence, given the same page. Measured: 4e-6."""

LEVELS, FRACTION = {"reduced": 1, "enlarged": 2}, {"reduced": 0.001, "enlarged": 0.05}
"""Largest difference of a normal form in grey levels, and the largest fraction of pixels."""

SCALE = 10
"""A test image is enlarged by this factor, pixel by pixel, for the step that reduces images."""


def _digest(array: npt.NDArray[np.generic]) -> str:
    shape = repr((array.shape, array.dtype.str)).encode()
    return hashlib.sha256(shape + np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def _versions() -> dict[str, str]:
    import cv2
    import onnxruntime

    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "onnxruntime": onnxruntime.__version__,
    }


def measure(data: Path) -> dict[str, Any]:
    """Run digitkit on the samples and on MNIST's images.

    Returns:
        Arrays by name, and under ``about`` a JSON text: versions, digests, readings.
    """
    from digitkit import Classifier, Reader
    from digitkit.images.convert import to_grey
    from digitkit.images.decode import decode_file
    from digitkit.images.normal_form import digit_image

    images = np.stack([decode_file(path) for path in sorted((data / "mnist").iterdir())])
    large = [np.kron(image, np.ones((SCALE, SCALE), np.uint8)) for image in images]
    measured: dict[str, Any] = {
        "decoded": images,
        "unchanged": np.stack([digit_image(image) for image in images]),
        "reduced": np.stack([digit_image(image) for image in large]),
        # The middle of a digit: smaller than the normal form.
        "enlarged": np.stack([digit_image(image[6:22, 6:22]) for image in images]),
    }
    samples: dict[str, Any] = {}
    paths = [path for path in sorted((data / "samples").iterdir()) if path.suffix != ".py"]
    for path in paths:
        decoded = decode_file(path)
        samples[path.name] = {"decoded": _digest(decoded), "grey": _digest(to_grey(decoded))}
    for precision in PRECISIONS:
        classifier = Classifier("digits", precision=precision)
        scores = classifier.scores(images)
        measured[f"probabilities {precision}"] = scores.probabilities
        measured[f"is_digit {precision}"] = scores.is_digit
        reader = Reader(classifier)
        for path in paths:
            reading = reader.read(path)
            samples[path.name][precision] = {
                "text": reading.text,
                "digits": [(d.digit, d.row, d.accepted) for d in reading.digits],
                "confidence": [digit.confidence for digit in reading.digits],
            }
            crops = [digit.image for digit in reading.digits]
            measured[f"crops {precision} {path.name}"] = np.stack(crops)
    measured["about"] = json.dumps({"versions": _versions(), "samples": samples})
    return measured


def _subtract(here: U8, there: U8) -> npt.NDArray[np.int64]:
    """Absolute difference of two normal forms in levels, a shift by one pixel undone."""
    shifted = [
        np.abs(here.astype(np.int64) - np.roll(there, (down, right), (0, 1)))
        for down in (0, -1, 1)
        for right in (0, -1, 1)
    ]
    return min(shifted, key=lambda difference: int(difference.sum()))


def _compare_normal_forms(a: Any, b: Any) -> tuple[list[str], list[str]]:
    violations, notes = [], []
    for name in ("reduced", "enlarged"):
        pairs = zip(a[name], b[name], strict=True)
        levels = np.stack([_subtract(here, there) for here, there in pairs])
        fraction = float((levels > 0).mean())
        notes.append(f"{name}: {fraction:.3%} of the pixels differ, by at most {levels.max()}")
        if levels.max() > LEVELS[name] or fraction > FRACTION[name]:
            violations.append(f"normal forms, {notes[-1]}")
    return violations, notes


def _compare_sample(name: str, here: dict[str, Any], there: dict[str, Any]) -> list[str]:
    steps = [step for step in ("decoded", "grey") if here[step] != there[step]]
    violations = [f"{name} {step} is not the same" for step in steps]
    for precision in PRECISIONS:
        a, b = here[precision], there[precision]
        if (a["text"], a["digits"]) != (b["text"], b["digits"]):
            violations.append(f"{name} {precision} reads {b['text']!r} instead of {a['text']!r}")
        else:
            largest = np.abs(np.subtract(a["confidence"], b["confidence"])).max(initial=0)
            if largest > SAME_FILE:
                violations.append(f"{name} {precision}: confidences differ by {largest:.1e}")
    return violations


def find_differences(here: Path, there: Path) -> tuple[list[str], str]:
    """Compare what `measure` wrote on x86-64 with what it wrote elsewhere.

    Returns:
        What exceeds the bounds, and a summary of all differences.
    """
    a, b = np.load(here), np.load(there)
    about_a, about_b = json.loads(str(a["about"])), json.loads(str(b["about"]))
    unequal = [name for name in ("decoded", "unchanged") if not np.array_equal(a[name], b[name])]
    violations = [f"MNIST images {name} are not the same" for name in unequal]
    beyond, notes = _compare_normal_forms(a, b)
    violations += beyond
    for name, sample in about_a["samples"].items():
        violations += _compare_sample(name, sample, about_b["samples"][name])
    for precision in PRECISIONS:
        names = (f"probabilities {precision}", f"is_digit {precision}")
        largest = max(float(np.abs(a[name] - b[name]).max()) for name in names)
        notes.append(f"{precision} within {largest:.1e}")
        if largest > SAME_PIXELS or (a[names[0]].argmax(1) != b[names[0]].argmax(1)).any():
            violations.append(f"probabilities in {precision} differ by up to {largest:.1e}")
    notes += [
        f"{name} {about_a['versions'][name]} versus {version}"
        for name, version in about_b["versions"].items()
        if name != "python" and about_a["versions"][name] != version
    ]
    return violations, "; ".join(notes)


def main() -> int:
    """Measure the data on this machine."""
    parser = argparse.ArgumentParser(description="write what digitkit computes from images")
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    np.savez(arguments.out, **measure(arguments.data))
    return 0


if __name__ == "__main__":
    sys.exit(main())
