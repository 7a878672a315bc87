"""The sinks that a configuration asks for."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from digitkit.errors import OutputError, SourceError, os_reason
from digitkit.inference.infer_config import InferConfig
from digitkit.sinks.lines import LineSink
from digitkit.system import atomic
from digitkit.version import __version__

if TYPE_CHECKING:
    from digitkit.inference.run_state import Done, OutputRun
    from digitkit.models.classifier import Classifier
    from digitkit.reading.reader import Reader
    from digitkit.sinks.base import Sink
    from digitkit.sinks.lines import LineFormat, Stream
    from digitkit.sinks.parquet import TableForm
    from digitkit.sinks.report.builder import ReportInfo
    from digitkit.sinks.written import Key

# Sinks other than lines are imported where they are used: most runs print a few lines.


@dataclass
class Outputs:
    """Where the readings of a run go.

    Attributes:
        sinks: all that receive them.
        done: what an earlier run read, which this one continues; None for a new one.
        resumable: whether what is read stays where the run is interrupted.
        finished: to be set when all is read: nothing is left to continue.
        in_vain: to be set where nothing of what was to be read could be.
        idle: to be called now and then while nothing is read.
    """

    sinks: list[Sink] = field(default_factory=list)
    done: Done | None = None
    resumable: bool = False
    finished: bool = False
    in_vain: bool = False
    idle: Callable[[], None] = lambda: None


@contextmanager
def open_outputs(config: InferConfig, reader: Reader, stdout: TextIO) -> Iterator[Outputs]:
    """Open the files that a configuration names; what is read stays in those of lines and Parquet.

    Raises:
        ConfigError: a run cannot be continued, see `open_run`.
        MissingDependencyError: a table needs a package that is not installed.
        OutputError: a file cannot be written.
    """
    outputs = Outputs()
    with ExitStack() as stack:
        _open_readings(config, reader, stdout, stack, outputs)
        sinks = outputs.sinks
        if config.annotate is not None and config.annotates_video:
            from digitkit.sinks.video_file import VideoSink

            sinks.append(stack.enter_context(VideoSink(config.annotate)))
        elif config.annotate is not None:
            from digitkit.sinks.images import AnnotatedImageSink

            sinks.append(AnnotatedImageSink(config.annotate))
        if config.explain is not None:
            from digitkit.sinks.images import ExplanationSink

            sinks.append(ExplanationSink(config.explain, reader.min_confidence))
        if config.report is not None:
            from digitkit.sinks.report.report_sink import ReportSink, open_report

            info = report_info(config, reader.classifier)
            builder = stack.enter_context(open_report(config.report, info))
            sinks.append(ReportSink(builder))
        yield outputs


def check_live_output(config: InferConfig) -> None:
    """Check that a camera's readings can be written, before it is waited for; what is there stays.

    Raises:
        OutputError: they cannot be.
    """
    files = config.output_files
    path = files.get("output", files.get("rotating"))
    if path is not None and (os.path.isfile(path) or not os.path.lexists(path)):
        with atomic.open_in_place(path, keep=None):
            pass


def report_info(config: InferConfig, classifier: Classifier) -> ReportInfo:
    """What a configuration's report says of itself."""
    from digitkit.sinks.report.builder import ReportInfo

    now = datetime.now().astimezone()
    path, sha256 = classifier.path, classifier.sha256
    return ReportInfo(__version__, config.model, path.name, sha256, now)


def table_form(config: InferConfig, reader: Reader) -> TableForm:
    """The rows of a configuration's Parquet table."""
    from digitkit.sinks.parquet import TableForm

    return TableForm(config.rows or "pictures", reader.classifier.sha256)


def _open_readings(
    config: InferConfig, reader: Reader, stdout: TextIO, stack: ExitStack, outputs: Outputs
) -> None:
    """Open where the readings themselves go: a table, or lines."""
    how = config.resolved_format
    if config.output is None:
        assert how not in ("xlsx", "parquet")  # an `InferConfig` has checked it
        outputs.sinks.append(LineSink(stdout, how, quiet=config.quiet))  # type: ignore[arg-type]
        if config.rotating is not None:
            from digitkit.sinks.rotating import RotatingFile

            limit = round(config.rotating.max_mb * 1e6)
            file = RotatingFile(config.rotating.file, limit, config.rotating.keep)
            outputs.sinks.append(LineSink(stack.enter_context(file), how))  # type: ignore[arg-type]
    elif how == "xlsx":
        from digitkit.sinks.xlsx import open_xlsx

        outputs.sinks.append(stack.enter_context(open_xlsx(config.output)))
    elif config.is_resumable:
        stack.enter_context(_open_resumable(config, config.output, reader, outputs))
    else:
        assert how != "parquet"
        is_live = config.camera is not None
        stream: Stream = stack.enter_context(open_lines(config.output, is_live=is_live))
        outputs.sinks.append(LineSink(stream, how, quiet=config.quiet))


