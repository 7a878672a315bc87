"""Tells systemd how a service is: ready, alive, stopping (the protocol of ``sd_notify``).

Where no systemd listens, which ``$NOTIFY_SOCKET`` tells, nothing happens.
"""

from __future__ import annotations

import os
import socket
import time

_ALIVE_SECONDS = 1.0
"""Signs of life are not sent more often than this; a watchdog waits for many times as long."""

_last = -_ALIVE_SECONDS


def notify_ready() -> None:
    """Say that the service is up; a camera may still be waited for."""
    _send("READY=1")


def notify_alive() -> None:
    """Give a sign of life; systemd restarts a service that stops giving them."""
    global _last
    now = time.monotonic()
    if now - _last >= _ALIVE_SECONDS:
        _last = now
        _send("WATCHDOG=1")


def notify_stopping() -> None:
    """Say that the service is about to end."""
    _send("STOPPING=1")


def _send(state: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]  # a name without a file, as Linux has them
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(state.encode(), address)
    except OSError:
        pass  # no reason to stop reading; systemd sees that nothing comes
