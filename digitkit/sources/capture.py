"""Opens cameras and streams by their names."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from digitkit.arrays import U8
from digitkit.errors import SourceError, one_line
from digitkit.images.opencv import cv2
from digitkit.sources import picamera
from digitkit.sources.urls import SCHEMES, mask_password
from digitkit.sources.video import BROKEN_FRAMES

OPEN_SECONDS = 10.0
"""How long opening a stream may take; video starts at a key frame, which may be seconds away."""

READ_SECONDS = 5.0
"""After this long without a frame a stream counts as gone."""

STALL_SECONDS = 0.5
"""No frame after less than this may be a broken one among good ones, after more it is a stall."""


class Capture(Protocol):
    """An open camera or stream. `Live` calls `read` from one thread only."""

    def read(self) -> U8 | None:
        """Wait for the next frame, uint8 ``[H, W]`` or ``[H, W, 3]`` BGR; None if there is none.

        Raises:
            SourceError: there is none, and it is known why.
        """

    def close(self) -> None:
        """Free the source; called once or more, also while another thread is inside `read`."""


Opener = Callable[[], Capture]


class _OpenCV:
    """A camera or a stream that OpenCV reads."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture
        self._reading = threading.Lock()
        self._closed = False

    def read(self) -> U8 | None:
        with self._reading:
            image = self._next()
        if self._closed:
            self.close()
        return image

    def _next(self) -> U8 | None:
        for _ in range(BROKEN_FRAMES):
            begun = time.monotonic()
            if self._closed:
                break
            try:
                fine, image = self._capture.read()
            except cv2.error as error:
                raise SourceError(f"cannot be read: {one_line(error.err)}") from error
            if fine:
                return image  # type: ignore[return-value]
            if time.monotonic() - begun > STALL_SECONDS:
                break
        return None

    def close(self) -> None:
        # Releasing under a running read would crash; then the reader releases.
        self._closed = True
        if self._reading.acquire(blocking=False):
            try:
                self._capture.release()
            finally:
                self._reading.release()


def opener_of(camera: str, size: tuple[int, int] | None = None) -> Opener:
    """What opens the camera or stream of this name; see `Live`.

    The opener raises `SourceError` if it cannot.

    Raises:
        SourceError: there is no such kind of camera, or a stream is asked for a size.
    """
    if camera == picamera.NAME:
        return lambda: picamera.PiCamera(size)
    name = camera_name(camera)
    try:
        camera.encode()
    except UnicodeEncodeError as error:  # OpenCV would crash
        raise SourceError("a camera's name must be valid UTF-8", subject=ascii(name)) from error
    if _is_number(camera):
        return lambda: _opened(name, size, int(camera))
    if camera.startswith("/dev/"):
        return lambda: _opened(name, size, camera, cv2.CAP_V4L2)
    if "://" in camera and camera.partition("://")[0].lower() in SCHEMES:
        if size:
            raise SourceError(
                "a stream has its own size", subject=name, hint="omit the size for a stream"
            )
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(OPEN_SECONDS * 1000)]
        limits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(READ_SECONDS * 1000)]
        return lambda: _opened(name, None, camera, cv2.CAP_FFMPEG, limits)
    raise SourceError(
        "is not a camera",
        subject=name or repr(name),
        hint="name a number (0), a device (/dev/video0), a URL "
        f"({', '.join(sorted(SCHEMES))}) or {picamera.NAME}",
    )


def camera_name(camera: str) -> str:
    """A camera's name fit to be shown, a URL's password masked."""
    return f"camera {camera}" if _is_number(camera) else mask_password(camera)


def _is_number(camera: str) -> bool:
    return camera.isascii() and camera.isdigit()


def _opened(name: str, size: tuple[int, int] | None, *what: int | str | list[int]) -> Capture:
    try:
        capture = cv2.VideoCapture(*what)
    except cv2.error as error:
        raise SourceError(f"OpenCV cannot open it: {one_line(error.err)}", subject=name) from error
    if not capture.isOpened():
        capture.release()
        hint = (
            "check the address, the user, the password and the network"
            if "://" in name
            else "list cameras with ls /dev/video*, close other programs that use it, and check "
            "that you are in the group video"
        )
        raise SourceError("cannot be opened", subject=name, hint=hint)
    if size:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
    return _OpenCV(capture)
