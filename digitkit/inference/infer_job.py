"""The job of ``digitkit infer``: a configuration to readings in sinks."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TextIO

from digitkit.choices import Mode, Orientation, PrecisionChoice
from digitkit.images.cv import cv2
from digitkit.inference.infer_config import DEFAULT_RETRY, InferConfig
from digitkit.inference.input_files import InputFiles, find_inputs
from digitkit.inference.outputs import Outputs, open_outputs
from digitkit.inference.pipeline import BATCH, Outcome, Summary, deliver, read_each
from digitkit.models.classifier import Classifier
from digitkit.models.profiles import find_profile
from digitkit.reading.reader import Reader
from digitkit.sources.files import read_frames
from digitkit.sources.frames import Failure
from digitkit.system.interrupts import deferred_interrupts
from digitkit.system.progress import Progress

if TYPE_CHECKING:
    from digitkit.inference.run_state import Done
    from digitkit.sources.live import Live

# Sinks, workers and cameras are imported where they are used: most runs read a few files.


def run_infer(
    config: InferConfig,
    stdout: TextIO,
    *,
    on_failure: Callable[[Failure], None],
    notice: Callable[[str], None],
    progress: Progress | None = None,
) -> Summary:
    """Read everything that a configuration names, and write it where it says.

    A camera ends cleanly at SIGINT and SIGTERM.

    Args:
        config: what to read, how, and where the readings go.
        stdout: where readings go unless `config.output` names a file.
        on_failure: called with each source or image that could not be read.
        notice: called with a line for the user: a profile that does not fit, files of a folder
            that were skipped, a camera that was lost or is back.
        progress: called with the number of images that were read; None for no progress.

    Raises:
        ConfigError: an output would replace a source.
        InputNotFoundError: the model does not exist.
        ModelError: it is not a digit model, or its contract is newer than this version.
        OutputError: readings cannot be written.
        SourceError: a camera was never there, or a worker process died.
        MissingDependencyError: a window is asked for where there is no screen.
    """
    cv2.setNumThreads(config.threads or 1)
    make_reader = reader_factory(config, notice)
    reader = make_reader()  # here too, so that a wrong model is reported before anything else
    call = partial(
        deliver,
        on_failure=on_failure,
        min_confidence=reader.min_confidence,
        number_rule=config.number_rule,
        gap=reader.gap,
        hold=config.hold,
        every_frame=config.every_frame,
    )
    if config.camera is not None:
        with ExitStack() as stack:
            sinks = stack.enter_context(open_outputs(config, reader, stdout)).sinks
            live = stack.enter_context(_open_camera(config, config.camera, notice))
            if config.show:
                from digitkit.sinks.window import WindowSink

                sinks.append(WindowSink(live.stop))
            outcomes = stack.enter_context(closing(read_each(reader, live)))
            return replace(call(outcomes, sinks), dropped=live.dropped)
    inputs = find_inputs(config, notice)
    with open_outputs(config, reader, stdout) as outputs, ExitStack() as stack:
        read = stack.enter_context(
            closing(_read_files(config, reader, make_reader, inputs, outputs))
        )
        if progress is not None:
            read = _report_progress(read, inputs.total, outputs.done, progress)
        if outputs.resumable:
            read = stack.enter_context(deferred_interrupts()).between(read)
        summary = call(read, outputs.sinks, stoppable=outputs.resumable)
        outputs.finished = not summary.interrupted
    return replace(summary, done_before=0 if outputs.done is None else outputs.done.total)


# --- the reader ---


def reader_factory(config: InferConfig, notice: Callable[[str], None]) -> Callable[[], Reader]:
    """What builds the reader that a configuration asks for; can be pickled.

    Precision, threads and batch of the classifier are as asked for, else as this device's profile
    says.

    Args:
        config: model, precision, threads, mode, orientation and threshold.
        notice: called with a line where a profile exists and does not fit.
    """
    precision, threads, batch = config.precision, config.threads or 1, None
    if precision == "auto":
        profile, reason = find_profile(config.model)
        if reason is not None:
            notice(str(reason))
        if profile is not None:
            precision, batch = profile.precision, profile.batch
            threads = config.threads or profile.threads
    return partial(
        _build_reader,
        config.model,
        precision,
        threads,
        batch,
        config.input_scale,
        detector_threads=config.threads or 1,
        mode=config.mode,
        orientation=config.orientation,
        min_confidence=config.min_confidence,
        gap=config.gap,
    )


def _build_reader(
    model: str,
    precision: PrecisionChoice,
    threads: int,
    batch: int | None,
    input_scale: float | None,
    *,
    detector_threads: int,
    mode: Mode,
    orientation: Orientation,
    min_confidence: float | None,
    gap: float | None,
) -> Reader:
    classifier = Classifier(
        model, precision=precision, threads=threads, input_scale=input_scale, batch=batch
    )
    return Reader(
        classifier,
        mode=mode,
        orientation=orientation,
        min_confidence=min_confidence,
        gap=gap,
        threads=detector_threads,
    )


# --- files ---


def _read_files(
    config: InferConfig,
    reader: Reader,
    make_reader: Callable[[], Reader],
    inputs: InputFiles,
    outputs: Outputs,
) -> Generator[Outcome, None, None]:
    items = inputs.items
    if outputs.done is not None:
        items = outputs.done.remaining(items)
    if config.workers > 1:
        from digitkit.inference.workers import read_with_workers

        keep_images = config.needs_images
        return read_with_workers(make_reader, items, config.workers, keep_images=keep_images)
    # On a terminal, and in a pipe, each image is wanted as soon as it is read.
    batch = 1 if config.output is None else BATCH
    return read_each(reader, read_frames(items, exif=reader.obeys_exif), batch=batch)


def _report_progress(
    outcomes: Iterable[Outcome], total: int, before: Done | None, progress: Progress
) -> Generator[Outcome, None, None]:
    start = 0 if before is None else before.total
    for done, outcome in enumerate(outcomes, start + 1):
        progress("reading", done, total if done <= total else 0)  # a video has many frames
        yield outcome


# --- cameras ---


@contextmanager
def _open_camera(config: InferConfig, camera: str, notice: Callable[[str], None]) -> Iterator[Live]:
    """A camera that SIGINT and SIGTERM end cleanly, files closed; systemd is kept informed."""
    import signal

    from digitkit.sources.live import Live
    from digitkit.system.notify import notify_alive, notify_ready, notify_stopping
    from digitkit.system.streams import silence_native_errors

    live = Live(
        camera,
        size=config.size,
        fps=config.fps,
        retry=DEFAULT_RETRY if config.retry is None else config.retry,
        max_frames=config.max_frames,
        duration=config.duration,
        notice=notice,
        alive=notify_alive,
    )
    restore_errors = silence_native_errors()  # many cameras' JPEG images are slightly wrong
    signals = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.getsignal(number) for number in signals}

    def stop(number: int, frame: object) -> None:
        live.stop()
        signal.signal(number, previous[signal.Signals(number)])  # a second one ends at once

    for number in signals:
        signal.signal(number, stop)
    try:
        with live:
            notify_ready()
            yield live
    finally:
        notify_stopping()
        restore_errors()
        for number, handler in previous.items():
            signal.signal(number, handler)
