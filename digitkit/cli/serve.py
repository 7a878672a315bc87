"""``digitkit serve``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from digitkit.cli.infer_report import print_notice
from digitkit.cli.reading_options import (
    CAMERAS,
    CameraOption,
    ExpectOption,
    FpsOption,
    GapOption,
    HoldOption,
    MinConfidenceOption,
    ModelOption,
    ModeOption,
    OrientationOption,
    PatternOption,
    PrecisionOption,
    SizeOption,
    ThreadsOption,
)
from digitkit.cli.show import print_line
from digitkit.errors import needs_extra

EXAMPLES = """\
[bold]Examples[/]

digitkit serve — the page and the API, on this machine only

digitkit serve --camera 0

digitkit serve --camera picamera2 --host 0.0.0.0 --token-file token.txt

digitkit serve scans/ clip.mp4 --port 9000

digitkit serve --config /etc/digitkit.toml

curl --data-binary @page.jpg http://127.0.0.1:8080/api/read

curl -F file=@page.jpg 'http://127.0.0.1:8080/api/read?expect=4'

curl -N http://127.0.0.1:8080/api/live — events as they happen
"""

MAX_SERVED_PIXELS = 50_000_000
"""Largest image that a service decodes: 50 megapixels, 150 MB as colour."""

SERVICE, HISTORY = "Service", "History"


def command(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCES",
            help="Images, videos, folders and patterns to read once at the start; or the URL of "
            "one stream. None: only what is posted is read.",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Settings, TOML: those of digitkit infer --config, and a table serve with options "
            "of this command by their names. Options on the command line take precedence.",
        ),
    ] = None,
    camera: CameraOption = None,
    size: SizeOption = None,
    fps: FpsOption = None,
    hold: HoldOption = None,
    retry: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="When the camera is lost, keep reconnecting for SECONDS.",
            rich_help_panel=CAMERAS,
            show_default="inf",
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="HOST",
            help="Name or address to listen at; 0.0.0.0 for all of this machine, which requires a "
            "token or --no-token.",
            rich_help_panel=SERVICE,
            show_default="127.0.0.1",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="Port to listen at; 0 for any that is free.",
            rich_help_panel=SERVICE,
            show_default="8080",
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN",
            help="Token that clients must send: as Authorization: Bearer TOKEN, or typed into the "
            "page. Other users of this machine see it in the list of processes; --token-file and "
            "the environment variable DIGITKIT_TOKEN are safer.",
            rich_help_panel=SERVICE,
            show_default=False,
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File whose first line is the token.",
            rich_help_panel=SERVICE,
        ),
    ] = None,
    no_token: Annotated[
        bool,
        typer.Option(
            "--no-token",
            help="Let everyone in who reaches the service.",
            rich_help_panel=SERVICE,
        ),
    ] = False,
    allow_origin: Annotated[
        str | None,
        typer.Option(
            metavar="ORIGIN",
            help="Let pages of this origin use the API (CORS), such as https://example.org.",
            rich_help_panel=SERVICE,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that read posted images.", rich_help_panel=SERVICE, show_default="1"
        ),
    ] = None,
    queue: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Posted images that may wait for these; more are refused (429).",
            rich_help_panel=SERVICE,
            show_default="32",
        ),
    ] = None,
    max_mb: Annotated[
        float | None,
        typer.Option(
            metavar="MB",
            help="Largest posted image, megabytes.",
            rich_help_panel=SERVICE,
            show_default="25",
        ),
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="SQLite file of what was read, and of corrections.",
            rich_help_panel=HISTORY,
            show_default="~/.local/state/digitkit/history.db",
        ),
    ] = None,
    keep: Annotated[
        float | None,
        typer.Option(
            metavar="DAYS",
            help="Days to keep readings; corrections have no age limit.",
            rich_help_panel=HISTORY,
            show_default="30",
        ),
    ] = None,
    keep_mb: Annotated[
        float | None,
        typer.Option(
            metavar="MB",
            help="Largest size of the history, megabytes; the oldest readings go first, "
            "corrections last.",
            rich_help_panel=HISTORY,
            show_default="500",
        ),
    ] = None,
    model: ModelOption = None,
    precision: PrecisionOption = None,
    threads: ThreadsOption = None,
    mode: ModeOption = None,
    orientation: OrientationOption = None,
    min_confidence: MinConfidenceOption = None,
    gap: GapOption = None,
    expect: ExpectOption = None,
    pattern: PatternOption = None,
) -> None:
    """Read a camera, files and posted images, and show it on a web page and as an API.

    The page shows the camera's picture with its numbers, what was read and what is doubtful; it
    reads pictures and drawings, and lets you correct what was misread. api/openapi.json describes
    the API. Ends with exit code 0 at Ctrl-C and SIGTERM.
    """
    # NumPy's BLAS, which reading does not need, would start a thread per core.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Before OpenCV loads: a device must not run out of memory by a posted image.
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_SERVED_PIXELS))
    from digitkit.inference.parsing import parse_size
    from digitkit.inference.serve_options import ServeOptions
    from digitkit.web.serve_config import ServeConfig, ServedConfig

    try:
        from digitkit.web.serve_job import run_serve
    except ImportError as error:
        raise needs_extra(error.name or "starlette", "digitkit serve", "web") from error

    settings, table = None, {}
    if config is not None:
        from digitkit.inference.settings import load_settings

        loaded = load_settings(config)
        settings, table = loaded.served_values, loaded.serve
    reading = ServedConfig.create(
        settings,
        sources=tuple(sources or ()),
        camera=camera,
        size=None if size is None else parse_size(size),
        fps=fps,
        hold=hold,
        retry=retry,
        model=model,
        precision=precision,
        threads=threads,
        mode=mode,
        orientation=orientation,
        min_confidence=min_confidence,
        gap=gap,
        expect=expect,
        pattern=pattern,
        config=config,
    )
    given = {
        "host": host,
        "port": port,
        "token": token,
        "token_file": token_file,
        "no_token": no_token or None,
        "allow_origin": allow_origin,
        "workers": workers,
        "queue": queue,
        "max_mb": max_mb,
        "history": history,
        "keep": keep,
        "keep_mb": keep_mb,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    if chosen.keys() & {"token", "token_file", "no_token"}:
        for name in ("token_file", "no_token"):
            table.pop(name, None)
    options = ServeOptions(**(table | chosen))
    run_serve(
        ServeConfig(reading, options),
        notice=print_notice,
        ready=lambda url: print_line(f"serving at {url} (Ctrl-C ends it)"),
    )
