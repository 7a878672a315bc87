from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from digitkit import Classifier
from digitkit.errors import ImageError, InputNotFoundError, SourceError
from digitkit.images.convert import from_array, to_grey
from digitkit.images.decode import decode, decode_file
from digitkit.images.ink import _even_light, _otsu, _stretch, ink_is_dark
from digitkit.images.normal_form import digit_image, normal_form
from digitkit.images.opencv import cv2

# --- generated cases -------------------------------------------------------------------------


def close(a, b, most=22.0):
    """Whether two normal forms show the same digit, by the mean difference of their ink."""
    a, b = (cv2.GaussianBlur(i, (5, 5), 0).astype(float) for i in (a, b))
    return np.abs(a - b).mean() < most


@pytest.mark.parametrize("digit", range(10))
@pytest.mark.parametrize("size", [8, 28, 41, 300, 1200])
@pytest.mark.parametrize("dark", [False, True])
def test_size_and_polarity_do_not_matter(one_of_each, digit, size, dark):
    image = cv2.resize(one_of_each[digit], (size, size), interpolation=cv2.INTER_AREA)
    image = 255 - image if dark else image
    form = digit_image(image)
    assert form.dtype == np.uint8
    assert form.shape == (28, 28)
    assert close(form, one_of_each[digit], 25 if size == 8 else 16)


@pytest.mark.parametrize("digit", range(10))
def test_a_digit_cropped_to_its_ink_keeps_its_polarity(one_of_each, digit):
    image = one_of_each[digit]
    x, y, w, h = cv2.boundingRect((image > 60).astype(np.uint8))
    tight = image[y : y + h, x : x + w]
    assert not ink_is_dark(tight)
    assert ink_is_dark(255 - tight)


def stretched(ink):
    """The slow way: percentiles as NumPy has them, whatever the values."""
    bright = cv2.threshold(ink, 0, 255, cv2.THRESH_OTSU)[1] > 0
    strokes, paper = np.percentile(ink[bright], 75), np.median(ink[~bright])
    gain = 255 / max(strokes - paper, 1.0)
    return cv2.convertScaleAbs(np.maximum(ink, round(paper)), alpha=gain, beta=-paper * gain)


@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(2, 9), st.integers(2, 9))), st.sampled_from([0, 90])
)
def test_strokes_and_paper_are_percentiles(ink, under):
    ink[ink < under] = 0  # paper of one grey level is the common case
    if ink.min() != ink.max():
        assert np.array_equal(_stretch(ink, _otsu(ink)), stretched(ink))


@pytest.mark.parametrize("paper", [0, 40])
@pytest.mark.parametrize("spot", [0, 9])
def test_even_light_is_evened_as_uneven_light_is(one_of_each, paper, spot):
    ink = paper + cv2.resize(one_of_each[8], (100, 100)) // 2
    ink[:60, :60] += np.uint8(spot)
    kernel = np.ones((33, 33), np.uint8)
    under = cv2.blur(cv2.morphologyEx(ink, cv2.MORPH_OPEN, kernel), (33, 33))
    assert np.array_equal(_even_light(ink), cv2.subtract(ink, under))


@pytest.mark.parametrize("dx", [-60, 0, 55])
@pytest.mark.parametrize("dy", [-50, 0, 60])
def test_place_does_not_matter(one_of_each, dx, dy):
    page = np.zeros((240, 240), np.uint8)
    page[60 + dy : 172 + dy, 64 + dx : 176 + dx] = cv2.resize(one_of_each[5], (112, 112))
    middle = np.zeros((240, 240), np.uint8)
    middle[60:172, 64:176] = cv2.resize(one_of_each[5], (112, 112))
    assert close(digit_image(page), digit_image(middle), 5)


