"""Large JPEG images: decoded to grey at a reduced size, and further only where that is needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from digitkit.arrays import U8
from digitkit.errors import ImageError
from digitkit.images.cv import PIXEL_LIMIT, cv2
from digitkit.images.decode import check, decode_pixels
from digitkit.images.grey import GreyImage, count_halvings
from digitkit.images.jpeg import jpeg_header
from digitkit.images.orientation import read_exif_orientation

_GREY_FLAGS = [
    flag | cv2.IMREAD_IGNORE_ORIENTATION
    for flag in (
        cv2.IMREAD_GRAYSCALE,
        cv2.IMREAD_REDUCED_GRAYSCALE_2,
        cv2.IMREAD_REDUCED_GRAYSCALE_4,
        cv2.IMREAD_REDUCED_GRAYSCALE_8,
    )
]
"""How to decode an image to grey, by how often it is halved."""


@dataclass(frozen=True)
class LargeJpeg:
    """A JPEG image that is decoded only as far as needed; its bytes are kept.

    Attributes:
        data: the file's bytes, which were checked.
        name: of the file, for errors.
        orientation: how to turn the pixels upright, as EXIF does, 1–8.
        shape: height and width of the whole image, upright, pixels.
        reduced: `GreyImage.reduced`.
    """

    data: bytes = field(repr=False)
    name: str
    orientation: int
    shape: tuple[int, int]
    reduced: U8 = field(repr=False, compare=False)

    @property
    def grey(self) -> GreyImage:
        """The image at any size, in grey."""
        return GreyImage(self.shape, self._grey, count_halvings(self.shape))

    def _grey(self, times: int) -> U8:
        if times == count_halvings(self.shape):
            return self.reduced
        return decode_pixels(self.data, self.name, self.orientation, _GREY_FLAGS[times])

    @cached_property
    def colours(self) -> U8:
        """The whole image, upright: uint8 ``[H, W, 3]`` BGR, or ``[H, W]`` of a grey file or where
        the colours do not decode.
        """
        try:
            return decode_pixels(self.data, self.name, self.orientation)
        except ImageError:
            return self._grey(0)


def load_bytes(data: bytes, name: str, *, exif: bool = True) -> U8 | LargeJpeg:
    """Decode an image file's bytes, a large JPEG image only as far as reading digits needs.

    Args:
        data: the file's bytes.
        name: of the file, for errors.
        exif: turn the image upright by its EXIF orientation.

    Returns:
        What `decode` returns, or a `LargeJpeg`.

    Raises:
        ImageError, MissingDependencyError: as `decode` does.
    """
    check(data, name)
    orientation = read_exif_orientation(data) if exif else 1
    shape = _header_shape(data)
    halvings = count_halvings(shape)
    if not halvings:
        return decode_pixels(data, name, orientation)
    reduced = decode_pixels(data, name, orientation, _GREY_FLAGS[halvings])
    upright = shape[::-1] if orientation >= 5 else shape
    return LargeJpeg(data, name, orientation, upright, reduced)


def _header_shape(data: bytes) -> tuple[int, int]:
    """Height and width of a JPEG image as stored; 0, 0 for what is to be decoded at once."""
    width, height, channels = jpeg_header(data)
    # Four channels are CMYK, which is not decoded to grey directly; and OpenCV would hold its limit
    # against the reduced size.
    if channels not in (1, 3) or width * height > PIXEL_LIMIT:
        return 0, 0
    return height, width
