"""The device and the service itself: health, metrics, versions, the doctor, the page, the token."""

from __future__ import annotations

import asyncio
import platform
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache, partial
from importlib import resources
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.responses import Response

from digitkit.system.conditions import read_temperature
from digitkit.version import __version__
from digitkit.web.access import COOKIE, cookie_options
from digitkit.web.http import ApiError, Json, read_field
from digitkit.web.service import Service, service_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from digitkit.device.doctor.checks import Diagnosis

T = TypeVar("T")

WRONG_TOKEN_SECONDS = 0.5
"""How long a client with a wrong token waits for the answer."""

DOCTOR_SECONDS = 60.0
"""How long a diagnosis is taken for the present one."""

PACKAGES = ("numpy", "opencv-python", "opencv-python-headless", "onnxruntime", "uvicorn")

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "webmanifest": "application/manifest+json",
}


async def health(request: Request) -> Response:
    """How the service is."""
    service = service_of(request)
    state = service.view.state()
    watches = service.config.reading.camera is not None
    down = watches and (service.view.ended is not None or state["stale"])
    return Json(
        {
            "status": "degraded" if down else "ok",
            "version": __version__,
            "uptime": round(time.monotonic() - service.started, 1),
            "camera": _camera(service, state),
            "waiting": service.pool.waiting,
            "temperature": read_temperature(),
        }
    )


def _camera(service: Service, state: dict[str, Any]) -> dict[str, Any] | None:
    """How the camera is; None where there is none."""
    if service.config.reading.camera is None:
        return None
    return {name: state[name] for name in ("fps", "age", "stale", "note")}


async def metrics(request: Request) -> Response:
    """Figures for Prometheus."""
    text = await asyncio.to_thread(service_of(request).metrics.text)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


async def device(request: Request) -> Response:
    """The machine, the versions, the model, and whether a token is required."""
    service = service_of(request)
    machine = await asyncio.to_thread(_machine)
    return Json(
        {
            "digitkit": __version__,
            "machine": machine,
            "model": service.model,
            "token": service.token is not None,
        }
    )


@cache
def _machine() -> dict[str, Any]:
    from digitkit.system.machine import read_machine, versions

    machine = read_machine()
    packages = versions(*PACKAGES)
    return {
        "board": machine.board,
        "cpu": machine.cpu,
        "system": platform.platform(),
        "python": packages.pop("python"),
        "packages": packages,
    }


class Doctor:
    """Diagnoses this machine, one request at a time; an answer holds for a while."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._last: tuple[float, Diagnosis] | None = None

    async def diagnose(self, model: str) -> Diagnosis:
        """The diagnosis, without the camera, which the service has."""
        from digitkit.device.doctor.diagnosis import diagnose
        from digitkit.device.doctor.evidence import DoctorConfig

        async with self._lock:
            if self._last is None or time.monotonic() - self._last[0] > DOCTOR_SECONDS:
                config = DoctorConfig(model=model, cameras=False)
                self._last = time.monotonic(), await _in_thread(partial(diagnose, config))
            return self._last[1]


async def _in_thread(function: Callable[[], T]) -> T:
    """Call a function that takes seconds in a thread that the end of the service leaves behind."""
    done: Future[T] = Future()

    def call() -> None:
        try:
            done.set_result(function())
        except BaseException as error:  # the request gets it
            done.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return await asyncio.wrap_future(done)


async def doctor(request: Request) -> Response:
    """What ``digitkit doctor --no-camera --json`` prints; takes seconds."""
    service = service_of(request)
    result = await request.app.state.doctor.diagnose(service.config.reading.model)
    return Json(result.to_json())


# --- the page ---


async def page(request: Request) -> Response:
    """The page."""
    return _file("index.html")


async def page_file(request: Request) -> Response:
    """A file of the page."""
    return _file(request.path_params["name"])


async def openapi(request: Request) -> Response:
    """The description of the API."""
    data = resources.files("digitkit.web").joinpath("openapi.json").read_bytes()
    return Response(data, media_type="application/json", headers={"Cache-Control": "no-cache"})


def _file(name: str) -> Response:
    data = page_files().get(name)
    if data is None:
        raise ApiError(404, "there is no such file")
    kind = _TYPES[name.rpartition(".")[2]]
    return Response(data, media_type=kind, headers={"Cache-Control": "no-cache"})


@cache
def page_files() -> dict[str, bytes]:
    """The page's files by their names, as they are installed."""
    folders = resources.files("digitkit.web") / "page", resources.files("digitkit.sinks") / "report"
    return {
        file.name: file.read_bytes()
        for folder in folders
        for file in folder.iterdir()
        if file.name.rpartition(".")[2] in _TYPES
    }


async def login(request: Request) -> Response:
    """Take a token, and give the page a cookie for it."""
    service = service_of(request)
    given = await read_field(request, "token")
    response = Response(status_code=204)
    if service.token is None:
        return response
    if not service.token.is_right(given):
        await asyncio.sleep(WRONG_TOKEN_SECONDS)
        raise ApiError(401, "the token is wrong")
    response.set_cookie(COOKIE, service.token.cookie, **cookie_options(_scheme(request)))
    return response


def _scheme(request: Request) -> str:
    """As the browser sees it: a proxy may speak TLS. A wrong header harms only who sends it."""
    return request.headers.get("x-forwarded-proto", request.url.scheme)


async def logout(request: Request) -> Response:
    """Take the cookie back."""
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response
