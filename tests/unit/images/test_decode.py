"""Files and arrays to 8-bit images: orientation, depth, transparency, and what is refused."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.errors import error_of

from digitkit.errors import ImageError, InputNotFoundError, SourceError
from digitkit.images.convert import from_array, to_grey
from digitkit.images.decode import decode, decode_file
from digitkit.images.opencv import cv2


def png(image) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def asymmetric() -> np.ndarray:
    image = np.full((40, 30), 255, np.uint8)
    image[5:9, 3:20] = 0
    image[5:30, 3:7] = 0
    return image


def tiff_block(orientation: int, order: str) -> bytes:
    mark = {"<": b"II", ">": b"MM"}[order]
    head = mark + struct.pack(f"{order}HIH", 42, 8, 1)
    return head + struct.pack(f"{order}HHIHHI", 0x0112, 3, 1, orientation, 0, 0)


def with_exif(jpeg: bytes, block: bytes) -> bytes:
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


TURNS = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.T,
    6: lambda a: np.rot90(a),
    7: lambda a: np.rot90(a, 2).T,
    8: lambda a: np.rot90(a, 3),
}
"""How upright pixels are stored under each EXIF orientation."""


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_orientation(orientation, order):
    upright = asymmetric()
    stored = np.ascontiguousarray(TURNS[orientation](upright))
    jpeg = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    data = with_exif(jpeg, b"Exif\x00\x00" + tiff_block(orientation, order))
    image = to_grey(decode(data, "x.jpg"))
    assert image.shape == upright.shape
    assert np.abs(image.astype(int) - upright).mean() < 3
    assert decode(data, "x.jpg", exif=False).shape[:2] == stored.shape


def test_exif_orientation_of_png():
    data = png(np.ascontiguousarray(np.rot90(asymmetric())))
    image = decode(data[:33] + chunk(b"eXIf", tiff_block(6, ">")) + data[33:], "x.png")
    assert np.array_equal(to_grey(image), asymmetric())


@pytest.mark.parametrize(
    "broken", [b"", b"Exif\x00\x00II", b"Exif\x00\x00MM\x00\x2a\xff\xff\xff\xff"]
)
def test_a_damaged_exif_block_is_ignored(broken):
    jpeg = cv2.imencode(".jpg", asymmetric())[1].tobytes()
    assert decode(with_exif(jpeg, broken), "x").shape[:2] == (40, 30)


def test_16_bit_colour_and_alpha_agree_with_8_bit_grey():
    grey = asymmetric()
    images = [
        grey,
        (grey > 0).astype(np.uint16) * 5000 + 1000,
        cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR),
        np.dstack([np.zeros((40, 30, 3), np.uint8), 255 - grey]),  # black on nothing: on white
    ]
    for image in images:
        assert np.array_equal(to_grey(decode(png(image), "x")), grey)
    light = np.dstack([np.full((40, 30, 3), 255, np.uint8), 255 - grey])  # on black
    assert np.array_equal(to_grey(decode(png(light), "x")), 255 - grey)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(5), np.zeros((2, 2, 5)), np.zeros((0, 4)), np.array([["a"]]),
        np.zeros((1, 1), "c16"),
    ],
)  # fmt: skip
def test_arrays_that_are_not_images(array):
    assert error_of(ImageError, from_array, array, "x").subject == "x"


def test_files_that_are_not_images(tmp_path):
    whole, jpeg = png(asymmetric()), cv2.imencode(".jpg", asymmetric())[1].tobytes()
    path = tmp_path / "bad file.png"
    for data, word in (
        (b"", "empty"), (b"hello", "5 bytes"), (whole[:-5], "truncated"), (whole[:20], "truncated"),
        (whole[:50] + b"\x00" + whole[51:], "damaged"), (jpeg[:-30], "truncated"),
    ):  # fmt: skip
        path.write_bytes(data)
        error = error_of(ImageError, decode_file, path)
        assert error.subject == str(path)
        assert word in error.problem


def test_a_huge_header_is_refused_with_a_remedy():
    data = b"\x89PNG\r\n\x1a\n"
    data += chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0))
    data += chunk(b"IDAT", zlib.compress(b"\x00")) + chunk(b"IEND", b"")
    assert "OPENCV_IO_MAX_IMAGE_PIXELS" in error_of(ImageError, decode, data, "huge.png").hint


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, InputNotFoundError) for name in ("none.png", "file/below.png", "a\0b")),
        (".", ImageError),
        ("x" * 300, SourceError),
    ],
)
def test_paths_that_cannot_be_read(tmp_path, monkeypatch, name, kind):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    assert error_of(kind, decode_file, name).subject == name


@settings(max_examples=60)
@given(st.binary(max_size=400), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"BM"]))
def test_any_bytes_decode_or_are_refused(data, head):
    try:
        image = decode(head + data, "x")
    except ImageError as error:
        assert error.subject == "x"
        assert "\n" not in str(error)
    else:
        assert image.dtype == np.uint8
