"""Signals that are handled for a while."""

import signal
import subprocess
import sys

import pytest

from digitkit.system.interrupts import blocked_interrupts, handle_signals


def test_a_second_signal_is_handled_as_before():
    came: list[int] = []
    with handle_signals(came.append, once=True):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert came == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_an_interrupt_waits_also_in_processes_that_are_started():
    program = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    with pytest.raises(KeyboardInterrupt), blocked_interrupts():
        signal.raise_signal(signal.SIGINT)
        started = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert started.stdout == "True\n"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
