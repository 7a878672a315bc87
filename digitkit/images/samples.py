"""The images that come with digitkit, for benchmarks and for checking a device."""

from __future__ import annotations

from pathlib import Path

from digitkit.images.cv import cv2
from digitkit.images.decode import decode_file
from digitkit.system import atomic

FOLDER = Path(__file__).with_name("sample_images")

SAMPLE_DIGIT = FOLDER / "digit.png"
"""One of MNIST's test digits, a 0, 28×28."""

SAMPLE_PAGE = FOLDER / "page.jpg"
"""Twelve of MNIST's test digits in three rows, 1200×900."""

SAMPLE_PAGE_TEXT = "1984\n2750\n6361"
"""The numbers on that page, row by row."""


def write_sample_sizes(folder: Path) -> list[tuple[str, Path]]:
    """Write images of three sizes for end-to-end timings: a digit, a frame and a photo.

    Args:
        folder: where the frame and the photo go, as JPEG; the digit is the packaged PNG.

    Returns:
        The name of each size, and its file.

    Raises:
        OutputError: the folder cannot be written.
    """
    page = decode_file(SAMPLE_PAGE)
    sizes = [("28×28", SAMPLE_DIGIT)]
    for name, size, interpolation in (
        ("640×480", (640, 480), cv2.INTER_AREA),
        ("12 MP", (4000, 3000), cv2.INTER_CUBIC),
    ):
        path = folder / f"{size[0]}x{size[1]}.jpg"
        _, data = cv2.imencode(".jpg", cv2.resize(page, size, interpolation=interpolation))
        atomic.write_bytes(path, data.tobytes())
        sizes.append((name, path))
    return sizes
