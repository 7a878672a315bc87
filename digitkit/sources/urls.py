"""URLs of streams, and their passwords, which are never displayed."""

from __future__ import annotations

import re

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
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, colon, port = host.partition(":")
    if "@" not in host and colon and "@" in rest and not re.fullmatch(r"\d*", port):
        host = rest  # not a port: a password with a slash in it that should have been escaped
    before, at, _ = host.rpartition("@")
    if at:
        user, colon, _ = before.partition(":")
        if colon:
            rest = f"{user}:***{rest[len(before) :]}"
    return f"{scheme}://" + _SECRET.sub(r"\1***", rest)
