"""Requests and responses of the API: errors as JSON, options of the query, bodies with limits."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from digitkit.errors import DigitkitError, OutputError, WorkerError, escape_controls, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

# The parser logs what is wrong with a form, which would be on standard error; the client is told.
logging.getLogger("python_multipart").addHandler(logging.NullHandler())

BODY_SECONDS = 30.0
"""How long a client may take to send a body."""

DRAIN_SECONDS = 2.0
"""How long what a refused client sends is still taken."""

MAX_NAME = 200
"""Longest name of a posted image, characters."""

MAX_JSON_BODY_BYTES = 4096
"""Largest JSON body."""

CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "too_large",
    415: "unsupported_media_type",
    429: "queue_full",
    500: "internal",
    503: "unavailable",
}
"""The code of an error where nothing more exact is known."""


class ApiError(Exception):
    """What a client gets instead of an answer.

    Attributes:
        status: of HTTP.
        code: for programs.
        headers: of the response.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Make the error; without a code it is the usual one of the status."""
        super().__init__(message)
        self.status = status
        self.code = code or CODES[status]
        self.headers = headers

    def response(self) -> Response:
        """The error as JSON."""
        body = {"error": {"code": self.code, "message": escape_controls(str(self))}}
        return Json(body, self.status, headers=self.headers)


class Json(JSONResponse):
    """JSON without control characters, that nothing keeps."""

    def __init__(
        self, content: Any, status_code: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a value."""
        super().__init__(content, status_code, {"Cache-Control": "no-store", **(headers or {})})

    def render(self, content: Any) -> bytes:
        """The value as bytes."""
        return to_json(content).encode("utf-8")


