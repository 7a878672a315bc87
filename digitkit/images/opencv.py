"""The one door to OpenCV: its limits are set before it loads, and a failing import is explained.

Everything in digitkit takes ``cv2`` from here.
"""

from __future__ import annotations

import os

from digitkit.errors import MissingDependencyError, one_line

MAX_PIXELS = 200_000_000
"""Largest image that is decoded, in pixels: 200 megapixels, 600 MB as colour."""

# OpenCV reads these once, while it loads. A limit that the user has set stands. Its decoders'
# own log lines would add to the one clear line that a broken file gets.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # quiet; lines would show passwords, too

try:
    import cv2 as cv2
except ImportError as error:
    text = one_line(error)
    if "libGL" in text or "libgthread" in text or "libxcb" in text:
        remedy = (
            "this machine lacks a system library that opencv-python draws windows with: "
            "sudo apt-get install libgl1 libglib2.0-0 brings it; where there is no screen, "
            "pip uninstall opencv-python && pip install opencv-python-headless does without"
        )
    else:
        remedy = (
            "pip install opencv-python brings it; where both opencv-python and "
            "opencv-python-headless are installed, remove both and install one"
        )
    raise MissingDependencyError(f"OpenCV does not load ({text}); {remedy}") from error
