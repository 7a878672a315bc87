"""Opening cameras and streams by their names."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from digitkit.arrays import U8
from digitkit.errors import ConfigError, ImageError, SourceError, one_line
from digitkit.images.cv import cv2
from digitkit.images.decode import decode
from digitkit.sources import picamera
from digitkit.sources.camera_names import camera_kind, camera_name
from digitkit.sources.urls import is_address
from digitkit.sources.video import BROKEN_FRAMES

OPEN_SECONDS = 10.0
"""How long opening a stream may take; video starts at a key frame, which may be seconds away."""

READ_SECONDS = 5.0
"""A stream counts as lost after this many seconds without a frame."""

STALL_SECONDS = 0.5
"""A failed read is a broken frame up to this long, and a stalled stream beyond."""


class Capture(Protocol):
    """An open camera or stream. `Live` calls `read` from one thread only."""

    def read(self) -> U8 | None:
        """Wait for the next frame, uint8 ``[H, W]`` or ``[H, W, 3]`` BGR; None if there is none.

        Raises:
            SourceError: there is none, and the reason is known.
        """

    def close(self) -> None:
        """Free the source; may be called repeatedly, and while another thread is in `read`."""


Opener = Callable[[], Capture]
"""Opens a source; raises `SourceError` if it cannot."""


class _OpenCVCapture:
    """A camera or a stream that OpenCV reads.

    Of a stream of JPEG images it reads the files: OpenCV itself would scale all images to the size
    of the first.
    """

    def __init__(self, capture: cv2.VideoCapture, name: str, first: U8 | None = None) -> None:
        """Take an open capture; one that gives files comes with its first image."""
        self._capture = capture
        self._name = name
        self._encoded = first is not None
        self._first = first
        self._reading = threading.Lock()
        self._closed = False

    def read(self) -> U8 | None:
        with self._reading:
            image, self._first = self._first, None
            if image is None:
                image = self._read_next()
        if self._closed:
            self.close()
        return image

    def _read_next(self) -> U8 | None:
        for _ in range(BROKEN_FRAMES):
            begun = time.monotonic()
            if self._closed:
                break
            try:
                ok, image = self._capture.read()
            except cv2.error as error:
                raise SourceError(f"cannot be read: {one_line(error.err)}") from error
            if ok and self._encoded:
                with suppress(ImageError):
                    return decode(image.tobytes(), self._name, exif=False)
            elif ok:
                return image  # type: ignore[return-value]
            if time.monotonic() - begun > STALL_SECONDS:
                break
        return None

    def close(self) -> None:
        # Releasing during a read would crash; the reader releases it then.
        self._closed = True
        if self._reading.acquire(blocking=False):
            try:
                self._capture.release()
            finally:
                self._reading.release()


def make_opener(camera: str, size: tuple[int, int] | None = None) -> Opener:
    """The opener of a camera or a stream.

    Args:
        camera: its name, as for `digitkit.sources.live.Live`.
        size: width and height to ask a camera for, pixels.

    Raises:
        SourceError: `camera` names no kind of camera or stream.
        ConfigError: a size is asked of a stream.
    """
    kind, name = camera_kind(camera), camera_name(camera)
    if kind == "picamera2":
        return lambda: picamera.PiCamera(size)
    if kind == "number":
        return lambda: _open_with_opencv(name, size, int(camera))
    if kind == "device":
        return lambda: _open_with_opencv(name, size, camera, cv2.CAP_V4L2)
    if size:
        raise ConfigError(
            "does not apply to a stream, which has its own", field="size", hint="omit it"
        )
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(OPEN_SECONDS * 1000)]
    limits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(READ_SECONDS * 1000)]
    return lambda: _open_with_opencv(name, None, camera, cv2.CAP_FFMPEG, limits)


def _open_with_opencv(
    name: str, size: tuple[int, int] | None, *arguments: int | str | list[int]
) -> Capture:
    is_stream = is_address(name)
    try:
        capture = cv2.VideoCapture(*arguments)
    except cv2.error as error:
        raise SourceError(f"OpenCV cannot open it: {one_line(error.err)}", subject=name) from error
    if not capture.isOpened():
        capture.release()
        raise SourceError(
            "cannot be opened",
            subject=name,
            hint=(
                "check the address, the user and the password, and that this machine reaches it"
                if is_stream
                else "list the cameras with ls /dev/video*, close other programs that use it, and "
                "check that you are in the group video"
            ),
        )
    if size:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
    first = _read_first_file(capture, name) if is_stream else None
    if is_stream and first is None and capture.get(cv2.CAP_PROP_FORMAT) == -1:
        capture.release()  # OpenCV cannot return to decoded frames
        capture = cv2.VideoCapture(*arguments)
    return _OpenCVCapture(capture, name, first)


def _read_first_file(capture: cv2.VideoCapture, name: str) -> U8 | None:
    """Let a stream of JPEG images give the files; its first image, or None if it cannot be."""
    if int(capture.get(cv2.CAP_PROP_FOURCC)) != cv2.VideoWriter.fourcc(*"MJPG"):
        return None
    if not capture.set(cv2.CAP_PROP_FORMAT, -1):
        return None
    with suppress(ImageError, cv2.error):  # FFmpeg shows files without an end marker, too
        ok, data = capture.read()
        return decode(data.tobytes(), name, exif=False) if ok else None
    return None
