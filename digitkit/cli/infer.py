"""``digitkit infer``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from digitkit.cli import show
from digitkit.cli.options import InputScaleOption, Precision, PrecisionOption
from digitkit.errors import DigitkitError, OutputError

if TYPE_CHECKING:
    from digitkit.inference.pipeline import Outcome, Summary
    from digitkit.models.registry import PrecisionChoice
    from digitkit.reading.reader import Reader
    from digitkit.sinks.base import Sink
    from digitkit.sources.frames import Failure
    from digitkit.sources.live import Live

EXAMPLES = """\
[bold]Examples[/]

digitkit infer seven.png page.jpg

digitkit infer scans/ --format csv --output readings.csv --workers 4

digitkit infer 'meters/**/*.jpg' --format jsonl --expect 6

digitkit infer letters/ --pattern '[1-9]\\d{3}' --orientation auto

find . -name '*.png' -print0 | digitkit infer - -0

digitkit infer page.jpg --annotate seen --explain why

digitkit infer clip.mp4 --annotate seen.mp4

digitkit infer --camera 0 --show

digitkit infer --camera rtsp://user:password@10.0.0.7/live --format jsonl --retry inf

digitkit infer --camera picamera2 --fps 5

digitkit infer --config /etc/digitkit.toml
"""


class Format(StrEnum):
    """How readings are written."""

    text = "text"
    jsonl = "jsonl"
    csv = "csv"


class Mode(StrEnum):
    """What a picture is taken for."""

    auto = "auto"
    digit = "digit"
    page = "page"


class Orientation(StrEnum):
    """Which side of a picture is up."""

    exif = "exif"
    auto = "auto"
    none = "0"
    quarter = "90"
    half = "180"
    three_quarters = "270"


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise typer.BadParameter(f"{text!r} is no size; write it like 1280x720")
    return int(width), int(height)


def _set_defaults(context: typer.Context, path: Path | None) -> Any:
    """Take the options that the command line does not give from a settings file."""
    if path is None:
        return None
    from digitkit.inference import settings

    read = settings.load_settings(path)
    options = read.options()
    # By the parameters' names, of which one would hide a builtin.
    context.default_map = {"format_" if key == "format" else key: options[key] for key in options}
    return read


READING, MOVING, FIELDS = "What is read", "Cameras, streams and videos", "Number fields"


def command(
    context: typer.Context,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCES",
            help="Image and video files, folders (searched for images, recursively), patterns, "
            "and - for a list of paths on standard input, one a line; or one stream's URL.",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Any,
        typer.Option(
            metavar="FILE",
            parser=Path,
            callback=_set_defaults,
            is_eager=True,
            help="A service's settings, TOML: camera and options of this command by their names; "
            "what the command line gives goes first, and --output instead of its [output].",
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="A shipped model's name (digits, or digits-tiny for speed) or an .onnx file.",
        ),
    ] = "digits",
    precision: PrecisionOption = Precision.auto,
    input_scale: InputScaleOption = None,
    format_: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="text for people; jsonl and csv for programs. By default as the name of --output "
            "ends, else text.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the readings to this file, whole or not at all; a camera's line by line.",
        ),
    ] = None,
    annotate: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR|VIDEO",
            help="Save each picture with its digits marked, into a folder; or all frames as a "
            "video, if the name ends in .mp4 or .avi.",
        ),
    ] = None,
    explain: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Save what the net saw of each digit, enlarged."),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            help="Processes that read image files; the order stays. Each takes a second to start, "
            "so they pay for themselves from some hundred pictures on.",
        ),
    ] = 1,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="CPU threads; 1 by default, and for the classifier what digitkit bench --save "
            "found best.",
            show_default=False,
        ),
    ] = None,
    nul: Annotated[
        bool, typer.Option("-0", "--null", help="The list on standard input is parted by NUL.")
    ] = False,
    mode: Annotated[
        Mode,
        typer.Option(
            help="digit: each picture is one digit; page: look for digits in it; auto: the first "
            "up to 64 pixels on the longer side, else the second.",
            rich_help_panel=READING,
        ),
    ] = Mode.auto,
    orientation: Annotated[
        Orientation,
        typer.Option(
            help="Which side is up. exif: as the file says; auto: the same, but where another "
            "quarter turn reads clearly better, that one; 0 to 270: turn the pixels so many "
            "degrees clockwise, whatever the file says.",
            rich_help_panel=READING,
        ),
    ] = Orientation.exif,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Accept digits from this on; the model's own by default.",
            rich_help_panel=READING,
        ),
    ] = None,
    expect: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Keep only rows of so many digits, doubtful ones among them if need be.",
            rich_help_panel=FIELDS,
        ),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help=r"Keep only rows that are like this, such as '[1-9]\d{3}'; where a digit is "
            "uncertain, the next-likely ones are tried.",
            rich_help_panel=FIELDS,
        ),
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option(
            metavar="N|URL|picamera2",
            help="Read a camera until Ctrl-C: its number, a stream's URL (RTSP, HTTP), or the "
            "Raspberry Pi's own camera.",
            rich_help_panel=MOVING,
        ),
    ] = None,
    size: Annotated[
        Any,
        typer.Option(
            metavar="WxH",
            parser=_size,
            help="Ask the camera for this size, pixels, such as 1280x720.",
            rich_help_panel=MOVING,
        ),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(help="Read at most so many frames a second.", rich_help_panel=MOVING),
    ] = None,
    hold: Annotated[
        int,
        typer.Option(
            min=1,
            help="Report what was read once it has held for so many frames; three times as many "
            "while a digit within a number is in doubt.",
            rich_help_panel=MOVING,
        ),
    ] = 5,
    every_frame: Annotated[
        bool,
        typer.Option("--every-frame", help="Report each frame as it is.", rich_help_panel=MOVING),
    ] = False,
    retry: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="When the camera or the stream goes away, try to reconnect for so long; inf for "
            "ever, 0 never; 30 by default.",
            rich_help_panel=MOVING,
        ),
    ] = None,
    max_frames: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="End after N frames.", rich_help_panel=MOVING),
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", help="End so long after the first frame.", rich_help_panel=MOVING
        ),
    ] = None,
    window: Annotated[
        bool,
        typer.Option("--show", help="Show it in a window, too; q ends.", rich_help_panel=MOVING),
    ] = False,
) -> None:
    """Read handwritten digits from images, whole pages, folders, lists, videos or a camera.

    Each picture gives one line as soon as it is read. What cannot be read gives one line on
    stderr, the rest goes on, and the exit code is 1. A JSON line has source, text (the accepted
    digits in reading order, rows parted by newlines), digits (digit, confidence, box, row) and ms;
    a failed source has source and error. Digits on their way through a camera or a video are
    followed from frame to frame, and a text is reported once it has held.
    """
    aside = config.output if config is not None else None
    if config is not None and config.camera is not None and sources:
        # The file's camera, and where its readings go, make way for the pictures that are named.
        aside = None
        camera = None if _of_the_file(context, "camera") else camera
        size = None if _of_the_file(context, "size") else size
        fps = None if _of_the_file(context, "fps") else fps
        retry = None if _of_the_file(context, "retry") else retry
    if camera is None and sources and any("://" in source for source in sources):
        if len(sources) > 1:
            raise typer.BadParameter(
                "a stream's URL stands alone; read files in another run", param_hint="SOURCES"
            )
        camera, sources = sources[0], None  # a stream's URL is a camera's
    if (camera is None) == (not sources):
        wanted = "name pictures, or --camera N"
        if config is not None:
            wanted += "; or set camera in the settings' file"
        raise typer.BadParameter(
            "name pictures or a camera, not both" if sources else wanted, param_hint="SOURCES"
        )
    given = _only_for_cameras(size, fps, retry, max_frames, duration, window)
    if camera is None and given:
        raise typer.BadParameter("goes with a camera or a stream only", param_hint=given)
    if nul and "-" not in (sources or []):
        raise typer.BadParameter("goes with a list on standard input, -", param_hint="--null")
    if workers > 1 and camera is not None:
        raise typer.BadParameter("one camera is read by one process", param_hint="--workers")
    if output is not None:
        aside = None
    if format_ is None:
        target = output or (aside and aside.file)
        suffix = target.suffix.removeprefix(".") if target else ""
        format_ = Format(suffix) if suffix in ("csv", "jsonl") else Format.text
    if aside is not None and format_ is Format.csv:
        raise typer.BadParameter(
            "the settings' [output] takes jsonl or text: a rotated file has no head line",
            param_hint="--format",
        )
    from digitkit.images.opencv import cv2
    from digitkit.inference import pipeline
    from digitkit.sinks.images import AnnotatedImages, ExplainedImages
    from digitkit.sinks.lines import LineSink
    from digitkit.sinks.rotating import RotatingFile
    from digitkit.sinks.video import VideoFile
    from digitkit.sources.files import expand_sources, is_video, read_frames

    field = None
    if expect is not None or pattern is not None:
        from digitkit.reading import fields

        try:
            field = fields.Field(expect, pattern)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--pattern") from error
    cv2.setNumThreads(threads or 1)
    make_reader = partial(
        _make_reader,
        model,
        *_fitted(model, precision, threads),
        input_scale,
        threads or 1,
        mode=mode.value,
        orientation=orientation.value,
        min_confidence=min_confidence,
    )
    reader = make_reader()  # here too, so that a wrong model is told before anything else
    with ExitStack() as stack:
        stream = stack.enter_context(_opened(output, camera is not None)) if output else sys.stdout
        outputs: list[Sink] = [LineSink(stream, format_.value)]
        if aside is not None:
            rotated = RotatingFile(aside.file, round(aside.max_mb * 1e6), aside.keep)
            outputs.append(LineSink(stack.enter_context(rotated), format_.value))
        if annotate is not None and is_video(annotate):
            outputs.append(stack.enter_context(VideoFile(annotate)))
        elif annotate is not None:
            outputs.append(AnnotatedImages(annotate))
        if explain is not None:
            outputs.append(ExplainedImages(explain))
        outcomes: Iterable[Outcome]
        if camera is not None:
            live = stack.enter_context(
                _live(
                    camera,
                    size=size,
                    fps=fps,
                    retry=30.0 if retry is None else retry,
                    max_frames=max_frames,
                    duration=duration,
                )
            )
            if window:
                outputs.append(_window(live))
            outcomes = pipeline.read_each(reader, live)
        else:
            files: Iterable[Path | Failure] = expand_sources(sources or [], nul=nul)
            total = 0
            if "-" not in (sources or []):
                files = list(files)
                total = len(files)
                _check_outputs(files, output, annotate)
            if workers > 1:
                outcomes = pipeline.read_with_workers(
                    make_reader, files, workers, pictures=len(outputs) > 1
                )
            else:
                outcomes = pipeline.read_each(reader, read_frames(files, exif=reader.obeys_exif))
            if output is not None or not sys.stdout.isatty():
                # Else the lines themselves show how it goes.
                outcomes = stack.enter_context(_counted(outcomes, total))
        summary = pipeline.deliver(
            outcomes,
            outputs,
            failed=_report,
            min_confidence=reader.min_confidence,
            field=field,
            hold=hold,
            every_frame=every_frame,
        )
    _report_speed(summary, live.dropped if camera is not None else None)
    if summary.failures:
        raise typer.Exit(1)


def _of_the_file(context: typer.Context, name: str) -> bool:
    """Whether an option's value comes from the settings' file."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "DEFAULT_MAP"


