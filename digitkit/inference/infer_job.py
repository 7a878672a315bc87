"""The job of ``digitkit infer``: a configuration to readings in sinks."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar

from digitkit.choices import Mode, Orientation, PrecisionChoice
from digitkit.errors import ConfigError, OutputError
from digitkit.images.cv import cv2
from digitkit.inference.infer_config import DEFAULT_RETRY, InferConfig
from digitkit.inference.pipeline import Outcome, Summary, deliver, read_each
from digitkit.models.classifier import Classifier
from digitkit.models.profiles import find_profile
from digitkit.reading.reader import Reader
from digitkit.sinks.lines import LineSink
from digitkit.sources.files import expand_sources, read_frames
from digitkit.sources.frames import Failure
from digitkit.sources.items import Item, PageOfFile
from digitkit.system import atomic
from digitkit.system.progress import Progress

if TYPE_CHECKING:
    from digitkit.sinks.base import Sink
    from digitkit.sinks.lines import Stream
    from digitkit.sources.live import Live

_T = TypeVar("_T")

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
    with ExitStack() as stack:
        sinks = _open_sinks(config, stdout, stack)
        live: Live | None = None
        if config.camera is not None:
            live = stack.enter_context(_open_camera(config, config.camera, notice))
            if config.show:
                from digitkit.sinks.window import WindowSink

                sinks.append(WindowSink(live.stop))
            outcomes = read_each(reader, live)
        else:
            outcomes = _read_files(
                config,
                reader,
                make_reader,
                keep_images=config.needs_images,
                notice=notice,
                progress=progress,
            )
        summary = deliver(
            stack.enter_context(closing(outcomes)),
            sinks,
            on_failure=on_failure,
            min_confidence=reader.min_confidence,
            number_rule=config.number_rule,
            gap=reader.gap,
            hold=config.hold,
            every_frame=config.every_frame,
        )
    return summary if live is None else replace(summary, dropped=live.dropped)


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


# --- sources ---


def _read_files(
    config: InferConfig,
    reader: Reader,
    make_reader: Callable[[], Reader],
    *,
    keep_images: bool,
    notice: Callable[[str], None],
    progress: Progress | None,
) -> Generator[Outcome, None, None]:
    files: Iterable[Item | Failure] = guard_outputs(
        config, expand_sources(config.sources, nul=config.null, notice=notice)
    )
    total = 0
    if "-" not in config.sources:
        known = list(files)  # before anything is written
        files, total = known, len(known)
    if config.workers > 1:
        from digitkit.inference.workers import read_with_workers

        outcomes = read_with_workers(make_reader, files, config.workers, keep_images=keep_images)
    else:
        outcomes = read_each(reader, read_frames(files, exif=reader.obeys_exif))
    return outcomes if progress is None else report_progress(outcomes, total, progress)


def guard_outputs(config: InferConfig, files: Iterable[Item | Failure]) -> Iterator[Item | Failure]:
    """Pass on the files; refuse one that an output of this run would replace.

    Raises:
        ConfigError: a source is an output file, or is in a folder that images are written to.
    """
    outputs = {_real(path): field for field, path in config.output_files.items()}
    folders = {_real(path): field for field, path in config.output_folders.items()}
    for output, name in outputs.items() if "-" in config.sources else ():
        with suppress(OSError):
            if os.path.samestat(os.fstat(0), output.stat()):
                raise ConfigError(f"must not be the list of sources, got {output}", field=name)
    for item in files:
        file = item.path if isinstance(item, PageOfFile) else item
        if isinstance(file, Path) and (outputs or folders):
            target = _real(file)
            if target in outputs:
                raise ConfigError(f"must not be a source, got {file}", field=outputs[target])
            field = folders.get(target.parent)
            if field is not None:
                raise ConfigError(f"must not be the folder of a source, got {file}", field=field)
        yield item


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # pathlib's own raises at a loop of links up to Python 3.12


def report_progress(
    outcomes: Iterable[_T], total: int, progress: Progress
) -> Generator[_T, None, None]:
    """Pass on what was read, and report how many; `total` is 0 where that is not known."""
    for done, outcome in enumerate(outcomes, 1):
        progress("reading", done, total if done <= total else 0)  # a video has many frames
        yield outcome


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


# --- sinks ---


def _open_sinks(config: InferConfig, stdout: TextIO, stack: ExitStack) -> list[Sink]:
    sinks = _open_readings(config, stdout, stack)
    if config.annotate is not None and config.annotates_video:
        from digitkit.sinks.video_file import VideoSink

        sinks.append(stack.enter_context(VideoSink(config.annotate)))
    elif config.annotate is not None:
        from digitkit.sinks.images import AnnotatedImageSink

        sinks.append(AnnotatedImageSink(config.annotate))
    if config.explain is not None:
        from digitkit.sinks.images import ExplanationSink

        sinks.append(ExplanationSink(config.explain))
    return sinks


def _open_readings(config: InferConfig, stdout: TextIO, stack: ExitStack) -> list[Sink]:
    """Where the readings themselves go: a table, or lines."""
    how = config.resolved_format
    if config.output is not None and how == "xlsx":
        from digitkit.sinks.xlsx import open_xlsx

        return [stack.enter_context(open_xlsx(config.output))]
    assert how != "xlsx"  # an `InferConfig` has checked it
    stream: Stream = stdout
    if config.output is not None:
        is_live = config.camera is not None
        stream = stack.enter_context(open_output(config.output, is_live=is_live))
    sinks: list[Sink] = [LineSink(stream, how, quiet=config.quiet)]
    if config.rotating is not None and config.output is None:
        from digitkit.sinks.rotating import RotatingFile

        limit = round(config.rotating.max_mb * 1e6)
        file = RotatingFile(config.rotating.file, limit, config.rotating.keep)
        sinks.append(LineSink(stack.enter_context(file), how))
    return sinks


@contextmanager
def open_output(path: Path, *, is_live: bool) -> Iterator[TextIO]:
    """A file for readings: complete or not at all, but of a camera line by line.

    Raises:
        OutputError: it is a folder, or cannot be written.
    """
    if path.is_dir():
        raise OutputError("is a folder; --output must name a file", subject=str(path))
    if not is_live:
        with (
            atomic.replace_file(path) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as stream,
        ):
            yield stream
        return
    # Somebody may want to follow it, and hours must not be lost with the power.
    with atomic.open_in_place(path) as stream:
        yield stream
