"""A general OCR on the same pictures, for comparison: RapidOCR, with the PP-OCRv4 models it brings.

It is no part of digitkit: ``pip install rapidocr-onnxruntime``. It reads text of all kinds, print
before all, in 16 MB of models; here every decimal digit in its lines counts, so letters that it
reads as letters are right. ``benchmarks/photos.py --ocr`` runs it, with its own settings and one
thread.
"""

from __future__ import annotations

import math
import time
from importlib import metadata

import numpy as np

from digitkit.errors import MissingDependencyError
from digitkit.images.cv import cv2
from digitkit.reading.numbers.finding import find_numbers
from digitkit.reading.results import Digit, Reading, Timings
from digitkit.sources.frames import Frame

PACKAGE = "rapidocr-onnxruntime"


class GeneralOcr:
    """Reads digits like a `digitkit.Reader`, as those in the lines of text that an OCR finds."""

    def __init__(self) -> None:
        """Load its models.

        Raises:
            MissingDependencyError: it is not installed.
        """
        try:
            from rapidocr_onnxruntime import RapidOCR
        except ImportError as error:
            raise MissingDependencyError(
                "--ocr needs RapidOCR", hint=f"pip install {PACKAGE}"
            ) from error
        self._engine = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)

    @property
    def name(self) -> str:
        """Its name and version."""
        return f"RapidOCR {metadata.version(PACKAGE)}"

    def read_frame(self, frame: Frame) -> Reading:
        """Read a decoded image; each line of text is a row of digits."""
        begun = time.perf_counter_ns()
        image = frame.image
        if image.ndim == 2:
            image = np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
        lines, _ = self._engine(image)
        digits: list[Digit] = []
        for row, (corners, text, score) in enumerate(lines or ()):
            x, y, w, h = cv2.boundingRect(np.array(corners, np.float32))
            step = w / max(1, len(text))
            for place, character in enumerate(text):
                if character.isdecimal() and character.isascii():
                    box = (round(x + place * step), y, max(1, round(step)), h)
                    nothing = np.zeros((28, 28), np.uint8), np.zeros(10, np.float32)
                    digits.append(Digit(int(character), float(score), box, row, True, *nothing))
        ms = Timings(frame.decode_ms, 0, 0, (time.perf_counter_ns() - begun) / 1e6)
        numbers = find_numbers(tuple(digits), gap=math.inf)
        return Reading(frame.source, tuple(digits), ms, numbers=numbers)