def _only_for_cameras(
    size: object, fps: object, retry: object, frames: object, duration: object, show: bool
) -> str:
    """The first option that was given and makes no sense without a camera."""
    given = {
        "--size": size, "--fps": fps, "--retry": retry, "--max-frames": frames,
        "--duration": duration, "--show": show or None,
    }  # fmt: skip
    return next((name for name, value in given.items() if value is not None), "")


def _fitted(
    model: str, precision: Precision, threads: int | None
) -> tuple[PrecisionChoice, int, int | None]:
    """Precision, threads and batch of the classifier: as asked for, else as fits this device."""
    if precision is Precision.auto:
        from digitkit.models import profiles

        profile, notice = profiles.find_profile(model)
        if notice is not None:
            print(notice, file=sys.stderr)
        if profile is not None:
            return profile.precision, threads or profile.threads, profile.batch
    return precision.value, threads or 1, None


def _make_reader(
    model: str,
    precision: PrecisionChoice,
    classifier_threads: int,
    batch: int | None,
    input_scale: float | None,
    threads: int,
    mode: Any,
    orientation: Any,
    min_confidence: float | None,
) -> Reader:
    from digitkit.models.classifier import Classifier
    from digitkit.reading.reader import Reader

    classifier = Classifier(
        model,
        precision=precision,
        threads=classifier_threads,
        input_scale=input_scale,
        batch=batch,
    )
    return Reader(
        classifier,
        mode=mode,
        orientation=orientation,
        min_confidence=min_confidence,
        threads=threads,
    )


