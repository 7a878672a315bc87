"""What Python code may pass as an image, and what it may not."""

import io
from pathlib import Path

import numpy as np
import pytest
from support.documents import pages_of, without_tag, write_tiff
from support.errors import error_of

from digitkit import DigitkitError, Failure, Reader, Reading
from digitkit.errors import ImageError, InputNotFoundError, InputTypeError, SourceError
from digitkit.images.cv import cv2
from digitkit.sources.files import load_frame
from digitkit.sources.objects import load_object


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader("digits-tiny", min_confidence=0)


@pytest.fixture
def scan(tmp_path, one_of_each) -> Path:
    return write_tiff(tmp_path / "scan.tiff", pages_of(one_of_each))


def test_bytes_and_files_are_read_as_paths_are(reader, digit_file):
    path = digit_file(4, size=100)
    data, expected = path.read_bytes(), reader.read(path)
    for same in (data, bytearray(data), memoryview(data), io.BytesIO(data)):
        reading = reader.read(same)
        assert reading.digits == expected.digits
        assert reading.source in ("bytes", "bytearray", "memoryview", "file")
    with path.open("rb") as file:
        assert reader.read(file).source == str(path)
    with path.open("rb") as file:
        several = reader.read(image for image in (str(path), data, file))
    assert [reading.text for reading in several] == [expected.text] * 3


def test_addresses_are_no_files(reader):
    address = "https://me:geheim@host/x.png"
    assert error_of(SourceError, reader.read, address).subject == "https://me:***@host/x.png"
    (failure,) = reader.stream([address])
    assert failure.source == "https://me:***@host/x.png"
    assert "geheim" not in failure.error


def test_pages(reader, scan):
    error = error_of(ImageError, reader.read, scan)
    assert "5 pages" in error.problem
    assert "read_pages" in error.hint
    assert f"{scan}#1" in error.hint
    error = error_of(ImageError, reader.read, scan.read_bytes())  # whose pages have no names
    assert "read_pages" in error.hint
    assert "#1" not in error.hint
    readings = list(reader.read_pages(scan))
    assert [(r.source, r.page) for r in readings] == [(str(scan), page) for page in range(1, 6)]
    assert list(readings[1].to_json())[:3] == ["source", "page", "text"]
    assert reader.read(f"{scan}#2").digits == readings[1].digits
    assert [r.digits for r in reader.stream(scan)] == [r.digits for r in readings]
    assert [r.page for r in reader.stream([f"{scan}#4", scan.read_bytes()])] == [4, 1, 2, 3, 4, 5]
    scan.write_bytes(without_tag(scan.read_bytes(), 3, 273))
    for same in (scan, scan.read_bytes()):
        kinds = [type(result) for result in reader.read_pages(same)]
        assert kinds == [Reading, Reading, Failure, Reading, Reading]
    error_of(ImageError, reader.read, f"{scan}#3")
    (failure,) = reader.read_pages(scan.with_name("none.tiff"))
    assert failure.error == "does not exist"


def test_none_is_explained(reader):
    assert "cv2.imread" in error_of(InputTypeError, reader.read, None).problem
    assert "cv2.imread" in error_of(InputTypeError, reader.read, [None]).problem
    (failure,) = reader.stream([None])
    assert failure.source == "NoneType"
    assert "cv2.imread" in failure.error


@pytest.mark.parametrize("wrong", [5, 1.5, object(), len, Path, [[1, 2]], {"a": 1}.items()])
def test_what_is_no_image(reader, wrong):
    error = error_of(InputTypeError, reader.read, wrong)
    assert isinstance(error, DigitkitError)
    assert isinstance(error, TypeError)
    assert str(error).startswith("got ")
    (failure,) = reader.stream(wrong)
    assert isinstance(failure, Failure)


def test_files_that_give_no_image(reader, digit_file):
    text = io.StringIO("text")
    assert "binary mode" in error_of(InputTypeError, reader.read, text).hint
    with digit_file(1).open(encoding="utf-8") as undecodable:
        assert "binary mode" in error_of(InputTypeError, reader.read, undecodable).hint
    closed = io.BytesIO(b"x")
    closed.close()
    error_of(SourceError, reader.read, closed)
    with digit_file(1).open("ab") as file:
        error_of(SourceError, reader.read, file)
    for empty in (b"", io.BytesIO(), bytearray()):
        error_of(ImageError, reader.read, empty)
    assert "array" in str(error_of(ImageError, reader.read, np.array(["a"])))
    results = list(reader.stream([b"", text, closed, digit_file(1)]))
    assert [type(result) for result in results] == [Failure, Failure, Failure, Reading]


def test_names_of_files_are_safe_to_display(reader, digit_file):
    file = io.BytesIO(digit_file(4).read_bytes())
    file.name = b"b\xff.png"
    reader.read(file).source.encode()


