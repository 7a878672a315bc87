"""Hours of video through the live path, and the memory that takes.

    python benchmarks/soak.py --seconds 3600
    python benchmarks/soak.py --seconds 3600 --speed 1

A synthetic video (handwritten digits that wander over paper, 30 frames per second) is written once,
decoded by OpenCV again and again, and takes the path of ``digitkit infer --camera``: `Live`, the
reader, tracking and a sink. Without ``--speed`` every frame is read, as fast as possible; with it
the camera runs at that multiple of real time and only the newest frame is read, as from a real one.
Resident memory is compared with that after the warm-up; the exit code is 1 if it has grown by more
than ``--grow``. Linux only.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from digitkit import Reader
from digitkit.datasets.mnist import load_mnist
from digitkit.images.cv import cv2
from digitkit.inference.pipeline import Reporting, deliver, read_each
from digitkit.reading.results import Reading
from digitkit.sources.frames import Failure, Frame
from digitkit.sources.live import Live

RATE = 30
CLIP = 10 * RATE
"""Frames of the repeated video."""


def resident() -> float:
    """Resident memory of this process, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def write_clip(path: Path, size: tuple[int, int]) -> None:
    """A video of four digits that wander, MJPEG in AVI."""
    width, height = size
    side = height // 4
    digits = [cv2.resize(image, (side, side)) for image in load_mnist("test").images[:4]]
    rng = np.random.default_rng(0)
    code = cv2.VideoWriter_fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, RATE, size)
    if not writer.isOpened():
        sys.exit(f"{path}: this OpenCV cannot write MJPEG video")
    for i in range(CLIP):
        page = rng.normal(225, 4, (height, width))
        for k, digit in enumerate(digits):
            turn = 2 * np.pi * (i / CLIP + k / len(digits))
            x = int((width - side) * (0.5 + 0.45 * np.cos(turn)))
            y = int((height - side) * (0.5 + 0.45 * np.sin(turn)))
            page[y : y + side, x : x + side] -= 0.8 * digit
        writer.write(cv2.cvtColor(page.clip(0, 255).astype(np.uint8), cv2.COLOR_GRAY2BGR))
    writer.release()


class Repeated:
    """A video file as a camera that never ends."""

    def __init__(self, path: Path, speed: float | None) -> None:
        self.path = str(path)
        self.interval = 1 / (RATE * speed) if speed else 0.0
        self.due = time.monotonic()
        self.video = cv2.VideoCapture(self.path, cv2.CAP_FFMPEG)

    def read(self) -> np.ndarray | None:
        """The next frame, at its time."""
        self.due = max(self.due + self.interval, time.monotonic() - 1)
        time.sleep(max(0.0, self.due - time.monotonic()))
        ok, image = self.video.read()
        if not ok:
            self.video.release()
            self.video = cv2.VideoCapture(self.path, cv2.CAP_FFMPEG)
            ok, image = self.video.read()
        return image if ok else None

    def close(self) -> None:
        """Nothing: `read` may be running, and the end of the process frees the video."""


class Watch:
    """A sink that counts frames and digits, and watches memory."""

    wants_every_frame = True

    def __init__(self, warm_after: int) -> None:
        self.warm_after = warm_after
        self.frames = self.digits = 0
        self.warm = self.peak = 0.0

    def write(self, frame: Frame, reading: Reading) -> None:
        """Count a frame."""
        self.frames += 1
        self.digits += len(reading.digits)
        if self.frames == self.warm_after:
            self.warm = resident()
        elif self.frames % 100 == 0:
            self.peak = max(self.peak, resident())

    def fail(self, failure: Failure) -> None:
        """Exit: nothing may fail here."""
        sys.exit(f"{failure.source}: {failure.error}")


def main() -> None:
    """Run and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--seconds", type=float, default=3600, help="length of the video at 30 frames/s"
    )
    parser.add_argument("--speed", type=float, help="multiple of real time; default: all frames")
    parser.add_argument("--size", default="640x480", help="WIDTHxHEIGHT")
    parser.add_argument("--model", default="digits")
    parser.add_argument("--grow", type=float, default=16, help="allowed growth, MB")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    cv2.setNumThreads(1)
    count = round(options.seconds * RATE)
    reader = Reader(options.model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.avi")
        write_clip(path, (width, height))
        live = Live(
            "clip",
            opener=lambda: Repeated(path, options.speed),
            every=not options.speed,
            max_frames=None if options.speed else count,
            duration=options.seconds / options.speed if options.speed else None,
            retry=0,
        )
        # Two rounds of the video, or half of the frames: caches are filled by then.
        watch = Watch(min(2 * CLIP, count // 2))
        at_start = resident()
        with live:
            reporting = Reporting(reader.min_confidence, hold=5)
            summary = deliver(read_each(reader, live), [watch], reporting, on_failure=watch.fail)
        seconds, at_end = summary.seconds, resident()
    warm, peak = watch.warm or at_start, max(watch.peak, at_end)
    print(
        f"{watch.frames:,} frames of {width}×{height}, {watch.digits:,} digits in {seconds:.0f} s: "
        f"{watch.frames / seconds:.0f} frames/s, {live.dropped:,} dropped"
    )
    print(
        f"resident memory: {at_start:.1f} MB at the start, {warm:.1f} after the warm-up, "
        f"{peak:.1f} at the peak, {at_end:.1f} at the end"
    )
    if peak - warm > options.grow:
        sys.exit(f"memory has grown by {peak - warm:.1f} MB, more than {options.grow:g}")


if __name__ == "__main__":
    main()
