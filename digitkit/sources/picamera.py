"""The Raspberry Pi's own camera, through picamera2 in a process of its own.

picamera2 comes with Raspberry Pi OS and is built for the system's Python and numpy; beside a newer
numpy in a virtual environment it breaks. So the system's Python runs `picamera_pipe`, which needs
nothing of digitkit, and frames come through a pipe.
"""

from __future__ import annotations

import os
import select
import subprocess
import threading
import time
from pathlib import Path

import numpy as np

from digitkit.arrays import U8
from digitkit.errors import SourceError
from digitkit.images.opencv import MAX_PIXELS
from digitkit.sources.picamera_pipe import HEADER, MAGIC

NAME = "picamera2"
PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).with_name("picamera_pipe.py")

SIZE = (1280, 720)
"""Width and height asked for by default, pixels; picamera2's own for video."""

START_SECONDS = 30.0
"""How long the first frame may take; a small Pi imports picamera2 for several seconds."""

FRAME_SECONDS = 5.0
"""How long a later frame may take."""


class PiCamera:
    """A camera that picamera2 reads in another process; a `digitkit.live.Capture`."""

    def __init__(
        self,
        size: tuple[int, int] | None = None,
        *,
        python: str | os.PathLike[str] = PYTHON,
        start_seconds: float = START_SECONDS,
        frame_seconds: float = FRAME_SECONDS,
    ) -> None:
        """Start the process; whether there is a camera shows at the first `read`.

        Args:
            size: width and height, pixels; the camera may choose others near them.
            python: the interpreter that has picamera2.
            start_seconds: how long the first frame may take.
            frame_seconds: how long a later frame may take.

        Raises:
            SourceError: there is no such interpreter.
        """
        width, height = size or SIZE
        # -I keeps this environment's and the user's packages out, and digitkit's folder, too.
        command = [os.fspath(python), "-I", str(SCRIPT), str(width), str(height)]
        env = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith("PYTHON") and key != "VIRTUAL_ENV"
        }
        try:
            # Its own session: Ctrl-C is for this process, which then ends the other.
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
                f"{NAME}: {os.fspath(python)} cannot be run ({error.strerror}); needed is the "
                "system's Python with python3-picamera2, as Raspberry Pi OS has it"
            ) from error
        self._patience = start_seconds
        self._frame_seconds = frame_seconds
        self._reading = threading.Lock()
        self._closed = False

    def read(self) -> U8 | None:
        """The next frame, uint8 ``[H, W, 3]`` BGR; None once closed.

        Raises:
            SourceError: there is no camera, it is taken, it stalls or its process has died.
        """
        with self._reading:
            if self._closed:
                return None
            deadline = time.monotonic() + self._patience
            magic, width, height, count = HEADER.unpack(
                self._exactly(HEADER.size, deadline).tobytes()
            )
            if (
                magic != MAGIC
                or not 0 < width * height <= MAX_PIXELS
                or count % height
                or not 3 * width <= count // height <= 4 * width + 4096
            ):
                raise SourceError(f"{NAME}: its process sent something else than frames")
            rows = self._exactly(count, deadline).reshape(height, count // height)
            self._patience = self._frame_seconds
            return np.ascontiguousarray(rows[:, : 3 * width]).reshape(height, width, 3)

    def _exactly(self, count: int, deadline: float) -> U8:
        """So many bytes of the process's output."""
        assert self._process.stdout is not None
        data = np.empty(count, np.uint8)
        rest = data.data
        while rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise SourceError(f"{NAME}: gave no frame for {self._patience:g} seconds")
            got = os.readv(self._process.stdout.fileno(), [rest])
            if not got:
                raise SourceError(f"{NAME}: {self._last_words()}")
            rest = rest[got:]
        return data

    def _last_words(self) -> str:
        """What a process that has closed its output says on stderr."""
        assert self._process.stderr is not None
        self._process.kill()
        code = self._process.wait()
        lines = self._process.stderr.read().decode("utf-8", "replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return said[-1] if said else f"its process ended (code {code}) without a word"

    def close(self) -> None:
        """End the process. May be called while another thread reads, which then returns."""
        self._closed = True
        self._process.kill()
        with self._reading:
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
                assert pipe is not None
                pipe.close()
