"""URLs of streams and addresses of files, and their passwords, which are never displayed."""

from __future__ import annotations

import re
from pathlib import Path

SCHEMES = frozenset(
    ("http", "https", "rtmp", "rtmps", "rtp", "rtsp", "rtsps", "srt", "tcp", "udp"),
)
"""The URL schemes of streams."""

_SECRET = re.compile(r"(?i)((?:pass|pwd|token|key|secret|auth)[^=&;#?/]*=)[^&]*")


def mask_password(url: str) -> str:
    """A URL that is safe to display: its password, and parameters named like one, become ``***``.

    >>> mask_password("rtsp://me:geheim@10.0.0.7/live?token=abc&channel=1")
    'rtsp://me:***@10.0.0.7/live?token=***&channel=1'
    """
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url
    return f"{scheme}://" + _SECRET.sub(r"\1***", _mask_user(rest))


def is_address(name: str) -> bool:
    """Whether a name is a URL of a stream or a file instead of a path, such as ``s3://bucket/a``."""
    return "://" in name


_ADDRESS_AS_PATH = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.S)
"""How an address such as ``s3://bucket`` begins as a path; a drive of Windows has one letter."""


def address_of(path: Path) -> str | None:
    """The address that was given as a path, which keeps one slash of its two; None for a path.

    >>> address_of(Path("s3://bucket/readings.parquet")), address_of(Path("readings.parquet"))
    ('s3://bucket/readings.parquet', None)
    """
    found = _ADDRESS_AS_PATH.match(str(path))
    return None if found is None else f"{found[1]}://{found[2]}"


def is_stream(name: str) -> bool:
    """Whether a name is the URL of a stream."""
    return is_address(name) and name.partition("://")[0].lower() in SCHEMES


def holds_secret(address: str) -> bool:
    """Whether there is a password in an address, or a parameter named like one.

    >>> holds_secret("s3://key:geheim@bucket/scans"), holds_secret("s3://bucket/author=me/1.png")
    (True, False)
    """
    rest = address.partition("://")[2]
    parameters = re.split(r"[?#]", rest, maxsplit=1)[1:]
    return _mask_user(rest) != rest or any(map(_SECRET.search, parameters))


def _mask_user(rest: str) -> str:
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, colon, port = host.partition(":")
    if "@" not in host and colon and "@" in rest and not re.fullmatch(r"\d*", port):
        host = rest  # not a port: a password with a slash in it that should have been escaped
    before, at, _ = host.rpartition("@")
    user, colon, _ = before.partition(":")
    return f"{user}:***{rest[len(before) :]}" if at and colon else rest
