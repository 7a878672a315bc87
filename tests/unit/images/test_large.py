"""Large JPEG images: decoded to grey at a reduced size, and further only on demand."""

import pickle
import weakref

import numpy as np
import pytest
from support.errors import error_of

from digitkit.errors import ImageError
from digitkit.images import large
from digitkit.images.convert import to_grey
from digitkit.images.cv import cv2
from digitkit.images.decode import decode_file
from digitkit.images.grey import GreyImage
from digitkit.images.large import LargeJpeg, load_bytes
from digitkit.sources.files import load_frame
from digitkit.sources.frames import Frame


def drawing(height=400, width=2600) -> np.ndarray:
    """Coloured smooth shapes, different in each corner."""
    image = np.full((height, width, 3), (190, 220, 240), np.uint8)
    cv2.circle(image, (width // 5, height // 3), height // 4, (200, 60, 20), -1)
    cv2.rectangle(image, (width // 2, height // 2), (width - 30, height - 30), (30, 160, 60), -1)
    return cv2.GaussianBlur(image, (0, 0), 3)


def load_image(path, *, exif=True):
    return load_bytes(path.read_bytes(), str(path), exif=exif)


def write_jpeg(path, image, orientation=1):
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    block = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0" + bytes([orientation])
    block += bytes(6)
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2) + block + data[2:])
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_size_is_the_same_upright_image(tmp_path, orientation):
    path = write_jpeg(tmp_path / "a.jpg", drawing(), orientation)
    image, whole = load_image(path), decode_file(path)
    assert isinstance(image, LargeJpeg)
    assert image.shape == image.grey.shape == whole.shape[:2]
    assert np.array_equal(image.colours, whole)
    assert load_image(path, exif=False).shape == (400, 2600)
    expected = GreyImage.from_pixels(whole)
    for halvings in (0, 1, 2):
        is_, should_be = image.grey.halved(halvings), expected.halved(halvings)
        assert is_.shape == should_be.shape
        assert np.abs(is_.astype(int) - should_be).mean() < 1


@pytest.mark.parametrize(
    ("side", "halvings"), [(2559, 0), (2560, 1), (5119, 1), (5120, 2), (10_240, 3), (21_000, 3)]
)
def test_the_longer_side_stays_what_reading_needs(tmp_path, side, halvings):
    height = side // 7
    image = GreyImage.from_pixels(np.zeros((height, side), np.uint8))
    assert image.halvings == halvings
    assert image.reduced.shape[1] == side >> halvings
    loaded = load_image(write_jpeg(tmp_path / "a.jpg", drawing(height, side)))
    assert isinstance(loaded, LargeJpeg) == (halvings > 0)
    if halvings:
        assert loaded.reduced.shape[1] == -(-side >> halvings) or loaded.reduced.shape[1] > 1279


@pytest.mark.parametrize(("shape", "halvings"), [((100, 5120), 0), ((700, 12_000), 1)])
def test_long_strips_are_halved_less_often(shape, halvings):
    image = GreyImage.from_pixels(np.zeros(shape, np.uint8))
    assert image.halvings == GreyImage.from_pixels(np.zeros(shape[::-1], np.uint8)).halvings
    assert image.halvings == halvings


@pytest.mark.parametrize("shape", [(1, 4001), (2, 4001), (3, 2561), (5, 2600)])
def test_flat_images_can_be_halved_once_more(shape):
    image = GreyImage.from_pixels(np.zeros(shape, np.uint8))
    assert image.halvings == 0 or min(image.halved(image.halvings + 1).shape) > 0


def test_memory_is_free_at_once():
    """Pixels that wait for the garbage collector cost memory, and time for fresh pages."""
    grey = Frame("array", drawing()).grey
    parts = [weakref.ref(grey.halved(halvings)) for halvings in range(3)]
    parts.append(weakref.ref(grey.rotated(90).reduced))
    del grey
    assert [part() for part in parts] == [None] * 4


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_turning(turn):
    pixels = drawing(400, 2600)[:, :, 0]
    turned = GreyImage.from_pixels(pixels).rotated(turn)
    expected = np.rot90(pixels, -turn // 90)
    assert turned.shape == turned.halved(0).shape == expected.shape
    assert np.array_equal(turned.halved(0), expected)
    assert turned.reduced.shape == tuple(side // 2 for side in expected.shape)


def test_the_rest_is_decoded_from_the_bytes_that_were_read(tmp_path):
    path = write_jpeg(tmp_path / "a.jpg", drawing())
    whole = decode_file(path)
    frame = load_frame(path)
    path.unlink()
    sent = pickle.loads(pickle.dumps(frame))
    for each in (frame, sent):
        assert each.shape == (400, 2600)
        assert np.array_equal(each.image, whole)
        assert each.grey.halved(0).shape == (400, 2600)


def test_colours_that_do_not_decode_are_grey(tmp_path, monkeypatch):
    image = load_image(write_jpeg(tmp_path / "a.jpg", drawing()))

    def refuse(data, name, orientation, flags=cv2.IMREAD_UNCHANGED):
        if flags == cv2.IMREAD_UNCHANGED:
            raise ImageError("does not fit into memory")
        return decode(data, name, orientation, flags)

    decode = large.decode_pixels
    monkeypatch.setattr(large, "decode_pixels", refuse)
    assert image.colours.shape == (400, 2600)


def test_what_is_not_a_large_jpeg_is_decoded_at_once(tmp_path, monkeypatch):
    image = drawing()
    cv2.imwrite(str(tmp_path / "a.png"), image)
    cmyk = write_jpeg(tmp_path / "b.jpg", image).read_bytes()
    assert large._header_shape(cmyk) == (400, 2600)
    at = cmyk.index(b"\xff\xc0") + 9
    assert large._header_shape(cmyk[:at] + b"\x04" + cmyk[at + 1 :]) == (0, 0)
    monkeypatch.setattr(large, "PIXEL_LIMIT", 400 * 2600 - 1)  # OpenCV is to notice
    for path in (tmp_path / "a.png", tmp_path / "b.jpg"):
        assert np.array_equal(load_image(path), decode_file(path))


def test_damage_is_noticed_as_in_small_images(tmp_path):
    path = write_jpeg(tmp_path / "a.jpg", drawing())
    data = path.read_bytes()
    header = data.index(b"\xff\xc0")
    for broken in (
        data[: len(data) // 2],
        data[: header + 5] + b"\xff\xff\xff\xff" + data[header + 9 :],
        data[:header] + b"\xff\xd9",
    ):
        path.write_bytes(broken)
        old, new = (error_of(ImageError, decode, path) for decode in (decode_file, load_image))
        assert (str(new), new.hint) == (str(old), old.hint)


def test_a_frame_takes_pixels_too():
    grey = drawing()[:, :, 1]
    frame = Frame("array", drawing())
    assert frame.shape == (400, 2600)
    assert np.array_equal(frame.grey.halved(0), to_grey(drawing()))
    assert Frame("array", grey).image is grey
    with pytest.raises(TypeError):
        Frame("no image")


def test_showing_a_frame_decodes_nothing(tmp_path):
    path = write_jpeg(tmp_path / "a.jpg", drawing())
    frame = load_frame(path)
    assert "(400, 2600)" in repr(frame)
    assert "colours" not in vars(vars(frame)["image"])
