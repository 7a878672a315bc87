"""Who may use a service: the token, names of this machine, other origins; headers for browsers."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser

from digitkit.web.http import ApiError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "digitkit"
"""Name of the cookie that the page gets for the token."""

COOKIE_SECONDS = 90 * 86_400
"""How long a browser keeps it."""

OPEN_PATHS = frozenset({"/", "/api/login", "/api/openapi.json"})
"""What is there without a token, next to the page's own files under `OPEN_FOLDER`."""

OPEN_FOLDER = "/page/"

MAX_PATH = 200
"""Longest path of a request, characters; ours have fewer, however large their numbers."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
"""The content security policy: nothing from other hosts, no inline scripts or styles."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}


class Token:
    """The token of a service, compared in constant time."""

    def __init__(self, token: str) -> None:
        """Keep what is needed to compare."""
        self._digest = hashlib.sha256(token.encode()).digest()
        # Not the token itself: whoever sees the cookie does not know what else it opens.
        self.cookie = hmac.new(token.encode(), b"digitkit cookie", "sha256").hexdigest()

    def is_right(self, given: str) -> bool:
        """Whether a client's token is right."""
        digest = hashlib.sha256(given.encode("utf-8", "surrogatepass")).digest()
        return hmac.compare_digest(digest, self._digest)

    def allows(self, headers: Headers) -> bool:
        """Whether a request has the token, or the cookie for it."""
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self.is_right(given.strip())
        # Not http.cookies, which reads nothing at all where another cookie of this host is unusual.
        value = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        return hmac.compare_digest(value.encode(), self.cookie.encode())


class Guard:
    """Middleware: refuses requests that may not be answered, and adds headers for browsers.

    - With a token, all but the page itself requires it.
    - Without one, the name that a request goes to must be this machine's (`names_this_machine`):
      a page elsewhere could point a name of its own at it (DNS rebinding).
    - What changes something is refused from pages of other origins than the one that is allowed.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: Token | None,
        local_only: bool,
        origin: str | None,
        on_refusal: Callable[[ApiError], None],
    ) -> None:
        """Guard an application.

        Args:
            app: the application.
            token: what clients must send; None for nothing.
            local_only: whether requests must go to a name of this machine.
            origin: of pages that may use the API, next to its own.
            on_refusal: called with each error that is answered here.
        """
        self._app = app
        self._token = token
        self._local_only = local_only
        self._origin = origin
        self._on_refusal = on_refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                own = self._origin is None
                headers.setdefault(
                    "Cross-Origin-Resource-Policy", "same-origin" if own else "cross-origin"
                )
            await send(message)

        error = self._refusal(scope)
        if error is not None:
            self._on_refusal(error)
            await error.response()(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> ApiError | None:
        headers, path = Headers(scope=scope), scope["path"]
        if len(path) > MAX_PATH:
            return ApiError(404, "there is no such resource")
        if self._local_only and not names_this_machine(headers.get("host", "")):
            return ApiError(
                403,
                "this service answers requests to localhost only; start it with a token, or with "
                "--no-token, to use another name",
            )
        if scope["method"] not in ("GET", "HEAD", "OPTIONS") and not self._is_own(headers):
            return ApiError(403, "pages of other origins may not change anything")
        if self._token is None or path in OPEN_PATHS or path.startswith(OPEN_FOLDER):
            return None
        if self._token.allows(headers):
            return None
        return ApiError(
            401, "a token is required", headers={"WWW-Authenticate": 'Bearer realm="digitkit"'}
        )

    def _is_own(self, headers: Headers) -> bool:
        """Whether a request comes from the service's page, an allowed origin, or no page at all."""
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        if origin == self._origin or headers.get("sec-fetch-site") == "same-origin":
            return True
        return origin.partition("://")[2] == headers.get("host")


def names_this_machine(host: str) -> bool:
    """Whether the ``Host`` of a request is ``localhost`` or a loopback address."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def cookie_options(scheme: str) -> dict[str, Any]:
    """How the cookie is set: not for scripts, not for other sites."""
    return {
        "max_age": COOKIE_SECONDS,
        "httponly": True,
        "samesite": "strict",
        "secure": scheme == "https",
    }
