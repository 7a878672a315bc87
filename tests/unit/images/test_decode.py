"""Files and arrays to 8-bit images: orientation, depth, transparency, and what is refused."""

import struct
import zlib

import numpy as np
import pytest
from support.errors import error_of

from digitkit.errors import ImageError, InputNotFoundError, SourceError
from digitkit.images.convert import from_array, to_grey
from digitkit.images.cv import cv2
from digitkit.images.decode import decode, decode_file
from digitkit.images.orientation import read_exif_orientation

UPRIGHT = np.full((40, 30), 255, np.uint8)  # an L upside down
UPRIGHT[5:9, 3:20] = 0
UPRIGHT[5:30, 3:7] = 0


def encode(suffix: str, image: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(suffix, image, options)[1].tobytes()


def tiff_block(orientation: int, order: str) -> bytes:
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HIH", 42, 8, 1)
    return head + struct.pack(f"{order}HHIHHI", 0x0112, 3, 1, orientation, 0, 0)


def with_exif(jpeg: bytes, block: bytes) -> bytes:
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


STORED = {
    1: UPRIGHT, 2: np.fliplr(UPRIGHT), 3: np.rot90(UPRIGHT, 2), 4: np.flipud(UPRIGHT),
    5: UPRIGHT.T, 6: np.rot90(UPRIGHT), 7: np.rot90(UPRIGHT, 2).T, 8: np.rot90(UPRIGHT, 3),
}  # fmt: skip
"""How upright pixels are stored under each EXIF orientation."""


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_orientation(orientation, order):
    stored = np.ascontiguousarray(STORED[orientation])
    block = tiff_block(orientation, order)
    jpeg = with_exif(encode(".jpg", stored, cv2.IMWRITE_JPEG_QUALITY, 100), b"Exif\0\0" + block)
    image = to_grey(decode(jpeg, "x.jpg"))
    assert image.shape == UPRIGHT.shape
    assert np.abs(image.astype(int) - UPRIGHT).mean() < 3
    assert decode(jpeg, "x.jpg", exif=False).shape[:2] == stored.shape
    png = encode(".png", stored)
    body = b"eXIf" + block
    exif = struct.pack(">I", len(block)) + body + struct.pack(">I", zlib.crc32(body))
    assert np.array_equal(to_grey(decode(png[:33] + exif + png[33:], "x.png")), UPRIGHT)


def test_only_exif_data_turns_a_png():
    body = b"tEXtComment\0eXIf" + tiff_block(6, "<")
    text = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    png = encode(".png", UPRIGHT)
    assert decode(png[:33] + text + png[33:], "x").shape[:2] == UPRIGHT.shape


@pytest.mark.parametrize(("kind", "is_turned"), [(b"EXIF", True), (b"XMP ", False)])
def test_only_exif_data_turns_a_webp(kind, is_turned):
    block = tiff_block(6, "<")
    body = block if is_turned else b"EXIF\x20\0\0\0" + block
    chunk = kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    webp = encode(".webp", UPRIGHT)
    webp = webp[:4] + struct.pack("<I", len(webp) - 8 + len(chunk)) + webp[8:] + chunk
    height, width = UPRIGHT.shape
    assert read_exif_orientation(webp) == (6 if is_turned else 1)
    assert decode(webp, "x").shape[:2] == ((width, height) if is_turned else (height, width))


def test_only_exif_data_turns_a_jpeg():
    exif = b"Exif\0\0" + tiff_block(6, "<")
    comment = b"\xff\xfe" + struct.pack(">H", len(exif) + 2) + exif
    plain = encode(".jpg", UPRIGHT)
    assert decode(plain[:2] + comment + plain[2:], "x").shape[:2] == (40, 30)
    profile = (b"\xff\xe2" + struct.pack(">H", 65_000) + bytes(64_998)) * 3
    jpeg = with_exif(plain, exif)
    assert decode(jpeg[:2] + comment + profile + jpeg[2:], "x").shape[:2] == (30, 40)


@pytest.mark.parametrize("broken", [b"", b"Exif\0\0II", b"Exif\0\0MM\0\x2a\xff\xff\xff\xff"])
def test_a_damaged_exif_block_is_ignored(broken):
    assert decode(with_exif(encode(".jpg", UPRIGHT), broken), "x").shape[:2] == (40, 30)


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_of_8_and_16_bits_in_larger_integers(channels):
    image = np.full((6, 8, channels), 255, np.uint8)
    image[..., :-1] = np.arange(0, 240, 5, dtype=np.uint8).reshape(6, 8, 1)
    image[0, 0, :-1], image[0, 1, :-1], image[2:4, 2:5, -1] = 255, 0, (0, 128, 200)
    expected = from_array(image)
    for dtype in (np.uint16, np.int16, np.int32, np.uint64):
        assert np.array_equal(from_array(image.astype(dtype)), expected)
    for dtype in (np.uint16, np.int32, np.uint64):
        assert np.array_equal(from_array(image.astype(dtype) * dtype(257)), expected)
    highest = image.astype(np.uint64) * np.uint64((2**64 - 1) // 255)
    assert np.array_equal(from_array(highest), expected)


def test_16_bit_colour_and_alpha_agree_with_8_bit_grey():
    black, white = (np.full((40, 30, 3), level, np.uint8) for level in (0, 255))
    for image, expected in (
        (UPRIGHT, UPRIGHT),
        ((UPRIGHT > 0).astype(np.uint16) * 5000 + 1000, UPRIGHT),
        (cv2.cvtColor(UPRIGHT, cv2.COLOR_GRAY2BGR), UPRIGHT),
        (np.dstack([black, 255 - UPRIGHT]), UPRIGHT),  # black on nothing: on white
        (np.dstack([white, 255 - UPRIGHT]), 255 - UPRIGHT),  # on black
    ):
        assert np.array_equal(to_grey(decode(encode(".png", image), "x")), expected)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(5), np.zeros((2, 2, 5)), np.zeros((0, 4)), np.array([["a"]]),
        np.zeros((1, 1), "c16"),
    ],
)  # fmt: skip
def test_arrays_that_are_not_images(array):
    assert error_of(ImageError, from_array, array, "x").subject == "x"


PNG, JPEG = encode(".png", UPRIGHT), encode(".jpg", UPRIGHT)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"), (b"hello", "5 bytes"), (PNG[:-5], "truncated"), (PNG[:20], "truncated"),
        (PNG[:50] + b"\0" + PNG[51:], "damaged"), (JPEG[:-30], "truncated"),
        (b"BM" + bytes(16) + struct.pack("<ii", 50_000, -50_000), "50000×50000"),
        (b"GIF89a" + struct.pack("<HH", 65535, 65535), "65535×65535"),
        (encode(".tiff", UPRIGHT)[:-30], ""),
    ],
)  # fmt: skip
def test_files_that_are_not_images(tmp_path, data, word):
    path = tmp_path / "bad file.png"
    path.write_bytes(data)
    error = error_of(ImageError, decode_file, path)
    assert error.subject == str(path)
    assert word in error.problem


def test_a_huge_header_is_refused_with_a_remedy():
    data = PNG[:16] + struct.pack(">II", 50_000, 50_000) + PNG[24:29]
    data += struct.pack(">I", zlib.crc32(data[12:29])) + PNG[33:]
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
