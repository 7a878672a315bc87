"""The application: which request goes where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from digitkit.errors import DigitkitError
from digitkit.web import routes_device, routes_history, routes_live, routes_read
from digitkit.web.access import Guard
from digitkit.web.http import ApiError, to_api_error

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from digitkit.web.service import Service

ROUTES = (
    Route("/", routes_device.page),
    Route("/page/{name}", routes_device.page_file),
    Route("/api/openapi.json", routes_device.openapi),
    Route("/api/login", routes_device.login, methods=["POST"]),
    Route("/api/logout", routes_device.logout, methods=["POST"]),
    Route("/api/read", routes_read.read, methods=["POST"]),
    Route("/api/live", routes_live.live),
    Route("/api/readings", routes_history.readings),
    Route("/api/readings.csv", routes_history.readings_csv),
    Route("/api/review", routes_history.review),
    Route("/api/review/{id:int}", routes_history.decide, methods=["POST"]),
    Route("/api/review/{id:int}", routes_history.undo, methods=["DELETE"]),
    Route("/api/review/{id:int}/image.jpg", routes_history.review_image),
    Route("/api/review/{id:int}/seen/{place:int}.png", routes_history.review_seen),
    Route("/api/corrections", routes_history.corrections),
    Route("/api/health", routes_device.health),
    Route("/api/device", routes_device.device),
    Route("/api/doctor", routes_device.doctor),
    Route("/snapshot.jpg", routes_live.snapshot),
    Route("/stream.mjpg", routes_live.stream),
    Route("/metrics", routes_device.metrics),
)
"""All that a service answers; described in ``openapi.json``."""


def make_app(service: Service) -> Starlette:
    """The application of a service."""
    options = service.config.options
    middleware = [
        Middleware(
            Guard,
            token=service.token,
            local_only=service.token is None and not options.no_token,
            origin=options.allow_origin,
            on_refusal=lambda error: service.metrics.errors.labels(error.code).inc(),
        )
    ]
    if options.allow_origin is not None:
        cors = Middleware(
            CORSMiddleware,
            allow_origins=[options.allow_origin],
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Digitkit-Reading"],
        )
        middleware.insert(0, cors)

    async def handle(request: Request, error: Exception) -> Response:
        answer = to_api_error(error)
        service.metrics.errors.labels(answer.code).inc()
        if answer.status >= 500:
            kind = "" if isinstance(error, DigitkitError) else f"{type(error).__name__}: "
            service.log(f"{request.method} {request.url.path}: {kind}{error}")
        return answer.response()

    app = Starlette(
        routes=list(ROUTES),
        middleware=middleware,
        exception_handlers=dict.fromkeys(
            (ApiError, HTTPException, DigitkitError, Exception), handle
        ),
    )
    app.state.service = service
    app.state.doctor = routes_device.Doctor()
    return app
