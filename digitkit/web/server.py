"""The HTTP server: uvicorn, with limits for hostile clients and an end that waits for nobody."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from digitkit.errors import AddressError, ConfigError, os_reason
from digitkit.inference.serve_options import ServeOptions
from digitkit.web.http import ApiError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

MAX_CONNECTIONS = 256
"""Connections at a time; a further one takes the place of one that waits for a request."""

HEAD_SECONDS = 10.0
"""How long a client may take from its connection to the end of a request's head."""

STUCK_SECONDS = 30.0
"""How long a client may leave what it is sent unread."""

GRACE_SECONDS = 1
"""How long requests may still take when the service ends."""

TICK_SECONDS = 10

BACKLOG = 128


class GuardedProtocol(H11Protocol):
    """A connection that is closed where its client does not go on.

    uvicorn has limits for what comes after a request, but none for one that never comes, or whose
    answer is never read.
    """

    _deadline: asyncio.TimerHandle | None = None
    """When it is closed: while a request is waited for, or the client does not read."""

    _is_paused = False
    """Whether the client has yet to read what was written."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many that are in use."""
        if len(self.connections) >= MAX_CONNECTIONS and not self._close_oldest():
            transport.abort()
            return
        super().connection_made(transport)
        self._close_in(HEAD_SECONDS)

    def _close_oldest(self) -> bool:
        """Close a connection that waits for a request; whether there is one.

        First those that never sent any, of these the one that has waited longest.
        """
        waiting = [
            (each.cycle is not None, each._deadline.when(), each)
            for each in self.connections
            if isinstance(each, GuardedProtocol) and each._deadline is not None
        ]
        if not waiting:
            return False
        oldest = min(waiting, key=lambda one: one[:2])[2]
        oldest.transport.abort()
        self.connections.discard(oldest)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._close_in(None)
        if self.transport is not None:  # else it was one too many
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what a client sends; a whole head ends the wait for one."""
        super().data_received(data)
        if not (self._is_paused or self._is_waiting):
            self._close_in(None)

    def on_response_complete(self) -> None:
        """Wait for the next request, once the client has taken this response."""
        if not self._is_paused:
            self._close_in(HEAD_SECONDS)
        super().on_response_complete()  # may begin the next request, if that came already
        if not (self._is_paused or self._is_waiting):
            self._close_in(None)

    def pause_writing(self) -> None:
        """The client does not read as fast as it is written."""
        self._is_paused = True
        self._close_unless_read(self.transport.get_write_buffer_size())
        super().pause_writing()

    def resume_writing(self) -> None:
        """It has read almost all."""
        self._is_paused = False
        self._close_in(HEAD_SECONDS if self._is_waiting else None)
        super().resume_writing()

    @property
    def _is_waiting(self) -> bool:
        """Whether there is no request to answer."""
        return self.cycle is None or self.cycle.response_complete

    def _close_unless_read(self, left: int) -> None:
        """Close it if, after a while, the client has read nothing of so many bytes."""

        def check() -> None:
            now = self.transport.get_write_buffer_size()
            if now < left:
                self._close_unless_read(now)
            else:
                self.transport.abort()

        self._close_in(STUCK_SECONDS, check)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, in JSON as all errors."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # answered, or about to be
            self.transport.close()
            return
        response = ApiError(400, "the request is not valid HTTP").response()
        head = h11.Response(
            status_code=response.status_code,
            headers=[*response.raw_headers, (b"connection", b"close")],
        )
        for event in (head, h11.Data(data=bytes(response.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _close_in(self, seconds: float | None, close: Callable[[], None] | None = None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if seconds is not None:
            self._deadline = self.loop.call_later(seconds, close or self.transport.abort)


class Server(uvicorn.Server):
    """A server that ends its streams by itself, and the program with exit code 0."""

    def __init__(
        self, app: ASGIApp, on_end: Callable[[], None], on_tick: Callable[[], Awaitable[None]]
    ) -> None:
        """Serve an application.

        Args:
            app: the application.
            on_end: called when the end begins, so that streams end.
            on_tick: called every `TICK_SECONDS`.
        """
        config = uvicorn.Config(
            app,
            http=GuardedProtocol,
            ws="none",
            lifespan="off",
            loop="asyncio",
            access_log=False,  # addresses would hold tokens, and cards of a Pi wear out
            log_level="critical",
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
            h11_max_incomplete_event_size=16_384,
            proxy_headers=False,
            callback_notify=on_tick,
            timeout_notify=TICK_SECONDS,
        )
        super().__init__(config)
        self._on_end = on_end

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; the signal is not raised again, as uvicorn would."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then the connections."""
        self._on_end()
        await super().shutdown(sockets)


def listen(options: ServeOptions) -> socket.socket:
    """A socket that listens where the options say.

    Raises:
        AddressError: the port is taken, or the host is not of this machine, maybe not yet.
        ConfigError: this user may not use the port, or the host is not a name.
    """
    host = options.host.strip("[]")
    try:
        info: Any = socket.getaddrinfo(
            host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, address = info[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except UnicodeError as error:  # an empty label, or one that is too long
        raise ConfigError(f"{host} is not a name of a machine", field="host") from error
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            kind = ConfigError if error.errno == errno.EACCES else AddressError
            raise kind(
                f"{options.port} cannot be used: {os.strerror(error.errno)}",
                hint="choose another --port, or 0 for any that is free",
                field="port",
            ) from error
        raise AddressError(f"{host} cannot be used: {os_reason(error)}", field="host") from error


def address_of(listener: socket.socket) -> str:
    """The URL that a socket is reached at from this machine."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
