"""The hash of a file, by which models, wheels and profiles are told from one another."""

from __future__ import annotations

from pathlib import Path


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits; raises OSError if it cannot be read."""
    import hashlib  # takes longer to load than most starts of digitkit have a use for it

    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
