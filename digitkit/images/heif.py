"""HEIC and HEIF images, with the optional package pillow-heif."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from digitkit.errors import ImageError, needs_extra, one_line
from digitkit.images.cv import MAX_PIXELS, PIXEL_LIMIT, out_of_memory, too_many_pixels
from digitkit.images.formats import HEAD_BYTES, detect_format


def is_heif(data: bytes | bytearray) -> bool:
    """Whether a file is a HEIC or HEIF image, and not AVIF, which OpenCV decodes."""
    return detect_format(bytes(data[:HEAD_BYTES])) == "heif"


def decode_heif(data: bytes | bytearray, name: str) -> npt.NDArray[np.generic]:
    """Decode a HEIC or HEIF file's main image, turned as the file says.

    Args:
        data: the file's bytes.
        name: of the file, for errors.

    Returns:
        uint8 or uint16 ``[H, W]`` grey, ``[H, W, 3]`` BGR or ``[H, W, 4]`` BGRA.

    Raises:
        MissingDependencyError: pillow-heif is not installed.
        ImageError: the file is damaged or too large.
    """
    try:
        import pillow_heif
    except ImportError as error:
        raise needs_extra("pillow-heif", "reading HEIC images", "heic", subject=name) from error
    try:
        image: Any = pillow_heif.open_heif(bytes(data), bgr_mode=True)
        width, height = image.size
        if width * height > (PIXEL_LIMIT or MAX_PIXELS):
            raise too_many_pixels(name)
        return np.asarray(image)
    except (ValueError, EOFError, SyntaxError, RuntimeError, OSError, IndexError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(
            f"the HEIC file is truncated or damaged ({one_line(error)})", subject=name
        ) from error
    except MemoryError as error:
        raise out_of_memory(name) from error