def to_api_error(error: Exception) -> ApiError:
    """Any exception as what a client is told of it."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, HTTPException):
        message = {404: "there is no such resource", 405: "this method is not supported"}
        text = message.get(error.status_code, error.detail)
        code = error.status_code if error.status_code in CODES else 400
        return ApiError(code, text, headers=error.headers)
    if isinstance(error, (OutputError, WorkerError)):
        return ApiError(503, str(error))
    if isinstance(error, DigitkitError):
        return ApiError(400, str(error))
    if isinstance(error, ClientDisconnect):
        return ApiError(400, "the client has gone")  # nobody gets it
    return ApiError(500, "an internal error; the service's log has it")


class Query:
    """The options of a request; each may be given once, and all must be known."""

    def __init__(self, request: Request, known: tuple[str, ...]) -> None:
        """Take the options.

        Raises:
            ApiError: one is not known, or given twice.
        """
        self._values: dict[str, str] = {}
        for name, value in request.query_params.multi_items():
            if name not in known:
                choices = ", ".join(known) or "none"
                raise _option_error(name[:50], f"is not an option; options: {choices}")
            if name in self._values:
                raise _option_error(name, "is given twice")
            self._values[name] = value

    def text(self, name: str) -> str | None:
        """An option as it is; None where it is not given."""
        return self._values.get(name)

    def choice(self, name: str, choices: tuple[str, ...]) -> Any:
        """One of several words."""
        value = self._values.get(name)
        if value is not None and value not in choices:
            raise _option_error(name, f"must be one of {', '.join(choices)}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """``true`` or ``false``."""
        value = self.choice(name, ("true", "false"))
        return default if value is None else value == "true"

    def number(
        self, name: str, minimum: float, maximum: float = math.inf, *, whole: bool = False
    ) -> Any:
        """A number within limits."""
        text = self._values.get(name)
        if text is None:
            return None
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            kind = "a whole number" if whole else "a number"
            raise _option_error(name, f"must be {kind}") from None
        if not minimum <= value <= maximum:
            limits = f"at least {minimum:g}"
            if maximum != math.inf:
                limits = f"between {minimum:g} and {maximum:g}"
            raise _option_error(name, f"must be {limits}")
        return value

    def time(self, name: str) -> float | None:
        """A time of ISO 8601 (without a zone, the service's), or seconds since 1970."""
        text = self._values.get(name)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            try:
                # A plus that was not escaped has become a space.
                value = datetime.fromisoformat("+".join(text.rsplit(" ", 1))).timestamp()
            except (ValueError, OverflowError, OSError):
                problem = "must be a time such as 2026-01-31T12:00:00Z, or seconds since 1970"
                raise _option_error(name, problem) from None
        if not abs(value) < 1e12:
            raise _option_error(name, "is out of range")
        return value


def _option_error(name: str, problem: str) -> ApiError:
    return ApiError(400, f"{name} {problem}", code="invalid_option")


class MemoryBudget:
    """How many bytes of posted images are in memory, of all that may be."""

    def __init__(self, max_bytes: int) -> None:
        """Hold nothing yet; `max_bytes` is all that may be held."""
        self._free = max_bytes

    @contextmanager
    def hold(self) -> Iterator[Callable[[int], None]]:
        """Give back at the end what was taken by calling this with a number of bytes.

        Calling it raises an `ApiError` if there is no more room.
        """
        taken = 0

        def take(size: int) -> None:
            nonlocal taken
            if size > self._free:
                raise queue_full()
            self._free -= size
            taken += size

        try:
            yield take
        finally:
            self._free += taken


def queue_full() -> ApiError:
    """The error for a client that has to come again later."""
    return ApiError(429, "too many images wait to be read; try again", headers={"Retry-After": "1"})


async def read_image(
    request: Request, max_bytes: int, take: Callable[[int], None]
) -> tuple[bytes, str | None]:
    """The posted image: the body, or the first file of a form.

    Args:
        request: a POST.
        max_bytes: the largest body.
        take: called with the size of each part of it; see `MemoryBudget`.

    Returns:
        Its bytes, and the name that a form has for it.

    Raises:
        ApiError: it is too large, comes too slowly, there is no room, or a form has no file.
    """
    try:
        return await _read_image(request, _limited(request, max_bytes, take), max_bytes)
    except ApiError as error:
        if error.status in (408, 413, 429):  # it still sends
            await _drain(request)
        raise


async def _drain(request: Request) -> None:
    """Drop what a client still sends for a moment, so that it gets to the answer."""
    with suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(DRAIN_SECONDS):
            async for _ in request.stream():
                pass


async def _read_image(
    request: Request, body: AsyncGenerator[bytes, None], max_bytes: int
) -> tuple[bytes, str | None]:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            if _media_type(request) != "multipart/form-data":
                return b"".join([chunk async for chunk in body]), None
            parser = MultiPartParser(request.headers, body, max_files=1, max_fields=10)
            parser.spool_max_size = max_bytes + 1  # in memory: there may be no disk to write to
            form = await parser.parse()
    except TimeoutError:
        _too_slow()
    except (MultiPartException, KeyError, ValueError) as error:  # ValueError: of the parser itself
        raise ApiError(400, "the form cannot be read", code="invalid_form") from error
    try:
        for value in form.values():
            if not isinstance(value, str):
                return await value.read(), value.filename
    finally:
        await form.close()
    raise ApiError(400, "the form has no file", code="invalid_form")


def _media_type(request: Request) -> str:
    """The type of a body, without parameters such as its character set."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_field(request: Request, name: str) -> str:
    """A text of a small JSON body.

    Raises:
        ApiError: it is not JSON, has no such text, is too large, or comes too slowly.
    """
    import json

    # Pages of other origins cannot send this type without being asked first (CORS).
    if _media_type(request) != "application/json":
        raise ApiError(415, "the body must be application/json")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = b"".join([chunk async for chunk in _limited(request, MAX_JSON_BODY_BYTES)])
    except TimeoutError:
        _too_slow()
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "the body is not JSON", code="invalid_json") from error
    value = values.get(name) if isinstance(values, dict) else None
    if not isinstance(value, str):
        raise ApiError(400, f"the body must have the text {name}", code="invalid_json")
    return value


def _too_slow() -> NoReturn:
    raise ApiError(
        408, f"the body took longer than {BODY_SECONDS:g} s", headers={"Connection": "close"}
    )


async def _limited(
    request: Request, max_bytes: int, take: Callable[[int], None] = lambda size: None
) -> AsyncGenerator[bytes, None]:
    """The chunks of a body."""
    too_large = ApiError(
        413,
        f"the body is larger than {max_bytes / 1e6:g} MB",
        headers={"Connection": "close"},  # what is still coming is not read
    )
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length[:20]) > max_bytes:
        raise too_large
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise too_large
        take(len(chunk))
        yield chunk


def clean_name(name: str | None) -> str:
    """The name of a posted image, safe to display."""
    return escape_controls((name or "")[:MAX_NAME]).strip() or "upload"
