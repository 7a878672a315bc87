"""What ``digitkit infer`` says about its work: the summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digitkit.cli.show import print_line

if TYPE_CHECKING:
    from digitkit.inference.infer_config import InferConfig
    from digitkit.inference.pipeline import Summary


def print_notice(line: str) -> None:
    """Print a line for the user on standard error."""
    print_line(line, error=True)


def print_summary(summary: Summary, job: InferConfig) -> None:
    """What became of the images, in a line or, where there are many, three."""
    if summary.images < 2 and not (summary.interrupted or summary.done_before):
        return
    rate = summary.images / max(summary.seconds, 1e-9)
    what = "images" if summary.dropped is None else "frames"
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
        kinds = [f"{count:,} {kind}" for kind, count in sorted(summary.failed.items())]
        print_notice(f"{line} a number" + (f"; failed: {', '.join(kinds)}" if kinds else ""))
    if summary.interrupted:
        print_notice(f"stopped; what was read is in {job.output}: continue with --resume")
