"""What a service reads by itself: a camera or files, in one thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing, nullcontext
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from digitkit.errors import DigitkitError, one_line
from digitkit.inference.infer_job import make_live
from digitkit.inference.input_files import find_inputs
from digitkit.inference.pipeline import Reporting, deliver, read_each
from digitkit.sinks.lines import event_json
from digitkit.sinks.review import review_items
from digitkit.sources.files import read_frames
from digitkit.sources.video import VideoLimits
from digitkit.web.live_view import LiveEvent

if TYPE_CHECKING:
    from digitkit.reading.reader import Reader
    from digitkit.reading.results import Event, Reading
    from digitkit.sources.frames import Failure, Frame
    from digitkit.sources.live import Live
    from digitkit.web.history import History
    from digitkit.web.live_view import LiveView
    from digitkit.web.metrics import Metrics
    from digitkit.web.serve_config import ServedConfig

STOP_SECONDS = 0.7
"""How long the end of the service waits for the frame that is being read."""


class ServiceSink:
    """Receives readings for the page, the history and the metrics."""

    wants_every_frame = True

    def __init__(self, view: LiveView, history: History, metrics: Metrics) -> None:
        """Write to these."""
        self._view = view
        self._history = history
        self._metrics = metrics

    def write(self, frame: Frame, reading: Reading) -> None:
        """Show a frame, and keep what happened in it; of a file, what was read."""
        self._view.publish(frame, reading)
        self._metrics.count_frame(reading)
        if frame.number is None:
            self._keep(frame, reading, reading.to_json(), "read")
        for event in reading.events:
            self._keep_event(frame, reading, event)

    def _keep_event(self, frame: Frame, reading: Reading, event: Event) -> None:
        gone = event.kind == "disappeared"
        own = replace(reading, numbers=() if gone else (event.number,), dropped=(), digits=())
        self._keep(frame, own, event_json(reading, event), event.kind)

    def _keep(self, frame: Frame, reading: Reading, line: dict[str, Any], kind: str) -> None:
        self._metrics.readings.labels(kind).inc()
        incomplete = sum(not number.complete for number in reading.numbers)
        self._metrics.rejects.labels("camera").inc(incomplete)
        written = self._history.add(line, review_items(frame, reading))
        if kind != "read":
            written.add_done_callback(lambda future: self._send(future, line))

    def _send(self, written: Future[int], line: dict[str, Any]) -> None:
        """Tell clients of an event, once it is in the history."""
        number = None if written.exception() else written.result()
        self._view.dispatch(LiveEvent(number, line))

    def fail(self, failure: Failure) -> None:
        """Say what could not be read."""
        self._view.note = f"{failure.name}: {failure.error}"


class ReadingLoop:
    """The thread that reads what the configuration names."""

    def __init__(
        self,
        config: ServedConfig,
        reader: Reader,
        sink: ServiceSink,
        view: LiveView,
        notice: Callable[[str], None],
    ) -> None:
        """Prepare to read.

        Args:
            config: names a camera or files.
            reader: what reads them.
            sink: where readings go.
            view: is told what a camera says, and when nothing is read any more.
            notice: called with a line for whoever runs the service.

        Raises:
            ConfigError, SourceError: there cannot be such a camera.
        """
        self._config = config
        self._reader = reader
        self._sink = sink
        self._view = view
        self._notice = notice
        self._stopped = False
        self._live: Live | None = None
        if config.camera is not None:
            self._live = make_live(config, config.camera, self._say)
        self._thread = threading.Thread(target=self._run, name="reads", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End soon; a stuck camera is left behind."""
        self._stopped = True
        if self._live is not None:
            self._live.stop()
        self._thread.join(STOP_SECONDS)

    def _say(self, line: str) -> None:
        self._view.note = line
        self._notice(line)

    def _run(self) -> None:
        try:
            self._read()
            ended = "the camera has ended" if self._live else "all files are read"
        except DigitkitError as error:
            ended = one_line(error)
        except Exception as error:  # the page stays, and says so
            ended = f"reading has ended: {type(error).__name__}: {one_line(error)}"
        self._view.ended = ended
        if not self._stopped:
            self._notice(ended)

    def _read(self) -> None:
        config, reader = self._config, self._reader
        frames: Any = self._live
        if frames is None:
            items = find_inputs(config, self._notice).items
            limits = VideoLimits(config.max_frames, config.duration)
            frames = read_frames(items, exif=reader.obeys_exif, limits=limits)
        frames = takewhile(lambda _: not self._stopped, frames)
        with self._live or nullcontext(), closing(read_each(reader, frames)) as outcomes:
            deliver(
                outcomes,
                [self._sink],
                Reporting.create(reader, config),
                on_failure=lambda failure: self._notice(f"{failure.name}: {failure.error}"),
            )
