"""The names of cameras and streams; light to import."""

from __future__ import annotations

from typing import Literal

from digitkit.errors import SourceError, escape_controls
from digitkit.sources.urls import SCHEMES, is_stream, mask_password

CameraKind = Literal["number", "device", "stream", "picamera2"]

PI_CAMERA = "picamera2"
"""The name of a Raspberry Pi's own camera."""


def camera_kind(camera: str) -> CameraKind:
    """What a name stands for: a camera by its number or device, a stream, or the Pi's camera.

    Raises:
        SourceError: it names no kind of camera or stream.
    """
    if camera == PI_CAMERA:
        return "picamera2"
    name = camera_name(camera)
    try:
        camera.encode()
    except UnicodeEncodeError as error:  # OpenCV would crash
        raise SourceError("is not UTF-8 text", subject=name) from error
    if _is_number(camera):
        return "number"
    if camera.startswith("/dev/"):
        return "device"
    if is_stream(camera):
        return "stream"
    raise SourceError(
        "is not a camera",
        subject=name or repr(name),
        hint=(
            "name a number (0), a device (/dev/video0), a URL "
            f"({', '.join(sorted(SCHEMES))}) or {PI_CAMERA}"
        ),
    )


def camera_name(camera: str) -> str:
    """The name of a camera or stream that is safe to display: ``camera 0``, a masked URL."""
    return f"camera {camera}" if _is_number(camera) else escape_controls(mask_password(camera))


def _is_number(camera: str) -> bool:
    return camera.isascii() and camera.isdigit()
