"""The most likely of all combinations of independent choices, one after the other."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Option:
    """What a detection may be.

    Attributes:
        digit: 0 to 9; None for no digit.
        probability: of that, above 0.
    """

    digit: int | None
    probability: float


class Likely(Protocol):
    """One of several possibilities."""

    @property
    def probability(self) -> float:
        """How likely it is, above 0."""


def k_best_choices(options: Sequence[Sequence[Likely]]) -> Iterator[tuple[float, list[int]]]:
    """All hypotheses, the most likely first, each once.

    Args:
        options: of each detection, the most likely first; or of each of other independent things.

    Yields:
        The probability of a hypothesis, and the index of each one's option.
    """
    costs = [[-math.log(option.probability) for option in choices] for choices in options]
    # Detections with a cheap first change come first. So no step below makes a hypothesis more
    # likely, and the three kinds of step reach each hypothesis in exactly one way.
    order = [i for i, cost in enumerate(costs) if len(cost) > 1]
    order.sort(key=lambda i: costs[i][1] - costs[i][0])

    def step_cost(j: int, k: int) -> float:
        cost = costs[order[j]]
        return cost[k] - cost[k - 1]

    # Each hypothesis: its cost, and its changes from the most likely as (place in order, option).
    heap: list[tuple[float, tuple[tuple[int, int], ...]]] = [(sum(cost[0] for cost in costs), ())]
    while heap:
        cost, changes = heapq.heappop(heap)
        choice = [0] * len(options)
        for j, k in changes:
            choice[order[j]] = k
        yield math.exp(-cost), choice
        j, k = changes[-1] if changes else (-1, 0)
        if changes and k + 1 < len(costs[order[j]]):
            heapq.heappush(heap, (cost + step_cost(j, k + 1), (*changes[:-1], (j, k + 1))))
        if j + 1 < len(order):
            heapq.heappush(heap, (cost + step_cost(j + 1, 1), (*changes, (j + 1, 1))))
            if k == 1:
                moved = cost - step_cost(j, 1) + step_cost(j + 1, 1)
                heapq.heappush(heap, (moved, (*changes[:-1], (j + 1, 1))))