@contextmanager
def _open_resumable(
    config: InferConfig, output: Path, reader: Reader, outputs: Outputs
) -> Iterator[None]:
    """The output of a run that can be continued, and its state."""
    from digitkit.inference.run_state import describe_run, open_run

    how = config.resolved_format
    assert how != "xlsx"
    outputs.resumable = True
    if how != "parquet":
        atomic.check_writable(output)
    with open_run(config, describe_run(config, reader)) as run, ExitStack() as stack:
        if how == "parquet":
            stack.enter_context(_open_table(config, output, reader, run, outputs))
        else:
            old = _set_aside(output, run)
            stack.callback(_settle, config, output, run, outputs, old)
            stack.enter_context(_open_continued(output, how, run, outputs))
        yield


def _set_aside(output: Path, run: OutputRun) -> Path | None:
    """Rename the file that a new run's lines replace; where it is, also for a run that continues.

    Raises:
        OutputError: it cannot be renamed, or the state not be written.
    """
    target = Path(os.path.realpath(output))
    if run.continues:
        name = run.file.read_values().get("old")
        return target.with_name(name) if isinstance(name, str) else None
    if not target.exists():
        return None
    old, number = target.with_name(f"{target.name}.old"), 1
    while os.path.lexists(old):  # somebody's own
        number += 1
        old = target.with_name(f"{target.name}.old{number}")
    mode = stat.S_IMODE(target.stat().st_mode)
    run.file.add_values({"old": old.name})
    try:
        target.rename(old)
        try:
            target.touch(mode=0o600)  # what only its owner may read stays private
            target.chmod(mode)
        except OSError:
            old.replace(target)
            raise
    except OSError as error:
        run.file.remove()
        problem = f"cannot be replaced: {os_reason(error)}"
        raise OutputError(problem, subject=str(output)) from error
    return old


def _settle(
    config: InferConfig, output: Path, run: OutputRun, outputs: Outputs, old: Path | None
) -> None:
    """Remove the state of lines that nobody is to continue, and lines that were never begun.

    Args:
        config: of the run.
        output: its lines.
        run: its state.
        outputs: says how it ended.
        old: what `output` replaces, which goes when all is read, and comes back where nothing was.
    """
    from digitkit.sinks.written import CSV_HEADER_BYTES

    if outputs.finished:
        if old is not None and not outputs.in_vain:
            old.unlink(missing_ok=True)
            run.file.add_values({"old": None})  # a later file of this name is somebody's own
        if not config.continues:
            run.file.remove()
        return
    header = CSV_HEADER_BYTES if config.resolved_format == "csv" else 0
    with suppress(OSError):
        if not config.continues and output.stat().st_size <= header:
            if old is None:
                output.unlink()
            else:
                old.replace(os.path.realpath(output))
            run.file.remove()


@contextmanager
def _open_table(
    config: InferConfig, output: Path, reader: Reader, run: OutputRun, outputs: Outputs
) -> Iterator[None]:
    """A Parquet table, after the parts that are there where it is continued."""
    from digitkit.sinks.parquet import open_parquet, read_keys

    form = table_form(config, reader)
    with open_parquet(output, form, run.file) as sink:
        if run.continues:
            from digitkit.inference.run_state import Done

            parts = read_keys(output, form.rows)
            outputs.done = Done(key for part in parts for key in zip(*part, strict=True))
        outputs.sinks.append(sink)
        outputs.idle = sink.idle
        yield


@contextmanager
def _open_continued(
    output: Path, how: LineFormat, run: OutputRun, outputs: Outputs
) -> Iterator[None]:
    """Lines, after those that are there where they are continued."""
    keep = 0
    if run.continues:
        from digitkit.inference.run_state import Done
        from digitkit.sinks.written import header_length, written_keys

        keep = header_length(output, how)

        def keys() -> Iterator[Key]:
            nonlocal keep
            for key, end in written_keys(output, how, run.file.read_values().get("whole")):
                keep = end
                yield key

        outputs.done = Done(keys(), repeats=how != "csv")
    try:
        with atomic.open_in_place(output, keep=keep) as stream:
            outputs.sinks.append(LineSink(stream, how, header=not keep))
            yield
    except (SystemExit, SourceError):  # SIGTERM waits for what is being written
        _note_whole(output, run)
        raise
    _note_whole(output, run)


def _note_whole(output: Path, run: OutputRun) -> None:
    with suppress(OSError):  # without it, the last picture of CSV is read again
        run.file.add_values({"whole": output.stat().st_size})


@contextmanager
def open_lines(path: Path, *, is_live: bool) -> Iterator[TextIO]:
    """A file for lines: complete or not at all, but of a camera line by line.

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
