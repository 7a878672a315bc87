"""Signals that are handled for a while."""

import signal

import pytest

from digitkit.system.interrupts import handle_signals


def test_a_second_signal_is_handled_as_before():
    came: list[int] = []
    with handle_signals(came.append, once=True):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert came == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
