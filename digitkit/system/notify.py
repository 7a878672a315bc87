"""Reports a service's state to systemd: ready, alive, stopping (the ``sd_notify`` protocol).

Does nothing unless systemd listens, that is, unless ``$NOTIFY_SOCKET`` is set.
"""

from __future__ import annotations

import os
import socket
import time

_ALIVE_SECONDS = 1.0
"""The shortest interval between two signs of life; a watchdog waits much longer."""

_last = -_ALIVE_SECONDS


def is_supervised() -> bool:
    """Whether systemd started this process and listens."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def notify_ready() -> None:
    """Report that the service is up; its camera may still be missing."""
    _send("READY=1")


def notify_alive() -> None:
    """Give a sign of life; systemd restarts a service that stops doing so."""
    global _last
    now = time.monotonic()
    if now - _last >= _ALIVE_SECONDS:
        _last = now
        _send("WATCHDOG=1")


def notify_stopping() -> None:
    """Report that the service is about to end."""
    _send("STOPPING=1")


def _send(state: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]  # an abstract socket of Linux
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(state.encode(), address)
    except OSError:
        pass  # no reason to stop reading; systemd notices that nothing arrives
