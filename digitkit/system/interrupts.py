"""Ctrl-C and SIGTERM that wait until what is being written is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

_T = TypeVar("_T")


class Interrupts:
    """Whether an interrupt may come now, and whether one waits."""

    def __init__(self, *, end_at_sigterm: bool = True) -> None:
        """Nothing waits; see `deferred_interrupts`."""
        self._end_at_sigterm = end_at_sigterm
        self._writing = False
        self._waiting: int | None = None

    def between(self, items: Iterable[_T]) -> Generator[_T, None, None]:
        """Pass on items; what is done with each of them is not interrupted.

        Raises:
            KeyboardInterrupt: at SIGINT, while the next item is waited for.
            SystemExit: at SIGTERM, unless that is the same.
        """
        iterator = iter(items)
        while True:
            self._writing = False
            self._raise_waiting()
            try:
                item = next(iterator)
            except StopIteration:
                return
            self._writing = True
            yield item

    def call(self, function: Callable[[], None]) -> None:
        """Call a function, which is not interrupted.

        Raises:
            KeyboardInterrupt, SystemExit: after it, as `between` does.
        """
        self._writing = True
        try:
            function()
        finally:
            self._writing = False
        self._raise_waiting()

    def receive(self, number: int) -> None:
        """Handle a signal; a second one does not wait."""
        if self._writing and self._waiting is None:
            self._waiting = number
        else:
            self._waiting = number
            self._raise_waiting()

    def _raise_waiting(self) -> None:
        number, self._waiting = self._waiting, None
        if number == signal.SIGINT or (number is not None and not self._end_at_sigterm):
            raise KeyboardInterrupt
        if number is not None:
            raise SystemExit(128 + number)


@contextmanager
def deferred_interrupts(*, end_at_sigterm: bool = True) -> Iterator[Interrupts]:
    """Receive SIGINT and SIGTERM, as `handle_signals` does.

    A program that does not handle SIGTERM ends at it, which this leaves as it is.

    Args:
        end_at_sigterm: whether SIGTERM ends the program, instead of being another Ctrl-C.
    """
    interrupts = Interrupts(end_at_sigterm=end_at_sigterm)
    with handle_signals(interrupts.receive):
        yield interrupts


@contextmanager
def handle_signals(
    on_signal: Callable[[int], None], *, once: bool = False, default: bool = False
) -> Iterator[None]:
    """Handle SIGINT and SIGTERM; outside of the main thread neither, and none that is ignored.

    Args:
        on_signal: called with the number of one that came.
        once: whether what comes after the first is handled as before.
        default: whether one is handled, too, that the program itself does not handle.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM)
        if callable(handler := signal.getsignal(number)) or (default and handler == signal.SIG_DFL)
    }

    def receive(number: int, frame: FrameType | None) -> None:
        if once:
            restore()
        on_signal(number)

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    for number in previous:
        signal.signal(number, receive)
    try:
        yield
    finally:
        restore()


@contextmanager
def blocked_interrupts() -> Iterator[None]:
    """Let SIGINT wait, also in processes that are started meanwhile; see `ignore_interrupts`."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_interrupts() -> None:
    """Ignore SIGINT in a process that was started while it was blocked."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
