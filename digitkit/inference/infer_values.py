"""The values of a configuration of ``digitkit infer``, and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from digitkit.choices import (
    Engine,
    Mode,
    Orientation,
    OutputFormat,
    PrecisionChoice,
    Rows,
)
from digitkit.errors import check_positive, check_range
from digitkit.sources.suffixes import is_video
from digitkit.sources.urls import address_of

if TYPE_CHECKING:
    from digitkit.reading.numbers.fields import Field

DEFAULT_RETRY = 30.0
"""Seconds to keep reconnecting to a camera or stream that is lost."""

DEFAULT_HOLD = 5
"""Frames that a number must be stable for before it is reported."""

RESUMABLE: tuple[OutputFormat, ...] = ("jsonl", "csv", "parquet")
"""Formats of readings that a run can continue."""

MAX_LOG_MB, MAX_LOG_FILES = 1e6, 1000
"""Largest rotating file, megabytes, and most of them."""


@dataclass(frozen=True)
class RotatingOutput:
    """Files that readings are written to next to standard output: ``NAME``, ``NAME.1``, ….

    Attributes:
        file: the newest one.
        max_mb: it is rotated before it grows beyond this many megabytes, above 0, up to a million.
        keep: rotated files that are kept, 1 to 1,000.
    """

    file: Path
    max_mb: float = 10.0
    keep: int = 5

    def __post_init__(self) -> None:
        """Check the values; raises `ConfigError`."""
        check_positive("max_mb", self.max_mb)
        check_range("max_mb", self.max_mb, 0, MAX_LOG_MB)
        check_range("keep", self.keep, 1, MAX_LOG_FILES, whole=True)


@dataclass(frozen=True)
class InferValues:
    """What ``digitkit infer`` reads, how, and where its readings go.

    Attributes:
        sources: image, PDF and video files, pages of files (``scan.tiff#2``), folders, patterns,
            and ``-`` for a list of paths or an image on standard input; or one URL of a stream.
            Empty with a `camera`.
        watch: folder whose files are read as they arrive, until the run is stopped; the output is
            continued.
        null: whether the list on standard input is NUL-separated instead of one path a line.
        camera: a camera's number, device, URL or ``picamera2``; None to read `sources`.
        size: width and height to request from a camera, pixels; None for its default.
        fps: frames a second to read at most; None for all.
        retry: seconds to keep reconnecting to a lost camera; 0 never, infinity for ever.
        max_frames: stop after this many frames, of video files after so many of each; None for no
            limit.
        duration: stop this many seconds after the first frame, of each video file; None for no
            limit.
        show: whether a camera's annotated frames are shown in a window.
        hold: frames that a number must be stable for before it is reported, at least 1.
        every_frame: report each frame as it is, without tracking.
        model: a shipped model's name or an ``.onnx`` file.
        precision: which file of a shipped model.
        threads: CPU threads, 1 to 1,024; None for 1, and for the classifier what
            ``digitkit bench --save`` found best.
        mode: what an image holds.
        orientation: which side of it is up.
        min_confidence: threshold for a digit to be accepted, 0–1; None for the model's own.
        gap: least gap between two numbers of a row, in heights of the digits; None for one that
            depends on the page, and in mode ``number``.
        expect: number of digits that each number must have; None for any.
        pattern: regular expression that each number must match; None for any.
        input_scale: factor for the pixels (0–255) of a third-party model; None for 1/255.
        format: how readings are written; None for what the suffix of the output file says, else
            text.
        output: file for the readings instead of standard output, for ``parquet`` a folder, with
            the engine ray also an address; ``xlsx`` and ``parquet`` require one.
        rows: what a row of a Parquet table is; None for pictures.
        resume: continue the output of a run that was interrupted, if there is one.
        quiet: whether text is the numbers alone, and no summary is wanted.
        rotating: files for the readings next to standard output.
        annotate: folder for annotated images, or a video file (.mp4, .avi).
        explain: folder for what the classifier saw of each digit.
        report: HTML file with everything that was read and a review of what is doubtful; for files
            that are read in one run on this machine.
        workers: processes that read image files, 1 to 1,024; ``auto``: one per core where there is
            enough to read.
        unordered: whether what several processes read is written as soon as it is there.
        engine: where files are read; ``ray`` requires a Parquet table.
        ray_address: of the Ray cluster; None for the one of the environment, else one that is begun
            on this machine.
        config: the settings file that some of this is from, which no output may replace.
    """

    sources: tuple[str, ...] = ()
    watch: Path | None = None
    null: bool = False
    camera: str | None = None
    size: tuple[int, int] | None = None
    fps: float | None = None
    retry: float | None = None
    max_frames: int | None = None
    duration: float | None = None
    show: bool = False
    hold: int = DEFAULT_HOLD
    every_frame: bool = False
    model: str = "digits"
    precision: PrecisionChoice = "auto"
    threads: int | None = None
    mode: Mode = "auto"
    orientation: Orientation = "exif"
    min_confidence: float | None = None
    gap: float | None = None
    expect: int | None = None
    pattern: str | None = None
    input_scale: float | None = None
    format: OutputFormat | None = None
    output: Path | None = None
    rows: Rows | None = None
    resume: bool = False
    quiet: bool = False
    rotating: RotatingOutput | None = None
    annotate: Path | None = None
    explain: Path | None = None
    report: Path | None = None
    workers: int | Literal["auto"] = 1
    unordered: bool = False
    engine: Engine = "local"
    ray_address: str | None = None
    config: Path | None = None

    @property
    def output_files(self) -> dict[str, Path]:
        """The files that are written, by the fields that name them."""
        files = {} if self.output is None or self.output_address else {"output": self.output}
        if self.rotating is not None and self.output is None:
            files["rotating"] = self.rotating.file
        if self.annotate is not None and self.annotates_video:
            files["annotate"] = self.annotate
        if self.report is not None:
            files["report"] = self.report
        return files

    @property
    def output_folders(self) -> dict[str, Path]:
        """The folders that images are written to, by the fields that name them."""
        folders = {} if self.explain is None else {"explain": self.explain}
        if self.annotate is not None and not self.annotates_video:
            folders["annotate"] = self.annotate
        return folders

    @property
    def annotates_video(self) -> bool:
        """Whether `annotate` is a video file, by its suffix, instead of a folder."""
        return self.annotate is not None and is_video(self.annotate)

    @property
    def needs_images(self) -> bool:
        """Whether images are wanted once they are read: to be drawn, or for parts of them."""
        wanted = self.annotate or self.explain or self.show or self.report
        return bool(wanted or self.resolved_format == "xlsx")

    @property
    def output_address(self) -> str | None:
        """The address of the table, where `output` is one."""
        return None if self.output is None else address_of(self.output)

    @property
    def state_output(self) -> Path:
        """The output beside which a run's state is: of an address its name, in this folder."""
        assert self.output is not None
        address = self.output_address
        return self.output if address is None else Path(Path(address.partition("?")[0]).name)

    @property
    def continues(self) -> bool:
        """Whether an output that is there is continued."""
        return self.resume or self.watch is not None

    def is_resumable(self, formats: Sequence[OutputFormat] = RESUMABLE) -> bool:
        """Whether what is read stays in the output where the run is interrupted, and continues.

        Args:
            formats: those that can be continued.
        """
        resumable = self.resolved_format in formats
        return resumable and self.output is not None and self.camera is None

    @property
    def number_rule(self) -> Field | None:
        """What each number must look like; None for anything."""
        if self.expect is None and self.pattern is None:
            return None
        from digitkit.reading.numbers.fields import Field  # not at the top: loads NumPy

        return Field(self.expect, self.pattern)

    @property
    def resolved_format(self) -> OutputFormat:
        """How readings are written: as asked for, else by the output file's suffix."""
        if self.format is not None:
            return self.format
        target = (self.output and self.state_output) or (self.rotating and self.rotating.file)
        suffix = target.suffix.removeprefix(".").lower() if target else ""
        return suffix if suffix in get_args(OutputFormat) else "text"  # type: ignore[return-value]
