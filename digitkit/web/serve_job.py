"""The job of ``digitkit serve``: a configuration to a service that runs until it is ended."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from digitkit.images.cv import cv2
from digitkit.inference.infer_job import reader_factory
from digitkit.system.notify import notify_alive, notify_ready, notify_stopping
from digitkit.system.streams import silence_native_errors
from digitkit.web.access import Token
from digitkit.web.app import make_app
from digitkit.web.history import History
from digitkit.web.http import MemoryBudget
from digitkit.web.live_view import LiveView
from digitkit.web.metrics import Metrics
from digitkit.web.read_pool import ReadPool
from digitkit.web.reading_loop import ReadingLoop, ServiceSink
from digitkit.web.server import Server, address_of, listen
from digitkit.web.service import Service

if TYPE_CHECKING:
    from digitkit.models.classifier import Classifier
    from digitkit.reading.reader import Reader
    from digitkit.web.serve_config import ServeConfig


MAX_BODIES = 4
"""Posted images of the largest size for which there is room in memory."""


def run_serve(
    config: ServeConfig,
    *,
    notice: Callable[[str], None],
    ready: Callable[[str], None],
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        config: what to read, and where to listen.
        notice: called with a line for the user, from any thread.
        ready: called with the URL once requests are answered.

    Raises:
        ConfigError: a token is missing, or the port is taken.
        InputNotFoundError: the model, or the file with the token, does not exist.
        ModelError: it is not a digit model.
        OutputError: the history cannot be written.
        SourceError: there cannot be such a camera.
    """
    options = config.options
    token = options.find_token()
    cv2.setNumThreads(config.reading.threads or 1)
    make_reader = reader_factory(config.reading, notice)
    reader = make_reader()
    history = History(
        config.history, keep_days=options.keep, keep_mb=options.keep_mb, notice=notice
    )
    restore_errors = silence_native_errors()
    try:
        with closing(history), listen(options) as listener:
            asyncio.run(
                _serve(config, token, history, reader, make_reader, listener, notice, ready)
            )
    finally:
        restore_errors()


async def _serve(
    config: ServeConfig,
    token: str | None,
    history: History,
    reader: Reader,
    make_reader: Callable[[], Reader],
    listener: socket.socket,
    notice: Callable[[str], None],
    ready: Callable[[str], None],
) -> None:
    view = LiveView(asyncio.get_running_loop(), config.reading.fps)
    pool = ReadPool(make_reader, config.options.workers, config.options.queue)
    metrics = Metrics(view)
    service = Service(
        config,
        view,
        history,
        pool,
        None if token is None else Token(token),
        describe_model(reader.classifier),
        metrics,
        MemoryBudget(round(MAX_BODIES * config.options.max_mb * 1e6)),
        notice,
    )
    loop = None
    reading = config.reading
    if reading.camera is not None or reading.sources:
        loop = ReadingLoop(reading, reader, ServiceSink(view, history, metrics), view, notice)

    async def stay_alive() -> None:
        """A sign of life to systemd, where no camera gives it."""
        if loop is None or view.ended is not None:
            notify_alive()

    server = Server(make_app(service), view.close, stay_alive)
    answering = asyncio.create_task(server.serve([listener]))
    try:
        while not (server.started or answering.done()):
            await asyncio.sleep(0.01)
        if loop is not None:
            loop.start()
        notify_ready()
        ready(address_of(listener))
        await answering
    finally:
        notify_stopping()
        pool.close()
        if loop is not None:
            await asyncio.to_thread(loop.stop)


def describe_model(classifier: Classifier) -> dict[str, Any]:
    """Facts about a model, as JSON values: its file, its threshold, and what its contract says."""
    values = {} if classifier.contract is None else asdict(classifier.contract)
    return values | {
        "file": classifier.path.name,
        "sha256": classifier.sha256,
        "min_confidence": classifier.min_confidence,
    }
