"""Damaged and lying image files: each gives a one-line error or an image, and nothing else.

Files are decoded in fresh processes, so that crashes, lines printed by decoders and the memory they
take are noticed.
"""

import json
import os
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from support.paths import ROOT

from digitkit.errors import ImageError
from digitkit.images.convert import to_grey
from digitkit.images.cv import cv2
from digitkit.images.decode import decode

GROWTH = 100_000_000  # most bytes that damaged files may take beyond what an intact one takes
FLIPPED = 300  # files with flipped bits, of each kind
PNG = b"\x89PNG\r\n\x1a\n"

IMAGE = np.full((24, 16, 3), 240, np.uint8)  # a 1 on paper, in colour
IMAGE[4:20, 7:10] = (90, 40, 20)


def encoded(suffix: str, image: np.ndarray = IMAGE, *options: int) -> bytes:
    return cv2.imencode(suffix, image, options)[1].tobytes()


def samples() -> dict[str, bytes]:
    """A small intact file of each kind that this OpenCV writes."""
    grey = IMAGE[:, :, 0]
    files = {
        "png": encoded(".png"), "jpg": encoded(".jpg"), "bmp": encoded(".bmp"),
        "tiff": encoded(".tiff"), "pgm": encoded(".pgm", grey),
        "alpha.png": encoded(".png", np.dstack([IMAGE, 255 - grey])),
        "16.png": encoded(".png", IMAGE.astype(np.uint16) * 200),
        "progressive.jpg": encoded(".jpg", IMAGE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        "webp": encoded(".webp", IMAGE, cv2.IMWRITE_WEBP_QUALITY, 80),
        "lossless.webp": encoded(".webp", IMAGE, cv2.IMWRITE_WEBP_QUALITY, 101),
        "raw.tiff": encoded(".tiff", IMAGE, cv2.IMWRITE_TIFF_COMPRESSION, 1),
        "text.pgm": encoded(".pgm", grey, cv2.IMWRITE_PXM_BINARY, 0),
    }  # fmt: skip
    return files | ({"gif": encoded(".gif")} if cv2.haveImageWriter("x.gif") else {})


def damaged(data: bytes) -> Iterator[bytes]:
    """Every prefix (of a larger file, a thousand), files with 1 to 4 bits flipped, and both."""
    for end in range(0, len(data), 1 + len(data) // 1000):
        yield data[:end]
    rng = np.random.default_rng(len(data))
    for number in range(FLIPPED):
        flipped = bytearray(data)
        for _ in range(rng.integers(1, 5)):
            flipped[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        yield bytes(flipped)
        if png_chunks(bytes(flipped)):  # with right checksums, so that damage reaches the decoder
            yield PNG + b"".join(chunk(*part) for part in png_chunks(bytes(flipped)))
        if number % 4 == 0:
            yield bytes(flipped[: rng.integers(len(data))]) + data[-12:]


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and body of each chunk that a PNG file holds in full; none for other files."""
    chunks, position = [], len(PNG)
    while data.startswith(PNG) and position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        chunks.append((data[position + 4 : position + 8], data[position + 8 :][:length]))
        position += 12 + length
    return chunks


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int = 8, colour: int = 0, rows: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows or bytes(50), 1)), (b"IEND", b""))
    return PNG + b"".join(chunk(*part) for part in parts)


def patch(data: bytes, offset: int, layout: str, *values: int) -> bytes:
    """A file with some numbers replaced."""
    patched = bytearray(data)
    struct.pack_into(layout, patched, offset, *values)
    return bytes(patched)


def bmp(width: int, height: int, bits: int = 24, compression: int = 0) -> bytes:
    return patch(encoded(".bmp"), 18, "<iiHHI", width, height, 1, bits, compression)


def jpeg(width: int, height: int, progressive: bool = False) -> bytes:
    data = encoded(".jpg", IMAGE, cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive))
    start = data.find(b"\xff\xc2" if progressive else b"\xff\xc0")
    return patch(data, start + 5, ">HH", height, width)


def tiff(width: int, height: int, compression: int = 1) -> bytes:
    data = encoded(".tiff", IMAGE, cv2.IMWRITE_TIFF_COMPRESSION, compression)
    (start,) = struct.unpack_from("<I", data, 4)
    for place in range(start + 2, start + 2 + 12 * data[start], 12):
        (tag,) = struct.unpack_from("<H", data, place)
        if tag in (256, 257, 278):  # width, height, rows in a strip
            value = width if tag == 256 else height
            data = patch(data, place, "<HHII", tag, 4, 1, value)
    return data


def webp(width: int, height: int) -> bytes:
    canvas = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    inner = samples()["lossless.webp"][12:]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + canvas + inner
    return b"RIFF" + struct.pack("<I", len(body)) + body


def lies() -> dict[str, bytes]:
    """Small files whose headers claim what they do not hold."""
    most, large = 2**31 - 1, (14000, 14000)
    files = {
        "most.png": png(most, most), "wide.png": png(most, 1), "beyond.png": png(2**32 - 1, 5),
        "large.png": png(*large), "deep.png": png(*large, 16, 6),
        "most.bmp": bmp(most, most), "least.bmp": bmp(-(2**31), -(2**31)),
        "upside-down.bmp": bmp(10, -(2**31)), "negative.bmp": bmp(-5, 5),
        "large.bmp": bmp(14000, -14000, 32), "run-length.bmp": bmp(*large, 8, 1),
        "most.jpg": jpeg(65535, 65535), "large.jpg": jpeg(*large),
        "progressive.jpg": jpeg(*large, True), "flat.jpg": jpeg(10, 0),
        "most.pgm": b"P5\n99999 99999\n255\n" + bytes(50),
        "large.pgm": b"P5\n14000 14000\n255\n" + bytes(50),
        "text.pgm": b"P2\n14000 14000\n255\n1 2 3",
        "beyond.pgm": b"P5\n99999999999999999999 9\n255\n" + bytes(50),
        "negative.pgm": b"P5\n-5 9\n255\n" + bytes(50),
        "most.tiff": tiff(most, most), "beyond.tiff": tiff(2**32 - 1, 2**32 - 1),
        "large.tiff": tiff(*large), "packed.tiff": tiff(*large, 5),
        "most.webp": webp(2**24, 2**24), "large.webp": webp(*large),
    }  # fmt: skip
    if cv2.haveImageWriter("x.gif"):
        for name, size in (("most.gif", (65535, 65535)), ("large.gif", large)):
            files[name] = patch(encoded(".gif"), 6, "<HH", *size)
    return files


def peak(field: str = "VmHWM") -> int:
    """Peak (or other) memory of this process, bytes; 0 where it is not available."""
    # Not getrusage: its peak includes the process that started this one.
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(field))


def decode_or_refuse(data: bytes, name: str) -> str:
    """The error's problem, or empty where an image results; anything else fails."""
    try:
        image = decode(data, name)
    except ImageError as error:
        assert error.subject == name, error
        assert len(str(error).splitlines()) == 1, error
        return error.problem
    assert image.dtype == np.uint8
    assert image.ndim == 2 or image.shape[2] == 3
    return ""


def in_a_child(call: str) -> object:
    """The result of a call in this module, run in a fresh process that prints nothing."""
    code = f"import json; from test_hostile import *; print(json.dumps({call}))"
    folders = (ROOT, ROOT / "tests", Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def decode_all(files: dict[str, Iterable[bytes]]) -> dict[str, tuple[list[str], int]]:
    """For each kind of file: the problems, and how much memory grew at most."""
    assert not any(decode_or_refuse(data, kind) for kind, data in samples().items())
    results = {}
    for kind, versions in files.items():
        before = peak()
        results[kind] = ([decode_or_refuse(data, kind) for data in versions], peak() - before)
    return results


def test_damaged_files():
    results = in_a_child("decode_all({k: damaged(data) for k, data in samples().items()})")
    assert set(results) == set(samples())
    for kind, (problems, growth) in results.items():
        assert len(problems) - problems.count("") > 20, kind
        assert len(problems) > FLIPPED, kind
        assert growth < GROWTH, kind
    # Every change of a PNG file is found, except where its checksums were put right.
    problems, _ = results["png"]
    assert problems.count("") < len(problems) / 2


def test_lying_headers():
    results = in_a_child("decode_all({name: [data] for name, data in lies().items()})")
    assert set(results) == set(lies())
    for name, ((problem,), growth) in results.items():
        assert problem, f"{name} gave an image"
        assert growth < GROWTH, name
        if name in ("large.jpg", "progressive.jpg", "run-length.bmp", "packed.tiff"):
            assert "14000×14000" in problem


def decode_in_little_memory() -> str:
    """The problem of an intact image of 120 megapixels where 80 MB are left."""
    import resource

    data = png(12000, 10000, rows=bytes(12001 * 10000))
    decode(samples()["png"], "x")
    limit = peak("VmSize") + (80 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    return decode_or_refuse(data, "x")


linux = pytest.mark.skipif(sys.platform != "linux", reason="limits or reads memory as on Linux")


@linux
def test_too_little_memory_is_reported():
    assert "memory" in in_a_child("decode_in_little_memory()")


def growth_on_six_megapixels(depth: int, colour: int, values: int) -> int:
    """How much memory grows for an intact PNG file, bytes."""
    row = b"\0" + bytes([128, 200] * (3000 * values * depth // 16))
    data = png(3000, 2000, depth, colour, row * 2000)
    ((problem,), growth) = decode_all({"x": [data]})["x"]
    assert problem == ""
    return growth


@linux
@pytest.mark.parametrize(("depth", "colour", "values"), [(16, 6, 4), (8, 6, 4), (16, 2, 3)])
def test_depth_and_transparency_take_little_memory(depth, colour, values):
    """At most 20 bytes per pixel; in one piece, the arithmetic would take 36 to 69."""
    assert in_a_child(f"growth_on_six_megapixels({depth}, {colour}, {values})") < 120e6


@pytest.mark.parametrize(
    ("suffix", "shape", "options"),
    [
        (".jpg", (4000, 4000), (cv2.IMWRITE_JPEG_OPTIMIZE, 1)),
        (".jpg", (4000, 4000), (cv2.IMWRITE_JPEG_OPTIMIZE, 1, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
        (".gif", (3300, 3300, 3), ()),
    ],
)
def test_blank_large_images_are_accepted(suffix, shape, options):
    if not cv2.haveImageWriter(f"x{suffix}"):
        pytest.skip(f"this OpenCV writes no {suffix}")
    data = encoded(suffix, np.full(shape, 255, np.uint8), *options)
    assert decode(data, "x").shape[:2] == shape[:2]


def test_an_os2_bitmap():
    """Its header has 16-bit sizes where others have 32-bit ones."""
    rows = bytes([10, 20, 30, 200, 210, 220, 0, 0] * 2)
    head = struct.pack("<IHHI", 26 + len(rows), 0, 0, 26)
    data = b"BM" + head + struct.pack("<IHHHH", 12, 2, 2, 1, 24) + rows
    assert np.allclose(to_grey(decode(data, "x")), [[22, 212]] * 2, atol=1)


@pytest.mark.parametrize(("threads", "printed"), [(1, ""), (2, "a decoder's line")])
def test_decoders_are_silenced_unless_other_threads_run(monkeypatch, capfd, threads, printed):
    def talkative(*_):
        os.write(2, b"a decoder's line")
        return IMAGE

    monkeypatch.setattr(cv2, "imdecode", talkative)
    monkeypatch.setattr(threading, "active_count", lambda: threads)
    decode(b"x", "x")
    assert capfd.readouterr().err == printed
    os.write(2, b"afterwards")
    assert capfd.readouterr().err == "afterwards"


def decode_without_stderr() -> str:
    """As in a service whose standard error is closed."""
    os.close(2)
    return decode_or_refuse(samples()["jpg"], "x") + decode_or_refuse(jpeg(16, 100), "x")


def test_without_a_standard_error():
    assert in_a_child("decode_without_stderr()") == ""
