"""The job of ``digitkit infer --form``: pictures to a row of a table each."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

from digitkit.errors import ConfigError, ImageError
from digitkit.forms.checksums import load_checksums
from digitkit.forms.form import Form
from digitkit.forms.results import FormReading
from digitkit.forms.tables import FormLines, FormSink, FormTable
from digitkit.images.cv import cv2
from digitkit.inference.infer_config import InferConfig
from digitkit.inference.infer_job import guard_outputs, open_output, reader_factory, report_progress
from digitkit.inference.pipeline import Summary
from digitkit.reading.reader import Reader
from digitkit.sources.files import expand_sources, read_frames
from digitkit.sources.frames import Failure, Frame, to_failure
from digitkit.sources.items import Item
from digitkit.system.progress import Progress

FormOutcome = tuple[Frame, FormReading] | Failure
"""A picture and what was read of its form, or why nothing was."""

OTHERS = ("camera", "gap", "expect", "pattern", "annotate", "explain", "min_confidence")
"""Fields of an `InferConfig` that say nothing of forms."""


@dataclass(frozen=True)
class FormConfig:
    """Which forms are read.

    Attributes:
        templates: TOML files; the one that matches a picture best is taken.
        checksums: functions of the user's own, ``field=module:function`` each.
    """

    templates: tuple[Path, ...]
    checksums: tuple[str, ...] = ()

    def check(self, config: InferConfig) -> None:
        """Check what does not go with forms.

        Raises:
            ConfigError: an option has no meaning with forms, or a template would be replaced.
        """
        if not self.templates:
            raise ConfigError("requires a form", field="checksum")
        given = [name for name in OTHERS if getattr(config, name) is not None]
        given += ["mode"] if config.mode != "auto" else []
        given += ["orientation"] if config.orientation != "exif" else []
        for name in given:
            raise ConfigError("cannot be combined with forms", field=name)
        taken = {os.path.realpath(path) for path in self.templates}
        if config.output is not None and os.path.realpath(config.output) in taken:
            raise ConfigError(f"must not be the template, got {config.output}", field="output")


def run_forms(
    config: InferConfig,
    stdout: TextIO,
    *,
    forms: FormConfig,
    on_failure: Callable[[Failure], None],
    notice: Callable[[str], None],
    progress: Progress | None = None,
) -> Summary:
    """Read the forms in everything that a configuration names, and write them where it says.

    Args:
        config: sources, model, workers, format and output.
        stdout: where forms go unless `config.output` names a file.
        forms: the templates.
        on_failure: called with each picture that could not be read or shows none of the forms.
        notice: called with a line for the user.
        progress: called with the number of pictures that were read; None for no progress.

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
    begun, images, failures = time.monotonic(), 0, 0
    with ExitStack() as stack:
        sink = _open_sink(config, form, stdout, stack)
        outcomes = _read_files(config, form, make_form, notice, progress)
        for outcome in stack.enter_context(closing(outcomes)):
            if isinstance(outcome, Failure):
                failures += 1
                on_failure(outcome)
                sink.fail(outcome)
            else:
                images += 1
                sink.write(outcome[1])
    return Summary(images, failures, time.monotonic() - begun)


def _build_form(forms: FormConfig, make_reader: Callable[[], Reader]) -> Form:
    checksums = load_checksums(forms.checksums)
    return Form(*forms.templates, model=make_reader().classifier, checksums=checksums)


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
            except ImageError as error:
                yield to_failure(item.source, error, page=item.page)


def _read_files(
    config: InferConfig,
    form: Form,
    make_form: Callable[[], Form],
    notice: Callable[[str], None],
    progress: Progress | None,
) -> Generator[FormOutcome, None, None]:
    files: Iterable[Item | Failure] = guard_outputs(
        config, expand_sources(config.sources, nul=config.null, notice=notice)
    )
    total = 0
    if "-" not in config.sources:
        known = list(files)  # before anything is written
        files, total = known, len(known)
    outcomes: Iterable[FormOutcome]
    if config.workers > 1:
        from digitkit.inference.workers import read_with_workers  # not at the top: one is usual

        outcomes = read_with_workers(
            make_form, files, config.workers, keep_images=False, read=read_forms
        )
    else:
        outcomes = read_forms(form, read_frames(files, exif=True))
    return report_progress(outcomes, total, progress or _ignore)


def _ignore(what: str, done: int, total: int) -> None:
    """No progress is wanted."""


def _open_sink(config: InferConfig, form: Form, stdout: TextIO, stack: ExitStack) -> FormSink:
    fields = list(dict.fromkeys(f.name for template in form.templates for f in template.fields))
    how = config.resolved_format
    if how == "xlsx":
        from digitkit.sinks.xlsx import open_workbook  # not at the top: an extra

        assert config.output is not None  # an `InferConfig` has checked it
        make = partial(FormTable, fields=fields)
        return stack.enter_context(open_workbook(config.output, make))
    stream: TextIO = stdout
    if config.output is not None:
        stream = stack.enter_context(open_output(config.output, is_live=False))
    return FormLines(stream, how, fields, quiet=config.quiet)
