"""``POST /api/read``: an image in, its numbers out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, get_args

from starlette.responses import Response

from digitkit.choices import Mode, Orientation
from digitkit.errors import ConfigError
from digitkit.reading.numbers.fields import Field
from digitkit.web.http import ApiError, Json, Query, clean_name, queue_full, read_image
from digitkit.web.read_pool import QueueFullError
from digitkit.web.read_worker import ReadAnswer, ReadFailure, ReadRequest
from digitkit.web.service import Service, service_of

if TYPE_CHECKING:
    from starlette.requests import Request

OPTIONS = (
    *("mode", "orientation", "min_confidence", "gap", "expect", "pattern"),
    *("name", "detail", "store"),
)
"""Of the query; see ``openapi.json``."""

MAX_PATTERN = 500
"""Longest pattern, characters."""

MAX_EXPECT = 1000
"""Most digits that a number may be expected to have."""


async def read(request: Request) -> Response:
    """Read a posted image; JSON, or the annotated picture if the client accepts only pictures."""
    service = service_of(request)
    query = Query(request, OPTIONS)
    picture = _wants_picture(request.headers.get("accept", ""))
    store = query.flag("store", True)
    number_rule = _number_rule(query, service)  # before the body, so that a mistake is cheap
    mode = query.choice("mode", get_args(Mode))
    orientation = query.choice("orientation", get_args(Orientation))
    min_confidence = query.number("min_confidence", 0, 1)
    gap = query.number("gap", 0, 1e6)
    detail = query.flag("detail", False)
    with service.memory.hold() as take:
        max_bytes = round(service.config.options.max_mb * 1e6)
        data, name = await read_image(request, max_bytes, take)
        wanted = ReadRequest(
            data,
            name=clean_name(query.text("name") or name),
            mode=mode,
            orientation=orientation,
            min_confidence=min_confidence,
            gap=gap,
            number_rule=number_rule,
            detail=detail,
            picture=picture,
            review=store,
        )
        answer = await _read(request, service, wanted)
    headers = await _keep(service, answer, store=store)
    if picture:
        headers["Cache-Control"] = "no-store"
        return Response(answer.jpeg, media_type="image/jpeg", headers=headers)
    return Json(answer.line, headers=headers)


async def _keep(service: Service, answer: ReadAnswer, *, store: bool) -> dict[str, str]:
    """Count an answer, and write it into the history; headers that name it there."""
    service.metrics.latency.labels("http").observe(answer.ms / 1e3)
    incomplete = sum(not number["complete"] for number in answer.line["numbers"])
    service.metrics.rejects.labels("http").inc(incomplete)
    if not store:
        return {}
    written = await asyncio.to_thread(service.history.add, answer.line, answer.items)
    number = await asyncio.wrap_future(written)
    service.metrics.readings.labels("read").inc()
    return {"Digitkit-Reading": str(number)}


def _wants_picture(accept: str) -> bool:
    """Whether a client accepts JPEG pictures, and no JSON."""
    kinds = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return bool(kinds & {"image/jpeg", "image/*"}) and not kinds & {
        "application/json", "application/*", "*/*",
    }  # fmt: skip


def _number_rule(query: Query, service: Service) -> Field | None:
    expect, pattern = query.number("expect", 1, MAX_EXPECT, whole=True), query.text("pattern")
    if expect is None and pattern is None:
        return service.config.reading.number_rule
    if pattern is not None and len(pattern) > MAX_PATTERN:
        raise ApiError(
            400, f"pattern must be at most {MAX_PATTERN} characters", code="invalid_option"
        )
    try:
        return Field(expect, pattern)
    except ConfigError as error:
        raise ApiError(400, str(error), code="invalid_option") from error


async def _read(request: Request, service: Service, wanted: ReadRequest) -> ReadAnswer:
    """Read an image; dropped where the client goes before it is its turn.

    Raises:
        ApiError: it cannot be read, or too many wait.
    """
    reading = asyncio.ensure_future(service.pool.read(wanted))
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((reading, gone), return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            raise ApiError(400, "the client is gone")
        answer = reading.result()
    except QueueFullError:
        raise queue_full() from None
    finally:
        reading.cancel()
        gone.cancel()
    if isinstance(answer, ReadFailure):
        code = "invalid_option" if answer.is_option else "not_an_image"
        raise ApiError(400, answer.message, code=code)
    return answer


async def _disconnected(request: Request) -> None:
    """Wait until the client is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
