"""What ``digitkit train`` prints of a finished training."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from digitkit.cli import show
from digitkit.errors import GateError
from digitkit.models.calibration import MIN_CALIBRATION_IMAGES

if TYPE_CHECKING:
    from digitkit.training.folder import Run
    from digitkit.training.record import MixRecord, RunRecord

ARTICLE_PAGE = "docs/article.ipynb"
"""What explains the recipes of the article, in a checkout."""


def print_summary(run: Run) -> None:
    """Print the results of a finished training.

    Raises:
        GateError: it reads less of MNIST than what it started from.
    """
    from digitkit.training.forgetting import check_forgotten

    record, test = run.record, run.record.test
    assert test is not None  # a finished training has been tested
    # As the article's script ends.
    print(f"Test loss: {test.loss_uncalibrated:.4f}")
    print(f"Test accuracy: {test.accuracy:.4f}")
    wrong = round((1 - test.accuracy) * test.count)
    show.print_wrapped(
        f"{run.recipe.name}: {test.accuracy:.2%} on {record.data.test.name} "
        f"({wrong} of {test.count:,} wrong), epoch {record.best_epoch} of "
        f"{len(record.epochs)} kept, {record.wall_seconds:.0f} s, threads: {record.threads}"
    )
    show.print_wrapped(_describe_calibration(record))
    if record.mix is not None:
        show.print_wrapped(_describe_mix(record.mix, record))
    if run.recipe.name.startswith("article"):
        show.print_line(f"what each of its layers does is shown in the notebook {ARTICLE_PAGE}")
    try:
        check_forgotten(record, run.folder)
    except GateError:
        show.print_line(f"written to {run.folder}")
        raise
    show.print_line(
        f"written to {run.folder}; next: digitkit export {shlex.quote(str(run.folder))}"
    )


def _describe_mix(mix: MixRecord, record: RunRecord) -> str:
    """What was read before and is read now."""
    assert mix.result is not None  # a finished training has been tested
    parts = [f"MNIST's test set: {mix.start.mnist:.2%} right before, {mix.result.mnist:.2%} now"]
    if mix.start.own is not None and mix.result.own is not None:
        count = mix.own_validation
        before, now = (round(count * part) for part in (mix.start.own, mix.result.own))
        parts.append(
            f"{mix.own.name}, {count:,} held out of {mix.own.count:,}: {before:,} before, "
            f"{now:,} now"
        )
    if mix.without_digit and not record.recipe.negatives:
        parts.append(
            f"{mix.without_digit:,} images without a digit are not used: the net does not tell "
            "them from digits"
        )
    return "; ".join(parts)


def _describe_calibration(record: RunRecord) -> str:
    """Temperature and threshold, and where they are from."""
    calibration, init = record.calibration, record.init
    count = record.validation.count if record.validation else 0
    source = f"fitted on {count:,} validation images"
    if record.mix is not None and init is not None:
        source = f"kept from {init.run}"
    elif calibration.source != "validation":
        kept = f"kept from {init.run}" if calibration.source == "init" and init else "defaults"
        needed = f"{MIN_CALIBRATION_IMAGES:,} validation images, not {count:,}"
        source = f"{kept}; fitting takes {needed}"
    return (
        f"temperature {calibration.temperature:.4g}, threshold {calibration.min_confidence:g}: "
        f"{source}"
    )
