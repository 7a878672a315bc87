"""A running service: what its requests share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from digitkit.web.access import Token
from digitkit.web.http import MemoryBudget
from digitkit.web.metrics import Metrics

if TYPE_CHECKING:
    from starlette.requests import Request

    from digitkit.web.history import History
    from digitkit.web.live_view import LiveView
    from digitkit.web.read_pool import ReadPool
    from digitkit.web.serve_config import ServeConfig


@dataclass(frozen=True)
class Service:
    """What the requests of a service share.

    Attributes:
        config: what it reads, and how it is reached.
        view: the newest frame, and the events.
        history: what was read before.
        pool: what reads posted images.
        token: what clients must send; None for nothing.
        model: facts about the model, as JSON values.
        metrics: what Prometheus collects.
        memory: for posted images.
        log: called with a line for whoever runs it.
        started: when it began, by `time.monotonic`.
    """

    config: ServeConfig
    view: LiveView
    history: History
    pool: ReadPool
    token: Token | None
    model: dict[str, Any]
    metrics: Metrics
    memory: MemoryBudget
    log: Callable[[str], None]
    started: float = field(default_factory=time.monotonic)


def service_of(request: Request) -> Service:
    """The service that a request is for."""
    service: Service = request.app.state.service
    return service
