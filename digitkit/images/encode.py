"""Images as files: PNG, JPEG, and these within a URL."""

from __future__ import annotations

import base64

from digitkit.arrays import U8
from digitkit.images.cv import cv2


def encode_png(image: U8) -> bytes:
    """An image (uint8 ``[h, w]`` or ``[h, w, 3]`` BGR) as a PNG file."""
    return cv2.imencode(".png", image)[1].tobytes()


def encode_jpeg(image: U8, quality: int = 85) -> bytes:
    """An image (uint8 ``[h, w]`` or ``[h, w, 3]`` BGR) as a JPEG file; quality is 0–100."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def data_uri(data: bytes, mime: str) -> str:
    """A file within a URL."""
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"
