"""Where the readings of a run go, and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from digitkit.inference.run_state import Done
    from digitkit.sinks.base import Sink


@dataclass
class Outputs:
    """Where the readings of a run go.

    Attributes:
        sinks: all that receive them.
        done: what an earlier run read, which this one continues; None for a new one.
        resumable: whether what is read stays where the run is interrupted.
        finished: to be set when all is read: nothing is left to continue.
        continuable: to be unset where what was read cannot be continued.
        in_vain: to be set where nothing of what was to be read could be.
        idle: to be called now and then while nothing is read.
    """

    sinks: list[Sink] = field(default_factory=list)
    done: Done | None = None
    resumable: bool = False
    finished: bool = False
    continuable: bool = True
    in_vain: bool = False
    idle: Callable[[], None] = lambda: None
