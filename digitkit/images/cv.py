"""The one import of OpenCV: its limits are set before it loads, and a failed import is explained.

Everything in digitkit takes ``cv2`` from here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from digitkit.errors import ImageError, MissingDependencyError, one_line

MAX_PIXELS = 200_000_000
"""Largest image that is decoded, in pixels: 200 megapixels, 600 MB as colour."""

# OpenCV reads these once, while it loads. A limit that the user has set stays. Its decoders' log
# lines would come on top of the one clear line that a broken file gets.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # quiet; its lines would show passwords, too

try:
    PIXEL_LIMIT = int(os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"])
    """The limit that OpenCV holds: `MAX_PIXELS`, or the user's; 0 where only OpenCV knows it."""
except ValueError:  # such as 10MB
    PIXEL_LIMIT = 0
if "OPENCV_IO_MAX_IMAGE_WIDTH" in os.environ or "OPENCV_IO_MAX_IMAGE_HEIGHT" in os.environ:
    PIXEL_LIMIT = 0

try:
    import cv2 as cv2
except ImportError as error:
    reason = one_line(error)
    # The loader's text alone names the library: the ImportError's attributes do not.
    if "libGL" in reason or "libgthread" in reason or "libxcb" in reason:
        hint = (
            "install the system libraries that opencv-python draws windows with: "
            "sudo apt-get install libgl1 libglib2.0-0; or, without a screen, use the package that "
            "needs none: pip uninstall opencv-python && pip install opencv-python-headless"
        )
    else:
        hint = (
            "pip install opencv-python; if both opencv-python and opencv-python-headless are "
            "installed, remove both and install one"
        )
    raise MissingDependencyError(f"OpenCV does not load ({reason})", hint=hint) from error


@contextmanager
def errors_of(name: str) -> Iterator[None]:
    """Raise an `ImageError` for an image, of this name, in which OpenCV fails."""
    try:
        yield
    except cv2.error as error:  # such as without memory for so large an image
        raise ImageError(
            f"cannot be processed by OpenCV: {one_line(error)}", subject=name
        ) from error


def too_many_pixels(name: str) -> ImageError:
    """The error for an image, of this name, that is larger than what OpenCV decodes here."""
    return ImageError(
        f"is larger than {(PIXEL_LIMIT or MAX_PIXELS) / 1e6:g} megapixels",
        subject=name,
        hint="reduce it, or set OPENCV_IO_MAX_IMAGE_PIXELS",
    )


def out_of_memory(name: str) -> ImageError:
    """The error for an image, of this name, that does not fit into memory."""
    return ImageError("does not fit into memory", subject=name, hint="reduce it")
