"""The job of ``digitkit infer``: a configuration to readings in sinks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, TextIO, TypeVar

import numpy as np

from digitkit.choices import PrecisionChoice
from digitkit.images.cv import cv2
from digitkit.inference.infer_config import InferConfig
from digitkit.inference.infer_values import DEFAULT_RETRY
from digitkit.inference.input_files import InputFiles, find_inputs
from digitkit.inference.outputs import check_live_output, open_outputs, table_form
from digitkit.inference.pipeline import BATCH, Reporting, Summary, deliver, read_each
from digitkit.inference.run_outputs import Outputs
from digitkit.models.classifier import Classifier
from digitkit.models.profiles import find_profile
from digitkit.reading.reader import Reader
from digitkit.sources.files import read_frames
from digitkit.sources.frames import Failure
from digitkit.sources.video import VideoLimits
from digitkit.system.interrupts import Interrupts, deferred_interrupts, handle_signals
from digitkit.system.progress import Progress, no_progress

if TYPE_CHECKING:
    from digitkit.reading.results import Reading
    from digitkit.sinks.base import Sink
    from digitkit.sources.items import Item
    from digitkit.sources.live import Live

_T = TypeVar("_T")

# Sinks, workers and cameras are imported where they are used: most runs read a few files.


def run_infer(
    config: InferConfig,
    stdout: TextIO,
    *,
    on_failure: Callable[[Failure], None],
    notice: Callable[[str], None],
    progress: Progress = no_progress,
) -> Summary:
    """Read everything that a configuration names, and write it where it says.

    A camera ends cleanly at SIGINT and SIGTERM.

    Args:
        config: what to read, how, and where the readings go.
        stdout: where readings go unless `config.output` names a file.
        on_failure: called with each source or image that could not be read.
        notice: called with a line for the user: a profile that does not fit, files of a folder
            that were skipped, a camera that was lost or is back, a video of which nothing was
            reported.
        progress: called with the number of images that were read.

    Raises:
        ConfigError: an output would replace a source.
        InputNotFoundError: the model does not exist.
        ModelError: it is not a digit model, or its contract is newer than this version.
        OutputError: readings cannot be written.
        SourceError: a camera was never there.
        WorkerError: a worker process died.
        MissingDependencyError: a window is asked for where there is no screen.
    """
    cv2.setNumThreads(config.threads or 1)
    make_reader = reader_factory(config, notice)
    reader = make_reader()  # here too, so that a wrong model is reported before anything else
    if config.camera is not None:
        with _open_camera(config, config.camera, notice) as live:
            return _read_camera(config, reader, live, stdout, on_failure)
    inputs = find_inputs(config, notice)
    with open_outputs(config, reader, stdout) as outputs, ExitStack() as stack:
        files = _Files(config, inputs, outputs, on_failure, notice, progress)
        if outputs.resumable:
            ends = config.watch is None
            deferred = deferred_interrupts(end_at_sigterm=ends)
            files.interrupts = stack.enter_context(deferred)
            if inputs.watch is not None:
                inputs.watch.idle = partial(files.interrupts.call, outputs.idle)
        workers = count_workers(config, inputs.total)
        if workers > 1:
            summary = _read_with_workers(files, reader, make_reader, workers)
        else:
            summary = _read_here(files, reader)
        return outputs.settle(summary)


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
    return partial(_build_reader, config, precision, threads, batch)


def _build_reader(
    config: InferConfig, precision: PrecisionChoice, threads: int, batch: int | None
) -> Reader:
    classifier = Classifier(
        config.model,
        precision=precision,
        threads=threads,
        input_scale=config.input_scale,
        batch=batch,
    )
    # A model that never works is found before anything is read; later, an image may be at fault.
    classifier.classify([np.zeros((28, 28), np.uint8)])
    return Reader(
        classifier,
        mode=config.mode,
        orientation=config.orientation,
        min_confidence=config.min_confidence,
        gap=config.gap,
        threads=config.threads or 1,
    )


# --- files ---


@dataclass
class _Files:
    """The files of a run, and where their readings go.

    Attributes:
        config: of the run.
        inputs: what is to be read.
        outputs: where it goes.
        on_failure: called with each failure.
        notice: called with a line for the user.
        progress: called with the number of images that were read.
        interrupts: what Ctrl-C waits for; None where it ends the program.
    """

    config: InferConfig
    inputs: InputFiles
    outputs: Outputs[Reading]
    on_failure: Callable[[Failure], None]
    notice: Callable[[str], None]
    progress: Progress
    interrupts: Interrupts | None = None

    @property
    def items(self) -> Iterable[Item | Failure]:
        """What was not read before."""
        return self.outputs.remaining(self.inputs.items)

    @property
    def limits(self) -> VideoLimits:
        """How much of each video is read."""
        return VideoLimits(self.config.max_frames, self.config.duration)

    def watch(self, results: Iterable[_T], count: Callable[[_T], int]) -> Iterator[_T]:
        """Report the progress of results, each of which stands for so many images."""
        if self.interrupts is not None:
            results = self.interrupts.between(results)
        before, total = self.outputs.done_before, self.inputs.total
        return report_progress(results, count, before, total, self.progress)


def report_progress(
    results: Iterable[_T],
    count: Callable[[_T], int],
    before: int,
    total: int,
    progress: Progress,
) -> Iterator[_T]:
    """Pass on results, and report how many images were read.

    Args:
        results: of files or pages.
        count: for how many images a result stands.
        before: how many an earlier run read.
        total: how many files there are; 0 where that is not known.
        progress: called with the numbers.
    """
    done = before
    for result in results:
        done += count(result)
        progress("reading", done, total if done <= total else 0)  # or it has pages
        yield result


def count_workers(config: InferConfig, total: int) -> int:
    """How many processes read: as many as asked for, else one per core where there is enough.

    Args:
        config: what it asks for.
        total: how many files there are; 0 where that is not known.
    """
    if config.workers != "auto":
        return config.workers
    from digitkit.inference.workers import FILES_PER_WORKER
    from digitkit.system.machine import read_machine, usable_cores

    cores = usable_cores()
    cores = min(cores, math.ceil(read_machine().cpu_quota or cores))
    return max(1, cores if not total else min(cores, total // FILES_PER_WORKER))


def _read_here(files: _Files, reader: Reader) -> Summary:
    # On a terminal, and in a pipe, each image is wanted as soon as it is read.
    batch = 1 if files.config.output is None or files.inputs.watch is not None else BATCH
    frames = read_frames(files.items, exif=reader.obeys_exif, limits=files.limits)
    with closing(read_each(reader, frames, batch=batch)) as outcomes:
        return deliver(
            files.watch(outcomes, lambda _: 1),
            files.outputs.sinks,
            Reporting.create(reader, files.config),
            on_failure=files.on_failure,
            stoppable=files.outputs.resumable,
            notice=files.notice,
        )


def _read_with_workers(
    files: _Files, reader: Reader, make_reader: Callable[[], Reader], workers: int
) -> Summary:
    from digitkit.inference.worker import ResultFormat
    from digitkit.inference.workers import count_images, deliver_results, read_with_workers

    config, outputs = files.config, files.outputs
    wanted = ResultFormat(keep_images=config.needs_images)
    if not config.needs_images and len(outputs.sinks) == 1:
        how = config.resolved_format
        table = table_form(config, reader) if how == "parquet" else how
        wanted = ResultFormat(table, config.quiet, config.number_rule)  # type: ignore[arg-type]
    results = read_with_workers(
        make_reader,
        files.items,
        workers,
        wanted,
        ordered=not config.unordered,
        limits=files.limits,
    )
    with closing(results):
        return deliver_results(
            files.watch(results, count_images),
            outputs.sinks,
            Reporting.create(reader, config),
            on_failure=files.on_failure,
            notice=files.notice,
            interrupts=files.interrupts,
        )


# --- cameras ---


def _read_camera(
    config: InferConfig,
    reader: Reader,
    live: Live,
    stdout: TextIO,
    on_failure: Callable[[Failure], None],
) -> Summary:
    reporting = Reporting.create(reader, config)
    check_live_output(config)
    window: list[Sink[Reading]] = []
    if config.show:
        from digitkit.sinks.window import WindowSink

        window.append(WindowSink(live.stop))
    first = list(islice(live, 1))
    if not first:  # it was stopped while it waited for the camera: the last run's output stays
        summary = deliver((), window, reporting, on_failure=on_failure)
        return replace(summary, dropped=live.dropped)
    with (
        open_outputs(config, reader, stdout) as outputs,
        closing(read_each(reader, chain(first, live))) as outcomes,
    ):
        sinks = [*outputs.sinks, *window]
        summary = deliver(outcomes, sinks, reporting, on_failure=on_failure)
        return replace(summary, dropped=live.dropped)


def make_live(config: InferConfig, camera: str, notice: Callable[[str], None]) -> Live:
    """The frames of a camera; systemd hears that it works.

    Args:
        config: how it is read.
        camera: a number, a device or an address, as the command line takes it.
        notice: called with a line when it is lost, and when it is back.

    Raises:
        ConfigError, SourceError: there cannot be such a camera.
    """
    from digitkit.sources.live import Live
    from digitkit.system.notify import notify_alive

    return Live(
        camera,
        size=config.size,
        fps=config.fps,
        retry=DEFAULT_RETRY if config.retry is None else config.retry,
        max_frames=config.max_frames,
        duration=config.duration,
        notice=notice,
        alive=notify_alive,
    )


@contextmanager
def _open_camera(config: InferConfig, camera: str, notice: Callable[[str], None]) -> Iterator[Live]:
    """A camera that SIGINT and SIGTERM end cleanly, files closed; systemd is kept informed."""
    from digitkit.system.notify import notify_ready, notify_stopping
    from digitkit.system.streams import silence_native_errors

    live = make_live(config, camera, notice)
    restore_errors = silence_native_errors()  # many cameras' JPEG images are slightly wrong
    try:
        # A second signal ends at once.
        with handle_signals(lambda number: live.stop(), once=True, default=True), live:
            notify_ready()
            yield live
    finally:
        notify_stopping()
        restore_errors()
