"""A Raspberry Pi's camera module, through picamera2 in a separate process.

picamera2 comes with Raspberry Pi OS and is built for the system's Python and NumPy; with the newer
NumPy of a virtual environment it breaks. So the system's Python runs `picamera_pipe`, which does
not import digitkit, and sends the frames through a pipe.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import threading
import time
from pathlib import Path

import numpy as np

from digitkit.arrays import U8
from digitkit.errors import CameraMissingError, SourceError, os_reason
from digitkit.images.cv import MAX_PIXELS
from digitkit.sources.camera_names import PI_CAMERA
from digitkit.sources.picamera_pipe import HEADER, MAGIC, MISSING

PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).with_name("picamera_pipe.py")

SIZE = (1280, 720)
"""Default width and height, pixels; picamera2's own for video."""

START_SECONDS = 30.0
"""How long the first frame may take; importing picamera2 takes seconds on a small Pi."""

FRAME_SECONDS = 5.0
"""How long a later frame may take."""


class PiCamera:
    """A camera that picamera2 reads in another process; a `digitkit.sources.capture.Capture`."""

    def __init__(
        self,
        size: tuple[int, int] | None = None,
        *,
        python: str | os.PathLike[str] = PYTHON,
        start_seconds: float = START_SECONDS,
        frame_seconds: float = FRAME_SECONDS,
    ) -> None:
        """Start the process; a missing camera is an error of the first `read`.

        Args:
            size: width and height, pixels, `SIZE` by default; the camera may choose others near
                them.
            python: the interpreter that has picamera2.
            start_seconds: how long the first frame may take.
            frame_seconds: how long a later frame may take.

        Raises:
            SourceError: the interpreter cannot be run.
        """
        width, height = size or SIZE
        # -I excludes the packages of this environment and of the user, and digitkit's folder.
        command = [os.fspath(python), "-I", str(SCRIPT), str(width), str(height)]
        env = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith("PYTHON") and key != "VIRTUAL_ENV"
        }
        try:
            # Its own session: Ctrl-C goes to this process, which then ends the other.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=env,
                start_new_session=True,
            )
        except OSError as error:
            raise SourceError(
                f"{os.fspath(python)} cannot be run ({os_reason(error)})",
                subject=PI_CAMERA,
                hint="use Raspberry Pi OS, whose system Python has python3-picamera2",
            ) from error
        self._timeout = start_seconds
        self._frame_seconds = frame_seconds
        self._reading = threading.Lock()
        self._closed = False

    def read(self) -> U8 | None:
        """The next frame, uint8 ``[H, W, 3]`` BGR; None once closed.

        Raises:
            CameraMissingError: no camera is connected, or picamera2 is not installed.
            SourceError: the camera is in use or stalls, or its process has died.
        """
        with self._reading:
            if self._closed:
                return None
            deadline = time.monotonic() + self._timeout
            magic, width, height, count = HEADER.unpack(
                self._read_exactly(HEADER.size, deadline).tobytes()
            )
            if (
                magic != MAGIC
                or not 0 < width * height <= MAX_PIXELS
                or count % height
                or not 3 * width <= count // height <= 4 * width + 4096
            ):
                raise SourceError("its process sent something other than frames", subject=PI_CAMERA)
            rows = self._read_exactly(count, deadline).reshape(height, count // height)
            self._timeout = self._frame_seconds
            return np.ascontiguousarray(rows[:, : 3 * width]).reshape(height, width, 3)

    def _read_exactly(self, count: int, deadline: float) -> U8:
        """Read exactly `count` bytes of the process's output."""
        assert self._process.stdout is not None
        data = np.empty(count, np.uint8)
        rest = data.data
        while rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise SourceError(f"gave no frame for {self._timeout:g} seconds", subject=PI_CAMERA)
            received = os.readv(self._process.stdout.fileno(), [rest])
            if not received:
                raise self._read_failure()
            rest = rest[received:]
        return data

    def _read_failure(self) -> SourceError:
        """The error of a process that has closed its output; see `picamera_pipe.PipeError`."""
        assert self._process.stderr is not None
        self._process.kill()
        code = self._process.wait()
        text = self._process.stderr.read().decode("utf-8", "replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if not lines:
            return SourceError(f"its process ended with code {code}", subject=PI_CAMERA)
        try:
            report = json.loads(lines[-1])
            reason, problem, hint = report["reason"], report["problem"], report["hint"]
        except (ValueError, TypeError, KeyError):  # Python could not run the script
            return SourceError(lines[-1], subject=PI_CAMERA)
        kind = CameraMissingError if reason in MISSING else SourceError
        return kind(problem, subject=PI_CAMERA, hint=hint)

    def close(self) -> None:
        """End the process; a `read` in another thread then returns."""
        self._closed = True
        self._process.kill()
        with self._reading:
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
                assert pipe is not None
                pipe.close()
