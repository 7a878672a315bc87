"""What digitkit sees and says, taken on two machines and compared.

``compare.py OUT --data FOLDER`` writes what the installed digitkit makes of ``FOLDER/samples`` and
``FOLDER/mnist`` (28×28 PNG files): pixels after each step, and scores in both precisions.
`differences` compares two such files, of x86-64 and of Arm. What it allows, and why:

Files are decoded to the same bytes, colour becomes the same grey, and an image that is in MNIST's
normal form already stays as it is. Of others the normal form may differ by a level. OpenCV enlarges
by Intel's IPP on x86-64 and by its own code on Arm, which round differently (with
``OPENCV_IPP=disabled`` hardly a pixel does), and where it reduces by a ratio that is not a whole
number it adds floats, which Arm's fused multiply-add rounds once instead of twice. Where a digit's
centre of mass lies between two pixels, one level can move all of it by one pixel.

Given the same 28×28 pixels, int8 sums are integers and so the same, whichever instructions add them
(SMLAL on a Pi 4, UDOT on a Pi 5, VNNI on a PC: the weights keep to 7 bits, so that no older
instruction saturates); only dequantisation and softmax are floats. fp32 adds floats in another
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
"""By how much a probability may differ, given the same pixels. Seen in 5,000 images: 1.4e-6 in
fp32, 3.6e-7 in int8."""

SAME_FILE = 1e-3
"""By how much a confidence may differ, given the same page. Seen: 4e-6."""

LEVELS, SHARE = {"reduced": 1, "enlarged": 2}, {"reduced": 0.001, "enlarged": 0.05}
"""By how many grey levels a normal form may differ, and in which share of the pixels."""

TIMES = 10
"""A test image is enlarged by this, pixel by pixel, for the step that reduces large pictures."""


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


def take(data: Path) -> dict[str, Any]:
    """What digitkit makes of the samples and of MNIST's images.

    Returns:
        Arrays by name, and under ``about`` a JSON text: versions, digests, readings.
    """
    from digitkit import Classifier, Reader
    from digitkit.images.convert import to_grey
    from digitkit.images.decode import decode_file
    from digitkit.images.normal_form import digit_image

    images = np.stack([decode_file(path) for path in sorted((data / "mnist").iterdir())])
    large = [np.kron(image, np.ones((TIMES, TIMES), np.uint8)) for image in images]
    taken: dict[str, Any] = {
        "decoded": images,
        "as it is": np.stack([digit_image(image) for image in images]),
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
        taken[f"probabilities {precision}"] = scores.probabilities
        taken[f"is_digit {precision}"] = scores.is_digit
        reader = Reader(classifier)
        for path in paths:
            reading = reader.read(path)
            samples[path.name][precision] = {
                "text": reading.text,
                "digits": [(one.digit, one.row, one.accepted) for one in reading.digits],
                "confidence": [one.confidence for one in reading.digits],
            }
            seen = [one.image for one in reading.digits]
            taken[f"seen {precision} {path.name}"] = np.stack(seen)
    taken["about"] = json.dumps({"versions": _versions(), "samples": samples})
    return taken


def _apart(here: U8, there: U8) -> npt.NDArray[np.int64]:
    """How far two normal forms are apart, levels: where one is moved by a pixel, moved back."""
    moved = [
        np.abs(here.astype(np.int64) - np.roll(there, (down, right), (0, 1)))
        for down in (0, -1, 1)
        for right in (0, -1, 1)
    ]
    return min(moved, key=lambda difference: int(difference.sum()))


def differences(here: Path, there: Path) -> tuple[list[str], str]:
    """Compare what was taken on x86-64 with what was taken elsewhere.

    Returns:
        What goes beyond what is allowed, and what was found, in a few words.
    """
    a, b = np.load(here), np.load(there)
    about_a, about_b = json.loads(str(a["about"])), json.loads(str(b["about"]))
    wrong: list[str] = []
    found: list[str] = []
    wrong += [
        f"MNIST images {name} are not the same"
        for name in ("decoded", "as it is")
        if not np.array_equal(a[name], b[name])
    ]
    for name in ("reduced", "enlarged"):
        apart = np.stack([_apart(one, other) for one, other in zip(a[name], b[name], strict=True)])
        share = float((apart > 0).mean())
        found.append(f"{name}: {share:.3%} of the pixels differ, by at most {apart.max()}")
        if apart.max() > LEVELS[name] or share > SHARE[name]:
            wrong.append(f"normal forms, {found[-1]}")
    for name, sample in about_a["samples"].items():
        other = about_b["samples"][name]
        wrong += [
            f"{name} {step} is not the same"
            for step in ("decoded", "grey")
            if sample[step] != other[step]
        ]
        for precision in PRECISIONS:
            one, two = sample[precision], other[precision]
            if (one["text"], one["digits"]) != (two["text"], two["digits"]):
                wrong.append(f"{name} {precision} reads {two['text']!r} instead of {one['text']!r}")
            else:
                most = np.abs(np.subtract(one["confidence"], two["confidence"])).max(initial=0)
                if most > SAME_FILE:
                    wrong.append(f"{name} {precision}: confidences differ by {most:.1e}")
    for precision in PRECISIONS:
        one, two = a[f"probabilities {precision}"], b[f"probabilities {precision}"]
        most = max(
            float(np.abs(one - two).max()),
            float(np.abs(a[f"is_digit {precision}"] - b[f"is_digit {precision}"]).max()),
        )
        found.append(f"{precision} within {most:.1e}")
        if most > SAME_PIXELS or (one.argmax(1) != two.argmax(1)).any():
            wrong.append(f"probabilities in {precision} differ by up to {most:.1e}")
    unlike = [
        f"{name} {about_a['versions'][name]} against {version}"
        for name, version in about_b["versions"].items()
        if name != "python" and about_a["versions"][name] != version
    ]
    return wrong, "; ".join(found + unlike)


def main() -> int:
    """Take what this machine makes of the data."""
    parser = argparse.ArgumentParser(description="write what digitkit makes of pictures")
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    np.savez(arguments.out, **take(arguments.data))
    return 0


if __name__ == "__main__":
    sys.exit(main())
