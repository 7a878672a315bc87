"""What ``digitkit infer`` says about its work: a bar while it reads, and the summary."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from digitkit.cli.show import err, print_line
from digitkit.errors import printable_path

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from digitkit.choices import OutputFormat
    from digitkit.inference.infer_config import InferConfig
    from digitkit.inference.pipeline import Summary
    from digitkit.sources.frames import Failure


def print_notice(line: str) -> None:
    """Print a line for the user on standard error."""
    print_line(line, error=True)


RATE_SECONDS = 30.0
"""The rate and the time left are those of the last seconds."""


class ReadingBar:
    """A bar with rate, failures and time left on standard error."""

    def __init__(self, *, visible: bool) -> None:
        """Nothing is read yet; an invisible bar only prints failures."""
        self._visible = visible
        self._bars: Bars | None = None
        self._started = time.monotonic()
        self._first = 0
        self._failed = 0

    def fail(self, failure: Failure) -> None:
        """Count and print a failure."""
        self._failed += 1
        print_notice(f"{failure.name}: {failure.error}")

    def report(self, what: str, done: int, total: int) -> None:
        """Draw the bar; see `digitkit.system.progress.Progress`."""
        if not self._visible:
            return
        if self._bars is None:
            self._bars = _make_bars()
            self._task = self._bars.add_task("", total=total or None, completed=done, figures="")
            self._first = done - 1
            self._bars.start()
        rate = (done - self._first) / max(time.monotonic() - self._started, 1e-3)
        figures = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"
        if self._failed:
            figures += f", {self._failed:,} failed"
        self._bars.tasks[0].total = total or None  # unknown once a file turns out to have pages
        self._bars.update(self._task, completed=done, figures=figures)

    def stop(self) -> None:
        """Remove the bar."""
        if self._bars is not None:
            self._bars.stop()


def _make_bars() -> Bars:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    return Bars(
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
        TimeRemainingColumn(),
        console=err(),
        transient=True,
        speed_estimate_period=RATE_SECONDS,
    )


@contextmanager
def reading_bar(*, wanted: bool) -> Iterator[ReadingBar]:
    """A bar while the block runs.

    Args:
        wanted: whether to draw it; it is only drawn where standard error is a terminal.
    """
    bar = ReadingBar(visible=wanted and sys.stderr.isatty())
    try:
        yield bar
    finally:
        bar.stop()


def print_summary(summary: Summary, job: InferConfig) -> None:
    """What became of the images, in a line or, where there are many, three; what was written."""
    _print_counts(summary, job)
    if job.camera is not None or summary.interrupted or not (summary.images or summary.failures):
        return
    pictures = (job.annotate, job.explain) if summary.images else ()
    paths = (job.output, job.report, *pictures)
    written = [path for path in paths if path is not None and path.exists()]
    if names := [*filter(None, [job.output_address]), *map(printable_path, written)]:
        print_notice(f"written: {', '.join(names)}")


def _print_counts(summary: Summary, job: InferConfig) -> None:
    from digitkit.sources.frames import count_failures

    total = summary.images + summary.failures
    if total == 0 and job.sources == ("-",) and not (summary.done_before or summary.interrupted):
        print_notice("standard input is empty: nothing was read")
        return
    if total < 2 and not (summary.interrupted or summary.done_before):
        return
    if summary.done_before and not (summary.images or summary.failures):
        print_notice(f"nothing new to read; {summary.done_before:,} were read before")
        return
    rate = summary.images / max(summary.seconds, 1e-9)
    what = "images" if not summary.frames else "frames"
    if 0 < summary.frames < summary.images:
        what = "images and frames"
    if summary.images == 1:
        what = what.removesuffix("s")
    line = f"{summary.images:,} {what} in {summary.seconds:.1f} s, {rate:,.1f} per second"
    if summary.dropped is not None:
        line += f"; {summary.dropped:,} dropped in between"
    if summary.done_before:
        line += f"; {summary.done_before:,} were read before"
    if summary.failures:
        line += f"; {summary.failures:,} failed"
    print_notice(line)
    if job.output is not None and job.camera is None:
        none = summary.images - summary.complete - summary.doubtful
        line = f"{summary.complete:,} complete, {summary.doubtful:,} doubtful, {none:,} without"
        failed = f"; failed: {count_failures(summary.failed)}" if summary.failed else ""
        print_notice(f"{line} a number{failed}")
    if summary.interrupted and job.watch is None:
        where = job.output_address or job.output
        if _is_continuable(job):
            without = ", without --report" if job.report is not None else ""
            print_notice(f"stopped; what was read is in {where}: continue with --resume{without}")
        elif summary.frames:
            print_notice("stopped; a run with a video cannot be continued")
        if job.report is not None:
            print_notice("no report was written: it is made by a run that is not stopped")


def print_stopped(job: InferConfig, resumable: Sequence[OutputFormat]) -> None:
    """What Ctrl-C left of a run that ended without a summary; formats that can be continued."""
    if _is_continuable(job):
        where = job.output_address or job.output
        print_notice(f"stopped; what was read before is in {where}: continue with --resume")
    elif job.output is not None and not job.is_resumable(resumable):
        others = ", ".join(f".{name}" for name in resumable[:-1])
        print_notice(
            f"stopped: {job.output} was not written; {others} and .{resumable[-1]} can be continued"
        )
    elif job.report is not None:
        print_notice("stopped: no report was written")
    else:
        print_notice("stopped")


def _is_continuable(job: InferConfig) -> bool:
    """Whether a run that was stopped left something: its output, and its state."""
    from digitkit.system.run_file import run_file_path

    if job.output is None or not run_file_path(job.state_output).exists():
        return False
    return job.output_address is not None or job.output.exists()
