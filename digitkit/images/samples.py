"""The pictures that come with digitkit, for measuring and for trying out a device."""

from __future__ import annotations

from pathlib import Path

from digitkit.images.decode import decode_file
from digitkit.images.opencv import cv2
from digitkit.system import atomic

FOLDER = Path(__file__).with_name("sample_images")

SAMPLE_DIGIT = FOLDER / "digit.png"
"""One of MNIST's test digits, a 0, 28×28."""

SAMPLE_PAGE = FOLDER / "page.jpg"
"""Twelve of them in three rows, 1200×900."""

SAMPLE_PAGE_TEXT = "1984\n2750\n6361"
"""What is written there."""


def write_sample_sizes(folder: Path) -> list[tuple[str, Path]]:
    """Write a digit (PNG), a frame and a photo (JPEG), for timing the whole way of a picture.

    Args:
        folder: where the two JPEG files go.

    Returns:
        What each is called, and its file.

    Raises:
        OutputError: the folder cannot be written.
    """
    page = decode_file(SAMPLE_PAGE)
    made = [("28×28", SAMPLE_DIGIT)]
    for name, size, how in (
        ("640×480", (640, 480), cv2.INTER_AREA),
        ("12 MP", (4000, 3000), cv2.INTER_CUBIC),
    ):
        path = folder / f"{size[0]}x{size[1]}.jpg"
        _, data = cv2.imencode(".jpg", cv2.resize(page, size, interpolation=how))
        atomic.write_bytes(path, data.tobytes())
        made.append((name, path))
    return made