def test_mnist_box_and_centre(one_of_each):
    for digit in one_of_each:
        form = digit_image(cv2.resize(digit, (200, 130)))
        _, _, w, h = cv2.boundingRect((form > 40).astype(np.uint8))
        assert max(w, h) in (19, 20)
        m = cv2.moments(form)
        assert m["m10"] / m["m00"] == pytest.approx(14, abs=0.75)
        assert m["m01"] / m["m00"] == pytest.approx(14, abs=0.75)


@pytest.mark.parametrize("width", [1, 3, 12, 40])
def test_stroke_width_is_brought_near_to_mnists(width):
    page = np.full((300, 300), 240, np.uint8)
    cv2.circle(page, (150, 150), 100, 30, width, cv2.LINE_AA)
    form = digit_image(page)
    assert form.max() > 200
    share = (form > 127).mean()
    assert 0.04 < share < 0.35


def test_mnists_own_images_pass_all_but_unchanged(mnist_train):
    images = mnist_train.images[:2000]
    assert all(np.array_equal(normal_form(image), image) for image in images)
    # From a file, the grey levels are stretched by a hair.
    away = [np.abs(digit_image(image).astype(int) - image).max() for image in images]
    assert np.median(away) <= 3
    assert max(away) <= 60


def test_mnist_from_files_costs_no_accuracy(mnist_test, shipped):
    """At most 0.05 points, all 10,000 test images through PNG files and the pixel path."""
    forms = np.stack([digit_image(decode(png(image), "x")) for image in mnist_test.images])
    model = Classifier(shipped)
    direct = (model.probabilities(mnist_test.images).argmax(1) == mnist_test.labels).mean()
    through = (model.probabilities(forms).argmax(1) == mnist_test.labels).mean()
    assert through >= direct - 0.0005


def test_uneven_light_is_no_ink(one_of_each):
    big = cv2.resize(one_of_each[3], (400, 400), interpolation=cv2.INTER_CUBIC).astype(float)
    light = np.linspace(110, 250, 400)[None, :].repeat(400, 0)
    page = (light * (1 - 0.75 * big / 255)).astype(np.uint8)
    assert close(digit_image(page), digit_image(big.astype(np.uint8)), 12)


def test_one_colour_is_refused():
    with pytest.raises(ImageError, match=r"x\.png: is of a single colour"):
        digit_image(np.full((50, 50), 7, np.uint8), "x.png")


# --- properties ------------------------------------------------------------------------------

kinds = st.sampled_from([np.bool_, np.uint8, np.uint16, np.int32, np.float32, np.float64])
shapes = st.one_of(
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.tuples(st.integers(1, 70), st.integers(1, 70), st.integers(1, 4)),
)


@settings(max_examples=150)
@given(st.data())
def test_any_array_gives_a_normal_form_or_one_colour(data):
    array = data.draw(hnp.arrays(data.draw(kinds), data.draw(shapes)))
    image = from_array(array)
    assert image.dtype == np.uint8
    try:
        form = digit_image(image)
    except ImageError as error:
        assert "single colour" in str(error)
        return
    assert form.dtype == np.uint8
    assert form.shape == (28, 28)


@settings(max_examples=60)
@given(st.binary(max_size=400), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"BM"]))
def test_any_bytes_decode_or_are_refused(data, head):
    try:
        image = decode(head + data, "x")
    except ImageError as error:
        assert str(error).startswith("x: ")
        assert "\n" not in str(error)
    else:
        assert image.dtype == np.uint8


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(0, 40))
def test_inverting_a_picture_changes_nothing(seed, pad):
    rng = np.random.default_rng(seed)
    page = np.zeros((60 + pad, 60), np.uint8)
    points = rng.integers(10, 50, (4, 1, 2)).astype(np.int32)
    cv2.polylines(page, [points], False, 255, 5)
    assert close(digit_image(page), digit_image(255 - page), 1.0)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(5),
        np.zeros((2, 2, 5)),
        np.zeros((0, 4)),
        np.array([["a"]]),
        np.zeros((1, 1), "c16"),
    ],
)
def test_what_is_no_image(array):
    with pytest.raises(ImageError):
        from_array(array)


