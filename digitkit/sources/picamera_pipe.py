"""A Raspberry Pi camera's frames on standard output; run by the system's Python, see `picamera`.

    /usr/bin/python3 -I picamera_pipe.py WIDTH HEIGHT

Needs picamera2 and nothing else, and runs on Python 3.9. Each frame is `HEADER` (magic, width,
height, bytes that follow) and then the rows, BGR, each padded to bytes / height. What goes wrong
is one line on stderr. Ends when standard input does, which is when the parent is gone.
"""

import os
import struct
import sys
import threading

HEADER = struct.Struct(">4sIII")
MAGIC = b"DKF1"


def reason(error: BaseException) -> str:
    """The first line of what lies at the bottom of an error; picamera2 wraps libcamera's own."""
    while error.__context__ is not None:
        error = error.__context__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def send(out: int, data: memoryview) -> None:
    """Write all of it; a pipe takes a part at a time."""
    while data:
        data = data[os.write(out, data) :]


def end_with_parent() -> None:
    """Wait for standard input's end, then leave, whatever the camera is doing."""
    sys.stdin.buffer.read()
    os._exit(0)


def run(width: int, height: int, out: int) -> str:
    """Send frames for ever; returns what is wrong and what to do when that cannot be."""
    try:
        from picamera2 import Picamera2  # type: ignore[import-not-found,unused-ignore]
    except ModuleNotFoundError as error:
        return (
            f"the system's Python has no {error.name}: sudo apt install -y python3-picamera2 "
            "brings it"
        )
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        return (
            f"picamera2 does not load ({reason(error)}): "
            "sudo apt install --reinstall -y python3-picamera2 mends it"
        )
    try:
        if not Picamera2.global_camera_info():
            return (
                "no camera is detected; check its cable at both ends, then "
                "rpicam-hello --list-cameras"
            )
        camera = Picamera2()
        # Named as a number is read, from its highest byte down: in memory this is B, G, R.
        camera.configure(
            camera.create_video_configuration(main={"format": "RGB888", "size": (width, height)})
        )
        camera.start()
        main = camera.camera_configuration()["main"]
        (width, height), stride = main["size"], main["stride"]  # as the camera could do it
    except (IndexError, OSError, RuntimeError, ValueError) as error:
        return (
            f"the camera cannot be opened ({reason(error)}); close other programs that use it, "
            "then try rpicam-hello"
        )
    header = HEADER.pack(MAGIC, width, height, stride * height)
    while True:
        try:
            frame = memoryview(camera.capture_buffer("main"))[: stride * height]
        except (OSError, RuntimeError, ValueError) as error:
            return f"the camera broke off ({reason(error)})"
        send(out, memoryview(header))
        send(out, frame)


def main() -> int:
    """Run with what the command line says."""
    width, height = map(int, sys.argv[1:])
    threading.Thread(target=end_with_parent, daemon=True).start()
    # libcamera writes logs to both streams, which are for frames and for one line only.
    out, err = os.dup(1), os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        wrong = run(width, height, out)
    except BrokenPipeError:
        return 0
    os.write(err, (wrong + "\n").encode())
    # Not through the interpreter's end: picamera2's threads may hang in it.
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
