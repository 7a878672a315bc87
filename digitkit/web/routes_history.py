"""What was read before, what of it is doubtful, and what people said about that."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from starlette.responses import Response, StreamingResponse

from digitkit.datasets.corrections import Correction
from digitkit.errors import to_json
from digitkit.images.encode import encode_png
from digitkit.sinks.lines import csv_line, guard, keep_text
from digitkit.web.http import ApiError, Json, Query, read_field
from digitkit.web.service import service_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from digitkit.web.history import History, Stored, StoredItem

MAX_LIMIT = 1000
"""Most readings or items of an answer."""

READINGS_PER_QUERY = 50
"""Readings that are in memory at a time; one of a page with many digits takes 100 kB and more."""

MAX_TEXT = 100
"""Longest number that a person may type, characters."""

CSV_COLUMNS = ("id", "time", "source", "event", "text", "previous", "complete", "confidence")

_DIGIT = re.compile(r"[0-9]?")
_NUMBER = re.compile(r"(-?[0-9]+([.,][0-9]+)*)?")


async def readings(request: Request) -> Response:
    """Readings of the history, the newest first."""
    query = Query(request, ("since", "until", "before", "after", "limit"))
    limit = query.number("limit", 1, MAX_LIMIT, whole=True) or 100
    parts = _parts(
        service_of(request).history,
        limit=limit,
        before=query.number("before", 0, 2**62, whole=True),
        after=query.number("after", 0, 2**62, whole=True),
        since=query.time("since"),
        until=query.time("until"),
    )
    first = await asyncio.to_thread(next, parts)  # what cannot be read is an error, not half of it
    return StreamingResponse(
        _json_text(chain([first], parts)),
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def _parts(
    history: History, *, limit: int, before: int | None, after: int | None, **times: float | None
) -> Iterator[list[Stored]]:
    """What `History.readings` gives, a part at a time; the first may be empty."""
    is_first = True
    while True:
        size = min(limit, READINGS_PER_QUERY)
        found = history.readings(before=before, after=after, limit=size, **times)
        if found or is_first:
            yield found
        is_first = False
        limit -= size
        if len(found) < size or limit == 0:
            return
        if after is None:
            before = found[-1].id
        else:
            after = found[-1].id


def _json_text(parts: Iterable[list[Stored]]) -> Iterator[str]:
    separator = '{"readings": ['
    for part in parts:
        texts = [to_json(_stored_json(stored)) for stored in part]
        yield separator + ", ".join(texts)
        separator = ", "
    yield "]}"


def _stored_json(stored: Stored) -> dict[str, Any]:
    """A reading: its number and when it was written, then the JSON line of ``digitkit infer``."""
    return {"id": stored.id, "written": _iso(stored.time), **stored.line}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


async def readings_csv(request: Request) -> Response:
    """Readings of the history as CSV, the oldest first: a record per event or number."""
    query = Query(request, ("since", "until"))
    records = _csv_records(service_of(request).history, query.time("since"), query.time("until"))
    headers = {
        "Content-Disposition": 'attachment; filename="readings.csv"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(records, media_type="text/csv; charset=utf-8", headers=headers)


def _csv_records(history: History, since: float | None, until: float | None) -> Iterator[str]:
    yield csv_line(CSV_COLUMNS)
    for part in _parts(history, limit=2**62, before=None, after=0, since=since, until=until):
        yield "".join(map(_csv_of, part))


def _csv_of(stored: Stored) -> str:
    line = stored.line
    event = line.get("event")
    numbers = [line["number"]] if event else line.get("numbers", [])
    begin = stored.id, line.get("time") or _iso(stored.time), guard(line["source"]), event
    return "".join(
        csv_line(
            (
                *begin,
                keep_text(number["text"]),
                keep_text(line.get("previous", "")),
                "true" if number["complete"] else "false",
                f"{number['confidence']:.4f}",
            )
        )
        for number in numbers
    )


# --- review ---


async def review(request: Request) -> Response:
    """What nobody has decided, the most doubtful first."""
    limit = Query(request, ("limit",)).number("limit", 1, MAX_LIMIT, whole=True) or 100
    history = service_of(request).history
    items = await asyncio.to_thread(history.open_items, limit)
    count = await asyncio.to_thread(history.count_open)
    return Json({"open": count, "items": [_item_json(item) for item in items]})


def _item_json(item: StoredItem) -> dict[str, Any]:
    """An item, with URLs of its pictures relative to the service."""
    # With the key: browsers keep pictures, and another history has other items of these numbers.
    folder, key = f"api/review/{item.id}", f"?key={item.values['id']}"
    seen = [f"{folder}/seen/{place}.png{key}" for place in range(len(item.seen))]
    return item.values | {"id": str(item.id), "image": f"{folder}/image.jpg{key}", "seen": seen}


def _number_in(request: Request) -> int:
    return min(int(request.path_params["id"]), 2**62)


async def _find(request: Request) -> StoredItem:
    item = await asyncio.to_thread(service_of(request).history.item, _number_in(request))
    if item is None:
        raise ApiError(404, "there is no such item")
    return item


async def review_image(request: Request) -> Response:
    """An item and what is around it, JPEG."""
    data = await asyncio.to_thread(service_of(request).history.crop, _number_in(request))
    if data is None:
        raise ApiError(404, "there is no such item")
    return Response(data, media_type="image/jpeg", headers=_KEPT)


async def review_seen(request: Request) -> Response:
    """What the classifier saw of a digit of an item, PNG."""
    item, place = await _find(request), request.path_params["place"]
    if place >= len(item.seen):
        raise ApiError(404, "there is no such digit")
    return Response(encode_png(item.seen[place]), media_type="image/png", headers=_KEPT)


_KEPT = {"Cache-Control": "private, max-age=86400"}


async def decide(request: Request) -> Response:
    """Say what an item shows."""
    item, text = await _find(request), await read_field(request, "text")
    pattern = _DIGIT if item.values["kind"] == "digit" else _NUMBER
    if len(text) > MAX_TEXT or not pattern.fullmatch(text):
        what = 'a digit, or "" for none'
        if pattern is _NUMBER:
            what = 'a number: digits, points and commas, with a minus or not, or "" for none'
        raise ApiError(400, f"text must be {what}", code="invalid_text")
    return await _decide(request, text)


async def undo(request: Request) -> Response:
    """Take back what was said about an item."""
    return await _decide(request, None)


async def _decide(request: Request, text: str | None) -> Response:
    history = service_of(request).history
    written = await asyncio.to_thread(history.decide, _number_in(request), text)
    if not await asyncio.wrap_future(written):
        raise ApiError(404, "there is no such item")
    return Response(status_code=204)


async def corrections(request: Request) -> Response:
    """All that people said, as the file that ``digitkit corrections`` takes."""
    Query(request, ())
    history = service_of(request).history
    lines = (_correction(item).to_line() for item in history.corrections())
    headers = {
        "Content-Disposition": 'attachment; filename="corrections.jsonl"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(lines, media_type="application/x-ndjson", headers=headers)


def _correction(item: StoredItem) -> Correction:
    values = item.values
    assert item.text is not None
    return Correction(
        values["id"], values["kind"], item.text, item.seen, values["read"], values["source"]
    )
