"""Make the golden vectors that the demo's TypeScript is compared with.

    python web/demo/make_golden.py

100 drawings and 100 crops of pages, of MNIST's test digits, each with what digitkit makes of it:
the normal form, and the model's outputs. The same script makes the same pictures. A test checks
that they are what digitkit computes today; run this again when the normal form or the model
changes.

The file is gzip-compressed: the length of a header in bytes (4, little-endian), the header (JSON:
the pictures' sizes and channels), the pictures (grey, or red, green, blue), the normal forms, and
11 float32 a picture: the probabilities of 0 to 9, and that of a digit at all.
"""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from digitkit import Reader
from digitkit.arrays import F32, U8
from digitkit.datasets.digits import DigitData
from digitkit.datasets.mnist import load_mnist
from digitkit.images.cv import cv2
from digitkit.images.decode import decode_file
from digitkit.images.grey import GreyImage
from digitkit.images.normal_form import digit_image
from digitkit.models.classifier import Classifier
from digitkit.system import atomic
from digitkit.training.scenes.glyphs import glyph

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).resolve().parent / "golden/golden.bin.gz"

CANVAS = 280
"""Side of the canvas that people draw on, pixels."""

Rng = np.random.Generator


@dataclass(frozen=True)
class Golden:
    """Pictures, and what digitkit makes of them.

    Attributes:
        pictures: uint8 ``[H, W]``, or ``[H, W, 3]`` BGR.
        forms: their normal forms, uint8 ``[N, 28, 28]``.
        outputs: probabilities of 0 to 9, and of a digit at all, float32 ``[N, 11]``.
    """

    pictures: list[U8]
    forms: U8
    outputs: F32


def compute(pictures: list[U8]) -> Golden:
    """Bring pictures to normal form, and run the shipped int8 model on each alone."""
    reduced = [GreyImage.from_pixels(picture).reduced for picture in pictures]
    forms = np.stack([digit_image(grey) for grey in reduced])
    classifier = Classifier("digits", precision="int8", batch=1)
    scores = classifier.scores(forms)
    outputs = np.concatenate([scores.probabilities, scores.is_digit[:, None]], axis=1)
    return Golden(pictures, forms, outputs)


def write(golden: Golden, path: Path) -> None:
    """Write the file."""
    shapes = [
        {"width": p.shape[1], "height": p.shape[0], "channels": 1 if p.ndim == 2 else 3}
        for p in golden.pictures
    ]
    header = json.dumps({"pictures": shapes}, separators=(",", ":")).encode()
    parts = [struct.pack("<I", len(header)), header]
    # Red comes first in a browser, last in OpenCV.
    parts += [p.tobytes() if p.ndim == 2 else p[:, :, ::-1].tobytes() for p in golden.pictures]
    parts += [golden.forms.tobytes(), golden.outputs.astype("<f4").tobytes()]
    atomic.write_bytes(path, gzip.compress(b"".join(parts), 9, mtime=0))


def read(path: Path) -> Golden:
    """Read the file."""
    data = gzip.decompress(path.read_bytes())
    (length,) = struct.unpack_from("<I", data)
    shapes = json.loads(data[4 : 4 + length])["pictures"]
    at, pictures = 4 + length, []
    for shape in shapes:
        size = shape["height"], shape["width"], shape["channels"]
        picture = np.frombuffer(data, np.uint8, int(np.prod(size)), at).reshape(size)
        at += picture.size
        flat = picture[:, :, 0] if shape["channels"] == 1 else picture[:, :, ::-1]
        pictures.append(np.ascontiguousarray(flat))
    count = len(shapes)
    forms = np.frombuffer(data, np.uint8, count * 28 * 28, at).reshape(count, 28, 28)
    outputs = np.frombuffer(data, "<f4", count * 11, at + forms.size).reshape(count, 11)
    return Golden(pictures, forms, outputs)


