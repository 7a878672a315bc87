"""The exit codes of the commands; ``digitkit --help`` describes them."""

SOME_FAILED, USAGE, GATE_FAILED = 1, 2, 3

WRONG_SETTINGS = 78
"""Instead of `USAGE`, to systemd: a restart would not help (``EX_CONFIG`` of sysexits.h)."""

INTERRUPTED = 130
"""After Ctrl-C, as a shell's own."""
