"""The options of ``digitkit serve`` beyond those of ``digitkit infer``."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from digitkit.errors import ConfigError, InputNotFoundError, at_least, check_range, os_reason
from digitkit.inference.parsing import only_given
from digitkit.system.bounded import read_bounded

TOKEN_VARIABLE = "DIGITKIT_TOKEN"  # the name of a variable, not a token
"""Environment variable with the token."""

MIN_TOKEN = 8
"""Fewest characters of a token."""

MAX_TOKEN_BYTES = 4096
"""Largest file with a token."""


@dataclass(frozen=True)
class ServeOptions:
    """Where a service listens, who may use it, and what it keeps.

    Attributes:
        host: name or address to listen at; others than loopback require a token or `no_token`.
        port: 0 to 65,535; 0 for any that is free.
        token: what clients must send; at least `MIN_TOKEN` characters. None for that of
            `token_file`, else of the environment variable `TOKEN_VARIABLE`.
        token_file: file whose first line is the token.
        no_token: whether anyone who reaches the service may use it.
        allow_origin: origin, such as ``https://example.org``, whose pages may use the API (CORS);
            None for none.
        history: SQLite file of what was read; None for the default.
        keep: days for which it is kept, at least 0.
        keep_mb: largest size of `history`, megabytes, at least 1; the oldest goes first.
        workers: processes that read posted images, 1 to 64.
        queue: posted images that may wait for these, 0 to 10,000; more are refused.
        max_mb: largest posted image, megabytes, above 0 and up to 1,000.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = None
    token_file: Path | None = None
    no_token: bool = False
    allow_origin: str | None = None
    history: Path | None = None
    keep: float = 30.0
    keep_mb: float = 500.0
    workers: int = 1
    queue: int = 32
    max_mb: float = 25.0

    def __post_init__(self) -> None:
        """Check the values; raises `ConfigError`."""
        if not self.host:
            raise ConfigError("must not be empty", field="host")
        check_range("port", self.port, 0, 65_535, whole=True)
        at_least("keep", self.keep, 0)
        at_least("keep_mb", self.keep_mb, 1)
        check_range("workers", self.workers, 1, 64, whole=True)
        check_range("queue", self.queue, 0, 10_000, whole=True)
        check_range("max_mb", self.max_mb, 0.001, 1000)
        if self.token is not None:
            _check_token(self.token, "token")
        if self.token is not None and self.token_file is not None:
            raise ConfigError("cannot be combined with a token", field="token_file")
        if self.no_token and (self.token is not None or self.token_file is not None):
            raise ConfigError("cannot be combined with a token", field="no_token")
        if self.allow_origin is not None:
            parts = urlsplit(self.allow_origin)
            if parts.scheme not in ("http", "https") or self.allow_origin != (
                f"{parts.scheme}://{parts.netloc}"
            ):
                raise ConfigError(
                    f"must be an origin such as https://example.org, got {self.allow_origin!r}",
                    field="allow_origin",
                )

    @classmethod
    def create(cls, settings: Mapping[str, Any] | None = None, **given: Any) -> Self:
        """Build the options from those given over settings over the defaults.

        A token, its file or `no_token` that is given takes the place of the settings' token file
        and `no_token`.

        Args:
            settings: fields that a settings file sets; None for none.
            **given: fields; None and False stand for "not given".

        Raises:
            ConfigError: a value is not valid, or two do not go together.
        """
        chosen = only_given(given)
        values = dict(settings or {})
        if chosen.keys() & {"token", "token_file", "no_token"}:
            for name in ("token_file", "no_token"):
                values.pop(name, None)
        return cls(**(values | chosen))

    @property
    def is_local(self) -> bool:
        """Whether only programs on this machine reach the service."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    def find_token(self) -> str | None:
        """The token that clients must send; None where none is required.

        Raises:
            ConfigError: none is given, and the service is not local; or it is too short.
            InputNotFoundError: the file with it does not exist.
        """
        if self.no_token:
            return None
        if self.token is not None:
            return self.token
        if self.token_file is not None:
            return _read_token(self.token_file)
        if token := os.environ.get(TOKEN_VARIABLE):
            _check_token(token, TOKEN_VARIABLE)
            return token
        if not self.is_local:
            raise ConfigError(
                f"{self.host} is reachable from other machines and requires a token",
                field="host",
                hint=f"use --token-file FILE or set {TOKEN_VARIABLE}; --no-token lets everyone in",
            )
        return None


def _check_token(token: str, field: str) -> None:
    if len(token) < MIN_TOKEN or not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigError(
            f"must be at least {MIN_TOKEN} ASCII characters without spaces",
            field=field,
            hint="openssl rand -hex 16 makes one",
        )


def _read_token(path: Path) -> str:
    try:
        text = read_bounded(path, MAX_TOKEN_BYTES).decode("utf-8", "replace")
    except FileNotFoundError as error:
        raise InputNotFoundError("does not exist", subject=str(path)) from error
    except (OSError, ValueError) as error:
        reason = os_reason(error) if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{path} cannot be read: {reason}", field="token_file") from error
    token = (text.splitlines() or [""])[0].strip()
    _check_token(token, "token_file")
    return token
