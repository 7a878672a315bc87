"""What is in front of the camera now: pictures, a stream of pictures, events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from starlette.responses import Response, StreamingResponse

from digitkit.errors import to_json
from digitkit.web.http import ApiError, Query
from digitkit.web.service import Service, service_of

if TYPE_CHECKING:
    from starlette.requests import Request

BOUNDARY = "frame"

STATE_SECONDS = 1.0
"""How often clients hear how things are."""

MAX_MISSED = 1000
"""Events of the history from which a client that comes back has to come once more."""

READINGS_PER_QUERY = 100
"""Readings that are fetched from the history at once."""

_UNBUFFERED = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""So that no proxy holds back what is to be seen at once."""


async def snapshot(request: Request) -> Response:
    """The newest frame with its numbers, JPEG."""
    Query(request, ("t",))
    data = await service_of(request).view.snapshot()
    if data is None:
        raise ApiError(404, "there is no picture yet", code="no_picture")
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": "no-store"})


async def stream(request: Request) -> Response:
    """The newest frames with their numbers, as motion JPEG."""
    Query(request, ("t",))
    view = service_of(request).view

    async def parts() -> AsyncIterator[bytes]:
        async for data in view.stream():
            head = (
                f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            )
            yield head.encode() + data + b"\r\n"

    return _endless(request, parts(), f"multipart/x-mixed-replace; boundary={BOUNDARY}")


def _endless(request: Request, parts: AsyncIterator[bytes], kind: str) -> Response:
    if request.method == "HEAD":  # else it would never be answered, since nothing is sent
        return Response(media_type=kind, headers=_UNBUFFERED)
    return StreamingResponse(parts, media_type=kind, headers=_UNBUFFERED)


async def live(request: Request) -> Response:
    """Events as they happen, and the state each second, as server-sent events."""
    last = Query(request, ("after",)).number("after", 0, 2**62, whole=True)
    given = request.headers.get("last-event-id", "")
    if given.isascii() and given.isdigit():
        last = min(int(given[:19]), 2**62)
    return _endless(request, _events(service_of(request), last), "text/event-stream")


async def _events(service: Service, last: int | None) -> AsyncIterator[bytes]:
    """What a client gets.

    Args:
        service: that reads the camera.
        last: number of the last event that it has; None for what comes from now on.
    """
    with service.view.subscribe() as events:  # first, so that nothing is missed in between
        yield _message("state", service.view.state())
        if last is not None:
            sent = 0
            while missed := await asyncio.to_thread(
                service.history.readings, after=last, limit=READINGS_PER_QUERY
            ):
                for stored in missed:
                    last = stored.id
                    if "event" in stored.line:
                        yield _message(stored.line["event"], stored.line, stored.id)
                        sent += 1
                if sent >= MAX_MISSED:
                    return  # it asks for the rest when it comes back
        loop = asyncio.get_running_loop()
        due = loop.time() + STATE_SECONDS
        while True:
            try:
                event = await events.next(max(0.0, due - loop.time()))
            except TimeoutError:
                yield _message("state", service.view.state())
                due = loop.time() + STATE_SECONDS
                continue
            except StopAsyncIteration:
                return
            if last is None or event.id is None or event.id > last:
                yield _message(event.line["event"], event.line, event.id)


def _message(kind: str, value: dict[str, Any], number: int | None = None) -> bytes:
    name = "" if number is None else f"id: {number}\n"
    return f"{name}event: {kind}\ndata: {to_json(value)}\n\n".encode()
