"""JPEG and PNG files that lie, or take long: found by their segments and chunks."""

import struct
import zlib

import numpy as np
import pytest

from digitkit.errors import ImageError
from digitkit.images import guards
from digitkit.images.cv import cv2
from digitkit.images.decode import decode
from digitkit.images.guards import MAX_JPEG_SCANS, MAX_JPEG_SEGMENTS, MAX_PNG_TEXTS

IMAGE = np.full((24, 16), 240, np.uint8)
IMAGE[4:20, 7:10] = 30
JPEG, PROGRESSIVE = (
    cv2.imencode(".jpg", IMAGE, (cv2.IMWRITE_JPEG_PROGRESSIVE, progressive))[1].tobytes()
    for progressive in (0, 1)
)
FRAME, SCAN, END = b"\xff\xc0", b"\xff\xda", b"\xff\xd9"


def segment(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, kind, 2 + len(body)) + body


@pytest.mark.parametrize("gap", [b"abc", b"\xff\xd0", b"\xff\x01", b"\xff\x00", b"\xff\xff"])
@pytest.mark.parametrize("frame", [b"\xff\xc0", b"\xff\xc9"], ids=["usual", "arithmetic"])
def test_a_lying_size_behind_a_gap(gap, frame):
    at = JPEG.index(FRAME)
    size = struct.pack(">HH", 14000, 14000)
    data = JPEG[:at] + gap + frame + JPEG[at + 2 : at + 5] + size + JPEG[at + 9 :]
    with pytest.raises(ImageError) as caught:
        decode(data, "x")
    assert "14000×14000" in caught.value.problem


def test_the_end_of_a_thumbnail_is_not_that_of_the_file():
    data = JPEG[:2] + segment(0xE1, b"Exif\0\0" + JPEG) + JPEG[2:]
    assert decode(data, "x").shape == IMAGE.shape
    assert decode(data + b"appended" + PROGRESSIVE, "x").shape == IMAGE.shape
    with pytest.raises(ImageError) as caught:
        decode(data[:-30], "x")
    assert "truncated" in caught.value.problem


def test_many_scans_and_segments():
    scan = PROGRESSIVE[PROGRESSIVE.rindex(SCAN) :].removesuffix(END)
    assert decode(PROGRESSIVE.removesuffix(END) + scan * 50 + END, "x").shape == IMAGE.shape
    for data in (
        PROGRESSIVE.removesuffix(END) + scan * MAX_JPEG_SCANS + END,
        JPEG[:2] + segment(0xE2, b"") * MAX_JPEG_SEGMENTS + JPEG[2:],
    ):
        with pytest.raises(ImageError) as caught:
            decode(data, "x")
        assert "too many" in caught.value.problem


PNG = cv2.imencode(".png", IMAGE)[1].tobytes()
HEADER = 33  # bytes up to the end of the first chunk


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize(
    ("kind", "most"), [(b"zTXt", MAX_PNG_TEXTS), (b"iTXt", MAX_PNG_TEXTS), (b"teXt", 500)]
)
def test_many_chunks(monkeypatch, kind, most):
    monkeypatch.setattr(guards, "MAX_PNG_CHUNKS", 503)  # header, pixels and end count
    one = chunk(kind, b"a\0\0" + zlib.compress(b"text"))
    assert decode(PNG[:HEADER] + one * most + PNG[HEADER:], "x").shape == IMAGE.shape
    with pytest.raises(ImageError) as caught:
        decode(PNG[:HEADER] + one * (most + 1) + PNG[HEADER:], "x")
    assert "too many" in caught.value.problem
