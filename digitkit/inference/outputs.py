"""The sinks that a configuration asks for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from digitkit.errors import OutputPathError
from digitkit.inference.infer_config import InferConfig
from digitkit.inference.run_outputs import Outputs
from digitkit.reading.results import Reading
from digitkit.sinks.lines import LineSink
from digitkit.system import atomic
from digitkit.version import __version__

if TYPE_CHECKING:
    from digitkit.models.classifier import Classifier
    from digitkit.reading.reader import Reader
    from digitkit.sinks.parquet import TableForm
    from digitkit.sinks.report.builder import ReportInfo

# Sinks other than lines are imported where they are used: most runs print a few lines.


@contextmanager
def open_outputs(config: InferConfig, reader: Reader, stdout: TextIO) -> Iterator[Outputs[Reading]]:
    """Open the files that a configuration names; what is read stays in those of lines and Parquet.

    Raises:
        ConfigError: a run cannot be continued, see `open_run`.
        MissingDependencyError: a table needs a package that is not installed.
        OutputError: a file cannot be written.
    """
    outputs = Outputs[Reading]()
    for folder in config.output_folders.values():
        atomic.check_writable(folder, is_folder=True)
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
            report = open_report(config.report, info, lambda: outputs.finished)
            builder = stack.enter_context(report)
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
    config: InferConfig,
    reader: Reader,
    stdout: TextIO,
    stack: ExitStack,
    outputs: Outputs[Reading],
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
        stack.callback(outputs.keep_old, config.output)
    elif how == "parquet":
        stack.enter_context(_open_table(config, config.output, reader, outputs))
    elif config.is_resumable():
        from digitkit.inference.resumable_lines import open_resumable_lines
        from digitkit.inference.run_state import describe_run
        from digitkit.sinks.lines import CSV_COLUMNS

        header = describe_run(config, reader.classifier)
        lines = open_resumable_lines(config, header, CSV_COLUMNS, outputs)
        stream, has_header = stack.enter_context(lines)
        outputs.sinks.append(LineSink(stream, how, header=not has_header))
    else:
        is_live = config.camera is not None
        stream = stack.enter_context(open_lines(config.output, is_live=is_live))
        if not is_live:
            stack.callback(outputs.keep_old, config.output)
        outputs.sinks.append(LineSink(stream, how, quiet=config.quiet))


@contextmanager
def _open_table(
    config: InferConfig, output: Path, reader: Reader, outputs: Outputs[Reading]
) -> Iterator[None]:
    """A Parquet table, after the parts that are there where it is continued."""
    from digitkit.inference.run_state import Done, describe_run, open_run
    from digitkit.sinks.parquet import open_parquet, read_keys

    form = table_form(config, reader)
    outputs.resumable = True
    with (
        open_run(config, describe_run(config, reader.classifier)) as run,
        open_parquet(output, form, run.file) as sink,
    ):
        if run.continues:
            parts = read_keys(output, form.rows)
            outputs.done = Done(key for part in parts for key in zip(*part, strict=True))
        outputs.sinks.append(sink)
        outputs.idle = sink.idle
        yield


@contextmanager
def open_lines(path: Path, *, is_live: bool) -> Iterator[TextIO]:
    """A file for lines: complete or not at all, but of a camera line by line.

    Raises:
        OutputPathError: it is a folder.
        OutputError: it cannot be written.
    """
    if path.is_dir():
        raise OutputPathError("is a folder; --output must name a file", subject=str(path))
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
