"""Jobs in fresh processes: how they are called, and how their results come back typed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, get_type_hints

import msgspec

from digitkit.benchmark import jobs
from digitkit.benchmark.job_results import WorkDone
from digitkit.errors import os_reason
from digitkit.system.processes import Child, ChildResult, call_in_child

P = ParamSpec("P")
R = TypeVar("R")


class JobError(Exception):
    """A job failed; its message, one line, gives the reason and goes into the report."""


def run_job(limit: float, job: Callable[P, R], /, *args: P.args, **arguments: P.kwargs) -> R:
    """Run a job in a fresh process.

    Args:
        limit: the time limit in seconds.
        job: a function of `jobs`.
        args: none; a job takes keyword arguments.
        arguments: those of the job.

    Raises:
        JobError: it raised an error, crashed or took too long.
    """
    assert not args
    result = call_in_child(jobs.__name__, job.__name__, arguments, seconds=limit)
    decoded: R = msgspec.json.decode(
        _last_item(result, str(arguments.get("model", ""))), type=_result_type(job)
    )
    return decoded


def run_throughput(limit: float, workers: int, /, **arguments: Any) -> float:
    """Images per second of several processes at once.

    Args:
        limit: the time limit in seconds.
        workers: number of processes.
        arguments: those of `jobs.measure_throughput`.

    Raises:
        JobError: one of them failed, or cannot be started; the sum of the others would be taken
            for all.
    """
    name = jobs.measure_throughput.__name__
    children: list[Child] = []

    def stop() -> None:
        for child in children:
            child.kill()

    watch = threading.Timer(limit, stop)
    with ExitStack() as stack:
        stack.callback(watch.cancel)
        watch.start()
        for count in range(workers):
            try:
                child = Child(jobs.__name__, name, arguments, errors=False)
            except OSError as error:
                reason = f"only {count} of {workers} processes can be started"
                raise JobError(f"{reason}: {os_reason(error)}") from error
            children.append(stack.enter_context(child))
        for child in children:
            child.read_item()
        for child in children:
            child.send("go")
        results = [child.wait(limit) for child in children]
    try:
        model = str(arguments["model"])
        done = [msgspec.json.decode(_last_item(result, model), type=WorkDone) for result in results]
    except JobError as error:
        raise JobError(f"one of {workers} processes: {error}") from None
    return sum(work.images / work.seconds for work in done)


def _last_item(result: ChildResult, model: str) -> bytes:
    if result.failure is not None:
        # Reports travel, and name files without folders.
        raise JobError(str(result.failure).replace(model, Path(model).name))
    return result.items[-1]


@cache
def _result_type(job: Callable[..., object]) -> Any:
    return get_type_hints(job)["return"]
