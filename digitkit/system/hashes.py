"""File hashes, which identify models, wheels and profiles."""

from __future__ import annotations

from pathlib import Path


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits.

    Raises:
        OSError: it cannot be read.
    """
    import hashlib  # slow to load, and most commands hash nothing

    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