def _window(live: Live) -> Sink:
    from digitkit.errors import MissingDependencyError
    from digitkit.sinks.window import WindowSink

    try:
        return WindowSink(live.stop)
    except OutputError as error:  # nothing has begun yet
        raise MissingDependencyError(str(error)) from error


def _report(failure: Failure) -> None:
    from digitkit.sinks.lines import escape_controls

    line = f"{escape_controls(failure.source)}: {escape_controls(failure.error)}"
    print(line, file=sys.stderr, flush=True)


def _report_speed(summary: Summary, dropped: int | None) -> None:
    if summary.pictures < 2:
        return
    rate = summary.pictures / max(summary.seconds, 1e-9)
    if dropped is None:
        line = f"{summary.pictures} pictures in {summary.seconds:.1f} s, {rate:.1f} a second"
    else:
        line = (
            f"{summary.pictures} frames in {summary.seconds:.1f} s, {rate:.1f} a second; "
            f"{dropped} came in between and were dropped"
        )
    failed = f"; {summary.failures} failed" if summary.failures else ""
    print(line + failed, file=sys.stderr)


def _check_outputs(files: list[Path | Failure], *outputs: Path | None) -> None:
    """No result may take the place of a picture that is read."""
    read = {file.resolve() for file in files if isinstance(file, Path)}
    for path in outputs:
        if path is not None and path.resolve() in read:
            raise typer.BadParameter(f"{path} is a source, too; name another file to write to")


