"""Kinds of image files, told by their first bytes."""

from __future__ import annotations

import re
from typing import Literal

Format = Literal["tiff", "gif", "webp", "pdf", "heif", "image"]
"""What is opened in a way of its own; ``image`` is any other image."""

HEAD_BYTES = 1024
"""How much of a file's beginning decides; a PDF may have something before its header."""

ENOUGH_BYTES = 64
"""How much of it decides for what is piped in."""

_SIGNATURES: tuple[tuple[Format, bytes, int, bytes], ...] = (
    # Format, the first bytes, and more of them behind a size.
    ("image", b"\x89PNG\r\n\x1a\n", 0, b""),
    ("image", b"\xff\xd8\xff", 0, b""),  # JPEG
    ("tiff", b"II*\0", 0, b""),
    ("tiff", b"MM\0*", 0, b""),
    ("tiff", b"II+\0", 0, b""),  # BigTIFF
    ("tiff", b"MM\0+", 0, b""),
    ("gif", b"GIF8", 0, b""),
    ("webp", b"RIFF", 8, b"WEBP"),
    ("pdf", b"%PDF-", 0, b""),
    ("image", b"BM", 6, b"\0\0\0\0"),
    ("image", b"\0\0\0\x0cjP  ", 0, b""),  # JPEG 2000
    ("image", b"\xff\x4f\xff\x51", 0, b""),
    ("image", b"\x76\x2f\x31\x01", 0, b""),  # OpenEXR
    ("image", b"#?RADIANCE\n", 0, b""),
    ("image", b"#?RGBE\n", 0, b""),
    ("image", b"\x59\xa6\x6a\x95", 0, b""),  # Sun raster
)
_NETPBM = re.compile(rb"P[1-6]\s(?:\s|#.*\n)*\d+\s+\d+\s|P7\s+WIDTH|P[fF]\n\d+\s+\d+\s")
_MAYBE_NETPBM = re.compile(rb"P(?:$|[1-7fF](?:$|\s[\s\d]*$))")
_HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
_AVIF_BRANDS = frozenset((b"avif", b"avis"))


def detect_format(head: bytes) -> Format | None:
    """The kind of an image file; None if its first bytes are not those of one.

    Args:
        head: its first `HEAD_BYTES` bytes, or all; `ENOUGH_BYTES` decide for most files.
    """
    for kind, first, at, more in _SIGNATURES:
        if head.startswith(first) and head[at : at + len(more)] == more:
            return kind
    if head[4:8] == b"ftyp":
        size = min(int.from_bytes(head[:4]), len(head))
        brands = {head[at : at + 4] for at in range(8, size - 3, 4) if at != 12}
        if brands & _AVIF_BRANDS:
            return "image"
        return "heif" if brands & _HEIC_BRANDS else None
    if _NETPBM.match(head):
        return "image"
    return "pdf" if b"%PDF-" in head[:HEAD_BYTES] else None


def may_be_image(head: bytes) -> bool:
    """Whether a file that begins like this may turn out to be an image once more of it is known."""
    if len(head) >= ENOUGH_BYTES:
        return False
    if head[:3] == b"\0\0\0"[: len(head)] and head[4:8] == b"ftyp"[: max(0, len(head) - 4)]:
        return True
    return bool(_MAYBE_NETPBM.match(head)) or any(
        head[: len(first)] == first[: len(head)]
        and head[at : at + len(more)] == more[: max(0, len(head) - at)]
        for _, first, at, more in _SIGNATURES
    )
