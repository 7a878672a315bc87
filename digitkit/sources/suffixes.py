"""Suffixes of images and videos."""

from __future__ import annotations

from pathlib import Path

IMAGE_SUFFIXES = frozenset(
    f".{kind}"
    for kind in (
        *("avif", "bmp", "dib", "exr", "gif", "hdr", "jp2", "jpe", "jpeg", "jpg", "pbm", "pfm"),
        *("pgm", "png", "pnm", "ppm", "ras", "sr", "tif", "tiff", "webp"),
    )
)
"""Suffixes of the files that a folder is searched for; a file that is named is always tried."""

PDF_SUFFIXES = frozenset((".pdf",))
"""Suffixes of PDF files; folders are searched for them where pypdfium2 is installed."""

HEIC_SUFFIXES = frozenset((".heic", ".heif", ".hif"))
"""Suffixes of HEIC images; folders are searched for them where pillow-heif is installed."""

VIDEO_SUFFIXES = frozenset(
    f".{kind}"
    for kind in (
        *("3g2", "3gp", "asf", "avi", "flv", "m2ts", "m4v", "mjpeg", "mjpg", "mkv", "mov", "mp4"),
        *("mpeg", "mpg", "mts", "ogv", "ts", "vob", "webm", "wmv"),
    )
)
"""Suffixes of videos, which give all their frames; they must be named, folders skip them."""

VIDEO_CODES = {".mp4": "mp4v", ".avi": "MJPG"}
"""Suffixes of videos that can be written, with their codecs."""


def is_video(path: Path) -> bool:
    """Whether a file is taken for a video, by its suffix."""
    return path.suffix.lower() in VIDEO_SUFFIXES
