"""The progress of a benchmark."""

from __future__ import annotations

from digitkit.system.progress import Progress


class Steps:
    """Counts the steps of a benchmark, and reports each before it begins.

    No progress is reported during a measurement, so that nothing else runs then.

    Attributes:
        total: number of steps.
        latest: the latest figure, shown next to the step's name.
    """

    def __init__(self, progress: Progress, total: int) -> None:
        """Begin before the first step."""
        self.total = total
        self.latest = ""
        self._progress, self._done = progress, 0

    def begin(self, what: str) -> None:
        """Report that a step begins."""
        self._progress(f"{what}{self.latest}", self._done, self.total)
        self._done += 1
