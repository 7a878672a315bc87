"""Files with several pages, or frames, written for tests."""

from pathlib import Path

import numpy as np
import pytest

from digitkit.images.cv import cv2


def pages_of(one_of_each, digits: str = "12345") -> list[np.ndarray]:
    """A page for each digit, dark on light, uint8 [h, w]; each of another size."""
    pages = []
    for number, digit in enumerate(digits):
        page = np.full((96 + 4 * number, 120), 240, np.uint8)
        page[16:72, 30:86] -= cv2.resize(one_of_each[int(digit)], (56, 56)) // 2
        pages.append(page)
    return pages


def write_tiff(path: Path, pages: list[np.ndarray]) -> Path:
    assert cv2.imwritemulti(str(path), pages)
    return path


def write_video(path: Path, frames: list[np.ndarray]) -> Path:
    """A Motion JPEG video of colour frames of one size, uint8 [h, w, 3], 10 a second."""
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (width, height))
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def write_with_pillow(path: Path, pages: list, **options) -> Path:
    """A PDF, GIF, WebP or TIFF of arrays or images of Pillow; skips the test without Pillow."""
    pillow = pytest.importorskip("PIL.Image", reason="needs Pillow, as [dev] brings it")
    images = [pillow.fromarray(p) if isinstance(p, np.ndarray) else p for p in pages]
    images[0].save(path, save_all=True, append_images=images[1:], **options)
    return path


def tiff_directories(data: bytes) -> list[int]:
    """Where the directories of a little-endian TIFF are."""
    places, at = [], 4
    while place := int.from_bytes(data[at : at + 4], "little"):
        places.append(place)
        at = place + 2 + 12 * int.from_bytes(data[place : place + 2], "little")
    return places


def without_tag(data: bytes, page: int, tag: int) -> bytes:
    """A little-endian TIFF in which a page, from 1, lacks a tag: another number is in its place."""
    spoilt, place = bytearray(data), tiff_directories(data)[page - 1]
    for entry in range(int.from_bytes(data[place : place + 2], "little")):
        at = place + 2 + 12 * entry
        if int.from_bytes(data[at : at + 2], "little") == tag:
            spoilt[at : at + 2] = (65000).to_bytes(2, "little")
    return bytes(spoilt)
