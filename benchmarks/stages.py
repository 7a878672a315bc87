"""Where the time goes when a page is read: each stage, for a 12-megapixel photo and a frame.

    python benchmarks/stages.py

The images are the sample page (`data/samples/notes.jpg`, 14 digits) enlarged to 4000×3000 and
reduced to 640×480, and frames with four digits and with none. One thread.

- From decoded pixels: median of the runs; the stages are timed within complete readings.
- From a JPEG file to digits: median of the runs, reading the file included. The same page, with
  noise, fills the photo or is a small part of it.
- From a camera's frame to digits: mean of ten seconds at 30 frames a second, in which nothing
  changes but the noise.

To compare another checkout: ``PYTHONPATH=OTHER python benchmarks/stages.py``, in turns.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from common import ran_on, table

from digitkit import Reader
from digitkit.arrays import U8
from digitkit.datasets.mnist import load_mnist
from digitkit.images.convert import to_grey
from digitkit.images.cv import cv2
from digitkit.images.decode import decode_file
from digitkit.images.encode import encode_jpeg
from digitkit.inference.pipeline import read_each
from digitkit.reading.detection.pages import detect_digits
from digitkit.reading.networks.detector import Detector, Maps
from digitkit.sources.files import load_frame
from digitkit.sources.frames import Frame

NOTES = Path(__file__).parents[1] / "data" / "samples" / "notes.jpg"

PHOTOS = {
    "4000×3000, digits of 320 pixels": ((4000, 3000), 1.0),
    "4000×3000, digits of 60 pixels": ((4000, 3000), 0.18),
    "4000×3000, digits of 30 pixels": ((4000, 3000), 0.09),
    "3264×2448, digits of 260 pixels": ((3264, 2448), 1.0),
    "3264×2448, digits of 60 pixels": ((3264, 2448), 0.22),
    "640×480, digits of 55 pixels": ((640, 480), 1.0),
}
"""Size of a JPEG file, and the fraction of its sides that the page takes."""

STILL = ("page, 640×480", "frame, 640×480, 4 digits", "frame, 640×480, none")
"""Images that a camera shows."""


class TimedDetector(Detector):
    """A detector that adds up the time of its network."""

    ms = 0.0
    """Time so far, milliseconds."""

    def maps(self, grey: U8) -> Maps:
        """Run the network on an image."""
        begun = time.perf_counter_ns()
        maps = super().maps(grey)
        self.ms += (time.perf_counter_ns() - begun) / 1e6
        return maps


def frame_of(count: int) -> U8:
    """A camera frame, 640×480, with `count` digits on paper."""
    page = np.random.default_rng(0).normal(215, 4, (480, 640))
    for k, digit in enumerate(load_mnist("test").images[:count]):
        big = cv2.resize(digit, (140, 140), interpolation=cv2.INTER_CUBIC)
        page[160:300, 30 + 150 * k : 170 + 150 * k] -= 0.7 * big
    return np.asarray(
        cv2.cvtColor(page.clip(0, 255).astype(np.uint8), cv2.COLOR_GRAY2BGR), np.uint8
    )


def write_photo(path: Path, notes: U8, size: tuple[int, int], fraction: float) -> None:
    """Write a photo of the page, which takes this fraction of its sides, as a JPEG file."""
    width, height = size
    photo: Any = np.empty((height, width, 3), np.float32)
    photo[:] = np.median(notes, axis=(0, 1))
    page = round(fraction * width), round(fraction * height)
    how = cv2.INTER_AREA if page[0] < notes.shape[1] else cv2.INTER_CUBIC
    left, top = (width - page[0]) // 2, (height - page[1]) // 2
    photo[top : top + page[1], left : left + page[0]] = cv2.resize(notes, page, interpolation=how)
    noise = np.random.default_rng(0).normal(0, 6, photo.shape).astype(np.float32)
    photo += cv2.GaussianBlur(noise, (0, 0), 0.7)
    path.write_bytes(encode_jpeg(photo.clip(0, 255).astype(np.uint8), 92))


def time_files(reader: Reader, notes: U8, runs: int) -> list[list[str]]:
    """The rows of the table for files: name, digits, milliseconds to decode, to read, and both."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "photo.jpg")
        for name, (size, fraction) in PHOTOS.items():
            write_photo(path, notes, size, fraction)
            digits = len(reader.read(path).digits)
            times = []
            for _ in range(runs):
                begun = time.perf_counter_ns()
                frame = load_frame(path)
                decoded = time.perf_counter_ns()
                reader.read_frame(frame)
                times.append((decoded - begun, time.perf_counter_ns() - decoded))
            both = [*np.median(times, axis=0), np.median(np.sum(times, axis=1))]
            rows.append([name, f"{digits}", *(f"{ns / 1e6:.1f}" for ns in both)])
    return rows