def drawings(digits: DigitData, rng: Rng) -> Iterator[U8]:
    """100 drawings: most on the canvas, in pens of all widths, both polarities, any size."""
    for i in range(84):
        height = int(rng.integers(50, 251))
        pen = max(2, round(height * rng.uniform(0.02, 0.16)))
        ink = glyph(_pick(digits, i, rng), height, pen, rng)
        yield _draw(ink, CANVAS, i % 3 == 0, rng)
    for i in range(8):  # smaller than the normal form's box, up to where light is evened out
        side = int(rng.integers(14, 65))
        ink = cv2.resize(_pick(digits, i, rng), (side, side), interpolation=cv2.INTER_AREA)
        yield np.asarray(255 - ink if i % 2 else ink, np.uint8)
    for i in range(6):  # MNIST's own: they stay as they are
        yield _pick(digits, i, rng)
    for i in range(2):  # as large as photos, in flat squares, which compress; also of an odd size
        large = np.kron(255 - _pick(digits, i, rng), np.ones((96, 92), np.uint8))
        yield large[i:, i:]


def crops(digits: DigitData, rng: Rng) -> Iterator[U8]:
    """100 crops of pages: a part from the sample images, others in uneven light, some coloured."""
    reader = Reader()
    for name in ("page.jpg", "notes.jpg"):
        image = decode_file(ROOT / "data/samples" / name)
        for digit in reader.read(image).digits:
            x, y, w, h = digit.box
            margin = int(rng.uniform(0.1, 0.35) * h)
            part = image[max(y - margin, 0) : y + h + margin, max(x - margin, 0) : x + w + margin]
            ratio = rng.uniform(0.25, 0.45)
            yield cv2.cvtColor(  # type: ignore[misc]
                cv2.resize(part, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA),
                cv2.COLOR_BGR2GRAY,
            )
    for i in range(len(_READ), 100):
        yield _photograph(_pick(digits, i, rng), rng, coloured=i % 4 == 0, grain=2 * (i % 6 == 0))


_READ = "198427506361" + "2026" + "4711" + "835960"
"""The digits of the two sample images."""


def _pick(digits: DigitData, i: int, rng: Rng) -> U8:
    return digits.images[rng.choice(np.flatnonzero(digits.labels == i % 10))]


def _draw(ink: U8, side: int, bright: bool, rng: Rng) -> U8:
    ink = ink[:side, :side]
    height, width = ink.shape
    x, y = int(rng.integers(0, side - width + 1)), int(rng.integers(0, side - height + 1))
    canvas = np.zeros((side, side), np.float32)
    canvas[y : y + height, x : x + width] = ink / 255
    paper, pen = (24, 240) if bright else (255, 20)
    return np.rint(paper + canvas * (pen - paper)).astype(np.uint8)


def _photograph(digit: U8, rng: Rng, *, coloured: bool, grain: int) -> U8:
    """A digit on paper or a board: uneven light, and grain of so many levels."""
    height = int(rng.integers(24, 110))
    ink = glyph(digit, height, max(1, round(height * rng.uniform(0.03, 0.14))), rng)
    above, below, left, right = rng.integers(2, max(3, height // 3), 4).tolist()
    cover = np.pad(ink, ((above, below), (left, right))).astype(np.float32) / 255
    h, w = cover.shape
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    light = 1 + rng.uniform(-0.15, 0.15) * x + rng.uniform(-0.15, 0.15) * y
    paper, pen = np.array((205, 215, 220)), rng.uniform(20, 110, 3)
    if rng.random() < 0.3:
        paper, pen = np.array((52, 60, 40)), rng.uniform(170, 240, 3)
    if not coloured:
        paper, pen = paper[1:2], pen[1:2]
    page = paper + (pen - paper) * cover[:, :, None] * rng.uniform(0.6, 1.0)
    page = page * light[:, :, None] + rng.integers(-1, 2, (h, w, 1)) * grain
    pixels = np.rint(page.clip(0, 255)).astype(np.uint8)
    return pixels if coloured else np.ascontiguousarray(pixels[:, :, 0])


def main() -> None:
    """Make the vectors."""
    digits, rng = load_mnist("test"), np.random.default_rng(20)
    pictures = [*drawings(digits, rng), *crops(digits, rng)]
    write(compute(pictures), GOLDEN)
    print(f"{len(pictures)} pictures, {GOLDEN.stat().st_size:,} bytes: {GOLDEN.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
