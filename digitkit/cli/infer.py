"""``digitkit infer``."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from digitkit.cli.exit_codes import INTERRUPTED, SOME_FAILED
from digitkit.cli.infer_options import (
    AnnotateOption,
    DurationOption,
    EngineOption,
    EveryFrameOption,
    ExplainOption,
    FormatOption,
    MaxFramesOption,
    NullOption,
    OutputOption,
    QuietOption,
    RayAddressOption,
    ReportOption,
    ResumeOption,
    RetryOption,
    RowsOption,
    ShowOption,
    UnorderedOption,
    WatchOption,
    WorkersOption,
)
from digitkit.cli.infer_report import print_notice, print_stopped, print_summary, reading_bar
from digitkit.cli.options import (
    ChecksumOption,
    CorrectionsOption,
    FormOption,
    InputScaleOption,
)
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
from digitkit.cli.show import write_utf8

EXAMPLES = """\
[bold]Examples[/]

digitkit infer seven.png page.jpg

digitkit infer -q strip.png

digitkit infer scans/ --output readings.csv --workers auto

digitkit infer scans/ --output readings.xlsx

digitkit infer scans/ --output readings.parquet --resume

digitkit infer --watch incoming/ --output readings.csv

digitkit infer s3://bucket/scans --output s3://bucket/readings.parquet --engine ray

digitkit infer 'slips/**/*.jpg' --format jsonl --expect 6

digitkit infer envelopes/ --pattern '[1-9]\\d{3}' --orientation auto

digitkit infer bills/ --pattern '\\d+,\\d\\d' --output amounts.csv

digitkit infer strips/ --mode number --expect 6

digitkit infer scans/ --form form.toml --output table.xlsx

find . -name '*.png' -print0 | digitkit infer - -0

digitkit infer page.jpg --annotate seen --explain why

digitkit infer scans/ --output readings.csv --report report.html

digitkit infer scan.pdf slips.tiff#3

scanimage --format png | digitkit infer -

digitkit infer clip.mp4 --annotate seen.mp4

digitkit infer --camera 0 --show

digitkit infer --camera rtsp://user:password@10.0.0.7/live --format jsonl --retry inf

digitkit infer --camera picamera2 --fps 5

digitkit infer --config /etc/digitkit.toml
"""


# Options that are not given are None, so that a settings file can set them.
def command(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCES",
            help="Image, PDF and video files, pages of files (scan.tiff#2), folders (searched for "
            "images and PDF files, recursively), patterns, and - for standard input: a list of "
            "paths, one a line, or an image; or the URL of one stream.",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Settings of a service, TOML: a camera, and options of this command that apply to "
            "one (the error for an unknown key lists them). Options on the command line take "
            "precedence, and --output over its output table.",
        ),
    ] = None,
    model: ModelOption = None,
    precision: PrecisionOption = None,
    input_scale: InputScaleOption = None,
    format: FormatOption = None,
    output: OutputOption = None,
    rows: RowsOption = None,
    resume: ResumeOption = False,
    quiet: QuietOption = False,
    annotate: AnnotateOption = None,
    explain: ExplainOption = None,
    report: ReportOption = None,
    watch: WatchOption = None,
    workers: WorkersOption = None,
    unordered: UnorderedOption = False,
    engine: EngineOption = None,
    ray_address: RayAddressOption = None,
    threads: ThreadsOption = None,
    null: NullOption = False,
    mode: ModeOption = None,
    orientation: OrientationOption = None,
    min_confidence: MinConfidenceOption = None,
    gap: GapOption = None,
    expect: ExpectOption = None,
    pattern: PatternOption = None,
    form: FormOption = None,
    checksum: ChecksumOption = None,
    corrections: CorrectionsOption = None,
    camera: CameraOption = None,
    size: SizeOption = None,
    fps: FpsOption = None,
    hold: HoldOption = None,
    every_frame: EveryFrameOption = False,
    retry: RetryOption = None,
    max_frames: MaxFramesOption = None,
    duration: DurationOption = None,
    show: ShowOption = False,
) -> None:
    """Read handwritten digits from images, whole pages, folders, lists, videos or a camera.

    Each image, or page of a PDF, TIFF, GIF or WebP file, gives one line as soon as it is read: its
    numbers, rows separated by slashes, ? for a digit in doubt or ink that cannot be read, and why.
    An unreadable input gives one line on stderr; the run continues, and the exit code is 1.

    A JSON line has source, page (of a file with several), text (rows separated by newlines),
    numbers (text, complete, confidence, box, row, column, guess, reasons, digits), dropped (numbers
    that do not meet a field), digits and ms; a failed source has source and error. CSV has a record
    per number.

    With --form, each image is a form: a row of the table, with a column and a status per field.

    Digits of a camera or a video are tracked over frames. A line says that a number appeared,
    changed or disappeared, once that is stable; in JSON it has event, number, previous and text.
    """
    # NumPy's BLAS, which reading does not need, would start a thread per core: 5% of a short run.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from digitkit.inference.infer_config import InferConfig
    from digitkit.inference.infer_job import run_infer
    from digitkit.inference.infer_values import RESUMABLE
    from digitkit.inference.parsing import parse_size, parse_workers

    settings = None
    if config is not None:
        from digitkit.inference.settings import load_settings

        settings = load_settings(config).values
    job = InferConfig.create(
        settings,
        sources=tuple(sources or ()),
        watch=watch,
        null=null,
        camera=camera,
        size=None if size is None else parse_size(size),
        fps=fps,
        retry=retry,
        max_frames=max_frames,
        duration=duration,
        show=show,
        hold=hold,
        every_frame=every_frame,
        model=model,
        precision=precision,
        input_scale=input_scale,
        threads=threads,
        mode=mode,
        orientation=orientation,
        min_confidence=min_confidence,
        gap=gap,
        expect=expect,
        pattern=pattern,
        format=format,
        output=output,
        rows=rows,
        resume=resume,
        quiet=quiet,
        annotate=annotate,
        explain=explain,
        report=report,
        workers=None if workers is None else parse_workers(workers),
        unordered=unordered,
        engine=engine,
        ray_address=ray_address,
        config=config,
    )
    if job.resolved_format != "text":
        write_utf8()
    piped = job.output is not None or not sys.stdout.isatty()  # else the lines show how it goes
    resumable = RESUMABLE
    with reading_bar(wanted=piped and job.camera is None and not job.quiet) as bar:
        if form or checksum or corrections:
            from digitkit.forms.forms_job import FORM_RESUMABLE, FormConfig, run_forms

            forms = FormConfig(
                tuple(map(Path, form or ())), tuple(checksum or ()), tuple(corrections or ())
            )
            read = partial(run_forms, job, sys.stdout, forms=forms)
            resumable = FORM_RESUMABLE
        elif job.engine == "ray":
            from digitkit.cluster.ray_job import run_on_ray

            read = partial(run_on_ray, job)
        else:
            read = partial(run_infer, job, sys.stdout)
        try:
            summary = read(on_failure=bar.fail, notice=print_notice, progress=bar.report)
        except KeyboardInterrupt:
            print_stopped(job, resumable)
            raise typer.Exit(INTERRUPTED) from None
    if not job.quiet:
        print_summary(summary, job)
    if summary.interrupted and job.watch is None:
        raise typer.Exit(INTERRUPTED)
    if summary.failures:
        raise typer.Exit(SOME_FAILED)