def still_frames(image: U8) -> Iterator[Frame]:
    """Ten seconds of a camera's frames that show the same, with noise."""
    rng = np.random.default_rng(0)
    noisy = [
        (image + rng.normal(0, 3, image.shape)).clip(0, 255).astype(np.uint8) for _ in range(10)
    ]
    for k in range(300):
        taken = datetime.fromtimestamp(k / 30, UTC)
        yield Frame("camera", noisy[k % len(noisy)], number=k, time=taken)


def time_stream(reader: Reader, frames: Iterable[Frame]) -> float:
    """Mean time of a frame, milliseconds."""
    frames = list(frames)
    begun = time.perf_counter_ns()
    assert len(list(read_each(reader, frames))) == len(frames)
    return (time.perf_counter_ns() - begun) / 1e6 / len(frames)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=50)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    notes = decode_file(NOTES)
    images: dict[str, Any] = {
        "page, 4000×3000": cv2.resize(notes, (4000, 3000), interpolation=cv2.INTER_CUBIC),
        "page, 640×480": cv2.resize(notes, (640, 480), interpolation=cv2.INTER_AREA),
        "frame, 640×480, 4 digits": frame_of(4),
        "frame, 640×480, none": frame_of(0),
    }
    detector = TimedDetector()
    reader = Reader(detector=detector)
    rows = []
    for name, image in images.items():
        frame = Frame(name, np.asarray(image, np.uint8))
        count = len(reader.read_frame(frame).digits)
        stages = []
        for _ in range(options.runs):
            detector.ms = 0.0
            begun = time.perf_counter_ns()
            grey = to_grey(frame.image)
            grey_ms = (time.perf_counter_ns() - begun) / 1e6
            begun = time.perf_counter_ns()
            detections = detect_digits(grey, detector)
            locate_ms = (time.perf_counter_ns() - begun) / 1e6
            network_ms = detector.ms  # before the reader uses the detector, too
            ms = reader.read_frame(frame).ms
            stages.append(
                (
                    ms.locate + ms.normalise + ms.classify, grey_ms, network_ms,
                    locate_ms - network_ms, ms.normalise, ms.classify,
                )
            )  # fmt: skip
        assert len(detections) >= count - 1
        rows.append([name, f"{count}", *(f"{ms:.1f}" for ms in np.median(stages, axis=0))])
    print(f"{ran_on()}\n")
    heads = [
        "", "digits", "total, ms", "grey", "detector's network",
        "reducing, extracting ink", "normal form", "classifying, order",
    ]  # fmt: skip
    print(table(heads, rows))
    heads = ["from a JPEG file to digits", "digits", "decoding, ms", "reading", "total"]
    print(f"\n{table(heads, time_files(reader, notes, options.runs))}")
    streams = [[name, f"{time_stream(reader, still_frames(images[name])):.2f}"] for name in STILL]
    print(f"\n{table(['from a still frame to digits', 'ms'], streams)}")


if __name__ == "__main__":
    main()
