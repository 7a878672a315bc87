"""The display of a training: one line per epoch, and a progress bar in a terminal."""

from __future__ import annotations

import time
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, Progress, TextColumn

from digitkit.cli import show

if TYPE_CHECKING:
    from digitkit.training.loop import Checkpoint
    from digitkit.training.record import EpochRecord
    from digitkit.training.run import TrainConfig


class TrainingProgress:
    """Shows a training on stderr (a `digitkit.training.run.Watcher`)."""

    def __init__(self) -> None:
        """Prepare; nothing is drawn before the training has started."""
        self._console = show.err()
        self._live = self._console.is_terminal
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(bar_width=8),
            TextColumn("{task.percentage:3.0f}%  {task.fields[figures]}"),
            console=self._console,
            transient=True,
        )
        self.has_begun = False  # whether anything is trained, or was complete already
        self._reading = ExitStack()
        self._report = self._reading.enter_context(show.progress())

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the bars."""
        self.stop()

    def stop(self) -> None:
        """Remove the bars; the lines above them stay."""
        self._reading.close()
        if self._live:
            self._bar.stop()

    def preparing(self, what: str, done: int, total: int) -> None:
        """Show that data is read or downloaded."""
        self._report(what, done, total)

    def started(self, config: TrainConfig, train_count: int, val_count: int, done: int) -> None:
        """Show what is trained on."""
        self._reading.close()
        self.has_begun = True
        recipe = config.recipe
        self._epochs, self._count = recipe.epochs, train_count
        self._keeps_last = recipe.keep == "last"
        resumed = f", resumed after epoch {done}" if done else ""
        validated = f", validating on {val_count:,}" if val_count else ""
        epochs = f"{recipe.epochs} epoch{'s' * (recipe.epochs > 1)}"
        self._console.print(
            f"training {recipe.net} by recipe {recipe.name} v{recipe.version} on "
            f"{train_count:,} images{validated}, {epochs}{resumed}, "
            f"into {config.out}",
            soft_wrap=not self._live,  # a terminal breaks lines inside words
        )
        if not self._live:
            return
        self._bar.start()
        self._task = self._bar.add_task(
            "training",
            total=1.0,
            epoch=done + 1,
            epochs=recipe.epochs,
            figures="",
        )
        self._begun = time.perf_counter()

    def batch(self, epoch: int, step: int, steps: int, loss: float, accuracy: float) -> None:
        """Update the bar after a batch."""
        if not self._live:
            return
        if step == 1:
            self._begun = time.perf_counter()
        fraction = step / steps
        speed = fraction * self._count / max(time.perf_counter() - self._begun, 1e-3)
        left = (self._epochs - epoch + 1 - fraction) * self._count / speed
        self._bar.update(
            self._task,
            completed=fraction,
            epoch=epoch,
            figures=f"loss {loss:.4f}  acc {accuracy:.2%}  {speed:,.0f} img/s  "
            f"{left // 60:.0f}:{left % 60:02.0f} to the end",
        )

    def epoch(self, record: EpochRecord, checkpoint: Checkpoint) -> None:
        """Print a line after an epoch."""
        validation = ""
        if record.val_loss is not None and record.val_accuracy is not None:
            best = checkpoint.best_epoch == record.epoch and not self._keeps_last
            kept = " best" if best else ""
            validation = f"  val loss {record.val_loss:.4f} acc {record.val_accuracy:.2%}{kept}"
        took = f"{record.seconds:.1f} s"
        if not self._live:  # the bar of a terminal says it, whose lines are short
            left = (self._epochs - record.epoch) * record.elapsed / record.epoch
            took = f"{self._count / record.seconds:,.0f} img/s  took {took}, {left:.0f} s left"
        self._console.print(
            f"epoch {record.epoch:>{len(str(self._epochs))}}/{self._epochs}  "
            f"loss {record.train_loss:.4f} acc {record.train_accuracy:.2%}{validation}  {took}",
            soft_wrap=not self._live,
        )
