"""URLs of streams, and their passwords, which are never shown."""

from __future__ import annotations

import re

SCHEMES = frozenset(
    ("http", "https", "rtmp", "rtmps", "rtp", "rtsp", "rtsps", "srt", "tcp", "udp"),
)
"""The kinds of URL that are taken for streams."""

_SECRET = re.compile(r"(?i)((?:pass|pwd|token|key|secret|auth)[^=&;#?/]*=)[^&]*")


def mask_password(url: str) -> str:
    """A URL fit to be shown: its password, and parameters named like one, are three stars.

    >>> masked("rtsp://me:geheim@10.0.0.7/live?token=abc&channel=1")
    'rtsp://me:***@10.0.0.7/live?token=***&channel=1'
    """
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url
    place = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, colon, port = place.partition(":")
    if "@" not in place and colon and "@" in rest and not re.fullmatch(r"\d*", port):
        place = rest  # no port: a password with a slash in it that should have been escaped
    before, at, _ = place.rpartition("@")
    if at:
        user, colon, _ = before.partition(":")
        if colon:
            rest = f"{user}:***{rest[len(before) :]}"
    return f"{scheme}://" + _SECRET.sub(r"\1***", rest)
