"""``digitkit infer``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from ..errors import ImageError, OutputError
from . import show
from .options import InputScaleOption, Precision, PrecisionOption, ThreadsOption

if TYPE_CHECKING:
    from ..reader import Reader
    from ..sinks import Sink
    from ..sources import Failure, Frame

NAME = "infer"
EXAMPLES = """\
[bold]Examples[/]

digitkit infer seven.png

digitkit infer scans/ --format csv --output readings.csv

digitkit infer 'meters/**/*.jpg' --format jsonl --min-confidence 0.9

find . -name '*.png' -print0 | digitkit infer - -0

digitkit infer page.jpg --annotate seen --explain why

digitkit infer --camera 0
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


def command(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCES",
            help="Image files, folders (searched recursively), patterns, and - for a list of paths "
            "on standard input, one a line.",
            show_default=False,
        ),
    ] = None,
    camera: Annotated[
        int | None, typer.Option(metavar="N", help="Read camera N's frames until Ctrl-C.", min=0)
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
    mode: Annotated[
        Mode,
        typer.Option(
            help="digit: each picture is one digit; page: look for digits in it; auto: the first "
            "up to 64 pixels on the longer side, else the second."
        ),
    ] = Mode.auto,
    min_confidence: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Accept digits from this on; the model's own by default."),
    ] = None,
    format_: Annotated[
        Format, typer.Option("--format", help="text for people; jsonl and csv for programs.")
    ] = Format.text,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the readings to this file, whole or not at all."),
    ] = None,
    annotate: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Save each picture with its digits marked."),
    ] = None,
    explain: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Save what the net saw of each digit, enlarged."),
    ] = None,
    threads: ThreadsOption = 1,
    nul: Annotated[
        bool, typer.Option("-0", "--null", help="The list on standard input is parted by NUL.")
    ] = False,
) -> None:
    """Read handwritten digits from images, folders, lists of files, or a camera.

    Each picture gives one line as soon as it is read. What cannot be read gives one line on
    stderr, the rest goes on, and the exit code is 1. A JSON line has source, text (the accepted
    digits in reading order), digits (digit, confidence, box, row) and ms; a failed source has
    source and error.
    """
    if (camera is None) == (not sources):
        raise typer.BadParameter(
            "name pictures or a camera, not both" if sources else "name pictures, or --camera N",
            param_hint="SOURCES",
        )
    from .. import sinks
    from .._opencv import cv2
    from ..classifier import Classifier
    from ..reader import Reader
    from ..sources import camera_frames, frames

    cv2.setNumThreads(threads)
    classifier = Classifier(
        model, precision=precision.value, threads=threads, input_scale=input_scale
    )
    reader = Reader(classifier, mode=mode.value, min_confidence=min_confidence)
    with ExitStack() as stack:
        stream = stack.enter_context(_opened(output)) if output else sys.stdout
        outputs: list[Sink] = [sinks.Lines(stream, format_.value)]
        if annotate:
            outputs.append(sinks.Annotated(annotate))
        if explain:
            outputs.append(sinks.Explained(explain))
        items: Iterable[Frame | Failure]
        if camera is not None:
            stack.enter_context(_ending_quietly())
            items = camera_frames(camera)
        else:
            items = frames(sources or [], nul=nul)
            if output is not None or not sys.stdout.isatty():
                # Else the lines themselves show how it goes.
                items = stack.enter_context(_counted(items))
        failures = _read_all(reader, items, outputs)
    if failures:
        raise typer.Exit(1)


def _read_all(reader: Reader, items: Iterable[Frame | Failure], outputs: list[Sink]) -> int:
    """Read everything; returns how much of it failed."""
    from ..sinks import on_one_line
    from ..sources import Failure, failure

    failures = 0
    for item in items:
        failed = item if isinstance(item, Failure) else None
        if not isinstance(item, Failure):
            try:
                reading = reader.read_frame(item)
            except ImageError as error:
                failed = failure(item.source, error)
            else:
                for sink in outputs:
                    sink.write(item, reading)
        if failed:
            failures += 1
            line = f"{on_one_line(failed.source)}: {on_one_line(failed.error)}"
            print(line, file=sys.stderr, flush=True)
            for sink in outputs:
                sink.fail(failed)
    return failures


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    from .. import atomic

    if path.is_dir():
        raise OutputError(f"{path}: is a folder; --output names a file")
    with (
        atomic.replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as stream,
    ):
        yield stream


@contextmanager
def _ending_quietly() -> Iterator[None]:
    """Ctrl-C and SIGTERM are how a live source is meant to end."""

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit from None
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _counted(items: Iterator[Frame | Failure]) -> Iterator[Iterator[Frame | Failure]]:
    with show.progress() as report:

        def counting() -> Iterator[Frame | Failure]:
            for done, item in enumerate(items, 1):
                report("reading", done, 0)
                yield item

        yield counting()
