"""``digitkit serve``."""

from __future__ import annotations

import os

from digitkit.cli.infer_report import print_notice
from digitkit.cli.reading_options import (
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
from digitkit.cli.serve_options import (
    AllowOriginOption,
    ConfigOption,
    HistoryOption,
    HostOption,
    KeepMbOption,
    KeepOption,
    MaxMbOption,
    NoTokenOption,
    PortOption,
    QueueOption,
    RetryOption,
    SourcesArgument,
    TokenFileOption,
    TokenOption,
    WorkersOption,
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


def command(
    sources: SourcesArgument = None,
    config: ConfigOption = None,
    camera: CameraOption = None,
    size: SizeOption = None,
    fps: FpsOption = None,
    hold: HoldOption = None,
    retry: RetryOption = None,
    host: HostOption = None,
    port: PortOption = None,
    token: TokenOption = None,
    token_file: TokenFileOption = None,
    no_token: NoTokenOption = False,
    allow_origin: AllowOriginOption = None,
    workers: WorkersOption = None,
    queue: QueueOption = None,
    max_mb: MaxMbOption = None,
    history: HistoryOption = None,
    keep: KeepOption = None,
    keep_mb: KeepMbOption = None,
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

    settings, table = None, None
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
    options = ServeOptions.create(
        table,
        host=host,
        port=port,
        token=token,
        token_file=token_file,
        no_token=no_token,
        allow_origin=allow_origin,
        workers=workers,
        queue=queue,
        max_mb=max_mb,
        history=history,
        keep=keep,
        keep_mb=keep_mb,
    )
    run_serve(
        ServeConfig(reading, options),
        notice=print_notice,
        ready=lambda url: print_line(f"serving at {url} (Ctrl-C ends it)"),
    )
