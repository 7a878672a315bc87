"""How long-running work reports its progress: one type for every callback."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and the total (0 if unknown).

The first call for a piece of work has `done` 0 or its first step, the last one `done` equal to the
total. Callbacks run in the thread that does the work, and must be quick.
"""


def no_progress(what: str, done: int, total: int) -> None:
    """Ignore the progress: the default of functions that take a `Progress`."""