# --- decoding --------------------------------------------------------------------------------


def png(image) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def asymmetric() -> np.ndarray:
    image = np.full((40, 30), 255, np.uint8)
    image[5:9, 3:20] = 0
    image[5:30, 3:7] = 0
    return image


def with_exif(jpeg: bytes, orientation: int, order: str = "<") -> bytes:
    mark = {"<": b"II", ">": b"MM"}[order]
    tiff = mark + struct.pack(f"{order}HIH", 42, 8, 1)
    tiff += struct.pack(f"{order}HHIHHI", 0x0112, 3, 1, orientation, 0, 0)
    block = b"Exif\x00\x00" + tiff
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
    image = to_grey(decode(with_exif(jpeg, orientation, order), "x.jpg"))
    assert image.shape == upright.shape
    assert np.abs(image.astype(int) - upright).mean() < 3


def test_exif_orientation_of_png():
    stored = np.ascontiguousarray(np.rot90(asymmetric()))
    data = png(stored)
    tiff = b"MM" + struct.pack(">HIH", 42, 8, 1) + struct.pack(">HHIHHI", 0x0112, 3, 1, 6, 0, 0)
    chunk = b"eXIf" + tiff
    chunk = struct.pack(">I", len(tiff)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    image = decode(data[:33] + chunk + data[33:], "x.png")
    assert np.array_equal(to_grey(image), asymmetric())


@pytest.mark.parametrize(
    "broken", [b"", b"Exif\x00\x00II", b"Exif\x00\x00MM\x00\x2a\xff\xff\xff\xff"]
)
def test_a_damaged_exif_block_is_passed_over(broken):
    jpeg = cv2.imencode(".jpg", asymmetric())[1].tobytes()
    data = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(broken) + 2) + broken + jpeg[2:]
    assert decode(data, "x").shape[:2] == (40, 30)


def test_16_bit_colour_and_alpha_agree_with_8_bit_grey():
    grey = asymmetric()
    forms = [
        digit_image(decode(png(image), "x"))
        for image in (
            grey,
            grey.astype(np.uint16) * 200 + 1000,
            cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR),
            np.dstack([np.zeros((40, 30, 3), np.uint8), 255 - grey]),
            np.dstack([np.full((40, 30, 3), 255, np.uint8), 255 - grey]),
        )
    ]
    for form in forms[1:]:
        assert close(form, forms[0], 3)


def test_files_that_are_no_images(tmp_path):
    whole = png(asymmetric())
    jpeg = cv2.imencode(".jpg", asymmetric())[1].tobytes()
    cases = {
        b"": "the file is empty",
        b"hello": "not an image OpenCV can decode",
        whole[:-5]: "truncated",
        whole[:20]: "truncated",
        whole[:50] + b"\x00" + whole[51:]: "damaged",
        jpeg[:-30]: "truncated",
    }
    path = tmp_path / "bad file.png"
    for data, message in cases.items():
        path.write_bytes(data)
        with pytest.raises(ImageError, match=message) as caught:
            decode_file(path)
        assert str(caught.value).startswith(f"{path}: ")


def test_a_huge_header_is_refused_by_name():
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    parts = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(b"\x00")), (b"IEND", b"")):
        parts += struct.pack(">I", len(body)) + kind + body
        parts += struct.pack(">I", zlib.crc32(kind + body))
    with pytest.raises(ImageError, match="larger than 200 megapixels"):
        decode(parts, "huge.png")


def test_paths_that_cannot_be_read(tmp_path):
    with pytest.raises(InputNotFoundError, match="does not exist"):
        decode_file(tmp_path / "none.png")
    with pytest.raises(ImageError, match="is a folder"):
        decode_file(tmp_path)
    with pytest.raises(InputNotFoundError, match="is no path"):
        decode_file("a\0b")
    with pytest.raises(SourceError, match="cannot be read"):
        decode_file(tmp_path / ("x" * 300))
