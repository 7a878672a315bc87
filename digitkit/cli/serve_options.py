"""Options of ``digitkit serve`` alone: where it listens, who may use it, and what it keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from digitkit.cli.reading_options import CAMERAS

SERVICE, HISTORY = "Service", "History"

SourcesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SOURCES",
        help="Images, videos, folders and patterns to read once at the start; or the URL of "
        "one stream. Without sources, only posted images are read.",
        show_default=False,
    ),
]

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Settings, TOML: those of digitkit infer --config, and a table serve with options "
        "of this command by their names. Options on the command line take precedence.",
    ),
]

RetryOption = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="When the camera is lost, keep reconnecting for SECONDS.",
        rich_help_panel=CAMERAS,
        show_default="inf",
    ),
]

HostOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST",
        help="Name or address to listen at; 0.0.0.0 for all of this machine, which requires a "
        "token or --no-token.",
        rich_help_panel=SERVICE,
        show_default="127.0.0.1",
    ),
]

PortOption = Annotated[
    int | None,
    typer.Option(
        help="Port to listen at; 0 for any that is free.",
        rich_help_panel=SERVICE,
        show_default="8080",
    ),
]

TokenOption = Annotated[
    str | None,
    typer.Option(
        metavar="TOKEN",
        help="Token that clients must send: as Authorization: Bearer TOKEN, or typed into the "
        "page. Other users of this machine see it in the list of processes; --token-file and "
        "the environment variable DIGITKIT_TOKEN are safer.",
        rich_help_panel=SERVICE,
        show_default=False,
    ),
]

TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="File whose first line is the token.",
        rich_help_panel=SERVICE,
    ),
]

NoTokenOption = Annotated[
    bool,
    typer.Option(
        "--no-token",
        help="Accept requests from anyone who can reach the service.",
        rich_help_panel=SERVICE,
    ),
]

AllowOriginOption = Annotated[
    str | None,
    typer.Option(
        metavar="ORIGIN",
        help="Let pages of this origin use the API (CORS), such as https://example.org.",
        rich_help_panel=SERVICE,
    ),
]

WorkersOption = Annotated[
    int | None,
    typer.Option(
        help="Processes that read posted images.", rich_help_panel=SERVICE, show_default="1"
    ),
]

QueueOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Posted images that may wait for these; more are refused (429).",
        rich_help_panel=SERVICE,
        show_default="32",
    ),
]

MaxMbOption = Annotated[
    float | None,
    typer.Option(
        metavar="MB",
        help="Largest posted image, megabytes.",
        rich_help_panel=SERVICE,
        show_default="25",
    ),
]

HistoryOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="SQLite file of what was read, and of corrections.",
        rich_help_panel=HISTORY,
        show_default="~/.local/state/digitkit/history.db",
    ),
]

KeepOption = Annotated[
    float | None,
    typer.Option(
        metavar="DAYS",
        help="Days to keep readings; corrections have no age limit.",
        rich_help_panel=HISTORY,
        show_default="30",
    ),
]

KeepMbOption = Annotated[
    float | None,
    typer.Option(
        metavar="MB",
        help="Largest size of the history, megabytes; the oldest readings go first, "
        "corrections last.",
        rich_help_panel=HISTORY,
        show_default="500",
    ),
]
