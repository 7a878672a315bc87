"""Where the readings of a run go, and how it ended."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from digitkit.errors import cannot_write
from digitkit.sources.suffixes import is_video
from digitkit.system import atomic

if TYPE_CHECKING:
    from digitkit.inference.pipeline import Summary
    from digitkit.inference.run_state import Done
    from digitkit.sinks.base import Sink
    from digitkit.sources.frames import Failure
    from digitkit.sources.items import Item

_Reading = TypeVar("_Reading")


@dataclass
class Outputs(Generic[_Reading]):
    """Where the readings of a run go.

    Attributes:
        sinks: all that receive them.
        done: what an earlier run read, which this one continues; None for a new one.
        resumable: whether what is read stays where the run is interrupted.
        finished: whether all was read: nothing is left to continue.
        has_video: to be set when a video comes, which is followed from its beginning to its end:
            what was read cannot be continued.
        in_vain: whether nothing of what was to be read could be.
        idle: to be called now and then while nothing is read.
    """

    sinks: list[Sink[_Reading]] = field(default_factory=list)
    done: Done | None = None
    resumable: bool = False
    finished: bool = False
    has_video: bool = False
    in_vain: bool = False
    idle: Callable[[], None] = lambda: None

    @property
    def done_before(self) -> int:
        """How many pictures an earlier run read."""
        return 0 if self.done is None else self.done.total

    def remaining(self, items: Iterable[Item | Failure]) -> Iterator[Item | Failure]:
        """The items that an earlier run did not read; notes whether one is a video."""
        for item in items if self.done is None else self.done.remaining(items):
            self.has_video |= isinstance(item, Path) and is_video(item)
            yield item

    def settle(self, summary: Summary) -> Summary:
        """Note how the run ended; the summary, with how many pictures an earlier run read."""
        self.finished = not summary.interrupted
        self.in_vain = not summary.images and self.done is None
        return replace(summary, done_before=self.done_before)

    def keep_old(self, path: Path) -> None:
        """Copy the file that the output of a run in vain is about to replace, as after a mistyped
        source.

        Args:
            path: the output; the copy is beside it.

        Raises:
            OutputError: the copy cannot be written.
        """
        target = Path(os.path.realpath(path))
        if not self.in_vain or not target.is_file() or not target.stat().st_size:
            return
        try:
            shutil.copy2(target, atomic.free_name(target))
        except OSError as error:
            raise cannot_write(path, error) from error
