"""Checks as data: what was looked at, how it is, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

State = Literal["ok", "warning", "problem", "skipped"]
Group = Literal["system", "packages", "model", "camera", "device", "service"]

FORMAT = "digitkit-doctor/1"
"""The format of `Diagnosis.to_json`."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what was looked at, unique in a diagnosis.
        state: ``ok``; ``warning``: ``digitkit infer`` runs, but something is wrong; ``problem``:
            ``digitkit infer`` cannot run; ``skipped``: not present, not requested or not available.
        found: the result, one line.
        remedy: what to type or to do, one line; None if there is nothing to do.
        group: the part of the machine that it belongs to.
    """

    name: str
    state: State
    found: str
    remedy: str | None = None
    group: Group = field(kw_only=True)


@dataclass(frozen=True)
class Diagnosis:
    """The result of a diagnosis.

    Attributes:
        digitkit: digitkit's version.
        board: the name of the board or computer; None if not available.
        checks: group by group.
    """

    digitkit: str
    board: str | None
    checks: tuple[Check, ...]

    @property
    def problems(self) -> list[Check]:
        """The checks that would stop ``digitkit infer``, and a service that does not answer."""
        return [check for check in self.checks if check.state == "problem"]

    @property
    def warnings(self) -> list[Check]:
        """The checks that found something wrong that does not stop ``digitkit infer``."""
        return [check for check in self.checks if check.state == "warning"]

    def to_json(self) -> dict[str, Any]:
        """The diagnosis as JSON values: `FORMAT`, ``fine`` (no problem), and the attributes."""
        return {"format": FORMAT, "fine": not self.problems, **asdict(self)}
