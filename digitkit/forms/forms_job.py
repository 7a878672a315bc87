"""The job of ``digitkit infer --form``: pictures to a row of a table each."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from digitkit.choices import OutputFormat
from digitkit.errors import ConfigError, ImageError, ModelRunError
from digitkit.forms.form import Form
from digitkit.forms.output.report import FormReportSink
from digitkit.forms.output.tables import FormLines, columns_of, open_form_table
from digitkit.forms.results import FormReading
from digitkit.forms.templates.checksums import load_checksums
from digitkit.forms.templates.template import overview_path, refuse_to_replace
from digitkit.images.cv import cv2
from digitkit.inference.infer_config import InferConfig
from digitkit.inference.infer_job import count_workers, reader_factory, report_progress
from digitkit.inference.input_files import find_inputs
from digitkit.inference.outputs import open_lines, report_info
from digitkit.inference.pipeline import Summary, write_each
from digitkit.inference.resumable_lines import open_resumable_lines
from digitkit.inference.run_outputs import Outputs
from digitkit.inference.run_state import describe_run
from digitkit.reading.reader import Reader
from digitkit.sinks.base import Sink
from digitkit.sinks.lines import Stream
from digitkit.sources.files import read_frames
from digitkit.sources.frames import Failure, Frame, to_failure
from digitkit.sources.items import Item
from digitkit.system.hashes import file_sha256
from digitkit.system.interrupts import deferred_interrupts
from digitkit.system.progress import Progress, no_progress

FormOutcome = tuple[Frame, FormReading] | Failure
"""A picture and what was read of its form, or why nothing was."""

NOT_OF_FORMS = ("camera", "watch", "gap", "expect", "pattern", "annotate", "explain",
                "min_confidence", "rows", "max_frames", "duration", "ray_address", "mode",
                "orientation", "every_frame", "hold", "engine")  # fmt: skip
"""Fields of an `InferConfig` that say nothing of forms."""

FORM_RESUMABLE: tuple[OutputFormat, ...] = ("jsonl", "csv")
"""Formats of forms that a run can continue."""


@dataclass(frozen=True)
class FormConfig:
    """Which forms are read.

    Attributes:
        templates: TOML files; the one that matches a picture best is taken.
        checksums: functions of the user's own, ``field=module:function`` each.
        corrections: files of what people wrote about fields.
    """

    templates: tuple[Path, ...]
    checksums: tuple[str, ...] = ()
    corrections: tuple[Path, ...] = ()

    def check(self, config: InferConfig) -> None:
        """Check what does not go with forms.

        Raises:
            ConfigError: an option has no meaning with forms.
        """
        if not self.templates:
            field = "checksum" if self.checksums else "corrections"
            raise ConfigError("requires a form", field=field)
        given = [
            name for name in NOT_OF_FORMS if getattr(config, name) != getattr(InferConfig, name)
        ]
        if given:
            raise ConfigError("cannot be combined with forms", field=given[0])
        if config.resume and not config.is_resumable(FORM_RESUMABLE):
            raise ConfigError("requires forms to be written as jsonl or csv", field="resume")
        if config.rotating is not None and config.output is None:
            raise ConfigError(
                "[output] of the settings cannot be combined with forms", hint="use --output"
            )
        if config.output is not None and os.path.isdir(config.output):
            raise ConfigError(f"must be a file, got the folder {config.output}", field="output")


def run_forms(
    config: InferConfig,
    stdout: TextIO,
    *,
    forms: FormConfig,
    on_failure: Callable[[Failure], None],
    notice: Callable[[str], None],
    progress: Progress = no_progress,
) -> Summary:
    """Read the forms in everything that a configuration names, and write them where it says.

    Args:
        config: sources, model, workers, format and output.
        stdout: where forms go unless `config.output` names a file.
        forms: the templates.
        on_failure: called with each picture that could not be read or shows none of the forms.
        notice: called with a line for the user.
        progress: called with the number of pictures that were read.

    Raises:
        ConfigError: an option does not go with forms, or an output would replace a source.
        TemplateError: a template has something that is not allowed.
        InputNotFoundError: a template or the model does not exist.
        ModelError: the model cannot be loaded.
        OutputError: the table cannot be written.
        SourceError: a worker process died.
    """
    forms.check(config)
    cv2.setNumThreads(config.threads or 1)
    make_form = partial(_build_form, forms, reader_factory(config, notice))
    form = make_form()  # here too, so that a wrong template is reported before anything else
    references = [template.reference_path for template in form.templates]
    blanks = [*references, *map(overview_path, forms.templates)]
    inputs = find_inputs(config, notice, passed_over=blanks)
    outputs = Outputs[FormReading]()
    with ExitStack() as stack:
        read = [*forms.templates, *forms.corrections, *references]
        if config.output is not None:
            refuse_to_replace(config.output, read, "output")
        if config.report is not None:
            refuse_to_replace(config.report, read, "report")
        outputs.sinks.append(_open_sink(config, forms, form, stdout, stack, outputs))
        if config.report is not None:
            outputs.sinks.append(_open_report(config, config.report, form, stack, outputs))
        items = outputs.remaining(inputs.items)
        results = _read_files(config, form, make_form, items, inputs.total)
        outcomes: Iterable[FormOutcome] = stack.enter_context(closing(results))
        if outputs.resumable:
            outcomes = stack.enter_context(deferred_interrupts()).between(outcomes)
        before = outputs.done_before
        if not before:
            outcomes = _check_corrections(form, outcomes, notice)
        watched = report_progress(outcomes, lambda _: 1, before, inputs.total, progress)
        summary = write_each(
            watched, outputs.sinks, on_failure=on_failure, stoppable=outputs.resumable
        )
        return outputs.settle(summary)


def _check_corrections(
    form: Form, outcomes: Iterable[FormOutcome], notice: Callable[[str], None]
) -> Iterator[FormOutcome]:
    """Pass on what was read, and say which corrections are of none of it."""
    unused = {(source, name) for source, texts in form.corrections.items() for name in texts}
    read = set[str]()
    for outcome in outcomes:
        if not isinstance(outcome, Failure):
            _, reading = outcome
            read.add(reading.name)
            unused -= {(reading.name, one.name) for one in reading.fields}
        yield outcome
    if unused:
        source, name = min(unused)
        why = "which was not read; name the pictures as in the run with the report"
        if source in read:
            why = "whose form has no such field"
        notice(f"not used: {len(unused):,} of the corrections, such as {name} of {source}, {why}")


def _build_form(forms: FormConfig, make_reader: Callable[[], Reader]) -> Form:
    checksums = load_checksums(forms.checksums)
    reader = make_reader()
    return Form(
        *forms.templates,
        model=reader.classifier,
        threads=reader.threads,
        checksums=checksums,
        corrections=forms.corrections,
    )


def read_forms(form: Form, items: Iterable[Frame | Failure]) -> Iterator[FormOutcome]:
    """Read pictures one by one; a frame of a video is a failure, once per video."""
    refused: str | None = None
    for item in items:
        if isinstance(item, Failure):
            yield item
        elif item.number is not None:
            if item.source != refused:
                refused = item.source
                yield Failure(item.source, "is a video; forms are read from images and documents")
        else:
            try:
                yield item, form.read_frame(item)
            except (ImageError, ModelRunError) as error:
                yield to_failure(item.source, error, page=item.page)


def _read_files(
    config: InferConfig,
    form: Form,
    make_form: Callable[[], Form],
    items: Iterable[Item | Failure],
    total: int,
) -> Generator[FormOutcome, None, None]:
    count = count_workers(config, total)
    if count == 1:
        yield from read_forms(form, read_frames(items, exif=True))
        return
    from digitkit.inference import worker, workers  # not at the top: one is usual

    results = workers.read_with_workers(
        make_form,
        items,
        count,
        worker.ResultFormat(read=read_forms, keep_images=config.needs_images),
        ordered=not config.unordered,
    )
    with closing(results):
        for result in results:
            yield from result  # type: ignore[misc]  # nothing is written down there


def _open_report(
    config: InferConfig, path: Path, form: Form, stack: ExitStack, outputs: Outputs[FormReading]
) -> FormReportSink:
    from digitkit.sinks.report.report_sink import open_report  # not at the top: few want one

    info = report_info(config, form.classifier)
    report = open_report(path, info, lambda: outputs.finished)
    return FormReportSink(stack.enter_context(report))


def _open_sink(
    config: InferConfig,
    forms: FormConfig,
    form: Form,
    stdout: TextIO,
    stack: ExitStack,
    outputs: Outputs[FormReading],
) -> Sink[FormReading]:
    fields = list(dict.fromkeys(f.name for template in form.templates for f in template.fields))
    columns = columns_of(fields)
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise ConfigError(
            f"must not give two columns {twice[0]!r}; rename a field of a template", field="form"
        )
    names = [template.name for template in form.templates]
    if len(set(names)) < len(names):
        raise ConfigError(
            f"must have different names, got {', '.join(names)}: the table names them", field="form"
        )
    how = config.resolved_format
    if how == "xlsx":
        assert config.output is not None  # an `InferConfig` has checked it
        table = stack.enter_context(open_form_table(config.output, fields))
        stack.callback(outputs.keep_old, config.output)
        return table
    if how == "parquet":
        from digitkit.forms.output.parquet_table import open_form_parquet

        assert config.output is not None
        rows = stack.enter_context(open_form_parquet(config.output, fields))
        stack.callback(outputs.keep_old, config.output)
        return rows
    stream: Stream = stdout
    has_header = False
    if config.is_resumable(FORM_RESUMABLE):
        header = describe_run(config, form.classifier) | _describe_forms(forms)
        lines = open_resumable_lines(config, header, columns, outputs)
        stream, has_header = stack.enter_context(lines)
    elif config.output is not None:
        stream = stack.enter_context(open_lines(config.output, is_live=False))
        stack.callback(outputs.keep_old, config.output)
    return FormLines(stream, how, fields, quiet=config.quiet, header=not has_header)


def _describe_forms(forms: FormConfig) -> dict[str, Any]:
    """What readings depend on besides a run's options; see `describe_run`."""
    names = list(map(str, forms.templates))
    files = {f"template {path.name}": file_sha256(path) for path in forms.templates}
    if forms.corrections:
        files["--corrections"] = " ".join(map(file_sha256, forms.corrections))
    return files | {"--form": names, "--checksum": list(forms.checksums)}
