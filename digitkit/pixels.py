"""From a picture of a digit to what the net sees. The one pixel path.

Training on user images, calibration, evaluation and the runtime all come through here:
`decode` → `grey` → ink bright on dark (`ink_of_digit`, or `digitkit.pages` for whole pages) →
`normal_form`.
"""

from __future__ import annotations

import os
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ._opencv import MAX_PIXELS, cv2
from .errors import ImageError, InputNotFoundError, SourceError, one_line, shown

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

VERSION = 1
"""Version of the normal form; stored in every exported model, goes up when pixels change."""

SIDE = 28
"""Side of the normal form, pixels."""

BOX = 20
"""Side of the box that a digit is fitted into, pixels."""

WORK_SIDE = 160
"""A single digit's picture is reduced to this side before its ink is looked for, pixels."""

# --- decoding --------------------------------------------------------------------------------


def decode_file(path: str | os.PathLike[str], *, exif: bool = True) -> U8:
    """Read an image file; see `decode`.

    Raises:
        InputNotFoundError: there is no such file.
        SourceError: it cannot be read.
        ImageError: it is no image, is damaged or too large.
    """
    name = shown(path)
    try:
        data = Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputNotFoundError(f"{name}: does not exist") from error
    except IsADirectoryError as error:
        raise ImageError(f"{name}: is a folder, not an image file") from error
    except OSError as error:
        raise SourceError(f"{name}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a NUL byte inside the name
        raise InputNotFoundError(f"{name}: is no path: {error}") from error
    return decode(data, name, exif=exif)


def decode(data: bytes, name: str, *, exif: bool = True) -> U8:
    """Decode an image file's bytes: upright (EXIF), 8 bits, without alpha.

    Transparency is laid on white, or on black where what is drawn is light. 16-bit and float
    images are stretched from their darkest to their brightest value.

    Args:
        data: the file's bytes, in any format that this OpenCV decodes.
        name: what to call it in messages.
        exif: turn it upright as its EXIF orientation says.

    Returns:
        uint8 ``[H, W]`` grey or ``[H, W, 3]`` BGR.

    Raises:
        ImageError: no image, damaged, truncated, or over `MAX_PIXELS`.
    """
    if not data:
        raise ImageError(f"{name}: not an image: the file is empty")
    _check_container(data, name)
    _check_claim(data, name)
    try:
        with _silent_decoders():
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if image is not None:
            return _upright(from_array(image, name), _exif_orientation(data) if exif else 1)
    except cv2.error as error:
        if "MAX_IMAGE" in str(error):
            raise ImageError(
                f"{name}: is larger than {MAX_PIXELS // 10**6} megapixels; reduce it, or set "
                "OPENCV_IO_MAX_IMAGE_PIXELS"
            ) from error
        if error.code == cv2.Error.StsNoMem:
            raise ImageError(f"{name}: does not fit into memory; reduce it") from error
        raise ImageError(
            f"{name}: not an image OpenCV can decode ({one_line(error.err)})"
        ) from error
    except MemoryError as error:
        raise ImageError(f"{name}: does not fit into memory; reduce it") from error
    raise ImageError(
        f"{name}: not an image OpenCV can decode ({len(data)} bytes); if other programs "
        "open it, save it as PNG or JPEG"
    )


@contextmanager
def _silent_decoders() -> Iterator[None]:
    """Keep libpng's and libjpeg's own lines off the standard error; nothing else turns them off.

    They go to the process's descriptor. While other Python threads run, which may have something
    to say there, it is left alone.
    """
    if threading.active_count() > 1:
        yield
        return
    try:
        kept = os.dup(2)
    except OSError:  # a service without a standard error
        yield
        return
    try:
        with suppress(OSError), open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def from_array(array: npt.NDArray[np.generic], name: str = "array") -> U8:
    """Bring an array to 8 bits without alpha, as `decode` does with files.

    Args:
        array: bool, integer or float; ``[H, W]``, or ``[H, W, C]`` with C of 1 (grey), 2 (grey,
            alpha), 3 (BGR) or 4 (BGR, alpha). uint8 is taken as it is; other kinds are stretched
            from their lowest to their highest value, except floats within 0–1, which are scaled.
        name: what to call it in messages.

    Returns:
        uint8 ``[H, W]`` or ``[H, W, 3]``.

    Raises:
        ImageError: another shape or kind, or no pixel at all.
    """
    if array.ndim not in (2, 3) or (array.ndim == 3 and not 1 <= array.shape[2] <= 4):
        raise ImageError(
            f"{name}: an array of shape {list(array.shape)} is no image; needed is [H, W] or "
            "[H, W, C] with 1 to 4 channels"
        )
    if array.size == 0:
        raise ImageError(f"{name}: an image of {array.shape[1]}×{array.shape[0]} has no pixels")
    if array.dtype.kind not in "buif":
        raise ImageError(f"{name}: an array of {array.dtype} is no image; needed are numbers")
    if array.ndim == 2:
        return _to_8_bits(array)
    channels = array.shape[2]
    if channels == 1:
        return _to_8_bits(array[:, :, 0])
    if channels == 3:
        return _to_8_bits(array)
    colour = _to_8_bits(array[:, :, 0] if channels == 2 else array[:, :, :3])
    return _flatten(colour, array[:, :, -1])


_BAND = 1 << 18
"""Arithmetic that takes many bytes a value runs over rows of about this many values at a time."""


def _bands(array: npt.NDArray[np.generic]) -> list[slice]:
    rows = max(1, _BAND // array[0].size)
    return [slice(first, first + rows) for first in range(0, len(array), rows)]


def _finite(array: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    return np.nan_to_num(array.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def _to_8_bits(array: npt.NDArray[np.generic]) -> U8:
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array).view(np.uint8)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    bands = _bands(array)
    low = min(float(_finite(array[band]).min()) for band in bands)
    high = max(float(_finite(array[band]).max()) for band in bands)
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    # Divided before subtracting: the range of float64 itself must not overflow.
    span = high / 2 - low / 2
    stretched = np.zeros(array.shape, np.uint8)
    if span > 0:
        for band in bands:
            stretched[band] = np.rint((_finite(array[band]) / 2 - low / 2) / span * 255)
    return stretched


def _opacity(alpha: npt.NDArray[np.generic]) -> F32:
    """Opacity as float32 0–1."""
    opacity = np.nan_to_num(alpha.astype(np.float64))
    if np.issubdtype(alpha.dtype, np.integer):
        opacity /= np.iinfo(alpha.dtype.name).max
    return opacity.clip(0, 1).astype(np.float32)


def _flatten(image: U8, alpha: npt.NDArray[np.generic]) -> U8:
    bands = _bands(image)
    if all(_opacity(alpha[band]).min() >= 1 for band in bands):
        return image
    opaque = light = 0.0
    for band in bands:
        weight = _opacity(alpha[band])
        opaque += float(weight.sum())
        light += float((grey(image[band]) * weight).sum())
    paper = 0.0 if opaque > 0 and light / opaque > 127 else 255.0
    flat = np.empty_like(image)
    for band in bands:
        weight = _opacity(alpha[band])
        if image.ndim == 3:
            weight = weight[:, :, None]
        flat[band] = np.rint(image[band] * weight + paper * (1 - weight))
    return flat


def _check_container(data: bytes, name: str) -> None:
    """Find truncation and damage that decoders pass over or print about, from the file's frame."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        position, kind = 8, b""
        while kind != b"IEND":
            if position + 12 > len(data):
                raise ImageError(f"{name}: the PNG file is truncated ({len(data)} bytes)")
            (length,) = struct.unpack(">I", data[position : position + 4])
            kind = data[position + 4 : position + 8]
            end = position + 8 + length
            if end + 4 > len(data):
                raise ImageError(f"{name}: the PNG file is truncated ({len(data)} bytes)")
            checksum = zlib.crc32(memoryview(data)[position + 4 : end])
            if checksum != struct.unpack(">I", data[end : end + 4])[0]:
                raise ImageError(f"{name}: the PNG file is damaged (checksum of {kind!r})")
            position = end + 4
    # Cameras may append data after a JPEG's end marker, so it need not come last.
    elif data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9") < 0:
        raise ImageError(f"{name}: the JPEG file is truncated ({len(data)} bytes)")


_MOST_PER_BYTE = 25_000
"""Pixels in a byte of file that no blank picture reaches, not even packed at 1 bit by LZW."""

_CLAIM = 10_000_000
"""Up to this many pixels a header may claim what it likes."""


def _check_claim(data: bytes, name: str) -> None:
    """Refuse sizes that the file's bytes cannot hold, where decoders would fill up what is missing.

    Other decoders notice by themselves, before they have touched the memory.
    """
    width = height = 0
    if data.startswith(b"\xff\xd8"):
        position = 2
        while position + 9 <= len(data) and data[position] == 0xFF:
            kind, length = struct.unpack_from(">BH", data, position + 1)
            if kind in (0xC0, 0xC1, 0xC2):  # baseline, extended, progressive
                height, width = struct.unpack_from(">HH", data, position + 5)
                break
            position += 1 if kind == 0xFF else 2 + length  # 0xFF may fill the gap before a marker
    elif data.startswith(b"GIF8") and len(data) >= 10:
        width, height = struct.unpack_from("<HH", data, 6)
    elif data.startswith(b"BM") and len(data) >= 26 and data[14] != 12:  # OS/2's is all 16-bit
        width, height = struct.unpack_from("<ii", data, 18)
    elif data.startswith((b"II*\0", b"MM\0*")):
        tags = _tags(data)
        if tags.get(259, 1) in (1, 5, 7, 8, 32773, 32946):  # others pack blank paper better
            width, height = tags.get(256, 0), tags.get(257, 0)
    pixels = abs(width * height)
    if pixels > max(_CLAIM, _MOST_PER_BYTE * len(data)):
        raise ImageError(
            f"{name}: is damaged: it says {abs(width)}×{abs(height)} pixels, but holds "
            f"{len(data)} bytes"
        )


def _exif_orientation(data: bytes) -> int:
    """The EXIF orientation, 1 to 8, of a JPEG, PNG or WebP file; 1 where there is none.

    OpenCV obeys it only when it also drops alpha and depth. TIFF is turned by its own decoder.
    """
    if data.startswith(b"\xff\xd8"):
        start = data.find(b"Exif\x00\x00", 0, 1 << 17)
        start += 6 * (start >= 0)
    elif data.startswith(b"\x89PNG"):
        start = data.find(b"eXIf")
        start += 4 * (start >= 0)
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        start = data.find(b"EXIF")
        start += 8 * (start >= 0)
    else:
        return 1
    if start < 0:
        return 1
    block = data[start : start + (1 << 16)]
    orientation = _tags(block.removeprefix(b"Exif\x00\x00")).get(0x0112, 1)
    return orientation if 1 <= orientation <= 8 else 1


def _tags(block: bytes) -> dict[int, int]:
    """The first directory of a TIFF file or an EXIF block: tag to value, or to where it is.

    Of a damaged one, what can be read: it is no reason to refuse the pixels.
    """
    tags: dict[int, int] = {}
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return tags
    try:
        (offset,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, offset)
        for entry in range(min(count, 512)):
            place = offset + 2 + 12 * entry
            tag, kind = struct.unpack_from(f"{order}HH", block, place)
            long = kind == 4
            (tags[tag],) = struct.unpack_from(order + ("I" if long else "H"), block, place + 8)
    except struct.error:
        pass
    return tags


def _upright(image: U8, orientation: int) -> U8:
    if orientation in (5, 6, 7, 8):
        image = cv2.transpose(image)  # type: ignore[assignment]
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return image if flip is None else cv2.flip(image, flip)  # type: ignore[return-value]


def grey(image: U8) -> U8:
    """Luminance: uint8 ``[H, W]`` of a uint8 ``[H, W]`` or ``[H, W, 3]`` BGR image."""
    if image.ndim == 2:
        return image
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)  # type: ignore[return-value]


# --- a single digit --------------------------------------------------------------------------


def digit_image(image: U8, name: str = "image") -> U8:
    """The normal form of a picture that holds one digit.

    Args:
        image: uint8 ``[H, W]`` or ``[H, W, 3]`` BGR, of any size, dark on light or light on dark.
        name: what to call it in messages.

    Returns:
        uint8 ``[28, 28]``, ink bright on dark, as in MNIST.

    Raises:
        ImageError: the picture is of a single colour, so there is nothing to read.
    """
    plain = grey(image)
    low, high, _, _ = cv2.minMaxLoc(plain)
    if low == high:
        raise ImageError(f"{name}: is of a single colour; there is nothing to read")
    return normal_form(ink_of_digit(plain))


def ink_of_digit(plain: U8) -> U8:
    """Ink of a grey picture that one digit fills: bright on dark, paper at 0, strokes near 255.

    Args:
        plain: uint8 ``[H, W]``.

    Returns:
        uint8 ``[h, w]``, reduced to at most `WORK_SIDE`.
    """
    height, width = plain.shape
    ratio = WORK_SIDE / max(height, width)
    if ratio < 1:
        size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
        plain = cv2.resize(plain, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    mask = _otsu(plain)
    ink = plain
    if _is_bright(mask):
        ink = cv2.bitwise_not(plain)  # type: ignore[assignment]
    if max(plain.shape) > 64:
        ink = _even_light(ink)
    return _stretch(ink, mask if ink is plain else _otsu(ink))


def _otsu(plain: U8) -> U8:
    """1 where a picture is brighter than Otsu's threshold (IEEE Trans. SMC 9, 1979), else 0."""
    return cv2.threshold(plain, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1]  # type: ignore[return-value]


def ink_is_dark(plain: U8) -> bool:
    """Whether a picture of one digit is dark on light.

    The border alone cannot tell: scans of digits touch the frame. The corners can better (few
    digits reach two of them), and ink mostly covers the smaller area. Votes are weighed by a
    logistic regression on MNIST's training digits, cropped and padded in many ways
    (``benchmarks/polarity.py``).

    Args:
        plain: uint8 ``[H, W]``.
    """
    return _is_bright(_otsu(plain))


def _is_bright(mask: U8) -> bool:
    """Whether it is the paper that is white in Otsu's mask."""
    corners, sides, whole, touched = _votes(mask)
    a, b, c, d = POLARITY
    return a * corners + b * sides + c * whole + d * touched > 0


def polarity_votes(plain: U8) -> npt.NDArray[np.float64]:
    """How bright, by Otsu's threshold, corners, sides and the whole are; positive is bright.

    Returns:
        float64 ``[4]``, each -0.5 to 0.5: the mean of the four corners, of the four sides and of
        all pixels, less a half; and a quarter of how many more than two sides are mostly bright.
    """
    return np.array(_votes(_otsu(plain)))


def _votes(mask: U8) -> tuple[float, float, float, float]:
    height, width = mask.shape
    side = max(1, min(height, width) // 8)
    in_corners = (
        cv2.countNonZero(mask[:side, :side]) + cv2.countNonZero(mask[:side, -side:])
        + cv2.countNonZero(mask[-side:, :side]) + cv2.countNonZero(mask[-side:, -side:])
    )  # fmt: skip
    flat = mask.tobytes()  # bytes count single lines sooner than arrays do
    top, bottom = flat.count(1, 0, width) / width, flat.count(1, -width) / width
    left, right = flat[::width].count(1) / height, flat[width - 1 :: width].count(1) / height
    # Paper meets the frame on three sides or four; a stroke that meets it does so briefly.
    touched = ((top > 0.5) + (bottom > 0.5) + (left > 0.5) + (right > 0.5) - 2) / 4
    return (
        in_corners / (4 * side * side) - 0.5,
        (top + bottom + left + right) / 4 - 0.5,
        cv2.countNonZero(mask) / mask.size - 0.5,
        touched,
    )


POLARITY = (8.84, 4.92, -2.95, 4.44)
"""The weights of `polarity_votes`; the picture is dark on light where their sum is over 0."""


def _even_light(ink: U8) -> U8:
    """Subtract the paper's own brightness, estimated under the strokes by a wide opening."""
    side = max(ink.shape) // 3 | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (side, side))
    paper = cv2.erode(ink, kernel)
    low, high, _, _ = cv2.minMaxLoc(paper)
    if low == high:  # even already, as what a program has drawn
        return ink - np.uint8(low) if low else ink
    paper = cv2.blur(cv2.dilate(paper, kernel), (side, side))
    return cv2.subtract(ink, paper)  # type: ignore[return-value]


def _stretch(ink: U8, mask: U8) -> U8:
    """Paper to 0 and strokes to 255, linearly, by the middle levels of either side of Otsu's."""
    is_bright = mask.view(np.bool_)
    bright = ink[is_bright]
    dark = ink.size - bright.size
    if not bright.size or not dark:
        return ink
    # The 75th percentile of what is bright, between two values, and the median of what is dark.
    at, quarters = divmod(3 * (bright.size - 1), 4)
    above = min(at + 1, bright.size - 1)
    ordered = np.partition(bright, (at, above))
    low, high = int(ordered[at]), int(ordered[above])
    strokes, paper = low + (high - low) * quarters / 4, 0.0
    if 2 * (ink.size - cv2.countNonZero(ink)) <= dark:
        ordered = np.partition(ink[~is_bright], ((dark - 1) // 2, dark // 2))
        paper = (int(ordered[(dark - 1) // 2]) + int(ordered[dark // 2])) / 2
        ink = np.maximum(ink, round(paper))
    gain = 255 / max(strokes - paper, 1.0)
    return cv2.convertScaleAbs(ink, alpha=gain, beta=-paper * gain)  # type: ignore[return-value]


# --- normal form -----------------------------------------------------------------------------


def normal_form(ink: U8) -> U8:
    """MNIST's normal form: fitted into 20×20 keeping its shape, centre of mass in the middle.

    What is already in that form (28×28, no side of the ink over 20, centred) stays as it is.
    Strokes thinner than a pen's in MNIST are widened first, or they would be all but gone at
    20 pixels.

    Args:
        ink: uint8 ``[H, W]``, ink bright on dark, paper near 0.

    Returns:
        uint8 ``[28, 28]``; all 0 where there is no ink.
    """
    x, y, width, height = cv2.boundingRect(cv2.threshold(ink, _INK, 255, cv2.THRESH_BINARY)[1])
    if width == 0:
        return np.zeros((SIDE, SIDE), np.uint8)
    if ink.shape == (SIDE, SIDE) and max(width, height) in (BOX - 1, BOX):
        mx, my = _centre(ink)
        if abs(mx - _MIDDLE) <= 0.6 and abs(my - _MIDDLE) <= 0.6:
            return ink
    crop = _widened(ink[y : y + height, x : x + width])
    height, width = crop.shape
    ratio = BOX / max(height, width)
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_CUBIC
    small = cv2.resize(crop, size, interpolation=how)
    peak = cv2.minMaxLoc(small)[1]
    if 0 < peak < 255:
        small = cv2.convertScaleAbs(small, alpha=255 / peak)
    return _placed(small)  # type: ignore[arg-type]


_MIDDLE = 14.0
"""Where MNIST's digits have their centre of mass, as a pixel index: 14.0 ± 0.5 over all of them."""

_INK = 48
"""Grey level from which a pixel of the ink map counts as ink, of 255."""

_THINNEST = 1.7 / BOX
"""Thinnest stroke that is left as it is, as a share of the digit's longer side."""


def _centre(ink: U8) -> tuple[float, float]:
    moments = cv2.moments(ink)
    return moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]


def _widened(crop: U8) -> U8:
    """Dilate strokes up to `_THINNEST`; returns a larger array, so that none is cut off."""
    side = max(crop.shape)
    if side <= 2 * BOX:
        return crop
    mask = cv2.threshold(crop, 127, 255, cv2.THRESH_BINARY)[1]
    area = cv2.countNonZero(mask)
    inner = cv2.countNonZero(cv2.erode(mask, _CROSS, borderValue=0))
    if area == 0:
        return crop
    # An erosion takes a pixel off either side, so a stroke's width is twice area over loss.
    width = 2 * area / (area - inner)
    missing = round(_THINNEST * side - width)
    if missing < 1:
        return crop
    pad = missing // 2 + 1
    framed = cv2.copyMakeBorder(crop, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (missing + 1, missing + 1))
    return cv2.dilate(framed, kernel)  # type: ignore[return-value]


_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


def _placed(small: U8) -> U8:
    """Put the fitted digit into 28×28 with its centre of mass in the middle, whole pixels only."""
    height, width = small.shape
    mx, my = _centre(small)
    left = min(max(round(_MIDDLE - mx), 0), SIDE - width)
    top = min(max(round(_MIDDLE - my), 0), SIDE - height)
    out = np.zeros((SIDE, SIDE), np.uint8)
    out[top : top + height, left : left + width] = small
    return out
