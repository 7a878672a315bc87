"""A Raspberry Pi camera's frames on standard output; run by the system's Python, see `picamera`.

    /usr/bin/python3 -I picamera_pipe.py WIDTH HEIGHT

Needs picamera2 and nothing else, and runs on Python 3.9. Each frame is `HEADER` (magic, width,
height, bytes that follow) and then the rows, BGR, each padded to bytes / height. A failure is one
line of JSON on stderr: ``{"reason": …, "problem": …, "hint": …}``. Ends when standard input does,
which is when the parent is gone.
"""

import json
import os
import struct
import sys
import threading

HEADER = struct.Struct(">4sIII")
MAGIC = b"DKF1"

MISSING = ("not-installed", "no-camera")
"""Reasons that mean that there is no camera to read."""


class PipeError(Exception):
    """Why there are no more frames; its arguments are reason, problem and hint (or None)."""

    def to_json(self) -> str:
        """Write it as a line of JSON."""
        reason, problem, hint = self.args
        return json.dumps({"reason": reason, "problem": problem, "hint": hint})


def root_cause(error: BaseException) -> str:
    """The first line of an error's original cause; picamera2 wraps libcamera's errors."""
    while error.__context__ is not None:
        error = error.__context__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def send(out: int, data: memoryview) -> None:
    """Write all of the data; a pipe accepts only part of it at a time."""
    while data:
        data = data[os.write(out, data) :]


def end_with_parent() -> None:
    """Wait for the end of standard input, then exit, whatever the camera is doing."""
    sys.stdin.buffer.read()
    os._exit(0)


def run(width: int, height: int, out: int) -> None:
    """Send frames until something fails.

    Raises:
        PipeError: picamera2 or the camera is missing, busy or broken.
    """
    try:
        from picamera2 import Picamera2  # type: ignore[import-not-found,unused-ignore]
    except ModuleNotFoundError as error:
        raise PipeError(
            "not-installed",
            f"the system's Python has no {error.name}",
            "sudo apt install -y python3-picamera2",
        ) from error
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise PipeError(
            "broken",
            f"picamera2 does not load ({root_cause(error)})",
            "sudo apt install --reinstall -y python3-picamera2",
        ) from error
    try:
        if not Picamera2.global_camera_info():
            raise PipeError(
                "no-camera",
                "no camera is detected",
                "check its cable at both ends, then run rpicam-hello --list-cameras",
            )
        camera = Picamera2()
        # libcamera names formats from the highest byte down: in memory this is B, G, R.
        camera.configure(
            camera.create_video_configuration(main={"format": "RGB888", "size": (width, height)})
        )
        camera.start()
        main = camera.camera_configuration()["main"]
        (width, height), stride = main["size"], main["stride"]  # what the camera chose
    except (IndexError, OSError, RuntimeError, ValueError) as error:
        raise PipeError(
            "unusable",
            f"the camera cannot be opened ({root_cause(error)})",
            "close other programs that use it, then try rpicam-hello",
        ) from error
    header = HEADER.pack(MAGIC, width, height, stride * height)
    while True:
        try:
            frame = memoryview(camera.capture_buffer("main"))[: stride * height]
        except (OSError, RuntimeError, ValueError) as error:
            problem = f"the camera stopped ({root_cause(error)})"
            raise PipeError("stopped", problem, None) from error
        send(out, memoryview(header))
        send(out, frame)


def main() -> int:
    """Run with the size on the command line; returns the exit code."""
    width, height = map(int, sys.argv[1:])
    threading.Thread(target=end_with_parent, daemon=True).start()
    # libcamera writes logs to both streams, which are reserved for frames and for one line.
    out, err = os.dup(1), os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    try:
        run(width, height, out)
    except BrokenPipeError:
        return 0
    except PipeError as failure:
        os.write(err, f"{failure.to_json()}\n".encode())
        # Without the interpreter's shutdown, in which picamera2's threads may hang.
        os._exit(1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
