"""Where the time goes when a page is read: each step, of a 12-megapixel photo and of a frame.

    python benchmarks/stages.py

The pictures are the sample page (`data/samples/notes.jpg`, 14 digits) enlarged to 4000×3000 and
reduced to 640×480, and frames with four digits and with none. From decoded pixels, one thread,
median of the runs; the steps are timed inside whole readings.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from common import ran_on, table

from digitkit import Reader, arrays
from digitkit.datasets.mnist import load_mnist
from digitkit.images.convert import to_grey
from digitkit.images.decode import decode_file
from digitkit.images.opencv import cv2
from digitkit.reading.detector import Detector, Maps
from digitkit.reading.pages import detect_digits
from digitkit.sources.frames import Frame

U8 = arrays.U8
NOTES = Path(__file__).parents[1] / "data" / "samples" / "notes.jpg"


class Timed(Detector):
    """A finder that adds up what its net takes."""

    took = 0.0
    """Milliseconds."""

    def maps(self, plain: U8) -> Maps:
        """Look at a picture."""
        begun = time.perf_counter_ns()
        maps = super().maps(plain)
        self.took += (time.perf_counter_ns() - begun) / 1e6
        return maps


def frame_of(count: int) -> U8:
    """A camera's frame, 640×480, of so many digits on paper."""
    page = np.random.default_rng(0).normal(215, 4, (480, 640))
    for k, digit in enumerate(load_mnist("test").images[:count]):
        big = cv2.resize(digit, (140, 140), interpolation=cv2.INTER_CUBIC)
        page[160:300, 30 + 150 * k : 170 + 150 * k] -= 0.7 * big
    return np.asarray(
        cv2.cvtColor(page.clip(0, 255).astype(np.uint8), cv2.COLOR_GRAY2BGR), np.uint8
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=50)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    notes = decode_file(NOTES)
    pictures = {
        "page, 4000×3000": cv2.resize(notes, (4000, 3000), interpolation=cv2.INTER_CUBIC),
        "page, 640×480": cv2.resize(notes, (640, 480), interpolation=cv2.INTER_AREA),
        "frame, 640×480, 4 digits": frame_of(4),
        "frame, 640×480, none": frame_of(0),
    }
    finder = Timed()
    reader = Reader(detector=finder)
    rows = []
    for name, picture in pictures.items():
        frame = Frame(name, np.asarray(picture, np.uint8))
        read = reader.read_frame(frame)
        steps = []
        for _ in range(options.runs):
            finder.took = 0.0
            begun = time.perf_counter_ns()
            plain = to_grey(frame.image)
            grey = (time.perf_counter_ns() - begun) / 1e6
            begun = time.perf_counter_ns()
            found = detect_digits(plain, finder)
            locate = (time.perf_counter_ns() - begun) / 1e6
            net = finder.took
            reading = reader.read_frame(frame)
            whole = reading.ms.locate + reading.ms.normalise + reading.ms.classify
            steps.append(
                (whole, grey, net, locate - net, reading.ms.normalise, reading.ms.classify)
            )
        assert len(found) >= len(read.digits) - 1
        rows.append([name, f"{len(read.digits)}", *(f"{t:.1f}" for t in np.median(steps, axis=0))])
    print(f"{ran_on()}\n")
    heads = [
        "", "digits", "whole, ms", "grey", "the finder's net",
        "reducing, lifting ink", "normal form", "classifying, order",
    ]  # fmt: skip
    print(table(heads, rows))


if __name__ == "__main__":
    main()