@contextmanager
def _opened(path: Path, live: bool) -> Iterator[TextIO]:
    from digitkit.system import atomic

    if path.is_dir():
        raise OutputError(f"{path}: is a folder; --output names a file")
    if live:  # somebody may want to follow it, and hours must not be lost with the power
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", encoding="utf-8", newline="") as stream:
                yield stream
        except OSError as error:
            if isinstance(error, DigitkitError):
                raise
            raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
        return
    with (
        atomic.replace_file(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as stream,
    ):
        yield stream


@contextmanager
def _live(camera: str, **options: Any) -> Iterator[Live]:
    """A camera that Ctrl-C and SIGTERM end as they are meant to: cleanly, files closed."""
    from digitkit.sources.live import Live
    from digitkit.system import notify

    def notice(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    try:
        live = Live(camera, notice=notice, alive=notify.notify_alive, **options)
    except ValueError as error:
        if isinstance(error, DigitkitError):
            raise
        # "fps is 0; …"
        option = str(error).split()[0].replace("_", "-")
        raise typer.BadParameter(str(error), param_hint=f"--{option}") from error

    def stop(number: int, frame: Any) -> None:
        live.stop()
        signal.signal(number, before[number])  # a second one ends at once

    before: dict[int, Any] = {}
    for which in (signal.SIGINT, signal.SIGTERM):
        before[which] = signal.signal(which, stop)
    try:
        with live:
            notify.notify_ready()
            yield live
    finally:
        notify.notify_stopping()
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _counted(outcomes: Iterable[Outcome], total: int) -> Iterator[Iterator[Outcome]]:
    with show.progress() as report:

        def counting() -> Iterator[Outcome]:
            for done, outcome in enumerate(outcomes, 1):
                # A video has frames without number.
                report("reading", done, total if done <= total else 0)
                yield outcome

        yield counting()
