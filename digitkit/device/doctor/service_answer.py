"""What ``digitkit serve`` answers on this machine."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digitkit.errors import DigitkitError, SettingsError, one_line, os_reason
from digitkit.inference.serve_options import TOKEN_VARIABLE, ServeOptions
from digitkit.inference.settings import MAX_SETTINGS_BYTES
from digitkit.system.toml import read_toml

SETTINGS = "etc/digitkit.toml"
"""The settings of the installed service, below the root."""

WILDCARD_HOSTS = ("0.0.0.0", "::")
"""Hosts of the settings that are all addresses of this machine."""

ANSWER_SECONDS = 5.0
"""How long each part of it may take."""

MAX_ANSWER_BYTES = 10_000
"""Longest answer; what is at that port may be a stream."""


@dataclass(frozen=True)
class ServiceAnswer:
    """What a service answered.

    Attributes:
        url: that was asked.
        status: of HTTP; None where nothing answered.
        health: what ``api/health`` says, with the right token.
        problem: why nothing answered; None where something did.
        required: whether it had to answer, because the user named it.
    """

    url: str
    status: int | None = None
    health: dict[str, Any] | None = None
    problem: str | None = None
    required: bool = False


def ask_service(url: str | None, root: Path) -> ServiceAnswer | None:
    """Ask a service how it is.

    Args:
        url: of it; None for the one that the settings of this machine describe.
        root: the folder that holds the system's files.

    Returns:
        Its answer; None where no URL is given and no settings of a service can be read.
    """
    token = os.environ.get(TOKEN_VARIABLE)
    if url is not None:
        return _ask(url, token, required=True)
    path = root / SETTINGS
    try:
        table = read_toml(path, MAX_SETTINGS_BYTES, SettingsError).get("serve")
    except DigitkitError:
        return None  # none, or a broken one, which the service itself reports
    if not isinstance(table, dict):
        return None
    name = table.get("token_file")
    if token is None and isinstance(name, str):
        with suppress(DigitkitError):  # only root and its group may read it: 401 is an answer, too
            token = ServeOptions(token_file=path.parent / name).find_token()
    host = str(table.get("host", ServeOptions.host)).strip("[]")
    host = "127.0.0.1" if host in WILDCARD_HOSTS else f"[{host}]" if ":" in host else host
    port = table.get("port", ServeOptions.port)
    return _ask(f"http://{host}:{port}", token, required=False)


def _ask(url: str, token: str | None, *, required: bool) -> ServiceAnswer:
    # Here, since urllib takes as long to import as the rest of the doctor.
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import ProxyHandler, Request, build_opener

    try:
        request = Request(f"{url.rstrip('/')}/api/health")
        if token:
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        with build_opener(ProxyHandler({})).open(request, timeout=ANSWER_SECONDS) as response:
            health = json.loads(response.read(MAX_ANSWER_BYTES))
    except HTTPError as error:
        error.close()
        return ServiceAnswer(url, status=error.code, required=required)
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", error)  # of a URLError, what went wrong
        problem = os_reason(reason) if isinstance(reason, OSError) else one_line(reason)
        return ServiceAnswer(url, problem=problem, required=required)
    known = isinstance(health, dict) and "status" in health
    if not known:
        return ServiceAnswer(url, problem="what answers is not digitkit serve", required=required)
    return ServiceAnswer(url, status=200, health=health, required=required)