def test_too_large_a_file(reader, monkeypatch):
    monkeypatch.setattr("digitkit.sources.objects.MAX_FILE_BYTES", 10)
    error_of(ImageError, reader.read, io.BytesIO(b"x" * 11))


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "", "a\0b#1"])
def test_impossible_names(reader, name):
    with pytest.raises((InputNotFoundError, SourceError, ImageError)):
        reader.read(name)
    with pytest.raises((InputNotFoundError, SourceError, ImageError)):
        load_frame(name)
    (failure,) = reader.stream([name])
    assert isinstance(failure, Failure)


def test_an_empty_name_is_not_the_current_folder(reader):
    assert "empty" in error_of(InputNotFoundError, reader.read, "").problem
    (failure,) = reader.stream([""])
    assert "empty" in failure.error


# --- Pillow ---


@pytest.fixture
def page(one_of_each):
    """An image of Pillow: a digit on paper, grey."""
    pillow = pytest.importorskip("PIL.Image", reason="needs Pillow, as [dev] brings it")
    return pillow.fromarray(pages_of(one_of_each, "7")[0])


MODES = (
    "1",
    "L",
    "P",
    "RGB",
    "RGBA",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
    "I",
    "F",
    "LA",
    "RGBX",
    "I;16",
)


@pytest.mark.parametrize("mode", MODES)
def test_any_mode_of_pillow(reader, page, mode):
    if mode == "LAB":
        from PIL import ImageCms

        change = ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
        )
        image = ImageCms.applyTransform(page.convert("RGB"), change)
    else:
        image = page.convert(mode, dither=0)
    assert image.mode == mode
    frame = load_object(image)
    assert frame.shape == (page.height, page.width)
    assert frame.image.dtype == np.uint8
    assert reader.read(image).text == "7"
    assert reader.read([image, image])[1].source == "image"


def test_colours_and_transparency_of_pillow(page):
    from PIL import Image

    red = Image.new("RGB", (80, 70), (255, 0, 0))
    assert load_object(red).image[0, 0].tolist() == [0, 0, 255]  # BGR
    clear = Image.new("RGBA", (80, 70), (0, 0, 0, 0))
    clear.paste((10, 10, 10, 255), (20, 20, 40, 40))
    for image in (
        clear,
        clear.convert("PA"),
        clear.convert("LA").convert("La"),
        clear.convert("RGBa"),
    ):
        seen = load_object(image).image
        assert seen[0, 0].tolist() in ([255, 255, 255], 255)
        assert int(seen[30, 30].max()) < 20
    keyed = Image.new("RGB", (80, 70), (1, 2, 3))
    keyed.paste((10, 10, 10), (20, 20, 40, 40))
    keyed.info["transparency"] = (1, 2, 3)
    assert load_object(keyed).image[0, 0].tolist() == [255, 255, 255]


def test_16_bits_and_transparency_of_pillow(tmp_path, page):
    from PIL import Image

    path = tmp_path / "x.png"
    deep = Image.fromarray(np.asarray(page).astype(np.uint16) * 257)
    deep.save(path, transparency=240 * 257)
    with Image.open(path) as image:
        assert image.info["transparency"] == 240 * 257
        assert np.array_equal(load_object(image).image, load_object(path).image)


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_transparency_of_a_palette_that_is_gone(page, mode):
    image = page.convert(mode, dither=0)
    image.info["transparency"] = b"\0\1"
    plain = load_object(page.convert(mode, dither=0)).image
    assert np.array_equal(load_object(image).image, plain)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_pillow_obeys_the_orientation(tmp_path, page, suffix):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / f"x{suffix}"
    page.convert("RGB").rotate(90, expand=True).save(path, exif=exif)
    with Image.open(path) as image:
        frame = load_object(image)
        assert frame.shape == (page.height, page.width)
        assert frame.source == str(path)
    assert frame.shape == load_frame(path).shape
    if suffix != ".tif":  # which Pillow turns itself, as OpenCV does
        with Image.open(path) as image:
            assert load_object(image, exif=False).shape == (page.width, page.height)


def test_damaged_files_that_pillow_opened(reader, tmp_path, page):
    from PIL import Image

    path = tmp_path / "x.png"
    page.save(path)
    path.write_bytes(path.read_bytes()[:-60])
    with Image.open(path) as image:
        assert "Pillow" in error_of(ImageError, reader.read, image).problem
    closed = Image.open(path)
    closed.close()
    error_of(ImageError, reader.read, closed)
    with Image.open(path) as left:
        pass
    assert "within its with block" in error_of(ImageError, reader.read, left).problem


def test_pillow_is_never_imported(digit_file):
    import subprocess
    import sys

    code = (
        "import io, sys; from digitkit import Reader; r = Reader('digits-tiny');"
        f"d = open({str(digit_file(1))!r}, 'rb').read();"
        "r.read([d, io.BytesIO(d)]); list(r.stream([None, 5, d]));"
        "assert not {'PIL', 'pypdfium2', 'pillow_heif'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_arrays_are_as_before(reader, one_of_each):
    page = cv2.cvtColor(pages_of(one_of_each, "3")[0], cv2.COLOR_GRAY2BGR)
    assert reader.read(page).source == "array"
    assert reader.read(np.stack([page, page])[0]).text == reader.read([page])[0].text
    error_of(ImageError, reader.read, np.stack([page, page]))
