"""Reasons to distrust a measurement, as data; `digitkit.benchmark.verdicts` words them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FindingKind = Literal[
    "throttled", "frequency_fall", "spread", "other_load", "busy_at_start", "descheduled"
]

INVALIDATING: frozenset[FindingKind] = frozenset({"throttled", "frequency_fall", "spread"})
"""The kinds that make a run invalid; the others make it noisy."""


@dataclass(frozen=True)
class Finding:
    """One reason why figures cannot be trusted, or may be off.

    Attributes:
        kind: ``throttled``: the board throttled the processor; ``frequency_fall``: the clock fell;
            ``spread``: a variant's processes disagree; ``other_load``: other processes used the
            CPU; ``busy_at_start``: the machine was busy when the run began; ``descheduled``: a
            variant's processes were kept from running.
        variant: name of the variant that it is about; null for the whole run.
        value: the fraction by which the clock fell, by which processes differ, of the CPU time
            that others used or of its time that a variant did not run, 0–1 (a spread may be more);
            the load for ``busy_at_start``; null for ``throttled``.
        limit: the value above which it is a finding; null for ``throttled``.
        flag: the throttling flag of a Raspberry Pi; null for other kinds.
        frequencies_mhz: the clock at the start and at its lowest; null for other kinds.
    """

    kind: FindingKind
    variant: str | None = None
    value: float | None = None
    limit: float | None = None
    flag: str | None = None
    frequencies_mhz: tuple[float, float] | None = None

    @property
    def invalidates(self) -> bool:
        """Whether it makes the run invalid, not just noisy."""
        return self.kind in INVALIDATING
